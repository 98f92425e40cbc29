"""Working off a backlog: one partition is read before the other, which may hold what was missed."""

import json
from datetime import timedelta

import pytest

from guardian.bootstrap.judgement import open_judge, open_pipeline, unchecked
from guardian.bus.memory import MemoryConsumer
from guardian.config import load
from guardian.stream.advising import LocalAdviser
from guardian.stream.vitals import Lateness

CHILDS, PARENTS = 0, 1
"""Two partitions. The broker in memory hands out the first one first, as kafka-python may."""
MINUTE = timedelta(minutes=1)
OUTAGE = 40 * MINUTE


class Fit:
    version = "fit-1"

    def score(self, requests):
        return [0.03 for _ in requests]

    def explain(self, request):
        return []


class Desk:
    """A gateway's log, and a monitor that reads two records at a time."""

    def __init__(self, rig):
        rig.broker.create_topic("log", 2)
        self.rig, self.calls, self.names, self.hard = rig, 0, [], []
        judge = open_judge(load(None), fingerprint_key=b"k" * 32, fit=Fit())
        self.pipeline = open_pipeline(
            load(None), judge, verify=unchecked, clock=rig.clock, redaction_key=b"k" * 32, check_entitlements=False
        )

        def committed(judgement):
            broken = [b for v in judgement.scored for b in v.drift.breaches]
            self.names += [b.name for b in broken]
            self.hard += [b.name for b in broken if b.hard]

        self.consumer = MemoryConsumer(rig.broker, ["log"])
        self.lateness = Lateness(rig.clock)
        self.worker = rig.worker(
            self.pipeline, consumer=self.consumer, max_records=2, lateness=self.lateness, on_commit=committed
        )

    def call(self, session, ago, partition, *, parent=None, stamped=None, **arguments):
        """A call of the session that long ago; it reached the topic at once, or as long ago as `stamped` says."""
        self.calls += 1
        at = self.rig.clock() - ago
        told = {
            "schema": "guardian.decision/v1", "id": f"d{self.calls}", "time": at.isoformat(), "gateway": "gw",
            "envelope": {
                "delegator_id": "u", "tenant_id": "acme", "session_id": session, "purpose": "review the contract",
                "allowed_tools": ["crm.read"] if parent else ["crm.read", "crm.write", "mail.read"],
                "expires_at": "2026-05-12T19:00:00Z", "parent_session_id": parent,
            },
            "action": {"tool": "crm.read", "arguments": arguments or {"n": self.calls}},
            "decision": {"effect": "allow"},
        }  # fmt: skip
        stamp = at if stamped is None else self.rig.clock() - stamped
        self.rig.broker.append("log", json.dumps(told).encode(), partition=partition, timestamp=stamp)

    def read(self):
        """The names of the rules that were broken, after everything was read."""
        self.names.clear()
        self.rig.read(self.worker, self.rig.drained)
        return self.names


@pytest.fixture
def desk(rig):
    return Desk(rig)


def test_an_honest_child_is_not_accused_of_a_parent_that_lies_unread_in_another_partition(desk):
    desk.call("parent", OUTAGE, PARENTS)
    for minutes in range(1, 40):
        desk.call("child", OUTAGE - minutes * MINUTE, CHILDS, parent="parent")
    assert desk.read() == []


def test_nor_when_its_partition_is_read_to_its_end_and_the_other_is_not(desk):
    """Its last calls are of just now: only the other partition is behind."""
    desk.call("parent", 2 * MINUTE, PARENTS)
    for seconds in range(1, 100, 10):
        desk.call("child", timedelta(seconds=100 - seconds), CHILDS, parent="parent")
    assert desk.read() == []


def test_a_child_whose_calls_come_all_at_once_is_not_accused_before_its_parents_had_time_to_come(desk):
    """The monitor is not behind: a gateway that was cut off sends what it kept, and the broker stamps it."""
    desk.call("other", timedelta(0), PARENTS)
    desk.read()
    for minutes in range(1, 40):
        desk.call("child", OUTAGE - minutes * MINUTE, CHILDS, parent="parent", stamped=timedelta(0))
    desk.call("parent", OUTAGE, PARENTS, stamped=timedelta(0))
    assert desk.read() == []


def test_nor_does_the_adviser_accuse_a_child_that_the_monitor_has_just_met(desk):
    for minutes in range(1, 40):
        desk.call("child", OUTAGE - minutes * MINUTE, CHILDS, parent="parent")
    desk.read()
    desk.call("child", timedelta(0), CHILDS, parent="parent")
    proposed = desk.rig.broker.records("log")[-1].value
    adviser = LocalAdviser(desk.pipeline, desk.rig.store, clock=desk.rig.clock)
    assert adviser.weigh(proposed, 60).breaches == ()
    desk.rig.clock.forward(60)
    assert adviser.weigh(proposed, 60).breaches == ("parent_unknown",)


