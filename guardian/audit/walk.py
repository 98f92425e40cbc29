"""What is judged on the way through the trail: the entries, the claims of each size, and at last the head row."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from guardian.audit.report import CHAIN, STORED, Claim, Fault, Faults, Report
from guardian.audit.tree import MerkleTree
from guardian.store.control.audit import Doubt, RawEnd, RawEntry, stored_json

_MOST_EPOCHS = 1_000


class Walk:
    """What is known at one point of the pass over the trail: the tree so far, and what was wrong."""

    def __init__(self, end: RawEnd, claims: Iterator[Claim], restored: Collection[int]) -> None:
        self.tree, self.end = MerkleTree(), end
        self._known, self._lost = restored, 0
        self.faults = Faults()
        self._claims, self._next = claims, next(claims, None)
        self._stored = self._given = self._superseded = self._covered = 0
        self._unknown: dict[str, Fault] = {}  # by source: claims by unknown keys that nothing made up for yet
        self._good: dict[int, tuple[int, int]] = {}  # by epoch: the two largest sizes that a claim confirmed
        self._agreed: Claim | None = None  # the last claim, to see two that contradict each other
        self._epochs: list[tuple[int, int]] = []  # (entry, epoch) of the restored backups

    @property
    def due(self) -> int:
        """The size at which the next claim can be judged; -1 when none is left."""
        return self._next.size if self._next is not None else -1

    def doubted(self, found: Doubt, entry: RawEntry, expected: int) -> None:
        self.faults.add(Fault(found, expected, _words(found, entry, expected), CHAIN))

    def epoch_begins(self, seq: int, record: bytes) -> None:
        try:
            epoch = int(stored_json(record)["epoch"])
        except (ValueError, KeyError, TypeError, OverflowError):
            return
        if len(self._epochs) < _MOST_EPOCHS:
            self._epochs.append((seq, epoch))

    def settle(self, chain: bytes) -> None:
        """Judge every claim of the present size."""
        root = self.tree.root()
        while self._next is not None and self._next.size <= self.tree.size:
            claim = self._next
            self._next = next(self._claims, None)
            self._judge(claim, root, chain)

    def finish(self, last: int, chain: bytes) -> Report:
        self._check_head(last, chain)
        while self._next is not None:  # larger than the trail
            claim = self._next
            self._next = next(self._claims, None)
            if claim.trouble is not None:
                self._disbelieve(claim.trouble)
            elif claim.size > last or claim.root is not None or claim.chain is not None:
                self._compare(claim)
                self._blame(claim, self._ahead(claim, last) if claim.size > last else self._contradicted(claim))
        for fault in self._unknown.values():
            self.faults.add(fault)
        return Report(
            entries=self.tree.size,
            epoch=self.end.epoch,
            root=self.tree.root(),
            chain=chain,
            stored=self._stored,
            given=self._given,
            superseded=self._superseded,
            covered=self._covered,
            lost=self._lost,
            faults=tuple(self.faults),
        )

    def _judge(self, claim: Claim, root: bytes, chain: bytes) -> None:
        if claim.trouble is not None:
            self._disbelieve(claim.trouble)
            return
        if claim.root is None and claim.chain is None:
            return  # of what stands there it says nothing
        self._compare(claim)
        if claim.root in (None, root) and claim.chain in (None, chain):
            before, largest = self._good.get(claim.epoch, (0, 0))
            self._good[claim.epoch] = (largest if claim.size > largest else before, claim.size)
            self._stored += claim.source == STORED
            self._given += claim.source != STORED and claim.root is not None
            self._covered = claim.size if claim.root is not None else self._covered
            made_up_for = self._unknown.pop(claim.source, None)
            self._superseded += made_up_for.more + 1 if made_up_for is not None else 0
        else:
            self._blame(claim, self._contradicted(claim))

    def _disbelieve(self, trouble: Fault) -> None:
        if trouble.kind != "unknown_key":
            self.faults.add(trouble)
            return
        known = self._unknown.get(trouble.source)
        self._unknown[trouble.source] = trouble if known is None else replace(known, more=known.more + 1)

    def _compare(self, claim: Claim) -> None:
        """Two signed statements of one log about the same size must say the same."""
        if claim.root is None:
            return
        before, self._agreed = self._agreed, claim
        if before is None or (before.size, before.epoch) != (claim.size, claim.epoch) or before.root == claim.root:
            return
        says = (
            f"{before.where} and {claim.where} are both signed, cover {claim.size} entries and contradict each"
            " other: the log was forked, or somebody else has the key"
        )
        self.faults.add(Fault("fork", self._good_until(claim) + 1, says, claim.source, claim.size))

    def _contradicted(self, claim: Claim) -> Fault:
        first = self._good_until(claim) + 1
        which = f"entry {first}" if first == claim.size else f"one of the entries {first} to {claim.size}"
        says = f"{claim.where} was signed over other entries than the present ones: the first bad one is {which}"
        return Fault("rewritten", first, says, claim.source, claim.size)

    def _ahead(self, claim: Claim, last: int) -> Fault:
        says = (
            f"{claim.where} covers {claim.size} entries and the trail has {last}: its end was cut off, or an older"
            " backup was put in its place"
        )
        return Fault("ahead", last + 1, says, claim.source, claim.size)

    def _blame(self, claim: Claim, fault: Fault) -> None:
        """Unless a restored backup explains it. The entries are missing all the same; of a known restore that is
        known, too."""
        begun = next(((seq, epoch) for seq, epoch in self._epochs if epoch > claim.epoch), None)
        if begun is None or not self._good_until(claim) < begun[0] <= claim.size:
            self.faults.add(fault)
        elif begun[1] in self._known:
            self._lost += 1
        else:
            says = (
                f"{claim.where} is ahead of the backup that was restored before entry {begun[0]} (it begins epoch"
                f" {begun[1]}): what was written from entry {begun[0]} on before the restore is lost. If nobody"
                " restored a backup then, it was cut off"
            )
            self.faults.add(Fault("restored", begun[0], says, claim.source, claim.size))

    def _good_until(self, claim: Claim) -> int:
        """Up to which entry the claim's log is confirmed: claims of a later epoch say nothing of what was lost."""
        known = (size for epoch, sizes in self._good.items() if epoch <= claim.epoch for size in sizes)
        return max((size for size in known if size < claim.size), default=0)

    def _check_head(self, last: int, chain: bytes) -> None:
        end = self.end
        if end.seq > last:
            says = f"the trail ends at entry {last}, the head row says {end.seq}: its end was cut off"
            self.faults.add(Fault("truncated", last + 1, says, CHAIN, end.seq))
        elif end.seq < last:
            says = f"the trail ends at entry {last}, the head row says {end.seq}: one of the two was altered"
            self.faults.add(Fault("head", max(end.seq, 0) + 1, says, CHAIN, last))
        elif end.hash != chain.hex().encode():
            says = f"the head row holds another hash than entry {last}, the last one"
            self.faults.add(Fault("head", max(last, 1), says, CHAIN))


def _words(found: Doubt, entry: RawEntry, expected: int) -> str:
    match found:
        case "missing":
            until = "" if entry.seq == expected + 1 else f" to {entry.seq - 1}"
            return f"entry {expected}{until} is missing"
        case "surplus":
            return f"there is an entry with the number {entry.seq}: numbers begin at 1"
        case "unreadable":
            return f"entry {expected} holds something that is no text"
        case "moved":
            return f"entry {expected} holds the record of another number"
        case "edited":
            return f"entry {expected} was altered: its hash does not follow from its record and the entry before"
