"""Connections on a real socket: those that say nothing, and those that are too many."""

import asyncio
import socket
import time
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse

import pytest
from serving import running
from starlette.requests import Request
from until import until

from guardian.bootstrap.control_socket import listen
from guardian.control.app import create_app
from guardian.control.problems import Refusal
from guardian.control.requests.connections import bounded
from guardian.control.requests.framing import Framed

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: guardian\r\n\r\n"
FOR_EVER = 600.0


@contextmanager
def served_by(app, most=100, *, header_s=FOR_EVER, body_s=FOR_EVER, unread_s=FOR_EVER):
    """Something that connects to it."""
    listener = listen("127.0.0.1", 0, unread_s=unread_s)
    framed, protocol = Framed(app, body_s=body_s), bounded(most, header_s=header_s)
    with running(framed, listener, http=protocol, timeout_keep_alive=600), ExitStack() as callers:

        def call(said=b""):
            caller = callers.enter_context(socket.create_connection(listener.getsockname(), timeout=20))
            caller.sendall(said)
            return caller

        yield call


def served(stage, *most, **times):
    return served_by(create_app(stage.deps), *most, **times)


def healthy(caller):
    """Asks, and reads the whole answer."""
    caller.sendall(HEALTH)
    answer = HTTPResponse(caller)
    answer.begin()
    answer.read()
    return answer.status == 200


def heard(caller):
    """All that it is told until the connection ends."""
    parts = []
    try:
        while part := caller.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def ended(caller):
    return heard(caller) == b""


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nX-Never-Ends: "])
def test_who_does_not_say_what_it_wants_is_not_waited_for(stage, said):
    with served(stage, header_s=0.2) as call:
        assert ended(call(said))


def test_nor_is_who_goes_on_with_a_body_that_was_refused(stage):
    with served(stage, header_s=0.2) as call:
        caller = call(b"POST /v1/findings HTTP/1.1\r\nHost: guardian\r\nContent-Length: 1000000\r\n\r\n")
        assert caller.recv(12) == b"HTTP/1.1 401"
        caller.sendall(b"a")  # which is what uvicorn takes for a sign of life
        assert b"HTTP/1.1" not in heard(caller)


