"""Tokens: what is believed, and what is not."""

import json
import stat
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from guardian.errors import ConfigurationError, TokenError
from guardian.keys.signing import SigningKeys
from guardian.keys.tokens import LEEWAY_S, RefusedToken, Tokens

NOW = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    return Tokens(SigningKeys.create(path), "https://guardian.test", "control", lambda who: who.jti == "gone")


def _signed(tokens, *, header=None, key=None, **changed):
    signing = tokens.keys.current().signing
    at = int(NOW.timestamp())
    claims = {
        "iss": tokens.issuer,
        "aud": tokens.audience,
        "sub": "ann",
        "jti": "j1",
        "iat": at,
        "exp": at + 60,
        "role": "admin",
        "tenants": ["acme"],
        **changed,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    head = {"alg": "Ed25519", "typ": "at+jwt", "kid": signing.kid, **(header or {})}
    return jwt.encode(head, claims, key or signing, algorithms=[head["alg"]])


def _refusal(tokens, text, now=NOW):
    with pytest.raises(RefusedToken) as refused:
        tokens.verify(text, now=now)
    return refused.value.code


def test_a_token_says_who_what_and_where(tokens):
    issued = tokens.issue("ann", role="analyst", tenants=["acme", "globex"], ttl=HOUR, now=NOW)
    principal = tokens.verify(issued.text, now=NOW)
    assert principal == issued.principal
    assert (principal.id, principal.role, principal.expires_at) == ("ann", "analyst", NOW + HOUR)
    assert principal.reaches("acme")
    assert not principal.reaches("other")
    assert not principal.every_tenant


def test_the_secret_does_not_show_in_a_log(tokens):
    issued = tokens.issue("ann", role="analyst", tenants=["acme"], ttl=HOUR, now=NOW)
    assert issued.text not in repr(issued)


def test_a_star_reaches_every_tenant(tokens):
    issued = tokens.issue("m", role="monitor", tenants=["*"], ttl=HOUR, now=NOW)
    principal = tokens.verify(issued.text, now=NOW)
    assert principal.scope is None
    assert principal.reaches("anybody")


def test_a_token_ends_when_it_says(tokens):
    text = tokens.issue("ann", role="analyst", tenants=["acme"], ttl=HOUR, now=NOW).text
    leeway = timedelta(seconds=LEEWAY_S)
    assert tokens.verify(text, now=NOW + HOUR + leeway - timedelta(seconds=1))
    assert _refusal(tokens, text, NOW + HOUR + leeway) == "expired"
    assert _refusal(tokens, text, NOW - leeway - timedelta(seconds=1)) == "claim_iat"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"aud": "elsewhere"}, "claim_aud"),
        ({"aud": None}, "claim_aud"),
        ({"iss": "https://evil.test"}, "claim_iss"),
        ({"iss": None}, "claim_iss"),
        ({"exp": None}, "claims"),
        ({"exp": "tomorrow"}, "claims"),
        ({"exp": 10**18}, "claims"),
        ({"iat": None}, "claim_iat"),
        ({"jti": None}, "claims"),
        ({"jti": "gone"}, "revoked"),
        ({"sub": None}, "claims"),
        ({"sub": "a\nb"}, "claims"),
        ({"sub": 7}, "claims"),
        ({"role": "root"}, "claims"),
        ({"role": None}, "claims"),
        ({"role": ["admin"]}, "claims"),
        ({"tenants": []}, "claims"),
        ({"tenants": "*"}, "claims"),
        ({"tenants": [1]}, "claims"),
        ({"tenants": None}, "claims"),
    ],
)
def test_a_well_signed_token_with_wrong_claims_is_refused(tokens, changed, code):
    assert _refusal(tokens, _signed(tokens, **changed)) == code


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"typ": "JWT"}, "type"),
        ({"typ": "secevent+jwt"}, "type"),
        ({"kid": "unknown"}, "unknown_key"),
    ],
)
def test_a_token_made_for_another_use_is_refused(tokens, header, code):
    assert _refusal(tokens, _signed(tokens, header=header)) == code


def test_the_public_key_cannot_be_used_as_a_shared_secret(tokens):
    public = json.dumps(tokens.keys.current().jwks()["keys"][0]).encode()
    forged = _signed(tokens, header={"alg": "HS256"}, key=OctKey.import_key(public))
    assert _refusal(tokens, forged) == "algorithm"


