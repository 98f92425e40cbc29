"""Tokens of a deployment that was really initialised: signed with its key, and on its record."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control_store import open_control_store, open_tokens
from guardian.commands import tokens
from guardian.commands.initialise import initialise
from guardian.config import Settings, load
from guardian.keys.tokens import RefusedToken

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


def test_the_record_of_a_token_that_expired_long_ago_goes_when_another_is_made(settings, monkeypatch):
    def made(days: int) -> str:
        monkeypatch.setattr(tokens, "utc_now", lambda: start + days * DAY)
        return tokens.issue(settings, "ann", role="analyst", tenants=["acme"], ttl=DAY).principal.jti

    def kept() -> set[object]:
        return {row.jti for row in tokens.issued(settings)}

    start = utc_now()
    first, second = made(0), made(91)
    assert {first, second} <= kept()
    assert {row.jti: row.ended for row in tokens.issued(settings)}.items() >= {first: True, second: False}.items()
    third = made(92)
    assert first not in kept()
    assert {second, third} <= kept()


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
