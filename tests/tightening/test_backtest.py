import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.archive.reader import Archive
from guardian.archive.rows import pack
from guardian.archive.schema import EVENTS
from guardian.archive.writer import write_events
from guardian.bench.estate_archive import row_of
from guardian.commands.proposals import verify_proposal
from guardian.config import Settings
from guardian.domain.identity import SessionKey
from guardian.domain.restriction import Scope
from guardian.domain.rules import ForbidDataClass, ForbidTool, MaxLifetime, MaxRecords
from guardian.tightening.backtest import Backtest, NewPolicy, Unheld, backtest
from guardian.tightening.envelope import patched_tools
from guardian.tightening.folder import write_folder
from guardian.tightening.grants import Grant
from guardian.tightening.proposal import Proposal
from guardian.tightening.proposal_json import as_json
from guardian.tightening.sessions import Places
from guardian.tightening.surface import Surface
from guardian.tightening.trust import Trust
from guardian.tightening.verifying import verify

START = datetime(2026, 2, 2, 9, tzinfo=UTC)
SCOPE = Scope("acme", "review contracts", "agent_review", "")


def proposal_of(restrictions, grants=None):
    return Proposal(
        tenant_id="acme", since=START, until=START, made_at=START, restrictions=restrictions, grants=grants or {},
        backtest=backtest([], [], Trust()), surface=Surface(),
    )  # fmt: skip


def test_only_changes_are_reported_and_each_by_the_restriction_that_makes_it(call, restricted):
    tool, most = restricted(ForbidTool("mail.send")), restricted(MaxRecords(5))
    calls = [
        call(session_id="a", records=3),
        call(session_id="a", tool="mail.send", records=9, decision_id="d2"),
        call(session_id="b", tool="mail.send", decision_id="d3"),
        call(session_id="c", tool="mail.send", allowed=False),
        call(session_id="d", records=None),
        call(session_id="e", role="other", tool="mail.send"),
    ]
    changes = []
    trust = Trust(frozenset({SessionKey("acme", "b")}), unusual=frozenset({SessionKey("acme", "a")}))
    found = backtest(calls, [tool, most], trust, on_change=changes.append)
    assert (found.replayed, found.honest, found.honest_denied, found.honest_sessions_denied) == (6, 3, 1, 1)
    assert (found.unusual_denied, found.already_denied, found.unknown, found.newly_allowed) == (1, 1, 1, 0)
    assert (found.flagged, found.flagged_denied, found.flagged_sessions, found.flagged_stopped) == (1, 1, 1, 1)
    assert found.by_restriction == {tool.id: 1, most.id: 1}
    assert found.stopped_by == {tool.id: 1}
    assert [(c.placed.call.decision_id, len(c.restrictions), c.honest) for c in changes] == [
        ("d2", 2, True), ("d3", 1, False),
    ]  # fmt: skip
    assert changes[0].as_json()["tool"] == "mail.send"
    assert found.cost == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("honest", "denied", "unknown", "alike", "over"),
    [
        (1000, 1, 0, 0, False),
        (1000, 2, 0, 0, True),
        (1000, 1, 1, 0, True),
        (1000, 1, 0, 1, True),
        (1000, 0, 1, 0, False),
        (0, 0, 0, 0, True),
    ],
)
def test_what_may_be_denied_is_held_against_a_budget_and_so_is_that_nobody_knows(
    honest, denied, unknown, alike, over
):
    found = Backtest(replayed=2000, honest=honest, honest_denied=denied, unknown=unknown, refused_alike=alike)
    assert found.over(0.001) is over
    assert found.over(1.0) is (honest == 0)


