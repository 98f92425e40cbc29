"""A person who has signed in to the evidence pages, and the one-time link that leads there."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from pydantic import AwareDatetime

from guardian.wire.base import Body
from guardian.wire.principal import PersonRole, Principal, Role

How = Literal["oidc", "link"]

PEOPLE: frozenset[Role] = frozenset(get_args(PersonRole))
"""Roles that people have; the others belong to machines, which have no use for pages."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Who signed in, and the token by which the pages call the API for them. Every form carries `csrf`."""

    principal: Principal
    token: str = field(repr=False)
    csrf: str = field(repr=False)
    how: How
    ends_at: datetime


class SignInLink(Body):
    """Opens the evidence pages once, as whoever asked for it, and for as long as their token lives at most."""

    url: str
    expires_at: AwareDatetime
