"""Gateways that lag or fall silent, monitors that are behind or gone, and the canary."""

import math
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from whole_store import alert_states

from guardian.control.authentication.token_records import record_token
from guardian.control.cases.feeds import read_alert
from guardian.control.lapse import sweep
from guardian.control.switch import SelfTestRule, SwitchRule
from guardian.control.watchers.peers import PeersHeard, Watched
from guardian.control.watchers.self_testing import test_the_switch as check_the_switch
from guardian.control.watchers.watching import remember, watch
from guardian.domain.revocation import Revision
from guardian.errors import StoreError
from guardian.store.control.head import begin_epoch
from guardian.store.control.peers import STOPPED
from guardian.wire.principal import Principal

GATEWAY = Principal(
    "gateway-1", "gateway", frozenset({"acme"}), jti="j", expires_at=datetime(2027, 1, 1, tzinfo=UTC)
)
NOWHERE = Revision(epoch=1, n=0)


@pytest.fixture
def quiet(make_stage):
    """No schedule of its own: the tests call it."""
    return make_stage(switch=SwitchRule(watch_every_s=3600, self_test=SelfTestRule(canary_every=None)))


def ack(stage, revision, instance="gw-a", tenants=("acme",), who=None, **more):
    headers = {"Guardian-Instance": instance}
    body = {"revision": revision, "transport": "push", **more}
    return stage.call("POST", "/v1/revocations/ack", "gateway", *tenants, who=who, headers=headers, json=body)


def beat(stage, lag_s=0.0, instance="m-1", tenants=("acme",), **more):
    body = {"instance": instance, "lag_s": lag_s, **more}
    return stage.call("POST", "/v1/monitors", "monitor", *tenants, json=body)


def news(stage, topic=None):
    found = stage.call("GET", "/v1/findings", "admin", "*", params={"kind": "control"}).json()["items"]
    return [
        each["finding"]["title"]
        for each in reversed(found)
        if topic is None or each["finding"]["reasons"][0]["signal"] == topic
    ]


def missed(stage):
    """Of each piece of news that calls are not watched: whether by intent."""
    titles = {
        "Unprotected for 1 minute: the monitor is behind or gone": False,
        "Monitor monitor-1 was stopped": True,
    }
    return [titles[each] for each in news(stage)]


def seen(stage):
    return stage.call("GET", "/v1/watch", "admin", "*").json()


def test_a_gateway_that_acknowledges_is_current_and_one_that_does_not_lags(quiet):
    assert ack(quiet, "1.0").status_code == 204
    quiet.revoke("s1")
    quiet.clock.pass_(seconds=16)
    ack(quiet, "1.0")
    (row,) = seen(quiet)["gateways"]
    assert (row["instance"], row["state"], row["behind"], row["lag_s"]) == ("gw-a", "lagging", 1, 16)
    watch(quiet.deps)
    assert quiet.deps.metrics.value("guardian_gateways", state="lagging") == 1
    assert quiet.deps.metrics.value("guardian_gateway_lag_seconds", gateway="gateway-1") == 16
    ack(quiet, "1.1")
    watch(quiet.deps)
    assert seen(quiet)["gateways"][0]["state"] == "current"
    assert news(quiet) == [
        "Gateway gateway-1 does not enforce the newest revocations",
        "Gateway gateway-1 enforces the list again",
    ]


def test_a_gateway_that_falls_silent_is_told_once_and_forgotten_after_a_day(quiet):
    ack(quiet, "1.0")
    watch(quiet.deps)
    quiet.clock.pass_(seconds=61)
    watch(quiet.deps)
    watch(quiet.deps)
    assert news(quiet, "gateway") == ["Gateway gateway-1 is silent"]
    quiet.clock.pass_(days=1)
    watch(quiet.deps)
    assert lag(quiet) > 86_400
    assert seen(quiet)["gateways"] == []
    watch(quiet.deps)
    assert lag(quiet) == 0, "an alarm about it ends"


def test_the_revision_of_a_gateway_is_that_of_its_last_process_by_what_concerns_it(quiet):
    def shown(name="gateway-1"):
        return quiet.deps.metrics.value("guardian_gateway_revision", gateway=name)

    ack(quiet, "1.0", "hangs")
    ack(quiet, "1.0", tenants=("globex",), who="gateway-2")
    quiet.revoke("s1")
    assert ack(quiet, "1.1", "works").status_code == 204
    watch(quiet.deps)
    assert (shown(), shown("gateway-2")) == (0, 1), "no revocation is of the other one's tenant"
    ack(quiet, "1.1", "hangs")
    watch(quiet.deps)
    assert shown() == 1
    with quiet.deps.store.write() as rows:
        begin_epoch(rows.connection, 2, 100, quiet.clock())
    quiet.revoke("s2")
    watch(quiet.deps)
    assert shown() == 0, "its revision is of an epoch that is over"
    quiet.clock.pass_(days=2)
    watch(quiet.deps)
    watch(quiet.deps)
    assert math.isnan(shown()), "it is behind nothing any more"


def lag(stage):
    return stage.deps.metrics.value("guardian_gateway_lag_seconds", gateway="gateway-1")


def texts(stage):
    found = stage.call("GET", "/v1/findings", "admin", "*", params={"kind": "control"}).json()["items"]
    return [each["finding"]["reasons"][0]["text"] for each in reversed(found)]


@pytest.mark.parametrize("silent", [True, False])
def test_sixty_processes_that_a_gateway_made_up_are_one_piece_of_news(quiet, silent):
    for n in range(60):
        ack(quiet, "1.0", f"x{n:02}")
    quiet.revoke("s1")
    quiet.clock.pass_(seconds=61 if silent else 16)
    watch(quiet.deps)
    (told,) = texts(quiet)
    assert "processes x00, x01, x02 and 57 more" in told
    for n in range(60):
        ack(quiet, "1.1", f"x{n:02}")
    watch(quiet.deps)
    assert texts(quiet)[1:] == ["at the newest revision: processes x00, x01, x02 and 57 more"]


def test_made_up_one_after_the_other_they_are_told_ever_less_often(quiet):
    for n in range(60):
        ack(quiet, "1.0", f"x{n:02}")
        quiet.clock.pass_(seconds=5)
        watch(quiet.deps)
    quiet.clock.pass_(seconds=61)
    watch(quiet.deps)
    assert len(texts(quiet)) == 8  # 1, 2, 3, 4, 5, 10, 25 and 50 of them


