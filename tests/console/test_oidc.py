"""Signing in at an identity provider: one on a socket, which signs its answers, and ways to get it wrong."""

import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey, JWKRegistry
from nginx import certified
from oidc_provider import CLIENT, SECRET, OidcProvider
from receivers import Dripping

from guardian.bootstrap.console import _mapping, open_identity
from guardian.commands.doctor_pages import pages_checked
from guardian.config import Settings
from guardian.console.oidc import OpenIdProvider
from guardian.control.authentication.visiting import Visits
from guardian.errors import ConfigurationError, ProviderAway, SignInRefused

PEOPLE = {
    "maya": {"email": "Maya@acme.example", "role": "responder", "tenants": ["acme"]},
    "lee": {"sub": "00u2", "role": "approver", "tenants": ["*"]},
}
PAGE = "/console/session?tenant=acme&id=sess_1"
SAME_NAME = ECKey.generate_key("P-256").as_dict(private=False)
ELSEWHERE = {"issuer": "https://idp.example", "client_id": "g"}


@pytest.fixture
def made(make_site: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, OidcProvider]]:
    now: list[Any] = []
    with OidcProvider(lambda: now[0]()) as provider:
        oidc = {"issuer": provider.issuer, "client_id": CLIENT, "client_secret": SECRET, "name": "Acme SSO"}
        monkeypatch.setattr("guardian.bootstrap.console.utc_now", lambda: now[0]())
        site = make_site(console={"oidc": oidc, "people": PEOPLE})
        now.append(site.clock)
        yield site, provider


def sent(browser: Any, after: str = PAGE) -> str:
    """Where the identity provider is asked."""
    got = browser.client.get("/console/sign-in/oidc", params={"after": after})
    assert got.status_code == 303
    return str(got.headers["location"])


def at_the_provider(url: str) -> str:
    """Where the provider sends the browser."""
    got = httpx.get(url, follow_redirects=False, trust_env=False, timeout=30)
    return str(got.headers["location"])


def there_and_back(browser: Any, after: str = PAGE) -> Any:
    """What the browser is answered when it comes back."""
    url = at_the_provider(sent(browser, after))
    told = urlsplit(url)
    assert (told.netloc, told.path) == ("127.0.0.1:8731", "/console/sign-in/callback")
    return browser.get(f"{told.path}?{told.query}")


def test_somebody_known_is_signed_in_and_comes_back_to_the_page_they_wanted(made):
    site, _ = made
    browser = site.browser()
    asked = browser.get(PAGE)
    sign_in = browser.get(asked.headers["location"])
    assert "Sign in with Acme SSO" in sign_in.text
    got = there_and_back(browser)
    assert (got.status_code, got.headers["location"]) == (303, PAGE)
    assert "maya" in browser.page()
    assert site.audit(action="signIn") == [
        site.audit(action="signIn")[0] | {"actor": "maya", "how": "oidc", "role": "responder"}
    ]


def test_a_person_may_be_known_by_the_providers_own_id(made):
    site, provider = made
    provider.claims = {"sub": "00u2"}
    browser = site.browser()
    assert there_and_back(browser).status_code == 303
    assert "every tenant" in browser.page()


