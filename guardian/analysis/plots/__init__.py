"""Figures: each function takes frames and returns a matplotlib figure; notebooks show it as PNG.

Colours are Okabe and Ito's, told apart by the colour-blind; shapes, hatches and dashes say the same in grey. Times
are UTC. Text from agents is bounded and inert.
"""

from guardian.analysis.plots.meaning import plot_blurred, plot_map, plot_moves
from guardian.analysis.plots.model import plot_p_values, plot_precision, plot_weekly
from guardian.analysis.plots.overview import plot_counts, plot_day, plot_outcomes
from guardian.analysis.plots.proposal import plot_backtest, plot_surface
from guardian.analysis.plots.session import plot_delegation, plot_evidence, plot_signals, plot_steps
from guardian.analysis.plots.thresholds import plot_costs, plot_distribution, plot_flagged, plot_promise

__all__ = [
    "plot_backtest",
    "plot_blurred",
    "plot_costs",
    "plot_counts",
    "plot_day",
    "plot_delegation",
    "plot_distribution",
    "plot_evidence",
    "plot_flagged",
    "plot_map",
    "plot_moves",
    "plot_outcomes",
    "plot_p_values",
    "plot_precision",
    "plot_promise",
    "plot_signals",
    "plot_steps",
    "plot_surface",
    "plot_weekly",
]