def test_a_process_that_falls_silent_while_another_one_is_already_is_told(quiet):
    def pass_(*alive):
        for _ in range(3):
            quiet.clock.pass_(seconds=25)
            for instance in alive:
                ack(quiet, "1.0", instance)
            watch(quiet.deps)

    for instance in ("a", "b", "c"):
        ack(quiet, "1.0", instance)
    pass_("b", "c")
    pass_("c")
    pass_("a", "c")
    pass_("a")
    pass_("a", "b", "c")
    named = [text.partition("process")[2].partition(";")[0] for text in texts(quiet)]
    assert named == [" a", "es a, b", "es b, c", "es a, b, c"]


def test_whatever_names_a_gateway_makes_up_others_are_heard_and_so_are_monitors(quiet):
    now, nothing = quiet.clock(), Revision(epoch=1, n=0)
    caller = quiet.deps.tokens.verify(quiet.token("gateway"), now=now)
    for n in range(10_000):
        quiet.deps.peers.note("gateway", caller, f"x{n}", revision=nothing, transport="poll", now=now)
    beat(quiet, 0, "m-1")
    ack(quiet, "1.0", "gw-b", who="gateway-2")
    assert len(quiet.deps.peers.heard("gateway")) == 1001
    quiet.clock.pass_(seconds=31)
    beat(quiet, 0, "m-1")
    beat(quiet, 0, "m-2")
    watch(quiet.deps)
    assert {row["instance"] for row in seen(quiet)["monitors"]} == {"m-1", "m-2"}
    assert "gw-b" in {row["instance"] for row in seen(quiet)["gateways"]}


def test_no_number_of_good_byes_is_remembered(quiet):
    caller = quiet.deps.tokens.verify(quiet.token("gateway"), now=quiet.clock())
    for n in range(1500):
        quiet.deps.peers.leave("gateway", caller, f"x{n}")
    ack(quiet, "1.0", "gw-b", who="gateway-2", leaving=True)
    assert sum(map(len, quiet.deps.peers._left.values())) == 1001
    watch(quiet.deps)
    assert not quiet.deps.peers.unsettled


def test_what_a_gateway_held_under_a_wider_token_says_nothing_of_the_narrower(quiet):
    quiet.call("POST", "/v1/sessions/globex/g1/revoke", "responder", "globex", json={"reason": "x"})
    quiet.revoke("s1")
    ack(quiet, "1.2", tenants=("acme", "globex"))
    watch(quiet.deps)
    ack(quiet, "1.0")
    (row,) = seen(quiet)["gateways"]
    assert (row["revision"]["n"], row["behind"]) == (0, 1)


def test_one_that_says_good_bye_is_not_missed(quiet):
    ack(quiet, "1.0")
    quiet.revoke("s1")
    quiet.clock.pass_(seconds=10)
    watch(quiet.deps)
    assert lag(quiet) == 10
    ack(quiet, "1.0", leaving=True)
    watch(quiet.deps)
    quiet.clock.pass_(minutes=5)
    watch(quiet.deps)
    assert (news(quiet), lag(quiet)) == ([], 0)


def test_it_may_be_said_for_one_that_is_dead_whatever_it_held(quiet):
    """As the README has it: by whoever holds the gateway's token."""
    ack(quiet, "1.0", "gw-dead")
    quiet.clock.pass_(seconds=61)
    watch(quiet.deps)
    assert lag(quiet) == 61
    assert ack(quiet, "0.0", "gw-dead", leaving=True).status_code == 204
    watch(quiet.deps)
    assert (seen(quiet)["gateways"], lag(quiet)) == ([], 0)


def test_nor_one_that_said_it_to_another_control_process_on_the_same_database(quiet):
    for name in ("gw-a", "gw-b"):
        ack(quiet, "1.0", name)
    watch(quiet.deps)
    other = replace(quiet.deps, peers=PeersHeard(), watched=Watched())
    other.peers.leave("gateway", GATEWAY, "gw-a")
    watch(other)
    quiet.clock.pass_(seconds=50)
    ack(quiet, "1.0", "gw-b")
    ack(quiet, "1.0", "gw-c")
    assert [row["instance"] for row in seen(quiet)["gateways"]] == ["gw-b", "gw-c"]
    quiet.clock.pass_(seconds=50)
    watch(quiet.deps)
    assert news(quiet) == []
    assert [each.instance for each in quiet.deps.peers.heard("gateway")] == ["gw-b", "gw-c"]


def test_nor_where_it_was_heard_here_just_before_and_the_other_one_looks_first(quiet):
    ack(quiet, "1.0")
    for _ in range(2):
        watch(quiet.deps)
        quiet.clock.pass_(seconds=5)
    ack(quiet, "1.0")
    other = replace(quiet.deps, peers=PeersHeard(), watched=Watched())
    other.peers.leave("gateway", GATEWAY, "gw-a")
    watch(other)
    for _ in range(2):
        watch(quiet.deps)
        quiet.clock.pass_(seconds=61)
    assert (news(quiet), seen(quiet)["gateways"]) == ([], [])
    ack(quiet, "1.0")
    assert [row["state"] for row in seen(quiet)["gateways"]] == ["current"], "it came back"


def test_that_it_is_back_stands_where_its_silence_was_told_whichever_control_process_says_it(quiet):
    """The other one looked when so many were silent already that they share a message."""
    names = [f"gateway-{n:02}" for n in range(12)]
    for name in names:
        ack(quiet, "1.0", who=name)
        watch(quiet.deps)
    quiet.clock.pass_(seconds=50)
    for name in names[2:]:
        ack(quiet, "1.0", who=name)
    quiet.clock.pass_(seconds=20)
    watch(quiet.deps)
    quiet.clock.pass_(seconds=61)
    other = replace(quiet.deps, peers=PeersHeard(), watched=Watched())
    watch(other)
    for name in names:
        ack(quiet, "1.0", who=name)
    remember(quiet.deps)
    watch(other)
    watch(quiet.deps)
    with quiet.deps.store.read() as rows:
        told = [(read_alert(line.payload).finding.title, line.key) for line in rows.feeds.news("alerts", 100)]
    silent = {title.split()[1]: key for title, key in told if title.endswith("is silent")}
    back = {title.split()[1]: key for title, key in told if title.endswith("enforces the list again")}
    assert back == silent
    assert (len(silent), len(set(silent.values()))) == (12, 3)


def test_one_that_could_not_be_written_down_is_missed_all_the_same(quiet):
    ack(quiet, "1.0")
    with suppress(KeyboardInterrupt), quiet.deps.store.write() as rows:
        quiet.deps.peers.settle(rows, quiet.clock())
        raise KeyboardInterrupt
    for _ in range(2):
        watch(quiet.deps)
        quiet.clock.pass_(seconds=61)
    watch(quiet.deps)
    assert news(quiet) == ["Gateway gateway-1 is silent"]


