"""Files through the pipeline: scoring and replay, without side effects."""

import json
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.judgement import open_judge, open_pipeline, unchecked
from guardian.bootstrap.secrets import SecretFiles, envelope_verifier
from guardian.bus.documents import Documents
from guardian.bus.port import Consumer
from guardian.commands.output import writer
from guardian.config import Settings
from guardian.domain.batch import Judgement
from guardian.domain.finding import Finding
from guardian.domain.identity import SessionKey
from guardian.domain.record import Record
from guardian.errors import DecodeError, StoreError
from guardian.pipeline.judging import Judge
from guardian.pipeline.pipeline import Pipeline
from guardian.pipeline.scoring_run import LogScorer, Scored, SessionScorer
from guardian.signals.credentials.scanner import CredentialScanner
from guardian.sources.session_lines import LineError, SessionLine, is_session_line, read_session_lines
from guardian.store.engine import open_engine
from guardian.store.monitor.store import MonitorStore
from guardian.stream.commit import Committer
from guardian.stream.worker import Worker, WorkerOptions
from guardian.telemetry import Metrics

_BATCH = 64

Update = Callable[[int, int | None], None]
"""Told how far a file was read, in bytes as they lie there, and its size; None where nobody knows it."""


@dataclass(frozen=True, slots=True)
class ScoreOutcome:
    """How many actions were scored and how many lines refused, by code, of how many records."""

    scored: int
    refused: Mapping[str, int]
    records: int


@dataclass(frozen=True, slots=True)
class _Refused:
    line: int
    error: str


def score_file(settings: Settings, file: Path, output: Path, update: Update) -> ScoreOutcome:
    """Score a file of decisions or of session lines; the output is complete or absent, never half a file."""
    key = _key(settings)
    judge = open_judge(settings, fingerprint_key=key)
    pipeline = open_pipeline(
        settings, judge, verify=unchecked, clock=utc_now, redaction_key=key, check_entitlements=False
    )
    sessions, log = SessionScorer(judge, CredentialScanner()), LogScorer(judge)
    scored = held = 0
    refused: Counter[str] = Counter()
    with writer(output) as write:
        for records in batches(file, update):
            for result in _score(records, sessions, log, pipeline):
                if isinstance(result, Scored):
                    scored += 1
                    write(json.dumps(result.as_json()))
                else:
                    refused[result.error.partition(":")[0]] += 1
                    write(json.dumps({"line": result.line, "error": result.error}))
            held += sum(bool(record.value.strip()) for record in records)
    return ScoreOutcome(scored, refused, held)


def _key(settings: Settings) -> bytes:
    """The deployment's, so that hashes are those that its monitor makes; where it has none here, one for once."""
    files = SecretFiles.of(settings)
    return files.load_fingerprint_key() if os.access(files.fingerprint, os.R_OK) else secrets.token_bytes(32)


def _score(
    batch: list[Record], sessions: SessionScorer, log: LogScorer, pipeline: Pipeline
) -> Iterator[Scored | _Refused]:
    """Runs of lines of one kind together, so that the output keeps the input's order."""
    start = 0
    while start < len(batch):
        kind = is_session_line(batch[start].value)
        end = start + 1
        while end < len(batch) and is_session_line(batch[end].value) == kind:
            end += 1
        run = batch[start:end]
        yield from _score_sessions(run, sessions) if kind else _score_decisions(run, log, pipeline)
        start = end


def _score_sessions(run: list[Record], scorer: SessionScorer) -> Iterator[Scored | _Refused]:
    results: list[tuple[SessionLine, int] | _Refused] = []
    decoded = []
    for line in read_session_lines(run):
        if isinstance(line, LineError):
            results.append(_Refused(line.line, line.error))
            continue
        try:
            decisions = scorer.session(line)
        except DecodeError as error:
            results.append(_Refused(line.line, str(error)))
            continue
        decoded.append((line.session_id, decisions))
        results.append((line, len(decisions)))
    scored = iter(scorer.score_sessions(decoded))
    for result in results:
        if isinstance(result, _Refused):
            yield result
        else:
            for _ in range(result[1]):
                yield next(scored)


def _score_decisions(run: list[Record], scorer: LogScorer, pipeline: Pipeline) -> Iterator[Scored | _Refused]:
    run = [record for record in run if record.value.strip()]
    decoded, letters = pipeline.decode(run)
    scored = iter(scorer.score(decoded))
    told = Counter(d.record.offset for d in decoded)  # a record may hold several decisions, or none
    refused: dict[int, list[_Refused]] = {}
    for letter in letters:
        line = _Refused(letter.record.offset + 1, f"{letter.code}: {letter.reason}")
        refused.setdefault(letter.record.offset, []).append(line)
    for record in run:
        yield from islice(scored, told[record.offset])
        yield from refused.get(record.offset, ())


