"""The columns of every frame: name, dtype and meaning. Columns are added, never renamed or taken away.

Times are UTC. `one_in` says that at most one in so many honest sessions gathers this much evidence, where it is
`promised`; else it is estimated. Scores lie in [0, 1] and higher is further from the declared purpose. Names (`N`)
are safe to join by, text (`T`) is for reading; lists are tuples and maps are dicts, None where the log did not
say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from guardian.analysis import neutral

Kind = Literal["name", "text", "names", "time", "number", "count", "truth", "map"]

DTYPES: dict[Kind, str] = {
    "name": "string",
    "text": "string",
    "names": "object",
    "time": "datetime64[us, UTC]",
    "number": "float64",
    "count": "Int64",
    "truth": "boolean",
    "map": "object",
}
"""The pandas dtype of each kind of column."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a frame."""

    name: str
    kind: Kind
    meaning: str

    @property
    def dtype(self) -> str:
        return DTYPES[self.kind]


_WHO = (
    Column("tenant_id", "name", "whose session it is"),
    Column(
        "session_id", "name", "unique within its tenant, except `window:…`: that one begins anew after a pause"
    ),
)
_FOR_WHAT = (
    Column("agent_id", "name", "who acted"),
    Column("delegator_id", "name", "on whose behalf"),
    Column("parent_session_id", "name", "the session that delegated to this one"),
    Column("task_id", "name", "the task that sessions share"),
    Column("purpose", "text", "as declared"),
    Column("purpose_family", "text", "the purpose without names and numbers"),
)
_EVIDENCE = (
    Column("score", "number", "fused signals, in [0, 1]"),
    Column("one_in", "number", "one in so many honest sessions gets here: at most, if promised"),
    Column("promised", "truth", "whether the calibration covers one_in; else it is estimated"),
)

EVENTS: tuple[Column, ...] = (
    *_WHO,
    Column("begin", "time", "its session's first call in the window; see `sessions.begins`"),
    Column("act", "count", "which call of its session within the window, from 1"),
    Column("at", "time", "when, as guardian believes"),
    Column("decision_id", "name", "the gateway's name of the decision"),
    Column("gateway", "name", "which gateway decided"),
    *_FOR_WHAT,
    Column("tool", "name", "what was called"),
    Column("arguments", "text", "JSON, after redaction; missing: not logged; a text, ~cut: too long to be kept"),
    Column("resource_type", "name", "what kind of thing was acted upon"),
    Column("resource_id", "name", "which one"),
    Column("data_classes", "names", "asked for or returned"),
    Column("records", "count", "the larger of asked for and returned"),
    Column("effect", "name", "allow or deny, by the gateway"),
    Column("reason", "text", "the gateway's"),
    *_EVIDENCE,
    Column("p_value", "number", "share of honest calls at least this far out"),
    Column("session_evidence", "number", "log10 of the session's odds against honesty after this call"),
    Column("step", "number", "by how much the call moved it; missing: an older guardian did not keep that"),
    Column("signals", "map", "signal -> value in [0, 1]; silent ones are left out"),
    Column("breaches", "names", "rules of the envelope or the delegation that the call broke"),
    Column("features_missing", "names", "what the log did not carry"),
    Column("finding_id", "name", "the drift finding that this call led to"),
    Column("wanted", "name", "what that finding asked for: none, flag, revoke"),
    Column("allowed_tools", "names", "of the envelope"),
    Column("constraints", "text", "of the envelope, JSON"),
    Column("expires_at", "time", "of the envelope"),
    Column("model", "name", "version of the drift model"),
    Column("calibration", "name", "version of the calibration"),
    Column("origin", "name", "live, or import for history that was back-filled"),
)

SESSIONS: tuple[Column, ...] = (
    *_WHO,
    *_FOR_WHAT,
    Column("gateway", "name", "of its first call"),
    Column("begin", "time", "its first call in the window"),
    Column("end", "time", "its last call in the window"),
    Column("actions", "count", "calls in the window"),
    Column("denied", "count", "of these, refused by the gateway"),
    Column("tools", "names", "the distinct tools it called, in order"),
    Column("records", "count", "records asked for or returned, summed; missing: no call said"),
    *_EVIDENCE,
    Column("session_evidence", "number", "log10, the most that it reached"),
    Column("breaches", "names", "every rule it broke, each once"),
    Column("findings", "count", "drift findings"),
    Column("finding_ids", "names", "of these"),
    Column("wanted", "name", "the most that a finding asked for"),
    Column("flagged_at", "time", "when the first finding was made"),
    Column("word", "name", "the last thing people said of it, if any"),
    Column("word_at", "time", "when they said it"),
    Column("verdict", "name", "confirmed, if not taken back, or false_positive, if no finding came after it"),
    Column("calibration", "name", "version of the calibration at its end"),
)

