"""What every deployment of control that tests open has: policies, a migrated database, a clock, an audit trail."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from guardian.alerting.port import Given
from guardian.bus.memory import MemoryBroker, MemoryProducer
from guardian.control.deps import ControlDeps
from guardian.policy.cedar import CedarPolicies
from guardian.policy.files import PolicyFiles
from guardian.store.control.store import ControlStore

START = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
POLICIES = Path(__file__).parents[2] / "config" / "policies"
AT_ONCE = 12  # sessions in one transaction where `few_at_once` holds


@dataclass
class Clock:
    """Moved by hand, and by whoever sleeps on it."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **amount: float) -> None:
        self.now += timedelta(**amount)

    def seconds(self) -> float:
        return (self.now - START).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.pass_(seconds=seconds)

    @property
    def given(self) -> Given:
        """What alert channels are opened with."""
        return Given(self.seconds, self.sleep, self, lambda: MemoryProducer(MemoryBroker()))


@dataclass
class Deployment:
    deps: ControlDeps
    clock: Clock

    def audit(self, **wanted: Any) -> list[dict[str, Any]]:
        """The audit records that say all of this, in order."""
        with self.deps.store.read() as rows:
            records = [json.loads(entry.record) for entry in rows.audit.entries()]
        return [each for each in records if wanted.items() <= each.items()]


@pytest.fixture(scope="session")
def policies() -> CedarPolicies:
    return CedarPolicies.from_files(PolicyFiles.read(POLICIES))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database, migrated once and copied from then on."""
    folder = tmp_path_factory.mktemp("migrated")
    ControlStore.open(f"sqlite:///{folder}/control.db", now=START).close()
    return folder
