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
# # What happened
#
# A day at a glance: which sessions went furthest from their purpose, when, for whom, and what policy refused to
# let guardian do about it. Start here in the morning, then take the first session of the list to
# `02_one_session`.
#
# Without further ado this runs on sample data, which the demo's scenario makes once (some seconds, no network,
# kept in your cache folder). For your own archive set `GUARDIAN_ARCHIVE` to its folder (or `GUARDIAN_CONFIG` to
# your `guardian.yaml`) before you start Jupyter, `GUARDIAN_TENANT` to see one tenant only, and `GUARDIAN_TOKEN`
# (an analyst's) so that control is asked as well.

# %%
import pandas as pd

from guardian.analysis import findings, open_sources, overview
from guardian.analysis.archived import last_days
from guardian.analysis.plots import plot_counts, plot_day, plot_outcomes
from guardian.analysis.sessions import ranked
from guardian.demo.sample import sample

archive, control = open_sources(sample)
day = pd.Timestamp(last_days(archive, 1))  # another one: pd.Timestamp("2026-05-07", tz="UTC")
night = day + pd.Timedelta(days=1)
events, sessions = archive.events(since=day, until=night), archive.sessions(since=day, until=night)
print(f"{day:%A, %d %B %Y} (UTC): {len(sessions)} sessions, {len(events)} decisions, tenants {archive.tenants}")

# %% [markdown]
# ## What to look at first
#
# Sessions that guardian wanted revoked come first, then those it flagged, then the rest by their evidence; what
# people have settled goes to the end. `one_in` reads "at most one in so many honest sessions gathers this much
# evidence". Where `promised` is false it lies beyond what the calibration has seen: then trust the order of
# magnitude, not the digits. A broken rule of the envelope is named in `breaches` and needs no statistics.

# %%
first = ["session_id", "tenant_id", "agent_id", "purpose", "wanted", "one_in", "promised", "breaches", "denied"]
ranked(sessions)[first].head(8).round({"one_in": 0})

# %% [markdown]
# ## The day
#
# One mark is one session, at the time of its last call. Honest work keeps to the foot of the figure. What lies
# between 100 and the flag line is unusual and not alarming; `06_hunt` looks there.

# %%
plot_day(sessions, archive.asks_at)

# %%
overview.hours(events).round({"one_in": 0})

# %% [markdown]
# ## The weeks before
#
# Is today worse than usual? A flagged session now and then is expected; several on one day, or of one agent,
# are not. A step in the grey marks is no incident: it is where a new calibration came into force.

# %%
plot_day(archive.sessions(since=last_days(archive, 42)), archive.asks_at)

# %% [markdown]
# ## For whom, and for what
#
# Flagged sessions crowd where something is wrong with a team's agent, its prompt or its grant. A purpose that
# is much busier than in the past is worth a question even if nothing is flagged.

# %%
plot_counts(overview.counted(sessions, "purpose_family"), title="Sessions of the day, by purpose")

# %%
plot_counts(overview.counted(sessions, "tenant_id"), title="Sessions of the day, by tenant")

# %%
overview.counted(sessions, "gateway")

# %% [markdown]
# Who delegated to whom. A child session that ends up flagged says something about its parent's habits as well.

# %%
overview.families(sessions)

# %% [markdown]
# ## What policy let guardian do
#
# Guardian proposes, policy decides. "Flagged only" where a revocation was asked for is work for a person:
# nobody has cut that session off. The answers below say why: the policy that stood against it, such as that of
# the tenant's mode, or that none permits it, and on how many strong kinds of evidence (the shipped policies want
# two, or a hard breach). (Control knows this, not the archive: without a token, and without the sample, it stays
# empty.)

# %%
of_the_day = findings(archive, control, since=day, until=night)
plot_outcomes(overview.outcomes(of_the_day))

# %%
overview.refusals(of_the_day)

# %% [markdown]
# **What this cannot tell.** It sees what gateways logged, no prompts and no answers. A session that was never
# logged is not here, and a drift that looks like the purpose in every call is not among the marks at the top.