def test_what_could_not_be_written_down_is_written_with_the_next_look(quiet, monkeypatch):
    ack(quiet, "1.0")
    fail_to_watch(quiet, monkeypatch)
    watch(quiet.deps)
    with quiet.deps.store.read() as rows:
        assert [each.instance for each in rows.peers.all("gateway")] == ["gw-a"]


def test_so_is_what_was_heard_while_it_was_written(quiet):
    ack(quiet, "1.0")
    with quiet.deps.store.write() as rows:
        quiet.deps.peers.settle(rows, quiet.clock())
        quiet.clock.pass_(seconds=5)
        ack(quiet, "1.0")
    quiet.deps.peers.settled()
    watch(quiet.deps)
    assert not quiet.deps.peers.unsettled
    with quiet.deps.store.read() as rows:
        assert [each.last_seen for each in rows.peers.all("gateway")] == [quiet.clock()]


@contextmanager
def failing(stage, monkeypatch):
    """Whatever is written within is taken back."""
    write = stage.deps.store.write

    @contextmanager
    def failed():
        with write() as rows:
            yield rows
            raise StoreError("the disk is full")

    with monkeypatch.context() as within:
        within.setattr(stage.deps.store, "write", failed)
        yield


def fail_to_watch(stage, monkeypatch):
    with failing(stage, monkeypatch), pytest.raises(StoreError):
        watch(stage.deps)


def test_that_a_gateway_is_silent_is_told_although_the_first_time_could_not_be_written(quiet, monkeypatch):
    ack(quiet, "1.0")
    watch(quiet.deps)
    quiet.clock.pass_(seconds=61)
    fail_to_watch(quiet, monkeypatch)
    watch(quiet.deps)
    assert news(quiet) == ["Gateway gateway-1 is silent"]
    ack(quiet, "1.0")
    fail_to_watch(quiet, monkeypatch)
    watch(quiet.deps)
    assert news(quiet)[1:] == ["Gateway gateway-1 enforces the list again"]


def test_so_is_that_calls_are_not_watched_and_that_they_are_again(quiet, monkeypatch):
    beat(quiet)
    quiet.clock.pass_(seconds=61)
    fail_to_watch(quiet, monkeypatch)
    watch(quiet.deps)
    assert news(quiet) == ["Unprotected for 1 minute: the monitor is behind or gone"]
    beat(quiet)
    fail_to_watch(quiet, monkeypatch)
    watch(quiet.deps)
    assert news(quiet)[1:] == ["Calls are watched again"]


def test_a_good_bye_counts_although_it_could_not_be_written_down_for_a_while(quiet, monkeypatch):
    ack(quiet, "1.0")
    watch(quiet.deps)
    ack(quiet, "1.0", leaving=True)
    for _ in range(2):
        fail_to_watch(quiet, monkeypatch)
        quiet.clock.pass_(seconds=61)
    watch(quiet.deps)
    watch(replace(quiet.deps, peers=PeersHeard(), watched=Watched()))
    assert (news(quiet), seen(quiet)["gateways"]) == ([], [])


def test_polling_with_an_entity_tag_says_what_is_held(quiet):
    tag = quiet.revocations().headers["ETag"]
    quiet.revocations(headers={"If-None-Match": tag, "Guardian-Instance": "old-client"})
    assert [(row["instance"], row["transport"]) for row in seen(quiet)["gateways"]] == [("old-client", "poll")]


def test_an_opa_that_lags_is_not_hidden_by_another_one_of_its_token_where_they_are_told_apart(quiet):
    def poll(instance, held=""):
        headers = {"Guardian-Instance": instance, "If-None-Match": held}
        return quiet.call("GET", "/v1/opa/bundle.tar.gz", "gateway", headers=headers).headers["etag"]

    before = poll("opa-a")
    quiet.revoke("s1")
    after = poll("opa-b")
    quiet.clock.pass_(seconds=16)
    poll("opa-a", before), poll("opa-b", after)
    assert {each["instance"]: each["state"] for each in seen(quiet)["gateways"]} == {
        "opa-a": "lagging",
        "opa-b": "current",
    }


@pytest.mark.parametrize("path", ["/v1/revocations", "/v1/opa/bundle.tar.gz"])
def test_nor_is_a_revision_believed_that_the_ledger_has_not_reached(quiet, path):
    for tag in (f'"1.{2**31 - 1}-x"', '"1.0-x"'):
        quiet.call("GET", path, "gateway", headers={"If-None-Match": tag})
    for n in range(3):
        quiet.revoke(f"s{n}")
    quiet.clock.pass_(seconds=16)
    (row,) = seen(quiet)["gateways"]
    assert (row["state"], row["behind"]) == ("lagging", 3)


@pytest.mark.parametrize("path", ["/v1/revocations", "/v1/opa/bundle.tar.gz"])
def test_nor_one_that_no_database_holds_also_of_an_earlier_epoch(quiet, path):
    with quiet.deps.store.write() as rows:
        begin_epoch(rows.connection, 2, 100, quiet.clock())
    quiet.call("GET", path, "gateway", headers={"If-None-Match": f'"1.{2**31}-x"'})
    assert ack(quiet, f"1.{2**31}").status_code == 422
    assert seen(quiet)["gateways"] == []
    assert ack(quiet, f"1.{2**31 - 1}").status_code == 204


def test_nobody_acknowledges_what_does_not_exist_nor_for_somebody_else(quiet):
    assert ack(quiet, "1.7").status_code == 422
    assert ack(quiet, "1.9007199254740993").status_code == 422  # beyond any ledger
    assert ack(quiet, "x").status_code == 422
    body = {"revision": "1.0"}
    assert quiet.call("POST", "/v1/revocations/ack", "analyst", json=body).status_code == 403
    assert quiet.call("POST", "/v1/monitors", "admin", json={"instance": "x", "lag_s": 0}).status_code == 403


def test_another_tenants_gateways_are_not_shown(quiet):
    ack(quiet, "1.0", tenants=("globex",))
    ack(quiet, "1.0", "gw-b", tenants=("acme", "globex"))
    rows = quiet.call("GET", "/v1/watch", "analyst", "acme").json()["gateways"]
    assert [(row["instance"], row["tenants"]) for row in rows] == [("gw-b", ["acme"])]


