"""Metrics keep their names and their labels few; logs cannot be forged by what agents write."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import get_args

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from guardian.telemetry import METRICS, Metric, Metrics, configure_logging, logger

HOSTILE = "x\nlevel=info forged\x1b[2J\x07\u202e"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    before, root = structlog.get_config(), logging.getLogger()
    handlers = root.handlers[:]
    yield
    root.handlers = handlers
    structlog.contextvars.clear_contextvars()
    structlog.configure(**before)


def written(*, json_lines: bool, level: str = "INFO") -> io.StringIO:
    stream = io.StringIO()
    configure_logging(level=level, json=json_lines, stream=stream)
    return stream


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


def test_json_logs_are_one_object_a_line_with_level_time_and_room() -> None:
    stream = written(json_lines=True)
    logger("stream").info("assigned", places=["t[0]"])
    (line,) = stream.getvalue().splitlines()
    body = json.loads(line)
    assert (body["event"], body["level"], body["room"], body["places"]) == ("assigned", "info", "stream", ["t[0]"])
    assert body["timestamp"].endswith("Z")


@pytest.mark.parametrize("json_lines", [True, False])
def test_what_an_agent_wrote_cannot_forge_a_line_or_drive_a_terminal(json_lines: bool) -> None:
    stream = written(json_lines=json_lines)
    logger("pipeline").warning("odd", tool=HOSTILE, nested=[HOSTILE])
    assert len(stream.getvalue().splitlines()) == 1
    assert not {"\x1b", "\x07", "\u202e"} & set(stream.getvalue())


def test_a_correlation_id_bound_once_is_on_every_line() -> None:
    stream = written(json_lines=True)
    structlog.contextvars.bind_contextvars(correlation_id="4bf92f")
    logger("stream").info("judged")
    logger("alerting").info("sent")
    assert {json.loads(line)["correlation_id"] for line in stream.getvalue().splitlines()} == {"4bf92f"}


def test_lines_below_the_level_are_not_written() -> None:
    stream = written(json_lines=True, level="warning")
    logger("x").info("quiet")
    logger("x").warning("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_an_exception_is_told_within_its_line() -> None:
    stream = written(json_lines=True)
    try:
        raise ValueError("broken")
    except ValueError:
        logger("x").exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: broken" in json.loads(line)["exception"]


@pytest.mark.parametrize("json_lines", [True, False])
def test_what_libraries_log_is_a_line_like_our_own(json_lines: bool) -> None:
    stream = written(json_lines=json_lines)
    try:
        raise OSError(f"broken {HOSTILE}")
    except OSError:
        logging.getLogger("kafka.net").exception("closing %s", HOSTILE)
    logging.getLogger("kafka.net").info("not told")
    (line,) = stream.getvalue().splitlines()
    assert "kafka.net" in line
    assert "broken" in line
    assert not {"\x1b", "\x07", "\u202e"} & set(line)
    if json_lines:
        body = json.loads(line)
        assert (body["level"], body["logger"], body["event"]) == ("error", "kafka.net", f"closing {HOSTILE}")
        assert "Traceback" in body["exception"]
    else:
        assert "Traceback" not in line


def test_libraries_are_heard_once_and_from_the_level_wanted() -> None:
    written(json_lines=True)
    stream = io.StringIO()
    configure_logging(stream=stream, libraries="CRITICAL")
    logging.getLogger("kafka").error("a race while closing")
    logging.getLogger("kafka").critical("told")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["told"]


def test_a_log_that_cannot_be_written_stops_nobody():
    with suppress(OSError), open("/dev/full", "w") as full:  # which fails again as it is closed
        configure_logging(stream=full)
        for _ in range(3):
            logger("room").error("a disk is full")
        told = True
    assert told


def test_a_line_is_written_at_once_so_that_two_threads_write_two() -> None:
    pieces: list[str] = []

    class Pieces(io.StringIO):
        def write(self, text: str) -> int:
            pieces.append(text)
            return len(text)

    configure_logging(stream=Pieces())
    logger("room").info("ours")
    logging.getLogger("kafka").error("theirs")
    assert [json.loads(piece)["event"] for piece in pieces] == ["ours", "theirs"]
    assert all(piece.endswith("\n") for piece in pieces)
