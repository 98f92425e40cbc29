"""What is known beside a decision when it is judged: recorded facts about its session, parent, task and past."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from guardian.domain.batch import Decoded, PurposeKey
from guardian.domain.envelope import UNTOLD, Envelope, Grant
from guardian.domain.event import DecisionEvent
from guardian.domain.identity import SessionKey
from guardian.domain.session import SessionState
from guardian.domain.signal import CHAIN_KEPT, Observation, ParentFact, ParentStatus, Sketch
from guardian.pipeline.carrying import began_as_root, lineage
from guardian.pipeline.registered import issued
from guardian.pipeline.working import Work
from guardian.signals.envelopes.ownership import named_sessions, spellings
from guardian.signals.exposure.value_prints import prints_of

_BACKLOG = 10
"""An unseen parent is waited for so many times as long while the monitor is behind. Not for ever: a partition
without a leader, or a producer whose clock is slow, keeps it behind for good."""


def observe(
    d: Decoded,
    state: SessionState,
    work: Work,
    *,
    fit: float,
    sketch: Sketch | None,
    fingerprint: Callable[[str], str],
    parent_grace: timedelta,
    across_sessions: bool,
) -> Observation:
    """The decision as the signals see it. Without `across_sessions` it holds nothing about other sessions."""
    event = d.event
    behind = _behind(d, work, parent_grace)
    pending = not across_sessions or _just_met(d, state, work, parent_grace * (_BACKLOG if behind else 1))
    parent = _parent(d, state, work, pending=pending, across_sessions=across_sessions)
    named = _named(event, parent, work.sessions if across_sessions else {}, behind=behind or not across_sessions)
    return Observation(
        event=event,
        now=d.our_time,
        fit=fit if event.envelope.purpose.strip() else None,
        parent=parent,
        baseline=work.memory.baselines.get(PurposeKey.of(event.envelope)),
        credentials=d.credentials,
        redacted=d.redacted,
        signature=d.signature,
        other_purposes=work.other_purposes(d) if across_sessions else 0,
        clock_suspect=d.clock_suspect,
        value_prints=prints_of(event, fingerprint),
        siblings=work.siblings(d, lineage(state, d, parent).ancestors) if across_sessions else None,
        sketch=sketch,
        spelling=work.memory.spelling,
        below=named.below,
        doubtful=named.doubtful,
        unheard=named.unheard,
        issued=issued(d, state.registered),
        fingerprint=fingerprint,
    )


def versions_of(seen: Observation) -> Mapping[str, str]:
    """The versions of the snapshots that an observation was made from."""
    found = {}
    if seen.baseline is not None:
        found["baseline"] = seen.baseline.version
    if seen.siblings is not None:
        found["siblings"] = seen.siblings.version
    return found


def _behind(d: Decoded, work: Work, grace: timedelta) -> bool:
    """Whether calls of other sessions from before this one may be unread. A reader that works off a backlog reads
    minutes of one partition before the next, and others may read those. A file is read in its order."""
    reading = work.memory.reading
    return reading is not None and d.record.timestamp is not None and (reading.lag is None or reading.lag >= grace)


def _just_met(d: Decoded, state: SessionState, work: Work, grace: timedelta) -> bool:
    """Whether the session is not known for long enough that its parent must have come, by the log's time and by
    the reader's: a gateway that was cut off sends minutes of calls at once."""
    reading = work.memory.reading
    if d.now - (state.first_seen or d.now) < grace:
        return True
    if reading is None or d.record.timestamp is None:
        return False
    return timedelta(0) <= reading.now - (state.met_at or reading.now) < grace


