"""What a person sees while the demo runs."""

import io
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from guardian.demo import run
from guardian.demo.gateway import Trace
from guardian.demo.outcome import Catch, Outcome, Reach, outcome_of
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
        Screen(Console(file=seen, width=width), 1).show(Outcome(caught, 0, (), 0, 0, 1, Reach(1), ()))
        assert "…" not in seen.getvalue()
        assert told in seen.getvalue()


@pytest.mark.parametrize(
    ("reach", "told"),
    [
        (Reach(2, dead_letters=1), "judged 2 of 3 decisions, 1 could not be read; the rest was not waited for"),
        (Reach(3, undelivered=2), "judged 3 of 3 decisions, 2 findings or dead letters wait to be delivered"),
    ],
)
def test_what_was_not_judged_is_not_called_missed(reach: Reach, told: str) -> None:
    plan = [each for each in Scenario(seed=7, sessions=1).plan() if each.plant is not Plant.NONE]
    traces = {plan[0].session_id: Trace(plan[0], decided={"d1": 0.0, "d2": 0.0, "d3": 0.0})}
    outcome = outcome_of(plan, [], traces, reach)
    seen = io.StringIO()
    Screen(Console(file=seen, width=160), 1).show(outcome)
    assert told in seen.getvalue()
    assert f"0 of {len(plan)} planted drifts caught, {len(plan)} not judged" in seen.getvalue()
    assert "missed" not in seen.getvalue()
    shown = outcome.as_json()
    assert (outcome.clean, shown["judged"], shown["decisions"]) == (False, reach.judged, 3)
    missed = outcome_of(plan, [], traces, Reach(3))
    assert (missed.planted[0].effect, missed.clean) == ("missed", False)


def test_the_demo_waits_while_the_monitor_gets_on_and_says_how_far_it_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, judged = [0.0], [0]

    def later(seconds: float) -> None:
        now[0] += seconds
        judged[0] = min(int(now[0] / 20), 8)  # one in 20 s, and then no more

    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=later))
    world: Any = SimpleNamespace(
        metrics=SimpleNamespace(value=lambda _, outcome: judged[0] if outcome == "judged" else 1),
        monitor=SimpleNamespace(store=SimpleNamespace(outbox=SimpleNamespace(depth=lambda: 0))),
    )
    sent: Any = SimpleNamespace(sent=9)
    assert run._settle(world, sent, lambda: False) == Reach(8, dead_letters=1)
    assert 160 <= now[0] < 170
    sent.sent = 10
    assert run._settle(world, sent, lambda: False) == Reach(8, dead_letters=1)
    assert 190 <= now[0] < 200


def test_more_decisions_than_were_planned_are_never_more_than_all() -> None:
    seen = io.StringIO()
    session = Scenario(seed=7, sessions=1).plan()[0]
    with Screen(Console(file=seen, force_terminal=True, width=80, color_system=None), 1) as screen:
        screen.call(session, 0, allowed=True)
        screen.call(session, 0, allowed=False)
    assert "2/2 decisions" in seen.getvalue()
    assert "2/1" not in seen.getvalue()
