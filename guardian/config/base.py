"""What the sections of the configuration are made of."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from guardian.bus.topic import LONGEST, topic_name
from guardian.domain.identity import Identifier, TenantName
from guardian.wire.principal import NOBODY

Options = dict[str, JsonValue]
Plugins = dict[str, Options]
Days = Annotated[int, Field(ge=1, le=36_500)]  # a hundred years; a date so long ago is still one
OneIn = Annotated[float, Field(ge=1)]
_TEN_YEARS = 10 * 366 * 86_400


def _no_nonsense(seconds: float) -> float:
    if not 0 < seconds <= _TEN_YEARS:  # also refuses NaN
        raise ValueError("a duration in seconds must be positive and at most ten years")
    return seconds


def _star_alone(pattern: str) -> str:
    if re.search(r"\?|\[[^\]]+\]", pattern):  # `items[].note` is the path of an argument
        raise ValueError(f"{pattern!r}: `*` is the only wildcard; write it for `?` and `[...]` too")
    return pattern


def _spoken_to_over_http(url: str) -> str:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:  # which quotes it: part of a password, where an @ or a / in that is not escaped
        raise ValueError("the address has a port that is no number up to 65535") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("the address must begin with http:// or https:// and name a host")
    if "@" in parts.netloc:
        raise ValueError("the address must not hold a user or a password: it is shown where it is named")
    if parts.query or parts.fragment:
        raise ValueError("the address must not contain ? or #: paths are added at its end")
    try:
        parts.hostname.encode("idna")
    except UnicodeError as error:
        raise ValueError(f"{parts.hostname!r} cannot be the name of a host") from error
    return url


def _with_ports(servers: str) -> str:
    for each in servers.split(","):
        host, _, port = each.strip().rpartition("://")[2].rpartition(":")
        bare = not host or ":" in host.strip("[]")  # without a port, or an IPv6 address
        if not each.strip() or not (bare or (port.isdecimal() and int(port) < 65_536)):
            raise ValueError(f"{each!r} is no broker: give host:port, several with commas between them")
    return servers


def _not_a_stand_in(name: str) -> str:
    if name in NOBODY:
        raise ValueError(f"{name!r} stands for guardian's own acts in the audit trail; choose another name")
    return name


def _no_pattern(tenant: str) -> str:
    if "*" in tenant and tenant != "*":
        raise ValueError(f"{tenant!r} is no pattern; list tenants by their names, or `*` alone for every tenant")
    return tenant


def _not_every(name: str) -> str:
    if "*" in name:
        raise ValueError(f"`{name}` is no name: `*` stands for every tenant, and in lists of tenants alone")
    return name


def _with_letters(topic: str) -> str:
    return topic_name(topic, longest=LONGEST - len("dlq."))


Wildcards = Annotated[str, AfterValidator(_star_alone)]
"""A rule that silently matches nothing is worse than none: what looks like another wildcard is refused."""

Seconds = Annotated[float, AfterValidator(_no_nonsense)]
Brokers = Annotated[str, AfterValidator(_with_ports)]
HttpAddress = Annotated[str, AfterValidator(_spoken_to_over_http)]
Topic = Annotated[str, AfterValidator(_with_letters)]
Host = Annotated[str, Field(min_length=1)]  # an empty one would be every address of the machine
Word = Annotated[str, Field(min_length=1)]  # to whoever is told it an empty one would be none
Name = Annotated[str, Field(min_length=1)]
"""The key of a map whose names are the operator's. A plain `str` is a word of guardian's own, in small letters."""

TenantOrEvery = Annotated[TenantName, AfterValidator(_no_pattern)]
OneTenant = Annotated[TenantName, AfterValidator(_not_every)]
GatewayName = Annotated[Name, AfterValidator(_not_every)]
PersonName = Annotated[Identifier, AfterValidator(_not_a_stand_in)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def plugins(*names: str) -> Plugins:
    return {name: {} for name in names}
