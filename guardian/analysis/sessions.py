"""Decisions folded into sessions, and sessions in the order in which to look at them."""

import pandas as pd

from guardian.analysis.schema import SESSIONS, frame
from guardian.domain.session import HumanWord

KEY = ["tenant_id", "session_id"]
WANTED = {"none": 0, "flag": 1, "revoke": 2}
"""What findings ask for, in order of severity."""

MOST_RECORDS = 2**62
"""The archive's largest number of records of one call, and here of a session: a sum beyond it would overflow."""

_FIRST = (
    "agent_id", "delegator_id", "parent_session_id", "task_id", "purpose", "purpose_family", "gateway",
)  # fmt: skip
_MOST = ("score", "one_in", "session_evidence")


def sessions_of(events: pd.DataFrame, words: pd.DataFrame) -> pd.DataFrame:
    """One row per session, in order of their beginnings; columns `schema.SESSIONS`."""
    if events.empty:
        return frame([], SESSIONS)
    groups = events.groupby(KEY, sort=False)
    rows = groups[list(_FIRST)].first()
    rows["begin"], rows["end"] = groups["at"].min(), groups["at"].max()
    rows["actions"] = groups.size()
    rows["denied"] = (events["effect"] == "deny").groupby([events[key] for key in KEY], sort=False).sum()
    total = groups["records"].sum(min_count=1)
    about = events["records"].astype("Float64").groupby([events[key] for key in KEY], sort=False).sum(min_count=1)
    rows["records"] = total.mask((about > MOST_RECORDS).fillna(value=False), MOST_RECORDS)
    rows[list(_MOST)] = groups[list(_MOST)].max()
    worst = events.sort_values("one_in", ascending=False, kind="stable").drop_duplicates(KEY)
    rows["promised"] = worst.set_index(KEY)["promised"]
    rows["tools"] = pd.Series({key: tuple(dict.fromkeys(tools)) for key, tools in groups["tool"]}, dtype="object")
    rows["breaches"] = pd.Series({key: _each_once(broken) for key, broken in groups["breaches"]}, dtype="object")
    rows["findings"] = groups["finding_id"].count()
    weights = events["wanted"].map(WANTED).fillna(0).astype("int64")
    most = weights.groupby([events[key] for key in KEY], sort=False).max()
    rows["wanted"] = most.map({weight: word for word, weight in WANTED.items()})
    found = events[events["finding_id"].notna()].groupby(KEY)["at"]
    rows["flagged_at"] = found.min()
    rows["calibration"] = groups["calibration"].last()
    last = words.drop_duplicates(KEY, keep="last").set_index(KEY)
    rows["word"], rows["word_at"] = last["word"], last["at"]
    judged = words[words["stands"]].set_index(KEY)
    rows["verdict"] = judged["word"]
    dismissed = rows["verdict"] == HumanWord.FALSE_POSITIVE.value
    anew = found.max().reindex(rows.index) > judged["at"].reindex(rows.index)
    rows.loc[dismissed & anew, "verdict"] = None
    return frame(rows.reset_index().sort_values("begin", kind="stable"), SESSIONS)


def ranked(sessions: pd.DataFrame) -> pd.DataFrame:
    """What to look at first: what guardian asked for, then the evidence; what people settled comes last."""
    order = pd.DataFrame(
        {
            "settled": sessions["verdict"].notna(),
            "weight": -sessions["wanted"].map(WANTED).fillna(0).astype("int64"),
            "evidence": -sessions["one_in"].fillna(0.0),
        }
    )
    return sessions.loc[order.sort_values(list(order), kind="stable").index].reset_index(drop=True)


def _each_once(lists: pd.Series) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in lists if names for name in names))
