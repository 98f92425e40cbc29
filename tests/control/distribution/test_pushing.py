"""Faces that leave the process: CAEP receivers and the Kafka topic, in order, at least once."""

import json
import threading
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from itertools import islice

import httpx
import kafka
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey
from receivers import Dripping
from serving import Reply, answering
from structlog.testing import capture_logs
from until import until

from guardian.bootstrap.control_settings import control_settings
from guardian.bootstrap.revocation import ledger_tenants
from guardian.bus.admin import ensure_topics
from guardian.bus.kafka_producer import KafkaProducer
from guardian.bus.local_broker import LocalBroker
from guardian.bus.memory import MemoryBroker, MemoryProducer
from guardian.config import load
from guardian.control.distribution import flags as flag_feed
from guardian.control.distribution import place as ledger_place
from guardian.control.distribution import pushing
from guardian.control.distribution.pushing import Pusher
from guardian.control.lapse import sweep
from guardian.control.watchers.self_testing import test_the_switch as check_the_switch
from guardian.domain.backoff import Backoff
from guardian.errors import BusError, StoreError
from guardian.revocation.caep import PUSH, REVOKED, RISK, CaepFace
from guardian.revocation.kafka_topic import EPOCH, KafkaTopicFace, topic_of
from guardian.revocation.port import Given
from guardian.store.control.cursors import CursorRows
from guardian.store.control.head import begin_epoch
from guardian.store.control.tables import ledger, live
from guardian.telemetry import Metrics


class SetReceiver:
    """A receiver of security event tokens (RFC 8935) that verifies what it gets. `script` answers instead."""

    def __init__(self, jwks, issuer):
        self.keys = {key["kid"]: OKPKey.import_key(key) for key in jwks["keys"]}
        self.issuer, self.script, self.tokens, self.seen = issuer, [], [], []
        self.got_one, self.fails_on = threading.Event(), set()  # the sessions on whose tokens it fails

    def take(self, asked):
        if self.script:
            status, answer = self.script.pop(0)
            return Reply(answer, status)
        shown = (asked.headers["Authorization"], asked.headers["Content-Type"])
        if shown != ("Bearer theirs", "application/secevent+jwt"):
            return Reply({"err": "authentication_failed"}, 400)
        kid = jws.extract_compact(asked.body).headers()["kid"]
        told = jws.deserialize_compact(asked.body, self.keys[kid], algorithms=["Ed25519"])
        claims = json.loads(told.payload)
        assert told.headers()["typ"] == "secevent+jwt"
        assert (claims["iss"], claims["aud"]) == (self.issuer, "https://idp.test")
        if claims["sub_id"].get("session", {}).get("id") in self.fails_on:
            return Reply(status=422)
        if claims["jti"] not in self.seen:
            self.seen.append(claims["jti"])
            self.tokens.append(claims)
            self.got_one.set()
        return Reply(status=202)


def live_of(records):
    """What a topic read from its beginning says: (tenant, type, id) → the revocation. Expiry is the reader's."""
    held = {}
    for key, value in records:
        if key is None:
            continue
        if key == EPOCH:
            epoch = json.loads(value or b"{}").get("revision", {}).get("epoch", 0)
            held = {subject: told for subject, told in held.items() if told["told_in"] >= epoch}
            continue
        tenant, kind, name = json.loads(key)
        if value:
            held[tenant, kind, name] = json.loads(value)
        else:
            held.pop((tenant, kind, name), None)
    return held


@pytest.fixture
def receiver(stage):
    made = SetReceiver(stage.deps.tokens.keys.current().jwks(), stage.deps.tokens.issuer)
    with answering(made.take) as made.served:
        made.url = f"{made.served.url}/events"
        yield made


@pytest.fixture
def given(stage):
    broker = MemoryBroker()
    made = Given(
        producer=lambda: MemoryProducer(broker),
        keys=stage.deps.tokens.keys,
        issuer=stage.deps.tokens.issuer,
        clock=stage.clock,
        secret=lambda path: "theirs",
        tenants=lambda: ledger_tenants(stage.deps.store),
        lacks=lambda topic: False,
    )
    object.__setattr__(made, "producer", lambda: MemoryProducer(broker))
    return made, broker


@pytest.fixture
def caep(stage, receiver, given):
    options = {"url": receiver.url, "audience": "https://idp.test", "token_file": "idp.token"}
    (face,) = CaepFace(receivers=(options,)).open(given[0])
    yield Pusher(stage.deps, face)
    face.close()


def drain(pusher):
    while pusher.step():
        pass


def test_a_revocation_arrives_as_a_verified_session_revoked_event(stage, receiver, caep):
    drain(caep)
    stage.revoke("s1")
    drain(caep)
    (claims,) = receiver.tokens
    assert claims["sub_id"]["session"] == {"format": "opaque", "id": "s1"}
    assert claims["sub_id"]["tenant"]["id"] == "acme"
    assert claims["events"][REVOKED]["reason_admin"] == {"en": "guardian: manual"}
    assert "exp" not in claims
    assert "sub" not in claims


def test_what_is_live_already_is_told_to_a_new_receiver_and_nothing_twice(stage, receiver, caep):
    stage.revoke("s1")
    stage.revoke("s2")
    drain(caep)
    drain(caep)
    assert [each["sub_id"]["session"]["id"] for each in receiver.tokens] == ["s1", "s2"]


def test_flags_and_reinstatements_are_changes_of_the_risk_level(stage, receiver, caep, a_finding):
    drain(caep)
    stage.submit(a_finding())  # in shadow: a flag
    stage.revoke("s2")
    stage.reinstate("s2")
    drain(caep)
    told = [(next(iter(each["events"])), next(iter(each["events"].values()))) for each in receiver.tokens]
    assert {event for event, _ in told} == {REVOKED, RISK}
    assert sorted(body["current_level"] for event, body in told if event == RISK) == ["HIGH", "LOW"]


