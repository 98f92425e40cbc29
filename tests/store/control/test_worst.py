"""How severe the worst is of what accuses a session: kept beside its flag, and what its findings say of it."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from postgres import open_postgres
from revisions import copy, go
from sqlalchemy import Connection, event, text

from guardian.domain.finding import Effect, Finding, Kind, Severity
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord
from guardian.store.control import scope as scope_module
from guardian.store.control.rows import ControlRows
from guardian.store.control.store import ControlStore
from guardian.store.engine import open_engine, reading
from guardian.wire.findings import FindingOutcome, PersonsVerdict, Verdict

NOW = datetime(2026, 5, 12, 12, tzinfo=UTC)
SAID = text("""
SELECT session_id, worst, coalesce((
  SELECT max(CASE
    WHEN finding LIKE '%"severity":"info"%' THEN 0 WHEN finding LIKE '%"severity":"low"%' THEN 1
    WHEN finding LIKE '%"severity":"medium"%' THEN 2 WHEN finding LIKE '%"severity":"high"%' THEN 3
    WHEN finding LIKE '%"severity":"critical"%' THEN 4 END)
  FROM control_finding AS told
  WHERE told.tenant_id = control_session.tenant_id AND told.session_id = control_session.session_id
    AND kind != 'control' AND effect != 'none'
    AND (verdict IS NULL OR verdict LIKE '%"verdict":"confirmed"%')
    AND (CASE WHEN kind = 'drift' THEN cleared_at ELSE restarted_at END IS NULL
         OR received_at >= CASE WHEN kind = 'drift' THEN cleared_at ELSE restarted_at END)
), 9) AS found FROM control_session WHERE tenant_id = :tenant ORDER BY session_id
""")
SESSIONS = st.sampled_from(["s1", "s2"])
STEPS = st.one_of(
    st.tuples(
        st.just("told"),
        SESSIONS,
        st.sampled_from([Kind.DRIFT, Kind.DRIFT, Kind.GATEWAY, Kind.HYGIENE]),
        st.sampled_from(list(Effect)),
        st.sampled_from(get_args(Severity)),
    ),
    st.tuples(st.just("judged"), st.integers(0, 5), st.sampled_from(get_args(Verdict))),
    st.tuples(st.just("given back"), SESSIONS, st.booleans()),
    st.tuples(st.just("passed"), st.integers(-2, 2)),
)


class History:
    """What happens to a tenant's sessions, as control's routes have it happen."""

    def __init__(self, rows: ControlRows, tenant: str) -> None:
        self.rows, self.tenant, self.now, self.found = rows, tenant, NOW, list[Finding]()

    def goes_on(self, what: str, *more: Any) -> None:
        match what:
            case "told":
                self._told(*more)
            case "judged" if self.found:
                self._judged(self.found[more[0] % len(self.found)], more[1])
            case "given back":
                key, human = SessionKey(self.tenant, more[0]), more[1]
                self.rows.sessions.say(key, HumanWord.REINSTATED, self.now, human=human)
            case "passed":
                self.now += timedelta(seconds=more[0])

    def _told(self, session: str, kind: Kind, effect: Effect, severity: Severity) -> None:
        about = {"tenant_id": self.tenant, "session_id": session, "wanted": effect}
        name = f"f{len(self.found)}"
        told = Finding(id=name, kind=kind, severity=severity, title="left its purpose", time=self.now, **about)
        outcome = FindingOutcome(finding_id=name, effect=effect, mode="enforce", at=self.now, **about)
        self.rows.findings.add(told, outcome, self.now)
        self.rows.sessions.note_finding(told, effect, self.now)
        self.found.append(told)

    def _judged(self, told: Finding, said: Verdict) -> None:
        verdict = PersonsVerdict(verdict=said, reason="looked", actor="ann", at=self.now)
        self.rows.findings.set_verdict(self.tenant, told.id, verdict)
        confirmed = said == "confirmed"
        if told.kind is Kind.DRIFT:
            word = HumanWord.CONFIRMED if confirmed else HumanWord.FALSE_POSITIVE
            self.rows.sessions.say(told.key, word, self.now, human=True)
        if not confirmed:
            self.rows.sessions.weigh(told.key)


def severities(connection: Connection, tenant: str) -> list[tuple[str, int, int]]:
    """Of each session what is kept, and what its findings say."""
    return [tuple(row) for row in connection.execute(SAID, {"tenant": tenant})]


def check(rows: ControlRows, tenant: str) -> None:
    """What is kept is what the findings say, and the lists of the flagged go by it."""
    found = severities(rows.connection, tenant)
    assert [kept for _, kept, _ in found] == [said for _, _, said in found]
    by = {session: said for session, _, said in found}
    listed = rows.session_lists.pressing({tenant}, limit=9, status="flagged")
    ranks = [by[each.view.session_id] for each in listed]
    assert ranks == sorted(ranks, reverse=True)
    assert [each.worst for each in listed] == [dict(enumerate(get_args(Severity))).get(rank) for rank in ranks]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlStore]:
    opened = ControlStore.open(f"sqlite:///{tmp_path_factory.mktemp('worst')}/control.db", now=NOW)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def tenants() -> Iterator[str]:
    return map("t{}".format, count())


DISMISSED = ("told", "s1", Kind.DRIFT, Effect.FLAG, "low"), ("judged", 0, "benign"), ("passed", -1)


@example(steps=[*DISMISSED, ("told", "s1", Kind.DRIFT, Effect.FLAG, "high")])  # the clock went back
@example(steps=[*DISMISSED, ("told", "s1", Kind.GATEWAY, Effect.FLAG, "high")])
@given(steps=st.lists(STEPS, max_size=15))
def test_whatever_happens_what_is_kept_is_what_the_findings_say(
    store: ControlStore, tenants: Iterator[str], steps: list[tuple[Any, ...]]
) -> None:
    with store.write() as rows:
        history = History(rows, next(tenants))
        for step in steps:
            history.goes_on(*step)
            check(rows, history.tenant)


def at_random(rows: ControlRows) -> None:
    """A long history, always the same."""
    history, chance = History(rows, "acme"), random.Random(7)
    severities, kinds = get_args(Severity), [Kind.DRIFT, Kind.DRIFT, Kind.GATEWAY]
    for n in range(400):
        session = f"s{chance.randrange(40)}"
        history.goes_on("passed", chance.randrange(3))
        match chance.randrange(10):
            case 0 | 1:
                history.goes_on("judged", chance.randrange(400), chance.choice(get_args(Verdict)))
            case 2 if n > 100:
                history.goes_on("given back", session, True)
            case _:
                told = chance.choice(kinds), chance.choice(list(Effect)), chance.choice(severities)
                history.goes_on("told", session, *told)
    check(rows, "acme")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def empty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Makes a database of a kind, and tells its URL."""
    folder, names = tmp_path_factory.mktemp(request.param), map("d{}".format, count())
    if request.param == "sqlite":
        yield lambda: f"sqlite:///{folder}/{next(names)}.db"
        return
    import psycopg

    server = open_postgres(folder)
    url = server.get_uri()

    def made() -> str:
        name = next(names)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return str(url).replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")

    yield made
    server.cleanup()


