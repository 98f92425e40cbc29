"""What honest traffic looks like, frozen: the yardstick behind every p-value and every promise.

Two disjoint samples. *Actions* turn a score into a p-value. *Sessions*, replayed whole through the same
frozen fold, turn the running maximum of the session's evidence, and of its largest single act, into
"at most one in N honest sessions": split-conformal over sessions (Vovk et al. 2005; Angelopoulos & Bates
2023, §1), valid under any dependence within a session as long as sessions are exchangeable with the
calibration's.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guardian.errors import ModelError
from guardian.scoring.conformal import Reference

FORMAT = 2

ASSUMPTIONS = (
    "It holds while live sessions are exchangeable with those of the calibration: the same kinds of work, model, "
    "signals and weights. It counts whole sessions, so acts within one may depend on each other. Broken rules are "
    "named and lie outside it. Past its reach, in a session of more calls than its longest, and where "
    "purpose_baseline had a part in it, a figure is an estimate."
)
"""What is printed beside every promise."""

_STATISTICS = 2  # evidence and largest act: each gets half of the error (Bonferroni)
_TEN_FOLD_A_UNIT = 1 / math.log(10)
"""The least scale, in log10 units, of both session statistics: a bet of mean 1 exceeds x at most once in x
(Markov), a p-value falls below 1/x once in x. Past the sample nothing is called rarer than that allows."""
LONGEST = 37
"""How many calls the longest session has of the sets that the shipped calibration is fitted to."""
_LEAST_LOGIT_SCALE = 0.5
_DECIMALS = 5


def logit(score: float) -> float:
    """log-odds of a score in [0, 1], clipped at ±13.8, so that tails are comparable."""
    clipped = min(max(score, 1e-6), 1 - 1e-6)
    return math.log(clipped / (1 - clipped))


@dataclass(frozen=True, slots=True)
class Calibration:
    """`actions` is in log-odds of the score, `evidence` in log10 units, `acts` in -log10 p.

    `fold` names the model, signals and weights that it was fitted with ("": not said): it speaks for no other.
    `longest` is how many calls its longest session has (None: not said, and `LONGEST` holds): both statistics only
    grow with every call, so of a session that has more it promises nothing.
    """

    actions: Reference
    evidence: Reference
    acts: Reference
    source: str
    fold: str = ""
    longest: int | None = None

    @classmethod
    def fit(
        cls,
        action_scores: Sequence[float],
        session_evidence: Sequence[float],
        session_acts: Sequence[float],
        *,
        source: str,
        fold: str = "",
        longest: int | None = None,
    ) -> "Calibration":
        """From scores of honest actions, and per honest session its two running maxima after the last action."""
        return cls(
            actions=Reference.fit([logit(s) for s in action_scores], least_scale=_LEAST_LOGIT_SCALE),
            evidence=Reference.fit(session_evidence, least_scale=_TEN_FOLD_A_UNIT),
            acts=Reference.fit(session_acts, least_scale=_TEN_FOLD_A_UNIT),
            source=source,
            fold=fold,
            longest=longest,
        )

    def p_value(self, score: float) -> float:
        """Share of honest actions at least this far out, in (0, 1]; past the sample an estimate."""
        return self.actions.estimate(logit(score))[0]

    def one_in(self, evidence_max: float, act_max: float, *, calls: int = 1) -> tuple[float, bool]:
        """N such that at most one in N honest sessions gets here in so many calls, and whether N is promised or
        estimated."""
        by_evidence, evidence_sure = self.evidence.estimate(evidence_max)
        by_act, act_sure = self.acts.estimate(act_max)
        p, sure = min((by_evidence, evidence_sure), (by_act, act_sure))
        return max(1.0, 1 / (_STATISTICS * p)), sure and calls <= self.calls

    @property
    def calls(self) -> int:
        """How many calls a session may have of which anything is promised."""
        return LONGEST if self.longest is None else self.longest

    @property
    def reach(self) -> int:
        """The largest N at which flags are promised: of honest sessions, at most one in N gets past the sample."""
        return (len(self.evidence.values) + 1) // _STATISTICS

    @property
    def covered(self) -> float:
        """The largest N that `one_in` promises of a session, about half of `reach`: that of the sample's largest
        values. What gets past them is told with an estimate, also where the flag is promised."""
        return self.one_in(self.evidence.values[-1], self.acts.values[-1])[0]

    def to_json(self) -> str:
        """Plain numbers, rounded up to 5 decimals: what is read back never promises more than what was saved."""
        body: dict[str, Any] = {"format": FORMAT, "source": self.source, "fold": self.fold}
        if self.longest is not None:
            body["longest"] = self.longest
        for name in ("actions", "evidence", "acts"):
            reference: Reference = getattr(self, name)
            body[name] = {
                "scale": _rounded_up(reference.scale),
                "values": [_rounded_up(v) for v in reference.values],
            }
        return json.dumps(body, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Calibration":
        """Raises ModelError on another format or impossible numbers."""
        try:
            body = json.loads(text)
            if body["format"] != FORMAT:
                raise ModelError(
                    f"calibration format {body['format']!r} is not {FORMAT}: run `guardian calibrate`"
                )
            return cls(
                actions=_reference(body["actions"]),
                evidence=_reference(body["evidence"]),
                acts=_reference(body["acts"]),
                source=str(body["source"]),
                fold=str(body.get("fold", "")),
                longest=_longest(body["longest"]) if "longest" in body else None,
            )
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise ModelError(f"the calibration cannot be read ({error}): run `guardian calibrate`") from error


def _longest(told: Any) -> int:
    if (calls := int(told)) < 1:
        raise ValueError(f"its longest session cannot have {told!r} calls")
    return calls


def _reference(body: Mapping[str, Any]) -> Reference:
    return Reference(tuple(map(float, body["values"])), float(body["scale"]))


def _rounded_up(value: float) -> float:
    """The least number of 5 decimals that is not below `value`; rounded again it stays the same."""
    nearest = round(value, _DECIMALS)
    return nearest if nearest >= value else round(nearest + 10**-_DECIMALS, _DECIMALS)
