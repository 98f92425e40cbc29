"""Traffic that left the calibration is told to the operators once, and shown by the doctor."""

import json
import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from guardian.bootstrap.departing import departure_of, height, show_departure, watch_departure
from guardian.bootstrap.judgement import calibration_version, configured_fold, fold_version, open_calibration
from guardian.bootstrap.monitor_store import hear_change, open_monitor_store
from guardian.commands.doctor import examine
from guardian.commands.initialise import initialise
from guardian.config import Settings, load
from guardian.domain.batch import Change, Judgement
from guardian.domain.finding import Kind
from guardian.domain.gathered import Gathered
from guardian.domain.identity import SessionKey
from guardian.domain.record import Place
from guardian.domain.session import HumanWord, SessionState
from guardian.scoring.calibration import Calibration
from guardian.scoring.departure import Departure
from guardian.store.engine import open_engine
from guardian.store.monitor.departures import Ended, Watch, Watched
from guardian.store.monitor.store import MonitorStore
from guardian.stream.housekeeping import Housekeeping
from guardian.telemetry import Metrics

NOW = datetime(2026, 5, 12, tzinfo=UTC)
GAUSS = random.Random(1)
CALIBRATION = Calibration.fit([0.1] * 50, [GAUSS.gauss(0, 0.5) for _ in range(300)], [0.5] * 300, source="test")
VERSION = calibration_version(CALIBRATION)
P0 = Place("t", 0)


def state(top: float, **more: Any) -> SessionState:
    measured = {"calibration": VERSION, "undivided": True}
    return SessionState(actions=1, **{"evidence": Gathered(n=1, m=top, top=top), **measured, **more})


@pytest.fixture
def store(tmp_path: Path) -> Any:
    hear = partial(hear_change, lasting=())
    made = MonitorStore(open_engine(f"sqlite:///{tmp_path}/monitor.db"), seal=lambda value: value, hear=hear)
    yield made
    made.close()


@pytest.fixture
def watch() -> Watch:
    tie = random.Random(3).random
    return watch_departure(CALIBRATION, one_in=1_000, tie=tie, clock=lambda: NOW)


def end(store: MonitorStore, watch: Watch, tops: Sequence[float], *, begin: int = 0) -> None:
    """That many sessions are judged, fall silent and are tidied up."""
    owned = store.claim([P0], "m", now=NOW)
    base = {Place(*place): offset for place, offset in owned.positions.items()}
    sessions = {SessionKey("acme", f"s{begin + n}"): state(top) for n, top in enumerate(tops)}
    judged = Judgement(sessions=sessions)
    at = {P0: base.get(P0, 0) + 1}
    store.commit(judged, positions=at, base=base, versions={}, member="m", now=NOW)
    later = NOW + timedelta(hours=2)
    Housekeeping(store=store, learn=lambda *_: None, clock=lambda: later, watch=watch).tidy()  # type: ignore[arg-type, return-value]


def told(store: MonitorStore) -> list[Any]:
    return [item.finding for item in store.outbox.due(NOW + timedelta(days=1), 100)]


def test_usual_traffic_is_counted_and_nothing_is_told(store: MonitorStore, watch: Watch) -> None:
    rnd = random.Random(5)
    end(store, watch, [rnd.gauss(0, 0.5) for _ in range(200)])
    seen = departure_of(store, CALIBRATION)
    assert seen is not None
    assert seen.seen == 200
    assert told(store) == []


@pytest.mark.parametrize(("shift", "severity", "said"), [(0.8, "high", "further out"), (-0.8, "info", "tamer")])
def test_a_change_is_told_to_the_operators_once(
    store: MonitorStore, watch: Watch, shift: float, severity: str, said: str
) -> None:
    rnd = random.Random(5)
    for part in range(4):
        end(store, watch, [rnd.gauss(shift, 0.5) for _ in range(50)], begin=50 * part)
    (finding,) = told(store)
    assert (finding.kind, finding.tenant_id, finding.severity) == (Kind.CALIBRATION, "guardian", severity)
    assert said in finding.title
    assert "guardian calibrate" in finding.title
    assert "mix of purposes" in finding.title, "nobody knows whether promises are broken"
    assert "are broken" not in finding.title
    assert finding.versions == {"calibration": calibration_version(CALIBRATION)}


