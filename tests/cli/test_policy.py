"""`guardian policy check | test | explain`, on files and against a control API that really runs."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
import yaml
from click.testing import Result
from typer.testing import CliRunner

from guardian.cli.policy import in_words, register
from guardian.errors import ConfigurationError, ControlError, PolicyError
from guardian.wire.policies import PolicyExplanation

SHIPPED = Path(__file__).parents[2] / "config" / "policies"
ANALYSTS_REVOKE = """
@id("analysts-may-revoke") @why("a test")
permit (principal in Guardian::Role::"analyst", action == Guardian::Action::"revoke", resource);
"""
Policy = Callable[..., Result]


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Policy:
    """Runs `guardian policy ARGS` in an empty folder; what it raises is raised here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GUARDIAN_CONFIG", raising=False)
    app = typer.Typer()
    register(app)

    def run(*args: str) -> Result:
        done = CliRunner().invoke(app, ["policy", *args])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped policies and their cases, to be changed at will."""
    copy = tmp_path / "mine"
    copy.mkdir()
    for file in SHIPPED.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


def test_check_lists_the_shipped_policies_with_their_why(policy):
    done = policy("check")
    assert done.exit_code == 0
    assert "auto-revoke-never-protected" in done.stdout
    assert "the session is protected: a person must decide" in done.stdout
    assert "are sound, version" in done.stdout


def test_check_for_programs(policy, folder):
    told = json.loads(policy("check", str(folder), "--json").stdout)
    named = {each["id"]: each for each in told["policies"]}
    assert named["tenant-isolation"]["effect"] == "forbid"
    assert named["tenant-isolation"]["place"].startswith(f"{folder}/tenancy.cedar:")
    assert told["cases"] > 100


def test_check_says_what_nobody_may_as_policies_of_an_earlier_version_leave_new_acts(policy, folder):
    assert "nobody may" not in policy("check", str(folder)).stderr
    (folder / "subjects.cedar").unlink()
    done = policy("check", str(folder))
    assert (done.exit_code, done.stderr.startswith("nobody may revokeSubject, reinstateSubject: ")) == (0, True)
    told = json.loads(policy("check", str(folder), "--json").stdout)
    assert told["nobody_may"] == ["revokeSubject", "reinstateSubject"]


def test_check_names_file_and_line_of_what_is_wrong(policy, folder):
    (folder / "more.cedar").write_text(
        '// mine\n\n@id("x")\npermit (principal, action, resource)\nwhen { 1 == };\n'
    )
    with pytest.raises(PolicyError, match=r"more\.cedar:3: Cedar cannot parse"):
        policy("check", str(folder))


def test_check_reads_the_cases_too(policy, folder):
    (folder / "cases.yaml").write_text("- {name: x, expect: deny, role: king, action: read}\n")
    with pytest.raises(PolicyError, match=r"cases\.yaml, case 1, role"):
        policy("check", str(folder))


def test_a_folder_that_does_not_exist_is_wrong_usage(policy):
    with pytest.raises(ConfigurationError, match="no such folder"):
        policy("check", "nowhere")


def test_the_configured_folder_is_taken_when_none_is_named(policy, folder, tmp_path):
    (folder / "more.cedar").write_text(ANALYSTS_REVOKE)
    (tmp_path / "guardian.yaml").write_text(yaml.safe_dump({"policy": {"path": "mine"}}))
    assert "analysts-may-revoke" in policy("check").stdout


def test_the_shipped_cases_hold(policy):
    done = policy("test")
    assert done.exit_code == 0
    assert "cases hold" in done.stdout


def test_a_broken_promise_is_a_table_and_an_exit_code(policy, folder):
    (folder / "more.cedar").write_text(ANALYSTS_REVOKE)
    done = policy("test", str(folder))
    assert done.exit_code == 1
    assert "an analyst does not revoke" in done.stdout
    assert "expected deny by no policy, got allow by analysts-may-revoke" in done.stdout


def test_a_broken_promise_for_programs(policy, folder):
    (folder / "more.cedar").write_text(ANALYSTS_REVOKE)
    done = policy("test", str(folder), "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    failed = [each for each in told["cases"] if not each["passed"]]
    assert len(failed) == told["failed"] > 0
    assert all("analysts-may-revoke" in each["policy_ids"] for each in failed)


def test_a_folder_without_cases_promises_nothing(policy, folder):
    (folder / "cases.yaml").unlink()
    with pytest.raises(PolicyError, match=r"no cases\.yaml"):
        policy("test", str(folder))


def test_explain_asks_only_what_exists(policy):
    for option, wrong in (("--action", "destroy"), ("--role", "king")):
        done = policy("explain", "acme", "sess_1", option, wrong)
        assert (done.exit_code, f"'{option}'" in done.stderr, f"'{wrong}'" in done.stderr) == (2, True, True)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of a control API that listens, with its admin token; its first mode is shadow."""
    from guardian.bootstrap.control import Control
    from guardian.commands.initialise import initialise
    from guardian.config import load
    from guardian.telemetry import Metrics

    path = initialise(tmp_path_factory.mktemp("deployment"))
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    control = Control(load(path), metrics=Metrics(), port=0)
    try:
        control.start()
        body["control"]["url"] = control.url
        path.write_text(yaml.safe_dump(body), encoding="utf-8")
        yield path
    finally:
        control.stop()


