"""The three ways to run: watch, serve, and both in one process."""

import gc
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from guardian.bootstrap.advice import local_adviser
from guardian.bootstrap.checking import check_plugins
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control import Control
from guardian.bootstrap.judgement import open_judge
from guardian.bootstrap.monitor import Monitor
from guardian.bootstrap.secrets import SecretFiles
from guardian.bus.file import FileConsumer, FileProducer, NoProducer, may_be_written, place_of
from guardian.bus.pipe import PipeConsumer
from guardian.bus.port import Producer
from guardian.config import Settings
from guardian.domain.batch import Judgement
from guardian.errors import ConfigurationError, ControlError, FuseBlown
from guardian.stream.advice_server import AdviceServer
from guardian.stream.advising import LocalAdviser
from guardian.stream.vitals import Lateness
from guardian.telemetry import Metrics, configure_logging, logger

_FINISHES_FOR_S = 45
"""Then a stop is a stop: systemd kills after 90 seconds, and what there is to deliver takes some of them."""


@contextmanager
def stopping(finish: Callable[[], bool] = lambda: False) -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set; a second Ctrl-C ends the process at once.

    Where `finish` says that there is something to finish before, the event waits for the next signal, or a while.
    """
    stop = threading.Event()

    def ask(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        if finish():
            signal.alarm(_FINISHES_FOR_S)  # which asks again; a thread's timer may need what is interrupted here
        else:
            stop.set()

    asking = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = {number: signal.signal(number, ask) for number in asking}
    try:
        yield stop
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _hanging_up(reload: Callable[[], None]) -> Iterator[None]:
    """SIGHUP reads the policies again."""
    before = signal.signal(signal.SIGHUP, lambda *_: reload())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@contextmanager
def _outliving_hang_ups() -> Iterator[None]:
    """SIGHUP, which would end the process, is told in the log, by a thread: what it interrupts may hold that."""
    heard: SimpleQueue[bool] = SimpleQueue()

    def tell() -> None:
        while heard.get():
            logger("bootstrap").warning(
                "hung_up", note="nothing is read anew here; a changed guardian.yaml takes a restart"
            )

    telling = threading.Thread(target=tell, name="guardian-hang-ups", daemon=True)
    telling.start()
    try:
        with _hanging_up(lambda: heard.put(True)):
            yield
    finally:
        heard.put(False)
        telling.join(timeout=5)


@dataclass(slots=True)
class Watched:
    """What became of what was read; `ended`: by itself, and then so many findings and dead letters are `waiting`,
    where it was stopped meanwhile; `letters`: where dead letters of a file are, beside the store.

    `unfinished`: the last line of a file is not whole and was left. Of standard input or a pipe: `lost`, so many
    lines were taken from it and not judged, and `unread`, it is a file that was not read to its end."""

    decisions: int = 0
    duplicates: int = 0
    refused: int = 0
    ended: bool = False
    waiting: int = 0
    letters: Path | None = None
    unfinished: bool = False
    lost: int = 0
    unread: bool = False

    def add(self, judgement: Judgement) -> None:
        self.decisions += len(judgement.scored)
        self.duplicates += judgement.duplicates
        self.refused += len(judgement.dead_letters)


def watch(settings: Settings, file: Path | None = None) -> Watched:
    """The monitor alone, on the configured topic, on a file, from where it stopped in it, or on stdin (-).

    From a file, dead letters go to `letters_of` it where that may be written, else to the store alone; it returns
    when all is judged and delivered.
    Raises FuseBlown when most records of a gateway are unreadable.
    """
    _log_as_configured(settings)
    watched = Watched()
    lateness = Lateness(utc_now)
    asked = file is None and settings.monitor.advise_port != 0
    adviser = local_adviser(settings, lag=lateness.lag) if asked else None
    advising = None if adviser is None else _advise_over_http(settings, adviser)
    consumer = None if file is None else _reader_of(file)
    producer: Producer | None = None
    if file is not None:
        folder = letters_of(file)
        watched.letters = folder if may_be_written(folder) else None
        producer = NoProducer() if watched.letters is None else FileProducer(folder)
    pipe = consumer if isinstance(consumer, PipeConsumer) else None
    with stopping(pipe.finish) if pipe else stopping() as stop, _outliving_hang_ups():
        try:
            monitor = Monitor(
                settings,
                metrics=Metrics(),
                consumer=consumer,
                producer=producer,
                lateness=lateness,
                on_commit=watched.add,
            )
            if adviser is not None:
                adviser.reads(monitor.store)
            leave_what_is_loaded()
            left = monitor.run(stop)
        finally:
            if advising is not None:
                advising.close()
            if pipe is not None and (lost := pipe.left()):  # said whatever ended it
                watched.lost = lost
                logger("bootstrap").error("lines_lost", lines=lost, note="taken from the pipe and not judged")
        watched.ended, watched.waiting = left is not None, left or 0
        watched.unfinished = consumer is not None and consumer.unfinished
        if pipe is not None and pipe.finishing:
            watched.ended, watched.unread = False, pipe.cut_off()
    return watched


def serve(settings: Settings) -> None:
    """The control API alone."""
    _log_as_configured(settings)
    with stopping() as stop, _outliving_hang_ups():
        control = Control(settings, metrics=Metrics())
        try:
            with _hanging_up(control.reload_policies):
                control.start()
                leave_what_is_loaded()
                _until(stop, control)
        finally:
            control.stop()


def run(settings: Settings) -> None:
    """Both in one process: the same routes and the same policy, over the loopback interface.

    The databases stay two; that the roles share a process is said once in the log.
    """
    _log_as_configured(settings)
    log = logger("bootstrap")
    with stopping() as stop, _outliving_hang_ups():
        check_plugins(settings)  # before either database is brought up to date, and so is the model
        judge = open_judge(settings, fingerprint_key=SecretFiles.of(settings).load_fingerprint_key())
        lateness = Lateness(utc_now)
        adviser = local_adviser(settings, lag=lateness.lag) if settings.advice.enabled else None
        metrics = Metrics()
        control = Control(settings, metrics=metrics, adviser=adviser)
        try:
            control.start()
            leave_what_is_loaded()
            log.warning(
                "one_process", note="monitor and control are separated logically only; watch + serve do more"
            )
            local = settings.model_copy(
                update={"control": settings.control.model_copy(update={"url": control.url})}
            )
            monitor = Monitor(local, metrics=metrics, judge=judge, lateness=lateness)
            if adviser is not None:
                adviser.reads(monitor.store)
            threading.Thread(target=_stop_with, args=(control, stop), daemon=True).start()
            with _hanging_up(control.reload_policies):
                try:
                    monitor.run(stop)
                except FuseBlown as error:
                    log.error(
                        "monitor_stopped", error=str(error), note="the control API goes on: gateways depend on it"
                    )
                    stop.wait()
                    raise
            if not control.alive():
                raise ControlError("the control API ended by itself; see the log above")
        finally:
            control.stop()


def _advise_over_http(settings: Settings, adviser: LocalAdviser) -> AdviceServer:
    """The adviser's port of a monitor on its own."""
    section = settings.monitor
    return AdviceServer(
        section.advise_host,
        section.advise_port,
        weigh=adviser.weigh,
        token=SecretFiles.of(settings).load_advice_token(),
        budget_s=settings.advice.budget_ms / 1000,
    )


