"""Scorers that the field uses today, measured beside ours in the same run."""

from collections.abc import Sequence

import numpy as np

from guardian.embedding import FitRequest, PurposeFit
from guardian.embedding.lexical import overlap
from guardian.embedding.text import render_action, render_purpose
from guardian.evaluation.judge import ScoreFn


def cosine(fit: PurposeFit) -> ScoreFn:
    """Half the cosine distance between the vectors of purpose and action (tool and arguments), in [0, 1]."""

    def score(requests: Sequence[FitRequest]) -> list[float]:
        purposes = fit.embed([render_purpose(r.purpose) for r in requests])
        actions = fit.embed([render_action(r.tool, r.arguments) for r in requests])
        return [float(x) for x in (1.0 - np.einsum("ij,ij->i", purposes, actions)) / 2.0]

    return score


def lexical(requests: Sequence[FitRequest]) -> list[float]:
    """The share of the action's content words that the purpose does not use, in [0, 1]."""
    return [1.0 - overlap(r.purpose, render_action(r.tool, r.arguments)) for r in requests]
