"""Plain values about the switch: what a revocation takes along, who follows the list, how it tests itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from guardian.domain.revocation import SubjectType


@dataclass(frozen=True, slots=True)
class SelfTestRule:
    """`canary_every` and `plant_every` None: no such tests.

    A canary revocation must be enforced by every gateway within `enforced_within`; a planted decision must become
    a finding, a decision and, in enforce, a refusal within `noticed_within`. Planted decisions come from
    `gateway`, in `tenant_id`.
    """

    canary_every: timedelta | None = timedelta(minutes=15)
    enforced_within: timedelta = timedelta(seconds=15)
    plant_every: timedelta | None = None
    noticed_within: timedelta = timedelta(minutes=2)
    tenant_id: str = ""
    gateway: str = ""


@dataclass(frozen=True, slots=True)
class SwitchRule:
    """Revoking a session revokes its delegated descendants with `descendants`. `comes_back` says for how long the
    task or agent of a session that broke a rule is revoked with it, where policy permits that; a subject that is
    revoked by hand without a time is revoked for `subject_life`, never for longer than `subject_most`.

    One principal may have `streams_per_caller` streams and `waits_per_caller` long polls open at once.
    People are told of a gateway that was silent for `gateway_silent`; after `forget_after` it is forgotten, and
    so is a monitor that nobody misses. The deployment counts as unprotected when its monitor is
    `unprotected_after` behind.
    """

    descendants: bool = True
    comes_back: Mapping[SubjectType, timedelta] = field(default_factory=dict)
    subject_life: timedelta = timedelta(days=1)
    subject_most: timedelta = timedelta(days=30)
    heartbeat_s: float = 10.0
    streams_per_caller: int = 32
    waits_per_caller: int = 1000
    check_max_age_s: int = 1
    gateway_silent: timedelta = timedelta(seconds=60)
    forget_after: timedelta = timedelta(days=1)
    unprotected_after: timedelta = timedelta(seconds=60)
    watch_every_s: float = 5.0
    self_test: SelfTestRule = field(default_factory=SelfTestRule)

    def __post_init__(self) -> None:
        if "session" in self.comes_back:
            raise ValueError("revocation.comes_back names what is more than a session, such as task or agent")
        if not timedelta(0) < self.subject_life <= self.subject_most:
            raise ValueError("revocation: subject_life must be positive and at most subject_most")
