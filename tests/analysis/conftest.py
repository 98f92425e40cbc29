"""The sample data, made once for all workers, and small archives with what a test wants in them."""

import fcntl
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from guardian.analysis import open_archive, open_control
from guardian.archive.rows import pack
from guardian.archive.schema import EVENTS
from guardian.archive.writer import write_events
from guardian.demo.sample import sample
from guardian.demo.weeks import Weeks

NOON = datetime(2026, 5, 12, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def sample_root(tmp_path_factory) -> Path:
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with (shared / "sample.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return sample(shared / "sample")


@pytest.fixture(scope="session")
def archive(sample_root):
    return open_archive(sample_root, tenant="*")


@pytest.fixture(scope="session")
def control(sample_root):
    return open_control(sample_root / "control", tenant="*")


@pytest.fixture(scope="session")
def planted():
    """Session id -> what was planted."""
    return Weeks.plan(7).planted


@pytest.fixture(scope="session")
def events(archive):
    return archive.events()


@pytest.fixture(scope="session")
def sessions(archive):
    return archive.sessions()


@pytest.fixture
def lay(tmp_path):
    """`lay(session_id="s", ...)` adds a decision to a small archive; returns its folder."""
    laid = []

    def add(group: str | None = None, **columns: Any) -> Path:
        n = len(laid)
        row = dict.fromkeys(EVENTS.names) | {
            "tenant_id": "acme", "session_id": "s1", "gateway": "gw", "decision_id": f"d{n}", "digest": f"{n}",
            "at": NOON + timedelta(minutes=n), "tool": "files.read", "effect": "allow", "purpose": "read files",
            "purpose_family": "read files", "agent_id": "agent_a", "delegator_id": "u", "score": 0.1,
            "one_in": 1.0,
            "session_evidence": 0.0, "p_value": 0.5, "promised": True, "signals": [], "breaches": [],
            "wanted": "none", "allowed_tools": ["files.read"], "model": "m", "calibration": "c", "origin": "live",
            "clock_suspect": False, "e_value": 1.0,
        } | columns  # fmt: skip
        laid.append(row)
        write_events(tmp_path, group or f"g{n}", [pack([row], EVENTS)])
        return tmp_path

    return add
