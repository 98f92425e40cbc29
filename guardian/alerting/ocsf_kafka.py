"""Alerts as OCSF Detection Findings on a Kafka topic, keyed by session, for SIEMs that read from there."""

import json
from dataclasses import dataclass

from guardian.alerting.delivered import Delivered, message_id
from guardian.alerting.ocsf import to_ocsf
from guardian.alerting.port import Alert, Given, RetryLater
from guardian.bus.port import Producer
from guardian.bus.topic import topic_name
from guardian.errors import BusError


@dataclass(frozen=True, slots=True, kw_only=True)
class OcsfKafkaOptions:
    """`topic` on the broker that the monitor reads from."""

    topic: str

    def __post_init__(self) -> None:
        topic_name(self.topic)

    def open(self, given: Given) -> "OcsfKafkaChannel":
        return OcsfKafkaChannel(self.topic, given.producer())


class OcsfKafkaChannel:
    """Returns when the broker has acknowledged; a consumer knows a repeated event by `metadata.uid`."""

    name = "ocsf_kafka"

    def __init__(self, topic: str, producer: Producer) -> None:
        self._topic, self._producer = topic, producer
        self._delivered = Delivered()

    def deliver(self, alert: Alert) -> str:
        event = json.dumps(to_ocsf(alert), ensure_ascii=True, allow_nan=False).encode("ascii")
        key = alert.finding.session_id.encode("utf-8", "replace")
        headers = [("ocsf-class-uid", b"2004"), ("ocsf-version", b"1.8.0")]
        try:
            self._producer.send(self._topic, event, key=key, headers=headers)
        except BusError as error:
            raise RetryLater(str(error)[:300]) from None
        return self._delivered.note(alert, f"ocsf_kafka:{message_id(alert)}")

    def find(self, alert: Alert) -> str | None:
        return self._delivered.find(alert)


plugin = OcsfKafkaOptions
