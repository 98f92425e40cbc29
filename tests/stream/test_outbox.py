import dataclasses
import json
import threading
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import event, select, update
from structlog.testing import capture_logs

from guardian.bus.file import FileProducer
from guardian.bus.memory import MemoryProducer
from guardian.domain.backoff import Backoff
from guardian.domain.batch import DeadLetter, Judgement
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.record import Record
from guardian.errors import BusError, ControlError, FuseBlown, RecordRefused, StoreError
from guardian.store.engine import writing
from guardian.store.monitor.retention import Retention
from guardian.store.monitor.tables import findings
from guardian.stream.fuse import Fuse
from guardian.stream.marks import Mark
from guardian.stream.outbox import Delivery
from guardian.stream.redrive import redrive
from guardian.wire.client import ControlClient
from guardian.wire.monitor import MonitorClient

MARK = Mark((b"key",))


@pytest.fixture
def filled(rig, make_event):
    """Two findings and one dead letter wait."""
    for n in range(6):
        rig.broker.append("log", make_event(n))
    rig.broker.append("log", b"\x00rubbish", key=b"\xffk", headers=[("h", b"\xfe")])
    rig.read(rig.worker(), rig.drained)
    return rig


def delivery(rig, control, **more):
    producer = more.pop("producer", None) or MemoryProducer(rig.broker)
    producers = more.pop("producers", {"log": producer})
    return Delivery(
        outbox=rig.store.outbox, client=control, producers=producers, clock=rig.clock,
        jitter=more.pop("jitter", lambda: 0.0), metrics=rig.metrics, backoff=Backoff(base_s=2, cap_s=60), **more,
    )  # fmt: skip


def test_everything_is_delivered_once_when_nothing_fails(filled, control):
    sender = delivery(filled, control)
    assert sender.deliver_due() == 3
    assert sender.deliver_due() == 0
    assert control.calls == ["s1-3", "s1-6"]
    assert filled.store.outbox.depth() == 0


def test_a_dead_letter_goes_to_its_topic_sealed_with_its_own_key_and_headers(filled, control):
    delivery(filled, control).deliver_due()
    (letter,) = filled.broker.records("dlq.log")
    assert (letter.key, letter.value) == (b"\xffk", b"sealed:\x00rubbish")
    assert letter.headers[0] == ("h", b"\xfe")
    assert dict(letter.headers[1:]) == {
        "__dlq.errors.topic": b"log", "__dlq.errors.partition": b"0", "__dlq.errors.offset": b"6",
        "__dlq.errors.message": b"Expecting value at position 0", "guardian-error-code": b"not_json",
        "guardian-value": b"sealed",
    }  # fmt: skip


def test_a_dead_letter_too_large_for_a_topic_is_announced_and_stays_in_the_store(filled, control):
    delivery(filled, control, max_value_bytes=3).deliver_due()
    (letter,) = filled.broker.records("dlq.log")
    assert letter.value == b""
    assert dict(letter.headers)["guardian-value"] == b"in-store"


def test_the_letters_of_others_are_left_to_them_and_nobody_waits_for_those(filled, control, tmp_path):
    """A file's monitor beside one of a topic, on one store; also where their names begin alike."""
    now, file = filled.clock(), "/var/log/a.jsonl#1"
    letters = tuple(DeadLetter(Record(topic, 0, 1, b"x"), "invalid", "no") for topic in (file, "log2", "lo"))
    nothing = {"positions": {}, "base": {}, "versions": {}, "member": "m"}
    filled.store.commit(Judgement(dead_letters=letters), now=now, **nothing)
    theirs = delivery(filled, control, producers={file: FileProducer(tmp_path / "dlq")})
    assert (theirs.depth(), theirs.deliver_due(), theirs.depth()) == (3, 3, 0)
    assert [path.name for path in (tmp_path / "dlq").iterdir()] == ["dlq._var_log_a.jsonl_1.jsonl"]
    assert filled.broker.records("dlq.log") == []
    ours = delivery(filled, control)
    assert (ours.deliver_due(), len(filled.broker.records("dlq.log"))) == (1, 1)
    assert (ours.depth(), filled.store.outbox.depth()) == (0, 2)


