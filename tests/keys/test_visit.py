"""The secret behind a sign-in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.errors import TokenError
from guardian.keys.visit import VisitSecret


@given(st.text())
def test_what_is_sealed_opens_with_the_same_secret_only(content: str) -> None:
    mine, other = VisitSecret.fresh(), VisitSecret.fresh()
    sealed = mine.seal(content)
    assert mine.unseal(sealed) == content
    with pytest.raises(TokenError):
        other.unseal(sealed)
    with pytest.raises(TokenError):
        mine.unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]))


@given(st.text(max_size=60))
def test_any_text_is_a_secret_or_none(text: str) -> None:
    found = VisitSecret.parse(text)
    assert found is None or VisitSecret.parse(found.text) == found


def test_it_survives_the_way_through_a_cookie() -> None:
    made = VisitSecret.fresh()
    assert VisitSecret.parse(made.text) == made


def test_its_name_and_its_tokens_tell_nothing_of_it() -> None:
    made = VisitSecret.fresh()
    assert len({made.id, made.csrf, made.raw.hex()}) == 3
    assert made.text not in repr(made)


@pytest.mark.parametrize("sealed", [b"", b"short", b"x" * 12])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(TokenError):
        VisitSecret.fresh().unseal(sealed)
