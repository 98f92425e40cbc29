"""People's word comes back: what a human decision does to a session's memory."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, assert_never

from guardian.domain.breach import DOUBT, OF, rule_of
from guardian.domain.finding import Kind
from guardian.domain.session import HumanWord, SessionState, Stage, judged

REGISTERED_KEPT = 64
"""Digests of registered envelopes that a session remembers; control remembers all of them."""

NAMES_KEPT = 128
"""What findings named, and what of it people waved through, as far as a session remembers it. It is more than one
finding can name; what is forgotten is told again."""

_PARENT = "parent_revoked"


def hear(
    state: SessionState, word: HumanWord, at: datetime, detail: str = "", *, lasting: Collection[str]
) -> SessionState:
    """The session's memory after `word`.

    Revoked: the session is known to be cut off.

    Reinstated, or called a false positive: a new epoch. Evidence starts afresh; of the signals' states only those
    of the `lasting` are kept. What findings had named when people spoke (`Breach.remembered`: a rule, or what in a
    call broke it) is pardoned for this session, so that what people accepted does not accuse again on the next
    call. Not pardoned is what was named while their word was on its way, and, where `detail` says what people knew
    of, anything else: it waits for their next word. Whoever knew of a doubt did not thereby know of the fact of
    the same name.

    Confirmed: of what `detail` says that people knew of, nothing is pardoned any more: a verdict that is corrected
    leaves no trace, and the next act that breaks the rule accuses again. The same where a verdict is withdrawn.

    Lapsed: the evidence stays, and a flagged session stays flagged; the next act may ask for revocation again.

    Registered: control has an envelope with the digest `detail` on record for the session from now on. That it was
    reported not to be is as good as not said: it counts for none of those that may be told.
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
                if state.named_at.get(name, at) > at or (known and not _is_known(name, known))
            )
            named = [name for name in state.breaches if name not in later]
            named += [_PARENT] * (_PARENT in known)  # control may have taken it along before anything was found
            return state.model_copy(
                update={
                    "revoked_at": None if word is HumanWord.REINSTATED else state.revoked_at,
                    "epoch": state.epoch + 1,
                    "transition": 0,
                    "stage": Stage.CLEAR,
                    "evidence": state.evidence.afresh(),
                    "peak": state.highest,
                    "asked_at": None,
                    "asked_one_in": 1.0,
                    "signals": {k: v for k, v in state.signals.items() if k in lasting},
                    "breaches": later,
                    "named_at": {name: at for name, at in state.named_at.items() if name in later},
                    "pardoned": _kept((*state.pardoned, *named)),
                }
            )
        case HumanWord.LAPSED:
            before = Stage.CLEAR if state.stood is Stage.CLEAR else Stage.FLAGGED
            stage = before if state.stage is Stage.REVOKED else state.stage
            return state.model_copy(update={"revoked_at": None, "stage": stage, "asked_at": None})
        case HumanWord.REGISTERED:
            others = (digest for digest in state.registered if digest != detail)
            reported = tuple(each for each in state.reported if not each.endswith(f"{Kind.ENVELOPE}:{detail}"))
            return state.model_copy(
                update={"registered": (*others, detail)[-REGISTERED_KEPT:], "reported": reported}
            )
        case HumanWord.CONFIRMED | HumanWord.WITHDRAWN:
            _, known = judged(detail)
            accused = [name for name in state.pardoned if _is_known(name, known)]
            pardoned = tuple(name for name in state.pardoned if name not in accused)
            return state.model_copy(update={"pardoned": pardoned, **naming(state, accused, at)})
        case _:  # pragma: no cover
            assert_never(word)


def naming(state: SessionState, names: Iterable[str], at: datetime) -> dict[str, Any]:
    """The changes to a state by a finding that names these rules (`Breach.remembered`). `at` is by our clock where
    a gateway's is ahead: it is compared with when people spoke."""
    kept = _kept((*state.breaches, *names))
    known = {name: when for name, when in state.named_at.items() if name in kept}
    return {"breaches": kept, "named_at": known | {name: at for name in kept if name not in state.breaches}}


def _is_known(name: str, known: Collection[str]) -> bool:
    """Whether people knew of this. Who knew of the fact knew of the doubt, too."""
    return name in known or name.removesuffix(DOUBT) in known


def _kept(names: Iterable[str]) -> tuple[str, ...]:
    """Each once, and not too many: agents choose the values that break rules, so the oldest of these go first. The
    newest of each rule stays, or the rule would be told again and again."""
    told = tuple(dict.fromkeys(names))
    over = max(0, len(told) - NAMES_KEPT)
    newest = {rule_of(name): name for name in told}.values()
    gone = frozenset([name for name in told if OF in name and name not in newest][:over])
    return tuple(name for name in told if name not in gone)[-NAMES_KEPT:]
