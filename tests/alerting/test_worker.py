"""From the outbox to people: none lost, none shown twice."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import deployment
import pytest
from sqlalchemy import Row, select
from structlog.testing import capture_logs

from guardian.alerting.log import LogOptions
from guardian.alerting.port import RetryLater
from guardian.alerting.worker import AlertWorker
from guardian.control.telling.alert_outbox import AlertQueues, ControlAlertOutbox
from guardian.errors import AlertError, StoreError
from guardian.store.control.alerts import UNNAMED, Chosen
from guardian.store.control.store import ControlStore
from guardian.store.control.tables import alert as alerts
from guardian.store.control.tables import delivery
from guardian.telemetry import Metrics

START = datetime(2026, 5, 12, tzinfo=UTC)
migrated = deployment.migrated


class Queue(ControlAlertOutbox):
    """Control's outbox on a database of its own; tests name an alert by its finding."""

    def __init__(self, url: str) -> None:
        self.store = ControlStore.open(url, now=START)
        super().__init__(self.store, UNNAMED)

    def deliver_to(self, *channels: str) -> None:
        with self.store.write() as rows:
            rows.alerts.deliver_to(channels, START, instead="log")

    def put(self, id: str, payload: str, now: datetime) -> None:
        with self.store.write() as rows:
            rows.alerts.add(kind="finding", case_key=id, idempotency_key=id, payload=payload, now=now)

    def kept(self, id: str, channel: str = UNNAMED) -> Row[Any]:
        both = select(delivery).join(alerts, alerts.c.id == delivery.c.alert_id)
        with self.store.read() as rows:
            this = both.where(alerts.c.idempotency_key == id, delivery.c.channel == channel)
            return rows.connection.execute(this).one()


@pytest.fixture
def queue(migrated: Path, tmp_path: Path) -> Iterator[Callable[..., Queue]]:
    """Opens an outbox of a class; all are closed at the end."""
    opened: list[Queue] = []

    def make(of: type[Queue] = Queue, **settings: Any) -> Queue:
        folder = shutil.copytree(migrated, tmp_path / f"outbox-{len(opened)}")
        opened.append(of(f"sqlite:///{folder}/control.db", **settings))
        return opened[-1]

    yield make
    for outbox in opened:
        outbox.store.close()


@pytest.fixture
def outbox(queue) -> Queue:
    return queue()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def worker(outbox, channel, metrics, time) -> AlertWorker:
    return AlertWorker(outbox, channel, metrics=metrics, now=time.now, jitter=lambda: 1.0, first_wait_s=5)


def put(outbox, alert, time) -> str:
    outbox.put(alert.finding.id, alert.model_dump_json(), time.now())
    return alert.finding.id


def test_what_may_become_of_an_alert_is_shown_before_there_is_one(worker, metrics) -> None:
    assert b'guardian_alerts_total{channel="slack",outcome="parked"} 0.0' in metrics.render()


def test_a_waiting_alert_is_sent_once_and_its_reference_kept(outbox, worker, slack, make_alert, time) -> None:
    row = put(outbox, make_alert(), time)
    assert worker.step() is True
    assert worker.step() is False
    assert outbox.kept(row).state == "sent"
    assert outbox.kept(row).remote == f"C0SECURITY:{slack.messages[0]['ts']}"


def test_the_first_try_asks_slack_for_no_history(outbox, worker, slack, make_alert, time) -> None:
    put(outbox, make_alert(), time)
    worker.step()
    assert slack.calls == ["chat.postMessage"]


@pytest.mark.parametrize("trouble", ["drop_after", "garbage_after", "slow_after"])
def test_a_lost_answer_leads_to_no_second_post(outbox, worker, slack, make_alert, time, trouble: str) -> None:
    slack.troubles.append(trouble)
    row = put(outbox, make_alert(), time)
    worker.step()
    time.seconds += 60
    worker.step()
    assert outbox.kept(row).state == "sent"
    assert len(slack.messages) == 1