def test_nor_while_the_monitor_is_behind_and_a_session_of_its_line_proves_nothing_to_it_then(desk):
    desk.call("sess_1", timedelta(0), CHILDS)
    desk.call("sess_3", timedelta(0), CHILDS, parent="sess_2")
    desk.read()
    desk.rig.clock.forward(60)  # what sess_2 did lies unread
    desk.call("sess_3", timedelta(0), CHILDS, parent="sess_2", session_id="sess_1")
    proposed = desk.rig.broker.records("log")[-1].value
    store, clock = desk.rig.store, desk.rig.clock
    weighed = LocalAdviser(desk.pipeline, store, clock=clock, lag=desk.lateness.lag).weigh(proposed, 60)
    assert (weighed.breaches, weighed.hard_breaches) == (("session_mismatch",), ())


def test_while_the_monitor_is_behind_a_session_that_it_does_not_know_may_be_one_of_ours(desk):
    one, other = (f"{n}3f2c1d0-0000-4000-8000-00000000000{n}" for n in range(2))
    desk.call("other", OUTAGE, PARENTS)
    desk.call(one, OUTAGE - MINUTE, CHILDS, session_id=other)
    assert desk.read() == ["session_mismatch"]
    desk.rig.clock.forward(60)
    desk.read()  # there is nothing to read
    desk.call(one, timedelta(0), CHILDS, session_id=other)
    assert desk.read() == ["arguments_unchecked"]


def test_a_parent_that_nobody_knows_is_told_with_the_next_call_once_the_backlog_is_worked_off(desk):
    for minutes in range(1, 40):
        desk.call("child", OUTAGE - minutes * MINUTE, CHILDS, parent="nobody")
    desk.call("other", OUTAGE, PARENTS)
    assert desk.read() == []
    desk.rig.clock.forward(60)
    desk.read()  # there is nothing to read
    desk.call("child", timedelta(0), CHILDS, parent="nobody")
    assert desk.read() == ["parent_unknown"]


def test_a_partition_that_stays_behind_hides_an_unknown_parent_for_ten_times_as_long_at_most(desk):
    """Its producer's clock is late, and as long as it writes the monitor is never found up to date."""
    desk.lateness.caught_up = lambda: None
    told = []
    for _ in range(12):
        desk.call("child", timedelta(0), CHILDS, parent="nobody")
        desk.call("other", timedelta(0), PARENTS, stamped=2 * MINUTE)
        told.append(desk.read() == ["parent_unknown"])
        desk.rig.clock.forward(60)
    assert told == [False] * 10 + [True] * 2


def test_calls_that_come_late_do_not_hide_an_unknown_parent(desk):
    """Its gateway's clock is an hour behind, and the topic keeps the producers' time."""
    for minutes in range(3):
        desk.call("child", timedelta(hours=1), CHILDS, parent="nobody")
        assert desk.read() == ["parent_unknown"] * (minutes > 0)
        desk.rig.clock.forward(61)
        desk.read()


@pytest.mark.parametrize(
    ("who", "whom", "hard"),
    [
        ("sess_3", "sess_1", False),  # its grandparent
        ("sess_1", "sess_3", False),  # the other way round
        ("sess_1", "sess_9", True),  # a root that names another root is nobody's kin
    ],
)
def test_a_session_of_the_same_line_proves_nothing_while_what_links_the_two_may_be_unread(desk, who, whom, hard):
    above = {"sess_1": None, "sess_3": "sess_2", "sess_9": None}
    desk.call("sess_2", OUTAGE, PARENTS, parent="sess_1")
    for session, parent in above.items():
        desk.call(session, OUTAGE - MINUTE, CHILDS, parent=parent)
    desk.call(who, OUTAGE - 2 * MINUTE, CHILDS, parent=above[who], session_id=whom)
    desk.read()
    assert desk.hard == ["session_mismatch"] * hard


@pytest.mark.parametrize(("who", "whom"), [("sess_2", "sess_9"), ("sess_9", "sess_2")])
def test_a_line_that_is_known_up_to_its_head_proves_something_even_then(desk, who, whom):
    above = {"sess_1": None, "sess_2": "sess_1", "sess_9": None}
    desk.call("other", OUTAGE, PARENTS)
    for session, parent in above.items():
        desk.call(session, OUTAGE - MINUTE, CHILDS, parent=parent)
    desk.call(who, OUTAGE - 2 * MINUTE, CHILDS, parent=above[who], session_id=whom)
    desk.read()
    assert desk.hard == ["session_mismatch"]


def test_it_proves_something_again_once_the_backlog_is_worked_off(desk):
    desk.call("sess_3", OUTAGE, CHILDS, parent="sess_2")
    desk.call("sess_9", OUTAGE, PARENTS)
    desk.read()
    desk.read()  # there is nothing to read
    desk.call("sess_3", timedelta(0), CHILDS, parent="sess_2", session_id="sess_9")
    desk.read()
    assert desk.hard == ["session_mismatch"]
