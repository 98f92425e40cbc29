"""A stored offset that its topic no longer holds: people are told, and reading goes on where records are left."""

from collections.abc import Mapping
from datetime import datetime

from guardian.bus.port import Consumer
from guardian.domain.finding import OPERATORS, Effect, Finding, Kind, finding_id
from guardian.domain.record import Place
from guardian.store.monitor.store import MonitorStore
from guardian.telemetry import logger

_log = logger("stream")


def within_reach(
    positions: Mapping[Place, int], consumer: Consumer, store: MonitorStore, now: datetime
) -> dict[Place, int]:
    """Where to go on reading in each place.

    A topic that ends before the stored offset was created anew, or cut off: it is read from its beginning, and
    decisions that were judged before are recognised. Where records were removed before they were read, reading
    goes on at the first that is left. Either becomes a finding.
    """
    bounds = consumer.bounds(positions) if positions else {}
    found = dict(positions)
    for place, stored in positions.items():
        first, end = bounds.get(place, (0, stored))
        if first <= stored <= end:
            continue
        title = _lost(place, stored, first) if stored < first else _anew(place, stored, first, end)
        _log.error("offset_out_of_reach", topic=place.topic, partition=place.partition, told=title)
        told = Finding(
            id=finding_id(Kind.BUS, OPERATORS, place.topic, place.partition, stored, first, end),
            kind=Kind.BUS,
            tenant_id=OPERATORS,
            session_id=str(place),
            wanted=Effect.FLAG,
            severity="critical",
            title=title,
            time=now,
        )
        store.move(place, first, member=consumer.member(), told=told, now=now)
        found[place] = first
    return found


def _lost(place: Place, stored: int, first: int) -> str:
    return (
        f"{first - stored} records of {place} were removed before they were judged: "
        f"reading goes on at {first} instead of {stored}"
    )


def _anew(place: Place, stored: int, first: int, end: int) -> str:
    return (
        f"{place} was created anew, or cut off: it ends at {end}, and was read up to "
        f"{stored}; reading begins again at {first}"
    )
