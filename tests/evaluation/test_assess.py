"""One run measures everything that was asked for, and says what it could not measure."""

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from guardian.embedding import PurposeFit
from guardian.errors import ConfigurationError
from guardian.evaluation.alarms import PromiseRow
from guardian.evaluation.assess import NO_HONEST_SESSION, Asked, assess, left_out
from guardian.evaluation.assessment import Assessment
from guardian.evaluation.baselines import cosine, lexical
from guardian.evaluation.calibration import JudgeWith, fit_calibration, session_line
from guardian.evaluation.explanations import explanations
from guardian.evaluation.folding import folding
from guardian.evaluation.honest import HonestSession
from guardian.evaluation.judge import CHANGES
from guardian.evaluation.metrics import Interval, separation
from guardian.evaluation.plots import _promises, draw
from guardian.evaluation.report import Report, Row
from guardian.evaluation.robustness import VARIANTS
from guardian.evaluation.sessions import LabelledSession, session_of
from guardian.pipeline.scoring_run import SessionScorer
from guardian.scoring.calibration import Calibration
from guardian.signals.credentials.scanner import CredentialScanner

Made = Callable[..., list[LabelledSession]]
ASKED = Asked(
    one_in=(20.0, 100.0), flag_one_in=20.0, exchanged=True, robustness=True, explanations=True, resamples=20
)


@pytest.fixture(scope="module")
def yardstick(made: Made, word_judges: Callable[..., JudgeWith]) -> Calibration:
    flat = Calibration.fit([0.5], [0.0], [0.0], source="none")
    scorer = SessionScorer(word_judges()(flat), CredentialScanner())
    honest = [
        HonestSession(s.purpose, tuple(scorer.session(session_line(s, n))))
        for n, s in enumerate(made(200, dataset="calibrated", start=1_000), 1)
    ]
    return fit_calibration(honest, judge_with=word_judges(), source="calibrated.jsonl, one.jsonl", fold="words/1")


@pytest.fixture(scope="module")
def measure(yardstick: Calibration, word_judges: Any, words: PurposeFit) -> Callable[..., Assessment]:
    def run(sessions: list[LabelledSession], asked: Asked = ASKED, without: str | None = None) -> Assessment:
        judge = word_judges()(yardstick)
        rest = [name for name in ("purpose_fit", "chain_exposure") if name != without]
        ablations = {f"guardian without {without}": folding(word_judges(*rest)(yardstick), CredentialScanner())}
        return assess(
            sessions,
            fold=folding(judge, CredentialScanner()),
            explain=words.explain,
            baselines={"cosine": cosine(words), "lexical": lexical},
            ablations=ablations if without else {},
            calibrated_on={"calibrated", "one"},
            asked=asked,
        )

    return run


@pytest.fixture(scope="module")
def whole(measure: Callable[..., Assessment], made: Made) -> Assessment:
    sessions = [*made(40, dataset="one", drifts=4), *made(20, dataset="two", start=500)]
    return measure(sessions, without="purpose_fit")


def test_the_fold_stands_beside_its_baselines_and_its_ablation(whole: Assessment) -> None:
    scorers = {row.scorer for row in whole.separation.rows}
    assert scorers == {
        "guardian",
        "guardian, largest act",
        "cosine",
        "lexical",
        "guardian without purpose_fit",
        "guardian without purpose_fit, largest act",
        "guardian, another object",
        "guardian, another object, largest act",
        "guardian without purpose_fit, another object",
        "guardian without purpose_fit, another object, largest act",
    }
    assert whole.separation.row("guardian").found.auc.value > 0.95
    assert whole.separation.row("guardian", "session").found.drift == 10
    assert whole.separation.row("guardian without purpose_fit").found.auc.value < 0.95


def test_a_promise_is_measured_per_data_set_and_says_whether_the_calibration_saw_it(whole: Assessment) -> None:
    rows = {(row.source, row.one_in): row for row in whole.promises}
    assert set(rows) == {("one", 20.0), ("one", 100.0), ("two", 20.0), ("two", 100.0)}
    assert rows["one", 20.0].sessions == 30
    assert "fitted on this set too" in rows["one", 20.0].calibration
    assert "too" not in rows["two", 20.0].calibration


