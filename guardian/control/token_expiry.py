"""Machines whose last token ends soon: people hear of it in time, for a gateway without one refuses everybody."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from guardian.control.deps import ControlDeps
from guardian.control.news import tell
from guardian.domain.finding import OPERATORS
from guardian.store.control_tokens import TokenRow

_STEPS = (timedelta(days=2), timedelta(days=14))
_BY_HAND = timedelta(days=28)
"""Who gives out tokens for a shorter time has a machine renew them."""


def tell_of_ending_tokens(deps: ControlDeps) -> None:
    """Two weeks before the last token of a gateway, monitor or delegation service ends, and two days before."""
    now = deps.clock()
    with deps.store.read() as rows:
        ending = _ending(rows.tokens.of_machines(now), now)
    if not ending:
        return
    with deps.store.write() as rows:
        for step, last in ending:
            who, days = f"{last.role} {last.principal_id}", step.days
            tenants = " ".join(f"--tenant '{name}'" for name in last.tenants)
            tell(
                deps,
                rows,
                topic="token",
                tenant_id=OPERATORS,
                title=f"The last token of {who} ends within {days} days"[:300],
                detail=f"it ends at {last.expires_at:%Y-%m-%d %H:%M} UTC; then nothing it asks for is answered. "
                f"A new one: guardian token issue {last.principal_id} --role {last.role} {tenants}",
                severity="critical" if step == _STEPS[0] else "high",
                once=f"{last.jti} {days}",
                now=now,
            )


def _ending(known: Iterable[TokenRow], now: datetime) -> list[tuple[timedelta, TokenRow]]:
    last: dict[tuple[str, str], TokenRow] = {}
    for row in known:  # the one that ends first comes first
        last[row.role, row.principal_id] = row
    found = []
    for row in last.values():
        if row.issued_at is None or row.expires_at is None or row.expires_at - row.issued_at < _BY_HAND:
            continue
        if step := next((each for each in _STEPS if row.expires_at - now <= each), None):
            found.append((step, row))
    return found
