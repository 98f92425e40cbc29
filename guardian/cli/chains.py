"""A delegation chain as a table: the relay race made visible."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardian.cli.common import escape
from guardian.cli.tables import plain
from guardian.tightening.authority import Authority

_NAMED = 6


def show_chain(chain: Sequence[Authority]) -> None:
    """One row a hop, from the delegator down."""
    table = Table(title=plain(f"for {chain[0].hop.delegator}"), title_justify="left", show_lines=True)
    for heading in (
        "session",
        "agent",
        "purpose",
        "tools: own > effective > implied",
        "used",
        "never used",
        "faults",
    ):
        table.add_column(heading, overflow="fold")
    for depth, each in enumerate(chain):
        hop = each.hop
        implied = "?" if each.implied is None else str(len(each.effective & each.implied))
        table.add_row(
            plain(f"{'  ' * depth}{hop.key.session_id}"),
            plain(hop.agent or "-"),
            plain(hop.purpose),
            f"{len(hop.own)} > {len(each.effective)} > {implied}",
            f"{each.used_share:.0%} in {hop.calls} calls",
            plain(_named(sorted(each.idle))),
            Text(escape("; ".join(each.faults)), style="red")
            if each.faults
            else Text("narrowed" if depth else "root"),
        )
    Console().print(table)


def _named(tools: Sequence[str]) -> str:
    rest = f" and {len(tools) - _NAMED} more" if len(tools) > _NAMED else ""
    return ", ".join(tools[:_NAMED]) + rest