@pytest.mark.parametrize(("kind", "member"), [("agent", "application"), ("delegator", "user"), ("jti", "token")])
def test_who_was_revoked_for_a_while_may_act_again_when_that_is_over(stage, receiver, caep, kind, member):
    drain(caep)
    path = f"/v1/subjects/acme/{kind}/x/revoke"
    stage.call("POST", path, "responder", json={"reason": "r", "seconds": 60})
    stage.revoke("s1")
    stage.clock.pass_(days=40)
    sweep(stage.deps)
    drain(caep)
    assert sorted(status for status, _, _ in stage.ledger()) == ["lapsed", "lapsed", "revoked", "revoked"]
    told = [next(iter(each["events"].items())) for each in receiver.tokens if member in each["sub_id"]]
    assert [event for event, _ in told] == [REVOKED, RISK]
    assert (told[1][1]["current_level"], told[1][1]["initiating_entity"]) == ("LOW", "policy")
    assert len(receiver.tokens) == 3, "the session is over itself"


def test_the_tests_of_the_switch_are_no_events_of_anybody(stage, receiver, caep):
    drain(caep)
    stage.call("POST", "/v1/revocations/ack", "gateway", json={"revision": "1.0"})
    check_the_switch(stage.deps)
    stage.call("POST", "/v1/revocations/ack", "gateway", json={"revision": "1.1"})
    check_the_switch(stage.deps)
    assert stage.ledger() == [("revoked", "self_test", "guardian"), ("reinstated", "self_test", "guardian")]
    stage.revoke("s1")
    drain(caep)
    assert [each["sub_id"]["session"]["id"] for each in receiver.tokens] == ["s1"]


def test_an_event_says_whom_it_is_about_and_whether_a_person_meant_it(stage, receiver, caep):
    drain(caep)
    for session, parent in (("root", None), ("child", "root")):
        told = {"delegator_id": "u", "tenant_id": "acme", "session_id": session, "parent_session_id": parent}
        stage.call("POST", "/v1/envelopes", "delegation", json={"envelope": {**told, "purpose": "p"}})
    stage.revoke("root")
    for verb, who in (("revoke", "ann"), ("reinstate", "bob")):
        path = f"/v1/subjects/acme/delegator/u/{verb}"
        stage.call("POST", path, "approver", who=who, json={"reason": "r"})
    drain(caep)
    told = [next(iter(each["events"].values())) for each in receiver.tokens]
    assert [each["initiating_entity"] for each in told] == ["admin", "policy", "admin", "admin"]
    assert told[-1]["principal"] == "USER"


def test_a_receiver_that_is_away_gets_everything_in_order_when_it_is_back(stage, receiver, caep):
    drain(caep)
    for name in ("s1", "s2", "s3"):
        stage.revoke(name)
    receiver.script = [(202, b""), (503, b""), (429, b"")]
    for _ in range(2):
        with pytest.raises(ConnectionError):
            drain(caep)
    drain(caep)
    assert [each["sub_id"]["session"]["id"] for each in receiver.tokens] == ["s2", "s3"]  # s1 was taken before


def test_a_revocation_goes_before_the_flags_that_wait_and_all_of_them_arrive(stage, receiver, caep, a_finding):
    drain(caep)
    for n in range(5):
        stage.submit(a_finding(f"f{n}"))  # in shadow: a flag
    flagged = caep._receiver.flagged

    class Meanwhile:
        def __getattr__(self, name):
            return getattr(receiver_of, name)

        def flagged(self, finding):
            flagged(finding)
            if finding.session_id == "f1":
                stage.revoke("late")

    receiver_of, caep._flags._receiver = caep._receiver, Meanwhile()
    drain(caep)
    assert [each["sub_id"]["session"]["id"] for each in receiver.tokens] == ["f0", "f1", "late", "f2", "f3", "f4"]


def test_a_finding_that_this_version_cannot_read_keeps_neither_revocations_nor_other_flags(
    stage, receiver, caep, a_finding
):
    drain(caep)
    for session in ("f1", "unread", "f2"):
        stage.submit(a_finding(session))  # in shadow: a flag
    stage.revoke("s1")
    with stage.deps.store.write() as rows:
        newer = """UPDATE control_finding SET finding = replace(finding, '"kind":"drift"', '"kind":"anew"')"""
        rows.connection.exec_driver_sql(f"{newer} WHERE session_id = 'unread'")
    with capture_logs() as lines:
        drain(caep)
    assert sessions(receiver) == ["s1", "f1", "f2"]
    assert [line["finding"] for line in lines if line["event"] == "finding_unreadable"] == [2]


def test_a_flag_on_which_the_receiver_fails_keeps_no_revocation_waiting(stage, receiver, caep, a_finding):
    drain(caep)
    stage.submit(a_finding("odd"))  # in shadow: a flag
    receiver.fails_on.add("odd")
    for name in ("s1", "s2"):
        stage.revoke(name)
        drain(caep)
        assert sessions(receiver)[-1] == name
        stage.clock.pass_(minutes=2)
    assert lag_of(stage, caep) == 240
    drain(caep)
    assert push_news(stage) == []
    stage.clock.pass_(minutes=2)
    drain(caep)
    (news,) = push_news(stage)
    assert f"{told_as(receiver)} has taken no flag since " in news
    receiver.fails_on.clear()
    stage.clock.pass_(minutes=2)
    drain(caep)
    assert (sessions(receiver), lag_of(stage, caep)) == (["s1", "s2", "odd"], 0)


def test_nor_any_other_flag_for_long_and_people_hear_that_it_was_set_aside(
    stage, receiver, caep, a_finding, monkeypatch
):
    monkeypatch.setattr(flag_feed, "_BATCH", 2)
    drain(caep)
    receiver.fails_on.update(("odd", "odder"))
    odd, odder, *_ = flags = [a_finding(name) for name in ("odd", "odder", "f1", "f2")]
    for each in flags:
        stage.submit(each)
    for _ in range(4):
        drain(caep)
        stage.clock.pass_(minutes=1)
        assert (sessions(receiver), push_news(stage)) == ([], [])
    for _ in range(8):
        drain(caep)
        stage.clock.pass_(minutes=1)
    assert sessions(receiver) == ["f1", "f2"]
    assert [each for each in push_news(stage) if "refused" in each] == [
        f"{told_as(receiver)} refused {each.id} (failed) for good" for each in (odder, odd)
    ]


