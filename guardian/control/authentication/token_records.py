"""A token counts only as it was recorded: without its record, control refuses what was just signed."""

from datetime import datetime, timedelta
from typing import Any

from guardian.control.deps import ControlDeps
from guardian.keys.tokens import IssuedToken
from guardian.store.control.rows import ControlRows

_EXPIRED_KEPT = timedelta(days=90)


def record_token(rows: ControlRows, token: IssuedToken) -> None:
    """Everything about the token but its text."""
    who = token.principal
    rows.tokens.add(
        jti=who.jti,
        principal_id=who.id,
        role=who.role,
        tenants=who.tenants,
        kid=token.kid,
        issued_at=token.issued_at,
        expires_at=who.expires_at,
    )


def forget_expired(deps: ControlDeps, rows: ControlRows, now: datetime) -> None:
    """Each click and sign-in has a token, so what expired long ago goes."""
    rows.tokens.forget(deps.sure(now) - _EXPIRED_KEPT)


def record_issue(rows: ControlRows, token: IssuedToken, **how: Any) -> None:
    """The token, and in the audit trail that it was issued, and `how`."""
    record_token(rows, token)
    who = token.principal
    rows.audit.note(
        "issueToken",
        at=token.issued_at,
        jti=who.jti,
        principal=who.id,
        role=who.role,
        tenants=sorted(who.tenants),
        kid=token.kid,
        expires_at=who.expires_at.isoformat(),
        **how,
    )
