"""`guardian token`: what operators are told, on a deployment that was really initialised."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import typer
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from guardian.bootstrap.clock import utc_now
from guardian.cli import auditing, tokens
from guardian.commands.initialise import initialise
from guardian.errors import ConfigurationError
from guardian.keys.signing import SigningKeys
from guardian.store.control.store import ControlStore


@pytest.fixture
def home(tmp_path):
    initialise(folder := tmp_path / "home")
    return folder


@pytest.fixture
def guardian(home):
    app = typer.Typer()
    tokens.register(app)
    auditing.register(app)

    def run(*args: str):
        return CliRunner().invoke(app, [*args, "-c", str(home / "guardian.yaml")], catch_exceptions=False)

    return run


def certificate(folder: Path, *, days: int) -> str:
    """One that began a year ago and ends in so many days."""
    key, now = Ed25519PrivateKey.generate(), utc_now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "maya")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=365)).not_valid_after(now + timedelta(days=days))
    (file := folder / "client.pem").write_bytes(made.sign(key, None).public_bytes(Encoding.PEM))
    return str(file)


@pytest.mark.parametrize(("days", "lives"), [(5, 5), (9, 7)])
def test_a_token_ends_with_its_certificate(guardian, tmp_path, days, lives):
    issue = ["token", "issue", "maya", "--role", "analyst", "--tenant", "acme", "--days", "7"]
    done = guardian(*issue, "--certificate", certificate(tmp_path, days=days))
    assert done.exit_code == 0
    assert ("then its certificate is over" in done.stderr) is (lives == days)
    listed = json.loads(guardian("token", "list", "--json").stdout)
    (row,) = (each for each in listed if each["principal"] == "maya")
    left = datetime.fromisoformat(row["expires_at"]) - utc_now()
    assert timedelta(days=lives) - left < timedelta(minutes=10)
    assert "with its certificate" in guardian("token", "list").stdout


def test_tokens_that_are_over_are_listed_when_asked_for(guardian, home):
    store = ControlStore.open(f"sqlite:///{home}/data/control.db", now=utc_now())
    with store.write() as rows:
        for n in range(3):
            at = utc_now() - timedelta(days=n + 2)
            told = {"principal_id": "maya", "role": "analyst", "tenants": ["acme"], "kid": "k"}
            rows.tokens.add(jti=f"click_{n}", **told, issued_at=at, expires_at=at + timedelta(minutes=1))
    store.close()

    def shown(*options: str) -> str:
        return guardian("token", "list", *options).stdout

    assert "  live     monitor" in shown()
    assert "click_" not in shown()
    assert shown("--principal", "maya") == ""
    assert [line.split()[:2] for line in shown("--ended", "--principal", "maya").splitlines()] == [
        ["click_2", "ended"],
        ["click_1", "ended"],
        ["click_0", "ended"],
    ]
    assert shown("--ended").count("  ended ") == 3
    done = guardian("token", "list", "--ended", "--principal", "maya", "--limit", "2", "--json")
    assert [each["jti"] for each in json.loads(done.stdout)] == ["click_1", "click_0"]
    assert "these are the newest 2; there are more" in done.stderr
    assert (
        "there are more" not in guardian("token", "list", "--ended", "--principal", "maya", "--limit", "3").stderr
    )


@pytest.mark.parametrize("command", ["list", "revoke"])
def test_a_principal_without_a_name_is_a_mistake(guardian, command):
    done = guardian("token", command, "--principal", " ")
    assert (done.exit_code, "it is empty and names nothing" in done.stderr) == (2, True)


def test_none_is_issued_for_a_certificate_that_is_over(guardian, tmp_path):
    issue = ["token", "issue", "maya", "--role", "analyst", "--tenant", "acme"]
    with pytest.raises(ConfigurationError, match="its certificate ended at"):
        guardian(*issue, "--certificate", certificate(tmp_path, days=-1))


def test_who_retires_a_key_is_told_what_older_checkpoints_need(guardian, home):
    assert guardian("audit", "checkpoint").exit_code == 0
    old = str(SigningKeys(home / "keys" / "signing.jwks.json").current().signing.kid)
    assert guardian("token", "rotate").exit_code == 0
    assert "`guardian audit checkpoint`" in guardian("token", "retire", old).stderr
    assert guardian("audit", "verify").exit_code == 1
    assert guardian("audit", "checkpoint").exit_code == 0
    assert guardian("audit", "verify").exit_code == 0


def test_who_rotates_the_signing_key_is_told_who_needs_it_and_can_bring_it_there_before(guardian, home):
    def run(*words):
        return guardian("token", *words).output

    assert "believe no list" in run("rotate")
    kid = run("rotate", "--prepare").split()[1]
    assert run("keys").splitlines()[0] == f"{kid}  signs next"
    told = run("rotate")
    assert told.startswith(f"signing with key {kid}\n")
    assert "believe no list" not in told
    assert f"copy {home}/keys/signing.jwks.json" in told
    assert run("keys").splitlines()[0] == f"{kid}  signs"


def test_a_token_whose_key_was_retired_is_not_listed_as_live(guardian):
    def run(*words):
        return guardian("token", *words).output

    old = run("keys").split()[0]
    run("rotate")
    run("issue", "maya", "--role", "analyst", "--tenant", "acme")
    assert run("list").count("  live  ") == 4
    run("retire", old)
    states = {line.split()[3]: line.split()[1] for line in run("list").splitlines() if "until" in line}
    assert states == {"gateway": "refused", "monitor": "refused", "admin": "refused", "maya": "live"}


@pytest.mark.parametrize("wrong", [("", "--tenant", "acme"), ("m", "--tenant", ""), ("m", "--tenant", "a/b")])
def test_a_name_that_no_token_can_bear_is_wrong_usage(guardian, wrong):
    with pytest.raises(ConfigurationError, match="is no identifier"):
        guardian("token", "issue", *wrong, "--role", "analyst")
