"""The same log through SQLite and through a real PostgreSQL leaves the same findings and dead letters."""

import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from postgres import open_postgres
from revisions import go
from sqlalchemy import Connection, Engine, event, inspect, literal, select, text

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control import Control
from guardian.bootstrap.control_store import open_control_store
from guardian.bootstrap.judgement import open_judge, open_pipeline, unchecked
from guardian.bootstrap.monitor_store import learn_all, open_monitor_store
from guardian.bus.file import FileConsumer
from guardian.bus.memory import MemoryBroker, MemoryProducer
from guardian.commands.initialise import initialise
from guardian.commands.storing import database_checked
from guardian.config import load
from guardian.control.cases.feeds import catch_up
from guardian.control.people.exceptions import excused
from guardian.control.watchers.watching import watch
from guardian.demo.log import log_lines
from guardian.demo.scenario import Scenario
from guardian.domain.batch import (
    AgentKey,
    Change,
    DeadLetter,
    DecisionKey,
    Decoded,
    Judgement,
    PurposeKey,
    SiblingKey,
    TaskKey,
    Wanted,
)
from guardian.domain.envelope import Envelope, Grant
from guardian.domain.event import SCHEMA, DecisionEvent
from guardian.domain.finding import Act, Effect, Finding, Kind, Subject
from guardian.domain.identity import SessionKey
from guardian.domain.record import Place, Record
from guardian.domain.revocation import LARGEST, Revision
from guardian.domain.session import HumanWord, SessionState
from guardian.domain.signal import BaselineFact, SharedReads
from guardian.errors import StoreError, Unstorable
from guardian.revocation.kafka_topic import KafkaTopicFace, TopicReceiver
from guardian.store import engine as engine_module
from guardian.store import schema
from guardian.store.control.alerts import AlertRows, Chosen, LateAlerts, Settled, Turns
from guardian.store.control.cursors import Cursor
from guardian.store.control.peers import Peer
from guardian.store.control.rows import ControlRows
from guardian.store.control.store import ControlStore
from guardian.store.engine import open_engine, reading, writing
from guardian.store.monitor import sessions as sessions_module
from guardian.store.monitor import words
from guardian.store.monitor.dead_letters import insert_dead_letters, sealed_sizes
from guardian.store.monitor.envelopes import Heard
from guardian.store.monitor.outbox import Outbox, enqueue, insert_findings
from guardian.store.monitor.retention import Retention, _forget_letters
from guardian.store.monitor.sessions import save_sessions
from guardian.store.monitor.spool import Spool
from guardian.store.monitor.store import MonitorStore
from guardian.stream.commit import Committer
from guardian.stream.worker import Worker, WorkerOptions
from guardian.telemetry import Metrics
from guardian.wire.findings import AlertOutcome, AlertPayload, FindingOutcome

