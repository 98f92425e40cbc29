"""An answer is taken whole or changes nothing."""

import json
from datetime import datetime

import pytest
from until import until

from guardian.gateway import reading
from guardian.gateway.client import Revision


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
def test_an_answer_that_is_not_wholly_good_changes_nothing(ledger, follow, body: bytes) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    ledger.break_everything(lambda *_: (200, {"ETag": '"evil"'}, body))
    until(lambda: "malformed" in revoked.state().last_error)
    assert revoked.state().revision == Revision(1, 1)
    assert not revoked.is_revoked("acme", "evil")
    assert revoked.is_revoked("acme", "s1")
    ledger.break_everything(None)
    until(lambda: revoked.state().last_error == "")


def test_the_good_answer_of_these_vectors_is_taken(ledger, follow) -> None:
    revoked = follow()
    ledger.break_everything(lambda *_: (200, {}, json.dumps(GOOD).encode()))
    until(lambda: revoked.is_revoked("acme", "evil") and revoked.state().entries == 1)


def test_times_are_read_as_python_3_10_can(ledger, follow, monkeypatch) -> None:
    class Old(datetime):
        @classmethod
        def fromisoformat(cls, text: str) -> datetime:
            if text.endswith("Z"):
                raise ValueError("Invalid isoformat string")
            return datetime.fromisoformat(text)

    monkeypatch.setattr(reading, "datetime", Old)
    ledger.always = lambda *_: (200, {}, json.dumps(GOOD).encode())
    assert follow().wait_ready(10)


def test_what_a_newer_server_adds_beside_the_entries_is_passed_over(ledger, follow) -> None:
    more = json.loads(changed()) | {
        "canary": {"subject_id": "c1", "until": {"tenant_id": "acme", "subject_id": "x"}}
    }
    ledger.always = lambda *_: (200, {}, json.dumps(more).encode())
    revoked = follow()
    assert revoked.wait_ready(10)
    assert not revoked.is_revoked("acme", "c1")


def test_an_answer_cut_short_changes_nothing(ledger, follow) -> None:
    revoked = follow()
    assert revoked.wait_ready(10)
    body = json.dumps(GOOD).encode()
    ledger.break_everything(lambda *_: (200, {"Content-Length": str(len(body) + 10)}, iter([body])))
    until(lambda: "cut_short" in revoked.state().last_error)
    assert revoked.state().entries == 0


def test_an_answer_beyond_the_bound_is_not_read_to_its_end(ledger, follow) -> None:
    revoked = follow(max_bytes=1000)
    assert revoked.wait_ready(10)
    ledger.break_everything(lambda *_: (200, {}, b" " * 200_000))
    until(lambda: "too_long" in revoked.state().last_error)


def test_nor_one_that_comes_in_drops_which_is_called_slow_and_not_long(ledger, follow) -> None:
    def drops():
        while not ledger.closing:
            yield ledger.silence(0.05) or b" "

    ledger.break_everything(lambda *_: (200, {}, drops()))  # first: after a good answer it would ask patiently
    revoked = follow(timeout_s=0.2)
    until(lambda: "too_slow: not all of it came within 0.2 s" in revoked.state().last_error)


def test_an_unknown_status_keeps_the_session_out(ledger, follow) -> None:
    ledger.append("s1", status="suspended")
    revoked = follow()
    assert revoked.wait_ready(10)
    assert revoked.is_revoked("acme", "s1")


def test_entries_for_other_subjects_are_said_to_be_unenforced_once(ledger, follow, caplog) -> None:
    ledger.append("agent-7", kind="device")
    ledger.append("agent-8", kind="device")
    revoked = follow()
    assert revoked.wait_ready(10)
    ledger.append("agent-9", kind="device")
    until(lambda: revoked.state().revision == Revision(1, 3))
    assert [record.message for record in caplog.records if "not enforced" in record.message] == [
        "list entries for subjects of type 'device' are not enforced by this client"
    ]
