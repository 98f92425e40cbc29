"""Of an address only what opens no door is shown."""

import pytest

from guardian.cli.masking import MASK, masked, masked_url
from guardian.config import load


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.slack.com/services/T000/B000/hush", f"https://hooks.slack.com/{MASK}"),
        ("https://hush@siem.example/x", f"https://{MASK}@siem.example/{MASK}"),
        ("https://hush@siem.example", f"https://{MASK}@siem.example"),
        ("https://u:hush@siem.example:8088/", f"https://{MASK}@siem.example:8088"),
        ("https://u:hu/sh@siem.example/x", MASK),  # what is the host, and what the password?
        ("https://siem.example/x@hush", MASK),
        ("https://siem.example?hush", f"https://siem.example/{MASK}"),
        ("https://siem.example/#hush", f"https://siem.example/{MASK}"),
        ("https://siem.example", "https://siem.example"),
        ("see https://siem.example/hush", MASK),
    ],
)
def test_of_an_address_that_alerts_go_to_scheme_and_host_are_shown(url: str, shown: str) -> None:
    settings = load(None, overrides={"alerts": {"webhook": {"url": url, "more": [{"url": url}]}}})
    assert masked(settings.model_dump(mode="json"))["alerts"]["webhook"] == {
        "url": shown,
        "more": [{"url": shown}],
    }


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hush@pdp.example/v1", f"https://{MASK}@pdp.example/v1"),
        ("https://u:hush/@x@pdp.example/v1", f"https://{MASK}@pdp.example/v1"),
        ("https://maya@corp.example:hush@pdp.example/v1", f"https://{MASK}@pdp.example/v1"),
        ("https://pdp.example/v1/a@b", "https://pdp.example/v1/a@b"),
        ("postgresql+psycopg://guardian_control@db/x", "postgresql+psycopg://guardian_control@db/x"),
        (
            "postgresql+psycopg://m:hush@db/x?sslpassword=hush",
            f"postgresql+psycopg://m:{MASK}@db/x?sslpassword={MASK}",
        ),
        ("no address @ all", "no address @ all"),
    ],
)
def test_of_every_other_address_what_signs_in_is_not_shown(url: str, shown: str) -> None:
    assert masked_url(url) == shown
