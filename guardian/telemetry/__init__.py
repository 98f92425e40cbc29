"""What guardian tells its operators about itself: metrics and structured logs."""

from guardian.telemetry.catalogue import METRICS, Metric
from guardian.telemetry.logs import configure_logging, logger, only_errors
from guardian.telemetry.metrics import Metrics

__all__ = ["METRICS", "Metric", "Metrics", "configure_logging", "logger", "only_errors"]