@pytest.mark.parametrize("trouble", ["500", "drop", "429:600"])
def test_a_post_that_did_not_arrive_is_made_good(outbox, worker, slack, make_alert, time, trouble: str) -> None:
    slack.troubles.append(trouble)
    row = put(outbox, make_alert(), time)
    worker.step()
    assert outbox.kept(row).state == "pending"
    time.seconds += 601
    worker.step()
    assert outbox.kept(row).state == "sent"
    assert len(slack.messages) == 1


def test_a_crash_between_sending_and_noting_shows_nobody_the_alert_twice(
    outbox, channel, metrics, slack, make_alert, time
) -> None:
    alert = make_alert()
    row = put(outbox, alert, time)
    outbox.claim(time.now())
    channel.deliver(alert)  # and here the process dies
    second = AlertWorker(outbox, channel, metrics=metrics, now=time.now)
    assert second.recover() == 1
    second.step()
    assert outbox.kept(row).state == "sent"
    assert len(slack.messages) == 1
    assert metrics.value("guardian_alerts_total", channel="slack", outcome="found") == 1


def test_a_crash_before_sending_loses_nothing(outbox, channel, metrics, slack, make_alert, time) -> None:
    row = put(outbox, make_alert(), time)
    outbox.claim(time.now())  # and here the process dies
    second = AlertWorker(outbox, channel, metrics=metrics, now=time.now)
    second.recover()
    second.step()
    assert outbox.kept(row).state == "sent"
    assert len(slack.messages) == 1


@pytest.mark.parametrize("arrived", [True, False])
def test_what_another_process_died_with_is_sent_once_by_the_one_that_lives(
    outbox, worker, channel, slack, make_alert, time, arrived
) -> None:
    worker.step()
    alert = make_alert()
    row = put(outbox, alert, time)
    outbox.claim(time.now())
    if arrived:
        channel.deliver(alert)  # and here the other process dies
    time.seconds += 14 * 60
    worker.step()
    assert outbox.kept(row).state == "sending", "it may live, and be about to send it"
    time.seconds += 2 * 60
    worker.step()
    assert outbox.kept(row).state == "sent"
    assert len(slack.messages) == 1


def test_what_was_in_hand_for_long_is_not_sent_any_more_but_looked_for_again(
    outbox, metrics, make_alert, time
) -> None:
    class Searching(Choosy):
        def find(self, alert) -> str | None:
            time.seconds += 11 * 60 if alert.attempt == 1 else 1
            return super().find(alert)

    channel = Searching("far", RetryLater("no answer"))
    worker = AlertWorker(outbox, channel, metrics=metrics, now=time.now)
    row = put(outbox, make_alert(), time)
    worker.step()
    time.seconds += 60
    worker.step()
    assert channel.taken == []
    time.seconds += 60
    worker.step()
    assert channel.taken == [row]
    assert outbox.kept(row).state == "sent"


def test_while_slack_cannot_say_whether_it_arrived_nothing_is_posted(
    outbox, worker, slack, make_alert, time
) -> None:
    slack.troubles.append("drop_after")
    slack.read_troubles.extend(["drop"] * 3)
    row = put(outbox, make_alert(), time)
    for _ in range(5):
        worker.step()
        time.seconds += 700
    assert outbox.kept(row).state == "sent"
    assert len(slack.messages) == 1


def test_waits_between_tries_double_up_to_a_ceiling(outbox, worker, slack, make_alert, time) -> None:
    slack.troubles.extend(["drop"] * 12)
    row = put(outbox, make_alert(), time)
    waits = []
    for _ in range(10):
        worker.step()
        due = outbox.kept(row).next_at
        waits.append((due - time.now()).total_seconds())
        time.seconds = (due - (time.now() - timedelta(seconds=time.seconds))).total_seconds()
    assert waits[:4] == pytest.approx([5, 10, 20, 40])
    assert waits[-1] == pytest.approx(600)


