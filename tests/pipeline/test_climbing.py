"""A session climbs the ladder: one finding per step, and people's word starts it afresh."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.domain.batch import Memory, PurposeKey
from guardian.domain.breach import rule_of
from guardian.domain.finding import Effect, Kind
from guardian.domain.gathered import Gathered
from guardian.domain.session import HumanWord, SessionState, Stage, rules_told
from guardian.domain.signal import BaselineFact
from guardian.pipeline import judging
from guardian.pipeline.carrying import afresh
from guardian.response.hearing import hear
from guardian.response.ladder import Ladder

NO_EVIDENCE = Ladder(flag_one_in=1e12, revoke_one_in=1e12)
WIDE = Ladder(flag_one_in=100, revoke_one_in=5_000)
EXPIRED = {"envelope__expires_at": "2026-05-12T16:00:00Z"}


def told_of(world) -> str:
    """What control says that people knew of, who saw the session's first finding."""
    return rules_told(entry for breach in world.told(Kind.DRIFT)[0].breaches for entry in breach.told.remembered)


def test_a_session_that_keeps_to_its_purpose_is_never_told(world, body) -> None:
    world.feed(*[body(n) for n in range(20)])
    assert world.findings == {}
    assert (world.state().stage, world.state().transition, world.state().actions) == (Stage.CLEAR, 0, 20)


def test_slow_drift_is_flagged_once_and_then_revoked_once(new_world, drifting) -> None:
    world = new_world(ladder=WIDE)
    stages = []
    for n in range(25):
        world.feed(drifting(n))
        stages.append(world.state().stage)
    assert [scored.act for scored in world.scored] == list(range(25)), "as labels count, for the archive"
    told = world.told(Kind.DRIFT)
    assert [(f.wanted, f.transition, f.epoch) for f in told] == [(Effect.FLAG, 1, 0), (Effect.REVOKE, 2, 0)]
    assert stages[0] is Stage.CLEAR
    assert stages == sorted(stages, key=list(Stage).index)
    assert [f.evidence.actions_seen for f in told] == [
        stages.index(Stage.FLAGGED) + 1,
        stages.index(Stage.REVOKED) + 1,
    ]


def test_what_a_wrapper_does_adds_up_like_the_tools_behind_it(new_world, body) -> None:
    def climb(*acts: dict[str, object]) -> float:
        world = new_world(ladder=WIDE)
        world.feed(*(body(n, envelope__allowed_tools=["*"], **act) for n, act in enumerate(acts)))
        return world.scored[-1].drift.one_in

    names = [f"pay{n}" for n in range(12)]
    wrapped = [{"action__tool": "call_tool", "action__arguments": {"name": n, "arguments": {}}} for n in names]
    shell = [{"action__tool": "call_tool", "action__arguments": {"command": n}} for n in names]
    assert climb(*wrapped) > 4 * climb(*shell)
    assert climb(*wrapped, wrapped[-1]) <= climb(*wrapped)


def test_a_drift_finding_says_who_did_what_and_why(new_world, drifting) -> None:
    world = new_world(ladder=WIDE)
    world.feed(*[drifting(n) for n in range(12)])
    flag = world.told(Kind.DRIFT)[0]
    assert (flag.subject.delegator_id, flag.subject.purpose) == (
        "user_7f3a91",
        "review_customer_contract_for_renewal_risk",
    )
    assert (flag.act.effect, flag.correlation_id) == ("allow", "4bf92f")
    assert flag.act.tool.startswith("pay")
    assert flag.reasons[0].signal == "purpose_fit"
    assert flag.reasons[0].share > 0.9
    assert flag.evidence.one_in >= 100
    assert flag.versions == {"model": "lexical-1"}
    assert flag.breaches == ()


def test_an_odder_act_is_named_where_no_rule_is_broken(new_world, body, monkeypatch) -> None:
    monkeypatch.setattr(judging, "odder", lambda evidence, drift, kind: f"mail.send {evidence.n} {kind}\n")
    world = new_world(ladder=Ladder(flag_one_in=1, revoke_one_in=1e9))
    world.feed(body(0))
    (flag,) = world.told(Kind.DRIFT)
    assert flag.reasons[0].text.startswith("an earlier mail.send 1 contracts.read was odder than this call; ")
    world = new_world(ladder=WIDE)
    world.feed(body(0, **EXPIRED))
    (broken,) = world.told(Kind.DRIFT)
    assert "odder than this call" not in broken.reasons[0].text


