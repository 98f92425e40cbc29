"""The monitor's store: one transaction per batch, one owner per partition."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from revisions import copy, go
from sqlalchemy import event, func, select, update

from guardian.domain.batch import (
    AgentKey,
    Change,
    DeadLetter,
    DecisionKey,
    Judgement,
    PurposeKey,
    SiblingKey,
    TaskKey,
    Wanted,
    delegation,
)
from guardian.domain.envelope import Envelope, Grant
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.gathered import Gathered
from guardian.domain.identity import SessionKey
from guardian.domain.record import Place, Record
from guardian.domain.session import HumanWord, SessionState, Stage
from guardian.domain.signal import BaselineFact, SharedReads
from guardian.errors import StaleMember, StoreError
from guardian.response.hearing import hear as hear_word
from guardian.store.engine import open_engine, reading, writing
from guardian.store.monitor import outbox, retention
from guardian.store.monitor import sessions as sessions_module
from guardian.store.monitor.baselines import SNAPSHOTS_KEPT
from guardian.store.monitor.envelopes import Heard
from guardian.store.monitor.retention import Retention, _forget_letters, prune
from guardian.store.monitor.sessions import BARE, TO_LEARN
from guardian.store.monitor.store import MonitorStore
from guardian.store.monitor.tables import agents, baselines, dead_letters, findings, metadata, sessions
from guardian.store.monitor.values import Conflict
from guardian.store.schema import MONITOR
from guardian.store.turns import in_turn

NOW = datetime(2026, 5, 12, 17, tzinfo=UTC)
P0, P1 = Place("t", 0), Place("t", 1)
S1, S2 = SessionKey("acme", "s1"), SessionKey("other", "s1")


def seal(content: bytes) -> bytes:
    return b"sealed:" + content[::-1]


def hear(state: SessionState, change: Change) -> SessionState:
    return state.model_copy(update={"epoch": state.epoch + 1, "reported": (*state.reported, change.word.value)})


def finding(name: str = "f1", key: SessionKey = S1, kind: Kind = Kind.DRIFT, **more: Any) -> Finding:
    about = {"id": name, "kind": kind, "tenant_id": key.tenant_id, "session_id": key.session_id}
    return Finding(**about | {"wanted": Effect.FLAG, "severity": "high", "title": "t", "time": NOW} | more)


def letter(offset: int = 0, value: bytes = b"\x00secret") -> DeadLetter:
    record = Record("t", 0, offset, value, key=b"\xffk", headers=(("h", b"\xfe"),), timestamp=NOW)
    return DeadLetter(record, "not_json", "why", "acme", "s1", "gw")


def wanted(*sessions: SessionKey, **more: Any) -> Wanted:
    empty: frozenset[Any] = frozenset()
    return Wanted(
        **({"sessions": frozenset(sessions), "decisions": empty, "purposes": empty, "agents": empty} | more)
    )


@dataclass
class Member:
    """A consumer as the store sees it."""

    store: MonitorStore
    name: str
    base: dict[Place, int] = field(default_factory=dict)

    def claim(self, *places: Place) -> "Member":
        owned = self.store.claim(places, self.name, now=NOW)
        self.base = {Place(*place): offset for place, offset in owned.positions.items()}
        return self

    def commit(
        self,
        judgement: Judgement,
        offset: int,
        *,
        place: Place = P0,
        versions: Mapping[SessionKey, int] | None = None,
    ) -> None:
        if versions is None:
            versions = self.store.load(wanted(*judgement.sessions)).versions
        self.store.commit(
            judgement, positions={place: offset}, base=self.base, versions=versions, member=self.name, now=NOW
        )
        self.base[place] = offset


def rows(engine) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the database, without the columns that only say when and how often."""
    found = {}
    with reading(engine) as connection:
        for table in metadata.sorted_tables:
            if table.name in ("places", "attempts"):
                continue
            columns = [c for c in table.columns if not (table.name == "outbox" and c.name == "id")]
            found[table.name] = sorted((tuple(row) for row in connection.execute(select(*columns))), key=repr)
    return found


@pytest.fixture
def engine(tmp_path):
    made = open_engine(f"sqlite:///{tmp_path}/monitor.db")
    yield made
    made.dispose()


@pytest.fixture
def store(engine):
    return MonitorStore(engine, seal=seal, hear=hear)


def test_a_batch_comes_back_as_it_was_judged(store):
    agent, decision = AgentKey("acme", "a"), DecisionKey("acme", "gw", "d1")
    again = decision._replace(decision_id="d" * 512 + "\x1f" + "0" * 64)  # the same id with other content
    state = SessionState(
        stage=Stage.FLAGGED, tools=("a", "b"), evidence=Gathered(n=1, m=1e300, top=1e300),
        signals={"s": {"n": [1, 0.1, None, "\x00é"]}},
        envelope=Envelope.model_validate_json(
            '{"delegator_id": "u", "tenant_id": "acme", "session_id": "s1", "allowed_tools": ["x"], "novel": [1]}'
        ),
        first_seen=NOW,
    )  # fmt: skip
    Member(store, "m").claim(P0).commit(
        Judgement(
            findings=(finding(kind=Kind.HYGIENE),), sessions={S1: state, S2: SessionState()},
            seen={decision: "digest", again: "other"}, agent_purposes={agent: ("p", "q")},
        ),
        7,
    )  # fmt: skip
    got = store.load(wanted(S1, S2, decisions=frozenset({decision, again}), agents=frozenset({agent})))
    assert got.sessions == {S1: state, S2: SessionState()}
    assert got.seen == {decision: "digest", again: "other"}
    assert got.agent_purposes == {agent: ("p", "q")}
    assert store.told(["f0", "f1"]) == {"f1"}
    assert store.told([]) == frozenset()
    assert store.positions([P0, P1]) == {P0: 7}


def test_keys_that_were_never_seen_are_absent(store):
    got = store.load(wanted(S1, purposes=frozenset({PurposeKey("acme", "p")})))
    assert (got.sessions, got.baselines) == ({}, {})


def test_with_a_session_come_those_above_its_parent(store):
    line = {SessionKey("acme", name): SessionState(actions=1) for name in ("s0", "s1")}
    line[SessionKey("acme", "s2")] = SessionState(ancestors=("s1", "s0", "never seen"))
    Member(store, "m").claim(P0).commit(Judgement(sessions=line | {SessionKey("other", "s0"): SessionState()}), 1)
    got = store.load(wanted(SessionKey("acme", "s2")))
    assert got.sessions == line
    assert set(got.versions) == {SessionKey("acme", "s2")}, "only what may change is held to its version"


def test_the_same_session_id_of_two_tenants_is_two_sessions(store):
    Member(store, "m").claim(P0).commit(Judgement(sessions={S1: SessionState(actions=1)}), 1)
    assert store.load(wanted(S2)).sessions == {}


