"""What every miner is given."""

from dataclasses import dataclass

from guardian.domain.restriction import Scope
from guardian.tightening.caution import Caution
from guardian.tightening.scope_history import ScopeHistory
from guardian.tightening.usage import Use


@dataclass(frozen=True, slots=True)
class Basis:
    """What a scope's restrictions rest on. `whole` is what shows a need in all of the window; `caution` says how
    sure one has to be."""

    scope: Scope
    history: ScopeHistory
    whole: Use
    caution: Caution