def test_the_argument_that_mattered_most_is_named(new_world, body) -> None:
    world = new_world(ladder=Ladder(flag_one_in=1, revoke_one_in=1e9))
    arguments = {"contract": "renewal", "to": "mallory"}
    world.feed(body(1, action__arguments=arguments, envelope__resource_constraints={}))
    assert world.told(Kind.DRIFT)[0].act.argument == "to"


def test_the_argument_that_the_leading_signal_speaks_of_is_the_one_that_is_named(new_world, body) -> None:
    world = new_world(
        ladder=Ladder(flag_one_in=1, revoke_one_in=1e9), signals=("object_mismatch", "denial_pressure")
    )
    asked = {
        "envelope__purpose": "review contract 7781 of Acme",
        "envelope__resource_constraints": {},
        "action__resource": ...,
    }
    arguments = {"body": "zebra zebra zebra", "contract_id": "9914"}
    world.feed(body(0, **asked, action__tool="contracts.delete", action__arguments=arguments))
    (flag,) = world.told(Kind.DRIFT)
    assert flag.reasons[0].signal == "object_mismatch"
    assert flag.act.argument == "contract_id"


def test_a_broken_rule_asks_for_what_the_ladder_says(new_world, body) -> None:
    world = new_world()
    world.feed(body(1, **EXPIRED))
    (finding,) = world.told(Kind.DRIFT)
    assert (finding.wanted, finding.severity, finding.title) == (
        Effect.REVOKE,
        "critical",
        "Acts on an expired envelope",
    )
    assert list(map(rule_of, world.state().breaches)) == ["envelope_expired"]


def test_a_flagged_session_is_flagged_again_once_for_each_further_hard_rule(world, body) -> None:
    world.feed(body(1, action__records=26, result=...), body(2, action__tool="crm.write"), body(3))
    world.feed(*(body(n, action__tool=f"crm.tool_{n}", action__records=26, result=...) for n in range(4, 9)))
    assert [(f.title, f.transition, f.severity) for f in world.told(Kind.DRIFT)] == [
        ("Takes more records than the envelope allows", 1, "high"),
        ("Calls a tool outside its envelope", 2, "high"),
    ]


def test_a_refused_wish_hides_no_further_hard_rule(new_world, body) -> None:
    world = new_world(ladder=NO_EVIDENCE)
    world.feed(body(1, **EXPIRED))
    world.feed(body(2, action__tool="crm.write"), body(3, action__tool="crm.write"))
    assert [(f.title, f.wanted) for f in world.told(Kind.DRIFT)] == [
        ("Acts on an expired envelope", Effect.REVOKE),
        ("Calls a tool outside its envelope", Effect.FLAG),
    ]
    assert world.state().stage is Stage.REVOKED


def test_calls_that_were_under_way_when_a_session_was_revoked_make_no_flags(new_world, body, now) -> None:
    world = new_world(ladder=NO_EVIDENCE)
    world.feed(body(1, **EXPIRED))
    world.hear(HumanWord.REVOKED)
    world.feed(body(2, action__tool="crm.write"), body(3, action__records=26, result=...))
    assert [f.title for f in world.told(Kind.DRIFT)] == ["Acts on an expired envelope"]
    world.hear(HumanWord.LAPSED)
    world.feed(body(4, action__tool="crm.write"))
    assert world.told(Kind.DRIFT)[-1].title == "Calls a tool outside its envelope"


def test_a_soft_flag_hides_no_hard_breach_and_makes_no_further_finding(new_world, body) -> None:
    world = new_world(ladder=NO_EVIDENCE)

    def acts(n: int, **arguments: object) -> None:
        world.feed(body(n, **naming(**arguments), action__records=0, result=None))

    acts(1, tenant_id="42")
    for n in range(2, 23):
        acts(n, contract_id=f"d_{n}")
    acts(23, tenant_id="43")
    assert [(f.breaches[0].name, f.severity, f.wanted) for f in world.told(Kind.DRIFT)] == [
        ("tenant_mismatch", "medium", Effect.FLAG),
        ("resource_outside_constraints", "high", Effect.FLAG),
    ]


