"""The cases beside the shipped policies leave no policy, and no part of one, without an example."""

import copy
import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cedarpy
import pytest

from guardian.bootstrap import plugins
from guardian.policy.cases import read_cases
from guardian.policy.cedar import CedarPolicies
from guardian.policy.entities import question
from guardian.policy.files import PolicyFiles

FOLDER = Path(__file__).parents[2] / "config" / "policies"
SHIPPED = CedarPolicies.from_files(PolicyFiles.read(FOLDER))
CASES = read_cases((FOLDER / "cases.yaml").read_text(), FOLDER)
STATIC = {
    policy["annotations"]["id"]: policy
    for policy in json.loads(cedarpy.policies_to_json_str(SHIPPED.policies))["staticPolicies"].values()
}
RULES = frozenset[str]().union(*(plugins.find("signals", name).breaches for name in plugins.names("signals")))
GUARDS = {"monitor-keeps-to-its-work", "machines-keep-to-their-work", "auditors-change-nothing"}
QUESTIONS = [
    (asked | {"context": json.dumps(asked["context"])}, cedarpy.Entities.from_json_str(json.dumps(known)))
    for asked, known in (question(case.request) for case in CASES)
]


def test_the_broken_rules_of_the_cases_are_rules_of_signals() -> None:
    """Who copies a case writes policies about these names, and one that no signal has is never there."""
    named = {rule for case in CASES for rule in case.evidence.breaches}
    assert named
    assert named <= RULES


def speaking(policy: dict[str, Any]) -> Iterator[bool]:
    """Case by case, whether this policy speaks, taken by itself."""
    text = json.dumps({"staticPolicies": {"policy0": policy}, "templates": {}, "templateLinks": []})
    alone = cedarpy.PolicySet.from_json_str(text)
    for asked, known in QUESTIONS:
        yield bool(cedarpy.is_authorized(asked, alone, known).diagnostics.reasons)


def fits_the_schema(policy: dict[str, Any]) -> bool:
    """What does not fit is refused at start, which is the best way to be noticed."""
    text = json.dumps({"staticPolicies": {"policy0": policy}, "templates": {}, "templateLinks": []})
    return cedarpy.validate_policies(cedarpy.policies_from_json_str(text), SHIPPED.schema).validation_passed


@cache
def speaks(policy_id: str) -> tuple[bool, ...]:
    return tuple(speaking(STATIC[policy_id]))


@cache
def heard() -> tuple[bool, ...]:
    """Where a forbid speaks, a permit is not heard: such a case proves nothing about permits. The guards of
    separation.cedar are left out: they stand behind the permits on purpose and would hide one that is too wide."""
    forbids = [name for name, policy in STATIC.items() if policy["effect"] == "forbid" and name not in GUARDS]
    return tuple(not any(spoken) for spoken in zip(*map(speaks, forbids), strict=True))


def mutants(policy: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The policy with one thing of it changed."""

    def with_(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
        changed = copy.deepcopy(policy)
        place: Any = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        return changed

    for scope in ("principal", "action"):
        if policy[scope]["op"] != "All":
            yield f"any {scope}", with_((scope,), {"op": "All"})
    entities = policy["action"].get("entities", [])
    for entity in entities:
        rest = [each for each in entities if each != entity]
        yield f"without action {entity['id']}", with_(("action", "entities"), rest)
    for number in range(len(policy["conditions"])):
        rest = [each for n, each in enumerate(policy["conditions"]) if n != number]
        yield f"without condition {number}", with_(("conditions",), rest)
    for path, node in nodes(policy["conditions"], ("conditions",)):
        match node:
            case {"Value": bool()}:
                pass
            case {"Value": int(number)}:
                for other in (number - 1, number + 1):
                    yield f"{number} becomes {other}", with_(path, {"Value": other})
            case {"Value": str(text)}:
                yield f"{text!r} becomes another word", with_(path, {"Value": f"{text}x"})
            case {"Set": list(members)}:
                for place in range(len(members)):
                    rest = members[:place] + members[place + 1 :]
                    yield f"{path} without member {place}", with_(path, {"Set": rest})
            case {"&&": pair} | {"||": pair}:
                # `context has x` must stay with the comparison that it makes safe
                for side in ("left", "right"):
                    other = pair["right" if side == "left" else "left"]
                    if "has" not in other:
                        yield f"{path}: only its {side}", with_(path, pair[side])
            case _:
                pass


def nodes(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, value
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for step, item in items:
        yield from nodes(item, (*path, step))


@pytest.mark.parametrize("policy_id", sorted(STATIC))
def test_whatever_is_changed_about_a_policy_some_case_notices(policy_id):
    policy = STATIC[policy_id]
    counts = heard() if policy["effect"] == "permit" else (True,) * len(CASES)

    def unnoticed(mutant: dict[str, Any]) -> bool:
        answers = zip(speaks(policy_id), speaking(mutant), counts, strict=True)
        return all(was == now for was, now, counted in answers if counted) and fits_the_schema(mutant)

    assert [what for what, mutant in mutants(policy) if unnoticed(mutant)] == []


@pytest.mark.parametrize("policy_id", sorted(STATIC))
def test_a_policy_decides_one_case_and_not_one_that_differs_in_a_single_fact(policy_id):
    wanted = "allow" if STATIC[policy_id]["effect"] == "permit" else "deny"
    decided = [case for case in CASES if case.expect == wanted and policy_id in case.decided_by]
    others = [case for case in CASES if policy_id not in case.decided_by]
    assert decided, f"no case of config/policies/cases.yaml that expects {wanted} is decided by {policy_id}"
    assert any(apart(one, other) == 1 for one in decided for other in others)


def test_a_case_names_only_policies_that_exist():
    assert {name for case in CASES for name in case.decided_by} <= set(STATIC)


def test_no_two_cases_ask_the_same():
    asked = Counter(json.dumps(facts(case), sort_keys=True, default=sorted) for case in CASES)
    assert [each for each, times in asked.items() if times > 1] == []


def apart(one, other) -> int:
    """In how many facts two cases differ."""
    left, right = facts(one), facts(other)
    return sum(left[name] != right[name] for name in left)


def facts(case) -> dict[str, Any]:
    told = case.model_dump(exclude={"name", "expect", "decided_by"})
    flat = {name: value for name, value in told.items() if not isinstance(value, dict)}
    flat.pop("whom", None)  # an absent one has parts too, so that one case with it and one without compare
    for group in ("evidence", "budget", "harm", "act", "whom"):
        parts = told[group] or {"kind": None, "registered": False, "delegated": False}
        flat |= {f"{group}.{name}": value for name, value in parts.items()}
    return flat
