"""The adviser weighs as the monitor would judge, and forgets."""

import dataclasses
import http.client
import json
import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from structlog.testing import capture_logs

from guardian.bootstrap import plugins
from guardian.bootstrap.judgement import open_judge, open_pipeline, unchecked
from guardian.bootstrap.monitor_store import learn_all
from guardian.config import load
from guardian.domain.batch import Judgement
from guardian.domain.event import DecisionEvent
from guardian.domain.record import Place, Record
from guardian.errors import AdviserError
from guardian.store.engine import open_engine
from guardian.store.monitor.store import MonitorStore
from guardian.stream.advice_server import AdviceServer
from guardian.stream.advising import LocalAdviser
from guardian.stream.vitals import Lateness, Vitals
from guardian.wire.adviser import RemoteAdviser
from guardian.wire.client import ControlClient

UNREADABLE = "unreadable_call"
NOW = datetime(2026, 5, 12, 12, tzinfo=UTC)
PATIENCE = 60  # seconds, where none of it is what the test is about


class Fit:
    version = "fit-1"

    def score(self, requests):
        return [0.95 if r.tool in ("email.send", "payments.create") else 0.03 for r in requests]

    def explain(self, request):
        raise AssertionError("an explanation costs a score per argument")


def line(tool="crm.read", n=0, session="s1", allowed=("crm.read", "email.send", "payments.create")):
    told = {
        "schema": "guardian.decision/v1",
        "id": f"proposed_{session}_{tool}_{n}",
        "time": NOW.isoformat(),
        "gateway": "gw",
        "envelope": {
            "delegator_id": "u", "tenant_id": "acme", "session_id": session, "purpose": "review the contract",
            "allowed_tools": list(allowed), "expires_at": (NOW + timedelta(hours=1)).isoformat(),
        },
        "action": {"tool": tool, "arguments": {"n": n}},
        "decision": {"effect": "allow"},
    }  # fmt: skip
    return json.dumps(told).encode()


@pytest.fixture
def store(tmp_path):
    made = MonitorStore(open_engine(f"sqlite:///{tmp_path}/m.db"), seal=lambda v: v, hear=lambda state, _: state)
    yield made
    made.close()


@pytest.fixture
def pipeline():
    settings = load(None)
    judge = open_judge(settings, fingerprint_key=b"k" * 32, fit=Fit())
    return open_pipeline(
        settings, judge, verify=unchecked, clock=lambda: NOW, redaction_key=b"k" * 32, check_entitlements=False
    )


@pytest.fixture
def adviser(pipeline, store):
    return LocalAdviser(pipeline, store, clock=lambda: NOW)


def test_a_rule_that_the_call_would_break_is_named_as_hard(adviser):
    weighed = adviser.weigh(line("payments.create", allowed=["crm.read"]), PATIENCE)
    assert {*weighed.breaches, *weighed.hard_breaches} == {"tool_not_allowed"}


def test_the_call_comes_back_as_people_may_see_it_without_secrets_and_bounded(adviser):
    told = json.loads(line("email.send"))
    told["envelope"] |= {"agent_id": "agent_1", "purpose": "review " + "x" * 3600}
    told["action"] |= {"resource": {"type": "customer", "id": "c1"}, "records": 4000}
    key = "AIza" + "b" * 35
    told["action"]["arguments"] = {"to": "rival@example.net", "key": key, "body": "b" * 9000}
    shown = adviser.weigh(json.dumps(told).encode(), PATIENCE).shown
    assert shown["purpose"].endswith("x… (cut: 3,607 characters in all)")
    assert shown["arguments"].startswith('{"to": "rival@example.net", "key": "')
    assert key not in shown["arguments"]
    assert "characters in all)" in shown["arguments"]
    assert max(map(len, shown.values())) < 8100
    assert (shown["agent"], shown["resource"], shown["records"]) == ("agent_1", "customer c1", "4,000")
    assert adviser.weigh(line(), PATIENCE).shown == {"purpose": "review the contract", "arguments": '{"n": 0}'}


def test_evidence_grows_with_what_the_session_really_did_and_not_with_what_was_asked(adviser, pipeline, store):
    first = adviser.weigh(line("email.send"), PATIENCE)
    assert adviser.weigh(line("email.send"), PATIENCE) == first  # asking changes nothing
    assert first.actions_seen == 0
    record = Record("t", 0, 0, line("email.send", 1), timestamp=NOW)
    decoded, _ = pipeline.decode([record])
    recall = store.load(pipeline.wanted(decoded))
    quiet = object.__new__(type("Quiet", (Fit,), {"explain": lambda *_: []}))
    judging = dataclasses.replace(pipeline.judging, fit=quiet)
    judged: Judgement = judging.judge(decoded, [], recall)
    base = store.claim([Place("t", 0)], "m", now=NOW).positions
    store.commit(judged, positions={Place("t", 0): 1}, base=base, versions=recall.versions, member="m", now=NOW)
    then = adviser.weigh(line("payments.create", 2), PATIENCE)
    assert then.actions_seen == 1
    assert then.one_in > first.one_in


