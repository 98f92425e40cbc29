"""The control API as the evidence pages use it: what the queue asks, and more about one session."""

from datetime import datetime

from guardian.wire.audit import AuditPage
from guardian.wire.client import segment
from guardian.wire.desk import DeskClient
from guardian.wire.lineage import Lineage
from guardian.wire.tenants import TenantList
from guardian.wire.visits import SignInLink


class EvidenceClient(DeskClient):
    """One method per further route."""

    def sign_in_link(self, path: str = "") -> SignInLink:
        """A link that opens the evidence pages once, as the caller."""
        return self._ask(SignInLink, "POST", "/v1/sign-in-links", query={"path": path or None})

    def session_audit(
        self, tenant_id: str, session_id: str, *, limit: int, cursor: str | None = None, action: str | None = None
    ) -> AuditPage:
        path = f"/v1/session-audit/{segment(tenant_id)}/{segment(session_id)}"
        return self._ask(AuditPage, "GET", path, query={"action": action, "limit": limit, "cursor": cursor})

    def audit(
        self,
        *,
        tenant_id: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> AuditPage:
        """The trail, the newest first; `since` and `until` are aware times."""
        times = {"since": since and since.isoformat(), "until": until and until.isoformat()}
        query = {"tenant_id": tenant_id, "actor": actor, "action": action, "limit": limit, "cursor": cursor}
        return self._ask(AuditPage, "GET", "/v1/audit", query=query | times)

    def lineage(self, tenant_id: str, session_id: str) -> Lineage:
        return self._ask(Lineage, "GET", f"/v1/lineage/{segment(tenant_id)}/{segment(session_id)}")

    def tenants(self, *, cursor: str | None = None) -> TenantList:
        return self._ask(TenantList, "GET", "/v1/tenants", query={"cursor": cursor})
