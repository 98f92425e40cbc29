"""A control API on a socket whose list is long already: what the bench of the switch measures against."""

import contextlib
import gc
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from guardian.bench.gateways import name_of
from guardian.bench.report import resident_now_mb
from guardian.bench.serving import serving, settled
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control import Control
from guardian.bootstrap.running import leave_what_is_loaded
from guardian.control.authentication.token_records import record_token
from guardian.domain.finding import Effect, Evidence, Finding, Kind, NamedBreach, finding_id
from guardian.revocation.expiry import ExpiryRule
from guardian.store.control.store import ControlStore
from guardian.wire.client import ControlClient
from guardian.wire.principal import Role

TENANT = "bench"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LongList:
    """Control with its list, and a monitor that files findings. `memory_mb` is what the list costs control."""

    control: Control
    monitor: ControlClient
    gateway: str
    memory_mb: float = 0.0

    def token(self, role: Role, name: str) -> str:
        return _token(self.control, role, name)

    def load(self) -> int:
        """Ask for the whole list as a gateway does; the bytes that came over the wire."""
        headers = {"Authorization": f"Bearer {self.gateway}", "Accept-Encoding": "gzip"}
        with httpx.stream("GET", f"{self.control.url}/v1/revocations", headers=headers, timeout=120) as got:
            return sum(map(len, got.iter_raw()))

    def find(self, session: str) -> float:
        """File a finding that policy answers with a revocation; when it was sent, on the monotonic clock."""
        finding = Finding(
            id=finding_id(Kind.DRIFT, TENANT, session, 0, 1),
            kind=Kind.DRIFT,
            tenant_id=TENANT,
            session_id=session,
            transition=1,
            wanted=Effect.REVOKE,
            severity="critical",
            title="bench",
            breaches=(NamedBreach(name="envelope_expired", detail="bench", hard=True),),
            evidence=Evidence(independent_signals=1),
            time=utc_now(),
        )
        began = time.monotonic()
        outcome = self.monitor.submit(finding)
        if outcome.effect is not Effect.REVOKE:
            raise RuntimeError(f"policy did not revoke: {outcome.note}")
        return began


@contextlib.contextmanager
def long_list(entries: int) -> Iterator[LongList]:
    """That many live revocations of one tenant, in enforce mode, with a budget that is never spent."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guardian-bench-")))
        settings = settled(
            folder,
            control={
                "default_mode": "enforce",
                "budget": {"revocations": 10**6, "reserved_for_breaches": 0},
                "breaker": {"least": 10**6},
            },
        )
        store = ControlStore.open(settings.store_url(settings.store.control), now=utc_now())
        _fill(store, folder / "control.db", entries)
        store.close()
        before = resident_now_mb()
        control = stack.enter_context(serving(settings))
        leave_what_is_loaded()  # as `guardian serve` does
        stack.callback(gc.unfreeze)
        token = _token(control, "monitor", "monitor")
        monitor = stack.enter_context(ControlClient(control.url, lambda: token))
        place = LongList(control, monitor, _token(control, "gateway", "gw-first"))
        place.load()
        yield replace(place, memory_mb=resident_now_mb() - before)


def _token(control: Control, role: Role, name: str) -> str:
    token = control.tokens.issue(name, role=role, tenants={TENANT}, ttl=_DAY, now=utc_now())
    with control.store.write() as rows:
        record_token(rows, token)
    return token.text


def _fill(store: ControlStore, database: Path, entries: int) -> None:
    """The first as guardian writes it; the others past guardian, which writes them one by one. Each has its own
    times, in the ledger's order, and none ends while this measures."""
    rnd, now, rule = random.Random(entries), utc_now(), ExpiryRule()
    times = sorted(now - _DAY / 2 * rnd.random() for _ in range(entries))
    ends = [rule.until(at + 2 * _DAY * rnd.random(), at) for at in times]
    with store.write() as rows:
        rows.ledger.append(
            tenant_id=TENANT,
            subject_id=name_of(0),
            status="revoked",
            reason_code="manual",
            reason="bench",
            actor="bench",
            now=times[0],
            expires_at=ends[0],
        )
    with contextlib.closing(sqlite3.connect(database)) as raw, raw:
        for table in ("control_ledger", "control_live"):
            found = raw.execute(f"SELECT * FROM {table}")  # noqa: S608 - one of two names
            first = dict(zip((name for name, *_ in found.description), found.fetchone(), strict=True))
            copies = (
                {
                    **first,
                    "n": n + 1,
                    "subject_id": name_of(n),
                    "at": _stored(times[n]),
                    "expires_at": _stored(ends[n]),
                }
                for n in range(1, entries)
            )
            places = ", ".join(f":{name}" for name in first)
            raw.executemany(f"INSERT INTO {table} VALUES ({places})", copies)  # noqa: S608
        raw.execute("UPDATE control_head SET n = ?", (entries,))


def _stored(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat(" ", "microseconds")
