"""What the doctor asks control: whether it is there, whether it takes the monitor's token, and who watches.

And whether the adviser that control asks answers, and takes its token.
"""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar

import httpx

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.secrets import SecretFiles
from guardian.commands.checks import Unknown, Unwell
from guardian.config import Settings
from guardian.domain.text import counted
from guardian.domain.urls import is_private
from guardian.errors import AdviserError, ConfigurationError, ControlError
from guardian.keys.files import read_secret, read_token
from guardian.wire.adviser import RemoteAdviser
from guardian.wire.calls import no_certificates, sound_token, tls_way_out
from guardian.wire.client import ControlClient
from guardian.wire.deadline import BoundedClient
from guardian.wire.principal import Role

_SKEW_S = 5.0
_PATIENCE_S = 3.0
_ANOTHER = (
    "`guardian token issue {0} --role {0} --tenant '*'` on control's machine makes one to put there: a token"
    " counts only in the database that it was issued in"
)


def control_checked(settings: Settings) -> str:
    """That control answers where it is looked for, and has our time. Raises ControlError, Unwell, or
    ConfigurationError for certificates that cannot be read."""
    url = settings.control.url.rstrip("/")
    try:
        sent = time.time()
        with BoundedClient(timeout=3, certificate=settings.shown_certificate) as http:
            answer = http.get(f"{url}/healthz")
        waited = time.time() - sent
    except OSError as error:
        raise no_certificates(error) from error
    except httpx.HTTPError as error:
        tls = tls_way_out(error)
        raise ControlError(
            f"{url} does not answer ({error if tls else type(error).__name__}); "
            + (tls or "start `guardian serve` (or `run`), or mend control.url")
        ) from error
    if answer.status_code != httpx.codes.OK:
        raise ControlError(
            f"{url} answers {answer.status_code}, as control does not; mend control.url, or the proxy before it"
        )
    stamp = _moment(answer.headers.get("date", ""))
    if stamp is not None and (skew := abs((stamp - utc_now()).total_seconds())) > _SKEW_S + waited:
        mend = "synchronise both machines (NTP): expiry depends on it"
        raise Unwell(f"clocks differ by {skew:.0f} s", mend, stops=False)
    bare = "" if is_private(url) else "; tokens travel to it unencrypted: use https, unless the network encrypts"
    return f"{url} answers, {'clocks agree' if stamp else 'without its time'}{bare}"


def token_checked(settings: Settings) -> str:
    """That control accepts the monitor's token as a monitor's. Raises ControlError, or Unknown."""
    path = settings.resolve(settings.monitor.token_file)
    try:
        who = _asked(settings, path, "monitor", ControlClient.whoami)
    except ControlError as error:
        if error.status not in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise
        raise _not_taken(path, error, "monitor") from error
    if who.role != "monitor":
        raise ControlError(f"{path} is of {who.id}, with role {who.role}; {_ANOTHER.format('monitor')}")
    return f"control takes it: {who.id}, of {', '.join(who.tenants)}, until {who.expires_at:%Y-%m-%d}"


_UNREAD = (
    "a monitor joined, no partition yet: another member of the group holds them or has not timed out"
    " (kafka.session_timeout_ms), or the broker is away"
)


def watching_checked(settings: Settings) -> str:
    """Whether a monitor keeps up with the topic, as control knows it; asking takes the administrator's token.
    Raises ControlError, or Unknown."""
    path = settings.resolve(settings.keys.directory) / "admin.token"
    if not path.is_file():
        raise Unknown(f"not asked: {path} is not here; `guardian gateways` shows it")
    try:
        watch = _asked(settings, path, "admin", ControlClient.watch)
    except ControlError as error:
        if error.status == httpx.codes.FORBIDDEN:
            raise Unknown(f"not asked: control does not let {path} ask; `guardian gateways` shows it") from error
        if error.status == httpx.codes.UNAUTHORIZED:
            raise _not_taken(path, error, "admin") from error
        raise
    unread = any(each.state == "unread" for each in watch.monitors)
    if watch.unprotected_s is not None:
        since = counted(round(watch.unprotected_s / 60), "minute")
        again = f"{watch.why_unprotected}; start `guardian watch` (or `run`) again; its log says what it waits for"
        reads = f"{_UNREAD}; the monitor's log says what it waits for, `guardian gateways` when it reads again"
        raise ControlError(f"unprotected for {since}: {reads if unread else again}")
    if not watch.monitors:
        raise Unknown("control knows no monitor, so nobody watches; `guardian watch` (or `run`) starts one")
    current = sum(each.state == "current" for each in watch.monitors)
    if not current:
        states = Counter(each.state for each in watch.monitors)
        told = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
        why = f": {_UNREAD}" if unread else ""
        raise Unknown(f"no monitor is up to date ({told}){why}; `guardian gateways` shows them")
    return f"{counted(current, 'monitor')} up to date"


def advice_checked(settings: Settings) -> str:
    """For the doctor: that the configured adviser answers, and takes the token. Raises AdviserError, or
    ConfigurationError where control is to advise and has nobody to ask."""
    url, files = settings.advice.url, SecretFiles.of(settings)
    if url is None:
        raise ConfigurationError(
            "advice.enabled, and nobody to ask: each answer is the fall-back; set advice.url to the monitor's"
            " advise_port, or leave out advice.enabled"
        )
    token = read_secret(files.advice, lost="put the monitor's there").decode().strip()
    with closing(RemoteAdviser(url, lambda: token)) as adviser:
        try:
            adviser.weigh(b"", _PATIENCE_S)
        except AdviserError as error:
            said = f"{url}: {error}"
            way_out = "start `guardian watch` there with monitor.advise_port, or mend advice.url"
            raise AdviserError(said if "; " in said else f"{said}; {way_out}") from error
    return f"{url} answers, and takes this machine's token"


Answer = TypeVar("Answer")


def _asked(settings: Settings, path: Path, role: Role, ask: Callable[[ControlClient], Answer]) -> Answer:
    """What control answers to the token in this file. Raises ControlError where it refuses, Unknown where it does
    not answer: another check says that."""
    token = sound_token(read_token(path, role))
    with ControlClient(settings.control.url, lambda: token, certificate=settings.shown_certificate) as client:
        try:
            return ask(client)
        except ControlError as error:
            if error.status == 0:
                raise Unknown("not asked: control does not answer") from error
            raise


def _not_taken(path: Path, error: ControlError, role: Role) -> ControlError:
    why = str(error).partition("; ")[0]
    return ControlError(f"control does not take {path} ({why}); {_ANOTHER.format(role)}")


def _moment(stamp: str) -> datetime | None:
    """None where the header is absent, or no moment: who answers may write anything."""
    try:
        at = parsedate_to_datetime(stamp)
    except (TypeError, ValueError):
        return None
    return None if at.tzinfo is None else at
