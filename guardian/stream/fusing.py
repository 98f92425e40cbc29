"""The fuse at work: what of a batch counts for it, and what people are told when it blows."""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import datetime

from guardian.domain.batch import DeadLetter, Decoded
from guardian.domain.finding import OPERATORS, Effect, Finding, Kind, finding_id
from guardian.domain.record import Record
from guardian.stream.fuse import ANYBODY, Blown, Fuse, FuseState, Outcome
from guardian.stream.marks import Mark

_NO_FAULT = ("too_large", "nobody", "no_tool_denied", "poison", "sealed")
"""What speaks against no gateway: an agent, or whoever reaches the gateway, can bring it about, or guardian itself
fails."""
_ANYBODYS = ("no_session", "no_tool")
"""The same of calls whose session, or whose tool, has no valid name, as long as the gateway tells those of
others."""


def fused(
    fuse: Fuse,
    before: FuseState,
    came: Sequence[Outcome],
    at: Record,
    now: datetime,
    *,
    judged: Callable[[str], bool],
) -> tuple[FuseState, Blown | None, list[Finding]]:
    """The fuse after what `came`, the last of it `at` this record, whether it blew, and what people are told. What
    anybody can bring about stops nothing once any call of the gateway was `judged`; of that they are told each day
    anew."""
    known, pages = before.known, list[Finding]()
    if before.day != now.date():
        before = FuseState(before.windows, day=now.date())
    state, blown = fuse.fold(before, came)
    while blown is not None and blown.anybodys:
        if not (blown.read or blown.gateway in known or judged(blown.gateway)):
            break
        pages.append(_finding(blown, at, now, goes_on=True))
        before = dataclasses.replace(before, known=before.known | {blown.gateway})
        state, blown = fuse.fold(before, came)
    if blown is not None:
        pages.append(_finding(blown, at, now, goes_on=False))
    return state, blown, pages


def _finding(blown: Blown, at: Record, now: datetime, *, goes_on: bool) -> Finding:
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
