"""What the control API does by itself, now and then."""

import asyncio
import queue
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, text
from starlette.testclient import TestClient
from until import until

from guardian.control import app
from guardian.control.distribution.bell import Bell
from guardian.control.rounds import Rounds
from guardian.control.switch import SwitchRule
from guardian.domain.revocation import Revision
from guardian.errors import StoreError
from guardian.store.control.store import ControlStore
from guardian.store.engine import writing
from guardian.telemetry import Metrics


def test_a_sweep_that_fails_does_not_keep_the_database_from_being_tidied(stage, monkeypatch):
    tidied = []

    def fail(_deps, _rest):
        raise RuntimeError("no sweep today")

    monkeypatch.setattr(app, "sweep", fail)
    monkeypatch.setattr(type(stage.deps.store), "tidy", lambda _: tidied.append(1))

    async def sweep_once():
        sweeping = asyncio.create_task(
            app._sweep_for_ever(stage.deps, Rounds(stage.deps.stopwatch, stage.deps.metrics))
        )
        await asyncio.to_thread(until, lambda: tidied)
        sweeping.cancel()

    asyncio.run(sweep_once())
    assert tidied


def test_a_sweep_forgets_the_records_of_tokens_that_expired_long_ago(stage):
    store, now = stage.deps.store, stage.clock()
    with store.write() as rows:
        told = {"principal_id": "ann", "role": "analyst", "tenants": ["acme"], "kid": "k", "issued_at": now}
        rows.tokens.add(jti="old", **told, expires_at=now - timedelta(days=91))
        rows.tokens.add(jti="new", **told, expires_at=now - timedelta(days=89))

    def kept():
        with store.read() as rows:
            return [row.jti for row in rows.tokens.all()]

    async def sweep_once():
        sweeping = asyncio.create_task(app._sweep_for_ever(stage.deps, Rounds(stage.deps.stopwatch, Metrics())))
        await asyncio.to_thread(until, lambda: kept() == ["new"])
        sweeping.cancel()

    asyncio.run(sweep_once())


def test_a_sweep_that_rests_does_not_hold_up_the_end(stage, monkeypatch):
    resting, ended = threading.Event(), queue.SimpleQueue()

    def sweep(_deps, rest):
        resting.set()
        ended.put(rest(600))

    monkeypatch.setattr(app, "sweep", sweep)
    with TestClient(app.create_app(stage.deps)):
        assert resting.wait(30)
    assert ended.get(timeout=30) is True


def test_what_threads_may_be_too_busy_to_show_is_measured_again_and_again_also_after_a_failure(make_stage):
    answers, measured = iter([RuntimeError("not now")]), threading.Event()

    def measure():
        for answer in answers:
            raise answer
        measured.set()

    stage = make_stage(switch=SwitchRule(watch_every_s=0.01))
    with TestClient(app.create_app(stage.deps, measures=[measure])):
        assert measured.wait(30)


def test_what_keeps_the_watch_from_its_end_does_not_keep_the_switch_from_its_tests(make_stage, monkeypatch):
    tested = threading.Event()

    def fail(_deps):
        raise RuntimeError("no watch today")

    monkeypatch.setattr(app, "watch", fail)
    monkeypatch.setattr(app, "test_the_switch", lambda _deps: tested.set())
    stage = make_stage(switch=SwitchRule(watch_every_s=0.01))
    with TestClient(app.create_app(stage.deps)):
        assert tested.wait(30)


def test_while_the_database_takes_no_writes_it_is_still_shown_that_nobody_watches(make_stage):
    """As on a standby, or a full disk: gauges would stand at their last good value, and nobody would be called."""
    stage = make_stage(switch=SwitchRule(watch_every_s=3600))
    body = {"instance": "m-1", "lag_s": 0}
    assert stage.call("POST", "/v1/monitors", "monitor", json=body).status_code == 204
    app.watch(stage.deps)
    assert stage.deps.metrics.value("guardian_unprotected_seconds") == 0

    @event.listens_for(stage.deps.store._engine, "checkout")
    def fill(connection, *_):
        connection.cursor().execute("PRAGMA query_only=1")

    with pytest.raises(StoreError), stage.deps.store.write():
        pass
    stage.clock.pass_(minutes=5)
    stage.deps.watched.later["gateway-1"] = Revision(epoch=9, n=0)  # people would be told of it
    shown, looks = [], threading.Event()
    often = replace(stage.deps.settings, switch=SwitchRule(watch_every_s=0.01))

    def measure():
        shown.append(stage.deps.metrics.value("guardian_unprotected_seconds"))
        if len(shown) > 1:
            looks.set()

    with TestClient(app.create_app(replace(stage.deps, settings=often), measures=[measure])):
        assert looks.wait(30)
    assert shown[:2] == [300, 300]
    assert stage.deps.metrics.value("guardian_loop_failures_total", loop="database_not_written") > 1