def test_an_upgrade_learns_it_from_what_was_found_before(empty: Callable[[], str]) -> None:
    urls = empty(), empty()
    store = ControlStore.open(urls[0], now=NOW)
    with store.write() as rows:
        at_random(rows)
    store.close()
    newest, older = map(open_engine, urls)
    go(older, "0015")
    copy(newest, older, "control_session", "control_finding")
    go(older, "head")
    with reading(newest) as kept, reading(older) as filled:
        expected = severities(kept, "acme")
        assert severities(filled, "acme") == expected
    assert {worst for _, worst, _ in expected} == {0, 1, 2, 3, 4, 9}
    for engine in (newest, older):
        engine.dispose()


def test_the_most_pressing_are_found_along_an_index_without_a_look_at_any_finding(
    empty: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scope_module, "_MUCH", 1)
    store = ControlStore.open(empty(), now=NOW)
    with store.write() as rows:
        at_random(rows)
    plans = list[str]()

    def explain(connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "ORDER BY" in statement:
            beside = connection.connection.cursor()
            server = connection.dialect.name == "postgresql"
            for setting in (
                ("enable_seqscan", "enable_sort") if server else ()
            ):  # so few are sooner read and sorted
                beside.execute(f"SET LOCAL {setting} = off")
            beside.execute(f"EXPLAIN {'' if server else 'QUERY PLAN'} {statement}", parameters)
            plans.extend(str(row[-1]) for row in beside.fetchall())

    with store.read() as rows:
        event.listen(rows.connection, "before_cursor_execute", explain)
        for scope in (None, {"acme"}, {"acme", "globex"}):
            assert len(rows.session_lists.pressing(scope, limit=3, status="flagged")) == 3
    store.close()
    assert sum("ix_control_session_pressing" in step for step in plans) == 3
    assert [step for step in plans if "control_finding" in step or "TEMP B-TREE" in step or "Sort" in step] == []
