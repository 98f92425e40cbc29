"""What lies in the monitor's store for people: findings that control refused, and whose dead letters go where."""

import json

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.bus.port import Record
from guardian.config import load
from guardian.domain.finding import Effect, Finding, Kind
from guardian.pipeline.batch import DeadLetter, Judgement


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


def test_letters_of_a_file_are_left_where_all_are_sent_again(guardian, tmp_path):
    guardian("init", "home")
    now, store = utc_now(), open_monitor_store(load(tmp_path / "home" / "guardian.yaml"))
    letters = (DeadLetter(Record("log.jsonl", 0, 3, b"{"), "not_json", "no"),)
    store.commit(Judgement(dead_letters=letters), positions={}, base={}, versions={}, member="", now=now)
    store.close()
    done = guardian("dlq", "redrive", "--all", "-c", "home/guardian.yaml")
    assert (done.returncode, done.stdout) == (0, "0 sent again; 1 of a file or another topic left as they are\n")
