"""What people do with a case from a terminal. The control API is real."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from served_control import served_control

from guardian.bootstrap.clock import utc_now
from guardian.commands.tokens import issue
from guardian.domain.finding import Act, Effect, Evidence, Finding, Kind, Reason, Subject, finding_id
from guardian.wire.client import ControlClient

HOSTILE = "sess_\u202e9\u200b"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A control API that knows one finding of each session; its tokens are in keys/."""
    folder = tmp_path_factory.mktemp("control")
    with served_control(folder) as (control, settings, _):
        for role in ("monitor", "admin"):
            token = issue(settings, role, role=role, tenants={"*"}, ttl=timedelta(hours=1)).text
            (folder / "keys" / f"{role}.token").touch(0o600)
            (folder / "keys" / f"{role}.token").write_text(token)
        lee = issue(settings, "lee", role="analyst", tenants={"acme"}, ttl=timedelta(hours=1)).text
        (folder / "lee.token").write_text(lee)
        with ControlClient(control.url, (folder / "keys" / "monitor.token").read_text) as client:
            for session in ("sess_1", HOSTILE):
                client.submit(_finding(session))
        yield folder


def _finding(session: str) -> Finding:
    now = utc_now()
    return Finding(
        id=finding_id(Kind.DRIFT, "acme", session, 0),
        kind=Kind.DRIFT,
        tenant_id="acme",
        session_id=session,
        transition=0,
        wanted=Effect.FLAG,
        severity="high",
        title="Actions no longer fit the declared purpose",
        subject=Subject(delegator_id="user_7", agent_id="agent_7", purpose="review the contract"),
        act=Act(decision_id="dec_1", gateway="gw", tool="email.send", arguments="{}", time=now),
        reasons=(Reason(signal="purpose_fit", share=1.0, value=0.97, text="an e-mail is no part of a review"),),
        evidence=Evidence(score=0.97, p_value=1e-4, session_evidence=5.1, one_in=50_000, actions_seen=4),
        time=now,
    )


def test_a_case_is_taken_taken_over_noted_on_and_kept_quiet(guardian, home: Path) -> None:
    config = ("-c", str(home / "guardian.yaml"))
    lee = {"GUARDIAN_TOKEN": (home / "lee.token").read_text()}
    before = guardian("case", "acme", "sess_1", *config)
    assert before.returncode == 0, before.stderr
    assert before.stdout.splitlines() == [
        "acme/sess_1: flagged",
        f"about: {_finding('sess_1').id} (high): Actions no longer fit the declared purpose",
        "1 finding, 1 drift that nobody has judged",
        f"before: sess_‹U+202E›9‹U+200B›, flagged: {_finding(HOSTILE).id}",
    ]
    assert guardian("take", "acme", "sess_1", *config).stdout == "sess_1 is taken by admin\n"
    assert guardian("take", "acme", "sess_1", *config, env=lee).stdout == "sess_1 is taken by lee\n"
    words = "asked \x1b[2J the owner"
    assert guardian("note", "acme", "sess_1", "--reason", words, *config).stdout == "the note on sess_1 is kept\n"
    slept = guardian("snooze", "acme", "sess_1", "--hours", "8", "--reason", "tomorrow", *config, env=lee).stdout
    assert slept.startswith("sess_1 is quiet until 2")
    shown = guardian("case", "acme", "sess_1", *config).stdout.splitlines()
    assert shown[3] == "taken by lee"
    assert shown[4] == f"{slept.strip().removeprefix('sess_1 is ')}, says lee"
    assert shown[6].startswith("noted by admin at 2")
    assert shown[6].endswith("the owner")
    assert "\x1b" not in "".join(shown)
    told = json.loads(guardian("case", "acme", "sess_1", "--json", *config).stdout)
    assert (told["taken_by"], told["snoozed_by"]) == ("lee", "lee")


def test_what_a_session_is_called_steers_no_terminal(guardian, home: Path) -> None:
    config = ("-c", str(home / "guardian.yaml"))
    for words in (("case",), ("take",), ("note", "--reason", "x"), ("snooze", "--reason", "x")):
        done = guardian(words[0], "acme", HOSTILE, *words[1:], *config)
        assert done.returncode == 0, done.stderr
        assert not {"\u200b", "\u202e"} & set(done.stdout)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("case", "acme", "nobody"), 1, "no such case"),
        (("take", "globex", "sess_1"), 1, "no such case"),
        (("note", "acme", "sess_1"), 2, "--reason"),
        (("note", "acme", "sess_1", "--reason", " "), 2, "1 to 1000 characters"),
        (("snooze", "acme", "sess_1", "--hours", "25", "--reason", "x"), 2, "less than or equal to 24"),
        (("take", "acme", ""), 2, "names nothing"),
    ],
)
def test_what_cannot_be_is_said(guardian, home: Path, words: tuple[str, ...], code: int, told: str) -> None:
    done = guardian(*words, "-c", str(home / "guardian.yaml"))
    assert (done.returncode, told in done.stderr) == (code, True), done.stderr
