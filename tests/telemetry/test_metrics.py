"""Metrics keep their names, and their labels stay few."""

import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from prometheus_client.parser import text_string_to_metric_families

import guardian
from guardian.domain.revocation import LedgerEntry, ReasonCode
from guardian.policy.reload import ReloadOutcome
from guardian.store.control.peers import TestKind
from guardian.telemetry import METRICS, Metric, Metrics


def test_the_table_of_metrics_is_the_literal() -> None:
    assert set(METRICS) == set(get_args(Metric))


def test_something_moves_every_metric() -> None:
    package = Path(guardian.__file__).parent
    rooms = [file for file in package.rglob("*.py") if package / "telemetry" not in file.parents]
    moved = {
        name for file in rooms for name in re.findall(r'(?<!value\()"(guardian_\w+)"', file.read_text("utf-8"))
    }
    assert sorted(set(METRICS) - moved) == []


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


def shown(name: Metric, label: str) -> set[str]:
    """Values of this label that a page shows as 0 before anything was counted."""
    families = text_string_to_metric_families(Metrics().render().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    assert {sample.value for sample in samples} == {0}
    return {sample.labels[label] for sample in samples}


def test_what_a_counter_may_count_is_shown_before_it_counts() -> None:
    """Prometheus sees how a count grows, and not that it came."""
    assert shown("guardian_self_tests_total", "kind") == set(get_args(TestKind))
    assert shown("guardian_self_tests_total", "result") == {"passed", "failed"}
    assert shown("guardian_policy_reloads_total", "result") == set(
        get_args(get_type_hints(ReloadOutcome)["result"])
    )
    uncounted = {"renewed", "self_test"}
    assert shown("guardian_revocations_total", "reason") == {*get_args(ReasonCode)} - uncounted
    assert shown("guardian_revocations_total", "status") == set(get_args(get_type_hints(LedgerEntry)["status"]))


@pytest.mark.parametrize(
    ("name", "label", "source", "said"),
    [
        ("guardian_auth_failures_total", "reason", "keys/tokens.py", r'RefusedToken\("(\w+)"'),
        (
            "guardian_auth_failures_total",
            "reason",
            "control/authentication/gate.py",
            r'disbelieved\("(\w+)"',
        ),
        ("guardian_events_total", "outcome", "stream/commit.py", r'_events_total", .*, outcome="(\w+)"'),
        ("guardian_envelopes_total", "result", "stream/envelopes.py", r'_envelopes_total", .*, result="(\w+)"'),
        ("guardian_envelopes_total", "result", "control/envelopes/registration.py", r'result="(\w+)"'),
    ],
)
def test_so_is_what_the_code_names_in_place(name: Metric, label: str, source: str, said: str) -> None:
    named = set(re.findall(said, (Path(guardian.__file__).parent / source).read_text("utf-8")))
    assert named
    assert named <= shown(name, label)


def test_a_counter_is_one_sample_and_not_also_when_it_began() -> None:
    assert "_created" not in Metrics().render().decode()


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


def test_an_answer_of_policy_is_told_from_one_that_takes_five_times_as_long() -> None:
    metrics = Metrics()
    for seconds in (0.0002, 0.00099):
        metrics.observe("guardian_policy_seconds", seconds)
    assert metrics.registry.get_sample_value("guardian_policy_seconds_bucket", {"le": "0.00025"}) == 1


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
