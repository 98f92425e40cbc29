"""The archive as labelled sessions: what agents did, guardian's findings, and what people said of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from guardian.archive.reader import Archive
from guardian.archive.rows import arguments_of
from guardian.bootstrap.archiving import open_archive
from guardian.config import Settings
from guardian.domain.event import SessionKey
from guardian.domain.past import Label
from guardian.domain.session import HumanWord
from guardian.evaluation.labels import Labels, label_session, unlearnable
from guardian.evaluation.sessions import LabelledSession

PER_PURPOSE = 40
"""Sessions nobody spoke of that one (tenant, purpose family) may bring: more teach nothing and fill memory."""

_COLUMNS = (
    "tenant_id",
    "session_id",
    "purpose",
    "purpose_family",
    "at",
    "gateway",
    "decision_id",
    "tool",
    "arguments",
    "wanted",
)
_VERDICTS = (HumanWord.CONFIRMED, HumanWord.FALSE_POSITIVE)


@dataclass(slots=True)
class _Kept:
    purpose: str
    calls: list[tuple[datetime, str, str, Mapping[str, object]]] = field(default_factory=list)
    flagged: set[str] = field(default_factory=set)  # decisions that led to a finding


def archive_sessions(settings: Settings, folder: Path, labels: Labels) -> list[LabelledSession]:
    """The sessions of an archive, oldest first: one data set named after the folder, each tenant a domain of it.

    `labels` counts before what people said through control. A confirmed session's drift is the act that led to the
    finding. A flagged session that nobody has judged since is left out: it is neither honest nor drift. So is what
    was planted to test the switch: it was guardian that confirmed it, and it would outnumber all that people did.
    Raises ConfigurationError where no archive lies, ArchiveError where it cannot be read.
    """
    archive = open_archive(settings, folder)
    words = {label.key: label for label in archive.labels() if label.word in _VERDICTS}
    out = []
    found = _read(archive, words, labels, planted=settings.revocation.self_test.gateway)
    lost = unlearnable(labels, {key: len(kept.calls) for key, kept in found.items()})
    for key, kept in found.items():
        if key in lost:
            continue
        calls = sorted(kept.calls, key=lambda call: call[:2])
        flagged = [call[0] if call[1] in kept.flagged else None for call in calls]
        said = _said(key, flagged, words.get(key), labels)
        if said is not None:
            out.append(label_session(key, kept.purpose, [call[2:] for call in calls], said, dataset=folder.name))
    return [session for session in out if session is not None]


def _read(
    archive: Archive, words: Mapping[SessionKey, Label], labels: Labels, *, planted: str
) -> dict[SessionKey, _Kept]:
    """`planted` is the gateway of what guardian plants; empty where it plants nothing."""
    found: dict[SessionKey, _Kept] = {}
    passed: set[SessionKey] = set()
    filled: Counter[tuple[str, str]] = Counter()
    for batch in archive.batches(_COLUMNS):
        for row in batch.to_pylist():
            key, group = SessionKey(row["tenant_id"], row["session_id"]), (row["tenant_id"], row["purpose_family"])
            if key in passed or not (row["purpose"] or "").strip() or row["gateway"] == planted:
                continue
            if key not in found:
                known = key in words or labels.speaks_of(key)
                if not known and filled[group] >= PER_PURPOSE:
                    passed.add(key)
                    continue
                filled[group] += not known
                found[key] = _Kept(row["purpose"])
            arguments = arguments_of(row["arguments"]) or {}
            found[key].calls.append((row["at"], row["decision_id"], row["tool"], arguments))
            if row["wanted"] not in (None, "none"):
                found[key].flagged.add(row["decision_id"])
    return found


def _said(
    key: SessionKey, flagged: Sequence[datetime | None], word: Label | None, labels: Labels
) -> Labels | None:
    """What was said of one session; None where guardian flagged it and nobody has answered since.

    `flagged` has the time of each act that led to a finding.
    """
    if labels.speaks_of(key):
        return labels
    name = f"{key.tenant_id}/{key.session_id}"
    if word is not None and word.word is HumanWord.CONFIRMED:
        acts = [f"{name}/{index}" for index, at in enumerate(flagged) if at is not None]
        return Labels(dict.fromkeys(acts or [name], "drift"))
    return Labels({}) if all(at is None or (word is not None and at <= word.at) for at in flagged) else None
