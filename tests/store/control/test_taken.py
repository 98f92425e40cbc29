"""A store of before has cases that nobody has taken; afterwards they can be."""

from datetime import UTC, datetime

from revisions import go
from sqlalchemy import text

from guardian.store.control.rows import ControlRows
from guardian.store.engine import open_engine, reading, writing

NOW = datetime(2026, 5, 12, 12, tzinfo=UTC)


def test_a_case_of_before_is_taken_by_nobody_until_somebody_does(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/control.db")
    go(engine, "0020")
    with writing(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO control_case (key, tenant_id, session_id, kind, purpose, rank, alert_id, findings,"
                " channel, state, digest, shown, events, told, steps, status, attempts, next_at, last_error,"
                " opened_at) VALUES ('k', 'acme', 's', 'session', '', 3, 1, 1, '', 'flagged', '', '', 0, 0, 0,"
                " 'idle', 0, :at, '', :at)"
            ),
            {"at": "2026-05-12 11:00:00.000000"},
        )
    go(engine, "head")
    with writing(engine) as connection:
        cases = ControlRows(connection).cases
        assert cases.taken(["k"]) == {}
        cases.change("k", taken_by="ann", taken_at=NOW)
    with reading(engine) as connection:
        cases = ControlRows(connection).cases
        assert [(key, each.taken_by, each.taken_at) for key, each in cases.taken(["k", "x"]).items()] == [
            ("k", "ann", NOW)
        ]
    engine.dispose()
