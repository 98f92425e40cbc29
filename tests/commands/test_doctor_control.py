"""What the doctor asks control: whether it is there, whether it takes the monitor's token, who watches.

And the adviser that control asks."""

import json
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest
from serving import Asked, Reply, answering

from guardian.bootstrap.secrets import SecretFiles
from guardian.commands import doctor
from guardian.commands.checks import Check
from guardian.commands.doctor import examine
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.keys.files import write_secret
from guardian.stream.advice_server import AdviceServer
from guardian.wire.advice import Weighing
from guardian.wire.deadline import BoundedClient

QUICK = {"kafka": {"options": {"none": 1}}, "model": {"path": "none"}}
"""What is wrong at once, of what is looked at before control."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return initialise(tmp_path_factory.mktemp("doctor") / "home")


@pytest.fixture
def check_of(home):
    """Settings whose control is a server that answers each path so: (status, body), with this Date."""
    answers, told = {}, {}

    def answer(asked: Asked) -> Reply:
        status, body = answers.get(asked.path, (404, "nothing here"))
        return Reply(body.encode(), status, (("Date", told["date"]),))

    def ask(name, *, paths, date=None):
        answers.clear()
        answers.update(paths)
        told["date"] = date or formatdate(usegmt=True)
        return next(check for check in doctor.examine(settings, "watch") if check.name == name)

    with answering(answer) as server:
        settings = load(home, overrides={"control": {"url": server.url}, **QUICK})
        yield ask


HEALTHY = {"/healthz": (200, "{}")}
WHO = {"id": "monitor", "role": "monitor", "tenants": ["*"], "expires_at": "2099-01-01T00:00:00Z"}


def test_what_answers_but_is_no_control_is_not_taken_for_it(check_of):
    assert check_of("control", paths=HEALTHY).ok
    wrong = check_of("control", paths={})
    assert (wrong.ok, "answers 404" in wrong.found, "control.url" in wrong.mend) == (False, True, True)


@pytest.mark.parametrize("date", ["yesterday", "Tue, 99 Foo 2026 99:99:99 GMT", "Sat, 28 Nov 2026 02:34:58 -0000"])
def test_a_date_that_nobody_can_read_ends_no_examination(check_of, date):
    assert check_of("control", paths=HEALTHY, date=date).ok
    assert not check_of("control", paths=HEALTHY, date="Sat, 28 Nov 2020 02:34:58 GMT").ok


def test_the_monitors_token_is_shown_to_control(check_of):
    def asked(answer):
        return check_of("token", paths=HEALTHY | {"/v1/whoami": answer})

    taken = asked((200, json.dumps(WHO)))
    assert (taken.ok, taken.found) == (True, "control takes it: monitor, of *, until 2099-01-01")
    refused = asked((401, "a proxy's page"))
    assert (refused.ok, "monitor.token (control answered 401 without problem details)" in refused.found) == (
        False,
        True,
    )
    assert refused.mend.startswith("`guardian token issue monitor")
    another = asked((200, json.dumps({**WHO, "id": "maya", "role": "analyst"})))
    assert (another.ok, "maya" in another.found) == (False, True)
    assert not asked((500, "")).ok


def test_what_nobody_has_reported_yet_reads_neither_as_well_nor_as_to_be_mended(check_of):
    def watching(monitors, unprotected_s=None):
        seen = {"principal_id": "m", "instance": "m-1", "lag_s": None, "last_seen": "2026-11-28T12:00:00Z"}
        told = {
            "revision": {"epoch": 1, "n": 0}, "gateways": [], "self_tests": [], "unprotected_s": unprotected_s,
            "monitors": [{**seen, "state": state} for state in monitors],
        }  # fmt: skip
        return check_of("watching", paths=HEALTHY | {"/v1/watch": (200, json.dumps(told))})

    nobody, starting = watching([]), watching(["unread", "unread", "stopped"])
    assert (nobody.ok, nobody.found.startswith("control knows no monitor")) == (None, True)
    assert (starting.ok, "(1 stopped, 2 unread)" in starting.found) == (None, True)
    well = watching(["current", "stopped"])
    assert (well.ok, well.found) == (True, "1 monitor up to date")
    waiting = watching(["unread"], unprotected_s=90)
    since = "unprotected for 2 minutes: a monitor joined, no partition yet: another member of the group holds them"
    assert (waiting.ok, waiting.found.startswith(since)) == (False, True)
    assert waiting.found.endswith("or the broker is away")
    assert waiting.mend.startswith("the monitor's log says what it waits for")
    gone, stopped = (watching([state], unprotected_s=90) for state in ("silent", "stopped"))
    assert (gone.ok, gone.found) == (False, "unprotected for 2 minutes: the monitor is behind or gone")
    assert (stopped.ok, stopped.found.partition(": ")[2]) == (
        False,
        "the monitor was stopped, and no other one watches in its place",
    )


def test_what_control_does_not_let_the_token_ask_is_not_known(check_of):
    refused = check_of("watching", paths=HEALTHY | {"/v1/watch": (403, "")})
    assert (refused.ok, "does not let" in refused.found) == (None, True)


@pytest.mark.parametrize(
    ("url", "bare"),
    [("http://127.0.0.1:8732", False), ("https://guardian.example", False), ("http://guardian.example", True)],
)
def test_the_doctor_says_when_tokens_travel_unencrypted(
    monkeypatch: pytest.MonkeyPatch, url: str, bare: bool
) -> None:
    monkeypatch.setattr(BoundedClient, "get", lambda *_, **__: httpx.Response(200))
    settings = load(None, overrides={"control": {"url": url}, **QUICK})
    found = next(check for check in examine(settings) if check.name == "control")
    assert found.ok
    assert ("unencrypted" in found.found) is bare


def test_the_doctor_says_when_the_adviser_has_another_token(tmp_path: Path) -> None:
    def weigh(_line: bytes, _budget_s: float) -> Weighing:
        numbers = {"score": 0, "session_evidence": 0, "one_in": 1, "independent_signals": 0}
        return Weighing.model_validate(numbers | {"promised": False})

    server = AdviceServer("127.0.0.1", 0, weigh=weigh, token="of-the-monitor", budget_s=10)
    settings = load(None, overrides={
        "keys": {"directory": str(tmp_path)}, "advice": {"url": f"http://127.0.0.1:{server.port}"},
    })  # fmt: skip
    files = SecretFiles.of(settings)

    def advice() -> Check:
        return next(check for check in examine(settings, "serve") if check.name == "advice")

    try:
        assert "does not exist" in advice().found
        assert not files.advice.exists(), "a token that the doctor makes is one more that differs"
        write_secret(files.advice, b"of-control", replace=False)
        told = f"http://127.0.0.1:{server.port}: the adviser answered 401: it has another token"
        assert (advice().ok, advice().found) == (False, told)
        assert "advice.token" in advice().mend
        write_secret(files.advice, b"of-the-monitor\n", replace=True)
        assert advice().ok
    finally:
        server.close()