def test_a_rule_that_asks_for_nothing_leaves_the_session_clear(new_world, body) -> None:
    quiet = Ladder(flag_one_in=1e12, revoke_one_in=1e12, breach_effects={"envelope_expired": Effect.NONE})
    world = new_world(ladder=quiet)
    world.feed(body(1, **EXPIRED))
    assert (world.told(Kind.DRIFT), world.state().stage) == ([], Stage.CLEAR)


@pytest.mark.parametrize("rule", [{"action__tool": "crm.write"}, {"action__arguments": {"tenant_id": "42"}}])
def test_a_revocation_that_evidence_asks_for_is_not_called_after_a_rule_that_only_flags(
    new_world, body, rule
) -> None:
    world = new_world(ladder=Ladder(flag_one_in=1, revoke_one_in=1))
    world.feed(body(1, **rule))
    (finding,) = world.told(Kind.DRIFT)
    assert (finding.wanted, finding.title) == (Effect.REVOKE, "Actions no longer fit the declared purpose")
    assert [breach.wanted for breach in finding.breaches if breach.wanted is not Effect.NONE] == [Effect.FLAG]


def test_a_revocation_that_a_rule_asks_for_is_called_after_that_and_not_after_one_that_only_flags(
    new_world, body
) -> None:
    world = new_world(ladder=NO_EVIDENCE)
    world.feed(body(1, action__tool="crm.write"), body(2, **EXPIRED, action__tool="crm.drop", action__records=26))
    assert [(f.wanted, f.title) for f in world.told(Kind.DRIFT)] == [
        (Effect.FLAG, "Calls a tool outside its envelope"),
        (Effect.REVOKE, "Acts on an expired envelope"),
    ]


def test_a_rule_that_asks_for_nothing_names_no_finding(new_world, body) -> None:
    world = new_world(ladder=Ladder(flag_one_in=1, revoke_one_in=1e9))
    world.feed(body(1, action__arguments={"contract": "renewal", "to": "mallory", "tenant": "main"}))
    (finding,) = world.told(Kind.DRIFT)
    assert [breach.name for breach in finding.breaches] == ["arguments_unchecked"]
    assert finding.title == "Actions no longer fit the declared purpose"


@given(st.lists(st.sampled_from(["fits", "drifts", "breaks", "denied"]), min_size=1, max_size=14))
@settings(max_examples=60, deadline=None)
def test_there_is_one_finding_per_state_change(new_world, body, drifting, calls: list[str]) -> None:
    world = new_world(ladder=WIDE)
    made = {
        "fits": lambda n: drifting(n, action=body()["action"]),
        "drifts": drifting,
        "breaks": lambda n: drifting(n, **EXPIRED),
        "denied": lambda n: drifting(n, decision__effect="deny"),
    }
    changes = 0
    for n, kind in enumerate(calls):
        before = world.memory.sessions and world.state().stage
        asked = world.memory.sessions and world.state().asked_one_in
        told = [f for f in world.feed(made[kind](n)).findings if f.kind is Kind.DRIFT]
        changed = world.state().stage is not (before or Stage.CLEAR)
        again = before is Stage.REVOKED and bool(told)
        assert len(told) == (changed or again)
        if again:  # only on new grounds: a rule that no finding named yet, or ten times the evidence
            named = {b.name for f in world.told(Kind.DRIFT)[:-1] for b in f.breaches}
            assert {b.name for b in told[0].breaches} - named or told[0].evidence.one_in >= 10 * asked
        changes += changed or again
    assert world.state().transition == changes == len(world.told(Kind.DRIFT))


def test_a_refused_wish_is_made_again_on_new_grounds_and_after_a_while(new_world, body) -> None:
    world = new_world(ladder=NO_EVIDENCE)
    earlier = {**EXPIRED, "time": "2026-05-12T16:20:00Z"}
    world.feed(body(1, **earlier))
    world.feed(body(2, **earlier))  # nothing new: silence
    assert [f.transition for f in world.told(Kind.DRIFT)] == [1]
    world.feed(body(3, **earlier, action__tool="crm.write"))  # another rule is broken
    assert [f.transition for f in world.told(Kind.DRIFT)] == [1, 2]
    world.feed(body(4, **EXPIRED))  # half an hour later
    assert [f.transition for f in world.told(Kind.DRIFT)] == [1, 2, 3]