NOW = datetime(2026, 5, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
README, ROLES = ROOT / "README.md", ROOT / "config" / "examples" / "postgres-roles.sql"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = open_postgres(tmp_path_factory.mktemp("postgres"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def postgres(server: str) -> str:
    """A database of its own: what other tests left in theirs is not counted."""
    import psycopg

    name = f"d{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
@pytest.mark.parametrize("asked", ["", "&client_encoding=latin1"])
def test_a_database_that_cannot_hold_every_text_is_refused_with_the_way_out(
    server: str, postgres: str, encoding: str, asked: str
) -> None:
    import psycopg

    name = f"d{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        locale = "TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' {locale}")
    told = f"{name}.* is a database in {encoding}, .* ENCODING 'UTF8' TEMPLATE template0"
    with pytest.raises(StoreError, match=told):
        open_engine(re.sub(r"/d\w+\?", f"/{name}?", postgres) + asked)


def test_a_database_of_one_is_no_database_of_the_other_however_it_is_spelt(postgres: str) -> None:
    schema.migrate(engine := open_engine(postgres), schema.CONTROL)
    engine.dispose()
    with pytest.raises(StoreError, match="is that of `guardian serve`; monitor and control need a database each"):
        schema.migrate(engine := open_engine(f"{postgres}&application_name=monitor"), schema.MONITOR)
    with engine.connect() as connection:
        assert not inspect(connection).has_table("migrations_monitor_version")
    engine.dispose()


def test_any_text_is_sent_and_read_whatever_encoding_the_environment_asks_for(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "SQL_ASCII")
    for asked in ("", "&client_encoding=latin1"):
        engine = open_engine(postgres + asked)
        with reading(engine) as connection:
            assert connection.execute(select(literal("Prüfe → 東京"))).scalar_one() == "Prüfe → 東京"
        engine.dispose()


def test_connections_are_kept_for_the_next_requests_as_many_as_the_example_says(postgres: str) -> None:
    engine = open_engine(postgres)
    said = re.search(r"keeps up to (\d+) connections", ROLES.read_text(encoding="utf-8"))
    assert said is not None

    def together() -> set[int]:
        held = [engine.connect() for _ in range(int(said[1]))]
        found = {each.execute(text("SELECT pg_backend_pid()")).scalar_one() for each in held}
        for each in held:
            each.close()
        return found

    assert together() == together()
    engine.dispose()


def test_a_server_that_took_no_writes_and_is_followed_by_one_that_does_is_left_behind(
    server: str, postgres: str
) -> None:
    import psycopg

    name = re.findall(r"/(d\w+)\?", postgres)[0]

    def set_read_only(*, to: str) -> None:  # of the sessions that begin from now on, as if the name led elsewhere
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {to}")

    set_read_only(to="on")
    engine = open_engine(postgres)
    with engine.connect(), engine.connect():
        pass  # two connections are kept
    set_read_only(to="off")
    with pytest.raises(StoreError, match="read-only transaction"), writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (a int)"))
    with writing(engine) as connection, reading(engine) as beside:
        connection.execute(text("CREATE TABLE t (a int)"))
        assert beside.execute(text("SHOW default_transaction_read_only")).scalar_one() == "off"
    engine.dispose()


def test_the_readme_names_the_postgresql_that_the_tests_run_on(server: str) -> None:
    import psycopg

    with psycopg.connect(server) as connection:
        running = connection.info.server_version // 10_000
    text = README.read_text(encoding="utf-8")
    assert re.findall(r"^\*\*Tested against\*\* .*PostgreSQL (\d+),", text, re.MULTILINE) == [str(running)]


def replayed(url: str, log: Path) -> dict[str, object]:
    settings = load(None, overrides={"model": {"engine": "lexical"}})
    store = MonitorStore(open_engine(url), seal=lambda value: value[::-1], hear=lambda state, _: state)
    pipeline = open_pipeline(
        settings,
        open_judge(settings, fingerprint_key=b"test"),
        verify=unchecked,
        clock=utc_now,
        check_entitlements=False,
    )
    found: dict[str, str] = {}
    judged = 0

    def committed(judgement) -> None:
        nonlocal judged
        judged += len(judgement.scored)
        found.update({finding.id: finding.wanted.value for finding in judgement.findings})

    for _ in range(2):  # the second time everything is below the stored offset
        metrics = Metrics()
        committer = Committer(
            pipeline=pipeline, store=store, clock=utc_now, timer=lambda: 0.0, metrics=metrics, on_commit=committed
        )
        Worker(
            consumer=FileConsumer(log, topic="log"),
            store=store,
            committer=committer,
            clock=utc_now,
            options=WorkerOptions(max_records=100, max_outbox_depth=None),
        ).run(threading.Event())
    learnt = store.baselines.publish(utc_now() + timedelta(seconds=5), idle=timedelta(0), learn=learn_all)
    kept = store.dead_letters.get(letter.id for letter in store.dead_letters.list())
    letters = [(letter.offset, letter.code, letter.sealed) for letter in kept.values()]
    depth = store.outbox.depth()
    store.close()
    return {"found": found, "judged": judged, "learnt": learnt, "letters": sorted(letters), "depth": depth}


@pytest.mark.slow
def test_a_log_leaves_the_same_in_either_database(postgres: str, tmp_path: Path) -> None:
    plan = Scenario(seed=4, sessions=20, each=1).plan()
    lines = list(log_lines(plan, begin=datetime.now(UTC) - timedelta(hours=3), seed=4))
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join([*lines, b"{broken", b'{"nul": "\x00"}']) + b"\n")
    there, here = replayed(postgres, log), replayed(f"sqlite:///{tmp_path}/here.db", log)
    assert there == here
    assert there["judged"] == len(lines)
    assert len(there["letters"]) == 2


@pytest.mark.slow
def test_what_is_old_is_found_without_reading_the_whole_of_any_table(postgres: str) -> None:
    engine = open_engine(postgres)
    store = MonitorStore(engine, seal=bytes, hear=lambda state, _: state)
    plans: list[str] = []

    def explain(connection: Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "DELETE")):
            with connection.connection.cursor() as beside:
                beside.execute("SET LOCAL enable_seqscan = off")  # a table as small as these is sooner read whole
                beside.execute(f"EXPLAIN {statement}", parameters)
                plans.extend(row[0] for row in beside.fetchall())

    event.listen(engine, "before_cursor_execute", explain)
    store.prune(NOW, Retention())
    event.remove(engine, "before_cursor_execute", explain)
    assert any("ix_findings_at" in step for step in plans)
    assert [step for step in plans if "Seq Scan" in step] == []
    store.close()


@pytest.mark.slow
def test_of_a_record_with_many_dead_letters_one_keeps_the_value_for_all(postgres: str) -> None:
    engine = open_engine(postgres)
    store = MonitorStore(engine, seal=lambda value: b"sealed" + value, hear=lambda state, _: state)
    letters = [DeadLetter(Record("t", 0, n // 16, b"x" * 9), "c", "why", entry=n % 16) for n in range(48)]
    with writing(engine) as connection:
        ids = insert_dead_letters(
            connection, letters, store._seal, now=NOW, expires_at=NOW + timedelta(microseconds=1)
        )
        enqueue(connection, "dead_letter", dict.fromkeys(ids, ""), NOW)
    with reading(engine) as connection:
        kept = "SELECT count(*), count(nullif(length(sealed), 0)) FROM dead_letters"
        assert connection.execute(text(kept)).one() == (48, 3)
        assert set(sealed_sizes(connection, ids).values()) == {15}
    assert {store.dead_letters.get([id_])[id_].sealed for id_ in ids} == {b"sealed" + b"x" * 9}
    assert [item.dead_letter is not None for item in store.outbox.due(NOW, 100)] == [True] * 48
    later = NOW + timedelta(seconds=1)
    assert _forget_letters(engine, later, 45) == 45
    assert [each.id for each in store.dead_letters.list()] == ["t/0/0", "t/0/1", "t/0/2"]
    assert _forget_letters(engine, later, 45) == 3
    store.close()


@pytest.mark.slow
def test_sessions_are_forgotten_few_bytes_at_a_time(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_module, "_BYTES_AT_ONCE", 2_500_000)
    engine = open_engine(postgres)
    store = MonitorStore(engine, seal=bytes, hear=lambda state, _: state)
    texts = [f"{n:07}" for n in range(140_000)]  # which compresses badly: what counts is what memory takes
    states = {SessionKey("t", f"s{n}"): SessionState(tools=tuple(texts)) for n in range(3)}
    states[SessionKey("t", "began anew")] = SessionState(epoch=1)
    with writing(engine) as connection:
        save_sessions(connection, states, {}, NOW)
    left: list[int] = []

    def rest(_: float) -> None:
        with reading(engine) as connection:
            left.append(connection.execute(text("SELECT count(*) FROM sessions WHERE learned <> 3")).scalar_one())

    assert store.prune(NOW + timedelta(days=365), Retention(), rest=rest)["sessions"] == 4
    assert left[0] > 0
    assert left[-1] == 0
    with reading(engine) as connection:
        assert connection.execute(text("SELECT session_id FROM sessions")).scalars().all() == ["began anew"]
    store.close()


_OUTBOX = """INSERT INTO outbox (kind, ref, state, attempts, next_at, note)
    SELECT '{kind}', '{kind}' || n, '{state}', 1, now(), '' FROM generate_series(1, 5000) n"""
DELIVERED = _OUTBOX.format(kind="finding", state="delivered")
LETTERS_WAIT = _OUTBOX.format(kind="dead_letter", state="due")
SENT = """INSERT INTO control_delivery (channel, alert_id, state, next_at, attempts, last_error)
    SELECT 'slack', n, 'sent', now(), 1, '' FROM generate_series(1, 5000) n"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "fill", "look"),
    [
        ("outbox", [DELIVERED], lambda engine: Outbox(engine).due(NOW, 10)),
        ("outbox", [DELIVERED, LETTERS_WAIT], lambda engine: Outbox(engine).due(NOW, 10, kind="finding")),
        ("control_delivery", [SENT], lambda engine: due(engine, "slack")),
    ],
    ids=["findings and dead letters", "findings beside dead letters that wait", "alerts"],
)
def test_a_look_at_which_nothing_waits_reads_nothing_that_is_done_with(
    postgres: str, table: str, fill: list[str], look: Callable[[Engine], object]
) -> None:
    engine = open_engine(postgres)
    schema.migrate(engine, schema.MONITOR if table == "outbox" else schema.CONTROL)

    @event.listens_for(engine, "checkout")
    def as_asked_often(connection: Any, *_: object) -> None:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.commit()
        connection.prepare_threshold = 0

    def read_whole() -> int:
        with writing(engine) as connection:
            connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        with reading(engine) as connection:
            counted = text("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = :table")
            return int(connection.execute(counted, {"table": table}).scalar_one())

    with writing(engine) as connection:
        for each in fill:
            connection.exec_driver_sql(each)
        connection.exec_driver_sql(f"ANALYZE {table}")
    before = read_whole()
    for _ in range(3):
        assert not look(engine)
    assert read_whole() == before
    engine.dispose()


def due(engine: Engine, channel: str) -> bool:
    with reading(engine) as connection:
        return AlertRows(connection).due(channel, NOW)


@pytest.mark.slow
def test_tenants_take_turns_at_what_is_due_and_each_is_found_by_the_index(postgres: str) -> None:
    engine = open_engine(postgres)
    store = MonitorStore(engine, seal=bytes, hear=lambda state, _: state)
    about: dict[str, Any] = {"kind": Kind.DRIFT, "session_id": "s", "title": "t", "severity": "high", "time": NOW}
    names = [("flood", f"r{n}") for n in range(30)] + [("a", "a1"), ("a", "a2"), ("z", "z1")]
    found = [Finding(id=name, tenant_id=of, wanted=Effect.REVOKE, **about) for of, name in names]
    with writing(engine) as connection:
        insert_findings(connection, found, NOW)
    plans: list[str] = []

    def explain(connection: Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "outbox.lane" in statement and not statement.startswith("UPDATE"):
            with connection.connection.cursor() as beside:
                beside.execute("SET LOCAL enable_seqscan = off")
                beside.execute(f"EXPLAIN {statement}", parameters)
                plans.extend(row[0] for row in beside.fetchall())

    event.listen(engine, "before_cursor_execute", explain)
    due = [item.finding.id for item in store.outbox.due(NOW, 10, kind="finding") if item.finding is not None]
    event.remove(engine, "before_cursor_execute", explain)
    assert due == ["a1", "r0", "z1", "a2", *(f"r{n}" for n in range(1, 6))]
    assert any("ix_outbox_state_kind_rank_lane" in step for step in plans)
    assert [step for step in plans if "Seq Scan" in step] == []
    store.close()


@pytest.mark.slow
def test_the_place_of_a_face_with_the_longest_name_is_kept_also_across_an_upgrade(postgres: str) -> None:
    engine = open_engine(postgres)
    given: Any = SimpleNamespace(producer=lambda: MemoryProducer(MemoryBroker()))
    topic = TopicReceiver(given, KafkaTopicFace(topic="t" * 249).topic)
    long = Cursor(f"{topic.name}#findings", Revision(epoch=1, n=3))
    short = Cursor("kafka_topic/t", Revision(epoch=1, n=2))
    go(engine, "0007")
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO control_cursor VALUES ('kafka_topic/t', 1, 2, 0, '', now())"))
    go(engine, "head")
    with writing(engine) as connection:
        cursors = ControlRows(connection).cursors
        cursors.put(long)
        assert (cursors.get(short.name), cursors.get(long.name)) == (short, long)
    engine.dispose()


@pytest.mark.slow
def test_what_slack_had_not_shown_is_queued_for_others_and_what_is_urgent_is_sent_first(postgres: str) -> None:
    store = ControlStore.open(postgres, now=NOW)
    with store.write() as rows:
        rows.alerts.deliver_to([], NOW, instead="log")
        for n, severity in enumerate(("low", "critical")):
            payload = f'{{"finding": {{"tenant_id": "t{n}", "severity": "{severity}", "wanted": "flag"}}}}'
            told = {"kind": "finding", "case_key": f"c{n}", "idempotency_key": str(n)}
            rows.alerts.add(**told, payload=payload, now=NOW)
        assert rows.alerts.deliver_to(["webhook"], NOW, instead="log") == 0
        left = rows.feeds.left()
        rows.alerts.queue(left, NOW)
        taken = [rows.alerts.claim("webhook", NOW) for _ in range(3)]
    assert [each and each.id for each in taken] == [*reversed(left), None]
    assert len(left) == 2
    store.close()


@pytest.mark.slow
def test_what_became_so_by_one_act_is_claimed_together_and_given_up_with_what_it_holds_back(postgres: str) -> None:
    store = ControlStore.open(postgres, now=NOW)
    with store.write() as rows:
        rows.alerts.deliver_to(["email"], NOW, instead="log")
        told = {"payload": "{}", "now": NOW}
        for name in "ab":
            rows.alerts.add(kind="finding", case_key=name, idempotency_key=name, **told)
            first = rows.alerts.named(name)
            assert first is not None
            rows.alerts.sent("email", first, "x")
            for n in range(2):
                assert rows.alerts.follow_up(first, idempotency_key=f"{name}{n}", act=f"act {n}", **told)
        assert rows.alerts.claim_together("email", NOW, Turns()) == [], "more of it may come"
        taken = [each.id for each in rows.alerts.claim_together("email", NOW + timedelta(minutes=1), Turns())]
        assert taken == [rows.alerts.named("a0"), rows.alerts.named("b0")]
        rows.alerts.postponed("email", taken[0], 1, NOW, "busy", *taken[1:])
        assert rows.alerts.late() == [LateAlerts("email", 2, NOW, NOW, "busy")]
        assert [
            each.id for each in rows.alerts.claim_together("email", NOW + timedelta(minutes=1), Turns())
        ] == taken
        rows.alerts.parked("email", taken[0], 2, "no", *taken[1:])
        assert ([each.held for each in rows.alerts.refused()], rows.alerts.held("email")) == ([1, 1], 2)
        assert rows.alerts.drop(Chosen(taken, "email", "")) == [Settled(each, "email", "") for each in taken]
        assert rows.alerts.depth("email") == 2
        assert rows.session_names.accused_under("acme", "agent_id", "a", 0, rows.session_names.last_seq()) == []
    store.close()


@pytest.mark.slow
def test_concurrent_writers_keep_one_ledger_and_one_audit_chain(postgres: str, tmp_path: Path) -> None:
    store = ControlStore.open(postgres, now=NOW, epoch_file=tmp_path / "epoch")

    def write(worker: int) -> None:
        for n in range(10):
            with store.write() as rows:
                rows.ledger.append(
                    tenant_id="acme",
                    subject_id=f"s{worker}-{n}",
                    status="revoked",
                    reason_code="drift",
                    reason="",
                    actor="monitor",
                    now=NOW,
                    expires_at=NOW + timedelta(days=1),
                    finding_id=None,
                )
                rows.audit.append({"actor": "monitor", "n": n, "worker": worker})

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as rows:
        assert [entry.seq for entry in rows.audit.entries()] == list(range(1, 41))
        assert rows.head().revision.n == 40
    store.close()


def test_a_long_list_is_fetched_in_parts_and_not_held_whole(postgres: str, tmp_path: Path) -> None:
    store = ControlStore.open(postgres, now=NOW, epoch_file=tmp_path / "epoch")
    ends = NOW + timedelta(days=1)
    with store.write() as rows:
        for n in range(3):
            rows.ledger.append(
                tenant_id="acme", subject_id=f"s{n}", status="revoked", reason_code="drift", reason="", actor="m",
                now=NOW, expires_at=ends,
            )  # fmt: skip
    with store.read() as rows:
        entries = rows.ledger.each_live()
        assert next(entries).subject_id == "s0"
        assert rows.connection.execute(text("SELECT count(*) FROM pg_cursors")).scalar_one() == 1
        assert [entry.subject_id for entry in entries] == ["s1", "s2"]
    store.close()


def test_whatever_revision_and_place_callers_may_name_the_database_holds(postgres: str) -> None:
    store = ControlStore.open(postgres, now=NOW)
    furthest = Revision.parse(f"{LARGEST}.{LARGEST}")
    gateway = Peer("gateway", "g", "i", None, furthest, "poll", NOW, NOW)
    with store.write() as rows:
        rows.peers.put([gateway], NOW)
        assert rows.peers.all("gateway") == [gateway]
        assert rows.sessions.changes(LARGEST, None, 1) == []
        assert rows.approvals.page(None, limit=1, before=LARGEST) == []
    store.close()


def test_a_control_that_has_written_very_often_still_writes(postgres: str, tmp_path: Path) -> None:
    store = ControlStore.open(postgres, now=NOW, epoch_file=tmp_path / "epoch")
    engine = open_engine(postgres)
    with writing(engine) as connection:
        connection.execute(text("UPDATE control_head SET writes = 2147483646"))
    for _ in range(3):
        with store.write() as rows:
            assert rows is not None
    engine.dispose()
    store.close()


def test_a_writer_that_holds_the_queue_up_is_told_of_and_whoever_reads_goes_on(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_BUSY_MS", 20)
    ours, others = (ControlStore.open(postgres, now=NOW) for _ in range(2))
    with others.write():
        with pytest.raises(StoreError, match="stayed locked for 20 ms"), ours.write():
            pass
        assert not ours.takes_writes()
        assert ours.head().revision.n == 0
    ours.try_again()
    assert ours.takes_writes()
    ours.close()
    others.close()


def test_a_full_disk_takes_small_writes_and_control_is_not_ready_until_it_takes_long_ones(
    postgres: str, tmp_path: Path
) -> None:
    store = ControlStore.open(postgres, now=NOW, epoch_file=tmp_path / "epoch")
    engine = open_engine(postgres)
    with full(engine, "control_audit", "record"):
        with pytest.raises(StoreError, match="could not extend file"), store.write() as rows:
            rows.audit.append({"x": "long" * 1000})
        with store.write() as rows:
            rows.audit.append({"x": "short"})
        assert not store.takes_writes()
        with pytest.raises(StoreError, match="could not extend file"):
            store.try_again()
        assert not store.takes_writes()
    store.try_again()
    assert store.takes_writes()
    with reading(engine) as connection:
        assert connection.execute(text("SELECT min(seq), max(seq) FROM control_audit")).one() == (1, 1)
    engine.dispose()
    store.close()


@contextmanager
def full(engine: Engine, table: str, wide: str) -> Iterator[None]:
    """As where the disk is full: what fits into a page that is there is taken, what needs more is not."""
    refuse = "BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END"
    with writing(engine) as connection:
        connection.execute(text(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $${refuse}$$"))
        when = f"BEFORE INSERT ON {table} FOR EACH ROW WHEN (length(NEW.{wide}) > 2000)"
        connection.execute(text(f"CREATE TRIGGER full_disk {when} EXECUTE FUNCTION refuse()"))
    yield
    with writing(engine) as connection:
        connection.execute(text("DROP FUNCTION refuse CASCADE"))


@pytest.mark.parametrize(
    ("whose", "table", "wide"), [("monitor", "findings", "body"), ("control", "control_audit", "record")]
)
def test_the_doctor_says_of_a_server_that_it_takes_no_writes(
    postgres: str, tmp_path: Path, whose: str, table: str, wide: str
) -> None:
    import psycopg

    path = initialise(tmp_path)
    told = load(path).store.model_dump() | {whose: postgres, "epoch_file": tmp_path / "epoch"}
    settings = load(path, overrides={"store": told})
    open_control_store(settings, makes=True).close()
    open_monitor_store(settings, makes=True).close()
    which = {"monitor": whose == "monitor", "control": whose == "control"}
    assert "is up to date" in database_checked(settings, **which)
    engine = open_engine(postgres)
    with full(engine, table, wide), pytest.raises(StoreError, match=r"could not extend file.*; it answers, and"):
        database_checked(settings, **which)
    with reading(engine) as connection:
        assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
    engine.dispose()
    with psycopg.connect(postgres.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {engine.url.database} SET default_transaction_read_only = on")
    with pytest.raises(StoreError, match=r"cannot execute INSERT in a read-only transaction; it answers, and"):
        database_checked(settings, **which)


@pytest.mark.parametrize("days", [-40, 40])
def test_control_goes_by_no_clock_that_is_ahead_of_its_databases_and_people_hear_of_it(
    postgres: str, tmp_path: Path, days: int
) -> None:
    path = initialise(tmp_path)
    told = load(path).store.model_dump() | {"control": postgres, "epoch_file": tmp_path / "epoch"}
    control = Control(load(path, overrides={"store": told}), metrics=Metrics(), port=0)
    here = [timedelta(days=days)]
    deps = replace(control._deps, clock=lambda: utc_now() + here[0], steady=lambda now: now)
    for off in (here[0], timedelta(0)):
        here[0] = off
        watch(deps)
        now = deps.clock()
        assert abs(now - max(off, timedelta(0)) - deps.sure(now)) < timedelta(minutes=2)
    with control.store.read() as rows:
        titles = [each.view.finding.title for each in rows.findings.page(None, limit=10)]
    assert titles == [
        "The clocks of control and its database agree",
        "The clocks of control and its database differ",
    ]
    control.stop()


def test_a_writer_that_is_frozen_loses_its_place_in_the_queue(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, others = (ControlStore.open(postgres, now=NOW) for _ in range(2))
    frozen = ExitStack()
    with monkeypatch.context() as briefly:
        briefly.setattr(engine_module, "_ABANDONED", engine_module._ABANDONED.replace("60s", "500ms"))
        frozen.enter_context(others.write())
    with ours.write() as rows:
        rows.audit.append({"x": 1})
    with pytest.raises(StoreError):
        frozen.close()
    assert ours.head().audit_seq == 1
    ours.close()
    others.close()


def test_a_migration_may_take_its_time(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, allowed = open_engine(postgres), list[str]()

    def upgrade(config: Any, _to: str) -> None:
        for setting in ("lock_timeout", "idle_in_transaction_session_timeout"):
            allowed.append(config.attributes["connection"].execute(text(f"SHOW {setting}")).scalar_one())

    monkeypatch.setattr(schema.command, "upgrade", upgrade)
    schema.migrate(engine, schema.CONTROL)
    assert allowed == ["0", "0"]
    engine.dispose()


def test_a_server_that_falls_silent_is_given_up_and_what_the_url_says_of_that_holds(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    told: list[dict[str, Any]] = []
    connect = psycopg.connect
    monkeypatch.setattr(psycopg, "connect", lambda *args, **more: told.append(more) or connect(*args, **more))
    open_engine(f"{postgres}&connect_timeout=7").dispose()
    assert (str(told[0]["connect_timeout"]), told[0]["tcp_user_timeout"]) == ("7", 30_000)


def test_of_two_that_find_a_restored_backup_at_once_the_second_takes_nothing_back(
    postgres: str, tmp_path: Path
) -> None:
    file = tmp_path / "control.epoch"
    ControlStore.open(postgres, now=NOW).close()
    file.write_text('{"epoch": 2, "n": 9, "change_seq": 0, "audit_seq": 0}')
    engine, opened = open_engine(postgres), list[ControlStore]()
    second = threading.Thread(target=lambda: opened.append(ControlStore.open(postgres, now=NOW, epoch_file=file)))
    with writing(engine) as first:
        first.execute(text("UPDATE control_head SET epoch = 3, n = 7"))  # it began the epoch, and went on
        second.start()
        waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        while not first.execute(waits).scalar_one():
            assert second.is_alive()
    second.join(60)
    assert opened[0].head().revision == Revision(epoch=3, n=7)
    opened[0].close()
    engine.dispose()


def test_after_a_failover_to_a_server_that_lacks_the_last_commits_no_revision_is_given_out_twice(
    postgres: str,
) -> None:
    store, engine = ControlStore.open(postgres, now=NOW), open_engine(postgres)

    def revoke(session: str) -> str:
        told: dict[str, Any] = {"tenant_id": "acme", "reason_code": "drift", "reason": "", "actor": "m"}
        with store.write() as rows:
            entry = rows.ledger.append(
                subject_id=session, status="revoked", now=NOW, expires_at=NOW + timedelta(days=1), **told
            )
            rows.audit.append({"revision": str(entry.revision)})
        return str(entry.revision)

    assert [revoke(each) for each in ("s1", "s2", "s3")] == ["1.1", "1.2", "1.3"]
    with writing(engine) as connection:
        for table, column in (("live", "n"), ("ledger", "n"), ("audit", "seq")):
            connection.execute(text(f"DELETE FROM control_{table} WHERE {column} > 1"))
        back = "n = 1, audit_seq = 1, audit_hash = (SELECT hash FROM control_audit)"
        connection.execute(text(f"UPDATE control_head SET {back}"))
    assert [revoke(each) for each in ("s4", "s5", "s6")] == ["2.1", "2.2", "2.3"]
    with store.read() as rows:
        assert [(told["found"], told["expected"]) for told in rows.restores()] == [("1.1", "1.3")]
        assert {entry.subject_id for entry in rows.ledger.live(None)} == {"s1", "s4", "s5", "s6"}
    store.close()
    engine.dispose()


def test_two_monitors_apply_what_people_said_once(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def hear(state: SessionState, _change: object) -> SessionState:
        return state.model_copy(update={"epoch": state.epoch + 1})

    one, two = (MonitorStore(open_engine(postgres), seal=bytes, hear=hear) for _ in range(2))
    key, load_sessions = SessionKey("acme", "s1"), words.load_sessions
    said = Change(1, key, HumanWord.REINSTATED, NOW)

    def first_the_other(connection: Connection, wanted: Any) -> Any:
        monkeypatch.setattr(words, "load_sessions", load_sessions)
        assert one.words.apply([said], now=NOW) == 1
        return load_sessions(connection, wanted)

    monkeypatch.setattr(words, "load_sessions", first_the_other)
    with pytest.raises(StoreError):
        two.words.apply([said], now=NOW)
    assert two.words.apply([said], now=NOW) == 0
    wanted = Wanted(frozenset({key}), frozenset(), frozenset(), frozenset())
    assert two.load(wanted).sessions[key].epoch == 1
    one.close()
    two.close()


def test_monitors_that_hear_the_same_word_take_turns_and_none_fails(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (MonitorStore(open_engine(postgres), seal=bytes, hear=lambda state, _: state) for _ in range(2))
    said = [Change(n, SessionKey("acme", f"s{n}"), HumanWord.REVOKED, NOW) for n in (1, 2, 3)]
    one.words.apply(said[:1], now=NOW)
    load_sessions, applied = words.load_sessions, dict[str, int]()
    others = [
        threading.Thread(target=lambda who=who, by=by: applied.update({who: by.words.apply(said, now=NOW)}))
        for who, by in (("last", one), ("first", two))
    ]
    begun, engine = list[threading.Thread](), open_engine(postgres)

    def meanwhile_another(connection: Connection, wanted: Any) -> Any:
        if others:
            begun.append(others.pop())
            begun[-1].start()
            while begun[-1].is_alive():
                with reading(engine) as looking:
                    if looking.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted")).first():
                        break
        return load_sessions(connection, wanted)

    monkeypatch.setattr(words, "load_sessions", meanwhile_another)
    assert one.words.apply(said[:2], now=NOW) == 1
    for each in begun:
        each.join(60)
    assert applied == {"first": 1, "last": 0}, "who waited queued again, behind what was applied meanwhile"
    for each in (one, two):
        each.close()
    engine.dispose()


def test_a_group_that_its_writer_has_just_finished_is_nothing_to_write(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (MonitorStore(open_engine(postgres), seal=bytes, hear=lambda state, _: state) for _ in range(2))
    judged = Judgement(seen={DecisionKey("acme", "gw", "d"): "digest"})
    one.commit(judged, positions={}, base={}, versions={}, member="", now=NOW, archived=b"packed")
    asked = {"rows": 1, "patience": timedelta(0), "even_leased": True}
    group, abandoned = one.spool.take(NOW, **asked), Spool._abandoned
    assert group is not None

    def meanwhile_done(spool: Spool, *args: Any) -> str | None:
        name = abandoned(spool, *args)
        one.spool.done(group.name)
        return name

    monkeypatch.setattr(Spool, "_abandoned", meanwhile_done)
    assert two.spool.take(NOW, **asked) is None
    one.close()
    two.close()


@pytest.mark.parametrize("ended", [False, True], ids=["rows that are free", "a group whose lease ended"])
def test_of_two_monitors_that_look_at_once_each_takes_a_group_of_its_own(
    postgres: str, monkeypatch: pytest.MonkeyPatch, *, ended: bool
) -> None:
    one, two = (MonitorStore(open_engine(postgres), seal=bytes, hear=lambda state, _: state) for _ in range(2))
    for body in (b"a", b"b", b"c"):
        judged = Judgement(seen={DecisionKey("acme", "gw", body.decode()): "digest"})
        one.commit(judged, positions={}, base={}, versions={}, member="", now=NOW, archived=body)
    asked, looks = {"rows": 2, "patience": timedelta(0)}, ("_new", "_abandoned")[ended]
    if ended:
        one.spool.take(NOW - timedelta(hours=1), **asked)
    taken, engine, found = list[Any](), open_engine(postgres), getattr(Spool, looks)
    second = threading.Thread(target=lambda: taken.append(two.spool.take(NOW, **asked)))

    def meanwhile_another(spool: Spool, *args: Any) -> str | None:
        name: str | None = found(spool, *args)
        if spool is one.spool:
            second.start()
            while second.is_alive():
                with reading(engine) as looking:
                    if looking.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted")).first():
                        break
        return name

    monkeypatch.setattr(Spool, looks, meanwhile_another)
    taken.insert(0, one.spool.take(NOW, **asked))
    second.join(60)
    assert [group.bodies for group in taken] == [(b"a", b"b"), (b"c",)]
    for each in (one, two):
        each.close()
    engine.dispose()


def test_a_read_sees_one_state_and_writers_see_the_newest(postgres: str) -> None:
    engine = open_engine(postgres)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE tell_tale (n int)"))
    count = text("SELECT count(*) FROM tell_tale")
    try:
        with reading(engine) as reader:
            assert reader.execute(count).scalar_one() == 0
            with writing(engine) as writer:
                writer.execute(text("INSERT INTO tell_tale VALUES (1)"))
                assert writer.execute(text("SHOW transaction_isolation")).scalar_one() == "read committed"
            assert reader.execute(count).scalar_one() == 0
        for _ in range(3):  # on whichever connection of the pool
            with writing(engine) as writer:
                assert writer.execute(text("SHOW transaction_isolation")).scalar_one() == "read committed"
                assert writer.execute(count).scalar_one() == 1
    finally:
        with writing(engine) as connection:
            connection.execute(text("DROP TABLE tell_tale"))
        engine.dispose()


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_the_first_and_last_hours_of_the_calendar_are_read_wherever_the_server_is(
    postgres: str, tmp_path: Path, zone: str
) -> None:
    import psycopg

    with psycopg.connect(postgres.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET timezone TO '{zone}'")
    ends = [at.replace(tzinfo=UTC) for at in (datetime.min, datetime.max)]
    store = ControlStore.open(postgres, now=NOW, epoch_file=tmp_path / "control.epoch")
    with store.write() as rows:
        for n, at in enumerate(ends):
            rows.ledger.append(
                tenant_id="acme",
                subject_id=f"s{n}",
                status="revoked",
                reason_code="manual",
                reason="",
                actor="maya",
                now=NOW,
                expires_at=at,
            )
    with store.read() as rows:
        assert [entry.expires_at for entry in rows.ledger.live(None)] == ends
    store.close()


def test_a_purpose_that_no_column_holds_keeps_neither_a_flag_nor_anybodys_alerts_back(
    postgres: str, tmp_path: Path
) -> None:
    store = ControlStore.open(postgres, now=NOW, epoch_file=tmp_path / "control.epoch")
    flagged = Finding(
        id="fnd_1",
        kind=Kind.DRIFT,
        tenant_id="acme",
        session_id="s1",
        wanted=Effect.FLAG,
        severity="high",
        title="left its purpose",
        subject=Subject(delegator_id="u", purpose="review\x00it"),
        act=Act(decision_id="d", gateway="g", tool="crm.read", time=NOW),
        time=NOW,
    )
    outcome = FindingOutcome(
        finding_id="fnd_1", tenant_id="acme", session_id="s1", wanted="flag", effect="flag", mode="shadow", at=NOW
    )
    told = AlertOutcome(effect=Effect.FLAG, allowed=True, mode="shadow")
    payload = AlertPayload(finding=flagged, outcome=told, case="c1").model_dump_json()
    with store.write() as rows:
        assert excused(rows, flagged, outcome, NOW) == outcome, "no exception covers it"
        assert [rows.feeds.begin(NOW - timedelta(days=1)) for _ in range(2)] == [True, False]
        assert rows.feeds.beginning() == 0
        rows.feeds.begun()
        assert rows.feeds.beginning() is None
        rows.alerts.add(kind="finding", case_key="c1", idempotency_key="1", payload=payload, now=NOW)
    catch_up(store, NOW)
    with store.write() as rows:
        case = rows.cases.get("c1")
        assert case is not None
        assert case.findings == 1
        for name in ("s1", "s2"):
            rows.sessions.note_finding(flagged.model_copy(update={"session_id": name}), Effect.FLAG, NOW)
        assert rows.cases.flagged_without() == 1, "s2 is no case"
        assert [found and found.seq for found in map(rows.feeds.newest_alert, ("c1", "c1"), (0, 1))] == [None, 1]
    store.close()


def test_records_wait_and_envelopes_are_kept_on_postgresql_as_on_sqlite(postgres: str, tmp_path: Path) -> None:
    told = Envelope(delegator_id="u", tenant_id="acme", session_id="s1", purpose="p")
    for url in (postgres, f"sqlite:///{tmp_path}/monitor.db"):
        store = MonitorStore(open_engine(url), seal=lambda value: value[::-1], hear=lambda state, _: state)
        places = [Place("foreign", n) for n in (0, 1)]
        store.claim(places, "m", now=NOW)
        for partition, offset, session in ((0, 0, "s1"), (1, 0, "s2"), (0, 1, "s1")):
            event = told.model_copy(update={"session_id": session})
            waits = [_waiter(Record("foreign", partition, offset, b"value", None, (("h", b"v"),), NOW), event)]
            base = store.positions([Place("foreign", partition)])
            kept = {"base": base, "versions": {}, "member": "m", "waits": waits}
            now = NOW + timedelta(seconds=offset + partition)
            store.commit(Judgement(), positions={Place("foreign", partition): offset + 1}, now=now, **kept)
        assert store.waiting.depth() == 3
        assert store.waiting.due(places, before=NOW - timedelta(seconds=1), limit=10) == []
        keys = {told.key, SessionKey("acme", "s2")}
        assert store.registry.known(keys).waiting == keys
        heard = [Heard(Grant(told, told.digest), "topic")]
        base = store.positions(places)
        common = {"base": base, "versions": {}, "member": "m", "now": NOW}
        store.commit(Judgement(), positions=base, heard=heard, **common)
        older = told.model_copy(update={"purpose": "older"})
        again = [Heard(Grant(older, older.digest), "topic", NOW - timedelta(hours=1), again=True)]
        store.commit(Judgement(), positions=base, heard=again, **common)
        due = store.waiting.due(places, before=NOW - timedelta(seconds=1), limit=10)
        assert [held.id for held in due] == [("foreign", 0, 0, 0), ("foreign", 0, 1, 0)]
        assert (due[0].sealed, due[0].headers, due[0].stamped_at) == (b"eulav", (("h", b"v"),), NOW)
        assert store.registry.known(keys).envelopes == {told.key: Grant(told, told.digest)}
        store.waiting.tried(due)
        assert store.waiting.due(places, before=NOW + timedelta(days=1), limit=1)[0].attempts == 1
        assert len(store.waiting.due(places, before=NOW - timedelta(days=1), limit=10, squeeze=["acme"])) == 3
        read = NOW + timedelta(seconds=1)
        assert store.waiting.stranded(places[:1], before=NOW, limit=10) == []
        assert [held.place for held in store.waiting.stranded(places[:1], before=read, limit=10)] == places[1:]
        assert store.waiting.due([("foreign", 1)], before=NOW + timedelta(days=1), limit=10)[0].session_id == "s2"
        store.commit(Judgement(), positions=base, released=due, **common)
        assert store.waiting.depth() == 1
        batch = Record("foreign", 0, 9, b"batch", None, (), NOW)
        many = [_waiter(batch, told, entry) for entry in range(3)]
        store.commit(Judgement(), positions=base, waits=many, **common)
        far = NOW + timedelta(days=1)
        for left in (3, 2, 1):
            held = store.waiting.due([Place("foreign", 0)], before=far, limit=10)
            assert [each.sealed for each in held] == [b"hctab"] * left
            assert len(list(store.waiting.sealed())) == 2
            store.commit(Judgement(), positions=base, released=held[:1], **common)
        store.close()


@pytest.mark.parametrize("on", ["postgres", "sqlite"])
def test_a_batch_of_many_tenants_takes_no_more_statements_than_one_of_one(
    on: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Where each tenant's are made and sent anew, that is most of what an event costs."""
    engine = open_engine(
        request.getfixturevalue("postgres") if on == "postgres" else f"sqlite:///{tmp_path}/monitor.db"
    )
    store = MonitorStore(engine, seal=lambda value: value, hear=lambda state, _: state)
    sent: list[int] = []
    event.listen(engine, "before_cursor_execute", lambda *_: sent.append(0))
    counts = []
    for names in (['"\\'], [f"{n}" for n in range(30)]):
        tenants = {
            name: n for n, name in enumerate(names, 1)
        }  # what they have is called the same with each of them
        judged = Judgement(
            sessions={SessionKey(name, "s"): SessionState(actions=n) for name, n in tenants.items()},
            seen={DecisionKey(name, "gw", "d"): str(n) for name, n in tenants.items()},
            agent_purposes={AgentKey(name, "a"): (f"p{n}",) for name, n in tenants.items()},
            task_reads={SiblingKey(name, "t", "s"): SharedReads({}, n, (), 0.5) for name, n in tenants.items()},
        )
        learnt = {PurposeKey(name, "p"): BaselineFact("", n, {}, {}, (), (0,) * 24) for name, n in tenants.items()}
        store.baselines.install(learnt, NOW)
        sent.clear()
        store.commit(judged, positions={}, base={}, versions={}, member="m", now=NOW)
        everything = (judged.sessions, judged.seen, learnt, judged.agent_purposes)
        tasks = frozenset(TaskKey(*key[:2]) for key in judged.task_reads)
        got = store.load(Wanted(*map(frozenset, everything), tasks, frozenset(judged.sessions)))
        assert store.registry.known(judged.sessions).begun == set(judged.sessions)
        counts.append(len(sent))
        assert (got.sessions, got.seen, got.agent_purposes) == (
            judged.sessions,
            judged.seen,
            judged.agent_purposes,
        )
        assert {key.tenant_id: fact.sessions for key, fact in got.baselines.items()} == tenants
        assert {key.tenant_id: found["s"].reads for key, found in got.task_reads.items()} == tenants
    assert counts[0] == counts[1]
    store.close()


WIDE = "".join(chr(0x20000 + 37 * n) for n in range(512))
"""As wide as a name may be: four bytes each, and nothing to compress."""


def test_names_as_wide_as_they_may_be_are_kept_and_what_does_not_fit_is_told_from_an_outage(
    postgres: str, tmp_path: Path
) -> None:
    task, decision, agent = TaskKey("acme", WIDE), DecisionKey("acme", WIDE, WIDE[::-1]), AgentKey("acme", WIDE)
    reads = SharedReads({"secrets": ("vault.read", True)}, 1, (), 0.5)
    for url in (postgres, f"sqlite:///{tmp_path}/monitor.db"):
        store = MonitorStore(open_engine(url), seal=lambda value: value, hear=lambda state, _: state)
        store.claim([Place("wide", 0)], "m", now=NOW)
        common = {"base": {}, "versions": {}, "member": "m", "now": NOW}
        judged = Judgement(
            sessions={SessionKey("acme", WIDE): SessionState(actions=1)},
            seen={decision: "digest"},
            agent_purposes={agent: ("p",)},
            task_reads={SiblingKey(*task, WIDE): reads},
        )
        store.commit(judged, positions={Place("wide", 0): 1}, **common)
        got = store.load(Wanted(frozenset(judged.sessions), {decision}, frozenset(), {agent}, {task}))
        assert (got.seen, got.agent_purposes) == ({decision: "digest"}, {agent: ("p",)})
        assert got.task_reads == {task: {WIDE: reads}}
        store.close()
    store = MonitorStore(open_engine(postgres), seal=lambda value: value, hear=lambda state, _: state)
    for tenant in (WIDE, "a\x00b", "x" * 513):
        judged = Judgement(sessions={SessionKey(tenant, WIDE): SessionState(actions=1)})
        with pytest.raises(Unstorable):
            store.commit(judged, positions={}, **common)
    store.close()


def _waiter(record: Record, envelope: Envelope, entry: int = 0) -> Decoded:
    told = {"schema": SCHEMA, "id": "d", "time": NOW, "gateway": "gw", "envelope": envelope}
    called = DecisionEvent.model_validate(told | {"action": {"tool": "t"}, "decision": {"effect": "allow"}})
    return Decoded(record, called, "", NOW, False, entry=entry)


def test_dead_letters_are_told_apart_listed_page_by_page_and_forgotten(postgres: str) -> None:
    now, store = utc_now(), MonitorStore(open_engine(postgres), seal=lambda b: b, hear=lambda state, _: state)
    letters = tuple(DeadLetter(Record(topic, 0, n, b"x"), "c", "r") for n in range(3) for topic in ("log", "/f#1"))
    store.commit(Judgement(dead_letters=letters), positions={}, base={}, versions={}, member="", now=now)
    mine = store.outbox.due(now, 9, kind="dead_letter", topics=["log"])
    assert [item.dead_letter.topic for item in mine if item.dead_letter] == ["log"] * 3
    assert store.outbox.depth(topics=["/f#1"]) == 3
    last, found = None, []
    while page := store.dead_letters.list(limit=2, after=last):
        found += [each.id for each in page]
        last = page[-1]
    assert sorted(found) == sorted(f"{each.record.topic}/0/{each.record.offset}" for each in letters)
    assert len(store.dead_letters.topics(found)) == 6
    for _ in range(2):
        store.prune(now + timedelta(days=15), Retention())
    assert (store.dead_letters.list(), store.outbox.depth()) == ([], 0)
    store.close()
