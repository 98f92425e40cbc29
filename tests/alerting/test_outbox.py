"""From the outbox to people: none lost, none shown twice."""

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

from guardian.alerting.broadcast import Broadcast
from guardian.alerting.log import LogOptions
from guardian.alerting.outbox import AlertWorker
from guardian.alerting.port import RetryLater
from guardian.control.alert_outbox import ControlAlertOutbox
from guardian.errors import AlertError, StoreError
from guardian.store.control import ControlStore
from guardian.store.control_tables import alert as alerts
from guardian.telemetry import Metrics

START = datetime(2026, 5, 12, tzinfo=UTC)
migrated = deployment.migrated


class Queue(ControlAlertOutbox):
    """Control's outbox on a database of its own; tests name an alert by its finding."""

    def __init__(self, url: str) -> None:
        self.store = ControlStore.open(url, now=START)
        super().__init__(self.store)

    def put(self, id: str, payload: str, now: datetime) -> None:
        with self.store.write() as rows:
            rows.alerts.add(kind="finding", case_key=id, idempotency_key=id, payload=payload, now=now)

    def kept(self, id: str) -> Row[Any]:
        with self.store.read() as rows:
            return rows.connection.execute(select(alerts).where(alerts.c.idempotency_key == id)).one()


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
    fallback = LogOptions().open(clock=time.clock, sleep=time.sleep)
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


def test_a_channel_that_is_down_neither_holds_up_nor_doubles_the_others(outbox, metrics, make_alert, time) -> None:
    up, down = Choosy("up"), Choosy("down", RetryLater("away"), RetryLater("away"))
    worker = AlertWorker(outbox, Broadcast([down, up], clock=time.clock), metrics=metrics, now=time.now)
    row = put(outbox, make_alert(), time)
    for _ in range(3):
        worker.step()
        time.seconds += 700
    assert len(up.taken) == len(down.taken) == 1
    assert outbox.kept(row).state == "sent"


def test_a_channel_that_swallows_what_it_gets_keeps_new_alerts_from_no_other(
    outbox, metrics, make_alert, time
) -> None:
    class Hole(Choosy):
        def deliver(self, alert) -> str:
            time.seconds += 10
            raise RetryLater("no answer")

    up = Choosy("up")
    both = Broadcast([Hole("hole"), up], clock=time.clock)
    worker = AlertWorker(outbox, both, metrics=metrics, now=time.now, jitter=lambda: 0.5)
    for minute in range(40):
        row = put(outbox, make_alert(minute), time)
        while time.seconds < 60 * (minute + 1):
            if not worker.step():
                time.seconds += 0.5
        assert row in up.taken


def test_a_broadcast_names_who_is_troubled_and_asks_for_the_longest_wait_that_a_channel_named(
    make_alert, time
) -> None:
    troubled = [Choosy("a", RetryLater("x", after_s=3)), Choosy("b", RetryLater("y", after_s=9))]
    both = Broadcast(troubled, clock=time.clock)
    with pytest.raises(RetryLater, match=r"^a: x; b: y$") as later:
        both.deliver(make_alert())
    assert later.value.after_s == 9


class Slow(Choosy):
    """Takes half a minute for each trouble."""

    def __init__(self, name: str, time, *troubles: Exception) -> None:
        super().__init__(name, *troubles)
        self.time = time

    def deliver(self, alert) -> str:
        self.time.seconds += 30 if self.troubles else 0
        return super().deliver(alert)


def test_a_channel_that_asks_for_a_second_does_not_wait_for_the_rest_of_another(make_alert, time) -> None:
    pager = Choosy("pager", RetryLater("busy", after_s=1), RetryLater("busy", after_s=1), RetryLater("busy"))
    both = Broadcast([Slow("siem", time, RetryLater("no answer")), pager], clock=time.clock)
    asked = []
    for _ in range(4):
        with pytest.raises(RetryLater) as later:
            both.deliver(make_alert())
        asked.append(later.value.after_s)
    assert asked == [1, 1, None, 120]


