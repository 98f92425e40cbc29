"""Where a secret may be sent."""

import pytest
from url_vectors import IN_THE_CLEAR, PRIVATE

from guardian.domain.urls import is_here, is_private, origin


@pytest.mark.parametrize("url", [*PRIVATE, "https://user:secret@guardian.example/"])
def test_https_and_http_to_this_machine_are_private(url: str) -> None:
    assert is_private(url)


@pytest.mark.parametrize("url", IN_THE_CLEAR)
def test_whatever_only_looks_like_this_machine_is_not(url: str) -> None:
    assert not is_private(url)


def test_a_host_by_itself_is_this_machine_or_not() -> None:
    assert all(is_here(host) for host in ("localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1"))
    assert not any(is_here(host) for host in ("", "localhost.", "evil.localhost", "0.0.0.0", "::", "10.0.0.1"))


def test_of_an_address_scheme_host_and_port_are_told_and_nothing_that_may_be_secret() -> None:
    assert origin("https://user:s3cret@[::1]:9/s3cret?key=s3cret#s3cret") == "https://[::1]:9"
    assert origin("http://guardian.example") == "http://guardian.example"
