"""Who of the people in Slack is which principal: by Slack id, or by the e-mail address that Slack vouches for."""

import re
import threading
from collections.abc import Mapping

from guardian.alerting.port import Clock
from guardian.alerting.slack_calls import SlackCalls
from guardian.errors import AlertError
from guardian.telemetry import logger
from guardian.wire.principal import Person

_KEPT_S = 600.0
_MOST = 5000
_log = logger("alerting")
_EMAIL = re.compile(r"[^@\s<>]{1,128}@[^@\s<>]{1,190}")


class SlackPeople:
    """`by_id` are Slack user ids, `by_email` addresses, both from the configuration; there is no default person.

    An address counts only if Slack calls it confirmed and its owner is a full member of the app's own workspace:
    shared channels have strangers, and their own workspace says what their addresses are.
    """

    def __init__(
        self, calls: SlackCalls, *, by_id: Mapping[str, Person], by_email: Mapping[str, Person], clock: Clock
    ) -> None:
        self._calls, self._clock = calls, clock
        self._by_id = dict(by_id)
        self._by_email = {email.lower(): person for email, person in by_email.items()}
        self._kept: dict[str, tuple[float, Person | None]] = {}
        self._lock = threading.Lock()

    def of(self, user: str) -> Person | None:
        """None for somebody unknown. Raises RetryLater when Slack has to be asked and does not answer."""
        if user in self._by_id:
            return self._by_id[user]
        if not self._by_email:
            return None
        with self._lock:
            at, person = self._kept.get(user, (-_KEPT_S, None))
            if self._clock() - at < _KEPT_S:
                return person
        found = self._by_email.get(self._email(user))
        with self._lock:
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[user] = self._clock(), found
        return found

    def _email(self, user: str) -> str:
        try:
            told = self._calls.read("users.info", {"user": user}).get("user") or {}
        except AlertError as error:  # Slack does not know them, or the app may not ask: nobody, then
            _log.warning("slack_user_unknown", error=str(error)[:200])
            return ""
        strange = ("deleted", "is_bot", "is_restricted", "is_ultra_restricted", "is_stranger")
        if any(told.get(name) for name in strange) or told.get("team_id") != self._calls.me().get("team_id"):
            return ""
        email = str((told.get("profile") or {}).get("email") or "")
        sound = email.isascii() and _EMAIL.fullmatch(email)  # no letter that is folded into another one
        return email.lower() if told.get("is_email_confirmed") and sound else ""
