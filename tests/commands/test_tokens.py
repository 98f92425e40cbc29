"""Tokens of a deployment that was really initialised: signed with its key, and on its record."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control_store import open_control_store, open_tokens
from guardian.bootstrap.databases import sqlite_file
from guardian.bootstrap.secrets import SecretFiles
from guardian.commands import tokens
from guardian.commands.initialise import initialise
from guardian.config import Settings, load
from guardian.control.authentication.token_records import record_token
from guardian.errors import ConfigurationError, StoreError
from guardian.keys import signing
from guardian.keys.signing import SigningKeys
from guardian.keys.tokens import RefusedToken, Tokens
from guardian.store.control.store import ControlStore

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder: Path = tmp_path_factory.mktemp("deployment") / "home"
    initialise(folder)
    return load(folder / "guardian.yaml")


@pytest.fixture
def verifier(settings):
    store = open_control_store(settings, makes=True)
    yield open_tokens(settings, store)
    store.close()


def test_a_token_is_believed_until_it_is_withdrawn(settings, verifier):
    issued = tokens.issue(settings, "ann", role="analyst", tenants=["acme"], ttl=DAY)
    assert verifier.verify(issued.text, now=utc_now()) == issued.principal
    tokens.revoke(settings, issued.principal.jti)
    with pytest.raises(RefusedToken, match="revoked"):
        verifier.verify(issued.text, now=utc_now())


@pytest.mark.parametrize(
    "forged",
    [
        {},
        {"role": "admin"},
        {"tenants": ["acme", "globex"]},
        {"tenants": ["*"]},
        {"principal_id": "bob"},
        {"ttl": 100 * DAY},
    ],
    ids=str,
)
def test_a_stolen_signing_key_alone_makes_no_token(settings, verifier, forged):
    """Neither one that was never issued, nor a twin of one that was, which may do more or for longer."""
    mine = tokens.issue(settings, "ann", role="analyst", tenants=["acme"], ttl=DAY)
    jti = mine.principal.jti if forged else "never-issued"
    told = {"role": "analyst", "tenants": ["acme"], "ttl": DAY, "now": mine.issued_at, **forged}
    twin = replace(verifier, new_id=lambda: jti).issue(told.pop("principal_id", "ann"), **told)
    with pytest.raises(RefusedToken):
        verifier.verify(twin.text, now=utc_now())
    assert verifier.verify(mine.text, now=utc_now()) == mine.principal


@pytest.fixture
def second(settings, tmp_path) -> Iterator[Tokens]:
    """Another control on the same database, with the keys as they were."""
    path = tmp_path / "signing.jwks.json"
    path.write_bytes(SecretFiles.of(settings).signing.read_bytes())
    path.chmod(0o600)
    store = open_control_store(settings, makes=True)
    yield open_tokens(settings, store, SigningKeys(path))
    store.close()


def test_what_a_retired_key_signed_is_refused_by_every_control_and_so_is_what_it_signs(settings, second):
    issued = tokens.issue(settings, "ann", role="analyst", tenants=["acme"], ttl=DAY)
    assert second.verify(issued.text, now=utc_now()) == issued.principal
    tokens.rotate(settings)
    tokens.retire(settings, issued.kid)
    with pytest.raises(RefusedToken, match="revoked"):
        second.verify(issued.text, now=utc_now())
    anew = second.issue("bob", role="analyst", tenants=["acme"], ttl=DAY, now=utc_now())
    assert anew.kid == issued.kid
    store = open_control_store(settings)
    with store.write() as rows:
        record_token(rows, anew)
    store.close()
    with pytest.raises(RefusedToken, match="revoked"):
        second.verify(anew.text, now=utc_now())
    assert {row.kid for row in tokens.issued(settings) if row.key_retired} >= {issued.kid}


def test_a_key_that_cannot_be_retired_is_not_marked(settings, second):
    kid = str(SigningKeys(SecretFiles.of(settings).signing).current().signing.kid)
    with pytest.raises(ConfigurationError, match="rotate first"):
        tokens.retire(settings, kid)
    issued = tokens.issue(settings, "ann", role="analyst", tenants=["acme"], ttl=DAY)
    assert second.verify(issued.text, now=utc_now()) == issued.principal


def test_where_the_file_cannot_be_written_the_key_is_retired_all_the_same_and_its_file_can_be_mended(
    settings, second, monkeypatch
):
    issued = tokens.issue(settings, "ann", role="analyst", tenants=["acme"], ttl=DAY)
    tokens.rotate(settings)

    def full(*_: object, **__: object) -> None:
        raise ConfigurationError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(signing, "write_secret", full)
        with pytest.raises(ConfigurationError, match="no room"):
            tokens.retire(settings, issued.kid)
    with pytest.raises(RefusedToken, match="revoked"):
        second.verify(issued.text, now=utc_now())
    tokens.retire(settings, issued.kid)
    assert issued.kid not in SecretFiles.of(settings).signing.read_text()


def test_a_key_whose_retirement_is_not_recorded_stays_in_the_file_so_that_it_can_be_retired(
    settings, second, monkeypatch
):
    """As when the connection to the database ends as this is committed."""
    issued = tokens.issue(settings, "ann", role="analyst", tenants=["acme"], ttl=DAY)
    tokens.rotate(settings)
    write = ControlStore.write

    @contextlib.contextmanager
    def gone(store):
        with write(store) as rows:
            yield rows
            raise StoreError("away")

    with monkeypatch.context() as patched:
        patched.setattr(ControlStore, "write", gone)
        with pytest.raises(StoreError):
            tokens.retire(settings, issued.kid)
    tokens.retire(settings, issued.kid)
    with pytest.raises(RefusedToken, match="revoked"):
        second.verify(issued.text, now=utc_now())


def test_a_key_is_not_rotated_where_that_cannot_be_recorded(settings, monkeypatch):
    path = SecretFiles.of(settings).signing
    old = str(SigningKeys(path).current().signing.kid)
    prepared, before, write = tokens.prepare(settings), path.read_bytes(), ControlStore.write

    @contextlib.contextmanager
    def busy(_):
        raise StoreError("database is locked")
        yield

    @contextlib.contextmanager
    def gone(store):
        with write(store) as rows:
            yield rows
            raise StoreError("away")

    with monkeypatch.context() as patched:
        patched.setattr(ControlStore, "write", busy)
        with pytest.raises(StoreError, match=r"^database is locked$"):
            tokens.rotate(settings)
    assert path.read_bytes() == before
    with monkeypatch.context() as patched:
        patched.setattr(ControlStore, "write", gone)
        with pytest.raises(StoreError, match=f"away; key {prepared} signs all the same, .* do not rotate again"):
            tokens.rotate(settings)
    assert str(SigningKeys(path).current().signing.kid) == prepared
    tokens.retire(settings, old)


def test_a_control_that_starts_with_a_retired_key_signs_nothing_with_it(settings, second):
    old = second.keys.current().signing.kid
    tokens.rotate(settings)
    tokens.retire(settings, str(old))
    store = open_control_store(settings)
    started = open_tokens(settings, store, SigningKeys(second.keys.path))
    store.close()
    assert started.keys.current().jwks() == {"keys": []}
    with pytest.raises(ConfigurationError, match="is retired"):
        started.issue("bob", role="analyst", tenants=["acme"], ttl=DAY, now=utc_now())


@pytest.mark.parametrize("certificate", [None, "A" * 43])
def test_a_token_that_a_stolen_key_signed_for_another_certificate_or_for_none_is_refused(
    settings, verifier, certificate
):
    issued = tokens.issue(settings, "gw", role="gateway", tenants=["acme"], ttl=DAY, certificate="B" * 43)
    assert verifier.verify(issued.text, now=utc_now()).certificate == "B" * 43
    assert verifier.revoked(replace(issued.principal, certificate=certificate))


def test_one_from_before_certificates_were_recorded_counts_as_it_did(settings, verifier):
    issued = tokens.issue(settings, "gw", role="gateway", tenants=["acme"], ttl=DAY, certificate="B" * 43)
    with contextlib.closing(sqlite3.connect(sqlite_file(settings, settings.store.control))) as database, database:
        database.execute("UPDATE control_token SET certificate = NULL")
    assert verifier.verify(issued.text, now=utc_now()) == issued.principal


def test_of_a_file_that_was_not_copied_after_a_rotation_the_keys_are_shown_that_are_retired(settings, tmp_path):
    """Its own database knows which they are."""
    path, elsewhere = SecretFiles.of(settings).signing, tmp_path / "elsewhere.json"
    next_one = tokens.prepare(settings)
    old = next(key["kid"] for key in tokens.keys(settings) if key["signs"])
    elsewhere.write_bytes(path.read_bytes())
    tokens.retire(settings, next_one)
    tokens.rotate(settings)
    tokens.retire(settings, old)
    path.write_bytes(elsewhere.read_bytes())
    found = {key.pop("kid"): key for key in tokens.keys(settings)}
    assert found[old] == found[next_one] == {"signs": False, "prepared": False, "retired": True}
