"""What people look for is found among any number: sessions, findings, and who did what."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from revisions import copy, go
from sqlalchemy import event, text

from guardian.domain.finding import Effect, Finding, Kind, NamedBreach, Reason, Subject
from guardian.domain.identity import SessionKey
from guardian.store.columns import in_key
from guardian.store.control import scope as scope_module
from guardian.store.control.alerts import Turns
from guardian.store.control.rows import ControlRows
from guardian.store.control.store import ControlStore
from guardian.store.engine import open_engine, reading, writing
from guardian.wire.findings import FindingOutcome, PersonsVerdict

NOW = datetime(2026, 5, 12, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WIDE = "agent \U0001f600" * 60  # more bytes than an index takes


@pytest.fixture
def store(tmp_path):
    opened = ControlStore.open(f"sqlite:///{tmp_path}/control.db", now=NOW)
    yield opened
    opened.close()


@pytest.fixture(params=[2, 100])
def much(request, monkeypatch):
    monkeypatch.setattr(scope_module, "_MUCH", request.param)


def find(rows, name, tenant="acme", agent="a1", *, breach="", signal="fit", **subject):
    who = Subject(**{"delegator_id": "u1", "agent_id": agent, "task_id": "t1", "purpose": "p"} | subject)
    said = {"tenant_id": tenant, "session_id": name, "wanted": Effect.FLAG}
    why = {
        "reasons": (Reason(signal=signal, share=1, value=1),),
        "breaches": (NamedBreach(name=breach, detail="d", hard=True),) if breach else (),
    }
    found = Finding(id=name, kind=Kind.DRIFT, severity="high", title="t", time=NOW, subject=who, **said, **why)
    rows.findings.add(found, FindingOutcome(finding_id=name, effect="flag", mode="shadow", at=NOW, **said), NOW)
    rows.sessions.note_finding(found, Effect.FLAG, NOW)


def planned(rows):
    """Fills up with the steps of what is read from now on."""
    plans = []

    def explain(connection, cursor, statement, parameters, *_):
        found = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        plans.extend(step[-1] for step in found)

    event.listen(rows.connection, "before_cursor_execute", explain)
    return plans


def sessions(found):
    return [each.view.session_id for each in found]


def findings(rows, scope, **asked):
    return [each.view.finding.id for each in rows.findings.window(scope, limit=9, **asked)[0]]


@pytest.mark.usefixtures("much")
@pytest.mark.parametrize("scope", [None, {"acme"}, {"acme", "other"}])
def test_the_sessions_of_an_agent_a_delegator_a_task_or_a_name_are_found_without_reading_the_others(store, scope):
    with store.write() as rows:
        for n in range(6):
            agent = {"agent": "a1" if n < 4 else WIDE, "delegator_id": f"u{n % 3}", "task_id": f"t{n}"}
            find(rows, f"s{n}", ("acme", "globex")[n % 2], **agent)
        rows.sessions.meet(SessionKey("acme", "nobody's"), NOW)
        rows.sessions.meet(SessionKey("globex", "s0"), NOW)
    asked = {
        ("agent_id", "a1"): ["s2", "s0"],
        ("agent_id", WIDE): ["s4"],
        ("agent_id", WIDE + "x"): [],
        ("delegator_id", "u0"): ["s0"],
        ("task_id", "t2"): ["s2"],
        ("task_id", "t3"): [],
        ("session_id", "s0"): ["s0"],
        ("session_id", "s1"): [],
    }
    for (name, told), wanted in asked.items():
        with store.read() as rows:
            plans = planned(rows)
            for status in (None, "flagged", "active", "revoked"):
                which = {"status": status, "named": {name: told}}
                got = rows.session_lists.page(scope, limit=9, **which)
                mine = [each for each in got if scope is None or each.view.tenant_id in scope]
                assert got == mine
                if scope is not None:
                    assert sessions(got) == (wanted if status in (None, "flagged") else [])
                    assert sessions(rows.session_lists.pressing(scope, limit=9, **which)) == sessions(got)
            flagged = len(plans)
            rows.session_lists.page(scope, limit=9, before=99, named={name: told})
        steps = [step for step in plans[flagged:] if "control_session" in step]
        assert [step for step in steps if f"{name}_key=?" not in step and "session_id=?" not in step] == []
        assert name == "session_id" or not any("TEMP B-TREE" in step for step in plans[flagged:])


def test_whether_any_session_names_an_agent_a_delegator_or_a_task_is_seen_without_reading_the_tenants(store):
    asked = {"agent_id": ("a1", WIDE), "delegator_id": ("u1", WIDE), "task_id": ("t1", WIDE)}
    with store.write() as rows:
        find(rows, "s1")
        find(rows, "s2", agent=WIDE, delegator_id=WIDE, task_id=WIDE)
        plans = planned(rows)
        for field, names in asked.items():
            assert all(rows.session_names.has_name("acme", field, name) for name in names)
            assert not rows.session_names.has_name("acme", field, WIDE + "x")
            assert not rows.session_names.has_name("globex", field, names[0])
    steps = [step for step in plans if "control_session" in step]
    assert len(steps) == 12
    assert [step for step in steps if "_key=?" not in step] == []


def test_what_is_revoked_is_listed_without_reading_the_rest_of_the_ledger(store):
    for n in range(4):
        with store.write() as rows:
            for name, status in ((f"s{n}", "revoked"), ("often", ("revoked", "reinstated")[n % 2])):
                rows.ledger.append(
                    tenant_id=("acme", "globex")[n % 2], subject_id=name, status=status, reason_code="manual",
                    reason="", actor="ann", now=NOW, expires_at=NOW + MINUTE,
                )  # fmt: skip
    for scope, wanted in ((None, ["s3", "often", "s2"]), ({"acme"}, ["often", "s2", "s0"])):
        with store.read() as rows:
            plans = planned(rows)
            assert [each.subject_id for each in rows.ledger.newest_live(scope, limit=3)] == wanted
        steps = [step for step in plans if "control_ledger" in step]
        assert steps
        assert [step for step in steps if "(epoch=? AND n=?)" not in step] == []


def test_of_several_names_the_index_of_the_one_that_the_fewest_share_is_walked_along(store):
    with store.write() as rows:
        find(rows, "s1", agent="a1", delegator_id="u1")
        find(rows, "s2", agent="a1", delegator_id="u2")
    names = {"task_id": "t1", "delegator_id": "u2", "agent_id": "a1"}
    for few, many in (("delegator_id", "agent_id"), ("task_id", "agent_id"), ("task_id", "delegator_id")):
        with store.read() as rows:
            plans = planned(rows)
            named = {name: names[name] for name in (many, few)}
            assert sessions(rows.session_lists.page({"acme"}, limit=1, named=named)) == ["s2"]
        assert any(f"{few}_key=?" in step for step in plans), (few, many)


def test_a_session_is_looked_up_by_the_agent_that_it_is_shown_with(store):
    with store.write() as rows:
        find(rows, "s1", agent="first", task_id="old")
        find(rows, "s1b", agent="later")
        told = Subject(delegator_id="u2", agent_id="later", task_id="new", purpose="p")
        again = rows.findings.page({"acme"}, limit=9)[-1].view.finding.model_copy(update={"subject": told})
        rows.sessions.note_finding(again, Effect.FLAG, NOW)
    with store.read() as rows:
        for name, told, wanted in (
            ("agent_id", "first", ["s1"]),
            ("agent_id", "later", ["s1b"]),
            ("task_id", "new", ["s1"]),
            ("task_id", "old", []),
            ("delegator_id", "u2", ["s1"]),
        ):
            assert sessions(rows.session_lists.page(None, limit=9, named={name: told})) == wanted


@pytest.mark.usefixtures("much")
@pytest.mark.parametrize("scope", [{"acme"}, {"acme", "other"}])
def test_findings_are_found_by_agent_rule_signal_and_verdict_without_reading_the_others(store, scope):
    with store.write() as rows:
        for n in range(6):
            tenant = ("acme", "globex")[n % 2]
            find(rows, f"s{n}", tenant, agent=f"a{n // 3}", breach=f"r{n}", signal=WIDE if n == 4 else "fit")
        said = PersonsVerdict(verdict="confirmed", reason="", actor="ann", at=NOW)
        rows.findings.set_verdict("acme", "s4", said)
    for asked, wanted in (
        ({"named": {"agent": "a0"}}, ["s2", "s0"]),
        ({"named": {"agent": "a0"}, "kind": "drift", "effect": "flag", "judged": False}, ["s2", "s0"]),
        ({"named": {"agent": "a0", "breach": "r2"}}, ["s2"]),
        ({"named": {"agent": "a1", "breach": "r2"}}, []),
        ({"named": {"signal": WIDE}}, ["s4"]),
        ({"named": {"signal": "fit"}, "before": 3}, ["s0"]),
        ({"named": {"breach": "r1"}}, []),
        ({"named": {"agent": "a0"}, "session_id": "s0"}, ["s0"]),
        ({"named": {"agent": "a1"}, "session_id": "s0"}, []),
        ({"judged": True}, ["s4"]),
        ({"judged": False}, ["s2", "s0"]),
        ({"judged": False, "kind": "drift", "effect": "flag"}, ["s2", "s0"]),
        ({"judged": False, "kind": "control"}, []),
    ):
        with store.read() as rows:
            plans = planned(rows)
            assert findings(rows, scope, **asked) == wanted, asked
        steps = [step for step in plans if step.startswith(("SCAN", "SEARCH")) and "control_finding" in step]
        along = ("what=?", "tenant_id=?", "session_id=?", "rowid=?", "judged")
        assert [step for step in steps if not any(each in step for each in along)] == [], asked


def test_what_a_finding_names_without_end_is_looked_up_by_so_many(store):
    with store.write() as rows:
        find(rows, "s1")
        broken = tuple(NamedBreach(name=f"r{n}", detail="", hard=False) for n in range(70))
        many = rows.findings.page(None, limit=1)[0].view.finding.model_copy(
            update={"breaches": broken, "id": "s2", "subject": None}
        )
        told = FindingOutcome(
            finding_id="s2", effect="flag", mode="shadow", at=NOW,
            tenant_id="acme", session_id="s1", wanted=Effect.FLAG,
        )  # fmt: skip
        rows.findings.add(many, told, NOW)
        assert findings(rows, None, named={"breach": "r63"}) == ["s2"]
        assert findings(rows, None, named={"breach": "r64"}) == []
        assert findings(rows, None, named={"agent": "a1"}) == ["s1"]


def entries(found):
    return [json.loads(each.record)["n"] for each in found]


@pytest.mark.usefixtures("much")
def test_who_did_what_in_which_tenant_and_when_is_found_without_reading_the_rest_of_the_trail(store):
    with store.write() as rows:
        for n in range(9):
            rows.audit.append({
                "n": n, "at": (NOW + n * MINUTE).isoformat(), "actor": ("maya", WIDE)[n % 2],
                "action": ("revoke", "dismiss", "signIn")[n % 3], "tenant_id": ("acme", "globex", None)[n % 3],
            })  # fmt: skip
    at = {"since": NOW + 2 * MINUTE, "until": NOW + 6 * MINUTE}
    for scope, asked, wanted in (
        (None, {}, [8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (None, at, [5, 4, 3, 2]),
        (None, {"actor": "maya"}, [8, 6, 4, 2, 0]),
        (None, {"actor": WIDE, **at}, [5, 3]),
        (None, {"action": "dismiss"}, [7, 4, 1]),
        ({"acme"}, {}, [6, 3, 0]),
        ({"acme"}, at, [3]),
        ({"acme"}, {"actor": "maya"}, [6, 0]),
        ({"acme"}, {"action": "dismiss"}, []),
        ({"acme", "globex"}, {}, [7, 6, 4, 3, 1, 0]),
        ({"acme", "globex"}, {"actor": "maya", "action": "dismiss"}, [4]),
        ({"elsewhere"}, {}, []),
        (set(), {}, []),
    ):
        with store.read() as rows:
            plans = planned(rows)
            assert entries(rows.audit.told(scope, limit=9, **asked)) == wanted, (scope, asked)
            paged, cursor = [], None
            while more := rows.audit.told(scope, limit=2, before=cursor, **asked):
                paged, cursor = [*paged, *entries(more)], more[-1].seq
            assert paged == wanted
        read = [step for step in plans if step.startswith("SCAN") and "control_audit" in step]
        assert [step for step in read if "COVERING INDEX" not in step] == []
        if scope is None or len(scope) == 1 or "actor" in asked:
            assert not any("TEMP B-TREE" in step for step in plans), (scope, asked, plans)
        along = "actor=?" if "actor" in asked else "tenant_id=?" if len(scope or ()) == 1 else ""
        assert any(along in step for step in plans if "control_audit_told" in step)
        assert not (along and read), (scope, asked)
    with store.read() as rows:
        assert rows.audit.told(None, limit=9, before=99) == []


def test_entries_of_one_time_are_paged_by_their_numbers_and_such_as_tell_none_come_last(store):
    with store.write() as rows:
        for n, at in enumerate(("no time", NOW.isoformat(), NOW.isoformat(), NOW.isoformat(), None)):
            rows.audit.append({"n": n, "at": at, "actor": "maya\x00", "action": "flag"})
    with store.read() as rows:
        assert entries(rows.audit.told(None, limit=9)) == [3, 2, 1, 4, 0]
        assert entries(rows.audit.told(None, limit=9, before=3)) == [1, 4, 0]
        assert entries(rows.audit.told(None, limit=9, actor="maya\ufffd")) == [3, 2, 1, 4, 0]


def test_of_an_entry_that_the_index_gives_to_another_tenant_that_one_hears_nothing(store):
    with store.write() as rows:
        for n in range(3):
            rows.audit.append({"n": n, "at": NOW.isoformat(), "actor": "maya", "tenant_id": "acme"})
        rows.connection.execute(text("UPDATE control_audit_told SET tenant_id = 'globex' WHERE seq > 1"))
        rows.connection.execute(text("UPDATE control_audit SET record = 'damaged' WHERE seq = 3"))
        assert rows.audit.told({"globex"}, limit=9) == [(3, None, None), (2, None, None)]
        assert [each.seq for each in rows.audit.told(None, limit=9)] == [3, 2, 1]


def test_a_tenant_that_is_called_as_anothers_long_name_is_held_sees_nothing_of_that_one(store):
    with store.write() as rows:
        rows.audit.append({"at": "2026-05-12T12:00:00+00:00", "actor": "p", "tenant_id": "t" * 300})
        (entry,) = rows.audit.told({in_key("t" * 300)}, limit=9, actor="p")
        assert entry.record is None
        (entry,) = rows.audit.told({"t" * 300}, limit=9, actor="p")
        assert entry.record is not None


def test_a_trail_that_was_cut_goes_on_and_no_older_name_finds_its_new_entries_for_another_tenant(store):
    told = {"at": NOW.isoformat(), "actor": "maya"}
    with store.write() as rows:
        rows.audit.append({"n": 0, **told, "tenant_id": "acme"})
        rows.connection.execute(text("DELETE FROM control_audit"))
        rows.connection.execute(text("UPDATE control_head SET audit_seq = 0"))
        rows.audit.append({"n": 1, **told, "tenant_id": "globex"})
        assert rows.audit.told({"acme"}, limit=9) == [(1, None, None)]
        assert entries(rows.audit.told(None, limit=9, actor="maya")) == [1]


@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_an_upgrade_looks_into_what_was_there(tmp_path):
    written = f"sqlite:///{tmp_path}/written.db"
    store = ControlStore.open(written, now=NOW)
    with store.write() as rows:
        for n in range(1100):
            find(rows, f"s{n}", agent=WIDE if n % 500 == 1 else f"a{n % 2}", breach="rule", signal="fit\x00")
            rows.audit.append(
                {"n": n, "at": NOW.isoformat(), "actor": f"p{n % 500}", "action": "flag", "tenant_id": "acme"}
            )
        for odd in ({"at": 5, "actor": WIDE}, {"at": NOW.isoformat(), "actor": 7, "tenant_id": "t\x00"}):
            rows.audit.append({"n": 0, **odd})
    store.close()
    engine, newest = open_engine(f"sqlite:///{tmp_path}/control.db"), open_engine(written)
    go(engine, "0020")
    copy(newest, engine, "control_head", "control_audit", "control_session", "control_finding")
    with writing(engine) as connection:
        connection.execute(text("UPDATE control_audit SET record = '[]' WHERE seq = 2"))
        connection.execute(text("UPDATE control_audit SET record = CAST(X'FF7B' AS TEXT) WHERE seq = 3"))
        connection.execute(text("UPDATE control_finding SET finding = CAST(X'22FF22' AS TEXT) WHERE seq = 2"))
    go(engine, "head")
    with reading(engine) as now, reading(newest) as then:
        for table, spared in (("control_finding_about", 2), ("control_audit_told", 2)):
            asked = f"SELECT * FROM {table} WHERE seq NOT IN ({spared}, {spared + 1}) ORDER BY 1, 2"
            assert now.execute(text(asked)).all() == then.execute(text(asked)).all() != []
        rows = ControlRows(now)
        keyed = "SELECT session_id, agent_id_key, task_id_key, delegator_id_key FROM control_session ORDER BY seq"
        assert now.execute(text(keyed)).all() == then.execute(text(keyed)).all()
        assert sessions(rows.session_lists.page(None, limit=9, named={"agent_id": WIDE})) == [
            "s1001",
            "s501",
            "s1",
        ]
        assert findings(rows, None, named={"agent": WIDE, "breach": "rule", "signal": "fit\ufffd"}) == [
            "s1001",
            "s501",
        ]
        assert entries(rows.audit.told({"acme"}, limit=9, actor="p7")) == [1007, 507, 7]
        assert [each.seq for each in rows.audit.told(None, limit=9, actor="")] == [1102, 3, 2]
    engine.dispose()
    newest.dispose()


def test_who_acts_under_what_is_revoked_is_found_without_a_walk_through_all_its_envelopes(store):
    with store.write() as rows:
        find(rows, "s1")
        find(rows, "s2", agent="a2")
        find(rows, "s3")
        plans = planned(rows)
        assert rows.session_names.accused_under("acme", "agent_id", "a1", 0, 9) == [(1, "s1"), (3, "s3")]
        assert rows.session_names.accused_under("acme", "agent_id", "a1", 1, 2) == []
        rows.cases.touch_under("acme", "agent_id", "a1", NOW, 9)
        rows.cases.acted_under("acme", "agent_id", "a1", NOW, ["flagged"])
    looked = [each for each in plans if "control_envelope" in each]
    assert len(looked) == 4
    assert all("session_id=?" in each for each in looked)


def test_what_became_so_by_one_act_is_found_by_the_act_and_not_among_all_that_waits(store):
    with store.write() as rows:
        rows.alerts.deliver_to(["email"], NOW, instead="log")
        for name in "ab":
            told = {"idempotency_key": name, "payload": "{}", "now": NOW}
            rows.alerts.add(kind="finding", case_key=name, **told)
            rows.alerts.sent("email", rows.alerts.named(name), "x")
            rows.alerts.follow_up(rows.alerts.named(name), **told | {"idempotency_key": f"{name}2"}, act="act")
        plans = planned(rows)
        assert [each.id for each in rows.alerts.claim_together("email", NOW + MINUTE, Turns())] == [2, 4]
        rows.alerts.postponed("email", 2, 1, NOW, "busy", 4)
        assert [each.id for each in rows.alerts.claim_together("email", NOW + MINUTE, Turns())] == [2, 4]
    looked = [each for each in plans if "ix_control_delivery_act" in each]
    wanted = "ix_control_delivery_act (act=? AND channel=? AND state=? AND claimed_at=?)"
    assert [wanted in each for each in looked] == [True, True]
    assert not any("TEMP B-TREE" in each for each in plans)


def test_sessions_met_between_two_times_are_found_without_reading_the_others_though_a_clock_was_set_back(
    store, monkeypatch
):
    monkeypatch.setattr(scope_module, "_MUCH", 2)
    times = [NOW + timedelta(hours=n) for n in range(40)]
    times[20] -= 90 * MINUTE  # before the one that was met before it
    with store.write() as rows:
        for n, at in enumerate(times):
            rows.sessions.meet(SessionKey("acme" if n % 2 else "globex", f"s{n}"), at)
    asked = [(None, None), (times[10], None), (None, times[10]), (times[10], times[12])]
    asked += [(times[20], times[20] + MINUTE), (times[39] + MINUTE, None), (None, NOW), (times[12], times[10])]
    odd = timezone(timedelta(hours=5))
    asked += [(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=odd))]
    for since, until in asked:
        for scope in (None, {"acme"}, {"acme", "other"}):
            wanted = [
                f"s{n}"
                for n, at in reversed(list(enumerate(times)))
                if (since is None or since <= at) and (until is None or at < until) and (scope is None or n % 2)
            ]
            with store.read() as rows:
                plans = planned(rows)
                got = sessions(rows.session_lists.page(scope, limit=99, since=since, until=until))
                assert got == wanted, (since, until, scope)
                if since or until:
                    met = [step for step in plans if "control_session" in step]
                    assert met[-1].startswith("SEARCH control_session USING INTEGER PRIMARY KEY"), met
                    assert not [step for step in plans if "B-TREE" in step]
                first = rows.session_lists.page(scope, limit=2, since=since, until=until)
                rest = rows.session_lists.page(
                    scope, limit=99, before=first[-1].seq if first else None, since=since, until=until
                )
                assert sessions(first) + (sessions(rest) if first else []) == wanted
                if since or until:
                    pressing = sessions(rows.session_lists.pressing(scope, limit=99, since=since, until=until))
                    assert sorted(pressing) == sorted(wanted)
    with store.read() as rows:
        assert sessions(rows.session_lists.page(None, limit=9, since=times[12], status="revoked")) == []


@pytest.mark.parametrize("many", [False, True])
def test_what_is_revoked_of_a_busy_agent_is_read_along_the_ledger_while_that_is_short(store, monkeypatch, many):
    monkeypatch.setattr(scope_module, "_MUCH", 2 if many else 100)
    with store.write() as rows:
        for n in range(30):
            find(rows, f"s{n}")
        for n in (3, 7, 11):
            rows.connection.execute(
                text(
                    "INSERT INTO control_live VALUES ('acme', 'session', :id, 1, 1, '2027-01-01 00:00:00.000000')"
                ),
                {"id": f"s{n}"},
            )
    for scope in (None, {"acme"}):
        with store.read() as rows:
            plans = planned(rows)
            asked = {"status": "revoked", "named": {"agent_id": "a1"}}
            assert sessions(rows.session_lists.page(scope, limit=9, since=NOW - MINUTE, **asked)) == [
                "s11",
                "s7",
                "s3",
            ]
            read = [step for step in plans if "control_session" in step][-1]
            assert ("agent_id_key" in read) is many, read
            assert ("(tenant_id=? AND session_id=?" in read) is not many, read
            assert sessions(rows.session_lists.page(scope, limit=9, until=NOW, **asked)) == []
