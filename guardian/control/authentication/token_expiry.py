"""People hear in time that the last token of a machine ends: a gateway without a token refuses everybody,
and Prometheus without one sees nothing. And that a control lacks the key of the newest: it refuses that."""

import shlex
from collections.abc import Iterable
from datetime import datetime, timedelta

from guardian.control.deps import ControlDeps
from guardian.control.telling.news import tell
from guardian.domain.finding import OPERATORS
from guardian.store.control.tokens import TokenRow

_STEPS = (timedelta(days=2), timedelta(days=14))
_BY_HAND = timedelta(days=28)
"""Tokens that live shorter than this are renewed by a machine, so nobody is told of their end."""


def tell_of_ending_tokens(deps: ControlDeps) -> None:
    """Two weeks before the last token of a machine ends, and two days before. And once of each key that signs
    elsewhere and is not in this control's file."""
    now = deps.clock()
    with deps.store.read() as rows:
        known = rows.tokens.of_machines(now)
    ending, lacking = _ending(known, now), _signed_elsewhere(deps, known)
    if not ending and lacking is None:
        return
    with deps.store.write() as rows:
        if lacking is not None:
            tell(
                deps,
                rows,
                topic="lacking_key",
                tenant_id=OPERATORS,
                title="A control lacks the newest signing key",
                detail=f"{lacking.kid}, by which the newest token is ({lacking.role} {lacking.principal_id}): it"
                " refuses what that key signed. Copy keys/signing.jwks.json to it from where `guardian token"
                " rotate` was run",
                severity="high",
                once=lacking.kid,
                now=now,
            )
        for step, last, lost, others in ending:
            who, days = f"{last.role} {last.principal_id}", step.days
            some = " for some of its tenants" if others else ""
            tenants = (part for name in lost for part in ("--tenant", name))
            command = shlex.join(("guardian", "token", "issue", last.principal_id, "--role", last.role, *tenants))
            tell(
                deps,
                rows,
                topic="token",
                tenant_id=OPERATORS,
                title=f"The last token of {who}{some} ends within {days} days"[:300],
                detail=f"it ends at {last.expires_at:%Y-%m-%d %H:%M} UTC; then nothing it asks for{some} is"
                f" answered, unless a token of less than {_BY_HAND.days} days covers that. A new one: {command}",
                severity="critical" if step == _STEPS[0] else "high",
                once=f"{last.jti} {days}",
                now=now,
            )


def _signed_elsewhere(deps: ControlDeps, known: Iterable[TokenRow]) -> TokenRow | None:
    """The newest token, if its key is not here. Older ones may be of a key that was retired before control's
    database kept that."""
    dated = ((row.issued_at, row.jti, row) for row in known if row.issued_at is not None)
    *_, newest = max(dated, default=(None,))
    return newest if newest is not None and deps.tokens.keys.current().find(newest.kid) is None else None


def _ending(known: Iterable[TokenRow], now: datetime) -> list[tuple[timedelta, TokenRow, tuple[str, ...], bool]]:
    """Tokens, what of their tenants no later one covers, and whether there is a later one at all. Of those that a
    machine renews none counts, as little for what it covers."""
    later: dict[tuple[str, str], set[str]] = {}
    found = []
    for row in reversed(list(known)):  # the one that ends first comes first there
        if row.issued_at is None or row.expires_at is None or row.expires_at - row.issued_at < _BY_HAND:
            continue
        covered = later.setdefault((row.role, row.principal_id), set())
        lost = () if "*" in covered else tuple(name for name in row.tenants if name not in covered)
        step = next((each for each in _STEPS if row.expires_at - now <= each), None)
        if lost and step is not None:
            found.append((step, row, lost, bool(covered)))
        covered.update(row.tenants)
    return found
