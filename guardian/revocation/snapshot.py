"""The JSON face: a snapshot with a strong entity tag (RFC 9110, 8.8.3), and deltas since a revision."""

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from guardian.domain.revocation import LedgerEntry, Revision
from guardian.revocation.port import Rendered
from guardian.wire.revocations import RevocationEntry, RevocationList

PACKED = ".gz"
"""Ends the entity tag of the gzipped representation."""
_TAG = re.compile(r'"[0-9]+\.[0-9]+-[0-9a-f]{32}(\.gz)?"')


@dataclass(frozen=True, slots=True)
class SnapshotFace:
    """The face that the shipped gateway client reads."""

    def line(self, entry: LedgerEntry) -> bytes:
        shown = RevocationEntry(
            revision=entry.revision,
            tenant_id=entry.tenant_id,
            subject_type=entry.subject_type,
            subject_id=entry.subject_id,
            status=entry.status,
            reason_code=entry.reason_code,
            at=entry.at,
            expires_at=entry.expires_at,
        )
        return shown.model_dump_json().encode()

    def whole(
        self,
        lines: Sequence[bytes],
        *,
        revision: Revision,
        changed_at: datetime,
        reach: Collection[str] | None = None,  # noqa: ARG002 - the port's
    ) -> Rendered:
        return _render(lines, revision, changed_at, complete=True)

    def changes(self, lines: Sequence[bytes], *, revision: Revision, changed_at: datetime) -> Rendered:
        return _render(lines, revision, changed_at, complete=False)


def presented_revision(tags: str) -> Revision | None:
    """The revision inside the entity tag that a client presents: what it holds, hence what it enforces."""
    tag = tags.split(",")[0].strip().removeprefix("W/").strip('"')
    try:
        return Revision.parse(tag.rpartition("-")[0])
    except ValueError:
        return None


def matching(tags: str, etag: str) -> str | None:
    """If-None-Match (RFC 9110, 13.1.2: a list, `*`, weak comparison) against the current tag or its gzipped one.

    The tag that matched, in its quotes; None when none did.
    """
    offered = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    current = (f'"{etag}"', f'"{etag}{PACKED}"')
    return current[0] if "*" in offered else next((tag for tag in offered if tag in current), None)


def tag_of(tags: str, revision: Revision) -> str | None:
    """The presented tag, in its quotes, if it has the form of one for this revision; None otherwise."""
    tag = tags.split(",")[0].strip().removeprefix("W/")
    return tag if _TAG.fullmatch(tag) and presented_revision(tag) == revision else None


def _render(lines: Sequence[bytes], revision: Revision, changed_at: datetime, *, complete: bool) -> Rendered:
    empty = RevocationList(revision=revision, issued_at=changed_at, complete=complete, entries=())
    body = empty.model_dump_json().encode().removesuffix(b"]}") + b",".join(lines) + b"]}"
    return Rendered(body, "application/json", f"{revision}-{hashlib.sha256(body).hexdigest()[:32]}")
