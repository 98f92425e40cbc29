"""All that the control database keeps, within one transaction."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from guardian.domain.finding import OPERATORS
from guardian.domain.revocation import Revision
from guardian.store.control.alerts import AlertRows
from guardian.store.control.approvals import ApprovalRows, BreakGlassRows
from guardian.store.control.audit import AuditRows
from guardian.store.control.breakers import BreakerRows
from guardian.store.control.cases import CaseRows
from guardian.store.control.checkpoints import CheckpointRows
from guardian.store.control.cursors import CursorRows
from guardian.store.control.delegation import DelegationRows
from guardian.store.control.envelopes import EnvelopeRows
from guardian.store.control.exceptions import ExceptionRows
from guardian.store.control.feeds import FeedRows
from guardian.store.control.findings import FindingRows
from guardian.store.control.head import Head, begin_epoch, read_head
from guardian.store.control.idempotency import IdempotencyRows
from guardian.store.control.ledger import LedgerRows
from guardian.store.control.models import ModelRows
from guardian.store.control.modes import ModeRows
from guardian.store.control.peers import PeerRows, SelfTestRows
from guardian.store.control.session_lists import SessionLists
from guardian.store.control.session_names import SessionNames
from guardian.store.control.sessions import SessionRows
from guardian.store.control.tokens import TokenRows, VisitRows
from guardian.telemetry import logger

_log = logger("store")
_NEW_EPOCH = "beginEpoch"


class ControlRows:
    """Everything within one transaction, by noun."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.findings = FindingRows(connection)
        self.sessions = SessionRows(connection)
        self.session_lists = SessionLists(connection)
        self.session_names = SessionNames(connection)
        self.ledger = LedgerRows(connection)
        self.audit = AuditRows(connection)
        self.checkpoints = CheckpointRows(connection)
        self.alerts = AlertRows(connection)
        self.modes = ModeRows(connection)
        self.tokens = TokenRows(connection)
        self.idempotency = IdempotencyRows(connection)
        self.approvals = ApprovalRows(connection)
        self.break_glass = BreakGlassRows(connection)
        self.breakers = BreakerRows(connection)
        self.envelopes = EnvelopeRows(connection)
        self.models = ModelRows(connection)
        self.delegations = DelegationRows(connection)
        self.peers = PeerRows(connection)
        self.self_tests = SelfTestRows(connection)
        self.cursors = CursorRows(connection)
        self.cases = CaseRows(connection)
        self.feeds = FeedRows(connection)
        self.exceptions = ExceptionRows(connection)
        self.visits = VisitRows(connection)

    def head(self) -> Head:
        return read_head(self.connection)

    def server_time(self) -> datetime | None:
        """What time it was by the database's server when this transaction began; None for a file."""
        if self.connection.dialect.name != "postgresql":
            return None
        told: datetime = self.connection.execute(select(func.now())).scalar_one()
        return told

    def last_sign(self, now: datetime) -> datetime | None:
        """The latest time at which control wrote or heard anything, where it ever heard a gateway or monitor;
        before that people prepare it, which may take days. It is after `now` only where the trail ends so."""
        heard, wrote = self.peers.heard_last(now), self.audit.newest_at()
        if heard is None:
            return None if wrote is None or wrote <= now else wrote
        return heard if wrote is None else max(heard, wrote)

    def begin_epoch(
        self, epoch: int, change_seq: int, *, expected: Revision | None, now: datetime, **told: str
    ) -> None:
        """Go on after a restore. The ledger had come to `expected`, which is lost; None where nobody knows whether
        there was a restore. `restores` tells of it."""
        found, before = str(self.head().revision), "" if expected is None else str(expected)
        begin_epoch(self.connection, epoch, change_seq, now)
        told |= {"tenant_id": OPERATORS, "session_id": OPERATORS, "found": found, "expected": before}
        self.audit.note(_NEW_EPOCH, at=now, epoch=epoch, **told)
        _log.warning("restored_backup", epoch=epoch, found=found)

    def restores(self) -> list[dict[str, Any]]:
        """The audit records of the epochs that began after a restore, the newest first."""
        found = (json.loads(entry.record) for entry in self.audit.naming(OPERATORS, OPERATORS, _NEW_EPOCH))
        return [record for record in found if record["action"] == _NEW_EPOCH]
