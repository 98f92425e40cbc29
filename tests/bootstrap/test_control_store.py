"""Files beside the database: control does not start where they could not be written."""

import json
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from until import until

from guardian.bootstrap.checking import check_plugins
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control import Control
from guardian.commands.doctor import examine
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.domain.revocation import Revision
from guardian.errors import ConfigurationError, PlaceAway, StoreError
from guardian.store.control.peers import Peer
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
    with pytest.raises(
        PlaceAway, match=r"home/nowhere is no folder that this user can write.*; mount its disk, make it"
    ):
        Control(serving(epoch_file="nowhere/control.db.epoch"), metrics=Metrics(), port=0)


def test_the_doctor_of_a_machine_with_control_says_so_and_that_of_a_monitor_does_not(serving):
    found = {check.name: check for check in examine(serving(), "serve")}["database"]
    assert "restored backup" in found.found
    assert "epoch_file: control.db.epoch" in found.mend
    assert {check.name: check for check in examine(serving(), "watch")}["database"].ok


IMPOSSIBLE_BROKER = {"options": {"sasl_mechansim": "PLAIN"}}
SLACK = {"alerts": {"slack": {"channel": "C0123456789"}}}
OIDC = {"issuer": "https://idp.example", "client_id": "guardian"}
ANN = {"role": "analyst", "tenants": ["*"], "email": "ann@example.com"}
PLANTED = {"plant_every_s": 60, "tenant": "acme", "gateway": "planted"}


def _signing_in(people=None, **more):
    return {"console": {"enabled": True, "oidc": OIDC | more, "people": people or {"ann": ANN}}}


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"revocation": {"faces": {"kafka": {}}}}, "unknown revocation.faces 'kafka'"),
        (SLACK | {"slack": {"token": "xoxb-1", "app_token": "nonsense"}}, "slack.app_token"),
        (SLACK | {"slack": {"token": "xoxb-1", "signing_secret": "short"}}, "slack.signing_secret"),
        (SLACK | {"slack": {"token": "xoxb-1", "people": {"ann": ANN, "bob": ANN}}}, "slack.people.bob"),
        (_signing_in(issuer="http://idp.example"), "console.oidc.issuer"),
        (_signing_in(scopes=["email"]), "console.oidc.scopes"),
        (_signing_in(ca_file="nofile.pem"), "console.oidc.ca_file: .*home/nofile.pem holds no certificates"),
        (_signing_in(ca_file="guardian.yaml"), "console.oidc.ca_file: .*home/guardian.yaml holds no certif"),
        (_signing_in({"ann": ANN, "bob": ANN}), "console.people.bob: ann@example.com is ann already"),
        ({"kafka": IMPOSSIBLE_BROKER, "audit": {"checkpoint_topic": "signed"}}, "sasl_mechansim"),
        (
            {
                "kafka": IMPOSSIBLE_BROKER,
                "gateways": {"planted": ["acme"]},
                "revocation": {"self_test": PLANTED},
            },
            "sasl_mechansim",
        ),
    ],
)
def test_what_is_configured_impossibly_is_said_before_the_database_is_touched(tmp_path, told, says):
    """The version before could not go on with a database that this one brought up to date."""
    path = initialise(tmp_path / "home")
    database = path.parent / "data" / "control.db"
    database.unlink()
    settings = load(path, overrides=told)
    with pytest.raises(ConfigurationError, match=says):
        Control(settings, metrics=Metrics(), port=0)
    assert not database.exists()
    with pytest.raises(ConfigurationError, match=says):
        check_plugins(settings)


@pytest.mark.parametrize("place", ["elsewhere/checkpoints", "data"])
def test_control_does_not_start_where_its_checkpoints_could_not_be_written(tmp_path, place):
    """A disk that is not mounted: in its place a folder would be made, and nobody would look there."""
    path = initialise(tmp_path / "home")
    settings = load(path, overrides={"audit": {"checkpoint_file": place}})
    with pytest.raises(PlaceAway, match=rf"audit\.checkpoint_file: .*home/{place} is no file that this user can"):
        Control(settings, metrics=Metrics(), port=0)
    assert not (path.parent / "elsewhere").exists()
    found = {check.name: check for check in examine(settings, "serve")}["checkpoints"]
    assert (found.ok, "mount its disk" in found.mend) == (False, True)
    assert "ReadWritePaths" in found.mend


