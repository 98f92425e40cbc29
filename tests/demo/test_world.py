"""What the demo needs around it."""

from pathlib import Path

import pytest
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


def test_no_variable_leads_the_demo_to_a_real_deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = LocalBroker()
    plain = _settings(tmp_path, broker, 50, "guardian", pages=False)
    for name, value in {
        "STORE__CONTROL": "sqlite:////srv/control.db",
        "STORE__EPOCH_FILE": "/srv/epoch",
        "KAFKA__BOOTSTRAP_SERVERS": "kafka-1:9093",
        "KAFKA__GROUP": "guardian",
        "GATEWAYS": '{"gw": ["acme"]}',
        "ARCHIVE": "/srv/archive",
        "SOURCE__FORMAT": "opa",
        "ALERTS": '{"webhook": {"url": "https://alerts.example.com"}}',
        "SLACK__TOKEN": "xoxb-1",
        "BASE": "/srv",
    }.items():
        monkeypatch.setenv(f"GUARDIAN_{name}", value)
    assert _settings(tmp_path, broker, 50, "guardian", pages=False) == plain
    monkeypatch.setenv("GUARDIAN_MODEL__ENGINE", "lexical")
    assert _settings(tmp_path, broker, 50, "guardian", pages=False).model.engine == "lexical"
