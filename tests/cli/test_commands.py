"""What a person meets first: help, wrong flags, no configuration, one-line errors, exit codes."""

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import click
import pytest
import typer
import yaml

from guardian import cli
from guardian.bootstrap.resources import resource
from guardian.cli import PANELS, app, common, main
from guardian.cli.common import show_checks
from guardian.commands.checks import Check
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.embedding.artefact import PAIR_MODEL, REQUIRED, write_manifest
from guardian.errors import BusError, ConfigurationError, FuseBlown, StoreError
from guardian.store.control.store import ControlStore

COMMANDS = (
    "demo", "init", "doctor", "bench", "dlq", "outbox", "run", "watch", "serve", "replay", "score", "schema",
    "check-config", "sessions", "findings", "revoked", "revoke", "reinstate", "token", "seal", "labels",
    "calibrate", "evaluate", "train", "sources", "detect", "migrate",
)  # fmt: skip


ROOT = Path(__file__).parents[2]
CODES = ("FAULT", "TO_MEND", "UNREADABLE", "STOPPED", "WAITS", "INTERRUPTED", "CUT_OFF")


def test_help_lists_every_command_and_the_exit_codes(guardian) -> None:
    shown = guardian("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^\W+{command}\s", shown, re.MULTILINE), command
    assert "130" in shown


def test_help_and_the_operators_page_name_the_same_exit_codes_and_each_has_a_name() -> None:
    codes = {"0", *(str(getattr(common, name)) for name in CODES)}
    said = re.sub(r"\s+", " ", str(app.info.epilog))
    assert set(re.findall(r"[:;] (\d+) ", said)) == codes
    assert set(re.findall(r"[:;]\s(\d+)\s", str(cli.__doc__))) == codes
    table = (ROOT / "config" / "README.md").read_text("utf-8").partition("| exit code |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| (\d+) \|", table, re.MULTILINE)) == codes
    for file in (ROOT / "guardian" / "cli").glob("*.py"):
        assert not re.search(r"[Ee]xit\(\d", file.read_text("utf-8")), file.name


def test_every_command_stands_in_one_of_six_panels_and_none_is_left_there() -> None:
    listed = " ".join(PANELS.values()).split()
    assert len(PANELS) <= 6
    assert sorted(listed) == sorted(getattr(typer.main.get_command(app), "commands", {}))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(guardian, command: str) -> None:
    done = guardian(command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_help_is_filled_by_the_terminal_and_not_as_it_was_written(guardian) -> None:
    shown = guardian("notebooks", "--help", env={"COLUMNS": "100"}).stdout
    (line,) = (line for line in shown.splitlines() if "GUARDIAN_TENANT" in line)
    assert line.rstrip().endswith("Edit the copies at"), "it goes on to the edge"


def test_a_flag_is_shown_without_a_type_and_a_list_without_its_brackets(guardian) -> None:
    shown = guardian("token", "issue", "--help").stdout + guardian("link", "--help").stdout
    assert "--open" in shown
    assert "<bool>" not in shown
    assert "list[" not in shown


def test_every_option_of_every_command_says_what_it_is_for() -> None:
    def silent(command: click.Command, name: str) -> Iterator[str]:
        yield from (f"{name} {p.opts[0]}" for p in command.params if not getattr(p, "help", None))
        for below, each in getattr(command, "commands", {}).items():
            yield from silent(each, f"{name} {below}")

    assert list(silent(typer.main.get_command(app), "guardian")) == []


def test_every_command_shows_an_example_and_those_that_ask_control_whose_token_they_use() -> None:
    def leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
        below = getattr(command, "commands", {})
        yield from () if below else [(name, command)]
        for word, each in below.items():
            yield from leaves(each, f"{name} {word}".strip())

    found = dict(leaves(typer.main.get_command(app), ""))
    bare = [name for name, each in found.items() if "Example: " not in (each.help or "")]
    assert [name for name in bare if not name.startswith("bench ")] == []
    told = {name: " ".join(getattr(p, "help", "") or "" for p in each.params) for name, each in found.items()}
    asking = {name for name, helps in told.items() if "GUARDIAN_TOKEN" in helps}
    assert asking >= {
        "sessions", "findings", "revoked", "revoke", "reinstate", "dismiss", "confirm", "protect", "mode",
        "approvals", "approve", "deny", "withdraw", "breaker", "break-glass", "break-glass-end", "gateways",
        "labels", "link", "policy explain", "exceptions add", "exceptions end", "exceptions list",
        "feedback export",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("nosuch",), 2, "nosuch"),
        (("score",), 2, "file"),
        (("score", "absent.jsonl"), 2, "absent.jsonl: no such file"),
        (("demo", "--sessions", "two"), 2, "--sessions"),
        (("findings",), 2, "guardian init"),
        (("run",), 2, "guardian init"),
        (("check-config", "-c", "absent.yaml"), 2, "absent.yaml"),
        (("dlq", "redrive"), 2, "--all"),
        (("slack", "manifest", "--url", "example.com"), 2, "https://guardian.example.com"),
        (("evaluate", "log.jsonl", "--one-in", "inf"), 2, "--one-in"),
        (("mode", "acme", "canary", "--reason", "x"), 2, "canary needs --percent, from 1 to 99"),
        (("mode", "acme", "enforce", "--percent", "5", "--reason", "x"), 2, "goes with canary, not with enforce"),
    ],
)
def test_a_wrong_call_is_one_line_that_names_the_way_out(
    guardian, args: tuple[str, ...], code: int, said: str
) -> None:
    done = guardian(*args)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_version_is_printed(guardian) -> None:
    assert guardian("--version").stdout.startswith("guardian 0.")


