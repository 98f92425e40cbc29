"""What a session's calls have gathered against its honesty, as it is kept from one call to the next."""

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

_BEST = "best:"


class Gathered(BaseModel):
    """The accumulator's state. It is stored as one flat mapping of figures."""

    model_config = ConfigDict(frozen=True)

    m: float = -math.inf  # log10 of e-SR
    n: int = 0  # actions
    top: float = -math.inf  # the running maximum of the evidence, log10
    act: float = 0.0  # that of the single acts, -log10 of a p-value
    best: dict[str, float] = Field(default_factory=dict)  # the largest bet won on each of the newest kinds of act
    broke: bool = False  # a hard rule, at some time: no promise counts such a session
    learnt: bool = False  # an act's score owed something to what was learnt here, which no calibration knows

    @model_validator(mode="before")
    @classmethod
    def _read(cls, stored: Any) -> Any:
        if not isinstance(stored, Mapping):
            return stored
        best = {name.removeprefix(_BEST): won for name, won in stored.items() if name.startswith(_BEST)}
        return {"best": best} | {name: value for name, value in stored.items() if not name.startswith(_BEST)}

    @model_serializer
    def _stored(self) -> dict[str, float]:
        figures = {"m": self.m, "n": float(self.n), "top": self.top, "act": self.act} if self.n else {}
        best = {_BEST + kind: won for kind, won in self.best.items()}
        marks = {name: 1.0 for name, is_so in (("broke", self.broke), ("learnt", self.learnt)) if is_so}
        return figures | best | marks

    def afresh(self) -> "Gathered":
        """Of evidence that starts afresh this stays: whether the session broke a hard rule."""
        return Gathered(broke=self.broke)
