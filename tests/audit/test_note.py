"""Signed notes and checkpoints: the published format, and nothing believed that is not signed."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from guardian.audit.checkpoint import Checkpoint, epoch_of, origin_base, read, write
from guardian.audit.note import NoteError, NoteKey, note_keys, note_keys_from, parse, sign, verify
from guardian.errors import ConfigurationError
from guardian.keys.signing import SigningKeys

# The example of Go's sumdb/note package, which C2SP signed-note describes.
PETER = "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SAYING = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# The example of C2SP tlog-checkpoint.
SOFA = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
    "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
BASE = origin_base("guardian")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return SigningKeys.create(tmp_path_factory.mktemp("keys") / "signing.jwks.json")


@pytest.fixture(scope="module")
def note(keys, now):
    return write(keys.current(), base=BASE, epoch=1, size=7, root=b"\x05" * 32, chain=b"\x06" * 32, now=now)


@pytest.fixture(scope="module")
def now():
    from datetime import UTC, datetime

    return datetime(2026, 5, 12, 12, tzinfo=UTC)


def public(keys):
    return note_keys(keys.current().jwks())


def code(note, *, keys):
    with pytest.raises(NoteError) as refused:
        read(note, keys=keys)
    return refused.value.code


def test_a_note_of_another_implementation_verifies():
    peter = NoteKey(base64.b64decode(PETER)[1:], "peter")
    assert peter.id("PeterNeumann").hex() == "c74f20a3"
    assert verify(parse(SAYING), "PeterNeumann", [peter]) is peter
    with pytest.raises(NoteError, match="does not fit"):
        verify(parse(SAYING.replace("think", "thing")), "PeterNeumann", [peter])


def test_a_checkpoint_of_another_implementation_reads():
    found = Checkpoint.parse(parse(SOFA).text)
    assert (found.origin, found.size, found.chain) == ("example.com/behind-the-sofa", 20852163, None)
    assert found.text() == parse(SOFA).text


def test_a_checkpoint_says_origin_size_root_chain_and_time(keys, note):
    text, _, line = note.partition("\n\n")
    assert text.split("\n") == [
        "guardian/audit/1",
        "7",
        base64.b64encode(b"\x05" * 32).decode(),
        "chain " + "06" * 32,
        "time 2026-05-12T12:00:00+00:00",
    ]
    dash, name, encoded = line.removesuffix("\n").split(" ")
    assert (dash, name) == ("—", "guardian/audit/1")
    signature = base64.b64decode(encoded)
    (key,) = public(keys)
    assert signature[:4] == key.id(name)
    Ed25519PublicKey.from_public_bytes(key.public).verify(signature[4:], (text + "\n").encode())


def test_a_checkpoint_that_was_signed_here_is_read_back(keys, note):
    found = read(note, keys=public(keys))
    assert (found.size, found.root, found.chain) == (7, b"\x05" * 32, b"\x06" * 32)


@given(st.data())
def test_flipping_any_bit_of_a_checkpoint_is_noticed(keys, note, draw):
    raw = bytearray(note.encode())
    at = draw.draw(st.integers(0, len(raw) * 8 - 1))
    raw[at // 8] ^= 1 << at % 8
    with pytest.raises(NoteError):
        read(raw.decode(errors="replace"), keys=public(keys))


def test_another_key_another_origin_and_a_false_signature_are_told_apart(keys, note, tmp_path):
    stranger = public(SigningKeys.create(tmp_path / "other.json"))
    assert code(note, keys=stranger) == "unknown_key"
    other = Checkpoint("guardian/elsewhere/1", 7, b"\x05" * 32).text()
    assert code(sign(other, "guardian/elsewhere/1", keys.current()), keys=public(keys)) == "origin"
    assert code(note.replace("\n7\n", "\n8\n"), keys=public(keys)) == "signature"
    assert code("no note at all", keys=public(keys)) == "malformed"


def test_a_key_that_no_longer_signs_still_verifies_and_a_witness_may_sign_too(keys, note, tmp_path):
    old = SigningKeys.create(tmp_path / "signing.json")
    signed = sign("hello\n", "us", old.current())
    old.rotate()
    assert verify(parse(signed), "us", public(old)).kid
    both = signed + sign("hello\n", "witness", keys.current()).rpartition("\n\n")[2]
    assert verify(parse(both), "us", public(old)).kid


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\nbreak"])
def test_a_name_that_no_signature_line_can_hold_is_refused(keys, name):
    with pytest.raises(ValueError, match="cannot name a signer"):
        sign("hello\n", name, keys.current())


@pytest.mark.parametrize("issuer", ["guardian", "https://guardian.example/eu", "Two Words + more", "ünïcode"])
def test_every_issuer_makes_an_origin_that_can_sign(keys, issuer):
    base = origin_base(issuer)
    assert verify(parse(sign("hello\n", f"{base}/1", keys.current())), f"{base}/1", public(keys)).kid
    assert epoch_of(f"{base}/12") == 12


@pytest.mark.parametrize(
    "origin", ["guardian/audit", "guardian/audit/x", "guardian/audits/1", "guardian/audit/1/2", "1", ""]
)
def test_an_origin_of_something_else_names_no_epoch(origin):
    assert epoch_of(origin) is None


@pytest.mark.parametrize(
    "text",
    [
        "guardian/audit/1\n7\n",
        "guardian/audit/1\n07\nBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=\n",
        "guardian/audit/1\n-7\nBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=\n",
        "guardian/audit/1\n7\nBQUF\n",
        "guardian/audit/1\n7\nnot base64\n",
        "guardian/audit/1\n7\nBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=\nchain 12\n",
        "guardian/audit/1\n7\nBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=\n\nmore\n",
    ],
)
def test_signed_text_that_is_no_checkpoint_is_malformed(keys, text):
    assert code(sign(text, "guardian/audit/1", keys.current()), keys=public(keys)) == "malformed"


def test_a_key_file_without_ed25519_keys_is_refused(tmp_path):
    for content in (b"[]", b'{"keys": []}', b'{"keys": [{"kty": "RSA"}]}', b"nonsense", b"[" * 100_000):
        (tmp_path / "jwks.json").write_bytes(content)
        with pytest.raises(ConfigurationError, match="JWK set") as refused:
            note_keys_from(tmp_path / "jwks.json")
        assert "attribute" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        note_keys_from(tmp_path / "absent.json")
