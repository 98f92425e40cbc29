"""What a policy engine answers is what the neutral restriction says, for calls and restrictions of every kind."""

import importlib.util
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cedar_forbids import forbidden_by
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.bootstrap.plugins import make, names
from guardian.domain.past import envelope_values, flat_arguments
from guardian.domain.restriction import Scope
from guardian.domain.rules import (
    RULES,
    ArgumentAtMost,
    ArgumentIn,
    ArgumentLike,
    ForbidDataClass,
    ForbidTool,
    MaxLifetime,
    MaxRecords,
    OnlyHours,
    PinArgument,
)
from guardian.errors import ConfigurationError
from guardian.gateway.facts import scope_facts
from guardian.policy.cedar_text import forbid_problems
from guardian.tightening.alike import alike
from guardian.tightening.backtest import Backtest
from guardian.tightening.cedar import FACTS, POLICIES, SCHEMA, CedarForbids
from guardian.tightening.envelope import EnvelopePatches, merged, widens
from guardian.tightening.folder import write_folder
from guardian.tightening.grants import Grant
from guardian.tightening.polar import FILE, PolarDenials, PolarEvaluator
from guardian.tightening.proposal import Proposal
from guardian.tightening.rego import RULES_FILE, RegoDenials, RegoEvaluator
from guardian.tightening.surface import Surface

START = datetime(2026, 2, 2, 9, tzinfo=UTC)
NASTY = [
    'a"b',
    "a\\b",
    "a*b",
    "naïve ✓",
    "x\n}; permit(principal,action,resource);",
    "${x}",
    "\u202e",
    "a'b",
    "{{x}}",
    "a\tb",
]
TOOLS = ["contracts.read", "mail.send", *NASTY[:5]]
VALUES = ["eu", "us", "contract_1", "contract_22", "7", "", *NASTY]
texts = st.sampled_from(VALUES)
tools = st.sampled_from(TOOLS)
required = st.booleans()
classes = st.sampled_from(["terms", "prices", *NASTY[:3]])
few = st.lists(texts, min_size=1, max_size=3, unique=True).map(tuple)
needs_oso = pytest.mark.skipif(importlib.util.find_spec("oso") is None, reason="oso is not installed here")

rules = st.one_of(
    st.builds(ForbidTool, tools, st.sampled_from([(), ("agent_review-1",), ("agent_review-2", 'x"y')])),
    st.builds(ForbidDataClass, st.sampled_from(["terms", "prices", *NASTY[:3]])),
    st.builds(MaxRecords, st.integers(0, 40)),
    st.builds(OnlyHours, st.sets(st.integers(0, 23), min_size=1).map(lambda hours: tuple(sorted(hours)))),
    st.builds(MaxLifetime, st.integers(1, 7200)),
    st.builds(PinArgument, tools, st.just("contract"), required, st.sampled_from(["contract_ids", "region"])),
    st.builds(ArgumentIn, tools, st.just("region"), required, few),
    st.builds(ArgumentIn, tools, st.just("dry_run"), required, st.sampled_from([(True,), (False,)])),
    st.builds(ArgumentAtMost, tools, st.just("limit"), required, st.integers(0, 50)),
    st.builds(
        ArgumentLike, tools, st.just("where.path"), required, st.sampled_from(["contract_", "a*", 'a"', ""]),
        st.sampled_from(["", "2", "b", "✓"]),
    ),
)  # fmt: skip
arguments = st.fixed_dictionaries(
    {},
    optional={
        "contract": texts, "region": texts, "dry_run": st.booleans(), "limit": st.integers(-5, 60),
        "where": st.fixed_dictionaries({}, optional={"path": texts}), "where.path": texts,
    },
)  # fmt: skip
numbers = st.integers(-5, 60) | st.sampled_from([-0.5, 12.0, 12.5, 1e300])
wrapped = st.fixed_dictionaries(
    {},
    optional={
        name: st.one_of(texts, numbers, st.lists(texts, max_size=2), st.none(), st.booleans())
        for name in ("contract", "region", "limit", "dry_run")
    },
)
constraints = st.fixed_dictionaries(
    {}, optional={"contract_ids": st.lists(texts, max_size=3), "region": texts, "n": st.just(7)}
)


