"""Envelopes that the log does not carry: filled in from a file, a map or what is registered, or waited for."""

import dataclasses
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.commands.labelling import decision_sessions
from guardian.domain.batch import Known, Memory
from guardian.domain.envelope import Envelope, Grant
from guardian.domain.identity import SessionKey
from guardian.errors import ConfigurationError
from guardian.pipeline.decoding import Decoder
from guardian.pipeline.filling import Filling, StaticEnvelope
from guardian.pipeline.pipeline import Pipeline
from guardian.pipeline.redaction import FieldRules
from guardian.signals.credentials.scanner import CredentialScanner
from guardian.sources.completing import Completion
from guardian.sources.mapping import plugin as mapping
from guardian.sources.reading import Reader
from guardian.sources.tool_names import ToolNames
from guardian.tightening.sessions import Apart


def envelope(session="s1", **changes):
    body = {
        "delegator_id": "user_7", "tenant_id": "acme", "session_id": session, "purpose": "review the contract",
        "allowed_tools": ["mcp__contracts__read"], "expires_at": "2026-05-12T18:30:00Z", "agent_id": "agent_x",
    }  # fmt: skip
    return Envelope.model_validate_json(json.dumps({**body, **changes}))


SECRET = "AIza" + "b" * 35


def grant(session="s1", **changes):
    told = envelope(session, **changes)
    return Grant(told, told.digest)


def line(n=0, session="s1", **more):
    return {
        "id": f"d{n}", "tool": "contracts/read", "decision": "allow", "session": session, "gateway": "gw",
        "arguments": {"id": "c1"}, "agent": "agent_x", **more,
    }  # fmt: skip


@pytest.fixture(scope="session")
def decoded(record, now):
    """Foreign records, decoded with a filling."""

    def decode(filling, *lines, rules=None):
        reader = Reader({"mapping": mapping()}, Completion(tenant="acme"))
        decoder = Decoder(
            source=reader, redactor=FieldRules(CredentialScanner(key=b"k"), rules or {}, b"k"),
            verify=lambda _: "absent", clock=lambda: now,
            begin=filling.begin,
        )  # fmt: skip
        good, bad = decoder.decode([record(each, i) for i, each in enumerate(lines)])
        assert not bad
        return good

    return decode


def test_a_registered_envelope_holds_as_a_whole_under_the_one_spelling_of_its_tools(decoded):
    filling = Filling(rename=ToolNames().of)
    (d,), waits = filling.fill(decoded(filling, line()), Known({SessionKey("acme", "s1"): grant()}), patient=True)
    assert not waits
    assert d.event.envelope.allowed_tools == ("contracts.read",)
    assert d.event.envelope.delegator_id == "user_7"
    assert d.envelope_digest == envelope().digest  # of the envelope as it was registered
    assert d.purpose_from == "registry"
    assert not {"purpose", "envelope", "delegator_id"} & set(d.event.features_missing)


def test_an_envelope_that_tells_no_delegator_names_none_whoever_else_is_told(decoded):
    """A log's line or a registration; `-` stands for nobody there."""
    told = json.loads(envelope().model_dump_json())
    carried = {name: value for name, value in told.items() if name != "delegator_id"}
    known = Known({SessionKey("acme", "s1"): grant(delegator_id="-")})
    theirs = (line(delegator="ann"), line(1, envelope=carried), line(2, envelope=carried, delegator="-"))
    lines = decoded(Filling(), *theirs, line(3, envelope=told))
    found = [Filling().fill([d], known, patient=False)[0][0].event for d in lines]
    assert [(event.envelope.delegator_id, event.names_delegator) for event in found] == [
        *[("-", False)] * 3,
        ("user_7", True),
    ]


def test_the_envelopes_of_parents_are_spelt_the_same_way_and_the_file_comes_first(decoded):
    in_file = Filling(known={SessionKey("acme", "boss"): grant("boss")}, rename=ToolNames().of)
    children = decoded(Filling(), line(parent="boss"), line(1, parent="other"), line(2, parent="nobody"), line(3))
    registered = {
        SessionKey("acme", name): grant(name, allowed_tools=["mcp__crm__read"]) for name in ("boss", "other", "s1")
    }
    found = in_file.renamed(in_file.of_parents(children, registered))
    assert {key.session_id: known.envelope.allowed_tools for key, known in found.items()} == {
        "boss": ("contracts.read",),
        "other": ("crm.read",),
    }


