"""A deployment's own rules: drop, hash or keep the shape, before anything is stored, embedded or shown."""

import base64
import dataclasses
import json

import pytest

from guardian.domain.envelope import UNTOLD, Envelope
from guardian.domain.event import DecisionEvent
from guardian.errors import ConfigurationError
from guardian.pipeline.redaction import FieldRules, redact_envelope
from guardian.signals.credentials.scanner import CredentialScanner


@pytest.fixture
def redacting(new_world, make_decoder):
    """A world that redacts by rules."""

    def build(ways):
        scanner = CredentialScanner(key=b"k")
        return new_world(decoder=dataclasses.replace(make_decoder(), redactor=FieldRules(scanner, ways, b"key")))

    return build


def envelope_breach(world):
    return next(s for s in world.scored[-1].drift.signals if s.name == "envelope_breach")


def rules(**ways):
    return FieldRules(
        CredentialScanner(key=b"k"), {path.replace("__", "."): way for path, way in ways.items()}, b"key"
    )


@pytest.fixture
def event(body):
    arguments = {
        "customer": {"email": "Maya.Li@acme.example", "phone": 4917012345},
        "list": [{"iban": "DE12 3456"}, 7],
    }
    return DecisionEvent.model_validate_json(
        json.dumps(body(action__arguments=arguments, decision__reason="because"))
    )


def test_a_dropped_field_is_gone_and_what_is_not_there_is_left_alone(event):
    clean, _ = rules(**{"action.arguments.customer": "drop", "action.arguments.absent.x": "drop"}).redact(event)
    assert clean.action.arguments == {"list": [{"iban": "DE12 3456"}, 7]}
    nothing, _ = rules(**{"action.arguments": "drop", "decision.reason": "drop"}).redact(event)
    assert nothing.action.arguments is None
    assert "arguments" in nothing.features_missing
    assert nothing.decision.reason == ""


def test_a_name_is_hashed_as_names_are_compared_and_an_untold_one_stays_untold(body):
    both = rules(**{"envelope.delegator_id": "hash", "envelope.agent_id": "hash"})

    def hashed(delegator, agent=None):
        told = body(envelope__delegator_id=delegator, envelope__agent_id=agent)
        envelope = both.redact(DecisionEvent.model_validate_json(json.dumps(told)))[0].envelope
        return envelope.delegator_id, envelope.agent_id

    ann, none = hashed("ann@acme.example")
    assert (ann[:5], none) == ("hash:", None)
    assert hashed("Ann@Acme.example", 'User::"ann@acme.example"') == (ann, ann)
    assert hashed("bob@acme.example")[0] != ann
    assert hashed(UNTOLD) == (UNTOLD, None)


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("customer.email", {"customer.email", "customer.email.work"}),
        ("customer", {"customer.email", "customer.email.work", "customer.phone"}),
        ("*.email", {"customer.email", "customer.email.work", "a.b/email"}),
        ("a.b.email", {"a.b/email"}),
        ("a.*.email", {"a.b/email"}),
        ("custom", set()),
        ("customer.emails", set()),
    ],
)
def test_a_key_with_dots_is_the_path_that_it_spells(body, path, gone):
    flat = {"customer.email": "x@y", "customer.phone": 5, "customer.email.work": [1]}
    told = DecisionEvent.model_validate_json(json.dumps(body(action__arguments={**flat, "a.b": {"email": "x@y"}})))
    clean, _ = rules(**{f"action.arguments.{path}": "drop"}).redact(told)
    nested = clean.action.arguments.pop("a.b")
    assert {*flat} - {*clean.action.arguments} == gone - {"a.b/email"}
    assert nested == ({} if "a.b/email" in gone else {"email": "x@y"})


MAIL = '{"email": "ann@x.org", "n": 1}'


