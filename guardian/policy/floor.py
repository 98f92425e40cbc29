"""Two decision points where both must permit: an organisation's own, and guardian's policies below it."""

from dataclasses import dataclass, replace

from guardian.errors import PolicyError
from guardian.policy.port import PolicyDecision, PolicyDecisionPoint, PolicyRequest

SILENT = "default-deny"


@dataclass(frozen=True, slots=True)
class Floor:
    """Permits what both permit; an error of either is an error.

    The ids of a permit are those of both sides, the ids of a denial those of whoever denied, each behind
    `external:` or `floor:`. A side that denies because nothing permits it is named as `…:default-deny`.
    """

    external: PolicyDecisionPoint
    floor: PolicyDecisionPoint

    @property
    def version(self) -> str:
        return f"{self.external.version} over {self.floor.version}"

    def decide(self, request: PolicyRequest) -> PolicyDecision:
        sides = {"floor": _asked(self.floor, request), "external": _asked(self.external, request)}
        allowed = all(said.allowed and not said.errors for said in sides.values())
        reasons: dict[str, str] = {}
        for side, said in sides.items():
            if said.allowed == allowed:
                reasons |= {f"{side}:{name}": said.reasons.get(name, "") for name in said.policy_ids}
            if not (said.allowed or said.policy_ids or said.errors):
                reasons[f"{side}:{SILENT}"] = "no policy permits it"
        errors = tuple(f"{side}: {error}" for side, said in sides.items() for error in said.errors)
        causes = tuple(f"{side}: {cause}" for side, said in sides.items() for cause in said.causes or said.errors)
        return PolicyDecision(
            allowed,
            policy_ids=tuple(sorted(reasons)),
            reasons=reasons,
            errors=errors,
            causes=causes,
            instead_of=sides["external"].instead_of,
            version=f"{sides['external'].version} over {sides['floor'].version}",
        )


def _asked(point: PolicyDecisionPoint, request: PolicyRequest) -> PolicyDecision:
    try:
        said = point.decide(request)
    except PolicyError as error:
        said = PolicyDecision(False, errors=(str(error),))
    return said if said.version else replace(said, version=point.version)
