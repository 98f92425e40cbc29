"""Where archives come from: a folder, a file:// address, guardian's own configuration, or the environment."""

import os
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from guardian.analysis.archived import ArchiveView
from guardian.analysis.controlled import ControlView, open_control
from guardian.analysis.sessions import IDLE
from guardian.archive.reader import Archive
from guardian.bootstrap import archiving
from guardian.config import Settings, load
from guardian.errors import ConfigurationError
from guardian.wire.principal import EVERY_TENANT

CONTROL = "control"
"""The folder beside `events/` in which an export of control may lie."""
_THRESHOLDS = ("flag_one_in", "revoke_one_in")


def open_archive(
    place: str | Path,
    *,
    tenant: str | Collection[str],
    planted: str = "",
    idle: timedelta = IDLE,
    asks_at: tuple[float, float] | None = None,
    rejections: Path | None = None,
    redact: Mapping[str, str] = MappingProxyType({}),
) -> ArchiveView:
    """`place` is the archive's folder, its file:// address, or a guardian configuration (.yaml).

    `tenant` is one tenant, several, or "*" for all. `planted` is the gateway name under which guardian plants
    drift to test itself: it is left out. `idle` is the pause after which a session that is known by agent and user
    only is another one. `asks_at` are the thresholds that figures draw, `rejections` is the file of what is
    not to be proposed again, and `redact` what was redacted (path -> way), of which nothing is proposed. A
    configuration says all five itself (`revocation.self_test.gateway`, `source.idle_s`, `response`,
    `tightening.rejections`, `source.redact`).
    Raises ConfigurationError where no archive lies.
    """
    path = _path(place)
    if path.is_file():
        settings = load(path)
        planted = planted or settings.revocation.self_test.gateway
        idle = timedelta(seconds=settings.source.idle_s)
        kept, asks_at, rejections = archiving.open_archive(settings), _asks_at(settings), _rejections(settings)
        redact = settings.source.redact
    elif not (path / "events").is_dir():
        raise ConfigurationError(f"{path}: no archive here (no events/); give its folder or a configuration file")
    else:
        kept = Archive(path)
    return ArchiveView.of(
        kept, tenant, planted=planted, idle=idle, asks_at=asks_at, rejections=rejections, redact=redact
    )


def open_sources(otherwise: Callable[[], Path]) -> tuple[ArchiveView, ControlView]:
    """The archive that the environment names, else the one that `otherwise` makes, and what control said of it.

    GUARDIAN_ARCHIVE   the archive's folder; or GUARDIAN_CONFIG, a configuration with archive.path
    GUARDIAN_TENANT    one tenant; default: all that lie there
    GUARDIAN_TOKEN     with it control is asked about that archive, at GUARDIAN_CONTROL__URL or as configured
    GUARDIAN_REVOCATION__SELF_TEST__GATEWAY   under which drift is planted, where no configuration says it

    Where control is not asked, an export of it (`ControlView.save`) in a folder `control` beside `events` is read.
    """
    named = os.environ.get("GUARDIAN_CONFIG")
    settings = load(Path(named) if named else None)
    tenant = os.environ.get("GUARDIAN_TENANT") or EVERY_TENANT
    path = settings.archive.path
    place = otherwise() if path is None else settings.resolve(path)
    planted, idle = settings.revocation.self_test.gateway, timedelta(seconds=settings.source.idle_s)
    told = path is not None and (named or not settings.response.model_fields_set.isdisjoint(_THRESHOLDS))
    asks_at = _asks_at(settings) if told else None
    no, redact = (None, {}) if path is None else (_rejections(settings), settings.source.redact)
    view = open_archive(
        place, tenant=tenant, planted=planted, idle=idle, asks_at=asks_at, rejections=no, redact=redact
    )
    exported, token = view.archive.root / CONTROL, os.environ.get("GUARDIAN_TOKEN", "").strip()
    if token and path is not None:  # control knows nothing of the other one
        shown = settings.shown_certificate
        return view, open_control(settings.control.url, tenant=tenant, token=token, certificate=shown)
    return view, open_control(exported, tenant=tenant) if exported.is_dir() else ControlView()


def _asks_at(settings: Settings) -> tuple[float, float]:
    return settings.response.flag_one_in, settings.response.revoke_one_in


def _rejections(settings: Settings) -> Path:
    return settings.resolve(settings.tightening.rejections)


def _path(place: str | Path) -> Path:
    if isinstance(place, Path):
        return place
    parts = urlsplit(place)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if "://" in place:
        raise ConfigurationError(f"{place}: archives lie on local disks; give a folder or a file:// address")
    return Path(place)