def test_what_is_asked_carries_state_nonce_and_a_challenge(made):
    site, _ = made
    query = parse_qs(urlsplit(sent(site.browser())).query)
    assert {"state", "nonce", "code_challenge"} <= set(query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == ["http://127.0.0.1:8731/console/sign-in/callback"]
    assert "code_verifier" not in query


@pytest.mark.parametrize(
    "wrong",
    [
        {"claims": {"nonce": "another"}},
        {"claims": {"aud": "another"}},
        {"claims": {"aud": [CLIENT, "another"]}},
        {"claims": {"azp": "another"}},
        {"claims": {"iss": "https://evil.example"}},
        {"claims": {"exp": 1}},
        {"claims": {"iat": 1}},
        {"claims": {"sub": None}},
        {"algorithm": "none"},
        {"algorithm": "HS256"},
        {"stranger": True},
        {"answer": {"state": "another"}},
        {"answer": {"iss": "https://evil.example"}},
        {"answer": {"iss": ""}},
        {"answer": {"code": "another"}},
        {"answer": {"code": "", "error": "access_denied"}},
        {"discovery": {"issuer": "https://evil.example"}},
    ],
    ids=str,
)
def test_an_answer_that_is_not_sound_signs_nobody_in(made, wrong):
    site, provider = made
    browser = site.browser()
    url = sent(browser) if "discovery" not in wrong else ""
    provider.wrong = wrong
    if not url:
        got = browser.get("/console/sign-in/oidc")
        assert got.status_code in (403, 503)
        return
    back = urlsplit(at_the_provider(url))
    got = browser.get(f"{back.path}?{back.query}")
    assert got.status_code == 403
    assert "guardian=" not in got.headers.get("set-cookie", "").replace("guardian-", "")
    assert browser.get("/console").status_code == 303
    assert site.audit(action="signIn") == []


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "00u9"},
        {"sub": "00u9", "email": "eve@acme.example", "email_verified": True},
        {"sub": "00u9", "email": "maya@acme.example", "email_verified": False},
        {"sub": "00u9", "email": "maya@acme.example"},
        {"sub": "00u9", "email": "maya@acme.example", "email_verified": "true"},
    ],
    ids=str,
)
def test_who_is_not_listed_or_not_verified_is_nobody(made, claims):
    site, provider = made
    provider.claims = claims
    got = there_and_back(site.browser())
    assert got.status_code == 403
    assert "does not know you" in got.text
    assert site.audit(action="signIn") == []


def test_an_answer_counts_once_and_in_the_browser_that_asked(made):
    site, provider = made
    browser, other = site.browser(), site.browser()
    back = urlsplit(at_the_provider(sent(browser)))
    assert other.get(f"{back.path}?{back.query}").status_code == 403
    assert browser.get(f"{back.path}?{back.query}").status_code == 303
    assert browser.get(f"{back.path}?{back.query}").status_code == 403
    assert provider.exchanges == ["done"]


def test_of_two_sign_ins_in_one_browser_the_later_is_not_thrown_out_by_the_other(made):
    site, _ = made
    browser = site.browser()
    first, second = (urlsplit(at_the_provider(sent(browser))) for _ in range(2))
    assert "belongs to another sign-in" in browser.get(f"{first.path}?{first.query}").text
    assert browser.get(f"{second.path}?{second.query}").status_code == 303


def test_what_was_asked_counts_once_though_the_answer_was_a_refusal(made):
    site, provider = made
    browser = site.browser()
    back = urlsplit(at_the_provider(sent(browser)))
    state = parse_qs(back.query)["state"][0]
    refused = browser.get(f"{back.path}?error=access_denied&iss={provider.issuer}&state={state}")
    assert "did not sign you in: access_denied" in refused.text
    assert "in another browser" in browser.get(f"{back.path}?{back.query}").text
    assert provider.exchanges == []


def test_an_answer_that_comes_while_the_provider_is_away_may_be_tried_again(made, monkeypatch):
    def nobody(*_args, **_more):
        raise httpx.ConnectError("away")

    site, _ = made
    browser = site.browser()
    back = urlsplit(at_the_provider(sent(browser)))
    with monkeypatch.context() as away:
        away.setattr("guardian.console.oidc._KEPT", timedelta(0))
        away.setattr(httpx.Client, "get", nobody)
        assert browser.get(f"{back.path}?{back.query}").status_code == 503
    site.clock.pass_(minutes=1)
    assert browser.get(f"{back.path}?{back.query}").status_code == 303


def test_a_sign_in_that_took_too_long_is_begun_again(made):
    site, _ = made
    browser = site.browser()
    back = urlsplit(at_the_provider(sent(browser)))
    site.clock.pass_(minutes=11)
    assert browser.get(f"{back.path}?{back.query}").status_code == 403


def test_the_provider_may_change_its_keys(made):
    site, provider = made
    assert there_and_back(site.browser()).status_code == 303
    provider.rotate()
    site.clock.pass_(minutes=2)
    assert there_and_back(site.browser()).status_code == 303


