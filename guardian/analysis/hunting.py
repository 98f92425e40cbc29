"""Where to look when nothing is flagged: near misses, agents whose purposes blur, tools that move."""

from datetime import datetime

import pandas as pd

from guardian.analysis.archived import ArchiveView
from guardian.analysis.meaning import session_vectors
from guardian.analysis.sessions import ONE


def near_misses(sessions: pd.DataFrame, *, from_one_in: float = 20.0) -> pd.DataFrame:
    """Unflagged sessions with the most evidence, the furthest out first."""
    found = sessions[(sessions["findings"] == 0) & (sessions["one_in"] >= from_one_in)]
    return found.sort_values("one_in", ascending=False, kind="stable").reset_index(drop=True)


def blurred(archive: ArchiveView, *, least: int = 5, since: datetime | None = None) -> pd.DataFrame:
    """By agent: how alike its sessions are (`alike`, mean cosine to their centre), and how many purposes it has.

    `oddest` is the session furthest from that centre. An agent that does one thing is near 1; one that is also
    used for something else has an oddest session far out. Agents with fewer than `least` sessions are left out;
    those that nobody logged count as one. The agent with the oddest session comes first.
    """
    known, vectors = session_vectors(archive, since=since)
    rows = []
    for (tenant, agent), group in known.groupby(["tenant_id", "agent_id"], dropna=False):
        if len(group) < least:
            continue
        mine = vectors[group.index]
        centre = mine.mean(axis=0)
        towards = mine @ (centre / max(float((centre @ centre) ** 0.5), 1e-9))
        rows.append(
            {"tenant_id": tenant, "agent_id": agent, "sessions": len(group)}
            | {"purposes": group["purpose_family"].nunique(), "alike": float(towards.mean())}
            | {"oddest": group["session_id"].iloc[int(towards.argmin())], "oddest_alike": float(towards.min())}
        )
    columns = ["tenant_id", "agent_id", "sessions", "purposes", "alike", "oddest", "oddest_alike"]
    return pd.DataFrame(rows, columns=columns).sort_values("oddest_alike", kind="stable").reset_index(drop=True)


def moving_tools(events: pd.DataFrame, *, at: pd.Timestamp) -> pd.DataFrame:
    """Tools by purpose, before and after `at`: share of the purpose's sessions that called them, and the `change`.

    The largest changes first. Purposes that were not served on both sides are left out.
    """
    when = events["at"].lt(at).map({True: "before", False: "after"})
    calls = events.assign(when=when, session=events.groupby(ONE, sort=False).ngroup())
    place = ["tenant_id", "purpose_family"]
    whole = calls.groupby([*place, "when"], dropna=False)["session"].nunique().unstack("when")
    whole = whole.reindex(columns=["before", "after"]).dropna()
    used = calls.groupby([*place, "tool", "when"], dropna=False)["session"].nunique().unstack("when", fill_value=0)
    used = used.reindex(columns=["before", "after"], fill_value=0).reset_index()
    joined = used.merge(whole.reset_index(), on=place, suffixes=("", "_sessions"))
    for side in ("before", "after"):
        joined[side] = joined[side] / joined[f"{side}_sessions"]
    joined["change"] = joined["after"] - joined["before"]
    order = joined["change"].abs().sort_values(ascending=False, kind="stable").index
    return joined.loc[order].reset_index(drop=True)


def first_uses(events: pd.DataFrame, *, since: pd.Timestamp) -> pd.DataFrame:
    """What an agent did for the first time in `events` after `since`: agent, tool, when, in which session."""
    firsts = events.drop_duplicates(["tenant_id", "agent_id", "tool"])
    veterans = events[events["at"] < since].groupby(["tenant_id", "agent_id"], dropna=False).size()
    fresh = firsts[firsts["at"] >= since]
    known = pd.MultiIndex.from_frame(fresh[["tenant_id", "agent_id"]]).isin(veterans.index)
    columns = ["tenant_id", "agent_id", "tool", "at", "session_id", "one_in", "wanted"]
    return fresh.loc[known, columns].reset_index(drop=True)
