"""A signed envelope is believed if a known key signed what it says, however it is spelt, and nothing else is."""

import base64
import hashlib
import hmac
import json
import os
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from guardian.domain.event import DecisionEvent, Origin
from guardian.errors import ConfigurationError
from guardian.keys.envelope import EnvelopeVerifier
from guardian.keys.published import ALGORITHMS

ENVELOPE: dict[str, Any] = {
    "delegator_id": "user_1",
    "tenant_id": "acme",
    "session_id": "s1",
    "purpose": "review",
    "allowed_tools": ["contracts.read"],
    "resource_constraints": {"max_records": 25, "share": 1.5, "ids": ["a", {"b": None}]},
    "expires_at": "2026-05-12T18:30:00Z",
    "ticket": "T-1",
}
_RSA = RSAKey.generate_key(2048, auto_kid=True)
KEYS = {
    "Ed25519": OKPKey.generate_key("Ed25519", auto_kid=True),
    "Ed448": OKPKey.generate_key("Ed448", auto_kid=True),
    "ES256": ECKey.generate_key("P-256", auto_kid=True),
    "ES384": ECKey.generate_key("P-384", auto_kid=True),
    "ES512": ECKey.generate_key("P-521", auto_kid=True),
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), _RSA),
}
for _key in KEYS.values():
    _key.ensure_kid()


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> EnvelopeVerifier:
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    path.write_text(json.dumps({"keys": [{**k.as_dict(private=False), "kid": k.kid} for k in KEYS.values()]}))
    return EnvelopeVerifier(path)


def event(token: str | None, envelope: dict[str, Any] = ENVELOPE) -> DecisionEvent:
    body = {
        "schema": "guardian.decision/v1", "id": "d", "time": "2026-05-12T17:00:00Z", "gateway": "gw",
        "envelope": envelope, "action": {"tool": "t"}, "decision": {"effect": "allow"}, "envelope_jws": token,
    }  # fmt: skip
    return DecisionEvent.model_validate_json(json.dumps(body))


def signed(payload: object, algorithm: str = "Ed25519", *, key: Any = None, **header: Any) -> str:
    key = key or KEYS[algorithm]
    raw = payload if isinstance(payload, (str, bytes)) else json.dumps(payload)
    told = {"alg": algorithm, "kid": key.kid} | header
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    return jws.serialize_compact({k: v for k, v in told.items() if v is not None}, raw, key, registry=registry)


def test_no_signature_is_missing_not_invalid(verifier) -> None:
    assert [verifier(event(none)) for none in (None, "")] == ["missing"] * 2


def test_without_an_envelope_no_signature_is_asked_for_and_none_counts(verifier) -> None:
    bare = Origin(format="opa", absent=("envelope",))
    for token in (None, signed(ENVELOPE), "e30.e30.e30"):
        assert verifier(event(token).model_copy(update={"origin": bare})) == "absent"


def test_tools_were_signed_as_the_log_spells_them(verifier) -> None:
    spelt = {**ENVELOPE, "allowed_tools": ["mcp__contracts__read"]}
    for tools, stands in ((("mcp__contracts__read",), "valid"), (("contracts.read",), "invalid")):
        told = event(signed(spelt)).model_copy(update={"origin": Origin(format="opa", allowed_tools=tools)})
        assert verifier(told) == stands


def test_what_control_planted_to_test_itself_is_signed_by_nobody(tmp_path: Path) -> None:
    path = published(tmp_path / "jwks.json", KEYS["Ed25519"])
    own, another = (EnvelopeVerifier(path, planted=each) for each in (("gw", "acme"), ("gw", "another")))
    assert [told(event(None)) for told in (own, another)] == ["absent", "missing"]
    assert own(event("e30.e30.e30")) == "invalid"


@pytest.mark.parametrize("algorithm", KEYS)
def test_an_envelope_signed_by_a_known_key_is_valid(verifier, algorithm: str) -> None:
    assert verifier(event(signed(ENVELOPE, algorithm))) == "valid"


