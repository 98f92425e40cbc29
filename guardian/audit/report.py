"""What verification found, in words for people and for programs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

FaultKind = Literal[
    "missing", "surplus", "unreadable", "moved", "edited", "truncated", "head",
    "rewritten", "ahead", "restored", "fork", "origin", "unknown_key", "signature", "malformed", "gone",
]  # fmt: skip

CHAIN = "the chain"
STORED = "the database"


class Claim(NamedTuple):
    """One checkpoint to hold against the trail. A note that is not believed has a `trouble`, which says why.
    What is only remembered of one has no `root`; where only the length of the trail is, no `chain` either."""

    size: int
    root: bytes | None
    chain: bytes | None
    epoch: int
    where: str
    source: str
    trouble: "Fault | None" = None


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `entry` is the first bad one, where that can be said; it may be as late as `upto`.

    `source` groups what one cause makes wrong: the chain, the database's checkpoints, a file. `more` counts the
    further faults of the same kind there.
    """

    kind: FaultKind
    entry: int | None
    says: str
    source: str
    upto: int | None = None
    more: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "entry": self.entry,
            "upto": self.upto,
            "says": self.says,
            "source": self.source,
            "more": self.more,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """`stored` and `given` count the checkpoints that hold, of the database and of files.

    `superseded` counts checkpoints whose key is not known, but after which one of the same source holds that a
    known key signed. That is how those look which a key signed before it was retired. `covered` is the size of the
    largest checkpoint that holds, `lost` counts what is said of entries that were lost with a known restore.
    """

    entries: int
    epoch: int
    root: bytes
    chain: bytes
    stored: int
    given: int
    superseded: int
    covered: int
    lost: int
    faults: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        return not self.faults

    @property
    def first_bad(self) -> int | None:
        """The first entry that is or may be bad; None when none is, or none can be named.

        Where a checkpoint only knows a range and the chain names an entry of it, the chain's word counts.
        """
        named = [fault for fault in self.faults if fault.entry is not None]
        exact = [fault.entry or 0 for fault in named if fault.source == CHAIN]
        first = [
            entry
            for fault in named
            if (entry := fault.entry or 0) in exact
            or not any(entry <= bad <= (fault.upto or entry) for bad in exact)
        ]
        return min(first, default=None)

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "entries": self.entries,
            "epoch": self.epoch,
            "root": self.root.hex(),
            "chain": self.chain.hex(),
            "checkpoints": {
                "stored": self.stored,
                "given": self.given,
                "superseded": self.superseded,
                "covered": self.covered,
                "lost": self.lost,
            },
            "first_bad": self.first_bad,
            "faults": [fault.to_json() for fault in self.faults],
        }


class Faults:
    """Collects in bounded memory: the first of each kind and source, and how many more."""

    def __init__(self) -> None:
        self._found: dict[tuple[FaultKind, str], Fault] = {}

    def add(self, fault: Fault) -> None:
        key = (fault.kind, fault.source)
        known = self._found.get(key)
        self._found[key] = fault if known is None else replace(known, more=known.more + 1)

    def __iter__(self) -> Iterator[Fault]:
        """The chain first, then by the entry that they name."""
        return iter(sorted(self._found.values(), key=lambda fault: (fault.source != CHAIN, fault.entry or 0)))