def test_after_a_lapse_the_next_act_asks_again(world, body) -> None:
    world.feed(body(1, **EXPIRED))
    world.hear(HumanWord.REVOKED)
    world.hear(HumanWord.LAPSED)
    assert (world.state().revoked_at, world.state().pardoned) == (None, ())
    world.feed(body(2, **EXPIRED))
    assert [(f.transition, f.wanted) for f in world.told(Kind.DRIFT)] == [(1, Effect.REVOKE), (2, Effect.REVOKE)]


def test_after_a_lapse_what_was_never_flagged_is_flagged_for_what_comes(world, body) -> None:
    world.feed(body(1, **EXPIRED))
    world.hear(HumanWord.REVOKED)
    world.hear(HumanWord.LAPSED)
    assert world.state().stage is Stage.CLEAR
    world.feed(body(2, action__tool="crm.write"))
    assert [(f.transition, f.wanted) for f in world.told(Kind.DRIFT)] == [(1, Effect.REVOKE), (2, Effect.FLAG)]


def test_the_next_session_of_a_revoked_name_was_never_flagged() -> None:
    state = SessionState(stage=Stage.FLAGGED, transition=1)
    state = afresh(hear(state, HumanWord.REVOKED, datetime(2026, 5, 12, tzinfo=UTC), lasting=()))
    assert state.stage is Stage.REVOKED
    assert hear(state, HumanWord.LAPSED, datetime(2026, 5, 13, tzinfo=UTC), lasting=()).stage is Stage.CLEAR


def test_denied_attempts_press_but_are_no_hard_breach(world, body) -> None:
    world.feed(body(1, action__tool="crm.write", decision__effect="deny"))
    assert world.told(Kind.DRIFT) == []
    assert world.told(Kind.GATEWAY) == []
    (breach,) = world.scored[0].drift.breaches
    assert (breach.name, breach.hard) == ("tool_not_allowed", False)
    assert world.scored[0].drift.score > 0.6


def test_the_baseline_that_was_used_is_named_in_the_finding(new_world, body) -> None:
    world = new_world()
    purpose = body()["envelope"]["purpose"]
    fact = BaselineFact("base-7", 500, {"contracts.read": 500}, {"": {"contracts.read": 500}}, (1,), (50,) * 24)
    world.memory = Memory(baselines={PurposeKey("acme", purpose): fact})
    world.feed(body(1, **EXPIRED))
    assert world.told(Kind.DRIFT)[0].versions == {"model": "lexical-1", "baseline": "base-7"}
    assert not next(s for s in world.scored[0].drift.signals if s.name == "purpose_baseline").silent


def test_further_denials_of_a_revoked_session_add_no_evidence(world, drifting, now) -> None:
    world.feed(*[drifting(n) for n in range(3)])
    world.hear(HumanWord.REVOKED, at=now)
    before, told = world.state(), dict(world.findings)
    world.feed(*[drifting(n, decision__effect="deny") for n in range(3, 30)])
    after = world.state()
    assert (after.evidence, after.signals, after.stage) == (before.evidence, before.signals, Stage.REVOKED)
    assert (after.actions, world.findings) == (30, told)
    assert {verdict.drift.step for verdict in world.scored[3:]} == {0.0}


def test_allowed_calls_of_a_revoked_session_do_add_evidence(world, drifting, now) -> None:
    world.feed(drifting(1))
    world.hear(HumanWord.REVOKED, at=now)
    before = world.state().evidence
    world.feed(drifting(2))
    assert world.state().evidence.m > before.m


@pytest.mark.parametrize("ahead", [0, 240])
@pytest.mark.parametrize(
    ("seconds", "effect", "told"), [(10, "allow", 0), (30, "allow", 0), (31, "allow", 1), (3600, "deny", 0)]
)
def test_a_call_allowed_after_revocation_is_the_gateways_fault(
    world, body, now, later, seconds: int, effect: str, told: int, ahead: int
) -> None:
    """Whatever the gateway's clock says: ours shows `now`."""
    world.feed(body(0))
    world.hear(HumanWord.REVOKED, at=now - timedelta(seconds=seconds))
    world.feed(*[body(n, time=later(ahead), decision__effect=effect) for n in (1, 2)])
    found = world.told(Kind.GATEWAY)
    assert len(found) == told
    assert all((f.severity, f.session_id, f.wanted) == ("critical", "s1", Effect.FLAG) for f in found)
    assert all(f.title == "Gateway gw let a revoked session act" for f in found)


