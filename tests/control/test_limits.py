"""What many callers at once cannot do, and what the audit trail says of those who tried."""

from concurrent.futures import ThreadPoolExecutor

from guardian.revocation.ledger import replay


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
        assert rows.alerts.depth() == 31, "the change of mode asked for somebody too"
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
        assert rows.alerts.depth() == 2, "the change of mode asked for somebody too"


def test_the_audit_names_who_did_what_by_which_policy(stage, a_finding, weak):
    stage.enforce()
    stage.submit(a_finding())
    stage.submit(a_finding("sess_2", evidence=weak))
    stage.submit(a_finding("sess_3", wanted="flag"))
    stage.submit(a_finding("sess_4"), "gateway")
    told = [
        (each["actor"], each["action"], each["session_id"], each["allowed"], each["policy_ids"], each["result"])
        for each in stage.audit()
        if each["role"] in ("monitor", "gateway")
    ]
    assert told == [
        ("monitor-1", "revoke", "sess_1", True, ["monitor-may-revoke-on-strong-evidence"], "revoke"),
        ("monitor-1", "revoke", "sess_2", False, [], "flag"),
        ("monitor-1", "flag", "sess_3", True, ["monitor-may-flag"], "flag"),
        ("gateway-1", "flag", "sess_4", False, ["machines-keep-to-their-work"], "refused"),
    ]
    for each in stage.audit():
        assert each["policy_version"] == stage.deps.pdp.version
        assert len(each["context_sha256"]) == 64
