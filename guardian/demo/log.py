"""Planned calls → `guardian.decision/v1` lines, on a simulated clock that lies in the near past."""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from guardian.demo.scenario import PlannedCall, PlannedSession

GATEWAY = "mcp-gw-demo-1"
LIFETIME = timedelta(minutes=30)
LATE = timedelta(minutes=12)
"""How long after its envelope's end the planted session goes on."""


class SessionClock:
    """When a session's calls are made: a minute or so apart, and past the envelope's end where that is planted."""

    def __init__(self, session: PlannedSession, begin: datetime, seed: int) -> None:
        anchor = session.parent or session.session_id  # a child lives as long as its parent, not longer
        rnd = random.Random(hashlib.sha256(f"{seed}/{anchor}".encode()).digest())
        self.begin = begin + timedelta(seconds=rnd.randint(0, 900))
        self.expires = self.begin + LIFETIME
        self.times: list[datetime] = []
        now = self.begin
        for call in session.calls:
            now += timedelta(seconds=rnd.randint(20, 90))
            if call.expired:
                now = max(now, self.expires + LATE)
            self.times.append(now)


def decision_line(
    session: PlannedSession,
    index: int,
    clock: SessionClock,
    *,
    effect: str = "allow",
    reason: str = "",
    policy_id: str = "demo-grants",
) -> dict[str, Any]:
    """One decision of the simulated gateway as a log line."""
    call = session.calls[index]
    return {
        "schema": "guardian.decision/v1",
        "id": f"dec_{session.session_id}_{index}",
        "time": _iso(clock.times[index]),
        "gateway": GATEWAY,
        "envelope": {**session.envelope, "expires_at": _iso(clock.expires)},
        "action": {
            "tool": call.tool,
            "arguments": call.arguments,
            "resource": call.resource,
            "data_classes": [call.data_class],
            "records": call.records,
        },
        "decision": {"effect": effect, "policy_ids": [policy_id], "reason": reason},
        "result": _result(call) if effect == "allow" else None,
        "trace_id": hashlib.sha256(f"{session.session_id}/{index}".encode()).hexdigest()[:32],
    }


def interleave(sessions: Sequence[PlannedSession], *, width: int) -> Iterator[tuple[PlannedSession, int]]:
    """(session, index of its call) as a busy gateway sees them: up to `width` sessions at a time, in turns.

    A child's first call comes after its parent's first call.
    """
    waiting = list(reversed(sessions))
    running: list[list[Any]] = []
    while waiting or running:
        while waiting and len(running) < width:
            running.append([waiting.pop(), 0])
        for slot in list(running):
            session, index = slot
            yield session, index
            slot[1] += 1
            if slot[1] >= len(session.calls):
                running.remove(slot)


def log_lines(sessions: Sequence[PlannedSession], *, begin: datetime, seed: int) -> Iterator[bytes]:
    """The whole log of a scenario in which no gateway consults a revocation list."""
    clocks = {s.session_id: SessionClock(s, begin, seed) for s in sessions}
    for session, index in interleave(sessions, width=12):
        yield encode(decision_line(session, index, clocks[session.session_id]))


def encode(line: Mapping[str, Any]) -> bytes:
    return json.dumps({k: v for k, v in line.items() if v is not None}, separators=(",", ":")).encode()


def _result(call: PlannedCall) -> dict[str, Any]:
    return {"status": "ok", "records": call.records, "data_classes": [call.data_class]}


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