def test_drift_is_waited_for_single_acts_are_counted_and_explanations_tried(whole: Assessment) -> None:
    assert [row.sessions for row in whole.delays] == [10, 10]
    assert {row.act for row in whole.single_acts} == {"any", "send, pay, share, delete"}
    found = whole.explanation
    assert found is not None
    assert 0 < found.named <= found.with_choice <= found.findings
    assert found.mattered.value >= 0.5
    assert found.mean_fall > found.mean_other_fall


def test_two_arguments_of_one_path_leave_no_other_one_to_take_away(
    yardstick: Calibration, word_judges: Any, words: PurposeFit
) -> None:
    call = {"tool": "payments.send", "args": {"to.iban": "eve", "to": {"iban": "mallory"}}, "label": "drift"}
    said = {"dataset": "d", "session_id": "s", "purpose": "list payments of Acme"}
    session = session_of({**said, "actions": [call]})
    fold = folding(word_judges()(yardstick), CredentialScanner())
    found = explanations(fold([session]), fold=fold, explain=words.explain, one_in=1.0, seed=7)
    assert (found.findings, found.with_choice, found.named) == (1, 0, 0)


def test_drift_is_told_apart_by_what_the_act_can_do(whole: Assessment) -> None:
    kinds, everything = dict(whole.kinds), whole.separation.row("guardian").found
    assert kinds["send, pay, share, delete"] == kinds[CHANGES] == everything, "it is all of that kind here"
    assert "look-up" not in kinds, "a kind without drift has no row"


def test_every_variant_is_a_row_beside_the_sessions_as_they_are(whole: Assessment) -> None:
    assert [row.variant for row in whole.robustness] == ["as is", *VARIANTS]
    assert whole.robustness[0].moved_4 == 0.0


def test_drift_is_one_act_wherever_it_occurs(whole: Assessment) -> None:
    assert {row.found.acts for row in whole.separation.rows if "another object" not in row.scorer} == {1}
    assert {row.acts for row in (*whole.delays, *whole.single_acts)} == {1}
    assert {found.acts for _, found in whole.kinds} == {1}


def test_an_assessment_prints_as_json_and_as_tables(whole: Assessment) -> None:
    plain = json.loads(json.dumps(whole.to_json(), allow_nan=False))
    assert {"rows", "kinds", "promises", "delays", "single_acts", "explanation", "robustness", "notes"} <= set(
        plain
    )
    assert plain["delays"][0]["median"] is not None
    text = "\n".join(whole.lines())
    for said in (
        "recall @ 4 %",
        "what the act can do",
        "promised",
        "median wait",
        "single act",
        "moved @ 4 %",
        "Removing it lowers",
    ):
        assert said in text


def test_what_was_not_asked_for_is_not_measured(measure: Callable[..., Assessment], made: Made) -> None:
    found = measure(made(24, drifts=4), Asked(one_in=(20.0,), resamples=5))
    assert found.explanation is None
    assert found.robustness == ()
    assert {row.one_in for row in found.promises} == {20.0}


def test_honest_sessions_alone_still_show_their_false_alarms(
    measure: Callable[..., Assessment], made: Made
) -> None:
    found = measure(made(20))
    assert {row.scorer for row in found.separation.rows} == {
        "guardian, another object",
        "guardian, another object, largest act",
    }, "no drift is needed to turn honest sessions to another object"
    assert found.kinds == found.delays == found.single_acts == ()
    assert found.promises
    lines = "\n".join(found.lines())
    assert "of one kind only, so no robustness and no explanations could be measured." in lines
    quiet = replace(ASKED, robustness=False, explanations=False)
    assert "of one kind only." in "\n".join(measure(made(20), quiet).lines())