def test_what_concerns_another_tenant_does_not_show(quiet):
    both = ("acme", "globex")
    ack(quiet, "1.0", tenants=both)
    quiet.revoke("s1")
    ack(quiet, "1.1", tenants=both)
    for n in range(4):
        path = f"/v1/sessions/globex/g{n}/revoke"
        quiet.call("POST", path, "responder", "globex", json={"reason": "x"})
    host = {"instance": "globex-host-7:4711", "lag_s": 300}
    quiet.call("POST", "/v1/monitors", "monitor", "globex", who="monitor-globex", json=host)
    quiet.clock.pass_(seconds=16)
    told = quiet.call("GET", "/v1/watch", "analyst", "acme").json()
    (row,) = told["gateways"]
    assert (row["state"], row["behind"], row["lag_s"], row["tenants"]) == ("current", 0, 0, ["acme"])
    assert (told["revision"]["n"], row["revision"]["n"]) == (1, 1)
    assert (told["monitors"], told["unprotected_s"]) == ([], None)
    theirs = quiet.call("GET", "/v1/watch", "analyst", "globex").json()
    assert (theirs["revision"]["n"], theirs["gateways"][0]["revision"]["n"]) == (5, 0)
    assert (theirs["gateways"][0]["behind"], theirs["unprotected_s"]) == (4, 316)
    assert seen(quiet)["gateways"][0]["revision"]["n"] == 1


def test_a_monitor_that_is_behind_leaves_people_unprotected_and_they_hear_for_how_long(quiet):
    beat(quiet, 0)
    watch(quiet.deps)
    assert seen(quiet)["unprotected_s"] is None
    for minutes in (2, 6):
        beat(quiet, minutes * 60)
        watch(quiet.deps)
    assert seen(quiet)["unprotected_s"] == 360
    assert quiet.deps.metrics.value("guardian_unprotected_seconds") == 360
    beat(quiet, 0)
    watch(quiet.deps)
    assert news(quiet, "unprotected") == [
        "Unprotected for 2 minutes: the monitor is behind or gone",
        "Unprotected for 6 minutes: the monitor is behind or gone",
        "Calls are watched again",
    ]


@pytest.mark.parametrize(
    ("limit_s", "lag_s", "quiet_s", "state", "unprotected_s"),
    [
        (300, 0, 30, "current", None),
        (300, 0, 31, "silent", None),
        (300, 0, 240, "silent", None),
        (300, None, 30, "unread", None),
        (300, None, 31, "silent", None),
        (300, 300, 0, "current", None),
        (300, 301, 0, "behind", 301),
        (300, 290, 11, "behind", 301),
        (10, 10, 0, "current", None),
        (10, 11, 0, "behind", 11),
        (10, 0, 11, "behind", 11),
    ],
)
def test_a_monitor_is_silent_once_it_counts_as_gone_and_behind_once_calls_count_as_unwatched(
    make_stage, limit_s, lag_s, quiet_s, state, unprotected_s
):
    rule = SwitchRule(watch_every_s=3600, unprotected_after=timedelta(seconds=limit_s))
    stage = make_stage(switch=rule)
    beat(stage, lag_s)
    stage.clock.pass_(seconds=quiet_s)
    told = seen(stage)
    assert (told["monitors"][0]["state"], told["unprotected_s"]) == (state, unprotected_s)


def test_a_monitor_that_is_stopped_in_order_is_told_and_shown_as_that_and_calls_nobody_for_an_hour(quiet):
    beat(quiet)
    quiet.clock.pass_(seconds=5)
    beat(quiet, leaving=True)
    for minutes in (0, 2, 57):
        quiet.clock.pass_(minutes=minutes)
        watch(quiet.deps)
        assert quiet.deps.metrics.value("guardian_unprotected_seconds") == 0, "which pages above a minute"
    assert news(quiet) == ["Monitor monitor-1 was stopped"]
    assert seen(quiet)["monitors"][0]["state"] == "stopped"
    assert seen(quiet)["unprotected_s"] == 3540, "that is so, whoever wanted it"
    quiet.clock.pass_(minutes=2)
    watch(quiet.deps)
    assert quiet.deps.metrics.value("guardian_unprotected_seconds") == 3660
    assert news(quiet)[1:] == ["Unprotected for 61 minutes: the monitor is behind or gone"]


def test_nor_is_its_stop_taken_back_by_another_control_process_that_heard_it_before(quiet):
    beat(quiet)
    other = replace(quiet.deps, peers=PeersHeard(), watched=Watched())
    quiet.clock.pass_(seconds=5)
    monitor = Principal("monitor-1", "monitor", frozenset({"acme"}), jti="j", expires_at=GATEWAY.expires_at)
    other.peers.note("monitor", monitor, "m-1", revision=NOWHERE, transport=STOPPED, now=quiet.clock())
    for minutes in (0, 2):
        quiet.clock.pass_(minutes=minutes)
        for deps in (other, quiet.deps):
            watch(deps)
    assert news(quiet) == ["Monitor monitor-1 was stopped"]
    assert seen(quiet)["monitors"][0]["state"] == "stopped"


def test_what_was_written_down_by_a_clock_that_was_fast_does_not_stand_until_then(quiet):
    for minutes in (30, -30):
        quiet.clock.pass_(minutes=minutes)
        quiet.deps.peers.note("gateway", GATEWAY, "gw-a", revision=NOWHERE, transport="poll", now=quiet.clock())
        watch(quiet.deps)
    quiet.clock.pass_(seconds=61)
    watch(quiet.deps)
    assert news(quiet) == ["Gateway gateway-1 is silent"]


def test_that_another_one_runs_in_its_place_is_told_and_it_is_shown_no_longer(quiet):
    beat(quiet, instance="m-1")
    beat(quiet, instance="m-1", leaving=True)
    watch(quiet.deps)
    quiet.clock.pass_(minutes=2)
    beat(quiet, instance="m-2")
    watch(quiet.deps)
    assert news(quiet) == ["Monitor monitor-1 was stopped", "Calls are watched again"]
    assert [each["instance"] for each in seen(quiet)["monitors"]] == ["m-2"]
    told = quiet.call("GET", "/v1/findings", "admin", "*", params={"kind": "control"}).json()["items"]
    with quiet.deps.store.read() as rows:
        assert len({rows.alerts.case_of(each["finding"]["id"]) for each in told}) == 1, (
            "one message says how it is"
        )


def test_one_that_fell_silent_before_it_is_no_reason_to_say_that_it_was_missed_all_the_while(quiet):
    beat(quiet, instance="m-1")
    quiet.clock.pass_(minutes=30)
    beat(quiet, instance="m-2")
    watch(quiet.deps)
    beat(quiet, instance="m-2", leaving=True)
    quiet.clock.pass_(minutes=2)
    watch(quiet.deps)
    assert news(quiet) == ["Monitor monitor-1 was stopped"]
    assert [each["state"] for each in seen(quiet)["monitors"]] == ["silent", "stopped"]


