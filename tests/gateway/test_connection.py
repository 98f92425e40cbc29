"""The way to the control API."""

import http.client
import re
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from types import SimpleNamespace

import pytest
from nginx import certified
from receivers import Dripping
from until import until

from guardian.gateway import connection
from guardian.gateway.client import RevocationList
from guardian.gateway.connection import Server
from guardian.gateway.reading import Refused
from guardian.gateway.trouble import reason


def test_a_redirect_is_not_followed_with_the_token(ledger, follow) -> None:
    revoked = follow()
    ledger.break_everything(lambda ledger, _: (302, {"Location": f"{ledger.url}/elsewhere"}, b""))
    until(lambda: "http_302" in revoked.state().last_error)
    assert {seen["path"] for seen in ledger.requests} == {"/v1/revocations"}


def test_certificates_are_verified(ledger, served) -> None:
    revoked = RevocationList(ledger.url.replace("http:", "https:"), "t", interval_s=0.02).start()
    try:
        until(lambda: "SSL" in revoked.state().last_error)
    finally:
        revoked.stop()


def test_a_bundle_of_cas_that_changed_is_believed_from_the_next_connection_on(tmp_path, monkeypatch) -> None:
    bundle, (certificate, key) = tmp_path / "bundle.pem", certified(tmp_path, "control")
    bundle.write_bytes(certified(tmp_path, "another")[0].read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(certificate, key)
    made, create = list[object](), ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda: made.append(1) or create())

    def answer(control: socket.socket) -> None:
        for _ in range(2):
            with suppress(OSError), ours.wrap_socket(control.accept()[0], server_side=True) as sock:
                for _ in range(2):
                    sock.recv(65536)
                    sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as control, ThreadPoolExecutor(1) as other:
        answered = other.submit(answer, control)
        url = f"https://localhost:{control.getsockname()[1]}"
        server = Server(url, allow_http=False, context=None, max_bytes=1000)
        with pytest.raises(ssl.SSLCertVerificationError):
            server.get({}, {}, 10)
        bundle.write_bytes(certificate.read_bytes())
        assert [server.get({}, {}, 10).status for _ in range(2)] == [204, 204]
        answered.result()
        server.drop()
    assert len(made) == 2, "once for each connection, however much is asked over it"


@pytest.mark.parametrize(
    ("host", "trusted", "said"),
    [("localhost", False, "self.signed certificate"), ("127.0.0.1", True, "IP address mismatch")],
)
def test_what_is_wrong_with_a_certificate_is_said(tmp_path, host, trusted, said) -> None:
    certificate, key = certified(tmp_path, "control")
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(certificate, key)
    theirs = ssl.create_default_context(cafile=certificate if trusted else None)
    with socket.create_server(("127.0.0.1", 0)) as control, ThreadPoolExecutor(1) as other:
        other.submit(lambda: ours.wrap_socket(control.accept()[0], server_side=True))
        url = f"https://{host}:{control.getsockname()[1]}"
        server = Server(url, allow_http=False, context=theirs, max_bytes=1000)
        with pytest.raises(ssl.SSLCertVerificationError) as failed:
            server.get({}, {}, 10)
        server.drop()
    assert re.match(f"SSLCertVerificationError .*{said}", reason(failed.value))


@pytest.mark.parametrize(("rate", "had"), [(80_000, True), (50_000, False)])
def test_a_long_body_has_the_time_that_a_slow_link_takes(ledger, served, monkeypatch, rate, had) -> None:
    """Time passes here by what was read: 4 MB at `rate` bytes a second, far beyond the time-out."""
    read, seen = http.client.HTTPResponse.read1, [0]

    def counted(answer, most):
        chunk = read(answer, most)
        seen[0] += len(chunk)
        return chunk

    monkeypatch.setattr(http.client.HTTPResponse, "read1", counted)
    monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=lambda: seen[0] / rate))
    ledger.always = lambda *_: (200, {}, b" " * 4_000_000)
    server = Server(ledger.url, allow_http=False, context=None, max_bytes=2**30)
    given_up = pytest.raises(Refused, match=r"too_slow: .* over a slow link raise timeout_s")
    with nullcontext() if had else given_up:
        server.get({}, {"Authorization": "Bearer token-of-the-gateway"}, 5)
        assert seen == [4_000_000]
    server.drop()


