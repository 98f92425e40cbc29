"""What a session acts under: its task, its agent, its delegator. Who revokes one of them stops the session."""

from collections.abc import Sequence
from datetime import datetime

from guardian.domain.envelope import Envelope
from guardian.domain.finding import Subject
from guardian.domain.identity import SessionKey
from guardian.domain.revocation import LedgerEntry, SubjectType
from guardian.domain.text import moment, plain
from guardian.store.control.rows import ControlRows
from guardian.wire.sessions import SessionView

KINDS: tuple[SubjectType, ...] = ("task", "agent", "delegator")


def named(kind: SubjectType, teller: Envelope | Subject | SessionView | None) -> str | None:
    """The subject of this kind that it names, if any."""
    if teller is None:
        return None
    match kind:
        case "task":
            return teller.task_id
        case "agent":
            return teller.agent_id
        case "delegator":
            return teller.delegator_id
        case "session" | "jti":
            return None


def works_for(rows: ControlRows, tenant_id: str, kind: SubjectType, name: str, person: str) -> bool:
    """Whether who is called `name` acts for this person, as registered envelopes say, or is this person. Ended
    sessions count: the next one would go on for the same."""
    if kind == "delegator":
        return name == person
    return kind in KINDS and rows.session_names.delegated(tenant_id, f"{kind}_id", name, person)


def revoked_with_it(rows: ControlRows, session: SessionKey, now: datetime) -> tuple[LedgerEntry, ...]:
    """The live revocations of what the session acts under, as registered or as findings say: gateways go by what
    their own log says, so where the two differ, both count."""
    registered, met = rows.envelopes.newest(session), rows.sessions.get(session)
    tellers = (None if registered is None else registered.envelope, None if met is None else met.view)
    names = {(kind, name) for kind in KINDS for teller in tellers if (name := named(kind, teller)) is not None}
    return tuple(rows.ledger.live_among(session.tenant_id, names, now))


def in_words(entries: Sequence[LedgerEntry]) -> str:
    """The same in a sentence, with how each of them is lifted; empty where there is none."""
    return "; ".join(
        f"its {each.subject_type} {plain(each.subject_id)} is revoked until {moment(each.expires_at)} (guardian "
        f"reinstate TENANT ID --subject {each.subject_type} lifts that)"
        for each in entries
    )
