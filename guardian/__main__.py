"""`python -m guardian`, and the `guardian` command."""

import os
import signal
import sys

_STAYING = frozenset({"run", "serve", "watch"})


def main() -> None:
    """Importing the command line takes seconds. Ctrl-C meanwhile is no error. SIGTERM ends PID 1 too, of which the
    kernel keeps what it does not handle. SIGHUP ends none of those that take it later.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))  # at once, as any other process
    if not _STAYING.isdisjoint(sys.argv):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        from guardian.cli import main as command
    except KeyboardInterrupt:
        sys.exit(130)
    command()


if __name__ == "__main__":
    main()
