"""The revocation list inside a gateway, against a real server."""

import http.client
import json
import logging
import os
import socket
import sys
import threading
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from guardian.gateway.client import Revision, RevocationList
from guardian.gateway.connection import Server


def test_a_revoked_session_is_refused_and_others_pass(ledger, follow) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    assert revoked.is_revoked("acme", "s1")
    assert not revoked.is_revoked("acme", "s2")


@pytest.mark.parametrize("strange", [uuid.UUID(int=7), 77, b"s1", ["s1"]], ids=str)
def test_a_name_that_is_no_text_is_refused_and_not_looked_up_in_vain(ledger, follow, strange) -> None:
    ledger.append(str(strange))
    revoked = follow(on_stale="open")
    assert revoked.wait_ready(10)
    assert revoked.is_revoked("acme", strange)
    assert revoked.is_revoked(strange, "s2")
    assert revoked.refusal(strange, session="s2") == "not_text"
    for name in ("session", "parent", "agent", "delegator", "task", "jti"):
        assert revoked.refusal("acme", **{name: strange}) == "not_text"


def test_the_same_session_id_of_another_tenant_passes(ledger, follow) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    assert not revoked.is_revoked("globex", "s1")


def test_a_revocation_arrives_as_a_delta_through_the_long_poll(ledger, follow, soon) -> None:
    ledger.append("s1")
    revoked = follow(interval_s=60)
    assert revoked.wait_ready(10)
    ledger.wait_requests(2)
    ledger.append("s2")
    assert soon(lambda: revoked.is_revoked("acme", "s2"))
    assert revoked.is_revoked("acme", "s1")
    assert ledger.requests[1]["since"] == "1.1"
    assert ledger.requests[1]["If-None-Match"] == '"1.1"'
    assert float(ledger.requests[1]["wait"]) > 0


def test_a_reinstated_session_passes_again(ledger, follow, soon) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    assert revoked.is_revoked("acme", "s1")
    ledger.append("s1", status="reinstated")
    assert soon(lambda: not revoked.is_revoked("acme", "s1"))


def test_within_one_answer_the_latest_word_on_a_session_counts(ledger, follow) -> None:
    ledger.append("s1")
    ledger.append("s1", status="reinstated")
    ledger.append("s2", status="lapsed")
    ledger.append("s2")
    ledger.entries.reverse()
    revoked = follow()
    assert revoked.wait_ready(10)
    assert not revoked.is_revoked("acme", "s1")
    assert revoked.is_revoked("acme", "s2")


def test_a_304_keeps_the_list_fresh_without_sending_it(ledger, follow, clocks, soon) -> None:
    ledger.long_poll = False
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    ledger.wait_requests(2)
    clocks.pass_by(29)
    assert soon(lambda: revoked.state().age_s == 0)
    assert revoked.state().status == "fresh"
    assert revoked.is_revoked("acme", "s1")


def test_a_server_without_long_poll_is_asked_at_the_interval_and_not_in_a_hot_loop(ledger, follow, clocks) -> None:
    ledger.long_poll = False
    revoked = follow(interval_s=3600)
    assert revoked.wait_ready(10)
    ledger.wait_requests(2)
    threading.Event().wait(0.3)
    assert len(ledger.requests) == 2


def test_an_expired_revocation_lets_the_session_pass(ledger, follow, clocks) -> None:
    ledger.append("s1", expires=ledger.issued + timedelta(seconds=10))
    revoked = follow()
    assert revoked.wait_ready(10)
    clocks.pass_by(9)
    assert revoked.is_revoked("acme", "s1")
    clocks.pass_by(2)
    assert not revoked.is_revoked("acme", "s1")


def test_an_entry_without_an_expiry_stays(ledger, follow, clocks) -> None:
    ledger.append("s1", expires=None)
    revoked = follow(on_stale="open")
    assert revoked.wait_ready(10)
    clocks.pass_by(10**9)
    assert revoked.is_revoked("acme", "s1")


