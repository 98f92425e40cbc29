# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Hunt
#
# Open-ended: where to look when nothing is flagged, or when one finding makes you ask for more of its kind.
# Everything here is a lead and nothing an accusation.

# %%
import pandas as pd

from guardian.analysis import explain, hunting, open_sources
from guardian.analysis.archived import last_days
from guardian.analysis.meaning import similar
from guardian.analysis.plots import plot_blurred, plot_evidence, plot_moves
from guardian.analysis.sessions import ranked
from guardian.demo.sample import sample

pd.set_option("display.max_colwidth", 120)
archive, control = open_sources(sample)
since, fresh = last_days(archive, 92), pd.Timestamp(last_days(archive, 5))
columns = ["tenant_id", "session_id", "begin", "at", "agent_id", "purpose_family", "tool", "one_in", "wanted"]
events, sessions = archive.events(since=since, columns=columns), archive.sessions(since=since)

# %% [markdown]
# ## Sessions like this one
#
# The nearest by what their calls mean, whatever they are called. If flagged ones are near, it is a pattern; if
# only unflagged ones are, they may be the honest kind of work that was mistaken, or the same drift, not caught.
# The sample's renewal review that turned to payments and e-mail finds its predecessors, among honest reviews of
# a like subject.

# %%
renewals = sessions[sessions["tools"].map(lambda tools: "email.send" in tools)]
session = (renewals if len(renewals) else ranked(sessions)).iloc[-1]
alike = similar(archive, session, since=since).merge(
    sessions[["tenant_id", "session_id", "begin", "wanted", "word", "one_in"]]
)
print(session["session_id"])
shown = ["session_id", "agent_id", "at", "similarity", "wanted", "word", "one_in"]
alike[shown].round({"similarity": 3, "one_in": 1})

# %% [markdown]
# ## Near misses
#
# Not flagged, and more unusual than at least 19 in 20 honest sessions. Judge a few of them each week: nothing
# else tells you what guardian overlooks.

# %%
misses = hunting.near_misses(sessions)
misses[["session_id", "agent_id", "purpose", "one_in", "promised", "tools"]].head(8).round({"one_in": 1})

# %%
plot_evidence(explain(archive, misses.iloc[0] if len(misses) else session, control))

# %% [markdown]
# ## Agents whose purposes blur
#
# An agent that does one thing has sessions that are alike. Where the red mark is far to the left of the blue
# one, one session was unlike the others; where both are far to the left, the agent serves several masters, and
# its envelope cannot be tight.

# %%
blurred = hunting.blurred(archive, since=since)
plot_blurred(blurred)

# %%
blurred.round(3)

# %% [markdown]
# ## Tools that move between purposes
#
# The share of a purpose's sessions that call a tool, in the last five days and before. A tool that appears
# where it never was is either a new duty, which somebody should have written into the purpose, or the beginning
# of a drift.

# %%
moves = hunting.moving_tools(events, at=fresh)
plot_moves(moves)

# %% [markdown]
# What an agent did in those days and not before, as far back as `since` (92 days; more takes memory):

# %%
hunting.first_uses(events, since=fresh).round({"one_in": 1})

# %% [markdown]
# ## Go on from here
#
# The frames go into msticpy, polars or DuckDB as they are; `archive.arrow()` has every column of the archive.
# DuckDB sees a frame or a table by its name, and `at` takes quotes there:
# `duckdb.sql('SELECT tool, count(*), min("at") FROM events GROUP BY tool')`.
#
# **What this cannot tell.** Similar words are not similar intentions. A lead becomes a finding when the owner
# of the purpose says that the call does not belong to it.