def test_what_honest_work_was_refused_once_the_proposal_may_be_merged_is_no_proof_that_it_costs_nothing(
    call, restricted
):
    merged, sent, other = (
        START + timedelta(hours=1),
        restricted(ForbidTool("mail.send")),
        restricted(MaxRecords(5)),
    )
    lost = {"session_id": "lost", "parent_session_id": "nowhere"}
    edge = restricted(ForbidTool("mail.send"), Scope("acme", "review contracts", "agent_review", "boss"))
    calls = [
        call(session_id=name, at=START + timedelta(hours=hours), allowed=False, **facts)
        for name, hours, facts in [
            ("before", 0, {"tool": "mail.send"}),
            ("merged", 1, {"tool": "mail.send"}),
            ("flagged", 2, {"tool": "mail.send"}),
            ("otherwise", 3, {"tool": "files.read"}),
            ("records", 4, {"records": 9}),
        ]
    ]
    calls.append(call(at=START + timedelta(hours=5), allowed=False, tool="mail.send", **lost))
    trust = Trust(frozenset({SessionKey("acme", "flagged")}))
    found = backtest(calls, [sent, other, edge], trust, merged=merged)
    assert (found.already_denied, found.refused_alike) == (6, 3)
    assert backtest(calls, [sent, other, edge], trust).refused_alike == 0, "of the calls that it was made from"


def test_a_patch_that_would_hand_out_more_is_counted_as_newly_allowed(call, restricted):
    other = restricted(ForbidTool("mail.send"))
    refused = call(tool="payments.send", allowed=False, allowed_tools=("contracts.read",))
    held = {(SCOPE, ("contracts.read",)): frozenset({"contracts.read", "payments.send"})}
    assert backtest([refused], [other], Trust(), patched=held).newly_allowed == 1
    ours = patched_tools({SCOPE: (Grant(("contracts.read",), None, None),)}, [])
    assert backtest([refused], [other], Trust(), patched=ours).newly_allowed == 0


def test_a_patch_that_takes_a_wildcard_away_costs_what_was_called_under_it(call, restricted):
    grant = Grant(("contracts.*", "mail.send"), None, None)
    taken = restricted(ForbidTool("contracts.*"))
    calls = [call(tool=tool, allowed_tools=grant.tools) for tool in ("contracts.read", "mail.send", "beyond")]
    found = backtest(calls, [taken], Trust(), patched=patched_tools({SCOPE: (grant,)}, [taken]))
    assert (found.honest, found.honest_denied, found.by_restriction) == (3, 1, {taken.id: 1})


def test_what_a_wildcard_allowed_before_is_not_newly_allowed(call, restricted):
    refused = call(tool="contracts.read", allowed=False, allowed_tools=("contracts.*", "mail.send"))
    held = {(SCOPE, refused.allowed_tools): frozenset({"contracts.*"})}
    assert backtest([refused], [restricted(ForbidTool("mail.send"))], Trust(), patched=held).newly_allowed == 0


def test_a_list_of_tools_that_becomes_empty_allows_everything(call, restricted):
    refused = call(tool="payments.send", allowed=False, allowed_tools=("mail.send",))
    held = {(SCOPE, ("mail.send",)): frozenset()}
    assert backtest([refused], [restricted(ForbidTool("mail.send"))], Trust(), patched=held).newly_allowed == 1


def spending(call, *records, **more):
    return [call(decision_id=f"d{n}", records=taken, **more) for n, taken in enumerate(records)]


def test_an_envelopes_limit_on_records_is_one_for_the_session_and_the_backtest_says_what_that_costs(
    call, restricted
):
    most = restricted(MaxRecords(100))
    patched = patched_tools({SCOPE: (Grant(("contracts.read", "mail.send"), None, 5000),)}, [most])
    long = spending(call, 50, 50, 1, 0, None, 90, constraints={"max_records": 5000})
    found = backtest(long, [most], Trust(), patched=patched)
    assert (found.honest, found.honest_denied, found.by_restriction) == (6, 2, {most.id: 2})
    assert backtest(long, [most], Trust()).honest_denied == 0  # a policy engine sees one call
    apart = [each._replace(session_id=each.decision_id) for each in long]
    assert backtest(apart, [most], Trust(), patched=patched).honest_denied == 0


@pytest.mark.parametrize("told", [{"max_records": "many"}, {"max_records": 60}])
def test_a_template_whose_limit_the_patch_leaves_alone_costs_nothing(call, restricted, told):
    most = restricted(MaxRecords(100))
    patched = {(SCOPE, ("contracts.read", "mail.send")): frozenset({"contracts.read", "mail.send"})}
    assert (
        backtest(spending(call, 50, 50, 50, constraints=told), [most], Trust(), patched=patched).honest_denied == 0
    )