@pytest.mark.parametrize("format", ["cloudevents", "otel", "opa"])
def test_a_proposed_call_is_read_whatever_the_log_looks_like_and_whoever_sends_it(adviser, store, format):
    settings = load(None, overrides={"source": {"format": format, "gateway": "edge-1"}})
    judge = open_judge(settings, fingerprint_key=b"k" * 32, fit=Fit())
    foreign = open_pipeline(settings, judge, verify=unchecked, clock=lambda: NOW, check_entitlements=False)
    call = line("payments.create", allowed=["crm.read"])
    weighed = LocalAdviser(foreign, store, clock=lambda: NOW).weigh(call, PATIENCE)
    assert weighed.hard_breaches == adviser.weigh(call, PATIENCE).hard_breaches == ("tool_not_allowed",)


SPELT = ("mcp__crm__read", "mcp__email__send")


class Noting(Fit):
    def score(self, requests):
        self.tool = requests[-1].tool
        return super().score(requests)


@pytest.mark.parametrize("of", ["session", "parent", "purpose"])
@pytest.mark.parametrize(
    ("format", "logged", "known"),
    [
        ("opa", "opa", "crm.read"),
        ("auto", "opa", "crm.read"),
        ("auto", "guardian", SPELT[0]),
        ("guardian", "guardian", SPELT[0]),
    ],
)
def test_a_proposed_call_is_weighed_by_the_names_that_its_log_gives_its_tools(store, format, logged, known, of):
    """A gateway asks with its own names of tools, and in these envelopes are registered."""
    settings, fit = load(None, overrides={"source": {"format": format}}), Noting()
    judge = open_judge(settings, fingerprint_key=b"k" * 32, fit=fit)
    pipeline = open_pipeline(settings, judge, verify=unchecked, clock=lambda: NOW, check_entitlements=False)
    first = DecisionEvent.model_validate_json(line(SPELT[0], 1, allowed=SPELT))
    value = plugins.make("sources", logged, {}).write(first)
    decoded, letters = pipeline.decode([Record("t", 0, 0, value, timestamp=NOW)])
    assert ([d.event.action.tool for d in decoded], letters) == ([known], [])
    recall = store.load(pipeline.wanted(decoded))
    judged = judge.judge(decoded, [], recall)
    base = store.claim([Place("t", 0)], "m", now=NOW).positions
    store.commit(judged, positions={Place("t", 0): 1}, base=base, versions=recall.versions, member="m", now=NOW)
    asked = json.loads(line(SPELT[0], 2, session="s1" if of == "session" else "s2", allowed=SPELT))
    if of == "parent":
        asked["envelope"] |= {"parent_session_id": "s1", "allowed_tools": SPELT[:1]}
    if of == "purpose":
        store.baselines.publish(datetime.now(UTC), idle=timedelta(0), learn=learn_all)
    adviser = LocalAdviser(pipeline, store, clock=lambda: NOW)
    assert adviser.weigh(json.dumps(asked).encode(), PATIENCE).hard_breaches == ()
    assert fit.tool == known
    asked["action"]["tool"] = "mcp__payments__create"
    assert adviser.weigh(json.dumps(asked).encode(), PATIENCE).hard_breaches == ("tool_not_allowed",)


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff", line().replace(b'"crm.read"', b"7")])
def test_a_call_that_cannot_be_read_breaks_a_hard_rule(adviser, junk):
    assert adviser.weigh(junk, PATIENCE).hard_breaches == (UNREADABLE,)


@pytest.mark.parametrize("value", [b'"\\ud800"', b"1" + b"0" * 30, b"[" * 70 + b"]" * 70])
def test_what_an_agent_made_unreadable_is_judged_by_the_rest_and_breaks_a_hard_rule_besides(adviser, value):
    call = line("payments.create")
    hidden = call.replace(b'"arguments": {"n": 0}', b'"arguments": {"n": 0, "a": ' + value + b"}")
    assert hidden != call
    weighed, honest = adviser.weigh(hidden, PATIENCE), adviser.weigh(call, PATIENCE)
    assert weighed.hard_breaches == (*honest.hard_breaches, UNREADABLE)
    assert {*honest.breaches} <= {*weighed.breaches}


def test_a_busy_adviser_answers_in_time_that_it_cannot(adviser):
    adviser._turn.acquire()
    with pytest.raises(AdviserError, match="busy"):
        adviser.weigh(line(), 0.01)


