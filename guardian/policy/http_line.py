"""A careful way to ask a question over HTTP whose answer decides what guardian may do.

An answer counts only if it came whole, in time and from the server that was asked, and is the JSON that it claims
to be. Anything else is `NoAnswer`. No question is sent twice.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import httpcore

from guardian.domain.strict_json import parse
from guardian.domain.text import plain
from guardian.errors import DecodeError
from guardian.wire.deadline import Deadline
from guardian.wire.trust import Trust

MOST_BYTES = 64 * 1024
_BUSY = frozenset({429, 502, 503, 504})
_IDLE_S = 2.0  # shorter than a server keeps it open: a connection that closes while we write would be a failure


class NoAnswer(Exception):
    """There is no decision. The text is one line for people; it holds no secret and no raw foreign text."""


class Away(NoAnswer):
    """Nothing was said at all: too late, not reached, broken off, or it or a proxy before it is too busy."""


class HttpLine:
    """A line to one decision point, for several threads.

    After no answer came in time the decision point is not asked for `rest_s`. Then one caller tries again while
    the others are still refused at once. `clock` gives seconds that only grow.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        rest_s: float,
        trust: Trust,
        token: str | None,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._timeout_s, self._rest_s = timeout_s, rest_s
        self._clock, self._new_id = clock, new_id
        self._secret = [("Authorization", f"Bearer {token}")] if token is not None else []
        self._network = Deadline(clock, trust)
        self._pool = httpcore.ConnectionPool(
            ssl_context=trust.first,
            max_connections=None,
            max_keepalive_connections=4,
            keepalive_expiry=_IDLE_S,
            network_backend=self._network,
        )
        self._turn = threading.Lock()
        self._rests_until: float | None = None
        self._trouble = ""

    def ask(self, url: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """POST the question; the answer's JSON object. Raises NoAnswer."""
        self._refuse_while_resting()
        body = json.dumps(question, separators=(",", ":"), allow_nan=False).encode()
        try:
            answer = self._exchanged(url, body)
        except httpcore.TimeoutException:
            self._rest(f"gave no whole answer within {self._timeout_s * 1000:.0f} ms")
        except httpcore.ConnectError as error:
            self._rest(f"cannot be reached ({plain(str(error), 120)})")
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as error:
            self._rest(f"broke off, or speaks no HTTP/1.1 ({type(error).__name__})")
        except NoAnswer:
            self._recovered()  # a wrong answer, but a quick one: there is no need to rest
            raise
        self._recovered()
        return parsed(answer)

    def close(self) -> None:
        self._pool.close()

    def _exchanged(self, url: str, body: bytes) -> bytes:
        request_id = self._new_id()
        headers = [
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            ("X-Request-ID", request_id),
            *self._secret,
        ]
        limits = dict.fromkeys(("pool", "connect", "read", "write"), self._timeout_s)
        self._network.begin(self._timeout_s)
        with self._pool.stream(
            "POST", url, headers=headers, content=body, extensions={"timeout": limits}
        ) as answer:
            _check_head(answer.status, [(name.lower(), value) for name, value in answer.headers], request_id)
            taken = bytearray()
            for chunk in answer.iter_stream():
                taken += chunk
                if len(taken) > MOST_BYTES:
                    raise NoAnswer(f"answered with more than {MOST_BYTES} bytes")
        return bytes(taken)

    def _refuse_while_resting(self) -> None:
        with self._turn:
            if self._rests_until is None:
                return
            now = self._clock()
            if now < self._rests_until:
                raise Away(f"not asked, because a moment ago it {self._trouble}")
            self._rests_until = now + self._rest_s  # this caller tries; meanwhile the others are refused

    def _rest(self, trouble: str) -> NoReturn:
        with self._turn:
            self._rests_until, self._trouble = self._clock() + self._rest_s, trouble
        raise Away(trouble) from None

    def _recovered(self) -> None:
        with self._turn:
            self._rests_until = None


def parsed(body: bytes) -> Mapping[str, Any]:
    """Strict JSON: an object, UTF-8, no key twice, no NaN. Raises NoAnswer."""
    try:
        found = parse(body, max_bytes=MOST_BYTES)
    except DecodeError as error:
        raise NoAnswer(f"answered with something else than sound JSON: {error.reason}") from None
    if not isinstance(found, dict):
        raise NoAnswer("answered with JSON that is no object")
    return found


def _check_head(status: int, headers: Iterable[tuple[bytes, bytes]], request_id: str) -> None:
    named: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        named.setdefault(name, []).append(value)
    if 300 <= status < 400:
        raise NoAnswer(f"answered {status}: it points elsewhere, which is not followed")
    if status in (401, 403):
        raise NoAnswer(f"answered {status}: it does not accept guardian's token")
    if status in _BUSY:
        raise Away(f"answered {status}")
    if status != 200:
        raise NoAnswer(f"answered {status}")
    kinds = [kind.partition(b";")[0].strip().lower() for kind in named.get(b"content-type", [])]
    if kinds != [b"application/json"]:
        raise NoAnswer("answered with something that is not labelled application/json")
    if any(coding.strip().lower() != b"identity" for coding in named.get(b"content-encoding", [])):
        raise NoAnswer("answered in a content encoding that was not asked for")
    if any(echo.strip() != request_id.encode() for echo in named.get(b"x-request-id", [])):
        raise NoAnswer("answered another request than this one: the X-Request-ID differs")