@st.composite
def asked(draw, arguments=arguments):
    """The facts of one call, about half of them in the restriction's scope."""
    return {
        "tool": draw(tools), "arguments": draw(arguments), "constraints": draw(constraints),
        "records": draw(st.none() | st.integers(0, 60)),
        "data_classes": draw(st.none() | st.frozensets(classes, max_size=2)),
        "at": START + timedelta(hours=draw(st.integers(0, 23))), "age_s": draw(st.integers(0, 9000)),
        "agent_id": draw(st.sampled_from(["agent_review-1", "agent_review-2", None])),
        "purpose": draw(st.sampled_from(["review contracts", "review contracts", "pay"])),
        "parent_role": draw(st.sampled_from(["", "", "boss"])),
    }  # fmt: skip


def proposal(*restrictions, grants=None):
    return Proposal(
        tenant_id="acme",
        since=START,
        until=START,
        made_at=START,
        restrictions=restrictions,
        grants=grants or {},
        backtest=Backtest(),
        surface=Surface(),
    )


def facts(placed):
    """The call as a policy decision point is asked about it: the request context of every rendered policy, in
    which what is not known is absent."""
    call = placed.call
    told = {
        "tenant": call.tenant_id,
        "purpose": call.purpose,
        "role": call.role,
        "parent_role": placed.parent_role,
        "agent_id": call.agent_id or "",
        "tool": call.tool_spelt or call.tool,
        "hour": call.at.astimezone(UTC).hour,
        "session_age_s": placed.age_s,
        "arguments": flat_arguments(call.arguments or {}),
        "envelope": envelope_values(call.constraints),
    }
    if call.data_classes is not None:
        told["data_classes"] = sorted(call.data_classes)
    if call.records is not None:
        told["records"] = call.records
    return told


def agrees(found, restriction, call):
    """The engine refuses what the restriction refuses; where the log says too little, it may do either."""
    told = restriction.denies(call)
    if told is None:
        return set(found) <= {restriction.id}
    return found == ([restriction.id] if told else [])


cedar = CedarForbids(forbid_problems)


@settings(max_examples=250, deadline=None)
@given(rules, asked())
def test_cedar_agrees_and_fits_the_generated_schema(placed, restricted, rule, told):
    restriction, call = restricted(rule), placed(**told)
    files = cedar.files(proposal(restriction))
    assert cedar.check(proposal(restriction), files) == []
    assert agrees(forbidden_by(files[POLICIES], facts(call)), restriction, call)


def held(value):
    """What a gateway sends to Cedar, as the README says."""
    whole = isinstance(value, int) and -(2**63) <= value < 2**63
    return value if whole or isinstance(value, str) else "[number]"


@settings(max_examples=250, deadline=None)
@given(rules, asked(wrapped), st.sampled_from([12.5, 2**63, -(2**63) - 1]))
def test_no_number_that_cedar_cannot_hold_slips_by(placed, restricted, rule, told, number):
    restriction, call = restricted(rule), placed(**told | {"arguments": told["arguments"] | {"other": number}})
    files = cedar.files(proposal(restriction))
    policies = files[POLICIES]
    assert '"[number]"' in files[SCHEMA], "as it says"
    with pytest.raises(ValueError, match="request"):
        forbidden_by(policies, facts(call))
    sent = facts(call)
    sent["arguments"] = {name: held(value) for name, value in sent["arguments"].items()}
    try:
        found = forbidden_by(policies, sent)
    except ValueError as error:
        if "request" in str(error):
            raise
        found = [restriction.id]  # an error of a policy is a refusal
    assert agrees(found, restriction, call)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(rules, min_size=1, max_size=4, unique_by=lambda rule: (rule.kind, rule.subject)),
    st.lists(asked(), min_size=3, max_size=3),
)
def test_rego_agrees(placed, restricted, many, several):
    restrictions = [restricted(rule) for rule in many]
    files = RegoDenials().files(proposal(*restrictions))
    engine = RegoEvaluator(files)
    for told in several:
        call = placed(**told)
        found = engine.denied_by(facts(call))
        assert all(agrees([id_ for id_ in found if id_ == r.id], r, call) for r in restrictions)


