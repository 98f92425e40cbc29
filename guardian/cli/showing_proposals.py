"""Proposals and their replays for people and programs, and the exit code that a budget asks for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardian.cli.common import FAULT, escape, print_json
from guardian.domain.text import counted, some, visible

if TYPE_CHECKING:
    from guardian.commands.tightening import Made
    from guardian.tightening.backtest import Backtest
    from guardian.tightening.proposal import Proposal
    from guardian.tightening.verifying import Verified

FolderArgument = Annotated[
    Path, typer.Argument(metavar="proposal", help="A folder that `guardian propose` wrote.")
]
_NAMED = 20


def show_verified(found: "Verified", *, as_json: bool) -> None:
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


def show_made(made: "Made", out: Path | None, *, as_json: bool) -> None:
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
        then = (
            "merge what you agree with" if proposal.restrictions else "which says what too little is known about"
        )
        typer.echo(f"{out}: {holds}; read {out}/REPORT.md, {then}")
        show_backtest(proposal.backtest, proposal)
        for name, wrong in problems.items():
            for each in wrong:
                typer.echo(escape(f"{name}: {each}"), err=True)


def show_backtest(tested: "Backtest", own: "Proposal | None", *, wholly: bool = True) -> None:
    """`own` where the calls are those that it was made from, if not `wholly` only a part of them."""
    if own is not None:
        from guardian.tightening.promise import foretold

        share = foretold(own.promised, "two bounds of 95 %, added")
        typer.echo(f"honest sessions to come that any of it touches: {share}")
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
            "refuses them: if it is merged, that is its cost, and `guardian verify` tells more"
        )


def _share(tested: "Backtest") -> str:
    return "–" if tested.cost is None else f"{tested.cost:.4%}"


def keep_to(budget: float, tested: "Backtest", own: "Proposal | None") -> None:
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