@pytest.mark.parametrize("jump", [-(10**6), 10**6])
def test_a_jump_of_the_wall_clock_ends_no_revocation_and_ages_no_list(ledger, follow, clocks, jump: float) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    clocks.wall_at += jump
    assert revoked.is_revoked("acme", "s1")
    assert not revoked.is_revoked("acme", "s2")
    assert revoked.state().status == "fresh"


def test_a_server_whose_clock_runs_far_ahead_ends_no_revocation(ledger, follow) -> None:
    ledger.append("s1")
    ledger.issued += timedelta(days=365)
    revoked = follow()
    assert revoked.wait_ready(10)
    assert revoked.is_revoked("acme", "s1")


def test_a_steady_clock_that_ran_backwards_is_not_trusted(ledger, follow, clocks, served) -> None:
    revoked = follow()
    assert revoked.wait_ready(10)
    served.stop()
    clocks.steady -= 500
    assert revoked.state().status == "stale"
    assert revoked.is_revoked("acme", "anyone")
    served.start()


@pytest.mark.parametrize(("on_stale", "refused"), [("closed", True), ("open", False)])
def test_before_the_first_answer_the_stated_behaviour_holds(follow, on_stale: str, refused: bool) -> None:
    revoked = follow(start=False, on_stale=on_stale)
    assert revoked.is_revoked("acme", "s1") is refused
    assert revoked.state().status == "never_loaded"
    assert revoked.state().age_s is None
    assert not revoked.wait_ready(0)


@pytest.mark.parametrize(("on_stale", "refused"), [("closed", True), ("open", False)])
def test_a_stale_list_answers_as_stated_but_never_forgets(
    ledger, follow, clocks, served, on_stale: str, refused: bool
) -> None:
    ledger.append("s1")
    revoked = follow(on_stale=on_stale, max_stale_s=30)
    assert revoked.wait_ready(10)
    served.stop()
    clocks.pass_by(29)
    assert not revoked.is_revoked("acme", "s2")
    clocks.pass_by(2)
    assert revoked.state().status == "stale"
    assert revoked.is_revoked("acme", "s2") is refused
    assert revoked.is_revoked("acme", "s1")
    served.start()


def test_after_a_restart_of_the_server_the_list_catches_up(ledger, follow, served, soon) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    served.stop()
    ledger.append("s2")
    assert soon(lambda: revoked.state().last_error != "")
    served.start()
    assert soon(lambda: revoked.state().revision == Revision(1, 2))
    assert revoked.is_revoked("acme", "s2")
    assert revoked.state().last_error == ""


def test_an_older_revision_of_the_same_epoch_is_refused_and_confirms_nothing(ledger, follow, clocks, soon) -> None:
    ledger.append("s1")
    ledger.append("s2")
    revoked = follow()
    assert revoked.wait_ready(10)
    old = {"revision": {"epoch": 1, "n": 1}, "issued_at": "2026-05-12T12:00:00Z", "entries": [], "complete": True}
    ledger.break_everything(lambda *_: (200, {"ETag": '"x"'}, json.dumps(old).encode()))
    assert soon(lambda: "went_back" in revoked.state().last_error)
    clocks.pass_by(31)
    assert revoked.state().revision == Revision(1, 2)
    assert revoked.state().status == "stale"
    assert revoked.is_revoked("acme", "s2")


def test_an_older_epoch_is_refused_even_with_a_higher_number(ledger, follow, soon) -> None:
    ledger.epoch = 3
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    old = {"revision": {"epoch": 2, "n": 99}, "issued_at": "2026-05-12T12:00:00Z", "entries": [], "complete": True}
    ledger.break_everything(lambda *_: (200, {}, json.dumps(old).encode()))
    assert soon(lambda: "went_back" in revoked.state().last_error)
    assert revoked.is_revoked("acme", "s1")


def test_a_new_epoch_replaces_the_list_although_its_numbers_begin_again(ledger, follow, soon) -> None:
    for n in range(5):
        ledger.append(f"s{n}")
    revoked = follow()
    assert revoked.wait_ready(10)
    with ledger.changed:
        ledger.epoch, ledger.n, ledger.entries = 2, 0, []
    ledger.append("s9")
    assert soon(lambda: revoked.state().revision == Revision(2, 1))
    assert revoked.is_revoked("acme", "s9")
    assert not revoked.is_revoked("acme", "s0")