@pytest.mark.parametrize(("days", "severity"), [(-3, "medium"), (3, "critical")])
def test_a_call_that_came_days_late_may_have_been_let_through_before_the_revocation(
    world, body, now, later, days: int, severity: str
) -> None:
    world.feed(body(0))
    world.hear(HumanWord.REVOKED, at=now - timedelta(hours=1))
    world.feed(body(1, time=later(days * 86_400)))
    (found,) = world.told(Kind.GATEWAY)
    not_when = "logs calls of a revoked session, not when it let them through"
    said = not_when if severity == "medium" else "let a revoked session act"
    assert (found.severity, found.title) == (severity, f"Gateway gw {said}")
    assert found.ignores_revocation


@pytest.mark.parametrize("word", [HumanWord.REINSTATED, HumanWord.FALSE_POSITIVE])
def test_a_human_no_restarts_evidence_in_a_new_epoch(new_world, drifting, word: HumanWord) -> None:
    world = new_world(ladder=WIDE)
    call = partial(drifting, envelope__resource_constraints={"max_records": 100})
    world.feed(*[call(n) for n in range(25)])
    world.hear(word)
    assert (world.state().epoch, world.state().evidence, world.state().stage) == (1, Gathered(), Stage.CLEAR)
    world.feed(call(30))
    assert world.state().stage is Stage.CLEAR
    world.feed(*[call(n) for n in range(31, 50)])
    told = [(f.epoch, f.transition, f.wanted) for f in world.told(Kind.DRIFT)]
    assert told == [(0, 1, Effect.FLAG), (0, 2, Effect.REVOKE), (1, 1, Effect.FLAG), (1, 2, Effect.REVOKE)]


def test_a_pardoned_rule_no_longer_accuses_but_another_still_does(new_world, body) -> None:
    world = new_world(ladder=NO_EVIDENCE)
    world.feed(body(1, **EXPIRED))
    world.hear(HumanWord.FALSE_POSITIVE)
    world.feed(body(2, **EXPIRED))
    assert (world.state().stage, list(map(rule_of, world.state().pardoned))) == (Stage.CLEAR, ["envelope_expired"])
    world.feed(body(3, **EXPIRED, action__tool="crm.write"))
    assert [(f.epoch, f.wanted) for f in world.told(Kind.DRIFT)] == [(0, Effect.REVOKE), (1, Effect.FLAG)]


def test_what_people_confirm_after_all_accuses_again_at_the_next_act(new_world, body) -> None:
    world = new_world(ladder=NO_EVIDENCE)
    world.feed(body(1, **EXPIRED))
    for word in (HumanWord.FALSE_POSITIVE, HumanWord.CONFIRMED):
        world.hear(word, detail=f"fnd_1 {told_of(world)}")
    world.feed(body(2, **EXPIRED))
    assert [(f.epoch, f.wanted) for f in world.told(Kind.DRIFT)] == [(0, Effect.REVOKE), (1, Effect.REVOKE)]
    assert [b.name for b in world.told(Kind.DRIFT)[-1].breaches] == ["envelope_expired"]


def test_who_waves_a_doubt_through_has_not_waved_through_the_fact_of_the_same_name(new_world, body) -> None:
    """The agent chooses which comes first, and with which tool."""
    world = new_world(ladder=NO_EVIDENCE)
    doubt, fact = ({"action__arguments": {"tenant_id": name}} for name in ("42", "tenant_globex"))
    for number, call in enumerate((doubt, fact)):
        world.feed(body(2 * number, **call))
        world.hear(HumanWord.FALSE_POSITIVE)
        world.feed(body(2 * number + 1, **doubt))
        assert world.state().stage is Stage.CLEAR
    world.feed(body(9, **fact))
    assert list(map(rule_of, world.state().pardoned)) == ["tenant_mismatch?", "tenant_mismatch"]
    assert [(f.epoch, f.wanted) for f in world.told(Kind.DRIFT)] == [(0, Effect.FLAG), (1, Effect.REVOKE)]
    assert [f.severity for f in world.told(Kind.GATEWAY)] == ["low", "medium"]