def test_where_every_session_drifts_that_is_told_and_no_number_is_made_up(
    measure: Callable[..., Assessment], made: Made
) -> None:
    asked = replace(ASKED, robustness=False, explanations=False)
    found = measure(made(12, drifts=1), asked)
    lines = "\n".join(found.lines())
    assert "| guardian | session | all | 0 / 12 (1) | - | - | - | - | - | - |" in lines
    assert "nan" not in lines
    assert NO_HONEST_SESSION in found.notes
    assert NO_HONEST_SESSION not in measure(made(12, drifts=4), asked).notes


def test_where_no_value_can_be_exchanged_that_is_told(measure: Callable[..., Assessment], made: Made) -> None:
    nothing_named = [replace(session, purpose="do what has to be done") for session in made(24, drifts=4)]
    asked = replace(ASKED, robustness=False, explanations=False)
    assert "none could be exchanged" in "\n".join(measure(nothing_named, asked).lines())
    assert "none could be exchanged" not in "\n".join(
        measure(nothing_named, replace(asked, exchanged=False)).lines()
    )


def test_calls_that_nobody_is_sure_of_are_not_exchanged(measure: Callable[..., Assessment], made: Made) -> None:
    unsure = [replace(s, actions=tuple(replace(a, counted=False) for a in s.actions)) for s in made(20)]
    found = measure(unsure)
    assert found.separation.rows == ()
    assert "none could be exchanged" in "\n".join(found.lines())


def test_labels_do_not_reach_the_fold(made: Made, word_judges: Any, yardstick: Calibration) -> None:
    fold = folding(word_judges()(yardstick), CredentialScanner())
    sessions = made(24, drifts=4)
    flipped = [
        replace(s, actions=tuple(replace(a, label="benign" if a.drift else "drift") for a in s.actions))
        for s in sessions
    ]
    assert [f.drifts for f in fold(flipped)] == [f.drifts for f in fold(sessions)]


def test_each_data_set_is_judged_by_a_calibration_that_never_saw_it(made: Made, word_judges: Any) -> None:
    asked_of: list[Calibration] = []

    def noting(calibration: Calibration) -> Any:
        asked_of.append(calibration)
        return word_judges()(calibration)

    sessions = [*made(80, dataset="one"), *made(50, dataset="two", start=500, drifts=10)]
    rows = left_out(sessions, judge_with=noting, fold="words/1", redactor=CredentialScanner(), asked=ASKED)
    assert [(row.source, row.sessions, row.one_in) for row in rows] == [
        ("one", 80, 20.0),
        ("one", 80, 100.0),
        ("two", 45, 20.0),
        ("two", 45, 100.0),
    ]
    assert all(row.calibration.startswith("the others (") for row in rows)
    assert {c.source for c in asked_of} == {"none", "the other sets"}


def test_every_session_of_the_other_data_sets_is_calibrated_on(made: Made, word_judges: Any) -> None:
    asked_of: list[Calibration] = []

    def noting(calibration: Calibration) -> Any:
        asked_of.append(calibration)
        return word_judges()(calibration)

    sets = [made(40, dataset=name, start=start) for name, start in (("one", 0), ("two", 100), ("three", 200))]
    left_out(
        [s for each in sets for s in each],
        judge_with=noting,
        fold="words/1",
        redactor=CredentialScanner(),
        asked=ASKED,
    )
    fitted = [c for c in asked_of if len(c.evidence.values) > 1]  # sessions here are of one action
    assert [len(c.actions.values) + len(c.evidence.values) for c in fitted] == [80, 80, 80]