@settings(max_examples=60, deadline=None)
@given(rules, asked(wrapped))
def test_rego_lets_no_value_slip_by_in_another_wrapping(placed, restricted, rule, told):
    restriction, call = restricted(rule), placed(**told)
    files = RegoDenials().files(proposal(restriction))
    assert agrees(RegoEvaluator(files).denied_by(facts(call)), restriction, call)


@pytest.mark.parametrize("fact", ["tenant", "purpose", "role", "parent_role", "tool", "session_age_s"])
def test_in_rego_a_fact_that_a_gateway_does_not_send_may_be_any(placed, restricted, fact):
    """No rule would match, and everything pass."""
    cut, short = restricted(ForbidTool("mail.send")), restricted(MaxLifetime(60))
    below = restricted(ForbidTool("mail.send"), Scope("acme", "review contracts", "agent_review", "boss"))
    paid = restricted(ForbidTool("pay.out"), Scope("acme", "pay", "agent_pay", ""))
    engine = RegoEvaluator(RegoDenials().files(proposal(cut, short, below, paid)))
    whole = facts(placed(tool="mail.send", age_s=3600))
    assert engine.denied_by(whole) == sorted([cut.id, short.id])
    also = {"parent_role": [below.id], "tool": []}.get(fact, [])
    without = {name: value for name, value in whole.items() if name != fact}
    for told in (without, whole | {fact: None}):
        assert engine.denied_by(told) == sorted([cut.id, short.id, *also])
    assert engine.denied_by(whole | {"tool": "contracts.read", "session_age_s": 1, "parent_role": None}) == []


@pytest.mark.parametrize("required", [True, False])
def test_in_rego_arguments_that_a_gateway_does_not_send_may_be_any(placed, restricted, required):
    rule = restricted(ArgumentIn("mail.send", "to", required, ("ann",)))
    engine = RegoEvaluator(RegoDenials().files(proposal(rule)))
    whole = facts(placed(tool="mail.send", arguments={"to": "ann"}))
    assert engine.denied_by(whole) == []
    without = {name: value for name, value in whole.items() if name != "arguments"}
    for told in (without, whole | {"arguments": None}):
        assert engine.denied_by(told) == [rule.id]
        assert engine.denied_by(told | {"tool": "contracts.read"}) == []
    assert engine.denied_by(whole | {"arguments": {}}) == ([rule.id] if required else [])


def test_by_names_as_an_envelope_has_them_each_language_says_who_makes_the_facts(placed, restricted):
    made = proposal(restricted(ForbidTool("mail.send")))
    for files in (RegoDenials().files(made), PolarDenials().files(made), cedar.files(made)):
        assert any("guardian/gateway/facts.py" in text for text in files.values())
    call = facts(placed(tool="mail.send"))
    asked = {"purpose": "Review contracts 7781", "agent": "agent_review-07"}
    engine = RegoEvaluator(RegoDenials().files(made))
    assert engine.denied_by(call | {"purpose": asked["purpose"], "role": asked["agent"]}) == []
    assert engine.denied_by(call | scope_facts(**asked)) == [made.restrictions[0].id]


@pytest.mark.parametrize("text", NASTY)
def test_names_that_agents_chose_cannot_break_out_of_a_policy(placed, restricted, text):
    restriction = restricted(ForbidTool(text), Scope(text, text, text, text))
    inside = placed(tenant_id=text, purpose=text, role=text, parent_role=text, tool=text)
    outside = placed(tenant_id="other", purpose=text, role=text, parent_role=text, tool=text)
    made = proposal(restriction)
    engines = [RegoEvaluator(RegoDenials().files(made)).denied_by]
    engines.append(lambda told: forbidden_by(cedar.files(made)[POLICIES], told))
    assert cedar.check(made, cedar.files(made)) == []
    if importlib.util.find_spec("oso") is not None:
        engines.append(PolarEvaluator(PolarDenials().files(made)).denied_by)
    for denied_by in engines:
        assert denied_by(facts(inside)) == [restriction.id]
        assert denied_by(facts(outside)) == []


