"""A server's database without a file that remembers how far it came."""

import pytest

from guardian.bootstrap.control import Control
from guardian.bootstrap.doctor import examine
from guardian.bootstrap.initialise import initialise
from guardian.config import load
from guardian.errors import ConfigurationError, StoreError
from guardian.telemetry import Metrics

NOBODY = "postgresql+psycopg://guardian@127.0.0.1:1/guardian_control"


@pytest.fixture
def serving(tmp_path):
    """Start control on a server's database with these settings of the store."""
    path = initialise(tmp_path / "home")
    told = load(path).store.model_dump(exclude={"epoch_file"}) | {"control": NOBODY}
    return lambda **more: load(path, overrides={"store": told | more})


def test_control_does_not_start_where_a_restored_backup_would_go_unnoticed_and_says_what_to_write(serving):
    with pytest.raises(ConfigurationError, match=r"store\.epoch_file is not set") as refused:
        Control(serving(), metrics=Metrics(), port=0)
    name, _, value = str(refused.value).split("`")[1].partition(": ")
    with pytest.raises(StoreError):  # this one goes on, and finds no server
        Control(serving(**{name: value}), metrics=Metrics(), port=0)


def test_nor_where_that_file_has_no_folder(serving):
    with pytest.raises(ConfigurationError, match=r"home/nowhere is no folder that this user can write.*; make it"):
        Control(serving(epoch_file="nowhere/control.db.epoch"), metrics=Metrics(), port=0)


def test_the_doctor_of_a_machine_with_control_says_so_and_that_of_a_monitor_does_not(serving):
    found = {check.name: check for check in examine(serving(), "serve")}["database"]
    assert "restored backup" in found.found
    assert "epoch_file: control.db.epoch" in found.mend
    assert {check.name: check for check in examine(serving(), "watch")}["database"].ok
