"""Cedar (cedarpolicy.com) in process, through cedarpy.

Policy texts are parsed and validated against the schema once. Three things about Cedar shape this module: it
skips a policy that errors and may then still say Allow, so any error is a denial; it names policies by their
position, so ids come from `@id`; and it has no floats, so facts are integers.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import cedarpy

from guardian.errors import PolicyError
from guardian.policy.entities import question
from guardian.policy.files import PolicyFiles, statements
from guardian.policy.literals import misspelt
from guardian.policy.port import Asker, PolicyAction, PolicyDecision, PolicyRequest, SessionFacts, WhomFacts

_UNASKED = "failed to build request"
"""How Cedar begins to say that facts do not fit the schema."""
_SHOWN = 3
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Clause:
    """One policy as people see it: its name, what it does, its sentence of why, and where it is written."""

    id: str
    effect: Literal["permit", "forbid"]
    why: str
    place: str


@dataclass(frozen=True)
class CedarPolicies:
    """A validated policy set. Raises PolicyError when anything about it is wrong: better no start than a guess.

    `places` says for each policy, in order, where it is written; without it these are lines of the text.
    `schema_place` says it of the schema.
    """

    policies: str
    schema: str
    places: tuple[str, ...] = field(default=(), repr=False, compare=False)
    schema_place: str = field(default="the schema", repr=False, compare=False)
    _set: Any = field(init=False, repr=False, compare=False)
    _schema: Any = field(init=False, repr=False, compare=False)
    _clauses: Mapping[str, Clause] = field(init=False, repr=False, compare=False)
    _version: str = field(init=False, repr=False, compare=False)
    _known: dict[PolicyRequest, PolicyDecision] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        places = self.places or tuple(f"line {each.line}" for each in statements(self.policies))
        for place, each in zip(places, statements(self.policies), strict=True):
            _parse(each.text, place)
        parsed = _parse(self.policies, "all policies together")
        try:
            schema = cedarpy.Schema.from_str(self.schema)
        except ValueError as error:
            raise PolicyError(f"{self.schema_place}: Cedar cannot parse this schema: {error}") from error
        clauses = _clauses(self.policies, places)
        result = cedarpy.validate_policies(self.policies, self.schema, release_gil=True)
        if not result.validation_passed:
            raise PolicyError(_misfit(result.errors, clauses))
        object.__setattr__(self, "_set", parsed)
        object.__setattr__(self, "_schema", schema)
        object.__setattr__(self, "_clauses", clauses)
        whole = f"{self.policies}\x00{self.schema}".encode()
        object.__setattr__(self, "_version", hashlib.sha256(whole).hexdigest()[:16])
        asker, whom = Asker("guardian", "gateway", frozenset()), WhomFacts("agent")
        told = self._decide(PolicyRequest(asker, "readRevocations", "tenant", whom=whom))
        if any(error.startswith(_UNASKED) for error in told.errors):
            raise PolicyError(
                f"{self.schema_place} is not this version's, so nothing could be asked ({told.errors[0]}); take"
                " guardian.cedarschema from config/policies/ of this version, and the rules that"
                " config/UPGRADING.md names under Policies of your own"
            )

    @classmethod
    def from_files(cls, files: PolicyFiles) -> "CedarPolicies":
        """Every policy of the files. Errors name the file and the line on which a policy begins."""
        places = []
        for name, text in files.policies.items():
            for each in statements(text):  # file by file: a policy without an end must not take in the next file
                places.append(f"{files.folder / name}:{each.line}")
                _parse(each.text, places[-1])
        if not places:
            raise PolicyError(f"{files.folder} holds no policy: all would be denied")
        return cls("\n".join(files.policies.values()), files.schema, tuple(places), str(files.schema_file))

    @property
    def version(self) -> str:
        return self._version

    @property
    def policy_ids(self) -> frozenset[str]:
        return frozenset(each.id for each in self._clauses.values())

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """Every policy, in the order in which they are written."""
        return tuple(self._clauses.values())

    def nobody_may(self) -> tuple[PolicyAction, ...]:
        """The actions that no permit is about, whoever asks and whatever else it wants: such as those that a new
        version brought."""
        written = json.loads(cedarpy.policies_to_json_str(self.policies))
        anyone = {"principal": {"op": "All"}, "resource": {"op": "All"}, "conditions": []}
        written["staticPolicies"] = {
            name: policy | anyone
            for name, policy in written["staticPolicies"].items()
            if policy["effect"] == "permit"
        }
        permits = CedarPolicies(cedarpy.policies_from_json_str(json.dumps(written)), self.schema)
        asker = Asker("guardian", "admin", frozenset())
        return tuple(
            action
            for action in get_args(PolicyAction)
            if not any(
                permits._decide(PolicyRequest(asker, action, "tenant", session)).allowed
                for session in (None, SessionFacts("session"))
            )
        )

    def decide(self, request: PolicyRequest) -> PolicyDecision:
        """Remembers answers about no session: gateways and monitors ask the same question with every poll."""
        if request.session is not None:
            return self._decide(request)
        known = self._known.get(request)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[request] = known = self._decide(request)
        return known

    def _decide(self, request: PolicyRequest) -> PolicyDecision:
        asked, entities = question(request)
        try:
            answer = cedarpy.is_authorized(asked, self._set, json.dumps(entities), schema=self._schema)
        except ValueError as error:  # a name that is not text, such as half of a surrogate pair
            return PolicyDecision(False, errors=(f"the request cannot be asked: {error}",), version=self._version)
        decided = [self._clauses[position] for position in answer.diagnostics.reasons]
        errors = tuple(str(error) for error in answer.diagnostics.errors)
        return PolicyDecision(
            allowed=answer.allowed and not errors,
            policy_ids=tuple(sorted(each.id for each in decided)),
            reasons={each.id: each.why for each in sorted(decided, key=lambda each: each.id)},
            errors=errors,
            version=self._version,
        )


plugin = CedarPolicies


def barred(actions: tuple[PolicyAction, ...]) -> str:
    """What people are told of actions that no permit is about."""
    return (
        f"nobody may {', '.join(actions)}: no policy permits it; config/policies/ of this version has rules for it"
    )


def _parse(text: str, place: str) -> Any:
    try:
        return cedarpy.PolicySet.from_str(text)
    except ValueError as error:
        raise PolicyError(f"{place}: Cedar cannot parse this policy: {error}") from error


def _clauses(policies: str, places: tuple[str, ...]) -> dict[str, Clause]:
    """The policies by position, as Cedar's diagnostics name them."""
    parsed = json.loads(cedarpy.policies_to_json_str(policies))
    if parsed.get("templates"):
        raise PolicyError("policy templates are not supported here: write each policy out")
    found: dict[str, Clause] = {}
    for number, place in enumerate(places):
        position = f"policy{number}"
        policy = parsed["staticPolicies"][position]
        told = policy.get("annotations") or {}
        name = told.get("id")
        if not name:
            raise PolicyError(f'{place}: this policy has no @id("…"): a decision must be able to name its policy')
        twin = next((each for each in found.values() if each.id == name), None)
        if twin is not None:
            raise PolicyError(f"{place}: {twin.place} is called {name!r} too: ids must be unique")
        if wrong := next(misspelt(policy["conditions"]), None):
            raise PolicyError(f"{place}: policy {name!r} asks for what cannot be: {wrong}")
        found[position] = Clause(name, policy["effect"], told.get("why") or "", place)
    return found


def _misfit(errors: Any, clauses: Mapping[str, Clause]) -> str:
    """What does not fit the schema, and where."""
    told = []
    for each in errors[:_SHOWN]:
        clause = clauses.get(each.policy_id)
        text = str(each.error).removeprefix(f"for policy `{each.policy_id}`, ")
        told.append(
            text if clause is None else f"{clause.place}: policy {clause.id!r} does not fit the schema: {text}"
        )
    more = [f"and {len(errors) - _SHOWN} more"] if len(errors) > _SHOWN else []
    return "\n".join(told + more)
