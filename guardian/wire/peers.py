"""Who follows the list and who watches the topic, and the tests of the switch, on the wire."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from guardian.domain.identity import Identifier
from guardian.domain.revocation import Revision
from guardian.wire.base import Ask, Body

RevisionText = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{1,10}\.[0-9]{1,10}$"),
    AfterValidator(lambda text: str(Revision.parse(text))),
]
InstanceName = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]

UNFOLLOWED = "It is on the revocation list; no gateway is known to follow that list now"
"""Of what was revoked, where `Watch.followed` is False."""
MonitorState = Literal["current", "behind", "unread", "stopped", "silent"]


class Acknowledgement(Ask):
    """The body of POST /v1/revocations/ack: the revision that this gateway enforces by now.

    `leaving`: it is about to stop, so nobody need worry when it falls silent.
    """

    revision: RevisionText
    transport: Literal["push", "poll", "none"] = "none"
    leaving: bool = False


class Vitals(Ask):
    """The body of POST /v1/monitors: how far behind the topic this monitor is. `leaving` as above.

    `lag_s` is null as long as it is not known: until the monitor has read something or found nothing to read.
    """

    instance: InstanceName
    lag_s: Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)] | None
    leaving: bool = False


class GatewayView(Body):
    """One process of a gateway. `lag_s`: for how long it has held an old revision; 0 when it holds the newest."""

    principal_id: Identifier
    instance: str
    tenants: tuple[str, ...]
    state: Literal["current", "lagging", "silent"]
    revision: Revision
    behind: int
    lag_s: float
    transport: str
    last_seen: AwareDatetime


class MonitorView(Body):
    """One monitor. A `stopped` one said good-bye, a `silent` one did not. `unread`: it has read nothing yet, and
    its `lag_s` is null."""

    principal_id: Identifier
    instance: str
    state: MonitorState
    lag_s: float | None
    last_seen: AwareDatetime


class SelfTestView(Body):
    """`missing` says what had not happened in time; empty while it is open or when it passed."""

    id: Identifier
    kind: Literal["canary", "planted_breach", "planted_drift"]
    tenant_id: Identifier
    place: str = ""
    started_at: AwareDatetime
    deadline_at: AwareDatetime
    found_at: AwareDatetime | None = None
    decided: str | None = None
    refused_at: AwareDatetime | None = None
    result: Literal["open", "passed", "failed"]
    missing: str = ""


class Watch(Body):
    """`unprotected_s` is how long calls have not been watched; None while they are, and while no monitor is known:
    nobody watches, and `monitors` is empty."""

    revision: Revision
    unprotected_s: float | None
    gateways: tuple[GatewayView, ...]
    monitors: tuple[MonitorView, ...]
    self_tests: tuple[SelfTestView, ...]

    @property
    def followed(self) -> bool:
        """Whether a gateway is known to follow the list now; a silent one may have gone."""
        return any(each.state != "silent" for each in self.gateways)

    @property
    def why_unprotected(self) -> str:
        """What is the matter with the monitors while calls are not watched."""
        if all(each.state == "stopped" for each in self.monitors):
            return "the monitor was stopped, and no other one watches in its place"
        return "the monitor is behind or gone"
