"""How long a revocation lives."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ExpiryRule:
    """`grace` after the session's own expiry, never less than `minimum`; `maximum` where none is known.

    A session that names an expiry is never outlived by less than the grace, however far away it is: a cap
    would let a session with an absurd expiry come back by itself.
    """

    grace: timedelta = timedelta(hours=1)
    minimum: timedelta = timedelta(hours=24)
    maximum: timedelta = timedelta(days=30)

    def __post_init__(self) -> None:
        if self.grace < timedelta(0) or self.minimum < timedelta(hours=24) or self.maximum < self.minimum:
            raise ValueError(
                f"revocation expiry: grace {self.grace} must not be negative, minimum {self.minimum} must be at "
                f"least 24 h, maximum {self.maximum} at least the minimum"
            )

    def until(self, session_expires_at: datetime | None, now: datetime) -> datetime:
        """When a revocation made at `now` ends."""
        if session_expires_at is None:
            return now + self.maximum
        last = max(session_expires_at, now)
        ends = last + self.grace if last < _END - self.grace else _END
        return max(ends, now + self.minimum)