@pytest.mark.parametrize(
    "header",
    [
        {"env": "prod"},
        {"iat": 1778605200, "iss": "delegation"},
        {"x5c": ["M" * 2_000] * 4, "x5t": "A"},
        {"typ": "JOSE", "cty": "json"},
        {"b64": True},
    ],
    ids=str,
)
def test_what_a_header_says_besides_is_ignored(verifier, header: dict[str, Any]) -> None:
    """RFC 7515, 4: else an honest session would look forged."""
    assert verifier(event(signed(ENVELOPE, **header))) == "valid"
    assert verifier(event(signed(ENVELOPE, **header), {**ENVELOPE, "purpose": "pay"})) == "invalid"


@pytest.mark.parametrize("crit", [["exp"], ["exp", "alg"], ["gone"]])
def test_what_a_header_calls_critical_and_is_not_understood_is_invalid(verifier, crit: list[str]) -> None:
    head = {"alg": "Ed25519", "kid": KEYS["Ed25519"].kid, "exp": 1, "crit": crit}
    said = f"{_b64(json.dumps(head))}.{_b64(json.dumps(ENVELOPE))}"
    made = base64.urlsafe_b64encode(KEYS["Ed25519"].private_key.sign(said.encode())).rstrip(b"=").decode()
    assert verifier(event(f"{said}.{made}")) == "invalid"


def test_a_key_may_have_a_name_as_long_as_a_path_and_a_long_signature(tmp_path: Path) -> None:
    p, q = 2**4423 - 1, 2**4253 - 1  # two of Mersenne's primes: nobody has to look for any
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    key = RSAKey.import_key(
        numbers.private_key(unsafe_skip_rsa_key_validation=True), {"kid": "projects/acme/keys/" + "k" * 360}
    )
    token = signed(ENVELOPE, "PS512", key=key)
    assert len(token.rpartition(".")[2]) > 1_400
    assert EnvelopeVerifier(published(tmp_path / "jwks.json", key))(event(token)) == "valid"


names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)
scalars = st.booleans() | st.integers(-(2**52), 2**52) | st.floats(allow_nan=False, allow_infinity=False) | names
constraints = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
MOMENT = datetime(2026, 5, 12, 18, 30, tzinfo=UTC)
envelopes = st.fixed_dictionaries(
    {
        "delegator_id": names,
        "tenant_id": names,
        "session_id": names,
        "purpose": names,
        "allowed_tools": st.lists(names, max_size=4, unique=True),
        "resource_constraints": st.dictionaries(names, constraints, max_size=3),
    },
    optional={
        "task_id": names,
        "agent_id": names,
        "expires_at": st.sampled_from([MOMENT, MOMENT + timedelta(microseconds=250)]).map(datetime.isoformat),
        "ticket": constraints,
    },
)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def as_floats(value: Any) -> Any:
    match value:
        case dict():
            return {name: as_floats(item) for name, item in reversed(value.items())}
        case list():
            return [as_floats(item) for item in value]
        case int() if not isinstance(value, bool):
            return float(value)
        case _:
            return value


@st.composite
def respelt(draw: st.DrawFn, envelope: dict[str, Any]) -> dict[str, Any]:
    """The envelope as another JSON writer may spell it."""
    spelling = st.sampled_from(["task_id", "agent_id", "parent_session_id"])
    spelt = draw(st.dictionaries(spelling, st.sampled_from([None, ""]))) | as_floats(envelope)
    spelt["allowed_tools"] = draw(st.permutations(envelope["allowed_tools"] * 2))
    spelt["resource_constraints"] = {"\x7fnone": None, **spelt["resource_constraints"]}
    if envelope.get("expires_at") is not None:
        at = datetime.fromisoformat(envelope["expires_at"]).astimezone(draw(zones))
        spelt["expires_at"] = at.isoformat(timespec=draw(st.sampled_from(["auto", "microseconds"])))
    return spelt


