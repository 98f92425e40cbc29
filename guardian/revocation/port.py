"""The port of the ledger's faces."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from guardian.domain.revocation import LedgerEntry, Revision


@dataclass(frozen=True, slots=True)
class Rendered:
    """One rendering: bytes, their media type, and a strong entity tag without its quotes."""

    body: bytes
    media_type: str
    etag: str


class Face(Protocol):
    """One way of showing the ledger to gateways. A module of this folder is one face and exports `plugin`.

    - `snapshot` gets every live revocation of one reach; it replaces what a client holds.
    - `delta` gets the entries after a client's revision, in order; it is applied to what a client holds.
    - `revision` is that of the newest entry in this reach, `changed_at` its time. Equal arguments give equal
      bytes, and the tag is equal exactly when the bytes are: no clock, no randomness.
    """

    def snapshot(self, live: Sequence[LedgerEntry], *, revision: Revision, changed_at: datetime) -> Rendered: ...

    def delta(self, entries: Sequence[LedgerEntry], *, revision: Revision, changed_at: datetime) -> Rendered: ...
