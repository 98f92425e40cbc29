"""`guardian serve` put together: the control API, its policy, its alerts."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

import uvicorn

from guardian import __version__
from guardian.alerting.log import LogChannel
from guardian.alerting.port import AlertChannel
from guardian.bootstrap.advice import remote_adviser
from guardian.bootstrap.channels import channel_options, given
from guardian.bootstrap.checkpoints import checkpoints_are_kept, open_checkpoints
from guardian.bootstrap.clock import steady_s, utc_now
from guardian.bootstrap.control_settings import control_settings
from guardian.bootstrap.control_socket import BACKLOG, connections, listen, url_of
from guardian.bootstrap.control_store import open_control_store, open_tokens, restore_is_noticed
from guardian.bootstrap.databases import is_there, sqlite_file
from guardian.bootstrap.policies import WatchedPolicies
from guardian.bootstrap.revocation import Pushing, ledger_tenants, open_planter, open_receivers
from guardian.bootstrap.secrets import SecretFiles
from guardian.bootstrap.slack import SlackQueue, check_slack, slack_options
from guardian.config import Settings
from guardian.config.base import Options
from guardian.control.advice.adviser import Adviser
from guardian.control.app import create_app
from guardian.control.deps import ControlDeps, ControlSettings
from guardian.control.requests.connections import bounded
from guardian.control.requests.framing import Framed
from guardian.control.telling.alert_outbox import AlertQueues
from guardian.control.telling.policy_news import policy_reloaded
from guardian.errors import ControlError
from guardian.keys.bundle import BundleKey
from guardian.keys.signing import SigningKeys
from guardian.policy.reload import ReloadOutcome
from guardian.revocation.signing import ListSigner
from guardian.store.control.store import ControlStore
from guardian.store.sure_time import SureTime
from guardian.telemetry import Metrics, logger

_log = logger("bootstrap")


class Control:
    """The control API on a socket of its own thread, and the worker that delivers its alerts."""

    def __init__(
        self, settings: Settings, *, metrics: Metrics, port: int | None = None, adviser: Adviser | None = None
    ) -> None:
        section = settings.control
        restore_is_noticed(settings)
        checkpoints_are_kept(settings)
        with ExitStack() as begun:
            self._socket = begun.enter_context(listen(section.host, section.port if port is None else port))
            self._furnish(settings, metrics, adviser, begun)
            begun.pop_all()

    def _furnish(self, settings: Settings, metrics: Metrics, adviser: Adviser | None, begun: ExitStack) -> None:
        """What may fail comes first: the version before could not go on with a database that this one migrated."""
        keys = SigningKeys(SecretFiles.of(settings).signing)
        self._policies = WatchedPolicies(settings, self._reloaded)
        begun.callback(self._policies.stop)
        rules = control_settings(settings, port=self.port)
        bundle_key = BundleKey(SecretFiles.of(settings).opa)
        self._stop_channels = threading.Event()
        channels = open_channels(settings, self._stop_channels)
        check_slack(settings)
        slack = slack_options(settings)
        planter = open_planter(settings)
        receivers = open_receivers(settings, keys, tenants=lambda: ledger_tenants(self.store))
        served = _pages(settings, rules)
        self.store = begun.enter_context(closing(_made_store(settings)))
        self.tokens = open_tokens(settings, self.store, keys)
        self._alerts = AlertQueues(
            self.store,
            channels,
            metrics=metrics,
            now=utc_now,
            fallback=LogChannel,
            beside_slack=slack is not None,
        )
        self._checkpoints = open_checkpoints(settings, self.store, keys, metrics=metrics)
        self._deps = ControlDeps(
            store=self.store,
            pdp=self._policies.point,
            tokens=self.tokens,
            clock=utc_now,
            metrics=metrics,
            settings=rules,
            signer=ListSigner(keys, self.tokens.issuer),
            bundle_key=bundle_key,
            planter=planter,
            adviser=adviser or remote_adviser(settings),
            unsigned=self._checkpoints.trouble,
            kept_in=self._checkpoints.kept_in,
            steady=SureTime(utc_now, steady_s),
        )
        self._deps.watched.before = self.store.last_sign
        self._pushing = Pushing(self._deps, receivers)
        self._slack = None if slack is None else SlackQueue(settings, slack, self._deps, url=lambda: self.url)
        queue = self._slack
        measures = [self._alerts.measure, *self._pushing.measures, *([] if queue is None else [queue.measure])]
        measures.append(self._checkpoints.measure)
        app = create_app(self._deps, slack=None if queue is None else queue.door, measures=measures)
        self._bell = app.state.bell
        with self.store.write() as rows:
            version = self._policies.point.version
            rows.audit.note("start", at=utc_now(), version=__version__, policy_version=version)
        self._server = uvicorn.Server(
            uvicorn.Config(
                Framed(served(self._deps, app)),
                http=bounded(connections()),
                ws="none",  # else a package that happens to be there takes connections out of these bounds
                backlog=BACKLOG,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # else X-Forwarded-For says who the peer is
                h11_max_incomplete_event_size=65_536,  # a token and a certificate, of 16 kB each, and more
                timeout_graceful_shutdown=2,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="guardian-control", daemon=True
        )
        self._silence = self.store.subscribe(self._wake)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        return url_of(self._socket)

    def start(self) -> None:
        """Returns when requests are answered. Raises ControlError when the server ends at once."""
        self._alerts.start()
        if self._slack is not None:
            self._slack.start()
        self._policies.start()
        self._checkpoints.start()
        self._pushing.start()
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise ControlError("the control API did not start; see the log above")
            time.sleep(0.01)
        _log.info("listening", url=self.url)

    def _wake(self) -> None:
        self._alerts.wake()
        if self._slack is not None:
            self._slack.wake()

    def reload_policies(self) -> None:
        """Look at the policy files now; safe in a signal handler."""
        self._policies.poke()

    def _reloaded(self, outcome: ReloadOutcome) -> None:
        policy_reloaded(self._deps, outcome)

    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Finish what is in hand, then close everything. Twice is the same as once."""
        self._bell.close()
        if self._slack is not None:  # its clicks are calls of the server
            self._slack.stop()
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(timeout=15)
        self._policies.stop()
        self._stop_channels.set()
        self._alerts.stop()
        self._checkpoints.stop()
        self._pushing.stop()
        self._silence()
        self._socket.close()
        self.store.close()


