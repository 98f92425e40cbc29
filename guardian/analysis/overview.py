"""A day at a glance: counts by hour, purpose, gateway, and what policy refused to let guardian do."""

import pandas as pd

from guardian.analysis.sessions import KEY
from guardian.domain import text


def hours(events: pd.DataFrame) -> pd.DataFrame:
    """By hour (UTC), without gaps: `calls`, `denied`, `sessions` that acted, and the largest `one_in`."""
    if events.empty:
        return pd.DataFrame(columns=["calls", "denied", "sessions", "one_in"])
    by = events.assign(
        hour=events["at"].dt.floor("h"),
        denied=events["effect"] == "deny",
        session=events["tenant_id"] + "\x1f" + events["session_id"],
    ).groupby("hour")
    found = pd.DataFrame(
        {
            "calls": by.size(),
            "denied": by["denied"].sum(),
            "sessions": by["session"].nunique(),
            "one_in": by["one_in"].max(),
        }
    )
    whole = pd.date_range(found.index[0], found.index[-1], freq="h", name="hour")
    counts = ["calls", "denied", "sessions"]
    return found.reindex(whole).fillna(dict.fromkeys(counts, 0)).astype(dict.fromkeys(counts, "int64"))


def counted(sessions: pd.DataFrame, by: str) -> pd.DataFrame:
    """Sessions, calls and findings by one column of the sessions frame, the busiest first."""
    groups = sessions.assign(flagged=sessions["findings"] > 0).groupby(by, dropna=False)
    found = groups.agg(
        sessions=("session_id", "size"),
        actions=("actions", "sum"),
        flagged=("flagged", "sum"),
        one_in=("one_in", "max"),
    )
    return found.sort_values(["sessions", "actions"], ascending=False)


def refusals(findings: pd.DataFrame) -> pd.DataFrame:
    """What guardian asked for and did not get, by tenant and the policy's answer; empty without control's word."""
    refused = findings[
        (findings["wanted"] == "revoke") & findings["effect"].notna() & (findings["effect"] != "revoke")
    ]
    alone = [f"no policy permits it ({text.counted(n, 'strong kind')} of evidence)" for n in refused["kinds"]]
    why = [", ".join(names) or silent for names, silent in zip(refused["policy_ids"], alone, strict=True)]
    groups = refused.assign(answer=why).groupby(["tenant_id", "mode", "answer"])
    return groups.agg(findings=("finding_id", "size"), sessions=("session_id", "nunique")).reset_index()


def outcomes(findings: pd.DataFrame) -> pd.DataFrame:
    """Drift findings by what was wanted and what policy let guardian do: a table of counts."""
    drift = findings[findings["kind"] == "drift"]
    return pd.crosstab(drift["wanted"], drift["effect"].fillna("not asked"))


def families(sessions: pd.DataFrame) -> pd.DataFrame:
    """Sessions that delegated, with those they delegated to: parent, child and their agents."""
    child = sessions[sessions["parent_session_id"].notna()]
    parent = sessions.drop_duplicates(KEY).set_index(KEY)  # of one name, which has one agent
    agents = [
        parent["agent_id"].get((tenant, name))
        for tenant, name in zip(child["tenant_id"], child["parent_session_id"], strict=True)
    ]
    return child[["tenant_id", "parent_session_id", "session_id", "agent_id", "wanted"]].assign(
        parent_agent=agents
    )