@pytest.mark.parametrize("as_json", [False, True])
def test_the_demo_says_that_it_starts_before_it_loads_what_takes_seconds(capsys, monkeypatch, as_json) -> None:
    from guardian.cli.running import demo

    said = []

    class Loading(ModuleType):
        def __getattr__(self, name: str) -> object:
            if name == "run_demo":
                said.append(capsys.readouterr())
            return lambda **_: True

    monkeypatch.setitem(sys.modules, "guardian.demo.run", Loading("guardian.demo.run"))
    demo(as_json=as_json)
    out, err = said[0]
    assert (err if as_json else out).startswith("Starting ")
    assert (out if as_json else err) == ""


def test_the_command_line_itself_loads_nothing_heavy() -> None:
    """Each command brings what it needs; all others start without."""
    heavy = "{'sqlalchemy', 'alembic', 'fastapi', 'numpy', 'onnxruntime', 'kafka', 'slack_sdk', 'pyarrow'}"
    code = f"import sys, guardian.cli; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_what_is_no_regular_file_is_said_to_be_none(guardian) -> None:
    done = guardian("score", "/dev/null")
    assert (done.returncode, done.stderr) == (
        2, "guardian: /dev/null is not a regular file; `-` reads from standard input\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("hit", "command", "pid", "code"),
    [
        ("SIGINT", "findings", 2, 130),
        ("SIGTERM", "watch", 2, 0),
        ("SIGTERM", "--debug serve", 1, 0),
        ("SIGTERM", "watch --file=log.jsonl", 2, 130),
        ("SIGTERM", "watch --file log.jsonl", 1, 130),
        ("SIGTERM", "findings --tenant run", 2, -15),
        ("SIGTERM", "findings", 1, 143),
        ("SIGHUP", "watch", 2, 7),
        ("SIGHUP", "serve", 2, 7),
        ("SIGHUP", "findings --tenant run", 2, -1),
    ],
)
def test_what_a_signal_does_while_the_command_line_is_imported(
    hit: str, command: str, pid: int, code: int
) -> None:
    """The kernel drops for PID 1, as which a container runs it, every signal that it does not handle."""
    script = f"import builtins, os, signal, sys, guardian.__main__ as m\nos.getpid = lambda: {pid}\n"
    script += "real = builtins.__import__\ndef hit(name, *a, **k):\n"
    script += f"    if name == 'guardian.cli': signal.raise_signal(signal.{hit}); sys.exit(7)\n"
    script += "    return real(name, *a, **k)\nbuiltins.__import__ = hit\nm.main()"
    done = subprocess.run([sys.executable, "-c", script, *command.split()], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, "")


def test_ctrl_c_while_a_native_module_loads_is_an_interruption_though_that_says_it_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(raised: BaseException) -> None:
        try:
            raise raised
        except BaseException as error:
            raise ImportError("initialization failed") from error

    for raised, code in ((KeyboardInterrupt(), 130), (OSError(), 1)):
        monkeypatch.setattr("guardian.cli.app", partial(load, raised))
        with pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code, "unexpected error" in capsys.readouterr().err) == (code, code == 1)


def test_debug_shows_the_traceback(installed) -> None:
    assert "Traceback" in installed("--debug", "policy", "check", "-c", "absent.yaml").stderr


def test_an_unexpected_error_is_one_line_that_says_where(guardian, monkeypatch) -> None:
    monkeypatch.setattr("guardian.bootstrap.plugins.names", lambda _folder: 1 / 0)
    done = guardian("sources")
    assert (done.returncode, done.stdout) == (1, "")
    said = r"guardian: .*ZeroDivisionError at commands/detecting\.py:\d+: .*--debug COMMAND shows the traceback\n"
    assert re.fullmatch(said, done.stderr)
    with pytest.raises(ZeroDivisionError):
        guardian("--debug", "sources")


def test_the_schema_validates_a_decision_and_refuses_another(guardian) -> None:
    import jsonschema

    schema = json.loads(guardian("schema").stdout)
    good = {
        "schema": "guardian.decision/v1", "id": "d", "time": "2026-05-12T17:04:11Z", "gateway": "g",
        "envelope": {"delegator_id": "u", "tenant_id": "t", "session_id": "s", "extra": 1},
        "action": {"tool": "x"}, "decision": {"effect": "allow"},
    }  # fmt: skip
    jsonschema.validate(good, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**good, "decision": {"effect": "maybe"}}, schema)


