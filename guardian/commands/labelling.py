"""Labelled sessions: session lines that carry labels, logs with what people said beside them, or an archive."""

import gzip
import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from io import TextIOWrapper
from itertools import chain, pairwise
from pathlib import Path

from guardian.bootstrap.judgement import ReadLog, open_reading
from guardian.commands.archived_sessions import LeftOut, archive_sessions
from guardian.commands.offline import batches
from guardian.config import Settings
from guardian.disk import make_folder, write_atomically
from guardian.domain.batch import DecisionKey, Decoded
from guardian.domain.identity import SessionKey, begins_anew
from guardian.evaluation.honest import HonestSession
from guardian.evaluation.labels import Labels, label_session, split_by_tenant, tell_unmet, unlearnable
from guardian.evaluation.sessions import LabelledSession, read_sessions, session_json
from guardian.sources.session_lines import is_session_line
from guardian.telemetry import logger

_REFUSED = "gateway_not_entitled"

_log = logger("commands")


def labelled_sessions(
    settings: Settings,
    files: Sequence[Path],
    labels: Labels,
    read: ReadLog | None = None,
    left_out: LeftOut | None = None,
) -> list[LabelledSession]:
    """Every session of every file or archive, in order; one that lies in several logs is one, of the file in which
    it begins. Records of a log that cannot be read or believed are skipped, secrets redacted. `read` reads a log
    (default: as the settings say); `left_out` is told what archives keep back, and of what nothing is known.

    Raises SessionFileError on a line that is neither a labelled session nor a decision.
    """
    met, seen = set[SessionKey](), set[bytes]()
    logged = _logged(settings, files, labels, read or open_reading(settings), met)
    found = [
        session for file in files for session in _sessions(settings, file, logged, labels, met, seen, left_out)
    ]
    tell_unmet(labels, met)
    return found


def training_files(
    settings: Settings,
    files: Sequence[Path],
    labels: Labels,
    folder: Path,
    *,
    begun: bool = False,
) -> tuple[list[Path], int]:
    """The same as session lines, logs and archives rewritten into `folder`; and how many sessions of those.

    Each of their tenants is a data set of its own, so that fold encoders are judged on tenants they have not seen.
    A training that was `begun` in the folder is left what it reads: logs and archives have grown since.
    """
    out = [folder / f"log_{n}.jsonl.gz" if f.is_dir() or is_log(f) else f for n, f in enumerate(files)]
    live = {path: file for path, file in zip(out, files, strict=True) if path != file}
    if wanted := {path: file for path, file in live.items() if not (begun and path.is_file())}:
        met: set[SessionKey] = set()
        unknown = LeftOut()
        logged = _logged(settings, files, labels, open_reading(settings), met)
        make_folder(folder, mode=0o700)  # logs are copied as they are, but for secrets
        for path, file in wanted.items():
            sessions = split_by_tenant(_sessions(settings, file, logged, labels, met, set(), unknown))
            # the same sessions are the same bytes: an interrupted training is known by them
            with (
                write_atomically(path, mode=0o600) as whole,
                gzip.GzipFile(fileobj=whole, mode="wb", mtime=0) as zipped,
                TextIOWrapper(zipped, encoding="utf-8") as lines,
            ):
                lines.writelines(json.dumps(session_json(session)) + "\n" for session in sessions)
        tell_unmet(labels, met)
        if unknown.for_rules:
            effect = "nobody said that they left their purpose: nothing is learnt of them"
            _log.warning("confirmed_for_a_rule_alone", acts=unknown.for_rules, effect=effect)
    return out, len(read_sessions(live))


def data_sets_of(source: str, files: Iterable[Path]) -> frozenset[str]:
    """The data sets that a calibration was fitted on: of its `source`, which lists files, the names without
    their endings, and what the session lines of those that are among `files` say of themselves."""
    named = frozenset(name.strip().partition(".")[0] for name in source.split(","))
    lines = [f for f in files if f.name.partition(".")[0] in named and not f.is_dir() and not is_log(f)]
    return named | {session.dataset for session in read_sessions(lines)}


def is_log(file: Path) -> bool:
    """Whether a file holds decisions rather than session lines, by the first that is not blank."""
    first = next((record.value for batch in batches(file) for record in batch if record.value.strip()), None)
    return first is not None and not is_session_line(first)


def _sessions(
    settings: Settings,
    file: Path,
    logged: Mapping[Path, Sequence[HonestSession]],
    labels: Labels,
    met: set[SessionKey],
    seen: set[bytes],
    left_out: LeftOut | None = None,
) -> Iterator[LabelledSession]:
    if file.is_dir():
        yield from archive_sessions(settings, file, labels, met, left_out)
        return
    if file not in logged:
        yield from read_sessions([file], seen)  # or says what is wrong with its first line
    labels, aimless = labels.among(met), 0
    for told in logged.get(file, ()):
        calls = [
            (index, d.event.action.tool, d.event.action.arguments)
            for index, d in enumerate(told.decisions)
            if d.event.envelope.purpose.strip()
        ]
        aimless += not calls
        key = told.decisions[0].event.key
        if left_out is not None:
            left_out.for_rules += labels.for_rules(key, range(len(told.decisions)))
        session = label_session(key, told.purpose, calls, labels, dataset=file.name.split(".")[0])
        if calls and session is not None:
            yield replace(session, unjudged=told.unjudged)
    if aimless:
        _log.warning("sessions_without_a_purpose", file=str(file), sessions=aimless, effect="left out")


