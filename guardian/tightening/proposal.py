"""A proposal: restrictions with everything a reviewer needs, and the folder of files that it is."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, astuple, dataclass, field
from datetime import datetime
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import Field, TypeAdapter, ValidationError

from guardian.disk import write_atomically
from guardian.domain.restriction import Restriction, Scope
from guardian.domain.text import plain, some
from guardian.errors import ConfigurationError, ProposalError
from guardian.tightening.backtest import Backtest
from guardian.tightening.grants import Grant
from guardian.tightening.mining import Abstention, Advice
from guardian.tightening.promise import Promise, foretold, promised
from guardian.tightening.surface import Surface

FORMAT = "guardian.proposal/v1"
PROPOSAL, EXAMPLES, REPORT, SUMS = "proposal.json", "denied.jsonl", "REPORT.md", "SHA256SUMS"
_NAMED = 5
_BEGUN = "# not written to its end"
_POLICIES = (".cedar", ".rego", ".polar")
_LOADED = (*_POLICIES, ".json", ".yaml", ".yml")  # by some loader, hidden or not
_BY_ID = ("by_restriction", "stopped_by")  # what a backtest counts for each restriction
_Count = Annotated[int, Field(ge=0, lt=2**63)]
_DATA = ("data.json", "data.yaml", "data.yml")  # OPA's, in whichever folder
_COMMENTS = ("#", "//")
_EARLIER = {
    "rego/guardian_tightening.rego": "4c11d3f7192a595b5049ef0d4ca6491f4367e0ecf52c5df058965f69bdb6e7b7",
}
"""As the builds before wrote it: it reads the same data, and refuses the same where no fact is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """`grants` are the envelope templates in force in each scope that is narrowed, the most used first.

    Tools have guardian's names; `spelt` gives the names that policies ask for, where those differ. `renamed` are
    tools that gateways or templates may spell in a way that is not known, because guardian may have renamed them.
    """

    tenant_id: str
    since: datetime
    until: datetime
    made_at: datetime
    restrictions: tuple[Restriction, ...]
    grants: Mapping[Scope, tuple[Grant, ...]]
    backtest: Backtest
    surface: Surface
    abstentions: tuple[Abstention, ...] = ()
    advice: tuple[Advice, ...] = ()
    rejected: tuple[str, ...] = ()  # ids that people rejected, whose evidence has not changed
    renamed: tuple[str, ...] = ()
    spelt: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def own(self, restriction: Restriction) -> tuple[str, ...]:
        """The names that a policy asks for the restriction's tool by; empty if it is about no tool."""
        tool = getattr(restriction.rule, "tool", None)
        return () if tool is None else self.spelt.get(tool) or (tool,)

    @property
    def tools(self) -> frozenset[str]:
        """Every tool that a restriction or a template names."""
        restricted = {tool for each in self.restrictions if (tool := getattr(each.rule, "tool", None)) is not None}
        return frozenset(restricted).union(*(grant.tools for found in self.grants.values() for grant in found))

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """In the order of the restrictions, each once."""
        return tuple(dict.fromkeys(restriction.scope for restriction in self.restrictions))

    @property
    def promised(self) -> Promise | None:
        """For honest sessions to come; None: not known."""
        return promised({scope: self.of(scope) for scope in self.scopes})

    @property
    def foretold(self) -> str:
        """The same in words."""
        return foretold(self.promised)

    def of(self, scope: Scope) -> tuple[Restriction, ...]:
        return tuple(restriction for restriction in self.restrictions if restriction.scope == scope)

    def as_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "tenant": self.tenant_id,
            "window": {"since": self.since.isoformat(), "until": self.until.isoformat()},
            "made_at": self.made_at.isoformat(),
            "restrictions": [restriction.as_json() for restriction in self.restrictions],
            "grants": [
                {"scope": asdict(scope), "tools": list(g.tools), "max_records": g.max_records}
                | {"data_classes": None if g.data_classes is None else list(g.data_classes)}
                | ({"records_unread": True} if g.records_unread else {})
                | ({} if g.spelt is None else {"spelt": dict(g.spelt)})
                for scope in sorted(self.grants, key=astuple)
                for g in self.grants[scope]
            ],
            "backtest": self.backtest.as_json(),
            "promised": None if (promise := self.promised) is None else promise._asdict(),
            "surface": {"before": self.surface.before, "after": self.surface.after},
            "abstentions": [{"scope": asdict(each.scope), "why": each.why} for each in self.abstentions],
            "advice": [{"tenant": a.tenant_id, "subject": a.subject, "text": a.text} for a in self.advice],
            "rejected": list(self.rejected),
            "renamed": list(self.renamed),
            "spelt": {tool: list(own) for tool, own in self.spelt.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Proposal":
        """Raises ProposalError naming what is wrong."""
        try:
            if value["format"] != FORMAT:
                raise ValueError(f"format {value['format']!r} is not {FORMAT}")
            grants: dict[Scope, list[Grant]] = {}
            for each in value["grants"]:
                had, spelt = each["data_classes"], each.get("spelt")
                grant = Grant(
                    tuple(_checked("tools", list[str], each["tools"])),
                    None if had is None else tuple(_checked("data_classes", list[str], had)), each["max_records"],
                    each.get("records_unread", False), None if spelt is None else tuple(sorted(spelt.items())),
                )  # fmt: skip
                scope = _checked("scope", Scope, asdict(Scope(**each["scope"])))
                grants.setdefault(scope, []).append(_checked("grants", Grant, asdict(grant)))
            counts = {
                name: _checked(name, dict[str, _Count] if name in _BY_ID else _Count, item)
                for name, item in value["backtest"].items()
                if name != "cost"
            }
            return cls(
                tenant_id=_checked("tenant", str, value["tenant"]),
                since=_moment(value["window"]["since"]),
                until=_moment(value["window"]["until"]),
                made_at=_moment(value["made_at"]),
                restrictions=tuple(map(Restriction.from_json, value["restrictions"])),
                grants={scope: tuple(found) for scope, found in grants.items()},
                backtest=Backtest(**counts),
                surface=Surface(**_checked("surface", dict[str, _Count], value["surface"])),
                abstentions=tuple(
                    _checked("abstentions", Abstention, {"scope": asdict(Scope(**a["scope"])), "why": a["why"]})
                    for a in value["abstentions"]
                ),
                advice=tuple(
                    _checked("advice", Advice, asdict(Advice(a["tenant"], a["subject"], a["text"])))
                    for a in value["advice"]
                ),
                rejected=tuple(_checked("rejected", list[str], value["rejected"])),
                renamed=tuple(_checked("renamed", list[str], value.get("renamed", []))),
                spelt={
                    tool: tuple(_checked("spelt", list[str], own)) for tool, own in value.get("spelt", {}).items()
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
            raise ProposalError(f"not a proposal of guardian's: {what[:300]}") from error


class Backend(Protocol):
    """One policy language, one file of this folder; the module exports `plugin`.

    `files` renders the proposal, by path within its folder. `check` evaluates what was rendered with a real engine
    or validator and returns what is wrong, one line each, or "unchecked: …" if the engine is not installed.
    Neither raises for any proposal: what a language cannot express is reported by `check`, with the restriction's
    id.
    """

    def files(self, proposal: Proposal) -> dict[str, str]: ...

    def check(self, proposal: Proposal, files: Mapping[str, str]) -> list[str]: ...


def read_proposal(folder: Path) -> Proposal:
    """From its folder, or from the JSON file itself. Raises ProposalError with the way out."""
    path = folder / PROPOSAL if folder.is_dir() else folder
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ProposalError(f"{path}: no proposal here; `guardian propose --out DIR` writes one") from error
    if not isinstance(value, dict):
        raise ProposalError(f"{path}: not a proposal of guardian's: it holds no object")
    if _begun(path.parent):
        raise ProposalError(f"{path}: was not written to its end; `guardian propose --out` writes it again")
    return Proposal.from_json(value)


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Write every file whole, and their digests to SHA256SUMS.

    Files of an earlier proposal that this one does not have are removed; all others are left alone. Where it fails
    in the middle nobody reads what lies there, and the next may take its place. Raises ProposalError as
    `replaceable` does, and OSError with the file that could not be written.
    """
    kept = replaceable(folder, files)
    sums = {name: {_digest(text.encode())} for name, text in files.items()}
    both = {name: kept.get(name, set()) | sums.get(name, set()) for name in {*kept, *sums}}
    _write(folder / SUMS, f"{_BEGUN}\n{_lines_of(both)}")
    for name, text in files.items():
        _write(folder / name, text)
    for old in rendered(folder, "**/*"):
        if (name := old.relative_to(folder).as_posix()) in kept and name not in files:
            old.unlink()
    _write(folder / SUMS, _lines_of(sums))


def _lines_of(sums: Mapping[str, AbstractSet[str]]) -> str:
    return "".join(f"{digest}  {name}\n" for name in sorted(sums) for digest in sorted(sums[name]))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as file:
            file.write(text.encode())
    except OSError as error:  # of a disk that is full nobody says which file it was
        raise OSError(error.errno, error.strerror, str(path)) from error


def _begun(folder: Path) -> bool:
    """Whether a proposal was not written to its end here."""
    path = folder / SUMS
    return path.is_file() and path.read_bytes().startswith(_BEGUN.encode())


def replaceable(folder: Path, files: Iterable[str] = ()) -> Mapping[str, AbstractSet[str]]:
    """The digests of the proposal in the folder, if there is one; returns only if another may take its place. A
    file of one that was not written to its end may have two: that of the one before, too.

    Raises ProposalError if the folder is somebody else's, or if `files` or those of its proposal were edited.
    """
    if not folder.exists():
        return {}
    if not folder.is_dir():
        raise ProposalError(f"{folder} is a file; name a folder for the proposal")
    if any(folder.iterdir()) and not (folder / PROPOSAL).is_file() and not _begun(folder):
        raise ProposalError(f"{folder} is not empty and holds no proposal; name another folder")
    path = folder / SUMS
    if not path.is_file() and any(folder.iterdir()):
        raise ProposalError(
            f"{folder} holds a proposal without {SUMS}, as earlier versions wrote it. Nothing shows whether it "
            "was edited, so it is not overwritten; name another folder, or remove this one if nobody edited it"
        )
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else ()
    sums: dict[str, set[str]] = {}
    for digest, _, name in (line.strip().partition("  ") for line in lines):
        if name:
            sums.setdefault(name, set()).add(digest)
    here = [name for name in sorted({PROPOSAL, *sums, *files} - {SUMS}) if (folder / name).is_file()]
    edited = [name for name in here if _digest((folder / name).read_bytes()) not in sums.get(name, ())]
    if edited:
        raise ProposalError(
            f"{folder}: {some(edited, _NAMED)} was edited since it was proposed, or was there before, and is not "
            "overwritten; name another folder, or remove this one"
        )
    return sums


def _digest(content: bytes) -> str:
    """As `sha256sum` prints it for the file with Unix line ends."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def alike(folder: Path, proposal: Proposal, languages: Mapping[str, Backend]) -> None:
    """Check that the policies and patches in a proposal's folder are what the proposal renders to: those beside
    its report and those in a language's folder.

    Schemas and missing files are not compared, because they refuse nothing; empty lines and comments do not count.
    A language's folder is this proposal's whatever lies in it, as is data for OPA (`data.json`, `data.yaml`)
    beside it. Raises ConfigurationError with the first line that differs.
    """
    folder = folder.parent if folder.name == PROPOSAL else folder
    files = {name: text for each in languages.values() for name, text in each.files(proposal).items()}
    loose = (path for path in folder.glob("*") if path.suffix in _POLICIES or path.name in _DATA)
    within = (
        path for name in sorted(languages) for path in sorted((folder / name).glob("**/*")) if path.is_file()
    )
    other: dict[str, str] = {}
    for path in (*loose, *within):
        name = path.relative_to(folder).as_posix()
        hidden = path.name.startswith(".") and not path.name.endswith(_LOADED)  # what editors and desktops leave
        if hidden or path.suffix == ".cedarschema" or _digest(path.read_bytes()) == _EARLIER.get(name):
            continue
        here, there = _lines(path.read_text(encoding="utf-8", errors="replace")), _lines(files.get(name, ""))
        if here != there:
            has, says = next(two for two in zip_longest(here, there, fillvalue="") if two[0] != two[1])
            other[name] = f"{plain(has, 200)!r}" if has else f"without {plain(says, 200)!r}"
    if other:
        name, line = next(iter(other.items()))
        raise ConfigurationError(
            f"{folder}: only {PROPOSAL} is replayed, and it does not render to {some(list(other), _NAMED)} "
            f"({name}: {line}). Make the same edit in both, and keep rules of your own outside of this folder; or "
            "`guardian reject` what you do not want and propose into another folder. If the policies were made "
            "with a configuration, give the same one: -c"
        )


def _lines(text: str) -> list[str]:
    return [line for each in text.split("\n") if (line := each.strip()) and not line.startswith(_COMMENTS)]


def rendered(folder: Path, pattern: str) -> list[Path]:
    """The files that match within the folders of a proposal's renderings, in the order of their names."""
    below = [path for path in folder.glob("[!.]*") if path.is_dir() and not (path / PROPOSAL).exists()]
    return sorted(path for each in below for path in each.glob(pattern) if path.is_file())


def _checked(name: str, kind: Any, told: Any) -> Any:
    """That as a value of this type. Raises ValueError where it is none."""
    try:
        return _of(kind).validate_python(told)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, (name, *problem['loc'])))}: {problem['msg']}") from error


@cache
def _of(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return at
