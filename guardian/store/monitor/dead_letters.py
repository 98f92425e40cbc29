"""Dead letters: records that could not be read, sealed at rest and forgotten after their time to live.

A record may have many letters. Of those that were kept in one transaction, and so have one `at`, the first keeps
the sealed value for all.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    Select,
    and_,
    false,
    func,
    or_,
    select,
    update,
)

from guardian.domain.batch import DeadLetter
from guardian.domain.identity import Identifier
from guardian.domain.record import Place
from guardian.store.engine import reading, writing
from guardian.store.inserts import insert_new
from guardian.store.monitor.keys import chunks, headers_of, headers_text
from guardian.store.monitor.tables import dead_letters, outbox
from guardian.store.monitor.values import ListedLetter, StoredDeadLetter

_T = TypeVar("_T")
_Offset: TypeAlias = tuple[str, int, int]
_Record: TypeAlias = tuple[str, int, int, datetime]
"""Of a record's letters those that were kept at once."""

_RECORD = dead_letters.c.topic, dead_letters.c.partition, dead_letters.c.offset, dead_letters.c.at

_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)
_MAX_NAME = 512
_MAX_REASON = 2000
_LISTED = [dead_letters.c[name] for name in ListedLetter.__dataclass_fields__ if name != "reason"] + [
    func.substr(dead_letters.c.reason, 1, _MAX_REASON).label("reason")
]


def insert_dead_letters(
    connection: Connection,
    letters: Sequence[DeadLetter],
    seal: Callable[[bytes], bytes],
    *,
    now: datetime,
    expires_at: datetime,
) -> list[str]:
    """Keep them; a letter that is kept already stays as it is, and so does what it keeps. Returns their ids.

    What is said of a record is made fit for any database; the sealed record itself is untouched. One that lies
    sealed already, and cannot be opened here, stays so: who has its key can send it again.
    """
    ids = [_id(letter) for letter in letters]
    known = _known(connection, ids)
    fresh: dict[str, DeadLetter] = {}
    seals: dict[_Offset, set[bytes | None]] = defaultdict(set)
    for id_, letter in zip(ids, letters, strict=True):
        if id_ not in known:
            fresh.setdefault(id_, letter)
            seals[_offset(letter)].add(letter.sealed)
    kept: set[_Offset] = set()
    rows = []
    for id_, letter in fresh.items():
        record, offset = letter.record, _offset(letter)
        kept_for_it = offset in kept and len(seals[offset]) == 1
        kept.add(offset)
        rows.append(
            {
                "id": id_,
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "code": letter.code,
                "reason": _text(letter.reason),
                "tenant_id": _name(letter.tenant_id),
                "session_id": _name(letter.session_id),
                "gateway": _text(letter.gateway)[:_MAX_NAME],
                "record_key": record.key,
                "headers": headers_text(record.headers),
                "sealed": b"" if kept_for_it else letter.sealed or seal(record.value),
                "timestamp": record.timestamp,
                "at": now,
                "expires_at": expires_at,
            }
        )
    insert_new(connection, dead_letters, rows)
    return ids


def set_letters_aside(connection: Connection, place: Place, now: datetime) -> None:
    """The place's offsets begin again: give the letters so far, and their deliveries, ids that no new one gets."""
    begins = f"{place[0]}/{place[1]}/"
    for column in (outbox.c.ref, dead_letters.c.id):
        offset = func.substr(column, len(begins) + 1)
        change = update(column.table).where(func.substr(column, 1, len(begins)) == begins, ~offset.contains("~"))
        if column is outbox.c.ref:
            change = change.where(outbox.c.kind == "dead_letter")
        connection.execute(change.values({column: column.concat(f"~{now:%Y%m%dT%H%M%S}")}))


def letter_of(ref: ColumnElement[str], topics: Iterable[str]) -> ColumnElement[bool]:
    """Whether a dead letter's id is of one of these topics; the letter itself may be forgotten by now."""
    begins = [f"{topic}/" for topic in sorted(topics)]
    return or_(false(), *(func.substr(ref, 1, len(each)) == each for each in begins))


def dead_letters_by_id(connection: Connection, ids: Iterable[str]) -> dict[str, StoredDeadLetter]:
    """The letters with these ids that are still kept. The value of one record is in memory once."""
    found: dict[str, StoredDeadLetter] = {}
    for part in chunks(ids):
        for row in connection.execute(select(dead_letters).where(dead_letters.c.id.in_(part))).mappings():
            found[row["id"]] = _letter(row)
    records = {id_: (each.topic, each.partition, each.offset, each.at) for id_, each in found.items()}
    values = {records[id_]: letter.sealed for id_, letter in found.items() if letter.sealed}
    for id_, letter in found.items():
        if not letter.sealed:
            record = records[id_]
            if record not in values:
                values[record] = bytes(connection.execute(_kept(dead_letters.c.sealed, record)).scalar() or b"")
            found[id_] = replace(letter, sealed=values[record])
    return found


