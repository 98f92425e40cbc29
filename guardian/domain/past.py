"""What the archive remembers of one decision, for those who learn from the past."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord

_VERDICTS = (HumanWord.CONFIRMED, HumanWord.FALSE_POSITIVE)
_OF_A_REVOCATION = (HumanWord.REVOKED, HumanWord.REINSTATED, HumanWord.FALSE_POSITIVE)
_DEEPEST = 16
_LONGEST_PATH = 512  # agents choose names, and a long one is repeated for each of the values below it
_UUID = r"(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_POD = r"[0-9a-f]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}"  # of a deployment or cron job in Kubernetes
_INSTANCE = re.compile(  # read once, never anew
    rf"(?:[-_.:/@#]++(?:{_UUID}|{_POD}|v?\d++|[0-9a-f]{{8,}}+)(?=[-_.:/@#]|$))++$"
)


def agent_role(agent_id: str | None) -> str:
    """What stays the same over the instances of one agent: trailing numbers, hashes, UUIDs and pods left out.

    >>> agent_role("agent_renewal_review-07"), agent_role("agent_triage"), agent_role(None)
    ('agent_renewal_review', 'agent_triage', '')
    """
    if agent_id is None:
        return ""
    return _INSTANCE.sub("", agent_id) or agent_id


LIST, OBJECT = "[list]", "[object]"
"""What stands for an argument that is no scalar, where only scalars are compared."""


def _step(name: str) -> str:
    """One name of a dotted path, so that no two paths of names read the same.

    >>> _step("c.d"), _step("c")
    ('c\\\\.d', 'c')
    """
    return name.replace("\\", "\\\\").replace(".", "\\.")


def argument_leaves(value: Any, path: str = "", depth: int = 0) -> Iterable[tuple[str, Any]]:
    """Every scalar with its dotted path; the members of a list share one, `items[].sku`. Paths of more than 512
    characters are left out."""
    if len(path) > _LONGEST_PATH:
        return
    match value:
        case Mapping():
            for name, item in value.items():
                if depth < _DEEPEST:
                    step = _step(name)
                    yield from argument_leaves(item, f"{path}.{step}" if depth else step, depth + 1)
        case list() | tuple():
            for item in value:
                if depth < _DEEPEST:
                    yield from argument_leaves(item, f"{path}[]", depth + 1)
        case _:
            yield path, value


def flat_arguments(value: Mapping[str, Any], path: str = "", depth: int = 0) -> dict[str, Any]:
    """Arguments as a policy reads them: scalars by dotted path. A list or an object is present and equals nothing,
    so that a value cannot slip by in another wrapping. Nulls are absent, and so are paths of more than 512
    characters: no restriction speaks of these."""
    flat: dict[str, Any] = {}
    for name, item in value.items():
        step = _step(name)
        here = f"{path}.{step}" if depth else step
        if len(here) > _LONGEST_PATH:
            continue
        if isinstance(item, Mapping):
            flat[here] = OBJECT
            if depth < _DEEPEST:
                flat |= flat_arguments(item, here, depth + 1)
        elif isinstance(item, list | tuple):
            flat[here] = LIST
        elif item is not None:
            flat[here] = item
    return flat


def envelope_values(constraints: Mapping[str, Any]) -> dict[str, list[str]]:
    """What an argument may be pinned to, by constraint: texts, and numbers that stand in a list.

    A single number is a limit and a truth value a switch: an argument that equals one does so by coincidence.
    """
    held: dict[str, list[str]] = {}
    for name, constraint in constraints.items():
        several = isinstance(constraint, list | tuple)
        held[name] = [
            str(member)
            for member in (constraint if several else [constraint])
            if (isinstance(member, str) and member)
            or (several and isinstance(member, int | float) and not isinstance(member, bool))
        ]
    return held


@dataclass(frozen=True, slots=True)
class Vectors:
    """The embeddings that a score was made from: little-endian float16, as many as the model has dimensions.

    `model` names the encoder that made them; vectors of different models are not comparable.
    """

    model: str
    purpose: bytes
    action: bytes

    def __post_init__(self) -> None:
        if len(self.purpose) % 2 or len(self.action) % 2:
            raise ValueError("a float16 vector has two bytes a dimension")


class PastCall(NamedTuple):
    """One archived decision with its verdict. A tuple, because tens of millions of them are made.

    purpose             the family of the declared purpose
    role                the agent without its instance number
    bound               the arguments that carried a value of the envelope, as `argument=constraint`
    data_classes, records  None where the log did not say
    arguments           None where the log carried none, or they were dropped or cut
    tool_spelt, allowed_tools_spelt  the log's own names (see `Origin`), None where they are not known; the list is
                        in the order of `allowed_tools`, empty where it is the same
    """

    tenant_id: str
    session_id: str
    purpose: str
    role: str
    at: datetime
    tool: str
    allowed: bool
    arguments: Mapping[str, Any] | None
    bound: tuple[str, ...]
    resource_type: str | None
    resource_id: str | None
    data_classes: frozenset[str] | None
    records: int | None
    allowed_tools: tuple[str, ...]
    constraints: Mapping[str, Any]
    expires_at: datetime | None
    agent_id: str | None
    delegator_id: str
    parent_session_id: str | None
    gateway: str
    decision_id: str
    wanted: str  # the effect that the finding made at this decision asked for; "none" where there was none
    one_in: float  # how rare the session's evidence was among honest ones after this decision
    tool_spelt: str | None = None
    allowed_tools_spelt: tuple[str, ...] | None = None

    @property
    def key(self) -> SessionKey:
        return SessionKey(self.tenant_id, self.session_id)


@dataclass(frozen=True, slots=True)
class Label:
    """What people said of a session, and when; `seq` is control's order. `finding_id` is the finding that they
    judged; empty where they spoke of the session as a whole, or where it was not kept."""

    key: SessionKey
    word: HumanWord
    at: datetime
    seq: int
    finding_id: str = ""


def standing(labels: Iterable[Label]) -> list[Label]:
    """Given them in their order, without the verdicts that were taken back, and without the words that did so. A
    verdict of which nobody knows what it judged may be the one.

    >>> key, at = SessionKey("acme", "s1"), datetime(2026, 5, 12)
    >>> said = Label(key, HumanWord.FALSE_POSITIVE, at, 1, "fnd_1")
    >>> standing([said, Label(key, HumanWord.WITHDRAWN, at, 2, "fnd_1")])
    []
    """
    kept: dict[int, Label] = {}
    spoken: dict[tuple[SessionKey, str], list[int]] = {}
    for place, label in enumerate(labels):
        if label.word is HumanWord.WITHDRAWN:
            for name in (label.finding_id, ""):
                for taken_back in spoken.pop((label.key, name), ()):
                    del kept[taken_back]
            continue
        kept[place] = label
        if label.word in _VERDICTS:
            spoken.setdefault((label.key, label.finding_id), []).append(place)
    return list(kept.values())


def verdicts(labels: Iterable[Label]) -> dict[SessionKey, Label]:
    """The judgement of each session that stands, given the labels in their order: the last confirmation that was
    not taken back, else the last dismissal. Dismissing one finding takes back nothing that was said of another.

    >>> key, at = SessionKey("acme", "s1"), datetime(2026, 5, 12)
    >>> one = Label(key, HumanWord.CONFIRMED, at, 1, "fnd_1")
    >>> other = Label(key, HumanWord.FALSE_POSITIVE, at, 2, "fnd_2")
    >>> verdicts([one, other])[key].word.value
    'confirmed'
    """
    confirmed: dict[SessionKey, dict[str, Label]] = {}
    last: dict[SessionKey, Label] = {}
    for label in standing(labels):
        if label.word is HumanWord.CONFIRMED:
            found = confirmed.setdefault(label.key, {})
            found.pop(label.finding_id, None)
            found[label.finding_id] = label
        elif label.word is HumanWord.FALSE_POSITIVE:
            last[label.key] = label
            found = confirmed.get(label.key, {})
            for name in [name for name in found if not (name and label.finding_id) or name == label.finding_id]:
                del found[name]
    return last | {key: [*found.values()][-1] for key, found in confirmed.items() if found}


def revoked(labels: Iterable[Label]) -> set[SessionKey]:
    """The sessions, given the labels in their order, that were revoked and neither given back nor dismissed since.
    That a revocation lapsed says nothing."""
    last = {label.key: label.word for label in standing(labels) if label.word in _OF_A_REVOCATION}
    return {key for key, word in last.items() if word is HumanWord.REVOKED}
