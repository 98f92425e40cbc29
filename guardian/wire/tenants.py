"""A tenant as its operators see it, on the wire."""

from guardian.domain.identity import Identifier
from guardian.wire.base import Body, Mode, Page


class TenantView(Body):
    """What guardian may do there by itself, and how much of its budget is spent in the present window."""

    tenant_id: Identifier
    mode: Mode
    canary_percent: int = 0
    set_by: str = ""
    budget_total: int
    budget_reserved: int
    budget_used: int
    breaker_open: bool


class TenantList(Page[TenantView]):
    """By name. `next` is the name after which the list goes on; `more`: some were left out."""

    next: Identifier | None = None
    more: bool = False
