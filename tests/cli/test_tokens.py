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
from guardian.cli import auditing, setup
from guardian.commands.initialise import initialise
from guardian.errors import ConfigurationError
from guardian.keys.signing import SigningKeys


@pytest.fixture
def home(tmp_path):
    initialise(folder := tmp_path / "home")
    return folder


@pytest.fixture
def guardian(home):
    app = typer.Typer()
    setup.register(app)
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
