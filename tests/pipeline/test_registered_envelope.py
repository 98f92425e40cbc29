"""The log's envelope against the registered ones: told once, a recorded fact, silent where nothing is known."""

import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.bootstrap.plugins import find, make, names
from guardian.domain.envelope import Envelope
from guardian.domain.event import DecisionEvent
from guardian.domain.finding import Effect, Kind
from guardian.domain.session import HumanWord
from guardian.pipeline.side_findings import TOLD_A_DAY
from guardian.sources.completing import Completion
from guardian.sources.reading import Reader

WIDER = ["contracts.read", "crm.read", "payments.send"]
OWN = ("guardian", "cloudevents")  # their tools keep their names
LATER = "2026-05-12T20:30:00Z"


def digest(body: dict[str, Any]) -> str:
    """As the delegation service computes it: from the envelope, before anything of it is redacted."""
    return Envelope.model_validate_json(json.dumps(body["envelope"])).digest


def register(world, body: dict[str, Any], session: str = "s1") -> None:
    world.hear(HumanWord.REGISTERED, session=session, detail=digest(body))


def test_a_log_that_carries_the_registered_envelope_is_no_finding(world, body) -> None:
    register(world, body())
    world.feed(body(1), body(2, envelope__allowed_tools=["crm.read", "contracts.read"]))
    assert world.told(Kind.ENVELOPE) == []


def test_a_log_with_another_envelope_is_told_once_and_only_flags(world, body) -> None:
    register(world, body())
    for n in range(4):
        world.feed(body(n, envelope__allowed_tools=WIDER))
    (finding,) = world.told(Kind.ENVELOPE)
    assert (finding.wanted, finding.severity, finding.session_id) == (Effect.FLAG, "high", "s1")
    assert finding.subject.envelope_digest == digest(body(envelope__allowed_tools=WIDER))
    assert [(b.name, b.hard) for b in finding.breaches] == [("envelope_not_registered", False)]
    assert "which fields differ is for control to say" in finding.breaches[0].detail


def test_the_fields_that_differ_are_named_where_the_session_began_with_a_registered_envelope(world, body) -> None:
    register(world, body())
    world.feed(body(1))
    world.feed(body(2, envelope__allowed_tools=WIDER, envelope__expires_at=LATER))
    (finding,) = world.told(Kind.ENVELOPE)
    assert finding.breaches[0].detail.endswith("differs in: allowed_tools, expires_at.")


def test_a_session_for_which_nothing_is_registered_says_nothing(world, body) -> None:
    register(world, body(), session="another")
    world.feed(body(1), body(2, envelope__allowed_tools=WIDER))
    assert world.told(Kind.ENVELOPE) == []


def test_a_reissue_that_was_heard_of_is_registered_like_the_first(world, body) -> None:
    register(world, body())
    world.feed(body(1))
    register(world, body(envelope__expires_at=LATER))
    world.feed(body(2, envelope__expires_at=LATER), body(3))
    assert world.told(Kind.ENVELOPE) == []


def test_an_envelope_seen_before_anything_was_registered_is_compared_at_its_next_call(world, body) -> None:
    world.feed(body(1, envelope__allowed_tools=WIDER))
    register(world, body())
    assert world.told(Kind.ENVELOPE) == []
    world.feed(body(2, envelope__allowed_tools=WIDER))
    assert len(world.told(Kind.ENVELOPE)) == 1


def test_each_unregistered_envelope_is_a_finding_of_its_own_up_to_a_bound_a_day(
    new_world, make_decoder, body, record, now
) -> None:
    world = new_world(decoder=make_decoder(clock=lambda: now + timedelta(days=2)))
    register(world, body())
    for day in (0, 1):
        at = (now + timedelta(days=day)).isoformat()
        for n in range(TOLD_A_DAY + 9):
            call = body(100 * day + n, time=at, envelope__task_id=f"task_{100 * day + n}")
            world.feed(record(call, timestamp=now + timedelta(days=day)))
        told = world.told(Kind.ENVELOPE)
        assert len({finding.subject.envelope_digest for finding in told}) == len(told) == (1 + day) * TOLD_A_DAY
        assert len([name for name in world.state().reported if Kind.ENVELOPE in name]) == TOLD_A_DAY


