"""A delegation chain as a table: the relay race made visible."""

from collections.abc import Sequence, Set

from rich.text import Text

from guardian.cli.tables import Row, plain, show_rows
from guardian.domain.text import some
from guardian.tightening.authority import Authority

_NAMED = 6


def show_chain(chain: Sequence[Authority]) -> None:
    """One row a hop, the root first. Tools are counted as held > effective > implied by the purpose."""
    headings = ("session", "agent", "purpose", "tools", "used", "idle", "faults")
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
    show_rows(headings, rows, whole={"tools"})


def _counted(tools: Set[str]) -> str:
    return "no limit" if "*" in tools else str(len(tools))
