"""OPA over its REST API (openpolicyagent.org/docs/rest-api, "Get a Document (with Input)").

`config/examples/opa/` holds the shipped policies in Rego. The rule that is asked for answers

    true | false
    {"allow": true | false, "policy_ids": ["…"], "reasons": {"…": "…"}}      policy_ids and reasons may be absent

and nothing else: a member such as `deny` beside `allow` must not be overlooked, so it is refused. A rule that is
undefined for this request is a denial, as in OPA itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from guardian.domain.text import plain
from guardian.errors import ConfigurationError
from guardian.policy.facts import facts
from guardian.policy.http_line import NoAnswer
from guardian.policy.port import PolicyDecision, PolicyRequest
from guardian.policy.remote import RemotePoint, decided, named

_PATH = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_BESIDE_ALLOW = {"policy_ids", "reasons"}
_MOST_BUNDLES = 8


@dataclass(frozen=True, kw_only=True)
class OpaPoint(RemotePoint):
    """`path` is the rule that decides: package guardian, rule decision is guardian/decision."""

    _name = "OPA"

    path: str = "guardian/decision"
    _latest: "_Latest" = field(init=False, repr=False, compare=False, default_factory=lambda: _Latest())

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _PATH.fullmatch(self.path):
            raise ConfigurationError(
                f"policy.options.path is a rule's path such as guardian/decision, got {plain(self.path, 100)!r}"
            )

    @property
    def version(self) -> str:
        """Which OPA and rule, and which bundles, as its latest answer said."""
        return f"opa {self._rule}{self._latest.bundles}"

    def _said(self, request: PolicyRequest) -> PolicyDecision:
        answer = self._line.ask(f"{self._rule}?provenance=true", {"input": facts(request)})
        bundles = self._latest.bundles = _bundles(answer.get("provenance"))
        return replace(_decision(answer), version=f"opa {self._rule}{bundles}")

    @property
    def _rule(self) -> str:
        return f"{self.url.rstrip('/')}/v1/data/{self.path}"


class _Latest:
    """What the latest answer said of its origin; whichever thread had it."""

    bundles = ""


def _decision(answer: Mapping[str, Any]) -> PolicyDecision:
    if "result" not in answer:
        return PolicyDecision(False)
    match answer["result"]:
        case bool() as allowed:
            return PolicyDecision(allowed)
        case {"allow": bool() as allowed, **rest} if rest.keys() <= _BESIDE_ALLOW:
            return decided(named(rest.get("policy_ids"), rest.get("reasons")), allowed=allowed)
        case _:
            raise NoAnswer(
                "answered with a result that is neither a boolean nor an object of allow, policy_ids, reasons"
            )


def _bundles(provenance: Any) -> str:
    """` name@revision …` of the bundles in force, or nothing where OPA has none or does not say."""
    match provenance:
        case {"bundles": dict() as bundles}:
            pass
        case _:
            return ""
    found = [
        f" {plain(name, 64)}@{plain(told['revision'], 64)}"
        for name, told in sorted(bundles.items())
        if isinstance(told, dict) and isinstance(told.get("revision"), str)
    ]
    return "".join(found[:_MOST_BUNDLES])


plugin = OpaPoint
