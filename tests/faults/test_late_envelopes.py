"""A monitor is killed while records wait for envelopes, which come on a topic of their own; nothing is lost."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from until import until

from guardian.bus.admin import ensure_topics
from guardian.bus.kafka_producer import KafkaProducer
from guardian.demo.log import GATEWAY, log_lines
from guardian.demo.scenario import Plant, Scenario
from guardian.demo.writing import Writing, envelope_body

TOPIC = "guardian.envelopes"


@pytest.mark.slow
def test_a_monitor_killed_while_records_wait_judges_all_of_them_under_the_envelopes_that_came(estate: Any) -> None:
    path = estate.folder / "guardian.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings["source"] = {"format": "agentgateway"}
    settings["envelopes"] = {"wait_s": 120, "topic": TOPIC}
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    ensure_topics(estate.broker.settings, {TOPIC: 1})
    plan = [s for s in Scenario(seed=4, sessions=3).plan() if s.plant in (Plant.NONE, Plant.EXPIRED_ENVELOPE)]
    lines = [json.loads(line) for line in log_lines(plan, begin=datetime.now(UTC) - timedelta(hours=3), seed=4)]
    estate.produce([Writing("agentgateway").of(line) for line in lines])
    killed = estate.watch(crash_at="after_commit:1", name="killed")
    assert killed.wait(timeout=60) < 0
    assert estate.count("select count(*) from waiting") > 0

    estate.watch(name="second")
    until(lambda: estate.count("select count(*) from waiting") == len(lines))
    producer = KafkaProducer(estate.broker.settings)
    for line in lines:
        told = {"schema": "guardian.envelope/v1", "gateway": GATEWAY, "envelope": json.loads(envelope_body(line))}
        producer.send(TOPIC, json.dumps(told).encode(), key=line["envelope"]["session_id"].encode())
    producer.close()
    until(lambda: estate.count("select count(*) from waiting") == 0)
    assert estate.count("select count(*) from seen") == len(lines)
    assert estate.count("select count(*) from dead_letters") == 0
    (expired,) = [s for s in plan if s.plant is Plant.EXPIRED_ENVELOPE]
    until(lambda: (expired.tenant_id, expired.session_id, "revoked") in estate.revocations())
