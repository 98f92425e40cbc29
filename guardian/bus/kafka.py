"""Reading from Kafka through kafka-python.

The store's offsets are the truth: on assignment the consumer seeks to them, in `poll`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaConsumer as _Client
from kafka import OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import CorruptRecordError, InconsistentGroupProtocolError, KafkaError
from kafka.structs import MemberState

from guardian.bus.admin import topic_partitions
from guardian.bus.kafka_ends import ANSWER_MS, BOUNDS_MS, LEADERLESS, fetched_ends, listed_bounds
from guardian.bus.kafka_following import Following
from guardian.bus.kafka_reading import bound_reading
from guardian.bus.kafka_rebalance import TAKEN_AWAY, Notes, listener, place_of
from guardian.bus.kafka_settings import REFUSALS, KafkaSettings, bus_error
from guardian.bus.kafka_tls import expect_tls, tls_context
from guardian.domain.record import Place, Record
from guardian.errors import BusError, ConfigurationError
from guardian.telemetry import logger

_log = logger("bus")
_JOINING_S = 1.0
_EARLIEST_MS = 946_684_800_000  # 2000-01-01: no log is older
_ASSIGNORS = {"cooperative-sticky": CooperativeStickyAssignor, "range": RangePartitionAssignor}


class KafkaConsumer:
    """One member of a consumer group."""

    def __init__(self, settings: KafkaSettings, topics: Sequence[str], *, group: str = "guardian") -> None:
        bound_reading()
        self._settings = settings
        self._topics = list(topics)
        self._group = group
        self._client: Any = None
        self._notes = Notes()
        self._positions: Callable[[Sequence[Place]], Mapping[Place, int]] | None = None
        self._sought: set[Place] = set()
        self._following = Following()
        self._member = ""
        self._paused = False
        self._proved = False  # whether the client once accepted the options: then they are not to blame

    def start(self, positions: Callable[[Sequence[Place]], Mapping[Place, int]]) -> None:
        self.close()
        self._positions = positions
        self._notes = Notes()
        settings = self._settings
        options = {
            **settings.options_for(
                _Client,
                session_timeout_ms=settings.session_timeout_ms,
                heartbeat_interval_ms=settings.heartbeat_interval_ms,
                max_poll_interval_ms=settings.max_poll_interval_ms,
                fetch_max_wait_ms=settings.fetch_max_wait_ms,
                max_partition_fetch_bytes=settings.max_partition_fetch_bytes,
            ),
            "group_id": self._group,
            "group_instance_id": settings.group_instance_id,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            "allow_auto_create_topics": False,
            "partition_assignment_strategy": [_ASSIGNORS[settings.assignor]()],
        }
        if not self._proved:
            tls_context(settings)  # files that cannot be used are refused at the start
        expect_tls(settings)
        try:
            self._client = _Client(**options)
            self._client.subscribe(topics=self._topics, listener=listener(self._notes))
        except (*REFUSALS, KafkaError, OSError) as error:
            refused = bus_error(f"cannot reach {settings.bootstrap_servers}", error)
            if isinstance(error, REFUSALS) and not self._proved:
                raise ConfigurationError(str(refused)) from error
            raise refused from error
        self._proved = True
        _log.info(
            "joining", group=self._group, topics=self._topics, note="reads once the group assigns partitions"
        )

    def poll(self, *, timeout_s: float, max_records: int) -> list[Record]:
        try:
            client = self._started()
            self._seek_new()
            batch = client.poll(timeout_ms=self._patience_ms(timeout_s), max_records=max_records)
            # Records of a place that was assigned during the poll are dropped: the seek fetches them again.
            wanted = self._sought - self._notes.pending()
            came = {place_of(partition): messages for partition, messages in batch.items()}
            self._following.follow(client, came, wanted)
        except InconsistentGroupProtocolError as error:
            raise BusError(
                f"kafka: group {self._group!r} has a member that divides the partitions by another assignor than "
                f"kafka.assignor: {self._settings.assignor}; set the same one everywhere, or stop that member "
                f"(`kafka-consumer-groups.sh --describe --members --group {self._group}` names it)"
            ) from error
        except CorruptRecordError as error:  # the client never gets past it by itself
            told = " ".join(" ".join(map(str, error.args)).split())[:300]
            way_out = "as config/README.md says under 'A record of the topic cannot be read at all'"
            raise BusError(f"kafka: {told}; if it stays, go on behind it {way_out}") from error
        except KafkaError as error:
            raise bus_error("poll failed", error) from error
        return [
            _record(message)
            for partition, messages in batch.items()
            if place_of(partition) in wanted
            for message in messages
        ]

    def assignment(self) -> frozenset[Place]:
        return frozenset(self._sought)

    def member(self) -> str:
        return self._member

    def bounds(self, positions: Mapping[Place, int]) -> Mapping[Place, tuple[int, int]]:
        """As the broker lists them. Where the listed end lies before the position, a fetch decides; if that fails,
        the bounds stay unknown, and `Following` notices a topic that begins again."""
        found = listed_bounds(self._started(), list(positions))
        short = {place: end for place, (_, end) in found.items() if end < positions[place]}
        ends = fetched_ends(self._settings, short, patience_s=BOUNDS_MS / 1000) if short else {}
        return {
            place: (first, max(end, ends.get(place, end)))
            for place, (first, end) in found.items()
            if place not in short or place in ends
        }

    def ends(self) -> dict[Place, int]:
        """Where each partition of its topics ends now, whoever reads it; of a topic that does not exist yet, that
        the first one ends at 0. Raises BusError where that is not known of all."""
        client = self._started()
        counts = {topic: topic_partitions(self._settings, topic) for topic in self._topics}
        partitions = [TopicPartition(topic, n) for topic, count in counts.items() for n in range(count or 0)]
        try:
            ends = client.end_offsets(partitions, timeout_ms=BOUNDS_MS) if partitions else {}
        except (KafkaError, *LEADERLESS) as error:
            raise bus_error("the broker does not say where each partition ends", error) from error
        missing = {Place(topic, 0): 0 for topic, count in counts.items() if count is None}
        return missing | {place_of(partition): end for partition, end in ends.items()}

    def answers(self) -> bool:
        """Asks the leaders of the partitions: the library's poll says nothing when the broker is away."""
        client, partitions = self._started(), [TopicPartition(*place) for place in self._sought or self._spare()]
        try:
            ends = client.end_offsets(partitions, timeout_ms=ANSWER_MS)
        except (KafkaError, *LEADERLESS) as error:
            _log.debug("broker_away", error=str(error)[:200])
            return False
        self._following.heard({place_of(partition): end for partition, end in ends.items()})
        return bool(partitions)

    def _spare(self) -> set[Place]:
        """One partition of each topic, where the group has admitted this member and given it none."""
        client = self._started()
        spare = client.group_metadata().state is MemberState.STABLE and not client.assignment()
        return {Place(topic, 0) for topic in self._topics} if spare else set()

    def commit(self, positions: Mapping[Place, int]) -> None:
        offsets = {
            TopicPartition(*place): OffsetAndMetadata(offset, "", -1)
            for place, offset in positions.items()
            if place in self._sought
        }
        try:
            if offsets:
                self._started().commit_async(offsets, callback=_log_commit)
        except (KafkaError, AssertionError) as error:
            _log.warning("offset_commit_refused", error=str(error))

    def pause(self) -> None:
        self._paused = True
        self._each(self._sought, self._started().pause)

    def resume(self) -> None:
        self._paused = False
        self._each(self._sought, self._started().resume)

    def exhausted(self) -> bool:
        return False

    def lag(self) -> dict[Place, int]:
        return self._following.lag(self._started(), self._held(self._sought))

    def close(self) -> None:
        client, self._client = self._client, None
        self._sought, self._following = set(), Following()
        if client is not None:
            try:
                client.close(autocommit=False, timeout_ms=2000)
            except KafkaError as error:
                _log.warning("consumer_not_closed", error=str(error))

    def _patience_ms(self, timeout_s: float) -> int:
        """How long to poll. The client drops a join that completes while nobody polls and begins it again, so
        until the group has admitted this member, stay in the call."""
        joined = self._started().group_metadata().state is MemberState.STABLE
        return int(1000 * (timeout_s if joined else max(timeout_s, _JOINING_S)))

    def _seek_new(self) -> None:
        """Forget partitions that were taken away; seek newly assigned ones to the store's offset."""
        gained, gone, losses = self._notes.take_changes()
        self._sought -= gone
        fresh = self._held(gained)
        if not fresh or self._positions is None:
            return
        self._member = f"{self._client.group_metadata().member_id}#{losses}"
        try:
            known = self._positions(sorted(fresh))
        except BaseException:
            self._notes.assigned(fresh)  # the store is away: ask again at the next poll
            raise
        for place in self._held(fresh):
            try:
                self._seek(place, known.get(place))
            except TAKEN_AWAY:
                self._notes.assigned({place})  # try again, if it is still ours
        if self._paused:
            self._each(fresh, self._started().pause)

    def _seek(self, place: Place, at: int | None) -> None:
        self._following.begin(place, at)
        if at is None:
            self._client.seek_to_beginning(TopicPartition(*place))
        else:
            self._client.seek(TopicPartition(*place), at)
        self._sought.add(place)

    def _each(self, places: Iterable[Place], do: Callable[[TopicPartition], None]) -> None:
        for place in self._held(places):
            with suppress(*TAKEN_AWAY):
                do(TopicPartition(*place))

    def _held(self, places: Iterable[Place]) -> set[Place]:
        return set(places) & {place_of(partition) for partition in self._started().assignment()}

    def _started(self) -> Any:
        if self._client is None:
            raise BusError("the Kafka consumer was not started, or is closed")
        return self._client


def _record(message: Any) -> Record:
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        value=message.value or b"",
        key=message.key,
        headers=tuple((name, value or b"") for name, value in message.headers or ()),
        timestamp=_stamp(message.timestamp),
        tombstone=message.value is None,
    )


def _stamp(ms: int | None) -> datetime | None:
    """None where there is none, and where it is no time in milliseconds (0, or one in seconds): producers may set
    anything."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC) if ms is not None and ms >= _EARLIEST_MS else None
    except (ValueError, OverflowError, OSError):
        return None


def _log_commit(_offsets: object, response: object) -> None:
    if isinstance(response, Exception):
        _log.warning("offset_commit_failed", error=str(response)[:200])
