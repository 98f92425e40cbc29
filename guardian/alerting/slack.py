"""Alerts in a Slack channel, through slack-sdk.

Scopes of the app: `chat:write` to post, `channels:history` (or `groups:history` in a private channel) to see,
after a lost answer, whether the post arrived. Only what Slack surely did not take is repeated inside a call
(429); anything else goes back to the outbox, which looks before it posts again. slack-sdk's own default of
repeating a post after a broken connection is switched off, because Slack may have shown it already.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry import HttpRequest, HttpResponse, RetryState
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler, ServerErrorRetryHandler

from guardian.alerting import blocks
from guardian.alerting.port import Alert, Clock, RetryLater, Sleep
from guardian.errors import AlertError, ConfigurationError

EVENT = "guardian_finding"
_PACE_S = 1.0  # chat.postMessage: about one message a second and channel
_PAGES, _PAGE = 100, 200
_SKEW = timedelta(hours=1)  # a finding may carry a time slightly ahead of Slack's
_TRANSIENT = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_UNSHOWABLE = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"})
_LOCAL = ("127.0.0.1", "localhost", "::1")


class _ShortWaits(RateLimitErrorRetryHandler):
    """Sits out a short Retry-After in place; a long one goes back to the outbox, which blocks no thread."""

    longest_s = 3

    def _can_retry(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        limited = super()._can_retry(state=state, request=request, response=response, error=error)
        wait = _retry_after(response.headers) if response is not None else None
        return limited and wait is not None and wait <= self.longest_s


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackOptions:
    """`channel` is the channel's ID, `token` a bot token (xoxb-), `timeout` seconds for one request."""

    channel: str
    token: str = field(repr=False)
    base_url: str = "https://slack.com/api/"
    timeout: int = 10

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[CG][A-Z0-9]{2,20}", self.channel):
            raise ConfigurationError(
                f"alerts.slack.channel must be a channel ID such as C0123456789 (Slack: open the channel's "
                f"details, it stands at the end), got {self.channel!r}"
            )
        if not re.fullmatch(r"xox[a-z]-[!-~]+", self.token):
            raise ConfigurationError("alerts.slack.token must be a Slack bot token, which begins with xoxb-")
        url = urlsplit(self.base_url)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOCAL):
            raise ConfigurationError(f"alerts.slack.base_url must be https, got {self.base_url!r}")
        if self.timeout < 1:
            raise ConfigurationError(f"alerts.slack.timeout must be at least 1 second, got {self.timeout}")

    def open(self, *, clock: Clock, sleep: Sleep) -> "SlackChannel":
        return SlackChannel(self, clock=clock, sleep=sleep)


