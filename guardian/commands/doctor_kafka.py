"""What the doctor asks the broker: whether the topics are there, and who else reads them."""

from contextlib import closing

from guardian.bootstrap.databases import is_there
from guardian.bootstrap.kafka import kafka_settings
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.bus.admin import read_by, topic_partitions
from guardian.commands.checks import Unknown, Unwell
from guardian.config import Settings
from guardian.domain.record import Place
from guardian.domain.text import counted
from guardian.errors import BusError


def envelopes_checked(settings: Settings) -> str:
    topic, map_ = settings.envelopes.topic, settings.envelopes.static
    for name in [topic, f"dlq.{topic}"] if topic is not None else []:
        if topic_partitions(kafka_settings(settings), name) is None:
            raise Unwell(f"envelopes.topic: {name!r} is missing", f"create it, and dlq.{topic}")
    told = ["in the log, or registered with control"]
    told += [f"on topic {topic!r}"] if topic is not None else []
    told += [f"by a map of {counted(len(map_), 'line')}"] if map_ else []
    return f"{', '.join(told)}; late ones are waited for {settings.envelopes.wait_s:g} s"


def broker_checked(settings: Settings) -> str:
    topic = settings.kafka.topic
    try:
        partitions = topic_partitions(kafka_settings(settings), topic)
        letters = topic_partitions(kafka_settings(settings), f"dlq.{topic}")
    except BusError as error:
        found, _, mend = str(error).partition("; ")
        way_out = "start a broker there, or set kafka.bootstrap_servers to yours, kafka.options for TLS and SASL"
        raise Unwell(found, mend or way_out) from error
    if partitions is None:
        raise Unwell(
            f"{settings.kafka.bootstrap_servers} answers, topic {topic!r} is missing",
            f"create it, and dlq.{topic}; key its records by session id",
            stops=False,
        )
    if letters is None:
        raise Unwell(
            f"{settings.kafka.bootstrap_servers}: topic 'dlq.{topic}' is missing",
            "create it: what cannot be read is kept there",
            stops=False,
        )
    shown = f"{settings.kafka.bootstrap_servers}: topic {topic!r} with {counted(partitions, 'partition')}"
    return f"{shown}; a first start begins at {settings.kafka.auto_offset_reset} (kafka.auto_offset_reset)"


def group_checked(settings: Settings) -> str:
    """A monitor stores how far it read before it tells the broker: what the group read beyond that, others did."""
    topic, group = settings.kafka.topic, settings.kafka.group
    try:
        told = read_by(kafka_settings(settings), topic, group)  # first: what is stored only grows
    except BusError as error:  # it may describe a topic, and not say who reads it
        raise Unknown(f"not asked how far {group!r} has read: {error}") from error
    stored: dict[Place, int] = {}
    if is_there(settings, settings.store.monitor):
        with closing(open_monitor_store(settings)) as store:
            stored = store.positions(Place(topic, partition) for partition in told)
    for partition, at in sorted(told.items()):
        if (here := stored.get(Place(topic, partition), 0)) < at:
            raise Unwell(
                f"others read {topic}[{partition}] as members of {group!r}: up to {at}, this database's monitors"
                f" up to {here}",
                "give each deployment (staging too) a kafka.group of its own; where this database is new, or was"
                " put back from a copy, its monitors read that themselves once they run",
            )
    return f"nobody else reads {topic!r} as a member of {group!r}, as far as the broker knows"