@needs_oso
@settings(max_examples=150, deadline=None)
@given(rules, asked(wrapped) | asked())
def test_polar_agrees(placed, restricted, rule, told):
    restriction, call = restricted(rule), placed(**told)
    files = PolarDenials().files(proposal(restriction))
    assert PolarDenials().check(proposal(restriction), files) == []
    assert agrees(PolarEvaluator(files).denied_by(facts(call)), restriction, call)


@pytest.mark.parametrize(("path", "fits"), [("acme-eu-west", False), ("acme-eu--eu-west", True)])
def test_beginning_and_end_of_a_form_never_overlap(placed, restricted, path, fits):
    one = restricted(ArgumentLike("contracts.read", "path", True, "acme-eu-", "-eu-west"))
    made, call = proposal(one), placed(arguments={"path": path})
    refused = [] if fits else [one.id]
    assert one.denies(call) is not fits
    assert forbidden_by(cedar.files(made)[POLICIES], facts(call)) == refused
    assert RegoEvaluator(RegoDenials().files(made)).denied_by(facts(call)) == refused
    [polar] = PolarDenials().files(made).values()
    assert "value.__len__() >= 16" in polar  # also where no oso is installed to ask
    if importlib.util.find_spec("oso") is not None:
        assert PolarEvaluator(PolarDenials().files(made)).denied_by(facts(call)) == refused


def test_in_cedar_a_value_in_another_wrapping_is_an_error_or_a_denial_and_never_passes(placed, restricted):
    files = cedar.files(proposal(restricted(ArgumentAtMost("contracts.read", "limit", False, 5))))
    for value in ("9", ["9"], True):
        with pytest.raises(ValueError, match="rst_"):
            forbidden_by(files[POLICIES], facts(placed(arguments={"limit": value})))


@pytest.mark.parametrize(
    ("value", "passes"),
    [(12, True), (0, True), (-3, True), (31, False), (12.5, False), (12.0, False), (True, False)],
)
def test_only_a_whole_number_is_at_most_a_limit_to_each_engine(placed, restricted, value, passes):
    one = restricted(ArgumentAtMost("contracts.read", "limit", False, 30))
    made, call = proposal(one), placed(arguments={"limit": value})
    refused = [] if passes else [one.id]
    assert one.denies(call) is not passes
    assert RegoEvaluator(RegoDenials().files(made)).denied_by(facts(call)) == refused
    [polar] = PolarDenials().files(made).values()
    assert "not value matches Boolean" in polar  # also where no oso is installed to ask
    if importlib.util.find_spec("oso") is not None:
        assert PolarEvaluator(PolarDenials().files(made)).denied_by(facts(call)) == refused


def test_an_argument_may_be_a_number_in_one_tool_and_text_in_another(placed, restricted):
    number, text = (
        restricted(ArgumentAtMost("a", "id", True, 5)),
        restricted(ArgumentLike("b", "id", True, "c_", "")),
    )
    made = proposal(number, restricted(ForbidTool("z")), text)
    files = cedar.files(made)
    assert cedar.check(made, files) == []
    both = "\n".join(body for name, body in files.items() if name.endswith(".cedar"))
    for tool, value, denied in [("a", 3, []), ("a", 9, [number.id]), ("b", "c_1", []), ("b", "x", [text.id])]:
        assert forbidden_by(both, facts(placed(tool=tool, arguments={"id": value}))) == denied
    one = CedarForbids(forbid_problems, schema=files[SCHEMA]).files(made)
    assert list(one) == [POLICIES, SCHEMA]