@pytest.mark.parametrize(
    ("listed", "denied"), [(["Renewal Terms", "pii"], 1), (["pii"], 0), (["renewal_terms", "pii"], 0), (None, 0)]
)
def test_a_class_that_a_template_loses_costs_what_touched_it_in_another_spelling(call, restricted, listed, denied):
    """The envelope refuses it in each; a policy only in the one that it names."""
    lost = restricted(ForbidDataClass("Renewal Terms"))
    told = [call(data_classes=frozenset({"renewal_terms"}), constraints={"data_classes": listed})]
    patched = {(SCOPE, ("contracts.read", "mail.send")): frozenset({"contracts.read", "mail.send"})}
    assert backtest(told, [lost], Trust(), patched=patched).honest_denied == denied
    assert backtest(told, [lost], Trust()).honest_denied == 0
    unsaid = backtest([call(data_classes=None)], [lost], Trust(), patched=patched)
    assert (unsaid.honest_denied, unsaid.unknown) == (0, 1)


@pytest.mark.parametrize(
    ("grant", "other", "beyond"),
    [
        (Grant(("a",), ("x",), 5), Grant(("a", "b"), ("x", "y"), 5), ()),
        (Grant(("a",), ("x",), 6), Grant((), None, None), ()),
        (Grant((), None, None), Grant(("a",), ("x",), 5), ("*", "max_records without a number")),
        (Grant(("a",), None, 6), Grant(("a",), None, 5), ("max_records 6",)),
        (Grant(("a",), None, 6), Grant(("a",), None, None, True), ("max_records 6",)),
        (Grant(("a",), None, None, True), Grant(("a",), None, None, True), ()),
        (Grant(("a",), None, None, spelt=(("A", "a"), ("B", "a"))), Grant(("a",), None, None, spelt=(("A", "a"),)),
         ("B",)),
    ],
)  # fmt: skip
def test_a_grant_holds_more_than_another_in_any_part(grant, other, beyond):
    assert grant.beyond(other) == beyond


def test_a_grant_that_was_edited_names_what_the_nearest_envelope_lacked(call, restricted):
    grants = (Grant(("contracts.read", "mail.send"), None, None), Grant(("admin.wipe", "mail.send"), None, None))
    unheld = Unheld({SCOPE: grants, Scope("acme", "pay", "agent_pay"): grants[:1]})
    told = [call(allowed_tools=("a",)), call(), call(allowed_tools=("a",)), call(role="another")]
    backtest(told, [restricted(ForbidTool("mail.send"))], Trust(), on_placed=unheld.note)
    assert [list(found.items()) for found in unheld.lacking.values()] == [
        [(grants[1], ("admin.wipe",))], [(grants[0], None)],
    ]  # fmt: skip


def test_what_was_refused_has_taken_nothing(call, restricted):
    places = Places()
    calls = [
        call(records=7),
        call(records=90, allowed=False),
        call(records=-5),
        call(records=None),
        call(records=2),
    ]
    assert [each.taken for each in places.place(calls)] == [0, 7, 7, 7, 7]


def test_of_an_empty_archive_nobody_knows_the_cost():
    assert backtest([], [], Trust()).cost is None


def test_progress_is_told_on_the_way_and_at_the_end(call):
    told = []
    backtest([call(decision_id=f"d{n}") for n in range(20_001)], [], Trust(), progress=told.append)
    assert told == [20_000, 20_001]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.booleans()), max_size=40))
def test_looking_only_at_the_restrictions_of_a_scope_changes_no_answer(placed, restricted, drawn):
    many = [
        restricted(ForbidTool("a")),
        restricted(MaxRecords(7)),
        restricted(ForbidTool("b"), Scope("x", "y", "z")),
    ]
    policy = NewPolicy(many)
    for tool, records, known in drawn:
        one = placed(tool=tool, records=records if known else None)
        refused, unknown = policy.judge(one)
        assert set(refused) == {r for r in many if r.denies(one)}
        assert unknown == any(r.denies(one) is None for r in many)


