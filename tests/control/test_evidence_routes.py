"""What the evidence pages ask of the API besides the rest."""

from datetime import timedelta

import pytest
from whole_store import first_bad

from guardian.control.authentication.token_records import record_token
from guardian.domain.envelope import Envelope
from guardian.domain.identity import SessionKey


def register(stage, session, parent=None):
    envelope = Envelope(
        delegator_id="user_1",
        tenant_id="acme",
        session_id=session,
        purpose="review",
        agent_id="agent_1",
        parent_session_id=parent,
    )
    body = {"envelope": envelope.model_dump(mode="json")}
    return stage.call("POST", "/v1/envelopes", "delegation", json=body)


def test_a_sessions_audit_trail_is_told_from_the_newest_on(stage, a_finding):
    stage.submit(a_finding("sess_1"))
    stage.submit(a_finding("sess_2"))
    stage.revoke("sess_1")
    page = stage.call("GET", "/v1/session-audit/acme/sess_1").json()
    assert [each["record"]["action"] for each in page["items"]] == ["revoke", "revoke"]
    assert [each["record"]["actor"] for each in page["items"]] == ["responder-1", "monitor-1"]
    assert page["items"][0]["seq"] > page["items"][1]["seq"]
    assert page.get("next") is None


def test_it_goes_on_page_by_page(stage, a_finding):
    for n in range(7):
        stage.submit(a_finding("sess_1", n=n))
    seen, cursor = [], ""
    while True:
        page = stage.call("GET", f"/v1/session-audit/acme/sess_1?limit=3{cursor}").json()
        seen += [each["seq"] for each in page["items"]]
        if page.get("next") is None:
            break
        cursor = f"&cursor={page['next']}"
    assert len(seen) == 7
    assert seen == sorted(seen, reverse=True)


AGES_AGO = {"since": "0001-01-01T00:00:00+23:59"}


def trail(stage, *reach, role="auditor", **query):
    got = stage.call("GET", "/v1/audit", role, *reach, params=query)
    assert got.status_code == 200, got.text
    return [(each["record"].get("actor"), each["record"].get("action")) for each in got.json()["items"]]


def test_who_did_what_is_told_of_all_sessions_to_who_may_see_it(stage, a_finding):
    stage.submit(a_finding("sess_1"))
    stage.clock.pass_(hours=1)
    later = stage.clock().isoformat()
    stage.submit(a_finding("sess_2", tenant="globex"), "monitor", "*")
    stage.revoke("sess_1")
    with stage.deps.store.write() as rows:
        rows.audit.note("signIn", at=stage.clock(), actor="maya", how="link")
    revoked = ("responder-1", "revoke")
    assert trail(stage)[0] == revoked, "what concerns no tenant is not told to those of one"
    assert ("maya", "signIn") not in trail(stage, "acme", "globex")
    assert trail(stage, "*")[0] == ("maya", "signIn")
    assert trail(stage, actor="responder-1") == [revoked]
    assert trail(stage, action="revoke", since=later) == [revoked]
    assert trail(stage, until=later) == [("monitor-1", "revoke")]
    assert trail(stage, "*", tenant_id="globex", role="admin") == [("monitor-1", "revoke")]
    assert trail(stage, "elsewhere") == []
    page = stage.call("GET", "/v1/audit", "auditor", params={"limit": 1}).json()
    on = stage.call("GET", "/v1/audit", "auditor", params={"limit": 1, "cursor": page["next"]}).json()
    assert [each["record"]["actor"] for each in (*page["items"], *on["items"])] == ["responder-1", "monitor-1"]
    assert on["next"] is None


