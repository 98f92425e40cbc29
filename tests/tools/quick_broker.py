"""The local broker with a short session: a join takes half of one, a killed member is missed after a whole one."""

from dataclasses import replace

from guardian.bus.kafka_settings import KafkaSettings
from guardian.bus.local_broker import LocalBroker


class QuickBroker(LocalBroker):
    @property
    def settings(self) -> KafkaSettings:
        return replace(super().settings, session_timeout_ms=3000)
