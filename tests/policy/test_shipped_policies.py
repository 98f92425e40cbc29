"""Every shipped policy, in both directions."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from guardian.errors import PolicyError
from guardian.policy.cases import read_cases, run_cases
from guardian.policy.cedar import CedarPolicies
from guardian.policy.files import PolicyFiles
from guardian.policy.port import Asker, BudgetFacts, EvidenceFacts, PolicyAction, PolicyRequest, SessionFacts
from guardian.wire.principal import ROLES

FOLDER = Path(__file__).parents[2] / "config" / "policies"
EXAMPLES = FOLDER.parent / "examples" / "policies"
SHIPPED = CedarPolicies.from_files(PolicyFiles.read(FOLDER))
CASES = read_cases((FOLDER / "cases.yaml").read_text(), FOLDER)
AUTO_REVOKE = PolicyRequest(
    asker=Asker("monitor-1", "monitor", frozenset({"acme"})),
    action="revoke",
    tenant_id="acme",
    session=SessionFacts("sess_1"),
    mode="enforce",
    evidence=EvidenceFacts(one_in=50_000, session_evidence_milli=5000, independent_signals=2),
    budget=BudgetFacts(total=10, reserved=3),
)


def test_every_case_is_decided_as_promised_and_by_whom():
    results = run_cases(SHIPPED, CASES)
    assert len(results) == len(CASES) > 0
    assert [result for result in results if not result.passed] == []


def test_every_policy_has_a_comment_and_a_sentence_of_why():
    for file in (*FOLDER.glob("*.cedar"), *EXAMPLES.glob("*.cedar")):
        lines = file.read_text().splitlines()
        for number, line in enumerate(lines):
            if line.startswith("@id("):
                assert lines[number - 1].startswith("// "), line
                assert lines[number + 1].startswith("@why("), line


def test_an_error_in_any_policy_is_a_denial():
    condition = "context.budget.used + 9223372036854775807 > 0"
    overflow = f'@id("breaks") forbid (principal, action, resource) when {{ {condition} }};'
    broken = CedarPolicies(SHIPPED.policies + overflow, SHIPPED.schema)
    spent = replace(AUTO_REVOKE, budget=BudgetFacts(total=10, reserved=3, used=1, used_general=1))
    decision = broken.decide(spent)
    assert not decision.allowed
    assert decision.errors
    assert SHIPPED.decide(spent).allowed


def test_a_request_that_does_not_fit_the_schema_is_a_denial():
    decision = SHIPPED.decide(replace(AUTO_REVOKE, session=None))
    assert not decision.allowed
    assert decision.errors


def test_an_unknown_mode_means_hands_off():
    for mode in ("", "ENFORCE", "enforce ", "trial"):
        assert not SHIPPED.decide(replace(AUTO_REVOKE, mode=mode, in_canary=True)).allowed


def test_a_role_that_does_not_exist_is_refused_before_it_forbids_nobody():
    policy = '@id("typo") forbid (principal in Guardian::Role::"{}", action, resource);'
    for role in ROLES:
        CedarPolicies(SHIPPED.policies + policy.format(role), SHIPPED.schema)
    with pytest.raises(PolicyError, match=r"'typo' does not fit the schema: .*`\"responders\"` is not declared"):
        CedarPolicies(SHIPPED.policies + policy.format("responders"), SHIPPED.schema)


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ('context.mode == "enforced"', "mode is never 'enforced', but one of canary, enforce, shadow"),
        ('"Shadow" != context["mode"]', "mode is never 'Shadow'"),
        ('context has target && context.target == "setmode"', "target is never 'setmode'"),
        ('context has target && !["revoke", "setmode"].contains(context.target)', "target is never 'setmode'"),
        ('context has whom && (context.whom.kind == "agnet" || context.solo)', "kind is never 'agnet'"),
        ('if context.mode == "canary" then context.mode == "on" else true', "mode is never 'on'"),
        ('context.mode == (if context.solo then "on" else "shadow")', "mode is never 'on'"),
        ('(if context.solo then "shadow" else context.mode) == "on"', "mode is never 'on'"),
        (
            'principal == Guardian::Role::"monitor"',
            'principal is never Guardian::Role::"monitor", but a Guardian::Actor',
        ),
        ('Guardian::Role::"monitor" != principal', 'principal is never Guardian::Role::"monitor"'),
        (
            'principal == (if context.solo then Guardian::Actor::"ann" else Guardian::Tenant::"acme")',
            'principal is never Guardian::Tenant::"acme"',
        ),
        ('principal in Guardian::Tenant::"acme"', 'principal is never Guardian::Tenant::"acme"'),
        (
            "resource is Guardian::Session && resource has delegator &&"
            ' resource.delegator == Guardian::Role::"admin"',
            'delegator is never Guardian::Role::"admin"',
        ),
    ],
)
def test_a_word_that_a_fact_never_is_is_refused_before_the_policy_asks_for_it_in_vain(condition, told):
    approving = 'forbid (principal, action == Guardian::Action::"approve", resource)'
    policy = f'@id("typo") {approving} when {{ {condition} }};'
    with pytest.raises(PolicyError, match=f"policy 'typo' asks for what cannot be: {told}"):
        CedarPolicies(SHIPPED.policies + policy, SHIPPED.schema)


def test_any_other_text_may_be_compared_with_a_fact_however_long_the_condition():
    condition = " && ".join(['resource.purpose != "enforced"', 'context.mode != "shadow"'] * 200)
    condition += ' && principal != Guardian::Actor::"ann" && !(principal in [Guardian::Role::"admin"])'
    flagging = 'forbid (principal, action == Guardian::Action::"flag", resource)'
    policy = f'@id("long") {flagging} when {{ {condition} && context.mode != resource.purpose }};'
    assert "long" in CedarPolicies(SHIPPED.policies + policy, SHIPPED.schema).policy_ids


def test_an_unknown_role_may_do_nothing():
    for action in get_args(PolicyAction):
        stranger = replace(AUTO_REVOKE, asker=Asker("x", "owner", frozenset({"*"})), action=action)
        assert not SHIPPED.decide(stranger).allowed


def test_a_name_that_is_not_text_is_a_denial_that_says_so():
    half = "\ud800"
    decision = SHIPPED.decide(replace(AUTO_REVOKE, session=SessionFacts(half)))
    assert not decision.allowed
    assert decision.errors


def test_the_examples_are_sound_beside_the_shipped_policies_and_keep_their_promises(tmp_path):
    for file in (*FOLDER.glob("*.cedar*"), *EXAMPLES.iterdir()):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    both = CedarPolicies.from_files(PolicyFiles.read(tmp_path))
    cases = read_cases((tmp_path / "cases.yaml").read_text(), tmp_path)
    assert {each.complaint for each in run_cases(both, cases)} == {""}
    assert both.policy_ids - SHIPPED.policy_ids == {
        name for case in cases if case.expect == "deny" for name in case.decided_by
    }


def test_absurd_numbers_neither_crash_nor_permit():
    for number in (10**30, -(10**30)):
        evidence = EvidenceFacts(one_in=number, session_evidence_milli=number, independent_signals=number)
        decision = SHIPPED.decide(replace(AUTO_REVOKE, evidence=evidence))
        assert decision.allowed is (number > 0)
        budget = BudgetFacts(total=10, reserved=3, used=number, used_general=number)
        assert SHIPPED.decide(replace(AUTO_REVOKE, budget=budget)).errors == ()
        budget = BudgetFacts(total=number, reserved=-number)  # their difference is the largest sum there is
        assert SHIPPED.decide(replace(AUTO_REVOKE, budget=budget)).errors == ()


@pytest.mark.parametrize("name", ['a"b', "a\\b", 'x"; permit(principal,action,resource);', "ü\n", "\u202e"])
def test_hostile_names_are_names_and_nothing_else(name):
    asked = replace(
        AUTO_REVOKE, tenant_id=name, asker=Asker(name, "monitor", frozenset({name})), session=SessionFacts(name)
    )
    assert SHIPPED.decide(asked).allowed
    assert not SHIPPED.decide(replace(asked, asker=Asker(name, "gateway", frozenset({name})))).allowed
    assert not SHIPPED.decide(replace(asked, asker=Asker(name, "monitor", frozenset({"acme"})))).allowed


def test_two_tenants_may_use_the_same_session_id():
    asked = replace(AUTO_REVOKE, tenant_id="globex")
    assert not SHIPPED.decide(asked).allowed


def test_answers_are_remembered_within_bounds_and_stay_what_they_were(monkeypatch):
    monkeypatch.setattr("guardian.policy.cedar._REMEMBERED", 4)
    policies = CedarPolicies.from_files(PolicyFiles.read(FOLDER))
    asked = [
        PolicyRequest(Asker(f"p{n}", "analyst", frozenset({"acme"})), "read", f"acme{'' if n % 2 else n}")
        for n in range(11)
    ]
    answers = [[policies.decide(each) for each in asked] for _ in range(2)]
    assert answers[0] == answers[1]
    assert [each.allowed for each in answers[0]] == [bool(n % 2) for n in range(11)]
    assert len(policies._known) <= 4


@pytest.mark.parametrize("fact", ["denies:", "delegated:", "whom?:"])
def test_a_schema_that_does_not_know_what_guardian_tells_is_refused_at_the_start_by_its_file(tmp_path, fact):
    older = "\n".join(line for line in SHIPPED.schema.splitlines() if fact not in line)
    assert older != SHIPPED.schema
    (tmp_path / "mine.cedarschema").write_text(older)
    (tmp_path / "all.cedar").write_text('@id("all") permit (principal, action, resource);')
    with pytest.raises(
        PolicyError, match=r"mine\.cedarschema is not this version's.*; take guardian\.cedarschema"
    ):
        CedarPolicies.from_files(PolicyFiles.read(tmp_path))


@pytest.mark.parametrize(
    ("policies", "named", "left"),
    [
        (SHIPPED.policies, get_args(PolicyAction), ()),
        ("permit (principal, action, resource);", get_args(PolicyAction), ()),
        (
            "permit (principal, action, resource is Guardian::Tenant) when { context.solo };",
            ("flag", "setMode"),
            (),
        ),
        ('permit (principal, action == Guardian::Action::"read", resource);', ("read",), ("readChanges", "flag")),
        (
            'permit (principal, action in Guardian::Action::"onSession", resource) when { context.act.own };',
            ("flag", "permitCall", "snooze"),
            ("setMode", "revokeSubject", "read"),
        ),
        ("forbid (principal, action, resource);", (), get_args(PolicyAction)),
    ],
)
def test_what_no_permit_is_about_nobody_may(policies, named, left):
    asked = policies if policies == SHIPPED.policies else f'@id("one") {policies}'
    nobody_may = CedarPolicies(asked, SHIPPED.schema).nobody_may()
    assert not {*named} & {*nobody_may}
    assert {*left} <= {*nobody_may}
