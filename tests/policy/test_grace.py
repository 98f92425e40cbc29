"""While a decision point gives no answer, gateways keep the revocation list for a while, and nobody gets more."""

import dataclasses
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import pytest
from serving import JSON, Reply

from guardian.bootstrap import plugins
from guardian.policy import grace
from guardian.policy.floor import Floor
from guardian.policy.port import Asker, PolicyAction, PolicyDecision, PolicyRequest, SessionFacts
from guardian.policy.remote import RemotePoint

REMOTE = [name for name in plugins.names("policy") if issubclass(plugins.find("policy", name), RemotePoint)]
GATEWAY = Asker("gw-1", "gateway", frozenset({"acme", "globex"}), jti="token-1")
LISTED = PolicyRequest(GATEWAY, "readRevocations", "acme", hour=11)
ALLOW = Reply({"result": True, "decision": True})
DENY = Reply({"result": False, "decision": False})
HANGS_UP = None


@dataclasses.dataclass
class Far:
    """A decision point over HTTP, and what its server answers next."""

    point: RemotePoint
    says: list

    def __call__(self, request=LISTED, says=HANGS_UP):
        self.says[:] = [says]
        return self.point.decide(request)


@pytest.fixture(params=REMOTE)
def make_far(request, serve, hand_clock):
    def make(**options):
        says = [ALLOW]
        url = serve(lambda _: says[0]).url
        given = {"url": url, "rest_s": 0, "timeout_s": 10.0, **options}
        parts = {"clock": hand_clock, "new_id": lambda: uuid.uuid4().hex}
        return Far(plugins.make("policy", request.param, given, **parts), says)

    return make


@pytest.fixture
def far(make_far):
    return make_far()


def test_its_last_permit_stands_in_and_what_is_wrong_is_told(far):
    permitted = far(says=ALLOW)
    bridged = far()
    assert (permitted.allowed, permitted.instead_of) == (True, ())
    assert (bridged.allowed, bridged.errors) == (True, ())
    [why] = bridged.instead_of
    assert "broke off" in why
    assert far(dataclasses.replace(LISTED, hour=12, mode="enforce")).allowed, "the same question, an hour later"
    assert far(says=ALLOW) == permitted


OTHERS = {
    "another tenant": dataclasses.replace(LISTED, tenant_id="globex"),
    "every tenant": dataclasses.replace(LISTED, tenant_id=None),
    "another token": dataclasses.replace(LISTED, asker=dataclasses.replace(GATEWAY, jti="token-2")),
    "another reach": dataclasses.replace(LISTED, asker=dataclasses.replace(GATEWAY, tenants=frozenset({"acme"}))),
    "another role": dataclasses.replace(LISTED, asker=dataclasses.replace(GATEWAY, role="monitor")),
    "another principal": dataclasses.replace(LISTED, asker=dataclasses.replace(GATEWAY, id="gw-2")),
}


@pytest.mark.parametrize("other", OTHERS)
def test_nobody_else_gets_anything_by_it(far, other):
    far(says=ALLOW)
    assert far(OTHERS[other]).errors


@pytest.mark.parametrize("action", [each for each in get_args(PolicyAction) if each != "readRevocations"])
def test_nothing_else_outlives_an_answer(far, action):
    asked = dataclasses.replace(LISTED, action=action)
    assert far(asked, ALLOW).allowed
    assert far(asked).errors


def test_nor_does_the_list_of_one_session(far):
    asked = dataclasses.replace(LISTED, session=SessionFacts("s1"))
    assert far(asked, ALLOW).allowed
    assert far(asked).errors


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_one_has_given_no_answer(far, status):
    far(says=ALLOW)
    assert far(says=Reply(status=status)).instead_of


ENDS = {
    "no": DENY,
    "broken": Reply(status=500),
    "token refused": Reply(status=401),
    "nonsense": Reply(b"{", headers=JSON),
    "neither": Reply({"result": "yes", "decision": "yes"}),
}


@pytest.mark.parametrize("answer", ENDS)
def test_any_answer_but_a_permit_ends_it(far, answer):
    far(says=ALLOW)
    assert not far(says=ENDS[answer]).allowed
    assert far().errors
    far(says=ALLOW)
    assert far().allowed