def test_an_absent_control_is_asked_once_per_round_and_the_backoff_grows(filled, control):
    control.answers = [ControlError("no route")] * 3
    sender = delivery(filled, control)
    assert sender.deliver_due() == 1  # the dead letter does not wait for control
    assert (control.calls, sender.failing) == (["s1-3"], True)
    waits = []
    while control.answers:
        filled.clock.forward(0.5)
        waits.append(len(control.calls))
        sender.deliver_due()
    assert waits == [1, 1, 2, 2, 2, 2]  # after 1 s, then after 2 s more
    filled.clock.forward(60)
    assert sender.deliver_due() == 2
    assert (sorted(control.got), sender.failing) == (["s1-3", "s1-6"], False)


def test_what_another_monitor_delivers_meanwhile_is_no_longer_what_this_one_fails_at(filled, control):
    control.answers = [ControlError("no route")]
    (sender := delivery(filled, control)).deliver_due("finding")
    assert sender.failing
    filled.clock.forward(60)
    delivery(filled, control).deliver_due("finding")
    sender.deliver_due("finding")
    assert (sorted(control.got), sender.failing) == (["s1-3", "s1-6"], False)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 422])
def test_a_refused_finding_is_parked_and_the_next_one_goes_on(filled, control, status):
    control.refuse = {"s1-3": status}
    (sender := delivery(filled, control)).deliver_due()
    assert (sorted(control.got), sender.failing) == (["s1-6"], False)
    assert filled.store.outbox.depth() == 0
    assert filled.metrics.value("guardian_outbox_failures_total", reason=str(status)) == 1
    assert filled.metrics.value("guardian_outbox_parked") == 1
    control.refuse = {}
    assert (filled.store.outbox.release(), filled.store.outbox.refused()) == (["s1-3"], [])
    filled.clock.forward(60)
    delivery(filled, control).deliver_due()
    assert sorted(control.got) == ["s1-3", "s1-6"]


def test_a_finding_that_cannot_be_read_is_parked_and_the_next_one_goes_on(filled, control):
    first = findings.c.id == "s1-3"
    with writing(filled.store._engine) as connection:
        body = connection.execute(select(findings.c.body).where(first)).scalar_one()
        connection.execute(update(findings).where(first).values(body=body[:-1] + ',"novel":1}'))
    assert delivery(filled, control).deliver_due() == 2
    assert (control.calls, len(filled.broker.records("dlq.log"))) == (["s1-6"], 1)
    assert filled.store.outbox.depth() == 0
    (parked,) = filled.store.outbox.refused()
    assert (parked.id, "novel" in parked.why) == ("s1-3", True)
    assert filled.metrics.value("guardian_outbox_failures_total", reason="unread") == 1
    assert filled.metrics.value("guardian_outbox_parked") == 1
    with writing(filled.store._engine) as connection:  # as the version that wrote it would read it
        connection.execute(update(findings).where(first).values(body=body))
    filled.store.outbox.release()
    filled.clock.forward(60)
    delivery(filled, control).deliver_due()
    assert control.calls == ["s1-6", "s1-3"]


def test_what_waits_since_a_clock_was_ahead_does_not_wait_until_then(filled, control):
    filled.clock.forward(-3600)
    delivery(filled, control).deliver_due()
    assert control.calls == ["s1-3", "s1-6"]


def test_another_processs_clock_that_is_minutes_ahead_puts_off_what_it_put_off(filled, control):
    filled.clock.forward(-300)
    delivery(filled, control).deliver_due()
    assert control.calls == []


def test_what_is_put_off_for_as_long_as_ever_is_not_taken_for_a_clocks_mistake(filled, control):
    filled.broker.stop()
    sender = delivery(filled, control, jitter=lambda: 1.0)
    for _ in range(20):
        sender.deliver_due()
        sender.deliver_due()
        filled.clock.forward(120)  # its topic's longest pause, and its own
    (letter,) = filled.store.outbox.due(filled.clock(), 9)
    assert letter.attempts == 20


def test_what_is_parked_already_is_not_read_to_count_it(filled, control, monkeypatch):
    control.refuse = {"s1-3": 403, "s1-6": 403}
    monkeypatch.setattr(filled.store.outbox, "refused", lambda: pytest.fail("every parked row is read"))
    delivery(filled, control).deliver_due()
    assert filled.metrics.value("guardian_outbox_parked") == 2


