"""Certificates are renewed while we run: those that we believe, and the one that we show."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from nginx import certified
from structlog.testing import capture_logs

from guardian.errors import ConfigurationError, ControlError
from guardian.wire.calls import ControlCalls
from guardian.wire.deadline import BoundedClient
from guardian.wire.trust import Trust


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[ssl.SSLContext], tuple[str, list[bytes | None]]]]:
    """Where a server answers with this context on connections that stay open, and what was shown on each."""
    listener, threads = socket.create_server(("127.0.0.1", 0)), list[threading.Thread]()

    def begin(context: ssl.SSLContext) -> tuple[str, list[bytes | None]]:
        shown: list[bytes | None] = []

        def answer() -> None:
            while True:
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    return
                with suppress(OSError), context.wrap_socket(accepted, server_side=True) as connection:
                    shown.append(connection.getpeercert(binary_form=True))
                    while connection.recv(65536):
                        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        threads.append(threading.Thread(target=answer))
        threads[0].start()
        return f"https://localhost:{listener.getsockname()[1]}", shown

    yield begin
    listener.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
    listener.close()


def of_control(tmp_path: Path, *, knows: tuple[Path, ...] = ()) -> tuple[ssl.SSLContext, bytes]:
    """A server's context, which asks for one of the certificates that it knows; and its own, as PEM."""
    certificate, key = certified(tmp_path, "control")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # a client without a certificate hears of it at once
    for each in knows:
        context.load_verify_locations(each)
        context.verify_mode = ssl.CERT_REQUIRED
    return context, certificate.read_bytes()


def test_cas_that_changed_are_believed_and_those_of_before_no_longer(serve, tmp_path, monkeypatch) -> None:
    context, pem = of_control(tmp_path)
    url, connections = serve(context)
    bundle, another = tmp_path / "bundle.pem", certified(tmp_path, "another")[0].read_bytes()
    bundle.write_bytes(another)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    made, create = list[int](), httpx.create_ssl_context
    monkeypatch.setattr(httpx, "create_ssl_context", lambda: made.append(1) or create())
    with BoundedClient(base_url=url, timeout=10) as client:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            client.get("/")
        bundle.write_bytes(another + pem)
        assert [client.get("/").status_code for _ in range(3)] == [204] * 3
        assert (len(connections), len(made)) == (1, 2), "no certificate is read for a request"
        bundle.write_text("half of i")
        assert client.get("/").status_code == 204, "what was known stays in force until the file is sound"
        bundle.write_bytes(another)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            client.get("/")
    assert len(connections) == 1


def test_a_client_certificate_is_shown_and_the_renewed_one_at_once(serve, tmp_path, monkeypatch) -> None:
    old, new = certified(tmp_path, "old"), certified(tmp_path, "new")
    context, pem = of_control(tmp_path, knows=(old[0], new[0]))
    url, shown = serve(context)
    certificate, key, bundle = tmp_path / "client.pem", tmp_path / "client.key", tmp_path / "bundle.pem"
    bundle.write_bytes(pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    certificate.write_bytes(old[0].read_bytes())
    key.write_bytes(old[1].read_bytes())
    with ControlCalls(url, lambda: "t") as without, pytest.raises(ControlError):
        without._send("GET", "/")
    with ControlCalls(url, lambda: "t", certificate=(certificate, key)) as control, capture_logs() as lines:
        control._send("GET", "/")
        certificate.write_bytes(new[0].read_bytes())
        for _ in range(2):
            control._send("GET", "/")  # its key is not there yet
        [line] = [each for each in lines if each["event"] == "tls_files_not_read"]
        assert line["files"] == (str(bundle), str(certificate), str(key))
        assert "are not a certificate and its key" in line["error"]
        key.write_bytes(new[1].read_bytes())
        control._send("GET", "/")
        certificate.write_bytes(old[0].read_bytes())
        control._send("GET", "/")
        assert [each["event"] for each in lines].count("tls_files_not_read") == 2
    assert shown == [ssl.PEM_cert_to_DER_cert(each.read_text()) for each in (old[0], new[0])]


def test_a_client_certificate_that_cannot_be_read_is_told_at_once(tmp_path) -> None:
    certificate, key = certified(tmp_path, "client")[0], certified(tmp_path, "another")[1]
    for told in (key, tmp_path / "absent.key"):
        with pytest.raises(
            ConfigurationError, match=r"control\.client_certificate: .*client\.pem and .*\.key are"
        ):
            ControlCalls("https://localhost:1", lambda: "t", certificate=(certificate, told))


def test_those_of_the_system_of_before_are_believed_while_their_file_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (certified(tmp_path, name)[0].read_bytes() for name in ("one", "other"))
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(one)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    trust = Trust(without=ssl.create_default_context)
    bundle.unlink()
    assert trust.context() is trust.first
    bundle.write_bytes(one[:100])
    assert trust.context() is trust.first
    bundle.write_bytes(one + other)
    assert trust.context().cert_store_stats()["x509"] == 2


def test_files_that_cannot_be_used_are_not_read_for_every_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, now, made = tmp_path / "bundle.pem", [0.0], list[float]()
    bundle.write_bytes(certified(tmp_path, "one")[0].read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))

    def make() -> ssl.SSLContext:
        made.append(now[0])
        if 0 < len(made) - 1 < 4:
            raise OSError("too many open files")
        return ssl.create_default_context()

    trust = Trust(without=make, timer=lambda: now[0])
    bundle.write_bytes(certified(tmp_path, "other")[0].read_bytes())
    for now[0] in (10.0, 10.1, 10.9, 11.0, 11.1):
        assert trust.context() is trust.first
    bundle.write_bytes(bundle.read_bytes() * 2)
    assert trust.context() is trust.first
    now[0] = 12.5
    assert trust.context() is not trust.first
    assert made == [0.0, 10.0, 11.0, 11.1, 12.5]