def test_a_monitor_that_falls_behind_or_silent_is_missed_as_ever_while_another_one_is_stopped(quiet):
    beat(quiet, instance="m-1", tenants=("globex",))
    beat(quiet, instance="m-2")
    beat(quiet, instance="m-2", leaving=True)
    quiet.clock.pass_(minutes=2)
    watch(quiet.deps)
    assert news(quiet, "unprotected") == [
        "Monitor monitor-1 was stopped",
        "Unprotected for 2 minutes: the monitor is behind or gone",
    ]


def test_a_good_bye_is_remembered_by_a_control_that_ends_right_after_it(make_stage):
    stage = make_stage()
    beat(stage)
    beat(stage, leaving=True)
    stage.client.__exit__(None, None, None)
    with stage.deps.store.read() as rows:
        assert [each.stopped for each in rows.peers.all("monitor")] == [True]
    stage.client.__enter__()


def test_while_control_was_away_no_monitor_was_missed_and_it_has_its_time_to_come_back(quiet):
    beat(quiet)
    watch(quiet.deps)
    quiet.clock.pass_(minutes=10)
    again = replace(quiet.deps, peers=PeersHeard(), watched=Watched(since=quiet.clock()))
    watch(again)
    assert news(quiet) == []
    quiet.clock.pass_(seconds=61)
    watch(again)
    assert news(quiet) == ["Unprotected for 11 minutes: the monitor is behind or gone"]


def test_nor_is_it_told_that_one_was_stopped_together_with_control_before_it_had_that_time(quiet):
    beat(quiet)
    beat(quiet, leaving=True)
    remember(quiet.deps)
    quiet.clock.pass_(minutes=2)
    again = replace(quiet.deps, peers=PeersHeard(), watched=Watched(since=quiet.clock()))
    watch(again)
    assert news(quiet) == []
    quiet.clock.pass_(seconds=61)
    watch(again)
    assert news(quiet) == ["Monitor monitor-1 was stopped"]


def test_a_dead_monitor_beside_a_living_one_is_no_gap(quiet):
    beat(quiet, 0, "m-1")
    quiet.clock.pass_(minutes=3)
    beat(quiet, 2, "m-2")
    watch(quiet.deps)
    assert news(quiet) == []


@pytest.mark.parametrize("leaving", [False, True])
def test_but_one_that_lives_for_other_tenants_watches_nothing_for_it(quiet, leaving):
    beat(quiet, instance="m-1")
    beat(quiet, instance="m-2", tenants=("globex", "initech"))
    if leaving:
        beat(quiet, instance="m-1", leaving=True)
    quiet.clock.pass_(seconds=90)
    beat(quiet, instance="m-2", tenants=("globex", "initech"))
    watch(quiet.deps)
    assert missed(quiet) == [leaving]
    beat(quiet, instance="m-3", tenants=("*",))
    watch(quiet.deps)
    assert news(quiet, "unprotected")[-1] == "Calls are watched again"


@pytest.mark.parametrize("leaving", [False, True])
def test_tenants_that_several_others_watch_by_now_do_not_miss_the_one_that_watched_them_all(quiet, leaving):
    beat(quiet, instance="m-1", tenants=("acme", "globex"))
    beat(quiet, instance="m-2", tenants=("acme",))
    beat(quiet, instance="m-3", tenants=("globex",))
    if leaving:
        beat(quiet, instance="m-1", tenants=("acme", "globex"), leaving=True)
    quiet.clock.pass_(seconds=90)
    beat(quiet, instance="m-2", tenants=("acme",))
    beat(quiet, instance="m-3", tenants=("globex",))
    watch(quiet.deps)
    assert news(quiet, "unprotected") == []
    assert len(seen(quiet)["monitors"]) == (2 if leaving else 3)


@pytest.mark.parametrize("leaving", [False, True])
def test_but_a_tenant_that_none_of_them_watches_misses_it(quiet, leaving):
    beat(quiet, instance="m-1", tenants=("acme", "globex", "initech"))
    beat(quiet, instance="m-2", tenants=("acme",))
    beat(quiet, instance="m-3", tenants=("globex",))
    if leaving:
        beat(quiet, instance="m-1", tenants=("acme", "globex", "initech"), leaving=True)
    quiet.clock.pass_(seconds=90)
    beat(quiet, instance="m-2", tenants=("acme",))
    beat(quiet, instance="m-3", tenants=("globex",))
    watch(quiet.deps)
    assert missed(quiet) == [leaving]


@pytest.mark.parametrize("leaving", [False, True])
def test_nor_do_any_that_are_named_stand_in_for_one_that_watched_every_tenant(quiet, leaving):
    beat(quiet, instance="m-1", tenants=("*",))
    beat(quiet, instance="m-2", tenants=("acme", "globex"))
    if leaving:
        beat(quiet, instance="m-1", tenants=("*",), leaving=True)
    quiet.clock.pass_(seconds=90)
    beat(quiet, instance="m-2", tenants=("acme", "globex"))
    watch(quiet.deps)
    assert missed(quiet) == [leaving]


def test_a_monitor_that_has_read_nothing_ends_no_gap_however_often_it_starts(quiet):
    beat(quiet, instance="m-1")
    for n in range(2, 6):
        quiet.clock.pass_(seconds=40)
        beat(quiet, None, f"m-{n}", leaving=n == 3)
        watch(quiet.deps)
    assert news(quiet) == ["Unprotected for 1 minute: the monitor is behind or gone"]
    shown = seen(quiet)
    assert [(each["state"], each["lag_s"]) for each in shown["monitors"]] == [
        ("silent", 0), ("silent", None), ("stopped", None), ("silent", None), ("unread", None)
    ]  # fmt: skip
    assert shown["unprotected_s"] == quiet.deps.metrics.value("guardian_unprotected_seconds") == 160
    beat(quiet, 0, "m-5")
    watch(quiet.deps)
    assert news(quiet)[1:] == ["Calls are watched again"]
    shown = seen(quiet)["monitors"]
    assert ("m-3" in [each["instance"] for each in shown], shown[-1]["state"]) == (False, "current")