def test_requests_that_are_cut_down_as_the_schema_says_pass_its_validation(placed, restricted):
    hostile = 'b"]\n}; permit (principal, action, resource);'
    made = proposal(
        restricted(ArgumentAtMost("a", "id", True, 5)),
        restricted(PinArgument("b", "contract", True, "contract_ids")),
        restricted(ArgumentIn(hostile, "x\ny", False, ("eu",))),
    )
    files = cedar.files(made)
    assert cedar.check(made, files) == []
    head = [line.removeprefix("//   ") for line in files[SCHEMA].splitlines() if line.startswith('//   "')]
    listed = json.loads("{" + ",".join(head) + "}")
    assert listed == {"a": ["id"], "b": ["contract"], hostile: ["x\ny"]}
    for tool, told in [
        ("a", {"id": 3, "note": "x"}),
        ("b", {"id": "abc", "contract": "c1"}),
        ("c", {"id": "abc", "contract": 7}),
    ]:
        asked = facts(placed(tool=tool, arguments=told, constraints={"contract_ids": ["c1"], "region": "eu"}))
        with pytest.raises(ValueError, match="request"):
            forbidden_by(files[POLICIES], asked, files[SCHEMA])
        asked["arguments"] = {name: value for name, value in told.items() if name in listed.get(tool, ())}
        asked["envelope"] = {"contract_ids": asked["envelope"]["contract_ids"]}
        assert forbidden_by(files[POLICIES], asked, files[SCHEMA]) == []


def test_a_permit_among_the_policies_is_called_out():
    permit = '@id("x") permit (principal, action, resource);'
    assert next(iter(forbid_problems(permit, "entity A;"))).text.startswith("is not a forbid")


def test_what_does_not_fit_the_users_schema_is_named_by_its_id(restricted):
    one = restricted(ForbidTool("mail.send"))
    context = "principal: [Agent], resource: [Tool], context: {tenant: String}"
    schema = f"entity Agent; entity Tool; action call appliesTo {{{context}}};"
    mine = CedarForbids(forbid_problems, schema=schema)
    [first, *_] = mine.check(proposal(one), mine.files(proposal(one)))
    assert first.startswith(one.id)
    assert "purpose" in " ".join(mine.check(proposal(one), mine.files(proposal(one))))


@pytest.mark.parametrize(
    "beyond", [ArgumentAtMost("a", "id", True, 2**63), ArgumentIn("a", "id", True, (2**63,)), MaxRecords(2**63)]
)
def test_one_number_beyond_cedars_is_left_out_by_name_and_costs_no_other(restricted, beyond):
    kept, out = restricted(ForbidTool("mail.send")), restricted(beyond)
    files = cedar.files(proposal(kept, out))
    assert files == cedar.files(proposal(kept))
    assert cedar.check(proposal(kept, out), files) == [
        f"{out.id}: is left out: its number is larger than Cedar's integers"
    ]
    assert cedar.check(proposal(out), cedar.files(proposal(out)))[0].startswith(out.id)
    largest = proposal(restricted(MaxRecords(2**63 - 1)))
    assert cedar.check(largest, cedar.files(largest)) == []


def test_facts_may_lie_elsewhere_in_the_users_requests(restricted):
    mine = CedarForbids(forbid_problems, facts={"tool": "resource.name"}, action='Gate::Action::"invoke"')
    policy = mine.policy(restricted(ForbidTool("mail.send")), ("mail.send",))
    assert 'resource.name == "mail.send"' in policy
    assert 'action == Gate::Action::"invoke"' in policy


def test_a_fact_that_no_policy_asks_about_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"'toool'.* agent_id, arguments, .*, tool"):
        make("tightening", "cedar", {"facts": {"toool": "resource.name"}}, check_cedar=forbid_problems)


def test_policies_ask_about_every_fact_and_no_other(restricted):
    mine = CedarForbids(forbid_problems, facts={fact: f"context.moved.{fact}" for fact in FACTS})
    asked = {ForbidTool("t", ("a-1",)), ForbidDataClass("x"), MaxRecords(1), OnlyHours((1,)), MaxLifetime(9),
             PinArgument("t", "x", True, "ids")}  # fmt: skip
    text = "".join(mine.policy(restricted(rule), ("t",)) for rule in asked)
    assert {*re.findall(r"context\.moved\.(\w+)", text)} == FACTS
    assert "context" not in text.replace("context.moved", "")


