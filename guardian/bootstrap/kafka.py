"""How to talk to the broker, from settings."""

from guardian.bus.kafka_settings import KafkaSettings
from guardian.config import Settings


def kafka_settings(settings: Settings) -> KafkaSettings:
    section = settings.kafka
    return KafkaSettings(
        section.bootstrap_servers,
        session_timeout_ms=section.session_timeout_ms,
        heartbeat_interval_ms=section.heartbeat_interval_ms,
        assignor=section.assignor,
        group_instance_id=section.group_instance_id,
        client_options=dict(section.options),
    )