def test_another_keys_signature_is_refused(tokens):
    stranger = OKPKey.generate_key("Ed25519")
    assert _refusal(tokens, _signed(tokens, key=stranger)) == "signature"


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_-]{0,30}\.[A-Za-z0-9_-]{0,30}\.[A-Za-z0-9_-]{0,30}"))
def test_no_rubbish_is_believed_or_crashes(tokens, text):
    with pytest.raises(RefusedToken):
        tokens.verify(text, now=NOW)


@given(st.data())
def test_no_flipped_character_survives(tokens, data):
    text = _signed(tokens)
    place = data.draw(st.integers(0, len(text) - 2))  # the last character has unused bits
    other = data.draw(st.sampled_from("ABCabc012_-").filter(lambda char: char != text[place]))
    with pytest.raises(RefusedToken):
        tokens.verify(text[:place] + other + text[place + 1 :], now=NOW)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"role": "root"}, "role 'root'"),
        ({"tenants": []}, "at least one tenant"),
        ({"tenants": ["a\n"]}, "no identifier"),
        ({"tenants": ["a/b"]}, "of a tenant no slash"),
        ({"tenants": ["acme", "acme*"]}, "'acme\\*' is no pattern; .* or '\\*' for every tenant"),
        ({"tenants": [f"tenant_{place:09}" for place in range(700)]}, r"700 tenants has .* or one for '\*'"),
        ({"ttl": timedelta(0)}, "live longer"),
    ],
)
def test_a_token_that_could_never_be_accepted_is_not_issued(tokens, changed, message):
    with pytest.raises(TokenError, match=message):
        tokens.issue("ann", **{"role": "admin", "tenants": ["acme"], "ttl": HOUR, "now": NOW, **changed})


@pytest.mark.parametrize("name", ["guardian", "operator"])
def test_nobody_is_called_as_the_audit_trail_calls_guardian_itself(tokens, name):
    with pytest.raises(TokenError, match="guardian's own acts"):
        tokens.issue(name, role="approver", tenants=["acme"], ttl=HOUR, now=NOW)


def test_rotation_keeps_old_tokens_and_drops_the_old_private_key(tmp_path):
    keys = SigningKeys.create(tmp_path / "keys.json")
    tokens = Tokens(keys, "i", "a")
    old = tokens.issue("ann", role="admin", tenants=["acme"], ttl=HOUR, now=NOW)
    new_kid = keys.rotate()
    new = tokens.issue("ann", role="admin", tenants=["acme"], ttl=HOUR, now=NOW)
    assert new.kid == new_kid != old.kid
    assert tokens.verify(old.text, now=NOW)
    stored = json.loads((tmp_path / "keys.json").read_text())["keys"]
    assert [("d" in entry) for entry in stored] == [True, False]
    keys.retire(old.kid)
    assert _refusal(tokens, old.text) == "unknown_key"
    assert tokens.verify(new.text, now=NOW)


def test_no_key_is_named_like_an_option_of_a_command_line(tmp_path):
    keys = [SigningKeys.create(tmp_path / f"{n}.json").current().signing for n in range(300)]
    assert [key.kid for key in keys if key.kid.startswith("-")] == [], "one in 64 thumbprints does"


def test_a_key_that_is_prepared_is_published_and_signs_only_once_it_is_rotated_to(tmp_path):
    keys = SigningKeys.create(tmp_path / "keys.json")
    tokens = Tokens(keys, "i", "a")
    first = str(keys.current().signing.kid)
    following = keys.prepare()
    assert keys.prepare() == following
    keys = SigningKeys(tmp_path / "keys.json")  # as a server reads it that is started now
    assert [entry["kid"] for entry in keys.current().jwks()["keys"]] == [following, first]
    assert tokens.issue("ann", role="admin", tenants=["acme"], ttl=HOUR, now=NOW).kid == first
    assert keys.rotate() == following
    assert tokens.issue("ann", role="admin", tenants=["acme"], ttl=HOUR, now=NOW).kid == following
    stored = json.loads((tmp_path / "keys.json").read_text())["keys"]
    assert [("d" in entry) for entry in stored] == [True, False]
    assert keys.rotate() not in (first, following)