@pytest.mark.parametrize("make", [lambda: cedar, RegoDenials, PolarDenials, EnvelopePatches])
def test_an_empty_proposal_renders_to_nothing(make):
    backend = make()
    assert backend.files(proposal()) == {}
    assert backend.check(proposal(), {}) == []


@pytest.mark.parametrize("make", [lambda: cedar, RegoDenials, pytest.param(PolarDenials, marks=needs_oso)])
def test_files_that_lack_a_restriction_are_called_out(make, restricted):
    backend, one, two = make(), restricted(ForbidTool("a")), restricted(ForbidTool("b"))
    files = {**backend.files(proposal(one)), SCHEMA: cedar.files(proposal(one))[SCHEMA]}
    assert any(two.id in problem for problem in backend.check(proposal(one, two), files))


def test_every_policy_language_of_the_folder_is_held_to_this_file():
    assert set(names("tightening")) == {"cedar", "envelope", "polar", "rego"}


def test_the_files_of_a_language_that_is_added_are_held_to_the_proposal_too(tmp_path, restricted):
    class Added:
        def files(self, told):
            return {f"spicedb/{each.id}.txt": "deny" for each in told.restrictions}

    told = proposal(restricted(ForbidTool("a")))
    ((name, text),) = Added().files(told).items()
    (tmp_path / "spicedb").mkdir()
    (tmp_path / name).write_text(text)
    (tmp_path / "review").mkdir()
    (tmp_path / "review" / "notes.md").write_text("looks good")
    alike(tmp_path, told, {"spicedb": Added()})
    (tmp_path / name).write_text("allow")
    with pytest.raises(ConfigurationError, match="allow"):
        alike(tmp_path, told, {"spicedb": Added()})


@pytest.mark.parametrize("name", ["own.rego", "data.json", "data.yaml"])
def test_a_policy_or_data_beside_the_report_is_no_part_of_the_proposal(tmp_path, restricted, name):
    (tmp_path / "proposal.json").write_text("{}")
    alike(tmp_path, proposal(restricted(ForbidTool("a"))), {})
    (tmp_path / name).write_text("allow := true")
    with pytest.raises(ConfigurationError, match=re.escape(name)):
        alike(tmp_path, proposal(restricted(ForbidTool("a"))), {})


@pytest.mark.parametrize("make", [lambda: cedar, RegoDenials, PolarDenials])
def test_no_file_in_a_languages_folder_makes_another_proposal_of_it(tmp_path, restricted, make):
    language, told = make(), proposal(restricted(ForbidTool("a")))
    name, text = next(iter(language.files(told).items()))
    folder = name.split("/")[0]
    write_folder(tmp_path, {"proposal.json": "{}", **language.files(told)})
    alike(tmp_path, told, {folder: language})
    (tmp_path / folder / "proposal.json").write_text("")
    alike(tmp_path, told, {folder: language})
    (tmp_path / name).write_text(text + "everything is permitted")
    with pytest.raises(ConfigurationError, match=re.escape(name)):
        alike(tmp_path, told, {folder: language})


def test_what_an_earlier_build_wrote_and_nobody_edited_is_the_proposals_still(tmp_path, restricted):
    """Its Rego asked for each fact by `==`; the head of its Polar said less."""
    languages = {"rego": RegoDenials(), "polar": PolarDenials()}
    told = proposal(restricted(ForbidTool("a")))
    files = {name: text for each in languages.values() for name, text in each.files(told).items()}
    earlier = (Path(__file__).parent / "earlier.rego").read_text(encoding="utf-8")
    headless = files[FILE][files[FILE].index('guardian_denies("') :]
    write_folder(tmp_path, files | {RULES_FILE: earlier, FILE: headless})
    alike(tmp_path, told, languages)
    (tmp_path / RULES_FILE).write_text(earlier.replace("input.role ==", "input.role !="))
    with pytest.raises(ConfigurationError, match=re.escape(RULES_FILE)):
        alike(tmp_path, told, languages)