def faded(store: MonitorStore, calibration: Calibration, direction: str) -> Departure:
    """Traffic that left the calibration a while ago and is now more like it again: the verdict stays."""
    purses = (2.0, 0.5, 0.1) if direction == "further out" else (0.1, 0.5, 2.0)
    seen = replace(Departure.start(calibration.evidence.values), purses=purses, seen=900, peak=1_234.0)
    assert (seen.direction, seen.left(), seen.capital < 1_000) == (direction, True, True)
    end(store, Watch(calibration_version(calibration), lambda *_: Watched(seen.to_state())), [0.0])
    return seen


@pytest.mark.parametrize(("direction", "other"), [("further out", "tamer"), ("tamer", "further out")])
def test_the_gauge_holds_what_the_verdict_goes_by_under_the_direction_of_the_traffic(
    store: MonitorStore, direction: str, other: str
) -> None:
    metrics = Metrics()
    show_departure(store, CALIBRATION, metrics)
    assert 'direction="' not in metrics.render().decode(), "no session has ended"
    faded(store, CALIBRATION, direction)
    metrics.set("guardian_departure_evidence", 1_200, direction=other)
    show_departure(store, CALIBRATION, metrics)
    assert metrics.value("guardian_departure_evidence", direction=direction) == 1_234
    assert metrics.value("guardian_departure_evidence", direction=other) == 0


def test_a_new_calibration_starts_afresh(store: MonitorStore, watch: Watch) -> None:
    end(store, watch, [2.0] * 100)
    assert departure_of(store, CALIBRATION).left()  # type: ignore[union-attr]
    other = Calibration.fit([0.1] * 50, [2.0] * 100, [0.5] * 100, source="other")
    assert departure_of(store, other) is None


def test_bins_of_another_version_start_afresh(watch: Watch) -> None:
    watched = watch.fold({"counts": [1, 2]}, [Ended(SessionKey("a", "s"), state(0.0), None)])
    assert watched.state["seen"] == 1


@pytest.mark.parametrize(
    ("session", "word", "found"),
    [
        (state(0.5), None, 0.5),
        (state(0.5), "false_positive", 0.5),
        (state(0.5), "confirmed", None),
        (state(0.5), "withdrawn", 0.5),
        (state(0.5, peak=2.0), "reinstated", 2.0),
        (state(0.5, evidence=Gathered(n=1, top=0.5, broke=True)), None, None),
        (state(0.5, evidence=Gathered()), None, None),
        (SessionState(), None, None),
    ],
)
def test_which_sessions_count_is_as_in_a_calibration(session: SessionState, word: str, found: float) -> None:
    assert height(Ended(SessionKey("a", "s"), session, word), VERSION) == found


@pytest.mark.parametrize("measured", [{"calibration": "another"}, {"undivided": False}, {"calibration": ""}])
def test_sessions_that_another_calibration_measured_do_not_count(
    store: MonitorStore, watch: Watch, measured: dict[str, Any]
) -> None:
    ended = [Ended(SessionKey("a", f"s{n}"), state(3.0, **measured), None) for n in range(60)]
    assert watch.fold(None, ended) == Watched(Departure.start(CALIBRATION.evidence.values).to_state())


def test_what_people_waved_through_still_counts_with_the_evidence_it_had() -> None:
    key = SessionKey("a", "s")
    for word in (HumanWord.FALSE_POSITIVE, HumanWord.REINSTATED):
        heard = hear_change(state(3.0), Change(1, key, word, NOW), lasting=())
        assert heard.evidence == Gathered()
        assert height(Ended(key, heard, word.value), VERSION) == 3.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    initialise(tmp_path / "home")
    return load(tmp_path / "home" / "guardian.yaml")


def doctor(settings: Settings) -> Any:
    return next(check for check in examine(settings) if check.name == "calibration")


def test_the_doctor_says_what_is_promised_and_what_that_assumes(settings: Settings) -> None:
    found = doctor(settings)
    assert found.ok
    said, assumed = found.found.splitlines()
    calibration = open_calibration(settings)
    assert f"promises reach 1 in {calibration.reach:,}, how many are flagged at 1 in 1,000 is estimated" in said
    assert f"own figure is covered up to 1 in {calibration.covered:,.0f} and 37 calls, past that estimated" in said
    assert said.endswith("no session has ended under it yet")
    assert "exchangeable" in assumed


