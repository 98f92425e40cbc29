"""Where the evidence pages lie and how long a sign-in lives: what control has to know of them."""

from datetime import timedelta
from urllib.parse import urlsplit

from guardian.bootstrap.people import check_certificate
from guardian.config import Settings
from guardian.control.deps import VisitRule
from guardian.domain.urls import is_here, is_private
from guardian.errors import ConfigurationError

ROOT = "/console"
_PORTS = {"http": 80, "https": 443}


def visit_rule(settings: Settings, *, port: int) -> VisitRule | None:
    """Where the pages lie and how long a sign-in lives; None where there are none.

    Raises ConfigurationError for pages that would carry sign-ins over the network in the clear.
    """
    section, control = settings.console, settings.control
    if not section.enabled:
        return None
    base = _as_browsers_write(control.public_url or f"http://{_host(control.host)}:{port}")
    open_to_all = control.public_url is None and not is_here(control.host.strip("[]"))
    if open_to_all or not is_private(base):
        raise ConfigurationError(
            f"console.enabled: {base} would carry sign-ins in the clear; set control.public_url to the https"
            " address of the proxy before it, or control.host to 127.0.0.1"
        )
    for name, person in section.people.items():
        check_certificate(settings, f"console.people.{name}", person.role, "a browser's sign-in")
    return VisitRule(
        url=base + ROOT,
        idle=timedelta(seconds=section.idle_s),
        life=timedelta(seconds=section.life_s),
        link_life=timedelta(seconds=section.link_s),
        people={name: (told.role, frozenset(told.tenants)) for name, told in section.people.items()},
    )


def _as_browsers_write(url: str) -> str:
    """The origin to the letter as a browser names it: forms are compared with that."""
    try:
        told = urlsplit(url.strip().rstrip("/"))
        host, port = told.hostname or "", told.port
        host = host if ":" in host or host.isascii() else host.encode("idna").decode()
    except ValueError as error:
        raise ConfigurationError(f"control.public_url {url!r}: {error}") from error
    surplus = told.path or told.query or told.fragment or "@" in told.netloc
    if told.scheme not in _PORTS or not host or surplus:
        raise ConfigurationError(f"control.public_url {url!r}: write https://HOST, without a path")
    shown = f"[{host}]" if ":" in host else host
    return f"{told.scheme}://{shown}" + ("" if port in (None, _PORTS[told.scheme]) else f":{port}")


def _host(host: str) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - is compared, not listened on
    return f"[{shown}]" if ":" in shown and not shown.startswith("[") else shown
