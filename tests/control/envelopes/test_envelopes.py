"""Envelopes are control's own record: registered once, re-issued in versions, held against what the log says."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from whole_store import alert_states, ledger_entries

from guardian.control.envelopes import registration
from guardian.domain.batch import Decoded
from guardian.domain.envelope import Envelope
from guardian.domain.event import DecisionEvent
from guardian.domain.finding import Effect, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.record import Record
from guardian.domain.session import HumanWord, SessionState
from guardian.pipeline.registered import envelope_finding, unregistered
from guardian.response.hearing import hear
from guardian.wire.client import ControlClient
from guardian.wire.sessions import ChangeList

GRANT: dict[str, Any] = {
    "delegator_id": "user_1",
    "tenant_id": "acme",
    "session_id": "sess_1",
    "task_id": "task_1",
    "purpose": "review_contract",
    "allowed_tools": ["contracts.read", "crm.read"],
    "resource_constraints": {"data_classes": ["restricted"], "max_records": 25},
    "expires_at": "2026-05-12T14:00:00Z",
    "agent_id": "agent_1",
}
JSON = {"Content-Type": "application/json"}


def grant(**changes: Any) -> dict[str, Any]:
    return {**GRANT, **changes}


def digest(envelope: dict[str, Any]) -> str:
    return Envelope.model_validate_json(json.dumps(envelope)).digest


@pytest.fixture
def register(stage):
    def post(envelope: dict[str, Any], role: Any = "delegation", *tenants: str) -> Any:
        return stage.call("POST", "/v1/envelopes", role, *tenants, json={"envelope": envelope})

    return post


def changes(stage) -> list[Any]:
    got = stage.call("GET", "/v1/session-changes?since=0", "monitor")
    return list(ChangeList.model_validate_json(got.content).items)


def seen_by_monitor(stage, envelope: dict[str, Any], *, heard: int | None = None) -> Any:
    """The finding that the monitor makes of a log line with this envelope, having heard so much of the feed."""
    state = SessionState()
    for change in changes(stage)[:heard]:
        state = hear(state, change.word, change.at, change.detail, lasting=())
    line = {
        "schema": "guardian.decision/v1", "id": "dec_1", "time": "2026-05-12T12:00:00Z", "gateway": "gw",
        "envelope": envelope, "action": {"tool": "contracts.read"}, "decision": {"effect": "allow"},
    }  # fmt: skip
    event = DecisionEvent.model_validate_json(json.dumps(line))
    decoded = Decoded(Record("t", 0, 0, b""), event, "d", event.time, False, envelope_digest=event.envelope.digest)
    return envelope_finding(decoded, state, {}) if unregistered(decoded, state) else None


def test_an_envelope_is_registered_once_and_again_changes_nothing(stage, register) -> None:
    first, again = register(grant()), register(grant(allowed_tools=["crm.read", "contracts.read", "crm.read"]))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (first.json()["version"], first.json()["digest"]) == (1, digest(GRANT))
    assert first.json()["registered_by"] == "delegation-1"
    assert [(c.word, c.detail, c.session_id) for c in changes(stage)] == [
        (HumanWord.REGISTERED, digest(GRANT), "sess_1")
    ]
    count = stage.deps.metrics.value
    assert count("guardian_envelopes_total", result="registered") == 1
    assert count("guardian_envelopes_total", result="unchanged") == 1


def test_other_content_is_the_next_version_and_the_history_keeps_all(stage, register) -> None:
    for tools in (["a"], ["a", "b"], ["a", "b", "c"]):
        assert register(grant(allowed_tools=tools)).status_code == 201
    items = stage.call("GET", "/v1/envelopes/acme/sess_1", "analyst").json()["items"]
    assert [(each["version"], each["superseded"]) for each in items] == [(1, True), (2, True), (3, False)]
    assert [each["envelope"]["allowed_tools"][-1] for each in items] == ["a", "b", "c"]
    with stage.deps.store.read() as rows:
        assert rows.envelopes.newest(SessionKey("acme", "sess_1")).version == 3


def test_an_earlier_version_said_again_is_answered_but_does_not_come_back(stage, register) -> None:
    register(grant())
    register(grant(purpose="pay_invoice"))
    again = register(grant())
    assert (again.status_code, again.json()["version"], again.json()["superseded"]) == (200, 1, True)
    with stage.deps.store.read() as rows:
        assert rows.envelopes.newest(SessionKey("acme", "sess_1")).envelope.purpose == "pay_invoice"


def test_a_long_history_is_read_in_pages_from_the_newest_back(stage, register) -> None:
    for n in range(5):
        register(grant(task_id=f"task_{n}"))
    path, found = "/v1/envelopes/acme/sess_1?limit=2", []
    query = ""
    for _ in range(3):
        page = stage.call("GET", path + query, "auditor").json()
        found.append([each["version"] for each in page["items"]])
        query = f"&cursor={page['next']}"
    assert found == [[4, 5], [2, 3], [1]]
    assert page["next"] is None
    assert stage.call("GET", f"{path}&cursor={2**31 - 1}", "auditor").json()["next"] == "4"
    assert stage.call("GET", f"{path}&cursor={2**31}", "auditor").json()["detail"].startswith("cursor: ")


def test_a_later_version_may_not_act_for_somebody_else(stage, register) -> None:
    register(grant())
    refused = register(grant(delegator_id="user_2"))
    assert (refused.status_code, refused.json()["code"]) == (409, "not_the_same_grant")
    assert "another session" in refused.json()["detail"]
    assert register(grant(session_id="sess_2", delegator_id="user_2")).status_code == 201
    assert stage.audit(action="registerEnvelope", code="not_the_same_grant")[0]["result"] == "refused"
    assert stage.deps.metrics.value("guardian_envelopes_total", result="refused") == 1
    assert [each.session_id for each in changes(stage)] == ["sess_1", "sess_2"]


def test_the_versions_of_one_session_are_bounded_with_a_way_out(stage, register, monkeypatch) -> None:
    monkeypatch.setattr(registration, "MOST_VERSIONS", 3)
    answers = [register(grant(task_id=f"task_{n}")).status_code for n in range(4)]
    assert answers == [201, 201, 201, 409]
    assert register(grant(task_id="task_9")).json()["code"] == "too_many_versions"
    assert "new session id" in register(grant(task_id="task_9")).json()["detail"]
    assert register(grant(task_id="task_2")).status_code == 200


@pytest.mark.parametrize("role", ["monitor", "analyst", "responder", "approver", "admin", "auditor", "metrics"])
def test_only_the_delegation_service_and_gateways_write_the_record(stage, register, role) -> None:
    assert register(grant(), role).status_code == 403
    assert register(grant(), "gateway").status_code == 201
    assert stage.audit(action="registerEnvelope", role=role)[0]["result"] == "refused"


def test_another_tenants_record_can_be_neither_written_nor_read(stage, register) -> None:
    assert register(grant(), "delegation", "globex").status_code == 404
    register(grant())
    register(grant(tenant_id="globex"), "delegation", "globex")
    foreign = stage.call("GET", "/v1/envelopes/acme/sess_1", "analyst", "globex")
    unknown = stage.call("GET", "/v1/envelopes/acme/nobody", "analyst")
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert stage.call("GET", "/v1/envelopes/acme/sess_1", "gateway").status_code == 403
    ours = stage.call("GET", "/v1/envelopes/globex/sess_1", "analyst", "globex").json()["items"]
    assert [each["envelope"]["tenant_id"] for each in ours] == ["globex"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"null", 422),
        (b"\xff\xfe", 422),
        (b"[" * 50_000, 422),
        (b'{"envelope": {}}', 422),
        (json.dumps({"envelope": GRANT, "surprise": 1}).encode(), 422),
        (json.dumps({"envelope": grant(delegator_id="two\nlines")}).encode(), 422),
        (json.dumps({"envelope": grant(session_id="nul\x00")}).encode(), 422),
        (json.dumps({"envelope": grant(allowed_tools="contracts.read")}).encode(), 422),
        (json.dumps({"envelope": grant(expires_at=1778605451)}).encode(), 422),
        (json.dumps({"envelope": grant(expires_at="2026-05-12T14:00:00")}).encode(), 422),
        (json.dumps({"envelope": grant(expires_at="9999-12-31T23:59:59-12:00")}).encode(), 422),
        (json.dumps({"envelope": grant(resource_constraints={"n": float("inf")})}).encode(), 422),
        (b'{"envelope": ' + json.dumps(GRANT).encode()[:-1] + b', "task_id": "\\ud800"}}', 422),
        (json.dumps({"envelope": grant(resource_constraints={"x": "y" * 70_000})}).encode(), 413),
    ],
)
def test_a_body_that_is_no_envelope_is_refused_in_bounded_words(stage, body: bytes, status: int) -> None:
    got = stage.call("POST", "/v1/envelopes", "delegation", content=body, headers=JSON)
    assert got.status_code == status, got.text
    assert got.headers["content-type"] == "application/problem+json"
    assert len(got.content) < 4000
    assert changes(stage) == []


def test_a_body_that_does_not_say_it_is_json_is_refused(stage) -> None:
    body = json.dumps({"envelope": GRANT})
    got = stage.call("POST", "/v1/envelopes", "delegation", content=body, headers={"Content-Type": "text/plain"})
    assert got.status_code == 422
    got = stage.call(
        "POST", "/v1/envelopes", "delegation", content=body, headers={"Content-Type": "application/json; a=b"}
    )
    assert got.status_code == 201


def test_what_is_refused_is_not_repeated_and_nothing_of_a_body_is_logged(stage, register, capsys) -> None:
    told = register(grant(expires_at="swordfish")).text + register(grant(purpose="swordfish" * 9000)).text
    register(grant(purpose="swordfish", task_id="swordfish"))
    assert "swordfish" not in told
    logged = capsys.readouterr()
    assert "swordfish" not in logged.out + logged.err
    assert "swordfish" not in json.dumps(stage.audit(action="registerEnvelope"))


def test_the_audit_names_digest_and_version_of_every_registration(stage, register) -> None:
    register(grant())
    register(grant(task_id="task_2"), "gateway")
    register(grant(task_id="task_2"))
    told = [(e["actor"], e["result"], e["version"], e["digest"]) for e in stage.audit(action="registerEnvelope")]
    second = digest(grant(task_id="task_2"))
    assert told == [
        ("delegation-1", "registered", 1, digest(GRANT)),
        ("gateway-1", "reissued", 2, second),
        ("delegation-1", "unchanged", 2, second),
    ]


def test_many_gateways_that_register_at_once_make_one_version(stage, register) -> None:
    stage.token("gateway")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: register(grant(), "gateway"), range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    assert len(changes(stage)) == 1


def test_policy_reads_the_registered_envelope_and_not_what_the_finding_says(stage, register, a_finding) -> None:
    stage.enforce()
    register(grant())
    outcome = stage.submit(a_finding()).json()
    assert (outcome["effect"], outcome["policy_ids"]) == (
        "flag",
        ["auto-revoke-restricted-data-needs-a-fact"],
    )
    register(grant(resource_constraints={}))
    assert stage.submit(a_finding(n=1)).json()["effect"] == "revoke"


@pytest.mark.parametrize(
    "constraints",
    [
        {"data_classes": "restricted"},
        {"dataClasses": ["Restricted"]},
        {"allowed_data_classes": ["public", "restricted"]},
        {"data_classes": {"in": ["restricted"]}},
    ],
)
def test_restricted_data_is_known_however_a_grant_spells_it(stage, register, a_finding, constraints) -> None:
    stage.enforce()
    register(grant(resource_constraints=constraints))
    assert stage.submit(a_finding()).json()["policy_ids"] == ["auto-revoke-restricted-data-needs-a-fact"]


def until(stage, session: str = "sess_1") -> Any:
    with stage.deps.store.read() as rows:
        return rows.ledger.live_entry("acme", session).expires_at


def test_a_revocation_lives_as_long_as_the_registered_envelope(stage, register, a_finding) -> None:
    stage.enforce()
    now = stage.clock()
    register(grant(resource_constraints={}, expires_at=(now + timedelta(days=3)).isoformat()))
    assert stage.submit(a_finding(expires_at=now + timedelta(days=300))).json()["effect"] == "revoke"
    assert until(stage) == now + timedelta(days=3, hours=1)
    register(grant(session_id="s2", resource_constraints={}, expires_at=None))
    assert stage.submit(a_finding("s2", expires_at=now + timedelta(hours=1))).json()["effect"] == "revoke"
    assert until(stage, "s2") == now + timedelta(days=30)
    stage.submit(a_finding("s3", expires_at=now + timedelta(days=5)))
    assert until(stage, "s3") == now + timedelta(days=5, hours=1)


def test_a_reissue_of_a_revoked_session_prolongs_its_revocation_and_never_shortens_it(
    stage, register, a_finding
) -> None:
    stage.enforce()
    now = stage.clock()
    register(grant(resource_constraints={}))
    stage.submit(a_finding())
    assert until(stage) == now + timedelta(hours=24)
    steps = [(timedelta(days=3), timedelta(days=3, hours=1)), (timedelta(days=1), timedelta(days=3, hours=1))]
    for lasts, expected in steps:
        register(grant(resource_constraints={}, expires_at=(now + lasts).isoformat()))
        assert until(stage) == now + expected
    register(grant(resource_constraints={}, expires_at=None))
    assert until(stage) == now + timedelta(days=30)
    with stage.deps.store.read() as rows:
        assert [e.reason_code for e in ledger_entries(rows)] == ["drift", "renewed", "renewed"]
    stage.clock.pass_(days=1)
    stage.submit(a_finding(n=1))
    with stage.deps.store.read() as rows:
        assert len(ledger_entries(rows)) == 3


def test_the_reissue_of_a_session_that_is_not_revoked_touches_no_ledger(stage, register) -> None:
    register(grant())
    register(grant(expires_at=None))
    with stage.deps.store.read() as rows:
        assert ledger_entries(rows) == []


def test_an_envelope_that_is_not_registered_is_flagged_and_the_fields_are_named(stage, register) -> None:
    register(grant())
    finding = seen_by_monitor(stage, grant(purpose="pay_invoice", agent_id="agent_9"))
    outcome = stage.submit(finding).json()
    assert outcome["effect"] == "flag"
    difference = "it differs from version 1 in: purpose, agent_id"
    assert outcome["note"] == f"the log's envelope is not registered; {difference}"
    with stage.deps.store.read() as rows:
        assert alert_states(rows) == {"pending": 1}


def test_where_only_unseen_fields_differ_the_note_says_so(stage, register) -> None:
    register(grant())
    finding = seen_by_monitor(stage, grant(allowed_tools=["payments.send"]))
    note = stage.submit(finding).json()["note"]
    assert note.endswith(
        "differs from version 1 in: its tools or resource constraints, which a finding does not carry"
    )


def test_a_hashed_field_is_not_named_as_one_that_differs(stage, register) -> None:
    register(grant())
    finding = seen_by_monitor(stage, grant(allowed_tools=["payments.send"]))
    subject = finding.subject.model_copy(update={"delegator_id": "hash:d0917d51a22c55b4"})
    note = stage.submit(finding.model_copy(update={"subject": subject})).json()["note"]
    assert note.endswith(
        "in: its tools or resource constraints, which a finding does not carry, or delegator_id, which is hashed"
    )


def test_a_reissue_that_the_monitor_had_not_heard_of_alarms_nobody(stage, register) -> None:
    register(grant())
    register(grant(task_id="task_2"))
    finding = seen_by_monitor(stage, grant(task_id="task_2"), heard=1)
    assert finding.kind is Kind.ENVELOPE
    outcome = stage.submit(finding).json()
    assert (outcome["effect"], outcome["note"]) == (
        "none",
        "the log's envelope is registered by now, as version 2",
    )
    assert stage.audit(finding_id=finding.id)[0]["result"] == "none"
    with stage.deps.store.read() as rows:
        assert alert_states(rows) == {}
        assert rows.sessions.get(SessionKey("acme", "sess_1")).view.status == "active"
    assert stage.submit(finding).json() == outcome
    assert seen_by_monitor(stage, grant(task_id="task_2")) is None


def test_an_unregistered_sessions_envelope_finding_still_reaches_people(stage, register) -> None:
    register(grant())
    finding = seen_by_monitor(stage, grant(purpose="x")).model_copy(update={"session_id": "sess_7"})
    outcome = stage.submit(finding).json()
    assert (outcome["effect"], outcome["note"]) == ("flag", "no envelope is registered for this session here")


def test_a_drift_finding_says_when_it_was_judged_on_another_envelope(stage, register, a_finding) -> None:
    stage.enforce()
    register(grant(resource_constraints={}))
    register(grant(resource_constraints={}, purpose="pay_invoice"))

    def judged(n: int, told: str) -> Any:
        made = a_finding(n=n, wanted=Effect.FLAG if n else Effect.REVOKE)
        return made.model_copy(update={"subject": made.subject.model_copy(update={"envelope_digest": told})})

    revoked = stage.submit(judged(0, "0" * 64)).json()
    assert revoked["effect"] == "revoke"
    assert revoked["note"].startswith("revoked: ")
    assert "the log's envelope is not registered; it differs from version 2 in: " in revoked["note"]
    old = stage.submit(judged(1, digest(grant(resource_constraints={})))).json()
    assert old["note"] == "the log carries version 1 of the registered envelope; version 2 holds"
    newest = stage.submit(judged(2, digest(grant(resource_constraints={}, purpose="pay_invoice")))).json()
    assert (newest["effect"], newest["note"]) == ("flag", "")


@pytest.mark.parametrize("told", ["", "nul\x00", "x" * 100_000, "0" * 63 + "\n"])
def test_a_digest_that_is_none_is_that_of_no_registered_envelope(stage, register, a_finding, told: str) -> None:
    register(grant())
    made = a_finding(wanted=Effect.FLAG)
    made = made.model_copy(update={"subject": made.subject.model_copy(update={"envelope_digest": told})})
    outcome = stage.submit(made)
    assert outcome.status_code == 200
    assert "the log's envelope is not registered" in outcome.json()["note"]


def test_the_client_registers_and_reads_back(stage) -> None:
    class Inside(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            sent = {"content": request.read(), "headers": dict(request.headers)}
            got = stage.client.request(request.method, request.url.raw_path.decode(), **sent)
            return httpx.Response(got.status_code, headers=dict(got.headers), content=got.content)

    def client(role: Any) -> ControlClient:
        return ControlClient("http://testserver", lambda: stage.token(role), transport=Inside())

    envelope = Envelope.model_validate_json(json.dumps(grant(session_id="a/b", ticket=7)))
    with client("delegation") as delegation, client("analyst") as analyst:
        assert delegation.register_envelope(envelope) == delegation.register_envelope(envelope)
        (known,) = analyst.envelopes("acme", "a/b").items
    assert (known.envelope, known.digest) == (envelope, envelope.digest)


_ALWAYS = {"200", "400", "401", "403", "408", "413", "422", "500", "503"}


def test_the_document_tells_the_body_and_every_answer(stage) -> None:
    document = stage.client.get("/openapi.json").json()
    post = document["paths"]["/v1/envelopes"]["post"]
    schema = post["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["envelope"]
    assert set(schema["properties"]["envelope"]["required"]) == {"delegator_id", "tenant_id", "session_id"}
    assert "#/$defs" not in json.dumps(post)
    assert set(post["responses"]) == _ALWAYS | {"201", "404", "409"}
    reading = document["paths"]["/v1/envelopes/{tenant_id}/{session_id}"]["get"]
    assert set(reading["responses"]) == _ALWAYS - {"408"} | {"404"}


def test_the_feed_brings_the_monitor_each_version_that_was_registered(stage, register) -> None:
    register(grant())
    register(grant(purpose="review_contract_again"))
    told = [change.envelope for change in changes(stage)]
    assert [each.purpose for each in told] == ["review_contract", "review_contract_again"]
    assert [each.digest for each in told] == [change.detail for change in changes(stage)]
