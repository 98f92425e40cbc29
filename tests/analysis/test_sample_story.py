"""The frames behind every figure: on the sample data they say what was planted."""

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from guardian.analysis import (
    explain,
    feedback,
    findings,
    hunting,
    meaning,
    open_archive,
    overview,
    proposing,
    thresholds,
    trust,
)
from guardian.analysis.archived import last_days
from guardian.analysis.sessions import ranked
from guardian.archive.rows import labels
from guardian.archive.writer import write_labels
from guardian.commands import tightening
from guardian.demo.scenario import Plant
from guardian.domain.batch import Change
from guardian.domain.finding import Kind, NamedBreach, Reason
from guardian.domain.identity import SessionKey
from guardian.domain.restriction import Restriction, Scope, Support
from guardian.domain.rules import ForbidTool, MaxLifetime
from guardian.domain.session import HumanWord
from guardian.errors import ConfigurationError
from guardian.tightening.backtest import Backtest
from guardian.tightening.proposal import Proposal
from guardian.tightening.surface import Surface

NOON = datetime(2026, 5, 12, 12, tzinfo=UTC)
REFUND = "triage_open_support_tickets"
SUPPORT = Support(
    sessions=200, actions=1000, days=60, last_use=None, denied_at_most=0.015, held_out=70, held_out_broken=0
)


