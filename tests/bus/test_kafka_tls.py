"""A broker that does not speak TLS where guardian was told that it does."""

import dataclasses
import socket
import threading
from collections.abc import Iterator

import pytest

from guardian.bus.admin import topic_partitions
from guardian.bus.kafka import KafkaConsumer
from guardian.bus.kafka_producer import KafkaProducer
from guardian.bus.kafka_settings import KafkaSettings
from guardian.bus.kafka_tls import expect_tls
from guardian.errors import BusError, ConfigurationError


@pytest.fixture
def mute() -> Iterator[KafkaSettings]:
    """It takes connections, says nothing and hangs up after four seconds, or no test here would ever end."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hold() -> None:
            while True:
                try:
                    taken = server.accept()[0]
                except OSError:
                    return
                threading.Timer(4, taken.close).start()

        threading.Thread(target=hold, daemon=True).start()
        yield KafkaSettings(
            f"127.0.0.1:{server.getsockname()[1]}",
            bootstrap_timeout_ms=300,
            client_options={"security_protocol": "SSL"},
        )


@pytest.mark.parametrize(
    "act",
    [
        lambda settings: topic_partitions(settings, "decisions"),
        lambda settings: KafkaConsumer(settings, ["decisions"]).start(lambda _: {}),
        lambda settings: KafkaProducer(settings).send("decisions", b"x", key=b"k"),
    ],
    ids=["admin", "consumer", "producer"],
)
def test_a_broker_that_leaves_the_tls_handshake_unanswered_is_told_and_not_waited_for(mute, act) -> None:
    with pytest.raises(BusError, match="no answer to a TLS handshake"):
        act(mute)


def test_one_that_is_away_is_no_help(mute) -> None:
    named = f"localhost,{mute.bootstrap_servers}"  # nobody listens on 9092, which is meant where none is named
    with pytest.raises(BusError, match="no answer to a TLS handshake"):
        expect_tls(dataclasses.replace(mute, bootstrap_servers=named))


@pytest.mark.parametrize("proxy", ["proxy_url", "socks5_proxy"])
def test_what_is_behind_a_proxy_is_not_asked_past_it(mute, proxy) -> None:
    expect_tls(dataclasses.replace(mute, client_options={**mute.client_options, proxy: "socks5://127.0.0.1:1"}))


def test_what_is_no_address_is_left_to_the_client(mute) -> None:
    for named in ("localhost:http", "[::1"):
        with pytest.raises(ConfigurationError):
            KafkaConsumer(dataclasses.replace(mute, bootstrap_servers=named), ["decisions"]).start(lambda _: {})
