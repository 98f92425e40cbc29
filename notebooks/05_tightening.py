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
# # Tightening
#
# What honest sessions of an agent never needed, and what taking it away would have changed. This shows the
# proposal that `guardian propose` writes as files for a pull request. Guardian never applies one: people merge
# it.

# %%
from guardian.analysis import open_sources, proposing
from guardian.analysis.archived import last_days
from guardian.analysis.plots import plot_backtest, plot_surface
from guardian.demo.sample import sample

archive, control = open_sources(sample)
today = last_days(archive, 1)
tenant = archive.tenants[0]
# On large archives this takes minutes: update=print tells how many calls were read, each of them twice in the end
proposal = proposing.propose(archive, tenant)  # or proposing.read(archive, Path("proposals/acme"))
restrictions = proposing.restrictions(proposal)
print(f"{tenant}: {len(restrictions)} restrictions, {proposal.since:%Y-%m-%d} to {proposal.until:%Y-%m-%d} (UTC)")

# %% [markdown]
# ## What is proposed
#
# Each row only refuses. `denied_at_most` is the 95 % bound on the share of future honest sessions that would be
# touched: it is as small as the number of sessions allows, not smaller. `held_out` sessions played no part in
# finding the rule.

# %%
restrictions[["role", "says", "sessions", "denied_at_most", "held_out", "held_out_broken", "honest_denied"]].round(
    3
)

# %%
told = zip(restrictions["role"], restrictions["says"], restrictions["why"], strict=True)
print("\n".join(f"{role} {says}: {why}" for role, says, why in told))

# %% [markdown]
# Where nothing is proposed, and why. Too little history is the usual answer; that is a feature.

# %%
proposing.abstentions(proposal)

# %% [markdown]
# What honest sessions to come may lose by all of it together (two bounds of 95 %, added). Read this, and not the
# backtest below, for what it will cost.

# %%
print(proposal.foretold)

# %% [markdown]
# ## The backtest
#
# The same calls that it was made from again under the narrower policy, so that few honest ones are refused by
# construction. Red is that cost. Blue is
# the gain: calls of flagged sessions that would not have got through. A restriction with a red bar needs a
# conversation with the team before it is merged; one without either is tidying up. Only what narrowed agents did
# is counted, beside the decisions: where nothing is proposed all else is 0, however much was flagged of others.

# %%
plot_backtest(restrictions)

# %%
counts = proposing.counts(proposal.backtest, proposal.surface)
plot_surface(counts)

# %%
counts.to_frame()

# %% [markdown]
# ## Would it have helped?
#
# Proposed on the evening before the last day, and replayed on that day, of which it knew nothing: the fairest
# question that an archive can answer. Sessions stopped are those that would have been refused at least one
# call.

# %%
yesterday = proposing.propose(archive, tenant, until=today)
unseen = proposing.replay(archive, yesterday, since=today)
proposing.counts(unseen).to_frame()

# %% [markdown]
# **What this cannot tell.** Work that happens once a year is not in a window of 90 days. Read `why` and the
# owner's answer before the numbers, and run `guardian verify` after the merge.
