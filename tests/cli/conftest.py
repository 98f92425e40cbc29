"""The installed command, as a person would run it."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from guardian.cli import main

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


@pytest.fixture
def guardian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Guardian:
    """The same within this process, which spares a start: for commands that end by themselves."""

    def run(
        *args: str, stdin: str | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("GUARDIAN_")]:
                patch.delenv(name)
            for name, value in {"COLUMNS": "200", "NO_COLOR": "1", **(env or {})}.items():
                patch.setenv(name, value)
            patch.chdir(tmp_path)
            patch.setattr(sys, "argv", ["guardian", *args])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((stdin or "").encode())))
            with pytest.raises(SystemExit) as done:
                main()
        told, code = capsys.readouterr(), done.value.code
        status = code if isinstance(code, int) else int(code is not None)
        return subprocess.CompletedProcess(args, status, told.out, told.err)

    return run