def _logged(
    settings: Settings, files: Sequence[Path], labels: Labels, read: ReadLog, met: set[SessionKey]
) -> dict[Path, list[HonestSession]]:
    """The sessions of the logs among the files, each by the file in which it begins; `met` gains the names of all.
    Without logs of which nothing could be read. Acts are in the order in which the monitor counted them, whichever
    file is named first: a shell lists the newest of rotated ones first."""
    told = {file: _decisions(file, read) for file in files if not file.is_dir() and is_log(file)}
    logs = {file: decisions for file, decisions in told.items() if decisions is not None}
    begins = {id(d): file for file, decisions in logs.items() for d in decisions}
    found: dict[Path, list[HonestSession]] = {file: [] for file in logs}
    every = list(_in_time(logs.values()))
    met.update(d.event.key for d in every)
    for session in told_apart(decision_sessions(every, timedelta(seconds=settings.source.idle_s)), labels):
        found[begins[id(session.decisions[0])]].append(session)
    return found


def told_apart(sessions: Sequence[HonestSession], labels: Labels) -> list[HonestSession]:
    """Without those of one name where people confirmed a drift, for they did not say in which of them, and those
    where they confirmed one in an act that is not there. Nor did they say which of one name they dismissed: those
    stay unjudged."""
    names = Counter(session.key for session in sessions)
    acts: dict[SessionKey, int] = {}
    for s in sessions:
        if s.key is not None:
            acts[s.key] = max(acts.get(s.key, 0), len(s.decisions))
    labels = labels.among(acts)
    lost = unlearnable(labels, {key: range(count) for key, count in acts.items()})
    return [
        replace(s, unjudged=s.key is None or names[s.key] > 1 or not labels.speaks_of(s.key))
        for s in sessions
        if s.key is None or (s.key not in lost and (names[s.key] == 1 or not labels.drifts_in(s.key)))
    ]


def decision_sessions(decoded: Iterable[Decoded], idle: timedelta = timedelta.max) -> list[HonestSession]:
    """Decisions of a log grouped into their sessions, in order of first appearance. As for the monitor, one that
    came twice counts once, and a session known by agent and user only begins anew after `idle` without a call."""
    found: list[list[Decoded]] = []
    going: dict[SessionKey, tuple[list[Decoded], datetime]] = {}
    seen = set[tuple[DecisionKey, str]]()
    for d in decoded:
        if (d.decision, d.digest) in seen:
            continue
        seen.add((d.decision, d.digest))
        session, last = going.get(d.event.key, ([], d.now))
        if not session or (d.event.nameless and begins_anew(last, d.now, idle=idle)):
            found.append(session := [])
            last = d.now
        session.append(d)
        going[d.event.key] = session, max(d.now, last)
    return [HonestSession(_purpose(ds), tuple(ds)) for ds in found]


def _purpose(decisions: Sequence[Decoded]) -> str:
    """The first that is told; empty where none is."""
    return next((purpose for d in decisions if (purpose := d.event.envelope.purpose).strip()), "")


def log_sessions(files: Sequence[Path], read: ReadLog, idle: timedelta) -> list[HonestSession]:
    """The sessions of a log, which may lie in several files, named in any order; records that cannot be read or
    believed are skipped, and told."""
    return decision_sessions(_in_time(_decisions(file, read) or () for file in files), idle)


def _in_time(logs: Iterable[Sequence[Decoded]]) -> Iterator[Decoded]:
    """The decisions of several files, session by session: of each first those of the file in which it begins, or
    where its files go on at the same time, as those of two gateways do, in the order of their times."""
    parts: dict[SessionKey, dict[int, list[Decoded]]] = {}
    for number, decisions in enumerate(logs):
        for d in decisions:
            parts.setdefault(d.event.key, {}).setdefault(number, []).append(d)
    for of_files in parts.values():
        told = sorted(of_files.values(), key=lambda part: part[0].now)
        one_by_one = all(part[-1].now <= after[0].now for part, after in pairwise(told))
        yield from chain(*told) if one_by_one else heapq.merge(*told, key=lambda d: d.now)


def _decisions(file: Path, read: ReadLog) -> list[Decoded] | None:
    """None if nothing of it could be read, not even a record whose gateway may not say what it says."""
    decisions: list[Decoded] = []
    skipped, first, refused, unheld = 0, None, False, 0
    for decoded, letters in map(read, batches(file)):
        decisions.extend(decoded)
        unheld += sum(d.signature == "invalid" for d in decoded)
        unread = [letter for letter in letters if not letter.judged]
        skipped += len(unread)
        first = first or next(iter(unread), None)
        refused = refused or any(letter.code == _REFUSED for letter in unread)
    if first is not None:
        line, why = first.record.offset + 1, f"{first.code}: {first.reason}"
        _log.warning("records_skipped", file=str(file), records=skipped, first_line=line, reason=why)
    if unheld:
        _log.warning(
            "signatures_do_not_hold",
            file=str(file),
            records=unheld,
            effect="their sessions are in breach of a hard rule; no calibration counts those",
            see="keys.envelope_jwks: keep keys that are no longer used in it while logs of their time are read",
        )
    return decisions if decisions or refused else None
