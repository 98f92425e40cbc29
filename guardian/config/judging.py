"""Model, thresholds and baselines."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from guardian.config.base import OneIn, Options, Seconds, Section


class ModelSection(Section):
    path: Path | None = None  # None: the model that travels with the package
    engine: str = "onnx"
    cache_size: Annotated[int, Field(ge=1)] = 65_536
    options: Options = Field(default_factory=dict)
    calibration: Path | None = None  # None: the one beside the model


class ResponseSection(Section):
    flag_one_in: OneIn = 1_000
    revoke_one_in: OneIn = 20_000
    breaches: dict[str, Literal["none", "flag", "revoke"]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _flag_comes_first(self) -> Self:
        if self.flag_one_in > self.revoke_one_in:
            raise ValueError(
                f"flag_one_in {self.flag_one_in:g} must not exceed revoke_one_in {self.revoke_one_in:g}"
            )
        return self


class BaselineSection(Section):
    idle_s: Seconds = 1800.0  # a session that was silent this long is finished and teaches its baseline
