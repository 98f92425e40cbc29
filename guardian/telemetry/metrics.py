"""What a process counts and measures of what is in the catalogue, and the page that Prometheus reads."""

from threading import Lock
from typing import assert_never

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from guardian.telemetry.catalogue import METRICS, Metric

# No further sample of each counter that says when it began: no rule asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """One registry per process; nothing global, so tests can hold two. In `run` control's page and the monitor's
    are the same: neither shows 0 for what the other counts.

    A gauge is shown from when it is first set: of what a process does not measure, its page says nothing. A
    counter shows 0 from the start where the values of its labels are known.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._shown = set[Metric]()
        self._showing = Lock()
        for name, spec in METRICS.items():
            match spec.kind:
                case "counter":
                    self._counters[name] = Counter(name, spec.help, spec.labels, registry=self.registry)
                    for values in spec.known:
                        self._counters[name].labels(*values)
                case "gauge":
                    self._gauges[name] = Gauge(name, spec.help, spec.labels, registry=None)
                case "histogram":
                    self._histograms[name] = Histogram(
                        name, spec.help, spec.labels, registry=self.registry, buckets=spec.buckets
                    )
                case _:
                    assert_never(spec.kind)

    def add(self, name: Metric, amount: float = 1, **labels: str) -> None:
        """Count up a counter."""
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc(amount)

    def set(self, name: Metric, value: float, **labels: str) -> None:
        """Set a gauge."""
        gauge = self._gauges[name]
        (gauge.labels(**labels) if labels else gauge).set(value)
        with self._showing:
            if name not in self._shown:
                self._shown.add(name)
                self.registry.register(gauge)

    def observe(self, name: Metric, seconds: float, **labels: str) -> None:
        """Record one duration in seconds."""
        histogram = self._histograms[name]
        (histogram.labels(**labels) if labels else histogram).observe(seconds)

    def value(self, name: Metric, **labels: str) -> float:
        """The current value of a counter or gauge, 0 when it was never touched."""
        return self.registry.get_sample_value(name, labels) or 0.0

    def render(self) -> bytes:
        """The Prometheus text exposition."""
        return generate_latest(self.registry)