def proposal_of(restrictions, *, at):
    return Proposal(
        tenant_id="acme", since=at, until=at, made_at=at, restrictions=restrictions, grants={},
        backtest=Backtest(), surface=Surface(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def today(archive):
    day = archive.days[-1]
    return archive.sessions(since=day, until=day + pd.Timedelta(days=1))


@pytest.fixture(scope="module")
def said(archive, control):
    return feedback(archive, control)


def test_what_was_planted_today_is_ranked_first(today, planted):
    first = ranked(today)["session_id"][:5]
    assert {planted.get(session) for session in first} == set(Plant) - {Plant.NONE}


def test_everything_planted_is_flagged_and_of_the_honest_only_the_odd_refund(sessions, planted):
    flagged = sessions[sessions["findings"] > 0]
    assert set(planted) <= set(flagged["session_id"])
    (odd,) = set(flagged["session_id"]) - set(planted)
    assert flagged.set_index("session_id").loc[odd, "word"] == "false_positive"


def test_what_people_settled_goes_to_the_end(sessions):
    order = ranked(sessions)
    assert order["word"].iloc[-6:].isin(["confirmed", "false_positive"]).all()
    assert not order["word"].iloc[:-6].isin(["confirmed", "false_positive"]).any()


def test_a_judgement_stays_one_when_the_revocation_is_taken_back_or_lapses(lay):
    for session in ("s0", "s1", "s2", "s3"):
        lay(session_id=session, one_in=1.0 if session == "s3" else 5_000.0, wanted="none", finding_id=None)
    told = [("s0", "false_positive"), ("s0", "reinstated"), ("s1", "confirmed"), ("s1", "lapsed")]
    words = [
        Change(n, SessionKey("acme", session), HumanWord(word), NOON) for n, (session, word) in enumerate(told, 1)
    ]
    root = lay(session_id="s3")
    write_labels(root, "l", [labels(words)])
    small = open_archive(root, tenant="acme")
    sessions = small.sessions()
    assert list(ranked(sessions)["session_id"]) == ["s2", "s3", "s0", "s1"]
    honest = thresholds.taken_for_honest(sessions, feedback(small))
    assert thresholds.promised_and_measured(honest, [1_000])["dismissed"].item() == pytest.approx(1 / 3)


def test_a_session_that_was_dismissed_and_is_flagged_anew_is_settled_no_more(lay):
    flagged = {"finding_id": "fnd_1", "wanted": "flag", "one_in": 5_000.0}
    for session in ("dismissed", "anew", "unflagged"):
        lay(session_id=session, **(flagged if session != "unflagged" else {}))
    said = NOON + timedelta(hours=1)
    words = [
        Change(n, SessionKey("acme", session), HumanWord.FALSE_POSITIVE, said)
        for n, session in enumerate(("dismissed", "anew"), 1)
    ]
    root = lay(session_id="anew", at=said + timedelta(hours=1), **flagged | {"wanted": "revoke"})
    write_labels(root, "l", [labels(words)])
    sessions = open_archive(root, tenant="acme").sessions()
    assert list(ranked(sessions)["session_id"]) == ["anew", "unflagged", "dismissed"]
    assert sessions.set_index("session_id")["verdict"].isna().to_dict() == {
        "dismissed": False,
        "anew": True,
        "unflagged": True,
    }


def test_the_archive_alone_knows_which_finding_was_judged_and_what_of_a_session_stands(lay):
    root = lay(session_id="s1")
    told = [(HumanWord.CONFIRMED, "fnd_1"), (HumanWord.FALSE_POSITIVE, "fnd_2"), (HumanWord.REVOKED, "")]
    words = [Change(n, SessionKey("acme", "s1"), word, NOON, finding) for n, (word, finding) in enumerate(told)]
    write_labels(root, "l", [labels(words)])
    small = open_archive(root, tenant="acme")
    sessions, said = small.sessions(), feedback(small)
    assert sessions[["word", "verdict"]].to_numpy().tolist() == [["revoked", "confirmed"]]
    assert said[["finding_id", "drift"]].to_numpy().tolist() == [["fnd_1", 1], ["fnd_2", 0]]
    assert list(thresholds.known_drift(sessions, said)) == [True]


@pytest.mark.parametrize("asked", [False, True])
def test_what_was_confirmed_for_a_broken_rule_alone_is_no_drift_to_judge_the_model_by(lay, control, asked):
    drift = next(view for view in control.views if view.verdict and view.finding.kind is Kind.DRIFT)
    views, words = [], []
    for n, (session, fit) in enumerate((("ruled", 0.1), ("astray", 0.9), ("both", 0.1), ("both", 0.9))):
        key, found = SessionKey("acme", session), f"fnd_{n}"
        signals, breach = {"purpose_fit": fit}, NamedBreach(name="tool_not_allowed", detail="d", hard=True)
        root = lay(session_id=session, finding_id=found, wanted="flag", signals=list(signals.items()),
                   breaches=[breach.name])  # fmt: skip
        words.append(Change(n, key, HumanWord.CONFIRMED, NOON, found))
        reasons = tuple(Reason(signal=name, share=1.0, value=value, text="x") for name, value in signals.items())
        finding = drift.finding.model_copy(update={
            "id": found, **key._asdict(), "reasons": reasons, "breaches": (breach,),
        })  # fmt: skip
        said = drift.verdict.model_copy(update={"verdict": "confirmed", "at": NOON})
        views.append(drift.model_copy(update={"finding": finding, "verdict": said}))
    root = lay(session_id="honest")
    write_labels(root, "l", [labels(words)])
    small = open_archive(root, tenant="acme")
    said = feedback(small, replace(control, views=tuple(views)) if asked else None)
    assert list(said["rule"]) == [True, False, True, False]
    judged = trust.flagged(small.sessions(), said, small.ruled())
    assert judged[["session_id", "drift"]].to_numpy().tolist() == [["astray", True], ["both", True]]
    assert list(thresholds.known_drift(small.sessions(), said).fillna(value=False)) == [True, True, True, False]


@pytest.mark.parametrize("asked", [False, True])
def test_what_was_confirmed_for_a_broken_rule_alone_goes_by_what_was_said_of_it_last(lay, control, asked):
    """Control's export may be older than the archive."""
    drift = next(view for view in control.views if view.verdict and view.finding.kind is Kind.DRIFT)
    breach, views, words = NamedBreach(name="tool_not_allowed", detail="d", hard=True), [], []
    for n, last in enumerate((HumanWord.FALSE_POSITIVE, HumanWord.CONFIRMED)):
        key, found = SessionKey("acme", f"s{n}"), f"fnd_{n}"
        root = lay(session_id=key.session_id, finding_id=found, wanted="flag", breaches=[breach.name])
        words.append(Change(2 * n, key, HumanWord.CONFIRMED, NOON, found))
        words.append(Change(2 * n + 1, key, last, NOON + timedelta(hours=1), found))
        finding = drift.finding.model_copy(update={
            "id": found, **key._asdict(), "reasons": (), "breaches": (breach,),
        })  # fmt: skip
        said = drift.verdict.model_copy(update={"verdict": "confirmed", "at": NOON})
        views.append(drift.model_copy(update={"finding": finding, "verdict": said}))
    write_labels(root, "l", [labels(words)])
    said = feedback(open_archive(root, tenant="acme"), replace(control, views=tuple(views)) if asked else None)
    assert said[["label", "rule"]].to_numpy().tolist() == [["false_positive", False], ["confirmed", True]]


def test_the_hours_of_a_day_add_up_to_it(archive, today):
    day = archive.days[-1]
    events = archive.events(since=day)
    hours = overview.hours(events)
    assert hours["calls"].sum() == len(events) == today["actions"].sum()
    assert hours["denied"].sum() == today["denied"].sum() == 2
    assert (hours.index.to_series().diff().dropna() == pd.Timedelta(hours=1)).all()
    assert hours["one_in"].max() == today["one_in"].max()


def test_purposes_are_counted_with_their_flagged_sessions(sessions):
    counts = overview.counted(sessions, "purpose_family")
    assert counts["sessions"].sum() == len(sessions)
    assert counts["flagged"].sum() == 11
    assert counts.loc["review_customer_contract_for_renewal_risk", "flagged"] == 6


def test_what_policy_refused_is_told_with_its_answer(archive, control):
    found = findings(archive, control)
    outcomes = overview.outcomes(found)
    assert outcomes.loc["revoke", "revoke"] == 6
    refused = overview.refusals(found).set_index("tenant_id")
    assert refused.loc["tenant_initech", "mode"] == "shadow"
    assert refused.loc["tenant_initech", "answer"] == "auto-revoke-only-in-enforce"
    assert refused.loc["tenant_acme", "answer"] == "no policy permits it (1 strong kind of evidence)"
    assert outcomes.loc["revoke"].sum() - 6 == refused["findings"].sum()


def test_revoked_sessions_were_refused_from_then_on(events, control):
    revoked = {v.finding.session_id: v.outcome.at for v in control.views if v.outcome.effect.value == "revoke"}
    assert len(revoked) == 6
    went_on = 0
    for session, at in revoked.items():
        calls = events[events["session_id"] == session]
        later = set(calls[calls["at"] > at]["effect"])
        assert later <= {"deny"}
        assert set(calls[calls["at"] <= at]["effect"]) == {"allow"}
        went_on += bool(later)
    assert went_on >= 4, "the others were revoked by their last call"


def test_delegations_are_told_with_both_agents(sessions, planted):
    families = overview.families(sessions)
    assert {planted[child] for child in families["session_id"]} == {Plant.COPIED_AUTHORITY}
    assert set(families["parent_agent"]) == {"agent_renewal_review"}


def test_thresholds_count_what_lies_above_them(sessions, said, planted):
    table = thresholds.would_flag(sessions, said).set_index("one_in")
    for n, row in table.iterrows():
        over = sessions[sessions["one_in"] >= n]
        assert row[["confirmed", "dismissed", "not_judged"]].sum() == len(over)
    by_rule = [session for session, plant in planted.items() if plant is Plant.COPIED_AUTHORITY]
    assert (sessions.set_index("session_id").loc[by_rule, "one_in"] < 1_000).all(), "flagged, but not on evidence"
    assert table.loc[1000, "confirmed"] == 5 - said["session_id"].isin(by_rule).sum() == 4
    assert table.loc[1000, "dismissed"] == 1
    assert table.loc[1000, "not_judged"] == 4


def test_sessions_that_people_confirmed_are_not_taken_for_honest(sessions, said):
    honest = thresholds.taken_for_honest(sessions, said)
    assert not honest["word"].eq("confirmed").fillna(value=False).any()
    assert honest["breaches"].map(thresholds.SOFT.issuperset).all()
    table = thresholds.promised_and_measured(honest, one_in=(10, 1_000))
    assert list(table["flagged"]) == [int((honest["one_in"] >= n).sum()) for n in (10, 1_000)]
    assert np.allclose(table["measured"], table["flagged"] / len(honest))
    assert ((table["low"] <= table["measured"]) & (table["measured"] <= table["high"])).all()
    assert table["dismissed"].iloc[1] == pytest.approx(1 / len(honest))


def test_what_people_told_control_counts_before_the_archive_has_their_words(sample_root, control, tmp_path):
    (tmp_path / "events").symlink_to(sample_root / "events")
    silent = open_archive(tmp_path, tenant="*")
    sessions, said = silent.sessions(), feedback(silent, control)
    assert sessions["verdict"].isna().all()
    honest = thresholds.taken_for_honest(sessions, said)
    (odd,) = honest[honest["dismissed"]]["session_id"]
    assert thresholds.promised_and_measured(honest, [1_000])["dismissed"].item() == pytest.approx(1 / len(honest))
    assert ", people: benign" in str(explain(silent, odd, control))
    assert "people" not in str(explain(silent, odd))


def test_of_one_purpose_the_interval_of_a_promise_is_over_its_sessions(sessions, said):
    one = sessions[sessions["purpose_family"] == sessions["purpose_family"].iloc[0]].head(60)
    one = one.assign(one_in=[20.0] * 20 + [1.0] * 40)
    table = thresholds.promised_and_measured(thresholds.taken_for_honest(one, said.head(0)), one_in=(10, 100))
    assert list(table["purposes"]) == [1, 1]
    assert table["measured"].iloc[0] == pytest.approx(1 / 3)
    assert 0.2 < table["low"].iloc[0] < 1 / 3 < table["high"].iloc[0] < 0.5
    assert table["high"].iloc[1] == pytest.approx(1 - 0.025 ** (1 / 60))


def test_a_part_of_what_a_lower_threshold_reaches_is_never_bounded_more_widely(sessions, said):
    honest = thresholds.taken_for_honest(sessions, said)
    forwards, backwards = (100, 100_000, 10**9), (10**9, 100)
    table = thresholds.promised_and_measured(honest, one_in=forwards)
    assert table["flagged"].iloc[-1] == 0
    assert table["high"].is_monotonic_decreasing
    assert list(thresholds.promised_and_measured(honest, one_in=backwards)["one_in"]) == list(backwards)


def test_what_control_does_not_tell_of_the_archive_still_knows(archive, control):
    """A token that reaches one tenant only, or an export that is older than the last findings and verdicts."""
    whole, judged = findings(archive, control), feedback(archive, control)
    last = max(view.verdict.at for view in control.views if view.verdict is not None)
    for missing in ("tenant_acme", "tenant_initech", None):
        views = [
            view.model_copy(update={"verdict": None}) if view.verdict and view.verdict.at == last else view
            for view in control.views
            if view.finding.tenant_id != missing
        ]
        part = replace(control, views=tuple(views if missing else views[: len(views) // 2]))
        found, said = findings(archive, part), feedback(archive, part)
        assert set(whole.query("kind == 'drift'")["finding_id"]) <= set(found["finding_id"])
        assert found["finding_id"].is_unique
        assert found["at"].is_monotonic_increasing
        key = ["tenant_id", "session_id", "drift"]
        assert set(map(tuple, judged[key].to_numpy())) == set(map(tuple, said[key].to_numpy()))
        assert said["judged_by"].notna().sum() < len(said)
    drift = whole[whole["kind"] == "drift"]
    assert set(findings(archive)["finding_id"]) == set(drift["finding_id"])


def test_the_later_of_two_judgements_of_a_finding_counts_whoever_knows_it(lay, control):
    drift = next(view for view in control.views if view.verdict and view.finding.kind is Kind.DRIFT)
    root = lay(session_id="s1", finding_id="fnd_1", wanted="flag")
    finding = drift.finding.model_copy(update={"id": "fnd_1", "tenant_id": "acme", "session_id": "s1"})

    def judged(minutes):
        at = NOON + timedelta(minutes=minutes)
        verdict = drift.verdict.model_copy(update={"verdict": "benign", "at": at})
        asked = replace(control, views=(drift.model_copy(update={"finding": finding, "verdict": verdict}),))
        return feedback(open_archive(root, tenant="acme"), asked)[["label", "drift"]].to_numpy().tolist()

    told = [(HumanWord.FALSE_POSITIVE, "fnd_1"), (HumanWord.CONFIRMED, "")]
    words = [Change(n, SessionKey("acme", "s1"), word, NOON, finding) for n, (word, finding) in enumerate(told)]
    write_labels(root, "l", [labels(words)])
    assert judged(0) == [["benign", 0]], "the same, in more words; and what is meant by the session is known"
    assert judged(1) == [["benign", 0]]
    assert judged(-1) == [["false_positive", 0]]


def test_what_is_confirmed_of_a_session_stands_and_what_is_said_of_its_grants_or_gateway_is_no_drift(
    control, sessions, lay
):
    silent = open_archive(lay(), tenant="*")
    drift = next(view for view in control.views if view.verdict and view.finding.kind is Kind.DRIFT)
    key = drift.finding.tenant_id, drift.finding.session_id

    def known(*told):
        views = []
        for n, (kind, verdict) in enumerate(told):
            said = drift.verdict.model_copy(update={"verdict": verdict, "at": NOON + timedelta(minutes=n)})
            finding = drift.finding.model_copy(update={"id": f"fnd_{n}", "kind": kind, "breaches": ()})
            views.append(drift.model_copy(update={"finding": finding, "verdict": said}))
        found = thresholds.known_drift(sessions, feedback(silent, replace(control, views=tuple(views))))
        return found[(sessions["tenant_id"] == key[0]) & (sessions["session_id"] == key[1])].tolist()

    assert known((Kind.DRIFT, "confirmed"), (Kind.DRIFT, "false_positive")) == [True]
    assert known((Kind.DRIFT, "false_positive"), (Kind.HYGIENE, "confirmed")) == [False]
    assert known((Kind.HYGIENE, "confirmed"), (Kind.GATEWAY, "false_positive")) == [pd.NA]


def test_only_a_hard_rule_ends_the_promise(sessions, said):
    soft = (("no_expiry",), ("kept_tools", "tools_unlisted"), ("arguments_unchecked",), ())
    hard = (("envelope_expired",), ("no_expiry", "reissued_tools"), ("a_rule_of_tomorrow",))
    some = sessions.head(7).assign(breaches=pd.Series([*soft, *hard], dtype="object"))
    honest = thresholds.taken_for_honest(some, said.head(0))
    assert list(honest["session_id"]) == list(some["session_id"].head(4))


def test_costs_are_looking_and_missing_and_what_a_rule_flags_is_caught_at_any_threshold(sessions, said):
    prices = {"minutes_per_alarm": 10, "minutes_per_miss": 100, "one_in": (1_000, 1e9)}
    costs = thresholds.costs(sessions, said, **prices)
    assert list(costs["alarms"]) == [11, 3]
    assert list(costs["caught"]) == [5, 1]
    assert list(costs["missed"]) == [0, 4]
    assert list(costs["total"]) == [110, 430]
    noted, leaked = (
        sessions.assign(breaches=[names and (rule,) for names in sessions["breaches"]])
        for rule in ("no_expiry", "credential_in_arguments")
    )
    assert list(thresholds.costs(noted, said, **prices)["alarms"]) == [9, 0], "it flags no session"
    assert list(thresholds.costs(leaked, said, **prices)["caught"]) == [5, 1], "taken for one of a known shape"
    unflagged = sessions.assign(findings=0)
    assert list(thresholds.costs(unflagged, said, **prices)["alarms"]) == [9, 0]


def test_evidence_is_grouped_by_what_is_known(sessions, said):
    counts = thresholds.evidence(sessions, said)["group"].value_counts()
    assert counts["confirmed"] == 5
    assert counts["flagged, not judged"] == 5
    assert counts["dismissed"] == 1
    assert counts["not flagged"] == len(sessions) - 11


def test_of_what_the_model_flagged_the_share_is_told_that_people_confirmed(archive, sessions, said):
    flagged = trust.flagged(sessions, said, archive.ruled())
    table = trust.precision(flagged, "tenant_id").set_index("group")
    counts = ["flagged", "judged", "confirmed"]
    assert table.loc["all", counts].to_list() == [8, 5, 4], (
        "of the 11 three are the rules' work, one of them confirmed"
    )
    assert set(table.index) == {"all", "tenant_acme"}, "of the other tenants nothing was judged"
    assert table.loc["all", "precision"] == 0.8
    assert table.loc["all", ["low", "high"]].to_list() == pytest.approx(
        binomtest(4, 5).proportion_ci(method="exact")
    )


def test_a_dismissed_flag_of_a_rule_alone_counts_against_the_model_no_more_than_a_confirmed_one_for_it(lay):
    words = []
    for n, (fit, word) in enumerate((fit, word) for fit in (0.1, 0.9) for word in ("confirmed", "false_positive")):
        root = lay(session_id=f"s{n}", finding_id=f"fnd_{n}", wanted="flag", one_in=5_000.0,
                   signals=[("purpose_fit", fit)], breaches=["tool_not_allowed"])  # fmt: skip
        words.append(Change(n, SessionKey("acme", f"s{n}"), HumanWord(word), NOON, f"fnd_{n}"))
    lay(session_id="waiting", finding_id="fnd_9", wanted="flag", one_in=5_000.0)
    lay(session_id="unflagged")
    write_labels(root, "l", [labels(words)])
    small = open_archive(root, tenant="acme")
    flagged = trust.flagged(small.sessions(), feedback(small), small.ruled())
    assert list(flagged["session_id"]) == ["s2", "s3", "waiting"]
    table = trust.precision(flagged, "tenant_id")
    assert table[["flagged", "judged", "confirmed", "precision"]].to_numpy().tolist() == [[3, 2, 1, 0.5]] * 2


def test_flags_by_chance_are_confirmed_about_as_often_as_anything_drifts():
    """An ROC of what people say of the flags of a model that knows nothing was that of a perfect one."""
    rnd, names = np.random.default_rng(0), [f"s{n}" for n in range(5_000)]
    flag, drift = rnd.uniform(size=5_000) < 0.01, rnd.uniform(size=5_000) < 0.05
    sessions = pd.DataFrame({
        "tenant_id": "acme", "session_id": names, "begin": pd.Timestamp(NOON),
        "finding_ids": [(f"fnd_{name}",) if each else () for name, each in zip(names, flag, strict=True)],
    })  # fmt: skip
    said = pd.DataFrame({
        "tenant_id": "acme", "session_id": names, "finding_id": [f"fnd_{name}" for name in names],
        "judged_at": pd.Timestamp(NOON), "drift": drift.astype(int),
    })  # fmt: skip
    found = trust.precision(trust.flagged(sessions, said[flag], ()), "tenant_id").iloc[0]
    assert found["judged"] == flag.sum() > 30
    assert found["low"] < 0.05 < found["high"] < 0.3


def test_a_calibration_of_ones_own_is_nearer_to_flat(events):
    table = trust.p_values(events)
    off = {name: (rows["share"] - 0.1).abs().mean() for name, rows in table.groupby("calibration")}
    shipped, own = events["calibration"].iloc[0], events["calibration"].iloc[-1]
    assert off[own] < off[shipped]
    assert table.groupby("calibration")["share"].sum().round(9).eq(1.0).all()


@pytest.mark.parametrize("names", [("b", "a"), ("a", "b")])
def test_both_tables_of_calibrations_begin_with_the_one_used_first(events, names):
    early = events["at"] < events["at"].median()
    renamed = events.assign(calibration=early.map({True: names[0], False: names[1]}))
    assert tuple(trust.p_values(renamed)["calibration"].unique()) == names
    assert tuple(trust.weekly(renamed)["calibration"].unique()) == names


def test_calls_whose_purpose_nobody_told_make_the_work_look_no_tamer(lay):
    for n in range(4):
        root = lay(p_value=0.01, session_id=f"s{n}")
        for purpose in ("", "  ", None):
            lay(p_value=1.0, session_id=f"s{n}", purpose=purpose, purpose_family=purpose)
    events = open_archive(root, tenant="acme").events(columns=["at", "purpose", "score", "p_value", "calibration"])
    compared = trust.compared(events)
    assert (len(events), len(compared)) == (16, 4)
    assert list(trust.weekly(compared)[["calls", "low"]].iloc[0]) == [4, 1.0]
    assert trust.p_values(compared)["share"].max() == 1.0


def test_weeks_begin_on_monday_and_hold_all_calls(events):
    weekly = trust.weekly(events)
    assert weekly["calls"].sum() == len(events)
    assert (weekly["week"].dt.dayofweek == 0).all()
    assert weekly["low"].iloc[-1] > weekly["low"].iloc[0]  # the last week has the bad day


def test_a_proposal_takes_what_only_drifting_sessions_used(archive):
    read: list[int] = []
    proposal = proposing.propose(archive, "tenant_acme", update=read.append)
    assert read == sorted(read), "who waits sees that it goes on"
    assert read[-1] == 2 * read[0] > 0
    rules = proposing.restrictions(proposal)
    says = {"may not call crm.export", "may not call email.send", "may not call payments.history"}
    assert set(rules["says"]) == says
    assert (rules["honest_denied"] == 0).all()
    assert (rules["flagged_denied"] > 0).all()
    counts = proposing.counts(proposal.backtest, proposal.surface)
    assert counts["flagged sessions stopped"] == counts["flagged sessions of narrowed agents"] == 6
    assert counts["privileges after"] < counts["privileges before"]
    why = proposing.abstentions(proposal).set_index("role")["why"]
    assert why["agent_clause_classifier"].startswith("0 honest sessions, ")
    assert why["agent_support_triage"].startswith("1 of 71 sessions used a tool or data class that no other did, ")


def test_a_proposal_of_the_day_before_stops_the_day_it_did_not_know(archive):
    today = archive.days[-1].to_pydatetime()
    unseen = proposing.replay(archive, proposing.propose(archive, "tenant_acme", until=today), since=today)
    assert unseen.honest > 10
    assert (unseen.honest_denied, unseen.newly_allowed) == (0, 0)
    assert unseen.flagged_stopped == 2


def test_a_day_is_replayed_knowing_what_its_sessions_did_the_evening_before(lay):
    midnight = datetime(2026, 5, 13, tzinfo=UTC)
    for session, parent, agent, minutes, wanted in (
        ("boss", None, "agent_boss", -60, "none"),
        ("child", "boss", "agent_a", -50, "none"),
        ("stray", None, "agent_a", -40, "flag"),
        ("child", "boss", "agent_a", 10, "none"),
        ("stray", None, "agent_a", 20, "none"),
    ):
        at = midnight + timedelta(minutes=minutes)
        root = lay(session_id=session, parent_session_id=parent, agent_id=agent, at=at, wanted=wanted)
    restrictions = (
        Restriction(Scope("acme", "read files", "agent_a", "agent_boss"), MaxLifetime(1800), "short", SUPPORT),
        Restriction(Scope("acme", "read files", "agent_a"), ForbidTool("files.read"), "idle", SUPPORT),
    )
    proposal = proposal_of(restrictions, at=midnight)
    found = proposing.replay(open_archive(root, tenant="acme"), proposal, since=midnight)
    assert (found.replayed, found.honest_denied, found.flagged_stopped, found.flagged_sessions) == (2, 1, 1, 1)


def test_one_flagged_session_of_a_user_whose_sessions_have_no_names_says_nothing_of_the_others(lay):
    name, morning = "window:agent_a|ann", datetime(2026, 5, 13, 9, tzinfo=UTC)
    for tenant, hours, gateway, wanted in (
        ("acme", 0, "gw", "none"),
        ("acme", 1, "gw", "flag"),
        ("acme", 2, "gw", "none"),
        ("acme", 2.4, "gw-test", "flag"),
        ("acme", 2.8, "gw", "none"),
        ("globex", 0, "gw", "none"),
        ("globex", 1, "gw", "none"),
    ):
        at = morning + timedelta(hours=hours)
        root = lay(tenant_id=tenant, session_id=name, at=at, gateway=gateway, wanted=wanted)
    view = open_archive(root, tenant="*", planted="gw-test")
    calls = list(view.past_calls(since=morning, until=morning + timedelta(days=1)))
    assert [call.session_id for call in calls] == [f"{name}|{call.at.isoformat()}" for call in calls]
    unused = Restriction(
        Scope("acme", "read files", "agent_a"),
        ForbidTool("files.read"),
        "idle",
        SUPPORT,
    )
    proposal = proposal_of((unused,), at=morning)
    found = proposing.replay(view, proposal, since=morning)
    assert (found.honest_denied, found.flagged_denied, found.flagged_sessions) == (3, 1, 1)


def test_a_proposal_is_read_from_its_folder_by_those_whose_it_is(archive, tmp_path):
    made = proposing.propose(archive, "tenant_acme")
    tightening.save(tightening.rendered(made, {}, []), tmp_path)
    read = proposing.read(archive.only("tenant_acme"), tmp_path)
    assert proposing.restrictions(read).equals(proposing.restrictions(made))
    with pytest.raises(ConfigurationError, match="not opened for"):
        proposing.read(archive.only("tenant_globex"), tmp_path)


def test_where_nothing_lies_there_is_nothing_to_look_at(sample_root):
    nobody = open_archive(sample_root, tenant="tenant_of_nobody")
    assert nobody.sessions().empty
    assert overview.hours(nobody.events()).empty
    assert feedback(nobody).empty
    with pytest.raises(ConfigurationError, match="holds nothing of this tenant to propose from"):
        proposing.propose(nobody, "tenant_of_nobody")
    with pytest.raises(ConfigurationError, match="this archive holds nothing of these tenants"):
        last_days(nobody, 5)


def test_similar_sessions_of_a_drift_are_its_predecessors(archive, planted):
    slides = [session for session, plant in planted.items() if plant is Plant.RENEWAL_SLIDE]
    alike = meaning.similar(archive, slides[-1], most=2)
    assert set(alike["session_id"]) == set(slides[:-1])
    assert alike["similarity"].is_monotonic_decreasing


def test_the_map_has_the_session_its_purpose_and_the_others(archive, planted, events):
    session = next(name for name, plant in planted.items() if plant is Plant.BULK_EXPORT)
    places, explained = meaning.purpose_map(archive, session)
    calls = places[places["what"] == "call"]
    assert list(calls["tool"]) == list(events[events["session_id"] == session]["tool"])
    assert (
        calls["distance"].iloc[-1] > calls["distance"].iloc[0]
    )  # the export is further than reading the contract
    assert (places["what"] == "purpose").sum() == 1
    assert 0.1 < explained <= 1.0


def test_a_map_of_too_few_calls_says_so():
    with pytest.raises(ConfigurationError, match="at least 3 vectors"):
        meaning.Plane.through(np.zeros((2, 4), dtype=np.float32))


def test_the_plane_of_many_calls_is_that_of_a_decomposition_of_all_and_takes_little_more_room_than_they_do():
    rng = np.random.default_rng(1)
    many = (rng.normal(size=(20_000, 64)) * np.linspace(3.0, 0.1, 64)).astype(np.float32)
    tracemalloc.start()
    plane = meaning.Plane.through(many)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 * many.nbytes
    _, weights, axes = np.linalg.svd(many - many.mean(axis=0), full_matrices=False)
    assert np.abs((plane.axes * axes[:2]).sum(axis=1)) == pytest.approx([1.0, 1.0], abs=1e-5)
    assert plane.explained == pytest.approx((weights[:2] ** 2).sum() / (weights**2).sum(), rel=1e-5)


def test_the_plane_of_calls_that_are_all_alike_explains_all_of_nothing():
    plane = meaning.Plane.through(np.ones((5, 4), dtype=np.float32))
    assert plane.explained == 1.0
    assert plane.place(np.ones((1, 4), dtype=np.float32)).tolist() == [[0.0, 0.0]]


def test_the_oddest_sessions_of_agents_are_the_planted_ones(archive, planted):
    table = hunting.blurred(archive)
    assert planted[table["oddest"][0]] is Plant.RENEWAL_SLIDE
    assert planted[table["oddest"][1]] is Plant.SLOW_DRIFT
    assert (table["oddest_alike"] <= table["alike"]).all()


def test_near_misses_were_not_flagged_and_the_furthest_comes_first(sessions):
    misses = hunting.near_misses(sessions)
    assert len(misses)
    assert (misses["findings"] == 0).all()
    assert misses["one_in"].is_monotonic_decreasing
    assert misses["one_in"].iloc[-1] >= 20


def test_tools_that_moved_are_those_of_the_drift(archive, events):
    moves = hunting.moving_tools(events, at=pd.Timestamp(last_days(archive, 5)))
    fresh = moves[(moves["before"] == 0) & (moves["after"] > 0)]
    assert set(fresh["tool"]) == {"files.read", "hr.read_profile"}
    assert set(fresh["purpose_family"]) == {REFUND}
    assert ((moves["after"] - moves["before"]).round(9) == moves["change"].round(9)).all()


def test_first_uses_are_of_agents_that_were_there_before(archive, events):
    uses = hunting.first_uses(events, since=pd.Timestamp(last_days(archive, 5)))
    assert set(uses["tool"]) == {"files.read", "hr.read_profile"}
    assert set(uses["agent_id"]) == {"agent_support_triage"}