@pytest.mark.parametrize(
    ("path", "value", "left"),
    [
        ("c.email", MAIL, '{"n":1}'),
        ("c.*.email", f"[{MAIL}, 2]", '[{"n":1},2]'),
        ("c.0", '["ann@x.org", "Jürgen"]', '["Jürgen"]'),
        ("c.d.email", json.dumps({"d": MAIL}), '{"d":"{\\"n\\":1}"}'),
        ("c.email", json.dumps(MAIL), json.dumps('{"n":1}')),
        ("c.email", {"d.e": MAIL, "email": 1}, {"d.e": MAIL}),
        ("c.d.e.email", {"d.e": MAIL}, {"d.e": '{"n":1}'}),
        ("c.email", MAIL[:-4], ...),
        ("c.email", f"\ufeff{MAIL}", ...),
        ("c.email", "{'email': 'ann@x.org'}", ...),
        ("c.email", '{"email": 1, "email": 2}', ...),
        ("c.email", json.dumps(MAIL[:-4]), ...),
        ("c.email", json.dumps(MAIL)[:-4], ...),
        ("c.email", json.dumps(json.dumps(f"\n{MAIL}"))[:-4], ...),
        ("c.email", json.dumps(MAIL)[:-1] + '\\ud800"', ...),
        ("c.email", ' { "phone" : 1.50 } ', ' { "phone" : 1.50 } '),
        ("c.email", '"ann" she said', '"ann" she said'),
        ("c.email", '"ann"', '"ann"'),
        ("c.email", "[redacted:aws_key]", "[redacted:aws_key]"),
        ("c.email", "call ann {now}", "call ann {now}"),
    ],
)
def test_a_rule_reaches_into_a_text_of_json_and_hides_one_whole_that_cannot_be_read(body, path, value, left):
    told = DecisionEvent.model_validate_json(json.dumps(body(action__arguments={"c": value, "kept": MAIL})))
    clean, _ = rules(**{f"action.arguments.{path}": "drop"}).redact(told)
    assert clean.action.arguments == {"kept": MAIL} | ({} if left is ... else {"c": left})


def test_in_a_text_of_json_too_a_hash_is_one_and_a_shape_is_one(body):
    told = DecisionEvent.model_validate_json(json.dumps(body(action__arguments={"c": MAIL, "d": MAIL[:-4]})))
    hashing, shaping = ({f"action.arguments.{name}.email": way for name in "cd"} for way in ("hash", "shape"))
    nested = DecisionEvent.model_validate_json(json.dumps(body(action__arguments={"c": json.loads(MAIL)})))
    hashed = rules(**hashing).redact(told)[0].action.arguments
    assert json.loads(hashed["c"]) == rules(**hashing).redact(nested)[0].action.arguments["c"]
    assert hashed["d"].startswith("hash:")
    shaped = rules(**shaping).redact(told)[0].action.arguments
    assert shaped == {"c": '{"email":"xxx@x.xxx","n":1}', "d": '{"xxxxx": "xxx@x.xxx", "x"'}


@pytest.mark.parametrize("name", ["arguments", "purpose", "reason", "trace_id"])
def test_a_dropped_argument_is_gone_whatever_its_name(body, name):
    told = DecisionEvent.model_validate_json(json.dumps(body(action__arguments={name: "private", "kept": 1})))
    clean, _ = rules(**{f"action.arguments.{name}": "drop"}).redact(told)
    assert clean.action.arguments == {"kept": 1}


@pytest.mark.parametrize("path", ["action.arguments", "decision.reason", "envelope.purpose", "trace_id"])
def test_a_dropped_field_that_every_event_has_is_empty(event, path):
    clean, _ = rules(**{path: "drop"}).redact(event)
    told = clean.model_dump()
    for name in path.split("."):
        told = told[name]
    assert not told


def test_a_hash_keeps_equal_values_equal_and_depends_on_the_key(event):
    clean, _ = rules(**{"action.arguments.customer.*": "hash", "envelope.delegator_id": "hash"}).redact(event)
    hashed = clean.action.arguments["customer"]
    assert hashed["email"].startswith("hash:")
    assert hashed == rules(**{"action.arguments.customer.*": "hash"}).redact(event)[0].action.arguments["customer"]
    other = FieldRules(CredentialScanner(key=b"k"), {"action.arguments.customer.*": "hash"}, b"another key")
    assert other.redact(event)[0].action.arguments["customer"] != hashed
    assert clean.envelope.delegator_id.startswith("hash:")


def test_a_shape_says_what_kind_of_thing_it_was(event):
    clean, _ = rules(**{"action.arguments.customer": "shape", "action.arguments.list.*.iban": "shape"}).redact(
        event
    )
    assert clean.action.arguments["customer"] == {"email": "Xxxx.Xx@xxxx.xxxxxxx", "phone": 1000000000}
    assert clean.action.arguments["list"] == [{"iban": "XX99 9999"}, 7]


