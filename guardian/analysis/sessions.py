"""Decisions folded into sessions, and sessions in the order in which to look at them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pandas as pd

from guardian.analysis.schema import SESSIONS, frame
from guardian.domain.identity import NAMELESS
from guardian.domain.session import HumanWord

KEY = ["tenant_id", "session_id"]
ONE = [*KEY, "begin"]
"""What makes a session one: a name that is made of agent and user only may stand for several."""

IDLE = timedelta(minutes=30)
"""`source.idle_s` where no configuration says another."""

WANTED = {"none": 0, "flag": 1, "revoke": 2}
"""What findings ask for, in order of severity."""

MOST_RECORDS = 2**62
"""The archive's largest number of records of one call, and here of a session: a sum beyond it would overflow."""

_FIRST = (
    "agent_id", "delegator_id", "parent_session_id", "task_id", "purpose", "purpose_family", "gateway",
)  # fmt: skip
FOLDED = frozenset(ONE) | {
    *_FIRST, "at", "effect", "records", "score", "one_in", "session_evidence", "promised", "tool", "breaches",
    "finding_id", "wanted", "calibration",
}  # fmt: skip
"""The columns of `schema.EVENTS` that `sessions_of` reads."""

_CONFIRMED = HumanWord.CONFIRMED.value
_MOST = ("score", "one_in", "session_evidence")


def begins(calls: pd.DataFrame, idle: timedelta) -> pd.Series:
    """For calls in order of time, when the session of each began, as far as these calls know.

    One that is known by agent and user only begins anew after `idle` without a call, as for the monitor.
    """
    pause = calls.groupby(KEY, sort=False)["at"].diff()
    nameless = calls["session_id"].str.startswith(NAMELESS).astype(bool)
    first = pause.isna() | (nameless & (pause > idle))
    return calls["at"].where(first).groupby([calls[key] for key in KEY], sort=False).ffill()


def known_until(row: Mapping[str, Any] | pd.Series) -> Any:
    """Until when a frame's row knows of its session: which of one name it is, is the last that had begun by then.

    None for rows that tell no time.
    """
    return next((row[name] for name in ("end", "at", "begin") if name in row), None)


def spoken_of(told: pd.DataFrame, sessions: pd.DataFrame, *, at: str) -> pd.Series:
    """When the session began that each row of `told` is about; missing where it is not among `sessions`.

    What is called by agent and user only may be several: then it is the one of the finding that was judged, or,
    where none is named, the last that had begun at the time in column `at`.
    """
    asked = told[[*KEY, "finding_id", at]].reset_index(names="row")
    pairs = asked.merge(sessions[[*ONE, "finding_ids"]], on=KEY)
    named = ~pairs["session_id"].str.startswith(NAMELESS).astype(bool)
    judged = zip(pairs["finding_id"].fillna(""), pairs["finding_ids"], strict=True)
    made = pd.Series([finding in ids for finding, ids in judged], pairs.index, dtype="bool")
    begun = pairs["finding_id"].isna() & (pairs["begin"] <= pairs[at])
    return pairs[named | made | begun].groupby("row")["begin"].max().reindex(told.index)


def sessions_of(events: pd.DataFrame, words: pd.DataFrame) -> pd.DataFrame:
    """One row per session, in order of their beginnings; columns `schema.SESSIONS`."""
    if events.empty:
        return frame([], SESSIONS)
    place = events.groupby(ONE, sort=False).ngroup()  # numbers: names are slow to group by
    groups = events.groupby(place)
    rows = groups[[*ONE, *_FIRST]].first()
    rows["end"] = groups["at"].max()
    rows["actions"] = groups.size()
    rows["denied"] = (events["effect"] == "deny").groupby(place).sum()
    total = groups["records"].sum(min_count=1)
    about = events["records"].astype("Float64").groupby(place).sum(min_count=1)
    rows["records"] = total.mask((about > MOST_RECORDS).fillna(value=False), MOST_RECORDS)
    rows[list(_MOST)] = groups[list(_MOST)].max()
    worst = events.assign(place=place).sort_values("one_in", ascending=False, kind="stable")
    rows["promised"] = worst.drop_duplicates("place").set_index("place")["promised"]
    for name, column in (("tools", "tool"), ("breaches", "breaches"), ("finding_ids", "finding_id")):
        rows[name] = pd.Series(_each_once(events[column], place.to_list(), len(rows)), rows.index, dtype="object")
    rows["findings"] = groups["finding_id"].count()
    most = events["wanted"].map(WANTED).fillna(0).astype("int64").groupby(place).max()
    rows["wanted"] = most.map({weight: word for word, weight in WANTED.items()})
    found = events["at"].where(events["finding_id"].notna()).groupby(place)
    rows["flagged_at"] = found.min()
    rows["calibration"] = groups["calibration"].last()
    known = pd.MultiIndex.from_frame(rows[ONE])
    said = words.assign(begin=spoken_of(words, rows, at="at")).dropna(subset="begin")
    said = said.assign(place=known.get_indexer(pd.MultiIndex.from_frame(said[ONE])))
    last = said.drop_duplicates("place", keep="last").set_index("place")
    rows["word"], rows["word_at"] = last["word"], last["at"]
    confirmed_last = said[said["stands"]].sort_values("word", kind="stable", key=lambda word: word == _CONFIRMED)
    judged = confirmed_last.drop_duplicates("place", keep="last").set_index("place")
    rows["verdict"] = judged["word"]
    dismissed = rows["verdict"] == HumanWord.FALSE_POSITIVE.value
    anew = found.max() > judged["at"].reindex(rows.index)
    rows.loc[dismissed & anew, "verdict"] = None
    return frame(rows.sort_values("begin", kind="stable"), SESSIONS)


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


def _each_once(told: pd.Series, places: list[int], count: int) -> list[tuple[str, ...]]:
    """By place, the names, or lists of names, that the rows of it told."""
    found: list[dict[str, None]] = [{} for _ in range(count)]
    for each, place in zip(told, places, strict=True):
        if isinstance(each, str | tuple):  # else it is missing
            found[place].update(dict.fromkeys([each] if isinstance(each, str) else each))
    return [tuple(names) for names in found]
