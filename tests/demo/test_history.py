"""What the demo learns before it begins."""

import pytest

from guardian.config import load
from guardian.demo import history


def test_the_demo_promises_by_the_calibration_that_it_fits_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "TEACHING_SESSIONS", 20)
    monkeypatch.setattr(history, "CALIBRATION_SESSIONS", 80)
    taught = history.teach(load(None, overrides={"model": {"engine": "lexical"}}), seed=1)
    assert taught.judge.scorer.speaks
