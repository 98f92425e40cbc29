"""What lies in the stores for people: refused findings and alerts, and whose dead letters go where."""

import json
from datetime import timedelta

import pytest

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control_store import open_control_store
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.bus.memory import MemoryBroker, MemoryProducer
from guardian.commands.letters import redrive_letters, refused_checked, sealed_before
from guardian.config import load
from guardian.control.telling.alert_outbox import ControlAlertOutbox
from guardian.domain.batch import DeadLetter, Judgement
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.record import Record
from guardian.errors import AlertError, ControlError
from guardian.store.control.alerts import AlertRows
from guardian.store.monitor.dead_letters import DeadLetters
from guardian.wire.findings import AlertOutcome, AlertPayload


def _refused(path, *ids):
    now, store = utc_now(), open_monitor_store(load(path), makes=True)
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
    assert "403: not ‹U+001B› permitted" in shown.stdout
    assert "3 findings refused" in shown.stderr
    with pytest.raises(ControlError, match="control refused 3 findings"):
        refused_checked(load(tmp_path / "home" / "guardian.yaml"))
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
    now, store = utc_now(), open_monitor_store(load(tmp_path / "home" / "guardian.yaml"), makes=True)
    letters = (DeadLetter(Record("log.jsonl", 0, 3, b"{"), "not_json", "no"),)
    store.commit(Judgement(dead_letters=letters), positions={}, base={}, versions={}, member="", now=now)
    store.close()
    done = guardian("dlq", "redrive", "--all", "-c", "home/guardian.yaml")
    assert (done.returncode, done.stdout) == (0, "0 sent again; 1 of a file or another topic left as they are\n")
    named = guardian("dlq", "redrive", "log.jsonl/0/3", "-c", "home/guardian.yaml")
    assert (named.returncode, named.stdout) == (1, done.stdout)


def test_dead_letters_are_listed_as_they_are_read_and_as_one_array(guardian, tmp_path, monkeypatch):
    guardian("init", "home")
    config = ("-c", "home/guardian.yaml")
    now, store = utc_now(), open_monitor_store(load(tmp_path / "home" / "guardian.yaml"), makes=True)
    assert guardian("dlq", "list", "--json", *config).stdout == "[]\n"
    letters = tuple(DeadLetter(Record("t", 0, n, b"{"), "not_json", "no") for n in range(5))
    store.commit(Judgement(dead_letters=letters), positions={}, base={}, versions={}, member="", now=now)
    store.close()
    monkeypatch.setattr("guardian.commands.letters._PAGE", 2)
    told = json.loads(guardian("dlq", "list", "--json", *config).stdout)
    assert [each["id"] for each in told] == [f"t/0/{n}" for n in range(5)]
    assert (told[0]["at"], told[0]["redriven_at"]) == (now.isoformat(), None)
    some = guardian("dlq", "list", "--limit", "3", *config)
    assert (len(some.stdout.splitlines()), some.stderr) == (3, "3 of 5 dead letters\n")
    some = guardian("dlq", "list", "--limit", "3", "--json", *config)
    assert (len(json.loads(some.stdout)), some.stderr) == (3, "3 of 5 dead letters\n")


def test_all_are_sent_again_the_oldest_first_and_one_in_memory_at_a_time(guardian, tmp_path, monkeypatch):
    guardian("init", "home")
    settings = load(tmp_path / "home" / "guardian.yaml")
    now, store = utc_now(), open_monitor_store(settings, makes=True)
    places = [(settings.kafka.topic, at) for at in (8, 9, 10, 11)] + [("log.jsonl", 3)]
    letters = tuple(DeadLetter(Record(topic, 0, at, b"%d" % at), "not_json", "no") for topic, at in places)
    store.commit(Judgement(dead_letters=letters), positions={}, base={}, versions={}, member="", now=now)
    store.dead_letters.redriven(f"{settings.kafka.topic}/0/8", now=now)
    store.close()
    sent, told, loaded = [], [], []

    class Producer(MemoryProducer):
        def __init__(self, _settings):
            super().__init__(MemoryBroker(clock=utc_now))

        def send(self, topic, value, **more):
            sent.append(value)

    def get(letters, ids, real=DeadLetters.get):
        loaded.append(list(ids))
        return real(letters, loaded[-1])

    monkeypatch.setattr("guardian.commands.letters.KafkaProducer", Producer)
    monkeypatch.setattr(DeadLetters, "get", get)
    monkeypatch.setattr(DeadLetters, "list", None)
    assert sealed_before(settings) == 0
    done = redrive_letters(settings, None, told.append)
    assert (told, sent, len(done.sent), done.left) == ([3], [b"9", b"10", b"11"], 3, 1)
    assert {len(ids) for ids in loaded} == {1}
    assert redrive_letters(settings, None, told.append).left == 1
    assert told == [3, 0]