@given(st.data(), envelopes)
def test_an_envelope_may_be_written_anew_in_any_spelling(verifier, data: st.DataObject, envelope) -> None:
    assert verifier(event(signed(envelope), data.draw(respelt(envelope)))) == "valid"
    assert verifier(event(signed(data.draw(respelt(envelope))), envelope)) == "valid"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"purpose": ""}, {}),
        ({"allowed_tools": []}, {}),
        ({"resource_constraints": {}}, {}),
        ({"task_id": None}, {"task_id": ""}),
        ({"expires_at": "2026-05-12T18:30:00Z"}, {"expires_at": "2026-05-12T20:30:00.000+02:00"}),
        ({"resource_constraints": {"max_records": 25}}, {"resource_constraints": {"max_records": 25.0}}),
        ({"resource_constraints": {"ids": [{"b": None}]}}, {"resource_constraints": {"ids": [{}]}}),
        ({"ticket": 7}, {"ticket": 7.0}),
    ],
)
def test_two_spellings_of_one_meaning_are_the_same(verifier, one: dict[str, Any], other: dict[str, Any]) -> None:
    named = {name: ENVELOPE[name] for name in ("delegator_id", "tenant_id", "session_id")}
    assert verifier(event(signed(named | one), named | other)) == "valid"
    assert verifier(event(signed(named | other), named | one)) == "valid"


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": "pay"},
        {"allowed_tools": ["contracts.read", "payments.send"]},
        {"allowed_tools": []},
        {"resource_constraints": {**ENVELOPE["resource_constraints"], "max_records": 26}},
        {"resource_constraints": {**ENVELOPE["resource_constraints"], "max_records": "25"}},
        {"resource_constraints": {**ENVELOPE["resource_constraints"], "share": True}},
        {"resource_constraints": {}},
        {"expires_at": "2026-05-12T18:30:00.000001Z"},
        {"expires_at": "2026-05-12T18:30:00-01:00"},
        {"expires_at": None},
        {"session_id": "s2"},
        {"tenant_id": "globex"},
        {"agent_id": "agent_1"},
        {"ticket": "T-2"},
        {"extra": 1},
    ],
)
def test_a_changed_meaning_is_invalid(verifier, change: dict[str, Any]) -> None:
    assert verifier(event(signed(ENVELOPE), {**ENVELOPE, **change})) == "invalid"


