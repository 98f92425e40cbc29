"""What the switch needs put together: its rules, its keys, its receivers, and what plants its tests."""

import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from datetime import timedelta

from guardian.bootstrap import plugins
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.kafka import kafka_settings
from guardian.bus.admin import topic_partitions
from guardian.bus.kafka_producer import KafkaProducer
from guardian.config import Settings
from guardian.control.deps import ControlDeps
from guardian.control.distribution.pushing import Pusher
from guardian.control.switch import SelfTestRule, SwitchRule
from guardian.errors import ConfigurationError
from guardian.keys.files import read_secret
from guardian.keys.signing import SigningKeys
from guardian.revocation.port import Given, PushPlugin, Receiver
from guardian.store.control.store import ControlStore

LONGEST_STOP_S = 15.0


def switch_rule(settings: Settings) -> SwitchRule:
    section, test = settings.revocation, settings.revocation.self_test
    return SwitchRule(
        descendants=section.descendants,
        comes_back={kind: timedelta(seconds=life) for kind, life in section.comes_back.items()},
        subject_life=timedelta(seconds=section.subject_life_s),
        subject_most=timedelta(seconds=section.subject_most_s),
        heartbeat_s=section.heartbeat_s,
        gateway_silent=timedelta(seconds=section.gateway_silent_s),
        unprotected_after=timedelta(seconds=section.unprotected_after_s),
        self_test=SelfTestRule(
            canary_every=_maybe(test.canary_every_s),
            enforced_within=timedelta(seconds=test.enforced_within_s),
            plant_every=_maybe(test.plant_every_s),
            noticed_within=timedelta(seconds=test.noticed_within_s),
            tenant_id=test.tenant,
            gateway=test.gateway,
        ),
    )


def open_planter(settings: Settings) -> "BusPlanter | None":
    """None unless self-tests on the live topic are configured."""
    test = settings.revocation.self_test
    return None if test.plant_every_s is None else BusPlanter(settings)


class BusPlanter:
    """Puts planted decisions on the live topic, like any gateway."""

    def __init__(self, settings: Settings) -> None:
        self._topic, self._kafka = settings.kafka.topic, kafka_settings(settings)
        self._producer = KafkaProducer(self._kafka)

    def places(self) -> Sequence[int]:
        return range(topic_partitions(self._kafka, self._topic) or 0)

    def plant(self, place: int, session_id: str, line: bytes) -> None:
        self._producer.send(self._topic, line, key=session_id.encode(), partition=place)


class Pushing:
    """One thread for each receiver; woken by the ledger."""

    def __init__(self, deps: ControlDeps, receivers: Sequence[Receiver]) -> None:
        self._pushers = [Pusher(deps, each) for each in receivers]
        self.measures = [each.measure for each in self._pushers]
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=each.run, args=(self._stop,), name="guardian-push", daemon=True)
            for each in self._pushers
        ]
        self._silence = deps.store.subscribe(self._wake)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake()
        with ExitStack() as stack:
            stack.callback(self._silence)
            for thread in self._threads:
                if thread.ident is not None:
                    thread.join(timeout=LONGEST_STOP_S)

    def _wake(self) -> None:
        for each in self._pushers:
            each.wake()


def ledger_tenants(store: ControlStore) -> frozenset[str]:
    """Every tenant of whom the ledger ever said anything, in whichever epoch."""
    with store.read() as rows:
        epochs = range(rows.head().revision.epoch + 1)
        return frozenset(tenant for epoch in epochs for tenant in rows.ledger.newest_of_each(epoch))


def open_receivers(
    settings: Settings, keys: SigningKeys, *, tenants: Callable[[], Collection[str]]
) -> Sequence[Receiver]:
    """Those of the configured faces, not connected yet. `tenants` are all that the ledger has had an entry of."""
    given = Given(
        producer=lambda: KafkaProducer(kafka_settings(settings)),
        keys=keys,
        issuer=settings.control.issuer,
        clock=utc_now,
        secret=lambda path: read_secret(settings.base / path, lost="get another").decode().strip(),
        tenants=tenants,
        lacks=lambda topic: topic_partitions(kafka_settings(settings), topic) is None,
    )
    receivers = [each for face in open_faces(settings) for each in face.open(given)]
    if len({each.name for each in receivers}) != len(receivers):
        raise ConfigurationError("revocation.faces: two receivers are the same")
    return receivers


def open_faces(settings: Settings) -> Sequence[PushPlugin]:
    """What the configured faces are opened from; nothing leaves the process before that."""
    return [plugins.make("revocation", name, options) for name, options in settings.revocation.faces.items()]


def _maybe(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