class PlainLines(Documents):
    """A file of which `held` counts what was read, and `so_far` says how far that is, as an `Update` is told."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.held = 0
        self.so_far: tuple[int, int | None] = (0, None)

    def poll(self, *, timeout_s: float, max_records: int) -> list[Record]:
        records = super().poll(timeout_s=timeout_s, max_records=max_records)
        self.held += len(records)
        if self._path == "-":
            self.so_far = (self.so_far[0] + sum(len(record.value) + 1 for record in records), None)
        elif self._stream is not None:
            file = self._stream.fileno()
            size = os.fstat(file).st_size
            self.so_far = (min(os.lseek(file, 0, os.SEEK_CUR), size), size)
        return records


def batches(file: Path, update: Update = lambda _done, _total: None) -> Iterator[list[Record]]:
    """The lines of a file, in order. Raises ConfigurationError for one that cannot be read."""
    consumer = PlainLines(file)
    consumer.start(lambda _: {})
    try:
        while not consumer.exhausted():
            if batch := consumer.poll(timeout_s=0, max_records=_BATCH):
                yield batch
                update(*consumer.so_far)
    finally:
        consumer.close()


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What the monitor's pipeline made of a log."""

    findings: tuple[Finding, ...]
    decisions: int
    sessions: int
    dead_letters: tuple[tuple[int, str, str], ...]  # line from 1, code, reason
    duplicates: int
    seconds: float
    records: int


def replay_file(settings: Settings, file: Path, update: Update, *, judge: Judge | None = None) -> ReplayOutcome:
    """Run a log through decoding, judging and the transaction against a scratch store that is then thrown away.

    A gateway is believed as the monitor believes it; where the settings entitle none, any is. Signatures of
    envelopes are checked where their keys are configured. What the monitor does beside the log is left out: see
    `judge_all`.
    """
    key = _key(settings)
    judge = judge or open_judge(settings, fingerprint_key=key)
    pipeline = open_pipeline(
        settings,
        judge,
        verify=envelope_verifier(settings) or unchecked,
        clock=utc_now,
        redaction_key=key,
        check_entitlements=bool(settings.gateways),
    )
    findings: dict[str, Finding] = {}
    letters: list[tuple[int, str, str]] = []
    seen: set[SessionKey] = set()
    counts = {"decisions": 0, "duplicates": 0}
    lines = PlainLines(file)

    def committed(judgement: Judgement) -> None:
        for finding in judgement.findings:
            findings.setdefault(finding.id, finding)
        letters.extend((d.record.offset + 1, d.code, d.reason) for d in judgement.dead_letters)
        seen.update(judgement.sessions)
        counts["decisions"] += len(judgement.scored)
        counts["duplicates"] += judgement.duplicates
        update(*lines.so_far)

    with scratch_store() as store:
        began = time.perf_counter()
        judge_all(settings, lines, pipeline, store, metrics=Metrics(), on_commit=committed)
        seconds = time.perf_counter() - began
    return ReplayOutcome(
        tuple(findings.values()),
        counts["decisions"],
        len(seen),
        tuple(letters),
        counts["duplicates"],
        seconds,
        lines.held,
    )


@contextmanager
def scratch_store() -> Iterator[MonitorStore]:
    """A monitor's store that is thrown away, with the dead letters in it: the log itself still has the bytes.

    It grows with the log, in the folder for temporary files. Raises StoreError, which says what that takes.
    """
    need = "name by TMPDIR a folder with room for what is read: some 0.3 kB for each decision"
    try:
        folder = tempfile.mkdtemp(prefix="guardian-scratch-")
    except OSError as error:
        raise StoreError(f"store: no temporary folder can be made ({error}); {need}") from error
    try:
        store = MonitorStore(
            open_engine(f"sqlite:///{folder}/monitor.db"), seal=lambda _: b"", hear=lambda state, _: state
        )
        with closing(store):
            yield store
    except StoreError as error:
        raise StoreError(f"{error}; it lies in {folder}: {need}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def judge_all(
    settings: Settings,
    consumer: Consumer,
    pipeline: Pipeline,
    store: MonitorStore,
    *,
    metrics: Metrics,
    on_commit: Callable[[Judgement], None],
    archived: Callable[[Judgement], bytes] | None = None,
) -> None:
    """Take a bounded source through decoding, judging and the transaction.

    Unlike the monitor: nothing is learnt, so `purpose_baseline` has nothing to compare with; no record waits for
    its envelope; envelopes and words from control, or from a topic of envelopes, are not heard; no fuse blows.
    """
    batch = settings.monitor.batch
    committer = Committer(
        pipeline=pipeline,
        store=store,
        clock=utc_now,
        timer=time.perf_counter,
        metrics=metrics,
        on_commit=on_commit,
        archived=archived,
        most=batch,
    )
    Worker(
        consumer=consumer,
        store=store,
        committer=committer,
        clock=utc_now,
        options=WorkerOptions(max_records=batch, max_outbox_depth=None),
    ).run(threading.Event())
