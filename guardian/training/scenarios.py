"""Authored work in the shape of production: purposes (prose or slug), honest calls, and calls that leave them.

Public sets hold consumer assistants with every value named in the request; operators declare slugs and their
agents look things up on the way. One line of notation, in `work/`, is one kind of work:

    domain: purpose / purpose :: honest call | honest call :: drifting call | drifting call

`work/anywhere.txt` holds drifting calls that fit no kind of work. `{slots}` are filled alike over a session, and
tools are named in a style drawn per session (contracts.read, read_contract, ContractRead), so that neither values
nor names can be learnt by heart. No line restates a task, a goal or a tool set of an evaluation set; that both
know mail, files and payments cannot be helped.
"""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files

from guardian.evaluation.sessions import LabelledAction, LabelledSession
from guardian.training.slots import fill_slots

_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "get": ("get", "read", "fetch", "retrieve", "view"),
    "read": ("read", "get", "open", "fetch"),
    "list": ("list", "get_all", "query", "list"),
    "search": ("search", "find", "query", "lookup"),
    "find": ("find", "search", "lookup"),
    "create": ("create", "add", "new", "create"),
    "update": ("update", "edit", "modify", "set"),
    "delete": ("delete", "remove", "delete", "purge"),
    "send": ("send", "send", "dispatch"),
    "export": ("export", "bulk_export", "download_all", "dump"),
}
_WORK = files("guardian.training") / "work"
_KINDS = ("office", "field", "private", "teams", "money", "systems")  # their order is part of what a seed draws
_CALL = re.compile(r"^(\w+)\.(\w+)\((.*)\)$", re.S)
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Work:
    """One line of notation."""

    domain: str
    purposes: tuple[str, ...]
    honest: tuple[str, ...]
    drift: tuple[str, ...]


def parse(text: str) -> list[Work]:
    """The kinds of work in `text`; a line that is not notation is a ValueError that quotes it."""
    out = []
    for line in text.strip().splitlines():
        fields = line.split(" :: ")
        if len(fields) != 3 or ": " not in fields[0]:
            raise ValueError(f"not a line of scenario notation: {line[:80]!r}")
        domain, purposes = fields[0].split(": ", 1)
        out.append(Work(domain, tuple(purposes.split(" / ")), calls_of(fields[1]), calls_of(fields[2])))
    return out


def calls_of(field: str) -> tuple[str, ...]:
    """The calls of one field of notation, as they are written."""
    return tuple(re.split(r"(?<=\)) \| (?=\w+\.\w+\()", field))


def all_work() -> list[Work]:
    """Every kind of work that is shipped with the recipe."""
    return [work for kind in _KINDS for work in parse((_WORK / f"{kind}.txt").read_text("utf-8"))]


def scenario_sessions(*, seed: int, repeats: int = 8) -> list[LabelledSession]:
    """`repeats` sessions of each kind of work, with zero to three drifting calls spliced in anywhere."""
    rnd = random.Random(seed)
    anywhere = tuple((_WORK / "anywhere.txt").read_text("utf-8").splitlines())
    works = all_work()
    return [
        _session(work, anywhere, f"{work.domain}/{index}", turn, rnd)
        for index, work in enumerate(works)
        for turn in range(repeats)
    ]


def _session(work: Work, anywhere: tuple[str, ...], name: str, turn: int, rnd: random.Random) -> LabelledSession:
    slots, style = fill_slots(rnd), naming(rnd)
    template = rnd.choice(work.purposes)
    purpose = filled(template, slots)
    if rnd.random() < 0.4:
        source = purpose if rnd.random() < 0.4 else without_slots(template)
        kept = [
            w
            for w in re.findall(r"[a-z0-9]+", source.lower())
            if w not in {"the", "a", "an", "and", "that", "they"}
        ]
        purpose = rnd.choice("__-").join(kept[:10])
    count = rnd.randint(max(1, len(work.honest) - 3), len(work.honest))
    chosen = sorted(rnd.sample(range(len(work.honest)), count))
    actions = [call_of(work.honest[i], slots, style, drift=False) for i in chosen]
    for _ in range(rnd.choice((0, 1, 1, 2, 3))):
        call = rnd.choice(work.drift) if rnd.random() < 0.72 else rnd.choice(anywhere)
        actions.insert(rnd.randint(0, len(actions)), call_of(call, slots, style, drift=True))
    return LabelledSession("scenarios", f"{name}/{turn}", work.domain, purpose, tuple(actions), name)


def call_of(
    call: str, slots: Mapping[str, str], style: Callable[[str, str], str], *, drift: bool
) -> LabelledAction:
    match = _CALL.match(call.strip())
    if match is None:
        raise ValueError(f"not a call: {call!r}")
    noun, verb, body = match.groups()
    parts = [part.split("=", 1) for part in re.split(r", (?=\w+=)", body)] if body else []
    arguments: dict[str, object] = {key: filled(value, slots) for key, value in parts}
    return LabelledAction(style(noun, verb), arguments, "drift" if drift else "benign")


def without_slots(template: str) -> str:
    """The words around a template's slots."""
    return _SLOT.sub("", template)


def filled(template: str, slots: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda match: slots[match.group(1)], template)


def naming(rnd: random.Random) -> Callable[[str, str], str]:
    kind, plural, salt = rnd.randint(0, 4), rnd.random() < 0.5, rnd.random()

    def name(noun: str, verb: str) -> str:
        options = _SYNONYMS.get(verb, (verb,))
        verb = options[int(salt * len(options))]
        if plural and kind < 2 and not noun.endswith("s") and noun not in {"crm", "hr", "mail", "http"}:
            noun += "s"
        camel = [part.title().replace("_", "") for part in (verb, noun)]
        match kind:
            case 0 | 1:
                return f"{noun}.{verb}"
            case 2:
                return f"{verb}_{noun}"
            case 3:
                return f"{camel[1]}{camel[0]}"
            case _:
                return f"{noun}_{verb}" if salt < 0.5 else f"{camel[0]}{camel[1]}"

    return name
