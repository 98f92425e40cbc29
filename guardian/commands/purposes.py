"""What the monitor has learnt of purposes, and how much each has constrained what its sessions do."""

from contextlib import closing
from dataclasses import dataclass

from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.config import Settings
from guardian.signals.baseline.learning import UNITS
from guardian.signals.baseline.meaning import constraint


@dataclass(frozen=True, slots=True)
class KnownPurpose:
    """A purpose family of one tenant. `constrains` in [0, 1): how much of what its sessions did was nothing new;
    None where fewer than 20 of them were seen."""

    tenant_id: str
    purpose: str
    version: str
    sessions: int
    tools: int
    meanings: int
    constrains: float | None


def known_purposes(settings: Settings) -> list[KnownPurpose]:
    """The least constraining first, those that are not known yet last."""
    with closing(open_monitor_store(settings)) as store:
        facts = store.baselines.newest()
    found = [
        KnownPurpose(
            tenant,
            purpose,
            fact.version,
            fact.sessions,
            len(fact.tools),
            len(fact.sketches),
            constraint(fact, UNITS),
        )
        for (tenant, purpose), fact in facts.items()
    ]
    return sorted(found, key=lambda p: (p.constrains is None, p.constrains or 0.0, p.tenant_id, p.purpose))
