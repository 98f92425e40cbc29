"""People's word comes back: what a human decision does to a session's memory."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, assert_never

from guardian.domain.session import HumanWord, SessionState, Stage, judged
from guardian.domain.signal import DOUBT

BROKE = "broke"
"""In a session's evidence: it broke a hard rule at some time, so that no promise counts it."""

REGISTERED_KEPT = 64
"""Digests of registered envelopes that a session remembers; control remembers all of them."""

_NAMES_KEPT = 64
_PARENT = "parent_revoked"


def hear(
    state: SessionState, word: HumanWord, at: datetime, detail: str = "", *, lasting: Collection[str]
) -> SessionState:
    """The session's memory after `word`.

    Revoked: the session is known to be cut off.

    Reinstated, or called a false positive: a new epoch. Evidence starts afresh; of the signals' states only those
    of the `lasting` are kept. The rules that findings had named when people spoke are pardoned for this session,
    so that a standing condition that people accepted does not accuse again on the next call. Not pardoned is a
    rule that was named while their word was on its way, and, where `detail` says which rules people knew of, any
    other rule: it waits for their next word. Whoever knew of a doubt did not thereby know of the fact of the same
    name.

    Lapsed: the evidence stays, and a flagged session stays flagged; the next act may ask for revocation again.

    Registered: control has an envelope with the digest `detail` on record for the session from now on.
    """
    match word:
        case HumanWord.REVOKED:
            stood = state.stood if state.stage is Stage.REVOKED else state.stage
            return state.model_copy(update={"revoked_at": at, "stage": Stage.REVOKED, "stood": stood})
        case HumanWord.REINSTATED | HumanWord.FALSE_POSITIVE:
            _, known = judged(detail)
            later = tuple(
                name
                for name in state.breaches
                if state.named_at.get(name, at) > at
                or (known and known.isdisjoint({name, name.removesuffix(DOUBT)}))
            )
            named = [name for name in state.breaches if name not in later]
            named += [_PARENT] * (_PARENT in known)  # control may have taken it along before anything was found
            return state.model_copy(
                update={
                    "revoked_at": None if word is HumanWord.REINSTATED else state.revoked_at,
                    "epoch": state.epoch + 1,
                    "transition": 0,
                    "stage": Stage.CLEAR,
                    "evidence": {name: 1.0 for name in (BROKE,) if name in state.evidence},
                    "peak": _peak(state),
                    "asked_at": None,
                    "asked_one_in": 1.0,
                    "signals": {k: v for k, v in state.signals.items() if k in lasting},
                    "breaches": later,
                    "named_at": {name: at for name, at in state.named_at.items() if name in later},
                    "pardoned": tuple(dict.fromkeys((*state.pardoned, *named))),
                }
            )
        case HumanWord.LAPSED:
            before = Stage.CLEAR if state.stood is Stage.CLEAR else Stage.FLAGGED
            stage = before if state.stage is Stage.REVOKED else state.stage
            return state.model_copy(update={"revoked_at": None, "stage": stage, "asked_at": None})
        case HumanWord.REGISTERED:
            others = (digest for digest in state.registered if digest != detail)
            return state.model_copy(update={"registered": (*others, detail)[-REGISTERED_KEPT:]})
        case HumanWord.CONFIRMED:
            return state
        case _:  # pragma: no cover
            assert_never(word)


def naming(state: SessionState, names: Iterable[str], at: datetime) -> dict[str, Any]:
    """The changes to a state by a finding that names these rules (`Breach.remembered`). `at` is by our clock where
    a gateway's is ahead: it is compared with when people spoke."""
    kept = tuple(dict.fromkeys((*state.breaches, *names)))[-_NAMES_KEPT:]
    known = {name: when for name, when in state.named_at.items() if name in kept}
    return {"breaches": kept, "named_at": known | {name: at for name in kept if name not in state.breaches}}


def _peak(state: SessionState) -> float | None:
    known = [value for value in (state.peak, state.evidence.get("top")) if value is not None]
    return max(known, default=None)