def test_letters_that_were_named_and_not_sent_again_are_a_fault_and_the_others_go(guardian, tmp_path, monkeypatch):
    guardian("init", "home")
    settings, now = load(tmp_path / "home" / "guardian.yaml"), utc_now()
    topic, store = settings.kafka.topic, open_monitor_store(settings, makes=True)
    places = ((topic, 1), (topic, 2), (topic, 3), ("log.jsonl", 3))
    letters = tuple(DeadLetter(Record(name, 0, at, b"{"), "not_json", "no") for name, at in places)
    store.commit(Judgement(dead_letters=letters), positions={}, base={}, versions={}, member="", now=now)
    store.close()
    sent = []

    class Producer(MemoryProducer):
        def __init__(self, _settings):
            super().__init__(MemoryBroker(clock=utc_now))

        def send(self, topic, value, **more):
            sent.append(topic)

    monkeypatch.setattr("guardian.commands.letters.KafkaProducer", Producer)

    def redriven(*words):
        done = guardian("dlq", "redrive", *words, "-c", "home/guardian.yaml")
        return done.returncode, done.stdout

    assert redriven(f"{topic}/0/1") == (0, "1 sent again\n")
    assert redriven(f"{topic}/0/2", f"{topic}/0/9") == (
        1,
        f"1 sent again; not kept (any more): {topic}/0/9\n",
    )
    assert redriven(f"{topic}/0/2", "log.jsonl/0/3") == (
        1,
        "1 sent again; 1 of a file or another topic left as they are\n",
    )
    assert redriven("--all") == (0, "1 sent again; 1 of a file or another topic left as they are\n")
    assert sent == [topic] * 4


def _refused_alerts(path, *ids):
    now, store = utc_now(), open_control_store(load(path))
    outbox = ControlAlertOutbox(store, "webhook")
    with store.write() as rows:
        rows.alerts.deliver_to(["webhook"], now, instead="log")
    for id_ in ids:
        finding = Finding(
            id=id_, kind=Kind.DRIFT, tenant_id="acme", session_id="s", wanted=Effect.FLAG, severity="high",
            title="t", time=now,
        )  # fmt: skip
        told = AlertOutcome(effect=Effect.FLAG, allowed=True, note="", mode="shadow")
        payload = "{" if id_ == "unreadable" else AlertPayload(finding=finding, outcome=told, case="c")
        text = payload if isinstance(payload, str) else payload.model_dump_json()
        with store.write() as rows:
            rows.alerts.add(kind="finding", case_key=id_, idempotency_key=id_, payload=text, now=now)
        outbox.parked(outbox.claim(now).id, "410 \x1b gone")
    store.close()


