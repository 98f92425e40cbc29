"""Careless grants: not proof of drift, but what makes drift expensive. Never a reason to revoke by itself.

Names: those of `TITLES`. All of them are soft, and the value stays at or below 0.3. Details depend only on the
envelope's shape, so that each shape can be reported once.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import ClassVar

from guardian.domain.breach import Breach
from guardian.domain.envelope import UNTOLD, Envelope
from guardian.domain.fields import in_utc
from guardian.domain.purposes import open_ended
from guardian.domain.signal import BaselineFact, Observation, Signal
from guardian.errors import ConfigurationError
from guardian.signals.baseline.learning import UNITS
from guardian.signals.baseline.meaning import constraint
from guardian.signals.envelopes.covering import spelt
from guardian.signals.envelopes.principals import incomparable
from guardian.signals.options import names, within
from guardian.signals.port import SignalFold, State, TellsOf
from guardian.signals.words.wording import shown

TITLES = {
    "no_expiry": "Its envelope never expires",
    "expiry_far": "Its envelope lives too long",
    "wildcard_tools": "Its envelope grants tools by wildcard",
    "broad_tools": "Its envelope grants many tools",
    "tools_unlisted": "Its envelope lists no tools",
    "purpose_missing": "Its envelope declares no purpose",
    "purpose_open_ended": "Its declared purpose constrains nothing",
    "purpose_unconstrained": "Its purpose constrains nothing in practice",
    "service_account_delegator": "Its delegator looks like a service account",
    "blurred_agent": "One agent identity serves many purposes",
}
"""Every rule of this signal, and what a finding about it is called."""

_EACH, _MOST = 0.1, 0.3
_CONSTRAINS_FROM = 0.5
"""Where at least half of what a purpose's sessions do is new each time, the purpose constrains nothing."""
_SERVICE_ACCOUNTS = (
    r"^(?:[^@]*[^a-z@])?(?:svc|srv|service[-_. ]?(?:account|user)|system|daemon|robot|cron)(?:[^a-z]|$)",
    r"gserviceaccount\.com$",
    r"^(?:[^@]*[^a-z@])?(?:bot|agent|automation|pipeline|ci)(?:[^a-z@][^@]*)?$",
    r"^(?:[a-z0-9]+[-_+])*(?:bot|agent|automation|pipeline|ci)(?:[-_+](?:dev|prod|staging|test|[a-z]?\d+))*@",
    r"\[bot\](?:@|$)",
    r"^arn:aws:(?:iam|sts)::[^:]*:(?:assumed-)?role/",
    r"^spiffe://",
)
"""Of an address what stands before its @ counts, and there a word that may be a name (`agent.smith@`, `jan.bot@`)
only behind what is none."""


@dataclass(frozen=True)
class EnvelopeHygiene(SignalFold):
    """Options.

    max_lifetime_hours  how long an envelope may live, from when its expiry was first seen
    max_tools           how many tools one purpose may list
    max_other_purposes  how many other purposes an agent identity may serve before it is blurred
    service_accounts    case-insensitive patterns of delegators that are no people; the agent of a parent session
                        is none of them
    """

    max_lifetime_hours: float = 24.0
    max_tools: int = 20
    max_other_purposes: int = 4
    service_accounts: tuple[str, ...] = _SERVICE_ACCOUNTS
    breaches: ClassVar[Mapping[str, str]] = TITLES
    weight: ClassVar[float] = 0.0  # a careless grant is the operator's, not the action's
    tells_of: ClassVar[TellsOf] = "grant"

    def __post_init__(self) -> None:
        within(self.name, "max_lifetime_hours", self.max_lifetime_hours, 0.01, 24 * 366)
        within(self.name, "max_tools", self.max_tools, 1, 10_000)
        within(self.name, "max_other_purposes", self.max_other_purposes, 0, 10_000)
        patterns = names(self.name, "service_accounts", self.service_accounts)
        object.__setattr__(self, "service_accounts", patterns)
        try:
            _machine(patterns)
        except re.error as error:
            raise ConfigurationError(f"signals.{self.name}.service_accounts {patterns!r}: {error}") from error

    @property
    def name(self) -> str:
        return "envelope_hygiene"

    def start(self) -> State:
        return {"expires": None, "since": None}

    def fold(self, state: State, seen: Observation) -> tuple[State, Signal]:
        """Judge the envelope's shape; the state keeps when its present expiry was first seen."""
        envelope = seen.event.envelope
        if not seen.event.has_envelope:
            return state, Signal(self.name, 0.0, "missing: no envelope is known for this session", silent=True)
        expires = None if envelope.expires_at is None else in_utc(envelope.expires_at).isoformat()
        same = expires == state["expires"] and state["since"] is not None
        since = state["since"] if same else seen.now.timestamp()
        breaches = (*self._lifetime(envelope, since), *self._tools(envelope), *self._people(seen))
        value = min(_MOST, round(_EACH * len(breaches), 3))
        reason = shown("; ".join(breach.detail for breach in breaches), 600) or "a tidy envelope"
        return {"expires": expires, "since": since}, Signal(self.name, value, reason, breaches)

    def _lifetime(self, envelope: Envelope, since: float) -> Iterator[Breach]:
        if envelope.expires_at is None:
            yield Breach("no_expiry", "the envelope never expires", False)
        elif timedelta(seconds=envelope.expires_at.timestamp() - since) > timedelta(hours=self.max_lifetime_hours):
            detail = f"the envelope lives longer than {self.max_lifetime_hours:g} hours"
            yield Breach("expiry_far", detail, False)

    def _tools(self, envelope: Envelope) -> Iterator[Breach]:
        tools = envelope.allowed_tools
        wild = sorted({tool for tool in tools if "*" in tool})
        if not tools:
            yield Breach("tools_unlisted", "the envelope lists no tools", False)
        if wild:
            yield Breach("wildcard_tools", f"tools by wildcard: {shown(', '.join(wild[:5]), 120)}", False)
        if len(tools) > self.max_tools:
            detail = f"{len(tools)} tools for one purpose, {self.max_tools} are usual at most"
            yield Breach("broad_tools", detail, False)

    def _people(self, seen: Observation) -> Iterator[Breach]:
        envelope = seen.event.envelope
        if not envelope.purpose.strip():
            yield Breach("purpose_missing", "the envelope declares no purpose", False)
        elif open_ended(envelope.purpose):
            yield Breach(
                "purpose_open_ended", f'the purpose "{shown(envelope.purpose)}" constrains nothing', False
            )
        elif seen.baseline is not None and _unconstrained(seen.baseline):
            yield Breach("purpose_unconstrained", "most of what its past sessions did was new each time", False)
        above = seen.parent.envelope
        by_parent = above is not None and (
            incomparable(seen.redacted) or spelt(envelope.delegator_id) == spelt(above.agent_id or UNTOLD)
        )
        if not by_parent and _machine(self.service_accounts).search(envelope.delegator_id):
            detail = f"{shown(envelope.delegator_id)} looks like a service account, not a person who delegates"
            yield Breach("service_account_delegator", detail, False)
        if seen.other_purposes > self.max_other_purposes:
            detail = f"one agent identity serves more than {self.max_other_purposes} other purposes"
            yield Breach("blurred_agent", detail, False)


def _unconstrained(known: BaselineFact) -> bool:
    found = constraint(known, UNITS)
    return found is not None and found < _CONSTRAINS_FROM


@lru_cache(maxsize=16)
def _machine(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or r"(?!)", re.IGNORECASE)


plugin = EnvelopeHygiene
