"""What a person meets first: help, wrong flags, no configuration, one-line errors, exit codes."""

import json
import re
from pathlib import Path

import pytest
import yaml

COMMANDS = (
    "demo", "init", "doctor", "bench", "dlq", "run", "watch", "serve", "replay", "score", "schema", "check-config",
    "sessions", "findings", "revoke", "reinstate", "token",
)  # fmt: skip


def test_help_lists_every_command_and_the_exit_codes(guardian) -> None:
    shown = guardian("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^\W+{command}\s", shown, re.MULTILINE), command
    assert "130" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(guardian, command: str) -> None:
    done = guardian(command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


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


def test_debug_shows_the_traceback(guardian) -> None:
    assert "Traceback" in guardian("--debug", "score", "absent.jsonl").stderr


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
    assert guardian("init", "home").returncode == 0
    assert guardian("check-config", "-c", "home/guardian.yaml").returncode == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "home" / "keys").iterdir())
    again = guardian("init", "home")
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_the_written_configuration_shows_the_defaults_it_claims(guardian, tmp_path: Path) -> None:
    guardian("init", "home")
    from guardian.config import Settings, load

    written = yaml.safe_load((tmp_path / "home" / "guardian.yaml").read_text(encoding="utf-8"))
    told = load(tmp_path / "home" / "guardian.yaml")
    silent = Settings()
    for section in ("source", "kafka", "model", "response", "control", "policy", "alerts", "logging", "signals"):
        assert getattr(told, section) == getattr(silent, section), section
    assert set(written) <= set(Settings.model_fields)


def test_doctor_says_what_to_mend_and_fails(guardian) -> None:
    guardian("init", "home")
    done = guardian(
        "doctor", "-c", "home/guardian.yaml", "--json", env={"GUARDIAN_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    )
    assert done.returncode == 1
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["keys"]["ok"]
    assert checks["policy"]["ok"]
    assert checks["model"]["ok"]
    assert not checks["broker"]["ok"]
    assert checks["broker"]["mend"]
    assert not checks["control"]["ok"]


def test_a_token_is_issued_listed_and_withdrawn(guardian) -> None:
    guardian("init", "home")
    config = ("-c", "home/guardian.yaml")
    done = guardian("token", "issue", "maya", "--role", "responder", "--tenant", "acme", *config)
    assert done.stdout.count(".") == 2
    jti = done.stderr.split()[1].rstrip(",")
    listed = json.loads(guardian("token", "list", "--json", *config).stdout)
    assert {"jti": jti, "principal": "maya"}.items() <= next(r for r in listed if r["jti"] == jti).items()
    assert done.stdout.strip() not in guardian("token", "list", "--json", *config).stdout
    assert guardian("token", "revoke", jti, *config).returncode == 0
    assert guardian("token", "revoke", jti, *config).returncode == 1
    wrong = guardian("token", "issue", "maya", "--role", "emperor", "--tenant", "acme", *config)
    assert wrong.returncode == 1
    assert "responder" in wrong.stderr
