"""Whether the policies beside a proposal say what it says."""

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path

from guardian.domain.text import plain, some
from guardian.errors import ConfigurationError
from guardian.tightening.folder import PROPOSAL, digest_of
from guardian.tightening.port import Backend
from guardian.tightening.proposal import Proposal

_NAMED = 5
_POLICIES = (".cedar", ".rego", ".polar")
_LOADED = (*_POLICIES, ".json", ".yaml", ".yml")  # by some loader, hidden or not
_DATA = ("data.json", "data.yaml", "data.yml")  # OPA's, in whichever folder
_COMMENTS = ("#", "//")
_EARLIER = {
    "rego/guardian_tightening.rego": "4c11d3f7192a595b5049ef0d4ca6491f4367e0ecf52c5df058965f69bdb6e7b7",
}
"""As the builds before wrote it: it reads the same data, and refuses the same where no fact is missing."""


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
        if hidden or path.suffix == ".cedarschema" or digest_of(path.read_bytes()) == _EARLIER.get(name):
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
