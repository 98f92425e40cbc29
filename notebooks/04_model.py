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
# # The model, here
#
# How many of guardian's flags your people confirm on *your* sessions; whether the calibration still fits; and
# whether the work is moving away from it. How well the model parts drift from honest work takes sessions that were
# judged whether they were flagged or not: the model's card has that on public data.

# %%
from guardian.analysis import feedback, open_sources, trust
from guardian.analysis.archived import last_days
from guardian.analysis.plots import plot_p_values, plot_precision, plot_weekly
from guardian.demo.sample import sample

archive, control = open_sources(sample)
since = last_days(archive, 92)
events = archive.events(since=since, columns=["at", "purpose", "score", "p_value", "calibration"])
sessions, said = archive.sessions(since=since), feedback(archive, control)
flagged, compared = trust.flagged(sessions, said, archive.ruled()), trust.compared(events)
print(
    f"{len(flagged)} sessions flagged by the model, {flagged['drift'].notna().sum()} of them judged; "
    f"{(sessions['findings'] > 0).sum() - len(flagged)} more flagged for a broken rule alone; "
    f"{len(events) - len(compared):,} of {len(events):,} calls name no purpose to compare with: left out below"
)

# %% [markdown]
# ## The team's own feedback

# %%
said[["session_id", "label", "judged_by", "reason", "judged_at"]]

# %% [markdown]
# ## Precision
#
# Of the flagged sessions that people judged, how many they confirmed: by purpose and by tenant, with 95 %
# intervals (Clopper and Pearson), which hold each session for a case of its own. What was flagged for a broken
# rule alone is left out, confirmed or dismissed: the model had no part in it. Where the plain cases are judged
# first, those that wait will change the figure.
#
# An ROC of this feedback would be all but perfect whatever the model does: what was confirmed was flagged, so it
# lies above the threshold, and what was not flagged lies below it and would be taken for honest.

# %%
by_purpose = trust.precision(flagged, "purpose_family")
plot_precision(by_purpose, title="Flags confirmed, by purpose")

# %%
by_tenant = trust.precision(flagged, "tenant_id")
plot_precision(by_tenant, title="Flags confirmed, by tenant")

# %% [markdown]
# A purpose whose flags are mostly dismissed is one whose wording says little, or whose agents rightly do many
# things: `guardian purposes` lists those that constrain nothing.

# %%
by_purpose.round(3)

# %% [markdown]
# ## Calibration
#
# Were calls exactly like those of the calibration, each tenth of the p-values would hold a tenth of the calls.
# What matters is the left end: much more than a tenth there means that honest work here looks stranger than the
# calibration's, and the promise is too kind; much less, that guardian is stricter with itself than it need be,
# and drift has to go further before it is flagged. In the sample, the calibration that guardian is shipped with
# is of the second kind, and the one that was fitted to the team's own three weeks is nearly flat.

# %%
plot_p_values(trust.p_values(compared))

# %% [markdown]
# ## Does the drift model drift?
#
# The share of calls with a small p-value, week by week. A rise that stays says that work has moved away from
# the calibration: run `guardian calibrate` on recent, judged sessions. A single high week is rather an
# incident: look into it in `01_what_happened`. The monitor makes a formal bet on the same question and tells
# the operators when it is lost.

# %%
weekly = trust.weekly(compared)
plot_weekly(weekly)

# %%
weekly.round({"low": 3, "score": 3})

# %% [markdown]
# **What this cannot tell.** How much drift guardian overlooks: feedback exists for what was flagged. To learn
# that, judge unflagged sessions as well, drawn by lot or those that `06_hunt` names, and write what you find into
# the file of labels (`TENANT/SESSION/INDEX drift`), which `guardian evaluate` reads beside the log.