def test_a_permit_under_obligations_ends_it(serve, hand_clock):
    replies = iter([ALLOW, Reply({"decision": True, "context": {"obligations": [{"id": "log"}]}}), HANGS_UP])
    options = {"url": serve(lambda _: next(replies)).url, "rest_s": 0, "timeout_s": 10.0}
    point = plugins.make("policy", "authzen", options, clock=hand_clock, new_id=lambda: "1")
    assert [point.decide(LISTED).allowed for _ in range(3)] == [True, False, False]


def test_a_permit_that_a_no_overtook_is_none(serve, hand_clock):
    came, overtaken, answers = threading.Event(), threading.Event(), iter([ALLOW, DENY, HANGS_UP])

    def answer(_):
        said = next(answers)
        if said is ALLOW:
            came.set()
            assert overtaken.wait(10)
        return said

    options = {"url": serve(answer).url, "rest_s": 0, "timeout_s": 10.0}
    point = plugins.make("policy", "authzen", options, clock=hand_clock, new_id=lambda: "1")
    with ThreadPoolExecutor() as threads:
        first = threads.submit(point.decide, LISTED)
        assert came.wait(10)
        hand_clock.now += 1
        assert not point.decide(LISTED).allowed
        overtaken.set()
        assert first.result(10).allowed
    assert point.decide(LISTED).errors


def test_other_bundles_end_it(serve, hand_clock):
    def of(revision):
        return Reply({"result": True, "provenance": {"bundles": {"acme": {"revision": revision}}}})

    replies = iter([of("1"), HANGS_UP, of("2"), HANGS_UP])
    options = {"url": serve(lambda _: next(replies)).url, "rest_s": 0, "timeout_s": 10.0}
    point = plugins.make("policy", "opa", options, clock=hand_clock, new_id=lambda: "1")
    assert [point.decide(LISTED).allowed for _ in range(2)] == [True, True]
    assert point.decide(OTHERS["another tenant"]).allowed
    assert point.decide(LISTED).errors


def test_it_lasts_as_long_as_is_set_from_the_last_permit_on(make_far, hand_clock):
    far = make_far(grace_s=60)
    for hand_clock.now in (0.0, 50.0):
        assert far(says=ALLOW).allowed
    for hand_clock.now, allowed in ((100.0, True), (109.9, True), (110.0, False)):
        assert far().allowed is allowed
    never = make_far(grace_s=0)
    never(says=ALLOW)
    assert never().errors


def test_while_it_is_left_alone_its_permit_stands_in_too(make_far, hand_clock):
    far = make_far(rest_s=30)
    far(says=ALLOW)
    assert "broke off" in far().instead_of[0]
    assert "not asked" in far().instead_of[0]


@dataclasses.dataclass
class Ours:
    """A floor."""

    said: PolicyDecision
    version: str = "v1"

    def decide(self, request):
        return self.said


def test_the_floor_is_asked_each_time(far):
    ours = Ours(PolicyDecision(True))
    both = Floor(far.point, ours)
    assert both.decide(LISTED).allowed
    far.says[:] = [HANGS_UP]
    bridged = both.decide(LISTED)
    assert (bridged.allowed, len(bridged.instead_of)) == (True, 1)
    ours.said = PolicyDecision(False, ("not-at-night",), {"not-at-night": "why"})
    refused = both.decide(LISTED)
    assert (refused.allowed, refused.policy_ids, refused.errors) == (False, ("floor:not-at-night",), ())
    assert refused.instead_of == bridged.instead_of
    ours.said = PolicyDecision(False, errors=("overflow",))
    assert both.decide(LISTED).errors == ("floor: overflow",)


def test_what_is_remembered_is_bounded_and_the_oldest_is_forgotten(far, monkeypatch):
    monkeypatch.setattr(grace, "_MOST", 2)
    first, second, third = LISTED, OTHERS["another tenant"], OTHERS["another token"]
    for asked in (first, second, first, third):
        assert far(asked, ALLOW).allowed
    assert [far(asked).allowed for asked in (first, second, third)] == [True, False, True]
