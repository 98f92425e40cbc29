"""What is shipped belongs together: the calibration speaks for the model, the signals and the way of reading."""

import pytest

from guardian.bootstrap import judgement
from guardian.config import load
from guardian.embedding.artefact import open_artefact
from guardian.embedding.fit import FitRequest
from guardian.embedding.lexical import plugin as lexical
from guardian.embedding.meaning import Meanings


def test_the_shipped_calibration_speaks_for_the_shipped_model() -> None:
    settings = load(None)
    scorer = open_artefact(judgement.model_directory(settings)).scorer
    assert judgement.open_calibration(settings).fold == judgement.fold_version(settings, scorer)


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
    assert (reader.cache_hits, reader.cache_misses) == (0, 6)  # room for one of the two texts of each