def test_what_was_heard_by_a_clock_that_was_ahead_is_asked_again_once_that_is_right(made, monkeypatch):
    """Else a key that the provider withdrew would be believed, and its new one not, as long as that was ahead."""
    site, idp = made
    asked: list[str] = []
    get = OpenIdProvider._get
    monkeypatch.setattr(OpenIdProvider, "_get", lambda self, url: asked.append(url) or get(self, url))
    site.clock.pass_(days=365)
    provider = open_identity(site.settings, "http://127.0.0.1:8731/console")
    provider.examine()
    site.clock.pass_(days=-365)
    idp.rotate()
    provider.examine()
    provider.examine()
    assert len(asked) == 4
    assert asked[:2] == asked[2:]


@pytest.mark.parametrize(
    ("kind", "curve", "algorithm"),
    [("RSA", 2048, "RS512"), ("RSA", 2048, "PS384"), ("EC", "P-384", "ES384"), ("OKP", "Ed25519", "Ed25519")],
)
def test_it_may_sign_with_any_key_of_its_own(made, kind, curve, algorithm):
    site, provider = made
    provider.rotate(JWKRegistry.generate_key(kind, curve, {"kid": "its own"}), algorithm)
    assert there_and_back(site.browser()).status_code == 303


@pytest.mark.parametrize("header", [{"pi.atm": "8a"}, {"x5c": ["M" * 4_000]}, {"kid": None}], ids=str)
def test_what_the_header_of_an_id_token_says_besides_keeps_nobody_out(made, header):
    site, provider = made
    provider.header = header
    assert there_and_back(site.browser()).status_code == 303


@pytest.mark.parametrize(
    "odd",
    [
        {"kty": "EC", "crv": "BP-256", "x": "AA", "y": "AA", "kid": "of another curve"},
        {"kty": "RSA", "kid": "without a modulus"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "use": "tls", "kid": "for another use"},
        "no object",
        SAME_NAME,
    ],
    ids=["another curve", "no modulus", "another use", "no object", "same name"],
)
def test_an_odd_key_beside_the_one_that_signs_keeps_nobody_out(made, odd):
    site, provider = made
    provider.beside = [odd | {"kid": provider.key.kid} if odd is SAME_NAME else odd]
    assert there_and_back(site.browser()).status_code == 303


@pytest.mark.parametrize("asked", ["post", "get"])
def test_an_answer_of_endless_depth_is_refused_in_words(made, monkeypatch, asked):
    site, _ = made
    browser = site.browser()
    back = urlsplit(at_the_provider(sent(browser)))
    deep = httpx.Response(200, text="[" * 50_000, request=httpx.Request(asked, "http://idp.example"))
    with monkeypatch.context() as broken:
        broken.setattr(httpx.Client, asked, lambda *_args, **_more: deep)
        got = browser.get(f"{back.path}?{back.query}")
    assert (got.status_code, "The identity provider" in got.text) == (403 if asked == "post" else 503, True)


def test_a_provider_that_is_away_is_said_so(made, monkeypatch):
    site, provider = made
    provider.__exit__()
    got = site.browser().get("/console/sign-in/oidc")
    assert got.status_code == 503
    assert "cannot be reached" in got.text


def test_it_is_not_asked_anew_by_everybody_who_presses_the_button(made, monkeypatch):
    site, _ = made
    tried: list[str] = []

    def away(_self: object, url: str, **_more: object) -> None:
        tried.append(url)
        raise httpx.ConnectError("away")

    with monkeypatch.context() as broken:
        broken.setattr(httpx.Client, "get", away)
        provider = open_identity(site.settings, "http://127.0.0.1:8731/console")
        for _ in range(3):
            with pytest.raises(ProviderAway, match="cannot be reached"):
                provider.begin("/console")
    assert len(tried) == 1
    with pytest.raises(ProviderAway):
        provider.begin("/console")
    site.clock.pass_(seconds=11)
    assert provider.begin("/console").url


def test_a_provider_that_answers_in_drops_is_away(make_site):
    with Dripping() as server:
        oidc = {"issuer": f"http://127.0.0.1:{server.port}", "client_id": "g", "timeout_s": 0.2}
        site = make_site(console={"oidc": oidc, "people": PEOPLE})
        with pytest.raises(ProviderAway, match="cannot be reached") as away:
            open_identity(site.settings, "http://127.0.0.1:8731/console").begin("/console")
    assert isinstance(away.value.__cause__, httpx.ReadTimeout)


