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
# # Thresholds
#
# Where to put `response.flag_one_in`: what honest sessions reach, whether the promised rate of false alarms is
# kept here, what each threshold would have flagged, and what that costs. Change the threshold only with the
# last month in front of you, and only after the flagged sessions in it were judged (`guardian confirm`,
# `guardian dismiss`).

# %%
from guardian.analysis import feedback, open_sources, thresholds
from guardian.analysis.archived import last_days
from guardian.analysis.plots import plot_costs, plot_distribution, plot_flagged, plot_promise
from guardian.demo.sample import sample

archive, control = open_sources(sample)
sessions = archive.sessions(since=last_days(archive, 31))
said = feedback(archive, control)
print(f"{len(sessions)} sessions of the last 31 days; people judged {len(said)} findings")

# %% [markdown]
# ## How far sessions went
#
# A threshold is well placed in a gap: honest sessions to its left, confirmed drift to its right. Where the two
# overlap no threshold helps; then look at what the honest ones near the line have in common (`06_hunt`), or
# calibrate on your own traffic (`guardian calibrate`). Counts are on a logarithmic axis, or single sessions
# could not be seen.

# %%
plot_distribution(thresholds.evidence(sessions, said), archive.asks_at)

# %% [markdown]
# ## False alarms: promised and measured
#
# "Flag at 1 in 1,000" promises that at most one in 1,000 honest sessions is flagged. Blue is the share that was
# at least that far out among the sessions that can be taken for honest: nobody confirmed them, and they broke
# no hard rule. Drift that waits for a verdict counts as a false alarm here, so blue is too high until somebody
# judges it; green are those that people really dismissed. The promise holds if the dashed line runs above, or
# within, the intervals, which are 95 % over purposes; where there is one purpose only they are over its sessions,
# and say nothing of other work. With few sessions they are wide: a few hundred sessions cannot test 1 in 1,000.

# %%
honest = thresholds.taken_for_honest(sessions, said)
measured = thresholds.promised_and_measured(honest)
plot_promise(measured)

# %%
measured.round(5)

# %% [markdown]
# ## What each threshold would have flagged
#
# On evidence alone; broken rules are flagged at any threshold.

# %%
flagged = thresholds.would_flag(sessions, said)
plot_flagged(flagged)

# %% [markdown]
# ## What each threshold costs
#
# Put in what it takes in your team: minutes to look at one alarm, and minutes to clean up after one drift that
# was missed. What was flagged and broke a rule is an alarm, and caught, at any threshold. The curve is flat where
# a choice does not matter; take the lower threshold there. Only drift that people know of can be missed in this
# figure, so the right end is dearer than it looks.

# %%
costs = thresholds.costs(sessions, said, minutes_per_alarm=15, minutes_per_miss=8 * 60)
plot_costs(costs)

# %%
costs

# %% [markdown]
# **What this cannot tell.** It replays thresholds on evidence that was gathered under the present ones: a
# session that was revoked early went no further. And it says nothing of drift that never gathered evidence.
