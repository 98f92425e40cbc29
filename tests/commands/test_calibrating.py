"""Which sessions of files are honest enough to calibrate on."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from guardian.commands.calibrating import Unjudged, honest_sessions
from guardian.domain.identity import SessionKey


class Unscored:
    def session(self, line: Any) -> list[Any]:
        return []


@pytest.mark.parametrize(
    ("labels", "taken"),
    [
        ([("benign", "high"), ("benign", "low")], True),
        ([("benign", "high"), ("drift", "high")], False),
        ([("benign", "high"), ("drift", "low")], False),
        ([("benign", "high"), ("unknown", "high")], False),
    ],
)
def test_a_session_with_an_act_of_which_nobody_says_that_it_was_honest_is_not_calibrated_on(
    tmp_path: Path, labels: list[tuple[str, str]], taken: bool
) -> None:
    actions = [{"tool": "a.read", "args": {}, "label": label, "conf": conf} for label, conf in labels]
    told = {"dataset": "d", "session_id": "s", "purpose": "p", "actions": actions}
    (tmp_path / "lines.jsonl").write_text(json.dumps(told))
    found = list(honest_sessions([tmp_path / "lines.jsonl"], Unscored()))  # type: ignore[arg-type]
    assert bool(found) is taken


def test_of_many_flagged_sessions_the_furthest_out_are_named_and_the_others_counted() -> None:
    told = Unjudged(flag_one_in=1_000.0)
    for n in range(13):
        told.met(SimpleNamespace(key=SessionKey("acme", f"s{n}")), 999.0 + n)  # type: ignore[arg-type]
    assert told.to_json() == {
        "sessions": 13,
        "flagged": 12,
        "first_flagged": [f"acme/s{n}" for n in range(12, 2, -1)],
    }
    assert "13 sessions. The calibration in use flags 12 of them" in told.warning()
    assert "acme/s12, acme/s11," in told.warning()
    assert "acme/s3 and 2 more." in told.warning()
