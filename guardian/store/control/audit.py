"""The audit trail: records in canonical JSON (RFC 8785), each hash covering everything before it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import rfc8785
from sqlalchemy import ColumnElement, Connection, and_, exists, insert, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType

from guardian.store.columns import in_key, storable
from guardian.store.control.head import extend_audit, read_head
from guardian.store.control.scope import NoIndex, Scope, walked_within, within
from guardian.store.control.tables import audit, audit_about, audit_told, head
from guardian.store.inserts import insert_new

_DOMAIN = b"guardian.audit/v1\x00"
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_AT_ONCE = 2000  # rows held in memory while the trail is read

Doubt = Literal["missing", "surplus", "unreadable", "moved", "edited"]


class AuditEntry(NamedTuple):
    """One line of the trail; `record` is the canonical text that `hash` covers."""

    seq: int
    record: str
    hash: str


class RawEntry(NamedTuple):
    """One line as the bytes that are stored, to be doubted; None where a column holds no text."""

    seq: int
    record: bytes | None
    hash: bytes | None


class RawEnd(NamedTuple):
    """What the head row says of the trail, to be doubted; `seq` is -1 where it holds no number."""

    epoch: int
    seq: int
    hash: bytes | None


@dataclass(frozen=True, slots=True)
class AuditRows:
    connection: Connection

    def append(self, record: Mapping[str, Any]) -> AuditEntry:
        """Chain one record. The head row's lock is held, so the chain cannot fork."""
        end = read_head(self.connection)
        seq = end.audit_seq + 1
        text = canonical({**record, "seq": seq})
        digest = chain(end.audit_hash, text)
        self.connection.execute(insert(audit).values(seq=seq, record=text, hash=digest))
        extend_audit(self.connection, seq, digest)
        insert_new(
            self.connection, audit_told, [{"seq": seq, **_told(record)}]
        )  # a trail that was cut leaves some
        tenant_id, session_id = record.get("tenant_id"), record.get("session_id")
        if _fits(tenant_id) and _fits(session_id):
            place = {"tenant_id": tenant_id, "session_id": session_id, "seq": seq}
            self.connection.execute(insert(audit_about).values(**place))
        return AuditEntry(seq, text, digest)

    def note(self, action: str, *, at: datetime, actor: str = "guardian", **told: Any) -> AuditEntry:
        """Append what was done without asking policy: by guardian itself, by an operator, or by signing in."""
        return self.append({"at": at.isoformat(), "actor": actor, "action": action, **told})

    def entries(self, after: int = 0) -> Iterator[AuditEntry]:
        wanted = select(audit).where(audit.c.seq > after).order_by(audit.c.seq)
        for row in self.connection.execute(wanted.execution_options(yield_per=_AT_ONCE)):
            yield AuditEntry(row.seq, row.record, row.hash)

    def about(
        self, tenant_id: str, session_id: str, *, limit: int, before: int | None = None, action: str | None = None
    ) -> list[RawEntry]:
        """The entries on one session, or of one action on it, the newest first; `before` continues a page."""
        wanted = select(*_raw()).join(audit_about, audit_about.c.seq == audit.c.seq)
        wanted = wanted.where(audit_about.c.tenant_id == tenant_id, audit_about.c.session_id == session_id)
        if action is not None:
            named = exists().where(audit_told.c.seq == audit_about.c.seq, audit_told.c.action == in_key(action))
            wanted = wanted.where(named)
        if before is not None:
            wanted = wanted.where(audit_about.c.seq < before)
        rows = self.connection.execute(wanted.order_by(audit_about.c.seq.desc()).limit(limit))
        return [RawEntry(*row) for row in rows]

    def told(
        self,
        scope: Scope,
        *,
        limit: int,
        before: int | None = None,
        actor: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[RawEntry]:
        """The entries of these tenants, the newest first by the times in them, from `since` on and before `until`;
        what concerns no tenant is in the scope of all only. `before`, an entry's number, continues a page. Of an
        entry that is not of these tenants, whatever the index says, only the number is told."""
        of, place = audit_told.c, (audit_told.c.at.desc(), audit_told.c.seq.desc())
        tenants = None if scope is None else {in_key(each) for each in scope}
        mine: ColumnElement[bool]
        if actor is not None:
            mine = and_(within(NoIndex(of.tenant_id), tenants), of.actor == in_key(actor))
        elif tenants is not None and len(tenants) == 1:
            mine = within(of.tenant_id, tenants)
        else:
            mine = walked_within(self.connection, of.tenant_id, tenants)
        wanted = select(*_raw()).join(audit_told, of.seq == audit.c.seq).where(mine)
        if action is not None:
            wanted = wanted.where(of.action == in_key(action))
        if since is not None:
            wanted = wanted.where(of.at >= since)
        if until is not None:
            wanted = wanted.where(of.at < until)
        if before is not None:
            at = self.connection.execute(select(of.at).where(of.seq == before)).scalar()
            if at is None:
                return []
            wanted = wanted.where(of.at <= at, or_(of.at < at, of.seq < before))
        found = (RawEntry(*row) for row in self.connection.execute(wanted.order_by(*place).limit(limit)))
        return [each if _is_of(each, scope) else RawEntry(each.seq, None, None) for each in found]

    def naming(self, tenant_id: str, session_id: str, text: str) -> list[AuditEntry]:
        """The entries on one session that hold `text` in quotes, the newest first, however many came since."""
        wanted = select(audit).join(audit_about, audit_about.c.seq == audit.c.seq)
        wanted = wanted.where(audit_about.c.tenant_id == tenant_id, audit_about.c.session_id == session_id)
        wanted = wanted.where(audit.c.record.contains(f'"{text}"', autoescape=True))
        rows = self.connection.execute(wanted.order_by(audit_about.c.seq.desc()))
        return [AuditEntry(row.seq, row.record, row.hash) for row in rows]

    def raw(self, after: int | None = None) -> Iterator[RawEntry]:
        """Every row by its number, a few at a time; without `after` also impossible ones below 1."""
        wanted = select(*_raw()).order_by(audit.c.seq)
        if after is not None:
            wanted = wanted.where(audit.c.seq > after)
        for row in self.connection.execute(wanted.execution_options(yield_per=_AT_ONCE)):
            yield RawEntry(*row)

    def newest(self, count: int) -> list[RawEntry]:
        """The last `count` rows by their numbers, the newest last, whatever the head row says."""
        wanted = select(*_raw())
        found = self.connection.execute(wanted.order_by(audit.c.seq.desc()).limit(count)).all()
        return [RawEntry(*row) for row in reversed(found)]

    def digest(self, seq: int) -> str:
        """The hash of one entry; empty where there is none."""
        wanted = select(StoredText(audit.c.hash)).where(audit.c.seq == seq)
        found: bytes | None = self.connection.execute(wanted).scalar()
        return (found or b"").decode(errors="replace")

    def newest_at(self) -> datetime | None:
        """When the last entry was written, by the clock of then; None where there is none that says so."""
        wanted = select(StoredText(audit.c.record)).order_by(audit.c.seq.desc()).limit(1)
        # what is damaged tells none: whoever verifies the trail hears of it
        with suppress(ValueError):
            return _at(stored_json(self.connection.execute(wanted).scalar()))
        return None

    def end(self) -> RawEnd:
        wanted = select(head.c.epoch, head.c.audit_seq, StoredText(head.c.audit_hash))
        epoch, seq, digest = self.connection.execute(wanted).one()
        return RawEnd(epoch, seq if isinstance(seq, int) else -1, digest)


def _fits(name: object) -> bool:
    """Whether an entry can be looked up by this name; the trail itself holds every one."""
    return isinstance(name, str) and len(name) <= 512 and "\x00" not in name


def _raw() -> tuple[ColumnElement[Any], ...]:
    """The columns of a RawEntry."""
    return audit.c.seq, StoredText(audit.c.record), StoredText(audit.c.hash)


def _told(record: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry is looked up by. One that names no time comes last."""
    names = {name: record.get(name) for name in ("actor", "action", "tenant_id")}
    known = {name: in_key(storable(told)) for name, told in names.items() if isinstance(told, str)}
    return {"actor": "", "action": "", "tenant_id": None, **known, "at": _at(record) or _NO_TIME}


def _is_of(entry: RawEntry, scope: Scope) -> bool:
    """Whether the entry itself says so, in full: nothing else is believed."""
    if scope is None:
        return True
    with suppress(ValueError):
        record = stored_json(entry.record)
        tenant_id = record.get("tenant_id") if isinstance(record, dict) else None
        return isinstance(tenant_id, str) and tenant_id in scope
    return False


def _at(record: Any) -> datetime | None:
    """When an entry says that it was written; None where it says no such thing."""
    with suppress(ValueError, LookupError, TypeError, OverflowError):
        return datetime.fromisoformat(record["at"]).astimezone(UTC)
    return None


def doubt(entry: RawEntry, seq: int, before: bytes) -> Doubt | None:
    """What is wrong with the entry that should be number `seq`, after the hash `before` (32 bytes)."""
    if entry.seq != seq:
        return "missing" if entry.seq > seq else "surplus"
    if entry.record is None or entry.hash is None:
        return "unreadable"
    number = b'"seq":%d' % seq  # quotes within strings are escaped: only a member can read like this
    if number + b"," not in entry.record and number + b"}" not in entry.record:
        return "moved"
    return None if entry.hash == link(before, entry.record).hex().encode() else "edited"


def link(before: bytes, record: bytes) -> bytes:
    """SHA-256 over a domain, the previous hash and the record: no other hash of ours can collide with it."""
    return hashlib.sha256(_DOMAIN + before + record).digest()


def chain(before: str, record: str) -> str:
    """`link` for the hexadecimal text of the tables."""
    return link(bytes.fromhex(before), record.encode()).hex()


def canonical(value: Any) -> str:
    """RFC 8785 for what audit records hold: strings, integers, booleans, null, lists and objects.

    Floats are refused, so that two languages cannot disagree about a number. Raises TypeError, ValueError.
    """
    _refuse_floats(value)
    return rfc8785.dumps(value).decode()


def stored_json(text: bytes | None) -> Any:
    """The JSON value of a stored text that may have been altered. Raises ValueError, also where it is nested more
    deeply than can be read. A number in it may be infinite."""
    try:
        return json.loads(text or b"")
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse_floats(value: Any) -> None:
    match value:
        case float():
            raise TypeError("an audit record cannot hold a float; say it in integers")
        case dict():
            for item in value.values():
                _refuse_floats(item)
        case list() | tuple():
            for item in value:
                _refuse_floats(item)


class StoredText(FunctionElement[Any]):
    """The bytes of a text column as they lie there: a damaged text must be reported, not fail to decode."""

    name = "stored_text"
    type = NullType()
    inherit_cache = True


@compiles(StoredText, "sqlite")
def _sqlite_bytes(element: Any, compiler: Any, **more: Any) -> str:
    column = compiler.process(element.clauses, **more)
    return f"CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) END"


@compiles(StoredText, "postgresql")
def _postgresql_bytes(element: Any, compiler: Any, **more: Any) -> str:
    return f"convert_to({compiler.process(element.clauses, **more)}, 'UTF8')"
