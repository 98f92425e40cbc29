"""Session states: loaded by key, written only over the version that was read."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import Connection, Select, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from guardian.domain.identity import SessionKey
from guardian.domain.session import SessionState
from guardian.errors import StoreError
from guardian.store.inserts import Row
from guardian.store.monitor.keys import among, asked
from guardian.store.monitor.tables import sessions
from guardian.store.monitor.values import Conflict

TO_LEARN, LEARNT, NOT_ACTED, BARE = 0, 1, 2, 3
"""Values of `learned`. `NOT_ACTED`: its envelope was registered, but it has done nothing yet. `BARE`: it was
forgotten but for what outlasts that, and has done nothing since."""

_BYTES_AT_ONCE = 8 * 1024 * 1024
_KEY = sessions.c.tenant_id, sessions.c.session_id
_STATES = select(*_KEY, sessions.c.version, sessions.c.state).where(among(*_KEY))
_CURRENT = (
    select(*_KEY, sessions.c.version, sessions.c.learned).where(among(*_KEY)).order_by(*_KEY).with_for_update()
)


def load_sessions(
    connection: Connection, wanted: Iterable[SessionKey]
) -> tuple[dict[SessionKey, SessionState], dict[SessionKey, int]]:
    """The states and versions of the wanted sessions that exist. Raises StoreError where another version of
    guardian wrote one: no record is at fault, and that version reads on where this one stands."""
    states: dict[SessionKey, SessionState] = {}
    versions: dict[SessionKey, int] = {}
    keys = list(wanted)
    for tenant, session_id, version, state in connection.execute(_STATES, asked(keys)) if keys else ():
        key = SessionKey(tenant, session_id)
        states[key], versions[key] = read_state(key, state), version
    return states, versions


def some(connection: Connection, query: Select[tuple[str, str]]) -> list[SessionKey]:
    """The first of the sessions that the query names, as many as may be read at once: a state has some kilobytes
    or, with its envelope, megabytes."""
    # What each database tells without reading the whole of them; SQLite is asked row by row.
    size = func.octet_length if connection.dialect.name == "postgresql" else func.length
    found: list[SessionKey] = []
    room = _BYTES_AT_ONCE
    with connection.execute(query.add_columns(size(sessions.c.state))) as rows:
        for tenant, session_id, took in rows:
            room -= took
            if found and room < 0:
                break
            found.append(SessionKey(tenant, session_id))
    return found


def read_state(key: SessionKey, state: str) -> SessionState:
    """Raises StoreError where another version of guardian wrote it."""
    try:
        return SessionState.model_validate_json(state)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        unknown = [".".join(map(str, each["loc"])) for each in found if each["type"] == "extra_forbidden"]
        if not unknown:
            raise
        raise StoreError(
            f"store: session {key.session_id!r} of {key.tenant_id!r} was written by another version of guardian, "
            f"this one does not know its {', '.join(unknown)}; run that version or a newer one"
        ) from error


def save_sessions(
    connection: Connection,
    states: Mapping[SessionKey, SessionState],
    versions: Mapping[SessionKey, int],
    now: datetime,
    *,
    words: Mapping[SessionKey, str] | None = None,
) -> None:
    """Insert new sessions and update known ones. Raises Conflict when a version is not what was loaded."""
    current = _current(connection, states)
    for key in states:
        stored = current[key][0] if key in current else None
        if stored != versions.get(key):
            raise Conflict(
                f"store: session {key.session_id!r} of {key.tenant_id!r} is at version {stored}, the batch was "
                f"judged on {versions.get(key)}; load it again"
            )
    learned = _learned(connection, states, {key: told for key, (_, told) in current.items()})
    new: list[Row] = []
    changed: list[Row] = []
    for key, state in states.items():
        row: Row = {"v_state": state.model_dump_json(), "v_stage": state.stage.value, "v_at": now}
        row |= {"k_tenant": key.tenant_id, "k_session": key.session_id}
        if words is not None:
            row["v_word"] = words[key]
        if key in current:
            changed.append(row | {"v_learned": learned[key]})
        else:
            new.append(row | {"v_learned": TO_LEARN if state.actions else NOT_ACTED})
    if new:
        word: Row = {"word": bindparam("v_word")} if words is not None else {}
        statement = insert(sessions).values(
            tenant_id=bindparam("k_tenant"),
            session_id=bindparam("k_session"),
            version=1,
            learned=bindparam("v_learned"),
            state=bindparam("v_state"),
            stage=bindparam("v_stage"),
            touched_at=bindparam("v_at"),
            **word,
        )
        try:
            connection.execute(statement, new)
        except IntegrityError as error:
            raise Conflict("store: another member created one of the sessions meanwhile; load again") from error
    if changed:
        change = (
            update(sessions)
            .where(sessions.c.tenant_id == bindparam("k_tenant"), sessions.c.session_id == bindparam("k_session"))
            .values(
                version=sessions.c.version + 1,
                state=bindparam("v_state"),
                stage=bindparam("v_stage"),
                touched_at=bindparam("v_at"),
                learned=bindparam("v_learned"),
            )
        )
        if words is not None:
            change = change.values(word=bindparam("v_word"))
        connection.execute(change, changed)


def _current(connection: Connection, wanted: Iterable[SessionKey]) -> dict[SessionKey, tuple[int, int]]:
    """Version and `learned` of the sessions that exist, which are nobody else's to write until the commit."""
    keys = list(wanted)
    rows = connection.execute(_CURRENT, asked(keys)) if keys else ()
    return {SessionKey(tenant, session): (version, learned) for tenant, session, version, learned in rows}


def _learned(
    connection: Connection, states: Mapping[SessionKey, SessionState], told: Mapping[SessionKey, int]
) -> dict[SessionKey, int]:
    """What `learned` becomes. A session that began anew under the same name is another one to learn from."""
    before, _ = load_sessions(connection, [key for key, learned in told.items() if learned == LEARNT])
    anew = {key for key, old in before.items() if old.first_seen != states[key].first_seen}
    begun = {key for key, learned in told.items() if learned in (NOT_ACTED, BARE) and states[key].actions}
    return {key: TO_LEARN if key in anew | begun else learned for key, learned in told.items()}
