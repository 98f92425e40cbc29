"""A monitor that is to begin at the newest record, and is killed before it reads anything."""

from typing import Any

import pytest
import yaml
from until import until

from guardian.bus.admin import ensure_topics
from guardian.bus.kafka_producer import KafkaProducer


def _begin_at_newest(estate: Any, **kafka: str) -> None:
    path = estate.folder / "guardian.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings["kafka"] |= {"auto_offset_reset": "latest", **kafka}
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")


def _killed_before_it_reads(estate: Any) -> None:
    first = estate.watch(name="first")
    until(lambda: "first_start" in (estate.folder / "first.log").read_text(encoding="utf-8"))
    first.kill()
    first.wait()


@pytest.mark.slow
def test_a_first_start_at_the_newest_judges_what_came_since_also_after_a_kill(
    estate: Any, day: list[bytes]
) -> None:
    _begin_at_newest(estate)
    older, newer = day[:30], day[30:60]
    estate.produce(older)
    _killed_before_it_reads(estate)
    assert estate.count("select sum(next_offset) from places") == len(older)
    estate.produce(newer)
    estate.watch(name="second")
    until(lambda: estate.finished(len(newer)))
    assert estate.count("select sum(next_offset) from places") == len(older + newer)
    assert estate.count("select (select count(*) from seen) + (select count(*) from dead_letters)") == len(newer)


@pytest.mark.slow
def test_a_topic_that_is_made_after_the_first_start_is_judged_from_its_first_record(
    estate: Any, day: list[bytes]
) -> None:
    _begin_at_newest(estate, topic="made.later")
    _killed_before_it_reads(estate)
    ensure_topics(estate.broker.settings, {"made.later": 2, "dlq.made.later": 1})
    producer = KafkaProducer(estate.broker.settings)
    for n, line in enumerate(day[:30]):
        producer.send("made.later", line, partition=n % 2)
    producer.close()
    estate.watch(name="second")
    until(lambda: estate.finished(30))