@pytest.mark.parametrize("mark", ["#", "//"])
def test_a_rule_that_is_commented_out_is_none(tmp_path, restricted, mark):
    told = proposal(restricted(ForbidTool("a")), restricted(ForbidTool("b")))
    rules = PolarDenials().files(told)[FILE].replace('guardian_denies("', f'{mark} guardian_denies("')
    write_folder(tmp_path, {FILE: rules})
    with pytest.raises(ConfigurationError, match=re.escape(FILE)):
        alike(tmp_path, told, {"polar": PolarDenials()})


def test_every_kind_of_rule_is_drawn_here():
    drawn = {"forbid_tool", "forbid_data_class", "max_records", "only_hours", "max_lifetime",
             "pin_argument", "argument_in", "argument_at_most", "argument_like"}  # fmt: skip
    assert drawn == set(RULES)


grants = st.builds(
    Grant,
    st.sets(tools).map(lambda names: tuple(sorted(names))),
    st.none() | st.sets(st.sampled_from(["terms", "prices", "names"])).map(lambda names: tuple(sorted(names))),
    st.none() | st.integers(0, 100),
    st.booleans(),
)


@given(grants, st.lists(rules, max_size=6))
def test_a_patched_template_never_holds_more_than_the_template(restricted, grant, many):
    patch = EnvelopePatches().patch(grant, [restricted(rule) for rule in many])
    assert not widens(grant, patch)
    before = {"allowed_tools": list(grant.tools), "expires_at": "x"}
    after = merged(before, patch)
    assert set(after["allowed_tools"]) <= set(grant.tools)
    assert after["expires_at"] == "x"
    assert set(after) <= {*before, "resource_constraints"}
    assert json.loads(json.dumps(patch)) == patch


def test_a_patch_that_would_widen_is_seen():
    grant = Grant(("a",), ("terms",), 10)
    assert widens(grant, {"allowed_tools": ["a", "b"]})
    assert widens(grant, {"allowed_tools": []})
    assert widens(grant, {"resource_constraints": {"data_classes": ["terms", "x"]}})
    assert widens(grant, {"resource_constraints": {"max_records": None}})
    assert not widens(grant, {"resource_constraints": {"max_records": 9}})
    assert widens(Grant(("a",), None, None, True), {"resource_constraints": {"max_records": 9}})


@pytest.mark.parametrize("told", [6, 6.0, "6", 6.9, "many", [6], True])
def test_a_patch_never_raises_a_limit_however_it_is_written(call, restricted, told):
    grant = Grant.of(call(constraints={"max_records": told}))
    assert EnvelopePatches().patch(grant, [restricted(MaxRecords(8))]) == {}
    lower = EnvelopePatches().patch(grant, [restricted(MaxRecords(5))])
    assert lower == ({} if grant.records_unread else {"resource_constraints": {"max_records": 5}})
    assert grant.records_unread == (told in ("many", [6]) or told is True)


NAMES = ["mcp__crm__read", "crm/read", *NASTY]


@settings(max_examples=60, deadline=None)
@given(rules, asked(), st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True), st.booleans())
def test_engines_decide_by_every_name_that_the_log_has_for_the_tool_and_by_no_other(
    placed, restricted, rule, told, own, known
):
    tool = getattr(rule, "tool", "contracts.read")
    restriction = restricted(rule)
    made = replace(proposal(restriction), spelt={tool: tuple(own)})
    spelt = own[0] if known else "another name"
    call = placed(**told | {"tool": tool if known else "another tool", "tool_spelt": spelt})
    files = cedar.files(made) | RegoDenials().files(made) | PolarDenials().files(made)
    assert [*cedar.check(made, files), *RegoDenials().check(made, files)] == []
    assert agrees(forbidden_by(files[POLICIES], facts(call)), restriction, call)
    assert agrees(RegoEvaluator(files).denied_by(facts(call)), restriction, call)
    if importlib.util.find_spec("oso") is not None:
        assert agrees(PolarEvaluator(files).denied_by(facts(call)), restriction, call)