def test_what_a_refused_alert_holds_back_is_shown_and_given_up_with_it(guardian, tmp_path):
    guardian("init", "home")
    path, config = tmp_path / "home" / "guardian.yaml", ("-c", "home/guardian.yaml")
    _refused_alerts(path, "f1", "f2")
    store = open_control_store(load(path))
    with store.write() as rows:
        for name in ("b1", "b2"):
            assert rows.alerts.follow_up(1, idempotency_key=name, payload="{}", now=utc_now())
    store.close()
    shown = guardian("alerts", "list", *config)
    first, second = shown.stdout.splitlines()
    assert first.endswith("gone  (holds back 2 of what became of it)")
    assert "holds" not in second
    assert [each["held"] for each in json.loads(guardian("alerts", "list", "--json", *config).stdout)] == [2, 0]
    with pytest.raises(
        AlertError, match="refused 2 alerts, which went to the log and hold back 2 of what became of"
    ):
        refused_checked(load(path))
    beyond = str(2**63)
    dropped = guardian("alerts", "drop", "1", "9", beyond, *config)
    told = f"1 dropped, with 2 that they held back; not refused: 9, {beyond}\n"
    assert (dropped.returncode, dropped.stdout) == (1, told)
    assert guardian("alerts", "drop", "2", *config).stdout == "1 dropped\n"
    store = open_control_store(load(path))
    with store.read() as rows:
        last = [json.loads(line.payload) for line in rows.feeds.news("audit", 99)]
    store.close()
    dropped = [each | {"at": None, "seq": None} for each in last if each["action"] == "dropAlerts"]
    told = {"actor": "operator", "tenant_id": "acme", "channel": "webhook", "result": "dropped"}
    assert [told | each for each in dropped] == dropped
    assert [(each["alerts"], each.get("held")) for each in dropped] == [([1], 2), ([2], None)]
    assert refused_checked(load(path)).startswith("no finding")
    assert guardian("alerts", "release", "--all", *config).stdout == "0 released\n"


def _parked_by_two(path, *tenants):
    """An alert of each tenant, which webhook and email refused."""
    now, store = utc_now(), open_control_store(load(path))
    with store.write() as rows:
        rows.alerts.deliver_to(["webhook", "email"], now, instead="log")
        for number, tenant in enumerate(tenants, 1):
            payload = json.dumps({"finding": {"wanted": "flag", "severity": "low", "tenant_id": tenant}})
            name = f"f{number}"
            rows.alerts.add(kind="finding", case_key=name, idempotency_key=name, payload=payload, now=now)
        for channel in ("webhook", "email"):
            while (taken := rows.alerts.claim(channel, now)) is not None:
                rows.alerts.parked(channel, taken.id, taken.attempts + 1, "410 gone")
    store.close()


def _left(guardian, *config):
    told = json.loads(guardian("alerts", "list", "--json", *config).stdout)
    return [(each["id"], each["channel"]) for each in told]


def test_what_is_given_up_or_sent_again_is_narrowed_by_channel_and_tenant_and_audited_by_both(guardian, tmp_path):
    guardian("init", "home")
    path, config = tmp_path / "home" / "guardian.yaml", ("-c", "home/guardian.yaml")
    named = "  webhook: {url: 'https://h.example', secret_file: s}\n  email: {}\n"
    path.write_text(path.read_text("utf-8").replace("  log: {}\n", named), "utf-8")
    _parked_by_two(path, "acme", "acme", "globex", "globex")
    assert guardian("alerts", "drop", "1", "--channel", "webhook", *config).stdout == "1 dropped\n"
    assert _left(guardian, *config)[:2] == [(1, "email"), (2, "email")]
    elsewhere = guardian("alerts", "drop", "3", "--tenant", "acme", *config)
    assert (elsewhere.returncode, elsewhere.stdout) == (1, "0 dropped; not refused: 3\n")
    told = ("--all", "--channel", "webhook", "--tenant", "globex")
    assert guardian("alerts", "drop", *told, *config).stdout == "2 dropped\n"
    assert guardian("alerts", "release", "--all", "--tenant", "globex", *config).stdout == "2 released\n"
    assert _left(guardian, *config) == [(1, "email"), (2, "email"), (2, "webhook")]
    assert guardian("alerts", "drop", "--all", *config).stdout == "3 dropped\n"
    for wrong in (("drop",), ("drop", "2", "--all"), ("drop", "--all", "--tenant", "")):
        assert guardian("alerts", *wrong, *config).returncode == 2
    unknown = guardian("alerts", "release", "--all", "--channel", "wbehook", *config)
    assert (unknown.returncode, unknown.stderr) == (
        2, "guardian: channel 'wbehook' is not configured; those are: webhook, email, log\n"
    )  # fmt: skip
    store = open_control_store(load(path))
    with store.read() as rows:
        audited = [json.loads(line.payload) for line in rows.feeds.news("audit", 99)]
        mine = [json.loads(each.record) for each in rows.audit.told(frozenset({"globex"}), limit=9)]
    store.close()
    keys = ("action", "tenant_id", "channel", "alerts", "result")
    assert [tuple(each[key] for key in keys) for each in audited if each["action"].endswith("Alerts")] == [
        ("dropAlerts", "acme", "webhook", [1], "dropped"),
        ("dropAlerts", "globex", "webhook", [3, 4], "dropped"),
        ("releaseAlerts", "globex", "email", [3, 4], "released"),
        ("dropAlerts", "acme", "email", [1, 2], "dropped"),
        ("dropAlerts", "acme", "webhook", [2], "dropped"),
    ]
    assert [each["action"] for each in mine] == ["releaseAlerts", "dropAlerts"]


