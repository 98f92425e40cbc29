"""Judging scorers on labelled sessions, and fitting calibrations on honest ones."""

from guardian.evaluation.agentdojo import agentdojo_sessions
from guardian.evaluation.assess import Asked, assess, left_out
from guardian.evaluation.assessment import Assessment
from guardian.evaluation.baselines import cosine, lexical
from guardian.evaluation.folding import FoldedSession, folding
from guardian.evaluation.judge import ScoreFn, evaluate, requests_of
from guardian.evaluation.metrics import RATES, Interval, Separation
from guardian.evaluation.report import Report, Row
from guardian.evaluation.sessions import LabelledAction, LabelledSession, SessionFileError, read_sessions

__all__ = [
    "RATES",
    "Asked",
    "Assessment",
    "FoldedSession",
    "Interval",
    "LabelledAction",
    "LabelledSession",
    "Report",
    "Row",
    "ScoreFn",
    "Separation",
    "SessionFileError",
    "agentdojo_sessions",
    "assess",
    "cosine",
    "evaluate",
    "folding",
    "left_out",
    "lexical",
    "read_sessions",
    "requests_of",
]
