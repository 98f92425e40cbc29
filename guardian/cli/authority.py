"""authority: what the hops of a delegation chain held, and what they used."""

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from guardian.cli.asking import named
from guardian.cli.common import ConfigOption, JsonOption, print_json, settings_from
from guardian.cli.windows import ArchiveOption, days_of
from guardian.domain.text import some
from guardian.errors import ConfigurationError

if TYPE_CHECKING:
    from guardian.cli.tables import Row
    from guardian.tightening.authority import Authority

_NAMED = 6
_TOOLS = "tools: held > effective > implied"


def register(app: typer.Typer) -> None:
    app.command()(authority)


def authority(
    subject: Annotated[str, typer.Argument(metavar="session|purpose", help="A session's id, or a purpose.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose session or purpose it is.", callback=named)],
    window: Annotated[str, typer.Option("--window", help="How far back: 90d, 13w, 6m, 1y.")] = "90d",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many chains of a purpose to show.")] = 10,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each hop of a delegation chain could do, where it failed to narrow, and how much of it was used.

    Its tools are counted as held > effective > implied: effective is what the hop and everybody above it held,
    implied what of that honest sessions of its purpose use.

    Example: guardian authority sess_42 --tenant tenant_acme
    """
    from guardian.bootstrap.archiving import open_archive
    from guardian.commands.tightening import authority_of

    settings = settings_from(config, required=archive is None)
    opened = open_archive(settings, archive)
    chains = authority_of(settings, opened, subject, tenant_id=tenant, window=days_of(window))
    if not chains:
        raise ConfigurationError(f"{subject!r}: no session and no purpose of {tenant} in the last {window}")
    if as_json:
        print_json([[_hop(each) for each in chain] for chain in chains[:limit]])
        return
    for chain in chains[:limit]:
        show_chain(chain)
    if len(chains) > limit:
        typer.echo(f"{len(chains) - limit:,} more chains; --limit shows more")


def show_chain(chain: "Sequence[Authority]") -> None:
    """One row a hop, the root first."""
    from guardian.cli.tables import plain, show_rows

    headings = ("session", "agent", "purpose", _TOOLS, "used", "idle", "delegation")
    rows: list[Row] = []
    for depth, each in enumerate(chain):
        hop = each.hop
        implied = "?" if each.implied is None else str(len(each.effective - each.excess))
        faults = Text("; ".join(plain(fault).plain for fault in each.faults), style="red")
        rows.append(
            (
                plain(f"{'  ' * depth}{hop.key.session_id}"),
                plain(hop.agent or "-"),
                plain(hop.purpose),
                f"{_counted(hop.own)} > {_counted(each.effective)} > {implied}",
                f"{each.used_share:.0%} in {hop.calls}",
                plain(some(sorted(each.idle), _NAMED)),
                faults if each.faults else Text("narrowed" if depth else "root"),
            )
        )
    show_rows(headings, rows, whole={_TOOLS})


def _counted(tools: Set[str]) -> str:
    return "no limit" if "*" in tools else str(len(tools))


def _hop(each: "Authority") -> dict[str, object]:
    hop = each.hop
    return {
        "session": hop.key.session_id,
        "delegator": hop.delegator,
        "agent": hop.agent,
        "purpose": hop.purpose,
        "own": sorted(hop.own),
        "effective": sorted(each.effective),
        "implied": None if each.implied is None else sorted(each.implied),
        "excess": sorted(each.excess),
        "used": sorted(hop.used),
        "used_share": each.used_share,
        "calls": hop.calls,
        "denied": hop.denied,
        "faults": list(each.faults),
    }
