"""Settings → an archive: rules, history."""

import gzip
import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
import yaml
from joserfc.jwk import OKPKey
from typer.testing import CliRunner

from guardian.bootstrap.archiving import open_archive, settle_archive
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.cli import app
from guardian.commands import archiving
from guardian.commands.archiving import import_history, open_history, tidy_archive
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.errors import ConfigurationError

NOW = datetime.now(UTC)


@pytest.fixture
def home(tmp_path):
    config = initialise(tmp_path / "home")
    body = yaml.safe_load(config.read_text(encoding="utf-8"))
    body["model"] = {"engine": "lexical"}
    body["archive"] |= {"arguments": [{"tool": "mail.*", "argument": "to", "treatment": "hash"}]}
    config.write_text(yaml.safe_dump(body), encoding="utf-8")
    return config


def line(n, tool="mail.send"):
    return json.dumps(
        {
            "schema": "guardian.decision/v1", "id": f"d{n}", "time": (NOW - timedelta(hours=1)).isoformat(),
            "gateway": "mcp-gw-demo-1", "decision": {"effect": "allow"},
            "envelope": {"delegator_id": "u", "tenant_id": "acme", "session_id": "s", "purpose": "write"},
            "action": {"tool": tool, "arguments": {"to": "ann@acme.com", "body": "Dear Ann, hello"}},
        }
    )  # fmt: skip


def test_history_is_judged_redacted_and_archived_and_again_adds_nothing(home, tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join([line(1), "{broken", line(2), line(2)]) + "\n", encoding="utf-8")
    for _ in range(2):
        outcome = CliRunner().invoke(app, ["archive", "import", str(log), "-c", str(home), "--json"])
        assert outcome.exit_code == 3
        told = json.loads(outcome.stdout)
        (refusal,) = told.pop("refusals")
        assert told == {"decisions": 2, "refused": 1, "duplicates": 1}
        assert (refusal["code"], refusal["count"], refusal["offset"]) == ("not_json", 1, 1)
    calls = list(open_archive(load(home)).past_calls())
    assert [call.decision_id for call in calls] == ["d1", "d2"]
    assert calls[0].arguments["to"].startswith("#")
    assert calls[0].arguments["body"] == "~Aa Aa, a"
    status = json.loads(CliRunner().invoke(app, ["archive", "status", "-c", str(home), "--json"]).output)
    assert (status["rows"], status["tenants"], status["days"]) == (2, 1, 1)
    path = next(Path(status["path"]).glob("events/*/*/*.parquet"))
    pq.write_table(pq.read_table(path).drop_columns(["step"]), path.with_name("0.parquet"))  # by an older version
    query = CliRunner().invoke(app, ["archive", "status", "-c", str(home)]).output.partition("there): ")[2]
    ((tenant, first, last),) = duckdb.sql(query).fetchall()
    assert (tenant, first, last) == ("acme", NOW - timedelta(hours=1), NOW - timedelta(hours=1))
    files = query.removeprefix("FROM ").partition(" SELECT")[0]
    assert duckdb.sql(f"SELECT count(*), count(step) FROM {files}").fetchall() == [(4, 2)]
    assert "merged" in CliRunner().invoke(app, ["archive", "compact", "-c", str(home)]).output


def test_history_does_not_say_which_act_the_monitor_counted_as_the_log_may_lack_where_a_session_begins(
    home, tmp_path
):
    for n in (1, 2):
        log = tmp_path / f"log.{n}.jsonl"
        log.write_text(line(n) + "\n", encoding="utf-8")
        CliRunner().invoke(app, ["archive", "import", str(log), "-c", str(home)])
    read = open_archive(load(home)).batches(["decision_id", "act_index"])
    assert {row["decision_id"]: row["act_index"] for each in read for row in each.to_pylist()} == {
        "d1": None,
        "d2": None,
    }


