"""What control's database role must be allowed, by table: section 4 of postgres-roles.sql grants it."""

from guardian.store.control.tables import metadata

_CHANGED = {
    "control_approval", "control_break_glass", "control_breaker", "control_case", "control_checkpoint",
    "control_cursor", "control_delivery", "control_exception", "control_finding", "control_followed",
    "control_head", "control_model", "control_peer", "control_self_test", "control_session", "control_token",
    "control_visit",
}  # fmt: skip
_REMOVED = {
    "control_breaker", "control_channel", "control_descent", "control_followed", "control_idempotency",
    "control_lifting", "control_live", "control_mode", "control_peer", "control_self_test", "control_token",
    "control_visit",
}  # fmt: skip

RIGHTS = {
    table: ("SELECT", "INSERT", *(("UPDATE",) * (table in _CHANGED)), *(("DELETE",) * (table in _REMOVED)))
    for table in metadata.tables
}
