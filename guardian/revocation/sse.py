"""The streaming face: server-sent events (WHATWG HTML, 9.2) whose `id` is the revision.

    event: revocations          the whole list, or what changed after the id that the client held
    id: 1.42
    data: {"revision": …}       the body of `GET /v1/revocations`, in one line
    data: eyJhbGciOi…           its detached signature

    event: fresh                nothing changed since that id
    id: 1.42
    data: 1.42
    data: eyJhbGciOi…

A client that comes back with `Last-Event-ID` gets what it missed, in order; one whose id the ledger does not know
(another epoch, a restored backup) gets the whole list.
"""

from guardian.domain.revocation import Revision

MEDIA_TYPE = "text/event-stream"
GREETING = b"retry: 1000\n\n"


def revocations(body: bytes, revision: Revision, signature: str) -> bytes:
    """One event with a list or a delta; `body` has no line breaks, as JSON is rendered here."""
    return _event(b"revocations", body, revision, signature)


def fresh(revision: Revision, signature: str) -> bytes:
    """One event that says that `revision` is still the newest."""
    return _event(b"fresh", str(revision).encode(), revision, signature)


def _event(name: bytes, data: bytes, revision: Revision, signature: str) -> bytes:
    lines = [b"event: " + name, b"id: " + str(revision).encode(), b"data: " + data]
    if signature:
        lines.append(b"data: " + signature.encode())
    return b"\n".join(lines) + b"\n\n"
