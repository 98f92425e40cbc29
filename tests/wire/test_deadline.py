"""One deadline for a whole exchange over HTTP: what drips is given up, and nothing else of httpx changes."""

import gzip
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest
from nginx import certified
from receivers import Dripping
from serving import Reply, Served, answering, serving

from guardian.alerting.http_post import post
from guardian.errors import AdviserError, ControlError
from guardian.wire import calls
from guardian.wire.adviser import RemoteAdviser
from guardian.wire.client import ControlClient
from guardian.wire.deadline import BoundedClient, Deadline


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def saying_little(tls: ssl.SSLContext | None = None) -> AbstractContextManager[Served]:
    return answering(lambda _: Reply(b"{}"), tls=tls)


class Proxy(socketserver.StreamRequestHandler):
    """Opens tunnels (CONNECT); each is in its server's `tunnels`."""

    def handle(self) -> None:
        method, place, _ = self.rfile.readline().decode().split()
        self.server.tunnels.append(place)  # type: ignore[attr-defined]
        assert method == "CONNECT"
        while self.rfile.readline().strip():
            pass
        host, port = place.split(":")
        with socket.create_connection((host, int(port))) as beyond:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=self._pump, args=(beyond, self.connection))
            back.start()
            self._pump(self.connection, beyond)
            back.join()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def saying(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server's URL, and the heads of what it was asked; it answers all with these bytes."""
    asked: list[bytes] = []

    class Saying(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked.append(b"".join(iter(self.rfile.readline, b"\r\n")))
            with suppress(OSError):  # who asked has heard enough
                self.wfile.write(answer)

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Saying)) as url:
        yield url, asked


@contextmanager
def proxying() -> Iterator[tuple[str, list[str]]]:
    made = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy)
    made.tunnels = []  # type: ignore[attr-defined]
    with serving(made) as url:
        yield url, made.tunnels  # type: ignore[attr-defined]


def test_what_is_left_shrinks_with_the_clock_and_then_it_is_too_late() -> None:
    now = [100.0]
    network = Deadline(lambda: now[0])
    network.begin(2.0)
    now[0] = 101.5
    assert network.left(httpcore.ReadTimeout, None) == pytest.approx(0.5)
    assert network.left(httpcore.ReadTimeout, 0.1) == pytest.approx(0.1)
    now[0] = 102.0
    with pytest.raises(httpcore.ConnectTimeout, match="deadline has passed"):
        network.connect_tcp("127.0.0.1", 9)


class Below(httpcore.SyncBackend):
    """What each address does, after so many seconds, or after all that it was given."""

    def __init__(self, now: list[float], answers: dict[str, tuple[float, Exception | None]]) -> None:
        self._now, self._answers = now, answers

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *how: Any, **more: Any
    ) -> httpcore.NetworkStream:
        assert timeout is not None
        takes, error = self._answers.pop(host)
        self._now[0] += min(takes, timeout)
        if error is not None:
            raise error
        return httpcore.MockStream([host.encode()])


DEAD, SHUT = (60.0, httpcore.ConnectTimeout("dead")), (0.5, httpcore.ConnectError("shut"))


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[bytes | str, float]]:
    """What comes of a connection to a name with addresses that answer so, and the seconds that it took."""

    def made(*answers: tuple[float, Exception | None]) -> tuple[bytes | str, float]:
        now = [0.0]
        known = {f"192.0.2.{place}": answer for place, answer in enumerate(answers)}
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in known]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        network = Deadline(lambda: now[0])
        network._below = Below(now, known)
        network.begin(5.0)
        try:
            return network.connect_tcp("control.example", 443, 2.0).read(100, 1.0), now[0]
        except (httpcore.ConnectTimeout, httpcore.ConnectError) as error:
            return f"{type(error).__name__}: {error}", now[0]

    return made


def test_a_name_with_dead_addresses_takes_no_longer_than_the_deadline(connected) -> None:
    assert connected(DEAD, DEAD, DEAD, DEAD, DEAD) == ("ConnectTimeout: dead", 5.0)
    assert connected(DEAD, DEAD) == ("ConnectTimeout: dead", 4.0)


def test_no_dead_address_takes_the_time_of_one_that_lives(connected) -> None:
    assert connected(DEAD, DEAD, DEAD, DEAD, (0.25, None)) == (b"192.0.2.4", 4.25)


def test_the_first_address_that_answers_is_taken_or_else_the_last_says_why(connected) -> None:
    assert connected(SHUT, (0.25, None), DEAD) == (b"192.0.2.1", 0.75)
    assert connected(DEAD, SHUT) == ("ConnectError: shut", 2.5)
    assert connected() == ("ConnectError: the name has no address", 0.0)


def test_a_name_that_nobody_knows_is_an_error_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with BoundedClient() as client, pytest.raises(httpx.ConnectError, match="Name or service not known"):
        client.get("http://control.example/")