def test_a_prepared_key_stays_so_while_an_older_one_is_retired_and_can_be_retired_itself(tmp_path):
    keys = SigningKeys.create(tmp_path / "keys.json")
    old = str(keys.current().signing.kid)
    keys.rotate()
    following = keys.prepare()
    keys.retire(old)
    assert str(keys.current().prepared.kid) == following
    keys.retire(following)
    assert keys.current().prepared is None
    assert len(keys.current().verifying) == 1


def test_after_a_leak_no_key_is_believed_that_was_in_the_file_also_a_prepared_one(tmp_path):
    keys = SigningKeys.create(tmp_path / "keys.json")
    old, following = str(keys.current().signing.kid), keys.prepare()
    keys.retire(following)
    fresh = keys.rotate()
    keys.retire(old)
    assert [str(key.kid) for key in keys.current().verifying] == [fresh]


def test_published_keys_hold_nothing_private(tmp_path):
    keys = SigningKeys.create(tmp_path / "keys.json")
    keys.rotate()
    keys.prepare()
    assert all("d" not in entry and entry["alg"] == "Ed25519" for entry in keys.current().jwks()["keys"])


def test_the_signing_key_cannot_be_retired(tmp_path):
    keys = SigningKeys.create(tmp_path / "keys.json")
    with pytest.raises(ConfigurationError, match="rotate first"):
        keys.retire(str(keys.current().signing.kid))
    with pytest.raises(ConfigurationError, match="no key 'x'"):
        keys.retire("x")


def test_key_files_are_private_and_never_overwritten(tmp_path):
    path = tmp_path / "new" / "keys.json"
    SigningKeys.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigurationError, match="never overwritten"):
        SigningKeys.create(path)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        SigningKeys(path)


@pytest.mark.parametrize("content", ["", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "AA"}]}', "[1]"])
def test_a_file_that_is_no_key_set_is_refused(tmp_path, content):
    path = tmp_path / "keys.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"keys\.json"):
        SigningKeys(path)


def test_a_missing_key_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigurationError, match="guardian init"):
        SigningKeys(tmp_path / "none.json")


def test_a_token_can_be_bound_to_a_certificate(tokens):
    bound = "A" * 43
    issued = tokens.issue("ann", role="analyst", tenants=["acme"], ttl=HOUR, now=NOW, certificate=bound)
    assert tokens.verify(issued.text, now=NOW).certificate == bound


@pytest.mark.parametrize(
    "confirmation", [{}, "x", {"jkt": "A" * 43}, {"x5t#S256": "short"}, {"x5t#S256": "A" * 43, "jkt": "B"}, []]
)
def test_a_confirmation_that_cannot_be_checked_is_refused(tokens, confirmation):
    assert _refusal(tokens, _signed(tokens, cnf=confirmation)) == "claims"


def test_a_token_seen_before_is_still_asked_whether_it_lives(tmp_path):
    """Only its signature is taken as known, and only for as long as the keys stay as they are."""
    withdrawn: set[str] = set()
    keys = SigningKeys.create(tmp_path / "keys.json")
    tokens = Tokens(keys, "https://guardian.test", "control", lambda who: who.jti in withdrawn)
    issued = tokens.issue("ann", role="admin", tenants=["acme"], ttl=HOUR, now=NOW)
    for _ in range(2):
        assert tokens.verify(issued.text, now=NOW) == issued.principal
    assert _refusal(tokens, issued.text, NOW + 2 * HOUR) == "expired"
    withdrawn.add(issued.principal.jti)
    assert _refusal(tokens, issued.text) == "revoked"
    withdrawn.clear()
    old = str(keys.current().signing.kid)
    keys.rotate()
    assert tokens.verify(issued.text, now=NOW) == issued.principal
    keys.retire(old)
    assert _refusal(tokens, issued.text) == "unknown_key"


def test_a_token_that_differs_in_one_character_is_another_one(tokens):
    issued = tokens.issue("ann", role="admin", tenants=["acme"], ttl=HOUR, now=NOW)
    tokens.verify(issued.text, now=NOW)
    head, claims, mac = issued.text.split(".")
    for forged in (f"{head}.{claims}.{mac[:-4]}AAAA", f"{head}.{claims}", f"{issued.text} "):
        assert _refusal(tokens, forged) in ("signature", "malformed")