def test_a_file_for_checkpoints_in_a_folder_that_is_there_is_made(tmp_path):
    path = initialise(tmp_path / "home")
    settings = load(path, overrides={"audit": {"checkpoint_file": "checkpoints"}})
    control = Control(settings, metrics=Metrics(), port=0)
    control.start()
    control.stop()
    assert (path.parent / "checkpoints").read_text().startswith("guardian")
    assert {check.name: check for check in examine(settings, "serve")}["checkpoints"].ok


def test_control_shows_how_old_what_nobody_signed_is(tmp_path):
    metrics = Metrics()
    control = Control(load(initialise(tmp_path / "home")), metrics=metrics, port=0)
    control.start()
    try:
        until(lambda: b"\nguardian_audit_unsigned_seconds " in metrics.render())
    finally:
        control.stop()


def test_control_hears_from_its_writer_that_the_audit_trail_is_not_signed(tmp_path):
    path = initialise(tmp_path / "home")
    control = Control(load(path), metrics=Metrics(), port=0)
    with closing(sqlite3.connect(path.parent / "data" / "control.db")) as connection, connection:
        connection.execute("DELETE FROM control_audit WHERE seq = 1")
    for _ in range(2):
        control._checkpoints.step()
    assert "entry 1 is missing" in control._deps.unsigned()
    control.stop()


def test_nothing_ends_for_good_just_after_a_start(tmp_path):
    control = Control(load(initialise(tmp_path / "home")), metrics=Metrics(), port=0)
    now = utc_now()
    assert now - control._deps.sure(now) > timedelta(days=10_000)
    control.stop()


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize(("days", "heard", "counts"), [(-40, True, True), (-40, False, False), (40, False, True)])
def test_at_its_start_control_knows_when_it_wrote_last_before(tmp_path, days, heard, counts, restored):
    """What it wrote before it ever heard of a gateway or monitor was preparing it, however long that took. The
    epoch that begins after a restore is noted at the start."""
    path = initialise(tmp_path / "home")
    settings = load(path)
    control = Control(settings, metrics=Metrics(), port=0)
    wrote = utc_now().replace(microsecond=0) + timedelta(days=days)
    at = wrote - timedelta(days=1)
    with control.store.write() as rows:
        rows.audit.note("policyReload", at=wrote)
        if heard:
            ours = frozenset({"acme"})
            rows.peers.put([Peer("monitor", "m", "here", ours, Revision(epoch=1, n=0), "push", at, at)], at)
    control.stop()
    if restored:
        further = {"epoch": 1, "n": 9, "change_seq": 9, "audit_seq": 99}
        (path.parent / "data" / "control.db.epoch").write_text(json.dumps(further))
    again = Control(settings, metrics=Metrics(), port=0)
    assert again._deps.watched.before == (wrote if counts else None)
    assert again.store.head().revision.epoch == (2 if restored else 1)
    again.stop()


@pytest.mark.parametrize(
    "record", ["", "null", "[]", '{"at": 3}', '{"at": "yesterday"}', '{"at": "0001-01-01T00:00:00+05:00"}']
)
def test_a_damaged_end_of_the_trail_tells_no_time_and_stops_no_start(tmp_path, record):
    path = initialise(tmp_path / "home")
    control = Control(load(path), metrics=Metrics(), port=0)
    control.stop()
    with closing(sqlite3.connect(path.parent / "data" / "control.db")) as connection, connection:
        connection.execute("UPDATE control_audit SET record = ?", (record,))
    again = Control(load(path), metrics=Metrics(), port=0)
    assert again._deps.watched.before is None
    again.stop()


def test_of_gateways_it_counts_when_they_were_heard_last_whatever_else_is_noted_of_them(tmp_path):
    path, now = initialise(tmp_path / "home"), utc_now()
    control = Control(load(path), metrics=Metrics(), port=0)
    wrote, heard = now - timedelta(days=3), now - timedelta(hours=2)
    with control.store.write() as rows:
        times = {"here": heard, "gone": heard - timedelta(days=1), "fast": now + timedelta(days=40)}
        rows.peers.put([
            Peer("gateway", "gw", name, frozenset({"acme"}), Revision(epoch=1, n=0), "push", at, at)
            for name, at in times.items()
        ], now)  # fmt: skip
        rows.audit.note("policyReload", at=wrote)
    control.stop()
    with closing(sqlite3.connect(path.parent / "data" / "control.db")) as connection, connection:
        connection.execute("UPDATE control_peer SET tenants = 'damaged'")
    again = Control(load(path), metrics=Metrics(), port=0)
    assert again._deps.watched.before == heard
    again.stop()
