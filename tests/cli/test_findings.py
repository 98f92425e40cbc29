"""One finding in full; and a hint that names a session, as an agent may have named it. The control API is real."""

import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from served_control import served_control

from guardian.bootstrap.clock import utc_now
from guardian.commands.tokens import issue
from guardian.domain.finding import Act, Effect, Evidence, Finding, Kind, Reason, Subject, finding_id
from guardian.wire.client import ControlClient

HOSTILE = ["sess_9; touch PWNED #", "$(touch PWNED)", "`touch PWNED`", "a' ; touch PWNED ; '"]
HIDES = "sess_\u202e9"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A control API that knows two findings of each session."""
    folder = tmp_path_factory.mktemp("control")
    with served_control(folder) as (control, settings, _):
        for role in ("monitor", "admin"):
            token = issue(settings, role, role=role, tenants={"*"}, ttl=timedelta(hours=1)).text
            (folder / "keys" / f"{role}.token").touch(0o600)
            (folder / "keys" / f"{role}.token").write_text(token)
        with ControlClient(control.url, (folder / "keys" / "monitor.token").read_text) as client:
            for session in (*HOSTILE, HIDES):
                for n in range(2):
                    client.submit(_finding(session, n))
        yield folder


def _finding(session: str, n: int) -> Finding:
    now = utc_now()
    return Finding(
        id=finding_id(Kind.DRIFT, "acme inc", session, n),
        kind=Kind.DRIFT,
        tenant_id="acme inc",
        session_id=session,
        transition=n,
        wanted=Effect.FLAG,
        severity="high",
        title="Actions no longer fit the declared purpose",
        subject=Subject(delegator_id="user_7", agent_id="agent_7", purpose="review the contract"),
        act=Act(
            decision_id=f"dec_{n}", gateway="gw", tool="email.send", arguments='{"to": "rival\x1b@example.net"}',
            argument="to", time=now,
        ),
        reasons=(Reason(signal="purpose_fit", share=1.0, value=0.97, text="an e-mail is no part of a review"),),
        evidence=Evidence(score=0.97, p_value=1e-4, session_evidence=5.1, one_in=50_000, actions_seen=4),
        time=now,
    )  # fmt: skip


def hinted(guardian, home: Path, session: str) -> str:
    """The command that dismissing one of a session's two findings names."""
    one = finding_id(Kind.DRIFT, "acme inc", session, 0)
    done = guardian("dismiss", one, "--reason", "planned", "-c", str(home / "guardian.yaml"))
    assert (done.returncode, done.stderr.startswith("nobody has judged 1 other drift")) == (0, True), done.stderr
    return "guardian " + done.stderr.partition("; `guardian ")[2].removesuffix("` lists them\n")


