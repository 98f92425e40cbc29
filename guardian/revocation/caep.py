"""The CAEP face: Security Event Tokens (RFC 8417) pushed to receivers (RFC 8935), OpenID SSF and CAEP 1.0.

A revocation is sent as `session-revoked`; a flag, and the end of a revocation, as `risk-level-change`. Nothing is
sent when a session's revocation lapses, for that session is over, nor for guardian's tests of the switch. A token
keeps its `jti` however often it is sent.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

import httpx
from joserfc import jws
from pydantic import TypeAdapter, ValidationError

from guardian.domain.finding import Finding
from guardian.domain.identity import TenantName
from guardian.domain.revocation import LedgerEntry, Revision
from guardian.domain.text import plain
from guardian.domain.urls import is_private
from guardian.keys.signing import ALGORITHM, SigningKeys
from guardian.revocation.port import Given, NeverTaken, Receiver
from guardian.wire.deadline import BoundedClient

REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
RISK = "https://schemas.openid.net/secevent/caep/event-type/risk-level-change"
MEDIA_TYPE = "application/secevent+jwt"
PUSH = "urn:ietf:rfc:8935"
_ABOUT_US = {"invalid_key", "invalid_issuer", "invalid_audience", "authentication_failed", "access_denied"}
"""Errors (RFC 8935, 2.4) about us as a transmitter: until mended they meet every event, so none is set aside."""
_CODE = re.compile(r"[a-z_]{1,60}")
_LONGEST_S = 300.0
_TAKEN = frozenset({200, 202})
_PIECES = 8  # of an answer, each at most as the network gives it
_LEVELS = {"info": "LOW", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "critical": "HIGH"}
_MEMBERS = {"session": "session", "agent": "application", "delegator": "user", "task": "task", "jti": "token"}
SUBJECT_MEMBERS = frozenset({*_MEMBERS.values(), "tenant"})
"""What tells whom an event is about. Who leaves one of them out takes it for more than was meant."""
_TENANT: TypeAdapter[str] = TypeAdapter(TenantName)


@dataclass(frozen=True, slots=True)
class CaepFace:
    """`issuer` is what events are issued by, instead of `control.issuer`: SSF wants an https URL. `receivers` are
    mappings of `url`, `audience`, and optionally `token_file` (a bearer token that the receiver
    gave us) and `tenants` (only their events are sent; `["*"]`, as without, those of every tenant)."""

    receivers: Sequence[Mapping[str, Any]] = ()
    timeout_s: float = 10.0
    issuer: str | None = None

    def __post_init__(self) -> None:
        if not self.receivers:
            raise ValueError("name at least one receiver")
        if not 0 < self.timeout_s <= _LONGEST_S:
            raise ValueError(f"timeout_s must lie between 0 and {_LONGEST_S:g} seconds, got {self.timeout_s}")
        if self.issuer is not None and not re.fullmatch(r"https://[^\s?#]+", self.issuer):
            raise ValueError(f"issuer is an https URL without query and fragment, got {self.issuer!r}")
        for each in self.receivers:
            unknown = sorted(set(each) - {"url", "audience", "token_file", "tenants"})
            if unknown or not each.get("url") or not each.get("audience"):
                raise ValueError(f"a receiver has url, audience, token_file and tenants; got {sorted(each)}")
            if not is_private(str(each["url"])):
                raise ValueError(f"the url of receiver {each['audience']}: https, or http to this machine")
            tenants = each.get("tenants")
            if tenants is not None and not _are_names(tenants):
                raise ValueError(
                    f"receiver {each['audience']}: tenants is a list of names, or of `*` alone, got {tenants!r}"
                )
        named = [(str(each["url"]), str(each["audience"]), _tenants_of(each)) for each in self.receivers]
        twice = next((each for each in named if named.count(each) > 1), None)
        if twice is not None:
            raise ValueError(f"receiver {twice[1]} is there twice with one url: one of them would miss entries")

    def open(self, given: Given) -> Sequence[Receiver]:
        return [self._receiver(each, given) for each in self.receivers]

    def _receiver(self, told: Mapping[str, Any], given: Given) -> "CaepReceiver":
        path = told.get("token_file")
        return CaepReceiver(
            str(told["url"]),
            EventTokens(given.keys, self.issuer or given.issuer, str(told["audience"]), given.clock),
            token=(lambda: given.secret(str(path))) if path else None,
            tenants=_tenants_of(told),
            timeout_s=self.timeout_s,
        )


plugin = CaepFace


def _are_names(tenants: Any) -> bool:
    if not isinstance(tenants, list | tuple) or not tenants:
        return False
    try:
        names = [_TENANT.validate_python(each) for each in tenants]
    except ValidationError:
        return False
    return all("*" not in each or each == "*" for each in names)


def _tenants_of(told: Mapping[str, Any]) -> frozenset[str] | None:
    """None is every tenant."""
    named = frozenset(told.get("tenants") or "*")
    return None if "*" in named else named


@dataclass(frozen=True, slots=True)
class EventTokens:
    """Makes the tokens for one audience."""

    keys: SigningKeys
    issuer: str
    audience: str
    clock: Callable[[], datetime]

    def revocation(self, entry: LedgerEntry) -> str | None:
        """None for an entry that is no event for anybody."""
        if entry.reason_code == "self_test" or (entry.status == "lapsed" and entry.subject_type == "session"):
            return None
        at = int(entry.at.timestamp())
        by = "admin" if entry.reason_code in ("manual", "approved") else "policy"
        subject = {
            "format": "complex",
            _MEMBERS[entry.subject_type]: {"format": "opaque", "id": entry.subject_id},
            "tenant": {"format": "opaque", "id": entry.tenant_id},
        }
        common: dict[str, Any] = {"event_timestamp": at, "initiating_entity": by}
        told = {"reason_admin": {"en": f"guardian: {entry.reason_code}"}}
        match entry.status:
            case "revoked":
                events = {REVOKED: {**common, **told}}
            case "reinstated" | "lapsed":
                whom = _MEMBERS[entry.subject_type].upper()
                change = {"principal": whom, "current_level": "LOW", "previous_level": "HIGH"}
                events = {RISK: {**common, **change, **told}}
        return self._signed(str(entry.revision), subject, events, txn=entry.finding_id)

    def risk(self, finding: Finding) -> str:
        """A flag: somebody should look, and nothing is refused."""
        subject = {
            "format": "complex",
            "session": {"format": "opaque", "id": finding.session_id},
            "tenant": {"format": "opaque", "id": finding.tenant_id},
        }
        change = {
            "event_timestamp": int(finding.time.timestamp()),
            "initiating_entity": "policy",
            "principal": "SESSION",
            "current_level": _LEVELS[finding.severity],
            "risk_reason": "guardian: flagged",
        }
        return self._signed(finding.id, subject, {RISK: change}, txn=finding.id)

    def _signed(self, what: str, subject: Mapping[str, Any], events: Mapping[str, Any], txn: str | None) -> str:
        key = self.keys.current().signing
        claims = {
            "iss": self.issuer,
            "jti": hashlib.sha256(f"{self.issuer}|{self.audience}|{what}".encode()).hexdigest()[:32],
            "iat": int(self.clock().timestamp()),
            "aud": self.audience,
            "sub_id": subject,
            "events": events,
        }
        if txn is not None:
            claims["txn"] = txn
        header = {"alg": ALGORITHM, "kid": str(key.kid), "typ": "secevent+jwt"}
        return jws.serialize_compact(header, json.dumps(claims), key, algorithms=[ALGORITHM])


@dataclass(slots=True)
class CaepReceiver:
    """One push endpoint. A 400 that says what is wrong with the event is the last word on it; all else, also a 400
    that is about us or comes from a proxy, is tried again."""

    url: str
    tokens: EventTokens
    token: Callable[[], str] | None = None
    tenants: frozenset[str] | None = None
    timeout_s: float = 10.0
    _http: BoundedClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for_each = httpx.Limits(max_keepalive_connections=0)  # one that is kept may just be closed over there
        self._http = BoundedClient(timeout=self.timeout_s, limits=for_each, follow_redirects=False)

    @property
    def name(self) -> str:
        """With other tenants it is another receiver: if a tenant is added, what holds there must be sent too."""
        whom = "|".join((self.url, self.tokens.audience, *sorted(self.tenants or ())))
        return f"caep/{hashlib.sha256(whom.encode()).hexdigest()[:16]}"

    @property
    def shown(self) -> str:
        """As it is configured, without what may be secret in its URL."""
        tenants = sorted(self.tenants or ())
        whose = f" for {', '.join(tenants[:3])}{' …' if len(tenants) > 3 else ''}" if tenants else ""
        return f"{self.tokens.audience} at {httpx.URL(self.url).netloc.decode()}{whose}"

    @property
    def reach(self) -> frozenset[str] | None:
        return self.tenants

    def begin(self, entry: LedgerEntry, revision: Revision) -> None:  # noqa: ARG002 - the port's
        self.deliver(entry)

    def begun(self, revision: Revision) -> None:
        """CAEP has no word that voids what was told before."""

    def deliver(self, entry: LedgerEntry) -> None:
        if (token := self.tokens.revocation(entry)) is not None:
            self._push(token)

    def flagged(self, finding: Finding) -> None:
        self._push(self.tokens.risk(finding))

    def close(self) -> None:
        self._http.close()

    def _push(self, token: str) -> None:
        headers = {"Content-Type": MEDIA_TYPE, "Accept": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token()}"
        with self._http.stream("POST", self.url, content=token.encode(), headers=headers) as got:
            told = b"".join(islice(got.iter_raw(), _PIECES))  # a foreign answer, which may have no end
        if got.status_code in _TAKEN:
            return
        code, reason = _error_of(told)
        if got.status_code == 400 and code and code not in _ABOUT_US:  # without a code it may be a proxy's
            raise NeverTaken(code, reason or "no reason given")
        raise ConnectionError(f"the receiver answered {got.status_code} {code}".strip())


def _error_of(answer: bytes) -> tuple[str, str]:
    """Code and description of `{"err": …, "description": …}` (RFC 8935, 2.3): foreign text, so short and plain."""
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return "", ""
    code = str(told.get("err") or "")
    return (code if _CODE.fullmatch(code) else ""), plain(str(told.get("description") or ""), 200)
