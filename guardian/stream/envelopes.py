"""The envelopes topic: envelopes on a topic of their own, kept for the sessions whose log carries none."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from guardian.bus.port import Consumer
from guardian.domain.backoff import Backoff
from guardian.domain.batch import DeadLetter, Decoded, Judgement
from guardian.domain.envelope import Grant
from guardian.domain.record import Place, Record
from guardian.errors import BusError, StoreError, Unstorable
from guardian.pipeline.side_findings import dead_letter_finding
from guardian.store.monitor.envelopes import Heard
from guardian.store.monitor.store import MonitorStore
from guardian.stream.attempts import blameless
from guardian.stream.marks import Mark
from guardian.stream.poison import MAX_ATTEMPTS, advanced, halves, poisoned
from guardian.stream.port import Clock
from guardian.stream.reach import within_reach
from guardian.telemetry import Metrics, logger

_log = logger("stream")
_AT_ONCE = 500
_BACKOFF = Backoff(base_s=1.0, cap_s=30.0)

Decode = Callable[[Sequence[Record]], tuple[list[Decoded], list[DeadLetter]]]


class EnvelopeTail:
    """Reads the topic as the log is read: envelopes and offsets in one transaction; a record that cannot be
    believed becomes a dead letter and a finding. `signed`: only envelopes with a valid signature count. `mark`
    recognises those that people sent again."""

    def __init__(
        self,
        *,
        consumer: Consumer,
        store: MonitorStore,
        decode: Decode,
        clock: Clock,
        metrics: Metrics,
        signed: bool,
        mark: Mark,
        poll_timeout_s: float = 0.5,
    ) -> None:
        self._consumer = consumer
        self._store = store
        self._decode = decode
        self._clock = clock
        self._metrics = metrics
        self._signed = signed
        self._mark = mark
        self._poll_timeout_s = poll_timeout_s

    def run(self, stop: threading.Event) -> None:
        """Read until `stop` is set. Broker and store may be away."""
        failures, started = 0, False
        try:
            while not stop.is_set():
                try:
                    if not started:
                        self._consumer.start(self._claim)
                        started = True
                    self._store.positions(self._consumer.assignment())  # also of a place where nothing more comes
                    records = self._consumer.poll(timeout_s=self._poll_timeout_s, max_records=_AT_ONCE)
                    if records:
                        self._settle(records)
                    failures = 0
                except (BusError, StoreError) as error:
                    self._consumer.close()  # what was polled and not stored is read again
                    started = False
                    pause = _BACKOFF.after(failures)
                    failures += 1
                    _log.warning("envelopes_not_read", error=str(error), retry_in_s=pause)
                    stop.wait(pause)
        finally:
            self._consumer.close()

    def _claim(self, places: Sequence[Place]) -> Mapping[Place, int]:
        owned = self._store.claim(places, self._consumer.member(), now=self._clock())
        return within_reach(owned.positions, self._consumer, self._store, self._clock())

    def _settle(self, records: list[Record]) -> None:
        """Keep the records; one that the database refuses, or that crashes a room, becomes a dead letter, found by
        bisecting. One that crashes is tried three times, over all restarts: this run of the loop ends with it."""
        try:
            self._keep(records, self._decode)
        except Exception as error:
            if blameless(error):
                raise
            if len(records) > 1:
                for half in halves(records):
                    self._settle(half)
            elif isinstance(error, Unstorable):
                self._keep(records, self._unstorable)
            elif self._store.mark_attempt(records[0].place, records[0].offset) < MAX_ATTEMPTS:
                raise
            else:
                why = type(error).__name__
                self._keep(records, lambda found: ([], poisoned(found[0], why, (), self._clock())))

    def _unstorable(self, records: Sequence[Record]) -> tuple[list[Decoded], list[DeadLetter]]:
        decoded, letters = self._decode(records)
        refused = [self._letter(d, "unstorable", "the database cannot hold its names") for d in decoded]
        return [], [*letters, *refused]

    def _keep(self, records: list[Record], decode: Decode) -> None:
        places = {record.place for record in records}
        base = self._store.positions(places)
        fresh = [record for record in records if record.offset >= base.get(record.place, 0)]
        decoded, letters = decode(fresh)
        believed = [d for d in decoded if self._counts(d)]
        letters += [self._unsigned(d) for d in decoded if not self._counts(d)]
        findings = [finding for each in letters if (finding := dead_letter_finding(each, {})) is not None]
        positions = advanced(fresh, base)
        self._store.commit(
            Judgement(dead_letters=tuple(letters), findings=tuple({f.id: f for f in findings}.values())),
            positions=positions,
            base=base,
            versions={},
            member=self._consumer.member(),
            now=self._clock(),
            heard=[
                Heard(
                    Grant(d.event.envelope, d.envelope_digest or d.event.envelope.digest),
                    "topic",
                    d.known_at,
                    self._mark.on(d.record),
                )
                for d in believed
            ],
        )
        self._consumer.commit(positions)
        self._metrics.add("guardian_envelopes_total", len(believed), result="heard")
        self._metrics.add("guardian_envelopes_total", len(letters), result="refused")
        codes = Counter(letter.code for letter in letters)
        for code, count in codes.items():
            self._metrics.add("guardian_dead_letters_total", count, code=code)
        if codes:
            _log.warning("envelopes_refused", by_code=dict(codes), effect="they are dead letters")

    def _counts(self, d: Decoded) -> bool:
        return d.signature == "valid" or (not self._signed and d.signature != "invalid")

    def _unsigned(self, d: Decoded) -> DeadLetter:
        why = (
            "the envelope's signature does not hold" if d.signature == "invalid" else "the envelope is not signed"
        )
        return self._letter(d, "signature", why)

    def _letter(self, d: Decoded, code: str, why: str) -> DeadLetter:
        return DeadLetter(d.record, code, why, *d.event.key, d.event.gateway, self._clock(), entry=d.entry)
