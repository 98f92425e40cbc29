"""Signing keys: what a file that cannot be read, and a key that is retired elsewhere, change."""

import pytest

from guardian.errors import ConfigurationError
from guardian.keys.signing import SigningKeys


@pytest.fixture
def keys(tmp_path):
    return SigningKeys.create(tmp_path / "keys.json")


def kids(keys):
    return [each["kid"] for each in keys.current().jwks()["keys"]]


@pytest.mark.parametrize("harm", ["away", "open", "half", "empty"])
def test_while_the_file_cannot_be_read_the_keys_known_so_far_stay_in_force(keys, harm, capsys):
    known, whole, path = keys.current(), keys.path.read_bytes(), keys.path
    if harm == "away":
        path.rename(path.with_suffix(".away"))
    elif harm == "open":
        path.chmod(0o640)
    else:
        path.write_bytes(whole[:40] if harm == "half" else b"")
    for _ in range(3):
        assert keys.current() is known
        assert not keys.readable()
    assert capsys.readouterr().out.count("signing_keys_not_read") == 1, "said once"
    for command in (keys.prepare, keys.rotate, lambda: keys.retire("x")):
        with pytest.raises(ConfigurationError, match=r"keys\.json"):
            command()
    if harm == "away":
        path.with_suffix(".away").rename(path)
    path.write_bytes(whole)
    path.chmod(0o600)
    assert keys.readable()
    assert kids(keys) == [known.signing.kid]


def test_a_key_that_is_retired_elsewhere_is_neither_believed_nor_published_nor_signed_with(keys):
    old = keys.current().signing.kid
    new = keys.rotate()
    keys.leave_out(frozenset({old}))
    assert (kids(keys), keys.current().find(old), keys.current().retired) == ([new], None, False)
    keys.leave_out(frozenset({old, new}))
    assert (kids(keys), keys.current().retired) == ([], True)
    with pytest.raises(ConfigurationError, match=f"key {new}, which signs here, is retired"):
        _ = keys.current().signing


def test_it_stays_so_whatever_becomes_of_the_file_until_one_comes_with_another_key(keys, tmp_path):
    old = keys.current().signing.kid
    keys.path.chmod(0o640)
    keys.leave_out(frozenset({old}))
    assert keys.current().retired
    keys.path.chmod(0o600)
    assert keys.current().retired
    other = SigningKeys.create(tmp_path / "other.json")
    keys.path.write_bytes(other.path.read_bytes())
    assert (kids(keys), keys.current().retired) == (kids(other), False)


def test_a_prepared_key_that_is_retired_elsewhere_does_not_sign_next(keys):
    old, prepared = keys.current().signing.kid, keys.prepare()
    keys.leave_out(frozenset({prepared}))
    assert keys.current().prepared is None
    assert keys.rotate() not in (old, prepared)