def test_a_wait_that_a_channel_names_is_an_hour_at_most(outbox, metrics, make_alert, time) -> None:
    forever = Choosy("far", RetryLater("busy", after_s=1e22))
    worker = AlertWorker(outbox, forever, metrics=metrics, now=time.now)
    row = put(outbox, make_alert(), time)
    worker.step()
    assert outbox.kept(row).next_at - time.now() == timedelta(hours=1)


def test_slack_down_for_hours_delays_alerts_and_loses_none(outbox, worker, slack, make_alert, time) -> None:
    rows = [put(outbox, make_alert(n), time) for n in range(6)]
    slack.troubles.extend(["drop"] * 20)
    slack.read_troubles.extend(["drop"] * 40)
    for _ in range(400):
        if not worker.step():
            if outbox.depth() == 0:
                break
            time.seconds += 60
    assert {outbox.kept(row).state for row in rows} == {"sent"}
    assert len(slack.messages) == 6


def test_a_refused_alert_is_parked_for_people_and_goes_to_the_fallback(
    outbox, channel, metrics, slack, make_alert, time
) -> None:
    slack.troubles.append("refuse:channel_not_found")
    fallback = LogOptions().open(time.given)
    worker = AlertWorker(outbox, channel, metrics=metrics, now=time.now, fallback=fallback)
    alert = make_alert()
    row = put(outbox, alert, time)
    worker.step()
    assert outbox.kept(row).state == "parked"
    assert "channel_not_found" in outbox.kept(row).last_error
    assert fallback.find(alert) is not None
    assert outbox.depth() == 0


def test_a_refused_alert_does_not_hold_up_the_next(outbox, worker, slack, make_alert, time) -> None:
    slack.troubles.append("refuse:restricted_action")
    put(outbox, make_alert(1), time)
    second = put(outbox, make_alert(2), time)
    while worker.step():
        pass
    assert outbox.kept(second).state == "sent"


def test_a_row_that_cannot_be_read_is_parked_with_its_reason(outbox, worker, metrics, time) -> None:
    outbox.put("row", '{"finding": 1}', time.now())
    worker.step()
    assert outbox.kept("row").state == "parked"
    assert "cannot be read" in outbox.kept("row").last_error
    assert metrics.value("guardian_alerts_total", channel="slack", outcome="parked") == 1


class Broken:
    """A channel with a bug in it."""

    name = "broken"

    def deliver(self, alert: object) -> str:
        raise ZeroDivisionError

    def find(self, alert: object) -> str | None:
        return None


def test_a_bug_in_a_channel_delays_the_alert_and_ends_nothing(outbox, metrics, make_alert, time) -> None:
    worker = AlertWorker(outbox, Broken(), metrics=metrics, now=time.now)
    row = put(outbox, make_alert(), time)
    worker.step()
    assert outbox.kept(row).state == "pending"
    assert "ZeroDivisionError" in outbox.kept(row).last_error


class Heard:
    """A fallback that keeps what it is given."""

    name = "heard"

    def __init__(self) -> None:
        self.ids: list[str] = []

    def deliver(self, alert) -> str:
        self.ids.append(alert.finding.id)
        return ""

    def find(self, alert) -> str | None:
        return "" if alert.finding.id in self.ids else None


def test_what_a_channel_fails_on_unexpectedly_goes_to_the_fallback_once_and_is_tried_again(
    outbox, metrics, make_alert, time
) -> None:
    fallback = Heard()
    worker = AlertWorker(outbox, Broken(), metrics=metrics, now=time.now, fallback=fallback)
    row = put(outbox, make_alert(), time)
    for _ in range(3):
        worker.step()
        time.seconds += 700
    assert outbox.kept(row).state == "pending"
    assert fallback.ids == [row]