def test_how_often_another_flag_failed_counts_for_none(stage, receiver, caep, a_finding):
    drain(caep)
    for name in ("odd", "f1", "f2"):
        stage.submit(a_finding(name))
    receiver.fails_on.add("odd")
    for _ in range(4):
        drain(caep)
        stage.clock.pass_(minutes=1)
    place = f"{caep._receiver.name}#findings"
    with stage.deps.store.write() as rows:  # as another process does, which set it aside
        at = rows.cursors.get(place)
        rows.cursors.put(replace(at, revision=at.revision.model_copy(update={"n": at.revision.n + 1})))
    receiver.fails_on = {"f1"}
    drain(caep)
    receiver.fails_on.clear()
    stage.clock.pass_(minutes=1)
    drain(caep)
    assert sessions(receiver) == ["f1", "f2"]


def test_where_it_fails_on_all_flags_it_is_away_and_none_is_set_aside(stage, receiver, caep, a_finding):
    drain(caep)
    receiver.fails_on.update(("f1", "f2"))
    stage.submit(a_finding("f1"))
    for _ in range(10):
        drain(caep)
        stage.clock.pass_(minutes=1)
    stage.submit(a_finding("f2"))
    for _ in range(10):
        drain(caep)
        stage.clock.pass_(minutes=1)
    receiver.fails_on.clear()
    drain(caep)
    assert sessions(receiver) == ["f1", "f2"]
    assert not [each for each in push_news(stage) if "refused" in each]


REFUSED = (400, b'{"err": "invalid_request"}')
NO_CODE = (b"", b"<html>400 Bad Request</html>", b'{"err": null}', b'["err"]', b'{"err": "<b>no</b>"}')
ABOUT_US = ("invalid_key", "invalid_issuer", "invalid_audience", "authentication_failed", "access_denied")


def sessions(receiver):
    return [each["sub_id"]["session"]["id"] for each in receiver.tokens]


def told_as(receiver):
    return f"caep: https://idp.test at {receiver.served.url.removeprefix('http://')}"


def push_news(stage):
    news = stage.call("GET", "/v1/findings", "admin", "*", params={"kind": "control"}).json()["items"]
    return [each["finding"]["reasons"][0]["text"] for each in news]


def test_a_new_receiver_that_refuses_one_token_gets_all_the_others_and_what_comes_later(stage, receiver, caep):
    for name in ("s1", "s2", "s3"):
        stage.revoke(name)
    receiver.script = [REFUSED]
    drain(caep)
    stage.revoke("s4")
    drain(caep)
    assert sessions(receiver) == ["s2", "s3", "s4"]
    assert push_news(stage) == [f"{told_as(receiver)} refused 1.1 (invalid_request) for good"]


def test_tokens_that_are_refused_together_are_one_piece_of_news(stage, receiver, caep):
    for name in ("s1", "s2", "s3", "s4"):
        stage.revoke(name)
    receiver.script = [REFUSED] * 3
    drain(caep)
    assert sessions(receiver) == ["s4"]
    assert push_news(stage) == [f"{told_as(receiver)} refused 1.1 (invalid_request) and 2 more for good"]


def test_a_new_receiver_that_was_away_for_a_moment_goes_on_where_it_was(stage, receiver, caep):
    for name in ("s1", "s2", "s3"):
        stage.revoke(name)
    receiver.script = [(202, b""), (503, b"")]
    with pytest.raises(ConnectionError):
        drain(caep)
    stage.reinstate("s1")
    drain(caep)
    assert sessions(receiver) == ["s2", "s3", "s1"]  # s1 was taken before, and now it is given back
    assert RISK in receiver.tokens[-1]["events"]


def test_a_long_list_comes_in_pieces_and_each_entry_once(stage, receiver, caep, monkeypatch):
    monkeypatch.setattr(ledger_place, "_BATCH", 2)
    for n in range(4):
        stage.revoke(f"s{n}")
    assert caep.step()
    stage.revoke("late")
    drain(caep)
    assert sessions(receiver) == ["s0", "s1", "s2", "s3", "late"]
    assert stage.deps.metrics.value("guardian_pushes_total", face="caep", outcome="sent") == 5


def test_an_epoch_that_begins_while_the_list_is_brought_begins_it_anew(stage, topic, monkeypatch):
    monkeypatch.setattr(ledger_place, "_BATCH", 2)
    pusher, broker = topic
    for n in range(3):
        stage.revoke(f"s{n}")
    assert pusher.step()
    with stage.deps.store.write() as rows:
        begin_epoch(rows.connection, 2, 100, stage.clock())
    drain(pusher)
    written = records(broker)
    assert [key for key, _ in written].count(EPOCH) == 1
    assert written[-1][0] == EPOCH
    assert {name for _, _, name in live_of(written)} == {"s0", "s1", "s2"}


@pytest.mark.parametrize(
    "answer",
    [(400, json.dumps({"err": code}).encode()) for code in ABOUT_US]
    + [(status, b"") for status in (401, 403, 404, 429, 500, 503)]
    + [(400, body) for body in NO_CODE],
    ids=str,
)
def test_what_a_receiver_has_against_us_or_cannot_do_now_is_tried_again_and_loses_nothing(
    stage, receiver, caep, answer
):
    drain(caep)
    stage.revoke("s1")
    receiver.script = [answer]
    with pytest.raises(ConnectionError):
        drain(caep)
    drain(caep)
    assert sessions(receiver) == ["s1"]


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (
            b'{"err": "invalid_request", "description": "no\\nsuch subject"}',
            "invalid_request",
            "no such subject",
        ),
        (b'{"err": "unsupported_event"}', "unsupported_event", "no reason given"),
    ],
)
def test_a_400_about_one_event_sets_it_aside_with_its_reason_and_the_next_one_follows(
    stage, receiver, caep, capsys, answer, code, says
):
    drain(caep)
    stage.revoke("s1")
    stage.revoke("s2")
    receiver.script = [(400, answer)]
    drain(caep)
    assert sessions(receiver) == ["s2"]
    assert push_news(stage) == [f"{told_as(receiver)} refused 1.1 ({code}) for good"]
    news = stage.call("GET", "/v1/findings", "admin", "*", params={"kind": "control"}).json()["items"]
    assert [each["finding"]["title"] for each in news] == ["Revocations do not reach a receiver (caep)"]
    assert stage.deps.metrics.value("guardian_pushes_total", face="caep", outcome="refused") == 1
    assert stage.deps.metrics.value("guardian_pushes_total", face="caep", outcome="failed") == 0
    assert f"{code}: {says}" in capsys.readouterr().out