def test_where_nobody_ever_read_calls_are_unwatched_since_the_first_was_heard_of(quiet):
    for n in range(4):
        beat(quiet, None, f"m-{n}")
        watch(quiet.deps)
        quiet.clock.pass_(seconds=40)
    watch(quiet.deps)
    assert news(quiet) == ["Unprotected for 1 minute: the monitor is behind or gone"]
    assert seen(quiet)["unprotected_s"] == 160


def test_one_that_starts_takes_the_place_of_a_stopped_one_once_it_has_read(quiet):
    beat(quiet, 300, "m-1")
    beat(quiet, 300, "m-1", leaving=True)
    beat(quiet, None, "m-2")
    watch(quiet.deps)
    assert (news(quiet), seen(quiet)["unprotected_s"]) == (["Monitor monitor-1 was stopped"], 300)
    beat(quiet, 0, "m-2")
    watch(quiet.deps)
    assert news(quiet) == ["Monitor monitor-1 was stopped", "Calls are watched again"]
    assert [each["instance"] for each in seen(quiet)["monitors"]] == ["m-2"]


def unwatched(quiet):
    """Seconds, by the gauge, after two more looks."""
    for _ in range(2):
        watch(quiet.deps)
    return quiet.deps.metrics.value("guardian_unprotected_seconds")


@pytest.mark.parametrize("leaving", [False, True])
def test_a_monitor_that_is_gone_is_missed_for_as_long_as_none_takes_its_place(quiet, leaving):
    beat(quiet, leaving=leaving)
    shown = []
    for hours in (2, 23, 480):
        quiet.clock.pass_(hours=hours)
        shown.append(unwatched(quiet))
    assert shown == [2 * 3600, 25 * 3600, 505 * 3600]
    assert [each["instance"] for each in seen(quiet)["monitors"]] == ["m-1"]
    beat(quiet, instance="m-2")
    watch(quiet.deps)
    assert (unwatched(quiet), [each["instance"] for each in seen(quiet)["monitors"]]) == (0, ["m-2"])


def test_where_no_monitor_was_ever_heard_of_nobody_says_that_calls_are_watched(quiet):
    assert math.isnan(unwatched(quiet))
    beat(quiet)
    assert unwatched(quiet) == 0


def test_of_many_short_lived_monitors_only_those_are_kept_that_say_since_when_none_watches(quiet):
    beat(quiet, instance="m-0")
    for n in range(1, 5):
        quiet.clock.pass_(hours=25)
        beat(quiet, None, f"m-{n}")
        watch(quiet.deps)
    assert unwatched(quiet) == 100 * 3600
    assert [each["instance"] for each in seen(quiet)["monitors"]] == ["m-0", "m-1", "m-4"]


def test_where_none_has_ever_read_it_counts_from_the_first_however_many_came_and_went(quiet):
    for n in range(3):
        beat(quiet, None, f"m-{n}")
        watch(quiet.deps)
        quiet.clock.pass_(hours=25)
    assert unwatched(quiet) == 75 * 3600
    assert [each["instance"] for each in seen(quiet)["monitors"]] == ["m-0"]


@pytest.mark.parametrize("withdrawn", [False, True])
@pytest.mark.parametrize("left", [None, ("globex",), ("acme", "globex"), ("*",)])
def test_the_last_monitor_goes_out_of_service_with_its_token_where_none_is_left_for_its_tenants(
    quiet, withdrawn, left
):
    """A token that only ended takes nobody out of service."""
    beat(quiet)
    lives = {("acme",): timedelta(hours=1), **({} if left is None else {left: timedelta(days=9)})}
    with quiet.deps.store.write() as rows:
        reader = quiet.deps.tokens.issue(
            "monitor-1", role="metrics", tenants=("*",), ttl=timedelta(days=9), now=quiet.clock()
        )
        record_token(rows, reader)
        for tenants, ttl in lives.items():
            token = quiet.deps.tokens.issue(
                "monitor-1", role="monitor", tenants=tenants, ttl=ttl, now=quiet.clock()
            )
            record_token(rows, token)
            if withdrawn and ttl == timedelta(hours=1):
                rows.tokens.revoke(token.principal.jti, by="ada", now=quiet.clock())
    quiet.clock.pass_(minutes=30)
    assert unwatched(quiet) == 1800
    quiet.clock.pass_(hours=24)
    assert math.isnan(unwatched(quiet)) == (withdrawn and left in (None, ("globex",)))


def test_nor_is_it_told_that_calls_are_watched_where_the_last_one_that_read_is_long_gone(quiet):
    beat(quiet, instance="m-1")
    for hours in (1, 48):
        quiet.clock.pass_(hours=hours)
        watch(quiet.deps)
    beat(quiet, None, "m-2")
    watch(quiet.deps)
    assert [each["instance"] for each in seen(quiet)["monitors"]] == ["m-1", "m-2"]
    assert "Calls are watched again" not in news(quiet)
    beat(quiet, 0, "m-2")
    watch(quiet.deps)
    assert news(quiet)[-1] == "Calls are watched again"


def test_one_that_starts_beside_a_living_one_is_no_gap(quiet):
    beat(quiet, instance="m-1")
    beat(quiet, None, "m-2")
    quiet.clock.pass_(minutes=5)
    beat(quiet, instance="m-1")
    beat(quiet, None, "m-2")
    watch(quiet.deps)
    assert (news(quiet), seen(quiet)["unprotected_s"]) == ([], None)


def test_what_was_heard_survives_a_restart_of_control(quiet):
    beat(quiet, 0)
    ack(quiet, "1.0")
    watch(quiet.deps)
    quiet.deps.peers._heard.clear()  # another process knows only what was written down
    quiet.clock.pass_(minutes=2)
    watch(quiet.deps)
    assert news(quiet) == [
        "Gateway gateway-1 is silent",
        "Unprotected for 2 minutes: the monitor is behind or gone",
    ]


def test_who_could_not_be_heard_while_control_was_away_has_its_time_to_come_back(quiet):
    for name in ("gw-a", "gw-b"):
        ack(quiet, "1.0", name)
    watch(quiet.deps)
    quiet.clock.pass_(minutes=10)
    again = replace(quiet.deps, peers=PeersHeard(), watched=Watched(since=quiet.clock()))
    watch(again)
    assert news(quiet, "gateway") == []
    assert again.metrics.value("guardian_gateways", state="silent") == 0
    quiet.clock.pass_(seconds=30)
    again.peers.note("gateway", GATEWAY, "gw-a", revision=NOWHERE, transport="poll", now=quiet.clock())
    quiet.clock.pass_(seconds=31)
    watch(again)
    (told,) = quiet.call("GET", "/v1/findings", "admin", "*", params={"kind": "control"}).json()["items"]
    assert "not heard of since 2026-05-12 12:00 UTC: process gw-b;" in told["outcome"]["note"]


