"""A real credential where none belongs: in the envelope, the arguments or the resource.

Names: those of `TITLES`. The scanner has already taken the value out; what is left is its kind and its place. A
field that is merely called a secret (`named_secret`), an access key's id without its secret and text beyond what
is scanned are soft: the first is how honest agents log in, the second which key they mean, the last proves
nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from guardian.domain.breach import Breach, marks
from guardian.domain.signal import CredentialHit, Observation, Signal
from guardian.signals.credentials.matching import UNSCANNED
from guardian.signals.credentials.rules import KEY_ID, NAMED
from guardian.signals.options import names, within
from guardian.signals.port import SignalFold, State
from guardian.signals.words.wording import shown

_AREAS = ("envelope", "arguments", "resource")
TITLES = {
    "credential_in_envelope": "Its envelope carries what looks like a credential",
    "credential_in_arguments": "Its arguments carry what looks like a credential",
    "credential_in_resource": "Its resource carries what looks like a credential",
    "credential_in_record": "Its record carries what looks like a credential",
    "credential_in_unscanned": "It carries more than is searched for credentials",
}
"""Every rule of this signal, and what a finding about it is called."""


@dataclass(frozen=True)
class CredentialExposure(SignalFold):
    """Options: `soft_kinds` are kinds of hit that prove nothing, `soft_value` in [0, 1] what they count.

    Whatever they are, an access key's id with a named secret beside it is a key. As long as its id is soft, an
    envelope may name the key that the work is about.
    """

    soft_kinds: tuple[str, ...] = (NAMED, KEY_ID, UNSCANNED)
    soft_value: float = 0.2
    breaches: ClassVar[Mapping[str, str]] = TITLES
    weight: ClassVar[float] = 0.9

    def __post_init__(self) -> None:
        object.__setattr__(self, "soft_kinds", names(self.name, "soft_kinds", self.soft_kinds))
        within(self.name, "soft_value", self.soft_value, 0, 1)

    @property
    def name(self) -> str:
        return "credential_exposure"

    def start(self) -> State:
        return {}

    def fold(self, state: State, seen: Observation) -> tuple[State, Signal]:
        """One breach for each place; hard if any credential there was known by its own shape."""
        places: dict[str, list[CredentialHit]] = {}
        for hit in seen.credentials:
            area = hit.path.partition(".")[0]
            place = UNSCANNED if hit.kind == UNSCANNED else area if area in _AREAS else "record"
            places.setdefault(place, []).append(hit)
        if KEY_ID in self.soft_kinds and {hit.kind for hit in places.get("envelope", ())} == {KEY_ID}:
            del places["envelope"]
        breaches = tuple(self._breach(area, hits) for area, hits in places.items())
        if not breaches:
            unseen = seen.event.action.arguments is None
            reason = "none in what was logged; arguments are missing" if unseen else "no credential in sight"
            return state, Signal(self.name, 0.0, reason)
        value = 1.0 if any(breach.hard for breach in breaches) else self.soft_value
        said = shown("; ".join(breach.detail for breach in breaches), 600)
        return state, Signal(self.name, value, said, breaches)

    def _breach(self, area: str, hits: list[CredentialHit]) -> Breach:
        ids, named = ({_around(hit) for hit in hits if hit.kind == kind} for kind in (KEY_ID, NAMED))
        first = next((hit for hit in hits if hit.kind not in self.soft_kinds), hits[0])
        more = f", and {len(hits) - 1} more there" if len(hits) > 1 else ""
        kind = shown(first.kind.replace("_", " "), 40)
        detail = f"{shown(first.path, 120)} carries what looks like a credential ({kind}){more}"
        about = marks(hit.kind for hit in hits)  # the values are gone, and lists move their places about
        hard = first.kind not in self.soft_kinds or not ids.isdisjoint(named)
        return Breach(f"credential_in_{area}", detail, hard, about)


def _around(hit: CredentialHit) -> str:
    """The object that holds the field."""
    return hit.path.rpartition(".")[0]


plugin = CredentialExposure
