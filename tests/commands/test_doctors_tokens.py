"""The doctor tries the tokens that lie on a machine."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control import Control
from guardian.bootstrap.control_store import open_control_store, open_tokens
from guardian.commands.checks import Unknown
from guardian.commands.doctor_control import token_checked, watching_checked
from guardian.commands.initialise import initialise
from guardian.config import Settings, load
from guardian.errors import ControlError
from guardian.telemetry import Metrics
from guardian.wire.client import ControlClient
from guardian.wire.principal import Role


@contextmanager
def served(path: Path, database: str) -> Iterator[Settings]:
    settings = load(path, overrides={"store": {"control": f"sqlite:///data/{database}"}})
    control = Control(settings, metrics=Metrics(), port=0)
    control.start()
    try:
        yield settings.model_copy(update={"control": settings.control.model_copy(update={"url": control.url})})
    finally:
        control.stop()


def test_tokens_that_control_does_not_take_come_with_the_command_that_issues_new_ones(tmp_path: Path) -> None:
    path = initialise(tmp_path / "home")
    with served(path, "control.db") as settings:
        assert token_checked(settings).startswith("control takes it: monitor, of *, until")
        with pytest.raises(Unknown, match="control knows no monitor"):
            watching_checked(settings)
        shutil.copy(path.parent / "keys/monitor.token", path.parent / "kept")
        shutil.copy(path.parent / "keys/admin.token", path.parent / "keys/monitor.token")
        with pytest.raises(ControlError, match="is of admin, with role admin"):
            token_checked(settings)
        shutil.copy(path.parent / "kept", path.parent / "keys/monitor.token")
    with served(path, "another.db") as moved:
        for check, who in ((token_checked, "monitor"), (watching_checked, "admin")):
            with pytest.raises(ControlError, match=f"control does not take .*{who}.token") as unwell:
                check(moved)
            mend = str(unwell.value).partition("; ")[2]
            assert mend.startswith(f"`guardian token issue {who} --role {who} --tenant '*'` on control's machine")


def test_of_a_token_that_has_expired_the_doctor_says_so(tmp_path: Path) -> None:
    path = initialise(tmp_path / "home")
    with served(path, "control.db") as settings, closing(open_control_store(settings)) as store:
        issue = open_tokens(settings, store).issue
        past: dict[str, Any] = {"ttl": timedelta(hours=1), "now": utc_now() - timedelta(days=1)}
        checks: list[tuple[Callable[[Settings], str], Role]] = [
            (token_checked, "monitor"),
            (watching_checked, "admin"),
        ]
        for check, who in checks:
            (path.parent / f"keys/{who}.token").write_text(issue(who, role=who, tenants={"*"}, **past).text)
            said = rf"{who}.token \(.*: this token has expired\); `guardian token issue"
            with pytest.raises(ControlError, match=said):
                check(settings)


def test_a_monitor_that_waits_for_its_group_is_not_to_be_started_again(tmp_path: Path) -> None:
    path = initialise(tmp_path / "home")
    with served(path, "control.db") as settings:
        token = (path.parent / "keys/monitor.token").read_text().strip()
        with ControlClient(settings.control.url, lambda: token) as monitor:
            monitor.vitals("m-1", None, leaving=False)
        with pytest.raises(
            Unknown, match=r"\(1 unread\): a monitor joined, no partition yet: another member .* away"
        ):
            watching_checked(settings)
