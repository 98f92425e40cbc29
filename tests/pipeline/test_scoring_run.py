"""Scoring without a store: every action once, from its own session's past, whatever stands beside it."""

import json
import random
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.domain.record import Record
from guardian.errors import DecodeError
from guardian.pipeline import scoring_run
from guardian.pipeline.redaction import FieldRules
from guardian.pipeline.scoring_run import LogScorer, Scored, SessionScorer
from guardian.signals.credentials.scanner import CredentialScanner
from guardian.sources.session_lines import ActionLine, SessionLine, read_session_lines

TOOLS = ["contracts.read", "payments.send", "mail.send", "crm.read"]
VALUES = ["contract_7781", "mallory@evil.example", "Acme", "AIza" + "b" * 35]
PURPOSES = ["review the contract of Acme", "pay Bolt", "", "do everything on my list"]
actions = st.builds(
    ActionLine,
    st.sampled_from(TOOLS),
    st.none() | st.dictionaries(st.sampled_from("abc"), st.sampled_from(VALUES), max_size=2),
)
sessions = st.lists(
    st.tuples(st.sampled_from(PURPOSES), st.lists(actions, min_size=1, max_size=5)), min_size=1, max_size=5
)


@pytest.fixture(scope="module")
def scorer(make_judge) -> SessionScorer:
    return SessionScorer(make_judge(), CredentialScanner())


def line(number: int, purpose: str, calls: list[ActionLine], session_id: str | None = None) -> SessionLine:
    return SessionLine(number, session_id or f"s{number}", purpose, "", tuple(calls))


def scored(scorer: SessionScorer, lines: list[SessionLine]) -> list[Scored]:
    return scorer.score_sessions([(one.session_id, scorer.session(one)) for one in lines])