def test_nor_is_it_said_to_ask_for_what_it_does_not_enforce_before_it_is_heard_again(quiet):
    for name in ("gw-a", "gw-b"):
        ack(quiet, "1.0", name)
    watch(quiet.deps)
    quiet.clock.pass_(minutes=10)
    quiet.revoke("s1")
    quiet.clock.pass_(seconds=16)
    again = replace(quiet.deps, peers=PeersHeard(), watched=Watched(since=quiet.clock()))
    watch(again)
    assert news(quiet, "gateway") == []
    again.peers.note("gateway", GATEWAY, "gw-a", revision=NOWHERE, transport="poll", now=quiet.clock())
    watch(again)
    assert news(quiet, "gateway") == ["Gateway gateway-1 does not enforce the newest revocations"]
    quiet.clock.pass_(seconds=61)
    again.peers.note("gateway", GATEWAY, "gw-a", revision=NOWHERE, transport="poll", now=quiet.clock())
    watch(again)
    assert news(quiet, "gateway")[1:] == ["Gateway gateway-1 is silent"]


@pytest.fixture
def canary(make_stage):
    rule = SelfTestRule(canary_every=timedelta(minutes=15))
    return make_stage(switch=SwitchRule(watch_every_s=3600, self_test=rule))


def test_the_canary_passes_when_every_gateway_enforces_it_and_leaves_nothing_behind(canary):
    ack(canary, "1.0")
    check_the_switch(canary.deps)
    (entry,) = canary.revocations().json()["entries"]
    assert (entry["reason_code"], entry["subject_type"]) == ("self_test", "session")
    check_the_switch(canary.deps)
    assert seen(canary)["self_tests"][0]["result"] == "open"
    ack(canary, "1.1")
    check_the_switch(canary.deps)
    assert seen(canary)["self_tests"][0]["result"] == "passed"
    assert canary.revocations().json()["entries"] == []
    check_the_switch(canary.deps)
    assert len(seen(canary)["self_tests"]) == 1
    canary.clock.pass_(minutes=15)
    ack(canary, "1.2")
    check_the_switch(canary.deps)
    assert len(seen(canary)["self_tests"]) == 2
    assert news(canary) == []


def test_after_a_clock_that_was_ahead_canaries_go_on_and_none_is_shown_of_then(canary):
    assert seen(canary)["self_tests"] == []
    ack(canary, "1.0")
    canary.clock.pass_(hours=1)
    ack(canary, "1.0")
    check_the_switch(canary.deps)
    ack(canary, "1.1")
    check_the_switch(canary.deps)
    assert seen(canary)["self_tests"][0]["result"] == "passed"
    canary.clock.pass_(hours=-1)
    canary.deps.watched.since = canary.clock()  # it is back
    ack(canary, "1.2")
    check_the_switch(canary.deps)
    check_the_switch(canary.deps)
    (test,) = seen(canary)["self_tests"]
    assert (test["result"], datetime.fromisoformat(test["started_at"])) == ("open", canary.clock())


def test_a_gateway_that_stops_polling_fails_the_canary_within_its_deadline_and_pages(canary):
    ack(canary, "1.0", "gw-a")
    ack(canary, "1.0", "gw-b")
    check_the_switch(canary.deps)
    ack(canary, "1.1", "gw-a")
    canary.clock.pass_(seconds=15)
    check_the_switch(canary.deps)
    test = seen(canary)["self_tests"][0]
    assert (test["result"], test["missing"]) == ("failed", "not refused by gateway-1 (gw-b)")
    assert news(canary, "self_test") == ["A canary revocation is not enforced everywhere"]
    with canary.deps.store.read() as rows:
        assert alert_states(rows) == {"pending": 1}
    assert canary.deps.metrics.value("guardian_self_tests_total", kind="canary", result="failed") == 1


def test_one_that_was_silent_before_the_canary_began_is_not_waited_for(canary):
    ack(canary, "1.0", "gw-dead")
    canary.clock.pass_(seconds=61)
    check_the_switch(canary.deps)
    assert canary.ledger() == []  # nobody is there to enforce one
    ack(canary, "1.0", "gw-a")
    check_the_switch(canary.deps)
    ack(canary, "1.1", "gw-a")
    check_the_switch(canary.deps)
    assert result(canary) == "passed"


def test_nor_after_a_restart_of_control_which_takes_it_for_alive_at_first(canary):
    ack(canary, "1.0", "gw-dead")
    canary.clock.pass_(seconds=61)
    watch(canary.deps)
    again = replace(canary.deps, peers=PeersHeard(), watched=Watched(since=canary.clock()))
    for n in (0, 0, 1):
        canary.clock.pass_(seconds=31)
        again.peers.note(
            "gateway", GATEWAY, "gw-a", revision=Revision(epoch=1, n=n), transport="poll", now=canary.clock()
        )
        assert len(canary.ledger()) == n
        check_the_switch(again)
    assert result(canary) == "passed"


def test_one_that_falls_silent_while_a_canary_waits_for_it_fails_that(make_stage):
    rule = SelfTestRule(canary_every=timedelta(minutes=15), enforced_within=timedelta(minutes=2))
    stage = make_stage(switch=SwitchRule(watch_every_s=3600, self_test=rule))
    ack(stage, "1.0", "gw-a")
    stage.clock.pass_(seconds=59)
    check_the_switch(stage.deps)
    stage.clock.pass_(minutes=2)
    check_the_switch(stage.deps)
    assert (result(stage), seen(stage)["gateways"][0]["state"]) == ("failed", "silent")


def test_a_canary_is_counted_among_no_revocations_not_even_if_it_lapses(canary):
    ack(canary, "1.0")
    check_the_switch(canary.deps)
    canary.clock.pass_(hours=2)
    assert sweep(canary.deps) == 1
    page = canary.deps.metrics.render().decode()
    counted = [line for line in page.splitlines() if line.startswith("guardian_revocations_total{")]
    assert {line.rpartition(" ")[2] for line in counted} == {"0.0"}


def test_while_control_is_away_a_canary_has_its_time(canary):
    """It was revoked just before, and nobody could fetch it."""
    for name in ("gw-a", "gw-b"):
        ack(canary, "1.0", name)
    watch(canary.deps)
    check_the_switch(canary.deps)
    canary.clock.pass_(minutes=10)
    again = replace(canary.deps, peers=PeersHeard(), watched=Watched(since=canary.clock()))
    for _ in range(2):
        watch(again)
        check_the_switch(again)
        assert result(canary) == "open"
        canary.clock.pass_(seconds=14)
    again.peers.note(
        "gateway", GATEWAY, "gw-a", revision=Revision(epoch=1, n=1), transport="poll", now=canary.clock()
    )
    canary.clock.pass_(seconds=1)
    watch(again)
    check_the_switch(again)
    assert (result(canary), seen(canary)["self_tests"][0]["missing"]) == (
        "failed",
        "not refused by gateway-1 (gw-b)",
    )