def test_explain_says_which_policy_decides_and_on_what_facts(policy, home):
    done = policy("explain", "acme", "sess_1", "-c", str(home))
    assert "control had not heard of acme/sess_1: no finding or envelope has that name" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "May the monitor revoke sess_1 of acme? No."
    assert lines[1] == "Refused by"
    assert lines[2].strip().startswith("auto-revoke-only-in-enforce: the tenant is not in mode enforce")
    assert "  mode = shadow" in lines
    assert "  session.protected = False" in lines
    assert any(line.startswith("  budget.total = ") for line in lines)


def test_explain_for_programs_and_about_the_tenant(policy, home):
    args = ("explain", "acme", "--action", "setMode", "--role", "approver", "--json", "-c", str(home))
    done = policy(*args)
    assert "control had not heard of acme: no session, envelope or machine's token has that name" in done.stderr
    told = PolicyExplanation.model_validate_json(done.stdout.splitlines()[0])
    assert (told.role, told.action, told.session_id) == ("approver", "setMode", None)
    assert not told.allowed
    assert told.needs_approval
    assert told.policy_ids == ("leaving-shadow-takes-two",)


def test_explain_passes_on_why_a_question_makes_no_sense(policy, home):
    with pytest.raises(ControlError, match="session_id"):
        policy("explain", "acme", "-c", str(home))


def explained(**told) -> str:
    base = {
        "actor": "monitor",
        "role": "monitor",
        "action": "revoke",
        "tenant_id": "acme",
        "session_id": "sess_1",
        "allowed": False,
        "policy_version": "v1",
        "facts": {},
    }
    return "\n".join(in_words(PolicyExplanation(**base | told)))


def test_an_answer_says_whether_only_a_second_person_is_missing():
    said = explained(needs_approval=True, policy_ids=("p",), reasons={"p": "a person must decide"})
    assert "Not alone; with a second person's approval, yes." in said
    assert "  p: a person must decide" in said


def test_an_answer_tells_yes_default_deny_and_trouble_apart():
    assert "Permitted by\n  p: why" in explained(allowed=True, policy_ids=("p",), reasons={"p": "why"})
    assert "No policy permits it." in explained()
    assert "No policy permits it.\n  its evidence: weak\n" in explained(reasons={"evidence": "its evidence: weak"})
    assert "could not decide, which counts as no:\n  away" in explained(errors=("away",))
    assert "names no policy" in explained(allowed=True)


def test_what_agents_wrote_cannot_write_lines_or_control_the_terminal():
    said = explained(facts={"session": {"purpose": "x\nMay the monitor? Yes.\x1b[2J" + "y" * 9000, "owners": []}})
    assert "\x1b" not in said
    assert "\nMay the monitor? Yes." not in said
    assert "  session.owners = none" in said
    assert max(map(len, said.splitlines())) < 600


@pytest.mark.parametrize("command", ["check", "test"])
def test_policies_that_lie_apart_are_to_be_copied_beside_the_shipped_ones(guardian, command: str) -> None:
    examples = Path(__file__).parents[2] / "config" / "examples" / "policies"
    refused = guardian("policy", command, str(examples))
    assert (refused.returncode, "copy these beside those of config/policies/" in refused.stderr) == (2, True)
