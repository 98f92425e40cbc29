"""The doctor's own checks: names, policies, checkpoints."""

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.commands import auditing, doctor, doctor_control
from guardian.commands.checks import Check
from guardian.commands.doctor import examine
from guardian.commands.initialise import initialise
from guardian.config import Settings, load
from guardian.domain.batch import Judgement
from guardian.domain.record import Place
from guardian.errors import BusError, ControlError
from guardian.wire.client import ControlClient

SHIPPED = Path(__file__).parents[2] / "config" / "policies"


@pytest.fixture(autouse=True)
def _nobody_waits_long_for_a_broker_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDIAN_KAFKA__OPTIONS", '{"bootstrap_timeout_ms": 300}')


@pytest.mark.parametrize(("read", "ok"), [({0: 5, 1: 7}, True), ({0: 5}, True), ({}, True), ({0: 5, 1: 8}, False)])
def test_who_else_reads_the_topic_as_a_member_of_the_same_group_is_told(tmp_path, monkeypatch, read, ok) -> None:
    settings = load(initialise(tmp_path / "home"), overrides={"model": {"engine": "lexical"}})
    monkeypatch.setattr("guardian.commands.doctor_kafka.topic_partitions", lambda *_: 2)
    monkeypatch.setattr("guardian.commands.doctor_kafka.read_by", lambda *_: read)
    new = _of(settings, "group")
    assert new.ok is (not read), "where there is no database yet, all that was read others read"
    with closing(open_monitor_store(settings, makes=True)) as store:
        positions = {Place(settings.kafka.topic, 0): 6, Place(settings.kafka.topic, 1): 7}
        store.claim(positions, "m", now=utc_now())
        store.commit(Judgement(), positions=positions, base={}, versions={}, member="m", now=utc_now())
    found = _of(settings, "group")
    assert found.ok is ok
    assert ("others read guardian.decisions[1] as members of 'guardian': up to 8, " in found.found) is not ok


def test_a_broker_that_does_not_say_how_far_a_group_has_read_proves_nothing(tmp_path, monkeypatch) -> None:
    def refused(*_: object) -> dict[int, int]:
        raise BusError("kafka: cannot ask how far group 'guardian' has read: not authorised")

    monkeypatch.setattr("guardian.commands.doctor_kafka.topic_partitions", lambda *_: 2)
    monkeypatch.setattr("guardian.commands.doctor_kafka.read_by", refused)
    found = _of(load(initialise(tmp_path / "home")), "group")
    assert (found.ok, "not authorised" in found.found) == (None, True)


def test_what_needs_a_broker_or_control_is_not_asked_while_there_is_none(tmp_path, monkeypatch) -> None:
    def asked(*_: object) -> object:
        raise AssertionError("nobody can answer")

    def away(*_: object) -> int:
        tried.append("broker")
        raise BusError("kafka: cannot reach 127.0.0.1:1: nobody there")

    tried: list[str] = []
    monkeypatch.setattr("guardian.commands.doctor_kafka.topic_partitions", away)
    monkeypatch.setattr(auditing, "_check_topic", asked)
    monkeypatch.setattr("guardian.commands.doctor_kafka.read_by", asked)
    monkeypatch.setattr(ControlClient, "whoami", asked)
    monkeypatch.setattr(ControlClient, "watch", asked)
    overrides = {
        "control": {"url": "http://127.0.0.1:1"},
        "envelopes": {"topic": "envelopes"},
        "audit": {"checkpoint_topic": "audit"},
    }
    path = initialise(tmp_path / "home")
    found = {check.name: check for check in examine(load(path, overrides=overrides))}
    told = {check.name: check.found for check in found.values() if check.found.startswith("not known: what")}
    needs = {"broker": ("group", "envelopes", "checkpoints"), "control": ("token", "watching")}
    assert told == {name: f"not known: what {need} says comes first" for need in needs for name in needs[need]}
    assert [found[name].ok for name in ("broker", "control", *told)] == [False, False, *[None] * len(told)]
    assert tried == ["broker"]
    alone = {check.name: check for check in examine(load(path, overrides={"control": overrides["control"]}))}
    assert (alone["envelopes"].ok, alone["checkpoints"].ok) == (True, True), "they ask no broker"


def test_what_answers_is_asked_although_something_about_it_must_be_mended(tmp_path, monkeypatch) -> None:
    def told(*_: object) -> object:
        asked.append("control")
        raise ControlError("it says nothing")

    asked: list[str] = []
    yesterday = httpx.Response(200, headers={"date": "Tue, 12 May 2026 12:00:00 GMT"})
    monkeypatch.setattr(doctor_control.BoundedClient, "get", lambda *_, **__: yesterday)
    monkeypatch.setattr(ControlClient, "whoami", told)
    monkeypatch.setattr(ControlClient, "watch", told)
    monkeypatch.setattr("guardian.commands.doctor_kafka.topic_partitions", lambda *_: None)
    monkeypatch.setattr("guardian.commands.doctor_kafka.read_by", lambda *_: {})
    found = {check.name: check for check in examine(load(initialise(tmp_path / "home")))}
    assert (found["control"].ok, found["broker"].ok) == (False, False)
    assert found["control"].found.startswith("clocks differ by ")
    assert asked == ["control"] * 2, "for the token, and who watches"
    assert found["group"].ok


