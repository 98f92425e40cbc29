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
# # One session
#
# Everything about one session: what it was for, what it did, which call changed the verdict and why, who had
# delegated to it, and what policy and people said. Set `session` to the id in an alert; by default it is the
# one that `01_what_happened` ranks first.

# %%
from guardian.analysis import explain, open_sources, overview
from guardian.analysis.archived import last_days
from guardian.analysis.meaning import purpose_map
from guardian.analysis.plots import plot_delegation, plot_evidence, plot_map, plot_signals, plot_steps
from guardian.analysis.sessions import ranked
from guardian.demo.sample import sample

archive, control = open_sources(sample)
sessions = archive.sessions(since=last_days(archive, 1))
session = ranked(sessions).iloc[0]  # or "sess_..."
explanation = explain(archive, session, control)
explanation

# %% [markdown]
# ## The evidence, call by call
#
# The line says how rare the session was after each call: at most one in N honest sessions gets as far, by all
# its calls together or by its oddest one, whichever is rarer. A steep step is one telling call; a staircase of
# small ones is the slow kind of drift, of which no single call would have been flagged. After a cross the
# gateway refused.

# %%
plot_evidence(explanation)

# %% [markdown]
# ## Each action with its reasons
#
# `why` names the signals that spoke (from 0.2 on) and the rules that were broken; `step` is by how many powers
# of ten the call moved the odds against honesty. Look at the arguments: guardian compares them with the purpose,
# you know the business.

# %%
explanation.timeline[["act", "at", "tool", "arguments", "effect", "score", "step", "why", "wanted"]].round(
    {"score": 2, "step": 2}
)

# %% [markdown]
# `purpose_fit` is the drift model, `purpose_baseline` this purpose's own past, `chain_exposure` sensitive reads
# that an act could now carry out. Evidence from several signals weighs more than the same from one: policy
# wants two independent ones before guardian may revoke by itself.

# %%
plot_signals(explanation)

# %% [markdown]
# ## What changed the verdict
#
# Each call is a bet against honesty, and a bar says by what factor it moved the odds, to the right away from the
# purpose. These are not the steps of the line above, and may rank the calls otherwise: the line says how rare
# such odds are, and one very odd act is rare whatever the odds. Take the longest bar, and the steepest step if
# that is another call, to whoever owns the purpose and ask: does this call belong to the job? If they say yes,
# call the finding a false positive; if they say no, confirm it.

# %%
plot_steps(explanation)

# %% [markdown]
# ## Purpose and actions in the embedding plane
#
# The star is the declared purpose, the numbered marks are the calls in order, grey marks what else the tenant's
# agents did that week. Far apart here is far apart for the model; near each other may still be different,
# because a plane shows only a part of the differences (the title says how much). The colour is the true
# distance.

# %%
plot_map(*purpose_map(archive, explanation.session))

# %% [markdown]
# ## Delegation
#
# From the root to the right. A child that holds all that its parent holds was not narrowed: whoever steers it
# has the parent's authority for the child's errand. The session above may have no parent; the second tree is
# the latest one of the archive that has.

# %%
plot_delegation(explanation)

# %%
children = overview.families(archive.sessions(since=last_days(archive, 42)))
delegated = explain(archive, children.iloc[-1] if len(children) else session, control)
plot_delegation(delegated)

# %%
delegated

# %% [markdown]
# **What this cannot tell.** Whether the agent was attacked, misled or badly told: the log holds what it did,
# not why. Evidence is about the session so far; a session that stopped early stopped gathering it.
