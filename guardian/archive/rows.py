"""One judged decision → one row; rows → bytes that wait in the monitor's store until they are written to a
file."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from guardian.archive.identity import LIVE
from guardian.archive.redaction import Redaction, bound, shape
from guardian.archive.schema import EVENTS, LABELS
from guardian.domain.batch import Change, ScoredDecision
from guardian.domain.envelope import purpose_family
from guardian.domain.event import DecisionEvent
from guardian.domain.finding import Finding, Kind
from guardian.domain.session import CARRIER, HumanWord, judged

Row = dict[str, Any]
LONGEST_ARGUMENTS = 16_384
"""The most characters that one call's arguments may have, as JSON and in `bound` together; more are cut."""
_LONGEST_REASON = 500
_VERDICTS = (HumanWord.CONFIRMED, HumanWord.FALSE_POSITIVE, HumanWord.WITHDRAWN)  # whose detail is what they judge
_EARLIEST, _LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Rows:
    """`versions` are the judge's; `origin` is live, or import for history that was back-filled."""

    redaction: Redaction
    versions: Mapping[str, str]
    origin: str = LIVE

    def events(self, scored: Iterable[ScoredDecision], findings: Iterable[Finding]) -> bytes:
        """Arrow IPC of one batch's decisions; empty for none."""
        made = {
            (finding.tenant_id, finding.act.gateway, finding.act.decision_id): finding
            for finding in findings
            if finding.kind is Kind.DRIFT and finding.act is not None
        }
        rows = [
            self.row(each, made.get((event.envelope.tenant_id, event.gateway, event.id)))
            for each in scored
            for event in (each.decoded.event,)
        ]
        return pack(rows, EVENTS)

    def row(self, scored: ScoredDecision, finding: Finding | None) -> Row:
        """The row of one decision; its columns are `EVENTS`."""
        d, drift, vectors = scored.decoded, scored.drift, scored.vectors
        event = d.event
        envelope, action = event.envelope, event.action
        resource = action.resource
        resource_id = None if resource is None else resource.id
        arguments = self.redaction.arguments(action.tool, action.arguments)
        text = None if arguments is None else json.dumps(arguments, separators=(",", ":"))
        named = self.redaction.names(action.tool, action.arguments)
        carried: list[str] | None = bound(named, resource_id, envelope.resource_constraints)
        if text is not None and len(text) + sum(map(len, carried or ())) > LONGEST_ARGUMENTS:
            text, carried = cut(text), None
        missing = event.features_missing
        return {
            "tenant_id": envelope.tenant_id,
            "gateway": event.gateway,
            "decision_id": event.id,
            "digest": d.digest,
            "at": moment(d.now),
            "event_time": moment(event.time),
            "clock_suspect": d.clock_suspect,
            "origin": self.origin,
            "trace_id": event.trace_id,
            "session_id": envelope.session_id,
            "parent_session_id": envelope.parent_session_id,
            "task_id": envelope.task_id,
            "delegator_id": envelope.delegator_id,
            "agent_id": envelope.agent_id,
            "agent_version": event.agent_version,
            "purpose": envelope.purpose,
            "purpose_family": purpose_family(envelope.purpose),
            "allowed_tools": list(envelope.allowed_tools),
            "constraints": json.dumps(dict(envelope.resource_constraints), separators=(",", ":")),
            "expires_at": moment(envelope.expires_at),
            "envelope_digest": d.envelope_digest,
            "signature": d.signature,
            "tool": action.tool,
            "arguments": text,
            "bound": carried,
            "resource_type": None if resource is None else resource.type,
            "resource_id": None if resource_id is None else self.redaction.resource_id(action.tool, resource_id),
            "data_classes": None if "data_classes" in missing else sorted(event.data_classes),
            "records": None if "records" in missing else min(event.records, 2**62),
            "effect": event.decision.effect,
            "policy_ids": list(event.decision.policy_ids),
            "reason": event.decision.reason[:_LONGEST_REASON],
            "score": drift.score,
            "p_value": drift.p_value,
            "e_value": drift.e_value,
            "session_evidence": drift.session_evidence,
            "step": drift.step,
            "one_in": drift.one_in,
            "promised": drift.promised,
            "signals": [(signal.name, signal.value) for signal in drift.signals if not signal.silent],
            "breaches": [breach.name for breach in drift.breaches],
            "features_missing": list(drift.features_missing),
            "finding_id": None if finding is None else finding.id,
            "wanted": "none" if finding is None else finding.wanted.value,
            "model": self.versions.get("model"),
            "calibration": self.versions.get("calibration"),
            "vector_model": None if vectors is None else vectors.model,
            "purpose_vector": None if vectors is None else vectors.purpose,
            "action_vector": None if vectors is None else vectors.action,
            **_spelt(event),
            "act_index": scored.act if self.origin == LIVE else None,  # a log may lack where a session begins
        }