def test_a_credential_in_a_dropped_field_is_still_told(body):
    key = "AKIA" + "IOSFODNN7EXAMPLA"
    told = DecisionEvent.model_validate_json(json.dumps(body(action__arguments={"note": f"use {key}"})))
    clean, hits = rules(**{"action.arguments.note": "drop"}).redact(told)
    assert hits
    assert clean.action.arguments == {}


def test_a_registered_envelope_is_redacted_like_one_that_came_with_the_log():
    told = Envelope(delegator_id="maya", tenant_id="acme", session_id="s1", purpose="call 555")
    clean = redact_envelope(rules(**{"envelope.purpose": "shape", "envelope.delegator_id": "hash"}), told)
    assert (clean.purpose, clean.session_id) == ("xxxx 999", "s1")
    assert clean.delegator_id.startswith("hash:")


@pytest.mark.parametrize(
    ("path", "way", "reason"),
    [
        ("envelope.session_id", "hash", "not a field that can be redacted"),
        ("id", "drop", "not a field that can be redacted"),
        ("action.tool", "drop", "not a field that can be redacted"),
        ("envelope.agent_id", "drop", "a name can only be hashed"),
    ],
)
def test_what_guardian_needs_to_know_a_session_by_cannot_be_redacted(path, way, reason):
    with pytest.raises(ConfigurationError, match=reason):
        rules(**{path: way})


def test_marks_longer_than_what_they_hide_leave_every_field_within_its_bound(body):
    status = "://a:b@" * 18
    told = DecisionEvent.model_validate_json(json.dumps(body(result__status=status)))
    clean, hits = rules(**{"action.arguments.x": "drop"}).redact(told)
    assert "a:b" not in clean.result.status
    assert {hit.path for hit in hits} == {"result.status"}


ARGUMENTS, CONSTRAINTS = "action.arguments", "envelope.resource_constraints"
OWN = {"tenant_id": "acme", "session_id": "s1", "contract.id": "contract_7781", "ids": [{"amount": 400}]}


@pytest.mark.parametrize("text", ["Jürgen", "Ju\u0308rgen", "Иван", "हिन्दी", "ภาษาไทย", "山田太郎", "Ann 🏥 ٣"])
def test_a_shape_keeps_no_sign_of_any_script(body, text):
    told = DecisionEvent.model_validate_json(json.dumps(body(action__arguments={"customer": text})))
    clean, _ = rules(**{"action.arguments.customer": "shape"}).redact(told)
    shape = clean.action.arguments["customer"]
    assert set(shape) <= set("Xx9 ")
    assert len(shape) == len(text)


@pytest.mark.parametrize("way", ["drop", "hash", "shape"])
@pytest.mark.parametrize(
    "path",
    [
        ARGUMENTS, f"{ARGUMENTS}.*", f"{ARGUMENTS}.contract.id", CONSTRAINTS, f"{CONSTRAINTS}.max_amount",
        f"{CONSTRAINTS}.contract_ids.*",
    ],
)  # fmt: skip
def test_no_rule_for_privacy_accuses_an_honest_session_or_calls_it_inside(redacting, body, path, way):
    world = redacting({path: way})
    bounds = {"contract_ids": ["contract_7781"], "max_amount": 500}
    world.feed(body(1, action__arguments=OWN, action__resource=..., envelope__resource_constraints=bounds))
    told = envelope_breach(world)
    assert (told.value, told.breaches) == (0.0, ())
    assert told.reason.startswith("missing: ")
    assert not world.findings


@pytest.mark.parametrize("way", ["hash", "shape"])
def test_a_resource_id_that_is_hidden_is_not_compared(redacting, body, way):
    world = redacting({"action.resource.id": way})
    world.feed(body(1))
    assert envelope_breach(world).reason == "missing: resource.id (redacted), so not checked"


@pytest.mark.parametrize("way", ["hash", "shape"])
def test_a_quantity_that_is_hidden_is_missing_and_adds_nothing(redacting, body, way):
    world = redacting({f"{ARGUMENTS}.pay.*.amount": way})
    bounds = {"max_amount": 500}
    pays = {"pay": [{"amount": 999}, {"amount": 999}]}
    world.feed(body(1, envelope__resource_constraints=bounds, action__arguments=pays, action__resource=...))
    told = envelope_breach(world)
    assert told.breaches == ()
    assert told.reason == "missing: arguments.pay.amount (redacted), so not checked"
    assert world.state().signals["envelope_breach"]["sums"] == {"amount": 0}


