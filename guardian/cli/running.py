"""run, watch, serve, demo."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardian.cli.common import (
    FAULT,
    INTERRUPTED,
    UNREADABLE,
    ConfigOption,
    JsonOption,
    existing_file,
    settings_from,
)
from guardian.domain.text import counted

if TYPE_CHECKING:
    from guardian.bootstrap.running import Watched


def register(app: typer.Typer) -> None:
    app.command()(demo)
    app.command()(run)
    app.command()(watch)
    app.command()(serve)


def demo(
    seed: Annotated[int, typer.Option(help="Varies names, wording, order and arguments.")] = 7,
    sessions: Annotated[int, typer.Option(min=6, max=5000, help="Honest sessions among the planted ones.")] = 36,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end, until Ctrl-C.")
    ] = False,
    format: Annotated[
        str,
        typer.Option("--format", help="The log format that the gateway writes; `guardian sources` lists them."),
    ] = "guardian",
    as_json: JsonOption = False,
) -> None:
    """Watch guardian catch drifting agents: a local broker, a gateway, the control API and the monitor.

    Ends by itself within about a minute; exit code 1 if a planted drift was missed, an honest session flagged, or
    the monitor did not get through all of it.

    Example: guardian demo --seed 3   (or: guardian demo --format opa)
    """
    typer.echo("Starting a local Kafka-compatible broker, the control API and the monitor,", err=as_json)
    typer.echo("which first learns from last week's honest log, as in shadow mode.", err=as_json)
    from guardian.demo.run import run_demo  # seconds, of which somebody who waits was told

    if not run_demo(seed=seed, sessions=sessions, keep=keep, as_json=as_json, format=format):
        raise typer.Exit(FAULT)


def run(config: ConfigOption = None) -> None:
    """Run monitor and control API in one process. Ctrl-C or SIGTERM stops both in order.

    Example: guardian run -c guardian-home/guardian.yaml
    """
    from guardian.bootstrap.running import run as start

    start(settings_from(config))


def watch(
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", help="Read this log (.gz too; - is stdin) instead of the topic, on from where it was left."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Run the monitor alone: read decisions, judge them, send findings to the control API.

    With --file it ends where the file does, once all is delivered; exit code 3 if some of it was refused, 130 if
    it was stopped before; the same command goes on from there. Of a pipe that is stopped what was read is judged.

    Example: guardian watch -c /etc/guardian/guardian.yaml
    """
    from guardian.bootstrap.running import watch as start

    watched = start(settings_from(config), existing_file(file, or_pipe=True) if file is not None else None)
    if file is None:
        return
    beside = "" if watched.letters is None else f"in {watched.letters}/ and "
    kept = f", kept {beside}by `guardian dlq list`" if watched.refused else ""
    typer.echo(
        f"{counted(watched.decisions, 'decision')} judged, {watched.duplicates:,} came twice, "
        f"{watched.refused:,} could not be read or believed{kept}",
        err=True,
    )
    if left := _left(watched, file):
        typer.echo(left, err=True)
        raise typer.Exit(INTERRUPTED)
    if watched.waiting:
        waiting = counted(watched.waiting, "finding or dead letter waits", "findings or dead letters wait")
        typer.echo(f"all is judged, but {waiting} to be delivered: the same command does that", err=True)
        raise typer.Exit(INTERRUPTED)
    if watched.ended and watched.refused:
        raise typer.Exit(UNREADABLE)


def _left(watched: "Watched", file: Path) -> str:
    """What of the file was not judged; empty where all was. A pipe that is followed need not end."""
    if watched.unread:
        return "stopped before the end of standard input: the same command begins anew, and judges nothing twice"
    if watched.lost:
        lines = counted(watched.lost, "line of the pipe is", "lines of the pipe are")
        return f"stopped: {lines} not judged; the same command cannot read that again"
    if not watched.ended and file.is_file():
        return f"stopped before the end of {file}: the same command goes on from there"
    if watched.unfinished:
        return "the last line is not whole and was left: the same command reads it once it is"
    return ""


def serve(config: ConfigOption = None) -> None:
    """Run the control API alone: policy, revocation list, audit, alerts.

    Example: guardian serve -c /etc/guardian/guardian.yaml
    """
    from guardian.bootstrap.running import serve as start

    start(settings_from(config))
