"""What a session's state carries from one call to the next, and from one session to the next of the same name."""

from datetime import datetime
from typing import NamedTuple

from guardian.domain.batch import Decoded
from guardian.domain.envelope import Envelope
from guardian.domain.session import SessionState, Stage
from guardian.domain.signal import CHAIN_KEPT, ParentFact, ParentStatus
from guardian.pipeline.registered import issued


def afresh(state: SessionState) -> SessionState:
    """The state of the next session of the same name. What people and control said about the name stays. Findings
    keep counting, so that none is taken for an earlier one."""
    kept = ("epoch", "transition", "revoked_at", "pardoned", "reported", "registered")
    stage = state.stage if state.revoked_at is not None else Stage.CLEAR
    return SessionState(stage=stage, stood=Stage.CLEAR, **{name: getattr(state, name) for name in kept})


def measured_by(calibration: str, state: SessionState) -> SessionState:
    """The state whose evidence this calibration measures. What another one measured stands on a scale of its own,
    so evidence starts afresh, and stays divided from then on."""
    if state.calibration == calibration:
        return state
    return state.model_copy(
        update={
            "evidence": state.evidence.afresh(),
            "peak": None,
            "asked_one_in": 1.0,
            "calibration": calibration,
            "undivided": not state.actions,
        }
    )


def latest(d: Decoded, last_seen: datetime | None) -> datetime:
    """When the session was last active; a call that reaches the log late does not move that back."""
    return d.now if last_seen is None else max(d.now, last_seen)


class Lineage(NamedTuple):
    """What the session's own children are told: its ancestors, what the first of all was delegated for, and the
    delegators and agents of them all: none while anybody up to the head of the chain is unknown."""

    ancestors: tuple[str, ...]
    root_purpose: str
    principals: tuple[str, ...]


def lineage(state: SessionState, d: Decoded, parent: ParentFact) -> Lineage:
    """What its children are told, from this call on.

    A chain that leads back to the session, or comes with an envelope that is forged under its name, is its own
    breach and must not count against its children. Nor does what a denied call claims of a session that is known,
    nor a parent that a root names later and that nobody has seen act: it may be a child of the root.
    """
    ring = d.event.key.session_id in parent.chain
    unseen = parent.status in (ParentStatus.PENDING, ParentStatus.UNKNOWN) and began_as_root(state)
    claimed = state.envelope is not None and not _believed(state, d)
    if ring or unseen or claimed or d.signature == "invalid":
        return Lineage(state.ancestors, state.root_purpose, state.principals)
    known = SessionState() if state.envelope is None and own(state, d) else state  # until now it was only claimed
    above = parent.envelope
    whole = above is not None and (above.parent_session_id is None or bool(parent.principals))
    acting = (*above.principals, *parent.principals) if above and whole else ()
    principals = tuple(dict.fromkeys(acting))[: 2 * CHAIN_KEPT] or known.principals
    return Lineage(parent.chain, parent.root_purpose or known.root_purpose, principals)


def began_as_root(state: SessionState) -> bool:
    return state.envelope is not None and state.envelope.parent_session_id is None


def own(state: SessionState, d: Decoded) -> bool:
    """Whether the envelope may be the session's own."""
    return d.event.has_envelope and _believed(state, d)


def _believed(state: SessionState, d: Decoded) -> bool:
    """Whether the envelope is not forged under the session's name. Anybody may claim anything in a call that is
    then denied: there only one that was issued counts."""
    acted = d.signature != "invalid" and d.event.decision.effect != "deny"
    return acted or issued(d, state.registered)


def renewed(state: SessionState, d: Decoded) -> Envelope | None:
    """The longest-lasting envelope that the session has shown. One with a later expiry counts from the first
    allowed call that shows it, which is also when the re-issue is reported."""
    first = state.envelope
    if first is None or not own(state, d) or d.event.decision.effect == "deny":
        return state.renewed
    longest = (state.renewed or first).lasting(d.event.envelope)
    return None if longest is first else longest