def test_a_call_that_takes_all_the_time_by_itself_breaks_a_hard_rule_and_a_slow_store_none(
    adviser, store, monkeypatch
):
    spent = iter(range(100))
    monkeypatch.setattr("guardian.stream.advising.time.thread_time", lambda: next(spent))
    assert adviser.weigh(line(), 0.9).hard_breaches == (UNREADABLE,)
    monkeypatch.setattr("guardian.stream.advising.time.thread_time", lambda: 0.0)
    late = iter([0.0, 1.0, 2.0])
    monkeypatch.setattr("guardian.stream.advising.time.monotonic", lambda: next(late, 3.0))
    with pytest.raises(AdviserError, match="in time"):
        adviser.weigh(line(), 0.9)


@pytest.fixture
def served(adviser):
    made = AdviceServer("127.0.0.1", 0, weigh=adviser.weigh, token="secret", budget_s=PATIENCE)
    yield made
    made.close()


def test_over_http_it_is_the_same_answer(adviser, served):
    remote = RemoteAdviser(f"http://127.0.0.1:{served.port}", lambda: "secret")
    assert remote.weigh(line("email.send"), PATIENCE) == adviser.weigh(line("email.send"), PATIENCE)
    assert remote.weigh(b"{}", PATIENCE) == adviser.weigh(b"{}", PATIENCE)
    remote.close()


def test_over_http_a_call_is_weighed_whatever_signs_make_it_longer_than_what_control_took(adviser, served):
    call = line("payments.create", allowed=["crm.read"]).replace(
        b'{"n": 0}', json.dumps({"x": "é" * 200_000}).encode()
    )
    assert len(call) > 1024 * 1024
    remote = RemoteAdviser(f"http://127.0.0.1:{served.port}", lambda: "secret")
    assert remote.weigh(call, PATIENCE) == adviser.weigh(call, PATIENCE)
    remote.close()


def test_over_http_no_answer_is_no_answer():
    def busy(line, timeout_s):
        raise AdviserError("the adviser gave no answer in time (busy)")

    server = AdviceServer("127.0.0.1", 0, weigh=busy, token="secret", budget_s=PATIENCE)
    remote = RemoteAdviser(f"http://127.0.0.1:{server.port}", lambda: "secret")
    with pytest.raises(AdviserError, match="503"):
        remote.weigh(line(), PATIENCE)
    remote.close()
    server.close()


def test_only_who_knows_the_token_is_answered(served):
    for token in ("", "secre", "secret2"):
        remote = RemoteAdviser(f"http://127.0.0.1:{served.port}", lambda token=token: token or "x")
        with pytest.raises(AdviserError, match="401"):
            remote.weigh(line(), PATIENCE)
        remote.close()


@pytest.mark.parametrize("size", [1, 2**22])
def test_who_sent_a_body_with_another_token_hears_why_it_is_refused(served, size):
    remote = RemoteAdviser(f"http://127.0.0.1:{served.port}", lambda: "mine")
    for _ in range(5):
        with pytest.raises(AdviserError, match="401: it has another token"):
            remote.weigh(b"x" * size, PATIENCE)
    remote.close()


@pytest.mark.parametrize(
    ("path", "token", "length", "status"),
    [
        ("/weigh", "secret2", "1000", 401),
        ("/weigh", "secret2", str(2**24), 401),
        ("/elsewhere", "secret2", "1000", 401),
        ("/elsewhere", "secret", "1000", 404),
        ("/weigh", "secret", str(2**24), 413),
        ("/weigh", "secret", "9" * 5000, 413),
        ("/weigh", "secret", "\xb2", 413),
    ],
)
def test_what_is_refused_is_refused_before_its_body_is_read(served, path, token, length, status):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    connection.putrequest("POST", path)
    connection.putheader("Authorization", f"Bearer {token}")
    connection.putheader("Content-Length", length)
    connection.endheaders()  # and no body
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Connection")) == (status, "close")
    answer.read()
    assert connection.sock is None, "what comes of the body later is no request"
    connection.close()


def test_a_token_that_the_adviser_refuses_is_in_the_log_once_a_minute_with_the_way_out():
    now = [0.0]
    answer = httpx.MockTransport(lambda _: httpx.Response(401))
    remote = RemoteAdviser("http://m", lambda: "mine", transport=answer, timer=lambda: now[0])
    with capture_logs() as lines:
        for _ in range(240):
            with pytest.raises(AdviserError, match=r"401: it has another token; copy the monitor's keys/advice"):
                remote.weigh(line(), 0.1)
            now[0] += 0.5
    assert [each["event"] for each in lines] == ["advice_token_refused"] * 2
    assert "mine" not in str(lines)


