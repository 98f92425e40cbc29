"""One score from the pair encoder's logit and a few readable features: a monotone logistic of plain numbers.

Every feature is turned so that higher means further from purpose, and every weight is at least zero, so no feature
can argue against its own meaning. Fitted by `guardian train` on data sets that the encoder had not seen.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from guardian.errors import ModelError

FEATURES = ("logit", "distance", "fresh", "fresh_destination", "consequence", "closed", "tool_unnamed")
DOUBT = 0.25
"""A call without what it repeats of its purpose must have a margin that lies this much above the whole call's."""
LEFT_OPEN = 1.25
"""A call's margin falls by this much under a purpose that constrains nothing. Chosen on `training/open_ended.py`:
where such a purpose is recognised, its honest sessions are then flagged about as often as others."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """sigmoid(intercept + Σ weight · min(max(feature, low), high)); weights and bounds are in FEATURES' order."""

    intercept: float
    weights: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.weights) == len(self.low) == len(self.high) == len(FEATURES):
            raise ModelError(
                f"fusion has {len(self.weights)} weights, {len(FEATURES)} are needed: {', '.join(FEATURES)}"
            )
        if min(self.weights) < 0 or not all(
            map(math.isfinite, (self.intercept, *self.weights, *self.low, *self.high))
        ):
            raise ModelError(
                "fusion weights must be finite and not negative; fit them again with `guardian train`"
            )
        if any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise ModelError("fusion has a low bound above its high one; fit it again with `guardian train`")

    def score(
        self, features: tuple[float, ...], bare: tuple[float, ...] | None = None, *, left_open: bool = False
    ) -> float:
        """In [0, 1]; higher is further from purpose. `bare` are the features of the call without what it repeats
        of the purpose: they can raise the score, never lower it. `left_open`: the purpose constrains nothing
        (`domain.purposes.open_ended`)."""
        margin = self.margin(features)
        if bare is not None:
            margin = max(margin, self.margin(bare) - DOUBT)
        if left_open:
            margin -= LEFT_OPEN
        return 1.0 / (1.0 + math.exp(-max(-40.0, min(40.0, margin))))

    def margin(self, features: tuple[float, ...]) -> float:
        """The score before the sigmoid."""
        rows = zip(self.weights, features, self.low, self.high, strict=True)
        return self.intercept + sum(w * min(max(x, low), high) for w, x, low, high in rows)


def load_fusion(path: Path) -> Fusion:
    """Read fusion.json. Raises ModelError if it is not a fusion of these features."""
    try:
        stored = json.loads(path.read_text("utf-8"))
        rows = {row["feature"]: row for row in stored["features"]}
        if sorted(row["feature"] for row in stored["features"]) != sorted(FEATURES):
            raise ValueError("each of these has to be there once, and no other")
        columns = [tuple(float(rows[name][key]) for name in FEATURES) for key in ("weight", "low", "high")]
        return Fusion(float(stored["intercept"]), *columns)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: not a fusion of {', '.join(FEATURES)} ({error!r})") from error


def save_fusion(fusion: Fusion, path: Path) -> None:
    """Write fusion.json: plain numbers a person can read."""
    columns = zip(FEATURES, fusion.weights, fusion.low, fusion.high, strict=True)
    rows = [{"feature": name, "weight": w, "low": low, "high": high} for name, w, low, high in columns]
    path.write_text(json.dumps({"intercept": fusion.intercept, "features": rows}, indent=2) + "\n", "utf-8")