def test_a_long_body_in_small_pieces_takes_few_threads(ledger, served, monkeypatch) -> None:
    begin, begun = threading.Timer.start, list[threading.Timer]()
    monkeypatch.setattr(threading.Timer, "start", lambda timer: begun.append(timer) or begin(timer))
    ledger.always = lambda *_: (200, {"Content-Length": "400000"}, (b" " * 1000 for _ in range(400)))
    read = http.client.HTTPResponse.read1
    monkeypatch.setattr(http.client.HTTPResponse, "read1", lambda answer, most: read(answer, min(most, 1000)))
    server = Server(ledger.url, allow_http=False, context=None, max_bytes=2**30)
    assert len(server.get({}, {"Authorization": "Bearer token-of-the-gateway"}, 5).body) == 400_000
    assert len(begun) <= 1 + 400_000 / 65_536 + 1
    server.drop()


def test_an_acknowledgement_without_an_answer_is_not_the_last_one(ledger, served) -> None:
    teller = Server(ledger.url, allow_http=False, context=None, max_bytes=65536)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        teller._port, port = silent.getsockname()[1], teller._port
        with pytest.raises(TimeoutError):
            teller.acknowledge(b"{}", {}, 0.05)
    teller._port = port
    assert teller.acknowledge(b"{}", {}, 10) == 501  # this ledger takes none, but it answers
    teller.drop()


@pytest.mark.parametrize(
    "ask",
    [
        lambda server: server.get({}, {}, 0.2),
        lambda server: server.acknowledge(b"{}", {}, 0.2),
        lambda server: next(server.events({}, 0.2, 10)),
    ],
    ids=["list", "acknowledgement", "stream"],
)
@pytest.mark.parametrize("head", [b"HTTP/1.1 204 No Content\r\n" + b"X-Pad: yes\r\n" * 40, b" " * 500])
def test_a_head_that_comes_in_drops_is_given_up(ask, head) -> None:
    with Dripping(answer=head) as slow:
        server = Server(f"http://127.0.0.1:{slow.port}", allow_http=False, context=None, max_bytes=65536)
        with pytest.raises(Refused, match=r"too_slow: its head did not come within 0\.4 s"):
            ask(server)
        server.drop()


@pytest.mark.parametrize(
    ("begin", "drops"),
    [(b"", b"2;" + b"x" * 500), (b"2\r\n{}\r\n0\r\n", b"X-Pad: yes\r\n" * 40)],
    ids=["size", "trailer"],
)
def test_a_chunk_that_comes_in_drops_is_given_up(ledger, served, begin, drops) -> None:
    def pieces():
        yield begin
        for drop in drops:
            yield ledger.silence(0.01) or bytes([drop])

    ledger.always = lambda *_: (200, {"Transfer-Encoding": "chunked"}, pieces())
    server = Server(ledger.url, allow_http=False, context=None, max_bytes=1000)
    with pytest.raises(Refused, match=r"too_slow: more of it did not come within 2 s"):
        server.get({}, {"Authorization": "Bearer token-of-the-gateway"}, 0.5)
    server.drop()


def test_an_answer_that_ends_by_closing_is_read_no_further_after_an_abort(ledger, served) -> None:
    def pieces():
        yield b"{"
        server.abort()
        yield b"}"
        yield ledger.silence()

    ledger.always = lambda *_: (200, {"Connection": "close"}, pieces())
    server = Server(ledger.url, allow_http=False, context=None, max_bytes=1000)
    with pytest.raises(Refused, match="stopped"):
        server.get({}, {"Authorization": "Bearer token-of-the-gateway"}, 10)
    server.drop()


