"""What the pages are given by `bootstrap`."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from guardian.domain.timeline import Timelines
from guardian.telemetry import Metrics
from guardian.wire.evidence import EvidenceClient
from guardian.wire.principal import Person, Role
from guardian.wire.visits import Visit


class Admission(Protocol):
    """A sign-in that has just begun; `secret` is for the person's browser alone."""

    @property
    def secret(self) -> str: ...
    @property
    def visit(self) -> Visit: ...


class Visits(Protocol):
    """Who is signed in; `control/authentication/visiting.py` keeps it.

    `whose` says whom a one-time link would sign in and does not use it up; `redeem` does, once. `resume` answers
    who a browser's secret belongs to, None when that sign-in is over: by its end, by rest, or because the token
    behind it was withdrawn. `admit` begins one for somebody whom the identity provider vouches for.
    """

    def admit(self, principal_id: str, *, role: Role, tenants: Collection[str]) -> Admission: ...
    def whose(self, code: str) -> Visit | None: ...
    def redeem(self, code: str) -> Admission | None: ...
    def resume(self, secret: str) -> Visit | None: ...
    def end(self, secret: str) -> None: ...


class SentOff(NamedTuple):
    """Where the identity provider asks the person, and what their browser keeps meanwhile."""

    url: str
    kept: str


class Returned(NamedTuple):
    """Who came back from the identity provider, and the page they wanted."""

    person: Person
    path: str


class IdentityProvider(Protocol):
    """An OpenID Connect provider; `name` is what the button says.

    `finish` raises SignInRefused for everything but a fresh, signed answer to exactly what `begin` asked, about
    somebody whom the configuration knows.
    """

    @property
    def name(self) -> str: ...
    def begin(self, path: str) -> SentOff: ...
    def finish(self, kept: str, answer: Mapping[str, str]) -> Returned: ...


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The evidence at which guardian flags and asks to revoke, in honest sessions per one that reaches it."""

    flag_one_in: float
    revoke_one_in: float


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """Everything behind the pages.

    `url` is the address of the pages as a browser sees it, without a slash at the end. `api` calls the control API
    as the visitor. `timelines` is None where no archive is kept, `identity` where no provider is configured.
    `proposals` is a folder of folders that `guardian propose --out` wrote. `model` describes the drift model.
    `exception_days` is the longest that an exception may hold.
    """

    url: str
    visits: Visits
    api: Callable[[Visit], EvidenceClient]
    clock: Callable[[], datetime]
    stopwatch: Callable[[], float]
    metrics: Metrics
    thresholds: Thresholds
    exception_days: int
    timelines: Timelines | None = None
    identity: IdentityProvider | None = None
    proposals: Path | None = None
    model: Mapping[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """What a browser names as the origin of these pages' forms."""
        told = urlsplit(self.url)
        return f"{told.scheme}://{told.netloc}"

    @property
    def root(self) -> str:
        """The path that everything here begins with, such as /console."""
        return urlsplit(self.url).path

    @property
    def secure(self) -> bool:
        return self.url.startswith("https://")
