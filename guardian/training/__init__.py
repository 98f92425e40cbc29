"""Build the drift model from labelled sessions (needs the `train` extra)."""

from guardian.training.recipe import train
from guardian.training.stages import Recipe

__all__ = ["Recipe", "train"]
