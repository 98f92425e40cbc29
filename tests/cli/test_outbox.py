"""Findings that control refused: why, and back into the queue."""

import json

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.monitor import open_monitor_store
from guardian.config import load
from guardian.domain.finding import Effect, Finding, Kind
from guardian.pipeline.batch import Judgement


def _refused(path, *ids):
    now, store = utc_now(), open_monitor_store(load(path))
    told = {
        "kind": Kind.DRIFT,
        "tenant_id": "acme",
        "session_id": "s",
        "wanted": Effect.REVOKE,
        "severity": "high",
    }
    findings = tuple(Finding(id=id_, title="t", time=now, **told) for id_ in ids)
    store.commit(Judgement(findings=findings), positions={}, base={}, versions={}, member="", now=now)
    for item in store.outbox.due(now, 9):
        store.outbox.parked(item.id, "403: not \x1b permitted", now=now)
    store.close()


def test_refused_findings_are_listed_with_their_reason_and_released_by_id_or_all(guardian, tmp_path):
    guardian("init", "home")
    _refused(tmp_path / "home" / "guardian.yaml", "f1", "f2", "f3")
    config = ("-c", "home/guardian.yaml")
    shown = guardian("outbox", "list", *config)
    assert "f1" in shown.stdout
    assert "403: not � permitted" in shown.stdout
    assert "3 findings refused" in shown.stderr
    some = guardian("outbox", "release", "f1", "f9", *config)
    assert (some.returncode, some.stdout) == (1, "1 released; not refused: f9\n")
    assert [each["id"] for each in json.loads(guardian("outbox", "list", "--json", *config).stdout)] == [
        "f2",
        "f3",
    ]
    every = guardian("outbox", "release", "--all", *config)
    assert (every.returncode, every.stdout) == (0, "2 released\n")
    assert guardian("outbox", "release", *config).returncode == 2