@pytest.mark.parametrize("settled", [False, True])
def test_in_another_databases_archive_compacting_finds_no_day_too_old(home, settled):
    with closing(open_monitor_store(load(home), makes=True)) as store:
        if settled:
            settle_archive(home.parent / "data/own", store.spool)
    day = home.parent / "data/archive/events/date=2020-01-01/tenant=acme/one.parquet"
    day.parent.mkdir(parents=True)
    day.touch()
    told = CliRunner().invoke(app, ["archive", "compact", "-c", str(home)])
    assert day.exists() is settled
    assert ("it is not the archive of this monitor's database" in str(told.exception)) is settled
    assert (told.exit_code != 0) is settled


def test_history_goes_into_the_archive_of_the_monitors_database_and_into_no_other_folder(home, tmp_path):
    """As where a disk is not mounted: there it would be covered by the archive, and nobody would see it."""
    log, root = tmp_path / "log.jsonl", home.parent / "data/archive"
    log.write_text(line(1) + "\n", encoding="utf-8")
    with closing(open_monitor_store(load(home), makes=True)) as store:
        settle_archive(root, store.spool)
    root.rename(home.parent / "data/away")
    told = CliRunner().invoke(app, ["archive", "import", str(log), "-c", str(home)])
    assert "has no archive.id: it is not the archive of this monitor's database" in str(told.exception)
    assert not root.exists()
    (home.parent / "data/away").rename(root)
    assert CliRunner().invoke(app, ["archive", "import", str(log), "-c", str(home)]).exit_code == 0
    assert len(list(open_archive(load(home)).past_calls())) == 1


@pytest.mark.parametrize(
    ("days", "told"), [((2, 300), ""), ((2, 500, 700), "2 days are older than archive.keep_days (400)")]
)
def test_history_that_is_too_old_to_be_kept_is_said_to_be(home, tmp_path, days, told):
    log = tmp_path / "log.jsonl"
    began = (NOW - timedelta(hours=1)).isoformat()
    lines = [line(n).replace(began, (NOW - timedelta(days=day)).isoformat()) for n, day in enumerate(days)]
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    outcome = CliRunner().invoke(app, ["archive", "import", str(log), "-c", str(home)])
    assert (outcome.exit_code, f"{len(days)} decisions archived" in outcome.stdout) == (0, True)
    assert told in outcome.stderr
    assert bool(told) is ("keep_days" in outcome.stderr)


def test_merging_shows_that_it_goes_on(home, tmp_path):
    for n, day in enumerate((2, 3, 2, 3)):
        log = tmp_path / f"log.{n}.jsonl"
        then = (NOW - timedelta(days=day)).isoformat()
        log.write_text(line(n).replace((NOW - timedelta(hours=1)).isoformat(), then) + "\n", encoding="utf-8")
        CliRunner().invoke(app, ["archive", "import", str(log), "-c", str(home)])
    told = []
    tidy_archive(load(home), lambda *so_far: told.append(so_far))
    assert told == [(2, None), (4, None), (4, None)]


