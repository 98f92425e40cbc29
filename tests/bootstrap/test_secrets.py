"""The small secrets that are made on first use, and the keys by which envelopes are checked."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Barrier

import pytest
from joserfc.jwk import OKPKey

from guardian.bootstrap.secrets import SecretFiles, envelope_verifier
from guardian.config import load
from guardian.control.watchers.plants import make_plant
from guardian.domain.event import DecisionEvent
from guardian.errors import ConfigurationError

NOW = datetime(2026, 5, 12, 17, 4, 11, tzinfo=UTC)


def test_processes_that_begin_at_once_on_a_new_folder_share_their_secrets(tmp_path) -> None:
    files = SecretFiles.of(load(None, overrides={"keys": {"directory": str(tmp_path / "keys")}}))
    together = Barrier(8)

    def begin(_: int) -> tuple[str, bytes]:
        together.wait()
        files.load_console_seal(timedelta(minutes=5))
        return files.load_advice_token(), files.console.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(begin, range(8)))) == 1


def test_a_secret_that_cannot_be_written_is_a_fault_and_not_taken_for_anothers(tmp_path) -> None:
    (tmp_path / "keys").write_text("a file")
    files = SecretFiles.of(load(None, overrides={"keys": {"directory": str(tmp_path / "keys")}}))
    with pytest.raises(OSError, match="keys"):
        files.load_advice_token()


def test_an_empty_key_of_sign_ins_is_not_made_anew_by_rotating_the_monitors(tmp_path) -> None:
    files = SecretFiles.of(load(None, overrides={"keys": {"directory": str(tmp_path)}}))
    files.console.touch(mode=0o600)
    with pytest.raises(ConfigurationError, match=r"console\.key is empty; .* delete it and restart control"):
        files.load_console_seal(timedelta(minutes=5))


def test_control_signs_nothing_that_it_plants_and_is_asked_for_no_signature(tmp_path) -> None:
    """Else planted drift would be noticed by its envelope, and a blind model pass its test."""
    key = OKPKey.generate_key("Ed25519", auto_kid=True).as_dict(private=False)
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [key]}))
    test = {"plant_every_s": 3600, "tenant": "acme", "gateway": "gw-test"}
    settings = load(
        None,
        overrides={
            "keys": {"envelope_jwks": str(tmp_path / "jwks.json")},
            "gateways": {"gw-test": ["acme"]},
            "revocation": {"self_test": test},
        },
    )
    verify = envelope_verifier(settings)
    assert verify is not None
    plant = make_plant("planted_drift", tenant_id="acme", gateway="gw-test", now=NOW, rnd=Random(1))
    planted = DecisionEvent.model_validate_json(plant.lines[0])
    assert verify(planted) == "absent"
    assert verify(planted.model_copy(update={"gateway": "gw-1"})) == "missing"
