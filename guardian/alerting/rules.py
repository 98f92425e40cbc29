"""What is written about a case, where, and when: pure rules over how the case stands.

Only a change of state is announced. A repeat only changes a counter in the case's message, a flapping session
gets one reply a minute at most, a storm becomes one digest per tenant, and what is not urgent waits for the end of
quiet hours. A severe case is never held back by less severe ones: a storm of decoys only folds decoys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from guardian.alerting.port import Verb
from guardian.domain.finding import SEVERITIES
from guardian.store.control.cases import StoredCase

OPEN_STATES = frozenset({"flagged", "revoke_requested", "waits"})
"""Those in which somebody is expected to do something."""


def rank(severity: str) -> int:
    """0 for info to 4 for critical. Raises ValueError for any other word."""
    return SEVERITIES.index(severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Cases of this tenant, at least this severe, of this purpose (each if given) go to `channel`."""

    channel: str
    tenant: str | None = None
    severity: int = 0
    purpose: str | None = None

    def fits(self, case: StoredCase) -> bool:
        return (
            self.tenant in (None, case.tenant_id)
            and case.rank >= self.severity
            and self.purpose in (None, case.purpose)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """From `start` to `end` in `zone`, over midnight if need be; from severity `but` on they do not hold."""

    start: time
    end: time
    zone: ZoneInfo
    but: int = 4

    def until(self, now: datetime) -> datetime | None:
        """When they end; None outside them."""
        local = now.astimezone(self.zone)
        at = local.time()
        within = self.start <= at < self.end if self.start < self.end else at >= self.start or at < self.end
        if not within:
            return None
        end = self.end.replace(fold=local.fold)  # where clocks go back it comes twice: not the one that is over
        ends = datetime.combine(local.date(), end, self.zone)
        return ends if ends > local else datetime.combine(local.date() + timedelta(days=1), self.end, self.zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """`floor`, `escalate_floor` and `mention_floor` are ranks; `always` has the keys of cases that the floor does
    not hold back. More than `storm` cases of a tenant within `storm_window` make a storm. `on_call` are mentions
    by tenant (`*` for all others), used from rank `mention_floor` on. What nobody acts on calls `escalate_after`
    it began, and again after each `escalate_again`.
    """

    channel: str = ""
    routes: tuple[Route, ...] = ()
    floor: int = 0
    always: frozenset[str] = frozenset()
    quiet: QuietHours | None = None
    storm: int = 20
    storm_window: timedelta = timedelta(minutes=10)
    escalate_after: timedelta | None = timedelta(minutes=15)
    escalate_again: timedelta | None = None
    escalate_floor: int = 3
    escalate_channel: str | None = None
    on_call: Mapping[str, str] = field(default_factory=dict)
    mention_floor: int = 3
    reply_every: timedelta = timedelta(minutes=1)
    update_every: timedelta = timedelta(seconds=3)

    def channel_for(self, case: StoredCase) -> str:
        """The first route that fits, else the channel for everything."""
        return next((route.channel for route in self.routes if route.fits(case)), self.channel)

    def quiet_until(self, case: StoredCase, now: datetime) -> datetime | None:
        """When the quiet hours end that hold such a case back; None where none do."""
        return None if self.quiet is None or case.rank >= self.quiet.but else self.quiet.until(now)

    def calls(self, case: StoredCase) -> str:
        """Whom the case's first message mentions, if anybody; also for a digest, whose cases mention nobody."""
        return self.mention(case.tenant_id) if case.rank >= self.mention_floor else ""

    def mention(self, tenant_id: str) -> str:
        return self.on_call.get(tenant_id) or self.on_call.get("*", "")


class Write(NamedTuple):
    """Make this write now."""

    verb: Verb


class Fold(NamedTuple):
    """Let the tenant's digest list it."""


class Wait(NamedTuple):
    """Nothing before then."""

    until: datetime


class Done(NamedTuple):
    """Nothing until something happens."""


Move = Write | Fold | Wait | Done


def next_move(case: StoredCase, rules: Rules, *, crowd: int, now: datetime, asks: bool = False) -> Move:
    """What to do about a case now. `crowd` counts the tenant's cases that are as new or also wait, and are at
    least as severe. One that `asks` for a second person's word is shown in time: the request lapses."""
    return _opening(case, rules, crowd, now, asks) if case.place is None else _following(case, rules, now)


def _opening(case: StoredCase, rules: Rules, crowd: int, now: datetime, asks: bool) -> Move:
    shown = case.kind == "session" and case.written_at is not None  # by a message that was given up
    below = case.rank < rules.floor and case.key not in rules.always and not (shown or asks)
    if below or (case.folded_into is not None and case.digest == case.shown.digest):
        return Done()
    if not asks and (until := rules.quiet_until(case, now)) is not None:
        return Wait(until)
    if case.folded_into is not None:  # its digest goes on listing it, as often as a thread of its own would
        ready = [at for at in (_silent(case, now), _next_reply(case, rules)) if at is not None and at > now]
        return Wait(max(ready)) if ready else Fold()
    if crowd > rules.storm and case.kind == "session":
        return Fold()
    due = next_call(case, rules)
    return Write("post" if due is None or due > now else "escalate")


def _following(case: StoredCase, rules: Rules, now: datetime) -> Move:
    waits: list[datetime] = []
    due = next_call(case, rules)
    calls = due is not None and due <= now
    if case.digest != case.shown.digest and not (calls and is_refused(case)):
        ready = now if case.written_at is None else case.written_at + rules.update_every
        if ready <= now:
            return Write("update")
        waits.append(ready)
    silent = _silent(case, now)
    if silent is not None:
        waits.append(silent)
    if due is not None:
        if calls:  # before a reply, which the channel may refuse
            return Write("escalate")
        waits.append(due)
    if case.told < case.events and silent is None:
        reply_at = _next_reply(case, rules)
        if reply_at is None or reply_at <= now:
            return Write("reply")
        waits.append(reply_at)
    return Wait(min(waits)) if waits else Done()


def _silent(case: StoredCase, now: datetime) -> datetime | None:
    """Until when somebody wants quiet, if anybody does."""
    return case.snoozed_until if case.snoozed_until is not None and case.snoozed_until > now else None


def _next_reply(case: StoredCase, rules: Rules) -> datetime | None:
    """When its thread, or the digest that lists it, may say more of it; None for at once."""
    # what a digest lists was never told before, or is held back itself
    return None if case.replied_at is None or case.kind == "digest" else case.replied_at + rules.reply_every


def is_refused(case: StoredCase) -> bool:
    """Whether its channel did not take its message, or what was last to change in that."""
    return bool(case.last_error) and case.shown.digest is None


def next_call(case: StoredCase, rules: Rules) -> datetime | None:
    """When the case calls for help next if nobody acts until then; None where it does not. One without a message,
    which its channel refuses, calls in the channel on call, if that is another one."""
    unheard = rules.escalate_channel in (None, rules.channel_for(case)) or not is_refused(case)
    due = None if case.place is None and unheard else _escalates(case, rules)
    return due if due is None or case.snoozed_until is None else max(due, case.snoozed_until)


def _escalates(case: StoredCase, rules: Rules) -> datetime | None:
    """When the case calls for help if nobody has acted. The time runs from the case's beginning or, where its
    message waited for the end of quiet hours, from that end. When a snooze ends somebody has to act, also where it
    called before."""
    if rules.escalate_after is None or case.rank < rules.escalate_floor or case.state not in OPEN_STATES:
        return None
    if case.acted_at is not None:
        return None
    if case.escalated_at is not None:
        if case.snoozed_until is not None and case.snoozed_until > case.escalated_at:
            return case.snoozed_until
        again = None if rules.escalate_again is None else case.escalated_at + rules.escalate_again
        return None if again is None else rules.quiet_until(case, again) or again
    ends = rules.quiet_until(case, case.opened_at)
    if ends is None or case.written_at is None or case.written_at < ends:  # it did not wait: people knew of it
        return case.opened_at + rules.escalate_after
    return ends + rules.escalate_after
