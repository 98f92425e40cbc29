"""The archive as labelled sessions: what agents did, guardian's findings, and what people said of them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from guardian.archive.reader import Archive
from guardian.archive.rows import json_object
from guardian.bootstrap.archiving import open_archive
from guardian.config import Settings
from guardian.domain.envelope import purpose_family
from guardian.domain.identity import SessionKey, begins_anew
from guardian.domain.past import Label, revoked, standing, verdicts
from guardian.domain.session import HumanWord
from guardian.evaluation.labels import ASKS_NOTHING, Labels, for_a_rule_alone, label_session, unlearnable
from guardian.evaluation.sessions import LabelledSession
from guardian.signals.credential_exposure import CredentialExposure
from guardian.telemetry import logger

PER_PURPOSE = 40
"""Sessions nobody spoke of that one (tenant, purpose family) may bring: more teach nothing and fill memory."""

_COLUMNS = (
    "tenant_id",
    "session_id",
    "purpose",
    "at",
    "gateway",
    "decision_id",
    "tool",
    "arguments",
    "wanted",
    "finding_id",
    "act_index",
)
OF_FINDINGS = ("signals", "breaches")

_log = logger("commands")


class _Call(NamedTuple):
    """`act` is its number among all of the session; None where it is not known."""

    at: datetime
    decision_id: str
    purpose: str
    tool: str
    arguments: Mapping[str, object] | None
    act: int | None


@dataclass(slots=True)
class LeftOut:
    """How many sessions of archives were left out: flagged or revoked ones that nobody judged, those beyond
    `PER_PURPOSE`. And how many acts, of logs too, were confirmed for a broken rule alone: of those nothing is
    known."""

    unjudged: int = 0
    beyond: int = 0
    for_rules: int = 0


@dataclass(slots=True)
class _Kept:
    family: str  # of the purpose
    calls: list[_Call] = field(default_factory=list)
    flagged: dict[str, str] = field(default_factory=dict)  # decisions that led to a finding, and to which
    ruled: set[str] = field(default_factory=set)  # those of them where a rule alone did


def archive_sessions(
    settings: Settings,
    folder: Path,
    labels: Labels,
    met: set[SessionKey] | None = None,
    left_out: LeftOut | None = None,
) -> list[LabelledSession]:
    """The sessions of an archive, oldest first: one data set named after the folder, each tenant a domain of it.

    `labels` counts before what people said through control. Of a confirmed session the acts that led to a
    finding are what people said of that, and no other is known, nor one where a rule alone led to it. A flagged
    session of which nobody said all is left out: it is neither honest nor drift. So is one that was revoked and
    neither given back nor judged, flagged or not: somebody stopped it. So is what was planted to test
    the switch: it was guardian that confirmed it, and it would outnumber all that people did. `met` gains the
    names of all that the labels could speak of, `left_out` what is not here.
    Raises ConfigurationError where no archive lies, ArchiveError where it cannot be read.
    """
    archive = open_archive(settings, folder)
    told = archive.labels()
    words, stopped = verdicts(told), revoked(told)
    judged = {label.finding_id: label.word for label in standing(told) if label.finding_id}
    out = []
    left_out = left_out or LeftOut()
    filled: Counter[tuple[str, str]] = Counter()
    found, beyond = _read(archive, {*words, *stopped}, labels, planted=settings.revocation.self_test.gateway)
    left_out.beyond += beyond
    idle = timedelta(seconds=settings.source.idle_s)
    if met is not None:
        met.update(found)
    labels = labels.among(found)
    apart = {key: _told_apart(key, kept.calls, idle) for key, kept in found.items()}
    acts = {key: {call.act for calls in parts for call in calls} for key, parts in apart.items()}
    numbered = {key: {number for number in numbers if number is not None} for key, numbers in acts.items()}
    if unknown := sum(None in acts[key] for key in set(labels.astray(numbered).values())):
        effect = "labels by index do not serve there; sessions with a drift that they confirm are left out"
        _log.warning("acts_without_a_number", sessions=unknown, effect=effect)
    lost = unlearnable(labels, numbered)
    for key, parts in apart.items():
        if key in lost or (len(parts) > 1 and labels.drifts_in(key)):  # nobody said in which of them
            continue
        kept, spoken = found[key], key in words or labels.speaks_of(key)
        confirmed = key in words and words[key].word is HumanWord.CONFIRMED
        if key in stopped and not confirmed and not labels.speaks_of(key):
            left_out.unjudged += len(parts)
            continue
        lines = labels if len(parts) == 1 else Labels({})  # nor which of them were dismissed
        for calls in parts:
            filled[key.tenant_id, kept.family] += not spoken
            if not spoken and filled[key.tenant_id, kept.family] > PER_PURPOSE:
                left_out.beyond += 1
                continue
            flagged = {
                index: (call.at, judged.get(kept.flagged[call.decision_id]))
                for index, call in enumerate(calls)
                if call.decision_id in kept.flagged
            }
            ruled = {index for index, call in enumerate(calls) if call.decision_id in kept.ruled}
            said = _said(key, flagged, ruled, words.get(key), lines)
            left_out.unjudged += said is None
            if said is not None:
                told_of = [
                    (call.act if said is lines else index, call.tool, call.arguments)
                    for index, call in enumerate(calls)
                ]
                left_out.for_rules += said.for_rules(key, [number for number, _, _ in told_of])
                out.append(label_session(key, calls[0].purpose, told_of, said, dataset=folder.name))
    return [session for session in out if session is not None]


def _told_apart(key: SessionKey, calls: Sequence[_Call], idle: timedelta) -> list[list[_Call]]:
    """The sessions of one name, in time, as the monitor tells them apart; the calls of each as it counted them,
    where each has a number of its own."""
    parts: list[list[_Call]] = []
    for call in sorted(calls, key=lambda call: call.at):
        if not parts or (key.nameless and begins_anew(parts[-1][-1].at, call.at, idle=idle)):
            parts.append([])
        parts[-1].append(call)
    return list(map(_counted, parts))


def _counted(calls: list[_Call]) -> list[_Call]:
    numbers = [call.act for call in calls if call.act is not None]
    if len(set(numbers)) < len(numbers):  # counted anew under way: what a number means is not known
        return [call._replace(act=None) for call in calls]
    if len(numbers) < len(calls):
        return calls
    return sorted(calls, key=lambda call: call.act or 0)


def _read(
    archive: Archive, spoken: Collection[SessionKey], labels: Labels, *, planted: str
) -> tuple[dict[SessionKey, _Kept], int]:
    """And how many sessions were passed over, none of those that were `spoken` of. `planted` is the gateway of
    what guardian plants; empty where it plants nothing."""
    found: dict[SessionKey, _Kept] = {}
    passed: set[SessionKey] = set()
    filled: Counter[tuple[str, str]] = Counter()
    for batch in archive.batches(_COLUMNS + OF_FINDINGS):
        ruled = for_rules(batch)
        for row in batch.select(_COLUMNS).to_pylist():
            key = SessionKey(row["tenant_id"], row["session_id"])
            if key in passed or not (row["purpose"] or "").strip() or row["gateway"] == planted:
                continue
            family = purpose_family(row["purpose"])  # what is stored may be what an older version made of it
            group = key.tenant_id, family
            if key not in found:
                known = key in spoken or labels.speaks_of(key)
                if not known and filled[group] >= PER_PURPOSE:
                    passed.add(key)
                    continue
                filled[group] += not known
                found[key] = _Kept(family)
            arguments = json_object(row["arguments"])
            call = _Call(row["at"], row["decision_id"], row["purpose"], row["tool"], arguments, row["act_index"])
            found[key].calls.append(call)
            if row["wanted"] not in (None, "none"):
                found[key].flagged[row["decision_id"]] = row["finding_id"] or ""
                if row["finding_id"] in ruled:
                    found[key].ruled.add(row["decision_id"])
    return found, len(passed)


def for_rules(batch: Any) -> set[str]:
    """The findings of a batch (of Arrow, with `OF_FINDINGS`) that a rule alone led to."""
    rows = batch.select(["finding_id", *OF_FINDINGS])
    return {
        row["finding_id"]
        for row in rows.filter(rows.column("finding_id").is_valid()).to_pylist()
        for signals in (dict(row["signals"] or ()),)
        if for_a_rule_alone(signals, set(row["breaches"] or ()) - _asking_nothing(signals))
    }


def _asking_nothing(signals: Mapping[str, float]) -> frozenset[str]:
    """The archive keeps no word of which breach is hard: a credential's is where its signal says so."""
    known = signals.get("credential_exposure", 0.0) >= 1.0
    return ASKS_NOTHING.difference(CredentialExposure.breaches) if known else ASKS_NOTHING


def _said(
    key: SessionKey,
    flagged: Mapping[int, tuple[datetime, HumanWord | None]],
    ruled: Collection[int],
    word: Label | None,
    labels: Labels,
) -> Labels | None:
    """What was said of one session; None where guardian flagged it and nobody has answered that. A word that names
    no finding answers those of which nobody spoke by name: a dismissal those before it.

    `flagged` has, of each act that led to a finding, when that was and what was said of it by name; `ruled` are
    those where a rule alone did.
    """
    if labels.speaks_of(key):
        return labels
    name = f"{key.tenant_id}/{key.session_id}"
    confirmed = word is not None and word.word is HumanWord.CONFIRMED
    whole = None if word is None or word.finding_id else word
    answers = {
        index: said or (whole.word if whole is not None and (confirmed or at <= whole.at) else None)
        for index, (at, said) in flagged.items()
    }
    if not confirmed:
        return Labels({}) if all(answers.values()) else None
    acts = Labels(
        {
            f"{name}/{index}": ("unknown" if index in ruled else "drift")
            if said is HumanWord.CONFIRMED
            else "benign"
            for index, said in answers.items()
            if said is not None
        }
    )
    return acts if acts.drifts_in(key) else Labels({name: "drift"})
