"""The JSON face: a snapshot with a strong entity tag (RFC 9110, 8.8.3), and deltas since a revision."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from guardian.domain.revocation import LedgerEntry, Revision
from guardian.revocation.ledger import order, parse_revision
from guardian.revocation.port import Rendered
from guardian.wire.revocations import RevocationEntry, RevocationList


@dataclass(frozen=True, slots=True)
class SnapshotFace:
    """The face that the shipped gateway client reads."""

    def snapshot(self, live: Sequence[LedgerEntry], *, revision: Revision, changed_at: datetime) -> Rendered:
        entries = sorted(live, key=lambda entry: order(entry.revision))
        return _render(entries, revision, changed_at, complete=True)

    def delta(self, entries: Sequence[LedgerEntry], *, revision: Revision, changed_at: datetime) -> Rendered:
        return _render(entries, revision, changed_at, complete=False)


def presented_revision(tags: str) -> Revision | None:
    """The revision inside the entity tag that a client presents: what it holds, hence what it enforces."""
    tag = tags.split(",")[0].strip().removeprefix("W/").strip('"')
    try:
        return parse_revision(tag.rpartition("-")[0])
    except ValueError:
        return None


def matches(tags: str, etag: str) -> bool:
    """If-None-Match against the current tag: a list, `*`, weak comparison (RFC 9110, 13.1.2)."""
    offered = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    return "*" in offered or f'"{etag}"' in offered


def _render(
    entries: Sequence[LedgerEntry], revision: Revision, changed_at: datetime, *, complete: bool
) -> Rendered:
    shown = RevocationList(
        revision=revision,
        issued_at=changed_at,
        complete=complete,
        entries=tuple(
            RevocationEntry(
                revision=entry.revision,
                tenant_id=entry.tenant_id,
                subject_type=entry.subject_type,
                subject_id=entry.subject_id,
                status=entry.status,
                reason_code=entry.reason_code,
                at=entry.at,
                expires_at=entry.expires_at,
            )
            for entry in entries
        ),
    )
    body = shown.model_dump_json().encode()
    return Rendered(body, "application/json", f"{revision}-{hashlib.sha256(body).hexdigest()[:32]}")
