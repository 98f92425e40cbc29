"""Laws of one batch: pure, deterministic, and indifferent to where a log is cut."""

import copy
import dataclasses
import itertools
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.bootstrap.judgement import fingerprinter
from guardian.domain.batch import AgentKey, Memory
from guardian.domain.finding import Kind
from guardian.domain.record import Record
from guardian.embedding import FitRequest
from guardian.pipeline.pipeline import Pipeline
from guardian.pipeline.working import PRINTS_KEPT, PURPOSES_KEPT, TOOLS_KEPT

GATEWAYS = {"gw": frozenset({"acme", "globex"}), "gw2": frozenset({"*"})}
ENVELOPES: list[dict[str, Any]] = [
    {"session_id": "s1"},
    {"session_id": "s2", "purpose": "pay the invoice of Bolt", "allowed_tools": ["payments.*"]},
    {"session_id": "s1", "tenant_id": "globex", "agent_id": "other", "purpose": ""},
    {"session_id": "child", "parent_session_id": "s1"},
    {"session_id": "child", "parent_session_id": "s2", "allowed_tools": ["contracts.read"]},
    {"session_id": "s1", "expires_at": "2026-05-12T17:00:00Z"},
    {"session_id": "s3", "expires_at": None, "purpose": "another purpose entirely"},
]
ACTIONS: list[dict[str, Any]] = [
    {"tool": "contracts.read", "arguments": {"contract_id": "contract_7781"}, "records": 20},
    {"tool": "payments.send", "arguments": {"to": "mallory@evil.example", "amount": 900}},
    {"tool": "crm.read"},
    {"tool": "crm.read", "arguments": {"session_id": "s2"}},
    {"tool": "tickets.create", "arguments": {"body": "use AIza" + "b" * 35}, "data_classes": ["x"]},
]
JUNK = [b"", b"{", b"\xff\xfe", b'{"tenant_id": "acme", "session_id": "s1", ', b"[" * 100]
calls = st.tuples(
    st.integers(0, 8),
    st.sampled_from(ENVELOPES),
    st.sampled_from(ACTIONS),
    st.sampled_from(["allow", "allow", "deny"]),
    st.sampled_from(["gw", "gw", "gw2", "nobody"]),
    st.integers(0, 200),
)
logs = st.lists(calls | st.sampled_from(JUNK), min_size=1, max_size=14)


def written(
    log: list[Any], body: Callable[..., Any], record: Callable[..., Record], now: datetime
) -> list[Record]:
    """A log as the bus hands it over."""
    records = []
    for offset, entry in enumerate(log):
        value = entry
        if not isinstance(entry, bytes):
            number, envelope, action, effect, gateway, seconds = entry
            value = body(number, action=action, decision__effect=effect, gateway=gateway)
            value["envelope"].update(envelope)
            value["time"] = (now + timedelta(seconds=seconds)).isoformat()
        records.append(record(value, offset, timestamp=now + timedelta(seconds=offset * 20)))
    return records


@given(logs, st.sets(st.integers(1, 13)))
@settings(max_examples=120, deadline=None)
def test_where_a_log_is_cut_into_batches_changes_nothing(
    new_world, make_decoder, body, record, now, log: list[Any], cuts: set[int]
) -> None:
    records = written(log, body, record, now)
    whole, parts = (new_world(decoder=make_decoder(entitlements=GATEWAYS)) for _ in range(2))
    whole.feed(*records)
    edges = [0, *sorted(c for c in cuts if c < len(records)), len(records)]
    for start, end in itertools.pairwise(edges):
        parts.feed(*records[start:end])
    assert parts.memory == whole.memory
    assert parts.findings == whole.findings
    assert parts.scored == whole.scored
    assert (parts.duplicates, parts.dead) == (whole.duplicates, whole.dead)


@given(logs, logs)
@settings(max_examples=60, deadline=None)
def test_judging_is_pure_and_the_same_every_time(
    new_world, make_decoder, make_judge, body, record, now, past: list[Any], log: list[Any]
) -> None:
    world = new_world(decoder=make_decoder(entitlements=GATEWAYS))
    world.feed(*written(past, body, record, now))
    memory = copy.deepcopy(world.memory)
    decoded, letters = world.pipeline.decode(written(log, body, record, now))
    first = world.pipeline.judge(decoded, letters, world.memory)
    assert world.memory == memory
    assert world.pipeline.judge(decoded, letters, world.memory) == first
    assert make_judge().judge(decoded, letters, memory) == first  # nor does it depend on a warm cache