@pytest.mark.parametrize("named", [True, False])
def test_a_provider_is_believed_by_the_ca_that_is_named_or_by_the_bundle_as_they_are_now(
    make_site, tmp_path, monkeypatch, named
):
    (certificate, key), bundle = certified(tmp_path, "provider"), tmp_path / "bundle.pem"
    bundle.write_bytes(certified(tmp_path, "another")[0].read_bytes())
    if not named:
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(certificate, key)

    def answer(listener: socket.socket) -> None:
        for _ in range(2):
            with suppress(OSError), theirs.wrap_socket(listener.accept()[0], server_side=True) as taken:
                taken.recv(65536)
                taken.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as other:
        answered = other.submit(answer, listener)
        oidc = {"issuer": f"https://localhost:{listener.getsockname()[1]}", "client_id": "g"}
        told = oidc | ({"ca_file": bundle} if named else {})
        site = make_site(console={"oidc": told, "people": PEOPLE})
        monkeypatch.setattr("guardian.bootstrap.console.utc_now", site.clock)
        provider = open_identity(site.settings, "http://127.0.0.1:8731/console")
        with pytest.raises(ProviderAway) as away:
            provider.begin("/console")
        assert "CERTIFICATE_VERIFY_FAILED" in str(away.value.__cause__)
        bundle.write_bytes(certificate.read_bytes())
        site.clock.pass_(seconds=11)
        with pytest.raises(ProviderAway) as away:
            provider.begin("/console")
        assert isinstance(away.value.__cause__, httpx.HTTPStatusError)
        answered.result()


@pytest.mark.parametrize(
    "takes", [["client_secret_post"], ["private_key_jwt", "client_secret_post"], ["client_secret_basic"], None]
)
def test_the_client_shows_its_secret_in_a_way_that_the_provider_takes(made, takes):
    site, provider = made
    provider.wrong = {"discovery": {"token_endpoint_auth_methods_supported": takes}} if takes else {}
    assert there_and_back(site.browser()).status_code == 303
    assert provider.exchanges == ["done"]
    open_identity(site.settings, "http://127.0.0.1:8731/console").examine()


def test_where_it_knows_none_the_doctor_says_so(made):
    site, provider = made
    provider.wrong = {"discovery": {"token_endpoint_auth_methods_supported": ["private_key_jwt"]}}
    identity = open_identity(site.settings, "http://127.0.0.1:8731/console")
    with pytest.raises(SignInRefused, match="by private_key_jwt only"):
        identity.examine()
    there_and_back(site.browser())
    assert provider.exchanges == ["invalid_client"]


@pytest.mark.parametrize("published", [[], "x", {"keys": 3}, {}, {"keys": [{"kty": "RSA"}]}], ids=str)
def test_what_a_provider_publishes_in_disorder_is_said_so(made, monkeypatch, published):
    site, _ = made
    browser = site.browser()
    back = urlsplit(at_the_provider(sent(browser)))
    monkeypatch.setattr(OpenIdProvider, "_get", lambda *_: published)
    assert browser.get(f"{back.path}?{back.query}").status_code == 503
    with pytest.raises(ProviderAway):
        open_identity(site.settings, "http://127.0.0.1:8731/console").begin("/console")


@pytest.mark.parametrize("url", ["http://127.0.0.1@evil.example/token", "http://evil.example/token", 7])
def test_a_provider_that_names_an_endpoint_in_the_clear_is_not_sent_a_secret(made, monkeypatch, url):
    site, provider = made
    published = {"issuer": provider.issuer, "token_endpoint": url}
    published |= dict.fromkeys(("authorization_endpoint", "jwks_uri"), f"{provider.issuer}/x")
    monkeypatch.setattr(OpenIdProvider, "_get", lambda *_: published)
    with pytest.raises(ProviderAway):
        open_identity(site.settings, "http://127.0.0.1:8731/console").begin("/console")


