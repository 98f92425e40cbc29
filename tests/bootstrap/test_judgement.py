"""What is shipped belongs together: the calibration speaks for the model, the signals and the way of reading."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from guardian.bootstrap import judgement, plugins
from guardian.commands.doctor import examine
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.domain.gathered import Gathered
from guardian.domain.signal import Signal
from guardian.embedding.fit import FitRequest
from guardian.embedding.lexical import plugin as lexical
from guardian.embedding.meaning import Meanings
from guardian.errors import ModelError


def test_the_shipped_calibration_speaks_for_the_shipped_model() -> None:
    settings = load(None)
    assert judgement.open_calibration(settings).fold == judgement.configured_fold(settings)


@pytest.mark.parametrize("spelt", [6, "6"])
def test_a_calibration_that_an_earlier_version_named_by_the_spelling_of_options_still_speaks(
    spelt: object,
) -> None:
    shipped = load(None)
    settings = load(None, overrides={"signals": {**shipped.signals, "chain_exposure": {"hoard_from": spelt}}})
    calibration, model = judgement.open_calibration(shipped), judgement.configured_fold(shipped).rpartition("/")[0]
    said = {"signals": settings.signals, "weights": judgement.weights_of(settings), "reading": judgement.READING}
    named = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]
    assert judgement.speaks_for(replace(calibration, fold=f"{model}/{named}"), settings)
    assert judgement.speaks_for(calibration, settings)
    assert not judgement.speaks_for(replace(calibration, fold=f"{model}/{named}"), shipped)


def test_another_way_of_reading_needs_another_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(None)
    before = judgement.fold_version(settings, "m")
    monkeypatch.setattr(judgement, "READING", judgement.READING + 1)
    assert judgement.fold_version(settings, "m") != before


def test_the_cache_of_meanings_is_as_large_as_configured() -> None:
    settings = load(None)
    small = settings.model_copy(update={"model": settings.model.model_copy(update={"cache_size": 4})})
    reader = judgement.open_judge(small, fingerprint_key=b"k", fit=lexical().purpose_fit()).meanings
    assert isinstance(reader, Meanings)
    for tool in ("leases.read", "leases.sign", "leases.read"):
        reader.read([FitRequest("", tool)])
    assert reader.cache_misses == 6  # room for one of the two texts of each


@pytest.mark.parametrize("engine", [name for name in plugins.names("embedding") if name != "lexical"])
def test_the_shipped_calibration_speaks_for_every_engine_that_runs_the_shipped_weights(engine: str) -> None:
    pytest.importorskip("onnxruntime" if engine == "onnx" else engine)
    settings = load(None, overrides={"model": {"engine": engine}})
    assert judgement.open_calibration(settings).fold == judgement.configured_fold(settings)


def test_word_overlap_is_another_model_than_the_one_whose_weights_it_does_not_use() -> None:
    model, words = (load(None, overrides={"model": {"engine": engine}}) for engine in ("onnx", "lexical"))
    assert judgement.configured_fold(words) != judgement.configured_fold(model)
    assert judgement.open_fit(words).version != judgement.open_fit(model).version


@pytest.mark.parametrize(("engine", "warned"), [("onnx", False), ("lexical", True)])
def test_nothing_is_promised_under_the_calibration_of_another_model_and_whoever_judges_is_told(
    engine: str, warned: bool
) -> None:
    settings = load(None, overrides={"model": {"engine": engine}})
    with capture_logs() as said:
        judge = judgement.open_judge(settings, fingerprint_key=b"k")
    assert ("calibration_of_another_model" in [line["event"] for line in said]) is warned
    _, drift = judge.scorer.step(Gathered(), [Signal("purpose_fit", 0.1)])
    assert drift.promised is not warned


def test_a_calibration_that_does_not_name_its_model_promises_nothing(tmp_path: Path) -> None:
    """As those of 0.1 and 0.2, which were fitted with other models."""
    body = json.loads(judgement.open_calibration(load(None)).to_json())
    del body["fold"]
    (tmp_path / "old.json").write_text(json.dumps(body))
    settings = load(None, overrides={"model": {"calibration": str(tmp_path / "old.json")}})
    with capture_logs() as said:
        judge = judgement.open_judge(settings, fingerprint_key=b"k")
    assert "calibration_of_another_model" in [line["event"] for line in said]
    assert not judge.scorer.step(Gathered(), [Signal("purpose_fit", 0.1)])[1].promised


def test_weights_of_ones_own_end_the_promise_too() -> None:
    settings = load(None, overrides={"weights": {"purpose_fit": 0.5}})
    assert not judgement.open_judge(settings, fingerprint_key=b"k").scorer.speaks


def test_a_sentence_transformers_model_of_ones_own_is_another_model_until_its_files_are_the_same(
    tmp_path: Path,
) -> None:
    pytest.importorskip("sentence_transformers")

    def fold(text: str) -> str:
        engine = {"engine": "sentence_transformers", "options": {"text": text, "pair": text}}
        return judgement.configured_fold(load(None, overrides={"model": engine}))

    for name, weights in (("one", b"1"), ("same", b"1"), ("other", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(weights)
    assert fold(str(tmp_path / "one")) == fold(str(tmp_path / "same"))
    assert len({fold(""), fold(str(tmp_path / "one")), fold(str(tmp_path / "other"))}) == 3


def test_folders_that_an_engine_reads_are_relative_to_the_configuration(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    model = {"engine": "sentence_transformers", "options": {"text": "mine", "pair": "mine"}}
    with pytest.raises(ModelError, match=f"{tmp_path}/mine: no sentence-transformers model"):
        judgement.open_fit(load(None, overrides={"base": str(tmp_path), "model": model}))


def test_doctor_says_where_no_tenant_is_named(tmp_path: Path) -> None:
    """Of none that it knows, so naming another tenant is never the fact that asks for revocation."""
    settings = load(initialise(tmp_path / "home"))
    named = settings.model_copy(update={"gateways": {"gw-1": ["*", "tenant_acme"]}})
    said = [
        next(check.found for check in examine(each, "watch") if check.name == "gateways")
        for each in (settings, named)
    ]
    assert ["none is named" in found for found in said] == [True, False]


def test_a_calibration_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(ModelError, match=r"broken\.json: the calibration cannot be read"):
        judgement.open_calibration(load(None, overrides={"model": {"calibration": str(broken)}}))
