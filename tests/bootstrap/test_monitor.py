"""The monitor put together: what it says of itself."""

import contextlib
import json
import math
import threading
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest
from until import until

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.kafka import producers_of
from guardian.bootstrap.monitor import Monitor
from guardian.bootstrap.monitor_store import retention_of
from guardian.bus.file import FileConsumer, FileProducer
from guardian.bus.kafka_producer import KafkaProducer
from guardian.bus.memory import MemoryBroker, MemoryConsumer, MemoryProducer
from guardian.commands.initialise import initialise
from guardian.commands.samples import samples
from guardian.config import load
from guardian.domain.batch import DeadLetter, Judgement
from guardian.domain.record import Place, Record
from guardian.errors import BusError, ControlError, StoreError
from guardian.telemetry import Metrics


@pytest.fixture
def broker():
    return MemoryBroker()


def call(session, tool):
    return json.dumps(
        {
            "schema": "guardian.decision/v1",
            "id": f"{session} {tool}",
            "time": utc_now().isoformat(),
            "gateway": "mcp-gw-demo-1",
            "envelope": {
                "delegator_id": "u",
                "tenant_id": "acme",
                "session_id": session,
                "purpose": "review the contract",
                "allowed_tools": ["contracts.read", "contracts.list"],
            },
            "action": {"tool": tool, "arguments": {}},
            "decision": {"effect": "allow"},
        }
    )


@pytest.fixture
def monitor(tmp_path, broker):
    """On a broker in memory, without a control."""
    settings = load(initialise(tmp_path / "home"), overrides={"archive": {}})
    made = Monitor(
        settings, metrics=Metrics(), consumer=MemoryConsumer(broker, ["log"]), producer=MemoryProducer(broker)
    )
    yield made
    made.store.close()


def test_dead_letters_of_a_file_go_beside_it_and_those_of_topics_to_their_broker(tmp_path):
    (tmp_path / "log.jsonl").write_text("{}\n")
    file = FileConsumer(tmp_path / "log.jsonl", topic="the file")
    beside = FileProducer(tmp_path)
    no_broker = load(initialise(tmp_path / "home"), overrides={"kafka": {"options": {"nonsense": 1}}})
    assert producers_of(no_broker, file, beside) == {"the file": beside}
    both = load(tmp_path / "home" / "guardian.yaml", overrides={"envelopes": {"topic": "told"}})
    found = producers_of(both, file, beside)
    assert (found.keys(), found["the file"]) == ({"the file", "told"}, beside)
    assert isinstance(found["told"], KafkaProducer)
    topics = producers_of(both, MemoryConsumer(MemoryBroker(), []), None)
    assert topics.keys() == {both.kafka.topic, "told"}


@pytest.mark.parametrize("keep", [7, 90])
def test_a_decision_is_known_for_longer_than_its_dead_letter_can_be_sent_again(keep):
    kept = retention_of(load(None, overrides={"store": {"keep_days": keep, "dead_letter_days": 14}}))
    assert kept.sessions == timedelta(days=keep)
    assert kept.seen == timedelta(days=max(keep, 15))


def test_who_takes_nothing_at_the_end_of_a_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("guardian.bootstrap.monitor._OUTBOX_PATIENCE_S", 0.3)
    settings = load(initialise(tmp_path / "home"), overrides={"archive": {}, "model": {"engine": "lexical"}})
    (tmp_path / "log.jsonl").write_text("not json\n")
    (tmp_path / "a file").touch()
    blocked = FileProducer(tmp_path / "a file" / "dlq")
    monitor = Monitor(settings, metrics=Metrics(), consumer=FileConsumer(tmp_path / "log.jsonl"), producer=blocked)
    with pytest.raises(BusError, match=r"no dead letter could be .* for 0 s; 1 .* --file` of this file"):
        monitor.run(threading.Event())


@pytest.mark.parametrize(("ended", "left"), [(True, 1), (False, None)])
def test_who_stops_a_monitor_hears_whether_all_of_the_file_is_judged_and_what_of_it_waits(
    monitor, monkeypatch, ended, left
):
    stop = threading.Event()
    monkeypatch.setattr(monitor._delivery, "depth", lambda: 1)
    monkeypatch.setattr(monitor._worker, "run", lambda stop: stop.set() or ended)
    assert monitor.run(stop) == left


def test_the_page_counts_what_the_drift_model_knew_and_what_it_had_to_compute(tmp_path):
    settings = load(initialise(tmp_path / "home"), overrides={"archive": {}, "model": {"engine": "lexical"}})
    log, metrics = tmp_path / "log.jsonl", Metrics()
    log.write_text(
        "\n".join([call("s1", "contracts.read"), call("s2", "contracts.read"), call("s3", "contracts.list")])
    )
    monitor = Monitor(settings, metrics=metrics, consumer=FileConsumer(log), producer=FileProducer(tmp_path))
    assert monitor._worker.run(threading.Event()) is True
    monitor._count_cache()  # nothing was asked since
    monitor.store.close()

    def counted(cache):
        return [metrics.value(f"guardian_{cache}_cache_total", result=result) for result in ("hit", "miss")]

    assert counted("embedding") == [1, 2]
    assert counted("vector") == [4, 3]  # a purpose twice, two actions; then all three for what they mean


def test_the_lag_on_the_page_moves_while_nothing_is_committed_and_control_is_away(monitor):
    read = Record("log", 0, 0, b"", timestamp=utc_now() - timedelta(hours=1))
    monitor._lateness.handled([read], {read.place, Place("log", 1)})
    with pytest.raises(ControlError):
        monitor._report("m-1", None, False)
    assert monitor._metrics.value("guardian_time_lag_seconds") >= 3600


