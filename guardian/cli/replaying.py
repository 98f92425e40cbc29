"""backtest, verify: a proposal against what the archive holds, before it is merged and after."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from guardian.cli.common import FAULT, ConfigOption, JsonOption, other_file, print_json, progress, settings_from
from guardian.cli.showing_proposals import FolderArgument, keep_to, show_backtest, show_verified
from guardian.cli.windows import ArchiveOption, days_of, moment_of
from guardian.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    for command in (backtest, verify):
        app.command()(command)


def backtest(
    folder: FolderArgument,
    window: Annotated[
        str | None, typer.Option("--window", help="The last 90d, 13w, …; default: the proposal's own window.")
    ] = None,
    examples: Annotated[
        Path | None, typer.Option("--examples", help="Write every newly denied call here, one JSON line each.")
    ] = None,
    fail_over: Annotated[
        float | None,
        typer.Option(
            "--fail-over",
            min=0,
            max=1,
            help="Exit 1 if more than this share of honest calls is denied, or may be; over its own window also "
            "by the bound for sessions to come, as `propose`.",
        ),
    ] = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay the archive under a proposal and report what changes, after people edited it or time went by.

    Its proposal.json is replayed. Remove restrictions or change limits there at will, and in the policies and
    patches beside it: where one says something else, nothing is replayed. An id says for whom and about what a
    restriction is, not its limits: one that does not fit is refused. Over its own window the calls are those that
    it was made from, and few are denied by construction: --window after its end shows what it costs.

    Example: guardian backtest proposals/acme --fail-over 0.05
    """
    from guardian.bootstrap.archiving import open_archive
    from guardian.bootstrap.clock import utc_now
    from guardian.commands.output import writer
    from guardian.commands.proposals import backtest_proposal, the_proposal

    settings = settings_from(config, required=archive is None)
    days = None if window is None else days_of(window)
    proposal = the_proposal(folder)
    own = None if days is not None and utc_now() - days >= proposal.until else proposal
    promise = None if own is None else own.promised
    opened = open_archive(settings, archive)
    if examples is not None:
        _outside(folder if folder.is_dir() else folder.parent, examples)
    with (
        progress("replaying") as update,
        nullcontext() if examples is None else writer(examples, private=True) as write,
    ):
        tested = backtest_proposal(settings, opened, folder, update, window=days, write_example=write)
    if as_json:
        print_json(tested.as_json() | {"promised": None if promise is None else promise._asdict()})
    else:
        show_backtest(tested, own, wholly=days is None)
    if fail_over is not None:
        keep_to(fail_over, tested, own)
    if tested.newly_allowed:
        raise typer.Exit(FAULT)


def verify(
    folder: FolderArgument,
    since: Annotated[
        str | None, typer.Option("--since", help="When it was merged, ISO 8601; default: when it was made.")
    ] = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what became of a merged proposal: which denials followed, and was the work honest?

    Exits 1 if it refused honest work, or where nobody knows.

    Example: guardian verify proposals/acme --since 2026-06-01
    """
    from guardian.bootstrap.archiving import open_archive
    from guardian.commands.proposals import verify_proposal

    settings = settings_from(config, required=archive is None)
    found = verify_proposal(settings, open_archive(settings, archive), folder, moment_of(since))
    show_verified(found, as_json=as_json)
    if found.denied_honest:
        typer.echo("honest work breaks: take these restrictions back, or dismiss/confirm their sessions", err=True)
    elif found.unknown:
        typer.echo(
            "honest calls were refused that the proposal refuses under some parent, and the archive does not hold "
            "theirs: nobody knows whether honest work breaks",
            err=True,
        )
    if found.denied_honest or found.unknown:
        raise typer.Exit(FAULT)


def _outside(folder: Path, examples: Path) -> None:
    """Raises ConfigurationError for a file in the proposal's folder, where it would be a part of it."""
    if str(examples) != "-" and other_file(examples).resolve().is_relative_to(folder.resolve()):
        raise ConfigurationError(f"{examples} is within the proposal that is read; name a file elsewhere")
