"""The policy decision point, as the control API sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from guardian.wire.base import Mode
from guardian.wire.principal import Role

PolicyAction = Literal[
    "flag",
    "revoke",
    "reinstate",
    "dismiss",
    "confirm",
    "protect",
    "setMode",
    "propose",
    "approve",
    "breakGlass",
    "resetBreaker",
    "registerEnvelope",
    "revokeSubject",
    "reinstateSubject",
    "permitCall",
    "snooze",
    "take",
    "note",
    "makeException",
    "endException",
    "read",
    "readRevocations",
    "readChanges",
    "readMetrics",
    "readAudit",
]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, as the verified token says. `tenants` may hold "*" for every tenant.

    `jti` names that token for the audit trail; empty if none was shown just now. Policy is not told of it.
    """

    id: str
    role: Role
    tenants: frozenset[str]
    jti: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What control itself knows of the session; nothing in here was said by the monitor.

    `delegator_id`, `purpose` and `data_classes` are those of the registered envelope; None and empty without
    one. `purpose_owners` are principals, by configuration. `told_delegators` are those whom nothing but the log
    (in any finding; the asker alone is looked for), or the question about a held call, names. Policies are not
    shown them: about such an asker control asks once more, as if they were the delegator, and both answers have
    to be yes.
    """

    session_id: str
    protected: bool = False
    revoked: bool = False
    registered: bool = False
    delegator_id: str | None = None
    purpose: str = ""
    data_classes: frozenset[str] = frozenset()
    purpose_owners: frozenset[str] = frozenset()
    told_delegators: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EvidenceFacts:
    """What the monitor says, in integers: Cedar has no floats.

    one_in                    honest sessions per one that gathers this much evidence
    session_evidence_milli    log10 of the session's evidence statistic, in thousandths
    score_permille            fused drift score
    independent_signals       signals that speak for themselves
    hard_breach               a fact, not statistics: a rule is broken, and asks for revocation. For `permitCall`
                              any rule of which that is a fact: a call outside its envelope is refused
    breaches                  all named rules broken, doubts too
    promised                  whether `one_in` is covered by calibration sessions
    """

    one_in: int = 1
    session_evidence_milli: int = 0
    score_permille: int = 0
    independent_signals: int = 0
    hard_breach: bool = False
    breaches: frozenset[str] = frozenset()
    promised: bool = False


@dataclass(frozen=True, slots=True)
class BudgetFacts:
    """Automatic revocations of this tenant in the present window.

    `used` counts all that were decided, `used_general` those without a hard breach. `reserved` of the `total` is
    kept for hard breaches, so that decoys cannot spend it. For a session that only follows a revoked one, all
    four speak of those that follow.
    """

    total: int = 0
    reserved: int = 0
    used: int = 0
    used_general: int = 0


@dataclass(frozen=True, slots=True)
class HarmFacts:
    """How much of the tenant is stopped already.

    `registered_sessions` are those whose envelope was registered within the budget's window, `revoked_permille`
    the share of them that is revoked now; both are 0 where nobody registers envelopes, and for `flag`,
    `permitCall` and `registerEnvelope`, which are asked too often to count each time. `breaker_open`: automatic
    revocations rose far above the tenant's usual rate. `minutes_since_model_change` is large while no change was
    ever seen.
    """

    registered_sessions: int = 0
    revoked_permille: int = 0
    breaker_open: bool = False
    minutes_since_model_change: int = 10**6


@dataclass(frozen=True, slots=True)
class ActFacts:
    """What is particular about this act by this asker, now.

    own          the asker is the author of what is acted on: proposed this approval, revoked this session or
                 subject; or is the delegator that a subject names
    approved     another principal than the proposer has approved exactly this act
    denies       the word that `approve` is asked about is no
    widens       the act gives guardian more power than it has (leaving shadow, a larger canary)
    break_glass  the asker holds an open break-glass grant for this tenant
    """

    own: bool = False
    approved: bool = False
    denies: bool = False
    widens: bool = False
    break_glass: bool = False


@dataclass(frozen=True, slots=True)
class WhomFacts:
    """What a `revokeSubject` or `reinstateSubject` is about.

    kind        agent, delegator, task or jti
    registered  with revokeSubject by the monitor: an envelope that was registered with control names it
    delegated   it is the asker (a delegator), or acts for the asker in a registered session (an agent, a task)
    """

    kind: str
    registered: bool = False
    delegated: bool = False


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """May `asker` do `action` to this session (or, without one, to this tenant), now?

    `tenant_id` None asks about the deployment as a whole: lists that control filters by the asker's reach. What
    one tenant has, `mode` and `on_call`, is shadow and nobody then. Of a read `evidence`, `budget`, `harm` and
    `act` say nothing.
    `in_canary`: a stable hash puts the session within the tenant's canary share. `solo`: the deployment has
    one person, by configuration. `on_call` are the principals on call for the tenant. `hour` and `weekday`
    (Monday is 0) are UTC. `target` is the action that a `propose` or `approve` is about.
    """

    asker: Asker
    action: PolicyAction
    tenant_id: str | None = None
    session: SessionFacts | None = None
    mode: Mode = "shadow"
    in_canary: bool = False
    solo: bool = False
    on_call: frozenset[str] = frozenset()
    evidence: EvidenceFacts = field(default_factory=EvidenceFacts)
    budget: BudgetFacts = field(default_factory=BudgetFacts)
    harm: HarmFacts = field(default_factory=HarmFacts)
    act: ActFacts = field(default_factory=ActFacts)
    target: PolicyAction | None = None
    whom: WhomFacts | None = None
    hour: int = 0
    weekday: int = 0

    def approved(self, *, by_another: bool = True) -> "PolicyRequest":
        """The same, asked when another principal has approved this act, or has not."""
        return replace(self, act=replace(self.act, approved=by_another))


@dataclass(frozen=True, slots=True)
class PolicyDecision:
    """The answer. `allowed` is False whenever `errors` is not empty.

    `policy_ids` are those that decided, sorted; empty with a denial means that nothing permits it.
    `reasons` maps each of them to its own sentence; where none permits the monitor's revocation, control adds
    `evidence`, what policy was shown of it. `version` names the policies that gave this very answer, for
    another set may be in force a moment later; empty where nobody was asked. `causes` are the errors with what
    only operators are told, as where the decision point is; empty where that is nothing more. `instead_of` are
    those of a decision point that gives no answer, where an earlier permit of its own stands in (`grace`).
    """

    allowed: bool
    policy_ids: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    version: str = ""
    causes: tuple[str, ...] = ()
    instead_of: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.allowed and self.errors:
            raise ValueError("a decision with errors is a denial")


class PolicyDecisionPoint(Protocol):
    """Answers one request at a time; a module of this folder is one decision point and exports `plugin`.

    - Anything but a clean permit is a denial: no policy, an error in any policy, a request that does not fit
      the schema. A decision point that cannot answer raises PolicyError or answers with `errors`; the caller
      treats both as a denial and says so.
    - It knows only what is in the request. It keeps no state and reads no clock, but for the `grace` of one that
      is asked over the network.
    - `version` names the policy set in force, so that a finding can say which one judged it.
    """

    @property
    def version(self) -> str: ...

    def decide(self, request: PolicyRequest) -> PolicyDecision: ...
