"""What an evaluation found, as values that print as JSON or as a table."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from guardian.domain.text import plain
from guardian.evaluation.metrics import RATES, Separation

_DOMAINS = 20  # so many are printed
_LONGEST = 200
_NO_CELL = r"\|"


@dataclass(frozen=True, slots=True)
class Row:
    """One scorer at one level (`action` or `session`) in one domain, None for all of them together."""

    scorer: str
    level: str
    domain: str | None
    found: Separation

    @property
    def shown_domain(self) -> str:
        """A domain may be called so, too; the row of all of them comes first."""
        return "all" if self.domain is None else self.domain


@dataclass(frozen=True, slots=True)
class Report:
    """Rows in the order they were measured. `excluded` counts the actions of which nobody is sure."""

    rows: tuple[Row, ...]
    sessions: int
    excluded: int
    seed: int

    def row(self, scorer: str, level: str = "action", domain: str | None = None) -> Row:
        """The one row that is asked for; KeyError names what there is."""
        for row in self.rows:
            if (row.scorer, row.level, row.domain) == (scorer, level, domain):
                return row
        raise KeyError(
            f"no row {scorer}/{level}/{domain or 'all'}; there are "
            + ", ".join(sorted({f"{r.scorer}/{r.level}/{r.shown_domain}" for r in self.rows}))
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data; a value that is not defined is null."""
        rows = [
            {
                "scorer": row.scorer,
                "level": row.level,
                "domain": row.shown_domain,
                **measured(row.found),
            }
            for row in self.rows
        ]
        plain: dict[str, Any] = finite(
            {"rows": rows, "sessions": self.sessions, "excluded": self.excluded, "seed": self.seed}
        )
        return plain

    def lines(self) -> Iterator[str]:
        """A Markdown table, by domain too where those are not too many to read."""
        domains = {row.domain for row in self.rows} - {None}
        head = ("scorer", "level", "domain", "distinct honest / drift (acts)", "AUC")
        yield from table(
            (*head, *(f"recall @ {100 * rate:g} %" for rate in RATES)),
            (
                (r.scorer, r.level, r.shown_domain, f"{r.found.benign} / {r.found.drift} ({r.found.acts})",
                 *shown(r.found))
                for r in self.rows
                if r.domain is None or len(domains) <= _DOMAINS
            ),
        )  # fmt: skip
        if len(domains) > _DOMAINS:
            yield from ("", f"There are {len(domains)} domains: `--json` has the rows of each.")


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Lines of Markdown. Tenants and data sets name themselves: in no cell anything steers or ends it."""
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(plain(cell, _LONGEST).replace('|', _NO_CELL) for cell in row)} |"


def measured(found: Separation) -> dict[str, Any]:
    """A separation as plain data, recall by its rate."""
    recall = {f"{rate:g}": asdict(value) for rate, value in zip(RATES, found.recall, strict=True)}
    counts = {"benign": found.benign, "drift": found.drift, "acts": found.acts}
    return {**counts, "auc": asdict(found.auc), "recall": recall}


def shown(found: Separation) -> list[str]:
    """The cells of a table: AUC, then recall at each rate, with their intervals; a dash where undefined."""
    return [
        "-" if math.isnan(v.value) else f"{v.value:.3f} [{v.low:.2f}, {v.high:.2f}]"
        for v in (found.auc, *found.recall)
    ]


def finite(value: Any) -> Any:
    """Plain data for JSON, which has finite numbers only: what is not defined, or without end, is null."""
    match value:
        case dict():
            return {key: finite(item) for key, item in value.items()}
        case list():
            return [finite(item) for item in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