def test_a_finding_that_people_forestalled_is_done_with(filled, control):
    control.refuse, control.code = {"s1-3": 409}, "superseded"
    delivery(filled, control).deliver_due()
    assert (filled.store.outbox.depth(), filled.store.outbox.refused()) == (0, [])


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, text="default backend - 404"),
        httpx.Response(302, headers={"location": "https://sso.example/login"}),
        httpx.Response(200, text="<html>maintenance</html>"),
        httpx.Response(403, text="<html>blocked</html>"),
        httpx.Response(400, json={"title": "no", "status": 400, "code": "bad", "type": "https://waf.example/no"}),
        httpx.Response(502, text="bad gateway"),
    ],
    ids=lambda answer: str(answer.status_code),
)
def test_what_a_proxy_answers_in_the_place_of_control_is_no_answer(filled, control, answer):
    with ControlClient("http://control", lambda: "t", transport=httpx.MockTransport(lambda _: answer)) as client:
        delivery(filled, MonitorClient(client)).deliver_due()
    assert (filled.store.outbox.depth(), filled.store.outbox.refused()) == (2, [])
    filled.clock.forward(60)
    delivery(filled, control).deliver_due()
    assert sorted(control.got) == ["s1-3", "s1-6"]


@pytest.mark.parametrize("status", [401, 408, 429, 500, 503])
def test_a_failure_that_may_pass_is_tried_again(filled, control, status):
    control.answers = [ControlError("later", status=status)]
    sender = delivery(filled, control)
    sender.deliver_due()
    assert sorted(control.got) == ["s1-6"]
    filled.clock.forward(60)
    sender.deliver_due()
    assert sorted(control.got) == ["s1-3", "s1-6"]


def test_a_broker_that_is_away_delays_dead_letters_only(filled, control):
    filled.broker.stop()
    sender = delivery(filled, control)
    assert sender.deliver_due() == 2
    filled.broker.restart()
    filled.clock.forward(60)
    assert sender.deliver_due() == 1


def test_a_topic_that_cannot_be_written_to_is_tried_once_while_findings_go_on(rig, make_event, control):
    class Slow(MemoryProducer):
        def send(self, topic, value, **more):
            tried.append(len(control.got))
            super().send(topic, value, **more)

    tried: list[int] = []
    for n in range(30):
        rig.broker.append("log", b"rubbish")
        rig.broker.append("log", make_event(n))
    rig.read(rig.worker(max_records=2), rig.drained)
    rig.broker.stop()
    sender = delivery(rig, control, batch=20, producer=Slow(rig.broker))
    while len(control.got) < 10:
        sender.deliver_due()
    assert tried == [10]  # no finding waits behind a letter
    rig.broker.restart()
    while rig.store.outbox.depth():
        rig.clock.forward(60)
        sender.deliver_due()
    assert len(rig.broker.records("dlq.log")) == 30


def test_letters_that_are_refused_for_themselves_hold_up_no_other(rig, control):
    class Choosy(MemoryProducer):
        def send(self, topic, value, *, key=None, **more):
            if key == b"bad":
                raise BusError("too large")
            super().send(topic, value, key=key, **more)

    for n in range(30):
        rig.broker.append("log", b"rubbish", key=b"bad" if n < 12 else b"good")
    rig.read(rig.worker(), rig.drained)
    sender = delivery(rig, control, producer=Choosy(rig.broker))
    for _ in range(600):
        sender.deliver_due()
        rig.clock.forward(1)
    assert (len(rig.broker.records("dlq.log")), rig.store.outbox.depth()) == (18, 12)


def test_a_topic_that_refused_while_a_clock_was_ahead_is_tried_once_it_is_put_right(filled, control):
    filled.broker.stop()
    filled.clock.forward(86_400)
    sender = delivery(filled, control)
    sender.deliver_due()
    filled.broker.restart()
    filled.clock.forward(-86_400)
    sender.deliver_due()
    assert len(filled.broker.records("dlq.log")) == 1