def test_one_data_set_cannot_be_left_out(made: Made, word_judges: Any) -> None:
    with pytest.raises(ValueError, match=r"takes two .*got \['one'\]"):
        left_out(made(60), judge_with=word_judges(), fold="words/1", redactor=CredentialScanner(), asked=ASKED)


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="the plots extra is not installed")
def test_figures_are_drawn_as_png(whole: Assessment, tmp_path: Path) -> None:
    written = draw(whole, tmp_path / "new" / "figures")
    assert [path.name for path in written] == ["roc.png", "calibration.png", "delay.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="the plots extra is not installed")
def test_what_was_not_measured_is_not_drawn(
    measure: Callable[..., Assessment], made: Made, tmp_path: Path
) -> None:
    assert [path.name for path in draw(measure(made(20)), tmp_path)] == ["calibration.png"]


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="the plots extra is not installed")
def test_an_interval_that_reaches_nothing_ends_at_no_bound_of_the_figure() -> None:
    from matplotlib.figure import Figure

    rows = [PromiseRow("log", "c", 100, 205, 1, 0, 0, Interval(0.005, low, 0.015)) for low in (0.0, 0.002)]
    axes = Figure().add_subplot()
    _promises(cast(Assessment, SimpleNamespace(promises=rows)), axes)
    foot, _ = axes.get_ylim()
    (bars,) = axes.collections
    ends = [segment[0][1] for segment in bars.get_segments()]
    caps = [y for line in axes.lines if line.get_marker() == "_" for y in line.get_ydata() if y < 0.005]
    assert ends == caps == pytest.approx([0.0, 0.002])
    assert 0.0 < foot < 0.002, "what lies below is not seen"


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="the plots extra is not installed")
def test_that_none_was_flagged_is_drawn_with_what_it_leaves_open_and_sets_lie_side_by_side() -> None:
    from matplotlib.figure import Figure

    sets = [("few", 4, 0.6), ("more", 60, 0.06), ("many", 9_000, 0.0004)]
    rows = [PromiseRow(name, "c", 20, n, 0, 0, 0, Interval(0.0, 0.0, high)) for name, n, high in sets]
    axes = Figure().add_subplot()
    _promises(cast(Assessment, SimpleNamespace(promises=rows)), axes)
    bars = [segment for drawn in axes.collections for segment in drawn.get_segments()]
    assert [bar[1][1] for bar in bars] == pytest.approx([high for *_, high in sets])
    assert [bar[0][1] for bar in bars] == pytest.approx([0.0] * 3)
    at = [bar[0][0] for bar in bars]
    assert at[0] < at[1] < at[2]
    assert at[1] == pytest.approx(1 / 20)
    marks = [y for line in axes.lines if line.get_marker() == "v" for y in line.get_ydata()]
    assert len(marks) == 3
    assert all(axes.get_ylim()[0] < y < 0.0004 for y in marks)


HOSTILE = "set $\\frac{$ \x1b[31m\u202e|\x9b"


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="the plots extra is not installed")
def test_the_name_of_a_set_is_drawn_as_it_is_and_never_as_a_formula(tmp_path: Path) -> None:
    row = PromiseRow(HOSTILE, "c", 100, 205, 1, 0, 0, Interval(0.005, 0.0, 0.015))
    [written] = draw(Assessment(Report((), 1, 0, 7), promises=(row,)), tmp_path)
    assert written.name == "calibration.png"


def test_in_a_table_no_name_steers_the_terminal_or_shifts_a_cell() -> None:
    nothing = separation([], [], [], seed=7, resamples=2)
    rows = (Row("guardian", "action", HOSTILE, nothing), Row("guardian", "action", "\x1b]0;owned\x07", nothing))
    promise = PromiseRow(HOSTILE, HOSTILE, 100, 205, 1, 0, 0, Interval(0.005, 0.0, 0.015))
    told = [*Assessment(Report(rows, 1, 0, 7), promises=(promise,)).lines()]
    assert all(line.isprintable() for line in told)
    for head, *cells in (told[:4], [line for line in told[4:] if line.startswith("|")]):
        assert {line.replace(r"\|", "").count("|") for line in cells} == {head.count("|")}
    assert r"set $\frac{$ ‹U+001B›[31m‹U+202E›\|‹U+009B›" in told[2]


def test_without_matplotlib_the_extra_is_named(
    whole: Assessment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigurationError, match=r"intent-guardian\[plots\]"):
        draw(whole, tmp_path)