@pytest.mark.parametrize("status", [202, 500])
def test_an_answer_is_not_read_to_its_end(stage, receiver, caep, status):
    drain(caep)
    stage.revoke("s1")
    receiver.script = [(status, b" " * 2**26)]
    with nullcontext() if status == 202 else pytest.raises(ConnectionError):
        drain(caep)
    assert receiver.served.cut.wait(10)


def test_people_hear_of_a_receiver_that_takes_nothing_for_minutes(stage, receiver, caep):
    drain(caep)
    stage.revoke("s1")
    stage.clock.pass_(minutes=6)
    caep._trouble.failed(ConnectionError("away"), 3)
    news = stage.call("GET", "/v1/findings", "admin", "*", params={"kind": "control"}).json()["items"]
    assert f"{told_as(receiver)} has taken nothing since" in news[0]["finding"]["reasons"][0]["text"]
    assert lag_of(stage, caep) == 360


def lag_of(stage, pusher):
    pusher.measure()
    name = pusher._receiver.name
    return stage.deps.metrics.value("guardian_push_lag_seconds", face="caep", receiver=name)


def test_what_waits_is_shown_while_a_receiver_holds_up_who_pushes(stage, receiver, caep):
    drain(caep)
    deliver, lags = caep._receiver.deliver, []

    class Holding:
        def __getattr__(self, name):
            return getattr(held, name)

        def deliver(self, entry):
            stage.clock.pass_(minutes=1)
            lags.append(lag_of(stage, caep))
            deliver(entry)

    held, caep._receiver = caep._receiver, Holding()
    for name in ("s1", "s2"):
        stage.revoke(name)
        stage.clock.pass_(minutes=1)
    drain(caep)
    assert (lags, lag_of(stage, caep)) == ([180, 180], 0)


def test_a_receiver_that_is_well_does_not_hide_one_that_takes_nothing(stage, receiver, given):
    whole = {"url": receiver.url, "audience": "https://idp.test", "token_file": "idp.token"}
    faces = CaepFace(receivers=[{**whole, "tenants": [tenant]} for tenant in ("acme", "globex")]).open(given[0])
    sick, well = (Pusher(stage.deps, face) for face in faces)
    for each in (sick, well):
        drain(each)
    stage.revoke("s1")
    stage.clock.pass_(minutes=1)
    sick._trouble.failed(ConnectionError("away"), 3)
    drain(well)
    assert [lag_of(stage, each) for each in (sick, well)] == [60, 0]
    for face in faces:
        face.close()


def test_nor_does_one_seem_behind_once_another_process_has_brought_it_everything(stage, receiver, caep):
    drain(caep)
    stage.revoke("s1")
    stage.clock.pass_(minutes=1)
    caep._trouble.failed(ConnectionError("away"), 3)
    drain(Pusher(replace(stage.deps, metrics=Metrics()), caep._receiver))
    assert lag_of(stage, caep) == 0


def test_it_runs_by_itself_and_stops(stage, receiver, caep):
    stop = threading.Event()
    running = threading.Thread(target=caep.run, args=(stop,))
    silence = stage.deps.store.subscribe(caep.wake)
    running.start()
    stage.revoke("s1")
    assert receiver.got_one.wait(30)
    stop.set()
    caep.wake()
    running.join(30)
    silence()
    assert len(receiver.tokens) == 1
    assert not running.is_alive()


class Counted(threading.Event):
    """Is set once somebody has waited on it so often; waits for nothing."""

    def __init__(self, most):
        super().__init__()
        self.most, self.waits = most, []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        if len(self.waits) == self.most:
            self.set()
        return self.is_set()


