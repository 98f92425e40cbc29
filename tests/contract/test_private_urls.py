"""Every setting that sends a secret to a URL takes and refuses the same ones.

A gateway's client, which is copied alone, decides it by itself and is held to the whole table. All others ask
`domain.urls`, which is held to it beside its own tests.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from url_vectors import IN_THE_CLEAR, PRIVATE

from guardian.alerting.http_post import checked_url
from guardian.alerting.slack import SlackOptions
from guardian.bootstrap.console import open_identity
from guardian.bootstrap.visiting import visit_rule
from guardian.bus.oauth import ClientCredentials
from guardian.config import Settings, load
from guardian.config.console import ConsolePerson, ConsoleSection, OidcSection
from guardian.config.control import ControlSection
from guardian.errors import ConfigurationError
from guardian.gateway.client import RevocationList
from guardian.policy.opa import OpaPoint
from guardian.revocation.caep import CaepFace


def _pages(url: str) -> object:
    section = ConsoleSection(enabled=True)
    return visit_rule(Settings(console=section, control=ControlSection(public_url=url)), port=0)


def _identity(url: str) -> object:
    """Its seal is made in a folder that is not kept."""
    oidc = OidcSection.model_construct(issuer=url, client_id="guardian", client_secret=None, ca_file=None)
    people = {"maya": ConsolePerson(role="analyst", tenants=["t"], email="maya@example.com")}
    console = ConsoleSection.model_construct(oidc=oidc, people=people)
    with TemporaryDirectory() as folder:
        settings = Settings.model_construct(console=console, base=Path(folder))
        return open_identity(settings, "https://guardian.example")


def _registry(url: str, options: Mapping[str, str]) -> object:
    return load(overrides={"source": {"schema_registry": {"url": url, "options": options}}})


SENDERS: dict[str, Callable[[str], object]] = {
    "kafka.oauth.token_url": lambda url: ClientCredentials(url, "guardian", "secret"),
    "alerts.webhook.url": lambda url: checked_url("alerts.webhook.url", url),
    "alerts.slack.base_url": lambda url: SlackOptions(channel="C0SECURITY", token="xoxb-1", base_url=url),
    "policy.options.url": lambda url: OpaPoint(url=url, clock=lambda: 0.0, new_id=lambda: "1"),
    "revocation.faces.caep": lambda url: CaepFace(receivers=({"url": url, "audience": "a"},)),
    "console.oidc.issuer": _identity,
    "source.schema_registry.url": lambda url: _registry(
        f"https://guardian.example, {url}", {"basic.auth.user.info": "guardian:s3cret"}
    ),
    "source.schema_registry.options": lambda url: _registry(
        "https://guardian.example", {"bearer.auth.issuer.endpoint.url": url}
    ),
}
BAD = (
    "http://guardian:s3cret@guardian.example/s3cret?key=s3cret",
    "http://127.0.0.1.evil.example/token",
)


@pytest.mark.parametrize("sender", SENDERS)
def test_this_machine_is_taken_and_no_secret_goes_over_a_network_in_the_clear(sender: str) -> None:
    SENDERS[sender]("http://127.0.0.2:8731/token")
    for url in BAD:
        with pytest.raises((ConfigurationError, ValueError)) as refused:
            SENDERS[sender](url)
        assert "s3cret" not in str(refused.value)


def test_a_schema_registry_that_is_shown_no_secret_may_be_asked_over_http() -> None:
    assert _registry("http://registry.example:8081", {"ssl.ca.location": "ca.pem"})
    with pytest.raises(ConfigurationError, match="https"):
        _registry("http://guardian:s3cret@registry.example:8081", {})


@pytest.mark.parametrize("url", PRIVATE)
def test_a_gateway_takes_https_and_this_machine(url: str) -> None:
    RevocationList(url, "token")


@pytest.mark.parametrize("url", IN_THE_CLEAR)
def test_a_gateway_shows_its_token_to_no_network(url: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)url|port|network"):
        RevocationList(url, "token")


@pytest.mark.parametrize("url", BAD)
def test_no_sign_in_does_either(url: str) -> None:
    with pytest.raises((ConfigurationError, ValueError), match=r"public_url"):
        _pages(url)


@pytest.mark.parametrize("url", ["https://guardian.example", "http://127.0.0.2:8731", "HTTP://LOCALHOST:8731"])
def test_signing_in_at_this_machine_or_over_https_is_taken(url: str) -> None:
    assert _pages(url) is not None
