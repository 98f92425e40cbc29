"""`python -m guardian`, and the `guardian` command."""

import sys


def main() -> None:
    """Ctrl-C while the command line is still being imported is no error either."""
    try:
        from guardian.cli import main as command
    except KeyboardInterrupt:
        sys.exit(130)
    command()


if __name__ == "__main__":
    main()