def test_what_no_rule_hides_is_checked_as_before(redacting, body):
    world = redacting({f"{ARGUMENTS}.customer.email": "hash", f"{ARGUMENTS}.ids.1": "shape"})
    told = {"customer": {"email": "ann@acme.example"}, "ids": ["a", "b"]}
    world.feed(body(1, action__arguments={**told, "contract_id": "contract_7781"}))
    assert envelope_breach(world).reason == "inside its envelope"
    world.feed(body(2, action__arguments={**told, "tenant_id": "globex"}))
    assert [breach.name for breach in envelope_breach(world).breaches] == ["tenant_mismatch"]


def test_what_an_agent_writes_like_a_mark_hides_nothing(world, body):
    world.feed(body(1, action__arguments={"tenant_id": "[redacted:json_web_token]"}))
    assert [breach.name for breach in envelope_breach(world).breaches] == ["tenant_mismatch"]
    world.feed(body(2, action__arguments={"tenant_id": "hash:0123456789abcdef"}))
    assert [breach.name for breach in envelope_breach(world).breaches] == ["tenant_mismatch"]


def test_a_session_that_goes_by_a_credential_may_name_itself(world, body):
    parts = (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"123456","name":"x"}', b"sigsigsigsigsig")
    token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    world.feed(body(1, envelope__session_id=token, action__arguments={"session_id": token, "tenant_id": "acme"}))
    told = envelope_breach(world)
    assert (told.breaches, told.reason) == ((), "missing: arguments.session_id (redacted), so not checked")
    again = {"session_id": [token], "tenant_id": "globex"}
    world.feed(body(2, envelope__session_id=token, action__arguments=again))
    assert [breach.name for breach in envelope_breach(world).breaches] == ["tenant_mismatch"]


@pytest.mark.parametrize("way", ["drop", "hash", "shape"])
def test_a_child_is_not_held_to_what_redaction_hid_of_its_parent(redacting, body, way):
    world = redacting({CONSTRAINTS: way})
    child = {"envelope__session_id": "child", "envelope__parent_session_id": "s1"}
    fewer = {"contract_ids": ["contract_7781"], "max_records": 5}
    world.feed(body(1), body(2, **child, envelope__resource_constraints=fewer))
    told = next(s for s in world.scored[-1].drift.signals if s.name == "delegation_widening")
    assert told.breaches == ()
    assert "(redacted), so not compared" in told.reason


@pytest.mark.parametrize("way", ["drop", "hash", "shape"])
@pytest.mark.parametrize("path", ["params.contract.id", "params.*", "params.ids.*.amount", "params.tenant_id"])
@pytest.mark.parametrize("cut", [0, 1])
def test_nor_does_one_that_reaches_into_a_text_of_json(redacting, body, path, way, cut):
    world = redacting({f"{ARGUMENTS}.{path}": way})
    bounds = {"contract_ids": ["contract_7781"], "max_amount": 500}
    told = {"tenant_id": "acme", "contract": {"id": "contract_7781"}, "ids": [{"amount": 400}]}
    text = json.dumps(told)[: -cut or None]
    params = {"params": text, "contract_id": "contract_7781"}
    world.feed(body(1, action__arguments=params, action__resource=..., envelope__resource_constraints=bounds))
    told = envelope_breach(world)
    assert (told.value, told.breaches) == (0.0, ()), told.reason
    assert not world.findings


def test_of_several_texts_that_cannot_be_read_one_that_no_rule_leads_into_is_a_doubt(redacting, body):
    world = redacting({f"{ARGUMENTS}.params.0.email": "shape"})
    texts = ['{"email": "ann@acme.example",}', '{"email": "bo@acme.example",}']
    world.feed(body(1, action__arguments={"params": texts[:1], "contract_id": "contract_7781"}))
    assert envelope_breach(world).breaches == ()
    world.feed(body(2, action__arguments={"params": texts, "contract_id": "contract_7781"}))
    assert [breach.name for breach in envelope_breach(world).breaches] == ["arguments_unchecked"]