def test_what_a_database_that_does_not_answer_would_say_is_not_known(tmp_path) -> None:
    settings = load(initialise(tmp_path / "home"), overrides={"archive": {"path": str(tmp_path / "archive")}})
    for name in ("monitor", "control"):
        (tmp_path / "home" / "data" / f"{name}.db").write_text("opening it fails in SQLite's own words")
    found = {check.name: check for check in examine(settings)}
    unknown = ("archive", "sealed", "calibration", "checkpoints", "refused")
    assert [found[name].ok for name in ("database", *unknown)] == [False, *[None] * len(unknown)]
    assert f"{tmp_path}/archive can be written; whether" in found["archive"].found
    assert "honest sessions: promises reach" in found["calibration"].found
    assert sum("SQLite" in check.found or "not a database" in check.found for check in found.values()) <= 1


def _of(settings: Settings, name: str) -> Check:
    return next(check for check in doctor.examine(settings, "watch") if check.name == name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for file in SHIPPED.glob("*.cedar*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("hashed", "listed", "told"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_the_doctor_says_where_hashed_agents_count_as_protected(hashed: bool, listed: bool, told: bool) -> None:
    rules = {"envelope.agent_id": "hash"} if hashed else {}
    names = {"tenant_acme": ["agent_payroll"] if listed else []}
    settings = load(None, overrides={"source": {"redact": rules}, "control": {"protected": names}})
    found = next(check for check in examine(settings) if check.name == "names")
    assert found.ok
    assert ("what is not registered of tenant_acme counts as protected" in found.found) is told


def test_a_key_that_this_user_may_not_read_is_told_with_whose_it_should_be(tmp_path, monkeypatch):
    settings = load(initialise(tmp_path / "home"))

    def refused(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)  # root may read whatever a mode says
    found = next(check for check in examine(settings, "watch") if check.name == "keys")
    assert (found.ok, found.found.partition(": ")[2]) == (False, "Permission denied")
    assert found.mend == "mend its owner or mode, or do this as the user that guardian runs as"


@pytest.mark.parametrize("left", [None, b"", b"\n"], ids=["missing", "empty", "blank"])
@pytest.mark.parametrize(
    ("key", "mend"),
    [
        ("monitor.token", "guardian token issue monitor --role monitor --tenant '*'"),
        ("seal.key", "guardian seal rotate --lost"),
        ("fingerprint.key", "guardian init FOLDER"),
    ],
)
def test_a_key_that_is_lost_is_told_once_with_what_makes_another(tmp_path, key, mend, left):
    settings = load(initialise(tmp_path / "home"), overrides={"model": {"engine": "lexical"}})
    open_monitor_store(settings, makes=True).close()
    path = settings.resolve(settings.keys.directory) / key
    path.unlink() if left is None else path.write_bytes(left)
    met = {check.name: check for check in examine(settings, "watch") if str(path) in check.found}
    assert list(met) == ["keys"]
    assert met["keys"].mend.startswith("restore it from your backup, or ")
    assert f"`{mend}`" in met["keys"].mend


def of_policies(folder):
    settings = load(None, overrides={"policy": {"path": str(folder)}})
    return next(check for check in examine(settings, "serve") if check.name == "policy")


def test_the_doctor_says_what_nobody_may_under_policies_of_an_earlier_version(folder):
    assert "nobody may" not in of_policies(folder).found
    (folder / "subjects.cedar").unlink()
    found = of_policies(folder)
    assert (found.ok, found.found.splitlines()[1][:44]) == (True, "nobody may revokeSubject, reinstateSubject: ")


def test_the_doctor_names_the_schema_of_an_earlier_version_and_where_this_ones_is(folder):
    schema = folder / "guardian.cedarschema"
    schema.write_text(schema.read_text().replace("denies: Bool,", ""))
    (folder / "separation.cedar").unlink()  # which asks for it
    found = of_policies(folder)
    assert (found.ok, found.found.startswith(f"{schema} is not this version's")) == (False, True)
    assert found.mend.startswith("take guardian.cedarschema from config/policies/ of this version")
    (folder / "more.cedar").write_text("permit (")
    assert "guardian policy check" in of_policies(folder).mend


def test_where_many_cases_fail_the_doctor_says_what_shows_them_all(folder):
    (folder / "cases.yaml").write_bytes((SHIPPED / "cases.yaml").read_bytes())
    (folder / "people.cedar").unlink()
    found = of_policies(folder)
    assert "cases fail: '" in found.found
    assert (found.found.endswith(" more"), found.mend) == (True, "`guardian policy test` shows them all")


def test_the_doctor_says_that_the_audit_trail_cannot_be_signed_and_signs_nothing(tmp_path):
    path = initialise(tmp_path / "home")

    def found():
        return {check.name: check for check in examine(load(path), "serve")}["checkpoints"]

    with closing(sqlite3.connect(path.parent / "data" / "control.db")) as database, database:
        assert found().ok
        database.execute("DELETE FROM control_audit WHERE seq = 1")
        database.commit()
        doubted = found()
        assert (doubted.ok, doubted.mend) == (False, "`guardian audit verify` says more")
        assert "entry 1 is missing" in doubted.found
        assert database.execute("SELECT count(*) FROM control_checkpoint").fetchone() == (0,)