def test_an_answer_that_is_none_of_controls_is_no_delivery(filled):
    garbage = httpx.MockTransport(lambda _: httpx.Response(200, content=b"<html>hello"))
    with ControlClient("http://control", lambda: "t", transport=garbage) as client:
        assert delivery(filled, MonitorClient(client)).deliver_due("finding") == 0
    assert filled.store.outbox.depth("finding") == 2


@pytest.mark.parametrize("point", ["before_send", "after_send", "before_produce", "after_produce"])
def test_what_was_being_sent_when_the_process_ended_is_sent_again(filled, control, point):
    class Killed(BaseException):
        pass

    def crash(at):
        if at == point:
            raise Killed

    with pytest.raises(Killed):
        delivery(filled, control, crash_points=crash).deliver_due()
    filled.clock.forward(60)
    delivery(filled, control).deliver_due()
    assert sorted(control.got) == ["s1-3", "s1-6"]
    assert {r.headers[3] for r in filled.broker.records("dlq.log")} == {("__dlq.errors.offset", b"6")}
    assert filled.store.outbox.depth() == 0


def test_dead_letters_are_ticked_off_together_and_only_those_that_arrived(rig, control):
    class Refusing(MemoryProducer):
        def send(self, topic, value, *, key=None, **more):
            if key == b"bad":
                raise BusError("too large")
            super().send(topic, value, key=key, **more)

    def note(_connection, _cursor, statement, *_):
        ticked.append(statement.startswith("UPDATE outbox") and "done_at=?" in statement)

    for n in range(9):
        rig.broker.append("log", b"rubbish", key=b"bad" if n == 6 else b"good")
    rig.read(rig.worker(), rig.drained)
    ticked: list[bool] = []
    event.listen(rig.store._engine, "before_cursor_execute", note)
    assert delivery(rig, control, producer=Refusing(rig.broker)).deliver_due("dead_letter") == 6
    assert sum(ticked) == 1
    rig.clock.forward(60)
    assert {item.dead_letter.offset for item in rig.store.outbox.due(rig.clock(), 9)} == {6, 7, 8}


def test_of_dead_letters_that_were_sent_before_the_process_ended_none_is_lost_and_none_out_of_order(rig, control):
    class Killed(BaseException):
        pass

    def crash(at):
        crossed.append(at)
        if crossed.count("after_produce") == 3:
            raise Killed

    crossed: list[str] = []
    for _ in range(5):
        rig.broker.append("log", b"rubbish")
    rig.read(rig.worker(), rig.drained)
    with pytest.raises(Killed):
        delivery(rig, control, crash_points=crash).deliver_due("dead_letter")
    rig.clock.forward(60)
    delivery(rig, control).deliver_due("dead_letter")
    sent = [dict(letter.headers)["__dlq.errors.offset"] for letter in rig.broker.records("dlq.log")]
    assert (sent, rig.store.outbox.depth()) == ([b"0", b"1", b"2", b"0", b"1", b"2", b"3", b"4"], 0)


@pytest.mark.parametrize("slow", [1, 10])
def test_no_letter_is_sent_twice_while_each_from_one_on_takes_long_and_another_monitor_looks(rig, control, slow):
    """Whether it waits in the queue or was sent already, and is to be ticked off with the others."""

    class Slow(MemoryProducer):
        def send(self, topic, value, **more):
            sent.append(value)
            if len(sent) >= slow:
                rig.clock.forward(31)  # as where no broker answers
                other.deliver_due("dead_letter")
            super().send(topic, value, **more)

    for n in range(12):
        rig.broker.append("log", b"rubbish %d" % n)
    rig.read(rig.worker(), rig.drained)
    sent: list[bytes] = []
    other = delivery(rig, control)
    (sender := delivery(rig, control, producer=Slow(rig.broker))).deliver_due("dead_letter")
    while rig.store.outbox.depth():
        sender.deliver_due("dead_letter")
    told = sorted(int(letter.value.split()[-1]) for letter in rig.broker.records("dlq.log"))
    assert told == list(range(12))


def test_what_came_last_is_sent_although_the_monitor_stops(filled, control):
    stop = threading.Event()
    stop.set()
    delivery(filled, control).run(stop)
    assert (sorted(control.got), filled.store.outbox.depth()) == (["s1-3", "s1-6"], 1)
    delivery(filled, control).run_letters(stop)
    assert (len(filled.broker.records("dlq.log")), filled.store.outbox.depth()) == (1, 0)


