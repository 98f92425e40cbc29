"""What the demo needs around it."""

from pathlib import Path

from kafka import KafkaConsumer

from guardian.bootstrap.kafka import kafka_settings
from guardian.bus.local_broker import LocalBroker
from guardian.demo.world import _settings


def test_the_demos_broker_is_talked_to_as_suits_it(tmp_path: Path) -> None:
    broker = LocalBroker()
    ours = kafka_settings(_settings(tmp_path, broker, 50, "guardian", pages=False))
    for name in ("bootstrap_servers", "session_timeout_ms", "heartbeat_interval_ms", "assignor"):
        assert getattr(ours, name) == getattr(broker.settings, name)
    asked = ours.options_for(KafkaConsumer, fetch_max_wait_ms=ours.fetch_max_wait_ms)
    assert asked["fetch_max_wait_ms"] == broker.settings.fetch_max_wait_ms