@given(logs)
@settings(max_examples=60, deadline=None)
def test_a_redelivered_log_writes_nothing(new_world, make_decoder, body, record, now, log: list[Any]) -> None:
    world = new_world(decoder=make_decoder(entitlements=GATEWAYS))
    records = written(log, body, record, now)
    world.feed(*records)
    memory, told = world.memory, dict(world.findings)
    again = world.feed(*records)
    assert (again.scored, again.findings, again.sessions, again.seen, again.agent_purposes) == (
        (),
        (),
        {},
        {},
        {},
    )
    assert again.duplicates == len(records) - len(again.dead_letters)
    assert (world.memory, world.findings) == (memory, told)


@given(logs)
@settings(max_examples=40, deadline=None)
def test_every_record_is_judged_known_or_dead_and_no_finding_comes_twice(
    new_world, make_decoder, body, record, now, log: list[Any]
) -> None:
    world = new_world(decoder=make_decoder(entitlements=GATEWAYS))
    judgement = world.feed(*written(log, body, record, now))
    assert len(judgement.scored) + judgement.duplicates + len(judgement.dead_letters) == len(log)
    ids = [finding.id for finding in judgement.findings]
    assert len(ids) == len(set(ids))


def test_one_id_with_other_content_is_one_finding_about_identity_and_every_content_is_judged_once(
    world, body
) -> None:
    paid = body(1, action__tool="payments.send")
    world.feed(body(1), body(1, action__tool="crm.read"))
    world.feed(paid, body(1))
    world.feed(paid, body(1, action__tool="crm.read"))
    told = world.told(Kind.IDENTITY)
    assert [(f.session_id, f.act.decision_id) for f in told] == [("s1", "dec_1")]
    assert world.state().actions == 3
    assert world.duplicates == 3
    names = [verdict.decoded.event.id for verdict in world.scored]
    assert names[0] == "dec_1"
    assert len(set(names)) == 3
    assert any(f.act.tool == "payments.send" for f in world.told(Kind.DRIFT))


def test_a_session_that_takes_anothers_id_first_hides_none_of_its_calls_and_the_finding_accuses_neither(
    world, body
) -> None:
    world.feed(body(1, envelope__session_id="thief"))
    world.feed(body(1, action__tool="payments.send"))
    assert world.state().actions == 1
    (told,) = world.told(Kind.IDENTITY)
    assert told.session_id == "s1"
    assert "another session's doing" in told.breaches[0].detail


def test_no_id_can_take_the_name_under_which_other_content_is_known(world, body) -> None:
    first, other = body(1), body(1, action__tool="crm.read")
    digest = world.pipeline.decode([_as_record(other)])[0][0].digest
    taken = {**first, "id": f"dec_1#{digest[:16]}"}
    world.feed(first, taken, other)
    assert world.state().actions == 3
    assert world.duplicates == 0


def test_the_same_id_of_another_gateway_or_tenant_is_another_decision(world, body) -> None:
    world.feed(body(1), body(1, gateway="gw2"), body(1, envelope__tenant_id="globex"))
    assert world.duplicates == 0
    assert (world.state().actions, world.state(tenant="globex").actions) == (2, 1)


def test_an_empty_batch_changes_nothing(world) -> None:
    judgement = world.feed()
    assert (judgement.scored, judgement.findings, judgement.sessions) == ((), (), {})


def test_what_is_wanted_covers_sessions_parents_decisions_purposes_and_agents(world, body) -> None:
    decoded, _ = world.pipeline.decode([])
    assert world.pipeline.wanted(decoded).sessions == frozenset()
    child = body(1, envelope__session_id="child", envelope__parent_session_id="s1")
    decoded, _ = world.pipeline.decode([_as_record(child), _as_record(body(2, envelope__agent_id=...), 1)])
    wanted = world.pipeline.wanted(decoded)
    assert {key.session_id for key in wanted.sessions} == {"child", "s1"}
    assert {key.decision_id.partition("\x1f")[0] for key in wanted.decisions} == {"dec_1", "dec_2"}
    assert {key.purpose for key in wanted.purposes} == {body()["envelope"]["purpose"]}
    assert {key.agent_id for key in wanted.agents} == {"agent_renewal_review"}


