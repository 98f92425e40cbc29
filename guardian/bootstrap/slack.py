"""Slack put together: the cases' outbox and its worker, the desk behind the buttons, and the two ways in."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, cast

from guardian.alerting.log import LogChannel
from guardian.alerting.slack import SlackOptions
from guardian.alerting.slack_people import SlackPeople
from guardian.alerting.slack_signature import SlackSignature
from guardian.alerting.slack_socket import SlackSocket
from guardian.alerting.worker import AlertWorker
from guardian.bootstrap import plugins
from guardian.bootstrap.channels import given
from guardian.bootstrap.people import by_id_and_email, check_certificate
from guardian.config import Settings
from guardian.config.control import SlackPerson
from guardian.control.authentication.token_records import record_issue
from guardian.control.cases.beginning import begin
from guardian.control.cases.outbox import CaseOutbox
from guardian.control.deps import ControlDeps
from guardian.control.desk.clicks import Desk
from guardian.control.desk.door import SlackDoor
from guardian.errors import ConfigurationError
from guardian.wire.desk import DeskClient
from guardian.wire.principal import Person

_TOKEN_LIFE = timedelta(minutes=1)


def slack_options(settings: Settings) -> SlackOptions | None:
    """The configured channel, or None where Slack is not configured or has no token."""
    if "slack" not in settings.alerts or settings.slack.token is None:
        return None
    token = settings.slack.token.get_secret_value()
    if not token:
        return None
    return cast(SlackOptions, plugins.make("alerting", "slack", settings.alerts["slack"], token=token))


def check_slack(settings: Settings) -> None:
    """Raises ConfigurationError for people and secrets with which there could be no queue."""
    people(settings)
    options = slack_options(settings)
    if options is not None:
        _signature(settings)
        _socket(settings, options, lambda _kind, _payload: None)


def _signature(settings: Settings) -> SlackSignature | None:
    secret = settings.slack.signing_secret
    return None if secret is None else SlackSignature(secret.get_secret_value(), now=time.time)


def _socket(settings: Settings, options: SlackOptions, take: Callable[[str, Any], None]) -> SlackSocket | None:
    token = settings.slack.app_token
    return None if token is None else SlackSocket(token.get_secret_value(), base_url=options.base_url, take=take)


class SlackQueue:
    """One per control. `url` says where the control API listens, once it does."""

    def __init__(
        self, settings: Settings, options: SlackOptions, deps: ControlDeps, *, url: Callable[[], str]
    ) -> None:
        self._deps, self._url = deps, url
        self._halt = threading.Event()
        self._outbox = CaseOutbox(deps, options.rules())
        self._worker = AlertWorker(
            self._outbox,
            options.open(given(settings, self._halt.wait)),
            metrics=deps.metrics,
            now=deps.clock,
            fallback=LogChannel(),
        )
        calls = options.calls()
        by_id, by_email = people(settings)
        self.desk = Desk(
            store=deps.store,
            calls=calls,
            people=SlackPeople(calls, by_id=by_id, by_email=by_email, clock=time.monotonic),
            client=self._client,
            refresh=self._refresh,
            metrics=deps.metrics,
        )
        self.door = SlackDoor(deps, _signature(settings), self.desk.take)
        self._socket = _socket(settings, options, self.door.envelope)

    def start(self) -> None:
        begin(self._deps)  # before anybody can be told of anything
        self._worker.start()
        if self._socket is not None:
            self._socket.start()

    def wake(self) -> None:
        """Something may have to be written: look now."""
        self._worker.wake()

    def measure(self) -> None:
        """Show how much is still to be written."""
        self._worker.measure()

    def stop(self) -> None:
        """Take no more clicks, finish those in hand, then the write in hand."""
        if self._socket is not None:
            self._socket.stop()
        self.desk.stop()
        self._halt.set()
        self._worker.stop()

    def _refresh(self, case: str) -> None:
        self._outbox.refresh(case)
        self._worker.wake()

    def _client(self, person: Person) -> DeskClient:
        """The control API as this person, with a token of a minute that is made for the one click."""

        def token() -> str:
            now = self._deps.clock()
            made = self._deps.tokens.issue(
                person.principal, role=person.role, tenants=person.tenants, ttl=_TOKEN_LIFE, now=now
            )
            with self._deps.store.write() as rows:
                record_issue(rows, made, how="slack")
            return made.text

        return DeskClient(self._url(), token)


def people(settings: Settings) -> tuple[dict[str, Person], dict[str, Person]]:
    """The configured people by Slack id and by e-mail. Raises ConfigurationError for one who cannot be told."""
    return by_id_and_email("slack.people", _able_to_click(settings), id_setting="slack")


def _able_to_click(settings: Settings) -> Iterator[tuple[str, SlackPerson, str | None]]:
    for name, told in settings.slack.people.items():
        if told.slack is None and told.email is None:
            raise ConfigurationError(f"slack.people.{name} needs a Slack id (slack: U...) or an e-mail address")
        check_certificate(settings, f"slack.people.{name}", told.role, "a click in Slack")
        yield name, told, told.slack