def test_more_keys_than_a_statement_may_carry_are_loaded(store):
    many = {SessionKey("acme", f"s{n}"): SessionState(actions=n) for n in range(1300)}
    Member(store, "m").claim(P0).commit(Judgement(sessions=many), 1)
    assert store.load(wanted(*many)).sessions == many


def test_a_member_that_lost_its_partition_cannot_commit_and_writes_nothing(store, engine):
    old = Member(store, "old").claim(P0)
    old.commit(Judgement(sessions={S1: SessionState()}), 5)
    Member(store, "new").claim(P0)
    before = rows(engine)
    with pytest.raises(StaleMember, match=r"'new'.*'old'"):
        old.commit(Judgement(findings=(finding(),), sessions={S2: SessionState()}, dead_letters=(letter(),)), 9)
    assert rows(engine) == before
    assert store.positions([P0]) == {P0: 5}


def test_losing_one_of_two_partitions_refuses_a_batch_of_both(store):
    old = Member(store, "old").claim(P0, P1)
    Member(store, "new").claim(P1)
    with pytest.raises(StaleMember):
        store.commit(Judgement(), positions={P0: 1, P1: 1}, base=old.base, versions={}, member="old", now=NOW)
    assert store.positions([P0, P1]) == {}


def test_a_partition_that_nobody_claimed_takes_no_commit(store):
    with pytest.raises(StaleMember, match="nobody"):
        Member(store, "m").commit(Judgement(), 1)


def test_a_batch_read_from_an_offset_that_moved_is_a_conflict(store):
    member = Member(store, "m").claim(P0)
    stale = dict(member.base)
    member.commit(Judgement(), 5)
    with pytest.raises(Conflict, match="offset 5"):
        store.commit(Judgement(), positions={P0: 5}, base=stale, versions={}, member="m", now=NOW)


def test_a_session_that_people_spoke_of_meanwhile_is_a_conflict_and_their_word_stays(store):
    member = Member(store, "m").claim(P0)
    member.commit(Judgement(sessions={S1: SessionState(actions=1)}), 1)
    loaded = store.load(wanted(S1))
    store.words.apply([Change(1, S1, HumanWord.REINSTATED, NOW)], now=NOW)
    judged = Judgement(sessions={S1: SessionState(actions=2)})
    with pytest.raises(Conflict, match="version"):
        member.commit(judged, 2, versions=loaded.versions)
    assert store.load(wanted(S1)).sessions[S1].epoch == 1


def test_a_session_created_meanwhile_is_a_conflict(store):
    member = Member(store, "m").claim(P0)
    store.words.apply([Change(1, S1, HumanWord.REVOKED, NOW)], now=NOW)
    with pytest.raises(Conflict):
        member.commit(Judgement(sessions={S1: SessionState()}), 1, versions={})


def test_what_holds_nothing_new_about_an_agent_is_written_once_a_day(store, engine):
    known, other = (AgentKey("acme", name) for name in ("a", "b"))
    for hours, purposes in ((0, ("p", "q")), (1, ("q",)), (25, ("q",))):
        now = NOW + timedelta(hours=hours)
        judged = Judgement(agent_purposes={known: purposes, other: (f"p{hours}",)})
        store.commit(judged, positions={}, base={}, versions={}, member="", now=now)
        touched = {row.agent_id: row.touched_at for row in _all(engine, agents)}
        assert touched == {"a": NOW if hours < 24 else now, "b": now}
    told = store.load(wanted(agents=frozenset({known, other}))).agent_purposes
    assert told == {known: ("p", "q"), other: ("p0", "p1", "p25")}


def _all(engine, table):
    with reading(engine) as connection:
        return connection.execute(select(table)).all()


def test_purposes_of_an_agent_merge_with_what_another_member_saw(store):
    agent = AgentKey("acme", "a")
    one, two = Member(store, "one").claim(P0), Member(store, "two").claim(P1)
    one.commit(Judgement(agent_purposes={agent: ("p",)}), 1)
    two.commit(Judgement(agent_purposes={agent: ("q",)}), 1, place=P1)
    assert store.load(wanted(agents=frozenset({agent}))).agent_purposes == {agent: ("p", "q")}
    one.commit(Judgement(agent_purposes={agent: tuple(f"p{n}" for n in range(40))}), 2)
    assert len(store.load(wanted(agents=frozenset({agent}))).agent_purposes[agent]) == 16


def test_words_are_applied_once_in_order_and_reach_a_session_that_has_not_acted_yet(store):
    feed = [Change(2, S1, HumanWord.REINSTATED, NOW), Change(1, S1, HumanWord.REVOKED, NOW)]
    assert store.words.apply(feed, now=NOW) == 2
    assert store.words.apply(feed, now=NOW) == 0
    assert store.words.cursor() == 2
    assert store.load(wanted(S1)).sessions[S1].reported == ("revoked", "reinstated")


def test_attempts_are_counted_over_restarts_and_forgotten_once_the_record_is_past(store, engine):
    assert [store.mark_attempt(P0, 3) for _ in range(2)] == [1, 2]
    again = MonitorStore(engine, seal=seal, hear=hear)
    assert again.mark_attempt(P0, 3) == 3
    assert again.attempts(P0, 4) == 0
    Member(again, "m").claim(P0).commit(Judgement(), 4)
    assert again.attempts(P0, 3) == 0


def test_claims_without_a_commit_are_counted(store):
    claims = [store.claim([P0], f"m{n}", now=NOW).claims[P0] for n in range(3)]
    assert claims == [1, 2, 3]
    Member(store, "m").claim(P0).commit(Judgement(), 1)
    assert store.claim([P0], "m", now=NOW).claims == {P0: 1}


def test_a_dead_letter_is_sealed_and_its_key_and_headers_are_untouched(store, engine):
    Member(store, "m").claim(P0).commit(Judgement(dead_letters=(letter(),)), 1)
    (kept,) = store.dead_letters.get(["t/0/0"]).values()
    assert (kept.id, kept.key, kept.headers) == ("t/0/0", b"\xffk", (("h", b"\xfe"),))
    assert kept.sealed == seal(b"\x00secret")
    assert kept.expires_at == NOW + timedelta(days=14)
    assert store.dead_letters.counts() == {"not_json": 1}
    assert b"secret" not in repr(rows(engine)).encode()


def test_each_decision_of_a_record_has_a_dead_letter_of_its_own(store):
    letters = (letter(), replace(letter(), session_id="s2", entry=1))
    Member(store, "m").claim(P0).commit(Judgement(dead_letters=letters), 1)
    assert {kept.id: kept.session_id for kept in store.dead_letters.list()} == {"t/0/0": "s1", "t/0/0/1": "s2"}
    assert store.outbox.depth() == 2


def sealed_bytes(engine):
    with reading(engine) as connection:
        return connection.execute(select(func.sum(func.length(dead_letters.c.sealed)))).scalar()


