"""The simulated gateway: consults the revocation list on every call, decides, and logs what it decided."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from guardian.bus.port import Producer
from guardian.demo.log import SessionClock, decision_line
from guardian.demo.scenario import PlannedSession
from guardian.demo.writing import Writing, envelope_body
from guardian.domain.envelope import Envelope
from guardian.gateway.client import RevocationList

_LOOK_S = 0.002


@dataclass
class Trace:
    """What happened to one session, in seconds of the monotonic clock."""

    session: PlannedSession
    decided: dict[str, float] = field(default_factory=dict)  # decision id -> when it was on the topic
    refused: int = 0
    last: float | None = None  # when it acted last
    revoked_seen: float | None = None  # when the gateway's list first named it


class DemoGateway:
    """`begin` is when the simulated day starts; `on_call` is told of each decision. `register` is called with the
    envelope of each session, after its first call, where the log as it is written carries none."""

    def __init__(
        self,
        producer: Producer,
        topic: str,
        revocations: RevocationList,
        *,
        begin: datetime,
        seed: int,
        on_call: Callable[[PlannedSession, int, bool], None],
        writing: Writing | None = None,
        register: Callable[[Envelope], object] | None = None,
    ) -> None:
        self._writing = writing or Writing()
        self._register = register
        self._producer, self._topic, self._revocations = producer, topic, revocations
        self._begin, self._seed, self._on_call = begin, seed, on_call
        self._clocks: dict[str, SessionClock] = {}
        self.traces: dict[str, Trace] = {}
        self.sent = 0
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="demo-gateway", daemon=True)
        self._watcher.start()

    def call(self, session: PlannedSession, index: int, *, attempt: int = 0) -> bool:
        """One call of an agent; False when it was refused because the session is revoked."""
        trace = self.traces.setdefault(session.session_id, Trace(session))
        clock = self._clocks.setdefault(session.session_id, SessionClock(session, self._begin, self._seed))
        revoked = self._revocations.is_revoked(session.tenant_id, session.session_id)
        if revoked:
            line = decision_line(
                session, index, clock, effect="deny", reason="session revoked", policy_id="guardian-revocations"
            )
            trace.refused += 1
        else:
            line = decision_line(session, index, clock)
        if attempt:
            line["id"] = f"{line['id']}_again{attempt}"
        self._producer.send(self._topic, self._writing.of(line), key=session.session_id.encode())
        if self._register is not None and trace.last is None and not self._writing.tells_envelopes:
            self._register(Envelope.model_validate_json(envelope_body(line)))
        trace.last = time.monotonic()
        trace.decided[line["id"]] = trace.last
        self.sent += 1
        self._on_call(session, index, not revoked)
        return not revoked

    def close(self) -> None:
        self._stop.set()
        self._watcher.join(timeout=2)

    def _watch(self) -> None:
        """Notes when the list first names a session, for the latency figure; deciding does not wait for it."""
        while not self._stop.wait(_LOOK_S):
            for trace in list(self.traces.values()):
                if trace.revoked_seen is None and self._revocations.is_revoked(
                    trace.session.tenant_id, trace.session.session_id
                ):
                    trace.revoked_seen = time.monotonic()
