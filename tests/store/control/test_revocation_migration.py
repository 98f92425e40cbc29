"""Revisions of the control database: up with what was there before."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from postgres import open_postgres
from revisions import copy, go
from sqlalchemy import bindparam, inspect, text
from whole_store import ledger_entries

from guardian.domain.envelope import Envelope
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord
from guardian.store.columns import UtcDateTime
from guardian.store.control.head import create_head
from guardian.store.control.rows import ControlRows
from guardian.store.control.store import ControlStore
from guardian.store.engine import open_engine, writing
from guardian.store.schema import CONTROL, migrate

NOW = datetime(2026, 5, 12, 12, tzinfo=UTC)


def test_an_upgrade_keeps_the_ledger_and_finds_who_delegated_to_whom(tmp_path):
    newest, engine = (open_engine(f"sqlite:///{tmp_path}/{name}.db") for name in ("newest", "control"))
    migrate(newest, CONTROL)
    told = {"delegator_id": "u", "tenant_id": "acme", "purpose": "p"}
    with writing(newest) as connection:
        create_head(connection, NOW)
        rows = ControlRows(connection)
        entry = rows.ledger.append(
            tenant_id="acme",
            subject_id="root",
            status="revoked",
            reason_code="drift",
            reason="",
            actor="monitor",
            now=NOW,
            expires_at=NOW + timedelta(days=1),
            finding_id=None,
        )
        for session, parent in (("root", None), ("child", "root"), ("grandchild", "child")):
            envelope = Envelope.model_validate({**told, "session_id": session, "parent_session_id": parent})
            rows.envelopes.add(envelope, by="gw", now=NOW)
    go(engine, "0002")
    tables = set(inspect(engine).get_table_names())
    assert not tables & {"control_delegation", "control_peer", "control_self_test", "control_cursor"}
    assert "cause" not in {column["name"] for column in inspect(engine).get_columns("control_ledger")}
    copy(newest, engine, "control_head", "control_ledger", "control_live", "control_envelope")
    go(engine, "head")
    with writing(engine) as connection:
        rows = ControlRows(connection)
        assert rows.delegations.descendants(SessionKey("acme", "root"), 10) == ["child", "grandchild"]
        assert rows.delegations.ancestors(SessionKey("acme", "grandchild")) == ["child", "root"]
        assert ledger_entries(rows) == [entry]
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/control.db"
    else:
        server = open_postgres(tmp_path)
        yield str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://")
        server.cleanup()


def test_whom_sessions_act_under_that_were_registered_before_the_upgrade_is_found(database):
    """In parts, whatever their names, however wide, and a purpose that PostgreSQL's JSON does not take."""
    told = {"delegator_id": "u", "tenant_id": "acme", "purpose": "a\x00b", "session_id": "s"}
    before = (
        "INSERT INTO control_envelope VALUES (:tenant_id, :session_id, :version, :digest, :envelope, 'gw', :at)"
    )

    def row(version, **more):
        text = Envelope.model_construct(**{**told, **more}).model_dump_json(exclude_unset=True)
        name = {"tenant_id": "acme", "session_id": more.get("session_id", "s")}
        return {**name, "version": version, "digest": str(version), "envelope": text, "at": NOW}

    many = [row(n, agent_id=f"a{n}") for n in range(2001)]
    agent, user = ("".join(map(chr, random.Random(seed).choices(range(0x4E00, 0x9FA5), k=512))) for seed in (1, 2))
    wide = row(1, session_id="w", agent_id=agent, delegator_id=user)
    engine = open_engine(database)
    go(engine, "0018")
    with writing(engine) as connection:
        put = text(before).bindparams(bindparam("at", type_=UtcDateTime()))
        connection.execute(put, [*many, row(1, session_id='ü"', task_id='t"ü'), row(1, session_id="x"), wide])
    go(engine, "head")
    with writing(engine) as connection:
        named = ControlRows(connection).session_names
        assert all(named.delegated("acme", "agent_id", f"a{n}", "u") for n in range(2001))
        assert named.registered_under("acme", "task_id", 't"ü') == ['ü"']
        assert len(named.registered_under("acme", "delegator_id", "u")) == 3
        assert named.delegated("acme", "agent_id", agent, user)
        anew = {"delegator_id": agent, "agent_id": user, "tenant_id": "acme", "session_id": "w2", "purpose": "p"}
        ControlRows(connection).envelopes.add(Envelope(**anew), by="gw", now=NOW)
        assert named.registered_under("acme", "delegator_id", agent) == ["w2"]
        assert named.perhaps_protected("acme", "agent_id", user, {user}) == {"w2"}
    engine.dispose()


def test_what_exceptions_made_fresh_before_the_upgrade_still_counts(tmp_path):
    newest = f"sqlite:///{tmp_path}/newest.db"
    store = ControlStore.open(newest, now=NOW, epoch_file=None)
    with store.write() as rows:
        rows.sessions.meet(SessionKey("acme", "s1"), NOW)
        rows.sessions.say(SessionKey("acme", "s1"), HumanWord.FALSE_POSITIVE, NOW, human=True)
        rows.sessions.say(SessionKey("acme", "s1"), HumanWord.FALSE_POSITIVE, NOW, human=False)
        rows.sessions.meet(SessionKey("acme", "s2"), NOW)
    store.close()
    engine = open_engine(f"sqlite:///{tmp_path}/control.db")
    go(engine, "0006")
    copy(open_engine(newest), engine, "control_head", "control_session", "control_change")
    go(engine, "head")
    with writing(engine) as connection:
        rows = ControlRows(connection)
        for session, restarts in (("s1", 3), ("s2", 1)):
            rows.sessions.say(SessionKey("acme", session), HumanWord.FALSE_POSITIVE, NOW, human=True)
            assert rows.sessions.get(SessionKey("acme", session)).restarts == restarts
    engine.dispose()


def test_model_versions_that_were_kept_for_all_tenants_are_known_to_each(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/control.db")
    go(engine, "0008")
    with writing(engine) as connection:
        for n, version in enumerate(("m1", "m2")):
            seen = {"version": version, "first_seen": f"2026-05-12 12:0{n}:00.000000"}
            connection.execute(text("INSERT INTO control_model VALUES (:version, :first_seen)"), seen)
    go(engine, "head")
    with writing(engine) as connection:
        models = ControlRows(connection).models
        assert models.note("acme", "m1", NOW + timedelta(hours=1)) is None
        assert models.note("acme", "m3", NOW + timedelta(hours=1)) == "m2"
        assert models.changed_at("acme") == NOW + timedelta(hours=1)
        assert models.changed_at("globex") == NOW + timedelta(minutes=1)
    engine.dispose()