def test_a_revocation_that_is_asked_for_meanwhile_waits_for_few_others(rig, control):
    for n in range(60):
        rig.broker.append("log", json.dumps({"schema": "v2", "tenant_id": "acme", "session_id": f"s{n}"}).encode())
    rig.read(rig.worker(max_records=60), rig.drained)
    about = {"id": "revoke", "kind": Kind.DRIFT, "tenant_id": "other", "session_id": "s", "title": "t"}
    revoke = Finding(**about, wanted=Effect.REVOKE, severity="high", time=rig.clock())

    def asked():
        if len(control.calls) == 1:
            nothing = {"positions": {}, "base": {}, "versions": {}, "member": "m"}
            rig.store.commit(Judgement(findings=(revoke,)), now=rig.clock(), **nothing)

    control.takes, sender = asked, delivery(rig, control)
    while sender.deliver_due("finding"):
        pass
    assert (control.calls.index("revoke"), len(control.got)) == (10, 61)


def test_a_revocation_waits_for_no_finding_of_its_session_that_does_not_get_through(rig):
    """Say a proxy takes what the agent wrote there for an attack, and refuses that one for ever."""

    class Proxied:
        def submit(self, finding):
            calls.append(finding.id)
            if finding.id == "flag":
                raise ControlError("blocked", status=403)
            return {"effect": "revoke"}

    calls: list[str] = []
    about = {"kind": Kind.DRIFT, "tenant_id": "acme", "session_id": "s", "title": "t", "severity": "low"}
    wants = {"flag": Effect.FLAG, "revoke": Effect.REVOKE}
    found = tuple(Finding(id=name, wanted=wanted, time=rig.clock(), **about) for name, wanted in wants.items())
    nothing = {"positions": {}, "base": {}, "versions": {}, "member": "m"}
    rig.store.commit(Judgement(findings=found), now=rig.clock(), **nothing)
    assert delivery(rig, Proxied()).deliver_due("finding") == 1
    assert calls == ["flag", "revoke"]


def test_why_the_monitor_stops_is_sent_before_what_each_record_of_a_broken_gateway_is_told_for(rig, control):
    """And all of that too: in one process with control, nobody starts the monitor again before people come."""
    for n in range(120):
        rig.broker.append("log", json.dumps({"schema": "v2", "tenant_id": "acme", "session_id": f"s{n}"}).encode())
    with pytest.raises(FuseBlown):
        rig.read(rig.worker(fuse=Fuse(), max_records=120), lambda: False)
    stop = threading.Event()
    stop.set()
    delivery(rig, control).run(stop)
    assert control.got[control.calls[0]].kind is Kind.BUS
    assert (len(control.got), rig.store.outbox.depth("finding")) == (121, 0)


def test_who_stops_is_not_kept_waiting_for_all_that_is_to_be_sent(rig, control):
    for n in range(600):
        rig.broker.append("log", json.dumps({"schema": "v2", "tenant_id": "acme", "session_id": f"s{n}"}).encode())
    rig.read(rig.worker(max_records=600), rig.drained)
    control.takes = lambda: rig.clock.forward(0.1)
    stop = threading.Event()
    stop.set()
    delivery(rig, control).run(stop)
    assert (len(control.got), rig.store.outbox.depth("finding")) == (100, 500)


def test_so_it_is_where_control_is_slow_and_what_is_left_is_due_again_at_once(rig, control):
    def slow():
        stop.set()
        rig.clock.forward(1)

    for n in range(60):
        rig.broker.append("log", json.dumps({"schema": "v2", "tenant_id": "acme", "session_id": f"s{n}"}).encode())
    rig.read(rig.worker(max_records=60), rig.drained)
    stop, control.takes = threading.Event(), slow
    delivery(rig, control).run(stop)
    assert (len(control.got), len(rig.findings())) == (11, 49)


