"""`python -m guardian`, and the `guardian` command."""

import os
import signal
import sys

_STAYING = frozenset({"run", "serve", "watch"})
_INTERRUPTED = 130


def main() -> None:
    """Importing the command line takes seconds. Ctrl-C meanwhile is no error. SIGTERM ends those that stay as it
    does later, for nothing has begun; and PID 1 too, of which the kernel keeps what it does not handle. SIGHUP
    ends none of those that take it later.
    """
    if next((word for word in sys.argv[1:] if not word.startswith("-")), "") in _STAYING:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        of_file = any(word.partition("=")[0] == "--file" for word in sys.argv)
        _end_on_sigterm(_INTERRUPTED if of_file else 0)  # all of the file is left
    elif os.getpid() == 1:
        _end_on_sigterm(128 + signal.SIGTERM)  # as any other process
    try:
        from guardian.cli import main as command
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    command()


def _end_on_sigterm(code: int) -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(code))


if __name__ == "__main__":
    main()
