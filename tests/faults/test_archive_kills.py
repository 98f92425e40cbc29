"""A monitor killed on the way into the archive leaves every judged decision there, once."""

import json
import os
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import crashing
import pytest
import yaml

from guardian.archive.reader import Archive
from guardian.commands.initialise import initialise

POINTS = ("after_commit:2", "before_archive:1", "after_archive:2")
BEGIN = datetime.now(UTC) - timedelta(hours=2)


def line(n: int) -> bytes:
    at = BEGIN + timedelta(seconds=n)
    return json.dumps(
        {
            "schema": "guardian.decision/v1", "id": f"d{n}", "time": at.isoformat(), "gateway": "mcp-gw-demo-1",
            "envelope": {
                "delegator_id": "u", "tenant_id": f"tenant_{n % 2}", "session_id": f"s{n % 9}",
                "purpose": "read contracts of the spring review", "resource_constraints": {"max_records": 500},
                "allowed_tools": ["contracts.read"], "agent_id": "a",
                "expires_at": (BEGIN + timedelta(hours=1)).isoformat(),
            },
            "action": {"tool": "contracts.read", "arguments": {"id": f"c{n}"}, "records": 1},
            "decision": {"effect": "allow"},
        }
    ).encode()  # fmt: skip


@pytest.mark.slow
def test_kills_between_store_and_file_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    initialise(tmp_path / "home")
    config = tmp_path / "home/guardian.yaml"
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    settings["model"] = {"engine": "lexical"}
    settings["monitor"] |= {"batch": 25}
    settings["archive"] |= {"flush_s": 0.001, "file_rows": 100}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join(line(n) for n in range(150)) + b"\n")

    def watch(crash_at: str | None = None) -> int:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GUARDIAN_")}
        command = [*crashing.command(crash_at), "watch", "--file", str(log), "-c", str(config)]
        return subprocess.run(command, env=environment, capture_output=True, timeout=120).returncode

    died = [watch(point) for point in POINTS]
    assert died == [-9] * 3, "the kills must happen, or the test proves nothing"
    watch()
    archive = Archive(tmp_path / "home/data/archive")
    found = Counter(call.decision_id for call in archive.past_calls())
    assert found == Counter(f"d{n}" for n in range(150))
    names = {path.name for path in (tmp_path / "home/data/archive").rglob(".unfinished*")}
    assert not names or all(name.startswith(".unfinished-") for name in names)