def test_who_stops_leaves_the_order_as_it_is(rig, control):
    about = {"kind": Kind.DRIFT, "tenant_id": "acme", "session_id": "s", "title": "t", "severity": "low"}
    nothing = {"positions": {}, "base": {}, "versions": {}, "member": "m"}
    for n in range(30):
        found = Finding(id=f"f{n}", wanted=Effect.FLAG, time=rig.clock(), **about)
        rig.store.commit(Judgement(findings=(found,)), now=rig.clock(), **nothing)
        rig.clock.forward(1)
    stop = threading.Event()
    control.takes = stop.set
    delivery(rig, control).run(stop)
    assert control.calls == [f"f{n}" for n in range(30)]


def test_dead_letters_keep_nobody_waiting_who_stops(rig, control):
    class Slow(MemoryProducer):
        def send(self, topic, value, **more):
            rig.clock.forward(3)
            super().send(topic, value, **more)

    for _ in range(20):
        rig.broker.append("log", b"rubbish")
    rig.read(rig.worker(), rig.drained)
    stop = threading.Event()
    stop.set()
    delivery(rig, control, producer=Slow(rig.broker)).run_letters(stop)
    assert len(rig.broker.records("dlq.log")) == 4


def test_the_loop_sends_what_it_is_woken_for_and_stops_when_told(filled, control):
    sender = delivery(filled, control, idle_s=0.01)

    def woken() -> bool:
        sender.wake()
        return filled.store.outbox.depth("finding") == 0

    filled.read(sender, woken)


def test_no_finding_waits_for_a_topic_that_takes_long_to_say_that_it_is_not_there(filled, control):
    class Missing(MemoryProducer):
        def send(self, topic, value, **more):
            asked.set()
            assert answer.wait(20)
            raise BusError("no such topic")

    asked, answer, stop = threading.Event(), threading.Event(), threading.Event()
    sender = delivery(filled, control, producer=Missing(filled.broker), idle_s=0.01)
    letters = threading.Thread(target=sender.run_letters, args=(stop,))
    letters.start()
    assert asked.wait(20)
    try:
        filled.read(sender, lambda: sorted(control.got) == ["s1-3", "s1-6"])
    finally:
        stop.set()
        answer.set()
        letters.join(20)
    assert filled.store.outbox.depth("dead_letter") == 1


def test_a_dead_letter_sent_back_is_byte_identical_and_unknown_ids_are_named(filled):
    """And of the time it came at: days later, its envelope has not expired for that."""
    filled.clock.forward(3 * 86_400)
    producer = MemoryProducer(filled.broker)
    sent, unknown, *_ = redrive(
        filled.store.dead_letters, ["log/0/6", "log/0/99"], producer,
        unseal=lambda sealed: sealed.removeprefix(b"sealed:"), mark=MARK, clock=filled.clock,
    )  # fmt: skip
    assert (list(sent), list(unknown)) == (["log/0/6"], ["log/0/99"])
    original, again = [r for r in filled.broker.records("log") if b"rubbish" in r.value]
    marked = (*original.headers, ("guardian-redriven", MARK.of("log/0/6", original.value)))
    assert (again.value, again.key, again.headers) == (original.value, original.key, marked)
    assert original.timestamp == again.timestamp < filled.clock()
    assert filled.store.dead_letters.list()[0].redriven_at == filled.clock()


def test_a_record_of_which_several_decisions_are_dead_letters_is_sent_back_once(filled):
    record = Record("log", 0, 7, b"[{}, {}]", timestamp=filled.clock() - timedelta(hours=5))  # read late
    letters = tuple(DeadLetter(record, "invalid", "no", entry=entry) for entry in range(2))
    nothing = {"positions": {}, "base": {}, "versions": {}, "member": "m"}
    filled.store.commit(Judgement(dead_letters=letters), now=filled.clock(), **nothing)
    sent, *_ = redrive(
        filled.store.dead_letters, ["log/0/7", "log/0/7/1"], MemoryProducer(filled.broker),
        unseal=lambda sealed: sealed.removeprefix(b"sealed:"), mark=MARK, clock=filled.clock,
    )  # fmt: skip
    assert list(sent) == ["log/0/7", "log/0/7/1"]
    assert [r.timestamp for r in filled.broker.records("log") if r.value == record.value] == [record.timestamp]
    assert {letter.redriven_at for letter in filled.store.dead_letters.get(sent).values()} == {filled.clock()}


