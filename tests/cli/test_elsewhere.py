"""Commands on the machine that has not what they are about."""

import shlex
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ("dlq list", "watch"),
        ("outbox list", "watch"),
        ("outbox release --all", "watch"),
        ("purposes", "watch"),
        ("token list", "serve"),
        ("token keys", "serve"),
        ("token issue maya --role admin --tenant '*'", "serve"),
        ("alerts list", "serve"),
        ("audit verify", "serve"),
        ("migrate", "serve"),
    ],
)
def test_a_command_on_the_other_machine_says_where_to_ask_and_makes_nothing(
    guardian, tmp_path: Path, command: str, runs: str
) -> None:
    guardian("init", "home")
    home = tmp_path / "home"
    gone = (*(home / "data").iterdir(), home / "keys" / ("seal.key" if runs == "watch" else "signing.jwks.json"))
    for each in gone:
        each.unlink()
    done = guardian(*shlex.split(command), "-c", "home/guardian.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"lies on the machine that runs `guardian {runs}`" in done.stderr
    assert "guardian init" not in done.stderr
    assert list((home / "data").iterdir()) == []
