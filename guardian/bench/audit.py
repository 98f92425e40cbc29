"""`guardian bench audit`: entries verified a second, and what a checkpoint costs.

Baselines: of the verification, the bare hash chain over the same rows (no tree, no numbers, no checkpoints); of a
checkpoint, the first one, which reads all of the trail; of the memory, what the process held with an empty one.
"""

import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from guardian.audit.checkpoint import origin_base
from guardian.audit.claims import stored_claims
from guardian.audit.making import make_checkpoint
from guardian.audit.note import note_keys
from guardian.audit.verify import verify_trail
from guardian.bench.report import Row, resident_mb
from guardian.keys.signing import KeySet, SigningKeys
from guardian.store.control.audit import canonical, link
from guardian.store.control.head import GENESIS
from guardian.store.control.store import ControlStore

_BASE = origin_base("bench")
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_CHECKPOINTS = 20


def run(*, entries: int = 1_000_000, seed: int, progress: Callable[[int, int], None]) -> Sequence[Row]:
    """A trail of `entries` decisions in a SQLite file of its own; `progress` counts them written and verified."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "control.db"
        store = ControlStore.open(f"sqlite:///{file}", now=_NOW)
        keys = SigningKeys.create(Path(folder) / "signing.jwks.json").current()
        total, begun_mb = 2 * entries, resident_mb()
        _fill(file, _records(entries, seed), lambda done: progress(done, total))
        began = time.perf_counter()
        make_checkpoint(store, keys, base=_BASE, now=_NOW)
        whole = time.perf_counter() - began
        each = [_next_checkpoint(store, keys) for _ in range(_CHECKPOINTS)]
        chain = _chain_only(store)
        began = time.perf_counter()
        with store.read() as rows:
            stored = stored_claims(rows.checkpoints.raw(), note_keys(keys.jwks()))
            report = verify_trail(
                rows.audit.raw(),
                rows.audit.end(),
                stored=stored,
                progress=lambda done, _: progress(entries + done, total),
            )
        took = time.perf_counter() - began
        store.close()
        size = file.stat().st_size
    if not report.ok:
        raise AssertionError(f"the bench's own trail does not verify: {report.faults[0].says}")
    n = report.entries
    median = sorted(each)[len(each) // 2]
    return [
        Row("verified", "entries/s", n / took, n, baseline=n / chain),
        Row("checkpoint after one new entry, p50", "ms", 1000 * median, len(each), baseline=1000 * whole),
        Row("database", "bytes/entry", size / n, n),
        Row("resident memory, peak", "MB", resident_mb(), 1, baseline=begun_mb),
    ]


def _records(count: int, seed: int) -> Iterator[dict[str, object]]:
    """Decisions of the size and shape that control writes."""
    rng = random.Random(seed)
    for _ in range(count):
        yield {
            "at": _NOW.isoformat(),
            "actor": "monitor",
            "role": "monitor",
            "action": rng.choice(("flag", "revoke")),
            "tenant_id": f"tenant_{rng.randrange(50)}",
            "session_id": f"sess_{rng.randrange(10**9)}",
            "allowed": rng.random() < 0.9,
            "policy_ids": ["monitor-may-flag"],
            "policy_errors": [],
            "policy_version": f"{rng.getrandbits(128):032x}",
            "context_sha256": f"{rng.getrandbits(256):064x}",
            "result": "flagged",
        }


def _fill(file: Path, records: Iterator[dict[str, object]], done: Callable[[int], None]) -> None:
    """In bulk: appending one by one would measure the disk's flushes."""
    end = [0, GENESIS]

    def rows() -> Iterator[tuple[int, str, str]]:
        before = bytes.fromhex(GENESIS)
        for seq, record in enumerate(records, 1):
            text = canonical({**record, "seq": seq})
            before = link(before, text.encode())
            end[:] = [seq, before.hex()]
            if seq % 10_000 == 0:
                done(seq)
            yield seq, text, before.hex()

    connection = sqlite3.connect(file)
    with connection:
        connection.executemany("INSERT INTO control_audit (seq, record, hash) VALUES (?, ?, ?)", rows())
        connection.execute("UPDATE control_head SET audit_seq = ?, audit_hash = ?", end)
    connection.close()


def _next_checkpoint(store: ControlStore, keys: KeySet) -> float:
    with store.write() as rows:
        rows.audit.append({"actor": "bench", "action": "flag"})
    began = time.perf_counter()
    make_checkpoint(store, keys, base=_BASE, now=_NOW)
    return time.perf_counter() - began


def _chain_only(store: ControlStore) -> float:
    began = time.perf_counter()
    with store.read() as rows:
        before = bytes.fromhex(GENESIS)
        for entry in rows.audit.raw():
            before = link(before, entry.record or b"")
    return time.perf_counter() - began
