"""The installed command, as a person would run it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Guardian = Callable[..., subprocess.CompletedProcess[str]]


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
