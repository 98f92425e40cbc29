"""The example roles on a real PostgreSQL: what each can do in the other's database, and in its own."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from postgres import open_postgres
from revisions import go
from whole_store import first_bad

from guardian.domain.batch import AgentKey, Change, DeadLetter, DecisionKey, Judgement, Wanted
from guardian.domain.envelope import Envelope
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.record import Place, Record
from guardian.domain.revocation import Revision
from guardian.domain.session import HumanWord, SessionState
from guardian.errors import StoreError
from guardian.store.control import tables
from guardian.store.control.cursors import Cursor
from guardian.store.control.peers import Peer, SelfTest
from guardian.store.control.rights import RIGHTS
from guardian.store.control.store import ControlStore
from guardian.store.engine import open_engine
from guardian.store.monitor.retention import Retention
from guardian.store.monitor.store import MonitorStore
from guardian.store.schema import CONTROL, migrate
from guardian.wire.approvals import ApprovalView, BreakGlassView
from guardian.wire.cases import CaseEvent
from guardian.wire.exceptions import ExceptionView
from guardian.wire.findings import FindingOutcome, PersonsVerdict
from guardian.wire.sessions import ModeView

psycopg = pytest.importorskip("psycopg")

pytestmark = pytest.mark.slow  # a real PostgreSQL

NOW = datetime(2026, 5, 12, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ROOT = Path(__file__).parents[2]
SQL = ROOT / "config" / "examples" / "postgres-roles.sql"
TABLES = (*sorted(tables.metadata.tables), "migrations_control_version")
SECTION = re.compile(r"^-- === \d\. in database (\w+), as (a superuser|\w+)[^\n]*$", re.MULTILINE)


class Server(NamedTuple):
    """A server on which the example was run."""

    uri: str
    roles: dict[str, str]

    def url(self, role: str, database: str) -> str:
        """The way in for one role, as guardian's configuration spells it."""
        return self.libpq(role, database).replace("postgresql://", "postgresql+psycopg://")

    def libpq(self, role: str, database: str) -> str:
        return re.sub(r"//postgres:?[^@/]*@/\w+", f"//{role}:{self.roles[role]}@/{database}", self.uri)

    def run(self, role: str, database: str, *statements: str) -> list[Any]:
        """Send statements one at a time, each its own transaction; the last one's rows."""
        with psycopg.connect(self.libpq(role, database), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Every section of the file in its order, the migrations by the owner where it says so."""
    # Not below pytest's folder: PostgreSQL does not run as root, and pytest closes that folder to everybody else.
    folder = tempfile.mkdtemp(prefix="guardian-roles-")
    started = open_postgres(Path(folder))
    text = SQL.read_text(encoding="utf-8")
    roles = dict(re.findall(r"CREATE ROLE (\w+) [^;]*PASSWORD '([^']+)'", text))
    made = Server(started.get_uri(), {**roles, "postgres": ""})
    made.run("postgres", "postgres", "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")  # nothing to keep
    _, *parts = SECTION.split(text)
    for database, who, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if who == "guardian_owner":
            migrate_as_owner(made)
        made.run("postgres" if who == "a superuser" else who, database, *statements(body))
    yield made
    started.cleanup()
    shutil.rmtree(folder)


def statements(section: str) -> list[str]:
    return [each for each in re.sub(r"--[^\n]*", "", section).split(";") if each.strip()]


def migrate_as_owner(server: Server) -> None:
    engine = open_engine(server.url("guardian_owner", "guardian_control"))
    migrate(engine, CONTROL)
    engine.dispose()


def refused(server: Server, role: str, database: str, *statements: str) -> None:
    with psycopg.connect(server.libpq(role, database), autocommit=True) as connection:
        for statement in statements:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def finding(n: int = 0) -> Finding:
    return Finding(
        id=f"f{n}", kind=Kind.DRIFT, tenant_id="acme", session_id="s1", wanted=Effect.REVOKE,
        severity="high", title="left its purpose", time=NOW,
    )  # fmt: skip


def test_the_placeholders_are_no_passwords_that_anybody_would_keep() -> None:
    found = re.findall(r"PASSWORD '([^']+)'", SQL.read_text(encoding="utf-8"))
    assert len(found) == 3
    assert all(each.startswith("CHANGE-ME-") for each in found)


@pytest.mark.parametrize(
    ("role", "database"), [("guardian_monitor", "guardian_control"), ("guardian_control", "guardian_monitor")]
)
def test_neither_role_gets_into_the_others_database(server: Server, role: str, database: str) -> None:
    with pytest.raises(StoreError, match=f"permission denied for database .{database}"):
        open_engine(server.url(role, database))


@pytest.fixture
def let_in(server: Server) -> Iterator[Server]:
    """The worst case: somebody let the monitor's role into the control database and its schema."""
    server.run(
        "postgres",
        "guardian_control",
        "GRANT CONNECT ON DATABASE guardian_control TO guardian_monitor",
        "GRANT USAGE ON SCHEMA public TO guardian_monitor",
    )
    yield server
    server.run(
        "postgres",
        "guardian_control",
        "REVOKE CONNECT ON DATABASE guardian_control FROM guardian_monitor",
        "REVOKE USAGE ON SCHEMA public FROM guardian_monitor",
    )


@pytest.mark.parametrize("table", TABLES)
def test_the_monitors_role_can_neither_read_nor_write_any_table_of_control(let_in: Server, table: str) -> None:
    known = tables.metadata.tables.get(table)
    column = "version_num" if known is None else known.columns[0].name
    refused(
        let_in,
        "guardian_monitor",
        "guardian_control",
        f"SELECT count(*) FROM {table}",
        f"INSERT INTO {table} DEFAULT VALUES",
        f'UPDATE {table} SET "{column}" = DEFAULT',
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
    )


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE public.mine (x int)",
        "SET ROLE guardian_owner",
        "SET ROLE guardian_control",
        "GRANT guardian_owner TO guardian_monitor",
        "ALTER TABLE control_audit DISABLE TRIGGER ALL",
        "DROP TABLE control_ledger",
        "COPY control_audit TO PROGRAM 'cat'",
        "SELECT nextval('control_session_seq_seq')",
    ],
)
def test_the_monitors_role_has_no_way_around_that(let_in: Server, statement: str) -> None:
    refused(let_in, "guardian_monitor", "guardian_control", statement)


