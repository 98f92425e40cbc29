"""Structured logs of guardian and of the libraries that it uses."""

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, Literal, TextIO

import structlog

_FIGURE = re.compile(r"\d+")
_MINUTE_S = 60.0
_MOST_SAID = 200


def configure_logging(
    *, level: str = "INFO", json: bool = True, stream: TextIO | None = None, libraries: str = "WARNING"
) -> None:
    """Structured logs on stderr: one JSON object a line, or a console rendering for people.

    Libraries log the same way from the level `libraries` on, with `logger` in place of `room`. Control characters
    in values are escaped by the renderers, so an agent cannot forge a log line.
    """
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=False, repr_native_str=True)  # else ESC reaches the terminal
    )
    told: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*told, structlog.processors.format_exc_info if json else _traceback_as_value, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: _Printing(stream or sys.stderr),  # looked up at each line: tests replace it
        cache_logger_on_first_use=False,
    )
    handler = _OfLibraries(stream)
    handler.setLevel(libraries)
    handler.addFilter(_NotAgain())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*told, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info if json else _for_people,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _OfLibraries)]
    root.addHandler(handler)
    logging.getLogger("kafka.net.selector").setLevel("ERROR")  # it warns of each step that a busy machine delays


@contextmanager
def only_errors() -> Iterator[None]:
    """Where nobody has configured logging, as in a notebook, what runs within logs errors alone: structlog would
    print all of it to stdout."""
    if structlog.is_configured():
        yield
        return
    configure_logging(level="ERROR", json=False, libraries="CRITICAL")
    try:
        yield
    finally:
        structlog.reset_defaults()


class _Printing(structlog.WriteLogger):
    """Drops a line that cannot be written (disk full, reader gone): logging stops nothing."""

    def msg(self, message: str) -> None:
        with suppress(OSError):
            super().msg(message)

    debug = info = warning = error = critical = msg


class _NotAgain:
    """Lets the Kafka client say a thing once a minute. While its broker is away it says five at each attempt, some
    seventeen times in five seconds, and guardian's own line would be lost among them."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("kafka."):
            return True
        try:
            said = record.name, _FIGURE.sub("", record.getMessage())
        except Exception:  # its arguments do not fit; whoever writes it says so, and the client goes on
            return True
        if 0 <= record.created - self._said.get(said, -_MINUTE_S) < _MINUTE_S:
            return False
        if len(self._said) >= _MOST_SAID:
            self._said.clear()
        self._said[said] = record.created
        return True


class _OfLibraries(logging.Handler):
    """Writes libraries' records to `stream`, else to what stderr is at that moment."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        try:
            _Printing(self._stream or sys.stderr).msg(self.format(record))
        except Exception:  # as the standard handlers do
            self.handleError(record)


def _traceback_as_value(logger: Any, method: str, told: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """As a value it is escaped; under its usual name the renderer would write it as it is, below the line."""
    told = structlog.processors.format_exc_info(logger, method, told)
    if "exception" in told:
        told["traceback"] = told.pop("exception")
    return told


def _for_people(_logger: object, _method: str, told: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """One line of printable characters; a library's traceback is of no use on a terminal."""
    raised = told.pop("exc_info", None)
    if raised and raised[1] is not None:
        told["error"] = repr(raised[1])
    told["event"] = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(told["event"]))
    return told


Room = Literal[
    "alerting",
    "audit",
    "bootstrap",
    "bus",
    "commands",
    "console",
    "control",
    "evaluation",
    "keys",
    "store",
    "stream",
    "training",
    "wire",
]
"""The folders that log."""


def logger(room: Room) -> Any:
    """A structured logger that names its room. An event is a stable word (`finding_refused`), for people who
    search and count; what there is to explain goes into `note`, `effect` or `see`. Bind `correlation_id` on it
    along the way of a finding."""
    return structlog.get_logger(room=room)  # lazy: modules are imported before logging is configured
