"""The rules of the queue as the configuration spells them."""

import re
from collections.abc import Mapping
from datetime import time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from guardian.alerting.rules import QuietHours, Route, Rules, rank
from guardian.domain.envelope import purpose_family
from guardian.domain.finding import SEVERITIES
from guardian.errors import ConfigurationError

if TYPE_CHECKING:
    from guardian.alerting.slack import SlackOptions

CHANNEL = re.compile(r"[CG][A-Z0-9]{2,20}")
_OFTEN_S = 60  # to call more often helps nobody
_GROUP, _PERSON = re.compile(r"S[A-Z0-9]{2,20}"), re.compile(r"[UW][A-Z0-9]{2,20}")


def read_rules(options: "SlackOptions") -> Rules:
    """Raises ConfigurationError that names the setting, what it is, and what it may be."""
    escalate = _keys("escalate", options.escalate, {"after_s", "repeat_s", "from", "channel"})
    after, again = _seconds("after_s", escalate.get("after_s", 900)), escalate.get("repeat_s", 0)
    if again and _seconds("repeat_s", again) < _OFTEN_S:
        raise ConfigurationError(f"alerts.slack.escalate.repeat_s must be 0 or at least {_OFTEN_S}, got {again!r}")
    if not isinstance(options.storm, int) or options.storm < 1:
        raise ConfigurationError(f"alerts.slack.storm must be a number of cases, got {options.storm!r}")
    if not isinstance(options.on_call, Mapping):
        raise ConfigurationError(f'alerts.slack.on_call is by tenant, "*" for all others, got {options.on_call!r}')
    elsewhere = escalate.get("channel")
    return Rules(
        channel=options.channel,
        routes=tuple(_route(n, each) for n, each in enumerate(options.routes, 1)),
        floor=_rank("floor", options.floor),
        quiet=None if options.quiet_hours is None else _quiet(options.quiet_hours),
        storm=options.storm,
        escalate_after=timedelta(seconds=after) if after else None,
        escalate_again=timedelta(seconds=again) if again else None,
        escalate_floor=_rank("escalate.from", escalate.get("from", "high")),
        escalate_channel=None if elsewhere is None else _channel("escalate.channel", elsewhere),
        on_call={tenant: _mention(tenant, whom) for tenant, whom in options.on_call.items()},
        mention_floor=_rank("mention_from", options.mention_from),
    )


def _seconds(name: str, told: Any) -> float:
    if not isinstance(told, int | float) or not 0 <= told <= 7 * 86_400:
        raise ConfigurationError(f"alerts.slack.escalate.{name} must be seconds, at most a week, got {told!r}")
    return told


def _route(number: int, told: Any) -> Route:
    name = f"routes[{number}]"
    route = _keys(name, told, {"channel", "tenant", "severity", "purpose"})
    for key in ("tenant", "purpose"):
        if not isinstance(route.get(key), str | None) or route.get(key) == "*":
            raise ConfigurationError(
                f"alerts.slack.{name}.{key} must be one name (leave it out for all), got {route[key]!r}"
            )
    purpose = route.get("purpose")
    return Route(
        channel=_channel(f"{name}.channel", route.get("channel")),
        tenant=route.get("tenant"),
        severity=_rank(f"{name}.severity", route.get("severity", "info")),
        purpose=None if purpose is None else purpose_family(purpose),
    )


def _quiet(told: Any) -> QuietHours:
    hours = _keys("quiet_hours", told, {"from", "to", "zone", "but"})
    try:
        start, end = (_clock(hours[name]) for name in ("from", "to"))
        zone = ZoneInfo(str(hours.get("zone", "UTC")))
    except (KeyError, OSError, ValueError) as error:  # OSError: a zone's folder, such as Europe
        raise ConfigurationError(
            f'alerts.slack.quiet_hours: {error}; write {{from: "20:00", to: "07:00", zone: Europe/Berlin}}'
        ) from error
    if start == end:
        raise ConfigurationError("alerts.slack.quiet_hours: from and to are the same; leave it out instead")
    return QuietHours(start=start, end=end, zone=zone, but=_rank("quiet_hours.but", hours.get("but", "critical")))


def _clock(told: Any) -> time:
    if not isinstance(told, str):  # YAML reads a bare 20:00 as the number 1200
        raise ValueError(f"{told!r} is not a quoted hh:mm")
    at = time.fromisoformat(told)
    if at.tzinfo is not None:
        raise ValueError(f"{told!r} has an offset of its own; that is what zone is for")
    return at


def _mention(tenant: str, whom: Any) -> str:
    if _GROUP.fullmatch(str(whom)):
        return f"<!subteam^{whom}>"
    if _PERSON.fullmatch(str(whom)):
        return f"<@{whom}>"
    raise ConfigurationError(
        f"alerts.slack.on_call.{tenant} must be the ID of a user group (S...) or of a person (U...), got {whom!r}"
    )


def _channel(name: str, told: Any) -> str:
    if not CHANNEL.fullmatch(str(told)):
        raise ConfigurationError(f"alerts.slack.{name} must be a channel ID such as C0123456789, got {told!r}")
    return str(told)


def _rank(name: str, told: Any) -> int:
    try:
        return rank(told)
    except ValueError:
        known = ", ".join(SEVERITIES)
        raise ConfigurationError(f"alerts.slack.{name} must be one of {known}, got {told!r}") from None


def _keys(name: str, told: Any, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(told, Mapping) or (set(told) - known):
        listed = ", ".join(sorted(known))
        raise ConfigurationError(f"alerts.slack.{name} takes {listed}, got {told!r}")
    return told
