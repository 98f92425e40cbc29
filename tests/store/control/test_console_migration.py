"""Revision 0006 of the control database: the audit trail so far can be looked up by session."""

from datetime import UTC, datetime

from revisions import copy, go
from sqlalchemy import inspect, text
from whole_store import first_bad

from guardian.store.control.rows import ControlRows
from guardian.store.control.store import ControlStore
from guardian.store.engine import open_engine, writing

NOW = datetime(2026, 5, 12, 12, tzinfo=UTC)


def test_an_upgrade_finds_what_the_trail_says_of_each_session(tmp_path):
    written = f"sqlite:///{tmp_path}/written.db"
    store = ControlStore.open(written, now=NOW)
    with store.write() as rows:
        for n in range(4500):
            rows.audit.append({"action": "flag", "tenant_id": "acme", "session_id": f"s{n % 3}"})
        for odd in ("x" * 513, "nul\x00"):
            rows.audit.append({"action": "flag", "tenant_id": "acme", "session_id": odd})
        rows.audit.append({"action": "start", "actor": "guardian"})
        rows.audit.append({"action": "setMode", "tenant_id": "acme", "session_id": None})
    store.close()
    engine = open_engine(f"sqlite:///{tmp_path}/control.db")
    go(engine, "0005")
    assert not {"control_visit", "control_audit_about"} & set(inspect(engine).get_table_names())
    copy(open_engine(written), engine, "control_head", "control_audit")
    with writing(engine) as connection:
        connection.execute(text("UPDATE control_audit SET record = 'damaged' WHERE seq = 4"))
    go(engine, "head")
    with writing(engine) as connection:
        rows = ControlRows(connection)
        newest = rows.audit.about("acme", "s1", limit=3)
        assert [entry.seq for entry in newest] == [4499, 4496, 4493]
        assert len(rows.audit.about("acme", "s0", limit=9999)) == 1499, "all but the damaged one"
        assert rows.audit.about("acme", "x" * 513, limit=1) == rows.audit.about("acme", "nul\x00", limit=1) == []
        assert first_bad(rows) == 4, "and the verification still finds that"
        rows.audit.append({"action": "revoke", "tenant_id": "acme", "session_id": "s1"})
        assert rows.audit.about("acme", "s1", limit=1)[0].seq == 4505
        assert rows.audit.about("acme", "s1", limit=1, before=4505)[0].seq == 4499
    engine.dispose()
