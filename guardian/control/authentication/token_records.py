"""A token counts only as it was recorded: without its record, control refuses what was just signed."""

from datetime import timedelta
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
        certificate=who.certificate,
    )


def forget_expired(deps: ControlDeps) -> None:
    """Each click and sign-in has a token, so what surely expired long ago goes; called on a schedule."""
    before = deps.sure(deps.clock()) - _EXPIRED_KEPT
    with deps.store.read() as rows:
        old = rows.tokens.has_expired(before)
    if old:
        with deps.store.write() as rows:
            rows.tokens.forget(before)


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