def sealed_sizes(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """How many bytes the sealed value of each of these letters has, wherever it is kept."""
    size = func.length(dead_letters.c.sealed)
    sizes: dict[str, int] = {}
    elsewhere: dict[_Record, int] = {}
    for part in chunks(ids):
        query = select(dead_letters.c.id, size, *_RECORD).where(dead_letters.c.id.in_(part))
        for id_, has, *of in connection.execute(query).all():
            record = (of[0], of[1], of[2], of[3])
            if not has and record not in elsewhere:
                elsewhere[record] = connection.execute(_kept(size, record)).scalar() or 0
            sizes[id_] = has or elsewhere[record]
    return sizes


def _kept(what: ColumnElement[_T], record: _Record) -> Select[_T]:
    """This of the letter that keeps the value of a record for all that were kept at once."""
    same = (column == value for column, value in zip(_RECORD, record, strict=True))
    return select(what).where(*same, func.length(dead_letters.c.sealed) > 0).limit(1)


class DeadLetters:
    """What `guardian dlq` shows and sends back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self, *, limit: int = 100, after: ListedLetter | None = None) -> Sequence[ListedLetter]:
        """The newest first, or those that follow one of them, without the records."""
        query = select(*_LISTED).order_by(dead_letters.c.at.desc(), dead_letters.c.id).limit(limit)
        if after is not None:
            of_then = and_(dead_letters.c.at == after.at, dead_letters.c.id > after.id)
            query = query.where(or_(dead_letters.c.at < after.at, of_then))
        with reading(self._engine) as connection:
            return [ListedLetter(**row) for row in connection.execute(query).mappings()]

    def topics(self, ids: Iterable[str]) -> dict[str, str]:
        """Id -> topic of those of `ids` that are still kept."""
        found: dict[str, str] = {}
        with reading(self._engine) as connection:
            for part in chunks(ids):
                query = select(dead_letters.c.id, dead_letters.c.topic).where(dead_letters.c.id.in_(part))
                found |= {row.id: row.topic for row in connection.execute(query)}
        return found

    def unsent(self) -> Sequence[tuple[str, str]]:
        """Id and topic of each that was not sent again yet, the oldest first. Without the records: all of them may
        be more than memory holds."""
        order = dead_letters.c.at, dead_letters.c.offset, dead_letters.c.id
        query = select(dead_letters.c.id, dead_letters.c.topic).where(dead_letters.c.redriven_at.is_(None))
        with reading(self._engine) as connection:
            return [(row.id, row.topic) for row in connection.execute(query.order_by(*order))]

    def get(self, ids: Iterable[str]) -> dict[str, StoredDeadLetter]:
        """Those of `ids` that are still kept."""
        with reading(self._engine) as connection:
            return dead_letters_by_id(connection, ids)

    def counts(self) -> dict[str, int]:
        """How many are kept, by code."""
        query = select(dead_letters.c.code, func.count().label("letters")).group_by(dead_letters.c.code)
        with reading(self._engine) as connection:
            return {row.code: row.letters for row in connection.execute(query)}

    def redriven(self, letter_id: str, *, now: datetime) -> None:
        """Note that it was sent back to its topic."""
        with writing(self._engine) as connection:
            connection.execute(update(dead_letters).where(dead_letters.c.id == letter_id).values(redriven_at=now))


def _known(connection: Connection, ids: Iterable[str]) -> set[str]:
    known: set[str] = set()
    for part in chunks(ids):
        known.update(connection.execute(select(dead_letters.c.id).where(dead_letters.c.id.in_(part))).scalars())
    return known


def _offset(letter: DeadLetter) -> _Offset:
    return letter.record.topic, letter.record.partition, letter.record.offset


def _id(letter: DeadLetter) -> str:
    record = letter.record
    place = f"{record.topic}/{record.partition}/{record.offset}"
    return f"{place}/{letter.entry}" if letter.entry else place


def _text(said: str) -> str:
    """Without what PostgreSQL holds in no text: NUL and lone surrogates."""
    return said.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _name(said: str | None) -> str | None:
    """As much of a name as a column holds; None where that is still no valid one."""
    try:
        return None if said is None else _IDENTIFIER.validate_python(_text(said)[:_MAX_NAME])
    except ValidationError:
        return None


def _letter(row: RowMapping) -> StoredDeadLetter:
    told = dict(row)
    key, headers = told.pop("record_key"), headers_of(told.pop("headers"))
    told["sealed"] = bytes(told["sealed"])
    return StoredDeadLetter(**told, key=None if key is None else bytes(key), headers=headers)