def test_the_scope_of_a_link_local_address_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 443, 0, socket.if_nametoindex("lo")))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    network = Deadline(lambda: 0.0)
    network._below = Below([0.0], {"fe80::1%lo": (0.0, None)})
    network.begin(5.0)
    assert network.connect_tcp("control.example", 443).read(100) == b"fe80::1%lo"


def got(client: BoundedClient, url: str) -> bytes:
    return client.get(url).content


def streamed(client: BoundedClient, url: str) -> bytes:
    with client.stream("GET", url) as answer:
        return answer.read()


@pytest.mark.parametrize("ask", [got, streamed])
@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"])
def test_an_answer_in_drops_is_given_up(ask: Callable[[BoundedClient, str], bytes], head: bytes) -> None:
    with (
        Dripping(answer=head + b"x" * 500) as server,
        BoundedClient(timeout=0.6) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        ask(client, f"http://127.0.0.1:{server.port}/")


def test_the_whole_may_take_longer_than_each_read() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"x" * 200  # takes two seconds and more
    with Dripping(answer=answer) as server, BoundedClient(timeout=1.9, total_s=60.0) as client:
        assert client.get(f"http://127.0.0.1:{server.port}/").text == "x" * 200


def test_the_adviser_is_given_up_when_its_answer_drips() -> None:
    with (
        Dripping() as server,
        closing(RemoteAdviser(f"http://127.0.0.1:{server.port}", lambda: "t")) as adviser,
        pytest.raises(AdviserError, match="no answer in time"),
    ):
        adviser.weigh(b"{}", 0.2)


def test_so_is_control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_TOTAL_S", 0.2)
    with (
        Dripping() as server,
        ControlClient(f"http://127.0.0.1:{server.port}", lambda: "t") as control,
    ):
        with pytest.raises(ControlError, match="Timeout"):
            control.whoami()
        assert not control.ready()


def test_connections_are_kept_whichever_thread_asks_next_and_each_exchange_has_a_deadline_of_its_own() -> None:
    now = [0.0]
    limits = httpx.Limits(keepalive_expiry=None)
    with saying_little() as server, BoundedClient(timeout=30.0, limits=limits) as client:
        client._network._clock = lambda: now[0]
        told: list[str] = []
        for _ in range(5):
            ask = threading.Thread(target=lambda: told.append(client.get(server.url).text))
            ask.start()
            ask.join()
            now[0] += 29.0
    assert told == ["{}"] * 5
    assert len({each.caller for each in server.asked}) == 1


def test_the_environments_proxy_and_certificates_are_believed(tmp_path: Path, monkeypatch) -> None:
    certificate, key = certified(tmp_path, "control")
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(certificate, key)

    def ready() -> bool:
        with ControlClient(f"https://{place}", lambda: "t") as control:
            return control.ready()

    with saying_little(trust) as server, proxying() as (proxy, tunnels):
        place = server.url.replace("http://127.0.0.1", "localhost")
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        assert not ready()  # nobody vouches for the certificate
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert ready()
        assert tunnels == [place] * 2
        monkeypatch.setenv("NO_PROXY", "localhost")
        assert ready()
        assert len(tunnels) == 2


def test_a_proxy_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with Dripping() as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
        with BoundedClient(timeout=0.2) as client, pytest.raises(httpx.ReadTimeout):
            client.get("https://control.example/")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_no_proxy_sees_what_goes_over_http(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with saying_little() as server, proxying() as (proxy, tunnels):
        monkeypatch.setenv(name, proxy)
        with ControlClient(server.url, lambda: "t") as control:
            assert control.ready()
        post(server.url, b"{}", {}, timeout_s=5)
        assert tunnels == []


def packed(layers: int) -> bytes:
    body = b"{}" + b" " * 100_000
    for _ in range(layers):
        body = gzip.compress(body)
    return body


@pytest.mark.parametrize("layers", [1, 2])
def test_what_is_packed_is_not_unpacked(layers: int) -> None:
    coding, body = ", ".join(["gzip"] * layers).encode(), packed(layers)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (coding, len(body))
    with saying(head + body) as (url, asked), BoundedClient() as client:
        with pytest.raises(httpx.DecodingError, match="packed"):
            client.get(url)
        assert b"accept-encoding: identity\r\n" in asked[0].lower()


@pytest.mark.parametrize("head", [b"Content-Length: 5000\r\n\r\n", b"X-Pad: ", b"Connection: close\r\n\r\n"])
def test_an_answer_that_is_too_long_is_read_no_further(head: bytes) -> None:
    with (
        saying(b"HTTP/1.1 200 OK\r\n" + head + b"x" * 5000) as (url, _),
        BoundedClient(most_bytes=4000) as client,
        pytest.raises(httpx.ReadError, match="too long"),
    ):
        client.get(url)


def test_each_answer_has_a_bound_of_its_own() -> None:
    with saying_little() as server, BoundedClient(most_bytes=200) as client:
        assert [client.get(server.url).text for _ in range(5)] == ["{}"] * 5
    assert len({each.caller for each in server.asked}) == 1
