"""Slack is taken out of the configuration: what it had not shown goes to the channels that are there instead."""

import pytest
from slack_server import CHANNEL

from guardian.control.telling.alert_outbox import AlertQueues


class Kept:
    """A channel that keeps the names of the sessions that it was told of."""

    def __init__(self, name: str = "webhook") -> None:
        self.name, self.told = name, []

    def deliver(self, alert) -> str:
        self.told.append((alert.finding.session_id, alert.finding.severity))
        return "x"

    def find(self, _alert) -> None:
        return None


@pytest.fixture
def alone(make_office):
    """A deployment with Slack alone."""

    def make(**options):
        office = make_office(**options)
        restarted(office, slack=True)
        return office

    return make


def restarted(office, *channels, slack=False) -> None:
    """Control starts with these channels, and has delivered what there is to deliver."""
    more = {"metrics": office.deps.metrics, "now": office.clock, "fallback": lambda: Kept("log")}
    queues = AlertQueues(office.deps.store, channels, **more, beside_slack=slack)
    queues.start()
    queues.stop()
    for worker in queues._workers:
        while worker.step():
            pass


def test_what_slack_alone_was_to_show_and_could_not_goes_to_its_successor_once(alone, slack, a_finding) -> None:
    office = alone()
    office.submit(a_finding("shown"))
    office.submit(a_finding("worse"))
    office.settle()
    assert len(slack.roots()) == 2
    slack.down = True
    office.clock.pass_(minutes=1)
    office.submit(a_finding("worse", n=1, severity="critical"))
    for name in ("s1", "s2"):
        office.submit(a_finding(name))
    for _ in range(8):
        office.worker.step()
        office.clock.pass_(minutes=1)
    office.submit(a_finding("s3"))  # which nobody read any more
    webhook = Kept()
    restarted(office, webhook)
    assert webhook.told == [("worse", "critical"), ("s1", "high"), ("s2", "high"), ("s3", "high")]
    office.submit(a_finding("s4"))
    restarted(office, webhook)
    assert webhook.told[4:] == [("s4", "high")]
    with office.deps.store.read() as rows:
        assert rows.feeds.position("left") == 7, "what was told is not read again at each start"


def test_what_came_while_slack_took_what_was_before_goes_to_its_successor(alone, slack, a_finding) -> None:
    office = alone()
    office.submit(a_finding("s1"))
    row = office.outbox.claim(office.clock())
    office.submit(a_finding("s1", n=1, severity="critical"))
    office.clock.pass_(seconds=1)
    office.outbox.sent(row.id, f"{CHANNEL}:1700000000.000001")
    slack.down = True
    office.worker.step()
    webhook = Kept()
    restarted(office, webhook)
    assert webhook.told == [("s1", "critical")]


def test_what_a_digest_was_to_list_goes_to_its_successor_too(alone, slack, a_finding) -> None:
    office = alone(storm=2)
    for n in range(5):
        office.submit(a_finding(f"s{n}"))
    office.settle()
    slack.down = True
    office.clock.pass_(minutes=1)
    office.submit(a_finding("late"))
    office.worker.step()
    with office.deps.store.read() as rows:
        late = rows.cases.of_session(a_finding("late").key)
    assert (late.status, late.place) == ("idle", None)
    webhook = Kept()
    restarted(office, webhook)
    assert webhook.told == [("late", "high")]


def test_what_slack_shows_is_nobody_elses(alone, slack, a_finding) -> None:
    office, webhook = alone(), Kept()
    office.submit(a_finding("s1"))
    restarted(office, webhook, slack=True)
    assert webhook.told == []
    office.submit(a_finding("s2"))
    restarted(office, webhook, slack=True)
    office.settle()
    office.clock.pass_(minutes=1)
    webhook.told.clear()
    restarted(office, webhook)
    assert webhook.told == [], "Slack has shown one, and both the other"


def test_what_was_queued_for_others_before_slack_was_alone_is_not_queued_again(make_office, a_finding) -> None:
    office, webhook = make_office(), Kept()
    restarted(office, webhook)
    office.submit(a_finding("before"))
    restarted(office, webhook)
    restarted(office, slack=True)
    office.clock.pass_(minutes=1)
    restarted(office, webhook)
    assert webhook.told == [("before", "high")]


def test_what_waited_for_slack_before_control_named_its_channels_goes_to_its_successor(
    make_office, slack, a_finding
) -> None:
    office, webhook = make_office(), Kept()
    slack.down = True
    office.submit(a_finding("first"))
    restarted(office, slack=True)
    restarted(office, webhook)
    assert webhook.told == [("first", "high")]


def test_what_others_hear_of_an_act_is_no_further_finding_in_slack_nor_left_to_its_successor(
    make_office, slack, a_finding
) -> None:
    office, webhook = make_office(), Kept()
    restarted(office, webhook, slack=True)
    office.submit(a_finding("s1"))
    restarted(office, webhook, slack=True)
    office.settle()
    office.clock.pass_(minutes=1)
    with office.client("ann", "analyst") as ann:
        ann.judge(a_finding("s1").id, "false_positive", reason="fine")
    restarted(office, webhook, slack=True)
    office.settle()
    assert webhook.told == [("s1", "high")] * 2
    (root,) = slack.roots()
    assert "2 findings" not in str(root["blocks"])
    assert "flagged the session" not in str(slack.thread(root["ts"])[1])
    with office.deps.store.read() as rows:
        assert rows.cases.of_session(a_finding("s1").key).findings == 1
    pager = Kept("pager")
    restarted(office, pager)
    restarted(office, pager)
    assert pager.told == []
