"""The revocation list, its self-tests, and advice before the act."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from guardian.config.base import HttpAddress, Name, OneTenant, Plugins, Seconds, Section, Wildcards


class SelfTestSection(Section):
    """A canary revocation that every gateway must enforce; and planted drift that must become a refusal."""

    canary_every_s: Seconds | None = 900.0  # None: no canary
    enforced_within_s: Annotated[Seconds, Field(ge=5)] = 15.0  # gateways say so up to 2 s after they do
    plant_every_s: Seconds | None = None  # None: nothing is planted on the live topic
    noticed_within_s: Seconds = 120.0
    tenant: OneTenant = ""  # whose sessions the planted ones seem to be
    gateway: str = ""  # a gateway name of its own, listed under `gateways`; the monitor reads both here as well

    @model_validator(mode="after")
    def _planting_needs_names(self) -> Self:
        if self.plant_every_s is not None and not (self.tenant and self.gateway):
            raise ValueError("plant_every_s needs a tenant and a gateway name of its own to plant under")
        return self


class RevocationSection(Section):
    descendants: bool = True  # a revoked session's delegated sessions are revoked with it
    comes_back: dict[Literal["task", "agent", "delegator"], Seconds] = Field(default_factory=dict)
    subject_life_s: Seconds = 86_400.0  # how long an agent, task, ... is revoked where nobody says
    subject_most_s: Seconds = 2_592_000.0
    heartbeat_s: Seconds = 10.0  # of the stream
    gateway_silent_s: Seconds = 60.0
    unprotected_after_s: Seconds = 60.0
    faces: Plugins = Field(default_factory=dict)  # those that leave the process: kafka_topic, caep
    self_test: SelfTestSection = SelfTestSection()


class AdviceSection(Section):
    """Advice before the act. `run` has its own adviser; `serve` needs the `url` of a monitor's."""

    enabled: bool = False  # in `run`: open an adviser beside the monitor
    url: HttpAddress | None = None
    budget_ms: Annotated[float, Field(gt=0, le=60_000)] = 250.0
    default_risk: str = "high"
    risks: dict[Wildcards, str] = Field(default_factory=dict)  # pattern of a tool's name -> risk
    fallback: dict[Name, Literal["permit", "deny"]] = Field(default_factory=dict)  # by risk; else deny
