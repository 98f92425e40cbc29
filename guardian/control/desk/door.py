"""Where Slack's clicks come in: proven to be Slack's, read, taken once, and handed on. It decides nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from guardian.alerting import clicks
from guardian.alerting.clicks import BadClick, Click
from guardian.alerting.slack_signature import WINDOW_S, SlackSignature
from guardian.control.deps import ControlDeps
from guardian.control.problems import Refusal
from guardian.telemetry import logger

_CALLER = "slack"  # whose idempotency keys the signatures are
_log = logger("control")


class SlackDoor:
    """`take` gets each click and returns at once: False when too many wait already."""

    def __init__(self, deps: ControlDeps, signature: SlackSignature | None, take: Callable[[Click], bool]) -> None:
        self._deps, self._signature, self._take = deps, signature, take

    def interaction(self, body: bytes, timestamp: str, signature: str) -> None:
        """An interactivity request. Raises Refusal, never with a 5xx for what a caller sent."""
        self._admit(body, timestamp, signature)
        self._hand_on(lambda: clicks.from_interaction(clicks.from_form_body(body)))

    def command(self, body: bytes, timestamp: str, signature: str) -> None:
        """A slash command. Raises Refusal as well."""
        self._admit(body, timestamp, signature)
        fields = self._read(lambda: clicks.form_fields(body))
        if "ssl_check" not in fields:  # Slack looks at the certificate now and then
            self._hand_on(lambda: clicks.from_command(fields))

    def envelope(self, kind: str, payload: Any) -> None:
        """What came over Socket Mode: the connection is authenticated already."""
        read = clicks.from_command if kind == "slash_commands" else clicks.from_interaction
        try:
            self._hand_on(lambda: read(payload))
        except Refusal as refusal:
            _log.warning("slack_envelope_refused", reason=str(refusal.detail)[:200])

    def _admit(self, body: bytes, timestamp: str, signature: str) -> None:
        if self._signature is None:
            raise Refusal(404)
        if not self._signature.holds(body, timestamp, signature):
            self._count("forged")
            _log.warning("slack_signature_refused")
            raise Refusal(401, "this request is not signed by Slack, or not within the last five minutes")
        now = self._deps.clock()
        with self._deps.store.write() as rows:
            seen = rows.idempotency.get(_CALLER, signature)
            if seen is None:
                kept = max(timedelta(days=1), timedelta(seconds=2 * WINDOW_S))
                rows.idempotency.forget(self._deps.sure(now) - kept)
                rows.idempotency.put(_CALLER, signature, signature[3:], "", now)
        if seen is not None:
            self._count("replayed")
            _log.warning("slack_click_replayed")
            raise Refusal(409, "this very request was here before", code="replayed")

    def _read(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except BadClick as error:
            self._count("unreadable")
            raise Refusal(422, f"this is nothing that guardian asked Slack for: {error}") from error

    def _hand_on(self, read: Callable[[], Click]) -> None:
        click: Click = self._read(read)
        if click.kind == "button" and click.verb is None:
            return  # a link, which the person's browser has opened
        if not self._take(click):
            self._count("dropped")
            raise Refusal(429, "too many clicks wait; try again in a moment", code="busy")

    def _count(self, outcome: str) -> None:
        self._deps.metrics.add("guardian_slack_clicks_total", outcome=outcome)
