"""Who is asking, according to a verified token."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

PersonRole = Literal["analyst", "responder", "approver", "admin", "auditor"]
Role = Literal["monitor", "gateway", "delegation", PersonRole, "metrics"]
ROLES: tuple[Role, ...] = get_args(Role)

EVERY_TENANT = "*"
"""In a token's list of tenants: all of them, future ones included. No tenant can be called this."""

NOBODY = frozenset({"guardian", "operator"})
"""How the audit trail calls guardian itself, and whoever operates its machine; no principal may be called so."""


@dataclass(frozen=True, slots=True)
class Principal:
    """One authenticated caller. `tenants` is its whole reach; policy can only narrow it further.

    `certificate` is the SHA-256 thumbprint (`x5t#S256`, RFC 8705) that its token is bound to, if it is.
    """

    id: str
    role: Role
    tenants: frozenset[str]
    jti: str
    expires_at: datetime
    certificate: str | None = None

    @property
    def every_tenant(self) -> bool:
        return EVERY_TENANT in self.tenants

    @property
    def scope(self) -> frozenset[str] | None:
        """The tenants to filter by; None means no filter."""
        return None if self.every_tenant else self.tenants

    def reaches(self, tenant_id: str) -> bool:
        """Whether this caller may know that the tenant exists."""
        return self.every_tenant or tenant_id in self.tenants


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A principal as the configuration lists it: what it is called, its role and its reach.

    Policy decides on everything else.
    """

    principal: str
    role: Role
    tenants: frozenset[str]