def test_a_child_is_held_to_its_parent_in_the_spelling_of_its_own_log(body, make_decoder, make_judge, record):
    """In guardian's own format tools keep the names that the log gives them, in others all are renamed."""
    told = {"parent_session_id": "boss", "allowed_tools": ["mcp__crm__read"]}
    own = body(1, action__tool="mcp__crm__read")
    own["envelope"] |= {**told, "delegator_id": "user_7"}
    adapted = line(2, tool="mcp__crm__read", envelope=json.loads(envelope("s2", **told).model_dump_json()))
    source = Reader({"mapping": mapping()}, Completion(tenant="acme"))
    decoder = dataclasses.replace(make_decoder(), source=source)
    pipeline = Pipeline(decoder, make_judge(), Filling(rename=ToolNames().of))
    boss = grant("boss", allowed_tools=["mcp__crm__read", "crm/write"])
    memory = Memory(registered={boss.envelope.key: boss})
    first, second = pipeline.judge(*pipeline.decode([record(own), record(adapted, 1)]), memory).scored
    assert [v.decoded.event.action.tool for v in (first, second)] == ["mcp__crm__read", "crm.read"]
    assert "wider_tools" not in {breach.name for v in (first, second) for breach in v.drift.breaches}


def test_without_any_the_purpose_stays_unknown_and_that_is_said(decoded):
    (d,) = decoded(Filling(), line())
    assert (d.purpose_from, d.envelope_digest) == ("unknown", None)
    assert {"purpose", "envelope", "delegator_id"} <= set(d.event.features_missing)


def test_the_map_speaks_where_nothing_is_registered_and_yields_to_what_is(decoded):
    static = StaticEnvelope({"agent": "agent_*", "tool": "contracts.*"}, "Review for {agent}", ("contracts.*",))
    filling = Filling(static=(static,), wait=timedelta(seconds=5))
    (d,) = decoded(filling, line())
    assert (d.event.envelope.purpose, d.purpose_from) == ("Review for agent_x", "static")
    (again,), waits = filling.fill([d], Known(), patient=True)
    assert (again.purpose_from, waits) == ("static", [])
    (better,), _ = filling.fill([d], Known({SessionKey("acme", "s1"): grant()}), patient=True)
    assert (better.event.envelope.purpose, better.purpose_from) == ("review the contract", "registry")
    (other,) = decoded(filling, line(tool="crm.read"))
    assert other.purpose_from == "unknown"


def test_the_map_knows_agents_and_people_whom_redaction_hides_and_tells_nobody_their_names(decoded):
    rules = {"envelope.agent_id": "hash", "envelope.delegator_id": "hash"}
    static = StaticEnvelope({"agent": "agent_*", "delegator": "ann"}, "Review for {agent} and {delegator}")
    (d,) = decoded(Filling(static=(static,)), line(delegator="ann"), rules=rules)
    assert d.purpose_from == "static"
    told = d.event.envelope
    assert told.purpose == f"Review for {told.agent_id} and {told.delegator_id}"
    assert "agent_x" not in d.event.model_dump_json()
    (other,) = decoded(Filling(static=(static,)), line(delegator="ben"), rules=rules)
    assert other.purpose_from == "unknown"


def test_the_map_may_spell_tools_as_the_log_does(decoded):
    static = StaticEnvelope({}, "review", ("mcp__crm__*", "contracts/read"))
    (d,) = decoded(Filling(static=(static,), rename=ToolNames().of), line())
    assert d.event.action.tool == "contracts.read"
    assert d.event.envelope.allowed_tools == ("crm.*", "contracts.read")


def test_only_a_star_is_a_wildcard_in_the_map(decoded):
    filling = Filling(
        static=(StaticEnvelope({"tool": "contracts.rea?"}, "p"), StaticEnvelope({"tool": "[c]*"}, "p"))
    )
    (d,) = decoded(filling, line())
    assert d.purpose_from == "unknown"
    (d,) = decoded(filling, line(tool="contracts.rea?"))
    assert d.purpose_from == "static"


def test_text_from_the_log_in_a_purpose_template_is_only_text(decoded):
    filling = Filling(static=(StaticEnvelope({"tenant": "acme"}, "Work for {delegator}"),))
    (d,) = decoded(filling, line(delegator="{agent.__class__}" + "x" * 400))
    assert d.event.envelope.purpose.startswith("Work for {agent.__class__}xxx")
    assert len(d.event.envelope.purpose) < 220


@pytest.mark.parametrize(
    ("match", "purpose"), [({"colour": "x"}, "p"), ({}, "{agent.name}"), ({}, "{0}"), ({}, "{"), ({}, "{unknown}")]
)
def test_a_map_that_cannot_work_is_refused_at_start(match, purpose):
    with pytest.raises(ConfigurationError, match=r"envelopes\.static"):
        StaticEnvelope(match, purpose)


