"""Findings: what guardian tells people and asks of policy. OCSF calls it a Detection Finding (2004)."""

import hashlib
from enum import StrEnum
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, FailFast, Field, StringConstraints

from guardian.domain.breach import MARK, MARKS, NOTED, Breach
from guardian.domain.closed import Closed
from guardian.domain.identity import Identifier, SessionKey

OPERATORS = "guardian"
"""The tenant of those who run guardian: told what no other tenant may be told on a stranger's word."""


class Effect(StrEnum):
    """What a finding asks for. Effects are data; policy authorises them one by one."""

    NONE = "none"
    FLAG = "flag"
    REVOKE = "revoke"


class Kind(StrEnum):
    """What a finding is about."""

    DRIFT = "drift"  # the session left its purpose, or its envelope or delegation is broken
    GATEWAY = "gateway"  # the gateway allowed what the envelope forbids, or may forbid
    HYGIENE = "hygiene"  # a careless grant; once per envelope shape
    UNSCORABLE = "unscorable"  # a record of a known session could not be read
    IDENTITY = "identity"  # the same decision id came twice with different content
    ENTITLEMENT = "entitlement"  # a gateway spoke for a tenant that it does not serve
    BUS = "bus"  # of what the monitor reads: a gateway's records are unreadable, a log or feed lost or anew
    ENVELOPE = "envelope"  # the log's envelope is none of those that were registered for the session
    CALIBRATION = "calibration"  # traffic has left the calibration: its promises may not hold
    CONTROL = "control"  # control's own news: its breaker, break-glass, policies, decision point or keys


Severity = Literal["info", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
Text = Annotated[str, StringConstraints(max_length=2000)]
Marks = Annotated[tuple[Annotated[str, StringConstraints(pattern=MARK)], ...], Field(max_length=MARKS), FailFast()]


class Reason(Closed):
    """One signal's part in it: its share of the score in [0, 1], its value in [0, 1], and a sentence."""

    signal: str
    share: float
    value: float
    text: Text = ""


class NamedBreach(Closed):
    name: str
    detail: Text
    hard: bool
    about: Marks = ()  # see `Breach`; empty also where its monitor did not say
    wanted: Effect | None = None  # what it asks for by itself; None where its monitor did not say

    @property
    def told(self) -> Breach:
        """What the signal said."""
        return Breach(self.name, self.detail, self.hard, self.about)

    @property
    def revokes(self) -> bool:
        """Whether it is a fact that asks for revocation, and not only to be told. What a monitor does not say is
        taken as monitors meant it that could not: every fact did."""
        return self.hard and self.wanted in (None, Effect.REVOKE)

    @property
    def asks(self) -> bool:
        """Whether it asks for a flag or more by itself, whatever the statistics say."""
        return self.hard or self.name not in NOTED


class Evidence(Closed):
    """The numbers behind a finding; units as in `Drift`."""

    score: float = 0.0
    p_value: float = 1.0
    session_evidence: float = 0.0
    one_in: float = 1.0
    promised: bool = True
    independent_signals: int = 0
    actions_seen: int = 0


class Subject(Closed):
    """Who acted, on whose behalf, for what."""

    delegator_id: Identifier
    agent_id: str | None = None
    task_id: str | None = None
    purpose: Annotated[str, StringConstraints(max_length=8192)] = ""
    expires_at: AwareDatetime | None = None
    parent_session_id: str | None = None
    envelope_digest: str | None = None  # of the envelope as the log carries it; see `envelope_digest`


class Act(Closed):
    """The action that broke it, redacted and bounded for display."""

    decision_id: str
    gateway: str
    tool: str
    arguments: Text = ""
    argument: str | None = None  # the argument whose removal lowers the score most
    effect: str = "allow"
    time: AwareDatetime


class Finding(Closed):
    """One state change of one session (or gateway), with its evidence and the effect that is wanted."""

    id: Identifier
    kind: Kind
    tenant_id: Identifier
    session_id: Identifier
    epoch: int = 0
    transition: int = 0
    wanted: Effect
    severity: Severity
    title: Annotated[str, StringConstraints(max_length=300)]
    subject: Subject | None = None
    act: Act | None = None
    reasons: Annotated[tuple[Reason, ...], FailFast()] = ()
    breaches: Annotated[tuple[NamedBreach, ...], FailFast()] = ()
    evidence: Evidence = Field(default_factory=Evidence)
    features_missing: Annotated[tuple[str, ...], FailFast()] = ()
    versions: Annotated[dict[str, str], FailFast()] = Field(default_factory=dict)
    correlation_id: str = ""
    late_s: int = 0  # how long after the call reached the topic it was judged, where that is long
    time: AwareDatetime

    @property
    def key(self) -> SessionKey:
        return SessionKey(self.tenant_id, self.session_id)

    @property
    def digest(self) -> str:
        """sha256 of the canonical content: the same id with another digest is a conflict. What a monitor judges
        once more, after its database was lost, is the same although it is later by then."""
        return hashlib.sha256(self.model_dump_json(exclude={"late_s"}).encode()).hexdigest()

    @property
    def ignores_revocation(self) -> bool:
        """Whether it says that a gateway let a revoked session act or, where it is not critical, may have."""
        return self.kind is Kind.GATEWAY and not self.breaches

    def drifted(self, *, confirmed: bool) -> Literal[0, 1] | None:
        """Whether the session drifted by a person's word on this; None where that says nothing of what the session
        did, as of a grant, or of a gateway that is not to blame."""
        if self.kind is Kind.DRIFT or (self.kind is Kind.GATEWAY and confirmed and self.breaches):
            return 1 if confirmed else 0
        return None


def finding_id(kind: Kind, tenant_id: str, session_id: str, *parts: object) -> str:
    """Deterministic: the same state change of the same session always gets the same id."""
    text = "\x1f".join([kind.value, tenant_id, session_id, *map(str, parts)])
    return "fnd_" + hashlib.sha256(text.encode()).hexdigest()[:32]
