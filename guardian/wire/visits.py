"""A person who has signed in to the evidence pages, and the one-time link that leads there."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime

from guardian.wire.base import Body
from guardian.wire.principal import Principal, Role

How = Literal["oidc", "link"]

PEOPLE: frozenset[Role] = frozenset({"analyst", "responder", "approver", "auditor", "admin"})
"""Whose work is done by people: the others are machines, and have nothing to look at."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Who it is, and the token that speaks to the API for them. `csrf` is in every form of this visit."""

    principal: Principal
    token: str = field(repr=False)
    csrf: str = field(repr=False)
    how: How
    ends_at: datetime


class SignInLink(Body):
    """Opens the evidence pages once, as whoever asked for it and for no longer than their token lives."""

    url: str
    expires_at: AwareDatetime