def test_a_record_with_many_letters_is_sealed_and_kept_once_and_any_of_them_has_it(store, engine, monkeypatch):
    sealings = []
    monkeypatch.setattr(store, "_seal", lambda value: sealings.append(value) or seal(value))
    letters = tuple(replace(letter(), entry=n) for n in range(16))
    other = letter(1, b"another")
    member = Member(store, "m").claim(P0)
    member.commit(Judgement(dead_letters=(*letters[:3], other, *letters[3:])), 2)
    assert sorted(sealings) == [b"\x00secret", b"another"]
    assert sealed_bytes(engine) == len(seal(b"\x00secret")) + len(seal(b"another"))
    for each in store.dead_letters.list():
        found = store.dead_letters.get([each.id])[each.id].sealed
        assert found == seal(b"another" if each.offset else b"\x00secret")
    found = store.dead_letters.get(["t/0/0/3", "t/0/0", "t/0/0/15"]).values()
    assert len({id(each.sealed) for each in found}) == 1, "in memory once"
    handed = [item.dead_letter for item in store.outbox.due(NOW, limit=50)]
    assert len(handed) == 17
    assert all(each.sealed for each in handed)


def test_letters_of_a_record_that_come_later_keep_it_themselves(store, engine):
    member = Member(store, "m").claim(P0)
    member.commit(Judgement(dead_letters=(letter(),)), 1)
    later = {"now": NOW + timedelta(days=10), "positions": {}, "base": {}, "versions": {}, "member": ""}
    store.commit(Judgement(dead_letters=tuple(replace(letter(), entry=n) for n in range(3))), **later)
    assert sealed_bytes(engine) == 2 * len(seal(b"\x00secret"))
    store.prune(NOW + timedelta(days=15), Retention(), rest=lambda _: None)
    assert {each.id for each in store.dead_letters.list()} == {"t/0/0/1", "t/0/0/2"}
    for id_, each in store.dead_letters.get(["t/0/0/1", "t/0/0/2"]).items():
        assert each.sealed == seal(b"\x00secret"), id_


def test_letters_of_a_record_that_lies_sealed_in_two_ways_keep_what_they_have(store):
    ways = [replace(letter(), entry=n, sealed=way) for n, way in enumerate((b"old key", None, b"old key"))]
    Member(store, "m").claim(P0).commit(Judgement(dead_letters=tuple(ways)), 1)
    found = store.dead_letters.get(["t/0/0", "t/0/0/1", "t/0/0/2"])
    assert [each.sealed for each in found.values()] == [b"old key", seal(b"\x00secret"), b"old key"]


def test_a_letter_goes_before_the_one_that_keeps_its_value(store, engine):
    letters = tuple(replace(letter(), entry=n) for n in range(3))
    Member(store, "m").claim(P0).commit(Judgement(dead_letters=letters), 1)
    later = NOW + timedelta(days=15)
    _forget_letters(engine, later, 2)
    assert [each.id for each in store.dead_letters.list()] == ["t/0/0"]


def test_dead_letters_are_listed_page_by_page_in_short_without_their_records(store):
    at = [replace(letter(), record=Record("t", 0, n, b"x" * 100), reason="r" * 5000) for n in (1, 2, 3, 10)]
    for n, letters in enumerate((at[:1], at[1:])):
        times = {"now": NOW + timedelta(seconds=n), "positions": {}, "base": {}, "versions": {}, "member": ""}
        store.commit(Judgement(dead_letters=tuple(letters)), **times)
    every = store.dead_letters.list()
    assert [each.id for each in every] == ["t/0/10", "t/0/2", "t/0/3", "t/0/1"]
    pages = [[]]
    while page := store.dead_letters.list(limit=2, after=pages[-1][-1] if pages[-1] else None):
        pages.append(list(page))
    assert [each for page in pages for each in page] == every
    assert max(map(len, map(repr, every))) < 3000


@pytest.mark.parametrize(
    ("said", "kept"),
    [("a\x00b", "a\ufffdb"), ("x" * 600, "x" * 512), ("a\ud800", "a?"), ("a\nb", None), ("", None), (None, None)],
)
def test_what_is_said_of_a_dead_letter_fits_any_database(store, said, kept):
    record = Record("t", 0, 0, b"{", timestamp=NOW)
    told = DeadLetter(record, "invalid", f"no {said}", said, said, f"{said}")
    Member(store, "m").claim(P0).commit(Judgement(dead_letters=(told,)), 1)
    (letter,) = store.dead_letters.list()
    assert (letter.tenant_id, letter.session_id) == (kept, kept)
    assert len(letter.gateway) <= 512
    assert not {"\x00", "\ud800"} & set(letter.gateway + letter.reason)


def test_between_two_lots_others_have_their_turn_and_a_stop_ends_it():
    rests: list[float] = []
    lots = iter([5, 5, 5, 2])
    assert in_turn(lambda: next(lots), 5, rests.append) == 17
    assert len(rests) == 3
    assert all(took >= 0 for took in rests)
    assert in_turn(lambda: 5, 5, lambda _: True) == 5


def test_the_delivery_of_a_letter_that_nobody_sent_is_forgotten_with_it(store):
    store.commit(Judgement(dead_letters=(letter(),)), positions={}, base={}, versions={}, member="", now=NOW)
    for days, left in ((13, 1), (15, 0)):
        for _ in range(2):
            store.prune(NOW + timedelta(days=days), Retention())
        assert (len(store.dead_letters.list()), store.outbox.depth()) == (left, left)


def test_large_dead_letters_are_forgotten_few_at_a_time_and_others_write_in_between(store, monkeypatch):
    monkeypatch.setattr(retention, "_BYTES_AT_ONCE", 100)
    letters = tuple(
        DeadLetter(Record("t", 0, n, b"x" * size), "invalid", "no") for n, size in enumerate((60, 90, 300, 5, 5))
    )
    store.commit(Judgement(dead_letters=letters), positions={}, base={}, versions={}, member="", now=NOW)
    left = []
    gone = store.prune(NOW + timedelta(days=15), Retention(), rest=lambda _: left.append(len(letters_of(store))))
    assert (left, gone["dead_letters"], letters_of(store)) == ([3, 2, 0], 5, [])


def test_large_sessions_are_forgotten_few_at_a_time_and_others_write_in_between(store, engine, monkeypatch):
    Member(store, "m").claim(P0).commit(Judgement(sessions=large_states(monkeypatch)), 1)
    left = []
    gone = store.prune(
        NOW + timedelta(days=365), Retention(), rest=lambda _: left.append(len(_all(engine, sessions)))
    )
    assert (left, gone["sessions"]) == ([4, 3, 2, 0], 6)


def large_states(monkeypatch) -> dict[SessionKey, SessionState]:
    monkeypatch.setattr(sessions_module, "_BYTES_AT_ONCE", 2_500_000)
    tools = {f"s{n}": ("x" * size,) for n, size in enumerate((10**6, 10**6, 10**6, 5 * 10**6, 9, 9))}
    return {
        SessionKey("acme", name): _finished(S1, "p").model_copy(update={"tools": told})
        for name, told in tools.items()
    }