def places(value: Any, *path: Any) -> list[tuple[Any, ...]]:
    """Where the scalars of a JSON value stand."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    return [path] if inside is None else [place for name, item in inside for place in places(item, *path, name)]


def says_another(value: Any, before: Any) -> bool:
    return value != before or isinstance(value, bool) is not isinstance(before, bool)


@st.composite
def changed(draw: st.DrawFn, envelope: dict[str, Any]) -> dict[str, Any]:
    """The envelope with one tool, one moment or one other value changed."""
    body = deepcopy(envelope)
    *above, last = draw(st.sampled_from(places(envelope)))
    if not above and last == "expires_at":
        later = st.timedeltas(timedelta(microseconds=1), timedelta(days=9)).map(
            lambda by: (MOMENT + by).isoformat()
        )
        body[last] = draw((later | st.none()).filter(lambda at: at != envelope[last]))
        return body
    at = body
    for step in above:
        at = at[step]
    new = scalars if above[:1] in (["resource_constraints"], ["ticket"]) or last == "ticket" else names
    at[last] = draw(new.filter(lambda value: says_another(value, at[last])))
    return body


@given(st.data(), envelopes)
def test_no_changed_meaning_is_taken_for_another_spelling(verifier, data: st.DataObject, envelope) -> None:
    other = data.draw(changed(envelope))
    assert verifier(event(signed(envelope), data.draw(respelt(other)))) == "invalid"
    assert verifier(event(signed(data.draw(respelt(other))), envelope)) == "invalid"


def test_a_strangers_signature_is_invalid_whatever_name_it_uses(verifier) -> None:
    stranger = OKPKey.generate_key("Ed25519", auto_kid=True)
    assert verifier(event(signed(ENVELOPE, key=stranger))) == "invalid"
    assert verifier(event(signed(ENVELOPE, key=stranger, kid=KEYS["Ed25519"].kid))) == "invalid"


def test_who_can_verify_cannot_sign(verifier) -> None:
    """The public key as an HMAC secret (RFC 8725, §2.1) opens nothing."""
    for secret in (KEYS["RS256"].as_pem(private=False), KEYS["RS256"].as_der(private=False)):
        said = _b64(json.dumps({"alg": "HS256", "kid": KEYS["RS256"].kid})) + "." + _b64(json.dumps(ENVELOPE))
        mac = hmac.new(secret, said.encode(), hashlib.sha256).digest()
        assert verifier(event(f"{said}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")) == "invalid"
    assert not {"none", "HS256", "HS384", "HS512"} & set(ALGORITHMS)


def _b64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"none"}',
        '{"alg":1}',
        '{"alg":["Ed25519"]}',
        '["alg"]',
        '"alg"',
        "1",
        "null",
        "",
        "[" * 20_000,
        '{"alg":"Ed25519","kid":[]}',
        '{"alg":"Ed25519","kid":"x"}',
        '{"alg":"Ed25519","crit":["b64"],"b64":false}',
    ],
)
def test_a_hostile_header_is_invalid_and_breaks_nothing(verifier, header: str) -> None:
    for signature in ("", "AAAA"):
        assert verifier(event(f"{_b64(header)}.{_b64(json.dumps(ENVELOPE))}.{signature}")) == "invalid"


@pytest.mark.parametrize("payload", [b"\xff", "", "[1]", "null", "[" * 20_000, '{"delegator_id": "u"}', "{"])
def test_a_signed_payload_that_is_no_envelope_is_invalid(verifier, payload: str | bytes) -> None:
    assert verifier(event(signed(payload))) == "invalid"


@given(st.text(min_size=1, max_size=60))
def test_no_text_is_taken_for_a_signature(verifier, text: str) -> None:
    assert verifier(event(text)) == "invalid"


@given(st.data())
def test_one_changed_character_breaks_a_signature(verifier, data: st.DataObject) -> None:
    token = signed(ENVELOPE)
    at = data.draw(st.integers(0, token.rindex(".") - 1))
    other = data.draw(st.sampled_from("ABCabc019-_").filter(lambda c: c != token[at]))
    assert verifier(event(token[:at] + other + token[at + 1 :])) == "invalid"


@pytest.mark.parametrize(
    "content",
    ["", "{", "[" * 20_000, b"\xff", "[]", "1", "{}", '{"keys":[]}', '{"keys":[5]}', '{"keys":[{"kty":"?"}]}'],
)
def test_a_key_file_that_is_none_is_refused_at_start(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigurationError, match=r"keys\.envelope_jwks: .*jwks\.json is no JWK set"):
        EnvelopeVerifier(path)


def test_a_missing_key_file_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="absent"):
        EnvelopeVerifier(tmp_path / "absent.json")


def published(path: Path, *keys: Any) -> Path:
    path.write_text(json.dumps({"keys": [{**key.as_dict(private=False), "kid": key.kid} for key in keys]}))
    return path


def test_a_key_that_is_published_later_is_believed_and_one_that_is_withdrawn_no_more(tmp_path: Path) -> None:
    path, fresh = published(tmp_path / "jwks.json", KEYS["Ed25519"]), OKPKey.generate_key("Ed25519", auto_kid=True)
    verifier = EnvelopeVerifier(path)
    assert [verifier(event(signed(ENVELOPE, key=key))) for key in (KEYS["Ed25519"], fresh)] == ["valid", "invalid"]
    published(path, fresh, KEYS["Ed25519"])
    assert [verifier(event(signed(ENVELOPE, key=key))) for key in (KEYS["Ed25519"], fresh)] == ["valid", "valid"]
    published(path, fresh)
    assert [verifier(event(signed(ENVELOPE, key=key))) for key in (KEYS["Ed25519"], fresh)] == ["invalid", "valid"]


@pytest.mark.parametrize("content", [None, b"", b'{"keys": [{"kty": "OKP", "crv": "Ed2', b'{"keys":[]}'])
def test_a_key_file_that_is_broken_meanwhile_takes_nothing_back(tmp_path: Path, content: bytes | None) -> None:
    path = published(tmp_path / "jwks.json", KEYS["Ed25519"])
    verifier, fresh = EnvelopeVerifier(path), OKPKey.generate_key("Ed25519", auto_kid=True)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert verifier(event(signed(ENVELOPE))) == "valid"
    published(path, fresh)
    assert [verifier(event(signed(ENVELOPE, key=key))) for key in (KEYS["Ed25519"], fresh)] == ["invalid", "valid"]


def test_a_key_file_that_could_not_be_read_once_is_read_without_a_change_and_the_log_tells_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, fresh = published(tmp_path / "jwks.json", KEYS["Ed25519"]), OKPKey.generate_key("Ed25519", auto_kid=True)
    verifier = EnvelopeVerifier(path)
    published(path, KEYS["Ed25519"], fresh)
    with monkeypatch.context() as limited:
        limitless = Path.read_text

        def read_text(file: Path, **how: Any) -> str:
            if file == path:
                raise OSError(24, "Too many open files")
            return limitless(file, **how)

        limited.setattr(Path, "read_text", read_text)
        assert [verifier(event(signed(ENVELOPE, key=fresh))) for _ in range(3)] == ["invalid"] * 3
    assert capsys.readouterr().out.count("envelope_keys_not_read") == 1
    assert verifier(event(signed(ENVELOPE, key=fresh))) == "valid"


def test_the_log_tells_once_and_not_with_each_call_that_a_key_file_holds_no_key_that_is_known_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = published(tmp_path / "jwks.json", KEYS["Ed25519"])
    verifier = EnvelopeVerifier(path)
    path.write_text(json.dumps({"keys": [{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}]}))
    assert [verifier(event(signed(ENVELOPE, key=KEYS["Ed25519"]))) for _ in range(3)] == ["valid"] * 3
    told = capsys.readouterr().out
    assert (told.count("key_left_out"), told.count("envelope_keys_not_read")) == (1, 1)


def test_a_key_file_that_was_written_over_in_the_same_size_and_time_is_read_again(tmp_path: Path) -> None:
    keys = [OKPKey.generate_key("Ed25519", auto_kid=True) for _ in range(2)]
    path = published(tmp_path / "jwks.json", keys[0])
    verifier, stood = EnvelopeVerifier(path), path.stat()
    published(path, keys[1])
    os.utime(path, ns=(stood.st_atime_ns, stood.st_mtime_ns))
    assert path.stat().st_size == stood.st_size
    assert verifier(event(signed(ENVELOPE, key=keys[1]))) == "valid"


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_signature_that_does_not_name_its_key_is_by_any_of_them(verifier, algorithm: str) -> None:
    key, stranger = KEYS[algorithm], OKPKey.generate_key("Ed25519")
    unnamed = jws.serialize_compact({"alg": algorithm}, json.dumps(ENVELOPE), key, algorithms=[algorithm])
    assert verifier(event(unnamed)) == "valid"
    assert verifier(event(unnamed, {**ENVELOPE, "purpose": "pay"})) == "invalid"
    forged = jws.serialize_compact({"alg": "Ed25519"}, json.dumps(ENVELOPE), stranger, algorithms=["Ed25519"])
    assert verifier(event(forged)) == "invalid"


@pytest.mark.parametrize("named", ["2026", None])
def test_a_key_without_a_name_may_have_made_a_signature_that_names_one(tmp_path: Path, named: str | None) -> None:
    path, key = tmp_path / "jwks.json", OKPKey.generate_key("Ed25519")
    path.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    verifier = EnvelopeVerifier(path)
    assert verifier(event(signed(ENVELOPE, key=key, kid=named))) == "valid"
    assert verifier(event(signed(ENVELOPE, kid=named))) == "invalid"


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_key_checks_only_what_fits_it(tmp_path: Path, algorithm: str) -> None:
    """Each algorithm has its own curve, and a key that says for which one it is serves that one alone."""
    path, key = tmp_path / "jwks.json", KEYS[algorithm]
    path.write_text(json.dumps({"keys": [{**key.as_dict(private=False), "kid": "k", "alg": algorithm}]}))
    verifier = EnvelopeVerifier(path)
    told = [verifier(event(signed(ENVELOPE, each, kid="k"))) for each in KEYS]
    assert told == ["valid" if each == algorithm else "invalid" for each in KEYS]


STRANGE: list[dict[str, Any]] = [
    {"kty": "EC", "crv": "BP-256", "x": "AAAA", "y": "AAAA", "kid": "brainpool"},
    {"kty": "OKP", "crv": "X448", "x": "AAAA", "kid": "cut short"},
    {"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA", "kid": "of another kind"},
    {"kty": "RSA", "kid": "without a modulus"},
    {"kid": "without a kind"},
    {**OKPKey.generate_key("X25519").as_dict(private=False), "kid": "of a curve that signs nothing"},
    {**_RSA.as_dict(private=False), "alg": "RSA-OAEP", "kid": "for encryption by its algorithm"},
    {**_RSA.as_dict(private=False), "key_ops": ["encrypt"], "kid": "for encryption by what it may do"},
    {"kty": "oct", "k": "c2VjcmV0LXRoYXQtaXMtbG9uZw", "kid": "shared"},
    {**_RSA.as_dict(private=False), "alg": "EdDSA", "kid": "of another kind by its algorithm"},
    {**OKPKey.generate_key("Ed25519").as_dict(private=False), "alg": "Ed448", "kid": "of two curves"},
]


@pytest.mark.parametrize("strange", STRANGE, ids=lambda key: key["kid"])
def test_a_key_that_is_not_known_here_keeps_no_other_from_being_believed(
    tmp_path: Path, strange: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else who signs could rotate past us, and honest sessions would look forged."""
    path = published(tmp_path / "jwks.json", KEYS["Ed25519"])
    verifier, fresh = EnvelopeVerifier(path), OKPKey.generate_key("Ed25519", auto_kid=True)
    path.write_text(json.dumps({"keys": [strange, {**fresh.as_dict(private=False), "kid": fresh.kid}]}))
    assert [verifier(event(signed(ENVELOPE, key=key))) for key in (KEYS["Ed25519"], fresh)] == ["invalid", "valid"]
    assert "key_left_out" in capsys.readouterr().out
    path.write_text(json.dumps({"keys": [strange]}))
    with pytest.raises(ConfigurationError, match="holds no key that is known here"):
        EnvelopeVerifier(path)


