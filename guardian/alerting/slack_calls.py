"""Slack's Web API through slack-sdk, with errors sorted into those worth another try and those that are final.

Only what Slack surely did not take (429) is repeated inside a call. Everything else goes back to the outbox, which
looks before it posts again. slack-sdk repeats a post after a broken connection by default; that is switched off,
because Slack may have shown the message already. Reads may be repeated.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry import HttpRequest, HttpResponse, RetryState
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler, ServerErrorRetryHandler
from slack_sdk.webhook import WebhookClient

from guardian.alerting.port import NeverTaken, RetryLater
from guardian.errors import AlertError
from guardian.wire.cutoff import within

_MUTE = logging.getLogger(__name__)  # slack-sdk logs each failure; whoever asked is told once, by the error
_MUTE.setLevel(logging.CRITICAL)
_PAGES, _PAGE = 100, 200
_ANSWER_S = 10
_FORM_S = 3  # after which Slack takes no form for a click
_REQUESTS = 3  # that a call may take: two more where Slack asks for a short wait
_READS = frozenset({"conversations.history", "conversations.replies", "conversations.info", "users.info"})
_TRANSIENT = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_GONE = frozenset(
    {
        "message_not_found",
        "thread_not_found",
        "cannot_reply_to_message",
        "cant_update_message",
        "edit_window_closed",
    }
)
_UNSHOWABLE = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"})


class Unshowable(Exception):
    """Slack dislikes the form of the message, not the sender."""


class Gone(NeverTaken):
    """The message that was to be changed no longer exists."""


class NoAnswer(RetryLater):
    """Slack was not reached, or what came back was no answer: the network is to be looked at, not the settings."""


class _ShortWaits(RateLimitErrorRetryHandler):
    """Waits out a short Retry-After in place; a long one goes back to the outbox, which blocks no thread."""

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


class SlackCalls:
    """The calls that guardian makes. Raises AlertError for what is refused for good, RetryLater for the rest."""

    def __init__(self, *, token: str, base_url: str, timeout: float) -> None:
        base = base_url if base_url.endswith("/") else base_url + "/"
        self._answers = "https://hooks.slack.com/" if base.startswith("https:") else base.removesuffix("api/")
        short = _ShortWaits(max_retry_count=2)
        seconds: Any = timeout  # slack-sdk calls it an int, and hands it to urlopen
        # Two clients: a read may be repeated after a 500, a post may not.
        self._writer = WebClient(token=token, base_url=base, timeout=seconds, retry_handlers=[short], logger=_MUTE)
        again = ServerErrorRetryHandler(max_retry_count=1)
        self._reader = WebClient(
            token=token, base_url=base, timeout=seconds, retry_handlers=[short, again], logger=_MUTE
        )
        soon: Any = min(timeout, _FORM_S)
        self._opener = WebClient(token=token, base_url=base, timeout=soon, retry_handlers=[], logger=_MUTE)
        self._me: Mapping[str, Any] | None = None

    def me(self) -> Mapping[str, Any]:
        """Who this token is: bot_id, user_id, team, team_id. Asked once."""
        if self._me is None:
            self._me = self._called(self._reader, "auth.test", {})
        return self._me

    def scopes(self) -> frozenset[str]:
        """The scopes that the token has, as Slack's answer names them in a header."""
        answer = self._answered(self._reader, "auth.test", {})
        named = next((v for k, v in answer.headers.items() if k.lower() == "x-oauth-scopes"), "")
        text = named[0] if isinstance(named, list) else str(named)
        return frozenset(scope.strip() for scope in text.split(",") if scope.strip())

    def write(self, method: str, body: dict[str, Any]) -> Mapping[str, Any]:
        """chat.postMessage, chat.update, chat.postEphemeral."""
        return self._called(self._writer, method, body)

    def open(self, trigger: str, view: Mapping[str, Any]) -> None:
        """Open a form for a click, or none: what Slack does not answer in time comes too late."""
        self._called(self._opener, "views.open", {"trigger_id": trigger, "view": view}, requests=1)

    def read(self, method: str, body: dict[str, Any]) -> Mapping[str, Any]:
        return self._called(self._reader, method, body)

    def answer(self, url: str, text: str) -> None:
        """Answer a slash command where Slack said; only ever to Slack, whatever the URL says."""
        if not url.startswith(self._answers):
            raise AlertError("the answer's URL is none of Slack's")
        try:
            with within(_ANSWER_S):
                client = WebhookClient(url, timeout=_ANSWER_S, logger=_MUTE)
                got = client.send(text=text, response_type="ephemeral")
        except Exception as trouble:
            raise RetryLater(f"Slack answer: {type(trouble).__name__}") from None
        if got.status_code != 200:
            raise AlertError(f"Slack refused an answer: HTTP {got.status_code}")

    def ours(self, channel: str, *, oldest: float, thread: str | None = None) -> Iterator[Mapping[str, Any]]:
        """This app's messages in a channel, or in one thread of it, since then.

        Metadata on other people's messages proves nothing, so they are left out. Raises NeverTaken when there
        are too many to tell.
        """
        me = self.me()
        bot, user = str(me.get("bot_id") or ""), str(me.get("user_id") or "")
        method = "conversations.history" if thread is None else "conversations.replies"
        asked = {"channel": channel, "oldest": f"{oldest:.6f}", "limit": _PAGE, "include_all_metadata": True}
        cursor: str | None = None
        for _ in range(_PAGES):
            page = self.read(method, {**asked, "ts": thread, "cursor": cursor})
            for seen in page.get("messages", []):
                if (bot and seen.get("bot_id") == bot) or (user and seen.get("user") == user):
                    yield seen
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
        raise NeverTaken(f"Slack channel {channel} has too many messages to tell whether this one arrived")

    def _called(
        self, client: WebClient, method: str, body: dict[str, Any], *, requests: int = _REQUESTS
    ) -> Mapping[str, Any]:
        answer = self._answered(client, method, body, requests=requests)
        if not isinstance(answer.data, dict):
            raise RetryLater(f"Slack {method}: an answer that is not JSON")
        return answer.data

    def _answered(self, client: WebClient, method: str, body: dict[str, Any], *, requests: int = _REQUESTS) -> Any:
        given = {name: value for name, value in body.items() if value is not None}
        kind = {"params": given} if method in _READS else {"json": given}
        try:
            with within(requests * client.timeout + (requests - 1) * _ShortWaits.longest_s):
                return client.api_call(method, **kind)  # type: ignore[arg-type]
        except SlackApiError as refusal:
            raise _sorted_out(method, refusal) from None
        except Exception as trouble:  # time-outs, broken connections, half an answer: they share no base class
            why = f": {reason}" if (reason := getattr(trouble, "reason", None)) else ""
            raise NoAnswer(f"Slack {method}: {type(trouble).__name__}{why}") from None


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
        return Unshowable(error)
    if error in _GONE:
        return Gone(f"Slack refused {method}: {error}")
    needed = f" (needs {data['needed']})" if isinstance(data.get("needed"), str) else ""
    return AlertError(f"Slack refused {method}: {error}{needed}")


def _retry_after(headers: Mapping[str, Any]) -> float | None:
    for name, value in headers.items():
        if name.lower() == "retry-after":
            first = str(value[0] if isinstance(value, list) else value)
            return float(first) if first.isascii() and first.isdecimal() else None
    return None
