"""The way to control where TLS is what fails."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from guardian.commands.doctor_control import control_checked
from guardian.config import load
from guardian.errors import ConfigurationError, ControlError
from guardian.wire.client import ControlClient


def with_a_certificate_of_its_own(folder: Path) -> Callable[[socket.socket], None]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now, day = datetime.now(UTC), timedelta(days=1)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    pem = made.add_extension(address, critical=False).sign(key, hashes.SHA256())
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + pem.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return lambda connection: context.wrap_socket(connection, server_side=True).close()


def without_tls(connection: socket.socket) -> None:
    connection.recv(999)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def listening() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def begin(answer: Callable[[socket.socket], None]) -> str:
        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    try:
                        answer(connection)
                    except OSError:
                        continue

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[0].start()
        return f"https://127.0.0.1:{listener.getsockname()[1]}"

    yield begin
    threads[0].join(10)
    listener.close()


@pytest.mark.parametrize(("tls", "way_out"), [(True, "SSL_CERT_FILE"), (False, "are port and https:// right")])
def test_where_tls_fails_client_and_doctor_point_at_it_and_not_at_a_server_that_is_down(
    listening, tmp_path: Path, *, tls: bool, way_out: str
) -> None:
    url = listening(with_a_certificate_of_its_own(tmp_path) if tls else without_tls)
    with ControlClient(url, lambda: "x") as client, pytest.raises(ControlError) as away:
        client.whoami()
    with pytest.raises(ControlError) as unwell:
        control_checked(load(None, overrides={"control": {"url": url}}))
    for told in (str(away.value), str(unwell.value)):
        assert way_out in told
        assert "guardian serve" not in told
    assert away.value.status == 0
    assert "[SSL" in str(unwell.value)


def test_certificates_that_cannot_be_read_are_told_with_the_variable_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(ConfigurationError, match=r"SSL_CERT_FILE.*No such file"):
        ControlClient("https://control", lambda: "x")
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigurationError, match=r"SSL_CERT_FILE.*certificate"):
        control_checked(load(None))
