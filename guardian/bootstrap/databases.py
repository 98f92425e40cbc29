"""Where the two databases lie, and on whose machine: nothing is made by looking for them."""

from pathlib import Path

from guardian.config import Settings
from guardian.errors import ConfigurationError


def sqlite_file(settings: Settings, url: str) -> Path | None:
    """The file of a configured database; None of a server's."""
    found = settings.store_url(url).partition("?")[0]
    return Path(found.removeprefix("sqlite:///")) if found.startswith("sqlite:///") else None


def is_there(settings: Settings, url: str) -> bool:
    """Whether a database was made before; to open one makes it."""
    path = sqlite_file(settings, url)
    return path is None or path.exists()


def control_url(settings: Settings, *, makes: bool) -> str:
    """Control's database, for who may make it or to look into; then ConfigurationError says that there is none."""
    return _url(settings, settings.store.control, "control", "guardian serve", makes=makes)


def monitor_url(settings: Settings, *, makes: bool) -> str:
    """The monitor's database, likewise."""
    return _url(settings, settings.store.monitor, "the monitor", "guardian watch", makes=makes)


def _url(settings: Settings, url: str, whose: str, starts: str, *, makes: bool) -> str:
    if not makes and not is_there(settings, url):
        raise ConfigurationError(
            f"there is no database {sqlite_file(settings, url)}; {whose}'s database lies on the machine that runs"
            f" `{starts}` (or `guardian run`), which makes it when it starts: ask on that machine"
        )
    return settings.store_url(url)
