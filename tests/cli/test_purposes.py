"""`guardian purposes`: what the monitor has learnt, the least constraining purpose first."""

import json
from datetime import UTC, datetime
from pathlib import Path

from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.domain.batch import PurposeKey
from guardian.domain.signal import BaselineFact


def test_purposes_are_listed_with_how_much_they_constrain(guardian, tmp_path: Path) -> None:
    initialise(tmp_path / "home")
    config = tmp_path / "home" / "guardian.yaml"
    store = open_monitor_store(load(config), makes=True)
    hours = (0,) * 24
    each = {f"{n:064x}": 10 for n in range(40)}
    store.baselines.install(
        {
            PurposeKey("acme", "read leases"): BaselineFact(
                "", 40, {"a": 400}, {}, (), hours, {"0" * 64: 400}, "m"
            ),
            PurposeKey("acme", "do \x1b[31mthings"): BaselineFact("", 40, {"a": 400}, {}, (), hours, each, "m"),
            PurposeKey("acme", "new"): BaselineFact("", 2, {"a": 20}, {}, (), hours),
        },
        datetime(2026, 5, 12, tzinfo=UTC),
    )
    store.close()
    shown = guardian("purposes", "-c", str(config))
    assert shown.returncode == 0, shown.stderr
    assert "\x1b" not in shown.stdout
    rows = shown.stdout.splitlines()
    assert "things" in rows[1]
    assert rows[1].endswith("0 %")
    assert rows[2].endswith("98 %")
    assert rows[3].endswith("not known yet")
    found = json.loads(guardian("purposes", "-c", str(config), "--json").stdout)
    assert [p["purpose"] for p in found][1:] == ["read leases", "new"]
    assert found[1]["meanings"] == 1


def test_nothing_learnt_yet_says_when_there_will_be(guardian, tmp_path: Path) -> None:
    open_monitor_store(load(initialise(tmp_path / "home")), makes=True).close()
    shown = guardian("purposes", "-c", str(tmp_path / "home" / "guardian.yaml"))
    assert "silent for a while" in shown.stdout