def test_what_requests_are_cut_down_to_is_listed_by_every_name_of_the_tool(restricted):
    one = restricted(ArgumentAtMost("crm.read", "limit", True, 5))
    made = replace(proposal(one), spelt={"crm.read": ("crm/read", "mcp__crm__read")})
    text = cedar.files(made)[SCHEMA]
    assert '//   "crm/read": ["limit"]\n//   "mcp__crm__read": ["limit"]\n' in text
    assert "crm.read" not in text


def test_a_patch_speaks_the_names_of_its_own_template(restricted):
    one = restricted(ForbidTool("crm.export"))
    tools = ("crm.export", "crm.list", "crm.read")
    mixed = (("crm/export", "crm.export"), ("crm/list", "crm.list"), ("crm/read", "crm.read"))
    both = (*mixed, ("mcp__crm__export", "crm.export"), ("mcp__crm__read", "crm.read"))
    found = (Grant(tools, None, 9, spelt=both), Grant(tools, None, None, spelt=mixed), Grant(tools, None, None))
    made = replace(proposal(one, grants={one.scope: found}), renamed=("crm.list", "crm.read"))
    files = EnvelopePatches().files(made)
    assert [json.loads(text)["allowed_tools"] for _, text in sorted(files.items(), key=lambda pair: pair[0])] == [
        ["crm/list", "crm/read"], ["crm.list", "crm.read"], ["crm/list", "crm/read", "mcp__crm__read"],
    ]  # fmt: skip
    [told] = EnvelopePatches().check(made, files)
    assert "allowed_tools uses guardian's names (crm.list)" in told
    assert widens(found[1], {"allowed_tools": ["crm.list"]})
    assert not widens(found[1], {"allowed_tools": ["crm/list"]})


def test_a_list_of_tools_in_guardians_names_is_not_to_be_merged_unseen(restricted):
    one = restricted(ForbidTool("crm.export"))
    grants = {one.scope: (Grant(("crm.export", "crm.read"), None, None),)}
    ours = replace(proposal(one, grants=grants), renamed=("crm.export", "crm.read"))
    check = EnvelopePatches().check
    [told] = check(ours, EnvelopePatches().files(ours))
    assert "allowed_tools uses guardian's names (crm.read)" in told
    assert check(replace(ours, renamed=("crm.export",)), EnvelopePatches().files(ours)) == []
    untouched = replace(ours, restrictions=(restricted(MaxRecords(9)),))
    assert check(untouched, EnvelopePatches().files(untouched)) == []


def test_a_list_of_data_classes_is_never_rewritten_with_a_hash_in_it(restricted):
    grant = Grant(("a",), ("prices", f"hash:{7:016x}"), None)
    assert EnvelopePatches().patch(grant, [restricted(ForbidDataClass("prices"))]) == {}


def test_merge_patch_follows_rfc_7396():
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": None, "e": 4}, "d": [1]}) == {
        "a": {"c": 2, "e": 4},
        "d": [1],
    }
    assert merged("x", {"a": {"b": None}}) == {"a": {}}


def test_each_template_in_force_gets_its_own_patch(restricted):
    scope = Scope("acme", "review contracts", "agent_review", "")
    grants = {scope: (Grant(("a", "mail.send"), ("terms",), 500), Grant(("mail.send",), None, None))}
    files = EnvelopePatches().files(
        proposal(restricted(ForbidTool("mail.send")), restricted(MaxRecords(50)), grants=grants)
    )
    first, second = sorted(files, key=len)
    assert json.loads(files[first]) == {"allowed_tools": ["a"], "resource_constraints": {"max_records": 50}}
    assert json.loads(files[second]) == {"resource_constraints": {"max_records": 50}}  # no list were no limit
    edited = {**files, first: '{"allowed_tools": ["a", "z"]}\n'}
    assert EnvelopePatches().check(
        proposal(restricted(ForbidTool("mail.send")), restricted(MaxRecords(50)), grants=grants), edited
    )