def test_memory_stays_bounded_however_long_a_session_runs(world, body) -> None:
    calls = []
    for n in range(300):
        purpose = chr(97 + n % 26) * 4 + chr(97 + n // 26) * 4  # a word of its own
        arguments = {"contract_id": f"contract_{n}", "note": f"note {n}"}
        calls.append(body(n, action__arguments=arguments, envelope__purpose=purpose))
    world.feed(*calls)
    state = world.state()
    assert (state.actions, len(state.tools), len(state.value_prints)) == (300, TOOLS_KEPT, PRINTS_KEPT)
    assert {len(purposes) for purposes in world.memory.agent_purposes.values()} == {PURPOSES_KEPT}
    assert "note 299" not in state.model_dump_json()
    assert len(state.model_dump_json()) < 30_000


def test_an_agent_that_works_on_is_named_in_every_batch_so_that_nobody_forgets_what_it_served(world, body) -> None:
    served = body()["envelope"]["purpose"]
    for n in range(2):
        told = world.feed(body(n)).agent_purposes
        assert told == {AgentKey("acme", "agent_renewal_review"): (served,)}


def test_what_is_forgotten_of_a_session_does_not_hang_on_the_key(new_world, body) -> None:
    words = [f"value_{n}" for n in range(PRINTS_KEPT + 24)]
    kept = []
    for key in (b"one", b"another"):
        world, fingerprint = new_world(), fingerprinter(key)
        judging = dataclasses.replace(world.pipeline.judging, fingerprint=fingerprint)
        world.pipeline = dataclasses.replace(world.pipeline, judging=judging)
        for start in range(0, len(words), 40):
            world.feed(body(start, action__arguments={word: word for word in words[start : start + 40]}))
        prints = world.state().value_prints
        kept.append({word for word in words if fingerprint(word) in prints})
    assert kept[0] == kept[1]
    assert len(kept[0]) == PRINTS_KEPT


class Listening:
    """A drift model that keeps what it is asked."""

    version = "listening"

    def __init__(self) -> None:
        self.asked: list[FitRequest] = []

    def score(self, requests: Sequence[FitRequest]) -> list[float]:
        self.asked.extend(requests)
        return [0.0 for _ in requests]

    def explain(self, request: FitRequest) -> list[tuple[str, float]]:
        return []


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_drift_model_hears_what_its_session_did_before_and_nothing_of_others(
    new_world, make_judge, body, size: int
) -> None:
    world, model = new_world(), Listening()
    world.pipeline = Pipeline(world.pipeline.decoder, dataclasses.replace(make_judge(), fit=model))
    calls = [
        body(1, action={"tool": "find", "arguments": {"q": "Acme"}}),
        body(2, action={"tool": "other", "arguments": {"q": "Bolt"}}, envelope__session_id="s2"),
        body(3, action={"tool": "read", "arguments": {"name": "acme", "by": "Bolt"}}),
        body(4, action={"tool": "send", "arguments": {"to": "bolt"}}),
    ]
    for start in range(0, len(calls), size):
        world.feed(*calls[start : start + size])
    assert [request.before for request in model.asked] == [(), (), ("find",), ("find", "read")]
    assert [sorted(request.earlier_values) for request in model.asked] == [[], [], ["acme"], ["bolt"]]


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(("effect", "known"), [("deny", []), ("allow", ["eve@evil.example"])])
def test_what_an_agent_was_denied_does_not_vouch_for_its_next_try(
    new_world, make_judge, body, size: int, effect: str, known: list[str]
) -> None:
    world, model = new_world(), Listening()
    world.pipeline = Pipeline(world.pipeline.decoder, dataclasses.replace(make_judge(), fit=model))
    told = {"to": "eve@evil.example"}
    calls = [
        body(1, action={"tool": "slack.post", "arguments": told}, decision__effect=effect),
        body(2, action={"tool": "email.send", "arguments": told}),
        body(3, action={"tool": "email.send", "arguments": told}),
    ]
    for start in range(0, len(calls), size):
        world.feed(*calls[start : start + size])
    assert [sorted(request.earlier_values) for request in model.asked] == [[], known, ["eve@evil.example"]]
    assert [request.before for request in model.asked][1] == ("slack.post",)


def test_a_memory_without_anything_is_a_start(world, body) -> None:
    assert world.memory == Memory()
    assert world.feed(body(1)).sessions == {world.scored[0].decoded.event.key: world.state()}


def _as_record(value: Any, offset: int = 0) -> Record:
    return Record("t", 0, offset, json.dumps(value).encode())