def _parent(d: Decoded, state: SessionState, work: Work, *, pending: bool, across_sessions: bool) -> ParentFact:
    key = d.event.envelope.parent_key
    if key is None:
        return ParentFact()
    known = (work.sessions.get(key) if across_sessions else None) or SessionState()
    if began_as_root(state) and d.event.key.session_id in known.ancestors:
        return ParentFact()  # its own child handed the work back to it: it is still the root
    grants = work.memory.registered if d.event.origin is None else work.memory.renamed
    grant = grants.get(key) if across_sessions else None
    granted = _granted(known, grant) if across_sessions else None
    claimed = known.envelope is None and d.event.key.session_id in known.ancestors  # what was denied makes no ring
    chain = (key.session_id, *(() if claimed else known.ancestors))[:CHAIN_KEPT]
    revoked = _revoked(d.event.key, chain, work.sessions) if across_sessions else ""
    if revoked:
        status = ParentStatus.REVOKED
    elif granted is not None:
        status = ParentStatus.ACTIVE
    else:
        status = ParentStatus.PENDING if pending else ParentStatus.UNKNOWN
    root = granted is not None and granted.parent_session_id is None
    asked = granted.purpose if granted is not None and root else known.root_purpose
    return ParentFact(status, granted, chain, asked, known.principals, revoked, grant is not None)


def _revoked(session: SessionKey, chain: Sequence[str], sessions: Mapping[SessionKey, SessionState]) -> str:
    """The nearest revoked session of the chain above this one, or none. Who stands above a session that was only
    ever denied, anybody may have claimed."""
    for name in chain:
        above = sessions.get(SessionKey(session.tenant_id, name)) or SessionState()
        if above.revoked_at is not None and name != session.session_id:
            return name
        if above.actions and above.envelope is None:
            break
    return ""


class _Named(NamedTuple):
    """Of the sessions that the action names: those that this one delegated to, those that may belong to the same
    work, and of these the ones that no record of this tenant has told of."""

    below: frozenset[str]
    doubtful: frozenset[str]
    unheard: frozenset[str]


def _named(
    event: DecisionEvent, parent: ParentFact, sessions: Mapping[SessionKey, SessionState], *, behind: bool
) -> _Named:
    """Another session may belong to the same work because it has not acted yet (what was denied is no act), is of
    its family or task, or is the same agent's for the same delegator, or because what links them may be unread:
    the head of either's line is not known. While the monitor is behind none counts as unheard of."""
    unread = behind and bool(parent.chain) and not parent.root_purpose
    below: set[str] = set()
    doubtful: set[str] = set()
    unheard: set[str] = set()
    for name in named_sessions(event):
        other = sessions.get(SessionKey(event.key.tenant_id, name)) or SessionState()
        if not behind and all(SessionKey(event.key.tenant_id, each) not in sessions for each in spellings(name)):
            unheard.add(name)
        if event.key.session_id in other.ancestors:
            below.add(name)
        elif (
            not other.actions
            or (other.envelope is None and event.has_envelope)
            or not {*parent.chain}.isdisjoint(other.ancestors)
            or _one_task(event.envelope, other)
            or _one_hand(event.envelope, other)
            or unread
            or (behind and other.ancestors and not other.root_purpose)
        ):
            doubtful.add(name)
    return _Named(frozenset(below), frozenset(doubtful), frozenset(unheard))


def _one_task(envelope: Envelope, other: SessionState) -> bool:
    shown = other.envelope
    return envelope.task_id is not None and shown is not None and shown.task_id == envelope.task_id


def _one_hand(envelope: Envelope, other: SessionState) -> bool:
    """Whether one agent acts in both for one delegator, as in a person's earlier chat with it; who nobody told is
    nobody known."""
    shown, told = other.envelope, (envelope.delegator_id, envelope.agent_id)
    return shown is not None and told == (shown.delegator_id, shown.agent_id) and not {None, UNTOLD} & {*told}


def _granted(known: SessionState, grant: Grant | None) -> Envelope | None:
    """The envelope that a session's children are held to: its first one, with the latest expiry that it was
    re-issued with, or the registered one where the session never acted.

    A wider re-issue is the session's own breach and does not widen its children. Nor does the envelope of a
    session that never acted and is itself delegated, because nothing has held that one to its own parent.
    """
    shown = known.renewed or known.envelope
    if grant is None:
        return shown
    if shown is None:
        return grant.envelope if grant.envelope.parent_session_id is None else None
    return shown.lasting(grant.envelope)