def test_the_depth_is_a_metric(outbox, worker, metrics, make_alert, time) -> None:
    for n in range(3):
        put(outbox, make_alert(n), time)
    worker.step()
    worker.measure()
    assert metrics.value("guardian_alert_queue_depth", channel="slack") == 2


class Failing(Queue):
    """A store that is locked just when the first alert has gone out."""

    def __init__(self, url: str, failures: int = 1) -> None:
        super().__init__(url)
        self.failures = failures
        self.done = threading.Event()

    def sent(self, id: str, reference: str) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("database is locked")
        super().sent(id, reference)
        self.done.set()


def test_a_store_that_fails_after_the_post_leads_to_no_second_post(
    queue, channel, metrics, slack, make_alert, time
) -> None:
    outbox = queue(Failing)
    worker = AlertWorker(outbox, channel, metrics=metrics, now=time.now, idle_s=0.01, first_wait_s=0.01)
    row = put(outbox, make_alert(), time)
    worker.start()
    assert outbox.done.wait(10)
    assert worker.stop()
    assert outbox.kept(row).state == "sent"
    assert len(slack.messages) == 1


class Away(Queue):
    """A store that cannot be reached for the first looks."""

    def __init__(self, url: str, looks: int) -> None:
        super().__init__(url)
        self.looks = looks
        self.back = threading.Event()

    def recover(self, before=None) -> int:
        if self.looks:
            self.looks -= 1
            raise StoreError("the database cannot be reached")
        self.back.set()
        return super().recover(before)


def test_a_store_that_is_away_is_a_line_without_traceback_a_look_and_the_looks_become_rarer(
    queue, channel, metrics, time
) -> None:
    outbox = queue(Away, looks=5)
    worker = AlertWorker(
        outbox, channel, metrics=metrics, now=time.now, idle_s=0.001, first_wait_s=0.01, jitter=lambda: 1.0
    )
    with capture_logs() as lines:
        worker.start()
        assert outbox.back.wait(10)
        assert worker.stop()
    assert [line["retry_in_s"] for line in lines] == [0.01, 0.02, 0.04, 0.04, 0.04]
    assert all(line["detail"] == "the database cannot be reached" and "exc_info" not in line for line in lines)


def test_the_thread_sends_what_comes_in_and_stops_when_told(
    queue, channel, metrics, slack, make_alert, time
) -> None:
    outbox = queue(Failing, failures=0)
    worker = AlertWorker(outbox, channel, metrics=metrics, now=time.now, idle_s=30)
    worker.start()
    put(outbox, make_alert(), time)
    worker.wake()
    assert outbox.done.wait(10)
    assert worker.stop()
    assert len(slack.messages) == 1


class Choosy:
    """A channel that raises what it is told to, and remembers what it took."""

    def __init__(self, name: str, *troubles: Exception) -> None:
        self.name = name
        self.troubles = list(troubles)
        self.taken: list[str] = []

    def deliver(self, alert) -> str:
        if self.troubles:
            raise self.troubles.pop(0)
        self.taken.append(alert.finding.id)
        return f"{self.name}:{alert.finding.id}"

    def find(self, alert) -> str | None:
        return f"{self.name}:{alert.finding.id}" if alert.finding.id in self.taken else None


@pytest.mark.parametrize(
    "trouble", [RetryLater("away"), RetryLater("busy", after_s=3600), AlertError("no"), ZeroDivisionError()]
)
def test_a_channel_that_fails_with_an_alert_holds_it_up_for_no_other_and_doubles_it_nowhere(
    outbox, metrics, make_alert, time, trouble
) -> None:
    outbox.deliver_to("up", "down")
    up, down = Choosy("up"), Choosy("down", trouble, trouble)
    workers = [
        AlertWorker(ControlAlertOutbox(outbox.store, each.name), each, metrics=metrics, now=time.now)
        for each in (down, up)
    ]
    first, second = put(outbox, make_alert(1), time), put(outbox, make_alert(2), time)
    for worker in workers * 2:
        worker.step()
        worker.measure()
    assert (up.taken, down.taken) == ([first, second], [])
    waiting = 0 if isinstance(trouble, AlertError) else 2
    depths = [metrics.value("guardian_alert_queue_depth", channel=each) for each in ("up", "down")]
    assert depths == [0, waiting]
    with outbox.store.write() as rows:
        refused = list(rows.alerts.refused())
        assert {each.channel for each in refused} == ({"down"} if not waiting else set())
        assert [each.id for each in rows.alerts.release(Chosen(), time.now())] == [each.id for each in refused]
    time.seconds += 7200
    for worker in workers * 2:
        worker.step()
    assert sorted(down.taken) == sorted(up.taken) == sorted([first, second])


