"""What is revoked now, as people are told it: until when, by whom and why."""

from datetime import timedelta

import pytest


def revoke(stage, kind, name, tenant="acme", who="ann", **more):
    body = {"reason": "its image was altered", **more}
    got = stage.call(
        "POST", f"/v1/subjects/{tenant}/{kind}/{name}/revoke", "responder", tenant, who=who, json=body
    )
    assert got.status_code == 200, got.text


def revoked(stage, *tenants, role="auditor", **query):
    got = stage.call("GET", "/v1/revoked", role, *tenants, params=query)
    assert got.status_code == 200, got.text
    return got.json()


def names(page):
    return [(each["subject_type"], each["subject_id"]) for each in page["items"]]


def test_what_is_revoked_besides_sessions_is_listed_with_until_when_by_whom_and_why(stage):
    stage.revoke("sess_1")
    revoke(stage, "agent", "agent_7", seconds=3600)
    agent, session = revoked(stage)["items"]
    assert (agent["tenant_id"], agent["subject_type"], agent["subject_id"]) == ("acme", "agent", "agent_7")
    assert (agent["actor"], agent["reason"]) == ("ann", "its image was altered")
    assert agent["expires_at"] == (stage.clock() + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert (session["subject_type"], session["subject_id"], session["reason"]) == ("session", "sess_1", "stop")


def test_what_was_given_back_or_is_over_is_not_listed(stage):
    for kind in ("agent", "delegator", "task", "jti"):
        revoke(stage, kind, "x", seconds=600)
    assert {kind for kind, _ in names(revoked(stage))} == {"agent", "delegator", "task", "jti"}
    body = {"reason": "mended"}
    assert stage.call("POST", "/v1/subjects/acme/agent/x/reinstate", "approver", json=body).status_code == 200
    assert ("agent", "x") not in names(revoked(stage))
    stage.clock.pass_(seconds=601)
    stage.revoke("another")  # any write lets what is due lapse
    assert names(revoked(stage)) == [("session", "another")]


def test_nobody_is_told_of_other_tenants_and_gateways_and_monitors_of_none(stage):
    revoke(stage, "agent", "agent_7")
    revoke(stage, "agent", "theirs", "globex")
    assert names(revoked(stage, "globex")) == [("agent", "theirs")]
    assert names(revoked(stage, "*")) == [("agent", "theirs"), ("agent", "agent_7")]
    assert names(revoked(stage, "*", tenant_id="acme")) == [("agent", "agent_7")]
    assert stage.call("GET", "/v1/revoked?tenant_id=globex", "auditor").status_code == 404
    for role in ("gateway", "monitor"):
        assert stage.call("GET", "/v1/revoked", role).status_code == 403


def test_it_is_asked_for_by_kind_and_by_name(stage):
    for kind, name in (("agent", "x"), ("task", "x"), ("agent", "y")):
        revoke(stage, kind, name)
    assert names(revoked(stage, subject_type="agent")) == [("agent", "y"), ("agent", "x")]
    assert names(revoked(stage, subject_id="x")) == [("task", "x"), ("agent", "x")]
    assert names(revoked(stage, subject_id="x", subject_type="task")) == [("task", "x")]
    assert stage.call("GET", "/v1/revoked?subject_type=person", "auditor").status_code == 422


def test_a_long_list_goes_on_page_by_page_and_repeats_nothing(stage):
    for n in range(7):
        revoke(stage, "agent", f"a{n}", ("acme", "globex")[n % 2])
    seen, cursor = [], None
    for _ in range(3):
        more = {} if cursor is None else {"cursor": cursor}
        page = revoked(stage, "acme", "globex", limit=3, **more)
        seen += [name for _, name in names(page)]
        cursor = page["next"]
    assert (seen, cursor) == ([f"a{n}" for n in reversed(range(7))], None)
    (one,) = revoked(stage, limit=1)["items"]
    assert one["subject_id"] == "a6"


@pytest.mark.parametrize("cursor", ["nonsense", "1", f"{2**31}.1", "1.2.3"])
def test_a_cursor_that_no_page_gave_is_refused(stage, cursor):
    assert stage.call("GET", "/v1/revoked", "auditor", params={"cursor": cursor}).status_code == 422