def test_a_channel_that_is_slow_and_takes_everything_gets_it_last(make_alert, time) -> None:
    class Tough(Choosy):
        def deliver(self, alert) -> str:
            time.seconds += 9
            return super().deliver(alert)

    class Timed(Choosy):
        def deliver(self, alert) -> str:
            at.append(time.seconds)
            return super().deliver(alert)

    at: list[float] = []
    both = Broadcast([Tough("siem"), Timed("pager")], clock=time.clock)
    for n in range(3):
        time.seconds = 100 * n
        both.deliver(make_alert(n))
    assert at == [9, 100, 200], "only as long as nobody knew"


def test_a_channel_that_took_long_to_refuse_one_alert_gets_the_next_one(make_alert, time) -> None:
    strict = Slow("strict", time, AlertError("no"))
    both = Broadcast([strict, Choosy("other")], clock=time.clock)
    with pytest.raises(AlertError):
        both.deliver(make_alert(1))
    both.deliver(make_alert(2))
    assert len(strict.taken) == 1


def test_a_broadcast_names_the_channel_that_refused(make_alert, time) -> None:
    other = Choosy("other")
    with pytest.raises(AlertError, match="strict: no"):
        Broadcast([Choosy("strict", AlertError("no")), other], clock=time.clock).deliver(make_alert())
    assert len(other.taken) == 1


def test_the_metrics_of_a_broadcast_name_its_channels(outbox, metrics, make_alert, time) -> None:
    both = Broadcast([Choosy("siem", AlertError("no")), Choosy("pager")], clock=time.clock)
    put(outbox, make_alert(), time)
    AlertWorker(outbox, both, metrics=metrics, now=time.now).step()
    assert metrics.value("guardian_alerts_total", channel="siem+pager", outcome="parked") == 1


def test_without_a_channel_nothing_waits_and_nothing_is_said_to_be_sent(outbox, metrics, make_alert, time) -> None:
    row = put(outbox, make_alert(), time)
    AlertWorker(outbox, Broadcast([], clock=time.clock), metrics=metrics, now=time.now).step()
    assert outbox.kept(row).state == "sent"
    assert outbox.depth() == 0
    assert metrics.value("guardian_alerts_total", channel="none", outcome="sent") == 0


def test_a_bug_in_one_channel_keeps_the_alert_from_no_other(outbox, metrics, make_alert, time) -> None:
    other, fallback = Choosy("other"), Heard()
    both = Broadcast([Broken(), other], clock=time.clock)
    worker = AlertWorker(outbox, both, metrics=metrics, now=time.now, fallback=fallback)
    row = put(outbox, make_alert(), time)
    for _ in range(3):
        worker.step()
        time.seconds += 700
    assert other.taken == fallback.ids == [row]
    assert outbox.kept(row).state == "pending"


def test_a_channel_that_cannot_tell_what_it_has_holds_up_no_other(make_alert, time) -> None:
    class Mute(Choosy):
        def find(self, alert) -> str | None:
            raise RetryLater("cannot tell")

    other = Choosy("other")
    both = Broadcast([Mute("mute"), other], clock=time.clock)
    again = make_alert().model_copy(update={"attempt": 1})
    assert both.find(again) is None
    with pytest.raises(RetryLater, match="cannot tell"):
        both.deliver(again)
    assert len(other.taken) == 1


def test_a_bug_in_what_one_channel_knows_keeps_the_alert_from_no_other(outbox, metrics, make_alert, time) -> None:
    class Forgetful(Choosy):
        def find(self, alert) -> str | None:
            raise LookupError("a bug")

    other = Choosy("other", RetryLater("down"))
    both = Broadcast([Forgetful("forgetful"), other], clock=time.clock)
    worker = AlertWorker(outbox, both, metrics=metrics, now=time.now)
    row = put(outbox, make_alert(), time)
    worker.step()
    time.seconds += 700
    worker.step()
    assert other.taken == [row]
