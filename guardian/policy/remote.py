"""What decision points over HTTP have in common: their options, and how they name the policies that decided."""

import re
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlsplit

from guardian.domain.text import plain
from guardian.domain.urls import is_private
from guardian.errors import ConfigurationError
from guardian.policy.grace import Grace
from guardian.policy.http_line import Away, HttpLine, NoAnswer
from guardian.policy.port import PolicyDecision, PolicyRequest
from guardian.wire.trust import Trust

MOST_NAMED = 32
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, kw_only=True)
class RemotePoint(ABC):
    """The options of every decision point over HTTP. Raises ConfigurationError when one cannot be.

    url         where it is: https, or http on this machine
    timeout_s   for the whole of one question and its answer
    rest_s      after it could not be reached, or not in time, it is not asked for this long: a dead decision
                point costs the control API its time-out now and then, not with every request
    ca          a PEM file with the certificates to trust, instead of the system's; read anew when it changes
    plain_http  permits http to another machine; whoever is on the way then decides what guardian may do
    token       sent as a bearer token
    grace_s     while it gives no answer, its last permit of this long ago or less lets a gateway go on reading the
                revocation list, and nothing else; 0 for never
    clock       seconds that only grow; `new_id` makes an X-Request-ID. Both come from the composition root.
    """

    _name: ClassVar[str]

    url: str
    clock: Callable[[], float] = field(repr=False, compare=False)
    new_id: Callable[[], str] = field(repr=False, compare=False)
    timeout_s: float = 0.25
    rest_s: float = 2.0
    grace_s: float = 300.0
    ca: str | None = None
    plain_http: bool = False
    token: str | None = field(default=None, repr=False)
    _line: HttpLine = field(init=False, repr=False, compare=False)
    _grace: Grace = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (isinstance(self.url, str) and isinstance(self.plain_http, bool)):
            raise ConfigurationError("policy.options: url is text and plain_http is true or false, without quotes")
        _check_url(self.url, plain_http=self.plain_http)
        if not (0 < self.timeout_s <= 10 and 0 <= self.rest_s <= 60):
            raise ConfigurationError(
                f"policy.options: timeout_s lies in (0, 10] and rest_s in [0, 60], got {self.timeout_s} "
                f"and {self.rest_s}"
            )
        if not 0 <= self.grace_s <= 3600:
            raise ConfigurationError(f"policy.options.grace_s lies in [0, 3600], got {self.grace_s}")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise ConfigurationError("policy.options.token is one line of printable ASCII without spaces")
        line = HttpLine(
            timeout_s=self.timeout_s,
            rest_s=self.rest_s,
            trust=_trust(self.ca),
            token=self.token,
            clock=self.clock,
            new_id=self.new_id,
        )
        object.__setattr__(self, "_line", line)
        object.__setattr__(self, "_grace", Grace(self.grace_s, self.clock))

    @property
    @abstractmethod
    def version(self) -> str: ...

    def decide(self, request: PolicyRequest) -> PolicyDecision:
        asked = self.clock()
        try:
            said = self._said(request)
        except NoAnswer as trouble:
            away = isinstance(trouble, Away)
            told = f"{self._name} gave no answer{' in time' if away else ' that counts'}"
            said = PolicyDecision(False, errors=(told,), causes=(f"{self._name} at {self.url} {trouble}",))
            if away:
                return self._grace.instead_of(said, request, self.version)
        self._grace.heard(request, said, said.version or self.version, asked=asked)
        return said

    @abstractmethod
    def _said(self, request: PolicyRequest) -> PolicyDecision:
        """Its answer. Raises NoAnswer."""

    def close(self) -> None:
        self._line.close()


def named(ids: Any, reasons: Any) -> dict[str, str]:
    """Policies and their sentences, as the decision point names them: at most MOST_NAMED, each one short line.

    `ids` is a list of strings or null, `reasons` an object of strings or null; either may name a policy.
    Raises NoAnswer.
    """
    listed, told = ids if ids is not None else [], reasons if reasons is not None else {}
    if not isinstance(listed, list) or not isinstance(told, dict):
        raise NoAnswer("named its policies in another shape than a list of ids and an object of reasons")
    if not all(isinstance(each, str) for each in (*listed, *told.values())):
        raise NoAnswer("named a policy, or a reason, that is not a string")
    found = dict.fromkeys(listed, "") | told
    if len(found) > MOST_NAMED:
        raise NoAnswer(f"named {len(found)} policies, more than {MOST_NAMED}")
    return {plain(name, 128): plain(reason, 300) for name, reason in found.items()}


def decided(reasons: Mapping[str, str], *, allowed: bool) -> PolicyDecision:
    return PolicyDecision(allowed, policy_ids=tuple(sorted(reasons)), reasons=dict(reasons))


def _trust(ca: str | None) -> Trust:
    try:
        return Trust(ca=ca, without=ssl.create_default_context)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"policy.options.ca: {ca!r} holds no certificates in PEM ({type(error).__name__})"
        ) from error


def _check_url(url: str, *, plain_http: bool) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        sound = bool(host and host.encode("idna")) and not (parts.query or parts.fragment)
    except ValueError:
        sound = False
    if "@" in url:
        raise ConfigurationError("policy.options.url holds a user name or password; use policy.options.token")
    if not sound or not url.isprintable() or not url.isascii() or " " in url:
        shown = plain(url.partition("?")[0], 100)  # behind the question mark there may be a secret
        raise ConfigurationError(
            f"policy.options.url must be like https://pdp.example:8443, without a query, got {shown!r}"
        )
    if not is_private(url) and not (parts.scheme == "http" and plain_http):
        raise ConfigurationError(
            f"policy.options.url must be https, got {url!r}: whoever sits between could allow everything. Where "
            "the network itself is trusted, set policy.options.plain_http: true"
        )