def test_the_pauses_of_a_receiver_that_is_away_grow_to_a_minute(stage, receiver, caep):
    receiver.script.extend([(503, b"")] * 9)
    stage.revoke("s1")
    stop = Counted(9)
    caep.run(stop)
    for pause, most in zip(stop.waits, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert most / 2 <= pause < most


def test_which_receiver_is_meant_is_said_at_the_start_and_with_each_trouble_and_no_secret_of_its_url(
    stage, given, capsys
):
    told = {"url": "https://me:pass@idp.test/events?key=hidden", "audience": "idp", "tenants": ["acme", "globex"]}
    (face,) = CaepFace(receivers=(told,)).open(given[0])
    pusher, stop = Pusher(stage.deps, face), threading.Event()
    stop.set()
    pusher.run(stop)
    pusher._trouble.failed(ConnectionError("away"), 1)
    said = [line for line in capsys.readouterr().out.splitlines() if face.name in line]
    assert [event for line in said for event in ("push_begins", "push_failed") if event in line] == [
        "push_begins",
        "push_failed",
    ]
    assert all("idp at idp.test for acme, globex" in line for line in said)
    assert not [line for line in said if "pass" in line or "hidden" in line]


def test_receivers_that_could_not_be_trusted_are_refused_at_start():
    for url in ("http://idp.example/events", "ftp://x"):
        with pytest.raises(ValueError, match="https"):
            CaepFace(receivers=({"url": url, "audience": "a"},))
    for wrong in ({"url": "https://x"}, {"url": "https://x", "audience": "a", "x": 1}):
        with pytest.raises(ValueError, match="a receiver has"):
            CaepFace(receivers=(wrong,))
    with pytest.raises(ValueError, match="at least one"):
        CaepFace()


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_time_out_in_which_nothing_could_arrive_is_refused_at_start(seconds):
    with pytest.raises(ValueError, match="timeout_s must lie between"):
        CaepFace(receivers=({"url": "https://x", "audience": "a"},), timeout_s=seconds)


def test_one_endpoint_may_take_the_events_of_several_tenants_apart_and_misses_none(stage, receiver, given):
    whole = {"url": receiver.url, "audience": "https://idp.test", "token_file": "idp.token"}
    faces = CaepFace(receivers=[{**whole, "tenants": ["acme"]}, {**whole, "tenants": ["globex"]}]).open(given[0])
    pushers = [Pusher(stage.deps, each) for each in faces]
    for each in pushers:
        drain(each)
    for tenant in ("acme", "globex"):
        path = f"/v1/sessions/{tenant}/s1/revoke"
        assert stage.call("POST", path, "responder", tenant, json={"reason": "stop"}).status_code == 200
    for each, face in zip(pushers, faces, strict=True):
        drain(each)
        face.close()
    assert {each["sub_id"]["tenant"]["id"] for each in receiver.tokens} == {"acme", "globex"}


def test_a_receiver_that_gets_one_tenant_more_hears_what_holds_there_already(stage, receiver, given):
    whole = {"url": receiver.url, "audience": "https://idp.test", "token_file": "idp.token"}
    stage.revoke("s1")
    for tenants in (["globex"], ["globex", "acme"]):
        (face,) = CaepFace(receivers=[{**whole, "tenants": tenants}]).open(given[0])
        drain(Pusher(stage.deps, face))
        face.close()
    assert [each["sub_id"]["session"]["id"] for each in receiver.tokens] == ["s1"]


def test_a_new_receiver_waits_behind_nobody_else_and_counts_only_what_it_got(stage, receiver, given, monkeypatch):
    monkeypatch.setattr(ledger_place, "_BATCH", 2)
    whole = {"url": receiver.url, "audience": "https://idp.test", "token_file": "idp.token", "tenants": ["globex"]}
    for tenant, names in (("acme", "abcde"), ("globex", "xyz")):
        for name in names:
            path = f"/v1/sessions/{tenant}/{name}/revoke"
            assert stage.call("POST", path, "responder", tenant, json={"reason": "stop"}).status_code == 200
    stage.clock.pass_(minutes=2)
    (face,) = CaepFace(receivers=[whole]).open(given[0])
    pusher = Pusher(stage.deps, face)
    lags = []
    while pusher.step():
        lags.append(lag_of(stage, pusher))
    assert [each["sub_id"]["session"]["id"] for each in receiver.tokens] == ["x", "y", "z"]
    assert stage.deps.metrics.value("guardian_pushes_total", face="caep", outcome="sent") == 3
    assert lags == [120, 0]
    face.close()


def test_receivers_that_would_miss_something_are_refused_at_start():
    one = {"url": "https://x", "audience": "a"}
    with pytest.raises(ValueError, match="twice"):
        CaepFace(receivers=(one, {**one, "token_file": "other.token"}))
    for nobody in ("acme", "*", [], ["acme", ""], ["acme*"], ["acme", "a*b"], ["a/b"], [["acme"]], [1]):
        with pytest.raises(ValueError, match="a list of names"):
            CaepFace(receivers=({**one, "tenants": nobody},))
    for every in (["*"], ["*", "acme"], None):
        with pytest.raises(ValueError, match="twice"):
            CaepFace(receivers=(one, {**one, "tenants": every}))


@pytest.mark.parametrize("every", [["*"], ["acme", "*"]])
def test_a_star_among_a_receivers_tenants_is_every_tenant_as_everywhere(stage, receiver, given, every):
    whole = {"url": receiver.url, "audience": "https://idp.test", "token_file": "idp.token"}
    (face,) = CaepFace(receivers=[{**whole, "tenants": every}]).open(given[0])
    (without,) = CaepFace(receivers=[whole]).open(given[0])
    assert (face.name, face.shown, face.reach) == (without.name, without.shown, None)
    stage.revoke("s1")
    drain(Pusher(stage.deps, face))
    assert [each["sub_id"]["session"]["id"] for each in receiver.tokens] == ["s1"]
    face.close()
    without.close()


def test_the_configuration_document_points_to_the_keys(make_stage):
    assert make_stage().client.get("/.well-known/ssf-configuration").status_code == 404
    told = make_stage(public_url="https://g.test/").client.get("/.well-known/ssf-configuration").json()
    assert told["jwks_uri"] == "https://g.test/.well-known/jwks.json"
    assert told["delivery_methods_supported"] == [PUSH]


def test_no_receiver_may_pass_over_whom_an_event_is_about(make_stage, receiver, caep, stage):
    """Without `task` and `token`, which stand in no registry, what is left would be the whole tenant."""
    drain(caep)
    for kind in ("agent", "delegator", "task", "jti"):
        stage.call("POST", f"/v1/subjects/acme/{kind}/x/revoke", "responder", json={"reason": "r"})
    stage.revoke("s1")
    drain(caep)
    members = {name for each in receiver.tokens for name in each["sub_id"]} - {"format"}
    told = make_stage(public_url="https://g.test/").client.get("/.well-known/ssf-configuration").json()
    assert len(receiver.tokens) == 5
    assert members == set(told["critical_subject_members"])


def test_events_may_have_an_issuer_of_their_own_as_ssf_wants_it(make_stage, stage, receiver, given):
    whole = {"url": receiver.url, "audience": "https://idp.test", "token_file": "idp.token"}
    ours = "https://guardian.example/acme"
    (face,) = CaepFace(receivers=[whole], issuer=ours).open(given[0])
    receiver.issuer = ours
    stage.revoke("s1")
    drain(Pusher(stage.deps, face))
    face.close()
    assert sessions(receiver) == ["s1"]
    settings = load(None, overrides={"revocation": {"faces": {"caep": {"receivers": [whole], "issuer": ours}}}})
    shown = make_stage(public_url="https://g.test/", event_issuer=control_settings(settings).event_issuer)
    assert shown.client.get("/.well-known/ssf-configuration").json()["issuer"] == ours
    assert control_settings(load(None)).event_issuer is None
    for wrong in ("guardian", "http://g.test", "https://g.test/?a", "https://"):
        with pytest.raises(ValueError, match="https URL"):
            CaepFace(receivers=[whole], issuer=wrong)


def records(broker, topic="guardian.revocations"):
    return [(each.key, each.value or None) for each in broker.records(topic)]


@pytest.fixture
def topic(stage, given):
    (face,) = KafkaTopicFace().open(given[0])
    return Pusher(stage.deps, face), given[1]


def test_the_topic_read_from_its_beginning_is_the_list(stage, topic):
    pusher, broker = topic
    stage.revoke("s1")
    drain(pusher)
    stage.revoke("s2")
    stage.reinstate("s1")
    stage.call("POST", "/v1/subjects/acme/agent/a/revoke", "responder", json={"reason": "r"})
    drain(pusher)
    assert set(live_of(records(broker))) == {("acme", "session", "s2"), ("acme", "agent", "a")}
    compacted = dict(records(broker)).items()  # what a compacting broker would have kept
    assert set(live_of(compacted)) == {("acme", "session", "s2"), ("acme", "agent", "a")}


def test_a_new_epoch_voids_what_an_older_one_said(stage, topic):
    pusher, broker = topic
    stage.revoke("s1")
    stage.revoke("s2")
    drain(pusher)
    with stage.deps.store.write() as rows:  # a backup from before s2
        rows.connection.execute(live.delete().where(live.c.subject_id == "s2"))
        begin_epoch(rows.connection, 2, 100, stage.clock())
    drain(pusher)
    held = live_of(records(broker))
    assert set(held) == {("acme", "session", "s1")}


@pytest.fixture
def own_topics(stage, given):
    (face,) = KafkaTopicFace(topic="rev.{tenant}").open(given[0])
    return Pusher(stage.deps, face), given[1]


def test_a_new_epoch_is_told_to_each_tenant_of_whom_anything_was_said(stage, own_topics):
    pusher, broker = own_topics
    drain(pusher)
    assert records(broker, topic_of("rev.{tenant}", "")) == [], "there is no tenant without a name"
    for tenant in ("acme", "globex"):
        revoke(stage, tenant, "before")
    drain(pusher)
    with stage.deps.store.write() as rows:  # a backup that has neither of globex's as live
        rows.connection.execute(live.delete().where(live.c.tenant_id == "globex"))
        begin_epoch(rows.connection, 2, 100, stage.clock())
    drain(pusher)
    assert set(live_of(records(broker, "rev.acme"))) == {("acme", "session", "before")}
    assert live_of(records(broker, "rev.globex")) == {}


def test_a_tenant_that_only_the_lost_part_of_the_ledger_named_hears_of_the_new_epoch_with_its_next_entry(
    stage, own_topics
):
    pusher, broker = own_topics
    drain(pusher)
    revoke(stage, "globex", "lost")
    drain(pusher)
    with stage.deps.store.write() as rows:  # a backup from before
        rows.connection.execute(live.delete())
        rows.connection.execute(ledger.delete())
        begin_epoch(rows.connection, 2, 100, stage.clock())
    drain(pusher)
    revoke(stage, "globex", "new")
    drain(pusher)
    assert set(live_of(records(broker, "rev.globex"))) == {("globex", "session", "new")}


def revoke(stage, tenant, name):
    with stage.deps.store.write() as rows:
        rows.ledger.append(
            tenant_id=tenant,
            subject_id=name,
            status="revoked",
            reason_code="manual",
            reason="",
            actor="ann",
            now=stage.clock(),
            expires_at=stage.clock() + timedelta(days=1),
        )


class Lacking(MemoryProducer):
    """Of a broker that makes no topic by itself."""

    def __init__(self, broker, missing):
        super().__init__(broker)
        self._missing = missing

    def send(self, topic, value, **more):
        if topic in self._missing:
            raise BusError(f"cannot write to {topic}")
        super().send(topic, value, **more)


@pytest.fixture
def lacking(stage, given):
    """Pushers of a topic for each tenant, the broker, and which topics it lacks."""
    made, broker = given
    missing = {"rev.new"}
    object.__setattr__(made, "producer", lambda: Lacking(broker, missing))
    object.__setattr__(made, "lacks", missing.__contains__)

    def pusher():
        (face,) = KafkaTopicFace(topic="rev.{tenant}").open(made)
        return Pusher(stage.deps, face)

    return pusher, broker, missing


@pytest.mark.parametrize("begun", [True, False])
def test_a_tenant_whose_topic_is_not_there_holds_up_no_other_and_gets_its_whole_list_once_it_is(
    stage, lacking, begun
):
    make, broker, missing = lacking
    pusher = make()
    if begun:
        drain(pusher)
    for tenant, name in (("new", "n1"), ("acme", "a1"), ("new", "n2"), ("acme", "a2")):
        revoke(stage, tenant, name)
    drain(pusher)
    assert set(live_of(records(broker, "rev.acme"))) == {("acme", "session", "a1"), ("acme", "session", "a2")}
    stage.clock.pass_(minutes=10)
    after_a_restart = make()
    for each in (pusher, after_a_restart):
        drain(each)
        [apart] = each.apart
        with pytest.raises(BusError):
            drain(apart)
        each.measure()
        lags = {
            name: stage.deps.metrics.value("guardian_push_lag_seconds", face="kafka_topic", receiver=name)
            for name in ("kafka_topic/rev.{tenant}", "kafka_topic/rev.new")
        }
        assert list(lags.values()) == [0, 600]
    apart._trouble.failed(BusError("away"), 1)
    [news] = push_news(stage)
    assert news.startswith("kafka_topic: topic rev.new has taken nothing since ")
    missing.clear()
    revoke(stage, "new", "n3")
    drain(after_a_restart)
    drain(apart)
    written = records(broker, "rev.new")
    assert set(live_of(written)) == {("new", "session", name) for name in ("n1", "n2", "n3")}
    assert sum(key == EPOCH for key, _ in written) == 1
    assert len(written) == 4, "from one pusher each"


def test_a_tenant_of_whom_only_the_past_tells_may_lack_its_topic_too(stage, lacking):
    make, broker, _ = lacking
    revoke(stage, "new", "n1")
    revoke(stage, "acme", "a1")
    with stage.deps.store.write() as rows:
        rows.connection.execute(live.delete().where(live.c.tenant_id == "new"))
    pusher = make()
    drain(pusher)
    assert set(live_of(records(broker, "rev.acme"))) == {("acme", "session", "a1")}
    assert [each._receiver.reach for each in pusher.apart] == [{"new"}]


def test_where_it_cannot_be_kept_that_a_tenant_is_left_none_of_its_entries_is_passed_over(
    stage, lacking, monkeypatch
):
    make, broker, missing = lacking
    pusher = make()
    drain(pusher)
    revoke(stage, "new", "n1")
    with monkeypatch.context() as patched:

        def broken(rows, at):
            raise StoreError("the database is locked")

        patched.setattr(CursorRows, "put", broken)
        with pytest.raises(StoreError):
            pusher.step()
    drain(pusher)
    missing.clear()
    [apart] = pusher.apart
    drain(apart)
    assert set(live_of(records(broker, "rev.new"))) == {("new", "session", "n1")}


def test_what_another_process_left_is_taken_up_should_that_be_gone(stage, lacking):
    make, broker, missing = lacking
    gone, stays = make(), make()
    drain(stays)
    revoke(stage, "new", "n1")
    drain(gone)
    missing.clear()
    drain(stays)
    assert stays.apart == []
    stays._partings._looks_at = 0.0
    drain(stays)
    [apart] = stays.apart
    drain(apart)
    assert set(live_of(records(broker, "rev.new"))) == {("new", "session", "n1")}


def test_people_hear_of_it_too_where_the_list_is_of_an_older_epoch(stage, lacking, monkeypatch):
    monkeypatch.setattr(pushing, "_PAUSE", Backoff(0.05, 0.05))
    make, _, missing = lacking
    revoke(stage, "new", "n1")
    with stage.deps.store.write() as rows:
        begin_epoch(rows.connection, 2, 100, stage.clock())
    pusher, stop = make(), threading.Event()
    drain(pusher)
    [apart] = pusher.apart
    running = threading.Thread(target=apart.run, args=(stop,))
    running.start()
    until(lambda: apart._fails_since is not None)
    assert push_news(stage) == []
    stage.clock.pass_(minutes=6)
    until(lambda: push_news(stage))
    assert lag_of_part(stage, apart) == 360
    missing.clear()
    until(lambda: apart._fails_since is None)
    assert lag_of_part(stage, apart) == 0
    stop.set()
    apart.wake()
    running.join(30)
    [news] = push_news(stage)
    assert news.startswith("kafka_topic: topic rev.new has taken nothing since ")


def lag_of_part(stage, pusher):
    pusher.measure()
    return stage.deps.metrics.value(
        "guardian_push_lag_seconds", face="kafka_topic", receiver=pusher._receiver.name
    )


def test_the_one_that_waits_for_its_topic_runs_beside_the_others(stage, lacking, monkeypatch):
    monkeypatch.setattr(pushing, "_PAUSE", Backoff(0.05, 0.05))
    make, broker, missing = lacking
    pusher, stop = make(), threading.Event()
    silence = stage.deps.store.subscribe(pusher.wake)
    running = threading.Thread(target=pusher.run, args=(stop,))
    running.start()
    revoke(stage, "new", "n1")
    revoke(stage, "acme", "a1")
    until(lambda: records(broker, "rev.acme"))
    assert records(broker, "rev.new") == []
    missing.clear()
    until(lambda: live_of(records(broker, "rev.new")))
    stop.set()
    pusher.wake()
    running.join(30)
    silence()
    assert not running.is_alive()


def test_a_broker_that_is_away_lacks_no_topic(stage, lacking, given):
    def unknown(topic):
        raise BusError("nobody answers")

    make, _, _ = lacking
    for lacks in (unknown, lambda topic: False):
        object.__setattr__(given[0], "lacks", lacks)
        pusher = make()
        revoke(stage, "new", "n1")
        with pytest.raises(BusError):
            drain(pusher)
        assert pusher.apart == []


def test_a_broker_that_is_away_loses_nothing(stage, topic):
    pusher, broker = topic
    drain(pusher)
    stage.revoke("s1")
    broker.stop()
    with pytest.raises(BusError):
        drain(pusher)
    broker.restart()
    drain(pusher)
    assert set(live_of(records(broker))) == {("acme", "session", "s1")}


class Slow:
    """The receiver of another process on the same database: `meanwhile` happens before its entry arrives."""

    def __init__(self, receiver, meanwhile, *, answers=True):
        self.receiver, self.meanwhile, self.answers = receiver, [meanwhile], answers

    def __getattr__(self, name):
        return getattr(self.receiver, name)

    def deliver(self, entry):
        self._late(self.receiver.deliver, entry)

    def begin(self, entry, revision):
        self._late(self.receiver.begin, entry, revision)

    def _late(self, send, *what):
        late = self.meanwhile.pop() if self.meanwhile else None
        if late is not None:
            late()
        send(*what)
        if late is not None and not self.answers:
            raise ConnectionError("it arrived, and the answer did not")


@pytest.fixture
def slow_topic(stage, given):
    """A second pusher of the topic."""

    def make(meanwhile, **more):
        (face,) = KafkaTopicFace().open(given[0])
        return Pusher(stage.deps, Slow(face, meanwhile, **more))

    return make


@pytest.mark.parametrize("answers", [True, False])
def test_of_two_pushers_the_late_entry_of_one_does_not_stay_the_last_word(stage, topic, slow_topic, answers):
    pusher, broker = topic
    stage.revoke("s1")
    drain(pusher)
    stage.reinstate("s1")

    def meanwhile():
        stage.revoke("s1")
        drain(pusher)

    slow = slow_topic(meanwhile, answers=answers)
    if answers:
        assert slow.step()
    else:
        with pytest.raises(ConnectionError):
            slow.step()
    assert live_of(records(broker)) == {}, "the old entry came last"
    came_to_rest(pusher, slow, broker)
    assert set(live_of(records(broker))) == {("acme", "session", "s1")}


def test_of_two_pushers_the_one_that_is_ahead_does_not_skip_what_the_other_overtook(stage, topic, slow_topic):
    pusher, broker = topic
    stage.revoke("s1")
    drain(pusher)
    stage.reinstate("s1")
    held, lands = threading.Event(), threading.Event()

    def hold():
        held.set()
        assert lands.wait(30)

    slow = slow_topic(hold)
    sending = threading.Thread(target=slow.step)
    sending.start()
    assert held.wait(30)
    stage.revoke("s1")
    deliver = pusher._receiver.deliver

    def ahead(entry):
        deliver(entry)
        if entry.status == "revoked":  # its place is not kept yet, and the other's entry arrives and is
            lands.set()
            sending.join(30)

    pusher._receiver.deliver = ahead
    assert pusher.step()
    assert live_of(records(broker)) == {}, "the old entry came last"
    came_to_rest(pusher, slow, broker)
    assert set(live_of(records(broker))) == {("acme", "session", "s1")}


def test_of_two_pushers_that_begin_the_list_together_neither_brings_back_what_has_ended(stage, topic, slow_topic):
    pusher, broker = topic
    for name in ("s1", "s2"):
        stage.revoke(name)

    def meanwhile():
        drain(pusher)
        stage.reinstate("s1")
        drain(pusher)

    slow = slow_topic(meanwhile, answers=False)
    with pytest.raises(ConnectionError):
        slow.step()
    assert ("acme", "session", "s1") in live_of(records(broker)), "the old entry came last"
    written = came_to_rest(pusher, slow, broker)
    assert set(live_of(records(broker))) == {("acme", "session", "s2")}
    assert written == 1, "what changed since is sent again, and not the list"


def came_to_rest(pusher, slow, broker):
    """Both have nothing left to send; how many records that took."""
    before = len(records(broker))
    for _ in range(5):
        if not (pusher.step() | slow.step()):
            return len(records(broker)) - before
    raise AssertionError("they send for ever")


def test_each_tenant_may_have_a_topic_of_its_own():
    assert topic_of("rev.{tenant}", "acme") == "rev.acme"
    assert topic_of("rev.{tenant}", "a/b").startswith("rev.")
    assert topic_of("rev.{tenant}", "a/b") != topic_of("rev.{tenant}", "a_b")
    assert len(topic_of("rev.{tenant}", "a" * 300)) < 249
    assert topic_of("{tenant}", "..") != ".."
    assert topic_of("rev.{tenant}", "\ud800").startswith("rev.")
    for wrong in ("", "a b", "ü", ".", ".."):
        with pytest.raises(ValueError, match="no name of a topic"):
            KafkaTopicFace(topic=wrong)


def test_a_topic_that_no_broker_would_take_is_refused_before_anything_is_sent_there():
    for longest in ("a" * 249, "a" * 233 + "{tenant}"):
        assert len(topic_of(KafkaTopicFace(topic=longest).topic, "a" * 300)) == 249
        with pytest.raises(ValueError, match="at most 249"):
            KafkaTopicFace(topic=longest + "a")


@pytest.mark.slow
def test_kafka_python_reads_the_list_from_a_real_broker(stage, given):
    made, _ = given
    with LocalBroker() as broker:
        ensure_topics(broker.settings, {"guardian.revocations": 3})
        producer = KafkaProducer(broker.settings)
        object.__setattr__(made, "producer", lambda: producer)
        (face,) = KafkaTopicFace().open(made)
        pusher = Pusher(stage.deps, face)
        stage.revoke("s1")
        drain(pusher)
        stage.revoke("s2")
        stage.reinstate("s1")
        drain(pusher)
        consumer = kafka.KafkaConsumer(
            bootstrap_servers=broker.address, auto_offset_reset="earliest", consumer_timeout_ms=30_000
        )
        places = [kafka.TopicPartition("guardian.revocations", n) for n in range(3)]
        consumer.assign(places)
        written = sum(consumer.end_offsets(places).values())
        read = [(each.key, each.value) for each in islice(consumer, written)]
        consumer.close()
        producer.close()
    assert (b'["acme","session","s1"]', None) in read  # a tombstone, as compaction wants it
    assert set(live_of(read)) == {("acme", "session", "s2")}


def test_a_receiver_that_answers_in_drops_is_cut_off(stage, given):
    stage.revoke("s1")
    with Dripping(answer=b"HTTP/1.1 202 Accepted\r\n" + b"X-Pad: yes\r\n" * 40 + b"\r\n") as server:
        told = {"url": f"http://127.0.0.1:{server.port}/", "audience": "https://siem.example"}
        (face,) = CaepFace(receivers=(told,), timeout_s=0.2).open(given[0])
        with pytest.raises(httpx.ReadTimeout):
            drain(Pusher(stage.deps, face))
        face.close()


def test_a_connection_that_a_receiver_closes_after_its_answer_is_not_used_again(stage, given):
    pushes = []

    def closing(asked):  # its answer does not say that it closes
        pushes.append(asked.caller)
        return Reply(status=202) if pushes.count(asked.caller) == 1 else None

    stage.revoke("s1")
    stage.revoke("s2")
    with answering(closing) as server:
        (face,) = CaepFace(receivers=({"url": server.url, "audience": "https://siem.example"},)).open(given[0])
        drain(Pusher(stage.deps, face))
        face.close()
    assert len(set(pushes)) == len(pushes) == 2
