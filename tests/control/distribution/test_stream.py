"""The stream as any client of server-sent events reads it."""

import asyncio
import hashlib
import json
import threading
import time
import tracemalloc
from contextlib import suppress
from datetime import timedelta
from itertools import count

import httpx
import pytest
from serving import running
from starlette.requests import ClientDisconnect

from guardian.control.app import create_app
from guardian.control.distribution.bell import Bell
from guardian.control.distribution.listing import Listing
from guardian.control.distribution.shared_looks import Signed
from guardian.control.routes.stream import _events
from guardian.control.switch import SelfTestRule, SwitchRule
from guardian.domain.revocation import Revision
from guardian.errors import StoreError
from guardian.policy.port import PolicyDecision
from guardian.revocation import sse
from guardian.revocation.port import Rendered


@pytest.fixture
def base_url(make_stage):
    rule = SwitchRule(heartbeat_s=0.2, streams_per_caller=2, self_test=SelfTestRule(canary_every=None))
    stage = make_stage(switch=rule)
    app = create_app(stage.deps)
    with running(app) as url:
        yield stage, url
        app.state.bell.close()


def events(stream):
    """(name, id, data) of each event, as the specification parses them."""
    told = {}
    for line in stream.iter_lines():
        if not line:
            if "data" in told:
                yield told.get("event", "message"), told.get("id"), told["data"]
            told = {}
            continue
        field, _, value = line.partition(": ")
        told[field] = f"{told[field]}\n{value}" if field in told else value


def open_stream(stage, url, tenants=("acme",), **headers):
    sent = {"Authorization": f"Bearer {stage.token('gateway', *tenants)}", **headers}
    return httpx.stream("GET", f"{url}/v1/revocations/stream", headers=sent, timeout=20)


def test_a_revision_that_the_ledger_has_not_reached_is_not_noted(base_url):
    stage, url = base_url
    with open_stream(stage, url, **{"Last-Event-ID": "1.99"}) as stream:
        next(events(stream))
        assert stage.deps.peers.heard("gateway") == []
    with open_stream(stage, url, **{"Last-Event-ID": "1.0"}) as stream:
        next(events(stream))
        assert len(stage.deps.peers.heard("gateway")) == 1


def test_the_whole_list_comes_first_then_every_change_then_signs_of_life(base_url):
    stage, url = base_url
    stage.revoke("s1")
    with open_stream(stage, url) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = events(stream)
        name, ident, data = next(told)
        body = json.loads(data.split("\n")[0])
        assert (name, ident, body["complete"]) == ("revocations", "1.1", True)
        stage.revoke("s2")
        while name != "revocations" or ident != "1.2":
            name, ident, data = next(told)
        assert [e["subject_id"] for e in json.loads(data.split("\n")[0])["entries"]] == ["s2"]
        assert next(told)[:2] == ("fresh", "1.2")


def test_last_event_id_resumes_and_an_unknown_one_gets_the_whole_list(base_url):
    stage, url = base_url
    stage.revoke("s1")
    stage.revoke("s2")
    for held, whole, subjects in (("1.1", False, ["s2"]), ("9.9", True, ["s1", "s2"])):
        with open_stream(stage, url, **{"Last-Event-ID": held}) as stream:
            _, ident, data = next(events(stream))
            body = json.loads(data.split("\n")[0])
            assert (ident, body["complete"]) == ("1.2", whole)
            assert [e["subject_id"] for e in body["entries"]] == subjects


def test_another_tenants_changes_are_neither_shown_nor_noticed(base_url):
    stage, url = base_url
    with open_stream(stage, url, ("globex",)) as stream:
        told = events(stream)
        assert next(told)[1] == "1.0"
        stage.revoke("s1")
        assert next(told)[:2] == ("fresh", "1.0")


def test_a_stream_ends_when_its_token_is_revoked(base_url):
    stage, url = base_url
    issued = stage.deps.tokens.issue(
        "gw-x", role="gateway", tenants=["acme"], ttl=timedelta(days=1), now=stage.clock()
    )
    with stage.deps.store.write() as rows:
        life = {"issued_at": issued.issued_at, "expires_at": issued.principal.expires_at}
        rows.tokens.add(
            jti=issued.principal.jti, principal_id="gw-x", role="gateway", tenants=["acme"], kid=issued.kid, **life
        )
    sent = {"Authorization": f"Bearer {issued.text}"}
    with httpx.stream("GET", f"{url}/v1/revocations/stream", headers=sent, timeout=20) as stream:
        told = events(stream)
        next(told)
        with stage.deps.store.write() as rows:
            rows.tokens.revoke(issued.principal.jti, by="ann", now=stage.clock())
        assert {name for name, *_ in told} <= {"fresh"}  # and then it is over


@pytest.mark.parametrize(
    "answer",
    [PolicyDecision(False, policy_ids=("not-this-gateway",)), PolicyDecision(False, errors=("it is away",))],
)
@pytest.mark.parametrize("path", ["/v1/revocations/stream", "/v1/revocations/stream?tenant_id=acme"])
def test_a_stream_ends_when_policy_no_longer_permits_it(base_url, answer, path):
    class Otherwise:
        def decide(self, request):
            return answer if request.action == "readRevocations" else PolicyDecision(True)

    stage, url = base_url
    sent = {"Authorization": f"Bearer {stage.token('gateway')}"}
    with httpx.stream("GET", f"{url}{path}", headers=sent, timeout=20) as stream:
        told, end = events(stream), time.monotonic() + 60
        next(told)
        object.__setattr__(stage.deps, "pdp", Otherwise())
        assert all(time.monotonic() < end for _ in told), "it does not end"
    [line] = stage.audit(action="readRevocations", result="refused")
    assert (line["actor"], line["allowed"]) == ("gateway-1", False)


