"""Who calls, as headers name it: a request whose session cannot be told for certain is refused. And good-bye."""

import asyncio
from typing import Any

import pytest
from until import until

from guardian.gateway.aio import AsyncRevocationList
from guardian.gateway.asgi import Caller, RefuseRevoked, from_headers
from guardian.gateway.client import RevocationList


@pytest.fixture
def asked(ledger, follow) -> Any:
    """The status of a request with these headers, where sess_é and agent_1 are revoked."""
    ledger.append("sess_é")
    ledger.append("agent_1", kind="agent")
    revoked = follow()
    assert revoked.wait_ready(10)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    def ask(*headers: tuple[str, str], coding: str = "utf-8", identify: Any = None, **named: str) -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "headers": [(n.encode(), v.encode(coding)) for n, v in headers]}
        names = identify or from_headers("acme", **named)
        asyncio.run(RefuseRevoked(app, revoked, names)(scope, None, send))  # type: ignore[arg-type]
        return int(sent[0]["status"])

    return ask


def test_a_name_beyond_ascii_is_read_as_it_was_revoked(asked) -> None:
    assert asked(("x-session-id", "sess_è")) == 200
    assert asked(("x-session-id", "sess_é")) == 403
    assert asked(("x-session-id", "sess_é"), coding="latin-1") == 403


def test_an_empty_session_names_nobody(asked) -> None:
    assert asked(("x-session-id", "")) == 403


def test_so_does_a_caller_of_whom_only_the_tenant_is_known(asked) -> None:
    assert asked(identify=lambda _: Caller("acme")) == 403
    assert asked(identify=lambda _: Caller("acme", agent="agent_2")) == 200


def test_a_name_that_comes_twice_is_none(asked) -> None:
    assert asked(("x-session-id", "s1"), ("x-session-id", "s2")) == 403
    assert asked(("x-session-id", "s1"), ("x-agent-id", "agent_1"), ("x-agent-id", "agent_2")) == 403


def test_headers_are_named_in_any_capitals(asked) -> None:
    assert asked(("x-gw-session", "s1"), session="X-Gw-Session") == 200


@pytest.mark.parametrize("gone", [None, OSError, RuntimeError], ids=["there", "has left", "closed already"])
def test_an_open_websocket_is_closed_at_the_next_message_of_who_is_revoked_meanwhile(ledger, follow, gone) -> None:
    heard, sent = _over_a_websocket(ledger, follow, {"type": "websocket.receive", "text": "call 2"}, gone)
    assert [message["type"] for message in heard] == [
        "websocket.connect",
        "websocket.receive",
        "websocket.disconnect",
    ]
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "session_revoked"}]


def test_who_hangs_up_is_not_closed_besides(ledger, follow) -> None:
    left = {"type": "websocket.disconnect", "code": 1001}
    heard, sent = _over_a_websocket(ledger, follow, left, None)
    assert (heard[-1], sent) == (left, [])


def _over_a_websocket(ledger, follow, third: Any, gone: type[Exception] | None) -> tuple[list[Any], list[Any]]:
    """What the application hears and the server is sent, where s1 is revoked before the third message."""
    revoked, heard, sent = follow(), list[Any](), list[Any]()
    assert revoked.wait_ready(10)

    async def receive() -> Any:
        if len(heard) == 2:
            ledger.append("s1")
            until(lambda: revoked.is_revoked("acme", "s1"))
        return [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "call 1"}, third][len(heard)]

    async def send(message: Any) -> None:
        sent.append(message)
        if gone is not None:
            raise gone

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        while not heard or heard[-1]["type"] != "websocket.disconnect":
            heard.append(await receive())

    scope = {"type": "websocket", "headers": [(b"x-session-id", b"s1")]}
    asyncio.run(RefuseRevoked(app, revoked, from_headers("acme"))(scope, receive, send))
    return heard, sent


@pytest.mark.parametrize("held", ["in threads", "for asyncio"])
def test_at_the_end_of_the_application_the_list_is_stopped_with_a_good_bye(ledger, served, held) -> None:
    ledger.acknowledging = lambda: 204
    kind = RevocationList if held == "in threads" else AsyncRevocationList
    revoked = kind(ledger.url, "token-of-the-gateway", jitter=lambda: 0.0)
    server, seen = iter(["lifespan.startup", "lifespan.shutdown"]), []

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        for _ in range(2):
            message = await receive()
            seen.append((message["type"], [told["leaving"] for told in ledger.acknowledged][-1:]))

    async def receive() -> Any:
        return {"type": next(server)}

    async def scenario() -> None:
        started = revoked.start()
        if held == "for asyncio":
            await started
        until(lambda: len(ledger.acknowledged) == 1)
        await RefuseRevoked(app, revoked, from_headers("acme"))({"type": "lifespan"}, receive, None)  # type: ignore[arg-type]

    asyncio.run(scenario())
    assert seen == [("lifespan.startup", [False]), ("lifespan.shutdown", [True])]
