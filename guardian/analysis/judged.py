"""Findings and feedback: from the archive alone, or with what policy and people said where control was asked."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pandas as pd

from guardian.analysis.archived import ArchiveView
from guardian.analysis.controlled import ControlView
from guardian.analysis.schema import FEEDBACK, FINDINGS, frame
from guardian.analysis.sessions import KEY
from guardian.domain.session import HumanWord
from guardian.evaluation.labels import of_a_rule_alone
from guardian.wire.findings import FindingView

_LABELS = {HumanWord.CONFIRMED.value: 1, HumanWord.FALSE_POSITIVE.value: 0}


def findings(
    archive: ArchiveView,
    control: ControlView | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pd.DataFrame:
    """Oldest first; columns `schema.FINDINGS`. Of what control did not tell (not asked, beyond the token's reach,
    later than an export) there is what the archive knows: the drift findings, policy unknown."""
    found = found_in(archive.events(since=since, until=until), archive, control)
    late_enough = found["at"] >= since if since is not None else found["at"].notna()
    early_enough = found["at"] < until if until is not None else found["at"].notna()
    return found[late_enough & early_enough].reset_index(drop=True)


def found_in(events: pd.DataFrame, archive: ArchiveView, control: ControlView | None) -> pd.DataFrame:
    """The drift findings of these events and, whenever they were made, all that control told of."""
    rows = events[events["finding_id"].notna()].assign(kind="drift")
    own = frame(rows.drop(columns="effect"), FINDINGS)  # that one is the gateway's
    told = frame(list(_told(archive, control or ControlView())), FINDINGS, raw=True)
    both = pd.concat([told, own]).drop_duplicates(["tenant_id", "finding_id"])
    return frame(both.sort_values("at", kind="stable"), FINDINGS)


def feedback(archive: ArchiveView, control: ControlView | None = None) -> pd.DataFrame:
    """Oldest first; columns `schema.FEEDBACK`. The last judgement of each finding that control or the archive
    knows of, or of the session where that is all that is known."""
    judged = [
        (view.finding, view.verdict)
        for view in _theirs(archive, control or ControlView())
        if view.verdict is not None
    ]
    rows = [
        {"tenant_id": finding.tenant_id, "session_id": finding.session_id, "finding_id": finding.id}
        | {"label": verdict.verdict, "drift": finding.drifted(confirmed=verdict.verdict == "confirmed")}
        | {"judged_at": verdict.at, "judged_by": verdict.actor, "reason": verdict.reason}
        for finding, verdict in judged
    ]
    words = archive.words()
    told = _not_taken_back(frame(rows, FEEDBACK, raw=True), words)
    said = words[words["word"].isin(list(_LABELS)) & ~words["taken_back"]].rename(
        columns={"word": "label", "at": "judged_at"}
    )
    own = frame(said.assign(drift=said["label"].map(_LABELS)), FEEDBACK)
    settled = pd.MultiIndex.from_frame(told.loc[told["drift"].notna(), KEY])
    vague = own["finding_id"].isna() & pd.MultiIndex.from_frame(own[KEY]).isin(settled)
    both = pd.concat([own[~vague], told]).sort_values("judged_at", kind="stable")  # told in more words comes last
    last = both.drop_duplicates([*KEY, "finding_id"], keep="last")
    confirmed = last["label"] == HumanWord.CONFIRMED.value
    ruled = {finding.id for finding, _ in judged if of_a_rule_alone(finding)}
    if not last.loc[confirmed, "finding_id"].dropna().isin(told["finding_id"]).all():
        ruled |= archive.ruled()
    return frame(last.assign(rule=confirmed & last["finding_id"].isin(ruled)), FEEDBACK)


def _not_taken_back(told: pd.DataFrame, words: pd.DataFrame) -> pd.DataFrame:
    """What control told, which may be from before it was taken back."""
    withdrawn = words[words["word"] == HumanWord.WITHDRAWN.value]
    last = withdrawn.drop_duplicates([*KEY, "finding_id"], keep="last").set_index([*KEY, "finding_id"])["at"]
    since = last.reindex(pd.MultiIndex.from_frame(told[[*KEY, "finding_id"]]))
    return told[~(since.to_numpy() >= told["judged_at"].to_numpy())]


def _theirs(archive: ArchiveView, control: ControlView) -> Iterator[FindingView]:
    """What control said of the sessions that `archive` sees: of its tenants, and not planted."""
    for view in control.views:
        act = view.finding.act
        planted = archive.planted and act is not None and act.gateway == archive.planted
        if archive.reaches(view.finding.tenant_id) and not planted:
            yield view


def _told(archive: ArchiveView, control: ControlView) -> Iterator[dict[str, Any]]:
    for view in _theirs(archive, control):
        finding, outcome = view.finding, view.outcome
        subject, act = finding.subject, finding.act
        yield {
            "finding_id": finding.id,
            "tenant_id": finding.tenant_id,
            "session_id": finding.session_id,
            "at": finding.time,
            "kind": finding.kind.value,
            "wanted": finding.wanted.value,
            "severity": finding.severity,
            "title": finding.title,
            "agent_id": None if subject is None else subject.agent_id,
            "delegator_id": None if subject is None else subject.delegator_id,
            "purpose": None if subject is None else subject.purpose,
            "tool": None if act is None else act.tool,
            "arguments": None if act is None else act.arguments,
            "argument": None if act is None else act.argument,
            "score": finding.evidence.score,
            "one_in": finding.evidence.one_in,
            "promised": finding.evidence.promised,
            "signals": {reason.signal: reason.value for reason in finding.reasons},
            "kinds": finding.evidence.independent_signals,
            "breaches": [breach.name for breach in finding.breaches],
            "effect": outcome.effect.value,
            "would_revoke": outcome.would_revoke,
            "mode": outcome.mode,
            "policy_ids": outcome.policy_ids,
            "note": outcome.note,
            "verdict": None if view.verdict is None else view.verdict.verdict,
        }
