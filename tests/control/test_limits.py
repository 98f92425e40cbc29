"""What no monitor can do, however it calls: exceed the budget, cross a tenant, touch a protected session."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardian.domain.finding import Effect, Evidence, NamedBreach
from guardian.revocation.ledger import replay

TOTAL, RESERVED = 3, 1


def _automatic(rows, now, window):
    return [
        entry
        for entry in rows.ledger.entries()
        if entry.actor == "monitor-1" and entry.status == "revoked" and entry.at > now - window
    ]


def test_threads_cannot_exceed_the_budget_nor_fork_ledger_or_audit(make_stage, a_finding, hard):
    stage = make_stage(budget_total=8, budget_reserved=3)
    stage.enforce()
    stage.token("monitor")
    sent = [a_finding(f"s{n}", breaches=hard if n % 3 == 0 else ()) for n in range(30)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(stage.submit, sent + sent[::-1]))
    assert {answer.status_code for answer in answers} == {200}
    for first, again in zip(answers[:30], answers[30:][::-1], strict=True):
        assert first.content == again.content
    with stage.deps.store.read() as rows:
        entries = rows.ledger.entries()
        live = rows.ledger.live(None)
        assert rows.audit.first_bad() is None
        assert rows.alerts.depth() == 30
    assert [entry.revision.n for entry in entries] == list(range(1, 9))
    assert len({entry.subject_id for entry in entries}) == 8
    assert sorted(replay({}, entries).values(), key=lambda e: e.revision.n) == live
    soft = [entry for entry in entries if entry.reason_code == "drift"]
    assert len(soft) <= 5


def test_the_same_finding_from_many_threads_is_one_revocation(stage, a_finding):
    stage.enforce()
    stage.token("monitor")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(stage.submit, [a_finding()] * 16))
    assert len({answer.content for answer in answers}) == 1
    with stage.deps.store.read() as rows:
        assert len(rows.ledger.entries()) == 1
        assert rows.alerts.depth() == 1


CALLS = st.lists(
    st.tuples(
        st.sampled_from(["finding", "revoke", "reinstate", "mode", "protection", "wait"]),
        st.sampled_from(["acme", "globex"]),
        st.integers(0, 5),  # session
        st.integers(0, 3),  # transition
        st.booleans(),  # hard breach
        st.sampled_from([1.0, 19_999.0, 20_000.0, 1e12]),
    ),
    max_size=25,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=CALLS)
def test_no_sequence_of_monitor_calls_goes_beyond_its_limits(make_stage, a_finding, calls):
    stage = make_stage(budget_total=TOTAL, budget_reserved=RESERVED)
    stage.enforce("acme")
    stage.enforce("globex")
    protect = {"protected": True, "reason": "vip"}
    stage.call("PUT", "/v1/sessions/acme/s0/protection", "admin", json=protect)
    window = stage.deps.settings.budget_window
    for verb, tenant, session, n, breached, one_in in calls:
        path = f"/v1/sessions/{tenant}/s{session}"
        match verb:
            case "finding":
                evidence = Evidence(one_in=one_in, session_evidence=6, independent_signals=2)
                breaches = (NamedBreach(name="expired_envelope", detail="", hard=True),) if breached else ()
                found = a_finding(
                    f"s{session}", tenant=tenant, n=n, evidence=evidence, breaches=breaches, wanted=Effect.REVOKE
                )
                stage.submit(found)
            case "revoke" | "reinstate":
                assert stage.call("POST", f"{path}/{verb}", "monitor", json={"reason": "x"}).status_code >= 400
            case "mode":
                body = {"mode": "enforce", "reason": "x"}
                assert stage.call("PUT", f"/v1/modes/{tenant}", "monitor", json=body).status_code >= 400
            case "protection":
                body = {"protected": False, "reason": "x"}
                assert stage.call("PUT", f"{path}/protection", "monitor", json=body).status_code >= 400
            case "wait":
                stage.clock.pass_(minutes=20)
        with stage.deps.store.read() as rows:
            recent = _automatic(rows, stage.clock(), window)
            entries = rows.ledger.entries()
        assert len(recent) <= TOTAL
        assert len([entry for entry in recent if entry.reason_code == "drift"]) <= TOTAL - RESERVED
        assert all(entry.tenant_id == "acme" and entry.subject_id != "s0" for entry in entries)
    with stage.deps.store.read() as rows:
        assert rows.audit.first_bad() is None
        assert replay({}, rows.ledger.entries()) == {
            (entry.tenant_id, "session", entry.subject_id): entry for entry in rows.ledger.live(None)
        }
        assert rows.sessions.get("globex", "s0") is None


def test_the_audit_names_who_did_what_by_which_policy(stage, a_finding, weak):
    stage.enforce()
    stage.submit(a_finding())
    stage.submit(a_finding("sess_2", evidence=weak))
    stage.clock.pass_(minutes=1)
    stage.call("POST", "/v1/sessions/acme/sess_1/reinstate", "responder", json={"reason": "ours"})
    with stage.deps.store.read() as rows:
        records = [json.loads(entry.record) for entry in rows.audit.entries()]
    assert [(each["actor"], each["action"], each["allowed"], each["result"]) for each in records] == [
        ("admin-1", "setMode", True, "enforce"),
        ("monitor-1", "revoke", True, "revoke"),
        ("monitor-1", "revoke", False, "flag"),
        ("responder-1", "reinstate", True, "changed"),
    ]
    assert all(each["policy_version"] == stage.deps.pdp.version for each in records)
    assert records[3]["at"] == (stage.clock() + timedelta(0)).isoformat()
