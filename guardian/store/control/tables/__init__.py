"""The control database's tables. The revisions in `control/migrations/` build exactly these."""

from guardian.store.control.tables.cases import alert, case, case_event, channel, delivery, followed
from guardian.store.control.tables.ledger import cursor, delegation, descent, head, ledger, lifting, live
from guardian.store.control.tables.naming import metadata
from guardian.store.control.tables.people import (
    approval,
    break_glass,
    exception,
    idempotency,
    retired_key,
    token,
    visit,
)
from guardian.store.control.tables.sessions import (
    ACTS_UNDER,
    UNKNOWN,
    change,
    envelope,
    finding,
    finding_about,
    model,
    session,
)
from guardian.store.control.tables.trail import audit, audit_about, audit_told, checkpoint
from guardian.store.control.tables.watching import breaker, mode, peer, self_test

__all__ = [
    "ACTS_UNDER",
    "UNKNOWN",
    "alert",
    "approval",
    "audit",
    "audit_about",
    "audit_told",
    "break_glass",
    "breaker",
    "case",
    "case_event",
    "change",
    "channel",
    "checkpoint",
    "cursor",
    "delegation",
    "delivery",
    "descent",
    "envelope",
    "exception",
    "finding",
    "finding_about",
    "followed",
    "head",
    "idempotency",
    "ledger",
    "lifting",
    "live",
    "metadata",
    "mode",
    "model",
    "peer",
    "retired_key",
    "self_test",
    "session",
    "token",
    "visit",
]
