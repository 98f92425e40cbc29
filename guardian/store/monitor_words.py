"""People's word: control's session-changes feed, applied once, in order."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, select

from guardian.domain.event import SessionKey
from guardian.domain.session import SessionState
from guardian.store.engine import reading, writing
from guardian.store.monitor_sessions import load_sessions, save_sessions
from guardian.store.monitor_tables import insert_new, words
from guardian.store.monitor_values import Word

Hear = Callable[[SessionState, Any], SessionState]
"""Pure: what a session becomes when people say this of it. The pipeline's; it is given a Change."""


class Words:
    """The session rows move on by `hear`; the versions tell a batch in flight that it judged old news."""

    def __init__(self, engine: Engine, hear: Hear) -> None:
        self._engine = engine
        self._hear = hear

    def cursor(self) -> int:
        """The newest sequence number that was applied; 0 before the first."""
        with reading(self._engine) as connection:
            return int(connection.execute(select(func.max(words.c.seq))).scalar() or 0)

    def apply(self, changes: Sequence[Word], *, now: datetime) -> int:
        """Apply what is newer than the cursor, in one transaction; returns how many that were.

        A session that was never seen gets its row now, so that the word meets its first action.
        """
        with writing(self._engine) as connection:
            cursor = int(connection.execute(select(func.max(words.c.seq))).scalar() or 0)
            news = sorted((change for change in changes if change.seq > cursor), key=lambda change: change.seq)
            if not news:
                return 0
            states, versions = load_sessions(connection, {change.key for change in news})
            last: dict[SessionKey, str] = {}
            for change in news:
                states[change.key] = self._hear(states.get(change.key, SessionState()), change)
                last[change.key] = change.word.value
            save_sessions(connection, states, versions, now, words=last)
            insert_new(
                connection,
                words,
                [
                    {"seq": change.seq, "tenant_id": change.key.tenant_id, "session_id": change.key.session_id}
                    | {"word": change.word.value, "at": change.at}
                    for change in news
                ],
            )
        return len(news)
