"""Build the drift model from labelled sessions (needs the `train` extra)."""

from guardian.training.recipe import Recipe, train

__all__ = ["Recipe", "train"]