def test_envelopes_from_a_file_are_there_at_once(decoded):
    filling = Filling(known={SessionKey("acme", "s1"): grant()})
    (d,) = decoded(filling, line())
    assert (d.event.envelope.purpose, d.purpose_from) == ("review the contract", "file")


def test_a_session_without_a_purpose_waits_and_its_later_records_wait_behind_it(decoded):
    filling = Filling(wait=timedelta(seconds=5))
    first, other, second = decoded(filling, line(0), line(1, "s2", purpose="known"), line(2))
    ready, waits = filling.fill([first, other, second], Known(), patient=True)
    assert ([d.event.id for d in ready], [d.event.id for d in waits]) == (["d1"], ["d0", "d2"])
    behind = Known({SessionKey("acme", "s1"): grant()}, waiting=frozenset({SessionKey("acme", "s1")}))
    ready, waits = filling.fill([second], behind, patient=True)
    assert (ready, [d.event.id for d in waits]) == ([], ["d2"])


def test_a_session_that_was_judged_without_a_purpose_does_not_wait_again(decoded):
    filling = Filling(wait=timedelta(seconds=5))
    ready, waits = filling.fill(
        decoded(filling, line()), Known(begun=frozenset({SessionKey("acme", "s1")})), patient=True
    )
    assert (len(ready), waits) == (1, [])


def test_nobody_begins_to_wait_when_the_room_is_full_or_waiting_is_off(decoded):
    for filling, patient in ((Filling(wait=timedelta(seconds=5)), False), (Filling(), True)):
        ready, waits = filling.fill(decoded(filling, line()), Known(), patient=patient)
        assert (len(ready), waits) == (1, [])


@given(
    sessions=st.lists(st.sampled_from(["a", "b", "c"]), max_size=12),
    granted=st.sets(st.sampled_from(["a", "b", "c"])),
    waiting=st.sets(st.sampled_from(["a", "b", "c"])),
    patient=st.booleans(),
)
def test_every_record_is_ready_or_waits_once_and_no_session_is_in_both(
    sessions, granted, waiting, patient, decoded, record
):
    filling = Filling(wait=timedelta(seconds=5))
    arrived = decoded(filling, *(line(n, session) for n, session in enumerate(sessions)))
    known = Known(
        {SessionKey("acme", s): grant(s) for s in granted}, frozenset(SessionKey("acme", s) for s in waiting)
    )
    ready, waits = filling.fill(arrived, known, patient=patient)
    assert sorted(d.event.id for d in (*ready, *waits)) == sorted(d.event.id for d in arrived)
    assert not {d.event.key for d in ready} & {d.event.key for d in waits}
    for row in (ready, waits):
        assert [d.record.offset for d in row] == sorted(d.record.offset for d in row)
    assert {d.event.key.session_id for d in ready} >= granted & set(sessions) - waiting


def test_a_session_known_by_agent_and_user_begins_anew_after_silence(new_world, record, later, now):
    reader = Reader({"mapping": mapping()}, Completion(tenant="acme"))
    decoder = Decoder(
        source=reader, redactor=CredentialScanner(key=b"k"), verify=lambda _: "absent", clock=lambda: now
    )
    world = new_world(decoder=decoder, idle=timedelta(minutes=30))
    lines = [line(n, None, delegator="maya", time=later(at - 9000)) for n, at in enumerate((0, 60, 1200))]
    world.feed(*(record(each, i) for i, each in enumerate(lines)))
    assert world.state("window:agent_x|maya").actions == 3
    world.feed(record(line(9, None, delegator="maya", time=later(1200 + 1900 - 9000)), 9))
    state = world.state("window:agent_x|maya")
    assert (state.actions, state.tools) == (1, ("contracts.read",))


def test_what_a_gateway_itself_calls_a_session_goes_on_after_silence_however_it_begins(
    new_world, body, record, make_decoder, later
):
    """An agent that may name its conversation is not rid of what it has read by a pause."""
    name, times = "window:agent_renewal_review|user_7f3a91", [later(60 * at - 9000) for at in (0, 31, 62)]
    records = [record(body(n, envelope__session_id=name, time=time), n) for n, time in enumerate(times)]
    for batches in ([records], [[each] for each in records]):
        world = new_world(idle=timedelta(minutes=30))
        for batch in batches:
            world.feed(*batch)
        assert (world.state(name).actions, world.state(name).tools) == (3, ("contracts.read",) * 3)
    calls, _ = make_decoder().decode(records)
    assert len(decision_sessions(calls, timedelta(minutes=30))) == 1