def letters_of(store) -> list[int]:
    return [each.offset for each in store.dead_letters.list()]


def test_no_finding_waits_behind_dead_letters(store):
    letters = tuple(replace(letter(), entry=n) for n in range(5))
    member = Member(store, "m").claim(P0)
    member.commit(Judgement(dead_letters=letters), 1)
    member.commit(Judgement(findings=(finding(),)), 2)
    assert [item.kind for item in store.outbox.due(NOW, 2)] == ["finding", "dead_letter"]


def test_no_revocation_and_nothing_critical_waits_behind_findings_of_other_sessions(store, plans):
    member, revoked = Member(store, "m").claim(P0), finding("revoked", S2, wanted=Effect.REVOKE)
    waiting = finding("f1"), finding("id", S2, Kind.IDENTITY), finding("flagged", S2), finding("f2")
    member.commit(Judgement(findings=waiting), 1)
    plans.clear()
    critical = finding("critical", SessionKey("other", "s2"), Kind.GATEWAY, severity="critical")
    member.commit(Judgement(findings=(critical, revoked)), 2)
    assert "SEARCH findings USING INDEX sqlite_autoindex_findings_1 (id=?)" in plans
    ordered = [item.finding.id for item in store.outbox.due(NOW, 9)]
    assert ordered == ["flagged", "critical", "revoked", "f1", "id", "f2"]


def test_no_finding_waits_for_ever_behind_those_that_ask_for_revocation(store):
    member = Member(store, "m").claim(P0)
    member.commit(Judgement(findings=(finding("flagged"), finding("waits"))), 1)
    revoked = [finding(f"r{n}", SessionKey("other", f"s{n}"), wanted=Effect.REVOKE) for n in range(20)]
    member.commit(Judgement(findings=tuple(revoked)), 2)
    ordered = [item.finding.id for item in store.outbox.due(NOW, 10)]
    assert ordered == [*(f"r{n}" for n in range(9)), "flagged"]


def test_one_tenants_flood_keeps_no_other_tenant_waiting(store, plans):
    member = Member(store, "m").claim(P0)
    flood = [finding(f"r{n}", SessionKey("flood", f"s{n}"), wanted=Effect.REVOKE) for n in range(60)]
    flags = [finding(f"f{n}", SessionKey("flood", f"t{n}")) for n in range(60)]
    member.commit(Judgement(findings=(*flood, *flags)), 1)
    names = "a", "b", "m", "z"
    late = [
        finding(f"{tenant}{n}", SessionKey(tenant, "s"), wanted=Effect.REVOKE) for tenant in names for n in (1, 2)
    ]
    member.commit(Judgement(findings=(*late, finding("flag", SessionKey("m", "other")))), 2)
    plans.clear()
    rounds = [[item.finding.id for item in store.outbox.due(NOW, 10)] for _ in range(3)]
    assert rounds == [
        ["a1", "b1", "r0", "m1", "z1", "a2", "b2", "r1", "m2", "f0"],
        ["z2", *(f"r{n}" for n in range(2, 10)), "flag"],
        [*(f"r{n}" for n in range(10, 19)), "f1"],
    ]
    assert [step for step in plans if "TEMP B-TREE" in step] == []


def test_what_waits_across_an_upgrade_takes_turns_too(store, engine, tmp_path):
    flood = [finding(f"r{n}", SessionKey("flood", "s")) for n in range(3)]
    Member(store, "m").claim(P0).commit(Judgement(findings=(*flood, finding("a", S1), finding("b", S2))), 1)
    items = {item.finding.id: item.id for item in store.outbox.due(NOW, 10)}
    store.outbox.parked(items["b"], "refused", now=NOW)
    older = open_engine(f"sqlite:///{tmp_path}/older.db")
    go(older, "m0011", MONITOR)
    copy(engine, older, "findings", "outbox")
    upgraded = MonitorStore(older, seal=seal, hear=hear)
    upgraded.outbox.release()
    told = [item.finding.id for item in upgraded.outbox.due(NOW + timedelta(minutes=1), 10)]
    assert told == ["a", "r0", "b", "r1", "r2"]
    older.dispose()


def test_what_of_a_tenant_could_not_be_sent_takes_no_turn_until_it_is_due_again(store):
    found = (finding("a", S1), finding("b1", S2), finding("b2", S2))
    Member(store, "m").claim(P0).commit(Judgement(findings=found), 1)
    (first,) = store.outbox.due(NOW, 1)
    store.outbox.postponed(first.id, NOW + timedelta(seconds=30), "away")
    told = [[item.finding.id for item in store.outbox.due(NOW + timedelta(seconds=s), 2)] for s in (1, 31)]
    assert (first.finding.id, told) == ("a", [["b1", "b2"], ["a", "b1"]])


def test_no_more_dead_letters_are_in_memory_at_once_than_it_takes_and_one_always(store, monkeypatch):
    monkeypatch.setattr(outbox, "_BYTES_AT_ONCE", 100)
    letters = tuple(
        DeadLetter(Record("t", 0, n, b"x" * size), "invalid", "no") for n, size in enumerate((60, 90, 300, 5))
    )
    store.commit(Judgement(dead_letters=letters), positions={}, base={}, versions={}, member="", now=NOW)
    taken = [[item.dead_letter.offset for item in store.outbox.due(NOW, 10)] for _ in range(4)]
    assert taken == [[0, 1], [2], [3], []]


def test_what_is_due_is_leased_and_comes_back_if_nothing_is_said_of_it(store):
    Member(store, "m").claim(P0).commit(Judgement(findings=(finding(),), dead_letters=(letter(),)), 1)
    first = store.outbox.due(NOW, 10)
    assert [(item.kind, item.attempts) for item in first] == [("finding", 0), ("dead_letter", 0)]
    assert first[0].finding == finding()
    assert store.outbox.due(NOW, 10) == []
    assert len(store.outbox.due(NOW + timedelta(seconds=10), 10)) == 2
    assert store.outbox.depth() == 2


def test_deliveries_end_as_delivered_parked_or_postponed(store):
    batch = Judgement(findings=(finding("f1"), finding("f2"), finding("f3")))
    Member(store, "m").claim(P0).commit(batch, 1)
    one, two, three = store.outbox.due(NOW, 10)
    store.outbox.delivered([one.id], "{}", now=NOW)
    store.outbox.parked(two.id, "409", now=NOW)
    store.outbox.postponed(three.id, NOW + timedelta(hours=1), "503")
    assert store.outbox.depth() == 1
    assert store.outbox.due(NOW + timedelta(minutes=59), 10) == []
    (again,) = store.outbox.due(NOW + timedelta(hours=1), 10)
    assert (again.finding.id, again.attempts) == ("f3", 1)
    assert [(each.id, each.why) for each in store.outbox.refused()] == [("f2", "409")]
    assert store.outbox.release(["f9"]) == []
    assert store.outbox.release() == ["f2"]
    assert [item.finding.id for item in store.outbox.due(NOW + timedelta(hours=1), 10)] == ["f2"]


