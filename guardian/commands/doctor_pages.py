"""What the doctor says of the evidence pages."""

from contextlib import suppress

import httpx

from guardian.archive.timelines import ArchivedTimelines
from guardian.bootstrap.console import open_identity
from guardian.bootstrap.visiting import ROOT, visit_rule
from guardian.config import Settings
from guardian.errors import ConfigurationError, ControlError
from guardian.wire.calls import PROBLEM
from guardian.wire.deadline import BoundedClient


def pages_checked(settings: Settings) -> str:
    """For the doctor: where the pages are, and that the ways in are there.

    Raises ConfigurationError or SignInRefused where one is not, ControlError where control runs without the pages.
    """
    rule = visit_rule(settings, port=settings.control.port)
    if rule is None:
        return "no evidence pages: console.enabled is false"
    ways, identity = ["guardian link"], open_identity(settings, rule.url)
    if identity is not None:
        identity.examine()
        ways.append(f"{identity.name} ({len(settings.console.people)} people)")
    folder = settings.console.proposals
    if folder is not None and not settings.resolve(folder).is_dir():
        raise ConfigurationError(f"console.proposals: {settings.resolve(folder)} is no folder; make it")
    with suppress(httpx.HTTPError, OSError):  # control is away, which another check says
        with BoundedClient(timeout=3, certificate=settings.shown_certificate) as http:
            answer = http.get(f"{settings.control.url.rstrip('/')}{ROOT}")
        if f"{PROBLEM}unauthenticated" in answer.text:  # a proxy may ask for a password of its own
            raise ControlError(f"control at {settings.control.url} runs without the pages; start it again")
    return f"at {rule.url}, by {' or '.join(ways)}{_bare(settings)}"


def _bare(settings: Settings) -> str:
    """Not to be mended: nothing may have been archived yet."""
    root = None if settings.archive.path is None else settings.resolve(settings.archive.path)
    if root is None or not ArchivedTimelines(root).empty():
        return ""
    return (
        f"; they show no actions: {root} holds nothing. The monitor writes it: where that runs on another machine"
        " share its folder with this one"
    )
