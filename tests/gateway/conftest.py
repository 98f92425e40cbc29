"""A control API of our own, scripted, and a list whose clocks stand still until they are moved."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ports import port_of, reserve
from serving import Asked, Reply, answering
from until import until

from guardian.gateway.client import RevocationList

TOKEN = "token-of-the-gateway"
NOON = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)


@dataclass
class Ledger:
    """An honest server of `GET /v1/revocations`, until `always` says otherwise.

    `always` gives (status, headers, body bytes, or what comes of the body one by one until the connection closes),
    or None to hang up. `long_poll` is off for a server that does not know `wait`.
    """

    url: str = ""
    epoch: int = 1
    n: int = 0
    issued: datetime = NOON
    entries: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    always: Callable[["Ledger", dict[str, str]], tuple[int, dict[str, str], bytes] | None] | None = None
    reach: list[str] = field(default_factory=lambda: ["*"])
    long_poll: bool = True
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    changed: threading.Condition = field(default_factory=threading.Condition)
    closing: bool = False
    acknowledged: list[dict[str, Any]] = field(default_factory=list)
    acknowledging: Callable[[], int] = lambda: 501

    def append(
        self,
        session: str,
        *,
        status: str = "revoked",
        tenant: str = "acme",
        expires: datetime | None = NOON + timedelta(hours=24),
        kind: str = "session",
    ) -> None:
        with self.changed:
            self.n += 1
            self.entries.append(
                {
                    "revision": {"epoch": self.epoch, "n": self.n},
                    "tenant_id": tenant,
                    "subject_type": kind,
                    "subject_id": session,
                    "status": status,
                    "reason_code": "drift",
                    "actor": "guardian",
                    "at": self.issued.isoformat(),
                    "expires_at": expires.isoformat().replace("+00:00", "Z") if expires else None,
                }
            )
            self.changed.notify_all()

    def break_everything(self, how: Callable[..., tuple[int, dict[str, str], bytes] | None] | None) -> None:
        with self.changed:
            self.always = how
            self.changed.notify_all()

    def etag(self) -> str:
        return f'"{self.epoch}.{self.n}"'

    def body(self, since: int = 0, *, complete: bool = True) -> bytes:
        answer = {
            "revision": {"epoch": self.epoch, "n": self.n},
            "issued_at": self.issued.isoformat(),
            "entries": [entry for entry in self.entries if entry["revision"]["n"] > since],
            "complete": complete,
        }
        return json.dumps(answer).encode()

    def answer(self, seen: dict[str, str]) -> tuple[int, dict[str, str], bytes] | None:
        if self.closing:
            return None
        if seen["Authorization"].removeprefix("Bearer ") not in self.tokens:
            return 401, {}, b'{"title": "who are you?"}'
        since = seen.get("since")
        with self.changed:
            if self.always is not None:
                return self.always(self, seen)
            if since and self.long_poll:
                self.changed.wait_for(
                    lambda: since != f"{self.epoch}.{self.n}" or self.closing or self.always is not None,
                    timeout=float(seen.get("wait", 0)),
                )
                if self.closing:  # whoever is held learns nothing any more, least of all that nothing changed
                    return None
            if seen.get("If-None-Match") == self.etag():
                return 304, {"ETag": self.etag()}, b""
            if since and since.startswith(f"{self.epoch}."):
                return 200, {"ETag": self.etag()}, self.body(int(since.split(".")[1]), complete=False)
            return 200, {"ETag": self.etag()}, self.body()

    def reply(self, asked: Asked) -> Reply | None:
        if asked.method == "POST":
            self.acknowledged.append(asked.json)
            return Reply(status=self.acknowledging())
        url = urlsplit(asked.path)
        seen = {"path": url.path, **{k: v[0] for k, v in parse_qs(url.query).items()}, **dict(asked.headers)}
        self.requests.append(seen)
        if (answer := self.answer(seen)) is None:
            return None
        status, headers, body = answer
        return Reply(body, status, tuple((self.made_for(*self.reach) | headers).items()))

    @staticmethod
    def made_for(*tenants: str) -> dict[str, str]:
        """A signature, as far as one is read that nobody checks."""
        said = base64.urlsafe_b64encode(json.dumps({"aud": tenants}).encode()).rstrip(b"=")
        return {"Guardian-Signature": f"{said.decode()}.."}

    def silence(self, seconds: float | None = None) -> bytes:
        """Nothing, after so long; None: until the ledger closes."""
        with self.changed:
            self.changed.wait_for(lambda: self.closing, seconds)
        return b""

    def wait_requests(self, count: int) -> None:
        until(lambda: len(self.requests) >= count)


class Served:
    """The ledger behind a real port, which can be stopped and started again."""

    def __init__(self, ledger: Ledger, port: int) -> None:
        self.ledger, self.port = ledger, port
        self.start()

    def start(self) -> None:
        self.ledger.closing, self.open = False, ExitStack()
        self.ledger.url = self.open.enter_context(answering(self.ledger.reply, self.port)).url

    def stop(self) -> None:
        """Whoever was being answered has been when it returns."""
        with self.ledger.changed:
            self.ledger.closing = True
            self.ledger.changed.notify_all()
        self.open.close()


@dataclass
class Clocks:
    """Ours and the wall's, moved by hand, and both at once when time passes by."""

    steady: float = 1000.0
    wall_at: float = NOON.timestamp()
    passed: float = 0.0

    def clock(self) -> float:
        return self.steady + self.passed

    def wall(self) -> float:
        return self.wall_at + self.passed

    def pass_by(self, seconds: float) -> None:
        self.passed += seconds


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def served(ledger: Ledger) -> Iterator[Served]:
    with reserve() as held:
        served = Served(ledger, port_of(held))
        yield served
        served.stop()


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def follow(ledger: Ledger, served: Served, clocks: Clocks) -> Iterator[Callable[..., RevocationList]]:
    """Make a list that follows the ledger; it is stopped when the test ends."""
    made: list[RevocationList] = []

    def make(*, start: bool = True, token: Any = TOKEN, **options: Any) -> RevocationList:
        defaults = {
            "push": False,
            "acknowledge": False,
            "interval_s": 0.02,
            "clock": clocks.clock,
            "wall": clocks.wall,
            "jitter": lambda: 0.0,
        }
        revoked = RevocationList(ledger.url, token, **{**defaults, **options})
        made.append(revoked)
        return revoked.start() if start else revoked

    yield make
    for revoked in made:
        revoked.stop()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "revoked.json"
