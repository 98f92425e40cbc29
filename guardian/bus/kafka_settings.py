"""Where a Kafka broker is and how to talk to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kafka import KafkaConsumer, KafkaProducer
from kafka.cluster import collect_hosts
from kafka.errors import KafkaConfigurationError

from guardian.domain.urls import is_here
from guardian.errors import BusError, ConfigurationError

REFUSALS = (KafkaConfigurationError, AssertionError, TypeError, ValueError)
"""What the library raises for arguments that it does not accept, whether or not there is a broker."""

_OURS = frozenset(
    {
        "bootstrap_servers", "group_id", "group_instance_id", "enable_auto_commit", "auto_offset_reset",
        "isolation_level", "partition_assignment_strategy", "key_deserializer", "value_deserializer",
        "key_serializer", "value_serializer", "acks", "enable_idempotence", "transactional_id", "max_poll_records",
    }
)  # fmt: skip

_SHOW_SECRETS = ("PLAIN", "OAUTHBEARER")
"""SASL mechanisms that send a password or token as it is."""


@dataclass(frozen=True)
class KafkaSettings:
    """Where the broker is and how to talk to it.

    `assignor` "cooperative-sticky" moves only the partitions that must move. "range" stops all of them for the
    hand-over; it is for brokers that do not support the former. All members of a group need the same one.
    `fetch_max_wait_ms` is how long a broker keeps a fetch that finds nothing; Kafka answers it at the first byte.
    Longer, fewer questions; but what else is asked of that broker waits behind it.
    `client_options` goes to the client as it is, for TLS and SASL: `security_protocol`, `ssl_cafile`,
    `sasl_mechanism`, `sasl_plain_username`, … What guardian's guarantees rest on cannot be set there.
    """

    bootstrap_servers: str | Sequence[str]
    client_id: str = "guardian"
    session_timeout_ms: int = 45_000
    heartbeat_interval_ms: int = 3_000
    max_poll_interval_ms: int = 300_000
    fetch_max_wait_ms: int = 100
    max_partition_fetch_bytes: int = 2 * 1024 * 1024
    bootstrap_timeout_ms: int = 5_000
    assignor: Literal["cooperative-sticky", "range"] = "cooperative-sticky"
    group_instance_id: str | None = None
    client_options: Mapping[str, object] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if taken := sorted(_OURS & set(self.client_options)):
            raise ConfigurationError(
                f"kafka client option {taken[0]!r} cannot be set: guardian sets it, as its guarantees need it"
            )
        if unknown := sorted(set(self.client_options) - _known()):
            raise ConfigurationError(
                f"kafka client option {unknown[0]!r} is not known; kafka-python has: "
                f"{', '.join(sorted(_known() - _OURS))}"
            )
        self._check_privacy()

    def _check_privacy(self) -> None:
        """The client heeds options of TLS and SASL only where the protocol says so, and is silent otherwise."""
        told = {name: value for name, value in self.client_options.items() if value is not None}
        protocol, mechanism = str(told.get("security_protocol", "PLAINTEXT")), told.get("sasl_mechanism")
        for kind, protocols in (("ssl_", ("SSL", "SASL_SSL")), ("sasl_", ("SASL_SSL", "SASL_PLAINTEXT"))):
            idle = sorted(name for name in told if name.startswith(kind))
            if idle and protocol not in protocols:
                raise ConfigurationError(
                    f"kafka.options.{idle[0]}: it does nothing with security_protocol {protocol}; set "
                    f"kafka.options.security_protocol to {' or '.join(protocols)}, or leave {idle[0]} out"
                )
        shows = protocol == "SASL_PLAINTEXT" and mechanism in _SHOW_SECRETS
        if shows and not all(is_here(host) for host, _, _ in collect_hosts(self.bootstrap_servers)):
            raise ConfigurationError(
                f"kafka.options.security_protocol: with SASL_PLAINTEXT, {mechanism} sends its secret unencrypted; "
                "set it to SASL_SSL, or sasl_mechanism to SCRAM-SHA-512"
            )

    @property
    def connection(self) -> dict[str, object]:
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id,
            "bootstrap_timeout_ms": self.bootstrap_timeout_ms,
            **self.client_options,
        }

    def options_for(self, client: Any, **usual: object) -> dict[str, object]:
        """The options that this kind of client knows; `usual` are the defaults for them."""
        return usual | {name: value for name, value in self.connection.items() if name in client.DEFAULT_CONFIG}


def _known() -> set[str]:
    """Every option that at least one of the clients knows."""
    return {*KafkaConsumer.DEFAULT_CONFIG, *KafkaProducer.DEFAULT_CONFIG}


def bus_error(what: str, error: Exception) -> BusError:
    """A client's failure in guardian's words: what, why, and what to check."""
    detail = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, REFUSALS):
        return BusError(f"kafka: {what}: the client refuses: {detail}; check kafka.options and the topic's name")
    return BusError(
        f"kafka: {what}: {detail}; check bootstrap_servers, TLS/SASL options and that the topic exists"
    )
