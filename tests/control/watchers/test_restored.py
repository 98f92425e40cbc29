"""A restored backup: told to people, and noticed by what gateways hold where nothing else remembers."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update
from until import until

from guardian.control import app
from guardian.control.watchers.watching import watch
from guardian.store.control.head import next_change
from guardian.store.control.store import ControlStore
from guardian.store.control.tables import head


def holds(stage, revision, way="since", role="gateway"):
    """What control answers to somebody that holds this revision."""
    if way == "ack":
        return stage.call("POST", "/v1/revocations/ack", role, json={"revision": revision})
    if way == "tag":
        return stage.revocations(headers={"If-None-Match": f'"{revision}-{"0" * 32}"'})
    return stage.call("GET", "/v1/revocations", role, params={"since": revision})


def stands(stage):
    return str(stage.deps.store.head().revision)


def told(stage, topic="restored_backup"):
    """Severity and text of the news of restored backups, as an operator reads them."""
    watch(stage.deps)
    found = stage.call("GET", "/v1/findings", "admin", "*", params={"kind": "control"}).json()["items"]
    news = [each["finding"] for each in found]
    return [(each["severity"], each["reasons"][0]["text"]) for each in news
            if each["reasons"][0]["signal"] == topic]  # fmt: skip


@pytest.mark.parametrize("way", ["since", "tag", "ack"])
def test_a_gateway_that_holds_what_the_ledger_has_not_reached_gives_a_restored_backup_away(stage, way):
    stage.revoke("s1")
    stage.clock.pass_(hours=2)
    holds(stage, "1.3", way)
    assert stands(stage) == "2.0"
    for name in ("s2", "s3"):
        stage.revoke(name)
    listed = holds(stage, "1.3").json()
    assert (listed["complete"], {each["subject_id"] for each in listed["entries"]}) == (True, {"s1", "s2", "s3"})
    ((severity, text),) = told(stage)
    assert severity == "critical"
    assert "gateway gateway-1 holds revision 1.3" in text
    assert "the ledger, at 1.1, had nothing so late" in text
    (entry,) = stage.audit(action="beginEpoch")
    assert (entry["gateway"], entry["found"], entry["expected"], entry["epoch"]) == ("gateway-1", "1.1", "1.3", 2)


def test_revocations_of_another_tenant_do_not_hide_it(stage):
    stage.revoke("s1")
    with stage.deps.store.write() as rows:
        for name in ("s2", "s3", "s4"):
            rows.ledger.append(
                tenant_id="other",
                subject_id=name,
                status="revoked",
                reason_code="manual",
                reason="",
                actor="maya",
                now=stage.clock(),
                expires_at=stage.clock() + timedelta(days=1),
            )
    stage.clock.pass_(hours=2)
    holds(stage, "1.1", "ack")
    assert stands(stage) == "1.4"
    for way in ("since", "tag"):
        holds(stage, "1.3", way)  # of a token for both, it may be
        assert stands(stage) == "1.4"
    holds(stage, "1.3", "ack")
    assert stands(stage) == "2.0"
    ((severity, text),) = told(stage)
    assert severity == "critical"
    assert "holds revision 1.3, and of its tenants the ledger, at 1.4, had nothing so late" in text


def test_whoever_says_so_begins_no_second_epoch_within_an_hour_and_none_of_another_epoch(stage):
    stage.clock.pass_(minutes=59)
    holds(stage, "1.3")
    assert stands(stage) == "1.0", "this one began less than an hour ago"
    stage.clock.pass_(minutes=1)
    for claim, role in (("7.3", "gateway"), ("0.9", "gateway"), ("1.0", "gateway"), ("1.3", "analyst")):
        holds(stage, claim, role=role)
        assert stands(stage) == "1.0"
    feed = stage.deps.store.head().change_seq
    for claim in ("1.3", "1.999999999999999", "2.4", "2.5"):
        holds(stage, claim)
    assert (stands(stage), len(told(stage))) == ("2.0", 1)
    assert stage.deps.store.head().change_seq - feed < 2**31 / (24 * 80), (
        "the feed's number lasts for months of it"
    )
    assert holds(stage, "2.5", "ack").status_code == 422
    stage.clock.pass_(hours=1)
    holds(stage, "2.5")
    assert (stands(stage), len(told(stage))) == ("3.0", 2)


def test_an_epoch_that_began_by_a_clock_that_was_ahead_hides_no_restored_backup(stage):
    with stage.deps.store._engine.begin() as connection:
        connection.execute(update(head).values(epoch_at=stage.clock() + timedelta(days=30)))
    holds(stage, "1.3")
    assert stands(stage) == "2.0"


@pytest.mark.parametrize("way", ["since", "tag", "ack"])
def test_a_gateway_that_holds_a_later_epoch_is_told_once_with_what_ends_it_and_begins_none(stage, way):
    for _ in range(2):
        holds(stage, "7.3", way)
        watch(stage.deps)
    assert stands(stage) == "1.0"
    found = stage.call("GET", "/v1/findings", "admin", "*", params={"kind": "control"}).json()["items"]
    (news,) = [each["finding"] for each in found]
    assert (news["severity"], news["title"]) == (
        "critical",
        "Gateway gateway-1 refuses the list: it holds one of a later epoch",
    )
    assert "holds revision 7.3, and the ledger stands at 1.0" in news["reasons"][0]["text"]
    assert "write epoch 7 into it" in news["reasons"][0]["text"]
    holds(stage, "8.0", way, role="analyst")
    watch(stage.deps)
    assert stage.deps.watched.later == {}


def test_a_restored_backup_is_told_once_with_where_the_ledger_stood_and_what_to_do(stage):
    stage.revoke("s1")
    store = stage.deps.store
    mark = {"epoch": 1, "n": 9, "change_seq": 9, "audit_seq": 0}
    store._epoch_file.path.write_text(json.dumps(mark))
    store.settle_epoch(stage.clock())  # as the next start
    ((severity, text),) = told(stage)
    assert severity == "critical"
    assert "the ledger stood at 1.1, and had come to 1.9 before. Epoch 2 began" in text
    assert "Revoke that again" in text
    assert "withdraw them" in text
    assert "guardian audit verify" in text
    stage.deps.watched.epoch = None  # a restart
    assert len(told(stage)) == 1


def test_where_the_epoch_file_was_not_there_people_hear_what_that_may_mean(stage):
    stage.revoke("s1")
    store = stage.deps.store
    store._epoch_file.path.unlink()
    store.settle_epoch(stage.clock())  # as the next start
    ((severity, text),) = told(stage)
    assert severity == "high"
    assert "the ledger stood at 1.1, and nothing beside it said how far it had come before" in text
    assert "If the file was only lost, or there never was one" in text
    assert "Epoch 2 began" in text


def test_a_record_that_only_speaks_of_it_is_no_restore(stage):
    with stage.deps.store.write() as rows:
        place = {"tenant_id": "guardian", "session_id": "guardian"}
        rows.audit.note("revoke", at=stage.clock(), actor="maya", reason="beginEpoch", **place)
    assert told(stage) == []


def test_where_only_the_trail_went_back_no_revocation_is_said_to_be_lost(stage):
    stage.revoke("s1")
    store = stage.deps.store
    mark = {
        "epoch": 1,
        "n": 0,
        "change_seq": 0,
        "audit_seq": 9999,
    }  # of another database that lay here before, too
    store._epoch_file.path.write_text(json.dumps(mark))
    store.settle_epoch(stage.clock())
    ((severity, text),) = told(stage)
    assert severity == "high"
    assert "Revoke that again" not in text
    assert "Epoch 2 began" in text


def test_a_ledger_that_is_restored_while_control_runs_begins_a_new_epoch(stage, monkeypatch):
    monkeypatch.setattr(app, "_LISTEN_EVERY_S", 0.01)
    for name in ("s1", "s2", "s3"):
        stage.revoke(name)
    with stage.deps.store._engine.begin() as connection:
        connection.execute(update(head).values(n=1))
    until(lambda: stands(stage) == "2.0")
    assert [entry["expected"] for entry in stage.audit(action="beginEpoch")] == ["1.3"]


def test_the_epoch_file_follows_what_another_process_wrote_on_the_feed(stage, monkeypatch):
    monkeypatch.setattr(app, "_LISTEN_EVERY_S", 0.01)
    store = stage.deps.store
    with ControlStore(store._engine, None, stage.clock).write() as rows:
        seq = next_change(rows.connection)
    until(lambda: store._epoch_file.read().change_seq == seq)


def test_people_hear_that_the_epoch_file_cannot_be_written_and_when_it_can_while_control_goes_on(stage):
    """Nobody would notice a restored backup: the file lies on another disk, perhaps."""
    path = stage.deps.store._epoch_file.path
    noted = path.read_bytes()
    path.unlink()
    (path / "in the way").mkdir(parents=True)
    stage.deps.store.remember(signed=1, signed_as="d1")
    assert stage.revoke("s").status_code == 200
    for _ in range(2):
        stage.deps.store.try_again()
        [(severity, text)] = told(stage, "epoch_file")
        assert (severity, "would not be noticed" in text) == ("high", True)
    assert stage.client.get("/readyz").status_code == 200
    (path / "in the way").rmdir()
    path.rmdir()
    stage.deps.store.try_again()
    for _ in range(2):
        assert [severity for severity, _ in told(stage, "epoch_file")] == ["info", "high"]
    assert path.read_bytes() != noted
    assert stage.deps.store.signed() == (1, "d1")


def test_people_hear_that_checkpoints_do_not_get_out_and_when_they_do_again(stage):
    trouble = ["file /mnt/checkpoints.txt: no such folder"]
    stage.deps = replace(stage.deps, kept_in=lambda: trouble[-1])
    for _ in range(2):
        [(severity, text)] = told(stage, "exports")
        assert (severity, text.startswith(trouble[0])) == ("high", True)
    trouble.append("")
    for _ in range(2):
        assert [severity for severity, _ in told(stage, "exports")] == ["info", "high"]


def test_people_hear_that_the_audit_trail_is_not_signed_and_when_it_is_again(stage):
    trouble = ["the audit trail is not signed again: entry 23 is missing"]
    stage.deps = replace(stage.deps, unsigned=lambda: trouble[-1])
    for _ in range(2):
        [(severity, text)] = told(stage, "checkpoints")
        assert (severity, text.startswith(trouble[0])) == ("high", True)
        assert "'A backup was restored'" in text
    trouble.append("")
    for _ in range(2):
        assert [severity for severity, _ in told(stage, "checkpoints")] == ["info", "high"]
