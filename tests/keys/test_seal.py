"""What is sealed opens with its key, in its time, unaltered; otherwise not at all."""

import os
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from guardian.errors import ConfigurationError, StoreError
from guardian.keys.seal import Seal, create_seal_file, load_seal, replace_lost_seal_file, rotate_seal_file

NOW = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
SEAL = Seal((Fernet.generate_key(),), WEEK)


@given(st.binary(max_size=2000))
def test_any_bytes_come_back_and_do_not_show(content):
    sealed = SEAL.seal(content, now=NOW)
    assert SEAL.unseal(sealed, now=NOW + WEEK) == content
    assert len(content) < 8 or content not in sealed


def test_it_does_not_open_after_its_time():
    sealed = SEAL.seal(b"x", now=NOW)
    with pytest.raises(StoreError, match="older than 7 days"):
        SEAL.unseal(sealed, now=NOW + WEEK + timedelta(seconds=1))


@given(st.integers(0, 90))
def test_an_altered_seal_does_not_open(place):
    sealed = bytearray(SEAL.seal(b"content", now=NOW))
    sealed[place] ^= 1
    with pytest.raises(StoreError):
        SEAL.unseal(bytes(sealed), now=NOW)


def test_another_key_does_not_open_it():
    sealed = Seal((Fernet.generate_key(),), WEEK).seal(b"x", now=NOW)
    with pytest.raises(StoreError):
        SEAL.unseal(sealed, now=NOW)


def test_rotation_seals_with_the_new_key_and_still_opens_the_old(tmp_path):
    path = tmp_path / "seal.key"
    create_seal_file(path)
    before = load_seal(path, ttl=WEEK)
    old = before.seal(b"old", now=NOW)
    rotate_seal_file(path)
    after = load_seal(path, ttl=WEEK)
    assert after.unseal(old, now=NOW) == b"old"
    with pytest.raises(StoreError):
        before.unseal(after.seal(b"new", now=NOW), now=NOW)


@pytest.mark.parametrize("left", [None, b"", b"\n"], ids=["missing", "empty", "blank"])
def test_a_key_that_is_lost_is_made_anew_only_by_who_says_that_it_is(tmp_path, left):
    """Whoever brings the new file to the other monitors takes the lost key from those that still have it."""
    path = tmp_path / "seal.key"
    if left is not None:
        path.write_bytes(left)
        path.chmod(0o600)
    for asked in (partial(load_seal, ttl=WEEK), rotate_seal_file):
        with pytest.raises(ConfigurationError, match=r"seal\.key .* or copy it .* `guardian seal rotate --lost`"):
            asked(path)
    replace_lost_seal_file(path)
    (made,) = load_seal(path, ttl=WEEK).keys
    with pytest.raises(ConfigurationError, match="is not lost"):
        replace_lost_seal_file(path)
    assert load_seal(path, ttl=WEEK).keys == (made,)


def test_a_file_that_holds_no_sealing_key_is_named(tmp_path):
    path = tmp_path / "seal.key"
    path.write_bytes(b"short\n")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"seal\.key: a sealing key must be 32 bytes"):
        load_seal(path, ttl=WEEK)


def test_keys_do_not_show_and_must_be_keys():
    assert SEAL.keys[0].decode() not in repr(SEAL)
    for keys in ((), (b"short",)):
        with pytest.raises(ConfigurationError):
            Seal(keys, WEEK)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
@pytest.mark.parametrize("had", [True, False])
def test_a_key_that_root_writes_is_the_services_to_read(tmp_path, had):
    os.chown(tmp_path, 65534, 65534)
    if had:
        create_seal_file(tmp_path / "seal.key")
        os.chown(tmp_path / "seal.key", 1, 1)
    (rotate_seal_file if had else create_seal_file)(tmp_path / "seal.key")
    assert (tmp_path / "seal.key").stat().st_uid == (1 if had else 65534)
