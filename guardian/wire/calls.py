"""Calls of the control API: the token, the time limit, and how answers and refusals are read. Synchronous."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from guardian.errors import ConfigurationError, ControlError
from guardian.wire.base import Problem
from guardian.wire.deadline import BoundedClient
from guardian.wire.trust import Shown

Answer = TypeVar("Answer", bound=BaseModel)
_TIMEOUT = httpx.Timeout(10.0, connect=3.0)
_TOTAL_S = 30.0  # a long page may take longer than the silence before it
_MOST_BYTES = 256 * 2**20  # a whole revocation list
_DONE = (httpx.codes.OK, httpx.codes.CREATED, httpx.codes.ACCEPTED, httpx.codes.NO_CONTENT)
_UNANSWERED = (httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError)
KNOWS = "Guardian-Knows"
PROBLEM = "urn:guardian:problem:"
_TOKEN = re.compile(r"[\x21-\x7e]+")


class ControlCalls:
    """The base of all clients. They raise ControlError with the HTTP status, or 0 when control is out of reach.

    `token` is called before every request, so a renewed token is picked up, and so is a renewed `certificate` (its
    file and its key's), shown to who asks for one. `transport` replaces the network.
    """

    def __init__(
        self,
        base_url: str,
        token: Callable[[], str],
        *,
        certificate: Shown | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._token = token
        try:
            self._http = BoundedClient(
                base_url=base_url,
                timeout=_TIMEOUT,
                total_s=_TOTAL_S,
                most_bytes=_MOST_BYTES,
                certificate=certificate,
                transport=transport,
                follow_redirects=False,  # a token must not follow somebody else's redirect
            )
        except OSError as error:
            raise no_certificates(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def ready(self) -> bool:
        """Whether control answers and can do its work; never raises."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _ask(
        self,
        answer: type[Answer],
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: BaseModel | None = None,
        seen: str | None = None,
        idempotency_key: str | None = None,
        knows: str | None = None,
    ) -> Answer:
        """`seen` is the digest of the case that an act is about: refused with 412 when the case moved on. `knows`
        is what an older client would not make sense of."""
        got = self._send(
            method, path, query=query, body=body, seen=seen, idempotency_key=idempotency_key, knows=knows
        )
        try:
            return answer.model_validate_json(got.content)
        except ValidationError as error:
            raise ControlError(
                f"control answered {method} {path} with something else than {answer.__name__}; "
                "do both ends run the same version?",
                status=got.status_code,
            ) from error

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: BaseModel | None = None,
        seen: str | None = None,
        idempotency_key: str | None = None,
        knows: str | None = None,
    ) -> httpx.Response:
        optional = {
            "Content-Type": None if body is None else "application/json",
            "If-Match": None if seen is None else f'"{seen}"',
            "Idempotency-Key": idempotency_key,
            KNOWS: knows,
        }
        headers = {
            "Authorization": f"Bearer {self._bearer()}",
            "Accept": "application/json",
            **{name: value for name, value in optional.items() if value},
        }
        params = {name: value for name, value in (query or {}).items() if value is not None}
        content = None if body is None else body.model_dump_json()
        try:
            got = self._http.request(method, path, params=params, content=content, headers=headers)
        except httpx.LocalProtocolError:
            # its text would quote the header that it refuses
            raise ControlError(
                f"the request to {self._http.base_url} is not sound HTTP and was not sent"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if method != "GET" and isinstance(error, _UNANSWERED):
                raise ControlError(
                    f"control at {self._http.base_url} took the request and did not answer "
                    f"({type(error).__name__}): it may be done, or still be; look before you ask again"
                ) from error
            raise ControlError(
                f"control at {self._http.base_url} cannot be reached ({type(error).__name__}: {error}); "
                f"{tls_way_out(error) or 'is `guardian serve` running there?'}"
            ) from error
        if got.status_code not in _DONE:
            raise _refusal(got)
        return got

    def _bearer(self) -> str:
        """The present token. Raises ControlError where it cannot be read: it may be readable again soon, when its
        renewal is done."""
        try:
            return sound_token(self._token())
        except (ConfigurationError, UnicodeError) as error:
            why = "it is no text" if isinstance(error, UnicodeError) else str(error)
            raise ControlError(f"there is no token to show to {self._http.base_url}: {why}") from None


def no_certificates(error: OSError) -> ConfigurationError:
    """For an error that the HTTP client raises at once where SSL_CERT_FILE or SSL_CERT_DIR cannot be read."""
    return ConfigurationError(
        f"SSL_CERT_FILE, or SSL_CERT_DIR, has no certificates to believe in ({error.strerror or error});"
        " set it to a PEM file that this user may read"
    )


def tls_way_out(error: Exception) -> str:
    """What to look at if TLS is what failed on the way to control; empty if it is not."""
    said = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return (
            "its certificate is not believed here: set SSL_CERT_FILE to the certificate of a CA of your own, and"
            " look at this machine's clock and at the certificate's name and dates"
        )
    if "[SSL" in said:
        return "something answers there, but not TLS as it is spoken here: are port and https:// right?"
    return ""


def sound_token(text: str) -> str:
    """The token, if it may stand in a header. Raises ControlError, which never quotes the token."""
    if not _TOKEN.fullmatch(text):
        raise ControlError(
            "the token holds characters that no token has, or none at all; it is one line of printable ASCII"
            " without spaces, as `guardian token issue` prints it"
        )
    return text


def _refusal(got: httpx.Response) -> ControlError:
    status = got.status_code
    try:
        problem = Problem.model_validate_json(got.content)
    except ValidationError:
        text = f"control answered {status} without problem details; is it a proxy that answers?"
        return ControlError(text, status=status)
    text = f"{problem.title}: {problem.detail}" if problem.detail else problem.title
    return ControlError(text, status=status, code=problem.code if problem.type.startswith(PROBLEM) else "")
