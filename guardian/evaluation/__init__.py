"""Judging scorers on labelled sessions."""

from guardian.evaluation.baselines import cosine, lexical
from guardian.evaluation.judge import ScoreFn, evaluate, requests_of
from guardian.evaluation.metrics import RATES, Interval, Separation
from guardian.evaluation.report import Report, Row
from guardian.evaluation.sessions import LabelledAction, LabelledSession, SessionFileError, read_sessions

__all__ = [
    "RATES",
    "Interval",
    "LabelledAction",
    "LabelledSession",
    "Report",
    "Row",
    "ScoreFn",
    "Separation",
    "SessionFileError",
    "cosine",
    "evaluate",
    "lexical",
    "read_sessions",
    "requests_of",
]
