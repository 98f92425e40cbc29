"""`guardian seal`: a fresh sealing key, and the end of the old one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from guardian.bootstrap.initialise import initialise
from guardian.cli import setup
from guardian.errors import ConfigurationError, StoreError
from guardian.keys.seal import Seal, load_seal

NOW = datetime(2026, 5, 12, tzinfo=UTC)


def test_a_key_is_rotated_and_then_the_old_one_opens_nothing_any_more(tmp_path: Path) -> None:
    app = typer.Typer()
    setup.register(app)
    config = initialise(tmp_path / "home")
    path = config.parent / "keys" / "seal.key"

    def seal() -> Seal:
        return load_seal(path, ttl=timedelta(days=1))

    def run(command: str):
        return CliRunner().invoke(app, ["seal", command, "-c", str(config)])

    leaked = seal()
    old = leaked.seal(b"old", now=NOW)
    refused = run("retire")
    assert isinstance(refused.exception, ConfigurationError)
    assert "rotate first" in str(refused.exception)

    rotated = run("rotate")
    assert (rotated.exit_code, "start the monitors anew" in rotated.output) == (0, True)
    assert seal().unseal(old, now=NOW) == b"old"
    new = seal().seal(b"new", now=NOW)
    with pytest.raises(StoreError):
        leaked.unseal(new, now=NOW)

    assert run("retire").output.startswith("1 older sealing keys are retired")
    assert seal().unseal(new, now=NOW) == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StoreError):
        seal().unseal(old, now=NOW)
