"""Where archives come from: a folder, a file:// address, guardian's own configuration, or the environment."""

import os
from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import unquote, urlsplit

from guardian.analysis.archived import ArchiveView
from guardian.analysis.controlled import ControlView, open_control
from guardian.archive.reader import Archive
from guardian.bootstrap import archiving
from guardian.config import load
from guardian.errors import ConfigurationError
from guardian.wire.principal import EVERY_TENANT

CONTROL = "control"
"""The folder beside `events/` in which an export of control may lie."""


def open_archive(place: str | Path, *, tenant: str | Collection[str]) -> ArchiveView:
    """`place` is the archive's folder, its file:// address, or a guardian configuration (.yaml).

    `tenant` is one tenant, several, or "*" for all. Raises ConfigurationError where no archive lies.
    """
    path = _path(place)
    if path.is_file():
        return ArchiveView.of(archiving.open_archive(load(path)), tenant)
    if not (path / "events").is_dir():
        raise ConfigurationError(f"{path}: no archive here (no events/); give its folder or a configuration file")
    return ArchiveView.of(Archive(path), tenant)


def open_sources(otherwise: Callable[[], Path]) -> tuple[ArchiveView, ControlView]:
    """What the environment names, else the archive that `otherwise` makes, which holds no secrets.

    GUARDIAN_ARCHIVE   folder, file:// address or configuration file
    GUARDIAN_TENANT    one tenant; default: all that the archive holds
    GUARDIAN_TOKEN     with it, control is asked as well, at GUARDIAN_CONTROL__URL or as the configuration says
    """
    named = os.environ.get("GUARDIAN_ARCHIVE") or os.environ.get("GUARDIAN_CONFIG")
    place = Path(named) if named and "://" not in named else named or otherwise()
    tenant = os.environ.get("GUARDIAN_TENANT") or EVERY_TENANT
    view = open_archive(place, tenant=tenant)
    exported = view.archive.root / CONTROL
    if exported.is_dir():
        return view, open_control(exported, tenant=tenant)
    token = os.environ.get("GUARDIAN_TOKEN")
    if not token:
        return view, ControlView.of([], tenant)
    settings = load(path if (path := _path(place)).is_file() else None)
    return view, open_control(settings.control.url, tenant=tenant, token=token.strip())


def _path(place: str | Path) -> Path:
    if isinstance(place, Path):
        return place
    parts = urlsplit(place)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if "://" in place:
        raise ConfigurationError(f"{place}: archives lie on local disks; give a folder or a file:// address")
    return Path(place)