def test_who_interrupts_an_import_is_told_that_it_may_go_on(home, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(archiving, "import_history", interrupted)
    log = tmp_path / "log.jsonl"
    log.write_text(line(1) + "\n", encoding="utf-8")
    outcome = CliRunner().invoke(app, ["archive", "import", str(log), "-c", str(home)])
    assert outcome.exit_code == 130
    assert "the same command again counts nothing twice" in outcome.stderr


def test_of_a_damaged_file_what_was_read_is_kept(home, tmp_path):
    whole = gzip.compress("".join(line(n) + "\n" for n in range(2_000)).encode())
    log = tmp_path / "log.jsonl.gz"
    log.write_bytes(whole[: len(whole) // 2])
    outcome = CliRunner().invoke(app, ["archive", "import", str(log), "-c", str(home)])
    kept = len(list(open_archive(load(home)).past_calls()))
    assert outcome.exit_code == 3
    assert f"{kept:,} decisions archived, 0 came twice, 1 could not be read" in outcome.stdout
    assert kept > 0


def test_why_an_import_refused_records_is_said_with_the_first_of_each_kind(home, tmp_path):
    log = tmp_path / "log.jsonl"
    other = line(1).replace("mcp-gw-demo-1", "gw-x")
    log.write_text("\n".join([other, "{broken", other, line(2)]) + "\n", encoding="utf-8")
    told = CliRunner().invoke(app, ["archive", "import", str(log), "-c", str(home)])
    assert told.exit_code == 3
    assert "1 decision archived, 0 came twice, 3 could not be read or believed" in told.stdout
    why = told.stderr
    assert "2 times gateway_not_entitled, first in line 1: gateway 'gw-x' is not granted tenant 'acme'" in why
    assert "1 time not_json, first in line 2: Expecting property name" in why


def test_a_topic_that_is_not_there_is_said_so_and_not_waited_for(home, monkeypatch):
    monkeypatch.setattr("guardian.commands.archiving.topic_partitions", lambda *_: None)
    told = CliRunner().invoke(app, ["archive", "import", "kafka", "-c", str(home)])
    assert told.stderr == (
        "Reading what topic 'guardian.decisions' at 127.0.0.1:9092 holds now; joining it may take half a minute.\n"
    )
    assert "has no topic 'guardian.decisions'" in str(told.exception)


def test_without_a_path_no_archive_is_kept_and_reading_one_says_so(tmp_path):
    settings = load(None, overrides={"base": str(tmp_path)})
    with pytest.raises(ConfigurationError, match=r"set archive\.path"):
        open_archive(settings)


def test_an_unknown_policy_language_is_refused_at_start(home):
    body = yaml.safe_load(home.read_text(encoding="utf-8"))
    body["tightening"] = {"backends": {"xacml": {}}}
    home.write_text(yaml.safe_dump(body), encoding="utf-8")
    outcome = CliRunner().invoke(app, ["check-config", "-c", str(home)])
    assert "unknown tightening.backends 'xacml'; known ones: cedar, envelope" in str(outcome.exception)


def test_history_is_archived_in_pieces_of_monitor_batch_however_many_calls_a_record_holds(home, tmp_path):
    body = yaml.safe_load(home.read_text(encoding="utf-8"))
    body |= {"monitor": {"batch": 2}, "source": {"format": "mapping", "tenant": "acme"}}
    home.write_text(yaml.safe_dump(body), encoding="utf-8")
    call = {"decision": True, "session": "s", "gateway": "mcp-gw-demo-1", "tool": "mail.send", "time": str(NOW)}
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps([{**call, "id": f"d{n}"} for n in range(5)]) + "\n", encoding="utf-8")
    settings, told = load(home), []
    imported = import_history(settings, open_history(settings, str(log)), lambda *far: told.append(far))
    size = log.stat().st_size
    assert (told, imported.decisions) == ([(size, size)] * 3, 5)


def test_history_is_archived_with_its_signatures_unchecked_for_their_keys_may_be_gone(home, tmp_path):
    body = yaml.safe_load(home.read_text(encoding="utf-8"))
    new = OKPKey.generate_key("Ed25519", auto_kid=True).as_dict(private=False)
    (tmp_path / "new.jwks.json").write_text(json.dumps({"keys": [new]}))
    body["keys"] = {**body.get("keys", {}), "envelope_jwks": str(tmp_path / "new.jwks.json")}
    home.write_text(yaml.safe_dump(body), encoding="utf-8")
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps({**json.loads(line(1)), "envelope_jws": "e30.e30.of-an-old-key"}) + "\n")
    settings = load(home)
    import_history(settings, open_history(settings, str(log)), lambda *_: None)
    (batch,) = open_archive(settings).batches(("signature",))
    assert batch.column("signature").to_pylist() == ["unchecked"]
