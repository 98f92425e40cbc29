"""What a threshold costs and catches: alarms promised and measured, and what each would have flagged."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from guardian.analysis.sessions import ONE, spoken_of
from guardian.evaluation.labels import ASKS_NOTHING
from guardian.evaluation.metrics import share
from guardian.signals.credential_exposure import CredentialExposure
from guardian.signals.delegation_widening import DelegationWidening
from guardian.signals.envelope_hygiene import EnvelopeHygiene

ONE_IN = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000, 1_000_000)
SOFT = frozenset({*EnvelopeHygiene.breaches, *DelegationWidening.soft}) | {
    *("arguments_cut", "arguments_unchecked", "signature_missing")
}
"""Rules that are never hard as shipped, or accuse nobody, and so end no promise. The archive keeps names alone: a
rule that is hard for some calls only (a credential, another session's id, what the gateway denied) is taken for
hard."""
_SILENT = ASKS_NOTHING.difference(CredentialExposure.breaches)
"""Rules that flag no session by themselves; a credential is taken for hard here, too."""
_SEED = 7


def known_drift(sessions: pd.DataFrame, feedback: pd.DataFrame) -> pd.Series:
    """By session: True where people confirmed drift, False where they said otherwise, missing where nothing.

    What was confirmed of a session stands, whatever else of it was dismissed.
    """
    about = feedback.assign(begin=spoken_of(feedback, sessions, at="judged_at"))
    labels = about.groupby(ONE)["drift"].max() == 1
    keys = pd.MultiIndex.from_frame(sessions[ONE])
    return pd.Series(labels.reindex(keys).to_numpy(), index=sessions.index).astype("boolean")


def taken_for_honest(sessions: pd.DataFrame, feedback: pd.DataFrame) -> pd.DataFrame:
    """Sessions that broke no hard rule and that nobody confirmed as drift: what a promise speaks of. `dismissed`
    are those of which people said so.

    What nobody looked at is taken for honest: a drift that was not judged yet counts as a false alarm.
    """
    drift = known_drift(sessions, feedback)
    marked = sessions.assign(dismissed=~drift.fillna(value=True))
    return marked[~drift.fillna(value=False) & sessions["breaches"].map(SOFT.issuperset)]


def promised_and_measured(honest: pd.DataFrame, one_in: Sequence[float] = ONE_IN) -> pd.DataFrame:
    """Share of honest sessions at least that far out, beside the promised 1/N; 95 % intervals over `purposes`, or
    over sessions where there is one purpose only, and no narrower than so many sessions leave them.

    `honest` as `taken_for_honest` gives. `measured` counts those that nobody judged yet as false alarms: it is too
    high while drift waits for a verdict. `dismissed` counts what people called false: it is too low.
    """
    purposes, rows = honest["purpose_family"].nunique(), []
    clusters = list(honest["purpose_family"].fillna("") if purposes > 1 else map(str, range(len(honest))))
    for n in one_in:
        reached = list(honest["one_in"] >= n)
        dismissed = float((honest["dismissed"] & (honest["one_in"] >= n)).mean()) if len(honest) else float("nan")
        found = share(reached, clusters, cases="rows", seed=_SEED)
        rows.append(
            {"one_in": n, "promised": 1 / n, "measured": found.value, "low": found.low, "high": found.high}
            | {"dismissed": dismissed, "flagged": sum(reached), "sessions": len(honest), "purposes": purposes}
        )
    return pd.DataFrame(rows)


def would_flag(sessions: pd.DataFrame, feedback: pd.DataFrame, one_in: Sequence[float] = ONE_IN) -> pd.DataFrame:
    """For each threshold, how many sessions it flags on evidence alone, by what people said of them."""
    drift = known_drift(sessions, feedback)
    rows = []
    for n in one_in:
        over = sessions["one_in"] >= n
        rows.append(
            {
                "one_in": n,
                "confirmed": int((over & drift.fillna(value=False)).sum()),
                "dismissed": int((over & ~drift.fillna(value=True)).sum()),
                "not_judged": int((over & drift.isna()).sum()),
            }
        )
    return pd.DataFrame(rows)


def costs(
    sessions: pd.DataFrame,
    feedback: pd.DataFrame,
    *,
    minutes_per_alarm: float,
    minutes_per_miss: float,
    one_in: Sequence[float] = ONE_IN,
) -> pd.DataFrame:
    """Minutes that each threshold costs: looking at every alarm, and cleaning up after a confirmed drift missed.

    What was flagged and broke a rule is an alarm, and caught, at any threshold. Only drift that people know of can
    be missed here: the true cost of a high threshold is larger.
    """
    drift = known_drift(sessions, feedback).fillna(value=False)
    ruled = (sessions["findings"] > 0) & ~sessions["breaches"].map(_SILENT.issuperset)
    table = would_flag(sessions.assign(one_in=sessions["one_in"].mask(ruled, np.inf)), feedback, one_in)
    alarms = table[["confirmed", "dismissed", "not_judged"]].sum(axis=1)
    missed = int(drift.sum()) - table["confirmed"]
    made = pd.DataFrame(
        {"one_in": table["one_in"], "alarms": alarms, "caught": table["confirmed"], "missed": missed}
    )
    made["looking"] = minutes_per_alarm * made["alarms"]
    made["missing"] = minutes_per_miss * made["missed"]
    made["total"] = made["looking"] + made["missing"]
    return made


def evidence(sessions: pd.DataFrame, feedback: pd.DataFrame) -> pd.DataFrame:
    """log10 of each session's `one_in`, with the `group` that it belongs to."""
    drift = known_drift(sessions, feedback)
    group = np.select(
        [drift.fillna(value=False), (sessions["findings"] > 0) & drift.isna(), ~drift.fillna(value=True)],
        ["confirmed", "flagged, not judged", "dismissed"],
        "not flagged",
    )
    return pd.DataFrame({"log10_one_in": np.log10(sessions["one_in"].clip(lower=1.0)), "group": group})
