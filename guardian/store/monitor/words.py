"""People's word: control's session-changes feed, applied once, in order."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine, delete, func, insert, select

from guardian.domain.batch import Change
from guardian.domain.envelope import Envelope, Grant
from guardian.domain.finding import Finding
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord, SessionState, left_standing
from guardian.store.engine import reading, writing
from guardian.store.monitor.envelopes import Heard, save_envelopes
from guardian.store.monitor.outbox import insert_findings
from guardian.store.monitor.sessions import load_sessions, save_sessions
from guardian.store.monitor.spool import Pack, spool_in
from guardian.store.monitor.tables import words

Hear = Callable[[SessionState, Change], SessionState]
"""Pure: what a session becomes when people say this of it. The pipeline's."""


WORDS_KEPT = 100_000
"""Words are kept for people to look up; beyond so many sequence numbers the oldest go."""

_QUEUE = select(words.c.seq).order_by(words.c.seq.desc()).limit(1).with_for_update()  # before the first: no queue
_CURSOR = select(func.max(words.c.seq))
_FEED = select(words.c.session_id).where(words.c.seq == 0)  # of no session: which feed the others are of


class Words:
    """The session rows move on by `hear`; the versions tell a batch in flight that it judged old news."""

    def __init__(
        self,
        engine: Engine,
        hear: Hear,
        clean: Callable[[Envelope], Envelope],
        *,
        keep: Pack | None,
    ) -> None:
        self._engine = engine
        self._hear = hear
        self._clean = clean
        self._keep = keep  # what the archive keeps of words, in the same transaction

    def cursor(self) -> int:
        """The newest sequence number that was applied; 0 before the first."""
        with reading(self._engine) as connection:
            return int(connection.execute(_CURSOR).scalar() or 0)

    def feed(self) -> str:
        """Which feed the sequence numbers are of; empty where control never said."""
        with reading(self._engine) as connection:
            return _feed(connection)

    def turn_to(self, feed: str, known: str, told: Finding | None, *, now: datetime) -> None:
        """Note which feed it is, unless another member changed what was `known`. If people are `told` of it, it is
        another than before, and is read from the beginning."""
        with writing(self._engine) as connection:
            _in_turn(connection)
            if _feed(connection) != known:
                return
            connection.execute(delete(words).where(words.c.seq == 0) if told is None else delete(words))
            row = {"seq": 0, "tenant_id": "", "session_id": feed, "word": "", "at": now}
            connection.execute(insert(words).values(row))
            insert_findings(connection, [] if told is None else [told], now)

    def apply(self, changes: Sequence[Change], *, feed: str = "", now: datetime) -> int:
        """Apply what is newer than the cursor, in one transaction; returns how many that were. Raises StoreError
        where another member on the same database was at it too: read them again. Nothing is of another `feed`.

        A session that was never seen gets its row now, so that the word meets its first action.
        """
        with writing(self._engine) as connection:
            cursor = _in_turn(connection)
            if feed and _feed(connection) != feed:
                return 0
            news = sorted((change for change in changes if change.seq > cursor), key=lambda change: change.seq)
            if not news:
                return 0
            states, versions = load_sessions(connection, {change.key for change in news})
            last: dict[SessionKey, str] = {}
            for change in news:
                states[change.key] = self._hear(states.get(change.key, SessionState()), change)
                if change.word is not HumanWord.REGISTERED:  # a grant says nothing of what the session did
                    last[change.key] = left_standing(change.word, change.detail).value
            quiet = {key: state for key, state in states.items() if key not in last}
            save_sessions(connection, quiet, versions, now)
            save_sessions(connection, {key: states[key] for key in last}, versions, now, words=last)
            told = [(change, change.envelope) for change in news if change.envelope is not None]
            heard = [Heard(Grant(self._clean(each), change.detail), "control") for change, each in told]
            save_envelopes(connection, heard, now)
            rows = [
                {"seq": change.seq, "tenant_id": change.key.tenant_id, "session_id": change.key.session_id}
                | {"word": change.word.value, "at": change.at}
                for change in news
            ]
            connection.execute(insert(words), rows)  # fails where another member applied one of them meanwhile
            if self._keep is not None:
                spool_in(connection, "labels", self._keep(news), rows=len(news), now=now)
            connection.execute(delete(words).where(words.c.seq.between(1, news[-1].seq - WORDS_KEPT)))
        return len(news)


def _feed(connection: Connection) -> str:
    return str(connection.execute(_FEED).scalar() or "")


def _in_turn(connection: Connection) -> int:
    """The cursor, once nobody else can move it on: members of one database take turns. Who waited queues again
    behind what was applied meanwhile."""
    while True:
        held = connection.execute(_QUEUE).scalar()
        cursor = connection.execute(_CURSOR).scalar()
        if held == cursor:
            return int(cursor or 0)
