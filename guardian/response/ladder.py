"""The ladder clear → flagged → revoked: one finding per step up, and one per further hard rule that a session
breaks while it is flagged, or goes on because its revocation was refused; never one per call.

Hysteresis: the evidence is a running maximum, so a session does not flap between two calls; it comes down
only when people speak (`hear`), and then evidence starts afresh and the named rules that they waved through
stay waved through.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from guardian.domain.breach import NOTED, Breach, rule_of
from guardian.domain.finding import Effect
from guardian.domain.session import SessionState, Stage

REVOKE_BREACHES = frozenset(
    {
        "envelope_expired",
        "tenant_mismatch",
        "session_mismatch",
        "signature_invalid",
        "parent_revoked",
        "changed_delegator",
        "delegation_cycle",
    }
)
"""Breaches that ask for revocation out of the box: facts that no honest session produces."""

REASK_AFTER = timedelta(minutes=30)
REASK_FACTOR = 10.0

_RANK = {Stage.CLEAR: 0, Stage.FLAGGED: 1, Stage.REVOKED: 2}


@dataclass(frozen=True, slots=True)
class Ladder:
    """flag_one_in, revoke_one_in: "flag what at most one in N honest sessions reaches"; N ≥ 1.

    breach_effects: the effect of a breach, by its name; by its rule (`session_mismatch?`) that of a doubt alone,
    which goes first. A breach that is not listed flags; but a hard one of REVOKE_BREACHES asks for revocation, and
    a soft one of NOTED for nothing.
    """

    flag_one_in: float = 1_000.0
    revoke_one_in: float = 20_000.0
    breach_effects: Mapping[str, Effect] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1.0 <= self.flag_one_in <= self.revoke_one_in:
            raise ValueError(
                f"thresholds need 1 ≤ flag ≤ revoke, got flag {self.flag_one_in}, revoke {self.revoke_one_in}"
            )

    def breach_effect(self, breach: Breach) -> Effect:
        """What one broken rule asks for."""
        for spelt in (breach.rule, breach.name):
            if spelt in self.breach_effects:
                return self.breach_effects[spelt]
        if not breach.hard and breach.name in NOTED:
            return Effect.NONE
        return Effect.REVOKE if breach.hard and breach.name in REVOKE_BREACHES else Effect.FLAG

    def wanted(self, *, one_in: float, breaches: Iterable[Breach], pardoned: Iterable[str] = ()) -> Effect:
        """The strongest effect that evidence or a named rule asks for; policy knows whether N is estimated."""
        waved = frozenset(pardoned)
        effects = {self.breach_effect(b) for b in breaches if not b.waved(waved)}
        if one_in >= self.revoke_one_in:
            effects.add(Effect.REVOKE)
        if one_in >= self.flag_one_in:
            effects.add(Effect.FLAG)
        if Effect.REVOKE in effects:
            return Effect.REVOKE
        return Effect.FLAG if Effect.FLAG in effects else Effect.NONE

    def unnamed(self, state: SessionState, breaches: Iterable[Breach]) -> list[Breach]:
        """Hard breaches of rules that no finding of the session has named yet.

        Each rule counts once, whatever breaks it: an agent can break one by a thousand values. Rules that people
        waved through, or that ask for nothing, do not count.
        """
        named = set(map(rule_of, state.breaches))
        fresh = (b for b in breaches if b.hard and b.name not in named and not b.waved(state.pardoned))
        return [b for b in fresh if self.breach_effect(b) is not Effect.NONE]

    def asks_again(self, state: SessionState, *, one_in: float, breaches: Iterable[Breach], now: datetime) -> bool:
        """Whether to ask again for the revocation of a session that still acts although it was asked for.

        Policy may have said no (shadow mode, a spent budget, too little evidence) and may say yes by now. Ask on a
        hard breach of a rule that no finding has named yet; on ten times the evidence that revocation takes or was
        last asked on, if the act breaks no rule that asks for it by itself (a rule is not evidence twice); or half
        an hour after the last time. Rules that people waved through do not count.
        """
        told = tuple(breaches)
        hard = (b for b in told if b.hard and not b.waved(state.pardoned))
        revoking = any(self.breach_effect(b) is Effect.REVOKE for b in hard)
        return (
            bool(self.unnamed(state, told))
            or (not revoking and one_in >= REASK_FACTOR * max(self.revoke_one_in, state.asked_one_in))
            or state.asked_at is None
            or now - state.asked_at >= REASK_AFTER
        )

    @staticmethod
    def climb(stage: Stage, wanted: Effect) -> Stage:
        """The stage after this action: never lower than before."""
        target = {Effect.NONE: Stage.CLEAR, Effect.FLAG: Stage.FLAGGED, Effect.REVOKE: Stage.REVOKED}[wanted]
        return max(stage, target, key=_RANK.__getitem__)