def test_the_monitors_store_works_fully_with_its_role(server: Server) -> None:
    engine = open_engine(server.url("guardian_monitor", "guardian_monitor"))
    key, agent, decision = SessionKey("acme", "s1"), AgentKey("acme", "a"), DecisionKey("acme", "gw", "d")
    for _ in range(2):  # the first time it makes its own tables
        store = MonitorStore(engine, seal=lambda value: value[::-1], hear=lambda state, _: state)
        store.check_room(NOW)
    owned = store.claim([Place("t", 0)], "m", now=NOW)
    record = Record("t", 0, 1, b"x", key=None, headers=(), timestamp=NOW)
    judged = Judgement(
        findings=(finding(),),
        sessions={key: SessionState()},
        seen={decision: "digest"},
        agent_purposes={agent: ("p",)},
        dead_letters=(DeadLetter(record, "c", "why", "acme", "s1", "gw"),),
    )
    assert store.mark_attempt(Place("t", 0), 1) == 1
    store.commit(judged, positions={Place("t", 0): 2}, base=owned.positions, versions={}, member="m", now=NOW)
    wanted = Wanted(frozenset({key}), frozenset({decision}), frozenset(), frozenset({agent}))
    assert store.load(wanted).sessions == {key: SessionState()}
    for item in store.outbox.due(NOW, 10):
        store.outbox.delivered([item.id], "done", now=NOW)
    assert store.words.apply([Change(1, key, HumanWord.REINSTATED, NOW)], now=NOW) == 1
    store.baselines.publish(NOW + DAY, idle=timedelta(0), learn=lambda *_: None)
    store.dead_letters.redriven("t/0/1", now=NOW)
    gone = store.prune(NOW + timedelta(days=400), Retention())
    assert (gone["sessions"], gone["findings"], gone["dead_letters"]) == (1, 1, 1)
    store.close()


