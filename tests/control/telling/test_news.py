"""What one person does alone to many sessions, and what changes who may do what, is told to people, once."""

import pytest

from guardian.control.telling.policy_news import policy_reloaded
from guardian.policy.reload import ReloadOutcome
from guardian.wire.findings import AlertPayload


def told(stage, topic):
    """The queued news of a topic, as (severity, title, detail)."""
    with stage.deps.store.read() as rows:
        alerts = [AlertPayload.model_validate_json(each.payload) for each in rows.feeds.news("alerts", 1000)]
    about = [each.finding for each in alerts if each.finding.reasons[0].signal == topic]
    return [(each.severity, each.title, each.reasons[0].text) for each in about]


def put(stage, mode, percent=None):
    share = {} if percent is None else {"canary_percent": percent}
    body = {"mode": mode, "reason": "quiet please", **share}
    return stage.call("PUT", "/v1/modes/acme", "approver", who="mallory", json=body)


@pytest.mark.parametrize(
    ("mode", "percent", "shown"),
    [
        ("shadow", None, [("high", "mallory changed the mode from enforce to shadow", "0 by itself")]),
        ("canary", 25, [("high", "mallory changed the mode from enforce to canary 25 %", "25 by itself")]),
        ("enforce", None, []),
    ],
)
def test_who_narrows_what_guardian_does_by_itself_is_heard_of(stage, mode, percent, shown):
    stage.enforce()
    assert told(stage, "mode") == [], "what two did was told with the request"
    assert put(stage, mode, percent).status_code == 200
    found = told(stage, "mode")
    assert [each[:2] for each in found] == [each[:2] for each in shown]
    assert all(
        part in text and "quiet please" in text for (*_, text), (*_, part) in zip(found, shown, strict=True)
    )


def test_the_only_person_is_heard_of_who_widens_it_and_a_mode_that_stays_is_no_news(make_stage):
    stage = make_stage(solo=True)
    for _ in range(2):
        assert put(stage, "enforce").status_code == 200
    assert [each[:2] for each in told(stage, "mode")] == [
        ("medium", "mallory changed the mode from shadow to enforce")
    ]


@pytest.mark.parametrize("kind", ["agent", "delegator", "task", "jti"])
def test_who_revokes_or_gives_back_more_than_a_session_is_heard_of(stage, kind):
    path, word = f"/v1/subjects/acme/{kind}/user_1", {"jti": "token"}.get(kind, kind)
    body = {"reason": "its image was altered", "seconds": 30 * 86_400}
    for _ in range(2):
        assert stage.call("POST", f"{path}/revoke", "responder", who="mallory", json=body).status_code == 200
    ((severity, title, detail),) = told(stage, "subject")
    assert (severity, title) == ("medium", f"mallory revoked the {word} user_1")
    assert f"the {word} user_1 may not act until 2026-06-11 12:00 UTC" in detail
    assert "its image was altered" in detail
    back = {"reason": "it is clean"}
    for _ in range(2):
        assert stage.call("POST", f"{path}/reinstate", "approver", who="bob", json=back).status_code == 200
    _, (severity, title, detail) = told(stage, "subject")
    assert (severity, title) == ("high", f"bob reinstated the {word} user_1")
    assert f"the {word} user_1 may act again" in detail


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        (ReloadOutcome("swapped", "p1", "p2", removed=("auto-revoke-never-protected",)), "-auto-revoke-never-pro"),
        (ReloadOutcome("refused", "p1", "p1", reason="a parenthesis is missing"), "a parenthesis is missing"),
        (ReloadOutcome("unchanged", "p1", "p1"), None),
    ],
)
def test_policies_that_changed_are_heard_of_whether_they_are_in_force_or_not(stage, outcome, shown):
    policy_reloaded(stage.deps, outcome)
    found = told(stage, "policy_reload")
    assert [severity for severity, *_ in found] == ["high"] * (shown is not None)
    assert all(shown in detail for *_, detail in found)
    assert ("refused" in str(found)) is (outcome.result == "refused")
    assert [each["result"] for each in stage.audit(action="policyReload")] == [outcome.result]