@pytest.mark.parametrize("announced", ["Content-Length: 39", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("GET /healthz", 200),
        ("HEAD /healthz", 200),
        ("HEAD /.well-known/jwks.json", 200),
        ("POST /v1/check/tools/call", 401),
    ],
)
def test_what_follows_a_question_is_never_taken_for_the_body_that_it_announced(stage, asked, status, announced):
    """As a proxy's that hands on its client's length, and no body."""
    with served(stage) as call:
        told = heard(call(f"{asked} HTTP/1.1\r\nHost: guardian\r\n{announced}\r\n\r\n".encode()))
        assert told.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"\r\nconnection: close\r\n" in told
        caller = call(HEALTH.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"))
        assert caller.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert healthy(caller), "nothing is announced, and the connection is kept"


def test_a_caller_may_take_its_time_between_its_requests_and_be_slow_within_reason(stage):
    with served(stage) as call:
        caller = call()
        for _ in range(2):
            caller.sendall(HEALTH[:9])
            caller.sendall(HEALTH[9:])
            assert caller.recv(12) == b"HTTP/1.1 200"
            caller.recv(65536)


def test_a_newcomer_gets_the_place_of_who_has_been_silent_for_longest(stage):
    with served(stage, 3) as call:
        known = call(HEALTH)
        assert known.recv(65536).startswith(b"HTTP/1.1 200")
        first, second = call(), call(b"GET ")
        late = call(HEALTH)
        assert late.recv(65536).startswith(b"HTTP/1.1 200")
        assert ended(first)
        known.sendall(HEALTH)
        assert known.recv(65536).startswith(b"HTTP/1.1 200"), "who was served before is not the one to go"
        second.sendall(b"/healthz HTTP/1.1\r\nHost: guardian\r\n\r\n")
        assert second.recv(65536).startswith(b"HTTP/1.1 200")


def test_where_nobody_is_silent_it_gets_that_of_who_has_been_idle_for_longest(stage):
    with served(stage, 3) as call:
        first, second, third = call(), call(), call()
        assert all(healthy(each) for each in (first, second, third, first))
        late = call()
        assert healthy(late)
        assert ended(second)
        assert all(healthy(each) for each in (first, third, late))


def test_where_nobody_is_idle_either_it_is_told_to_come_again_and_the_others_are_served(stage):
    with served(stage, 2) as call:
        token = f"Authorization: Bearer {stage.token('gateway')}"
        stream = f"GET /v1/revocations/stream HTTP/1.1\r\nHost: guardian\r\n{token}\r\n\r\n".encode()
        members = [call(), call()]
        for each in members:
            assert healthy(each)  # and it was idle then
            each.sendall(stream)
            assert each.recv(12) == b"HTTP/1.1 200"
        told = heard(call())
        assert told.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in told
        for each in members:
            each.setblocking(False)
            with pytest.raises(BlockingIOError):  # open, and for now with nothing more to say
                heard(each)


def test_nor_is_it_given_that_of_who_has_not_read_its_answer_yet():
    more_than_buffers_hold = b"x" * 2**24

    async def told_much(scope, receive, send):
        assert scope["type"] == "http"
        length = str(len(more_than_buffers_hold)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": more_than_buffers_hold})

    with served_by(told_much, 1) as call:
        reader = call(HEALTH)
        assert reader.recv(12) == b"HTTP/1.1 200"
        assert heard(call()).startswith(b"HTTP/1.1 503 ")
        answer = reader.makefile("rb")
        while answer.readline().strip():
            pass
        assert answer.read(len(more_than_buffers_hold)) == more_than_buffers_hold


def test_who_takes_no_answer_is_not_waited_for(stage):
    with served(stage, 2, unread_s=0.5) as call:
        for _ in range(2):
            caller = call(b"GET /openapi.json HTTP/1.1\r\nHost: guardian\r\n\r\n" * 100)
            assert caller.recv(12) == b"HTTP/1.1 200"  # and of the rest more than the buffers between them hold
        until(lambda: call(HEALTH).recv(12) == b"HTTP/1.1 200")


def test_a_body_that_never_ends_is_refused(stage):
    with served(stage, body_s=0.2) as call:
        head = "POST /v1/envelopes HTTP/1.1\r\nHost: guardian\r\nContent-Type: application/json\r\n"
        token = f"Authorization: Bearer {stage.token('delegation')}\r\nContent-Length: 9\r\n\r\n"
        caller = call(f"{head}{token}{{".encode())
        told = heard(caller)
        assert told.startswith(b"HTTP/1.1 408 ")
        assert b"urn:guardian:problem:slow" in told


def test_all_parts_of_a_body_share_its_time():
    parts = iter(range(200))

    async def drips():
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": next(parts, None) is not None}

    async def reads(scope, receive, send):
        await Request(scope, receive).body()

    scope = {"type": "http", "method": "POST", "path": "/console/link", "headers": []}
    with pytest.raises(Refusal, match=r"within 0\.1 s"):
        asyncio.run(Framed(reads, body_s=0.1)(scope, drips, None))


def test_a_stream_outlasts_the_time_that_a_body_may_take(stage):
    with served(stage, body_s=0.2) as call:
        head = "GET /v1/revocations/stream HTTP/1.1\r\nHost: guardian\r\n"
        caller = call(f"{head}Authorization: Bearer {stage.token('gateway')}\r\n\r\n".encode())
        assert caller.recv(12) == b"HTTP/1.1 200"
        time.sleep(0.5)
        caller.setblocking(False)
        with pytest.raises(BlockingIOError):  # open, and for now with nothing more to say
            heard(caller)


def test_who_hangs_up_in_the_middle_of_a_body_leaves_no_trace_in_the_log(stage, capsys):
    """Anybody may do so, as often as they please."""
    token = stage.token("delegation").encode()
    headers = [(b"authorization", b"Bearer " + token), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/envelopes", "query_string": b"", "headers": headers}
    sent = []

    async def gone():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    capsys.readouterr()
    asyncio.run(Framed(create_app(stage.deps))(scope, gone, send))
    assert sent == []
    assert "".join(capsys.readouterr()) == ""


def test_nor_where_no_gate_is_in_front_of_what_reads_it():
    async def reads(scope, receive, send):
        await Request(scope, receive).body()

    async def gone():
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": "/console/link", "headers": []}
    assert asyncio.run(Framed(reads)(scope, gone, None)) is None
