"""Advice before the act, on the wire: an AuthZEN 1.0 evaluation of a proposed call, and its answer.

    POST /v1/advise
    {"subject": {"type": "session", "id": "sess_1"},
     "action": {"name": "crm.export", "properties": {"arguments": {"scope": "all"}, "records": 400}},
     "resource": {"type": "customer", "id": "cust_1"},
     "context": {"envelope": {…}}}

`context.envelope` may be left out for a session whose envelope is registered; where the token reaches several
tenants, `context.tenant_id` says whose it is. An MCP gateway may give `tools/call`
as the action's name, the tool as the resource (`{"type": "tool", "id": "crm.export"}`) and what it touches as
`context.resource`. Arguments, records and data classes may stand in `context` too, and the arguments as
`context.params.arguments`: wherever `guardian.sources.authzen` reads them in a log. A question that says two
things, or holds any under such a name where it would not be read, is refused.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from guardian.domain.identity import Identifier
from guardian.wire.base import Body

_Properties = Annotated[Mapping[str, JsonValue], Field(max_length=64)]


class _Part(BaseModel):
    """AuthZEN: receivers ignore what they do not know; it is kept to see that nothing of the call is among it."""

    model_config = ConfigDict(frozen=True, extra="allow")


class ProposedSubject(_Part):
    type: Annotated[str, Field(max_length=64)]
    id: Identifier
    properties: _Properties = Field(default_factory=dict)


class ProposedAction(_Part):
    """`properties`: arguments, records, data_classes, credential_id, as in `guardian.decision/v1`. Others are not
    weighed, but make it another call."""

    name: Identifier
    properties: _Properties = Field(default_factory=dict)


class ProposedResource(_Part):
    type: Annotated[str, Field(max_length=512)]
    id: Annotated[str, Field(max_length=2048)]
    properties: _Properties = Field(default_factory=dict)


class EvaluationRequest(_Part):
    subject: ProposedSubject
    action: ProposedAction
    resource: ProposedResource
    context: _Properties = Field(default_factory=dict)


class HeldFor(Body):
    """The approval that a held call waits for; GET `wait_at` answers when somebody decided."""

    id: Identifier
    wait_at: str
    expires_at: AwareDatetime


class AdviceContext(Body):
    """`advice` "hold": a person may let exactly this call through. `fallback`: nobody could weigh the call in
    time, and the configured answer was given."""

    advice: Literal["permit", "deny", "hold"]
    reason: str
    risk: str = ""
    policy_ids: tuple[str, ...] = ()
    breaches: tuple[str, ...] = ()
    one_in: float | None = None
    score: float | None = None
    fallback: bool = False
    approval: HeldFor | None = None
    elapsed_ms: float = 0.0


class Advice(Body):
    """AuthZEN's answer: `decision` is true for permit alone."""

    decision: bool
    context: AdviceContext


class Weighing(Body):
    """What the monitor makes of a proposed call: the session's evidence if the call were made.

    `shown` is the call as people may see it, without secrets and redacted: agent, purpose, resource, records and
    arguments, each as text of bounded length, and absent where there is none.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    score: float
    p_value: float = 1.0
    session_evidence: float
    one_in: float
    promised: bool
    independent_signals: int
    breaches: tuple[str, ...] = ()
    hard_breaches: tuple[str, ...] = ()
    actions_seen: int = 0
    features_missing: tuple[str, ...] = ()
    versions: Mapping[str, str] = Field(default_factory=dict)
    shown: Mapping[str, str] = Field(default_factory=dict)


UNREADABLE = Weighing(
    score=0.0,
    session_evidence=0.0,
    one_in=1.0,
    promised=False,
    independent_signals=0,
    hard_breaches=("unreadable_call",),
)
"""Of a call that cannot be read in full: its sender chose what is in it, so nothing else speaks for it."""
