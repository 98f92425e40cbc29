"""What would keep `serve` from starting is said by the doctor before."""

from pathlib import Path
from typing import Any

import pytest

from guardian.commands import doctor
from guardian.commands.checks import Unwell
from guardian.config import load
from guardian.errors import ConfigurationError


def alerts(tmp_path: Path, **sections: Any) -> str:
    return doctor._alerts(load(None, overrides={"base": str(tmp_path), **sections}))


def test_a_channels_secret_that_is_not_there_is_named(tmp_path: Path) -> None:
    hook = {"webhook": {"url": "https://hooks.example", "secret_file": "keys/hook"}}
    with pytest.raises(ConfigurationError, match=r"secret_file: .*keys/hook"):
        alerts(tmp_path, alerts=hook)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "hook").write_text("whsec_" + "c2Vj" * 10)
    (tmp_path / "keys" / "hook").chmod(0o600)
    assert alerts(tmp_path, alerts=hook) == "go to: webhook"


def test_a_log_that_leaves_alerts_out_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unwell, match="written nowhere"):
        alerts(tmp_path, logging={"level": "error"})
    assert alerts(tmp_path, logging={"level": "warning"}) == "go to: log"


def test_a_signing_secret_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        alerts(tmp_path, slack={"signing_secret": ""})
