"""score, replay."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from guardian.cli.common import (
    UNREADABLE,
    ConfigOption,
    JsonOption,
    existing_file,
    hint_format,
    other_file,
    print_json,
    progress,
    say_if_empty,
    settings_from,
)
from guardian.domain.text import counted


def register(app: typer.Typer) -> None:
    app.command()(score)
    app.command()(replay)


def score(
    file: Annotated[Path, typer.Argument(help="A log in source.format, or session lines; .gz too; - is stdin.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the verdicts go; - is stdout.")] = Path(
        "-"
    ),
    config: ConfigOption = None,
) -> None:
    """Score every action of a file without side effects, one JSON line each, in input order.

    A line that cannot be read becomes {"line", "error"} and the exit code is 3; all others are scored.

    Example: guardian score sessions.jsonl.gz -o verdicts.jsonl
    """
    from guardian.commands.offline import score_file

    settings = settings_from(config, required=False)
    other_file(output, existing_file(file))
    with progress("scoring", of_bytes=True) as update:
        outcome = score_file(settings, file, output, update)
    refused = sum(outcome.refused.values())
    typer.echo(f"{counted(outcome.scored, 'action')} scored, {counted(refused, 'line')} refused", err=True)
    say_if_empty(file, outcome.records)
    hint_format(settings, file, decisions=outcome.scored, refused=outcome.refused)
    if refused:
        raise typer.Exit(UNREADABLE)


def replay(
    file: Annotated[Path, typer.Argument(help="A log in source.format; .gz too; - is stdin.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a log as the monitor would, against a scratch store, and print the findings.

    A gateway that `gateways` does not entitle is refused, as by the monitor; where it lists none, any is believed.
    Left out: baselines (nothing is learnt), what control or a topic knows of envelopes, and the fuse.

    Nothing is sent anywhere. With --json one line per finding. Example: guardian replay decisions.jsonl --json
    """
    from guardian.cli.tables import show_findings, show_replay
    from guardian.commands.offline import replay_file

    settings = settings_from(config, required=False)
    with progress("replaying", of_bytes=True) as update:
        outcome = replay_file(settings, existing_file(file), update)
    if as_json:
        for finding in outcome.findings:
            print_json(finding)
    else:
        show_findings(outcome.findings)
    show_replay(outcome)
    say_if_empty(file, outcome.records)
    refused = Counter(code for _, code, _ in outcome.dead_letters)
    hint_format(settings, file, decisions=outcome.decisions, refused=refused)
    if outcome.dead_letters:
        raise typer.Exit(UNREADABLE)