@pytest.fixture
def control(server: Server, tmp_path: Path) -> Iterator[ControlStore]:
    url = server.url("guardian_control", "guardian_control")
    store = ControlStore.open(url, now=NOW, epoch_file=tmp_path / "epoch")
    yield store
    store.close()


def entry(rows: Any, session: str, status: str, now: datetime = NOW) -> None:
    rows.ledger.append(
        tenant_id="acme", subject_id=session, status=status, reason_code="drift", reason="", actor="monitor",
        now=now, expires_at=now + DAY, automatic=True,
    )  # fmt: skip
    rows.audit.append({"action": status, "session_id": session})


def test_the_control_store_works_fully_with_its_role(control: ControlStore) -> None:
    control.check_room()
    with control.write() as rows:
        asked = {"finding_id": "f0", "tenant_id": "acme", "session_id": "s1", "wanted": Effect.REVOKE}
        outcome = FindingOutcome(**asked, effect=Effect.REVOKE, mode="enforce", at=NOW)
        rows.findings.add(finding(), outcome, NOW)
        rows.sessions.note_finding(finding(), Effect.REVOKE, NOW)
        rows.findings.set_verdict(
            "acme", "f0", PersonsVerdict(verdict="confirmed", actor="ann", reason="yes", at=NOW)
        )
        entry(rows, "s1", "revoked")
        entry(rows, "s2", "revoked")
        rows.alerts.add(kind="finding", case_key="c", idempotency_key="k", payload="{}", now=NOW)
        rows.alerts.deliver_to(["webhook"], NOW, instead="log")
        taken = rows.alerts.claim("webhook", NOW)
        assert taken is not None
        rows.alerts.sent("webhook", taken.id, "C1:1")
        rows.modes.put(ModeView(tenant_id="acme", mode="enforce", set_by="ann", reason="trusted", at=NOW))
        rows.modes.put(ModeView(tenant_id="acme", mode="shadow", set_by="ann", reason="not", at=NOW))
        life = {"issued_at": NOW, "expires_at": NOW + DAY}
        rows.tokens.add(jti="j", principal_id="p", role="monitor", tenants=["acme"], kid="k", **life)
        assert rows.tokens.revoke("j", by="ann", now=NOW)
        rows.idempotency.put("p", "key", "digest", "answer", NOW)
        rows.idempotency.forget(NOW + DAY)
        waiting = {"id": "a1", "tenant_id": "acme", "action": "setMode", "proposer": "ann", "reason": "r"}
        waits = ApprovalView(**waiting, created_at=NOW, expires_at=NOW + DAY)
        rows.approvals.add(waits, proposer_role="approver", act={}, policy_ids=["p"])
        assert rows.approvals.decide("a1", "approved", by="bob", reason="r", result="done", now=NOW)
        for name in ("g1", "g2"):
            rows.break_glass.add(
                BreakGlassView(id=name, tenant_id="acme", principal_id="ann", reason="r", at=NOW, until=NOW + DAY)
            )
        assert rows.break_glass.end("g1", by="ann", now=NOW)
        assert len(rows.break_glass.close_run_out(NOW + 2 * DAY, 10)) == 1
        for _ in range(2):
            rows.breakers.trip("acme", now=NOW, until=NOW + DAY, reason="flood")
        assert rows.breakers.reset("acme", by="ann", now=NOW)
        told = Envelope.model_validate({"delegator_id": "u", "tenant_id": "acme", "session_id": "s1"})
        rows.envelopes.add(told, by="gw", now=NOW)
        rows.checkpoints.add(2, "signed", frontier=["00"], now=NOW)
        rows.checkpoints.mark_exported("file", 2, NOW)
        rows.sessions.protect(SessionKey("acme", "s3"), NOW, protected=True)
        for n in (1, 2):
            at = Revision(epoch=1, n=n)
            peer = Peer("gateway", "gw", "a", None, at, "push", NOW, NOW)
            rows.peers.put([peer], NOW)
            rows.cursors.put(Cursor("kafka_topic/t", at))
        rows.peers.forget([peer])
        test = SelfTest("t1", "canary", "acme", "s9", "", NOW, NOW, revision=at)
        rows.self_tests.add(test)
        rows.self_tests.put(replace(test, result="passed"))
        rows.self_tests.forget(before=NOW + DAY, after=NOW)
        case = rows.cases.open("c", kind="session", tenant_id="acme", session_id="s1", now=NOW)
        rows.cases.happened(case, [CaseEvent(at=NOW, by="ann", what="looked")])
        for seq in (1, 2):
            rows.feeds.follow("audit", seq)
        fine = {"id": "e1", "tenant_id": "acme", "purpose": "p", "tool": "crm.*", "owner": "ann", "reason": "r"}
        rows.exceptions.add(ExceptionView(**fine, created_at=NOW, expires_at=NOW + DAY))
        rows.exceptions.used("e1")
        assert rows.exceptions.end("e1", by="ann", now=NOW)
    with control.write() as rows:
        entry(rows, "s1", "reinstated")
        rows.sessions.say(SessionKey("acme", "s1"), HumanWord.REINSTATED, NOW, human=True)
        back = rows.ledger.of_session(SessionKey("acme", "s1"))[-1]
        for _ in range(2):
            rows.ledger.begin_lifting(back)
        assert rows.ledger.lifting() == back
        assert rows.ledger.following(back, 1) == []
        rows.ledger.end_lifting(back)
        for overdue in rows.ledger.overdue(NOW + 2 * DAY, 10):
            entry(rows, overdue.subject_id, "lapsed", NOW + 2 * DAY)
        few = type(rows.models)(rows.connection, most=1)
        for version in ("m1", "m2", "m3"):
            few.note("acme", version, NOW)
    with control.read() as rows:
        first, second = (rows.ledger.of_session(SessionKey("acme", name)) for name in ("s1", "s2"))
        assert [each.status for each in first] == ["revoked", "reinstated"]
        assert [each.status for each in second] == ["revoked", "lapsed"]
        assert rows.ledger.live_entry("acme", "s1") is None
        assert first_bad(rows) is None
        assert rows.checkpoints.progress().exported == {"file": 2}


