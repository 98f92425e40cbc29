"""SASL OAUTHBEARER: tokens are fetched, kept until they end, and never shown."""

import base64
from urllib.parse import parse_qs, unquote_plus

import pytest
from kafka.net.sasl.oauth import SaslMechanismOAuth
from receivers import Dripping
from serving import Asked, Reply, answering

from guardian.bootstrap.kafka import kafka_settings
from guardian.bus import oauth
from guardian.bus.oauth import ClientCredentials, TokenFile
from guardian.config import load
from guardian.errors import ConfigurationError


@pytest.fixture
def endpoint():
    """A token endpoint; `asked` holds forms and credentials, `answer` what it says."""
    state = {"asked": [], "status": 200, "body": {"access_token": "tok-1", "expires_in": 120}}

    def answer(asked: Asked) -> Reply:
        credentials = base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")).decode()
        state["asked"].append((parse_qs(asked.body.decode()), credentials))
        return Reply(state["body"], state["status"])

    with answering(answer) as server:
        yield f"{server.url}/token", state


def test_a_token_is_fetched_once_and_renewed_before_it_ends(endpoint):
    url, state = endpoint
    now = [0.0]
    tokens = ClientCredentials(url, "guardian", "s3cret", scope="kafka", clock=lambda: now[0])
    assert (tokens.token(), tokens.token()) == ("tok-1", "tok-1")
    assert state["asked"] == [({"grant_type": ["client_credentials"], "scope": ["kafka"]}, "guardian:s3cret")]
    state["body"] = {"access_token": "tok-2", "expires_in": 120}
    now[0] = 61.0
    assert tokens.token() == "tok-2"


def test_a_later_connection_shows_a_new_token_or_while_none_can_be_had_the_old_one_to_its_end(endpoint):
    url, state = endpoint
    now = [0.0]
    tokens = ClientCredentials(url, "guardian", "s3cret", clock=lambda: now[0])
    shown = []
    for at, says, status in ((0, "one", 200), (29, "two", 200), (30, "two", 200), (60, "", 503), (89, "", 200)):
        now[0] = at
        state |= {"status": status, "body": {"access_token": says, "expires_in": 121}}
        shown.append(tokens.token())
    assert shown == ["one", "one", "two", "two", "two"]
    state["status"], now[0] = 503, 91.0
    with pytest.raises(ConnectionError, match="answered 503"):
        tokens.token()


def test_any_secret_is_shown_as_the_endpoint_reads_it(endpoint):
    url, state = endpoint
    ClientCredentials(url, "a:b", "k+3/Z%2B ü==").token()
    [(_, shown)] = state["asked"]
    assert [unquote_plus(part) for part in shown.split(":")] == ["a:b", "k+3/Z%2B ü=="]


@pytest.mark.parametrize(("status", "body"), [(401, {"error": "s3cret"}), (200, {"no": "token"}), (200, [])])
def test_a_refusal_is_a_failed_connection_that_shows_no_secret(endpoint, status, body):
    url, state = endpoint
    state.update(status=status, body=body)
    with pytest.raises(ConnectionError) as caught:
        ClientCredentials(url, "guardian", "s3cret").token()
    assert "s3cret" not in str(caught.value)


def test_of_an_address_that_does_not_answer_the_host_is_told_and_no_secret(endpoint):
    with pytest.raises(ConnectionError) as caught:
        ClientCredentials("https://user:s3cret@127.0.0.1:1/s3cret?key=s3cret", "guardian", "s3cret").token()
    assert str(caught.value) == "kafka.oauth: no token from https://127.0.0.1:1: ConnectError"
    url, state = endpoint
    state["status"] = 401
    with pytest.raises(ConnectionError, match=r"^kafka\.oauth: http://127\.0\.0\.1:\d+ answered 401$"):
        ClientCredentials(f"{url}?key=s3cret", "guardian", "s3cret").token()


def test_an_answer_in_drops_is_given_up(monkeypatch):
    monkeypatch.setattr(oauth, "_TIMEOUT_S", 0.2)
    with Dripping() as server, pytest.raises(ConnectionError, match="ReadTimeout"):
        ClientCredentials(f"http://127.0.0.1:{server.port}/token", "guardian", "s3cret").token()


def test_a_secret_is_never_sent_in_the_clear():
    with pytest.raises(ConfigurationError, match="must be https"):
        ClientCredentials("http://idp.example/token", "guardian", "s3cret")


def test_a_token_file_is_read_at_every_connection(tmp_path):
    path = tmp_path / "token"
    path.write_text("one\n")
    tokens = TokenFile(path)
    assert tokens.token() == "one"
    path.write_text("two\n")
    assert tokens.token() == "two"
    path.unlink()
    with pytest.raises(ConnectionError):
        tokens.token()


def test_the_configured_tokens_are_what_the_client_says_to_the_broker(endpoint, tmp_path):
    url, _ = endpoint
    overrides = {
        "base": str(tmp_path),
        "kafka": {"oauth": {"token_url": url, "client_secret": "s3cret"}, "options": {"ssl_cafile": "ca.pem"}},
    }
    connection = kafka_settings(load(None, overrides=overrides)).connection
    assert connection["security_protocol"] == "SASL_SSL"
    assert connection["ssl_cafile"] == str(tmp_path / "ca.pem")
    assert b"auth=Bearer tok-1" in SaslMechanismOAuth(**connection).auth_bytes()


def test_half_a_configuration_is_refused_at_start():
    for told in ({}, {"token_url": "https://idp.example/t"}, {"token_url": "https://x", "token_file": "y"}):
        with pytest.raises(ConfigurationError, match=r"kafka\.oauth"):
            load(None, overrides={"kafka": {"oauth": told}})
