"""Rows that another version of guardian wrote: they are shown as far as they can be read, and stop no others."""

import pytest
from structlog.testing import capture_logs

from guardian.control.cases.feeds import catch_up
from guardian.control.lapse import sweep
from guardian.domain.finding import Effect

NEWER = 'UPDATE control_alert SET payload = replace(payload, \'"case":\', \'"hue": 1, "case":\')'


def execute(office, statement: str) -> None:
    with office.deps.store.write() as rows:
        assert rows.connection.exec_driver_sql(statement).rowcount


def test_a_field_that_this_version_does_not_know_hides_neither_a_case_nor_a_digest(
    make_office, slack, a_finding
) -> None:
    office = make_office(storm=5)
    for n in range(10):
        office.submit(a_finding(f"s{n}"))
    execute(office, NEWER)
    office.after(minutes=1)
    (digest,) = slack.roots()
    assert "10 cases" in str(digest["blocks"])


def test_an_alert_that_can_be_read_again_is_shown_within_the_hour(office, slack, a_finding) -> None:
    office.submit(a_finding())
    catch_up(office.deps.store, office.clock())
    execute(office, "UPDATE control_alert SET payload = '{\"was\":' || payload || '}'")
    with capture_logs() as lines:
        office.settle()
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["alert_unreadable"]
    assert slack.roots() == []
    office.after(minutes=30)
    execute(office, "UPDATE control_alert SET payload = substr(payload, 8, length(payload) - 8)")
    assert office.worker.step() is not None
    office.after(hours=1)
    assert len(slack.roots()) == 1


def test_an_approval_in_a_state_that_this_version_does_not_know_keeps_no_other_case_from_people(
    office, slack, a_finding
) -> None:
    with office.client("root", "admin", "*") as admin:
        admin.set_mode("acme", "enforce", reason="two quiet weeks")
    for n in range(3):
        office.submit(a_finding(f"s{n}"))
    execute(office, "UPDATE control_approval SET state = 'weighed'")
    with capture_logs() as lines:
        office.settle()
    assert len(slack.roots()) == 4
    assert {line["event"] for line in lines if line["log_level"] == "error"} == {"case_unreadable"}


@pytest.mark.parametrize("revoked", [False, True])
def test_a_case_whose_finding_cannot_be_read_calls_for_help_as_any_other(
    make_office, slack, a_finding, revoked
) -> None:
    office = make_office(on_call={"*": "S0ONCALL"}, escalate={"after_s": 900})
    office.submit(a_finding(severity="critical"))
    office.settle()
    if revoked:
        with office.client("rita", "responder") as rita:
            rita.revoke("acme", "sess_1", reason="seen")
    execute(office, "UPDATE control_finding SET finding = '{}'")
    office.submit(a_finding("other"))  # and the page of similar ones is none that it is in
    office.after(minutes=16)
    calls = [m for m in slack.messages if m.get("reply_broadcast")]
    assert [call["thread_ts"] for call in calls].count(slack.roots()[0]["ts"]) == (0 if revoked else 1)


def test_a_word_on_a_session_that_this_version_does_not_know_stops_no_case_that_is_like_its(
    office, slack, a_finding
) -> None:
    office.submit(a_finding("odd"))
    office.settle()
    execute(office, "UPDATE control_session SET last_word = 'pondered'")
    office.submit(a_finding("plain"))
    office.settle()
    assert any("`plain`" in str(root["blocks"]) for root in slack.roots())


@pytest.mark.parametrize("state", ["noted", "lapsed", "dismissed"])
def test_what_was_not_open_is_not_for_being_unreadable(make_office, slack, a_finding, state) -> None:
    office = make_office(on_call={"*": "S0ONCALL"}, escalate={"after_s": 900})
    office.submit(a_finding(severity="critical"))
    office.settle()
    execute(office, f"UPDATE control_case SET state = '{state}'")
    execute(office, "UPDATE control_finding SET finding = '{}'")
    with office.client("root", "admin") as root:
        root.protect("acme", "sess_1", protected=True, reason="looked at")
    office.after(minutes=20)
    assert calls(slack) == 0


def test_a_revocation_of_guardians_that_lapses_calls_nobody_for_being_unreadable(
    make_office, slack, a_finding
) -> None:
    office = make_office(on_call={"*": "S0ONCALL"}, escalate={"after_s": 900})
    office.enforce()
    office.submit(a_finding(severity="critical", wanted=Effect.REVOKE, hard=True))
    office.settle()
    before = calls(slack)
    execute(office, "UPDATE control_finding SET finding = '{}'")
    with office.deps.store.read() as rows:
        entry = rows.ledger.live_entry("acme", "sess_1")
    assert entry is not None, "it was revoked"
    office.clock.pass_(seconds=(entry.expires_at - office.clock()).total_seconds() + 2)
    assert sweep(office.deps) == 1
    office.after(minutes=20)
    assert calls(slack) == before


def test_a_write_that_this_version_cannot_read_is_made_anew_and_stops_no_others(office, slack, a_finding) -> None:
    office.submit(a_finding("first", severity="critical"))
    slack.troubles.append("500")
    assert office.worker.step()
    execute(office, """UPDATE control_case SET step = replace(step, '"verb":', '"hue": 1, "verb":')""")
    office.submit(a_finding("second"))
    with capture_logs() as lines:
        office.after(minutes=1)
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["case_unreadable"]
    assert len(slack.roots()) == 2


def calls(slack) -> int:
    return len([m for m in slack.messages if m.get("reply_broadcast")])


@pytest.mark.parametrize("before", ["dismissed", "revoked"])
def test_what_is_found_after_people_were_done_with_it_is_open_though_it_cannot_be_read(
    make_office, slack, a_finding, before
) -> None:
    office = make_office(on_call={"*": "S0ONCALL"}, escalate={"after_s": 900})
    office.submit(a_finding(severity="critical"))
    office.settle()
    with office.client("rita", "responder") as rita, office.client("lee", "approver") as lee:
        if before == "dismissed":
            rita.judge(a_finding().id, "false_positive", reason="fine")
        else:
            rita.revoke("acme", "sess_1", reason="seen")
    office.after(minutes=1)
    execute(office, "UPDATE control_finding SET finding = '{}'")
    if before == "revoked":
        with office.client("rita", "responder") as rita, office.client("lee", "approver") as lee:
            asked = rita.reinstate("acme", "sess_1", reason="was ours")
            lee.decide_approval(asked.approval.id, "approve", reason="yes")
    office.after(minutes=20)
    assert calls(slack) == 0
    office.submit(a_finding(epoch=1, n=0, severity="critical", time=office.clock()))
    execute(office, "UPDATE control_finding SET finding = '{}'")
    office.after(minutes=20)
    assert calls(slack) == 1
