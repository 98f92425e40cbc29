"""A session explained."""

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from guardian.analysis import explain, open_archive, plots
from guardian.analysis.explaining import TIMELINE, _depths
from guardian.demo.scenario import Plant
from guardian.errors import ConfigurationError


def of(planted, plant):
    return [session for session, kind in planted.items() if kind is plant][-1]


def test_it_says_what_for_what_moved_it_and_what_policy_and_people_said(archive, control, planted):
    session = of(planted, Plant.RENEWAL_SLIDE)
    told = str(explain(archive, session, control))
    assert told.startswith(f"{session} of tenant_acme: agent_renewal_review for user_")
    assert "Declared purpose: review_customer_contract_for_renewal_risk" in told
    assert "1 refused by the gateway" in told
    assert "Call 5, email.send: odds against honesty × " in told
    assert "purpose_fit" in told
    assert "guardian asked to revoke, policy: revoke" in told
    assert "people or policy said: revoked" in told


def test_the_call_that_changed_the_verdict_stands_out(archive, control, planted):
    found = explain(archive, of(planted, Plant.RENEWAL_SLIDE), control)
    assert tuple(found.timeline.columns) == TIMELINE
    assert found.timeline.loc[found.timeline["step"].idxmax(), "tool"] == "email.send"
    evidence = found.events["session_evidence"]
    assert found.timeline["effect"].iloc[-1] == "deny", "once it was revoked, which adds nothing"
    assert found.timeline["step"].sum() == pytest.approx(evidence.iloc[-2])
    assert found.timeline["title"].dropna().tolist() == ["Actions no longer fit the declared purpose"]


def test_broken_rules_and_the_delegation_are_named(archive, planted):
    found = explain(archive, of(planted, Plant.COPIED_AUTHORITY))
    told = str(found)
    assert "It broke a rule of its envelope or delegation: copied_authority" in told
    assert list(found.chain["depth"]) == [0, 1]
    parent, child = found.chain["session_id"]
    assert f"Delegation: {parent} → {child}" in told
    assert set(found.allowed(child)) == set(found.allowed(parent))  # that is what is wrong with it
    assert found.allowed("nobody") == ()


def test_a_parent_is_explained_with_what_it_delegated_to(archive, planted):
    child = explain(archive, of(planted, Plant.COPIED_AUTHORITY))
    parent = explain(archive, child.chain["session_id"][0])
    assert list(parent.chain["session_id"]) == list(child.chain["session_id"])


def test_without_control_it_says_what_the_archive_knows(archive, planted):
    found = explain(archive, of(planted, Plant.SLOW_DRIFT))
    assert len(found.findings) >= 2
    assert "guardian asked to revoke" in str(found)
    assert "policy:" not in str(found)


def test_a_row_of_the_sessions_frame_will_do(archive, sessions):
    row = sessions.iloc[0]
    assert explain(archive, row).session["session_id"] == row["session_id"]


def test_a_delegation_that_closes_on_itself_ends(lay):
    lay(session_id="a", parent_session_id="b")
    root = lay(session_id="b", parent_session_id="a")
    chain = explain(open_archive(root, tenant="acme"), "a").chain
    assert sorted(chain["session_id"]) == ["a", "b"]


def test_sessions_below_one_parent_are_told_beside_each_other(lay):
    lay(session_id="root")
    for n in range(7):
        lay(session_id=f"c{n}", parent_session_id="root")
    found = explain(open_archive(lay(session_id="below", parent_session_id="c1"), tenant="acme"), "root")
    assert "Delegation: root → c0, c1, c2, c3, c4 and 2 more → below" in str(found)
    assert list(found.chain["depth"]) == [0, *[1] * 7, 2]


def test_the_depths_of_thousands_of_delegations_are_found_from_either_end():
    names = [f"s{n}" for n in range(20_000)]
    line = pd.DataFrame({"session_id": names, "parent": [None, *names[:-1]]})
    for session in (names[0], names[-1]):
        assert _depths(line, session) == {name: depth for depth, name in enumerate(names)}
    star = pd.DataFrame({"session_id": names, "parent": [None, *["s0"] * 19_999]})
    assert _depths(star, "s0") == dict.fromkeys(names, 1) | {"s0": 0}