def test_a_delta_of_another_epoch_has_nothing_to_build_on(ledger, follow, soon) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    delta = {
        "revision": {"epoch": 2, "n": 1},
        "issued_at": "2026-05-12T12:00:00Z",
        "entries": [],
        "complete": False,
    }
    ledger.break_everything(lambda *_: (200, {}, json.dumps(delta).encode()))
    assert soon(lambda: "no_base" in revoked.state().last_error)
    assert revoked.is_revoked("acme", "s1")


@pytest.mark.parametrize("status", [400, 409, 410])
def test_a_server_that_no_longer_knows_our_revision_is_asked_for_the_whole_list(
    ledger, follow, soon, status: int
) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)

    def forgetful(ledger, seen):
        return (status, {}, b"") if "since" in seen else (200, {"ETag": ledger.etag()}, ledger.body())

    with ledger.changed:  # at once, or s2 might still come as a change
        ledger.break_everything(forgetful)
        ledger.n += 100
        ledger.append("s2")
    assert soon(lambda: revoked.is_revoked("acme", "s2"))


GOOD = {
    "revision": {"epoch": 1, "n": 50},
    "issued_at": "2026-05-12T12:00:00Z",
    "entries": [
        {
            "revision": {"epoch": 1, "n": 50},
            "tenant_id": "acme",
            "subject_type": "session",
            "subject_id": "evil",
            "status": "revoked",
            "expires_at": "2026-05-13T12:00:00Z",
        }
    ],
    "complete": True,
}


def changed(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def entry(**changes: object) -> bytes:
    return changed(entries=[GOOD["entries"][0], {**GOOD["entries"][0], **changes}])  # type: ignore[index, dict-item]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"<html>gateway time-out</html>",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        json.dumps(GOOD).encode()[:-20],
        changed(revision="1.50"),
        changed(revision={"epoch": 1}),
        changed(revision={"epoch": True, "n": 50}),
        changed(revision={"epoch": 1, "n": 50.5}),
        changed(revision={"epoch": 1, "n": -1}),
        changed(revision={"epoch": 1, "n": 49}),
        changed(issued_at="yesterday"),
        changed(issued_at="2026-05-12T12:00:00"),
        changed(issued_at=5),
        changed(entries={}, complete=None),
        changed(entries=None),
        changed(complete="yes"),
        entry(subject_id=None),
        entry(subject_id=["evil"]),
        entry(tenant_id=""),
        entry(status=1),
        entry(expires_at="soon"),
        entry(expires_at="2026-05-13T12:00:00"),
        entry(revision=None),
    ],
)
def test_an_answer_that_is_not_wholly_good_changes_nothing(ledger, follow, soon, body: bytes) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    ledger.break_everything(lambda *_: (200, {"ETag": '"evil"'}, body))
    assert soon(lambda: "malformed" in revoked.state().last_error)
    assert revoked.state().revision == Revision(1, 1)
    assert not revoked.is_revoked("acme", "evil")
    assert revoked.is_revoked("acme", "s1")
    ledger.break_everything(None)
    assert soon(lambda: revoked.state().last_error == "")


def test_the_good_answer_of_these_vectors_is_taken(ledger, follow, soon) -> None:
    revoked = follow()
    ledger.break_everything(lambda *_: (200, {}, json.dumps(GOOD).encode()))
    assert soon(lambda: revoked.is_revoked("acme", "evil") and revoked.state().entries == 1)


def test_what_a_newer_server_adds_beside_the_entries_is_passed_over(ledger, follow) -> None:
    more = json.loads(changed()) | {
        "canary": {"subject_id": "c1", "until": {"tenant_id": "acme", "subject_id": "x"}}
    }
    ledger.always = lambda *_: (200, {}, json.dumps(more).encode())
    revoked = follow()
    assert revoked.wait_ready(10)
    assert not revoked.is_revoked("acme", "c1")