def test_init_makes_a_configuration_that_checks_and_keys_that_only_the_owner_reads(
    guardian, tmp_path: Path
) -> None:
    made = guardian("init", "home")
    assert made.returncode == 0
    assert made.stdout.index("guardian mode TENANT canary") < made.stdout.index("enforce")
    assert guardian("check-config", "-c", "home/guardian.yaml").returncode == 0
    private = [tmp_path / "home" / "guardian.yaml", *(tmp_path / "home" / "keys").iterdir()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in private)
    again = guardian("init", "home")
    assert again.returncode == 2
    assert "exists already" in again.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_what_root_makes_for_the_service_is_the_services_to_read(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    initialise(tmp_path)
    assert {each.stat().st_uid for each in tmp_path.rglob("*")} == {65534}


@pytest.mark.parametrize("kept", ["signing.jwks.json", "seal.key", "gateway.token"])
def test_init_leaves_a_folder_that_holds_a_key_as_it_was_and_can_be_gone_on_with(
    guardian, tmp_path: Path, kept: str
) -> None:
    key = tmp_path / "home" / "keys" / kept
    key.parent.mkdir(parents=True)
    key.write_text("mine")
    refused = guardian("init", "home")
    assert (refused.returncode, f"{kept} exists already" in refused.stderr) == (2, True)
    assert "choose another folder" in refused.stderr
    assert [*(tmp_path / "home").rglob("*")] == [key.parent, key]
    assert key.read_text() == "mine"
    key.unlink()
    assert guardian("init", "home").returncode == 0


def test_of_two_inits_at_a_time_the_one_that_fails_takes_nothing_from_the_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, make = tmp_path / "home", Path.mkdir

    def after_another(path: Path, *given: Any, **named: Any) -> None:
        monkeypatch.undo()
        initialise(folder)
        make(path, *given, **named)

    monkeypatch.setattr(Path, "mkdir", after_another)
    with pytest.raises(ConfigurationError, match="exists already; choose another folder"):
        initialise(folder)
    assert load(folder / "guardian.yaml")
    assert {each.name for each in folder.glob("*/*")} >= {"control.db", "seal.key", "admin.token"}


def test_init_names_first_what_doctor_has_to_find_running(guardian) -> None:
    shown = guardian("init", "home").stdout
    assert 0 < shown.index("guardian run -c") < shown.index("guardian doctor -c")


def test_the_commands_that_init_names_can_be_copied_whatever_the_folder_is_called(guardian) -> None:
    shown = guardian("init", "my guardian").stdout.splitlines()
    copied = [shlex.split(line) for line in shown if line.startswith("  guardian ")]
    assert len(copied) == 4
    assert all(words[-2:] == ["-c", "my guardian/guardian.yaml"] for words in copied)


def test_a_closed_standard_input_is_told_in_words(guardian, monkeypatch: pytest.MonkeyPatch) -> None:
    guardian("score", "-")  # imports what reads files
    monkeypatch.setattr(io, "TextIOWrapper", lambda _: None)  # as Python leaves it: sys.stdin is None
    done = guardian("score", "-")
    assert (done.returncode, done.stderr) == (2, "guardian: standard input is closed; name a file\n")


def test_a_closed_standard_output_is_told_in_words_before_the_work(guardian, tmp_path: Path, monkeypatch) -> None:
    guardian("init", ".")
    (tmp_path / "log.jsonl").touch()
    monkeypatch.setattr(sys, "stdout", None)  # as Python leaves it
    for command in ("score log.jsonl", "audit export", "feedback export"):
        done = guardian(*command.split())
        assert (done.returncode, done.stderr) == (
            2, "guardian: standard output is closed; name a file to write with --output\n"
        ), command  # fmt: skip


@pytest.mark.parametrize("printed", ["schema", "table"])
def test_an_output_that_nobody_reads_any_more_ends_every_command_as_it_ends_any_program(printed) -> None:
    code = "from guardian.cli import app, common; app.command('table')(lambda: common.Screen().print('x'));"
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", f"{code} app(['{printed}'])"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_output_that_lacks_a_letter_is_told_with_the_way_out(guardian, installed) -> None:
    guardian("init", "home")
    done = installed("slack", "check", "-c", "home/guardian.yaml", env={"PYTHONIOENCODING": "latin-1"})
    assert done.returncode == 1
    assert done.stderr == "guardian: this text has letters that latin-1 lacks; set PYTHONIOENCODING=utf-8\n"


def test_an_init_that_fails_leaves_nothing_so_that_it_can_be_done_again(
    guardian, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    (tmp_path / "home").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("guardian.commands.tokens.issue", full)
        assert guardian("init", "home").returncode == 1
    assert not list((tmp_path / "home").iterdir())
    assert guardian("init", "home").returncode == 0


def test_an_init_that_fails_takes_away_nothing_that_was_there(guardian, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "notes").touch()
    assert guardian("init", "home", env={"GUARDIAN_NONSENSE": "1"}).returncode == 2
    assert (tmp_path / "home" / "notes").exists()


def test_init_leaves_alone_the_deployment_that_variables_name(guardian, tmp_path: Path) -> None:
    other = initialise(tmp_path / "other").parent
    before = {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}
    named = {
        "GUARDIAN_STORE__CONTROL": f"sqlite:///{other}/data/control.db",
        "GUARDIAN_KEYS__DIRECTORY": str(other / "keys"),
        "GUARDIAN_BASE": str(other),
    }
    assert guardian("init", "home", env=named).returncode == 0
    assert {path: path.read_bytes() for path in other.rglob("*") if path.is_file()} == before
    assert (tmp_path / "home" / "data" / "control.db").exists()


@pytest.mark.parametrize("command", ["schema", "sources"])
def test_a_full_disk_is_one_line(command: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "guardian", command],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "guardian: No space left on device\n")


def test_the_written_configuration_shows_the_defaults_it_claims(guardian, tmp_path: Path) -> None:
    guardian("init", "home")
    from guardian.config import Settings, load

    written = yaml.safe_load((tmp_path / "home" / "guardian.yaml").read_text(encoding="utf-8"))
    told = load(tmp_path / "home" / "guardian.yaml")
    silent = Settings()
    for section in ("source", "kafka", "model", "response", "control", "policy", "alerts", "logging", "signals"):
        assert getattr(told, section) == getattr(silent, section), section
    assert set(written) <= set(Settings.model_fields)


def test_doctor_says_what_to_mend_and_fails(guardian, installed) -> None:
    guardian("init", "home")
    nobody = {
        "GUARDIAN_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "GUARDIAN_CONTROL__URL": "http://127.0.0.1:1",  # a guardian may run on this machine
    }
    done = installed("doctor", "-c", "home/guardian.yaml", "--json", env=nobody)
    assert done.returncode == 1
    assert done.stderr == ""  # the client's log of each attempt is no help to anybody
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["keys"]["ok"]
    assert checks["policy"]["ok"]
    assert checks["model"]["ok"]
    assert not checks["broker"]["ok"]
    assert checks["broker"]["mend"].startswith("start a broker there")
    assert "kafka.options" in checks["broker"]["mend"]  # a refused sign-in looks like no broker
    assert not checks["control"]["ok"]
    assert not checks["watching"]["ok"], "nobody watches, or nobody can say"
    assert checks["archive"]["found"].endswith("can be written")


def test_a_check_that_knows_nothing_is_marked_so_and_fails_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show_checks([Check("keys", True, "present"), Check("watching", None, "nobody reported")], as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "ok    keys        present",
        "?     watching    nobody reported",
    ]
    show_checks([Check("calibration", True, "promised\nwhile traffic stays alike")], as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "ok    calibration promised",
        "                  while traffic stays alike",
    ]
    with pytest.raises(typer.Exit):
        show_checks([Check("source", False, "", "see the message")], as_json=False)
    assert capsys.readouterr().out.splitlines() == ["MEND  source      ", "                  → see the message"]
    with pytest.raises(typer.Exit):
        show_checks([Check("watching", None, "nobody reported"), Check("keys", False, "gone", "make it")], True)
    assert [check["ok"] for check in json.loads(capsys.readouterr().out)] == [None, False]


def test_in_a_terminal_each_line_of_a_check_stays_beside_its_name(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    with pytest.raises(typer.Exit):
        show_checks(
            [Check("broker", False, "none answers at 127.0.0.1:1", "or start `guardian run -c g.yaml`")], False
        )
    assert capsys.readouterr().out.splitlines() == [
        "MEND  broker      none answers at",
        "                  127.0.0.1:1",
        "                  → or start",
        "                    `guardian run -c g.yaml`",
    ]


def test_each_check_is_shown_before_the_next_one_begins(capsys: pytest.CaptureFixture[str]) -> None:
    def checks() -> Iterator[Check]:
        yield Check("keys", True, "present")
        assert capsys.readouterr().out == "ok    keys        present\n"
        yield Check("broker", True, "there")

    show_checks(checks(), as_json=False)


def test_doctor_shows_markup_as_it_is_and_no_escape_sequence(guardian) -> None:
    guardian("init", "home")
    hostile = {
        "GUARDIAN_ARCHIVE": "\x1b[31m[red]x[/red]",
        "GUARDIAN_KAFKA__OPTIONS": '{"none": 1}',  # no broker is waited for
    }
    shown = guardian("doctor", "-c", "home/guardian.yaml", env=hostile)
    assert shown.returncode == 1
    assert "‹U+001B›[31m[red]x[/red] can be written" in shown.stdout


def test_doctor_says_what_cannot_be_written(guardian, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from guardian.commands import doctor
    from guardian.config import load

    guardian("init", "home")
    (tmp_path / "blocked").write_text("a file where a folder belongs")
    settings = load(
        tmp_path / "home" / "guardian.yaml", overrides={"archive": {"path": tmp_path / "blocked" / "x"}}
    )
    asked = {check.name: check for check in islice(doctor.examine(settings), 4)}
    assert "cannot be written" in asked["archive"].found
    assert asked["database"].ok
    queried = load(
        tmp_path / "home" / "guardian.yaml",
        overrides={
            "store": {
                "monitor": "sqlite:///data/monitor.db?timeout=30",
                "control": "sqlite:///data/control.db?timeout=30",
            }
        },
    )
    assert next(check for check in doctor.examine(queried) if check.name == "database").ok
    may = os.access  # root may write whatever the mode says
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and may(path, mode))
    database = next(check for check in doctor.examine(settings) if check.name == "database")
    assert "cannot be written by this user" in database.found
    (tmp_path / "home" / "data" / "control.db").write_text("opening it would fail in SQLite's own words")
    database = next(check for check in doctor.examine(settings) if check.name == "database")
    assert "cannot be written by this user" in database.found
    assert "owner or mode" in database.mend


def test_a_monitor_that_stops_for_a_gateways_records_is_told_from_a_fault_that_starting_again_may_mend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stops() -> None:
        raise FuseBlown("most records of gw-1 cannot be read")

    monkeypatch.setattr("guardian.cli.app", stops)
    with pytest.raises(SystemExit) as ended:
        main()
    unit = (Path(__file__).parents[2] / "config/examples/systemd/guardian-monitor.service").read_text()
    assert re.search(rf"^RestartPreventExitStatus=.*\b{ended.value.code}\b", unit, re.MULTILINE)


@pytest.mark.parametrize(
    ("command", "lacking", "says"),
    [
        ("serve", {"GUARDIAN_POLICY__PATH": "policies"}, 'has no @id("…")'),
        ("serve", {"GUARDIAN_STORE__CONTROL": "nonsense"}, "is not a database URL"),
        ("watch", {"GUARDIAN_MODEL__PATH": "model"}, "manifest.json: not a manifest"),
        ("watch", {"GUARDIAN_MODEL__CALIBRATION": "model/manifest.json"}, "the calibration cannot be read"),
    ],
)
def test_what_starting_again_does_not_mend_is_not_started_again(
    guardian, tmp_path: Path, command: str, lacking: dict[str, str], says: str
) -> None:
    home = initialise(tmp_path / "home").parent
    shutil.copytree(Path(__file__).parents[2] / "config/policies", home / "policies")
    policy = home / "policies" / "monitor.cedar"
    policy.write_text(policy.read_text("utf-8").replace("@id(", "@called("), "utf-8")
    (home / "model").mkdir()
    (home / "model" / "manifest.json").write_text("nonsense")
    done = guardian(command, "-c", "home/guardian.yaml", env={"GUARDIAN_CONTROL__PORT": "0"} | lacking)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr


def test_a_sound_model_that_this_machine_cannot_load_now_is_tried_again(guardian, tmp_path: Path) -> None:
    """Such as one for which there is no memory: that looks the same, and passes."""
    initialise(tmp_path / "home")
    model = tmp_path / "home" / "model"
    model.mkdir()
    for name in REQUIRED:
        (model / name).symlink_to(resource("models") / name)
    (model / PAIR_MODEL).unlink()
    (model / PAIR_MODEL).write_bytes(b"of another onnxruntime")
    write_manifest(model)
    done = guardian("watch", "-c", "home/guardian.yaml", env={"GUARDIAN_MODEL__PATH": "model"})
    assert (done.returncode, "onnxruntime cannot load it" in done.stderr) == (1, True), done.stderr


def test_doctor_tells_of_a_lost_database_and_makes_none(guardian, tmp_path: Path) -> None:
    guardian("init", "home")
    offline = {"GUARDIAN_KAFKA__OPTIONS": '{"none": 1}'}
    shown = {
        c["name"]: c
        for c in json.loads(guardian("doctor", "-c", "home/guardian.yaml", "--json", env=offline).stdout)
    }
    assert "the monitor's is made by the first start" in shown["database"]["found"]
    data = tmp_path / "home" / "data"
    data.rename(tmp_path / "lost")
    shown = {
        c["name"]: c
        for c in json.loads(guardian("doctor", "-c", "home/guardian.yaml", "--json", env=offline).stdout)
    }
    assert not shown["database"]["ok"]
    assert "control.db is not there: no token, revocation" in shown["database"]["found"]
    assert "put it back from a copy and leave the epoch file as it is" in shown["database"]["mend"]
    assert shown["calibration"]["ok"]
    assert shown["refused"]["ok"] is None, "what was refused is lost with it"
    assert not data.exists()


def test_doctor_asks_of_a_machine_what_runs_there_needs_and_no_more(guardian, tmp_path: Path) -> None:
    guardian("init", "home")
    keys, data, offline = (
        tmp_path / "home/keys",
        tmp_path / "home/data",
        {"GUARDIAN_KAFKA__OPTIONS": '{"none": 1}'},
    )

    def asked(runs: str) -> dict[str, dict[str, Any]]:
        done = guardian("doctor", "--for", runs, "-c", "home/guardian.yaml", "--json", env=offline)
        return {check["name"]: check for check in json.loads(done.stdout)}

    whole = tmp_path / "whole"
    shutil.copytree(tmp_path / "home", whole)
    shutil.rmtree(data)
    (keys / "signing.jwks.json").unlink()
    watching = asked("watch")
    assert (watching["keys"]["ok"], watching["database"]["ok"]) == (True, True)
    assert watching["database"]["found"] == "the monitor's is made by the first start of a monitor"
    assert not data.exists()
    running = asked("run")
    assert not running["keys"]["ok"]
    assert running["database"]["found"] == "not known: what keys says comes first"
    shutil.copy(whole / "keys/signing.jwks.json", keys)
    assert "--for watch" in asked("run")["database"]["mend"]
    shutil.rmtree(tmp_path / "home")
    whole.rename(tmp_path / "home")
    for name in ("seal.key", "fingerprint.key", "monitor.token"):
        (keys / name).unlink()
    serving = asked("serve")
    assert (serving["keys"]["ok"], serving["policy"]["ok"]) == (True, True)
    assert serving["database"]["found"] == "the control database answers, its schema is up to date"
    assert {"broker", "source", "model", "gateways"} <= watching.keys() - serving.keys()
    assert {"policy", "pages", "alerts"} <= serving.keys() - watching.keys()
    assert watching.keys() | serving.keys() == asked("run").keys()
    wrong = guardian("doctor", "--for", "control", "-c", "home/guardian.yaml")
    assert (wrong.returncode, "'run', 'watch', 'serve'" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    "words",
    ["sessions --tenant", "findings --tenant", "gateways --tenant", "labels --tenant", "approvals --tenant",
     "exceptions list --tenant", "feedback export --tenant", "propose --tenant", "authority s --tenant", "mode",
     "revoke --reason r acme", "link acme", "policy explain", "confirm --reason r"],
)  # fmt: skip
def test_a_name_that_a_shell_left_empty_is_wrong_usage_and_named(guardian, words: str) -> None:
    done = guardian(*words.split(), "")
    assert (done.returncode, "it is empty" in done.stderr) == (2, True)


def test_what_is_written_where_no_folder_is_is_refused_before_the_work(guardian, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    done = guardian("score", "log", "-o", "nowhere/out.jsonl")
    assert (done.returncode, "there is no folder nowhere" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("waiting", "code", "told"),
    [
        (0, 0, None),
        (None, 130, "stopped before the end of log: the same command goes on from there"),
        (2, 130, "all is judged, but 2 findings or dead letters wait to be delivered: the same command does that"),
    ],
)
def test_who_stopped_the_reading_of_a_file_is_not_told_that_it_is_done(
    guardian, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waiting: int | None, code: int, told: str | None
) -> None:
    from guardian.bootstrap import running

    class Monitor:
        store = None

        def __init__(self, *_: object, on_commit: Any, **__: object) -> None:
            on_commit(SimpleNamespace(scored=[1], duplicates=0, dead_letters=[]))

        def run(self, _stop: object) -> int | None:
            return waiting

    monkeypatch.setattr(running, "Monitor", Monitor)
    monkeypatch.setattr(running, "leave_what_is_loaded", lambda: None)
    (tmp_path / "log").write_text("")
    guardian("init", "home")
    done = guardian("watch", "--file", "log", "-c", "home/guardian.yaml")
    assert done.returncode == code
    judged, *more = done.stderr.splitlines()
    assert judged.startswith("1 decision judged")
    assert more == ([] if told is None else [told])


def test_a_pipe_can_be_watched_and_its_end_is_no_interruption(guardian, tmp_path: Path, monkeypatch) -> None:
    from guardian.bootstrap import running

    watched = []
    monkeypatch.setattr(running, "watch", lambda _, file: watched.append(file) or running.Watched(ended=False))
    os.mkfifo(tmp_path / "pipe")
    guardian("init", "home")
    assert guardian("watch", "--file", "pipe", "-c", "home/guardian.yaml").returncode == 0
    assert watched == [Path("pipe")]


@pytest.mark.parametrize(
    ("became", "said"),
    [
        (
            {"lost": 2},
            "2 lines of the pipe are not judged; the same command cannot read that again",
        ),
        ({"unread": True}, "stopped before the end of standard input"),
        ({"ended": True, "unfinished": True}, "the last line is not whole and was left"),
    ],
)
def test_what_a_watched_file_or_pipe_was_not_judged_of_is_said(
    guardian, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, became: dict[str, Any], said: str
) -> None:
    from guardian.bootstrap import running

    monkeypatch.setattr(running, "watch", lambda *_: running.Watched(**became))
    (tmp_path / "log").touch()
    guardian("init", "home")
    done = guardian("watch", "--file", "log" if "ended" in became else "-", "-c", "home/guardian.yaml")
    assert (done.returncode, said in done.stderr) == (130, True)


def test_a_file_in_a_folder_of_somebody_elses_is_wrong_usage(guardian, monkeypatch) -> None:
    look = Path.stat

    def shut(path: Path, **how: bool) -> os.stat_result:  # root may look everywhere
        if path.parent == Path("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, **how)

    monkeypatch.setattr(Path, "stat", shut)
    done = guardian("score", "shut/log.jsonl")
    assert (done.returncode, done.stderr) == (2, "guardian: shut/log.jsonl: Permission denied\n")


def test_doctor_asks_of_control_alone_whom_it_would_ask_for_advice(tmp_path: Path) -> None:
    from guardian.commands.doctor import examine
    from guardian.commands.initialise import initialise
    from guardian.config import load

    settings = load(initialise(tmp_path / "home"))

    def advice(runs: str, **advice: object):
        section = settings.advice.model_copy(update=advice)
        checks = examine(settings.model_copy(update={"advice": section}), runs)
        return next((check for check in checks if check.name == "advice"), None)

    nobody = advice("serve", enabled=True)
    assert (nobody.ok, "set advice.url" in nobody.mend) == (False, True)
    assert (advice("run", enabled=True), advice("serve")) == (None, None)
    (tmp_path / "home" / "keys" / "advice.token").touch(mode=0o600)
    (tmp_path / "home" / "keys" / "advice.token").write_text("x")
    gone = advice("serve", url="http://127.0.0.1:1")
    assert (gone.found.partition(":")[0], "monitor.advise_port" in gone.mend) == ("http", True)


def test_doctor_names_the_file_beside_a_database_that_cannot_be_written(
    guardian, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guardian.commands import doctor
    from guardian.config import load

    guardian("init", "home")
    (tmp_path / "home" / "data" / "control.db-shm").touch()  # as it is left when control.db was read-only
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("-shm") and may(path, mode))
    checks = doctor.examine(load(tmp_path / "home" / "guardian.yaml"))
    database = next(check for check in checks if check.name == "database")
    assert "control.db-shm cannot be written by this user" in database.found


def test_a_file_of_somebody_elses_is_one_line_of_doctors_and_stops_no_other(
    guardian, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guardian.commands import doctor
    from guardian.config import load

    def shut(_: object) -> str:
        raise PermissionError(13, "Permission denied", "keys/admin.token")

    guardian("init", "home")
    monkeypatch.setattr(doctor, "_names", shut)
    names, keys = islice(doctor.examine(load(tmp_path / "home" / "guardian.yaml")), 2)
    assert (names.ok, names.found) == (False, "keys/admin.token: Permission denied")
    assert "owner or mode" in names.mend
    assert keys.ok


def test_a_token_file_of_somebody_elses_is_said_with_what_may_be_set_instead(
    guardian, monkeypatch: pytest.MonkeyPatch
) -> None:
    guardian("init", "home")
    look = Path.stat

    def shut(path: Path, **how: bool) -> os.stat_result:  # root may look everywhere
        if path.name == "admin.token":
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, **how)

    monkeypatch.setattr(Path, "stat", shut)
    done = guardian("findings", "-c", "home/guardian.yaml")
    assert (done.returncode, "admin.token" in done.stderr, "set GUARDIAN_TOKEN" in done.stderr) == (2, True, True)


def test_a_token_is_issued_listed_and_withdrawn(guardian, tmp_path: Path) -> None:
    guardian("init", "home")
    config = ("-c", "home/guardian.yaml")
    (tmp_path / "empty.yaml").write_text("store: {control: 'sqlite:///empty.db'}\n")
    ControlStore.open(f"sqlite:///{tmp_path}/empty.db", now=datetime.now(UTC)).close()
    none = guardian("token", "list", "-c", "empty.yaml")
    assert (none.stdout, none.stderr) == ("", "0 tokens shown; --ended shows those that are over, too\n")
    done = guardian("token", "issue", "maya", "--role", "responder", "--tenant", "acme", *config)
    assert done.stdout.count(".") == 2
    jti = done.stderr.split()[1].rstrip(",")
    listed = json.loads(guardian("token", "list", "--json", *config).stdout)
    assert {"jti": jti, "principal": "maya"}.items() <= next(r for r in listed if r["jti"] == jti).items()
    assert done.stdout.strip() not in guardian("token", "list", "--json", *config).stdout
    assert guardian("token", "revoke", jti, *config).returncode == 0
    assert guardian("token", "revoke", jti, *config).returncode == 1
    wrong = guardian("token", "issue", "maya", "--role", "emperor", "--tenant", "acme", *config)
    assert wrong.returncode == 2
    assert "responder" in wrong.stderr
    kept = guardian("token", "revoke", "--principal", "maya", *config)
    assert (kept.returncode, kept.stderr) == (0, "")
    people = tmp_path / "home/people.yaml"
    lists = "{people: {maya: {email: maya@acme.example, role: responder, tenants: [acme]}}}"
    people.write_text((tmp_path / "home/guardian.yaml").read_text() + f"\nslack: {lists}\n")
    warned = guardian("token", "revoke", "--principal", "maya", "-c", str(people))
    assert "maya gets new ones by slack.people: take the name out" in warned.stderr
    never = guardian("token", "revoke", "nosuch", *config)
    assert never.returncode == 1
    assert "'nosuch' was ever issued here" in never.stderr
    shown = guardian("token", "list", *config).stdout
    assert "nosuch" not in shown
    assert re.search(rf"{jti} +revoked +responder +maya +of acme +until", shown)
    for days in ("9999999999", "nan", "inf"):
        endless = guardian("token", "issue", "maya", "--role", "admin", "--tenant", "*", "--days", days, *config)
        assert endless.returncode == 2
        assert "Traceback" not in endless.stderr


def test_where_a_database_has_no_roles_nobody_is_sent_to_grant_any(guardian) -> None:
    guardian("init", "home")
    assert guardian("migrate", "-c", "home/guardian.yaml").stdout == "up to date\n"


def test_a_configuration_is_shown_without_its_secrets(guardian, tmp_path: Path) -> None:
    body = {
        "kafka": {
            "options": {
                "security_protocol": "SASL_SSL",
                "sasl_plain_password": "hush-1",
                "socks5_proxy": "hush-2",
                "socket_options": {"api_key": ["hush-5"]},
            }
        },
        "store": {
            "monitor": "postgresql+psycopg://m:hush-3%2F%40x@db/guardian?sslpassword=hush-4&sslmode=require",
            "control": "sqlite:///data/control.db",
        },
        "policy": {
            "language": "opa",
            "options": {"url": "https://pdp.example", "token": "hush-6", "timeout_s": 3},
        },
        "slack": {"token": "hush-7"},
        "alerts": {
            "webhook": {"url": "https://h.example/in?code=hush-8&sig=hush-9", "secret_file": "keys/hook.secret"}
        },
    }
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "hook.secret").write_text("whsec_" + "aGFyZC10by1ndWVzcy1zZWNyZXQtMQ==" + "\n")
    (tmp_path / "keys" / "hook.secret").chmod(0o600)
    (tmp_path / "g.yaml").write_text(yaml.safe_dump(body), encoding="utf-8")
    for args in ((), ("--json",)):
        done = guardian("check-config", "-c", "g.yaml", *args)
        assert done.returncode == 0, done.stderr
        assert "hush" not in done.stdout + done.stderr
        for kept in ("SASL_SSL", "postgresql+psycopg://m:", "@db/guardian", "sslmode=require", "control.db"):
            assert kept in done.stdout, kept
    body["store"]["monitor"] = "postgresql+psycopg://m:hush-3/@x@db/guardian"  # not escaped
    (tmp_path / "g.yaml").write_text(yaml.safe_dump(body), encoding="utf-8")
    done = guardian("check-config", "-c", "g.yaml")
    assert (done.returncode, "store.monitor" in done.stderr) == (2, True)
    assert "hush" not in done.stdout + done.stderr


def test_who_asks_control_needs_its_address_and_a_token_and_no_configuration(guardian, tmp_path: Path) -> None:
    where = {"GUARDIAN_CONTROL__URL": "http://127.0.0.1:1"}
    asked = guardian("findings", env={**where, "GUARDIAN_TOKEN": "t"})
    assert (asked.returncode, "http://127.0.0.1:1" in asked.stderr) == (1, True)
    for command, env, lacking in (
        (
            "findings",
            {"GUARDIAN_TOKEN": "t"},
            "no configuration: give --config FILE, set GUARDIAN_CONFIG, or GUARDIAN_CONTROL__URL",
        ),
        ("findings", where, "set GUARDIAN_TOKEN"),
        ("serve", where, "or write one with `guardian init FOLDER`"),
    ):
        done = guardian(command, env=env)
        assert (done.returncode, lacking in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("token", ["hush\nhush", "hush hush", "hush\x07hush", "hüsh-hush", " "])
def test_a_token_that_no_token_is_like_is_refused_and_never_shown(guardian, token: str) -> None:
    guardian("init", "home")
    done = guardian("findings", "-c", "home/guardian.yaml", env={"GUARDIAN_TOKEN": token})
    assert done.returncode == 1
    assert "the token holds characters that no token has" in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
def test_a_reason_that_is_none_is_one_line(guardian, reason: str) -> None:
    guardian("init", "home")
    why = ("--reason", reason, "-c", "home/guardian.yaml")
    for call in (("revoke", "t", "s"), ("dismiss", "fnd_1"), ("protect", "t", "s"), ("mode", "t", "enforce")):
        done = guardian(*call, *why)
        assert done.returncode == 2
        assert "--reason" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_status_that_does_not_exist_is_refused_with_those_that_do(guardian) -> None:
    done = guardian("sessions", "--status", "clear")
    assert done.returncode == 2
    assert "'active', 'flagged', 'revoked'" in done.stderr


def test_a_kind_of_finding_that_does_not_exist_is_refused_with_those_that_do(guardian) -> None:
    done = guardian("findings", "--kind", "drifting")
    assert done.returncode == 2
    assert "'drift', 'gateway', 'hygiene'" in done.stderr


def test_dead_letters_that_are_not_kept_are_a_fault(guardian, tmp_path: Path) -> None:
    from guardian.bootstrap.monitor_store import open_monitor_store
    from guardian.config import load

    guardian("init", "home")
    open_monitor_store(load(tmp_path / "home/guardian.yaml"), makes=True).close()
    done = guardian("dlq", "redrive", "nosuch", "-c", "home/guardian.yaml")
    assert done.returncode == 1
    assert "nosuch" in done.stdout + done.stderr
    everything = guardian("dlq", "redrive", "--all", "-c", "home/guardian.yaml")
    assert everything.returncode == 0
    assert "sending 0 dead letters" in everything.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense\n", "line 1 is not a labelled session: it is not JSON"),
        ('{"session_id": "a", "purpose": "p"}\n', "it has no 'actions'"),
        ('{"session_id": "a", "purpose": "p", "actions": 7}\n', "of another type"),
        ('{"dataset": 1, "session_id": "a", "purpose": "p", "actions": []}\n', "dataset or domain is no text"),
    ],
)
def test_an_evaluation_of_nonsense_says_which_line(guardian, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "in.jsonl").write_text(text)
    done = guardian("evaluate", "in.jsonl")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Error(" not in done.stderr


@pytest.mark.parametrize("missing", ["told", "dlq.told"])
def test_doctor_says_which_topic_of_envelopes_is_missing(tmp_path: Path, monkeypatch, missing: str) -> None:
    from guardian.commands import doctor, doctor_kafka
    from guardian.commands.initialise import initialise
    from guardian.config import load

    monkeypatch.setattr(doctor_kafka, "topic_partitions", lambda _, topic: None if topic == missing else 3)
    changed = {"envelopes": {"topic": "told"}, "model": {"engine": "lexical"}}
    settings = load(initialise(tmp_path / "home"), overrides=changed)
    found = next(check for check in doctor.examine(settings, "watch") if check.name == "envelopes")
    assert (found.ok, f"{missing!r} is missing" in found.found) == (False, True)


@pytest.mark.parametrize("begins", ["earliest", "latest"])
def test_doctor_says_where_a_first_start_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins) -> None:
    from guardian.commands import doctor, doctor_kafka
    from guardian.commands.initialise import initialise
    from guardian.config import load

    monkeypatch.setattr(doctor_kafka, "topic_partitions", lambda *_: 3)
    changed = {"kafka": {"auto_offset_reset": begins}, "model": {"engine": "lexical"}}
    settings = load(initialise(tmp_path / "home"), overrides=changed)
    found = next(check for check in doctor.examine(settings, "watch") if check.name == "broker")
    assert f"with 3 partitions; a first start begins at {begins}" in found.found


def test_doctor_passes_on_what_the_broker_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from guardian.commands import doctor, doctor_kafka
    from guardian.commands.initialise import initialise
    from guardian.config import load

    def answers(*_: object) -> None:
        raise BusError("its certificate is not believed; name its CA")

    monkeypatch.setattr(doctor_kafka, "topic_partitions", answers)
    settings = load(initialise(tmp_path / "home"), overrides={"model": {"engine": "lexical"}})
    found = next(check for check in doctor.examine(settings, "watch") if check.name == "broker")
    assert (found.found, found.mend) == ("its certificate is not believed", "name its CA")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("sessions --status x", "'--status': 'x' is not one of 'active', 'flagged', 'revoked'."),
        ("alerts release 17 [/x]", "'ids': '[/x]': Input should be a valid integer"),
        ("sessions --limit 0", "'--limit': '0': Input should be greater than or equal to 1"),
        ("sessions --tenant=", "'--tenant': it is empty and names nothing"),
    ],
)
def test_a_value_that_is_refused_is_named(guardian, typed: str, said: str) -> None:
    done = guardian(*typed.split())
    assert done.returncode == 2
    assert f"Invalid value for {said}" in done.stderr