def cut(arguments: str) -> str:
    """What is kept of arguments that are too long: a JSON text, which cannot be mistaken for the arguments.

    >>> cut('{"to":"ann@acme.com"}')
    '"~cut, 21 characters: ~{\\\\"a\\\\":\\\\"a@a.a\\\\"}"'
    """
    return json.dumps(f"~cut, {len(arguments)} characters: {shape(arguments)}")


def json_object(text: str | None) -> dict[str, Any] | None:
    """A JSON column's object. None for null and for anything else, such as arguments that were cut."""
    told = None if text is None else json.loads(text)
    return told if isinstance(told, dict) else None


def _spelt(event: DecisionEvent) -> Row:
    tools, origin = event.envelope.allowed_tools, event.origin
    told = tools if origin is None else origin.allowed_tools
    return {
        "tool_spelt": event.action.tool if origin is None else origin.tool,
        "allowed_tools_spelt": None if told is None else [] if told == tools else list(told),
    }


def labels(words: Iterable[Change]) -> bytes:
    """Arrow IPC of what people said; empty if none of it is about what a session did. What was given
    back with its parent counts as given back, as in the ledger."""
    return pack(
        [
            {"tenant_id": word.key.tenant_id, "session_id": word.key.session_id}
            | {"word": _word(word).value, "at": moment(word.at), "seq": word.seq}
            | {"finding_id": (judged(word.detail)[0] or None) if word.word in _VERDICTS else None}
            for word in words
            if word.word is not HumanWord.REGISTERED
        ],
        LABELS,
    )


def _word(said: Change) -> HumanWord:
    if said.word is HumanWord.WITHDRAWN:
        return CARRIER
    with_its_parent = said.word is HumanWord.LAPSED and said.detail == "parent_reinstated"
    return HumanWord.REINSTATED if with_its_parent else said.word


def share_memory() -> None:
    """Let Arrow take its memory from the C library.

    Its own pool keeps tens of megabytes, and is only quicker for tables far larger than a monitor packs.
    """
    pa.set_memory_pool(pa.system_memory_pool())


def pack(rows: Sequence[Row], schema: pa.Schema) -> bytes:
    """Arrow IPC stream, zstd; empty for no rows."""
    if not rows:
        return b""
    columns = [pa.array([row[field.name] for row in rows], type=field.type) for field in schema]
    batch = pa.record_batch(columns, schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def unpack(packed: Sequence[bytes], schema: pa.Schema) -> pa.Table:
    """The rows of several packings together. Columns that an older version did not know are null."""
    tables = []
    for body in packed:
        with pa.ipc.open_stream(body) as stream:
            tables.append(conform(stream.read_all(), schema))
    return pa.concat_tables(tables) if tables else schema.empty_table()


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table in the present schema: lacking columns null, unknown ones left out, arguments no longer than they
    are kept now."""
    have = set(table.column_names)
    columns = {
        field.name: table.column(field.name).cast(field.type)
        if field.name in have
        else pa.nulls(table.num_rows, type=field.type)
        for field in schema
    }
    if "arguments" in columns and "arguments" in have:
        columns["arguments"] = _shortened(columns["arguments"])
    return pa.table(columns, schema=schema)


def _shortened(arguments: pa.ChunkedArray) -> pa.ChunkedArray:
    longest = pc.max(pc.binary_length(arguments)).as_py() or 0
    if longest <= LONGEST_ARGUMENTS:
        return arguments
    texts = (value.as_py() for value in arguments)  # one by one: together they may not fit into memory
    kept = [text if text is None or len(text) <= LONGEST_ARGUMENTS else cut(text) for text in texts]
    return pa.chunked_array([kept], type=arguments.type)


def moment(at: datetime | None) -> datetime | None:
    """In UTC, and moved into the range that every reader of Parquet can hold."""
    if at is None:
        return None
    try:
        told = at.astimezone(UTC)
    except OverflowError:
        return _EARLIEST if at.year == 1 else _LATEST
    return min(max(told, _EARLIEST), _LATEST)