def test_dead_letters_sent_again_speak_against_no_gateway_however_often(rig, make_event):
    """What still cannot be read comes back; it is no reason to stop reading what the gateway says now."""
    bad = [make_event(n, f"s{n}").replace(b"decision/v1", b"decision/v2") for n in range(60)]
    for value in bad:
        rig.broker.append("log", value, headers=[("gateway", b"gw")])
    rig.read(rig.worker(), rig.drained)
    letters = rig.store.dead_letters
    for _ in range(2):
        ids = [letter_id for letter_id, _ in letters.unsent()]
        redrive(
            letters, ids, MemoryProducer(rig.broker),
            unseal=lambda sealed: sealed.removeprefix(b"sealed:"), mark=MARK, clock=rig.clock,
        )  # fmt: skip
        assert len(ids) == 60
        rig.read(rig.worker(fuse=Fuse(), mark=MARK), rig.drained)
    assert [len(r.headers) for r in rig.broker.records("log")] == [1] * 60 + [2] * 120
    again = rig.broker.records("log")[-1]
    claims = [again.headers[1], ("Guardian-Redriven", b"log/0/0"), ("guardian-redriven", b"")]
    for n, value in enumerate(bad[:-1]):  # what a gateway says of itself, or copies, is no mark
        rig.broker.append("log", value, headers=[("gateway", b"gw"), claims[n % 3]])
    with pytest.raises(FuseBlown):
        rig.read(rig.worker(fuse=Fuse(), mark=MARK), rig.drained)


def test_a_letter_that_nobody_can_open_holds_no_other_back(filled):
    letters = tuple(
        DeadLetter(Record("log", 0, at, b"old" if at == 7 else b"new"), "invalid", "no") for at in (7, 8)
    )
    nothing = {"positions": {}, "base": {}, "versions": {}, "member": "m"}
    filled.store.commit(Judgement(dead_letters=letters), now=filled.clock(), **nothing)

    def unseal(sealed: bytes) -> bytes:
        if b"old" in sealed:
            raise StoreError("its key is gone")
        return sealed.removeprefix(b"sealed:")

    done = redrive(
        filled.store.dead_letters, ["log/0/7", "log/0/8"], MemoryProducer(filled.broker),
        unseal=unseal, mark=MARK, clock=filled.clock,
    )  # fmt: skip
    assert (done.sent, done.missing, done.shut) == (["log/0/8"], [], ["log/0/7"])
    assert filled.store.dead_letters.get(["log/0/7"])["log/0/7"].redriven_at is None


def test_a_letter_that_cannot_be_sent_holds_no_other_back_and_its_topic_is_tried_once(filled):
    records = [Record("/var/log.jsonl#1", 0, at, b"x") for at in (1, 2)]
    letters = tuple(DeadLetter(record, "invalid", "no") for record in records)
    nothing = {"positions": {}, "base": {}, "versions": {}, "member": "m"}
    filled.store.commit(Judgement(dead_letters=letters), now=filled.clock(), **nothing)
    tried = []

    class Picky(MemoryProducer):
        def send(self, topic, value, **more):
            tried.append(topic)
            if topic.startswith("/"):
                raise BusError("no such name of a topic")
            super().send(topic, value, **more)

    done = redrive(
        filled.store.dead_letters, ["/var/log.jsonl#1/0/1", "/var/log.jsonl#1/0/2", "log/0/6"],
        Picky(filled.broker), unseal=lambda sealed: sealed, mark=MARK, clock=filled.clock,
    )  # fmt: skip
    assert (done.sent, done.failed) == (["log/0/6"], ["/var/log.jsonl#1/0/1", "/var/log.jsonl#1/0/2"])
    assert tried == ["/var/log.jsonl#1", "log"]
    assert filled.store.dead_letters.get(done.failed)["/var/log.jsonl#1/0/1"].redriven_at is None


