"""Socket Mode: Slack's clicks over a connection that guardian opens, for teams without inbound HTTP.

The connection is authenticated by the app-level token (xapp-), so what comes over it needs no signature. Each
envelope is acknowledged at once. Slack repeats what was not acknowledged in time, so each id is taken once only.
"""

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from guardian.errors import ConfigurationError
from guardian.telemetry import logger

_REMEMBERED = 2000
_FIRST_WAIT_S, _LONGEST_WAIT_S, _LOOK_S = 1.0, 60.0, 10.0
_PING_S = 2.0
"""slack-sdk takes a connection for broken that answered none of four pings."""
_log = logger("alerting")


class SlackSocket:
    """`take(kind, payload)` gets each envelope's payload once; kind is interactive or slash_commands.

    It must return at once. slack-sdk replaces a connection that breaks, within twelve seconds where nothing
    told it, but does not report it, nor when it cannot. So this thread looks every few seconds, tries as well,
    and logs each new connection, and why there is none.
    """

    def __init__(self, app_token: str, *, base_url: str, take: Callable[[str, Any], None]) -> None:
        if not re.fullmatch(r"xapp-[!-~]+", app_token):
            raise ConfigurationError("slack.app_token must be an app-level token, which begins with xapp-")
        self._token, self._take = app_token, take
        self._base = base_url if base_url.endswith("/") else base_url + "/"
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._client: SocketModeClient | None = None
        self._why = ""
        self._thread = threading.Thread(target=self._keep, name="guardian-slack-socket", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=5)

    def _keep(self) -> None:
        quiet = logging.getLogger("guardian.slack_socket")  # slack-sdk logs what it receives
        quiet.setLevel(logging.CRITICAL)
        web = WebClient(base_url=self._base, logger=quiet)
        client = SocketModeClient(
            app_token=self._token, web_client=web, logger=quiet, concurrency=2, ping_interval=_PING_S
        )
        client.socket_mode_request_listeners.append(self._heard)
        client.on_error_listeners.append(self._broke)
        self._client = client
        known, wait = None, _FIRST_WAIT_S
        while not self._stop.is_set():
            try:
                client.connect_to_new_endpoint()  # which does nothing where there is a connection
            except Exception as error:  # no common base class; the token is never in a message of ours
                self._broke(error)
            if client.is_connected():
                if client.session_id() != known:
                    _log.info("slack_socket_connected")
                known, wait, self._why = client.session_id(), _FIRST_WAIT_S, ""
                self._stop.wait(_LOOK_S)
            elif not self._stop.is_set():
                _log.warning("slack_socket_failed", error=self._why or "no connection", wait_s=wait)
                self._stop.wait(wait)
                wait = min(_LONGEST_WAIT_S, wait * 2)
        client.close()  # here and not in `stop`: it may have come about only now

    def _broke(self, error: Exception) -> None:
        self._why = _told(error)

    def _heard(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        if request.type not in ("interactive", "slash_commands") or not self._first(request.envelope_id):
            return
        try:
            self._take(request.type, request.payload)
        except Exception as error:  # one bad envelope must not end the listener
            _log.error("slack_envelope_failed", error=type(error).__name__)

    def _first(self, envelope_id: str) -> bool:
        with self._lock:
            known = envelope_id in self._seen
            self._seen[envelope_id] = None
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
            return not known


def _told(error: Exception) -> str:
    """What Slack said, such as invalid_auth, where it answered at all."""
    said = error.response.get("error") if isinstance(error, SlackApiError) else None
    return said if isinstance(said, str) and re.fullmatch(r"[a-z0-9_]{1,80}", said) else type(error).__name__
