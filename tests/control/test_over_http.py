"""The client against a real server on a real socket."""

from datetime import timedelta

import httpx
import pytest
from serving import running
from until import until

from guardian.control.app import create_app
from guardian.control.requests.framing import Framed
from guardian.errors import ControlError
from guardian.gateway.client import RevocationList
from guardian.stream import port as stream
from guardian.wire.client import ControlClient
from guardian.wire.monitor import MonitorClient


@pytest.fixture
def base_url(stage):
    with running(Framed(create_app(stage.deps))) as url:
        yield url


def _client(stage, base_url, role, *tenants):
    return ControlClient(base_url, lambda: stage.token(role, *tenants))


def _approved(client, approval):
    return client.decide_approval(approval.id, "approve", reason="looked at it").result


def test_the_whole_way_from_finding_to_refusal_and_back(stage, base_url, a_finding):
    with (
        _client(stage, base_url, "monitor") as monitor,
        _client(stage, base_url, "responder") as responder,
        _client(stage, base_url, "admin") as admin,
        _client(stage, base_url, "approver") as approver,
        _client(stage, base_url, "gateway") as gateway,
    ):
        assert monitor.ready()
        assert admin.whoami().role == "admin"
        asked = admin.set_mode("acme", "enforce", reason="trusted")
        assert asked.mode == "shadow"
        assert [each.id for each in approver.approvals(state="pending").items] == [asked.approval.id]
        assert _approved(approver, asked.approval) == "the mode is enforce"
        assert approver.approval(asked.approval.id).decided_by == "approver-1"
        assert admin.mode("acme").set_by == "admin-1"
        outcome = monitor.submit(a_finding())
        assert monitor.submit(a_finding()) == outcome
        assert [entry.subject_id for entry in gateway.revocations().entries] == ["sess_1"]
        assert responder.session("acme", "sess_1").session.status == "revoked"
        assert [each.session_id for each in responder.sessions(status="revoked").items] == ["sess_1"]
        assert responder.finding(outcome.finding_id).outcome == outcome
        assert len(responder.findings(tenant_id="acme", effect="revoke").items) == 1
        stage.clock.pass_(minutes=1)
        asked = responder.reinstate("acme", "sess_1", reason="ours", idempotency_key="k")
        assert _approved(approver, asked.approval) == "reinstated at revision 1.2"
        assert (
            responder.judge(outcome.finding_id, "false_positive", reason="ours").verdict.verdict
            == "false_positive"
        )
        assert gateway.revocations(since="1.1").entries[0].status == "reinstated"
        assert [change.word.value for change in monitor.changes(0).items] == [
            "revoked",
            "reinstated",
            "false_positive",
        ]
        assert admin.protect("acme", "sess_1", protected=True, reason="vip").session.protected
        with pytest.raises(ControlError, match="Policy does not permit") as refused:
            gateway.revoke("acme", "sess_1", reason="x")
        assert refused.value.status == 403


@pytest.mark.parametrize("name", ["%2F", "a/b", "..", ".", "a/revoke", "ünï"])
def test_odd_session_ids_survive_the_wire(stage, base_url, name):
    with _client(stage, base_url, "admin") as admin:
        assert admin.revoke("acme", name, reason="x").session.session_id == name
        assert admin.session("acme", name).session.session_id == name


def test_break_glass_and_breakers_over_the_wire(stage, base_url):
    with _client(stage, base_url, "responder") as responder, _client(stage, base_url, "approver") as approver:
        grant = responder.break_glass("acme", reason="nobody answers", minutes=15)
        responder.revoke("acme", "sess_1", reason="x")
        assert responder.reinstate("acme", "sess_1", reason="payroll stands still").changed
        assert responder.end_break_glass(grant.id).ended_by == "responder-1"
        assert approver.breaker("acme").open is False
        assert approver.reset_breaker("acme", reason="to see").open is False
        asked = approver.set_mode("acme", "canary", canary_percent=5, reason="a start")
        withdrawn = approver.decide_approval(asked.approval.id, "withdraw", reason="too early")
        assert (withdrawn.state, approver.mode("acme").approval) == ("withdrawn", None)