def test_a_record_that_the_broker_does_not_take_holds_no_other_of_its_topic_back(filled):
    """Say one that has grown too old for the topic, or too large without the compression it came with."""
    records = [Record("log", 0, at, b"old" if at == 7 else b"new") for at in (7, 8)]
    letters = tuple(DeadLetter(record, "invalid", "no", entry=entry) for record in records for entry in (0, 1))
    nothing = {"positions": {}, "base": {}, "versions": {}, "member": "m"}
    filled.store.commit(Judgement(dead_letters=letters), now=filled.clock(), **nothing)
    tried = []

    class Picky(MemoryProducer):
        def send(self, topic, value, **more):
            tried.append(value)
            if value == b"old":
                raise RecordRefused("its timestamp is out of range")
            super().send(topic, value, **more)

    done = redrive(
        filled.store.dead_letters, ["log/0/7", "log/0/7/1", "log/0/8", "log/0/8/1"],
        Picky(filled.broker), unseal=lambda sealed: sealed.removeprefix(b"sealed:"), mark=MARK, clock=filled.clock,
    )  # fmt: skip
    assert (done.sent, done.failed) == (["log/0/8", "log/0/8/1"], ["log/0/7", "log/0/7/1"])
    assert tried == [b"old", b"new"]


def test_a_side_finding_that_every_batch_shows_is_told_and_sent_once(rig, make_event, counting, control):
    class Careless(counting):
        def judge(self, decoded, letters, memory):
            judgement = super().judge(decoded, letters, memory)
            grant = Finding(
                id="grant", kind=Kind.HYGIENE, tenant_id="acme", session_id="s1", wanted=Effect.FLAG,
                severity="low", title="t", time=decoded[0].now,
            )  # fmt: skip
            return dataclasses.replace(judgement, findings=(*judgement.findings, grant))

    told, pipeline, sender = [], Careless(), delivery(rig, control)
    for n in range(4):
        rig.broker.append("log", make_event(n))
        rig.read(rig.worker(pipeline, on_commit=lambda j: told.extend(f.id for f in j.findings)), rig.drained)
        sender.deliver_due()
        rig.clock.forward(8 * 24 * 3600)
        rig.store.prune(rig.clock(), Retention())  # the delivery is forgotten, the finding is not
    assert len(pipeline.judged) == 4
    assert told == ["grant", "s1-3"]
    assert control.calls == ["grant", "s1-3"]


@pytest.mark.parametrize(("wanted", "left"), [(Effect.FLAG, 0), (Effect.REVOKE, 1)])
def test_a_flag_that_control_has_already_in_other_words_is_no_refusal(rig, make_event, counting, wanted, left):
    """A careless grant is told anew once the monitor has forgotten that it told of it; control forgets nothing."""

    class Careless(counting):
        def judge(self, decoded, letters, memory):
            grant = Finding(
                id="grant", kind=Kind.HYGIENE, tenant_id="acme", session_id="s1", wanted=wanted, severity="low",
                title="t", time=rig.clock(),
            )  # fmt: skip
            return dataclasses.replace(super().judge(decoded, letters, memory), findings=(grant,))

    class Keeps:
        def __init__(self):
            self.known, self.calls = {}, 0

        def submit(self, finding):
            self.calls += 1
            if self.known.setdefault(finding.id, finding.digest) != finding.digest:
                raise ControlError("stored with other content", status=409, code="finding_conflict")
            return {"effect": "flag"}

    control = Keeps()
    for n in range(2):
        rig.broker.append("log", make_event(n))
        rig.read(rig.worker(Careless()), rig.drained)
        delivery(rig, control).deliver_due()
        rig.clock.forward(100 * 86_400)
        rig.store.prune(rig.clock(), Retention())
    assert control.calls == 2
    assert (rig.store.outbox.depth(), len(rig.store.outbox.refused())) == (0, left)


def test_a_store_that_is_away_is_looked_for_less_and_less_often(rig, control):
    stop, waits = threading.Event(), []

    class Away:
        def due(self, *_, **more):
            if len(waits) < 5:
                waits.append(more["kind"])
                raise StoreError("the database cannot be reached")
            stop.set()
            return []

    sender = Delivery(
        outbox=Away(), client=control, producers={}, clock=rig.clock, jitter=lambda: 1.0, metrics=rig.metrics,
        backoff=Backoff(base_s=0.01, cap_s=0.04),
    )  # fmt: skip
    with capture_logs() as lines:
        sender.run(stop)
    told = [line["retry_in_s"] for line in lines if line["event"] == "store_away"]
    assert told == [0.01, 0.02, 0.04, 0.04, 0.04]
