"""What the doctor asks control: whether it is there, whether it takes the monitor's token, who watches."""

import json
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from guardian.bootstrap import doctor
from guardian.bootstrap.initialise import initialise
from guardian.config import load


@pytest.fixture
def answering(tmp_path):
    """Settings whose control is a server that answers each path so: (status, body), with this Date."""
    answers, told = {}, {"date": formatdate(usegmt=True)}

    class Front(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answers.get(self.path, (404, "nothing here"))
            self.send_response_only(status)
            self.send_header("Date", told["date"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    quick = {"kafka": {"options": {"none": 1}}, "model": {"engine": "lexical"}}
    settings = load(initialise(tmp_path / "home"), overrides={"control": {"url": url}, **quick})

    def ask(name, *, paths, date=None):
        answers.clear()
        answers.update(paths)
        told["date"] = date or formatdate(usegmt=True)
        return next(check for check in doctor.examine(settings, "watch") if check.name == name)

    yield ask
    server.shutdown()
    server.server_close()


HEALTHY = {"/healthz": (200, "{}")}
WHO = {"id": "monitor", "role": "monitor", "tenants": ["*"], "expires_at": "2099-01-01T00:00:00Z"}


def test_what_answers_but_is_no_control_is_not_taken_for_it(answering):
    assert answering("control", paths=HEALTHY).ok
    wrong = answering("control", paths={})
    assert (wrong.ok, "answers 404" in wrong.found, "control.url" in wrong.mend) == (False, True, True)


@pytest.mark.parametrize("date", ["yesterday", "Tue, 99 Foo 2026 99:99:99 GMT", "Sat, 28 Nov 2026 02:34:58 -0000"])
def test_a_date_that_nobody_can_read_ends_no_examination(answering, date):
    assert answering("control", paths=HEALTHY, date=date).ok
    assert not answering("control", paths=HEALTHY, date="Sat, 28 Nov 2020 02:34:58 GMT").ok


def test_the_monitors_token_is_shown_to_control(answering):
    def asked(answer):
        return answering("token", paths=HEALTHY | {"/v1/whoami": answer})

    taken = asked((200, json.dumps(WHO)))
    assert (taken.ok, taken.found) == (True, "control takes it: monitor, of *, until 2099-01-01")
    refused = asked((401, "a proxy's page"))
    assert (refused.ok, refused.found.endswith("monitor.token (401)")) == (False, True)
    assert refused.mend.startswith("`guardian token issue monitor")
    another = asked((200, json.dumps({**WHO, "id": "maya", "role": "analyst"})))
    assert (another.ok, "maya" in another.found) == (False, True)
    assert not asked((500, "")).ok


def test_what_nobody_has_reported_yet_reads_neither_as_well_nor_as_to_be_mended(answering):
    def watching(monitors, unprotected_s=None):
        seen = {"principal_id": "m", "instance": "m-1", "lag_s": None, "last_seen": "2026-11-28T12:00:00Z"}
        told = {
            "revision": {"epoch": 1, "n": 0}, "gateways": [], "self_tests": [], "unprotected_s": unprotected_s,
            "monitors": [{**seen, "state": state} for state in monitors],
        }  # fmt: skip
        return answering("watching", paths=HEALTHY | {"/v1/watch": (200, json.dumps(told))})

    nobody, starting = watching([]), watching(["unread", "unread", "stopped"])
    assert (nobody.ok, nobody.found.startswith("no monitor has ever reported")) == (None, True)
    assert (starting.ok, "(1 stopped, 2 unread)" in starting.found) == (None, True)
    well = watching(["current", "stopped"])
    assert (well.ok, well.found) == (True, "1 monitor up to date")
    gone, stopped = (watching([state], unprotected_s=90) for state in ("silent", "stopped"))
    assert (gone.ok, gone.found) == (False, "unprotected for 2 minutes: the monitor is behind or gone")
    assert (stopped.ok, stopped.found.partition(": ")[2]) == (
        False,
        "the monitor was stopped, and no other one watches in its place",
    )


def test_what_control_does_not_let_the_token_ask_is_not_known(answering):
    refused = answering("watching", paths=HEALTHY | {"/v1/watch": (403, "")})
    assert (refused.ok, "does not let" in refused.found) == (None, True)