def test_bad_tokens_get_nothing_over_the_wire(stage, base_url):
    expired = stage.deps.tokens.issue(
        "admin-1", role="admin", tenants=["*"], ttl=timedelta(hours=1), now=stage.clock() - timedelta(days=2)
    ).text
    for token in (expired, "", "x.y.z"):
        with (
            ControlClient(base_url, lambda token=token: token) as client,
            pytest.raises(ControlError) as refused,
        ):
            client.sessions()
        assert refused.value.status in (0, 401)
    got = httpx.post(f"{base_url}/v1/findings", content=b"x" * 100, timeout=30)
    assert (got.status_code, got.headers["content-type"]) == (401, "application/problem+json")


def test_a_server_that_is_away_is_status_zero(stage):
    with (
        ControlClient("http://127.0.0.1:9", lambda: "x") as client,
        pytest.raises(ControlError, match="cannot be reached") as away,
    ):
        client.whoami()
    assert away.value.status == 0
    with ControlClient("http://127.0.0.1:9", lambda: "x") as client:
        assert client.ready() is False


@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError])
def test_an_act_that_control_took_and_did_not_answer_may_be_done(error):
    def silent(request):
        raise error("no answer", request=request)

    with ControlClient("http://c", lambda: "x", transport=httpx.MockTransport(silent)) as client:
        with pytest.raises(ControlError, match="may be done") as act:
            client.revoke("acme", "s1", reason="known")
        with pytest.raises(ControlError, match="cannot be reached") as look:
            client.whoami()
    assert act.value.status == look.value.status == 0


def test_the_frameworks_own_telemetry_tells_nobody_what_is_asked(stage):
    """Of an OpenTelemetry provider in this process it would make use unasked, with queries and stack traces."""
    told = vars(create_app(stage.deps)).get("_telemetry", {})
    assert not any(told.get(kind) for kind in ("tracing", "metrics", "logs", "auto_configure"))


def test_an_answer_that_is_not_controls_is_said_to_be_so():
    def proxy(request):
        return httpx.Response(502, text="<html>bad gateway</html>")

    def stranger(request):
        return httpx.Response(200, json={"hello": "world"})

    with (
        ControlClient("http://c", lambda: "x", transport=httpx.MockTransport(proxy)) as client,
        pytest.raises(ControlError, match="proxy") as refused,
    ):
        client.whoami()
    assert refused.value.status == 502
    with (
        ControlClient("http://c", lambda: "x", transport=httpx.MockTransport(stranger)) as client,
        pytest.raises(ControlError, match="same version"),
    ):
        client.whoami()


def test_the_monitors_two_calls_say_what_the_stream_expects(stage, base_url, a_finding):
    with _client(stage, base_url, "monitor") as client, _client(stage, base_url, "admin") as admin:
        monitor: stream.ControlClient = MonitorClient(client)
        assert monitor.submit(a_finding())["effect"] == "flag"
        admin.revoke("acme", "sess_1", reason="x")
        page = monitor.changes(0)
        assert [(word.seq, word.key, word.word) for word in page.items] == [(1, ("acme", "sess_1"), "revoked")]
        assert (page.next, monitor.changes(1).next, monitor.changes(7).next) == (1, 1, 1)
        with stage.deps.store.read() as rows:
            assert page.feed == monitor.changes(7).feed == rows.audit.digest(1) != ""


def test_the_embedded_gateway_client_follows_the_list(stage, base_url):
    token = stage.token("gateway")
    with (
        _client(stage, base_url, "admin") as admin,
        _client(stage, base_url, "approver") as approver,
        RevocationList(base_url, token, wait_s=5) as revoked,
    ):
        assert revoked.wait_ready(30)
        assert not revoked.is_revoked("acme", "s1")
        admin.revoke("acme", "s1", reason="x")
        until(lambda: revoked.is_revoked("acme", "s1"))
        _approved(approver, admin.reinstate("acme", "s1", reason="x").approval)
        until(lambda: not revoked.is_revoked("acme", "s1"))
        assert revoked.state().last_error == ""
