"""Figures show what their frames say."""

import math

import numpy as np
import pandas as pd
import pytest

from guardian.analysis import (
    explain,
    feedback,
    findings,
    hunting,
    meaning,
    open_archive,
    overview,
    plots,
    proposing,
    thresholds,
    trust,
)  # fmt: skip
from guardian.demo.scenario import Plant


@pytest.fixture(scope="module")
def said(archive, control):
    return feedback(archive, control)


@pytest.fixture(scope="module")
def slide(archive, control, planted):
    session = [name for name, plant in planted.items() if plant is Plant.RENEWAL_SLIDE][-1]
    return explain(archive, session, control)


def axes_of(figure):
    assert figure.png().startswith(b"\x89PNG")
    assert figure.axes[0].get_title(loc="left")
    return figure.axes[0]


def test_the_same_data_are_the_same_bytes(sessions):
    assert plots.plot_day(sessions).png() == plots.plot_day(sessions).png()


def texts(axes):
    return [text.get_text() for text in axes.texts]


def lengths(axes):
    return [bar.get_width() for bar in axes.patches]


def test_a_day_shows_every_session_and_names_the_worst(archive, planted):
    sessions = archive.sessions(since=archive.days[-1])
    axes = axes_of(plots.plot_day(sessions))
    shown = np.concatenate([marks.get_offsets()[:, 1] for marks in axes.collections if len(marks.get_offsets())])
    assert sorted(shown) == pytest.approx(sorted(sessions["one_in"].clip(lower=1.0)))
    assert set(texts(axes)) == set(sessions[sessions["wanted"] == "revoke"]["session_id"]) == {
        name for name, plant in planted.items()
        if name in set(sessions["session_id"]) and plant is not Plant.COPIED_AUTHORITY
    }  # fmt: skip
    assert "UTC" in axes.get_xlabel()


@pytest.mark.parametrize(
    ("first", "last", "dates", "ticks"),
    [
        ("2026-11-05 09:00", "2026-11-30 17:00", "2026-11-05 to 2026-11-30", ("05 Nov", "29 Nov")),
        ("2026-11-30 08:10", "2026-11-30 23:50", "2026-11-30", ("09:00", "01 Dec")),
        ("2026-11-30 23:40", "2026-11-30 23:45", "2026-11-30", ("23:30", "23:55")),
        ("2026-07-20 09:00", "2027-01-20 17:00", "2026-07-20 to 2027-01-20", ("Aug", "2027")),
    ],
)
def test_the_axis_of_time_names_the_days_of_the_marks_and_no_other(sessions, first, last, dates, ticks):
    ends = pd.to_datetime([first, last], utc=True)
    axes = axes_of(plots.plot_day(sessions.head(2).assign(end=ends)))
    assert axes.get_xlabel() == f"time (UTC), {dates}"
    assert axes.xaxis.get_offset_text().get_text() == ""
    said = [label.get_text() for label in axes.get_xticklabels()]
    assert set(ticks) <= set(said)
    assert len(said) <= 10


def test_names_of_marks_do_not_lie_on_one_another(sessions):
    crowded = sessions.head(6).assign(wanted="revoke", one_in=1e6, end=sessions["end"].iloc[0])
    assert len(texts(axes_of(plots.plot_day(crowded)))) == 6
    many = pd.concat([crowded] * 2)
    assert len(texts(axes_of(plots.plot_day(many)))) <= 6


def test_names_of_marks_do_not_lie_on_the_lines_of_the_thresholds(sessions):
    at_revoke = sessions.head(1).assign(wanted="revoke", one_in=20_000.0)
    axes = axes_of(plots.plot_day(at_revoke))
    (name,) = axes.texts
    foot, top = (axes.transData.inverted().transform((0, y))[1] for y in name.get_window_extent().intervaly)
    assert not foot < 20_000 < top