def test_a_session_has_an_age_and_a_parent_by_role(call):
    places = Places()
    calls = [
        call(session_id="p", role="boss"),
        call(session_id="c", parent_session_id="p", at=START + timedelta(minutes=1)),
        call(session_id="c", parent_session_id="p", at=START + timedelta(minutes=5)),
        call(session_id="x", parent_session_id="nowhere"),
        call(session_id="own", parent_session_id="own"),
    ]
    assert [(each.parent_role, each.age_s) for each in places.place(calls)] == [
        ("", 0), ("boss", 0), ("boss", 240), ("?", 0), ("?", 0),
    ]  # fmt: skip


def test_a_parent_that_comes_after_its_child_is_known_from_then_on(call):
    places = Places()
    calls = [
        call(session_id="c", parent_session_id="p"),
        call(session_id="p", parent_session_id="top", role="boss"),
        call(session_id="c", parent_session_id="p", at=START + timedelta(minutes=5)),
        call(session_id="top", role="chief"),
    ]
    assert [(each.parent_role, each.age_s) for each in places.place(calls)] == [
        ("?", 0), ("?", 0), ("boss", 300), ("", 0),
    ]  # fmt: skip
    assert places.scope(SessionKey("acme", "p")) == Scope("acme", "review contracts", "boss", "chief")


EDGES = [Scope("acme", "review contracts", "agent_review", boss) for boss in ("boss", "clerk")]


def test_a_call_whose_parent_nobody_knows_is_no_safe_one_where_some_edge_of_its_role_refuses_it(call, restricted):
    sent, other = (restricted(rule, EDGES[0]) for rule in (ForbidTool("mail.send"), ForbidTool("x")))
    most = restricted(MaxRecords(5), EDGES[1])
    lost = {"parent_session_id": "nowhere"}
    calls = [
        call(session_id="a", tool="mail.send", **lost),
        call(session_id="a", **lost),
        call(session_id="b", records=6, **lost),
        call(session_id="c", tool="mail.send", allowed=False, **lost),
        call(session_id="d", tool="mail.send", **lost),
        call(session_id="e", tool="mail.send", role="another", **lost),
        call(session_id="f", tool="mail.send"),
    ]
    found = backtest(calls, [sent, other, most], Trust(frozenset({SessionKey("acme", "d")})))
    assert (found.honest, found.honest_denied, found.unknown) == (3, 0, 2)
    assert found.over(0.5)
    assert not backtest(calls[1:2], [sent, other, most], Trust()).over(0.0), "no edge refuses it"


def test_a_patch_of_an_edge_is_held_against_calls_whose_parent_nobody_knows(call, restricted):
    taken = restricted(ForbidTool("contracts.*"), EDGES[0])
    grant = Grant(("contracts.*", "mail.send"), None, None)
    one = call(allowed_tools=grant.tools, parent_session_id="nowhere")
    patched = patched_tools({EDGES[0]: (grant,)}, [taken])
    unheld = Unheld({EDGES[0]: (grant,)})
    found = backtest([one], [taken], Trust(), patched=patched, on_placed=unheld.note)
    assert (found.honest, found.honest_denied, found.unknown) == (1, 0, 1)
    assert unheld.lacking == {EDGES[0]: {}}, "it may be the one that held it"


def test_after_a_merge_a_refused_call_whose_parent_nobody_knows_is_told(call, restricted):
    proposal = proposal_of((restricted(ForbidTool("mail.send"), EDGES[0]),))
    lost = {"parent_session_id": "p", "allowed": False}
    calls = [
        call(session_id="a", tool="mail.send", **lost),
        call(session_id="b", **lost),
        call(session_id="d", tool="mail.send", **lost),
        call(session_id="p", role="boss", agent_id="boss"),
        call(session_id="a", tool="mail.send", **lost),
    ]
    found = verify(calls, proposal, Trust(frozenset({SessionKey("acme", "d")})), since=START)
    assert (found.denied_honest, found.denied_flagged, found.unknown, found.passed) == (1, 0, 1, 0)


def test_what_is_remembered_of_sessions_is_bounded_and_old_ones_begin_anew(call):
    places = Places(idle=timedelta(days=1), most=2)
    for n in range(5):
        places.one(call(session_id=f"s{n}"))
    assert len(places._open) == 2
    later = places.one(call(session_id="s4", at=START + timedelta(days=3)))
    assert later.age_s == 0
    assert len(places._open) == 1