class Hung(Choosy):
    """Takes nothing until it is let go."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked, self.free = threading.Event(), threading.Event()

    def deliver(self, alert) -> str:
        self.asked.set()
        assert self.free.wait(90)
        return super().deliver(alert)


class Full(Choosy):
    """Says when it has taken so many."""

    def __init__(self, name: str, most: int) -> None:
        super().__init__(name)
        self.most, self.full = most, threading.Event()

    def deliver(self, alert) -> str:
        reference = super().deliver(alert)
        if len(self.taken) == self.most:
            self.full.set()
        return reference


def test_while_one_channel_hangs_the_others_get_all_alerts(outbox, metrics, make_alert, time) -> None:
    siem, pager = Hung("siem"), Full("pager", most=20)
    queues = AlertQueues(outbox.store, [siem, pager], metrics=metrics, now=time.now, fallback=lambda: Heard())
    queues.start()
    rows = [put(outbox, make_alert(n), time) for n in range(20)]
    queues.wake()
    assert siem.asked.wait(10)
    assert pager.full.wait(10)
    queues.measure()
    assert metrics.value("guardian_alert_queue_depth", channel="siem") == 20
    siem.free.set()
    queues.stop()
    assert pager.taken == rows


def test_channels_that_hang_hold_up_the_end_no_longer_than_one_of_them(
    outbox, metrics, make_alert, time, monkeypatch
) -> None:
    at_a_time, stop = threading.Barrier(3, timeout=60), AlertWorker.stop

    def stops(worker: AlertWorker, finish_s: float) -> bool:
        at_a_time.wait()
        return stop(worker, finish_s)

    monkeypatch.setattr(AlertWorker, "stop", stops)
    hung = [Hung(name) for name in ("siem", "pager", "mail")]
    queues = AlertQueues(outbox.store, hung, metrics=metrics, now=time.now, fallback=lambda: Heard())
    queues.start()
    put(outbox, make_alert(), time)
    queues.wake()
    assert all(each.asked.wait(10) for each in hung)
    queues.stop(finish_s=0.1)
    assert not at_a_time.broken
    assert [each.taken for each in hung] == [[], [], []], "they hang still"
    for each in hung:
        each.free.set()
    queues.stop()


def test_what_a_channel_refuses_goes_to_the_fall_back_once_even_if_the_channel_is_named_twice(
    outbox, metrics, make_alert, time
) -> None:
    strict, log = Choosy("strict", AlertError("no")), Full("log", most=1)
    queues = AlertQueues(outbox.store, [strict, strict], metrics=metrics, now=time.now, fallback=lambda: log)
    queues.start()
    first, second = put(outbox, make_alert(1), time), put(outbox, make_alert(2), time)
    queues.wake()
    assert log.full.wait(10)
    assert [each.name for each in threading.enumerate()].count("guardian-alerts-strict") == 1
    queues.stop()
    assert log.taken == [first]
    assert strict.taken in ([], [second])


def test_an_alert_is_queued_for_the_channels_that_there_are_and_for_none_where_slack_is_alone(
    outbox, make_alert, time
) -> None:
    outbox.deliver_to("siem")
    row = put(outbox, make_alert(1), time)
    outbox.deliver_to("siem", "pager")
    put(outbox, make_alert(2), time)
    outbox.deliver_to()
    put(outbox, make_alert(3), time)
    with outbox.store.read() as rows:
        assert [rows.alerts.depth(each) for each in ("siem", "pager", UNNAMED, "log")] == [0, 0, 0, 2]
    assert outbox.kept(row, "siem").next_at == time.now()
    outbox.deliver_to()
    with outbox.store.read() as rows:
        assert rows.alerts.depth("log") == 2, "they wait there still"


def test_what_waited_for_slack_before_channels_had_names_goes_nowhere_else(outbox, make_alert, time) -> None:
    put(outbox, make_alert(1), time)
    outbox.deliver_to()
    outbox.deliver_to("siem")
    with outbox.store.read() as rows:
        assert [rows.alerts.depth(each) for each in ("siem", UNNAMED, "log")] == [0, 0, 0]


def test_what_waits_when_slack_is_left_alone_goes_to_the_log_and_what_was_refused_stays_listed(
    outbox, metrics, make_alert, time
) -> None:
    outbox.deliver_to("siem")
    waits, refused = [put(outbox, make_alert(n), time) for n in (1, 2)]
    gone = ControlAlertOutbox(outbox.store, "siem")
    gone.claim(time.now())
    second = gone.claim(time.now())
    gone.parked(second.id, "HTTP 401")
    log = Full("log", most=1)
    more = {"metrics": metrics, "now": time.now, "fallback": lambda: log}
    queues = AlertQueues(outbox.store, [], **more, beside_slack=True)
    with capture_logs() as lines:
        queues.start()
    assert log.full.wait(10)
    queues.stop()
    put(outbox, make_alert(3), time)
    assert log.taken == [waits]
    (line,) = [each for each in lines if each["event"] == "alerts_moved"]
    assert (line["count"], line["to"]) == (2, ["log"])
    with outbox.store.read() as rows:
        assert [(each.channel, each.why) for each in rows.alerts.refused()] == [("log", "siem: HTTP 401")]
        assert rows.alerts.depth("log") == 0
    assert outbox.kept(refused, "log").state == "parked"


def test_what_waits_for_a_channel_that_is_configured_no_more_goes_to_those_that_are(
    outbox, metrics, make_alert, time
) -> None:
    outbox.deliver_to("siem", "pager")
    gone = ControlAlertOutbox(outbox.store, "siem")
    pager = Choosy("pager")
    rows = [put(outbox, make_alert(n), time) for n in range(4)]
    worker = AlertWorker(ControlAlertOutbox(outbox.store, "pager"), pager, metrics=metrics, now=time.now)
    assert [worker.step() for _ in range(3)] == [True] * 3
    sent, refused, in_hand = (gone.claim(time.now()) for _ in range(3))
    gone.sent(sent.id, "x")
    gone.parked(refused.id, "HTTP 410")
    outbox.deliver_to("pager", "mail")
    assert [outbox.kept(each, "siem").state for each in rows] == ["sent", "moved", "moved", "moved"]
    with outbox.store.read() as read:
        parked = [(each.channel, each.why) for each in read.alerts.refused()]
        assert parked == [("mail", "siem: HTTP 410")], "the pager has it"
    mail = Choosy("mail")
    workers = [
        AlertWorker(ControlAlertOutbox(outbox.store, each.name), each, metrics=metrics, now=time.now)
        for each in (pager, mail)
    ]
    for each in workers:
        each.recover()
        while each.step():
            pass
    assert pager.taken == rows
    assert mail.taken == rows[2:]
    gone.postponed(in_hand.id, time.now(), "it was sending this all the while")
    assert outbox.kept(rows[2], "siem").state == "moved"


def test_what_never_left_a_channel_that_was_taken_out_waits_for_it_again_once_it_is_back(
    outbox, metrics, make_alert, time
) -> None:
    outbox.deliver_to("pager")
    row = put(outbox, make_alert(), time)
    with outbox.store.write() as rows:
        taken = rows.alerts.claim("pager", time.now())
        rows.alerts.postponed("pager", taken.id, 1, time.now() + timedelta(hours=1), "away")
    outbox.deliver_to("mail")
    outbox.deliver_to("pager")
    pager = Choosy("pager")
    worker = AlertWorker(ControlAlertOutbox(outbox.store, "pager"), pager, metrics=metrics, now=time.now)
    assert [worker.step() for _ in range(2)] == [True, False]
    outbox.deliver_to("mail")
    outbox.deliver_to("pager")
    assert not worker.step()
    assert pager.taken == [row]


def _waits(outbox, name, time, *, tenant="acme", severity="low", case="", **more) -> str:
    finding = {"tenant_id": tenant, "severity": severity, "wanted": "flag", **more}
    with outbox.store.write() as rows:
        told = {"case_key": case or name, "idempotency_key": name, "payload": json.dumps({"finding": finding})}
        rows.alerts.add(kind="finding", **told, now=time.now())
        wanted = select(alerts.c.id).where(alerts.c.idempotency_key == name)
        return str(rows.connection.execute(wanted).scalar_one())


def _taken(outbox, time, most: int) -> list[str]:
    return [row.id for _ in range(most) if (row := outbox.claim(time.now())) is not None]


@pytest.mark.parametrize("urgent", [{"severity": "critical"}, {"severity": "high"}, {"wanted": "revoke"}])
def test_what_is_urgent_overtakes_a_flood_of_what_is_not_and_all_of_that_is_sent_in_the_end(
    outbox, time, urgent
) -> None:
    flood = [_waits(outbox, f"low {n}", time) for n in range(30)]
    time.seconds += 1
    last = _waits(outbox, "urgent", time, tenant="globex", **urgent)
    assert _taken(outbox, time, 40) == [last, *flood]


def test_one_turn_in_ten_is_none_of_the_urgent_ones(outbox, time) -> None:
    low = [_waits(outbox, f"low {n}", time) for n in range(2)]
    for n in range(25):
        _waits(outbox, f"urgent {n}", time, severity="high")
    taken = _taken(outbox, time, 27)
    assert [taken.index(each) for each in low] == [9, 19]


def test_however_many_urgent_ones_a_tenant_has_the_others_have_their_turns(outbox, time) -> None:
    flood = [_waits(outbox, f"flood {n}", time, severity="critical") for n in range(20)]
    globex = [_waits(outbox, f"globex {n}", time, tenant="globex", severity="high") for n in range(2)]
    initech = _waits(outbox, "initech", time, tenant="initech", severity="high")
    assert _taken(outbox, time, 7) == [flood[0], globex[0], initech, flood[1], globex[1], flood[2], flood[3]]


def test_what_waits_of_a_case_that_becomes_urgent_goes_with_it_in_its_order(outbox, time) -> None:
    other = _waits(outbox, "other", time)
    first = _waits(outbox, "first", time, case="c1")
    worse = _waits(outbox, "worse", time, case="c1", severity="critical")
    assert _taken(outbox, time, 3) == [first, worse, other]


def test_what_is_urgent_stays_so_whatever_becomes_of_it(outbox, time) -> None:
    low, urgent = _waits(outbox, "low", time), _waits(outbox, "urgent", time, severity="high")
    assert _taken(outbox, time, 1) == [urgent]
    outbox.postponed(urgent, time.now(), "away")
    assert _taken(outbox, time, 1) == [urgent]
    outbox.recover()
    assert _taken(outbox, time, 1) == [urgent]
    outbox.parked(urgent, "no")
    with outbox.store.write() as rows:
        rows.alerts.release(Chosen(), time.now())
    outbox.deliver_to("pager")
    pager = ControlAlertOutbox(outbox.store, "pager")
    assert _taken(pager, time, 2) == [urgent, low]
