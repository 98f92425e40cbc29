"""The Kafka face: a compacted topic, keyed by subject; whoever reads it from the beginning holds the list.

A revocation is a record, its end a tombstone. The latest record of a key counts, so that a topic without
compaction (not every broker does it) reads as the same list. When a new epoch begins the whole list is written
again and the epoch is then announced under the key `EPOCH`: whatever carries a lower epoch is void from there on.
So a topic has one partition: of several, one would void what another still has to say.
Where each tenant has its own topic, the epoch is announced in those of all tenants that the ledger knows, and in
any other one before its first entry of the new epoch.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from guardian.bus.topic import LONGEST, REVOCATIONS, TENANT, topic_name
from guardian.domain.finding import Finding
from guardian.domain.revocation import LedgerEntry, Revision
from guardian.errors import BusError
from guardian.revocation.port import Apart, Given, Receiver

EPOCH = b'["","epoch",""]'
_HASH = 16
_NO_TOPICS = (".", "..")
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class KafkaTopicFace:
    """Create the topic with one partition and `cleanup.policy=compact`. `{tenant}` in its name gives each tenant
    one of its own: where it is not there, that tenant waits for it, and no other."""

    topic: str = REVOCATIONS

    def __post_init__(self) -> None:
        topic_name(self.topic.replace(TENANT, "t" * _HASH))

    def open(self, given: Given) -> Sequence[Receiver]:
        return (TopicReceiver(given, self.topic),)


plugin = KafkaTopicFace


class TopicReceiver:
    """Every send is acknowledged by the broker before the next one. `only`: of this one tenant, in its own topic.

    A tenant whose own topic is not there is left to a receiver of its own, which waits for the topic.
    """

    def __init__(self, given: Given, pattern: str, only: str | None = None) -> None:
        self._given, self._pattern, self._only = given, pattern, only
        self._producer = given.producer()
        self._announced: dict[str, int] = {}  # topic → epoch
        self._left = set[str]()

    @property
    def name(self) -> str:
        return f"kafka_topic/{self._shown}"

    @property
    def shown(self) -> str:
        return f"topic {self._shown}"

    @property
    def _shown(self) -> str:
        return self._pattern if self._only is None else topic_of(self._pattern, self._only)

    @property
    def reach(self) -> frozenset[str] | None:
        return None if self._only is None else frozenset({self._only})

    def begin(self, entry: LedgerEntry, revision: Revision) -> None:
        self._separately(entry.tenant_id, partial(self._send, entry, revision.epoch))

    def begun(self, revision: Revision) -> None:
        if TENANT not in self._pattern:
            self._announce(self._pattern, revision)
            return
        for tenant_id in self._given.tenants() if self._only is None else (self._only,):
            told = partial(self._announce, topic_of(self._pattern, tenant_id), revision)
            self._separately(tenant_id, told)

    def deliver(self, entry: LedgerEntry) -> None:
        self._separately(entry.tenant_id, partial(self._deliver, entry))

    def apart(self, tenant_id: str) -> Receiver:
        return TopicReceiver(self._given, self._pattern, tenant_id)

    def leave(self, tenant_id: str) -> None:
        self._left.add(tenant_id)

    def parts(self) -> Mapping[str, str]:
        if self._only is not None or TENANT not in self._pattern:
            return {}
        return {f"kafka_topic/{topic_of(self._pattern, each)}": each for each in self._given.tenants()}

    def _separately(self, tenant_id: str, send: Callable[[], None]) -> None:
        if tenant_id in self._left:
            return
        try:
            send()
        except BusError as error:
            several = self._only is None and TENANT in self._pattern
            if several and self._given.lacks(topic_of(self._pattern, tenant_id)):
                raise Apart(tenant_id) from error
            raise

    def _deliver(self, entry: LedgerEntry) -> None:
        topic = topic_of(self._pattern, entry.tenant_id)
        if self._announced.get(topic) != entry.revision.epoch:
            self._announce(topic, entry.revision)
        self._send(entry, entry.revision.epoch)

    def _announce(self, topic: str, revision: Revision) -> None:
        told = json.dumps({"revision": revision.model_dump()}).encode()
        self._producer.send(topic, told, key=EPOCH)
        self._announced[topic] = revision.epoch

    def _send(self, entry: LedgerEntry, epoch: int) -> None:
        topic = topic_of(self._pattern, entry.tenant_id)
        value = _value(entry, epoch) if entry.status == "revoked" else None
        revision = ("guardian-revision", str(entry.revision).encode())
        self._producer.send(topic, value, key=key_of(entry), headers=[revision])

    def flagged(self, finding: Finding) -> None:
        """The list knows no flags."""

    def close(self) -> None:
        self._producer.close()


def key_of(entry: LedgerEntry) -> bytes:
    """`["tenant","type","id"]`."""
    key = [entry.tenant_id, entry.subject_type, entry.subject_id]
    return json.dumps(key, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def topic_of(pattern: str, tenant_id: str) -> str:
    """A tenant whose name cannot be part of a topic's name is hashed: it must not hold up all others."""
    plain = pattern.replace(TENANT, tenant_id)
    if _PLAIN.fullmatch(tenant_id) and len(plain) <= LONGEST and plain not in _NO_TOPICS:
        return plain
    return pattern.replace(TENANT, hashlib.sha256(tenant_id.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH])


def _value(entry: LedgerEntry, epoch: int) -> bytes:
    """`told_in` is the epoch in which the record is written; it may be later than the entry's own."""
    told = entry.model_dump(mode="json", exclude={"reason", "actor", "finding_id", "cause"}) | {"told_in": epoch}
    return json.dumps(told, separators=(",", ":")).encode()
