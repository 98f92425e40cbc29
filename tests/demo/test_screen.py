"""What a person sees while the demo runs."""

import io

from rich.console import Console

from guardian.demo.screen import Screen


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