def test_an_answer_cut_short_changes_nothing(ledger, follow, soon) -> None:
    revoked = follow()
    assert revoked.wait_ready(10)
    body = json.dumps(GOOD).encode()
    ledger.break_everything(lambda *_: (200, {"Content-Length": str(len(body) + 10)}, body))
    assert soon(lambda: "cut_short" in revoked.state().last_error)
    assert revoked.state().entries == 0


def test_an_answer_beyond_the_bound_is_not_read_to_its_end(ledger, follow, soon) -> None:
    revoked = follow(max_bytes=1000)
    assert revoked.wait_ready(10)
    ledger.break_everything(lambda *_: (200, {}, b" " * 200_000))
    assert soon(lambda: "too_long" in revoked.state().last_error)


def test_a_redirect_is_not_followed_with_the_token(ledger, follow, soon) -> None:
    revoked = follow()
    ledger.break_everything(lambda ledger, _: (302, {"Location": f"{ledger.url}/elsewhere"}, b""))
    assert soon(lambda: "http_302" in revoked.state().last_error)
    assert {seen["path"] for seen in ledger.requests} == {"/v1/revocations"}


def test_an_unknown_status_keeps_the_session_out(ledger, follow) -> None:
    ledger.append("s1", status="suspended")
    revoked = follow()
    assert revoked.wait_ready(10)
    assert revoked.is_revoked("acme", "s1")


def test_entries_for_other_subjects_are_said_to_be_unenforced_once(ledger, follow, soon, caplog) -> None:
    ledger.append("agent-7", kind="device")
    ledger.append("agent-8", kind="device")
    revoked = follow()
    assert revoked.wait_ready(10)
    ledger.append("agent-9", kind="device")
    assert soon(lambda: revoked.state().revision == Revision(1, 3))
    assert [record.message for record in caplog.records if "not enforced" in record.message] == [
        "list entries for subjects of type 'device' are not enforced by this client"
    ]


def test_only_the_wanted_tenants_are_kept_and_others_are_answered_as_unknown(ledger, follow) -> None:
    ledger.append("s1", tenant="acme")
    ledger.append("s1", tenant="globex")
    closed = follow(tenants={"acme"})
    opened = follow(tenants={"acme"}, on_stale="open")
    for revoked in (closed, opened):
        assert revoked.wait_ready(10)
        assert revoked.state().entries == 1
        assert revoked.is_revoked("acme", "s1")
        assert not revoked.is_revoked("acme", "s2")
    assert closed.is_revoked("globex", "s2")
    assert not opened.is_revoked("globex", "s2")


def test_a_refused_token_is_said_once_without_the_token(ledger, follow, soon, caplog) -> None:
    follow(token="wrong-secret-token", max_stale_s=0.3)  # so that it is not long until the next try
    ledger.wait_requests(4)
    said = [record.getMessage() for record in caplog.records if record.name == "guardian.gateway"]
    assert len(said) == 1
    assert "http_401" in said[0]
    assert "wrong-secret-token" not in caplog.text


def test_a_token_that_no_header_can_carry_is_never_logged(ledger, follow, soon, caplog) -> None:
    revoked = follow(token="secret\nX-Evil: 1")
    assert soon(lambda: "token_unusable" in caplog.text)
    assert "token_unusable" in revoked.state().last_error
    assert "secret" not in caplog.text
    assert ledger.requests == []


def test_a_token_may_be_the_content_of_its_file(follow, tmp_path: Path) -> None:
    file = tmp_path / "gateway.token"
    file.write_text("token-of-the-gateway\n")  # as `guardian init` writes it
    assert follow(token=file.read_text).wait_ready(10)


def test_a_renewed_token_is_used_as_soon_as_it_is_there(ledger, follow, soon) -> None:
    tokens = ["expired"]
    revoked = follow(token=lambda: tokens[-1])
    assert soon(lambda: "http_401" in revoked.state().last_error)
    tokens.append("token-of-the-gateway")
    assert revoked.wait_ready(10)


