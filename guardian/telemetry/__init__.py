"""What guardian tells its operators about itself: metrics and structured logs."""

from guardian.telemetry.logs import configure_logging, logger
from guardian.telemetry.metrics import METRICS, Metric, Metrics

__all__ = ["METRICS", "Metric", "Metrics", "configure_logging", "logger"]