def result(stage):
    return seen(stage)["self_tests"][0]["result"]


def test_one_canary_per_reach_and_none_without_gateways(canary):
    check_the_switch(canary.deps)
    assert canary.ledger() == []
    ack(canary, "1.0", "a", ("acme",))
    ack(canary, "1.0", "b", ("globex",))
    ack(canary, "1.0", "c", ("acme", "initech"))
    ack(canary, "1.0", "d", ("*",))
    check_the_switch(canary.deps)
    with canary.deps.store.read() as rows:
        assert {each.tenant_id for each in rows.ledger.live(None)} == {"acme", "globex"}


@pytest.mark.parametrize("path", ["/v1/revocations", "/v1/opa/bundle.tar.gz"])
def test_one_that_asks_for_one_tenant_only_does_not_lag_behind_the_others(quiet, path):
    quiet.revoke("s1")
    asked = {"params": {"tenant_id": "acme"}}
    tag = quiet.call("GET", path, "gateway", "*", **asked).headers["ETag"]
    quiet.call("POST", "/v1/sessions/globex/s2/revoke", "responder", "globex", json={"reason": "r"})
    quiet.clock.pass_(seconds=16)
    assert quiet.call("GET", path, "gateway", "*", headers={"If-None-Match": tag}, **asked).status_code == 304
    watch(quiet.deps)
    (row,) = seen(quiet)["gateways"]
    assert (row["state"], row["behind"], row["tenants"]) == ("current", 0, ["acme"])
    quiet.revoke("s3")
    quiet.clock.pass_(seconds=16)
    quiet.call("GET", path, "gateway", "*", headers={"If-None-Match": tag}, **asked)
    (row,) = seen(quiet)["gateways"]
    assert (row["state"], row["behind"], news(quiet)) == ("lagging", 1, [])


def test_nor_where_it_acknowledges_that_tenant_s_list(quiet):
    quiet.revoke("s1")
    quiet.call("POST", "/v1/sessions/globex/s2/revoke", "responder", "globex", json={"reason": "r"})
    told = {"params": {"tenant_id": "acme"}, "json": {"revision": "1.1"}}
    assert quiet.call("POST", "/v1/revocations/ack", "gateway", "*", **told).status_code == 204
    quiet.clock.pass_(seconds=16)
    (row,) = seen(quiet)["gateways"]
    assert (row["state"], row["tenants"]) == ("current", ["acme"])
    assert quiet.call("POST", "/v1/revocations/ack", "gateway", "globex", **told).status_code == 404


@pytest.mark.parametrize("path", ["/v1/revocations", "/v1/opa/bundle.tar.gz"])
def test_one_tenant_s_list_that_is_fresh_does_not_hide_another_s_that_is_not(quiet, path):
    def poll(tenant, held=""):
        asked = {"params": {"tenant_id": tenant}, "headers": {"If-None-Match": held, "Guardian-Instance": "gw-a"}}
        return quiet.call("GET", path, "gateway", "*", **asked).headers["etag"]

    stale, other = poll("acme"), poll("globex")
    quiet.revoke("s1")
    quiet.clock.pass_(seconds=16)
    poll("acme", stale), poll("globex", other)
    watch(quiet.deps)
    rows = {each["instance"]: (each["state"], each["tenants"]) for each in seen(quiet)["gateways"]}
    assert rows == {
        "gw-a for acme": ("lagging", ["acme"]),
        "gw-a for globex": ("current", ["globex"]),
    }
    assert news(quiet, "gateway") == ["Gateway gateway-1 does not enforce the newest revocations"]
    quiet.clock.pass_(minutes=5)
    poll("globex", other)
    watch(quiet.deps)
    assert news(quiet, "gateway")[1:] == ["Gateway gateway-1 is silent"]


def test_each_such_list_is_acknowledged_and_left_by_itself_whatever_the_tenant_is_called(quiet):
    def say(tenant, **more):
        told = {"params": {"tenant_id": tenant}, "json": {"revision": "1.0", **more}}
        headers = {"Guardian-Instance": "gw-a"}
        return quiet.call("POST", "/v1/revocations/ack", "gateway", "*", headers=headers, **told).status_code

    long = ["*_ \u202e" + "ü" * 500 + each for each in "ab"]
    assert {say(tenant) for tenant in ("acme", "globex", *long)} == {204}
    watch(quiet.deps)
    names = [each["instance"] for each in seen(quiet)["gateways"]]
    assert (len(set(names)), max(map(len, names)), all(map(str.isascii, names))) == (4, 128, True)
    assert {say(tenant, leaving=True) for tenant in ("globex", *long)} == {204}
    watch(quiet.deps)
    assert [each["instance"] for each in seen(quiet)["gateways"]] == ["gw-a for acme"]


def test_to_ask_for_all_that_the_token_covers_is_to_ask_for_no_tenant(quiet):
    ack(quiet, "1.0")
    told = {"params": {"tenant_id": "acme"}, "headers": {"Guardian-Instance": "gw-a"}, "json": {"revision": "1.0"}}
    assert quiet.call("POST", "/v1/revocations/ack", "gateway", **told).status_code == 204
    assert [each["instance"] for each in seen(quiet)["gateways"]] == ["gw-a"]


def test_more_silent_processes_of_a_gateway_are_told_where_its_first_one_was(quiet):
    names = [f"gateway-{n:02}" for n in range(12)]
    for name in names:
        ack(quiet, "1.0", who=name)
    quiet.clock.pass_(seconds=50)
    ack(quiet, "1.0", who=names[0], instance="gw-b")
    quiet.clock.pass_(seconds=20)
    watch(quiet.deps)  # so many are silent that they share a message
    for name in names[1:]:
        ack(quiet, "1.0", who=name)
    watch(quiet.deps)
    quiet.clock.pass_(seconds=50)
    watch(quiet.deps)
    with quiet.deps.store.read() as rows:
        told = [(read_alert(line.payload).finding.title, line.key) for line in rows.feeds.news("alerts", 100)]
    keys = [key for title, key in told if names[0] in title]
    assert (len(keys), len(set(keys))) == (2, 1)
