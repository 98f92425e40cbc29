"""The installed command, as a person would run it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from guardian.telemetry import configure_logging

Guardian = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _logs_are_no_part_of_what_a_command_says(_logging_is_as_no_test_before_configured_it: None) -> None:
    """As `guardian` configures it, also for what a control API within this process logs meanwhile: where nobody
    has configured it, it goes to stdout."""
    configure_logging(level="warning", json=False)


@pytest.fixture
def installed(tmp_path: Path) -> Guardian:
    """Runs `guardian ARGS` as a process of its own, in an empty folder without a configuration."""

    def run(
        *args: str, stdin: str | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("GUARDIAN_")}
        return subprocess.run(
            [sys.executable, "-m", "guardian", *args],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**kept, "COLUMNS": "200", "NO_COLOR": "1", **(env or {})},
            timeout=120,
            check=False,
        )

    return run
