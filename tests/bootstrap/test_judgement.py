"""What is shipped belongs together: the calibration speaks for the model, the signals and the way of reading."""

import pytest

from guardian.bootstrap import judgement
from guardian.config import load
from guardian.embedding.artefact import open_artefact


def test_the_shipped_calibration_speaks_for_the_shipped_model() -> None:
    settings = load(None)
    scorer = open_artefact(judgement.model_directory(settings)).scorer
    assert judgement.open_calibration(settings).fold == judgement.fold_version(settings, scorer)


def test_another_way_of_reading_needs_another_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(None)
    before = judgement.fold_version(settings, "m")
    monkeypatch.setattr(judgement, "READING", judgement.READING + 1)
    assert judgement.fold_version(settings, "m") != before
