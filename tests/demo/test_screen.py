"""What a person sees while the demo runs."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from guardian.demo.outcome import Catch, Outcome
from guardian.demo.scenario import Plant, Scenario
from guardian.demo.screen import Screen
from guardian.domain.finding import Effect, Finding, Kind, NamedBreach
from guardian.wire.findings import FindingOutcome, FindingView


def test_the_newest_news_are_seen_on_a_small_terminal_too() -> None:
    seen = io.StringIO()
    console = Console(file=seen, force_terminal=True, width=80, height=24, color_system=None)
    with Screen(console, 100) as screen:
        for number in range(20):
            screen.say(f"flagged  sess_{number} (agent_clause_classifier) at contracts.read: {'why ' * 12}")
    last = seen.getvalue().rpartition("╭")[2]
    assert "sess_19 " in last
    assert "sess_2 " not in last
    assert len(last.partition("╯")[0].splitlines()) <= console.height


@pytest.mark.parametrize("rule", ["copied_authority", "envelope_expired"])
def test_the_name_of_a_broken_rule_is_not_cut_on_a_narrow_terminal(rule: str) -> None:
    at = datetime(2026, 5, 12, tzinfo=UTC)
    made = Finding(
        id="fnd_1", kind=Kind.DRIFT, tenant_id="acme", session_id="s", wanted=Effect.FLAG, severity="high",
        title="Child session kept its parent's full authority", time=at,
        breaches=(NamedBreach(name=rule, detail="", hard=True),),
    )  # fmt: skip
    outcome = FindingOutcome(
        finding_id="fnd_1", tenant_id="acme", session_id="s", wanted=Effect.FLAG, effect=Effect.FLAG,
        mode="shadow", note="", at=at,
    )  # fmt: skip
    planted = [each for each in Scenario(seed=7, sessions=1).plan() if each.plant is not Plant.NONE]
    caught = tuple(Catch(each, (FindingView(finding=made, outcome=outcome),), refused=0) for each in planted)
    for width, told in ((64, ""), (70, f" {rule} ")):
        seen = io.StringIO()
        Screen(Console(file=seen, width=width), 1).show(Outcome(caught, 0, (), 0, 0, 1, ()))
        assert "…" not in seen.getvalue()
        assert told in seen.getvalue()


def test_more_decisions_than_were_planned_are_never_more_than_all() -> None:
    seen = io.StringIO()
    session = Scenario(seed=7, sessions=1).plan()[0]
    with Screen(Console(file=seen, force_terminal=True, width=80, color_system=None), 1) as screen:
        screen.call(session, 0, allowed=True)
        screen.call(session, 0, allowed=False)
    assert "2/2 decisions" in seen.getvalue()
    assert "2/1" not in seen.getvalue()
