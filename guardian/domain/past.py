"""What the archive remembers of one decision, as those see it who learn from the past."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vectors:
    """The embeddings that a score was made from: little-endian float16, as many as the model has dimensions.

    `model` names the encoder that made them; vectors of different models are not comparable.
    """

    model: str
    purpose: bytes
    action: bytes

    def __post_init__(self) -> None:
        if len(self.purpose) % 2 or len(self.action) % 2:
            raise ValueError("a float16 vector has two bytes a dimension")