def test_an_adviser_that_is_away_slow_or_strange_is_no_answer():
    def slow(request):
        raise httpx.ReadTimeout("slow")

    endless = b'{"score":0.9,"session_evidence":9,"one_in":1e999,"promised":true,"independent_signals":3}'
    for answer in (
        slow,
        lambda _: httpx.Response(200, json={"x": 1}),
        lambda _: httpx.Response(302),
        lambda _: httpx.Response(200, content=endless),
    ):
        remote = RemoteAdviser("http://m", lambda: "t", transport=httpx.MockTransport(answer))
        with pytest.raises(AdviserError):
            remote.weigh(line(), 0.1)


def test_lag_is_the_age_of_what_is_handled_and_grows_while_the_worker_is_stuck():
    now = [NOW]
    lateness = Lateness(lambda: now[0])
    lateness.handled([Record("t", 0, n, b"", timestamp=NOW - timedelta(minutes=9 - n)) for n in range(3)])
    assert lateness.lag() == timedelta(minutes=7)
    now[0] += timedelta(minutes=1)
    assert lateness.lag() == timedelta(minutes=8)
    lateness.caught_up()
    assert lateness.lag() == timedelta(0)
    lateness.handled([Record("t", 0, 9, b"", timestamp=NOW + timedelta(days=1))])  # a broker's clock ahead of ours
    assert lateness.lag() == timedelta(0)


def test_a_record_that_was_sent_again_with_its_old_time_is_no_lag():
    lateness = Lateness(lambda: NOW)
    lateness.handled([Record("t", 0, 0, b"", timestamp=NOW - timedelta(minutes=9))])
    lateness.caught_up()
    lateness.handled([Record("t", 0, 1, b"", timestamp=NOW - timedelta(days=10))])
    assert lateness.lag() == timedelta(0)
    lateness.handled([Record("t", 1, 0, b"", timestamp=NOW - timedelta(days=10))])
    assert lateness.lag() == timedelta(days=10), "of a partition that was never read to its end nobody knows"


def test_a_record_from_the_future_does_not_make_a_monitor_that_is_behind_look_alive():
    now, late = [NOW], timedelta(hours=3)
    lateness = Lateness(lambda: now[0])
    lateness.handled([Record("t", 0, 0, b"", timestamp=NOW - late)])
    lateness.handled([Record("t", 0, 1, b"", timestamp=NOW + timedelta(days=365))])
    assert lateness.lag() == late
    for offset in range(2, 6):
        now[0] += timedelta(minutes=10)
        lateness.handled([Record("t", 0, offset, b"", timestamp=now[0] - late)])
        assert lateness.lag() == late


def test_a_clock_a_little_ahead_of_ours_is_no_lag_however_long_the_topic_is_busy():
    now = [NOW]
    lateness = Lateness(lambda: now[0])
    for offset in range(3):
        lateness.handled([Record("t", 0, offset, b"", timestamp=now[0] + timedelta(seconds=2))])
        assert lateness.lag() == timedelta(0)
        now[0] += timedelta(minutes=10)


def test_a_partition_that_is_behind_is_not_hidden_by_one_that_is_not():
    lateness = Lateness(lambda: NOW)
    behind = [Record("t", 0, n, b"", timestamp=NOW - timedelta(minutes=60 - n)) for n in range(3)]
    lateness.handled([*behind, Record("t", 1, 0, b"", timestamp=NOW)])
    assert lateness.lag() == timedelta(minutes=58)


def test_a_monitor_that_reads_a_record_of_1970_is_still_heard_of():
    sent, stop = [], threading.Event()

    def heard(request):
        sent.append(json.loads(request.content)["lag_s"])
        stop.set()
        return httpx.Response(204)

    lateness = Lateness(lambda: NOW)
    lateness.handled([Record("t", 0, 0, b"", timestamp=datetime.fromtimestamp(0, UTC))])
    with ControlClient("http://control", lambda: "t", transport=httpx.MockTransport(heard)) as client:
        Vitals(lateness, client.vitals, instance="m-1", every_s=60).run(stop)
    assert sent == [1e9, 1e9]


def test_before_anything_was_read_or_found_empty_the_report_says_that_the_lag_is_not_known():
    lateness, told = Lateness(lambda: NOW), []
    with ControlClient("http://control", lambda: "t", transport=httpx.MockTransport(heard_into(told))) as client:
        stop = threading.Event()
        stop.set()
        for _ in range(2):
            Vitals(lateness, client.vitals, instance="m-1").run(stop)
            lateness.caught_up()
    assert [each["lag_s"] for each in told] == [None, 0.0]


def heard_into(told):
    def heard(request):
        told.append(json.loads(request.content))
        return httpx.Response(204)

    return heard


def test_vitals_are_told_until_the_end_and_that_it_is_the_end():
    told, stop = [], threading.Event()

    def report(instance, lag_s, leaving):
        told.append((instance, leaving))
        stop.set()

    Vitals(Lateness(lambda: NOW), report, instance="m-1", every_s=60).run(stop)
    assert told == [("m-1", False), ("m-1", True)]
