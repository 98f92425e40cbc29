"""What columns hold and how they are named, the same on every database."""

import hashlib
from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, String
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""For `MetaData(naming_convention=NAMING)`: alembic can only alter what has a predictable name."""

_WIDEST = 256  # bytes of a name in a key of three: PostgreSQL indexes 2704, a tenant or session may need 2048


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in, aware UTC out, on every database. A naive value is a bug and is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a stored time must be aware, got the naive {value.isoformat()}")
        at = value.astimezone(UTC)
        return at.replace(tzinfo=None) if dialect.name == "sqlite" else at

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def in_key(name: str) -> str:
    """A name as a key of several columns holds it: its digest where it is too wide for an index."""
    raw = name.encode("utf-8", "surrogatepass")
    return name if len(raw) <= _WIDEST else f"sha256:{hashlib.sha256(raw).hexdigest()}"


class InKey(TypeDecorator[str]):
    """A name `in_key`: what it is compared with is spelt so too, and out comes what is held."""

    impl = String(512)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else in_key(value)


def storable(text: str) -> str:
    """The text without NUL, which PostgreSQL cannot store."""
    return text.replace("\x00", "\ufffd")
