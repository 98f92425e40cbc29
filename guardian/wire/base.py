"""What all bodies of the control API have in common."""

from collections.abc import Callable, Iterator
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from guardian.domain.closed import Closed

Mode = Literal["shadow", "canary", "enforce"]
"""What guardian may do by itself: nothing, within a stable share of the sessions, or everywhere."""

SessionStatus = Literal["active", "flagged", "revoked"]
SessionOrder = Literal["met", "pressing"]

Why = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000, pattern=r"^[^\x00]*$")
]
"""A person's reason: required, because a decision without one cannot be reviewed."""

Cursor = Annotated[str, StringConstraints(max_length=64)]


class Body(BaseModel):
    """Answers: frozen. Fields that a client does not know yet are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


Item = TypeVar("Item")


class Page(Body, Generic[Item]):
    """`next` continues the list; absent at its end."""

    items: tuple[Item, ...]
    next: Cursor | None = None


def listed(ask: Callable[[str | None], Page[Item]]) -> Iterator[Item]:
    """Every item of a list. `ask` fetches the page at a cursor; the next page is fetched only when it is
    needed."""
    page = ask(None)
    yield from page.items
    while page.next is not None:
        page = ask(page.next)
        yield from page.items


class Ask(Closed):
    """Requests: an unknown field is a mistake and is refused."""


class Problem(BaseModel):
    """Problem details (RFC 9457), `application/problem+json`. `code` is stable, for programs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str = ""
    correlation_id: str = Field(default="")
