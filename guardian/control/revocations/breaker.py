"""The circuit breaker: far more automatic revocations than usual stop themselves, and people are asked.

Such a spike is more likely a wrong model, a stolen token or a flood of forged logs than a tenant full of rogue
agents. The breaker is a fact of the tenant that policy reads; what follows from it is for policy to say.
"""

from datetime import datetime, timedelta

from guardian.control.deps import BreakerRule, ControlDeps
from guardian.control.telling.news import tell
from guardian.domain.text import moment
from guardian.store.control.rows import ControlRows
from guardian.wire.approvals import BreakerView

_SKEW = timedelta(minutes=5)


def look(deps: ControlDeps, rows: ControlRows, tenant_id: str, now: datetime) -> BreakerView:
    """The tenant's breaker with its numbers as they stand now.

    `recent` are the automatic revocations within the window. Those from before it last closed do not count: a
    person, or the cooldown, has answered for them.
    """
    rule = deps.settings.breaker
    stored = rows.breakers.get(tenant_id, now)
    begin = now - rule.window
    closed = None if stored.open else stored.reset_at or stored.until
    if closed is not None and closed > now + _SKEW:
        closed = None  # by a clock that was ahead
    recent = rows.ledger.spent(tenant_id, begin if closed is None else max(begin, closed), now).used
    lately = rows.ledger.spent(tenant_id, begin, now).used
    before = rows.ledger.spent(tenant_id, begin - rule.usual, now).used - lately
    return stored.model_copy(update={"recent": recent, "limit": limit_of(rule, before)})


def limit_of(rule: BreakerRule, before: int) -> int:
    """What trips it, given the number of automatic revocations over the `usual` time before the window.

    >>> limit_of(BreakerRule(), 0), limit_of(BreakerRule(), 4032)
    (10, 20)
    """
    usual = -(-rule.factor * before * rule.window // rule.usual)  # rounded up
    return max(rule.least, usual)


def heed(deps: ControlDeps, rows: ControlRows, tenant_id: str, now: datetime) -> BreakerView:
    """Trip the breaker if the limit is reached: before policy is asked for one revocation more, and after one."""
    seen = look(deps, rows, tenant_id, now)
    if seen.open or seen.recent < seen.limit:
        return seen
    rule = deps.settings.breaker
    until = now + rule.cooldown
    minutes = round(rule.window.total_seconds() / 60, 1)
    reason = (
        f"{seen.recent} automatic revocations within {minutes:g} minutes; for this tenant {seen.limit} are far "
        "above the usual rate"
    )
    rows.breakers.trip(tenant_id, now=now, until=until, reason=reason)
    rows.audit.note(
        "tripBreaker",
        at=now,
        tenant_id=tenant_id,
        recent=seen.recent,
        limit=seen.limit,
        until=until.isoformat(),
        result="open",
    )
    tell(
        deps,
        rows,
        topic="breaker",
        tenant_id=tenant_id,
        title="Circuit breaker open: the monitor may only flag",
        detail=f"{reason}. It closes at {moment(until)}, or when an approver resets it.",
        severity="critical",
        once=f"open {now.isoformat()}",
        now=now,
    )
    return look(deps, rows, tenant_id, now)


def gauge(deps: ControlDeps, rows: ControlRows, now: datetime) -> None:
    """Count the open breakers. Done whenever metrics are read: one that closes by itself writes nothing."""
    deps.metrics.set("guardian_breakers_open", sum(each.open for each in rows.breakers.tripped(now)))
