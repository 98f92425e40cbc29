"""Sessions as control knows them, one by one, and the feed of what people said about them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    case,
    insert,
    select,
    update,
)

from guardian.domain.envelope import Envelope
from guardian.domain.finding import SEVERITIES, Effect, Finding, Kind, Severity
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord
from guardian.store.columns import storable
from guardian.store.control.findings import WORST, FindingRows
from guardian.store.control.head import next_change
from guardian.store.control.scope import Scope, within
from guardian.store.control.tables import ACTS_UNDER, UNKNOWN, change, envelope, live, session
from guardian.wire.sessions import SessionChange, SessionView

_PAGE = 1_000_000
"""Characters of envelopes after which a page of changes ends: whoever reads them has seconds for each."""
_AT_ONCE = 50  # rows held in memory while a page is read
_RESTARTS = frozenset({HumanWord.REINSTATED, HumanWord.FALSE_POSITIVE})


class StoredSession(NamedTuple):
    """`restarts` is how often the evidence had started afresh when people last made it do so, at `restarted_at`;
    exceptions made it do so, too. It is the epoch of the findings since. At `cleared_at` people last gave the
    session back, and cleared it of all that they had been told. `worst` is how severe the worst is of what still
    accuses it; None where nothing does, or nobody knows."""

    seq: int
    restarts: int
    view: SessionView
    restarted_at: datetime | None = None
    cleared_at: datetime | None = None
    worst: Severity | None = None


REVOKED = and_(
    live.c.tenant_id == session.c.tenant_id,
    live.c.subject_type == "session",
    live.c.subject_id == session.c.session_id,
)
STATUS = case((live.c.n.is_not(None), "revoked"), (session.c.flagged, "flagged"), else_="active").label("status")
ALL = select(session, STATUS).outerjoin(live, REVOKED)
_ONE = ALL.where(session.c.tenant_id == bindparam("tenant_id"), session.c.session_id == bindparam("session_id"))


@dataclass(frozen=True, slots=True)
class SessionRows:
    connection: Connection

    def get(self, key: SessionKey) -> StoredSession | None:
        row = self.connection.execute(_ONE, key._asdict()).one_or_none()
        return None if row is None else stored(row)

    def meet(self, key: SessionKey, now: datetime) -> StoredSession:
        """The session, created empty when it was never heard of."""
        known = self.get(key)
        if known is not None:
            return known
        self.connection.execute(
            insert(session).values(
                **key._asdict(),
                purpose="",
                protected=False,
                flagged=False,
                findings=0,
                first_seen=now,
                last_seen=now,
            )
        )
        met = self.get(key)
        assert met is not None  # noqa: S101 - it was inserted two lines up
        return met

    def note_finding(self, finding: Finding, effect: Effect, now: datetime) -> None:
        """Take over what the finding says of its subject. A later expiry counts, an earlier one does not.

        The agent is the one that was named first: protection may go by it, so a later word must not change it.
        """
        known = self.meet(finding.key, now)
        values: dict[str, Any] = {"findings": known.view.findings + 1, "last_seen": now}
        if effect is not Effect.NONE:
            values["flagged"] = True
            spoken_of = known.cleared_at if finding.kind is Kind.DRIFT else known.restarted_at
            if spoken_of is None or now >= spoken_of:  # as in `WORST`, which has to parse all that came before
                worst = max(SEVERITIES.index(each) for each in (finding.severity, known.worst) if each is not None)
                values["worst"] = worst
        if finding.subject is not None:
            told = finding.subject
            under = {
                "delegator_id": told.delegator_id,
                "agent_id": known.view.agent_id or (told.agent_id and storable(told.agent_id)),
                "task_id": told.task_id and storable(told.task_id),
            }
            values |= under | {f"{name}_key": under[name] for name in ACTS_UNDER}
            values["purpose"] = storable(told.purpose)
            ends = [at for at in (known.view.expires_at, told.expires_at) if at is not None]
            values["expires_at"] = max(ends, default=None)
        self._update(finding.key, values)

    def protect(self, key: SessionKey, now: datetime, *, protected: bool) -> None:
        self.meet(key, now)
        self._update(key, {"protected": protected})

    def say(self, key: SessionKey, word: HumanWord, now: datetime, *, human: bool, detail: str = "") -> None:
        """Put a word on the feed. A person's word is remembered; some make the evidence start afresh. Only who is
        given back is flagged no longer by that alone.

        An exception's word does that too, but supersedes no finding: nobody has judged what came meanwhile.
        """
        seq = next_change(self.connection)
        told = {"seq": seq, "word": word.value, "detail": detail, "at": now}
        self.connection.execute(insert(change).values(**key._asdict(), **told))
        values: dict[str, Any] = {"last_word": word.value, "last_word_at": now} if human else {}
        if human and word in _RESTARTS:
            restarts = session.c.restarts + session.c.freshened + 1
            values |= {"restarted_at": now, "restarts": restarts, "freshened": 0}
            if word is HumanWord.REINSTATED:
                values |= {"cleared_at": now, "flagged": False}
        elif word in _RESTARTS:
            values["freshened"] = session.c.freshened + 1
        if values:
            self.meet(key, now)
            self._update(key, values)
        if "restarted_at" in values:
            self._update(key, {"worst": WORST})

    def unsay(
        self, key: SessionKey, stands: HumanWord | None, restarted_at: datetime | None, now: datetime
    ) -> None:
        """Remember that people took a verdict back, what stands as their last word since, and when, as far as that
        stands, they last had the evidence start afresh."""
        word = None if stands is None else stands.value
        self._update(key, {"last_word": word, "last_word_at": now, "restarted_at": restarted_at})
        self._update(key, {"worst": WORST})

    def weigh(self, key: SessionKey) -> None:
        """Flagged while a finding accuses it, and no longer."""
        self._update(key, {"flagged": FindingRows(self.connection).accusing(key)})

    def changes(self, since: int, scope: Scope, limit: int, *, withdrawn: bool = True) -> list[SessionChange]:
        """The next ones in order, at most `limit`; fewer where their envelopes are long, and at least one. Without
        `withdrawn` those that take no verdict back."""
        told = and_(
            envelope.c.tenant_id == change.c.tenant_id,
            envelope.c.session_id == change.c.session_id,
            envelope.c.digest == change.c.detail,
            change.c.word == HumanWord.REGISTERED.value,
        )
        wanted = select(change, envelope.c.envelope).outerjoin(envelope, told)
        wanted = wanted.where(change.c.seq > since, within(change.c.tenant_id, scope))
        wanted = wanted if withdrawn else wanted.where(change.c.word != HumanWord.WITHDRAWN.value)
        wanted = wanted.order_by(change.c.seq).limit(limit).execution_options(yield_per=_AT_ONCE)
        found: list[SessionChange] = []
        room = _PAGE
        with self.connection.execute(wanted) as rows:
            for row in rows:
                found.append(_change(row))
                room -= len(row.envelope or "")
                if room <= 0:
                    break
        return found

    def _update(self, key: SessionKey, values: dict[str, Any]) -> None:
        this = and_(session.c.tenant_id == key.tenant_id, session.c.session_id == key.session_id)
        self.connection.execute(update(session).where(this).values(**values))


def _change(row: Row[Any]) -> SessionChange:
    told = row.envelope and Envelope.model_validate_json(row.envelope)
    return SessionChange(**(row._asdict() | {"envelope": told}))


def stored(row: Row[Any]) -> StoredSession:
    view = SessionView(**row._asdict())
    worst = None if row.worst == UNKNOWN else SEVERITIES[row.worst]
    return StoredSession(row.seq, row.restarts, view, row.restarted_at, row.cleared_at, worst)