def by_session(results: list[Scored]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        found[result.session_id].append(result.as_json())
    return dict(found)


def test_what_redaction_hid_is_not_held_against_a_session_of_a_file(make_judge) -> None:
    hashing = FieldRules(CredentialScanner(), {"action.arguments": "hash"}, b"key")
    calls = [ActionLine("contracts.read", {"tenant_id": "acme", "session_id": "s1"})]
    (result,) = scored(SessionScorer(make_judge(), hashing), [line(1, "review the contract of Acme", calls)])
    assert not {breach.name for breach in result.drift.breaches} & {"tenant_mismatch", "session_mismatch"}


def test_a_session_line_names_no_tenant_and_no_session_that_a_call_could_differ_from(make_judge) -> None:
    ids = {"tenant_id": "acme", "session_id": "s1", "tenant": "globex"}
    calls = [ActionLine("contracts.read", {"contract_id": "c_1", **ids})]
    scorer = SessionScorer(make_judge(), CredentialScanner())
    (result,) = scored(scorer, [line(1, "review the contract of Acme", calls, "s1")])
    wrong = {"tenant_mismatch", "session_mismatch", "arguments_unchecked"}
    assert not wrong & {breach.name for breach in result.drift.breaches}


@given(sessions, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_sessions_does_not_matter(scorer, made, rng: random.Random) -> None:
    lines = [line(n, purpose, calls) for n, (purpose, calls) in enumerate(made, 1)]
    shuffled = rng.sample(lines, len(lines))
    assert by_session(scored(scorer, lines)) == by_session(scored(scorer, shuffled))
    alone = [result for one in lines for result in scored(scorer, [one])]
    assert alone == scored(scorer, lines)


@given(sessions)
@settings(max_examples=40, deadline=None)
def test_an_action_is_scored_from_what_came_before_it_in_its_session(scorer, made) -> None:
    for n, (purpose, calls) in enumerate(made, 1):
        whole = scored(scorer, [line(n, purpose, calls)])
        for end in range(1, len(calls) + 1):
            assert scored(scorer, [line(n, purpose, calls[:end])]) == whole[:end]


@given(sessions)
@settings(max_examples=30, deadline=None)
def test_there_is_one_result_per_action_in_input_order(scorer, made) -> None:
    lines = [line(n, purpose, calls) for n, (purpose, calls) in enumerate(made, 1)]
    got = [(result.session_id, result.index) for result in scored(scorer, lines)]
    assert got == [(one.session_id, i) for one in lines for i in range(len(one.actions))]


def test_two_sessions_of_one_name_do_not_mix(scorer) -> None:
    calls = [ActionLine("payments.send", {"to": "mallory"})]
    first, second = scored(scorer, [line(1, "pay Bolt", calls, "same"), line(2, "pay Bolt", calls, "same")])
    assert (first.session_id, second.session_id) == ("same", "same")
    assert (first.drift, first.index) == (second.drift, second.index)


def test_labels_in_the_input_are_never_read(scorer) -> None:
    def read(label: str | None) -> list[Scored]:
        calls = [{"tool": "payments.send", "args": {"to": "x"}}, {"tool": "contracts.read", "args": {}}]
        marks: dict[str, Any] = {"label": label, "conf": "high", "drift": True} if label else {}
        body = {
            "session_id": "s",
            "purpose": "review",
            "actions": [{**c, **marks} for c in calls],
            "meta": marks,
        }
        lines = list(read_session_lines([Record("f", 0, 0, json.dumps(body).encode())]))
        return scored(scorer, [one for one in lines if isinstance(one, SessionLine)])

    assert len(read(None)) == 2
    assert read("drift") == read("benign") == read(None)


def test_a_result_has_the_fields_that_others_measure(scorer) -> None:
    (result,) = scored(scorer, [line(1, "pay Bolt", [ActionLine("payments.send")])])
    body = result.as_json()
    assert json.loads(json.dumps(body)) == body
    assert list(body) == [
        "session_id",
        "index",
        "drift",
        "p_value",
        "session_evidence",
        "signals",
        "features_missing",
    ]
    assert all(0 <= value <= 1 for value in (body["drift"], body["p_value"], *body["signals"].values()))
    assert "delegation_widening" not in body["signals"]  # silent: it neither accuses nor vouches
    assert {"envelope", "arguments"} <= set(body["features_missing"])


def test_an_act_that_could_be_compared_with_no_purpose_is_not_told_to_fit(scorer) -> None:
    calls = [ActionLine("crm.read", {}), ActionLine("mail.send", {"body": "AIza" + "b" * 35})]
    told = [result.as_json() for result in scored(scorer, [line(1, " ", calls), line(2, "read", calls)])]
    assert [one["p_value"] is None for one in told] == [True, False, False, False]
    assert told[0]["drift"] == 0.0 < told[1]["drift"], "a credential is one whatever the purpose"
    assert told[1]["p_value"] < 1.0


def test_absent_arguments_are_missing_and_empty_ones_are_not(scorer) -> None:
    calls = [ActionLine("crm.read"), ActionLine("crm.read", {})]
    absent, empty = scored(scorer, [line(1, "p", calls)])
    assert "arguments" in absent.drift.features_missing
    assert "arguments" not in empty.drift.features_missing


def test_a_purpose_without_end_is_read_as_far_as_it_goes(scorer) -> None:
    (result,) = scored(scorer, [line(1, "pay Bolt " * 20_000, [ActionLine("payments.send", {"to": "Bolt"})])])
    assert "purpose" not in result.drift.features_missing


@pytest.mark.parametrize(("tool", "session"), [("t" * 513, "s"), ("a\nb", "s"), ("t", "a\x00b")])
def test_a_name_that_is_no_name_refuses_its_line_and_says_where(scorer, tool: str, session: str) -> None:
    with pytest.raises(DecodeError, match=r"actions\.1: |actions\.0: envelope\.session_id"):
        scorer.session(line(1, "p", [ActionLine("t"), ActionLine(tool)], session))


def test_a_session_without_actions_has_no_results(scorer) -> None:
    assert scored(scorer, [line(1, "p", []), line(2, "p", [ActionLine("t")])])[0].session_id == "s2"


def test_credentials_of_a_session_line_do_not_reach_its_results(scorer) -> None:
    calls = [ActionLine("mail.send", {"body": "AIza" + "b" * 35})]
    (result,) = scored(scorer, [line(1, "p", calls)])
    assert result.as_json()["signals"]["credential_exposure"] == 1.0
    assert "AIza" not in repr(result.drift)


def decoded_log(make_decoder, bodies: list[dict[str, Any]]) -> list[Any]:
    good, bad = make_decoder().decode([Record("f", 0, i, json.dumps(b).encode()) for i, b in enumerate(bodies)])
    assert bad == []
    return good


def test_a_log_is_scored_line_by_line_duplicates_included(make_judge, make_decoder, body) -> None:
    log = decoded_log(make_decoder, [body(1), body(1), body(1, envelope__session_id="s2"), body(2)])
    results = LogScorer(make_judge()).score(log)
    assert [(r.session_id, r.index) for r in results] == [("s1", 0), ("s1", 0), ("s2", 0), ("s1", 1)]
    assert results[0].drift.features_missing == ()


def test_one_session_id_of_two_tenants_is_two_sessions_to_who_reads_the_results(
    make_judge, make_decoder, body
) -> None:
    log = decoded_log(make_decoder, [body(1), body(1, envelope__tenant_id="globex"), body(1)])
    told = [result.as_json() for result in LogScorer(make_judge()).score(log)]
    assert [(one["tenant_id"], one["session_id"], one["index"]) for one in told] == [
        (tenant, "s1", 0) for tenant in ("acme", "globex", "acme")
    ]


def test_an_act_that_comes_again_in_a_later_piece_has_the_index_it_had(make_judge, make_decoder, body) -> None:
    log = decoded_log(make_decoder, [body(0), body(1), body(1), body(3)])
    scorer = LogScorer(make_judge())
    assert [r.index for piece in (log[:2], log[2:]) for r in scorer.score(piece)] == [0, 1, 1, 2]


def test_an_act_that_comes_again_moves_its_session_no_further(make_judge, make_decoder, drifting) -> None:
    once = [drifting(n) for n in range(4)]
    twice = [body for body in once for _ in range(3)]
    alone = LogScorer(make_judge()).score(decoded_log(make_decoder, once))
    scored = LogScorer(make_judge()).score(decoded_log(make_decoder, twice))
    assert [scored[place] for place in range(0, len(scored), 3)] == alone
    assert [s.drift.session_evidence for s in scored] == [
        s.drift.session_evidence for s in alone for _ in range(3)
    ]
    shuffled = LogScorer(make_judge()).score(decoded_log(make_decoder, [*once, *once]))
    assert shuffled[:4] == alone
    assert {s.drift.session_evidence for s in shuffled[4:]} == {alone[-1].drift.session_evidence}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=12), st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_a_log_may_be_scored_in_pieces_and_its_sessions_in_any_order(
    make_judge, make_decoder, drifting, calls: list[tuple[int, int]], cut: int
) -> None:
    bodies = [drifting(n, envelope__session_id=f"s{s}") for s, n in calls]
    log = decoded_log(make_decoder, bodies)
    whole = LogScorer(make_judge()).score(log)
    pieces = LogScorer(make_judge())
    assert [*pieces.score(log[:cut]), *pieces.score(log[cut:])] == whole
    grouped = LogScorer(make_judge()).score(decoded_log(make_decoder, sorted(bodies, key=_session)))
    assert by_session(grouped) == by_session(whole)


def test_more_sessions_than_are_kept_unpacked_are_scored_the_same(
    make_judge, make_decoder, drifting, monkeypatch
) -> None:
    bodies = [drifting(n // 3, envelope__session_id=f"é{n % 3}") for n in range(12)]
    log = decoded_log(make_decoder, [*bodies, *bodies])  # each again, when its session is packed
    whole = LogScorer(make_judge()).score(log)
    monkeypatch.setattr(scoring_run, "_UNPACKED", 1)
    scorer = LogScorer(make_judge())
    assert [scored for d in log for scored in scorer.score([d])] == whole


def test_sessions_of_one_agent_do_not_colour_each_others_scores(make_judge, make_decoder, body) -> None:
    purposes = [
        "renew contracts",
        "water plants",
        "translate poems",
        "audit payroll",
        "book flights",
        "train models",
    ]
    bodies = [body(n, envelope__session_id=f"s{n}", envelope__purpose=p) for n, p in enumerate(purposes)]
    forth = LogScorer(make_judge()).score(decoded_log(make_decoder, bodies))
    back = LogScorer(make_judge()).score(decoded_log(make_decoder, bodies[::-1]))
    assert by_session(forth) == by_session(back)


def test_a_childs_score_does_not_depend_on_where_its_parent_stands(make_judge, make_decoder, body) -> None:
    bodies = [body(1), body(2, envelope__session_id="child", envelope__parent_session_id="s1")]
    forth = LogScorer(make_judge()).score(decoded_log(make_decoder, bodies))
    back = LogScorer(make_judge()).score(decoded_log(make_decoder, bodies[::-1]))
    assert by_session(forth) == by_session(back)


def _session(body: dict[str, Any]) -> str:
    return str(body["envelope"]["session_id"])
