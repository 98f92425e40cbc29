"""authority: what the hops of a delegation chain held, and what they used."""

from typing import TYPE_CHECKING, Annotated

import typer

from guardian.cli.asking import named
from guardian.cli.common import ConfigOption, JsonOption, print_json, settings_from
from guardian.cli.tightening import ArchiveOption, WindowOption, days_of
from guardian.errors import ConfigurationError

if TYPE_CHECKING:
    from guardian.tightening.authority import Authority


def register(app: typer.Typer) -> None:
    app.command()(authority)


def authority(
    subject: Annotated[str, typer.Argument(metavar="session|purpose", help="A session's id, or a purpose.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose session or purpose it is.", callback=named)],
    window: WindowOption = "90d",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many chains of a purpose to show.")] = 10,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each hop of a delegation chain could do, where it failed to narrow, and how much of it was used.

    Effective is what the hop and everybody above it held, implied what honest sessions of its purpose use.

    Example: guardian authority sess_42 --tenant tenant_acme
    """
    from guardian.bootstrap.archiving import open_archive
    from guardian.bootstrap.tightening import authority_of
    from guardian.cli.chains import show_chain

    opened = open_archive(settings_from(config, required=archive is None), archive)
    chains = authority_of(opened, subject, tenant_id=tenant, window=days_of(window))
    if not chains:
        raise ConfigurationError(f"{subject!r}: no session and no purpose of {tenant} in the last {window}")
    if as_json:
        print_json([[_hop(each) for each in chain] for chain in chains[:limit]])
        return
    for chain in chains[:limit]:
        show_chain(chain)
    if len(chains) > limit:
        typer.echo(f"{len(chains) - limit:,} more chains; --limit shows more")


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
