"""The monitor's own page: alive, ready, and figures for who knows the token."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from guardian.errors import ConfigurationError
from guardian.stream import http_server
from guardian.stream.health import HealthServer
from guardian.telemetry import Metrics

TOKEN = "a-scrape-token"


class Face:
    def __init__(self, token: str = TOKEN, host: str = "127.0.0.1") -> None:
        self.metrics = Metrics()
        self.troubles: list[str] = []
        self.server = HealthServer(host, 0, metrics=self.metrics, troubles=lambda: self.troubles, token=token)
        self.host = host

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection(self.host, self.server.port, timeout=60)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode(), response.headers
        finally:
            connection.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Face]:
    made = Face()
    yield made
    made.server.close()


@pytest.fixture
def face(served: Face) -> Face:
    served.troubles = []
    return served


def test_a_process_that_listens_is_alive(face: Face) -> None:
    assert face.get("/healthz")[:2] == (200, "ok\n")


def test_readiness_is_what_the_monitor_says_right_now(face: Face) -> None:
    assert face.get("/readyz")[:2] == (200, "ready\n")
    face.troubles = ["control does not answer", "outbox fails (ValueError)"]
    assert face.get("/readyz")[:2] == (503, "not ready: control does not answer; outbox fails (ValueError)\n")


def test_figures_are_for_who_knows_the_token(face: Face) -> None:
    face.metrics.set("guardian_outbox_depth", 7)
    status, page, headers = face.get("/metrics", Authorization=f"Bearer {TOKEN}")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "guardian_outbox_depth 7.0" in page


@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", TOKEN, f"bearer {TOKEN}", f"Basic {TOKEN}", "Bearer \xe9"],
)
def test_anything_but_the_token_gets_no_figure(face: Face, given: str | None) -> None:
    status, page, headers = face.get("/metrics", **({} if given is None else {"Authorization": given}))
    assert (status, page, headers["WWW-Authenticate"]) == (401, "unauthorized\n", "Bearer")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/healthz/..", "/v1/sessions", "/metricsx"])
def test_there_is_nothing_else(face: Face, path: str) -> None:
    assert face.get(path, Authorization=f"Bearer {TOKEN}")[0] == 404


def test_what_a_scrape_or_a_probe_adds_to_the_address_changes_nothing(face: Face) -> None:
    assert face.get("/metrics?name=x", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert face.get("/metrics?name=x")[0] == 401
    assert face.get("/healthz?")[:2] == (200, "ok\n")


def test_a_head_has_no_body_and_asks_for_the_same_token(face: Face) -> None:
    assert face.get("/readyz", "HEAD")[:2] == (200, "")
    assert face.get("/metrics", "HEAD")[0] == 401
    status, page, headers = face.get("/metrics", "HEAD", Authorization=f"Bearer {TOKEN}")
    assert (status, page, int(headers["Content-Length"]) > 0) == (200, "", True)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_written(face: Face, method: str) -> None:
    assert face.get("/metrics", method, Authorization=f"Bearer {TOKEN}")[0] == 501


def test_a_health_check_writes_no_log_line(face: Face, capfd: pytest.CaptureFixture[str]) -> None:
    face.get("/healthz")
    face.get("/nowhere")
    assert capfd.readouterr() == ("", "")


def test_a_port_in_use_is_refused_at_start_by_its_setting(face: Face) -> None:
    with pytest.raises(
        ConfigurationError,
        match=f"monitor.health_port: cannot listen on 127.0.0.1:{face.server.port}: .*; choose another port",
    ):
        HealthServer("127.0.0.1", face.server.port, metrics=face.metrics, troubles=list, token=TOKEN)


def test_a_host_that_is_not_this_machine_is_refused_by_the_setting_of_the_host() -> None:
    with pytest.raises(
        ConfigurationError, match=r"monitor\.health_host: cannot listen on .*; name an address of this"
    ):
        HealthServer("192.0.2.1", 0, metrics=Metrics(), troubles=list, token=TOKEN)


def test_a_closed_page_answers_no_more(face: Face) -> None:
    closed = Face()
    closed.server.close()
    with pytest.raises(OSError, match="refused"):
        closed.get("/healthz")
    assert face.get("/healthz")[0] == 200


def test_an_empty_token_opens_nothing() -> None:
    with pytest.raises(ConfigurationError, match="token"):
        Face(token="")


def test_it_listens_on_an_address_of_ipv6() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    face = Face(host="::1")
    try:
        assert face.get("/healthz")[:2] == (200, "ok\n")
    finally:
        face.server.close()


def test_of_very_many_connections_the_oldest_makes_room(monkeypatch, capsys) -> None:
    monkeypatch.setattr(http_server, "_MOST_AT_ONCE", 3)
    face = Face()
    with ExitStack() as opened:
        opened.callback(face.server.close)
        where = "127.0.0.1", face.server.port
        held = [opened.enter_context(socket.create_connection(where, timeout=20)) for _ in range(3)]
        held[0].sendall(b"GET /healthz HTTP/1.0\r\nX-Slow: ")
        held[1].sendall(b"GET /healthz HTTP/1.0\r\n")
        assert face.get("/healthz")[:2] == (200, "ok\n")
        assert held[0].recv(1) == b"", "it was given up for the new one"
        held[1].sendall(b"\r\n")
        assert held[1].recv(64).startswith(b"HTTP/1.0 200"), "the others go on"
    assert capsys.readouterr() == ("", "")


def test_a_page_that_fails_is_told_in_a_line_of_the_log(capsys) -> None:
    face = Face()
    face.troubles = 1
    try:
        with pytest.raises(http.client.RemoteDisconnected):
            face.get("/readyz")
    finally:
        face.server.close()
    told, traced = capsys.readouterr()
    assert "page_failed" in told
    assert "error=TypeError" in told
    assert traced == ""


def test_who_connects_and_says_nothing_is_not_waited_for_without_end(monkeypatch) -> None:
    monkeypatch.setattr(http_server, "_PATIENCE_S", 0.05)
    face = Face()
    try:
        with socket.create_connection(("127.0.0.1", face.server.port), timeout=20) as silent:
            assert silent.recv(1) == b""
    finally:
        face.server.close()