def test_trouble_is_said_again_after_a_recovery(ledger, follow, soon, caplog) -> None:
    caplog.set_level(logging.INFO)
    revoked = follow()
    assert revoked.wait_ready(10)
    for _ in range(2):
        ledger.break_everything(lambda *_: (503, {}, b""))
        assert soon(lambda: "http_503" in revoked.state().last_error)
        ledger.break_everything(None)
        assert soon(lambda: revoked.state().last_error == "")
    said = [record.getMessage() for record in caplog.records if record.name == "guardian.gateway"]
    assert [("503" in line, "fresh again" in line) for line in said] == [(True, False), (False, True)] * 2


def test_readers_never_see_half_a_change(ledger, follow) -> None:
    for n in range(50):
        ledger.append(f"s{n}")
    revoked = follow(interval_s=0.001)
    assert revoked.wait_ready(10)
    wrong: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            if not all(revoked.is_revoked("acme", f"s{n}") for n in range(50)):
                wrong.append("a revoked session passed")
            if revoked.is_revoked("acme", "honest"):
                wrong.append("an honest session was refused")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    readers = [threading.Thread(target=read) for _ in range(4)]
    try:
        for reader in readers:
            reader.start()
        for n in range(60):
            ledger.append(f"t{n}")
            ledger.wait_requests(n // 4)
    finally:
        done.set()
        for reader in readers:
            reader.join()
        sys.setswitchinterval(interval)
    assert wrong == []


def test_stopping_does_not_wait_for_a_held_request(ledger, follow, soon) -> None:
    revoked = follow(max_stale_s=3000, wait_s=1000, timeout_s=60)
    assert revoked.wait_ready(10)
    ledger.wait_requests(2)
    stopped = threading.Thread(target=revoked.stop)
    stopped.start()
    stopped.join(10)
    assert not stopped.is_alive()
    assert not any(thread.is_alive() for thread in revoked._threads)


def test_stopping_while_the_stream_is_being_opened_does_not_wait_for_it(ledger, follow, soon, monkeypatch) -> None:
    def held(ledger, seen):
        if not seen["path"].endswith("/stream"):
            return 200, {"ETag": ledger.etag()}, ledger.body()
        ledger.changed.wait_for(lambda: ledger.closing)
        return None

    def slow(connection):
        if ledger.requests:  # the list was had: this one is for the stream
            opening.set()
            soon(lambda: revoked._server._aborted)
        connect(connection)

    opening, connect = threading.Event(), http.client.HTTPConnection.connect
    monkeypatch.setattr(http.client.HTTPConnection, "connect", slow)
    ledger.always = held
    revoked = follow(start=False, push=True, timeout_s=60)
    revoked.start()
    assert opening.wait(10)
    stopped = threading.Thread(target=revoked.stop)
    stopped.start()
    stopped.join(10)
    assert not stopped.is_alive()
    assert not any(thread.is_alive() for thread in revoked._threads)


def test_as_a_context_it_starts_and_stops(ledger, served) -> None:
    with RevocationList(ledger.url, "token-of-the-gateway") as revoked:
        assert revoked.wait_ready(10)
    assert not any(thread.is_alive() for thread in revoked._threads)


def test_a_list_is_started_once(follow) -> None:
    with pytest.raises(RuntimeError, match="started already"):
        follow().start()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://guardian.example", "allow_http"),
        ("http://10.0.0.1", "allow_http"),
        ("ftp://guardian.example", "https://"),
        ("guardian.example", "https://"),
        ("https://user:pass@guardian.example", "without user"),
        ("https://guardian.example/?token=x", "without user"),
    ],
)
def test_an_unsafe_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        RevocationList(url, "t")
    assert "pass" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://localhost", "http://[::1]:8", "https://g.example/api"]
)
def test_https_and_this_machine_are_fine(url: str) -> None:
    assert RevocationList(url, "t").state().status == "never_loaded"


def test_certificates_are_verified(ledger, served, soon) -> None:
    revoked = RevocationList(ledger.url.replace("http:", "https:"), "t", interval_s=0.02).start()
    try:
        assert soon(lambda: "SSL" in revoked.state().last_error)
    finally:
        revoked.stop()
    assert revoked._server._context is not None
    assert revoked._server._context.check_hostname


