"""Records that crash a room: attempts are counted across restarts, then the record becomes a dead letter."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from guardian.domain.batch import DeadLetter, Decoded
from guardian.domain.finding import OPERATORS, Effect, Finding, Kind, finding_id
from guardian.domain.record import Place, Record
from guardian.pipeline.decoding import Letters
from guardian.stream.fuse import ANYBODY, Blown, Outcome
from guardian.stream.marks import Mark

MAX_ATTEMPTS = 3
_NO_FAULT = ("too_large", "nobody", "no_tool_denied", "poison", "sealed")
"""What speaks against no gateway: an agent, or whoever reaches the gateway, can bring it about, or guardian itself
fails."""
_ANYBODYS = ("no_session", "no_tool")
"""The same of calls whose session, or whose tool, has no valid name, as long as the gateway tells those of
others."""


def halves(records: list[Record]) -> tuple[list[Record], list[Record]]:
    """First and second half, in order; the first is the smaller of an odd number."""
    middle = len(records) // 2
    return records[:middle], records[middle:]


def poisoned(record: Record, why: str, found: Iterable[Decoded | DeadLetter], now: datetime) -> list[DeadLetter]:
    """The dead letters of a record that was given up: one for each session that could be read in it, and those of
    its entries that were refused, else one of its partition. `why` must quote none of the record: that is the
    agent's word."""
    reason = f"judging it failed {MAX_ATTEMPTS} times: {why}"
    letters, refused = Letters(), list[DeadLetter]()
    for each in found:
        if isinstance(each, Decoded):
            who = (*each.event.key, each.event.gateway)
            letters.add(DeadLetter(record, "poison", reason, *who, now, entry=each.entry))
        elif not each.judged:
            refused.append(each)
    told = [*letters.kept(), *refused]
    return told or [DeadLetter(record, "poison", reason, OPERATORS, record.day_of_place, record.sender, now)]


def advanced(records: Sequence[Record], base: Mapping[Place, int]) -> dict[Place, int]:
    """The next offset of each place after these records."""
    positions = {record.place: base.get(record.place, 0) for record in records}
    for record in records:
        positions[record.place] = max(positions[record.place], record.offset + 1)
    return positions


def fuse_finding(blown: Blown, at: Record, now: datetime, *, goes_on: bool = False) -> Finding:
    """A finding that pages the operators; that the monitor `goes_on` is told once each day. It goes to their own
    tenant, because the tenants that unreadable records name prove nothing."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in blown.gateway)[:200] or "unknown"
    title = f"The monitor stopped: {blown.bad} of the last {blown.of} records of gateway {shown} are unreadable"
    when: tuple[object, ...] = at.topic, at.partition, at.offset
    if goes_on:
        what = "are calls without a valid session or tool"
        title = f"{blown.bad} of the last {blown.of} records of gateway {shown} {what}; the monitor goes on"
        when = "goes on", f"{now:%Y-%m-%d}"
    return Finding(
        id=finding_id(Kind.BUS, OPERATORS, shown, *when),
        kind=Kind.BUS,
        tenant_id=OPERATORS,
        session_id=shown,
        wanted=Effect.FLAG,
        severity="critical",
        title=title,
        time=now,
    )


def outcomes(
    records: Sequence[Record], decoded: Sequence[Decoded], letters: Sequence[DeadLetter], mark: Mark
) -> list[Outcome]:
    """What the fuse counts, in arrival order.

    A readable record speaks for the gateway that it names and for its sender, because of an unreadable one nothing
    but the sender may be known. Two kinds of unreadable records do not speak against a gateway: those that are too
    large, name no session or no tool and were denied, or crash a room, and those that people sent again, as the
    `mark` proves.
    """
    names = {id(d.record): d.event.gateway for d in decoded}
    bad = {
        id(letter.record): Outcome(
            letter.gateway or letter.record.sender,
            readable=False,
            session=_session(letter),
        )
        for letter in letters
        if letter.code not in _NO_FAULT and not mark.on(letter.record)
    }
    outcomes: list[Outcome] = []
    for record in records:
        if id(record) in names:
            known_by = dict.fromkeys((names[id(record)], record.sender))
            outcomes.extend(Outcome(name, readable=True) for name in known_by)
        elif id(record) in bad:
            outcomes.append(bad[id(record)])
    return outcomes


def _session(letter: DeadLetter) -> str:
    whose = ANYBODY if letter.code in _ANYBODYS else ""
    return whose if letter.session_id is None else f"{whose}{letter.tenant_id}/{letter.session_id}"