def test_what_a_clock_ahead_put_off_is_due_once_it_is_put_right(store):
    ahead = NOW + timedelta(hours=1)
    batch = Judgement(findings=(finding("f1"), finding("f2")))
    store.commit(batch, positions={}, base={}, versions={}, member="", now=ahead)
    store.outbox.postponed(store.outbox.due(ahead, 1)[0].id, ahead + timedelta(seconds=5), "503")
    asked = {"longest": timedelta(minutes=1), "lease": timedelta(minutes=2)}
    assert sorted(item.finding.id for item in store.outbox.due(NOW, 9, **asked)) == ["f1", "f2"]
    assert store.outbox.due(NOW, 9, **asked) == []  # they are leased, though for longer


def test_a_finding_of_another_version_is_handed_out_with_why_it_cannot_be_read(store, engine):
    Member(store, "m").claim(P0).commit(Judgement(findings=(finding("f1"), finding("f2"))), 1)
    newer = update(findings).where(findings.c.id == "f1")
    with writing(engine) as connection:
        connection.execute(newer.values(body=finding("f1").model_dump_json()[:-1] + ',"novel":"secret"}'))
    one, two = store.outbox.due(NOW, 9)
    assert (one.finding, two.finding, two.unread) == (None, finding("f2"), "")
    assert one.unread == "the stored finding cannot be read: novel: Extra inputs are not permitted"


def test_a_session_of_another_version_is_the_stores_trouble_and_told_without_its_content(store, engine):
    Member(store, "m").claim(P0).commit(Judgement(sessions={S1: SessionState()}), 1)
    with writing(engine) as connection:
        connection.execute(update(sessions).values(state='{"epoch":1,"novel":"secret"}', learned=TO_LEARN))
    with pytest.raises(StoreError, match=r"'s1' of 'acme' was written by another version.* its novel;") as told:
        store.load(wanted(S1))
    assert "secret" not in str(told.value)
    with pytest.raises(StoreError, match="written by another version"):
        store.baselines.publish(NOW + timedelta(days=1), idle=timedelta(0), learn=_learn)


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [('"hours":', '"novel": "secret", "hours":', "novel"), ('"hours":', '"h":', "h, hours")],
)
def test_a_baseline_of_another_version_is_the_stores_trouble_and_told_without_its_content(
    store, engine, old, new, differs
):
    key = PurposeKey("acme", "p")
    store.baselines.install({key: BaselineFact("", 1, {"secret": 1}, {}, (), (0,) * 24)}, NOW)
    with writing(engine) as connection:
        connection.execute(update(baselines).values(body=func.replace(baselines.c.body, old, new)))
    with pytest.raises(
        StoreError, match=rf"baseline '1-\w+' of 'acme' was written by another.* \({differs}\)"
    ) as told:
        store.load(wanted(purposes=frozenset({key})))
    assert "secret" not in str(told.value)
    Member(store, "m").claim(P0).commit(Judgement(sessions={S1: _finished(S1, "p")}), 1)
    with pytest.raises(StoreError, match="written by another version"):
        store.baselines.publish(NOW + timedelta(days=1), idle=timedelta(0), learn=_learn)


def test_a_dead_letter_that_was_parked_is_no_finding_that_control_refused(store):
    batch = Judgement(findings=(finding("f1"), finding("f2")), dead_letters=(letter(),))
    Member(store, "m").claim(P0).commit(batch, 1)
    for item in store.outbox.due(NOW, 10):
        store.outbox.parked(item.id, "409", now=NOW)
    assert [each.id for each in store.outbox.refused()] == ["f1", "f2"]
    assert store.outbox.parked_count() == 2
    assert store.outbox.release() == ["f1", "f2"]
    assert store.outbox.parked_count() == 0


def _learn(last: BaselineFact | None, tallies) -> BaselineFact:
    total = sum(tally.counts["n"] * tally.weight for tally in tallies)
    sessions = (0 if last is None else last.sessions) + len(tallies)
    return BaselineFact("", sessions, {"x": round(total * 10)}, {}, (1, 2), (0,) * 24)


def _finished(key: SessionKey, purpose: str, **changes: Any) -> SessionState:
    envelope = Envelope(delegator_id="u", tenant_id=key.tenant_id, session_id=key.session_id, purpose=purpose)
    return SessionState(actions=1, envelope=envelope, signals={"purpose_baseline": {"n": 1}}, **changes)


def test_finished_sessions_teach_once_and_snapshots_are_numbered(store):
    member = Member(store, "m").claim(P0)
    key = PurposeKey("acme", "p" * 8192)
    member.commit(Judgement(sessions={S1: _finished(S1, key.purpose)}), 1)
    idle = timedelta(minutes=30)
    assert store.baselines.publish(NOW, idle=idle, learn=_learn) == {"sessions": 0, "snapshots": 0}
    later = NOW + idle
    assert store.baselines.publish(later, idle=idle, learn=_learn) == {"sessions": 1, "snapshots": 1}
    assert store.baselines.publish(later, idle=idle, learn=_learn) == {"sessions": 0, "snapshots": 0}
    first = store.load(wanted(purposes=frozenset({key}))).baselines[key]
    assert (first.sessions, first.tools, first.record_sizes) == (1, {"x": 10}, (1, 2))
    assert first.version.startswith("1-")
    member.commit(Judgement(sessions={SessionKey("acme", "s9"): _finished(S1, key.purpose)}), 2)
    store.baselines.publish(later, idle=idle, learn=_learn)
    second = store.load(wanted(purposes=frozenset({key}))).baselines[key]
    assert (second.sessions, second.version[:2]) == (2, "2-")


def test_more_than_one_lot_of_finished_sessions_is_learnt_from_at_a_time(store):
    states = {SessionKey("acme", f"s{n}"): _finished(S1, "p") for n in range(25)}
    Member(store, "m").claim(P0).commit(Judgement(sessions=states), 1)
    learned = store.baselines.publish(NOW, idle=timedelta(0), learn=_learn, limit=10)
    assert learned == {"sessions": 25, "snapshots": 3}
    key = PurposeKey("acme", "p")
    assert store.load(wanted(purposes=frozenset({key}))).baselines[key].sessions == 25


def test_those_who_judge_have_their_turn_after_some_hundreds_of_finished_sessions(store):
    states = {SessionKey("acme", f"s{n}"): _finished(S1, "p") for n in range(1_100)}
    Member(store, "m").claim(P0).commit(Judgement(sessions=states), 1)
    turns: list[float] = []
    learned = store.baselines.publish(NOW, idle=timedelta(0), learn=_learn, rest=turns.append)
    assert (learned["sessions"], len(turns)) == (1_100, 3)


def test_large_finished_sessions_are_learnt_from_few_at_a_time(store, monkeypatch):
    Member(store, "m").claim(P0).commit(Judgement(sessions=large_states(monkeypatch)), 1)
    assert store.baselines.publish(NOW, idle=timedelta(0), learn=_learn) == {"sessions": 6, "snapshots": 4}


