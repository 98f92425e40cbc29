"""A token counts only as it was recorded: without its record, control refuses what was just signed."""

from datetime import timedelta

from guardian.keys.tokens import IssuedToken
from guardian.store.control import ControlRows

_EXPIRED_KEPT = timedelta(days=90)


def record_token(rows: ControlRows, token: IssuedToken) -> None:
    """Everything about the token but its text. Each click and sign-in has one, so what expired long ago goes."""
    who = token.principal
    rows.tokens.forget(token.issued_at - _EXPIRED_KEPT)
    rows.tokens.add(
        jti=who.jti,
        principal_id=who.id,
        role=who.role,
        tenants=who.tenants,
        kid=token.kid,
        issued_at=token.issued_at,
        expires_at=who.expires_at,
    )
