"""Logs are one line each, and cannot be forged by what agents write."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import suppress

import pytest
import structlog

from guardian.telemetry import configure_logging, logger, logs

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
def test_nor_can_what_an_exception_says(json_lines: bool) -> None:
    stream = written(json_lines=json_lines)
    try:
        raise ValueError(f"bad {HOSTILE}\n2026-12-01T00:00:00Z [info     ] everything_is_fine")
    except ValueError:
        logger("x").exception("failed", error="ValueError")
    (line,) = stream.getvalue().splitlines()
    assert not {"\x1b", "\x07", "\u202e"} & set(line)
    assert "Traceback" in line
    assert "everything_is_fine" in line


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


def test_a_busy_machine_does_not_fill_the_log_with_the_kafka_clients_delays() -> None:
    stream = written(json_lines=True)
    logging.getLogger("kafka.net.selector").warning("a task ran for 0.159s")
    logging.getLogger("kafka.net.selector").error("a task failed")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["a task failed"]


def test_what_the_kafka_client_says_at_each_attempt_is_told_once_a_minute() -> None:
    stream = written(json_lines=True)
    (handler,) = (each for each in logging.getLogger().handlers if type(each).__module__ == logs.__name__)

    def said(at: float, text: str, name: str = "kafka.net.manager") -> None:
        record = logging.makeLogRecord({"name": name, "msg": text, "levelno": logging.ERROR, "levelname": "ERROR"})
        record.created = at
        handler.handle(record)

    for n in range(9):
        said(1000.0 + n, f"Bootstrap failed (backoff {n}.{n}1 secs)")
    said(1009, "its certificate is not believed")
    said(1009, "ours", "alembic")
    said(1009, "ours", "alembic")
    said(1060, "Bootstrap failed (backoff 5.00 secs)")
    said(900, "Bootstrap failed (backoff 6.00 secs)")  # the clock was set back
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == [
        "Bootstrap failed (backoff 0.01 secs)",
        "its certificate is not believed",
        *["ours"] * 2,
        "Bootstrap failed (backoff 5.00 secs)",
        "Bootstrap failed (backoff 6.00 secs)",
    ]


def test_a_line_of_the_kafka_client_whose_arguments_do_not_fit_stops_nobody(capfd) -> None:
    stream = written(json_lines=True)
    (handler,) = (each for each in logging.getLogger().handlers if type(each).__module__ == logs.__name__)
    told = {"name": "kafka.net", "levelno": logging.ERROR, "levelname": "ERROR"}
    handler.handle(logging.makeLogRecord({**told, "msg": "%d bytes", "args": ("no",)}))
    handler.handle(logging.makeLogRecord({**told, "msg": "it goes on"}))
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["it goes on"]
    assert "Logging error" in capfd.readouterr().err


def test_however_much_the_kafka_client_says_little_is_remembered_of_it() -> None:
    once = logs._NotAgain()
    record = logging.makeLogRecord({"name": "kafka.net", "created": 1000.0})
    for n in range(1000):
        record.msg = "x" * n
        assert once.filter(record)
    assert len(once._said) <= logs._MOST_SAID


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