def test_of_each_purpose_only_the_newest_snapshots_are_kept(store, engine):
    key, other = PurposeKey("acme", "p"), PurposeKey("acme", "q")
    fact = BaselineFact("", 1, {}, {}, (), (0,) * 24)
    store.baselines.install({other: fact}, NOW)
    for count in range(30):
        store.baselines.install({key: replace(fact, sessions=count)}, NOW)
    kept = [row[3] for row in rows(engine)["baselines"]]
    assert (kept.count("p"), kept.count("q")) == (SNAPSHOTS_KEPT, 1)
    newest = store.load(wanted(purposes=frozenset({key}))).baselines[key]
    assert (newest.sessions, newest.version[:3]) == (29, "30-")


def test_a_session_registered_long_before_its_first_act_teaches_all_the_same(store):
    member = Member(store, "m").claim(P0)
    idle = timedelta(minutes=30)
    member.commit(Judgement(sessions={S1: SessionState(registered=("d" * 64,))}), 1)
    assert store.baselines.publish(NOW + idle, idle=idle, learn=_learn) == {"sessions": 0, "snapshots": 0}
    state = store.load(wanted(S1))
    member.commit(Judgement(sessions={S1: _finished(S1, "p")}), 2, versions=state.versions)
    assert store.baselines.publish(NOW + 2 * idle, idle=idle, learn=_learn) == {"sessions": 1, "snapshots": 1}


def test_a_name_under_which_sessions_begin_anew_teaches_once_for_each(store):
    member, idle = Member(store, "m").claim(P0), timedelta(minutes=30)
    for day in range(3):
        began = NOW + timedelta(days=day)
        for n in range(2):  # the second time nothing is begun, and there is nothing more to learn
            state = _finished(S1, "p", first_seen=began, last_seen=began + timedelta(minutes=n))
            member.commit(Judgement(sessions={S1: state}), 2 * day + n + 1)
            learned = store.baselines.publish(NOW + idle, idle=idle, learn=_learn)
            assert learned["sessions"] == 1 - n


@pytest.mark.parametrize(
    ("changes", "word", "weight"),
    [
        ({}, None, 10),
        ({"stage": Stage.FLAGGED}, None, 1),
        ({"stage": Stage.REVOKED}, None, 1),
        ({"revoked_at": NOW}, None, 1),
        ({"stage": Stage.FLAGGED}, HumanWord.FALSE_POSITIVE, 10),
        ({}, HumanWord.CONFIRMED, 1),
        ({}, HumanWord.WITHDRAWN, 1),
    ],
)
def test_a_flagged_session_teaches_a_tenth_unless_people_called_it_a_false_alarm(store, changes, word, weight):
    Member(store, "m").claim(P0).commit(Judgement(sessions={S1: _finished(S1, "p", **changes)}), 1)
    if word is not None:
        store.words.apply([Change(1, S1, word, NOW)], now=NOW)
    store.baselines.publish(NOW, idle=timedelta(0), learn=_learn)
    key = PurposeKey("acme", "p")
    assert store.load(wanted(purposes=frozenset({key}))).baselines[key].tools == {"x": weight}


def test_each_session_of_a_task_keeps_its_own_row_and_the_most_sensitive_are_loaded(store):
    def reads(weight: float, count: int = 1) -> SharedReads:
        return SharedReads({"secrets": ("vault.read", True)}, count, ("p1", "p2"), weight)

    one, two = Member(store, "a").claim(P0), Member(store, "b").claim(P1)
    task, other = TaskKey("acme", "t1"), TaskKey("other", "t1")
    one.commit(Judgement(task_reads={SiblingKey(*task, "s1"): reads(0.5)}), 1)
    second = {SiblingKey(*task, "s2"): reads(0.9), SiblingKey(*other, "s1"): reads(1)}
    two.commit(Judgement(task_reads=second), 1, place=P1)
    one.commit(Judgement(task_reads={SiblingKey(*task, "s1"): reads(0.5, 2)}), 2)
    got = store.load(wanted(tasks=frozenset({task, TaskKey("acme", "t2")}))).task_reads
    assert got == {task: {"s1": reads(0.5, 2), "s2": reads(0.9)}}
    crowd = {SiblingKey(*task, f"z{n:03}"): reads(0.1) for n in range(200)}
    one.commit(Judgement(task_reads=crowd), 3)
    kept = store.load(wanted(tasks=frozenset({task}))).task_reads[task]
    assert len(kept) == 33
    assert {"s1", "s2"} < set(kept)  # a crowd of harmless sessions does not push them out


def test_the_most_sensitive_sessions_of_each_task_are_found_without_ranking_all_of_them(store, plans):
    reads = {weight: SharedReads({"secrets": ("vault.read", True)}, 1, ("p",), weight) for weight in (0.5, 0.9)}
    tasks = [TaskKey("acme", name) for name in ("t1", "t'2\"\\", "é" * 300)]
    told = {SiblingKey(*task, f"s{n:02}"): reads[0.9 if n > 30 else 0.5] for task in tasks for n in range(40)}
    Member(store, "m").claim(P0).commit(Judgement(task_reads=told), 1)
    plans.clear()
    got = store.load(wanted(tasks=frozenset(tasks))).task_reads
    best = [f"s{n:02}" for n in (*range(39, 30, -1), *range(30, 6, -1))]
    assert {task: list(found) for task, found in got.items()} == dict.fromkeys(tasks, best)
    assert any("ix_task_reads_tenant_id_task_id_weight (tenant_id=? AND task_id=?)" in step for step in plans)
    assert all("task_id=?" in step for step in plans if "SEARCH" in step)


@pytest.mark.parametrize("ancestors", [("parent", "root"), ()])
def test_what_a_delegation_has_read_is_loaded_with_a_session_that_belongs_to_it(store, ancestors):
    reads = SharedReads({"secrets": ("vault.read", True)}, 1, ("p1",), 1.0)
    family = delegation(S1, ancestors)
    judged = Judgement(
        sessions={S1: SessionState(ancestors=ancestors)}, task_reads={SiblingKey(*family, "x"): reads}
    )
    Member(store, "m").claim(P0).commit(judged, 1)
    assert store.load(wanted(S1)).task_reads == {family: {"x": reads}}
    assert not store.load(wanted(SessionKey("globex", S1.session_id))).task_reads