def test_counts_are_bars_with_the_flagged_part(sessions):
    counts = overview.counted(sessions, "tenant_id")
    axes = axes_of(plots.plot_counts(counts, title="by tenant"))
    assert sum(lengths(axes)) == len(sessions)
    assert lengths(axes)[-1] == counts["flagged"].iloc[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(counts.index[::-1])


def test_outcomes_are_labelled_with_their_counts(archive, control):
    outcomes = overview.outcomes(findings(archive, control))
    axes = axes_of(plots.plot_outcomes(outcomes))
    assert sorted(map(int, texts(axes))) == sorted(count for count in outcomes.to_numpy().ravel() if count)


def test_the_evidence_of_a_session_is_drawn_call_by_call(slide):
    axes = axes_of(plots.plot_evidence(slide))
    assert list(axes.lines[0].get_ydata()) == pytest.approx(list(slide.timeline["one_in"].clip(lower=1.0)))
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks[4] == "5 email.send"
    refused = axes.collections[1].get_offsets()
    assert [int(x) for x, _ in refused] == list(slide.timeline[slide.timeline["effect"] == "deny"]["act"])


def test_signals_that_spoke_are_numbered(slide):
    axes = axes_of(plots.plot_signals(slide))
    rows = [label.get_text() for label in axes.get_yticklabels()]
    values = axes.images[0].get_array()
    assert values[rows.index("purpose_fit"), 4] == pytest.approx(slide.events["signals"][4]["purpose_fit"])
    assert "denial_pressure" not in rows


def test_steps_are_factors(slide):
    axes = axes_of(plots.plot_steps(slide))
    assert [1 + width for width in lengths(axes)] == pytest.approx(list(10 ** slide.timeline["step"]))


@pytest.mark.parametrize(
    ("asks_at", "told"),
    [
        ((100.0, 1_500_000.0), ["flag at 1 in 100", "revoke at 1 in 1,500,000"]),
        ((100.0, math.inf), ["flag at 1 in 100"]),
        ((math.inf, math.inf), []),
        (None, ["flag at 1 in 1,000 (as shipped)", "revoke at 1 in 20,000 (as shipped)"]),
    ],
)
def test_the_thresholds_that_are_configured_are_drawn(lay, asks_at, told):
    archive = open_archive(lay(), tenant="acme", asks_at=asks_at)
    sessions = archive.sessions()
    for figure in (
        plots.plot_evidence(explain(archive, "s1")),
        plots.plot_day(sessions, archive.asks_at),
        plots.plot_distribution(thresholds.evidence(sessions, feedback_of_nobody()), archive.asks_at),
    ):
        axes = axes_of(figure)
        lines = [line for line in axes.lines if " at 1 in " in line.get_label()]
        assert [line.get_label() for line in lines] == told
        ends = [max(*line.get_xdata(), *line.get_ydata()) for line in lines]
        assert ends == [at for at in asks_at or (1_000, 20_000) if at < math.inf]
        assert max(*axes.get_xlim(), *axes.get_ylim()) > max(ends, default=1)


@pytest.fixture
def long(lay):
    """Sixty calls, the fifth of which was flagged."""
    told = {"one_in": 5e4, "wanted": "flag", "finding_id": "fnd_1", "tool": "email.send", "step": 4.7}
    for n in range(60):
        calm = {"one_in": 1.5, "step": 0.1 - n / 1000}
        root = lay(signals=[("purpose_fit", 0.1)], **(told if n == 4 else calm))
    return explain(open_archive(root, tenant="acme"), "s1")


def test_the_call_that_was_flagged_is_drawn_however_many_came_after_it(long, monkeypatch):
    axes = axes_of(plots.plot_evidence(long))
    assert list(axes.lines[0].get_xdata()) == list(range(1, 61))
    assert [int(x) for x, _ in axes.collections[2].get_offsets()] == [5]
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert "5 email.send" in ticks
    assert 20 <= len(ticks) <= 30
    assert axes.get_title(loc="left") == "Evidence of s1"
    for plot, rows in ((plots.plot_signals, "xaxis"), (plots.plot_steps, "yaxis")):
        axes = axes_of(plot(long))
        ticks = [label.get_text() for label in getattr(axes, rows).get_ticklabels()]
        assert [int(tick.split()[0]) for tick in ticks] == list(range(1, 41))
        assert ticks[4] == "5 email.send"
        assert axes.get_title(loc="left").endswith(
            "\n40 of 60 calls: those that led to a finding, and the largest steps"
        )
    monkeypatch.setattr(plots.session, "_DRAWN", 50)
    assert axes_of(plots.plot_evidence(long)).get_title(loc="left") == "Evidence of s1: calls 11–60 of 60"


def test_of_more_findings_than_have_room_the_title_says_that_they_are_the_first(lay):
    for n in range(50):
        root = lay(step=n / 10, wanted="revoke" if n > 3 else "none", finding_id=f"f{n}" if n > 3 else None)
    axes = axes_of(plots.plot_steps(explain(open_archive(root, tenant="acme"), "s1")))
    assert [int(label.get_text().split()[0]) for label in axes.get_yticklabels()] == list(range(5, 45))
    assert axes.get_title(loc="left").endswith("\n40 of 50 calls: the first of 46 that led to a finding")


def test_a_delegation_shows_both_ends(archive, planted):
    child = [name for name, plant in planted.items() if plant is Plant.COPIED_AUTHORITY][-1]
    found = explain(archive, child)
    told = "\n".join(texts(axes_of(plots.plot_delegation(found))))
    assert all(name in told for name in found.chain["session_id"])
    assert "holds 6 tools, used 2; asked: flag" in told


def test_a_wide_delegation_shows_the_flagged_ones_and_the_ways_to_them_and_counts_the_others(lay):
    names = ["root", *(f"up{n}" for n in range(8)), "s1"]
    for parent, name in zip([None, *names], names, strict=False):
        lay(session_id=name, parent_session_id=parent)
    for n in range(30):
        root = lay(session_id=f"kid{n:02}", parent_session_id="s1")
    for n in (27, 29):
        root = lay(session_id=f"grandkid{n}", parent_session_id=f"kid{n}", wanted="flag", finding_id=f"f{n}")
    figure = plots.plot_delegation(explain(open_archive(root, tenant="acme"), "s1"))
    assert figure.get_size_inches()[1] < 25
    axes = axes_of(figure)
    told = [text.split("\n")[0] for text in texts(axes) if text]
    ways, calm = ["kid27", "kid29"], [f"kid{n:02}" for n in range(16)]
    assert told == [*names[3:], *calm, *ways, "grandkid27", "grandkid29", "and 12 more below it"]
    arrows = sum(not text for text in texts(axes))
    assert arrows == len(told) - 2
    assert axes.get_title(loc="left").endswith("(without the first 3)")
    places = {text.get_text().split("\n")[0]: text.get_position()[0] for text in axes.texts}
    assert places["and 12 more below it"] == places["kid00"]


def test_the_map_shows_the_calls_in_order(archive, slide):
    places, explained = meaning.purpose_map(archive, slide.session["session_id"])
    axes = axes_of(plots.plot_map(places, explained))
    calls = places[places["what"] == "call"]
    assert list(axes.lines[0].get_xdata()) == list(calls["x"])
    assert "1 contracts.read" in texts(axes)
    assert f"{explained:.0%}" in axes.get_title(loc="left")


def test_the_distribution_counts_every_session(sessions, said):
    axes = axes_of(plots.plot_distribution(thresholds.evidence(sessions, said)))
    assert sum(bar.get_height() for bar in axes.patches) == len(sessions)


@pytest.mark.parametrize(("calm", "top"), [(1, "1"), (30, "20"), (34_000, "20,000"), (1_000_000, "1,000,000")])
def test_the_distributions_counts_are_told_up_to_the_largest(calm, top):
    values = {"log10_one_in": [0.1] * calm + [3.4], "group": ["not flagged"] * calm + ["confirmed"]}
    axes = axes_of(plots.plot_distribution(pd.DataFrame(values)))
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == top
    assert calm <= axes.get_ylim()[1] <= 1.2 * calm


def test_promise_and_measurement_are_drawn_at_their_values(sessions, said):
    table = thresholds.promised_and_measured(thresholds.taken_for_honest(sessions, said))
    axes = axes_of(plots.plot_promise(table))
    drawn = {line.get_label(): line for line in axes.lines}
    assert list(drawn["promised: 1 / N"].get_ydata()) == list(table["promised"])
    measured = axes.containers[0].lines[0].get_ydata()
    assert list(measured) == pytest.approx(list(table["measured"]), abs=1e-6)  # none is drawn just above nothing


def test_flagged_sessions_are_stacked_and_costs_marked_at_the_least(sessions, said):
    table = thresholds.would_flag(sessions, said)
    axes = axes_of(plots.plot_flagged(table))
    totals = table[["confirmed", "dismissed", "not_judged"]].sum(axis=1)
    assert texts(axes) == [f"{total}" for total in totals]
    assert [label.get_text() for label in axes.get_xticklabels()][-3:] == ["100 k", "500 k", "1 M"]
    costs = thresholds.costs(sessions, said, minutes_per_alarm=15, minutes_per_miss=480)
    axes = axes_of(plots.plot_costs(costs))
    assert texts(axes) == [f"least: {costs['total'].min() / 60:.1f} h"]
    found = thresholds.costs(sessions, said, minutes_per_alarm=15, minutes_per_miss=480, one_in=(10, 20))
    assert list(found["missed"]) == [0, 0]
    (said_there,) = texts(axes_of(plots.plot_costs(found)))
    assert said_there.startswith("least: "), "none missed is not none there"


def test_legends_and_notes_lie_on_nothing_that_is_drawn(sessions, said):
    table = thresholds.promised_and_measured(thresholds.taken_for_honest(sessions, said))
    costs = thresholds.costs(sessions, said, minutes_per_alarm=15, minutes_per_miss=480)
    promise, cost = plots.plot_promise(table), plots.plot_costs(costs)
    counts = plots.plot_counts(overview.counted(sessions, "tenant_id"), title="by tenant")
    flagged = plots.plot_flagged(thresholds.would_flag(sessions, said))
    for figure in (promise, cost, counts, flagged):
        figure.draw_without_rendering()
        [legend], [axes] = figure.legends, figure.axes
        assert axes.get_legend() is None
        assert not legend.get_window_extent().overlaps(axes.get_window_extent())
    assert texts(promise.axes[0]) == []
    assert cost.axes[0].lines[0].get_label() == "both", "or it would hide what it is made of"


def test_the_models_figures_are_drawn_at_their_values(sessions, events, said):
    table = trust.precision(trust.flagged(sessions, said, set()), "tenant_id")
    axes = axes_of(plots.plot_precision(table, title="by tenant"))
    assert list(axes.containers[0].lines[0].get_xdata()) == pytest.approx(list(100 * table["precision"][::-1]))
    told = [tick.get_text().partition("\n") for tick in axes.get_yticklabels()[::-1]]
    assert told[0] == ("all", "\n", "5 of 6 confirmed, 5 not judged")
    values = trust.p_values(events)
    axes = axes_of(plots.plot_p_values(values))
    drawn = np.concatenate([line.get_ydata() for line in axes.lines[:2]])
    assert sorted(drawn) == pytest.approx(sorted(100 * values["share"]))
    weekly = trust.weekly(events)
    axes = axes_of(plots.plot_weekly(weekly))
    assert axes.get_xticklabels()[0].get_text() == "06 Apr 2026"


def test_a_proposal_is_drawn_with_cost_and_gain(archive):
    proposal = proposing.propose(archive, "tenant_acme")
    rules = proposing.restrictions(proposal)
    axes = axes_of(plots.plot_backtest(rules))
    assert sum(lengths(axes)) == rules["honest_denied"].sum() + rules["flagged_denied"].sum()
    counts = proposing.counts(proposal.backtest, proposal.surface)
    axes = axes_of(plots.plot_surface(counts))
    assert lengths(axes) == [counts["privileges after"], counts["privileges before"]]


def test_agents_and_tools_are_drawn_from_their_frames(archive, events):
    table = hunting.blurred(archive)
    axes = axes_of(plots.plot_blurred(table))
    assert texts(axes) == list(table["oddest"][::-1])
    moves = hunting.moving_tools(events, at=archive.days[-1])
    axes = axes_of(plots.plot_moves(moves, most=3))
    assert len(axes.get_yticklabels()) == 3


def test_figures_without_data_say_so(events, sessions):
    nobody = sessions.head(0)
    empty = feedback_of_nobody()
    for figure in (
        plots.plot_day(nobody),
        plots.plot_counts(overview.counted(nobody, "tenant_id"), title="by tenant"),
        plots.plot_outcomes(pd.DataFrame()),
        plots.plot_distribution(thresholds.evidence(nobody, empty)),
        plots.plot_promise(thresholds.promised_and_measured(thresholds.taken_for_honest(nobody, empty))),
        plots.plot_costs(thresholds.costs(sessions, empty, minutes_per_alarm=15, minutes_per_miss=480)),
        plots.plot_precision(trust.precision(trust.flagged(sessions, empty, set()), "tenant_id"), title="none"),
        plots.plot_p_values(trust.p_values(events.head(0))),
        plots.plot_weekly(trust.weekly(events.head(0))),
        plots.plot_backtest(pd.DataFrame(columns=["honest_denied", "flagged_denied", "role", "says"])),
        plots.plot_blurred(pd.DataFrame(columns=["alike", "oddest_alike", "oddest", "agent_id"])),
        plots.plot_moves(pd.DataFrame(columns=["change", "before", "after", "tool", "purpose_family"])),
    ):
        assert texts(axes_of(figure)), figure.axes[0].get_title(loc="left")
        assert not figure.axes[0].axison, "and draws nothing else"


def feedback_of_nobody():
    from guardian.analysis import schema

    return schema.frame([], schema.FEEDBACK)


def test_every_plot_is_exported():
    made = {name for name in vars(plots) if name.startswith("plot_")}
    assert made == set(plots.__all__)


def test_every_calibration_is_drawn_however_many_there_were():
    names = [f"calibration-{number}" for number in range(6)]
    shares = pd.DataFrame([{"calibration": name, "from": 0.0, "share": 1.0, "calls": 3} for name in names])
    weeks = pd.DataFrame(
        [{"week": pd.Timestamp("2026-05-04", tz="UTC"), "calibration": name, "low": 0.1} for name in names]
    )
    for figure in (plots.plot_p_values(shares), plots.plot_weekly(weeks)):
        drawn = [line.get_label() for line in axes_of(figure).lines]
        assert sum(label.startswith("calibration ") for label in drawn) == len(names)