@pytest.mark.parametrize("session", HOSTILE, ids=["semicolon", "dollar", "backtick", "quote"])
def test_a_hint_to_copy_names_the_session_and_runs_nothing_that_an_agent_wrote(
    guardian, home: Path, tmp_path: Path, session: str
) -> None:
    hint = hinted(guardian, home, session)
    typed = f"guardian() {{ printf '%s\\n' \"$@\"; }}; {hint}"
    read = subprocess.run(["sh", "-c", typed], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert not (tmp_path / "PWNED").exists()
    assert read.stdout.splitlines() == ["findings", "--tenant", "acme inc", "--session", session]
    listed = guardian(*read.stdout.splitlines(), "--json", "-c", str(home / "guardian.yaml")).stdout
    assert {view["finding"]["session_id"] for view in json.loads(listed)["items"]} == {session}


def test_a_name_in_which_something_hides_is_in_no_hint_as_it_cannot_be_typed_as_shown(
    guardian, home: Path
) -> None:
    assert hinted(guardian, home, HIDES) == "guardian findings --tenant 'acme inc'"


def test_one_finding_is_shown_with_the_act_the_argument_that_mattered_and_why(guardian, home: Path) -> None:
    config = ("-c", str(home / "guardian.yaml"))
    one = finding_id(Kind.DRIFT, "acme inc", HIDES, 1)
    told = guardian("findings", one, *config).stdout
    for part in (
        "email.send",
        "rival",
        "argument that mattered most: to",
        "an e-mail is no part of a review",
        one,
    ):
        assert part in told
    assert not {"\x1b", "\u202e"} & set(told)
    assert "said on" not in told, "nobody has judged it"
    guardian("confirm", one, "--reason", "nobody asked for it", *config)
    assert guardian("findings", one, *config).stdout.rstrip().endswith(": confirmed, nobody asked for it")
    assert json.loads(guardian("findings", one, "--json", *config).stdout)["finding"]["id"] == one
    elsewhere = guardian("findings", one, "--tenant", "globex", *config)
    assert (elsewhere.returncode, "no such finding" in elsewhere.stderr) == (1, True)
    both = guardian("findings", one, "--session", "s", *config)
    assert (both.returncode, "go with the list" in both.stderr) == (2, True)


def test_several_findings_are_dismissed_one_by_one_and_what_is_refused_is_named(guardian, home: Path) -> None:
    config = ("-c", str(home / "guardian.yaml"))
    told = [finding_id(Kind.DRIFT, "acme inc", session, 1) for session in HOSTILE[:3]]
    given = f"{told[1]}\n\nfnd_none\nfnd_\x1b[2J\n{told[0]}\n{told[2]}\n"
    done = guardian("dismiss", told[0], "-", "--reason", "the new release", *config, stdin=given)
    assert (done.returncode, done.stdout.splitlines()) == (
        1, [f"{each}: false_positive" for each in (told[0], told[1], told[2])],
    )  # fmt: skip
    assert "no such finding" in done.stderr
    assert "3 dismissed, 2 refused" in done.stderr
    assert "\x1b" not in done.stderr
    listed = guardian("findings", "--json", *config).stdout
    views = {view["finding"]["id"]: view["verdict"] for view in json.loads(listed)["items"]}
    assert [views[each]["reason"] for each in told] == ["the new release"] * 3
    again = guardian("dismiss", *told, "--reason", "the new release", "--json", *config)
    assert [json.loads(line)["finding"]["id"] for line in again.stdout.splitlines()] == told
    assert again.returncode == 0


def test_a_verdict_is_taken_back_by_the_id_of_its_finding_and_a_request_by_its_own(guardian, home: Path) -> None:
    config = ("-c", str(home / "guardian.yaml"))
    told = [finding_id(Kind.DRIFT, "acme inc", session, 1) for session in (HOSTILE[3], HIDES)]
    guardian("dismiss", *told, "--reason", "the new release", *config)
    done = guardian("withdraw", *told, "fnd_none", "--tenant", "acme inc", "--reason", "the wrong ones", *config)
    assert (done.returncode, done.stdout.splitlines()) == (
        1,
        [f"{each}: withdrawn; admin had said false_positive" for each in told],
    )
    assert done.stderr.splitlines()[-1] == "2 taken back, 1 refused", done.stderr
    again = guardian("withdraw", told[0], "--tenant", "acme inc", "--reason", "twice", *config)
    assert (again.returncode, again.stdout) == (0, f"{told[0]}: nobody had judged it\n")
    listed = json.loads(guardian("findings", "--unjudged", "--json", *config).stdout)["items"]
    assert {*told} <= {view["finding"]["id"] for view in listed}
    exported = guardian("feedback", "export", *config).stdout
    assert not any(each in exported for each in told)
    asked = json.loads(guardian("mode", "acme inc", "enforce", "--reason", "x", "--json", *config).stdout)
    request = asked["approval"]["id"]
    for more in (["--tenant", "acme inc"], [told[0]]):
        refused = guardian("withdraw", request, *more, "--reason", "x", *config)
        assert (refused.returncode, "by its id alone" in refused.stderr) == (2, True), refused.stderr
    done = guardian("withdraw", request, "--reason", "too early", *config)
    assert (done.returncode, done.stdout) == (0, f"{request} is withdrawn\n")


@pytest.mark.parametrize(("args", "why"), [(["-"], "names no finding"), (["fnd_1", " "], "names nothing")])
def test_who_names_no_finding_is_told_so(guardian, home: Path, args: list[str], why: str) -> None:
    done = guardian("dismiss", *args, "--reason", "x", "-c", str(home / "guardian.yaml"))
    assert (done.returncode, why in done.stderr) == (2, True), done.stderr


def test_what_is_no_text_on_standard_input_is_told(guardian, home: Path) -> None:
    done = guardian("dismiss", "-", "--reason", "x", "-c", str(home / "guardian.yaml"), stdin=b"fnd_\xff\n")
    assert (done.returncode, "no UTF-8 text" in done.stderr) == (2, True), done.stderr


def test_what_control_would_answer_of_every_finding_is_said_once(guardian, home: Path) -> None:
    done = guardian("dismiss", "a", "b", "--reason", "x" * 2000, "-c", str(home / "guardian.yaml"))
    assert (done.returncode, done.stderr.count("--reason")) == (2, 1), done.stderr