def test_after_a_merge_denials_of_honest_work_are_told(call, restricted):
    one, other = restricted(ForbidTool("mail.send")), restricted(MaxLifetime(60))
    proposal = proposal_of((one, other))
    calls = [
        call(tool="mail.send", allowed=False),
        call(tool="mail.send", allowed=False, session_id="drifted"),
        call(tool="mail.send", session_id="passed"),
        call(tool="other", allowed=False),
        call(session_id="elsewhere", role="another"),
    ]
    found = verify(calls, proposal, Trust(frozenset({SessionKey("acme", "drifted")})), since=START)
    assert (found.replayed, found.denied_honest, found.denied_flagged, found.passed, found.broken) == (
        5,
        1,
        1,
        1,
        1,
    )
    assert found.honest == 2, "also the one that passed"
    assert found.calls == {one.id: 1}
    assert found.examples[0].restrictions == (one.id,)


def test_after_a_merge_what_was_never_refused_is_named_by_its_restriction(call, restricted):
    sent, paid, most = (restricted(rule) for rule in (ForbidTool("mail.send"), ForbidTool("pay"), MaxRecords(5)))
    calls = [
        call(tool="mail.send", session_id="a"),
        call(tool="mail.send", session_id="b", records=9),
        call(tool="pay", session_id="c"),
        call(tool="pay", session_id="d", allowed=False),
    ]
    found = verify(calls, proposal_of((sent, paid, most)), Trust(), since=START)
    assert (found.passed, found.idle) == (3, {sent.id: 2, most.id: 1})


def test_after_a_merge_a_session_that_ran_out_of_records_is_told_of(call, restricted):
    most = restricted(MaxRecords(100))
    grants = {SCOPE: (Grant(("contracts.read", "mail.send"), None, 5000),)}
    proposal = proposal_of((most,), grants)
    spent = spending(call, 60, 40, constraints={"max_records": 100})
    refused = call(decision_id="d9", records=20, allowed=False, constraints={"max_records": 100})
    found = verify([*spent, refused], proposal, Trust(), since=START)
    assert (found.denied_honest, found.passed, found.calls) == (1, 0, {most.id: 1})


@pytest.mark.parametrize(
    ("listed", "denied"), [(["case notes"], 1), ([], 1), (["case notes", "health_data"], 0), (None, 0)]
)
@pytest.mark.parametrize("touched", ["Health-Data", "health data", "HEALTH_DATA"])
def test_after_a_merge_a_class_that_the_template_lost_is_told_of_in_every_spelling(
    call, restricted, touched, listed, denied
):
    """A policy refuses the template's own spelling whatever the envelope lists, the envelope all that it lacks."""
    lost = restricted(ForbidDataClass("Health-Data"))
    grants = {SCOPE: (Grant(("contracts.read", "mail.send"), ("Health-Data", "case notes"), None),)}
    proposal = proposal_of((lost,), grants)
    refused = call(data_classes=frozenset({touched}), allowed=False, constraints={"data_classes": listed})
    found = verify([refused], proposal, Trust(), since=START)
    assert (found.denied_honest, found.broken) == ((1, 1) if touched == "Health-Data" else (denied, denied))


def test_a_session_whose_parent_began_before_the_merge_is_verified_too(call, restricted, tmp_path):
    scope = Scope("acme", "review contracts", "agent_review", "boss")
    both = (restricted(ForbidTool("mail.send"), scope), restricted(MaxLifetime(60), scope))
    proposal = proposal_of(both)
    merged = START + timedelta(minutes=5)
    calls = [
        call(session_id="p", decision_id="p", role="boss", agent_id="boss", at=START - timedelta(minutes=1)),
        call(session_id="c", decision_id="c1", parent_session_id="p", tool="mail.send", allowed=False),
        call(session_id="c", decision_id="c2", parent_session_id="p", at=merged, tool="mail.send", allowed=False),
    ]
    write_events(tmp_path, "a", [pack([row_of(each) for each in calls], EVENTS)])
    write_folder(tmp_path / "p", {"proposal.json": json.dumps(as_json(proposal))})
    found = verify_proposal(Settings(), Archive(tmp_path), tmp_path / "p", merged)
    assert (found.replayed, found.denied_honest) == (1, 1)
    assert set(found.calls) == {each.id for each in both}