@pytest.mark.parametrize("drops", [b" " * 500, b"data: {}\n" * 50, b"data: {}\n\ndata: " + b"x" * 500])
def test_an_event_that_comes_in_drops_is_given_up(drops) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    with Dripping(answer=head + drops) as slow:
        server = Server(f"http://127.0.0.1:{slow.port}", allow_http=False, context=None, max_bytes=65536)
        with pytest.raises(Refused, match=r"too_slow: a whole event did not come within 1\.1 s"):
            list(server.events({}, 30, 1))


def test_the_body_of_a_refused_stream_is_not_waited_for(ledger, served) -> None:
    ledger.always = lambda *_: (503, {"Content-Length": "500"}, iter(ledger.silence, None))
    server = Server(ledger.url, allow_http=False, context=None, max_bytes=1000)
    with pytest.raises(Refused, match="http_503"):
        next(server.events({"Authorization": "Bearer token-of-the-gateway"}, 2, 2))


def test_the_name_of_an_event_without_data_is_not_that_of_the_next_one(ledger, served) -> None:
    ledger.always = lambda *_: (
        200,
        {"Content-Type": "text/event-stream"},
        b"event: revocations\n\nid: 1.1\ndata: a\ndata: b\n\n",
    )
    server = Server(ledger.url, allow_http=False, context=None, max_bytes=1000)
    sent = {"Authorization": "Bearer token-of-the-gateway"}
    assert [event for event in server.events(sent, 10, 10) if event] == [("message", [b"a", b"b"])]


def test_a_stream_that_ends_by_closing_may_pause_as_long_as_any_and_is_woken_by_an_abort(ledger, served) -> None:
    def pieces():
        yield b"data: a\n\n"
        yield ledger.silence(0.8)
        yield b"data: b\n\n"
        yield ledger.silence()

    ledger.always = lambda *_: (200, {"Content-Type": "text/event-stream", "Connection": "close"}, pieces())
    server = Server(ledger.url, allow_http=False, context=None, max_bytes=1000)
    events = server.events({"Authorization": "Bearer token-of-the-gateway"}, 0.5, 60)
    assert (next(events), next(events)) == (("message", [b"a"]), ("message", [b"b"]))
    woken = threading.Timer(0.05, server.abort)
    woken.start()
    with pytest.raises(Refused, match="stopped"):
        next(events)
    woken.join()


@pytest.mark.parametrize(
    ("beat", "heard"),
    [("8", True), ("8.1", False), ("", True), ("often", True), (None, True), ("inf", False)],
)
def test_a_stream_whose_heartbeats_would_all_come_late_is_not_listened_to(ledger, served, beat, heard) -> None:
    told = {} if beat is None else {"Guardian-Heartbeat": beat}
    ledger.always = lambda *_: (200, {"Content-Type": "text/event-stream", **told}, b"data: a\n\n")
    server = Server(ledger.url, allow_http=False, context=None, max_bytes=1000)
    events = server.events({"Authorization": "Bearer token-of-the-gateway"}, 10, 10)
    if heard:
        assert [event for event in events if event] == [("message", [b"a"])]
    else:
        with pytest.raises(Refused, match="slow_stream: its heartbeats are too far apart"):
            next(events)


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("https://[2001:db8::1]", ("2001:db8::1", 443)),
        ("https://[2001:db8::ff]/base", ("2001:db8::ff", 443)),
        ("http://[::1]", ("::1", 80)),
        ("https://[::1]:8443", ("::1", 8443)),
        ("https://control.example", ("control.example", 443)),
    ],
)
def test_an_address_without_a_port_has_the_one_of_its_scheme(address, meant) -> None:
    connection = Server(address, allow_http=False, context=None, max_bytes=10)._open(1.0)
    assert (connection.host, connection.port) == meant