def naming(**arguments: object) -> dict[str, object]:
    limits = {"contract_ids": ["c_1"], "denied_regions": ["cn"], "max_bytes": 500, "max_cost": 500, "min_days": 10}
    limits |= {"data_classes": ["terms"], "max_records": 25}
    classes = {"action__data_classes": ["terms"], "envelope__resource_constraints": limits}
    return {"action__arguments": arguments, "action__resource": None, **classes}


@pytest.mark.parametrize(
    ("accepted", "same", "others"),
    [
        (
            naming(contract_id="c_2"),
            [naming(contract_id=" c_2"), naming(contractIds=["c_1", "c_2"])],
            [naming(contract_id="c_3"), naming(contract_ids=["c_2", "c_9"]), naming(region="cn")],
        ),
        (naming(region="CN"), [naming(region="cn")], [naming(region="cn, cn-north")]),
        (
            naming(contract_ids=["c_2", "c_9"]),
            [naming(contract_ids=["c_9", "c_2"]), naming(contract_ids=["c_9"])],
            [naming(contract_ids=["c_2", "c_9", "c_3"])],
        ),
        (naming(cost=505), [naming(cost=505), naming(cost="502")], [naming(cost=990_000)]),
        (naming(days=8), [naming(days=9)], [naming(days=7), naming(cost=501)]),
        (
            naming() | {"result": {"status": "ok", "records": 30}},
            [naming() | {"result": {"status": "ok", "records": 27}}],
            [naming(cost=501)],
        ),
        (
            {"action__tool": "docs.search"},
            [{"action__tool": "docs.search", "envelope__allowed_tools": ["crm.read", "contracts.read"]}],
            [{"action__tool": "vault.read"}],
        ),
        (
            naming() | {"action__data_classes": ["payroll", "health"]},
            [naming() | {"action__data_classes": ["Health"]}],
            [naming() | {"action__data_classes": ["payroll", "salaries"]}],
        ),
        (
            {"action__arguments": {"tenant_id": "tenant_globex"}},
            [{"action__arguments": {"tenant_id": name}} for name in ("Tenant_Globex", "globex", "tenant-globex")],
            [
                {"action__arguments": {"tenant_id": "tenant_initech"}},
                {"action__arguments": {"tenant_ids": ["tenant_globex", "tenant_initech"]}},
            ],
        ),
        (
            naming(token="ghp_" + "a1B2c3D4e5F6" * 3),
            [naming(note=["use", "ghp_" + "b1B2c3D4e5F6" * 3])],
            [naming(token="npm_" + "c" * 36)],
        ),
        (
            {"action__arguments": {"session_id": "s2"}},
            [{"action__arguments": {"session_id": "s2"}}],
            [{"action__arguments": {"session_id": "s3"}}],
        ),
    ],
)
def test_who_accepts_one_thing_outside_the_envelope_has_not_accepted_another(
    new_world, body, accepted, same, others
) -> None:
    """And is not asked about it again, in whatever order or spelling it comes."""
    for other in others:
        world = new_world(ladder=NO_EVIDENCE)
        world.feed(body(0, **accepted))
        world.hear(HumanWord.REINSTATED, detail=f"{world.told(Kind.DRIFT)[0].id} {told_of(world)}")
        world.feed(*[body(n, **call) for n, call in enumerate(same, 1)])
        assert world.state().stage is Stage.CLEAR
        world.feed(body(8, **other), body(9, **other))
        assert [f.epoch for f in world.told(Kind.DRIFT)] == [0, 1]


def below(**child: object) -> dict[str, object]:
    """A call of a child of s1 that narrows it but for these fields of its envelope."""
    fields = {"allowed_tools": ["contracts.read"], "expires_at": "2026-05-12T18:00:00Z", **child}
    narrow = {"session_id": "child", "parent_session_id": "s1", "purpose": "review contract", **fields}
    return {f"envelope__{name}": value for name, value in narrow.items()}


def again(**envelope: object) -> dict[str, object]:
    return {f"envelope__{name}": value for name, value in envelope.items()}