def test_what_is_old_is_forgotten_and_what_is_undelivered_stays(store, engine):
    Member(store, "m").claim(P0).commit(
        Judgement(
            findings=(finding("sent"), finding("waiting")), sessions={S1: SessionState()},
            seen={DecisionKey("acme", "g", "d"): "x"}, agent_purposes={AgentKey("acme", "a"): ("p",)},
            dead_letters=(letter(),), task_reads={SiblingKey("acme", "t1", "s1"): SharedReads({}, 1, (), 0.0)},
        ),
        1,
    )  # fmt: skip
    for item in store.outbox.due(NOW, 10):
        if item.finding is None or item.finding.id == "sent":
            store.outbox.delivered([item.id], "", now=NOW)
    gone = store.prune(NOW + timedelta(days=400), Retention())
    assert gone == {
        "seen": 1, "sessions": 1, "agents": 1, "outbox": 2, "findings": 1, "dead_letters": 1, "task_reads": 1,
        "baselines": 0,
        "envelopes": 0,
    }  # fmt: skip
    left = rows(engine)
    assert [row[0] for row in left["findings"]] == ["waiting"]
    assert len(left["outbox"]) == 1


def test_more_than_one_lot_of_what_is_old_is_forgotten_at_a_time(store, engine):
    seen = {DecisionKey("acme", "g", f"d{n}"): "x" for n in range(25)}
    states = {SessionKey("acme", f"s{n}"): SessionState(epoch=n % 2) for n in range(25)}
    Member(store, "m").claim(P0).commit(Judgement(sessions=states, seen=seen), 1)
    gone = prune(engine, NOW + timedelta(days=400), Retention(), limit=10)
    assert (gone["seen"], gone["sessions"]) == (25, 25)
    assert not rows(engine)["seen"]


@pytest.fixture
def plans(engine):
    """How SQLite finds what it is asked for, step by step."""
    steps: list[str] = []

    def explain(connection, cursor, statement, parameters, *_):
        if statement.startswith(("SELECT", "DELETE", "UPDATE", "WITH")):
            found = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps.extend(step[3] for step in found)

    event.listen(engine, "before_cursor_execute", explain)
    yield steps
    event.remove(engine, "before_cursor_execute", explain)


def test_what_is_old_is_found_without_reading_the_whole_of_any_table(store, plans):
    store.prune(NOW, Retention())
    assert "SEARCH findings USING INDEX ix_findings_at (at<?)" in plans
    assert [step for step in plans if step.startswith("SCAN")] == []
    by_state = [step for step in plans if "ix_outbox_state_kind_rank_lane_next_at_attempts" in step]
    assert len(by_state) == 2
    assert all("next_at<?" in step for step in by_state), "what was delivered lately is not read each time"


def test_what_a_batch_needs_is_found_by_its_keys(store, plans):
    keys = [SessionKey(tenant, "s1") for tenant in ("acme", "other")]
    everything = wanted(
        *keys,
        decisions=frozenset(DecisionKey(tenant, "gw", "d") for tenant, _ in keys),
        purposes=frozenset(PurposeKey(tenant, "p") for tenant, _ in keys),
        agents=frozenset(AgentKey(tenant, "a") for tenant, _ in keys),
        registered=frozenset(keys),
    )
    store.load(everything)
    store.registry.known(keys)
    for table in ("sessions", "seen", "baselines", "agents", "task_reads", "mine", "envelopes", "waiting"):
        assert not [step for step in plans if step.split()[:2] == ["SCAN", table]]
    assert sum("SEARCH" in step and "(tenant_id=? AND " in step for step in plans) >= 9, plans


def test_what_is_due_is_found_without_looking_at_all_that_waits(store, plans):
    """A topic that is not there keeps any number of dead letters waiting."""
    Member(store, "m").claim(P0).commit(Judgement(findings=(finding(),), dead_letters=(letter(),)), 1)
    plans.clear()
    for kind in ("finding", "dead_letter"):
        store.outbox.depth(kind)
        assert len(store.outbox.due(NOW, 10, kind=kind, topics=["t"])) == 1
    found = [step for step in plans if "outbox" in step and "PRIMARY KEY" not in step]
    assert found
    by_rank = "INDEX ix_outbox_state_kind_rank_lane_next_at_attempts (state=? AND kind=?"
    assert all(by_rank in step for step in found), found
    assert [step for step in plans if "TEMP B-TREE" in step] == []


def test_a_look_for_a_kind_of_which_nothing_waits_is_one_search(store, plans):
    """Two loops look several times a second, all day."""
    Member(store, "m").claim(P0).commit(Judgement(findings=(finding(),)), 1)
    plans.clear()
    assert store.outbox.due(NOW, 10, kind="dead_letter", topics=["t"]) == []
    assert len([step for step in plans if "outbox" in step]) == 1, plans


def test_the_past_of_a_purpose_that_nobody_has_any_more_is_forgotten(store):
    """Purposes may be sentences of which no two are alike."""
    fact = BaselineFact("", 1, {}, {}, (), (0,) * 24)
    store.baselines.install({PurposeKey("acme", f"answer question {n}"): fact for n in "abc"}, NOW)
    for days in (0, 399):
        store.baselines.install({PurposeKey("acme", "close the year"): fact}, NOW + timedelta(days=days))
    assert store.prune(NOW + timedelta(days=400), Retention())["baselines"] == 0
    assert store.prune(NOW + timedelta(days=401), Retention())["baselines"] == 4
    assert list(store.baselines.newest()) == [("acme", "close the year")]


def test_an_envelope_and_an_agents_purposes_stay_for_as_long_as_they_are_in_use(store):
    told, agent, keep = Envelope(delegator_id="u", tenant_id="acme", session_id="s1"), AgentKey("acme", "a"), 30
    unused = told.model_copy(update={"session_id": "s9"})
    heard = [Heard(Grant(each, each.digest), "control") for each in (told, unused)]
    nothing = {"positions": {}, "base": {}, "member": "m"}
    store.commit(Judgement(), versions={}, now=NOW, heard=heard, **nothing)
    retention = Retention(sessions=timedelta(days=keep), agents=timedelta(days=keep))
    for day in range(keep + 3):
        now, before = NOW + timedelta(days=day), store.load(wanted(S1))
        used = Judgement(sessions={S1: SessionState(actions=day + 1)}, agent_purposes={agent: ("p",)})
        store.commit(used, versions=before.versions, now=now, **nothing)
        assert store.prune(now, retention)["agents"] == 0
    assert set(store.registry.known({S1, SessionKey("acme", "s9")}).envelopes) == {S1}
    assert store.load(wanted(agents=frozenset({agent}))).agent_purposes == {agent: ("p",)}
    store.prune(NOW + timedelta(days=400), retention)
    assert not store.registry.known({S1}).envelopes


