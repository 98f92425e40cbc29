"""The news of registered envelopes in the monitor's store: recorded, bounded, and mistaken for nothing else."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from guardian.bootstrap.judgement import open_judge, open_pipeline
from guardian.config import load
from guardian.domain.batch import Change, Judgement, Wanted
from guardian.domain.envelope import Grant
from guardian.domain.event import DecisionEvent
from guardian.domain.finding import Kind
from guardian.domain.identity import SessionKey
from guardian.domain.record import Record
from guardian.domain.session import HumanWord, Stage
from guardian.response.hearing import REGISTERED_KEPT, hear
from guardian.store.engine import open_engine, reading
from guardian.store.monitor import words as words_module
from guardian.store.monitor.envelopes import Heard
from guardian.store.monitor.retention import Retention
from guardian.store.monitor.store import MonitorStore
from guardian.store.monitor.tables import sessions, words
from guardian.stream.changes import ChangeTail

KEY = SessionKey("acme", "s1")


@pytest.fixture
def store(rig):
    rig.stores.append(open_engine(rig.url))
    return MonitorStore(
        rig.stores[-1],
        seal=lambda b: b,
        hear=lambda state, change: hear(state, change.word, change.at, change.detail, lasting=()),
    )


@pytest.fixture
def follow(rig, control, store):
    """Put words on control's feed and have the monitor read all of it."""
    tail = ChangeTail(words=store.words, client=control, clock=rig.clock)

    def said(*told: tuple[HumanWord, str, str]) -> None:
        for word, session, detail in told:
            seq = len(control.feed) + 1
            control.feed.append(Change(seq, SessionKey("acme", session), word, rig.clock(), detail))
        while tail.follow():
            pass

    return said


def state(store, key=KEY):
    return store.load(Wanted(frozenset({key}), frozenset(), frozenset(), frozenset())).sessions[key]


def rows(store, table):
    with reading(store._engine) as connection:
        return connection.execute(select(table)).all()


def test_digests_from_the_feed_become_facts_of_their_session(follow, store) -> None:
    follow((HumanWord.REGISTERED, "s1", "a"), (HumanWord.REGISTERED, "s2", "b"), (HumanWord.REGISTERED, "s1", "c"))
    assert state(store).registered == ("a", "c")
    assert state(store, SessionKey("acme", "s2")).registered == ("b",)


def test_a_session_remembers_a_bounded_number_of_them(follow, store) -> None:
    follow(*((HumanWord.REGISTERED, "s1", str(n)) for n in range(REGISTERED_KEPT + 10)))
    assert len(state(store).registered) == REGISTERED_KEPT
    assert len(rows(store, sessions)) == 1


@pytest.mark.parametrize("same_page", [True, False])
def test_a_registration_does_not_take_the_place_of_peoples_last_word(follow, store, same_page: bool) -> None:
    told = [(HumanWord.REVOKED, "s1", ""), (HumanWord.CONFIRMED, "s1", ""), (HumanWord.REGISTERED, "s1", "a")]
    if same_page:
        follow(*told[1:])
    else:
        for each in told:
            follow(each)
    (row,) = rows(store, sessions)
    assert row.word == "confirmed"
    assert state(store).registered == ("a",)


@pytest.mark.parametrize(
    ("detail", "stands"), [("fnd_2 outside", "withdrawn"), ("fnd_2 outside confirmed", "confirmed")]
)
def test_a_verdict_that_is_taken_back_stands_no_longer_and_pardons_nothing(
    follow, store, detail: str, stands: str
) -> None:
    told = [(HumanWord.CONFIRMED, "s1", "fnd_1 -"), (HumanWord.REVOKED, "s1", "")]
    follow(*told, (HumanWord.FALSE_POSITIVE, "s1", "fnd_2 outside"))
    follow((HumanWord.WITHDRAWN, "s1", detail))
    (row,) = rows(store, sessions)
    assert row.word == stands
    assert (state(store).stage, state(store).revoked_at is None) == (Stage.CLEAR, False)


def test_registered_sessions_that_never_act_are_forgotten_in_time(rig, follow, store) -> None:
    follow(*((HumanWord.REGISTERED, f"s{n}", "a") for n in range(6)))
    assert len(rows(store, sessions)) == 6
    rig.clock.forward(timedelta(days=31).total_seconds())
    follow((HumanWord.REGISTERED, "new", "a"))
    store.prune(rig.clock(), Retention())
    assert [row.session_id for row in rows(store, sessions)] == ["new"]


def test_the_words_heard_are_kept_up_to_a_bound_and_none_is_applied_twice(follow, store, monkeypatch) -> None:
    monkeypatch.setattr(words_module, "WORDS_KEPT", 4)
    follow(*((HumanWord.REGISTERED, "s1", str(n)) for n in range(11)))
    assert sorted(row.seq for row in rows(store, words)) == [8, 9, 10, 11]
    assert store.words.cursor() == 11
    follow()
    assert len(state(store).registered) == 11


@pytest.mark.parametrize("source", ["topic", "control"])
def test_an_unsigned_envelope_in_the_log_is_looked_for_among_those_that_were_registered(
    rig, store, make_event, source: str
) -> None:
    settings = load(None, overrides={"model": {"engine": "lexical"}})
    judge = open_judge(settings, fingerprint_key=b"k" * 32)
    pipeline = open_pipeline(
        settings, judge, verify=lambda _: "missing", clock=rig.clock, redaction_key=b"k" * 32,
        check_entitlements=False,
    )  # fmt: skip
    known = DecisionEvent.model_validate_json(make_event(1)).envelope
    heard = [Heard(Grant(known, known.digest), source)]
    store.commit(Judgement(), positions={}, base={}, versions={}, member="m", now=rig.clock(), heard=heard)
    decoded, _ = pipeline.decode([Record("t", 0, n, make_event(n, f"s{n}")) for n in (1, 2)])
    told = pipeline.judge(decoded, [], store.load(pipeline.wanted(decoded)))
    assert [s.decoded.signature for s in told.scored] == ["absent", "missing"]
    named = {(f.session_id, b.name) for f in told.findings if f.kind is Kind.DRIFT for b in f.breaches}
    assert named == {("s2", "signature_missing")}