def test_who_may_not_see_the_trail_or_asks_for_what_cannot_be_is_refused(stage):
    for role in ("analyst", "responder", "approver", "monitor", "gateway", "delegation", "metrics"):
        assert stage.call("GET", "/v1/audit", role, "*").status_code == 403, role
    refused = stage.call("GET", "/v1/audit", "auditor", params={"tenant_id": "globex"})
    absent = stage.call("GET", "/v1/audit", "auditor", params={"tenant_id": "never_met"})
    assert (refused.status_code, absent.status_code) == (404, 404)
    assert refused.json()["detail"] == absent.json()["detail"]
    for wrong in (
        {"since": "yesterday"},
        {"since": "2026-05-12T17:00:00"},
        {"actor": ""},
        {"cursor": "x"},
        {"since": "2026-05-12T17:00:00Z", "until": "2026-05-12T17:00:00+00:00"},
        {"since": "2026-05-12T17:00:00Z", "until": "2026-05-12T18:00:00+02:00"},
        AGES_AGO,
    ):
        assert stage.call("GET", "/v1/audit", "auditor", params=wrong).status_code == 422, wrong


def test_an_entry_that_was_damaged_hides_no_other(stage, a_finding):
    for n in range(3):
        stage.submit(a_finding("sess_1", n=n))
    with stage.deps.store.write() as rows:
        for damaged in ("'no JSON'", "'[1]'"):
            seq = 2 + ("[" in damaged)
            rows.connection.exec_driver_sql(f"UPDATE control_audit SET record = {damaged} WHERE seq = {seq}")
    for path in ("/v1/audit", "/v1/session-audit/acme/sess_1"):
        items = stage.call("GET", path, "auditor").json()["items"]
        assert [(each["seq"], bool(each["record"])) for each in items] == [(3, False), (2, False), (1, True)]


def test_its_entries_are_those_of_the_chain(stage, a_finding):
    stage.submit(a_finding("sess_1"))
    (line,) = stage.call("GET", "/v1/session-audit/acme/sess_1").json()["items"]
    with stage.deps.store.read() as rows:
        (entry,) = [each for each in rows.audit.entries() if each.seq == line["seq"]]
        assert first_bad(rows) is None
    assert line["hash"] == entry.hash


def test_lineage_is_what_was_registered(stage, a_finding):
    for session, parent in (("a", None), ("b", "a"), ("c", "b"), ("d", "c")):
        assert register(stage, session, parent).status_code == 201
    stage.submit(a_finding("d"))
    told = stage.call("GET", "/v1/lineage/acme/c").json()
    assert [(kin["session_id"], kin["status"]) for kin in told["ancestors"]] == [
        ("b", "unknown"),
        ("a", "unknown"),
    ]
    assert [(kin["session_id"], kin["status"]) for kin in told["descendants"]] == [("d", "flagged")]
    assert told["descendants"][0]["agent_id"] == "agent_1"
    assert told["more"] is False


def test_a_large_family_is_told_in_part(stage):
    for n in range(52):
        register(stage, f"child_{n}", "root")
    told = stage.call("GET", "/v1/lineage/acme/root").json()
    assert (len(told["descendants"]), told["more"]) == (50, True)


def test_tenants_are_those_within_reach(stage, a_finding):
    for tenant in ("acme", "globex", "initech"):
        stage.submit(a_finding("s", tenant=tenant), "monitor", "*")
    stage.enforce("acme")

    def named(*reach):
        return [each["tenant_id"] for each in stage.call("GET", "/v1/tenants", "analyst", *reach).json()["items"]]

    assert named("*") == ["acme", "globex", "initech"]
    assert named("globex", "hooli") == ["globex", "hooli"]
    (acme,) = stage.call("GET", "/v1/tenants", "analyst", "acme").json()["items"]
    assert (acme["mode"], acme["budget_total"], acme["budget_used"], acme["breaker_open"]) == (
        "enforce",
        20,
        0,
        False,
    )