def test_what_a_channel_that_is_away_did_not_take_is_listed_and_after_ten_minutes_the_doctor_says_it(
    guardian, tmp_path
):
    guardian("init", "home")
    path, now = tmp_path / "home" / "guardian.yaml", utc_now()
    config, store = ("-c", "home/guardian.yaml"), open_control_store(load(path))
    with store.write() as rows:
        rows.alerts.deliver_to(["webhook"], now, instead="log")
        for name, age in (("f1", 9), ("f2", 5), ("f3", 1)):
            at = now - timedelta(minutes=age)
            rows.alerts.add(kind="finding", case_key=name, idempotency_key=name, payload="{}", now=at)
        for name, wait in (("f1", 8), ("f2", 4)):
            taken = rows.alerts.claim("webhook", now)
            assert taken is not None
            assert taken.id == rows.alerts.named(name)
            until = now + timedelta(minutes=wait)
            rows.alerts.postponed("webhook", taken.id, taken.attempts + 1, until, f"{name}: \x1b refused")
    shown = guardian("alerts", "list", *config)
    since, again = ((now + timedelta(minutes=each)).isoformat(timespec="seconds") for each in (-9, 4))
    waits = f"webhook  2 not taken since {since}  tried again at {again}  f2: ‹U+001B› refused\n"
    assert (shown.stdout, shown.stderr) == (waits, "0 alerts refused; 2 waiting for webhook\n")
    (told,) = json.loads(guardian("alerts", "list", "--json", *config).stdout)
    assert told == {
        "channel": "webhook", "waiting": 2, "since": since, "next_at": again, "why": "f2: \x1b refused",
    }  # fmt: skip
    assert refused_checked(load(path)).endswith("no alert by a channel"), "it may be a matter of a moment"
    with store.write() as rows:
        old = now - timedelta(minutes=11)
        rows.alerts.add(kind="finding", case_key="f0", idempotency_key="f0", payload="{}", now=old)
        taken = rows.alerts.claim("webhook", now - timedelta(minutes=10))
        rows.alerts.postponed("webhook", taken.id, 1, now + timedelta(minutes=1), "nobody is there")
    store.close()
    with pytest.raises(AlertError, match=r"webhook has not taken 3 alerts since .* UTC \(nobody is there\); mend"):
        refused_checked(load(path))


