"""One request of a browser, read once, and the checks that no page does without."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, unquote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request

from guardian.console.ports import ConsoleParts
from guardian.wire.visits import Visit

MOST_BYTES = 64 * 1024
_MOST_FIELDS = 80
_LONGEST_PATH = 2000


class Unreadable(Exception):
    """The request is not one that a form of ours makes; `status` says how."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Asked:
    """`query` and `form` hold the first value of each name. `visit` is who asks, None for nobody known."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str] = field(repr=False)
    cookies: Mapping[str, str] = field(repr=False)
    headers: Headers = field(repr=False)
    request_id: str
    query_text: str = ""
    visit: Visit | None = None

    @property
    def signed_in(self) -> Visit:
        assert self.visit is not None  # noqa: S101 - the application lets nobody else through
        return self.visit

    @property
    def here(self) -> str:
        """Path and query, to come back to."""
        return f"{self.path}?{self.query_text}" if self.query_text else self.path


async def read(request: Request, request_id: str) -> Asked:
    """Raises Unreadable for a body that is too long, or no form."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise Unreadable(413, f"a form may have {MOST_BYTES} bytes")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/x-www-form-urlencoded":
        raise Unreadable(415, "only forms are read here")
    return Asked(
        method=request.method,
        path=request.url.path,
        query=_first(request.url.query),
        form=_first(body.decode("utf-8", "replace")),
        cookies=request.cookies,
        headers=request.headers,
        request_id=request_id,
        query_text=request.url.query,
    )


def ours(parts: ConsoleParts, asked: Asked) -> bool:
    """Whether a form that changes something comes from these very pages, as far as the browser says."""
    if asked.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    return asked.headers.get("origin") == parts.origin


def unforged(visit: Visit, asked: Asked) -> bool:
    """Whether the form carries this visit's own token."""
    return hmac.compare_digest(asked.form.get("csrf", "").encode(), visit.csrf.encode())


def safe_path(parts: ConsoleParts, path: str) -> str:
    """The path if it leads to one of these pages, else the first page: never anywhere else."""
    home = parts.root
    if not path.isascii() or not path.isprintable() or len(path) > _LONGEST_PATH or "\\" in path:
        return home
    if not path.startswith("/") or path.startswith("//"):  # what follows is of no other host then
        return home
    told = urlsplit(path).path
    if not (told == home or told.startswith(f"{home}/")) or ".." in unquote(told):
        return home
    return path


def at_its_page(parts: ConsoleParts, asked: Asked) -> Asked:
    """A form that was sent, as if the page that it was on had been asked for."""
    page = urlsplit(safe_path(parts, asked.form.get("back", "")))
    return replace(asked, path=page.path, query=_first(page.query), query_text=page.query)


def _first(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="replace")
    except ValueError as error:
        raise Unreadable(400, "too many fields") from error
    return dict(reversed(pairs))
