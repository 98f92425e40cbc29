"""propose, propose-own, reject: narrower policies for people to merge."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardian.cli.asking import named
from guardian.cli.common import ConfigOption, JsonOption, escape, progress, settings_from
from guardian.cli.replaying import verify as verify_merged
from guardian.cli.showing_proposals import FolderArgument, keep_to, show_made
from guardian.cli.windows import ArchiveOption, days_of, moment_of
from guardian.errors import ConfigurationError

if TYPE_CHECKING:
    from guardian.commands.tightening import Made

WindowOption = Annotated[str, typer.Option("--window", help="How far back: 90d, 13w, 6m, 1y.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Write a folder for a pull request; without it the report only.")
]
FailOverOption = Annotated[
    float | None,
    typer.Option(
        "--fail-over",
        min=0,
        max=1,
        help="Exit 1 if more than this share of honest sessions to come may be touched (95 % bound), or of "
        "the honest calls that it was made from is denied, or may be.",
    ),
]
RejectionsOption = Annotated[
    Path | None, typer.Option("--rejections", help="What people said no to; default tightening.rejections.")
]


def register(app: typer.Typer) -> None:
    for command in (propose, propose_own, reject):
        app.command()(command)


def propose(
    context: typer.Context,
    tenant: Annotated[str | None, typer.Option("--tenant", help="For which tenant.", callback=named)] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="Only this purpose.")] = None,
    role: Annotated[str | None, typer.Option("--role", help="Only this agent role.")] = None,
    window: WindowOption = "90d",
    until: Annotated[str | None, typer.Option("--until", help="The window's end, ISO 8601; default: now.")] = None,
    out: OutOption = None,
    fail_over: FailOverOption = None,
    archive: ArchiveOption = None,
    rejections: RejectionsOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verify: Annotated[Path | None, typer.Option("--verify", hidden=True, help="Now `guardian verify`.")] = None,
    since: Annotated[str | None, typer.Option("--since", hidden=True, help="Goes with --verify.")] = None,
    own: Annotated[bool, typer.Option("--own", hidden=True, help="Now `guardian propose-own`.")] = False,
) -> None:
    """Propose the least privilege that agents really need, with evidence and cost. Nothing is applied.

    Tools, data classes, arguments, records, hours and lifetimes that honest sessions did without, by agent role
    and purpose, as envelope patches, Cedar, Rego, Polar and a report; every policy only refuses. Sessions that
    guardian flagged are no evidence of need, unless people dismissed the finding.

    It is told what share of honest sessions to come it may touch at most, all of it together. The calls that are
    replayed are those that it was made from: that none is denied is by construction, and foretells nothing.

    Example: guardian propose --tenant tenant_acme --window 90d --out proposals/acme --fail-over 0.05
    """
    from guardian.bootstrap.archiving import open_archive
    from guardian.commands import tightening

    if verify is not None:
        _renamed(context, "--verify", "verify", "verify since archive config as_json")
        verify_merged(verify, since, archive, config, as_json)
        return
    if own:
        _renamed(context, "--own", "propose-own", "own window out fail_over rejections config as_json")
        propose_own(window, out, fail_over, rejections, config, as_json)
        return
    if since is not None:
        raise ConfigurationError("--since goes with `guardian verify`; --window says how far back to mine")
    if tenant is None:
        raise ConfigurationError(
            "say for which tenant: --tenant tenant_acme (guardian's own roles: `guardian propose-own`)"
        )
    settings = settings_from(config, required=archive is None)
    asked = tightening.Asked(tenant, days_of(window), purpose, role, moment_of(until))
    no = tightening.rejections_file(settings, rejections)
    _replaceable(out)
    with progress("mining") as update:
        made = tightening.propose(settings, open_archive(settings, archive), asked, no, update)
    _done(made, out, fail_over, as_json=as_json)


def propose_own(
    window: WindowOption = "90d",
    out: OutOption = None,
    fail_over: FailOverOption = None,
    rejections: RejectionsOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose the least privilege of guardian's own roles, from the audit trail of its control API.

    Example: guardian propose-own --out proposals/own
    """
    from guardian.commands import tightening

    settings, days = settings_from(config), days_of(window)
    no = tightening.rejections_file(settings, rejections)
    _replaceable(out)
    with progress("mining") as update:
        made = tightening.propose_own(settings, days, no, update)
    _done(made, out, fail_over, as_json=as_json)


def reject(
    folder: FolderArgument,
    restriction: Annotated[str, typer.Argument(help="The restriction's id, rst_...")],
    reason: Annotated[str, typer.Option("--reason", help="Why not; the next reviewer reads it.")],
    owner: Annotated[str, typer.Option("--owner", help="Who says so.")],
    rejections: RejectionsOption = None,
    config: ConfigOption = None,
) -> None:
    """Reject one restriction: it is not proposed again until its evidence changes (twice the sessions).

    Example: guardian reject proposals/acme rst_0123 --reason "auditors need it once a year" --owner maya
    """
    from guardian.commands.proposals import reject_restriction
    from guardian.commands.tightening import rejections_file

    settings = settings_from(config, required=rejections is None)
    path = rejections_file(settings, rejections)
    found = reject_restriction(folder, path, restriction, reason=reason, owner=owner)
    typer.echo(escape(f"{found.id} is remembered in {path}; commit it with the reason"))


def _renamed(context: typer.Context, option: str, command: str, taken: str) -> None:
    """What was an option of `propose` is a command. Raises ConfigurationError for what that does not heed."""
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if (source := context.get_parameter_source(parameter.name or "")) is not None
        and source.name == "COMMANDLINE"
        and parameter.name not in taken.split()
    ]
    if given:
        raise ConfigurationError(f"{option} takes no {' or '.join(given)}; see `guardian {command} --help`")
    typer.echo(f"`propose {option}` is `guardian {command}` now, and will be gone in the next version", err=True)


def _replaceable(out: Path | None) -> None:
    """Raises ProposalError before minutes of mining."""
    from guardian.tightening.folder import replaceable

    if out is not None:
        replaceable(out)


def _done(made: "Made", out: Path | None, fail_over: float | None, *, as_json: bool) -> None:
    from guardian.commands import tightening

    if out is not None:
        tightening.save(made, out)
    show_made(made, out, as_json=as_json)
    if fail_over is not None and made.proposal.restrictions:  # without any, nothing is denied
        keep_to(fail_over, made.proposal.backtest, made.proposal)