def test_a_restored_backup_is_noticed_with_this_role_too(server: Server, tmp_path: Path) -> None:
    url = server.url("guardian_control", "guardian_control")
    (tmp_path / "epoch").write_text('{"epoch": 7, "n": 900, "change_seq": 900}')
    store = ControlStore.open(url, now=NOW, epoch_file=tmp_path / "epoch")
    assert store.head().revision.epoch == 8
    store.close()


@pytest.mark.parametrize("table", ["control_ledger", "control_audit", "control_envelope", "control_change"])
def test_control_itself_can_neither_change_nor_remove_what_stands_there(
    server: Server, control: ControlStore, table: str
) -> None:
    with control.write() as rows:
        entry(rows, "s9", "revoked")
    columns = [column.name for column in tables.metadata.tables[table].columns]
    refused(
        server,
        "guardian_control",
        "guardian_control",
        *(f'UPDATE {table} SET "{column}" = "{column}"' for column in columns),
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
        f"ALTER TABLE {table} RENAME TO gone",
        f"DROP TABLE {table}",
        f"CREATE OR REPLACE RULE never AS ON INSERT TO {table} DO INSTEAD NOTHING",
        "SET ROLE guardian_owner",
        "CREATE TABLE public.mine (x int)",
        "UPDATE migrations_control_version SET version_num = '0001'",
    )


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("control_finding", "finding"),
        ("control_approval", "act"),
        ("control_approval", "proposer"),
        ("control_break_glass", "until"),
        ("control_token", "tenants"),
        ("control_checkpoint", "size"),
        ("control_exception", "tool"),
        ("control_exception", "expires_at"),
    ],
)
def test_what_was_said_once_is_not_said_otherwise_later(server: Server, table: str, column: str) -> None:
    refused(server, "guardian_control", "guardian_control", f'UPDATE {table} SET "{column}" = "{column}"')