@pytest.mark.parametrize(
    ("direction", "ok", "said"),
    [
        ("further out", False, "900 finished sessions lie further out than its own"),
        ("tamer", True, "evidence of a change 1.23e+03 of 1,000: they are tamer than its own"),
    ],
)
def test_the_doctor_says_that_traffic_has_left_the_calibration_and_whether_that_hurts(
    settings: Settings, direction: str, ok: bool, said: str
) -> None:
    with closing(open_monitor_store(settings, makes=True)) as store:
        faded(store, open_calibration(settings), direction)
    found = doctor(settings)
    assert found.ok is ok
    assert said in found.found


def test_the_doctor_refuses_a_calibration_of_another_fold_and_one_that_names_none(
    settings: Settings, tmp_path: Path
) -> None:
    body = json.loads(open_calibration(settings).to_json())
    unnamed = {name: said for name, said in body.items() if name != "fold"}
    for said, ok in (({"fold": "another/model"}, False), ({"fold": configured_fold(settings)}, True), ({}, False)):
        (tmp_path / "c.json").write_text(json.dumps({**unnamed, **said}))
        section = settings.model.model_copy(update={"calibration": tmp_path / "c.json"})
        found = doctor(settings.model_copy(update={"model": section}))
        assert found.ok is ok, found
        assert ok or "guardian calibrate" in found.mend


def test_the_doctor_refuses_the_models_calibration_for_word_overlap(settings: Settings) -> None:
    section = settings.model.model_copy(update={"engine": "lexical"})
    found = doctor(settings.model_copy(update={"model": section}))
    assert not found.ok
    assert "fitted with another model" in found.found


def test_the_name_of_a_fold_follows_signals_options_and_weights(settings: Settings) -> None:
    plain = fold_version(settings, "m")
    assert fold_version(settings.model_copy(update={"weights": {"chain_exposure": 0.1}}), "m") != plain
    fewer = {k: v for k, v in settings.signals.items() if k != "chain_exposure"}
    assert fold_version(settings.model_copy(update={"signals": fewer}), "m") != plain
    assert fold_version(settings, "n") != plain


def test_a_fold_is_named_by_what_its_options_are_and_not_by_how_they_are_spelt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = load(None).signals

    def named(signal: str, told: dict[str, Any], **weights: float) -> str:
        return fold_version(load(None, overrides={"signals": {**listed, signal: told}, "weights": weights}), "m")

    usual = fold_version(load(None), "m")
    assert named("chain_exposure", {"hoard_from": 6}) == usual
    assert named("chain_exposure", {"sensitive_classes": []}) == usual
    assert named("envelope_breach", {"mapping": {}}) == usual
    assert named("denial_pressure", {"scale": 4}) == usual
    seven = named("chain_exposure", {"hoard_from": 7})
    five = named("denial_pressure", {"scale": 5.0})
    assert len({usual, seven, five, named("denial_pressure", {"scale": 5.5})}) == 4
    assert five == named("denial_pressure", {"scale": 5}) == named("denial_pressure", {"scale": "5"})
    assert named("chain_exposure", {}, purpose_fit=0) == named("chain_exposure", {}, purpose_fit=0.0)
    for value, same in (("6", usual), ("7", seven)):
        monkeypatch.setenv("GUARDIAN_SIGNALS__CHAIN_EXPOSURE__HOARD_FROM", value)
        assert fold_version(load(None, overrides={"signals": listed}), "m") == same


@pytest.mark.parametrize("names", [["object_mismatch"], ["chain_exposure", "object_mismatch"]])
def test_the_doctor_names_the_signals_that_alone_keep_the_shipped_calibration_from_speaking(
    settings: Settings, names: list[str]
) -> None:
    """As a configuration that lists the signals of an older version."""
    listed = {name: options for name, options in settings.signals.items() if name not in names}
    found = doctor(settings.model_copy(update={"signals": listed}))
    assert (found.ok, found.found.partition(", which")[0]) == (False, f"the calibration knows {', '.join(names)}")
    assert found.mend.startswith(f"list {', '.join(names)} under `signals:`")
    loud = settings.model_copy(update={"signals": listed, "weights": {"purpose_fit": 0.9}})
    assert "fitted with another model" in doctor(loud).found
