"""A credential that somebody plants in a record is never told, kept or judged by its value, unless it is a name
by which a session is cut off."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.domain.finding import Effect, Kind
from guardian.domain.session import SessionState

KEY = "AIza" + "b" * 35
PLACES = [
    "envelope__purpose",
    "envelope__note",
    "action__tool",
    "action__credential_id",
    "action__note",
    "decision__reason",
    "result__status",
    "trace_id",
    "agent_version",
    "surprise",
]
SHAPES = {
    "envelope__allowed_tools": [KEY, f"tool {KEY}"],
    "envelope__resource_constraints": {"contract_ids": [KEY], KEY: 1},
    "action__arguments": {"a": KEY, KEY: {"deep": [{"er": f"see {KEY}, please"}]}},
    "action__resource": {"type": KEY, "id": f"s3://{KEY}"},
    "action__data_classes": [KEY],
    "decision__policy_ids": [KEY],
    "result__data_classes": [KEY],
    "surprise": {KEY: [KEY]},
}


@given(st.sets(st.sampled_from([*PLACES, *SHAPES]), min_size=1, max_size=5), st.sampled_from(["allow", "deny"]))
@settings(max_examples=80, deadline=None)
def test_a_planted_key_appears_in_nothing_that_leaves_the_pipeline(
    new_world, drifting, places: set[str], effect: str
) -> None:
    world = new_world()
    planted = {place: SHAPES.get(place, f"{KEY}") for place in places}
    for n in range(4):
        world.feed(drifting(n, decision__effect=effect, envelope__expires_at="2026-05-12T16:00:00Z", **planted))
    assert {f.kind for f in world.findings.values()} >= {Kind.DRIFT}
    for finding in world.findings.values():
        assert KEY not in finding.model_dump_json()
    for key, state in world.memory.sessions.items():
        assert KEY not in state.model_dump_json() + repr(key)
    assert KEY not in repr((world.memory.agent_purposes, world.memory.seen))
    for verdict in world.scored:
        assert KEY not in repr(verdict.drift)
        assert KEY not in verdict.decoded.event.model_dump_json()


@pytest.mark.parametrize("place", ["action__arguments", "envelope__resource_constraints", "action__resource"])
def test_a_planted_key_is_a_finding_that_names_its_place(world, body, place: str) -> None:
    world.feed(body(1, **{place: SHAPES[place]}))
    (finding,) = world.told(Kind.DRIFT)
    area = {"action__arguments": "arguments", "action__resource": "resource"}.get(place, "envelope")
    assert f"credential_in_{area}" in {breach.name for breach in finding.breaches}


@pytest.mark.parametrize("place", ["action__arguments", "action__resource"])
def test_a_field_that_is_merely_called_a_secret_is_how_agents_log_in(world, body, place: str) -> None:
    world.feed(body(1, **{place: {"type": "account", "id": "ann", "password": "correct-horse-battery"}}))
    assert world.told(Kind.DRIFT) == []
    world.feed(body(2, **{place: {"type": "account", "id": "ann", "password": KEY}}))
    assert [finding.wanted for finding in world.told(Kind.DRIFT)] == [Effect.FLAG]


def test_a_key_behind_more_than_is_searched_asks_for_people(world, body) -> None:
    world.feed(
        body(1, action__arguments={"note": "eyJ.a" * 3000 + " " + KEY, "password": "correct-horse-battery"})
    )
    assert [finding.wanted for finding in world.told(Kind.DRIFT)] == [Effect.FLAG]


@pytest.mark.parametrize("name", ["session_id", "parent_session_id", "task_id", "agent_id", "delegator_id"])
def test_a_name_by_which_gateways_ask_keeps_its_spelling_and_is_told(world, body, name: str) -> None:
    world.feed(body(1, **{f"envelope__{name}": KEY}))
    assert getattr(world.scored[-1].decoded.event.envelope, name) == KEY
    (finding,) = world.told(Kind.DRIFT)
    assert "credential_in_envelope" in {breach.name for breach in finding.breaches}
    assert finding.session_id == (KEY if name == "session_id" else finding.session_id)


@pytest.mark.parametrize("change", [{"action__records": -1}, {"gateway": "nobody"}])
def test_a_dead_record_is_told_of_its_session_however_that_is_named(new_world, make_decoder, body, change) -> None:
    world = new_world(decoder=make_decoder(entitlements={"gw": frozenset({"acme"})}))
    world.feed(body(1, envelope__session_id=KEY, **change))
    assert world.dead == 1
    assert {finding.session_id for finding in world.findings.values()} == {KEY}


@pytest.mark.parametrize("change", [{"envelope__tenant_id": KEY}, {"gateway": KEY}])
def test_a_refused_gateway_or_tenant_named_by_a_credential_is_not_told(
    new_world, make_decoder, body, change
) -> None:
    world = new_world(decoder=make_decoder(entitlements={"gw": frozenset({"acme"})}))
    world.feed(body(1, **change))
    (finding,) = world.told(Kind.ENTITLEMENT)
    assert KEY not in finding.model_dump_json()


URLS = ("https://a:bb@c.d " * 600)[:8192]  # the mark in its place is longer than the password that it hides


@pytest.mark.parametrize("change", [{"envelope__purpose": URLS}, {"envelope__allowed_tools": [URLS[:512]]}])
def test_redaction_keeps_a_field_within_its_bounds(world, body, change) -> None:
    judgement = world.pipeline.judge(*world.pipeline.decode([_record(body(1, **change))]), world.memory)
    (state,) = judgement.sessions.values()
    assert SessionState.model_validate_json(state.model_dump_json()) == state


def _record(value):
    from guardian.domain.record import Record

    return Record("t", 0, 0, json.dumps(value).encode())
