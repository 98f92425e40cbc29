"""With a floor beneath it, no decision point gives more than guardian's own policies do."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.errors import PolicyError
from guardian.policy.floor import Floor
from guardian.policy.port import Asker, PolicyDecision, PolicyRequest

REQUEST = PolicyRequest(Asker("m", "monitor", frozenset({"acme"})), "revoke", "acme")


@dataclass(frozen=True)
class Says:
    """A decision point that has made up its mind."""

    said: PolicyDecision | PolicyError
    version: str = "v1"

    def decide(self, request: PolicyRequest) -> PolicyDecision:
        if isinstance(self.said, PolicyError):
            raise self.said
        return self.said


def decisions():
    ids = st.lists(st.sampled_from(["a", "b", "c"]), unique=True, max_size=3).map(sorted).map(tuple)
    plain = st.builds(
        lambda allowed, ids: PolicyDecision(allowed, ids, {name: f"why {name}" for name in ids}),
        st.booleans(),
        ids,
    )
    failed = st.builds(lambda ids: PolicyDecision(False, ids, {}, ("it broke",)), ids)
    return plain | failed | st.just(PolicyError("it is gone"))


def permits(said):
    return isinstance(said, PolicyDecision) and said.allowed


@given(external=decisions(), floor=decisions())
def test_exactly_what_both_permit_is_permitted(external, floor):
    decision = Floor(Says(external), Says(floor)).decide(REQUEST)
    assert decision.allowed == (permits(external) and permits(floor))


@given(external=decisions(), floor=decisions())
def test_a_denial_always_says_which_side_it_came_from(external, floor):
    decision = Floor(Says(external), Says(floor)).decide(REQUEST)
    named = {text.partition(":")[0] for text in (*decision.policy_ids, *decision.errors)}
    if not decision.allowed:
        assert named == {side for side, said in (("external", external), ("floor", floor)) if not permits(said)}
    assert set(decision.reasons) == set(decision.policy_ids)
    assert list(decision.policy_ids) == sorted(decision.policy_ids)


def test_a_permit_names_the_policies_of_both_with_their_reasons():
    external = PolicyDecision(True, ("ours",), {"ours": "the company allows it"})
    floor = PolicyDecision(True, ("shipped",), {"shipped": "strong evidence"})
    decision = Floor(Says(external), Says(floor)).decide(REQUEST)
    assert decision.allowed
    assert decision.policy_ids == ("external:ours", "floor:shipped")
    assert decision.reasons == {"external:ours": "the company allows it", "floor:shipped": "strong evidence"}


def test_a_side_that_permits_is_not_named_with_the_denial():
    external = PolicyDecision(True, ("ours",))
    floor = PolicyDecision(False, ("protected",), {"protected": "a person must decide"})
    decision = Floor(Says(external), Says(floor)).decide(REQUEST)
    assert (decision.allowed, decision.policy_ids) == (False, ("floor:protected",))


def test_a_side_that_nothing_permits_is_named_all_the_same():
    decision = Floor(Says(PolicyDecision(False)), Says(PolicyDecision(True, ("shipped",)))).decide(REQUEST)
    assert decision.policy_ids == ("external:default-deny",)
    assert decision.reasons["external:default-deny"]


@pytest.mark.parametrize("broken", ["external", "floor"])
def test_an_error_of_either_is_an_error(broken):
    sides = {"external": Says(PolicyDecision(True)), "floor": Says(PolicyDecision(True))}
    sides[broken] = Says(PolicyError("no answer"))
    decision = Floor(**sides).decide(REQUEST)
    assert not decision.allowed
    assert decision.errors == (f"{broken}: no answer",)


def test_what_only_operators_are_told_stays_apart_from_the_errors():
    away = PolicyDecision(False, errors=("gave no answer",), causes=("at 10.1.2.3 gave no answer",))
    decision = Floor(Says(away), Says(PolicyError("broken"))).decide(REQUEST)
    assert decision.errors == ("floor: broken", "external: gave no answer")
    assert decision.causes == ("floor: broken", "external: at 10.1.2.3 gave no answer")


def test_the_version_names_both():
    assert (
        Floor(Says(PolicyDecision(True), "opa x"), Says(PolicyDecision(True), "cafe")).version == "opa x over cafe"
    )
