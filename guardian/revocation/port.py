"""The port of the ledger's faces."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from guardian.bus.port import Producer
from guardian.domain.finding import Finding
from guardian.domain.revocation import LedgerEntry, Revision
from guardian.keys.signing import SigningKeys


@dataclass(frozen=True, slots=True)
class Given:
    """What faces that leave the process need and cannot make: the bus, keys, clock and files of the deployment.

    `tenants` are all that the ledger has ever had an entry of. `lacks`: whether the bus has no such topic; raises
    BusError where that cannot be told.
    """

    producer: Callable[[], Producer]
    keys: SigningKeys
    issuer: str
    clock: Callable[[], datetime]
    secret: Callable[[str], str]
    tenants: Callable[[], Collection[str]]
    lacks: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Rendered:
    """One rendering: bytes, their media type, and a strong entity tag without its quotes."""

    body: bytes
    media_type: str
    etag: str


class Lines(Protocol):
    """A face that is always shown as a whole, put together of one line for each live revocation.

    An entry's `line` is made once and kept; `whole` gets those of every live revocation of one reach, in ledger
    order. `revision` is that of the newest entry in this reach, `changed_at` its time; `reach` None is every
    tenant. Equal arguments give equal content, and the tag is equal exactly when the content is: no clock, no
    randomness.
    """

    def line(self, entry: LedgerEntry) -> bytes: ...

    def whole(
        self, lines: Sequence[bytes], *, revision: Revision, changed_at: datetime, reach: Collection[str] | None
    ) -> Rendered: ...


class Face(Lines, Protocol):
    """One that also shows what changed: `whole` replaces what a client holds, `changes` is applied to it.

    `changes` gets the lines of the entries after a client's revision, in order.
    """

    def changes(self, lines: Sequence[bytes], *, revision: Revision, changed_at: datetime) -> Rendered: ...


class NeverTaken(Exception):
    """The receiver says that it will never take this message; `code` is the stable word for why."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class Apart(Exception):
    """A Separable receiver can take nothing of this tenant, and may well take what is others'."""

    def __init__(self, tenant_id: str) -> None:
        super().__init__(tenant_id)
        self.tenant_id = tenant_id


class Receiver(Protocol):
    """Where a face brings entries by itself, in ledger order, at least once.

    - `deliver` returns only when the receiver has the entry. It raises NeverTaken when it is pointless to send the
      same again: the entry is set aside. After any other exception it is sent again, and no later entry before it.
    - `flagged` sends a finding that flagged a session; a receiver that has no word for that does nothing.
    - Before the first entry, and whenever a new epoch began, `begin` is called with every entry of the live set as
      it was at `revision`, and raises as `deliver` does. `begun` ends that: whatever was sent in an earlier epoch
      is void.
    - Under its `name` a receiver's place in the ledger is kept over restarts; `shown` says to people which it is.
    - Of other tenants than those of its `reach` it gets nothing; None is every one.
    """

    @property
    def name(self) -> str: ...

    @property
    def shown(self) -> str: ...

    @property
    def reach(self) -> Collection[str] | None: ...

    def begin(self, entry: LedgerEntry, revision: Revision) -> None: ...

    def begun(self, revision: Revision) -> None: ...

    def deliver(self, entry: LedgerEntry) -> None: ...

    def flagged(self, finding: Finding) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class Separable(Protocol):
    """A receiver that can leave a tenant to a receiver of its own, so that it holds up no other. `begin`, `begun`
    and `deliver` may raise Apart; for a tenant that is left they do nothing."""

    def apart(self, tenant_id: str) -> Receiver:
        """A receiver of this tenant alone."""
        ...

    def leave(self, tenant_id: str) -> None:
        """What is this tenant's is brought by that one from now on."""
        ...

    def parts(self) -> Mapping[str, str]:
        """Every tenant that the ledger knows, by the name that its own receiver would have."""
        ...


class PushPlugin(Protocol):
    """A module of this folder that exports `plugin` is a face that leaves the process: a frozen dataclass of its
    options. `open` is given what only the composition root has, and does not connect yet."""

    def open(self, given: Given) -> Sequence[Receiver]: ...
