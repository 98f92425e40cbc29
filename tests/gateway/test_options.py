"""Options that cannot be are refused when the list is made."""

import pytest

from guardian.gateway.client import RevocationList


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://guardian.example", "allow_http"),
        ("http://10.0.0.1", "allow_http"),
        ("ftp://guardian.example", "https://"),
        ("guardian.example", "https://"),
        ("https://user:pass@guardian.example", "without user"),
        ("https://guardian.example/?token=x", "without user"),
    ],
)
def test_an_unsafe_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        RevocationList(url, "t")
    assert "pass" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://localhost", "http://[::1]:8", "https://g.example/api"]
)
def test_https_and_this_machine_are_fine(url: str) -> None:
    assert RevocationList(url, "t").state().status == "never_loaded"


@pytest.mark.parametrize(
    "options",
    [{"on_stale": "maybe"}, {"interval_s": 0}, {"max_stale_s": -1}, {"wait_s": -1}, {"tenants": "acme"}],
)
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RevocationList("https://g.example", "t", **options)  # type: ignore[arg-type]


def test_signatures_are_checked_only_for_tenants_that_are_named() -> None:
    with pytest.raises(ValueError, match="verify_with needs `tenants`"):
        RevocationList("https://g.example", "t", verify_with={"keys": []})


@pytest.mark.parametrize("instance", ["gw 1", "gw-ä", "gw\n1", "x" * 129])
def test_an_instance_that_guardian_would_not_take_is_refused_at_once(instance: str) -> None:
    with pytest.raises(ValueError, match="instance must be"):
        RevocationList("https://g.example", "t", instance=instance)