def _pages(settings: Settings, rules: ControlSettings) -> Callable[[ControlDeps, Any], Any]:
    """What puts the evidence pages before the API, where there are any."""
    if rules.console is None:
        return lambda _deps, app: app
    from guardian.bootstrap.console import open_identity, with_console  # only the pages need what these import

    identity = open_identity(settings, rules.console.url)
    return lambda deps, app: with_console(settings, deps, app, identity)


def _made_store(settings: Settings) -> ControlStore:
    new = not is_there(settings, settings.store.control)
    store = open_control_store(settings, makes=True)
    if new:
        _log.warning(
            "control_database_is_new", effect="no token, revocation or finding of before counts",
            file=str(sqlite_file(settings, settings.store.control)),
        )  # fmt: skip
    return store


def open_channels(settings: Settings, stop: threading.Event) -> list[AlertChannel]:
    """Every configured channel but Slack, which keeps cases and has an outbox of its own.

    Without a Slack token Slack's alerts go to the log, which says so once.
    """
    channels: list[AlertChannel] = []
    for name, options in settings.alerts.items():
        if name == "slack":
            if slack_options(settings) is not None:
                continue
            because = "alerts.slack is configured and GUARDIAN_SLACK__TOKEN is not set"
            channels.append(LogChannel(because=because))
        else:
            channels.append(open_channel(settings, name, options, stop))
    if not channels and "slack" not in settings.alerts:
        channels = [LogChannel(because="no alert channel is configured")]
    return channels


def open_channel(settings: Settings, name: str, options: Options, stop: threading.Event) -> AlertChannel:
    """One channel by its name in the configuration."""
    return channel_options(settings, name, options).open(given(settings, stop.wait))