@pytest.mark.parametrize("session", [None, "window:42", "s-1"])
def test_the_monitor_and_what_learns_of_it_tell_sessions_of_one_name_apart_alike(
    session, new_world, decoded, record, later, now
):
    world = new_world()
    calls = decoded(Filling(), *(line(n, session, time=later(60 * at - 9000)) for n, at in enumerate((0, 31, 62))))
    apart = Apart(timedelta(minutes=30))
    begun = {apart.session(d.event.key, d.now) for d in calls}
    assert len(begun) == (1 if session == "s-1" else 3)
    assert len(decision_sessions(calls, timedelta(minutes=30))) == len(begun)
    memory = Memory()
    for d in calls:
        memory = Memory(sessions=world.pipeline.judging.judge([d], [], memory).sessions)
    (state,) = memory.sessions.values()
    assert state.actions == 4 - len(begun)


def test_the_silence_counts_within_one_batch_as_between_two(new_world, record, later, now):
    def run(*batches):
        reader = Reader({"mapping": mapping()}, Completion(tenant="acme"))
        decoder = Decoder(
            source=reader, redactor=CredentialScanner(key=b"k"), verify=lambda _: "absent", clock=lambda: now
        )
        world = new_world(decoder=decoder)
        for batch in batches:
            world.feed(*batch)
        return world.state("window:agent_x|maya").model_dump()

    records = [
        record(line(n, None, delegator="maya", time=later(at - 9000)), n)
        for n, at in enumerate((0, 30, 4000, 4030))
    ]
    assert run(records) == run(*([each] for each in records))
    late = [
        record(line(n, None, delegator="maya", time=later(at - 9000)), n) for n, at in enumerate((4000, 0, 4030))
    ]
    assert run(late) == run(*([each] for each in late))
    assert run(late)["actions"] == 3  # a call that is told an hour late is no silence


def test_an_envelope_that_comes_late_is_no_reissue(new_world, record, decoded):
    world = new_world()
    filling = Filling()
    first, second = decoded(filling, line(0), line(1))
    for d, known in (
        (first, Known()),
        (second, Known({SessionKey("acme", "s1"): grant(allowed_tools=["contracts.read"])})),
    ):
        ready, _ = filling.fill([d], known, patient=False)
        judgement = world.pipeline.judge(ready, [], world.memory)
        world._keep(judgement)
    assert not [b for f in world.findings.values() for b in f.breaches if b.name.startswith("reissued")]
    assert world.state().envelope is not None
    assert world.state().envelope.purpose == "review the contract"


def test_a_filled_envelope_keeps_its_own_spelling_of_tools_beside_guardians(decoded):
    known = {SessionKey("acme", "s2"): grant("s2")}
    static = (StaticEnvelope({"session": "s3"}, "review", ("contracts.read",)),)
    filling = Filling(known=known, static=static, rename=ToolNames().of)
    lines = [line(n, f"s{n}") for n in (1, 2, 3)]
    ready, _ = filling.fill(decoded(filling, *lines), Known({SessionKey("acme", "s1"): grant()}), patient=False)
    told = [d.event.origin.allowed_tools for d in ready]
    assert told == [("mcp__contracts__read",), ("mcp__contracts__read",), ("contracts.read",)]
    assert {d.event.origin.tool for d in ready} == {"contracts/read"}
    (bare,), _ = Filling().fill(decoded(Filling(), line()), Known(), patient=False)
    assert bare.event.origin.allowed_tools is None


@pytest.mark.parametrize(
    "names",
    [
        {"tool": SECRET},
        {"tool": f"mcp__crm__{SECRET}"},
        {"tool": f"mcp__{SECRET}__read"},
        {"envelope": {"allowed_tools": [f"mcp__crm__{SECRET}"]}},
        {"envelope": {"allowed_tools": ["crm/read", f"mcp__ x {SECRET}__read"]}},
    ],
)
@pytest.mark.parametrize("tools", [ToolNames(), ToolNames(name="{tool}")])
def test_a_credential_in_a_name_is_told_where_it_was_and_is_kept_in_no_spelling_of_it(record, now, names, tools):
    def read(completion):
        decoder = Decoder(
            source=Reader({"mapping": mapping()}, completion), redactor=CredentialScanner(key=b"k"),
            verify=lambda _: "absent", clock=lambda: now,
        )  # fmt: skip
        ((d,), _) = decoder.decode([record(line(**names))])
        return d

    d = read(Completion(tenant="acme", tools=tools))
    assert SECRET not in d.event.model_dump_json()
    assert not [hit for hit in d.credentials if hit.path.startswith("origin")]
    assert (d.event.origin.tool, d.event.origin.allowed_tools) == (None, None)
