"""Metrics keep their names, and their labels stay few."""

from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from guardian.telemetry import METRICS, Metric, Metrics


def test_the_table_of_metrics_is_the_literal() -> None:
    assert set(METRICS) == set(get_args(Metric))


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_says_what_it_means_and_has_no_label_without_bound(name: Metric) -> None:
    spec = METRICS[name]
    assert spec.help.endswith(".")
    assert (spec.kind == "counter") == name.endswith("_total")
    assert not {"session", "session_id", "agent", "agent_id", "tool", "argument", "tenant"} & set(spec.labels)


def test_counters_count_gauges_hold_and_untouched_ones_read_zero() -> None:
    metrics = Metrics()
    assert metrics.value("guardian_events_total", outcome="judged") == 0.0
    metrics.add("guardian_events_total", 3, outcome="judged")
    metrics.add("guardian_events_total", outcome="judged")
    metrics.add("guardian_events_total", outcome="duplicate")
    metrics.set("guardian_outbox_depth", 7)
    metrics.set("guardian_outbox_depth", 2)
    metrics.set("guardian_gateway_revision", 41, gateway="gw")
    assert metrics.value("guardian_events_total", outcome="judged") == 4
    assert metrics.value("guardian_outbox_depth") == 2
    assert metrics.value("guardian_gateway_revision", gateway="gw") == 41


def test_durations_are_seconds_in_buckets() -> None:
    metrics = Metrics()
    metrics.observe("guardian_scoring_seconds", 0.02)
    metrics.observe("guardian_request_seconds", 0.2, route="/v1/findings")
    samples = {
        (sample.name, sample.labels.get("le")): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }
    assert samples["guardian_scoring_seconds_bucket", "0.01"] == 0
    assert samples["guardian_scoring_seconds_bucket", "0.025"] == 1
    assert samples["guardian_request_seconds_count", None] == 1


def test_a_page_says_nothing_of_what_its_process_does_not_measure() -> None:
    metrics = Metrics()
    assert "guardian_unprotected_seconds" not in metrics.render().decode()
    for seconds in (90, 0):
        metrics.set("guardian_unprotected_seconds", seconds)
    page = metrics.render().decode()
    assert "\nguardian_unprotected_seconds 0.0\n" in page
    assert "guardian_time_lag_seconds" not in page


def test_two_registries_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.set("guardian_outbox_depth", 5)
    assert other.value("guardian_outbox_depth") == 0


def test_the_exposition_tells_what_to_do() -> None:
    page = Metrics().render().decode()
    assert "# HELP guardian_dead_letters_total Unreadable records by reason code." in page


def test_a_metric_of_another_kind_or_label_is_refused() -> None:
    with pytest.raises(KeyError):
        Metrics().add("guardian_outbox_depth")
    with pytest.raises(ValueError, match="label"):
        Metrics().add("guardian_events_total", session="s1")