def test_what_follows_a_revocation_goes_on_by_itself_also_after_a_failure(stage, monkeypatch):
    answers = iter([RuntimeError("no walk now"), 0.0, 0.0, None])
    asked = []

    def follow_on(_deps, _waits):
        asked.append(answer := next(answers, None))
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(app, "follow_on", follow_on)
    monkeypatch.setattr(app, "_FOLLOW_EVERY_S", 0.01)

    async def follow() -> None:
        following = asyncio.create_task(
            app._follow_for_ever(stage.deps, Rounds(stage.deps.stopwatch, stage.deps.metrics))
        )
        await asyncio.to_thread(until, lambda: len(asked) >= 5)
        following.cancel()

    asyncio.run(follow())
    assert asked[1:4] == [0.0, 0.0, None]


def test_a_walk_rests_for_as_long_as_its_transaction_took(stage, monkeypatch):
    """Or other processes would not get SQLite's lock until it is over."""
    at, slept, others = [0.0], [], asyncio.sleep
    mine = replace(stage.deps, stopwatch=lambda: at[0])

    def follow_on(deps, _waits):
        at[0] += 0.25 if deps is mine else 0.0
        return 0.0

    async def follow() -> None:
        following = asyncio.create_task(app._follow_for_ever(mine, Rounds(mine.stopwatch, mine.metrics)))

        async def sleep(seconds):
            if asyncio.current_task() is following:
                slept.append(seconds)
            await others(0.01)

        monkeypatch.setattr(app.asyncio, "sleep", sleep)
        async with asyncio.timeout(30):
            while not slept:
                await others(0.01)
        following.cancel()

    monkeypatch.setattr(app, "follow_on", follow_on)
    asyncio.run(follow())
    monkeypatch.undo()
    assert slept[0] == 0.25


def test_while_walks_wait_for_an_answer_it_is_looked_whether_others_begin(stage, monkeypatch):
    looked, slept, others = [], [], asyncio.sleep
    mine = replace(stage.deps, stopwatch=lambda: 0.0)

    def follow_on(deps, waits):
        if deps is mine:  # the application's own loop goes on beside it
            looked.append(dict(waits))
            waits["acme", "s1"] = 30.0
        return 30.0

    async def follow() -> None:
        following = asyncio.create_task(app._follow_for_ever(mine, Rounds(mine.stopwatch, mine.metrics)))

        async def sleep(seconds):
            if asyncio.current_task() is following:
                slept.append(seconds)
            await others(0.01)

        monkeypatch.setattr(app.asyncio, "sleep", sleep)
        async with asyncio.timeout(30):
            while len(looked) < 2:
                await others(0.01)
        following.cancel()

    monkeypatch.setattr(app, "follow_on", follow_on)
    asyncio.run(follow())
    monkeypatch.undo()
    assert slept[0] == 1
    assert looked[:2] == [{}, {("acme", "s1"): 30.0}]


def test_how_far_another_process_brought_the_database_is_remembered_here_too(stage, tmp_path):
    """Else a backup in its place went unnoticed where only this one is started again."""
    file = stage.deps.store._epoch_file
    other = ControlStore.open(
        str(stage.deps.store._engine.url), now=stage.clock(), epoch_file=tmp_path / "elsewhere.epoch"
    )
    with other.write() as rows:
        told = {"tenant_id": "acme", "subject_id": "s1", "reason": "x", "actor": "ann", "now": stage.clock()}
        rows.ledger.append(status="revoked", reason_code="manual", expires_at=stage.clock(), **told)
    assert until(lambda: file.read().n) == 1
    other.close()


def test_a_ledger_that_cannot_be_read_is_a_metric_to_page_on_until_it_can(stage):
    metrics, listings = stage.deps.metrics, stage.client.app.state.listings
    stage.revoke("s1")
    stage.revoke("s2")

    async def shown(value):
        listening = asyncio.create_task(
            app._listen_for_ever(stage.deps, Rounds(stage.deps.stopwatch, stage.deps.metrics), listings, Bell())
        )
        await asyncio.to_thread(until, lambda: metrics.value("guardian_ledger_unread") == value)
        listening.cancel()
        return metrics.value("guardian_ledger_unread")

    def spoil(status):
        with writing(stage.deps.store._engine) as connection:
            connection.execute(text("UPDATE control_ledger SET status = :status WHERE n = 2"), {"status": status})

    assert asyncio.run(shown(0)) == 0
    spoil("no such word")
    with listings._lock:  # the application listens too
        listings._mirror._at = None  # as after a restart
    assert asyncio.run(shown(1)) == 1
    assert stage.revocations().status_code >= 500  # an entry that is not understood is never left out
    spoil("revoked")
    assert asyncio.run(shown(0)) == 0
    assert len(stage.revocations().json()["entries"]) == 2
