"""Which sessions of files are honest enough to calibrate on."""

import json
from pathlib import Path
from typing import Any

import pytest

from guardian.commands.calibrating import honest_sessions


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
