"""The delegated identity that a call acts under, and the purpose that it declares."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

from pydantic import AwareDatetime, FailFast, Field, JsonValue, StringConstraints, ValidationInfo, field_validator

from guardian.domain.fields import NullIs, OptionalIdentifier, Value, plain
from guardian.domain.identity import Identifier, SessionKey
from guardian.domain.strict_json import canonical_json

UNTOLD = "-"
"""The delegator of records whose log names none; then `Origin.absent` lists it."""

UNTOLD_AGENT = ""
"""Among principals an agent that nobody told. No identifier is empty, so nobody is called so."""

Purpose = Annotated[str, StringConstraints(max_length=8192)]
"""A slug (`review_customer_contract`) or a sentence; the empty string means that none was declared."""


_UUID = re.compile(r"(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_PIECE = re.compile(r"([!-/:-@\[-`{-~]*)([^!-/:-@\[-`{-~]*)")
"""ASCII punctuation, and what it joins to what stands before."""
_NUMBERED = re.compile(r"(?![0-9a-fA-F]{7,}\Z)([A-Za-z]+)[0-9]+")
"""`order5512`, but no hash."""


@lru_cache(maxsize=1_024)
def purpose_family(purpose: str) -> str:
    """What stays the same when a purpose is declared for another customer: names and numbers left out.

    Baselines, exceptions and owners go by it. Words with a digit go, and capitalised words after the first where
    these are at most half of the words there: in a title capitals name nobody. Where every word has a digit, as in
    a slug, of each only the numbers and ids go, unless that is all there is.

    >>> purpose_family("Review contract 7781 of Acme for renewal risk")
    'review contract of for renewal risk'
    >>> purpose_family("review_contract_for_renewal"), purpose_family("Review Contract 7781 For Renewal")
    ('review_contract_for_renewal', 'review contract for renewal')
    >>> purpose_family("review_contract_7781_for_renewal"), purpose_family("7781")
    ('review_contract_for_renewal', '7781')
    """
    words = [(place, word) for place, word in enumerate(purpose.split()) if not any(map(str.isdigit, word))]
    later = [word for place, word in words if place > 0 and any(map(str.isalpha, word))]
    names = 2 * sum(map(_is_capital, later)) <= len(later)
    kept = [word.lower() for place, word in words if place == 0 or not (names and _is_capital(word))]
    return " ".join(kept or filter(None, map(_unnumbered, purpose.split()))) or purpose


def _is_capital(word: str) -> bool:
    return word[:1] != word[:1].lower()


def _unnumbered(word: str) -> str:
    pieces = _PIECE.findall(_UUID.sub("0", word))
    kept = [(joint, left) for joint, piece in pieces if (left := _name_in(piece))]
    return "".join(joint + left if place else left for place, (joint, left) in enumerate(kept)).lower()


def _name_in(piece: str) -> str:
    """What of it is no number and no id. Of what is not ASCII, as in scripts without spaces, only digits go."""
    if not any(map(str.isdigit, piece)):
        return piece
    if piece.isascii():
        told = _NUMBERED.fullmatch(piece)
        return told.group(1) if told else ""
    return "".join(each for each in piece if not each.isdigit())


class Envelope(Value):
    """The delegated identity: who may do what, for whom, for which purpose, until when. Never a credential."""

    delegator_id: Identifier
    tenant_id: Identifier
    session_id: Identifier
    task_id: OptionalIdentifier = None
    purpose: Annotated[Purpose, NullIs(str)] = ""
    allowed_tools: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=512)], ...], FailFast(), NullIs(tuple)
    ] = ()
    resource_constraints: Annotated[Mapping[str, JsonValue], NullIs(dict)] = Field(default_factory=dict)
    expires_at: AwareDatetime | None = None
    agent_id: OptionalIdentifier = None
    parent_session_id: OptionalIdentifier = None

    @field_validator("parent_session_id")
    @classmethod
    def _of_another(cls, parent: str | None, told: ValidationInfo) -> str | None:
        """A session that names itself as its parent claims no more than to be a root."""
        return None if parent == told.data.get("session_id") else parent

    @property
    def key(self) -> SessionKey:
        return SessionKey(self.tenant_id, self.session_id)

    @property
    def parent_key(self) -> SessionKey | None:
        """The session that delegated to this one, of the same tenant; None for a root."""
        return None if self.parent_session_id is None else SessionKey(self.tenant_id, self.parent_session_id)

    @property
    def principals(self) -> tuple[str, ...]:
        """Its delegator and its agent, as those below it may name them. That nobody told its delegator leaves open
        who that is only at the head of a chain: below it, it is somebody above. An agent that nobody told is
        `UNTOLD_AGENT`: it may have any name."""
        untold = self.delegator_id == UNTOLD and self.parent_session_id is not None
        agent = UNTOLD_AGENT if self.agent_id in (None, UNTOLD) else self.agent_id
        return (agent,) if untold else (self.delegator_id, agent)

    @property
    def digest(self) -> str:
        """sha256 over the named fields, in one order and with times in UTC; extra fields do not count.

        Two systems that describe the same grant agree on it: neither the order of tools matters, nor whether
        a limit is spelt 25 or 25.0. Raises nothing, whatever the envelope holds.
        """
        return hashlib.sha256(canonical_json(self._grant()).encode()).hexdigest()

    def same_as(self, other: "Envelope") -> bool:
        """Whether both say the same, extra fields included. As with the digest the spelling does not count; here
        an absent field and a null one say the same too, also within constraints."""
        mine, theirs = ({**plain(each.model_extra or {}), **each._grant()} for each in (self, other))
        return canonical_json(_without_nulls(mine)) == canonical_json(_without_nulls(theirs))

    def lasting(self, other: "Envelope") -> "Envelope":
        """This envelope, with the other's expiry if that is later."""
        mine, theirs = self.expires_at, other.expires_at
        longer = mine is not None and (theirs is None or theirs > mine)
        return self.model_copy(update={"expires_at": theirs}) if longer else self

    def differs_from(self, other: "Envelope") -> tuple[str, ...]:
        """Names of the fields that make the digests differ; empty where these are equal."""
        mine, theirs = self._grant(), other._grant()
        return tuple(name for name in mine if canonical_json(mine[name]) != canonical_json(theirs[name]))

    def _grant(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in Envelope.model_fields}
        told["allowed_tools"] = sorted(set(self.allowed_tools))
        told["expires_at"] = None if self.expires_at is None else _moment(self.expires_at)
        told["resource_constraints"] = plain(self.resource_constraints)
        return told


class Grant(NamedTuple):
    """An envelope that was registered for a session: redacted, with the digest of the one that was registered."""

    envelope: Envelope
    digest: str


def _moment(at: datetime) -> str:
    try:
        return at.astimezone(UTC).isoformat()
    except OverflowError:  # see `fields.in_utc`; here two such moments must stay different
        return at.isoformat()


def _without_nulls(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: _without_nulls(item) for name, item in value.items() if item is not None}
        case list() | tuple():
            return [_without_nulls(item) for item in value]
        case _:
            return value
