"""The list that gateways obey."""

import threading
import time

import pytest

from guardian.control.distribution.listing import RevocationListings
from guardian.control.routes.revocations import accepts_gzip
from guardian.control.watchers.watching import watch
from guardian.domain.revocation import Revision


def _revoke(stage, session, tenant="acme"):
    return stage.call("POST", f"/v1/sessions/{tenant}/{session}/revoke", "responder", tenant, json={"reason": "x"})


def test_an_unchanged_list_is_304_and_a_changed_one_is_not(stage):
    _revoke(stage, "s1")
    first = stage.revocations()
    etag = first.headers["etag"]
    assert etag.startswith('"1.1-')
    same = stage.revocations(headers={"If-None-Match": etag})
    assert (same.status_code, same.content) == (304, b"")
    assert stage.revocations(headers={"If-None-Match": f'"x", W/{etag}'}).status_code == 304
    _revoke(stage, "s2")
    changed = stage.revocations(headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


def test_equal_content_has_equal_bytes_whenever_it_is_asked_for(stage):
    _revoke(stage, "s1")
    first = stage.revocations()
    stage.clock.pass_(hours=3)
    again = stage.revocations()
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])


def test_deltas_lead_from_any_revision_to_the_same_set(stage):
    _revoke(stage, "s1")
    _revoke(stage, "s2")
    stage.reinstate("s1")
    delta = stage.revocations(params={"since": "1.1"}).json()
    assert delta["complete"] is False
    assert [(each["subject_id"], each["status"]) for each in delta["entries"]] == [
        ("s2", "revoked"),
        ("s1", "reinstated"),
    ]
    assert delta["revision"] == {"epoch": 1, "n": 3}
    assert stage.revocations(params={"since": "1.3"}).json()["entries"] == []


def test_a_revision_of_another_epoch_or_from_the_future_gets_the_full_list(stage):
    _revoke(stage, "s1")
    for since in ("0.1", "1.9", "7.1"):
        got = stage.revocations(params={"since": since}).json()
        assert got["complete"] is True
        assert [each["subject_id"] for each in got["entries"]] == ["s1"]


def test_a_revision_that_is_none_is_refused(stage):
    for since in ("x", "1", "1.", "-1.2", "1.2.3", "9" * 18 + "." + "9" * 18, "1.1 OR 1"):
        assert stage.revocations(params={"since": since}).status_code == 422, since


def test_other_tenants_neither_show_nor_move_the_list(stage):
    _revoke(stage, "s1")
    before = stage.revocations()
    _revoke(stage, "s9", tenant="globex")
    after = stage.revocations()
    assert after.content == before.content
    everything = stage.revocations("*").json()
    assert [each["tenant_id"] for each in everything["entries"]] == ["acme", "globex"]
    one = stage.revocations("*", params={"tenant_id": "globex"}).json()
    assert [each["subject_id"] for each in one["entries"]] == ["s9"]


def test_gateways_do_not_see_reasons_or_actors(stage):
    _revoke(stage, "s1")
    assert set(stage.revocations().json()["entries"][0]) == {
        "revision",
        "tenant_id",
        "subject_type",
        "subject_id",
        "status",
        "reason_code",
        "at",
        "expires_at",
    }


def test_what_a_gateway_holds_is_a_metric(stage):
    _revoke(stage, "s1")
    etag = stage.revocations().headers["etag"]
    stage.revocations(headers={"If-None-Match": etag})
    watch(stage.deps)
    assert stage.deps.metrics.value("guardian_gateway_revision", gateway="gateway-1") == 1
    text = stage.call("GET", "/metrics", "metrics", "*").text
    assert "guardian_ledger_revision 1.0" in text
    assert 'guardian_request_seconds_count{route="/v1/revocations"}' in text


def test_a_long_poll_answers_as_soon_as_the_ledger_moves(stage):
    _revoke(stage, "s1")
    etag = stage.revocations().headers["etag"]
    answers = []

    def poll():
        answers.append(stage.revocations(headers={"If-None-Match": etag}, params={"wait": 30}))

    waiting = threading.Thread(target=poll)
    waiting.start()
    time.sleep(0.2)
    assert answers == []
    _revoke(stage, "s2")
    waiting.join(timeout=20)
    assert answers[0].status_code == 200
    assert [each["subject_id"] for each in answers[0].json()["entries"]] == ["s1", "s2"]


def test_a_long_poll_ends_by_itself(make_stage):
    stage = make_stage(long_poll_max_s=1)
    _revoke(stage, "s1")
    assert stage.revocations(params={"since": "1.1", "wait": 25}).json()["entries"] == []


def test_a_delta_with_nothing_to_say_is_304_for_who_shows_the_tag_of_that_revision(stage):
    _revoke(stage, "s1")
    etag = stage.revocations().headers["etag"]
    assert stage.revocations(headers={"If-None-Match": etag}, params={"since": "1.1"}).status_code == 304
    assert stage.revocations(params={"since": "1.1"}).status_code == 200
    _revoke(stage, "s2")
    assert stage.revocations(headers={"If-None-Match": etag}, params={"since": "1.1"}).status_code == 200


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip; q=1.0, *;q=0", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("x-gzip", False),
        ("*", False),
        ("", False),
    ],
)
def test_only_who_accepts_gzip_gets_it(accepted, packed):
    assert accepts_gzip(accepted) is packed


def test_too_long_a_delta_becomes_the_full_list(stage):
    for n in range(4):
        _revoke(stage, f"s{n}")
    listings = RevocationListings(stage.deps, longest_delta=2)
    assert listings.since(None, Revision.parse("1.2")).rendered.body.count(b'"subject_id"') == 2
    assert b'"complete":true' in listings.since(None, Revision.parse("1.1")).rendered.body