def test_a_stream_ends_when_the_key_that_signed_its_token_is_retired(base_url):
    stage, url = base_url
    keys = stage.deps.tokens.keys
    with open_stream(stage, url) as stream:
        told = events(stream)
        next(told)
        leaked, end = keys.current().signing.kid, time.monotonic() + 30
        keys.rotate()
        keys.retire(leaked)
        assert all(time.monotonic() < end for _ in told), "it does not end"


def test_a_stream_that_cannot_go_on_ends_in_order_and_the_log_says_why(base_url, monkeypatch, capsys):
    def gone():
        raise StoreError("the disk is gone")

    stage, url = base_url
    with open_stream(stage, url) as stream:
        told = events(stream)
        next(told)
        monkeypatch.setattr(stage.deps.store, "read", gone)
        assert {name for name, *_ in told} <= {"fresh"}
        name = stream.headers["x-request-id"]
    logged = next(line for line in "".join(capsys.readouterr()).splitlines() if "stream_failed" in line)
    assert "the disk is gone" in logged
    assert name in logged


def test_a_stream_ends_when_its_token_expires_however_often_the_list_changes(base_url):
    stage, url = base_url
    issued = stage.deps.tokens.issue(
        "gw-y", role="gateway", tenants=["acme"], ttl=timedelta(hours=1), now=stage.clock()
    )
    sent = {"Authorization": f"Bearer {issued.text}"}
    over = threading.Event()

    def churn():
        for n in count():  # much more often than the stream's heartbeat
            stage.revoke(f"churn-{n}")
            if over.wait(0.02):
                return

    with httpx.stream("GET", f"{url}/v1/revocations/stream", headers=sent, timeout=20) as stream:
        told = events(stream)
        next(told)
        stage.clock.pass_(hours=2)
        busy = threading.Thread(target=churn)
        busy.start()
        try:
            end = time.monotonic() + 30
            assert all(time.monotonic() < end for _ in told), "it does not end while the list changes"
            assert busy.is_alive()
        finally:
            over.set()
            busy.join(timeout=30)


def test_a_long_list_is_not_copied_for_each_of_its_streams(stage):
    body, now = b"x" * 4 * 2**20, Revision(epoch=1, n=2)

    class Looks:
        async def look(self, *_):
            return Signed(Listing(Rendered(body, "application/json", "1.2-x"), now, moved=True), "sig")

    async def pieces():
        stream = _events(stage.deps, asyncio.Event().wait, None, None, Looks(), Bell())
        assert await anext(stream) == sse.GREETING
        tracemalloc.start()
        got = hashlib.sha256(await anext(stream))
        while not (piece := await anext(stream)).endswith(b"\n\n"):
            got.update(piece)
        got.update(piece)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return got.hexdigest(), peak

    digest, peak = asyncio.run(pieces())
    whole = b"event: revocations\nid: 1.2\ndata: " + body + b"\ndata: sig\n\n"
    assert digest == hashlib.sha256(whole).hexdigest()
    assert peak < len(body) / 4


def test_one_token_cannot_hold_any_number_of_streams(base_url):
    stage, url = base_url
    with open_stream(stage, url) as one, open_stream(stage, url) as two:
        first, second = events(one), events(two)
        next(first)
        next(second)
        with open_stream(stage, url) as third:
            assert third.status_code == 503


async def opened(stage, *, gone=False, together=None):
    """The status of a stream whose client leaves after it, or once all are answered that were opened `together`.

    `gone`: it left before the first word.
    """
    headers = [(b"authorization", f"Bearer {stage.token('gateway')}".encode())]
    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1"}
    scope |= {"method": "GET", "path": "/v1/revocations/stream", "raw_path": b"/v1/revocations/stream"}
    scope |= {"query_string": b"since=1.0", "headers": headers, "client": ("127.0.0.1", 1), "server": ("t", 80)}
    statuses, over = [], asyncio.Event()

    async def send(message):
        if gone:
            raise OSError("nobody is there")
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
            over.set()

    app = stage.client.app({**scope, "scheme": "http", "root_path": ""}, asyncio.Event().wait, send)
    asked = asyncio.ensure_future(app)
    asked.add_done_callback(lambda _: over.set())
    await over.wait()
    if together is not None:
        await together.wait()
    asked.cancel()
    with suppress(asyncio.CancelledError, ClientDisconnect, OSError):
        await asked
    return statuses


def test_nor_when_it_opens_them_all_at_once(make_stage):
    stage = make_stage(switch=SwitchRule(watch_every_s=3600, streams_per_caller=2))

    async def scenario():
        together = asyncio.Barrier(12)
        return await asyncio.gather(*(opened(stage, together=together) for _ in range(12)))

    assert sorted(status for (status,) in asyncio.run(scenario())) == [200] * 2 + [503] * 10


def test_a_stream_whose_client_left_before_it_began_holds_no_place(make_stage):
    stage = make_stage(switch=SwitchRule(watch_every_s=3600, streams_per_caller=1))

    async def scenario():
        for _ in range(3):
            assert await opened(stage, gone=True) == []
        return await opened(stage)

    assert asyncio.run(scenario()) == [200]
    assert stage.client.app.state.streams.taken() == 0


def test_who_may_not_read_the_list_gets_no_stream(base_url):
    stage, url = base_url
    sent = {"Authorization": f"Bearer {stage.token('monitor')}"}
    assert httpx.get(f"{url}/v1/revocations/stream", headers=sent, timeout=30).status_code == 403
    assert httpx.get(f"{url}/v1/revocations/stream", timeout=30).status_code == 401
