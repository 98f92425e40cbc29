"""What an answer of the control API means to a gateway: pure, and strict.

An answer that does not parse completely changes nothing. A revision (epoch, n) never runs backwards, unless
another token reaches other tenants. A delta is applied only to the list that it was made for.
"""

import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

KINDS = frozenset({"session", "agent", "delegator", "task", "jti"})

Tenants = frozenset[str] | set[str] | Literal["*"]

Key = tuple[str, str, str]
"""(tenant, kind, id) of a subject."""


class Revision(NamedTuple):
    """A point in the ledger's order. A restored backup starts a new epoch, so it never runs backwards."""

    epoch: int
    n: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.n}"


class Refused(Exception):
    """An answer that must not be believed, or no answer at all; `code` is the stable word for it."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class Signed(NamedTuple):
    """When an answer was signed, in Unix seconds (0 where that is not checked), and for which tenants, "*" for
    every one."""

    at: int = 0
    reach: frozenset[str] = frozenset()


UNKNOWN = Signed()


@dataclass(frozen=True, slots=True)
class View:
    """One reading of the list. `until` maps a subject to its expiry in Unix seconds, inf for none.

    A delta changes `until` in place, entry by entry in the ledger's order, so a reader in between sees the list as
    it stood at some revision. Everything else of a view is replaced as a whole.
    """

    revision: Revision
    etag: str
    until: dict[Key, float]
    issued: float  # the server's clock when this was confirmed
    confirmed: float  # ours, at the same moment
    asked_as: str = ""  # a hash of the token that it was given to
    signed: Signed = UNKNOWN  # the newest signature

    def reaches(self, tenant_id: str) -> bool:
        """Whether it is a list of this tenant's too: of any other it says nothing."""
        return tenant_id in self.signed.reach or "*" in self.signed.reach


@dataclass(frozen=True, slots=True)
class State:
    """What the list knows of itself. `age_s` is the time since it was last confirmed by the server."""

    status: Literal["fresh", "stale", "never_loaded"]
    revision: Revision | None
    age_s: float | None
    entries: int
    last_error: str
    transport: Literal["push", "poll", "none"] = "none"
    verified: bool = False


_REQUIRED = frozenset({"revision", "subject_type", "tenant_id", "subject_id", "status"})


class Entry(NamedTuple):
    revision: Revision
    kind: str
    key: Key
    lifted: bool
    until: float


class Answer(NamedTuple):
    """A whole list (`complete`) or the changes after a revision. `issued` is when the list changed last."""

    revision: Revision
    issued: float
    complete: bool
    entries: list[Entry]


def kept(tenants: Tenants | None, *, verifying: bool) -> frozenset[str] | None:
    """The tenants whose entries are kept; None for all. Raises ValueError."""
    if tenants is None and verifying:
        raise ValueError(
            "verify_with needs `tenants`, or a list signed for others would pass for this gateway's: name those "
            'that it serves, or "*" where its token is for every tenant'
        )
    if isinstance(tenants, str) and tenants != "*":
        raise ValueError(f'tenants must be a set of names, or "*"; got {tenants!r}')
    return None if tenants is None or "*" in tenants else frozenset(tenants)


def parse(body: bytes) -> Answer:
    """Raises Refused for anything but a complete answer of the contract's shape."""
    try:
        told = json.loads(body, object_hook=_taken)
        entries = list(told["entries"])
        if not all(type(each) is Entry for each in entries):
            raise ValueError("not an entry")
        answer = Answer(parse_revision(told["revision"]), _unix(told["issued_at"]), told["complete"], entries)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise Refused("malformed", type(error).__name__) from None
    if not isinstance(answer.complete, bool) or any(each.revision > answer.revision for each in answer.entries):
        raise Refused("malformed", "complete is not a boolean, or an entry is newer than the list")
    return answer


def apply(
    answer: Answer,
    etag: str,
    *,
    seen: View | None,
    base: View | None,
    tenants: frozenset[str] | None,
    confirmed: float,
    asked_as: str,
    signed: Signed,
) -> tuple[View, frozenset[str]]:
    """The view after an answer, and kinds of subject in it that this client does not know.

    `seen` is the view in memory, `base` the one that the server was told of (None: a whole list was asked for).

    Revisions compare within one reach: a whole list for another token may have a lower n. Not so if its checked
    signature names the same tenants as before, or is older than that of `seen`: then it is a replay.
    """
    if seen is not None and answer.revision < seen.revision:
        another = base is None and asked_as != seen.asked_as and signed.at >= seen.signed.at
        alike = signed.at > 0 and signed.reach == seen.signed.reach
        if not another or alike or answer.revision.epoch < seen.revision.epoch:
            raise Refused("went_back", _way_back(seen.revision, answer.revision))
    if not answer.complete and (base is None or answer.revision.epoch != base.revision.epoch):
        raise Refused("no_base", f"a delta to {answer.revision} has nothing to build on")
    until = base.until if base is not None and not answer.complete else {}
    strange = {each.kind for each in answer.entries} - KINDS
    _settle(until, answer.entries, tenants)
    return View(answer.revision, etag, until, answer.issued, confirmed, asked_as, signed), frozenset(strange)


def _way_back(held: Revision, given: Revision) -> str:
    """What happened, and what ends it: no gateway can."""
    if given.epoch == held.epoch:
        ends = "guardian must begin a new epoch, and does once a gateway tells it of this"
    else:
        ends = (
            f"stop guardian, write epoch {held.epoch} or a later one into its store.epoch_file and start it again"
        )
    return f"guardian's list is at {given} and {held} is held here, as after a restored backup: {ends}"


def _settle(until: dict[Key, float], entries: Iterable[Entry], tenants: frozenset[str] | None) -> None:
    for entry in sorted(entries, key=lambda each: each.revision):
        if entry.kind not in KINDS or (tenants is not None and entry.key[0] not in tenants):
            continue
        if entry.lifted:
            until.pop(entry.key, None)
        else:
            until[entry.key] = entry.until


def _taken(told: dict[str, Any]) -> "dict[str, Any] | Entry":
    """An entry as soon as it is read, so that a long list is never in memory as JSON.

    Nothing else is: what a newer server adds beside the entries may name subjects too.
    """
    return _entry(told) if told.keys() >= _REQUIRED else told


def _entry(entry: Mapping[str, Any]) -> Entry:
    texts = [entry[name] for name in ("subject_type", "tenant_id", "subject_id", "status")]
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError("not a text")
    kind, tenant, subject, status = texts
    kind, tenant = sys.intern(kind), sys.intern(tenant)  # one of each, not one for every entry
    until = math.inf if entry.get("expires_at") is None else _unix(entry["expires_at"])
    # A status that this client does not know keeps the subject out: the safe reading of a newer server.
    lifted = status in ("reinstated", "lapsed")
    return Entry(parse_revision(entry["revision"]), kind, (tenant, kind, subject), lifted, until)


def parse_revision(value: Mapping[str, Any]) -> Revision:
    """{"epoch", "n"}. Raises ValueError, KeyError or TypeError for anything else."""
    epoch, n = value["epoch"], value["n"]
    if type(epoch) is not int or type(n) is not int or epoch < 0 or n < 0:
        raise ValueError("not a revision")
    return Revision(epoch, n)


def _unix(text: str) -> float:
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))  # before Python 3.11 it knows no Z
    if at.tzinfo is None:
        raise ValueError("a time without an offset")
    return at.timestamp()