def test_signing_out_withdraws_the_token_that_was_made_for_it(made):
    site, _ = made
    browser = site.browser()
    there_and_back(browser)
    jti = site.audit(action="signIn")[0]["jti"]
    with site.deps.store.read() as rows:
        (token,) = [row for row in rows.tokens.all() if row.jti == jti]
    assert token.revoked_at is None
    assert token.expires_at - site.clock() == timedelta(hours=8)
    browser.post("/console/sign-out", {"csrf": browser.csrf()})
    with site.deps.store.read() as rows:
        (token,) = [row for row in rows.tokens.all() if row.jti == jti]
    assert token.revoked_at is not None


@pytest.mark.parametrize(
    "now", [{}, {"maya": PEOPLE["maya"] | {"role": "analyst"}}, {"maya": PEOPLE["maya"] | {"tenants": ["globex"]}}]
)
def test_who_is_taken_off_the_list_is_signed_out(made, now):
    site, _ = made
    browser = site.browser()
    there_and_back(browser)
    browser.page()
    people = {name: (told["role"], frozenset(told["tenants"])) for name, told in now.items()}
    restarted = Visits(site.deps, replace(site.deps.settings.console, people=people))
    secret = next(iter(browser.client.cookies.values()))
    assert restarted.resume(secret) is None
    assert browser.get("/console").status_code == 303, "and stays so"


@pytest.mark.parametrize(
    ("oidc", "why"),
    [
        ({"issuer": "http://idp.example"}, "https"),
        ({"scopes": ["email"]}, "openid"),
    ],
)
def test_an_unsafe_provider_is_refused_at_the_start(make_site, oidc, why):
    told = {"issuer": "https://idp.example", "client_id": "guardian"} | oidc
    with pytest.raises(ConfigurationError, match=why):
        make_site(console={"oidc": told, "people": PEOPLE})


def test_an_address_that_folds_into_another_is_somebody_elses():
    told = {"tess": {"email": "tess@acme.example", "role": "analyst", "tenants": ["acme"]}}
    person_of = _mapping(Settings(console={"oidc": ELSEWHERE, "people": told}))
    claims = {"sub": "00u9", "email_verified": True}
    assert person_of({**claims, "email": "Tess@ACME.example"}).principal == "tess"
    for other in ("te\u00df@acme.example", "te\u017f\u017f@acme.example"):
        assert person_of({**claims, "email": other}) is None


def test_an_address_of_other_than_ascii_letters_is_refused_at_the_start():
    told = {"tess": {"email": "te\u00df@acme.example", "role": "analyst", "tenants": ["acme"]}}
    with pytest.raises(ConfigurationError, match="ASCII"):
        _mapping(Settings(console={"oidc": ELSEWHERE, "people": told}))


def test_two_people_cannot_be_one_at_the_provider(make_site):
    people = dict.fromkeys(("maya", "mia"), PEOPLE["maya"])
    with pytest.raises(ConfigurationError, match="is maya already"):
        make_site(console={"oidc": {"issuer": "https://idp.example", "client_id": "g"}, "people": people})


def test_the_doctor_looks_at_the_ways_in(made):
    site, provider = made
    told = pages_checked(site.settings)
    assert told.startswith("at http://127.0.0.1:8731/console, by guardian link or Acme SSO (2 people)")
    provider.__exit__()
    with pytest.raises(SignInRefused, match="cannot be reached"):
        pages_checked(site.settings)


@pytest.mark.parametrize(("signs", "fits"), [(["HS256", "none"], False), (["HS256", "RS512"], True), (None, True)])
def test_the_doctor_says_that_no_id_token_will_be_believed(made, signs, fits):
    site, provider = made
    provider.wrong = {"discovery": {"id_token_signing_alg_values_supported": signs}}
    if fits:
        assert "Acme SSO" in pages_checked(site.settings)
        return
    with pytest.raises(SignInRefused, match="HS256, none only"):
        pages_checked(site.settings)


def test_the_doctor_says_that_there_are_no_pages(make_site):
    assert "console.enabled is false" in pages_checked(make_site(console={"enabled": False}).settings)
    with pytest.raises(ConfigurationError, match="is no folder"):
        pages_checked(make_site(console={"proposals": "nowhere"}).settings)
