"""A whole training run on made-up sessions and a one-layer base: artefact, resume, determinism."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from later import Later
from structlog.testing import capture_logs
from typer.testing import CliRunner

from guardian.bootstrap.judgement import open_calibration, open_fit, speaks_for
from guardian.cli import app
from guardian.commands.calibrating import calibrate_trained
from guardian.config import load as load_settings
from guardian.demo.log import log_lines
from guardian.demo.scenario import Scenario
from guardian.embedding import FitRequest, load
from guardian.embedding.artefact import FOLDS, REQUIRED, open_artefact, write_manifest
from guardian.embedding.onnx import Onnx
from guardian.errors import ConfigurationError, ModelError
from guardian.training.apis import Operation
from guardian.training.scenarios import scenario_sessions
from guardian.training.toolboxes import ABOUT_ACTS, DATASET, all_toolboxes, toolbox_sessions

NONE = load_settings(None)
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("one_thread")]
torch, tensors, encoders = (
    Later("torch"),
    Later("safetensors.torch"),
    Later("guardian.embedding.sentence_transformers"),
)
training, stages, loop = (Later(f"guardian.training.{name}") for name in ("recipe", "stages", "loop"))


def small(**varied: float) -> "stages.Recipe":
    told = {"repeats": 1, "batch": 8, "judged": 60, "measured": 12, "tool_steps": 0, "act_steps": 0}
    return stages.Recipe(**told | varied)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers model of one layer with a vocabulary of letters, made on the spot."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    raw = tmp_path_factory.mktemp("raw")
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,:;|>@#-/'$&()%*=_"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (raw / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(raw / "vocab.txt")).save_pretrained(raw)
    torch.manual_seed(0)
    shape = {"hidden_size": 384, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(vocabulary), **shape)).save_pretrained(raw)
    body = Transformer(str(raw))
    out = tmp_path_factory.mktemp("base")
    SentenceTransformer(modules=[body, Pooling(384)], device="cpu").save(str(out))
    return out


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two made-up data sets of honest and drifting sessions."""
    directory = tmp_path_factory.mktemp("data")
    sessions = scenario_sessions(seed=11, repeats=1)
    for number in range(2):
        lines = [
            {
                "dataset": f"made_{number}", "session_id": s.session_id, "purpose": s.purpose, "domain": s.domain,
                "actions": [{"tool": a.tool, "args": dict(a.arguments), "label": a.label} for a in s.actions],
            }
            for s in sessions[number::2]
        ]  # fmt: skip
        (directory / f"made_{number}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return sorted(directory.iterdir())


@pytest.fixture(autouse=True)
def few_toolboxes(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = {dataset: all_toolboxes(dataset)[:20] for dataset in (DATASET, *ABOUT_ACTS)}
    monkeypatch.setattr("guardian.training.toolboxes.all_toolboxes", boxes.__getitem__)


@pytest.fixture
def few_tools(made_operations: list[Operation], monkeypatch: pytest.MonkeyPatch) -> None:
    """A training knows these operations only; it reads no package and no graded calls."""
    monkeypatch.setattr("guardian.training.stages.operations", lambda: made_operations)
    monkeypatch.setattr("guardian.training.recipe.graded", lambda _: [])


def test_written_work_is_known_by_all_of_its_files_that_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr("guardian.training.recipe.digest", lambda path: read.append(path.name) or path.name)
    told = training._written_work()
    assert {"office.txt", "desk.txt", "graded.jsonl"} <= set(read)
    assert "aemter.txt" not in read
    monkeypatch.setattr("guardian.training.recipe.digest", lambda path: path.name.replace("desk", "other"))
    assert training._written_work() != told


@pytest.mark.slow
@pytest.mark.usefixtures("few_tools")
def test_a_run_leaves_a_loadable_artefact_and_a_resumed_one_ends_the_same(
    base: Path, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[int, int, str]] = []
    recipe = small(repeats=0, tool_steps=4, act_steps=9)  # the data sets alone, so no third stage
    options = {"seed": 5, "steps": 6, "base": base, "recipe": recipe}
    training.train(files, tmp_path / "a", resume=False, progress=lambda *told: steps.append(told), **options)
    assert steps[-1][:2] == (16, 16)
    fit = load(tmp_path / "a", Onnx())
    assert fit.version == load(tmp_path / "a", Onnx()).version
    about = open_artefact(tmp_path / "a").about
    assert set(about["metrics"]["held_out"]) == {"made_0", "made_1"}
    (tmp_path / "a" / "MODEL_CARD.md").write_text("filled in")  # as it asks
    open_artefact(tmp_path / "a")
    assert open_artefact(tmp_path / "a" / FOLDS / "0").about["seed"] == 5
    made = calibrate_trained(load_settings(None), files, tmp_path / "a", lambda *_: None)
    settings = load_settings(None, overrides={"model": {"path": str(tmp_path / "a")}})
    assert open_calibration(settings).to_json() == made.to_json()
    assert speaks_for(made, settings)
    assert "calibration.json" in open_artefact(tmp_path / "a").about["files"]
    few = tmp_path / "few.jsonl"
    few.write_text("".join(files[0].read_text().splitlines(keepends=True)[:9]))
    with pytest.raises(ConfigurationError, match="at least 40 honest sessions"):
        calibrate_trained(load_settings(None), [few, tmp_path / "a"], tmp_path / "a", lambda *_: None)
    assert open_calibration(settings).to_json() == made.to_json()

    def stop(done: int, total: int, note: str) -> None:
        if done == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(files, tmp_path / "b", resume=False, progress=stop, **options)
    with pytest.raises(ModelError, match="was not finished; --resume continues it"):
        training.train(files, tmp_path / "b", resume=False, progress=stop, **options)
    for other, named in (
        ({"seed": 6}, "seed"),
        ({"steps": 5}, "steps"),
        ({"recipe": replace(recipe, judged=61)}, "recipe"),
    ):
        with pytest.raises(ModelError, match=f"had other {named};"):
            training.train(files, tmp_path / "b", resume=True, progress=stop, **{**options, **other})
    with pytest.raises(ModelError, match="had other files;"):
        training.train(files[::-1], tmp_path / "b", resume=True, progress=stop, **options)
    with monkeypatch.context() as edited:
        edited.setattr("guardian.training.recipe._written_work", lambda: "another")
        with pytest.raises(ModelError, match="had other written_work;"):
            training.train(files, tmp_path / "b", resume=True, progress=stop, **options)
    with monkeypatch.context() as upgraded:
        upgraded.setattr("guardian.training.recipe.versions", lambda: {"botocore": "99"})
        with pytest.raises(ModelError, match="had other tools;"):
            training.train(files, tmp_path / "b", resume=True, progress=stop, **options)
    told: list[int] = []
    training.train(files, tmp_path / "b", resume=True, progress=lambda done, *_: told.append(done), **options)
    assert told[0] > 10
    requests = [
        FitRequest("review the contract", "contract.read", {"customer": "Acme"}),
        FitRequest("pay", "mail.send"),
    ]
    assert load(tmp_path / "b", Onnx()).score(requests) == pytest.approx(fit.score(requests), abs=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("few_tools")
def test_engines_agree_with_the_reference_that_was_trained(base: Path, files: list[Path], tmp_path: Path) -> None:
    out, recipe = tmp_path / "m", small(repeats=0)
    training.train(files, out, seed=5, steps=2, resume=False, progress=lambda *_: None, base=base, recipe=recipe)
    rows = json.loads((out / "parity.json").read_text())
    assert (out / "parity.json").stat().st_mode & 0o777 == 0o600
    pairs = [tuple(row["pair"]) for row in rows]
    stored = np.array([row["logit"] for row in rows])
    left = out / ".work" / "reference"
    reference = load(out, encoders.SentenceTransformers(pair=str(left / "pair"), text=str(left / "text")))
    assert np.allclose(reference._encoder.logits(pairs), stored, atol=1e-4)
    assert np.allclose(load(out, Onnx())._encoder.logits(pairs), stored, atol=0.05)
    texts = ["read the contract", "send money to Bob"]
    assert np.allclose(reference.embed(texts), load(out, Onnx()).embed(texts), atol=0.02)
    for half in ({}, {"pair": str(left / "pair")}, {"text": str(left / "text")}):
        with pytest.raises(ModelError, match=r"needs two folders in model\.options.*reference"):
            load(out, encoders.SentenceTransformers(**half))
    with pytest.raises(ModelError, match="gives 384 numbers, where guardian needs 1: a cross-encoder"):
        load(out, encoders.SentenceTransformers(pair=str(base), text=str(left / "text")))
    with pytest.raises(ModelError, match="gives 1 numbers, where guardian needs 384"):
        load(out, encoders.SentenceTransformers(pair=str(left / "pair"), text=str(left / "pair")))


@pytest.mark.slow
@pytest.mark.usefixtures("few_tools")
def test_a_model_in_use_stays_whole_until_the_one_that_is_trained_in_its_folder_is(
    base: Path, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m"
    left = [out / ".work" / "reference" / "pair" / "old", out / FOLDS / "5" / "old"]
    for path in (*left, *(out / name for name in REQUIRED)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of the model in use")
    version = write_manifest(out)
    options = {"seed": 5, "steps": 2, "progress": lambda *_: None, "base": base, "recipe": small(repeats=0)}

    def full(*_: object) -> Any:
        raise OSError("disk full")

    def full_at_the_end(folder: Path, **about: Any) -> str:
        return write_manifest(folder, **about) if "metrics" not in about else full()

    for step, fails in (("export_text", full), ("write_manifest", full_at_the_end)):
        with monkeypatch.context() as disk:
            disk.setattr(f"guardian.training.recipe.{step}", fails)
            with pytest.raises(OSError, match="disk full"):
                training.train(files, out, resume=fails is not full, **options)
        assert open_artefact(out).version == version
        assert all(path.exists() for path in left)
    training.train(files, out, resume=True, **options)
    assert open_artefact(out).version != version
    assert not any(path.exists() for path in (*left, out / ".work" / "made"))
    assert open_artefact(out / FOLDS / "1").about["seed"] == 5


def test_an_interrupted_training_from_a_log_that_is_still_written_goes_on_with_what_it_had_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = list(log_lines(Scenario(seed=3, sessions=2).plan(), begin=datetime(2026, 5, 12, tzinfo=UTC), seed=3))
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join(lines[:-1]) + b"\n")
    sets, session = tmp_path / "sets.jsonl", {"dataset": "d", "purpose": "read a", "actions": []}
    sets.write_text(json.dumps({**session, "session_id": "s"}))
    went_on = []

    def fit(given: list[Path], out: Path, *, resume: bool, **_: object) -> None:
        run = stages.Run(out / ".work", recipe=small(), files=given)
        went_on.append(run.goes_on(resume=resume))
        run.note(finished=False)
        raise KeyboardInterrupt

    monkeypatch.setattr("guardian.training.recipe.train", fit)

    def train_(*more: str, of: Path = log) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["train", str(of), str(sets), "-o", str(tmp_path / "made"), *more])
        return done.exit_code, done.stderr + str(done.exception)

    assert train_()[0] == 130
    [copied] = (tmp_path / "made" / ".work").glob("logs-*/*")
    assert [path.stat().st_mode & 0o777 for path in (copied, copied.parent)] == [0o600, 0o700]
    with log.open("ab") as more:
        more.write(lines[-1])
    code, said = train_()
    assert (code, "was not finished; --resume continues it" in said) == (1, True)
    code, said = train_("--resume", of=shutil.copy(log, tmp_path / "another.jsonl"))
    assert (code, "had other files; repeat its command" in said) == (1, True)
    assert list((tmp_path / "made" / ".work").glob("logs-*/*")) == [copied], "of the one that was refused none"
    told = sets.read_text()
    sets.write_text(told.replace("read a", "read b"))
    code, said = train_("--resume")
    assert (code, "had other files; repeat its command" in said) == (1, True)
    assert copied.exists(), "the training that was interrupted reads it, once the other file is as it was"
    sets.write_text(told)
    code, said = train_("--resume")
    assert (code, "as they and their labels were when it began" in said) == (130, True)
    assert went_on == [False, True]
    (tmp_path / "made" / ".work" / "logs-of_one_that_was_killed").mkdir()

    def end(given: list[Path], out: Path, **_: object) -> None:
        stages.Run(out / ".work", recipe=small(), files=given).note(finished=True)

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    work = tmp_path / "made" / ".work"
    assert stages.goes_on_with(work, [tmp_path / "away"], stopped=False), "the file may come back"
    assert not stages.goes_on_with(work, [log], stopped=False)
    monkeypatch.setattr("guardian.commands.calibrating.calibrate_trained", lambda *_, **__: open_calibration(NONE))
    for failing in ("guardian.training.recipe.train", "guardian.cli.training._promise_of"):
        with monkeypatch.context() as full:
            full.setattr("guardian.training.recipe.train", end)
            full.setattr(failing, fail)
            assert train_("--resume")[0] == 1
        unfinished = failing.endswith("train")
        assert list((tmp_path / "made" / ".work").glob("logs-*/*")) == [copied] * unfinished
    monkeypatch.setattr("guardian.training.recipe.train", fail)
    assert train_(of=tmp_path / "another.jsonl")[0] == 1
    assert not list((tmp_path / "made" / ".work").glob("logs-*/*")), "the one that finished was another's"
    monkeypatch.setattr("guardian.training.recipe.train", end)
    assert train_()[0] == 0
    assert not list((tmp_path / "made" / ".work").glob("logs-*"))


def test_what_of_a_log_could_not_be_learnt_from_is_the_exit_code_too_of_a_training_that_went_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = list(log_lines(Scenario(seed=3, sessions=2).plan(), begin=datetime(2026, 5, 12, tzinfo=UTC), seed=3))
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join([*lines, lines[0][:50], b"{}"]))

    def fit(given: list[Path], out: Path, **_: object) -> None:
        stages.Run(out / ".work", recipe=small(), files=given).note(finished=True)

    lexical = load_settings(None, overrides={"model": {"engine": "lexical"}})
    monkeypatch.setattr("guardian.training.recipe.train", fit)
    monkeypatch.setattr("guardian.commands.calibrating.ModelSection", lambda **_: lexical.model)
    monkeypatch.setattr("guardian.commands.calibrating.open_folds", lambda *_: {"another": open_fit(lexical)})
    for more in ([], ["--resume"]):
        done = CliRunner().invoke(app, ["train", str(log), "-o", str(tmp_path / "made"), *more])
        assert "not calibrated" in done.stdout
        assert (done.exit_code, "2 records could not be read" in done.stderr) == (3, True)
        assert not list((tmp_path / "made" / ".work").glob("logs-*")), "of a log nothing stays in clear"


@pytest.mark.parametrize(
    ("output", "named", "path", "last"),
    [
        ("home/a b", "home/guardian.yaml", "a b", "-c home/guardian.yaml -o 'home/a b/calibration.json'"),
        ("away", "home/guardian.yaml", "{here}/away", "-c home/guardian.yaml -o away/calibration.json"),
        ("away", None, "away", "-o away/calibration.json"),
    ],
)
def test_what_is_said_to_come_next_works_from_where_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, named: str | None, path: str, last: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GUARDIAN_CONFIG", raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "guardian.yaml").touch()
    (tmp_path / "made.jsonl").touch()

    def too_few(*_: object, **__: object) -> None:
        raise ConfigurationError("too few")

    monkeypatch.setattr("guardian.training.recipe.train", lambda *_, **__: None)
    monkeypatch.setattr("guardian.commands.calibrating.calibrate_trained", too_few)
    config = [] if named is None else ["-c", named]
    done = CliRunner().invoke(app, ["train", "made.jsonl", "-o", output, *config])
    where = f"model: {{path: {path.format(here=tmp_path.resolve())}}}` in {named or 'guardian.yaml'},"
    assert where in done.stdout
    assert done.stdout.endswith(f"\nguardian calibrate LOG {last}\n")


def test_one_data_set_without_scenarios_cannot_be_held_out(base: Path, files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing can be held out; give at least two data sets"):
        training.train(
            files[:1], tmp_path, seed=1, steps=1, resume=False, progress=lambda *_: None, base=base,
            recipe=stages.Recipe(repeats=0, batch=8),
        )  # fmt: skip


def test_a_data_set_that_is_alone_is_said_to_be_held_out_against_the_written_scenarios(
    base: Path, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_sessions: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("guardian.training.recipe.graded", stop)
    options = {
        "seed": 1,
        "steps": 1,
        "resume": False,
        "progress": lambda *_: None,
        "base": base,
        "recipe": small(),
    }
    told = []
    for number, given in enumerate((files[:1], files)):
        with capture_logs() as logs, pytest.raises(KeyboardInterrupt):
            training.train(given, tmp_path / f"{number}", **options)
        told.append(
            [(each["data_set"], each["held_out_against"]) for each in logs if each["event"] == "one_data_set"]
        )
    assert told == [[("made_0", "guardian's written work")], []]


def test_files_without_sessions_are_refused_before_anything_is_learned(base: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(ConfigurationError, match=r"empty\.jsonl: no sessions to learn from"):
        training.train(
            [tmp_path / "empty.jsonl"], tmp_path / "out", seed=1, steps=1, resume=False, progress=lambda *_: None,
            base=base,
        )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_pair_base_that_is_none_costs_a_finished_training_nothing_and_one_of_its_own_stays(
    base: Path, files: list[Path], tmp_path: Path
) -> None:
    work = tmp_path / ".work"
    shutil.copytree(base, work / "reference" / "pair")
    noted, stage, broken = work / "run.json", work / "fold-0.safetensors", tmp_path / "broken.whl"
    noted.write_text('{"finished": true, "about": {}}')
    stage.write_bytes(b"a stage")
    broken.write_text("no wheel")

    def begin(pair: Path) -> None:
        def stop(_done: int, _total: int, _note: str) -> None:
            raise KeyboardInterrupt

        training.train(
            files, tmp_path, seed=1, steps=1, resume=False, progress=stop, base=base, pair=pair,
            recipe=small(repeats=0),
        )  # fmt: skip

    with pytest.raises(ModelError, match="neither a model's directory nor a wheel"):
        begin(broken)
    assert (noted.read_text(), stage.exists()) == ('{"finished": true, "about": {}}', True)
    with pytest.raises(KeyboardInterrupt):
        begin(work / "reference" / "pair")
    assert (stage.exists(), (work / "reference" / "pair" / "config.json").exists()) == (False, True)


@pytest.mark.slow
@pytest.mark.usefixtures("few_tools")
def test_every_encoder_goes_on_from_the_one_that_learned_tools(
    base: Path, files: list[Path], tmp_path: Path
) -> None:
    stays = small(repeats=0, tool_steps=2, rate=0.0)
    training.train(
        files, tmp_path / "m", seed=5, steps=1, resume=False, progress=lambda *_: None, base=base, recipe=stays
    )
    kept = {path.stem: tensors.load_file(path) for path in (tmp_path / "m" / ".work").glob("*.safetensors")}
    assert set(kept) == {"tools", "fold-0", "fold-1"}
    fresh = encoders.new_pair_model(str(base)).state_dict()
    assert any(not torch.equal(kept["tools"][name], fresh[name]) for name in fresh)
    assert all(torch.allclose(kept["tools"][name], other[name]) for other in kept.values() for name in fresh)


def test_the_third_stage_shows_graded_calls_about_acts_and_twice_as_many_of_the_second() -> None:
    sessions = toolbox_sessions(seed=5)
    shown = [session for session in sessions if session.domain < "m"]
    broad, acts = training._examples(shown, [], seed=5)
    assert {each.dataset for each in broad} == {DATASET}
    about = [each for each in acts if each.dataset in ABOUT_ACTS]
    assert {each.dataset for each in about} == ABOUT_ACTS
    assert {each.kind for each in about} == {"graded"}
    assert len(acts) == len(about) + len(broad), "there is not twice as much"
    few = [session for session in shown if session.dataset == DATASET or session.domain < "c"]
    broad, acts = training._examples(few, [], seed=5)
    assert len(acts) == 3 * sum(each.dataset in ABOUT_ACTS for each in acts) < 3 * len(broad) / 2
    held = {s.purpose for s in sessions} - {s.purpose for s in shown}
    assert not held & {each.request.purpose for each in acts}


@pytest.mark.slow
def test_the_third_stage_goes_on_from_the_second(base: Path, tmp_path: Path) -> None:
    broad, acts = training._examples(toolbox_sessions(seed=5)[::40], [], seed=5)

    def kept(work: Path, **recipe: float) -> dict[str, dict[str, object]]:
        work.mkdir()
        varied = small(**recipe)
        run = stages.Stages(base, work, varied, seed=1, steps=1, resume=False, progress=lambda *_: None)
        model = run.run("fold-0", broad[:40], acts[:40], 1)
        left = {path.stem: tensors.load_file(path) for path in work.glob("*.safetensors")}
        means = {name: sum(each[name] for each in left.values()) / len(left) for name in left["fold-0"]}
        assert all(torch.allclose(value, means[name]) for name, value in model.state_dict().items())
        return left

    assert set(kept(tmp_path / "none")) == {"fold-0"}
    stays = kept(tmp_path / "stays", act_steps=2, act_rate=0.0)
    assert all(torch.allclose(value, stays["fold-0"][name]) for name, value in stays["fold-0-acts"].items())
    learns = kept(tmp_path / "learns", act_steps=2, act_rate=1e-3)
    assert any(not torch.allclose(value, learns["fold-0"][name]) for name, value in learns["fold-0-acts"].items())


def test_a_training_goes_on_with_the_bases_that_it_began_with_wherever_they_lie_by_now(
    base: Path, files: list[Path], tmp_path: Path
) -> None:
    one, other, moved, out = (tmp_path / name for name in ("one", "other", "moved", "out"))
    for copy in (one, other):
        shutil.copytree(base, copy)

    def go_on(base: Path, pair: Path, *, resume: bool = True) -> None:
        def stop(_done: int, _total: int, _note: str) -> None:
            raise KeyboardInterrupt

        training.train(
            files, out, seed=1, steps=1, resume=resume, progress=stop, base=base, pair=pair,
            recipe=small(repeats=0),
        )  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        go_on(one, other, resume=False)
    one.rename(moved)
    one.symlink_to(other)
    with pytest.raises(KeyboardInterrupt):
        go_on(moved, one)
    weights = other / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="had other pair;"):
        go_on(moved, other)
    with pytest.raises(ModelError, match="had other base;"):
        go_on(other, moved)


@pytest.mark.parametrize(
    "text", ['{"fini', "[]", "{}", '{"finished": false}', '{"finished": true, "about": 7}', ""]
)
def test_a_damaged_note_is_named_with_the_way_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    run = stages.Run(tmp_path, recipe=small(), files=[], seed=1)
    for look in (run.goes_on, partial(stages.begun, tmp_path)):
        with pytest.raises(ModelError, match=r"run\.json is damaged; remove .* to begin anew"):
            look(resume=True)
    run.note(finished=False)
    assert run.goes_on(resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_damaged_stage_is_named_with_the_way_out(base: Path, tmp_path: Path) -> None:
    kept, half = tmp_path / "fold-0.safetensors", tmp_path / "fold-1"
    kept.write_bytes(b"the first half")
    half.mkdir()
    (half / "step.json").write_text('{"step": 100}')
    made = stages.Stages(base, tmp_path, small(), seed=1, steps=1, resume=True, progress=print)
    for name, damaged in (("fold-0", kept), ("fold-1", half)):
        with pytest.raises(ModelError, match=f"{damaged} is damaged; remove it"):
            made.run(name, [], [], 1)


def test_a_stage_is_not_called_damaged_because_memory_ran_out() -> None:
    with pytest.raises(torch.OutOfMemoryError), loop.whole(Path("fold-0"), "remove it"):
        raise torch.OutOfMemoryError("the card is full")


def test_a_stage_that_was_cut_off_while_it_was_written_is_made_again(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> None:
        stages.Stages(base, tmp_path, small(), seed=1, steps=1, resume=True, progress=print).run(
            "fold-0", [], [], 1
        )

    def cut(_tensors: object, path: Path) -> None:
        path.write_bytes(b"the first half")
        raise KeyboardInterrupt

    monkeypatch.setattr("guardian.training.stages.fit", lambda *_, **__: None)
    with monkeypatch.context() as killed:
        killed.setattr("guardian.training.stages.save_file", cut)
        with pytest.raises(KeyboardInterrupt):
            run()
    run()
    assert tensors.load_file(tmp_path / "fold-0.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["fold-0.safetensors"]


@pytest.mark.slow
def test_sessions_that_lie_in_the_working_folder_outlast_the_beginning_of_a_run(
    base: Path, files: list[Path], tmp_path: Path
) -> None:
    work = tmp_path / "model" / ".work"
    (work / "logs").mkdir(parents=True)
    old = work / "fold-0.safetensors"
    old.write_bytes(b"of another run")
    lying = [Path(shutil.copy(file, work / "logs")) for file in files]

    def stop(_done: int, _total: int, _note: str) -> None:
        raise KeyboardInterrupt

    recipe = small(repeats=0)
    with pytest.raises(ModelError, match="no note says which training left it"):
        training.train(
            lying, tmp_path / "model", seed=5, steps=1, resume=True, progress=stop, base=base, recipe=recipe
        )
    with pytest.raises(KeyboardInterrupt):
        training.train(
            lying, tmp_path / "model", seed=5, steps=1, resume=False, progress=stop, base=base, recipe=recipe
        )
    assert all(file.is_file() for file in lying), "the manifest names them when all is done"
    assert not old.exists()
