"""The control API's socket."""

import errno
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from guardian.bootstrap.control import Control
from guardian.bootstrap.control_socket import connections, listen, url_of
from guardian.bootstrap.resources import resource as resource_folder
from guardian.cli import _code
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.errors import ConfigurationError, PlaceAway
from guardian.stream.http_server import not_listening
from guardian.telemetry import Metrics


def test_asyncio_is_told_that_this_is_tcp_so_that_no_answer_waits_for_an_acknowledgement():
    """asyncio turns Nagle's algorithm off only for sockets whose protocol is named; accepted ones inherit it."""
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert (listener.proto, accepted.proto) == (socket.IPPROTO_TCP, socket.IPPROTO_TCP)


def test_a_port_that_is_taken_is_said_with_a_way_out():
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}.*choose another port"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["nosuch.invalid", "192.0.2.7", "[::1]"])
def test_a_host_that_is_not_here_is_said_to_be_what_is_wrong(host: str):
    with pytest.raises(
        ConfigurationError, match=r"control\.host: cannot listen on .*name an address of this machine"
    ):
        listen(host, 0)


@pytest.mark.parametrize(
    ("trouble", "passes"),
    [
        (OSError(errno.EADDRINUSE, "in use"), True),
        (OSError(errno.EADDRNOTAVAIL, "an interface that is not up yet"), True),
        (socket.gaierror(socket.EAI_AGAIN, "no resolver yet"), True),
        (OSError(errno.EACCES, "a port below 1024"), False),
        (OSError(errno.EAFNOSUPPORT, "no IPv6"), False),
        (socket.gaierror(socket.EAI_NONAME, "no such host"), False),
    ],
)
def test_what_passes_is_tried_again_by_the_unit_and_what_lasts_is_not(
    trouble: OSError, passes: bool, monkeypatch: pytest.MonkeyPatch
):
    def bind(*_: object) -> None:
        raise trouble

    with monkeypatch.context() as broken:
        broken.setattr(socket.socket, "bind", bind)
        with pytest.raises(ConfigurationError) as of_control:
            listen("127.0.0.1", 0)
    told = not_listening(trouble, "127.0.0.1", 0, setting="monitor.health_port")
    for refused in (of_control.value, told):
        assert isinstance(refused, PlaceAway) == passes
        assert _code(refused) == (1 if passes else 2)


def test_no_host_at_all_is_not_every_address_of_the_machine():
    with pytest.raises(ConfigurationError, match=r"control\.host"):
        load(overrides={"control": {"host": ""}})


@pytest.mark.parametrize(
    ("host", "reached"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")]
)
def test_a_listener_is_reached_at_an_address_that_a_client_can_read(host: str, reached: str):
    with listen(host, 0) as listener:
        url = url_of(listener)
        assert url == f"http://{reached}:{listener.getsockname()[1]}"
        assert httpx.URL(url).host == reached.strip("[]")


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    control = Control(load(initialise(tmp_path / "home")), metrics=Metrics(), port=0)
    control.start()
    yield control
    control.stop()


def test_the_longest_token_and_certificate_are_read_in_whatever_parts_they_come(control: Control):
    with socket.create_connection(("127.0.0.1", control.port), timeout=30) as caller:
        longest = "a" * 16_384
        caller.sendall(f"GET /v1/watch HTTP/1.1\r\nHost: a\r\nClient-Cert: {longest}\r\n".encode())
        caller.sendall(f"Authorization: Bearer {longest}".encode())
        time.sleep(0.3)  # until control has read that much
        caller.sendall(b"\r\n\r\n")
        assert caller.recv(12) == b"HTTP/1.1 401"


@pytest.mark.parametrize("path", ["/v1/findings", "/healthz", "/console/link", "/nowhere"])
def test_a_body_of_two_lengths_is_refused_and_what_hides_behind_it_is_no_request(control: Control, path: str):
    body = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: guardian\r\n\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: guardian\r\nTransfer-Encoding: chunked\r\nContent-Length: {len(body)}"
    with socket.create_connection(("127.0.0.1", control.port), timeout=30) as caller:
        caller.sendall(head.encode() + b"\r\n\r\n" + body)
        answered = b"".join(iter(lambda: caller.recv(65536), b""))  # to the end: it is closed
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert answered.count(b"HTTP/1.1 ") == 1


@pytest.fixture
def limits() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("limits")
def test_control_takes_the_descriptors_that_it_may_have_and_leaves_itself_some():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    most, soft = connections(), resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert soft > 1024
    assert 1024 < most <= soft - 512
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert connections() == most


def test_the_example_unit_gives_control_descriptors_for_every_caller():
    unit = (resource_folder("config") / "examples" / "systemd" / "guardian-control.service").read_text()
    assert "\nLimitNOFILE=65536\n" in unit


@pytest.fixture
def websocket(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a package that speaks it, to which uvicorn hands such connections."""

    def speaks(**_: object) -> None:
        raise AssertionError("taken for a WebSocket")

    monkeypatch.setattr("uvicorn.protocols.websockets.auto.AutoWebSocketsProtocol", speaks)


@pytest.mark.usefixtures("websocket")
def test_nobody_leaves_the_bounds_as_a_websocket_whatever_is_installed(control: Control):
    asked = {"Upgrade": "websocket", "Connection": "Upgrade"}
    assert httpx.post(f"{control.url}/healthz", headers=asked, content=b"x").status_code == 405
