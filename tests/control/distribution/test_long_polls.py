"""Long polls: what they wait for, and how many of them one principal may have open."""

import asyncio
import threading
import time

import httpx
import pytest
from until import until

from guardian.control.distribution.bell import Bell
from guardian.control.distribution.long_polls import LongPolls, Places
from guardian.control.problems import Refusal
from guardian.control.routes import advise
from guardian.control.switch import SwitchRule
from guardian.store.control.approvals import ApprovalRows
from guardian.wire.advice import Weighing


def long_polls(bell=None, most=10):
    return LongPolls(bell or Bell(), Places(most, kind="long polls", code="too_many_long_polls"), longest_s=60)


async def admitted():
    """The token is good still."""


async def waiting(polls, who="gateway-1", **more):
    """A long poll that has looked and seen nothing yet. Raises Refusal for one that found no place."""
    looked = asyncio.Event()

    async def look():
        looked.set()
        return "nothing"

    task = asyncio.ensure_future(polls.hold(who, 60, look, until=lambda _: False, admit=admitted, **more))
    await asyncio.wait((task, asyncio.ensure_future(looked.wait())), return_when=asyncio.FIRST_COMPLETED)
    return task.result() if task.done() else task


@pytest.mark.parametrize("every_s", [60.0, 0.01])
def test_a_server_that_stops_answers_whoever_waits(every_s):
    async def scenario():
        bell = Bell()
        held = await waiting(long_polls(bell), every_s=every_s)
        bell.close()
        return await asyncio.wait_for(held, 20)

    assert asyncio.run(scenario()) == "nothing"


def test_each_principal_has_places_of_its_own_and_gets_them_back():
    async def scenario():
        polls = long_polls(most=1)
        first = await waiting(polls)
        with pytest.raises(Refusal, match="1 long polls are open already") as refused:
            await waiting(polls)
        other = await waiting(polls, "gateway-2")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        again = await waiting(polls)
        for held in (other, again):
            held.cancel()
        return refused.value

    refusal = asyncio.run(scenario())
    assert (refusal.status_code, refusal.code) == (503, "too_many_long_polls")


def test_who_does_not_wait_needs_no_place():
    async def look():
        return "nothing"

    held = long_polls(most=0).hold("gateway-1", 0, look, until=lambda _: False, admit=admitted)
    assert asyncio.run(held) == "nothing"


@pytest.mark.parametrize(
    ("path", "asks"),
    [
        ("/v1/revocations", {"params": {"wait": 30, "since": "1.0"}}),
        ("/v1/opa/bundle.tar.gz", {"headers": {"Prefer": "modes=snapshot;wait=30", "If-None-Match": '"x"'}}),
        ("/v1/advise/apr_1", {"params": {"wait": 30}}),
    ],
)
def test_one_long_poll_too_many_is_refused_and_the_same_without_waiting_is_answered(make_stage, path, asks):
    stage = make_stage(switch=SwitchRule(watch_every_s=3600, waits_per_caller=0))
    refused = stage.call("GET", path, "gateway", **asks)
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("too_many_long_polls", "1")
    assert stage.call("GET", path, "gateway").status_code in (200, 404)


def test_a_long_poll_over_http_gives_its_place_back(make_stage):
    stage = make_stage(switch=SwitchRule(watch_every_s=3600, waits_per_caller=1))
    asks, answers = {"params": {"wait": 30, "since": "1.0"}}, []
    held = threading.Thread(target=lambda: answers.append(stage.revocations(**asks)))
    held.start()
    places = stage.client.app.state.long_polls._places
    until(places.taken)
    assert stage.revocations(**asks).status_code == 503
    stage.revoke("s1")
    held.join(20)
    assert [each.status_code for each in answers] == [200]
    assert places.taken() == 0
    stage.revoke("s2")
    assert stage.revocations(**asks).status_code == 200


def test_a_token_that_was_withdrawn_meanwhile_is_not_told_what_it_waited_for(stage, monkeypatch):
    who = stage.deps.tokens.verify(stage.token("gateway"), now=stage.clock())

    async def withdrawn_meanwhile(_event, _seconds):
        with stage.deps.store.write() as rows:
            rows.tokens.revoke(who.jti, by="operator", now=stage.clock())
        await asyncio.to_thread(stage.revoke, "s1")

    monkeypatch.setattr("guardian.control.distribution.long_polls.heard", withdrawn_meanwhile)
    assert stage.revocations(params={"wait": 30, "since": "1.0"}).status_code == 401


class Alarmed:
    def weigh(self, line, timeout_s):
        return Weighing(score=0.98, session_evidence=5.0, one_in=50_000.0, promised=True, independent_signals=3)


def test_however_many_wait_for_a_held_call_one_look_serves_all(make_stage, monkeypatch):
    stage = make_stage(adviser=Alarmed(), default_mode="enforce")
    envelope = {"delegator_id": "u", "tenant_id": "acme", "session_id": "s1", "purpose": "review"}
    body = {
        "subject": {"type": "session", "id": "s1"},
        "action": {"name": "crm.export"},
        "resource": {"type": "customer", "id": "c1"},
        "context": {"envelope": envelope},
    }
    held = stage.call("POST", "/v1/advise", "gateway", json=body).json()["context"]["approval"]
    looks, get = [], ApprovalRows.get
    monkeypatch.setattr(ApprovalRows, "get", lambda *told: looks.append(time.monotonic()) or get(*told))
    monkeypatch.setattr(advise, "_LOOK_AGAIN_S", 0.1)

    async def scenario():
        headers, app = {"Authorization": f"Bearer {stage.token('gateway')}"}, httpx.ASGITransport(stage.client.app)
        async with httpx.AsyncClient(transport=app, base_url="http://control", headers=headers) as client:
            waiting = [asyncio.ensure_future(client.get(held["wait_at"], params={"wait": 30})) for _ in range(40)]
            await asyncio.to_thread(until, lambda: len({int(at / 0.1) for at in looks}) >= 6)
            looked = len(looks)
            await asyncio.to_thread(stage.decide, held["id"], "approve", "responder")
            return looked, await asyncio.gather(*waiting)

    looked, answers = asyncio.run(scenario())
    assert looked <= 2 * 40, "the first look is each one's own"
    assert {each.json()["decision"] for each in answers} == {True}