FINDINGS: tuple[Column, ...] = (
    Column("finding_id", "name", "fnd_..."),
    *_WHO,
    Column("at", "time", "when"),
    Column("kind", "name", "drift, gateway, hygiene, ..."),
    Column("wanted", "name", "what it asked for: flag or revoke"),
    Column("severity", "name", "info to critical; only from control"),
    Column("title", "text", "in one sentence; only from control"),
    Column("agent_id", "name", "who acted"),
    Column("delegator_id", "name", "on whose behalf"),
    Column("purpose", "text", "as declared"),
    Column("tool", "name", "the call that led to it"),
    Column("arguments", "text", "of that call"),
    Column("argument", "text", "the argument that mattered most; only from control"),
    *_EVIDENCE,
    Column("signals", "map", "signal -> value in [0, 1]"),
    Column("kinds", "count", "of these, strong enough by themselves; only from control"),
    Column("breaches", "names", "broken rules"),
    Column("effect", "name", "what policy let guardian do; only from control"),
    Column("would_revoke", "truth", "only the mode stood in the way; only from control"),
    Column("mode", "name", "shadow, canary or enforce at that time; only from control"),
    Column("policy_ids", "names", "the policies that decided; only from control"),
    Column("note", "text", "policy's answer in words; only from control"),
    Column("verdict", "name", "false_positive, benign or confirmed; only from control"),
)

FEEDBACK: tuple[Column, ...] = (
    *_WHO,
    Column("finding_id", "name", "the finding judged; missing where the archive does not know it"),
    Column("label", "name", "false_positive, benign or confirmed"),
    Column("drift", "count", "1 for confirmed, else 0; missing: it says nothing of what the session did"),
    Column("rule", "truth", "confirmed for a broken rule alone, where the finding judged is known"),
    Column("judged_at", "time", "when"),
    Column("judged_by", "name", "who; only from control"),
    Column("reason", "text", "why; only from control"),
)

PROPOSALS: tuple[Column, ...] = (
    Column("restriction_id", "name", "rst_..."),
    Column("tenant_id", "name", "whose agents"),
    Column("purpose", "text", "the purpose family it is about"),
    Column("role", "name", "the agent without its instance number"),
    Column("parent_role", "name", "who delegates to it"),
    Column("kind", "name", "of rule"),
    Column("says", "text", "the rule in words"),
    Column("why", "text", "what it rests on"),
    Column("sessions", "count", "honest sessions of the scope in the window"),
    Column("denied_at_most", "number", "95 % bound on the share of future honest sessions touched"),
    Column("held_out", "count", "honest sessions it was tested on and not made from"),
    Column("held_out_broken", "count", "of these, how many it would have touched"),
    Column("honest_denied", "count", "honest calls newly denied in the backtest"),
    Column("flagged_denied", "count", "calls of flagged sessions newly denied in the backtest"),
)


def frame(rows: Any, columns: tuple[Column, ...], *, raw: bool = False) -> pd.DataFrame:
    """`rows` (a frame, or anything that makes one) with exactly these columns and their dtypes.

    `raw` says that the text comes from outside and is to be made safe; what was made safe once stays as it is.
    """
    given = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
    made = {column.name: _column(given, column, raw) for column in columns}
    return pd.DataFrame(made, index=given.index).reset_index(drop=True)


def _column(given: pd.DataFrame, column: Column, raw: bool) -> pd.Series:
    if column.name not in given:
        return pd.Series([None] * len(given), index=given.index, dtype="object").astype(column.dtype)
    values = given[column.name]
    match column.kind:
        case "name" | "text":
            safe = neutral.name if column.kind == "name" else neutral.text
            return (_safe(values, safe) if raw else values).astype(column.dtype)
        case "names":
            told = [_tuple(value) for value in values]
            shown = {names: tuple(map(neutral.name, names)) for names in set(told) if names} if raw else {}
            made = [names if names is None else shown.get(names, names) for names in told]
            return pd.Series(made, index=given.index, dtype=column.dtype)
        case "time":
            return pd.to_datetime(values, utc=True).astype(column.dtype)
        case _:
            return values.astype(column.dtype)


def _safe(values: pd.Series, make_safe: Callable[[str], str]) -> pd.Series:
    """Each distinct value once: names repeat from row to row."""
    return values.map({value: make_safe(str(value)) for value in values.dropna().unique()})


def _tuple(values: Any) -> tuple[str, ...] | None:
    missing = values is None or isinstance(values, float)  # pandas may spell a missing list NaN
    return None if missing else tuple(map(str, values))