@pytest.mark.parametrize(
    "options",
    [{"on_stale": "maybe"}, {"interval_s": 0}, {"max_stale_s": -1}, {"wait_s": -1}, {"tenants": "acme"}],
)
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RevocationList("https://g.example", "t", **options)  # type: ignore[arg-type]


def test_signatures_are_checked_only_for_tenants_that_are_named() -> None:
    with pytest.raises(ValueError, match="verify_with needs `tenants`"):
        RevocationList("https://g.example", "t", verify_with={"keys": []})


def test_the_tag_that_a_packing_proxy_weakened_is_presented_as_guardian_gave_it(ledger, follow) -> None:
    """What a 304 confirms is signed, and that is the strong tag."""
    ledger.break_everything(lambda kept, _: (200, {"ETag": f"W/{kept.etag()}"}, kept.body()))
    follow()
    ledger.wait_requests(2)
    assert ledger.requests[1]["If-None-Match"] == ledger.etag()


def test_an_acknowledgement_without_an_answer_is_not_the_last_one(ledger, served) -> None:
    teller = Server(ledger.url, allow_http=False, context=None, max_bytes=65536)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        teller._port, port = silent.getsockname()[1], teller._port
        with pytest.raises(TimeoutError):
            teller.acknowledge(b"{}", {}, 0.05)
    teller._port = port
    assert teller.acknowledge(b"{}", {}, 10) == 501  # this ledger takes none, but it answers
    teller.drop()


@pytest.mark.parametrize("instance", ["gw 1", "gw-ä", "gw\n1", "x" * 129])
def test_an_instance_that_guardian_would_not_take_is_refused_at_once(instance: str) -> None:
    with pytest.raises(ValueError, match="instance must be"):
        RevocationList("https://g.example", "t", instance=instance)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("push", [False, True])
def test_a_forked_worker_says_that_nobody_follows_the_list_there_until_it_is_started_there(
    ledger, follow, soon, push
) -> None:
    revoked = follow(push=push, on_stale="open", acknowledge=True)
    assert revoked.wait_ready(10)
    ledger.wait_requests(2)
    told, tell = os.pipe()
    worker = os.fork()
    if worker == 0:
        try:
            before = revoked.state()
            revoked.start()
            there = soon(lambda: revoked.is_revoked("acme", "later")) and revoked.state().status == "fresh"
            revoked.stop()
            os.write(tell, f"{before.last_error} {there} {revoked._credentials.instance}".encode())
        finally:
            os._exit(0)
    ledger.append("later")
    os.close(tell)
    with open(told, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(worker, 0)
    assert said.startswith("forked: nobody follows the list in this process")
    assert said.endswith(f" True {revoked._credentials.instance}-{worker}")
    assert soon(lambda: revoked.is_revoked("acme", "later"))  # and the parent goes on
    assert revoked.state().last_error == ""


def test_the_name_of_an_event_without_data_is_not_that_of_the_next_one(ledger, served) -> None:
    ledger.always = lambda *_: (
        200,
        {"Content-Type": "text/event-stream"},
        b"event: revocations\n\nid: 1.1\ndata: a\ndata: b\n\n",
    )
    server = Server(ledger.url, allow_http=False, context=None, max_bytes=1000)
    sent = {"Authorization": "Bearer token-of-the-gateway"}
    assert [event for event in server.events(sent, 10, 10) if event] == [("message", [b"a", b"b"])]


@pytest.mark.parametrize("line", [b": still here\n\n", b"event: weather\ndata: rain\n\n", b"retry: 5\n"])
def test_a_stream_that_says_nothing_of_the_list_is_given_up(ledger, follow, soon, clocks, caplog, line) -> None:
    def answer(kept, seen):
        if seen["path"].endswith("/stream"):
            return 200, {"Content-Type": "text/event-stream"}, line * 100
        return 200, {"ETag": kept.etag()}, kept.body()

    def clock() -> float:
        clocks.pass_by(1)
        return clocks.clock()

    ledger.break_everything(answer)
    follow(push=True, clock=clock)
    assert soon(lambda: "not refreshed (silent" in caplog.text)