def test_renewals_that_are_read_before_their_registration_hide_no_forged_one(world, body) -> None:
    """The delegation service registers, and the gateway logs the next call, within a second."""
    register(world, body())
    world.feed(body(0))
    for n in range(1, TOLD_A_DAY + 2):
        renewed = body(n, envelope__expires_at=f"2026-05-12T20:{n:02}:00Z")
        world.feed(renewed)
        register(world, renewed)
    assert world.state().reported == ()
    world.feed(body(99, envelope__allowed_tools=WIDER))
    assert len(world.told(Kind.ENVELOPE)) == TOLD_A_DAY + 2


def test_the_digest_is_of_the_envelope_before_credentials_were_taken_out(world, body) -> None:
    secret = {"envelope__purpose": "review the contract with AIza" + "b" * 35}
    register(world, body(**secret))
    world.feed(body(1, **secret))
    assert "AIza" not in world.scored[0].decoded.event.envelope.purpose
    assert world.told(Kind.ENVELOPE) == []


@pytest.mark.parametrize(
    "format", [each for each in names("sources") if "envelope" in find("sources", each).carries]
)
@pytest.mark.parametrize("as_logged", [True, False])
def test_an_adapted_logs_envelope_is_the_registered_one_however_its_tools_are_spelt(
    new_world, make_decoder, body, format: str, as_logged: bool
) -> None:
    """The delegation service registers what it hands out; guardian knows the tools by names of its own."""
    source = Reader({format: make("sources", format, {})}, Completion())
    spelt, known = ["mcp__crm__read", "contracts/read"], ["contracts.read", "crm.read"]
    world = new_world(decoder=dataclasses.replace(make_decoder(), source=source))
    register(world, body(envelope__allowed_tools=spelt if as_logged or format in OWN else known))
    for n, tools in enumerate((spelt, [*spelt, "payments/send"])):
        call = DecisionEvent.model_validate_json(json.dumps(body(n, envelope__allowed_tools=tools)))
        world.feed(source.formats[format].write(call))
        assert len(world.told(Kind.ENVELOPE)) == n
    assert world.dead == 0


def test_a_revoked_sessions_denials_tell_nothing_more(world, body) -> None:
    register(world, body())
    world.hear(HumanWord.REVOKED)
    world.feed(body(1, envelope__allowed_tools=WIDER, decision__effect="deny"))
    assert world.told(Kind.ENVELOPE) == []


@pytest.mark.parametrize("kind", [Kind.DRIFT, Kind.GATEWAY, Kind.HYGIENE, Kind.IDENTITY])
def test_every_finding_about_a_decision_says_under_which_envelope_it_was_made(world, body, kind: Kind) -> None:
    careless = {"envelope__expires_at": ...}
    world.feed(body(1, action__tool="crm.write", **careless), body(1, action__tool="crm.read", **careless))
    (finding,) = world.told(kind)
    assert finding.subject.envelope_digest == digest(body(**careless))


def test_an_expiry_outside_the_calendar_is_judged_like_any_other(world, body) -> None:
    register(world, body())
    world.feed(body(1, envelope__expires_at="0001-01-01T00:00:00+14:00"))
    assert (world.dead, len(world.told(Kind.ENVELOPE))) == (0, 1)


VARIANTS: list[dict[str, Any]] = [{}, {"envelope__allowed_tools": WIDER}, {"envelope__expires_at": LATER}]
steps = st.lists(
    st.tuples(st.sampled_from(["call", "call", "registered"]), st.sampled_from(VARIANTS), st.sampled_from("ab"))
    | st.tuples(st.sampled_from(["revoked", "reinstated", "lapsed"]), st.just({}), st.sampled_from("ab")),
    max_size=14,
)


@given(steps, st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_the_same_calls_and_words_in_the_same_order_give_the_same_findings(
    new_world, body, record, now, log, batch: int
) -> None:
    """Live one by one, replayed in batches that end where a word was heard."""
    live, replayed = new_world(), new_world()
    waiting: list[Any] = []
    for n, (what, change, session) in enumerate(log):
        call = body(n, **{"envelope__session_id": session, **change})
        if what == "call":
            entry = record(call, n, timestamp=now + timedelta(seconds=n))
            live.feed(entry)
            waiting.append(entry)
            if len(waiting) < batch:
                continue
        replayed.feed(*waiting)
        waiting = []
        if what != "call":
            for world in (live, replayed):
                world.hear(HumanWord(what), session=session, detail=digest(call), at=now)
    replayed.feed(*waiting)
    assert replayed.findings == live.findings
    assert replayed.memory == live.memory