class SlackChannel:
    """Posts one message per alert, at the pace Slack allows, marked so that it can be found again."""

    name = "slack"

    def __init__(self, options: SlackOptions, *, clock: Clock, sleep: Sleep) -> None:
        self._channel = options.channel
        self._clock, self._sleep = clock, sleep
        self._next = clock()
        self._me: tuple[str, str] | None = None
        base_url = options.base_url if options.base_url.endswith("/") else options.base_url + "/"
        # Two clients: a read may be repeated after a 500, a post may not.
        self._post = WebClient(
            token=options.token,
            base_url=base_url,
            timeout=options.timeout,
            retry_handlers=[_ShortWaits(max_retry_count=2)],
        )
        self._read = WebClient(
            token=options.token,
            base_url=base_url,
            timeout=options.timeout,
            retry_handlers=[_ShortWaits(max_retry_count=2), ServerErrorRetryHandler(max_retry_count=1)],
        )

    def deliver(self, alert: Alert) -> str:
        wait = self._next - self._clock()
        if wait > 0:
            self._sleep(wait)
        self._next = self._clock() + _PACE_S
        return self._posted(alert, blocks.message(alert))

    def find(self, alert: Alert) -> str | None:
        """Look through the channel for a message of this app that carries the finding's id."""
        me = self._whoami()
        oldest = f"{(alert.finding.time - _SKEW).timestamp():.6f}"
        cursor: str | None = None
        for _ in range(_PAGES):
            page = self._called(
                self._read,
                "conversations.history",
                {
                    "channel": self._channel,
                    "oldest": oldest,
                    "limit": _PAGE,
                    "include_all_metadata": True,
                    "cursor": cursor,
                },
            )
            for seen in page.get("messages", []):
                if _is_ours(seen, me) and _finding_of(seen) == alert.finding.id:
                    return f"{self._channel}:{seen['ts']}"
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return None
        raise AlertError(f"Slack channel {self._channel} has too many messages to tell whether this one arrived")

    def check(self) -> str:
        """Ask Slack who this token is. Raises AlertError or RetryLater; for `guardian doctor`."""
        answer = self._called(self._read, "auth.test", {})
        return f"Slack knows this app as {answer.get('user', '?')} in {answer.get('team', '?')}"

    def _posted(self, alert: Alert, shown: list[blocks.Block] | None) -> str:
        body = {
            "channel": self._channel,
            "text": blocks.fallback(alert),
            "parse": "none",
            "link_names": False,
            "unfurl_links": False,
            "unfurl_media": False,
            "metadata": {
                "event_type": EVENT,
                "event_payload": {"finding_id": alert.finding.id, "case": alert.case},
            },
        }
        try:
            answer = self._called(
                self._post, "chat.postMessage", body if shown is None else {**body, "blocks": shown}
            )
        except _Unshowable:
            if shown is None:
                raise AlertError("Slack refuses the message even as plain text") from None
            return self._posted(alert, None)  # better one plain line than silence
        return f"{answer.get('channel', self._channel)}:{answer['ts']}"

    def _whoami(self) -> tuple[str, str]:
        """(bot id, user id) of this token: metadata on other people's messages proves nothing."""
        if self._me is None:
            answer = self._called(self._read, "auth.test", {})
            self._me = (str(answer.get("bot_id") or ""), str(answer.get("user_id") or ""))
        return self._me

    def _called(self, client: WebClient, method: str, body: dict[str, Any]) -> Mapping[str, Any]:
        """The answer's data. Raises AlertError for a refusal for good, RetryLater for all else."""
        given = {name: value for name, value in body.items() if value is not None}
        kind = {"params": given} if method == "conversations.history" else {"json": given}
        try:
            answer = client.api_call(method, **kind)  # type: ignore[arg-type]
        except SlackApiError as refusal:
            raise _sorted_out(method, refusal) from None
        except Exception as trouble:  # time-outs, broken connections, half an answer: they share no base class
            raise RetryLater(f"Slack {method}: {type(trouble).__name__}") from None
        if not isinstance(answer.data, dict):
            raise RetryLater(f"Slack {method}: an answer that is not JSON")
        return answer.data


class _Unshowable(Exception):
    """Slack dislikes the form of the message, not the sender."""


def _sorted_out(method: str, refusal: SlackApiError) -> Exception:
    response = refusal.response
    data = response.data if isinstance(response.data, dict) else {}
    error = str(data.get("error", ""))[:80]
    if response.status_code == 429 or error in ("ratelimited", "rate_limited"):
        return RetryLater(f"Slack {method}: rate limited", after_s=_retry_after(response.headers))
    if response.status_code != 200 or error in _TRANSIENT or not re.fullmatch(r"[a-z0-9_]+", error):
        return RetryLater(
            f"Slack {method}: HTTP {response.status_code} {error if error in _TRANSIENT else ''}".strip()
        )
    if error in _UNSHOWABLE:
        return _Unshowable(error)
    needed = f" (needs {data['needed']})" if isinstance(data.get("needed"), str) else ""
    return AlertError(f"Slack refused {method}: {error}{needed}")


def _retry_after(headers: Mapping[str, Any]) -> float | None:
    for name, value in headers.items():
        if name.lower() == "retry-after":
            first = value[0] if isinstance(value, list) else value
            return float(first) if str(first).isdigit() else None
    return None


def _is_ours(message: Mapping[str, Any], me: tuple[str, str]) -> bool:
    bot, user = me
    return bool((bot and message.get("bot_id") == bot) or (user and message.get("user") == user))


def _finding_of(message: Mapping[str, Any]) -> str | None:
    metadata = message.get("metadata") or {}
    return metadata.get("event_payload", {}).get("finding_id") if metadata.get("event_type") == EVENT else None


plugin = SlackOptions