MANY = {f"k{n}": n for n in range(2_100)}
READS = ["contracts.read", "crm.read"]
BOUND = {"contract_ids": ["contract_7781"], "max_records": 25}


@pytest.mark.parametrize(
    ("accepted", "same", "other"),
    [
        (
            again(allowed_tools=[*READS, "a"]),
            again(allowed_tools=["a", *READS]),
            again(allowed_tools=[*READS, "b"]),
        ),
        (again(allowed_tools=[]), again(allowed_tools=[]), again(allowed_tools=[*READS, "vault.read"])),
        (again(purpose="pay"), again(purpose="Pay!"), again(purpose="pay everybody")),
        (again(delegator_id="ann"), again(delegator_id="user:Ann"), again(delegator_id="bob")),
        (below(parent_session_id="p"), below(parent_session_id="p"), below(parent_session_id="q")),
        (
            again(resource_constraints={**BOUND, "contract_ids": ["contract_7781", "c_2"]}),
            again(resource_constraints={**BOUND, "contract_ids": ["c_2", "contract_7781"]}),
            again(resource_constraints={**BOUND, "contract_ids": ["contract_7781", "c_3"]}),
        ),
        (
            again(resource_constraints={**BOUND, "max_records": 50}),
            again(resource_constraints={**BOUND, "max_records": 40}),
            again(resource_constraints={**BOUND, "max_records": 51}),
        ),
        (
            again(resource_constraints={"contract_ids": ["contract_7781"]}),
            again(resource_constraints={**BOUND, "max_records": 10**9}),
            again(resource_constraints={"max_records": 25}),
        ),
        (below(allowed_tools=["a", "b"]), below(allowed_tools=["b"]), below(allowed_tools=["b", "c"])),
        (below(delegator_id="ann"), below(delegator_id="Ann"), below(delegator_id="bob")),
        (
            below(expires_at="2026-05-12T19:30:00Z"),
            below(expires_at="2026-05-12T19:00:00Z"),
            below(expires_at="2026-05-12T20:00:00Z"),
        ),
        (below(expires_at=None), below(expires_at="2027-05-12T19:00:00Z"), below(delegator_id="bob")),
        (below(purpose=""), below(purpose=""), below(purpose="do whatever is needed")),
        (
            EXPIRED,
            {"envelope__expires_at": "2026-05-12T18:00:00+02:00"},
            {"envelope__expires_at": "2026-04-12T16:00:00Z"},
        ),
        (
            {"action__arguments": MANY},
            {"action__arguments": dict(reversed(MANY.items()))},
            {"action__arguments": {**MANY, "contract_id": "c_9"}},
        ),
    ],
)  # fmt: skip
def test_who_accepts_one_envelope_has_not_accepted_every_later_one(new_world, body, accepted, same, other) -> None:
    """Of a rule that would be silent from then on, the agent could have anything granted."""
    world, session = new_world(ladder=NO_EVIDENCE), "child" if "envelope__session_id" in accepted else "s1"
    world.feed(body(0), body(8, **below()), body(1, **accepted))
    world.hear(HumanWord.REINSTATED, session=session, detail=told_of(world))
    world.feed(body(2, **same))
    assert world.state(session).stage is Stage.CLEAR
    world.feed(body(3, **other), body(4, **other))
    assert [(f.session_id, f.epoch) for f in world.told(Kind.DRIFT)] == [(session, 0), (session, 1)]


def test_a_session_that_was_renewed_once_may_be_renewed_again(new_world, body) -> None:
    world = new_world(ladder=NO_EVIDENCE)
    world.feed(body(0), body(1, **again(expires_at="2026-05-12T19:30:00Z")))
    world.hear(HumanWord.FALSE_POSITIVE)
    world.feed(body(2, **again(expires_at="2026-05-12T20:30:00Z")))
    assert [f.epoch for f in world.told(Kind.DRIFT)] == [0]


def test_a_doubt_beside_a_fact_that_people_accepted_is_told_as_a_doubt(new_world, body) -> None:
    world = new_world(ladder=NO_EVIDENCE)
    for n, tenants in enumerate((["tenant_globex"], ["tenant_globex", "4711"], ["4711", "tenant_globex"])):
        world.feed(body(n, action__arguments={"tenant_ids": tenants}))
        world.hear(HumanWord.REINSTATED)
    assert [(f.wanted, [b.hard for b in f.breaches]) for f in world.told(Kind.DRIFT)] == [
        (Effect.REVOKE, [True]),
        (Effect.FLAG, [False]),
    ]


