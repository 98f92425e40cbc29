"""Findings that are not a step of a session's ladder: about the gateway, the grant, the record itself."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from operator import attrgetter
from types import MappingProxyType

from guardian.domain.batch import DeadLetter, Decoded
from guardian.domain.breach import Breach
from guardian.domain.drift import Drift
from guardian.domain.finding import Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.session import SessionState
from guardian.domain.text import plain
from guardian.response.findings import side_finding
from guardian.signals.port import TellsOf

IN_FLIGHT = timedelta(seconds=30)
"""Calls decided this soon after a revocation may have been on their way already."""

TOLD_A_DAY = 16
"""At most so many findings of a kind are reported per session and day: agents choose tools, purposes and ids, and
must not flood people."""

_LIMITED = frozenset({Kind.GATEWAY, Kind.HYGIENE, Kind.IDENTITY})
_OF_A_DAY = "gap:"

_REUSED = (
    "The gateway's log gave this call an id that another call had before; both are judged. Either the log was"
    " rewritten, or an agent chose the id: then it may be another session's doing, that took the id first."
)


def decision_findings(
    d: Decoded, drift: Drift, state: SessionState, versions: Mapping[str, str], tells_of: Mapping[str, TellsOf]
) -> Iterator[Finding]:
    """What one decision says about its gateway and about its grant; `tells_of` is by signal. Of a gateway whose
    log does not say that it let the call through, or when in a way that is believed, no more is said than that."""
    event = d.event
    tenant, session = event.key
    allowed = event.decision.effect == "allow"
    unsaid = event.origin is not None and "decision" in event.origin.absent
    tell = partial(
        side_finding,
        tenant_id=tenant,
        session_id=session,
        now=d.now,
        event=event,
        versions=versions,
        envelope_digest=d.envelope_digest,
    )
    for signal in drift.signals:
        if tells_of[signal.name] == "gateway" and allowed and not unsaid:
            for breach in filter(attrgetter("blames_gateway"), signal.breaches):
                forbidden = "what the envelope forbids" if breach.hard else "what may lie outside the envelope"
                yield tell(
                    Kind.GATEWAY,
                    identity=(event.gateway, breach.rule, event.action.tool, d.now.date()),
                    title=f"Gateway {event.gateway} allowed {forbidden}: {breach.name}",
                    severity="medium" if breach.hard else "low",
                    breaches=[breach],
                )
        if tells_of[signal.name] == "grant" and signal.breaches:
            yield tell(
                Kind.HYGIENE,
                identity=(_shape(d, signal.breaches),),
                title="Careless grant: " + ", ".join(b.name for b in signal.breaches),
                severity="low",
                breaches=signal.breaches,
            )
    if allowed and state.revoked_at is not None and d.our_time > state.revoked_at + IN_FLIGHT:
        since = session, state.revoked_at.isoformat()
        before = d.clock_suspect and event.time <= state.revoked_at + IN_FLIGHT  # perhaps: it is not believed
        if unsaid or before:
            what = "whether" if unsaid else "when"
            yield tell(
                Kind.GATEWAY,
                identity=(event.gateway, "logged_after_revocation", *since),
                title=f"Gateway {event.gateway} logs calls of a revoked session, not {what} it let them through",
                severity="medium",
            )
        else:
            yield tell(
                Kind.GATEWAY,
                identity=(event.gateway, "allowed_after_revocation", *since),
                title=f"Gateway {event.gateway} let a revoked session act",
                severity="critical",
            )


def tell_once(finding: Finding, state: SessionState) -> SessionState | None:
    """The state that remembers this finding as reported; None where the session has too many of its kind reported
    that day. It remembers those of one day."""
    if finding.kind not in _LIMITED or not finding.breaches:
        return state
    return told_today(state, finding.kind, finding.id, finding.time.date())


def told_today(state: SessionState, kind: Kind, what: str, day: date) -> SessionState | None:
    """The state that remembers that this was told on that day, the same one if it does already; else as
    `tell_once`."""
    today = f"{_OF_A_DAY}{day}:"
    alike = f"{today}{kind}:"
    name = alike + what
    if name in state.reported:
        return state
    if sum(each.startswith(alike) for each in state.reported) >= TOLD_A_DAY:
        return None
    others = [each for each in state.reported if each.startswith(today) or not each.startswith(_OF_A_DAY)]
    return state.model_copy(update={"reported": (*others, name)})


def identity_finding(d: Decoded) -> Finding:
    """A decision id came again with other content: the log is being rewritten, or an agent chose the id. The
    finding names the later decision's session, which need not be the one that did it."""
    return side_finding(
        Kind.IDENTITY,
        tenant_id=d.event.key.tenant_id,
        session_id=d.event.key.session_id,
        identity=(d.event.gateway, d.event.id),
        title="One decision id, two different contents",
        severity="high",
        now=d.now,
        event=d.event,
        breaches=[Breach("decision_id_reused", _REUSED, hard=False)],
        envelope_digest=d.envelope_digest,
    )


def dead_letter_finding(
    letter: DeadLetter,
    versions: Mapping[str, str],
    sessions: Mapping[SessionKey, SessionState] = MappingProxyType({}),
) -> Finding | None:
    """The finding about a record of a known session that cannot be judged: one a day for each kind of mistake, and
    another after people dismissed it (which `sessions` know). So neither silence nor an earlier dismissal hides
    one.
    """
    key = letter.key
    if key is None:
        return None
    foreign = letter.code == "gateway_not_entitled"
    unread = "Part of a record could not be read" if letter.judged else "A record could not be judged"
    now = letter.record.timestamp or letter.at or datetime.fromtimestamp(0, UTC)
    epoch = sessions[key].epoch if key in sessions else 0
    about = (letter.gateway,) if foreign else (letter.code, letter.judged, epoch)
    try:
        return side_finding(
            Kind.ENTITLEMENT if foreign else Kind.UNSCORABLE,
            tenant_id=key.tenant_id,
            session_id=key.session_id,
            identity=(*about, now.date()),  # the record's own day, so that a redelivery makes the same finding
            title=f"Not entitled: {plain(letter.reason, 280)}" if foreign else unread,
            severity="high",
            now=now,
            breaches=[Breach(letter.code, letter.reason[:2000], hard=False)],
            versions=versions,
        )
    except ValueError:  # what could be read of the names is itself no valid name
        return None


def _shape(d: Decoded, breaches: tuple[Breach, ...]) -> str:
    """Identifies who was granted what, and how carelessly. The purpose is part of it only where it is what is
    wrong, because people word it differently each time."""
    envelope, names = d.event.envelope, sorted(b.name for b in breaches)
    parts = [envelope.agent_id or "", *sorted(envelope.allowed_tools), "|", *names]
    if any(name.startswith("purpose_") for name in names):
        parts.append(envelope.purpose)
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:24]