def test_a_lag_that_is_not_known_is_no_number_on_the_page(monitor):
    with pytest.raises(ControlError):
        monitor._report("m-1", None, False)
    assert math.isnan(monitor._metrics.value("guardian_time_lag_seconds"))


def shown(monitor):
    with pytest.raises(ControlError):
        monitor._report("m-1", None, False)
    return monitor._metrics.value("guardian_outbox_depth")


def test_how_many_findings_wait_is_shown_whatever_becomes_of_the_broker(monitor, monkeypatch):
    """Dead letters do not count, and where the store is away nobody knows."""
    now = utc_now()
    finding = samples(now)["flagged"].finding
    letter = DeadLetter(Record("log", 0, 0, b"{}"), "not_json", "rubbish", at=now)
    judgement = Judgement(findings=(finding,), dead_letters=(letter,))
    monitor.store.commit(judgement, positions={}, base={}, versions={}, member="", now=now)
    assert shown(monitor) == 1
    (item,) = monitor.store.outbox.due(now, 9, kind="finding")
    monitor.store.outbox.delivered([item.id], "", now=now)
    assert shown(monitor) == 0

    def away(*_):
        raise StoreError("its database is away")

    monkeypatch.setattr(monitor.store.outbox, "depth", away)
    assert math.isnan(shown(monitor))


def test_who_stops_a_monitor_does_not_wait_for_a_control_that_gives_no_answer(monitor, monkeypatch):
    asked, answer, stop = threading.Event(), threading.Event(), threading.Event()
    monkeypatch.setattr("guardian.bootstrap.monitor._HEARS_FOR_S", 60.0)
    monkeypatch.setattr(monitor._client, "changes", lambda since: asked.set() or answer.wait(60) or 1 / 0)
    monkeypatch.setattr(monitor._worker, "run", lambda stop: answer.set())
    running = threading.Thread(target=monitor.run, args=(stop,))
    running.start()
    assert asked.wait(30)
    assert not answer.wait(0.3), "nothing is judged before"
    stop.set()
    assert answer.wait(30)
    running.join(30)


@pytest.mark.parametrize("falls", [False, True])
def test_a_monitor_says_good_bye_when_it_is_stopped_and_not_when_it_falls_over(monitor, monkeypatch, falls):
    told, stop = [], threading.Event()
    monkeypatch.setattr(monitor._client, "vitals", lambda *said: told.append(said))
    monkeypatch.setattr(monitor._worker, "run", lambda stop: stop.set() if not falls else 1 / 0)
    with pytest.raises(ZeroDivisionError) if falls else contextlib.nullcontext():
        monitor.run(stop)
    assert told[-1][2] is not falls


def test_a_broker_that_does_not_answer_keeps_the_monitor_from_being_ready(monitor, broker, monkeypatch):
    monkeypatch.setattr(monitor._client, "ready", lambda: True)
    broker.stop()
    stop = threading.Event()
    running = threading.Thread(target=monitor.run, args=(stop,))
    running.start()
    try:
        until(monitor.troubles)
        assert monitor.troubles() == ["the log's broker does not answer"]
    finally:
        broker.restart()
        stop.set()
        running.join(30)


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_control_refuses_keeps_the_monitor_from_being_ready(monitor, monkeypatch, status):
    answers = [status, 503, status, 202]
    control = httpx.MockTransport(
        lambda asked: httpx.Response(200 if asked.url.path == "/readyz" else answers.pop(0))
    )
    monkeypatch.setattr(monitor._client, "_http", httpx.Client(base_url="http://c", transport=control))
    found = []
    while answers:
        with contextlib.suppress(ControlError):
            monitor._report("m-1", 0, False)
        found.append(monitor.troubles())
    assert found == [[f"control refuses its token ({status})"], [], [f"control refuses its token ({status})"], []]


def test_what_its_worker_and_its_outbox_wait_for_keeps_the_monitor_from_being_ready(monitor, monkeypatch):
    monkeypatch.setattr(monitor._client, "ready", lambda: True)
    monkeypatch.setattr(monitor._worker, "troubles", lambda: ["its database cannot be used"])
    monkeypatch.setattr(monitor._delivery, "_failing", True)
    monkeypatch.setattr(monitor, "_archiving", SimpleNamespace(failing=True))
    assert monitor.troubles() == [
        "control does not take findings",
        "the archive cannot be written",
        "its database cannot be used",
    ]
    monitor._archiving.failing = False
    assert "the archive cannot be written" not in monitor.troubles()


def test_a_token_that_others_can_read_and_a_loop_that_fails_keep_the_monitor_from_being_ready(
    monitor, monkeypatch
):
    monkeypatch.setattr(monitor._client, "ready", lambda: True)
    assert monitor.troubles() == []
    token = monitor._settings.resolve(monitor._settings.monitor.token_file)
    token.chmod(0o644)
    assert monitor.troubles() == ["its token cannot be read"]
    token.chmod(0o600)

    failed = threading.Event()

    def round_of_it(kind, **_):
        if kind == "finding":
            failed.set()
            raise OverflowError("date value out of range")
        return 0

    monkeypatch.setattr(monitor._delivery, "deliver_due", round_of_it)
    stop = threading.Event()
    running = threading.Thread(target=monitor.run, args=(stop,))
    running.start()
    try:
        assert failed.wait(10)
        while not monitor.troubles():
            stop.wait(0.01)
        assert monitor.troubles() == ["outbox fails (OverflowError)"]
    finally:
        stop.set()
        running.join(30)


def test_nothing_is_forgotten_just_after_a_start(monitor, monkeypatch):
    by = []
    monkeypatch.setattr(monitor.store, "prune", lambda now, *_, **__: by.append(now) or {})
    monitor.housekeeping.tidy()
    assert utc_now() - by[0] > timedelta(days=10_000)