def test_of_a_session_that_people_made_start_afresh_the_epoch_outlasts_forgetting_and_its_envelope_does_not(store):
    member = Member(store, "m").claim(P0)
    state = _finished(S1, "p", epoch=2, transition=3, stage=Stage.FLAGGED, first_seen=NOW)
    told = Envelope(delegator_id="u", tenant_id=S1.tenant_id, session_id=S1.session_id)
    heard = [Heard(Grant(told, told.digest), "control")]
    store.commit(Judgement(), positions={}, base={}, versions={}, member="m", now=NOW, heard=heard)
    member.commit(Judgement(sessions={S1: state, S2: SessionState(actions=1)}), 1)
    stale = store.load(wanted(S1))
    for years in (1, 2):
        store.prune(NOW + timedelta(days=365 * years), Retention())
        assert store.load(wanted(S1, S2)).sessions == {S1: SessionState(epoch=2)}
    known = store.registry.known({S1})
    assert (known.begun, dict(known.envelopes)) == (frozenset(), {})
    with pytest.raises(Conflict):  # what was judged on the state before is judged again
        member.commit(Judgement(sessions={S1: state}), 2, versions=stale.versions)
    later = NOW + timedelta(days=1000)
    assert store.baselines.publish(later, idle=timedelta(0), learn=_learn) == {"sessions": 0, "snapshots": 0}
    member.commit(Judgement(sessions={S1: state}), 2, versions=store.load(wanted(S1)).versions)
    assert store.registry.known({S1}).begun == {S1}


def test_that_a_session_is_revoked_outlasts_forgetting_until_control_says_that_it_is_over(engine):
    store = MonitorStore(engine, seal=seal, hear=_as_judged)
    member = Member(store, "m").claim(P0)
    gathered = Gathered(n=1, m=3.0, top=3.0)
    flagged = _finished(S1, "p", stage=Stage.FLAGGED, transition=1, first_seen=NOW, evidence=gathered)
    member.commit(Judgement(sessions={S1: flagged, S2: SessionState(actions=1)}), 1)
    says = [(HumanWord.REGISTERED, "sha256:1"), (HumanWord.REVOKED, "")]
    store.words.apply([Change(n, S1, word, NOW, said) for n, (word, said) in enumerate(says, 1)], now=NOW)
    told = {"revoked_at": NOW, "stage": Stage.REVOKED, "stood": Stage.CLEAR, "registered": ("sha256:1",)}
    revoked, shown = SessionState(**told), select(sessions.c.stage, sessions.c.learned)
    for years in (1, 2):
        store.prune(NOW + timedelta(days=365 * years), Retention())
        assert store.load(wanted(S1, S2)).sessions == {S1: revoked}
        with reading(engine) as connection:
            assert connection.execute(shown).all() == [(Stage.REVOKED.value, BARE)]
    over = NOW + timedelta(days=800)
    store.words.apply([Change(3, S1, HumanWord.LAPSED, over)], now=over)
    lapsed = revoked.model_copy(update={"revoked_at": None, "stage": Stage.CLEAR})
    assert store.load(wanted(S1)).sessions == {S1: lapsed}
    store.prune(over + timedelta(days=365), Retention())
    assert store.load(wanted(S1)).sessions == {}


def test_a_session_that_began_afresh_and_was_revoked_again_keeps_both_until_it_is_reinstated(engine):
    store = MonitorStore(engine, seal=seal, hear=_as_judged)
    says = [HumanWord.REVOKED, HumanWord.REINSTATED, HumanWord.REVOKED]
    store.words.apply([Change(n, S1, word, NOW) for n, word in enumerate(says, 1)], now=NOW)
    store.prune(NOW + timedelta(days=365), Retention())
    known = store.load(wanted(S1)).sessions[S1]
    assert (known.epoch, known.revoked_at, known.stage) == (1, NOW, Stage.REVOKED)
    over = NOW + timedelta(days=400)
    store.words.apply([Change(4, S1, HumanWord.REINSTATED, over)], now=over)
    store.prune(over + timedelta(days=365), Retention())
    assert store.load(wanted(S1)).sessions == {S1: SessionState(epoch=2)}


def _as_judged(state: SessionState, change: Change) -> SessionState:
    return hear_word(state, change.word, change.at, change.detail, lasting=())


RECORDS = [(n, S1 if n % 3 else S2) for n in range(8)]


def _judge(store: MonitorStore, batch: list[tuple[int, SessionKey]]) -> tuple[Judgement, Mapping[SessionKey, int]]:
    """A stand-in for the pipeline: counts actions, flags every second one, skips what was seen."""
    keys = {DecisionKey(key.tenant_id, "gw", f"d{n}") for n, key in batch}
    recall = store.load(wanted(*(key for _, key in batch), decisions=frozenset(keys)))
    states, found, seen = dict(recall.sessions), [], {}
    for n, key in batch:
        decision = DecisionKey(key.tenant_id, "gw", f"d{n}")
        if decision in recall.seen or decision in seen:
            continue
        seen[decision] = "x"
        states[key] = SessionState(actions=states.get(key, SessionState()).actions + 1)
        if states[key].actions % 2 == 0:
            found.append(finding(f"f-{key.tenant_id}-{states[key].actions}", key))
    changed = {key: state for key, state in states.items() if state != recall.sessions.get(key)}
    return Judgement(findings=tuple(found), sessions=changed, seen=seen), recall.versions


STEPS = st.lists(
    st.tuples(st.sampled_from(["read", "reread", "crash", "evict", "late"]), st.integers(1, 4)), max_size=12
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_any_interleaving_of_redelivery_crash_and_eviction_ends_in_the_same_rows(steps):
    def fresh() -> tuple[Any, MonitorStore]:
        made = open_engine("sqlite://")
        return made, MonitorStore(made, seal=seal, hear=hear)

    calm_engine, calm = fresh()
    member = Member(calm, "m").claim(P0)
    for n, key in RECORDS:
        judgement, versions = _judge(calm, [(n, key)])
        member.commit(judgement, n + 1, versions=versions)

    engine, store = fresh()
    member, names = Member(store, "m0").claim(P0), 0

    def read(count: int, start: int) -> None:
        batch = RECORDS[start : start + count]
        judgement, versions = _judge(store, batch)
        member.commit(judgement, max(member.base.get(P0, 0), start + len(batch)), versions=versions)

    for step, count in [*steps, ("read", len(RECORDS))]:
        position = member.base.get(P0, 0)
        match step:
            case "read":
                read(count, position)
            case "reread":  # the broker hands out what was handled already
                read(count, max(0, position - count))
            case "crash":  # judged, never committed, started again
                _judge(store, RECORDS[position : position + count])
                member = Member(store, member.name).claim(P0)
            case "evict":
                names += 1
                member = Member(store, f"m{names}").claim(P0)
            case "late":  # the member before it comes back with its batch
                judgement, versions = _judge(store, RECORDS[position : position + count])
                with pytest.raises(StaleMember):
                    store.commit(
                        judgement, positions={P0: position + count}, base=member.base, versions=versions,
                        member="gone", now=NOW,
                    )  # fmt: skip

    def what(found: Any) -> Any:
        tables = rows(found)
        return {
            "states": sorted((row[0], row[1], row[3]) for row in tables["sessions"]),
            "findings": [row[0] for row in tables["findings"]],
            "outbox": [row[:3] for row in tables["outbox"]],
            "seen": tables["seen"],
        }

    assert what(engine) == what(calm_engine)
    assert store.positions([P0]) == {P0: len(RECORDS)}
    engine.dispose()
    calm_engine.dispose()