def test_a_signed_checkpoint_stays_as_it_is(server: Server, control: ControlStore) -> None:
    with control.write() as rows:
        rows.checkpoints.add(50, "signed by the key", frontier=["00"], now=NOW)
    server.run(
        "guardian_control", "guardian_control", "UPDATE control_checkpoint SET note = 'forged' WHERE size > 0"
    )
    notes = server.run("guardian_owner", "guardian_control", "SELECT note FROM control_checkpoint WHERE size = 50")
    assert notes == [("signed by the key",)]
    refused(server, "guardian_control", "guardian_control", "DELETE FROM control_checkpoint")


def test_the_example_grants_what_the_store_changes_and_nothing_else(server: Server) -> None:
    """Read from the store's own statements, so that a new one without its grant is found here."""
    written = {"update": set(), "delete": set()}
    for file in (ROOT / "guardian" / "store" / "control").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        upserts = (("update", variable) for variable in re.findall(r"\bupsert\(self\.connection, (\w+)", text))
        for verb, variable in (*re.findall(r"\b(update|delete)\((\w+)\)", text), *upserts):
            written[verb].add(getattr(tables, variable).name)
    granted = server.run(
        "guardian_owner",
        "guardian_control",
        "SELECT lower(privilege_type), table_name FROM information_schema.column_privileges"
        " WHERE grantee = 'guardian_control' AND privilege_type = 'UPDATE'"
        " UNION SELECT lower(privilege_type), table_name FROM information_schema.role_table_grants"
        " WHERE grantee = 'guardian_control' AND privilege_type IN ('UPDATE', 'DELETE')",
    )
    found = {verb: {table for each, table in granted if each == verb} for verb in written}
    asked = {verb: {table for table, rights in RIGHTS.items() if verb.upper() in rights} for verb in written}
    assert found == asked == written


def test_an_upgrade_without_the_owner_or_without_the_last_section_again_is_told_and_not_begun(
    server: Server, tmp_path: Path
) -> None:
    def serve(*, migrates: bool = True) -> None:
        url = server.url("guardian_control", "guardian_control")
        ControlStore.open(url, now=NOW, epoch_file=tmp_path / "epoch", migrates=migrates).close()

    *_, last = SECTION.split(SQL.read_text(encoding="utf-8"))
    owner = open_engine(server.url("guardian_owner", "guardian_control"))
    server.run("guardian_owner", "guardian_control", f"DROP TABLE {', '.join(TABLES)}")
    go(owner, "0010")
    earlier = re.sub("control_(lifting|delivery|channel), ", "", last)  # what there was not yet
    given = "GRANT UPDATE ON control_alert TO guardian_control"  # as before 0015
    server.run("guardian_owner", "guardian_control", *statements(earlier), given)
    owner.dispose()
    with pytest.raises(StoreError, match=r"is at 0010, .* their owner does with `guardian migrate` and section 4"):
        serve(migrates=False)
    with pytest.raises(StoreError, match=r"permission denied .*; .*postgres-roles\.sql .* section 3"):
        serve()
    migrate_as_owner(server)
    lacking = r"lacks INSERT on control_audit_told, SELECT on control_audit_told, DELETE on .* and .* section 4"
    with pytest.raises(StoreError, match=lacking):
        serve()
    server.run("guardian_owner", "guardian_control", *statements(last))
    serve()
    refused(server, "guardian_control", "guardian_control", "UPDATE control_alert SET payload = ''")
