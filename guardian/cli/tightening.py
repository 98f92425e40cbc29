"""propose, backtest, reject: narrower policies for people to merge."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardian.cli.asking import named
from guardian.cli.common import (
    FAULT,
    ConfigOption,
    JsonOption,
    escape,
    other_file,
    print_json,
    progress,
    settings_from,
)
from guardian.cli.windows import ArchiveOption, days_of, moment_of
from guardian.config import Settings
from guardian.domain.text import counted, some, visible
from guardian.errors import ConfigurationError

if TYPE_CHECKING:
    from guardian.commands.tightening import Made
    from guardian.tightening.backtest import Backtest
    from guardian.tightening.proposal import Proposal
    from guardian.tightening.verifying import Verified

_NAMED = 20

RejectionsOption = Annotated[
    Path | None, typer.Option("--rejections", help="What people said no to; default tightening.rejections.")
]


def register(app: typer.Typer) -> None:
    for command in (propose, backtest, reject):
        app.command()(command)


def propose(
    tenant: Annotated[str | None, typer.Option("--tenant", help="For which tenant.", callback=named)] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="Only this purpose.")] = None,
    role: Annotated[str | None, typer.Option("--role", help="Only this agent role.")] = None,
    window: Annotated[
        str | None, typer.Option("--window", help="How far back: 13w, 6m, 1y; default: 90d.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="The window's end, ISO 8601; default: now.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a folder for a pull request; without it the report only.")
    ] = None,
    fail_over: Annotated[
        float | None,
        typer.Option(
            "--fail-over",
            min=0,
            max=1,
            help="Exit 1 if more than this share of honest sessions to come may be touched (95 % bound), or of "
            "the honest calls that it was made from is denied, or may be.",
        ),
    ] = None,
    verify: Annotated[
        Path | None,
        typer.Option(
            "--verify", help="A merged proposal: which denials followed, and was the work honest? Exit 1 if so."
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="With --verify: when it was merged, ISO 8601; default: when made."),
    ] = None,
    own: Annotated[
        bool, typer.Option("--own", help="Guardian's own roles, from the audit trail of its control API.")
    ] = False,
    archive: ArchiveOption = None,
    rejections: RejectionsOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
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
    from guardian.tightening.folder import replaceable

    settings = settings_from(config, required=archive is None)
    if verify is not None:
        others = {
            "--tenant": tenant, "--purpose": purpose, "--role": role, "--window": window, "--until": until,
            "--out": out, "--fail-over": fail_over, "--own": own or None, "--rejections": rejections,
        }  # fmt: skip
        if given := [name for name, value in others.items() if value is not None]:
            raise ConfigurationError(
                f"--verify takes no {' or '.join(given)}: it looks at one proposal as it was merged, and exits 1 "
                "if that refused any honest call"
            )
        _verify(settings, verify, archive, since, as_json=as_json)
        return
    if since is not None:
        raise ConfigurationError("--since goes with --verify; --window says how far back to mine")
    if own and (tenant or purpose or role or until or archive):
        raise ConfigurationError(
            "--own takes no --tenant, --purpose, --role, --until or --archive: it is for guardian's roles, and"
            " reads the audit trail of its control API"
        )
    days = days_of("90d" if window is None else window)
    no = tightening.rejections_file(settings, rejections)
    if out is not None:
        replaceable(out)  # before minutes of mining
    with progress("mining") as update:
        if own:
            made = tightening.propose_own(settings, days, no, update)
        elif tenant is None:
            raise ConfigurationError(
                "say for which tenant: --tenant tenant_acme (or --own for guardian's own roles)"
            )
        else:
            asked = tightening.Asked(tenant, days, purpose, role, moment_of(until))
            made = tightening.propose(settings, open_archive(settings, archive), asked, no, update)
    if out is not None:
        tightening.save(made, out)
    _show_made(made, out, as_json=as_json)
    if fail_over is not None and made.proposal.restrictions:  # without any, nothing is denied
        _keep_to(fail_over, made.proposal.backtest, made.proposal)


def backtest(
    folder: Annotated[Path, typer.Argument(metavar="proposal", help="A folder that `guardian propose` wrote.")],
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
        _show_backtest(tested, own, wholly=days is None)
    if fail_over is not None:
        _keep_to(fail_over, tested, own)
    if tested.newly_allowed:
        raise typer.Exit(FAULT)


def reject(
    folder: Annotated[Path, typer.Argument(metavar="proposal", help="A folder that `guardian propose` wrote.")],
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


def _verify(settings: Settings, folder: Path, archive: Path | None, since: str | None, *, as_json: bool) -> None:
    """Say what became of a merged proposal. Exits 1 if it refused honest work, or nobody knows."""
    from guardian.bootstrap.archiving import open_archive
    from guardian.commands.proposals import verify_proposal

    found = verify_proposal(settings, open_archive(settings, archive), folder, moment_of(since))
    _show_verified(found, as_json=as_json)
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


def _show_verified(found: "Verified", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "replayed": found.replayed,
                "denied_honest": found.denied_honest,
                "honest_sessions": found.honest,
                "honest_sessions_denied": found.broken,
                "denied_flagged": found.denied_flagged,
                "unknown": found.unknown,
                "not_refused": found.passed,
                "by_restriction": found.calls,
                "never_refused": found.idle,
                "examples": [change.as_json() for change in found.examples],
            }
        )
    else:
        typer.echo(
            f"{counted(found.replayed, 'decision')} since: "
            f"{counted(found.denied_flagged, 'call')} of flagged sessions refused, "
            f"{counted(found.denied_honest, 'call')} in {found.broken:,} of "
            f"{counted(found.honest, 'honest session')} of its roles refused, "
            f"{found.unknown:,} refused that could not be judged, "
            f"{found.passed:,} allowed although the proposal refuses them"
        )
        if found.idle:
            never = sorted(found.idle, key=lambda name: -found.idle[name])
            typer.echo(f"of these nothing was refused, so they are not in force, it seems: {some(never, _NAMED)}")
        for change in found.examples[:_NAMED]:
            call = change.placed.call
            line = f"  {call.at.isoformat()} {call.session_id} {call.tool} ({', '.join(change.restrictions)})"
            typer.echo(visible(line))


def _show_made(made: "Made", out: Path | None, *, as_json: bool) -> None:
    """The report, or of a folder that was written what it holds and what the checks say."""
    from guardian.tightening.proposal_json import as_json as told

    proposal = made.proposal
    problems = {name: list(found) for name, found in made.problems.items() if found}
    if as_json:
        folder = None if out is None else str(out)
        print_json({"proposal": told(proposal), "problems": problems, "folder": folder})
    elif out is None:
        typer.echo(escape(made.files["REPORT.md"]))
    else:
        holds = counted(len(proposal.restrictions), "restriction")
        typer.echo(f"{out}: {holds}; read {out}/REPORT.md, merge what you agree with")
        _show_backtest(proposal.backtest, proposal)
        for name, wrong in problems.items():
            for each in wrong:
                typer.echo(escape(f"{name}: {each}"), err=True)


def _show_backtest(tested: "Backtest", own: "Proposal | None", *, wholly: bool = True) -> None:
    """`own` where the calls are those that it was made from, if not `wholly` only a part of them."""
    if own is not None:
        typer.echo(f"honest sessions to come that any of it touches: {own.foretold} (two bounds of 95 %, added)")
    made_from = "" if own is None else f", {'' if wholly else 'in part '}of those that it was made from"
    made_from += "" if own is None else " (few by construction)"
    typer.echo(
        f"{counted(tested.replayed, 'decision')} replayed{made_from}: "
        f"{tested.honest_denied:,} of {counted(tested.honest, 'honest call')} "
        f"newly denied ({_share(tested)}) in {counted(tested.honest_sessions_denied, 'session')}, "
        f"{tested.unusual_denied:,} of them in sessions that guardian found unusual; "
        f"{tested.flagged_stopped:,} of {counted(tested.flagged_sessions, 'flagged session')} stopped; "
        f"{tested.unknown:,} could not be judged; {tested.newly_allowed:,} newly allowed"
    )
    if tested.refused_alike:
        typer.echo(
            f"{counted(tested.refused_alike, 'call')} of honest sessions refused after its own window, as it "
            "refuses them: if it is merged, that is its cost, and `guardian propose --verify` tells more"
        )


def _outside(folder: Path, examples: Path) -> None:
    """Raises ConfigurationError for a file in the proposal's folder, where it would be a part of it."""
    if str(examples) != "-" and other_file(examples).resolve().is_relative_to(folder.resolve()):
        raise ConfigurationError(f"{examples} is within the proposal that is read; name a file elsewhere")


def _share(tested: "Backtest") -> str:
    return "–" if tested.cost is None else f"{tested.cost:.4%}"


def _keep_to(budget: float, tested: "Backtest", own: "Proposal | None") -> None:
    """Exits 1 where honest calls cost more, or may, or those to come by what `own` promises."""
    promise = None if own is None else own.promised
    risky = own is not None and (1.0 if promise is None else promise.at_most) > budget
    if not risky and not tested.over(budget):
        return
    if own is not None and risky and not tested.over(budget):
        told = f"over budget: honest sessions to come that any of it touches: {own.foretold}; {budget:.4%} allowed"
    elif tested.cost is None:
        told = (
            "no honest call that a restriction is about was replayed, so nobody knows the cost: a longer --window"
        )
    else:
        unjudged = f" and {counted(tested.unknown, 'call')} that could not be judged" if tested.unknown else ""
        if tested.refused_alike:
            unjudged += (
                f" and {counted(tested.refused_alike, 'call')} that were refused already, as it refuses them"
            )
        told = f"over budget: {_share(tested)} of honest calls{unjudged}, {budget:.4%} allowed"
    typer.echo(told, err=True)
    raise typer.Exit(FAULT)
