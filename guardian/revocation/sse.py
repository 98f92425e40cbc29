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
HEARTBEAT = "Guardian-Heartbeat"
"""The header that says how many seconds may pass between two events."""


def around(revision: Revision, signature: str) -> tuple[bytes, bytes]:
    """What is before and after the body of a list or delta, which has no line breaks: JSON is rendered without."""
    return _around(b"revocations", revision, signature)


def fresh(revision: Revision, signature: str) -> bytes:
    """One event that says that `revision` is still the newest."""
    return str(revision).encode().join(_around(b"fresh", revision, signature))


def _around(name: bytes, revision: Revision, signature: str) -> tuple[bytes, bytes]:
    head = b"event: %s\nid: %s\ndata: " % (name, str(revision).encode())
    signed = b"\ndata: " + signature.encode() if signature else b""
    return head, signed + b"\n\n"