def test_values_that_break_one_rule_are_one_finding_until_people_speak(new_world, body) -> None:
    world = new_world(ladder=NO_EVIDENCE)
    for round_ in range(3):
        for n in range(100 * round_, 100 * round_ + 50):
            tenant = {"tenant_id": f"tenant_{n}"} if round_ else {}
            world.feed(body(n, **naming(contract_id=f"d_{n}", **tenant), action__records=0, result=None))
        assert [f.epoch for f in world.told(Kind.DRIFT)] == list(range(round_ + 1))
        world.hear(HumanWord.FALSE_POSITIVE)
    assert {f.breaches[0].name for f in world.told(Kind.GATEWAY)} == {
        "resource_outside_constraints",
        "tenant_mismatch",
    }


def test_a_sum_that_people_accepted_is_told_again_once_it_has_doubled(new_world, body) -> None:
    world = new_world(ladder=NO_EVIDENCE)
    heard = []
    for n in range(1, 21):
        paid = naming(bytes=100) | {"envelope__allowed_tools": [], "action__tool": "payments.send"}
        world.feed(body(n, **paid))
        if world.state().stage is not Stage.CLEAR:
            heard.append(100 * n)
            world.hear(HumanWord.FALSE_POSITIVE)
    assert heard == [600, 1_300]


@pytest.mark.parametrize("ahead", [0, 240])
def test_a_rule_that_is_broken_while_peoples_word_is_on_its_way_is_not_pardoned(
    world, body, later, now, ahead
) -> None:
    """Whatever the gateway's clock says: ours shows `now`."""
    world.feed(body(1, time=later(ahead), **EXPIRED))
    world.hear(HumanWord.REINSTATED, at=now - timedelta(seconds=1))
    world.feed(body(2, time=later(ahead + 1), **EXPIRED))
    assert [f.epoch for f in world.told(Kind.DRIFT)] == [0, 1]
    world.hear(HumanWord.REINSTATED, at=now + timedelta(seconds=1))
    assert list(map(rule_of, world.state().pardoned)) == ["envelope_expired"]


@pytest.mark.parametrize(("knew", "epochs"), [(None, [0]), ("-", [0, 1]), ("", [0])])
def test_a_rule_of_which_people_had_not_been_told_when_they_spoke_is_not_pardoned(
    world, body, knew: str | None, epochs: list[int]
) -> None:
    """The finding waits still to be delivered; a control of an older version does not say what people knew."""
    world.feed(body(1, **EXPIRED))
    world.hear(HumanWord.REINSTATED, detail=told_of(world) if knew is None else knew)
    world.feed(body(2, **EXPIRED))
    assert [f.epoch for f in world.told(Kind.DRIFT)] == epochs


def test_a_finding_tells_what_its_ladder_wants_for_each_broken_rule(new_world, body) -> None:
    world = new_world(ladder=Ladder(flag_one_in=1, revoke_one_in=1))
    world.feed(body(0, action__tool="crm.write", **EXPIRED))
    (found,) = world.told(Kind.DRIFT)
    assert {b.name: (b.wanted, b.revokes) for b in found.breaches} == {
        "envelope_expired": (Effect.REVOKE, True),
        "tool_not_allowed": (Effect.FLAG, False),
    }


def test_a_condition_that_people_accepted_bears_no_evidence(world, body) -> None:
    world.feed(body(0), body(1, **EXPIRED))
    world.hear(HumanWord.FALSE_POSITIVE)
    world.feed(body(2, **EXPIRED))
    first, _, after = world.scored
    assert after.drift.e_value == pytest.approx(first.drift.e_value)


def test_each_revocation_that_a_gateway_ignores_is_told_once(world, body, now) -> None:
    for round_ in range(2):
        world.feed(body(10 * round_))
        world.hear(HumanWord.REVOKED, at=now - timedelta(minutes=5 + round_))
        world.feed(body(10 * round_ + 1))
        world.hear(HumanWord.REINSTATED)
    assert len(world.told(Kind.GATEWAY)) == 2