def test_a_session_of_which_little_is_known_is_explained_too(lay):
    root = lay(
        agent_id=None, purpose=None, purpose_family=None, arguments=None, signals=None, breaches=None,
        allowed_tools=None, session_evidence=0.5, one_in=3.0,
    )  # fmt: skip
    told = str(explain(open_archive(root, tenant="acme"), "s1"))
    assert "somebody for u" in told
    assert "Declared purpose: none" in told
    assert "(nothing by itself)" in told


def test_a_session_that_is_as_frequent_as_any_is_not_said_to_be_rare(lay):
    told = str(explain(open_archive(lay(session_evidence=0.2, one_in=1.9), tenant="acme"), "s1"))
    assert "Its evidence is nothing unusual" in told
    assert "1 in " not in told


@pytest.mark.parametrize(
    ("promised", "says"),
    [
        (True, "at most 1 in 2,340 honest sessions gathers as much evidence (covered by the calibration)"),
        (
            False,
            "an estimated 1 in 2,340 honest sessions gathers as much evidence (not covered by the calibration)",
        ),
    ],
)
def test_at_most_is_said_of_what_is_promised_alone(lay, promised, says):
    root = lay(session_evidence=3.4, one_in=2345.6, promised=promised)
    told = str(explain(open_archive(root, tenant="acme"), "s1"))
    assert f"At its worst {says}" in told
    assert told.count("at most") == promised


def test_a_session_whose_beginning_the_archive_does_not_have_is_explained_and_drawn(lay):
    """Its first call there brings all the evidence that was gathered before."""
    lay(session_evidence=390.0, one_in=5e11)
    explained = explain(open_archive(lay(session_evidence=391.0, one_in=5e11), tenant="acme"), "s1")
    assert "odds against honesty × 1,000,000,000 or more" in str(explained)
    assert "At its worst at most 1 in 1,000,000,000 or more honest sessions" in str(explained)
    assert plots.plot_steps(explained)._repr_png_()


def test_a_session_of_several_days_is_told_with_the_day_of_everything(lay):
    lay(at=datetime(2026, 5, 12, 23, 50, tzinfo=UTC))
    root = lay(at=datetime(2026, 5, 14, 0, 10, tzinfo=UTC), finding_id="fnd_1", wanted="flag")
    told = str(explain(open_archive(root, tenant="acme"), "s1"))
    assert "2026-05-12 23:50:00 to 2026-05-14 00:10:00 UTC" in told
    assert "2026-05-14 00:10:00 guardian asked to flag" in told


def test_the_evidence_that_a_call_brought_is_not_its_neighbours_where_they_came_in_another_order(lay):
    """The payment came before the read, and its gateway's clock says otherwise."""
    lay(tool="crm.read", session_evidence=0.0, step=0.0)
    lay(tool="contracts.read", session_evidence=1.75, step=-0.25)
    root = lay(tool="payments.create", session_evidence=2.0, step=2.0)
    timeline = explain(open_archive(root, tenant="acme"), "s1").timeline
    assert list(timeline["step"]) == [0.0, -0.25, 2.0]
    lay(session_id="old", session_evidence=0.5)  # archived before that was kept
    root = lay(session_id="old", session_evidence=2.0)
    assert list(explain(open_archive(root, tenant="acme"), "old").timeline["step"]) == [0.5, 1.5]


def test_an_unknown_session_is_told(archive):
    with pytest.raises(ConfigurationError, match="no such session in this archive"):
        explain(archive, "sess_nowhere")


def test_times_in_an_explanation_are_utc(archive, sessions):
    found = explain(archive, sessions["session_id"].iloc[0])
    assert "UTC" in str(found)
    assert found.timeline["at"].dt.tz is not None
    assert isinstance(found.session["begin"], pd.Timestamp)


def test_findings_before_the_first_and_after_the_last_archived_call_are_told(lay, control):
    root = lay(session_id="s1", at=datetime(2026, 5, 12, 12, tzinfo=UTC))
    view = next(each for each in control.views if each.finding.act)
    times = [datetime(2026, 5, day, 12, tzinfo=UTC) for day in (11, 12, 13)]
    views = tuple(
        view.model_copy(
            update={
                "finding": view.finding.model_copy(
                    update={"id": f"fnd_{n}", "tenant_id": "acme", "session_id": "s1", "time": at}
                )
            }
        )
        for n, at in enumerate(times)
    )
    found = explain(open_archive(root, tenant="acme"), "s1", replace(control, views=views))
    assert list(found.findings["finding_id"]) == ["fnd_0", "fnd_1", "fnd_2"]
    assert "2026-05-13 12:00:00 guardian asked to" in str(found)