def leave_what_is_loaded() -> None:
    """What is there stays: to look through it at every collection would hold everybody up, for 100 ms.

    Of the whole process, so for the one that is guardian only.
    """
    gc.collect()
    gc.freeze()


def _until(stop: threading.Event, control: Control) -> None:
    _stop_with(control, stop)
    if not control.alive():
        raise ControlError("the control API ended by itself; see the log above")


def _stop_with(control: Control, stop: threading.Event) -> None:
    """Waits for `stop`, and sets it when the control API ends by itself."""
    while not stop.wait(0.5):
        if not control.alive():
            stop.set()


def _reader_of(file: Path) -> FileConsumer:
    if str(file) == "-":
        return PipeConsumer(sys.stdin.fileno(), topic=f"stdin-{secrets.token_hex(6)}")
    if file.is_fifo() or file.is_socket() or file.is_char_device():
        return PipeConsumer(_opened(file), topic=f"pipe-{secrets.token_hex(6)}")
    return FileConsumer(file, topic=place_of(file))


def _opened(pipe: Path) -> int:
    """Opened once, for what a pipe held is gone when it is closed; nobody need write to it yet."""
    try:
        descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigurationError(f"source: cannot read {pipe}: {error.strerror or error}") from error
    os.set_blocking(descriptor, True)
    return descriptor


def letters_of(file: Path) -> Path:
    """The folder of a file's dead letters."""
    of_no_folder = str(file) == "-" or file.parent in (Path("/dev"), Path("/dev/fd"))  # not /dev/shm
    return Path("stdin.dlq") if of_no_folder else file.with_name(f"{file.name}.dlq")


def _log_as_configured(settings: Settings) -> None:
    configure_logging(level=settings.logging.level, json=settings.logging.format == "json")
