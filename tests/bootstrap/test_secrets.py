"""The small secrets that are made on first use."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from guardian.bootstrap.secrets import SecretFiles
from guardian.config import load
from guardian.errors import ConfigurationError


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