def test_what_slack_did_not_take_is_listed_and_tried_at_once_when_all_is_released(guardian, tmp_path):
    guardian("init", "home")
    path, now = tmp_path / "home" / "guardian.yaml", utc_now()
    store = open_control_store(load(path))
    with store.write() as rows:
        for key, error in (("c1", "slack: not_in_\x1bchannel"), ("c2", "")):
            rows.cases.open(key, kind="session", tenant_id="acme", session_id=key, now=now)
            rows.cases.change(key, next_at=now + timedelta(hours=1), last_error=error)
    config = ("-c", "home/guardian.yaml")
    shown = guardian("alerts", "list", *config)
    (line,) = shown.stdout.splitlines()
    assert line.endswith("  acme/c1  slack: not_in_‹U+001B›channel")
    assert "0 alerts refused; 1 of Slack's wait" in shown.stderr
    (told,) = json.loads(guardian("alerts", "list", "--json", *config).stdout)
    again = (now + timedelta(hours=1)).isoformat(timespec="seconds")
    assert told == {
        "channel": "slack", "next_at": again, "refused": True, "tenant_id": "acme", "session_id": "c1",
        "why": "slack: not_in_\x1bchannel",
    }  # fmt: skip
    with store.write() as rows:
        rows.cases.change("c2", last_error="slack: rate limited", step="{}")
    late = json.loads(guardian("alerts", "list", "--json", *config).stdout)[1]
    assert (late["session_id"], late["refused"]) == ("c2", False), "it is late, and needs nobody"
    with pytest.raises(
        AlertError, match=r"Slack refused 1 case and is asked again by itself; `guardian alerts list"
    ):
        refused_checked(load(path))
    _refused_alerts(path, "f1")
    with pytest.raises(
        AlertError, match="channels refused 1 alert, which went to the log, and Slack refused 1 case"
    ):
        refused_checked(load(path))
    refused_checked(load(path), control=False)
    assert guardian("alerts", "release", "1", *config).returncode == 0
    for elsewhere in (("--channel", "log"), ("--tenant", "globex")):
        assert guardian("alerts", "release", "--all", *elsewhere, *config).stdout == "0 released\n"
    assert (
        guardian("alerts", "release", "--all", *config).stdout == "0 released; 2 of Slack's are tried again now\n"
    )
    assert refused_checked(load(path)).startswith("no finding")
    with store.read() as rows:
        audited = json.loads(next(iter(rows.audit.told(None, limit=1))).record)
    told = {"action": "releaseAlerts", "tenant_id": "acme", "channel": "slack", "cases": 2, "result": "released"}
    assert told.items() <= audited.items()
    with store.read() as rows:
        assert [each.key for each in rows.cases.due(utc_now(), 9)] == ["c1", "c2"]
    store.close()
    assert guardian("alerts", "list", *config).stderr.endswith("0 alerts refused\n")


def test_refused_alerts_are_listed_with_their_reason_and_come_due_again_with_their_attempts(
    guardian, tmp_path, monkeypatch
):
    guardian("init", "home")
    path = tmp_path / "home" / "guardian.yaml"
    _refused_alerts(path, "f1", "f2", "unreadable")
    config = ("-c", "home/guardian.yaml")
    shown = guardian("alerts", "list", *config)
    first, _, last = shown.stdout.splitlines()
    assert first.startswith("1  webhook  ")
    assert "f1  acme/s  410 ‹U+001B› gone" in first
    assert "?  410 ‹U+001B› gone" in last
    assert "3 alerts refused" in shown.stderr
    with monkeypatch.context() as patched:
        patched.delattr(AlertRows, "refused")  # whoever counts them reads none
        with pytest.raises(AlertError, match="channels refused 3 alerts"):
            refused_checked(load(path))
    beyond = str(2**63)  # no id of a database is so large
    some = guardian("alerts", "release", "1", beyond, *config)
    assert (some.returncode, some.stdout) == (1, f"1 released; not refused: {beyond}\n")
    left = json.loads(guardian("alerts", "list", "--json", *config).stdout)
    assert [(each["id"], each["channel"], each.get("finding")) for each in left] == [
        (2, "webhook", "f2"), (3, "webhook", None),
    ]  # fmt: skip
    store = open_control_store(load(path))
    outbox = ControlAlertOutbox(store, "webhook")
    claimed = outbox.claim(utc_now())
    assert (claimed.id, claimed.attempts) == ("1", 1)
    assert outbox.claim(utc_now()) is None
    outbox.sent(claimed.id, "r")
    store.close()
    every = guardian("alerts", "release", "--all", *config)
    assert (every.returncode, every.stdout) == (0, "2 released\n")
    assert refused_checked(load(path)).startswith("no finding")
    assert guardian("alerts", "release", *config).returncode == 2