def test_tenants_without_a_session_are_listed_once_control_has_heard_of_them(stage):
    stage.enforce("by_mode")
    told = {"delegator_id": "ann", "tenant_id": "by_envelope", "session_id": "s", "purpose": "review"}
    asked = stage.call("POST", "/v1/envelopes", "delegation", "by_envelope", json={"envelope": told})
    assert asked.status_code == 201
    with stage.deps.store.write() as rows:
        for role in ("gateway", "analyst"):
            reach = (f"by_token_of_{role}", "*")
            life, now = timedelta(days=1), stage.clock()
            record_token(rows, stage.deps.tokens.issue(role, role=role, tenants=reach, ttl=life, now=now))
    listed = stage.call("GET", "/v1/tenants", "admin", "*").json()["items"]
    assert [each["tenant_id"] for each in listed] == ["by_envelope", "by_mode", "by_token_of_gateway"]


def test_many_tenants_are_told_in_part(stage):
    with stage.deps.store.write() as rows:
        for n in range(101):
            rows.sessions.meet(SessionKey(f"t{n:03}", "s"), stage.clock())
    told = stage.call("GET", "/v1/tenants", "admin", "*").json()
    assert (len(told["items"]), told["more"]) == (100, True)
    with stage.deps.store.write() as rows:
        rows.breakers.trip("t100", now=stage.clock(), until=stage.clock() + timedelta(hours=1), reason="flood")
    told = stage.call("GET", "/v1/tenants", "admin", "*").json()
    assert [each["tenant_id"] for each in told["items"] if each["breaker_open"]] == ["t100"]
    assert (told["next"], told["more"]) == ("t099", True)
    reach = [f"t{n:03}" for n in range(99)]
    assert stage.call("GET", "/v1/tenants", "analyst", *reach).json()["more"] is False


def test_a_list_of_tenants_goes_on_after_a_name_and_leaves_none_out(stage):
    names = sorted(f"{letter}{n:03}" for letter in "aBé" for n in range(80))  # no two databases sort these alike
    with stage.deps.store.write() as rows:
        for name in names:
            rows.sessions.meet(SessionKey(name, "s"), stage.clock())
        rows.breakers.trip("é079", now=stage.clock(), until=stage.clock() + timedelta(hours=1), reason="flood")
    for reach in (["*"], names):
        pages, cursor = [], {}
        while cursor is not None:
            told = stage.call("GET", "/v1/tenants", "admin", *reach, params=cursor).json()
            pages.append([each["tenant_id"] for each in told["items"]])
            cursor = None if told["next"] is None else {"cursor": told["next"]}
        assert pages == [[*names[:100], "é079"], names[100:200], names[200:]]


@pytest.mark.parametrize("path", ["session-audit/globex/s", "lineage/globex/s"])
def test_another_tenants_are_absent(stage, a_finding, path):
    stage.submit(a_finding("s", tenant="globex"), "monitor", "*")
    assert stage.call("GET", f"/v1/{path}", "analyst", "acme").status_code == 404


@pytest.mark.parametrize("role", ["gateway", "delegation", "metrics"])
@pytest.mark.parametrize("path", ["session-audit/acme/s", "lineage/acme/s", "tenants"])
def test_machines_have_nothing_to_look_at(stage, role, path):
    assert stage.call("GET", f"/v1/{path}", role).status_code == 403


def test_without_pages_there_is_no_way_in(stage):
    got = stage.call("POST", "/v1/sign-in-links", "admin")
    assert (got.status_code, got.json()["code"]) == (404, "no_console")


@pytest.mark.parametrize("path", ["console", "//evil.example\n", "/é"])
def test_a_link_leads_to_a_path(stage, path):
    assert stage.call("POST", "/v1/sign-in-links", "admin", params={"path": path}).status_code == 422


def test_protecting_is_bound_to_what_was_seen(stage, a_finding):
    stage.submit(a_finding("sess_1"))
    seen = stage.call("GET", "/v1/cases/acme/sess_1").json()["digest"]
    stage.submit(a_finding("sess_1", n=1))
    body = {"protected": True, "reason": "payroll"}
    path = "/v1/sessions/acme/sess_1/protection"
    assert stage.call("PUT", path, json=body, headers={"If-Match": f'"{seen}"'}).status_code == 412
    assert stage.call("PUT", path, json=body).status_code == 200
