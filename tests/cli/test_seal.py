"""`guardian seal`: a fresh key, and the end of the old one."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.cli import seals
from guardian.commands.doctor import examine
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.domain.batch import DeadLetter
from guardian.domain.record import Record
from guardian.errors import ConfigurationError, StoreError
from guardian.keys.seal import Seal, load_seal, rotate_seal_file
from guardian.store.engine import open_engine, writing
from guardian.store.monitor.dead_letters import insert_dead_letters
from guardian.store.monitor.held import insert_waiting

NOW = datetime(2026, 5, 12, tzinfo=UTC)


def test_a_key_is_rotated_and_then_the_old_one_opens_nothing_any_more(tmp_path: Path) -> None:
    app = typer.Typer()
    seals.register(app)
    config = initialise(tmp_path / "home")
    path = config.parent / "keys" / "seal.key"
    open_monitor_store(load(config), makes=True).close()

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
    said = "copy it to every other monitor of this store, then start the monitors anew"
    assert (rotated.exit_code, said in rotated.output) == (0, True)
    assert seal().unseal(old, now=NOW) == b"old"
    new = seal().seal(b"new", now=NOW)
    with pytest.raises(StoreError):
        leaked.unseal(new, now=NOW)

    assert run("retire").output.startswith("1 older sealing key retired")
    assert seal().unseal(new, now=NOW) == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StoreError):
        seal().unseal(old, now=NOW)


def test_who_gives_a_lost_key_up_is_told_what_that_costs(tmp_path: Path) -> None:
    app = typer.Typer()
    seals.register(app)
    config = initialise(tmp_path / "home")
    path = config.parent / "keys" / "seal.key"
    open_monitor_store(load(config), makes=True).close()
    path.unlink()
    refused = CliRunner().invoke(app, ["seal", "rotate", "-c", str(config)])
    assert "`guardian seal rotate --lost`" in str(refused.exception)
    assert not path.exists()
    made = CliRunner().invoke(app, ["seal", "rotate", "--lost", "-c", str(config)])
    assert made.output.startswith(f"{path} is a new key; nobody opens any more what was sealed before")
    assert len(load_seal(path, ttl=timedelta(days=1)).keys) == 1


def test_a_machine_without_a_monitor_rotates_no_sealing_key_and_says_where_to_ask(tmp_path: Path) -> None:
    app = typer.Typer()
    seals.register(app)
    config = initialise(tmp_path / "home")
    path = config.parent / "keys" / "seal.key"
    before = path.read_bytes()
    refused = CliRunner().invoke(app, ["seal", "rotate", "-c", str(config)])
    assert isinstance(refused.exception, ConfigurationError)
    assert "lies on the machine that runs `guardian watch`" in str(refused.exception)
    assert path.read_bytes() == before


def test_a_deployment_where_a_file_is_says_to_choose_another_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigurationError, match="choose another folder"):
        initialise(tmp_path / "taken")


def test_a_key_is_not_retired_while_it_alone_opens_what_is_wanted(tmp_path: Path) -> None:
    app = typer.Typer()
    seals.register(app)
    config = initialise(tmp_path / "home")
    settings, path = load(config), config.parent / "keys" / "seal.key"
    store = open_monitor_store(settings, makes=True)

    def run(*words: str):
        return CliRunner().invoke(app, ["seal", *words, "-c", str(config)])

    def keep(first: int) -> None:
        """Two dead letters and a record that waits, sealed with the newest key."""
        now, seal = utc_now(), load_seal(path, ttl=timedelta(days=1))
        records = [Record("t", 0, first + at, b"value") for at in range(3)]
        envelope = SimpleNamespace(tenant_id="acme", session_id=f"s{first}")
        waits = SimpleNamespace(record=records[2], entry=0, event=SimpleNamespace(envelope=envelope))
        letters = [DeadLetter(record, "not_json", "why", "acme", "s1", "gw") for record in records[:2]]
        with writing(open_engine(settings.store_url(settings.store.monitor))) as connection:
            made = {"seal": lambda value: seal.seal(value, now=now), "now": now}
            insert_dead_letters(connection, letters, **made, expires_at=now + timedelta(days=1))
            insert_waiting(connection, [waits], **made)

    keep(0)
    assert run("rotate").exit_code == 0
    keep(10)
    store.dead_letters.redriven("t/0/0", now=utc_now())
    refused = run("retire")
    assert isinstance(refused.exception, ConfigurationError)
    assert "an older key alone opens 2 sealed records" in str(refused.exception)
    assert len(path.read_bytes().split()) == 2
    assert run("retire", "--force").exit_code == 0
    assert run("rotate").exit_code == 0
    assert "opens 3 sealed records" in str(
        run("retire").exception
    )  # what nobody can open any more is not waited for
    store.close()


def test_doctor_says_that_another_monitor_of_the_store_seals_with_a_key_that_is_not_here(tmp_path: Path) -> None:
    config = initialise(tmp_path / "home")
    settings, path = load(config), config.parent / "keys" / "seal.key"

    def sealed():
        return next(check for check in examine(settings, "watch") if check.name == "sealed")

    assert sealed().found == "nothing lies sealed yet"
    open_monitor_store(settings, makes=True).close()
    assert sealed().ok
    old, now = path.read_bytes(), utc_now()
    rotate_seal_file(path)
    seal = load_seal(path, ttl=timedelta(days=1))
    envelope = SimpleNamespace(tenant_id="acme", session_id="s1")
    waits = SimpleNamespace(record=Record("t", 0, 1, b"v"), entry=0, event=SimpleNamespace(envelope=envelope))
    letter = DeadLetter(Record("t", 0, 0, b"v"), "not_json", "why", "acme", "s1", "gw")
    made = {"seal": lambda value: seal.seal(value, now=now), "now": now}
    with writing(open_engine(settings.store_url(settings.store.monitor))) as connection:
        insert_dead_letters(connection, [letter], **made, expires_at=now + timedelta(days=1))
        insert_waiting(connection, [waits], **made)
    assert sealed().ok
    path.write_bytes(old)
    assert (sealed().ok, "does not open 2 newly sealed records" in sealed().found) == (False, True)
    assert sealed().mend.startswith("copy keys/seal.key from where it was last rotated")
    with closing(open_monitor_store(settings)) as store:
        store.dead_letters.redriven("t/0/0", now=now)
    assert "does not open 1 newly sealed record:" in sealed().found, "what was sent again is wanted no more"


def test_what_waited_through_a_long_outage_is_opened_as_of_then_so_its_key_is_there_and_is_not_retired(
    tmp_path: Path,
) -> None:
    app = typer.Typer()
    seals.register(app)
    config = initialise(tmp_path / "home")
    settings, path = load(config), config.parent / "keys" / "seal.key"
    open_monitor_store(settings, makes=True).close()
    seal, then = load_seal(path, ttl=timedelta(days=1)), utc_now() - timedelta(days=60)
    envelope = SimpleNamespace(tenant_id="acme", session_id="s1")
    waits = SimpleNamespace(record=Record("t", 0, 1, b"v"), entry=0, event=SimpleNamespace(envelope=envelope))
    with writing(open_engine(settings.store_url(settings.store.monitor))) as connection:
        insert_waiting(connection, [waits], seal=lambda value: seal.seal(value, now=then), now=then)
    (sealed,) = (check for check in examine(settings, "watch") if check.name == "sealed")
    assert sealed.ok, sealed.found
    rotate_seal_file(path)
    refused = CliRunner().invoke(app, ["seal", "retire", "-c", str(config)])
    assert "an older key alone opens 1 sealed record " in str(refused.exception)