def test_a_key_for_encryption_is_left_out_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "jwks.json"
    keys = [{**_RSA.as_dict(private=False), "use": use} for use in ("enc", "sig")]
    path.write_text(json.dumps({"keys": keys}))
    assert EnvelopeVerifier(path)(event(signed(ENVELOPE, "RS256"))) == "valid"
    assert "key_left_out" not in capsys.readouterr().out
    path.write_text(json.dumps({"keys": keys[:1]}))
    with pytest.raises(ConfigurationError, match="holds no key that is known here"):
        EnvelopeVerifier(path)


def test_keys_of_several_kinds_may_share_a_name(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [{**key.as_dict(private=False), "kid": "2026"} for key in KEYS.values()]}))
    verifier = EnvelopeVerifier(path)
    assert [verifier(event(signed(ENVELOPE, each, kid="2026"))) for each in KEYS] == ["valid"] * len(KEYS)
    assert verifier(event(signed(ENVELOPE, kid="2027"))) == "invalid"


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # the older name is deprecated, and in use
@pytest.mark.parametrize("algorithm", ["Ed25519", "Ed448"])
def test_both_names_of_one_algorithm_fit_its_key_and_no_other_does(tmp_path: Path, algorithm: str) -> None:
    path, key = tmp_path / "jwks.json", KEYS[algorithm]
    told = {**key.as_dict(private=False), "kid": key.kid}
    for published_as in ("EdDSA", algorithm):
        path.write_text(json.dumps({"keys": [{**told, "alg": published_as}]}))
        verifier = EnvelopeVerifier(path)
        for signed_as in ("EdDSA", algorithm):
            assert verifier(event(signed(ENVELOPE, signed_as, key=key))) == "valid"
    path.write_text(json.dumps({"keys": [{**told, "alg": "ES256"}]}))
    with pytest.raises(ConfigurationError, match="holds no key that is known here"):
        EnvelopeVerifier(path)
