"""Where keys are configured: whose envelope is forged, whose nobody signed, and what that is counted for."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from guardian.bootstrap.plugins import find, make, names
from guardian.domain.envelope import Envelope, Grant
from guardian.domain.event import DecisionEvent
from guardian.domain.finding import Effect, Kind
from guardian.domain.session import HumanWord, Stage
from guardian.keys.envelope import EnvelopeVerifier
from guardian.pipeline.filling import Filling
from guardian.sources.completing import Completion
from guardian.sources.reading import Reader

KEYS = {name: OKPKey.generate_key("Ed25519", {"kid": "k1"}) for name in ("ours", "mallory's")}
CARRY = [each for each in names("sources") if "envelope" in find("sources", each).carries]
WIDER = ["contracts.read", "crm.read", "payments.send"]


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> EnvelopeVerifier:
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    path.write_text(json.dumps({"keys": [KEYS["ours"].as_dict(private=False)]}))
    return EnvelopeVerifier(path)


@pytest.fixture
def signing(new_world, make_decoder, verifier) -> Callable[..., Any]:
    """A world that checks signatures."""
    return lambda **more: new_world(decoder=dataclasses.replace(make_decoder(verify=verifier), **more))


def signed(envelope: dict[str, Any], by: str = "ours") -> str:
    return jws.serialize_compact(
        {"alg": "Ed25519", "kid": "k1"}, json.dumps(envelope), KEYS[by], algorithms=["Ed25519"]
    )


def named(world: Any) -> list[tuple[str, Effect]]:
    """The rules that findings about sessions name, and what these ask for."""
    return [(b.name, f.wanted) for f in world.told(Kind.DRIFT) for b in f.breaches]


@pytest.mark.parametrize("format", CARRY)
@pytest.mark.parametrize(
    ("by", "told"),
    [
        ("ours", []),
        ("mallory's", [("signature_invalid", Effect.REVOKE)]),
        (None, [("signature_missing", Effect.FLAG)]),
    ],
)
def test_a_forged_envelope_and_one_that_nobody_signed_are_found_in_every_format_that_carries_one(
    signing, body, format: str, by: str | None, told: list[Any]
) -> None:
    """However its tools are spelt there: they were signed so."""
    source = Reader({format: make("sources", format, {})}, Completion())
    world = signing(source=source)
    tools = {} if format in ("guardian", "cloudevents") else {"envelope__allowed_tools": ["contracts/read"]}
    call = body(1, **tools)
    if by is not None:
        call["envelope_jws"] = signed(call["envelope"], by)
    world.feed(source.formats[format].write(DecisionEvent.model_validate_json(json.dumps(call))))
    assert (world.dead, named(world)) == (0, told)


def test_who_accepts_one_forged_envelope_has_not_accepted_another(signing, body) -> None:
    """As after keys were changed."""
    world = signing()
    for number, (tools, told) in enumerate(((WIDER[:2], 1), (WIDER[:2], 1), (WIDER, 2))):
        call = body(number, envelope__allowed_tools=tools)
        world.feed(call | {"envelope_jws": signed(call["envelope"], "mallory's")})
        assert len(world.told(Kind.DRIFT)) == told
        world.hear(HumanWord.REINSTATED)


def test_a_signature_of_another_envelope_is_a_forged_one(signing, body) -> None:
    world = signing(source=Reader({"opa": make("sources", "opa", {})}, Completion()))
    call = body(1, envelope__allowed_tools=WIDER)
    event = DecisionEvent.model_validate_json(json.dumps(call | {"envelope_jws": signed(body()["envelope"])}))
    world.feed(make("sources", "opa", {}).write(event))
    assert [name for name, _ in named(world)] == ["signature_invalid"]


def test_who_brings_the_envelope_of_another_is_found_in_its_own_session_however_it_is_signed(
    signing, body
) -> None:
    world = signing(source=Reader({"opa": make("sources", "opa", {})}, Completion()))
    envelope = body()["envelope"]
    told = {"tool": "contracts.read", "envelope": envelope, "envelope_jws": signed(envelope)}
    whose = {"session_id": "mallorys", "tenant_id": envelope["tenant_id"], "user": "mallory"}
    world.feed(
        {
            "decision_id": "d", "labels": {"app": "gw"}, "path": "a/b", "result": True, "input": {**told, **whose},
            "timestamp": body()["time"],
        }
    )  # fmt: skip
    assert named(world) == [("envelope_mismatch", Effect.FLAG)]
    assert {f.session_id for f in world.told(Kind.DRIFT)} == {"mallorys"}


def test_who_accepts_one_envelope_that_is_anothers_has_not_accepted_the_next(signing, body) -> None:
    world = signing(source=Reader({"opa": make("sources", "opa", {})}, Completion()))
    envelope = body()["envelope"]
    whose = {"session_id": "mallorys", "tenant_id": envelope["tenant_id"], "user": "mallory"}
    for number, (session, findings) in enumerate((("sess_a", 1), ("sess_a", 1), ("sess_b", 2))):
        told = {"tool": "contracts.read", "envelope": envelope | {"session_id": session}}
        world.feed(
            {
                "decision_id": f"d{number}", "labels": {"app": "gw"}, "path": "a/b", "result": True,
                "input": {**told, **whose}, "timestamp": body()["time"],
            }
        )  # fmt: skip
        assert len(world.told(Kind.DRIFT)) == findings
        world.hear(HumanWord.REINSTATED, session="mallorys")


def test_what_stands_beside_plain_names_in_opas_input_is_read_too(signing, body) -> None:
    world = signing(source=Reader({"opa": make("sources", "opa", {})}, Completion()))
    envelope = body()["envelope"]
    for number, by in enumerate(("ours", "mallory's")):
        told = {"tool": "contracts.read", "envelope": envelope, "envelope_jws": signed(envelope, by)}
        world.feed(
            {
                "decision_id": f"d{number}", "labels": {"app": "gw"}, "path": "a/b", "result": True, "input": told,
                "timestamp": body()["time"],
            }
        )  # fmt: skip
        assert [name for name, _ in named(world)] == ["signature_invalid"] * number


def test_a_mapping_of_ones_own_says_where_the_signature_stands(signing, body) -> None:
    fields = {"tool": "tool", "decision": "ok", "time": "at", "gateway": "gw", "envelope": "grant.said"}
    mapping = make("sources", "mapping", {"fields": {**fields, "envelope_jws": "grant.proof"}})
    world = signing(source=Reader({"mapping": mapping}, Completion()))
    envelope = body()["envelope"]
    call = {"tool": "contracts.read", "ok": True, "at": body()["time"], "gw": "gw"}
    world.feed(call | {"grant": {"said": envelope, "proof": signed(envelope)}})
    assert named(world) == []
    world.feed(call | {"grant": {"said": envelope, "proof": signed(envelope, "mallory's")}})
    assert [name for name, _ in named(world)] == ["signature_invalid"]


def test_a_log_without_envelopes_is_asked_for_no_signature(signing, body) -> None:
    world = signing(source=Reader({"mapping": make("sources", "mapping", {})}, Completion()))
    call = {"tool": "contracts.read", "decision": True, "time": body()["time"], "gateway": "gw", "tenant": "acme"}
    world.feed(call | {"session": "s1"}, call | {"session": "s1", "envelope_jws": signed(body()["envelope"])})
    assert (len(world.scored), named(world)) == (2, [])


@pytest.mark.parametrize("by", ["control", "topic", "file"])
def test_an_envelope_that_was_registered_needs_no_signature_in_the_log_and_another_does(
    signing, body, by: str
) -> None:
    envelope = Envelope.model_validate_json(json.dumps(body()["envelope"]))
    known = {envelope.key: Grant(envelope, envelope.digest)} if by == "file" else {}
    world = signing(begin=Filling(known=known).begin)
    if by == "control":
        world.hear(HumanWord.REGISTERED, detail=envelope.digest)
        world.hear(HumanWord.REGISTERED, detail="a later one")
    if by == "topic":
        world.register(body()["envelope"])
    world.feed(body(1))
    assert named(world) == []
    world.feed(body(2, envelope__allowed_tools=["contracts.read"]))
    assert [name for name, _ in named(world)] == ["signature_missing"]


def test_what_nobody_signed_flags_the_session_and_accuses_neither_its_agent_nor_its_gateway(
    signing, world, body, drifting
) -> None:
    asked = signing()
    for each in (asked, world):
        each.feed(body(1), *(drifting(n) for n in range(2, 5)), body(5, action__tool="crm.write"))
    assert asked.state().stage is Stage.FLAGGED
    assert [b.name for b in asked.told(Kind.DRIFT)[0].breaches] == ["signature_missing"]
    assert [f.title for f in asked.told(Kind.GATEWAY)] == [f.title for f in world.told(Kind.GATEWAY)]
    assert asked.state().evidence == world.state().evidence
    scores = [
        [(s.drift.score, s.drift.p_value, s.drift.one_in, s.drift.promised) for s in each.scored]
        for each in (asked, world)
    ]
    assert scores[0] == scores[1]


def test_nor_does_it_bring_back_what_people_waved_through(signing, world, body) -> None:
    asked, outside = signing(), {"action__tool": "crm.write"}
    for each in (asked, world):
        each.feed(body(1, **outside))
        each.hear(HumanWord.REINSTATED)
        each.memory = dataclasses.replace(
            each.memory,
            sessions={
                key: state.model_copy(update={"pardoned": ("tool_not_allowed",)})
                for key, state in each.memory.sessions.items()
            },
        )
        each.feed(body(2, **outside))
    assert asked.scored[1].drift.score == world.scored[1].drift.score < asked.scored[0].drift.score


def test_a_denied_call_under_an_unsigned_envelope_is_told_and_flags_nobody(signing, body) -> None:
    world = signing()
    world.feed(body(1, decision__effect="deny"))
    assert [(b.name, b.hard) for b in world.scored[0].drift.breaches] == [("signature_missing", False)]
    assert world.state().stage is Stage.CLEAR
