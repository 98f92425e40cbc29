"""Alerts in Slack, through slack-sdk: one message per case, kept up to date, its history in the thread.

Scopes of the app: `chat:write` to post, `channels:history` (and `groups:history` in private channels) to see,
after a lost answer, whether the post arrived. The rest is for people's clicks: see `guardian slack manifest`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from guardian.alerting import block_kit, blocks, case_blocks, sentences
from guardian.alerting.checked import seconds
from guardian.alerting.delivered import message_id
from guardian.alerting.port import Alert, Clock, Given, NeverTaken, RetryLater, Sleep, Step
from guardian.alerting.rules import Rules
from guardian.alerting.slack_calls import Gone, SlackCalls, Unshowable
from guardian.alerting.slack_rules import CHANNEL, read_rules
from guardian.domain.urls import is_private
from guardian.errors import AlertError, ConfigurationError

EVENT = "guardian_finding"
CASE_EVENT = "guardian_case"
_PACE_S = 1.0  # chat.postMessage: about one message a second and channel
_UPDATE_PACE_S = 1.2  # chat.update: 50 and more a minute
_LONGEST_WAIT_S = 3600.0  # whatever Slack asks for
_POST, _UPDATE, _LOOK = "chat.postMessage", "chat.update", "conversations"  # each has limits of its own
_SKEW = timedelta(hours=1)  # a finding may carry a time slightly ahead of Slack's


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackOptions:
    """`channel` is the channel's ID, `token` a bot token (xoxb-), `timeout` seconds for one request.

    The other options say what goes where and when; severities have the names they have in findings.

    routes          channel, and which cases go there: tenant, severity (at least), purpose; the first that fits
    floor           less severe cases are not shown, unless they ask for a second person
    quiet_hours     from, to (hh:mm), zone, but: from this severity on they do not hold; nor for such a request
    storm           cases of one tenant within ten minutes that become a digest
    escalate        after_s, repeat_s, from (severity), channel: when nobody acts; after_s 0 for never, repeat_s 0
                    (the default) for once
    on_call         whom to call, by tenant or "*": a user group's or a person's ID
    mention_from    from this severity on the first message mentions who is on call
    """

    channel: str
    token: str = field(repr=False)
    base_url: str = "https://slack.com/api/"
    timeout: float = 10
    routes: tuple[Mapping[str, Any], ...] = ()
    floor: str = "info"
    quiet_hours: Mapping[str, Any] | None = None
    storm: int = 20
    escalate: Mapping[str, Any] = field(default_factory=dict)
    on_call: Mapping[str, str] = field(default_factory=dict)
    mention_from: str = "high"

    def __post_init__(self) -> None:
        if not CHANNEL.fullmatch(self.channel):
            raise ConfigurationError(
                f"alerts.slack.channel must be a channel ID such as C0123456789 (Slack: open the channel's "
                f"details, it stands at the end), got {self.channel!r}"
            )
        if not re.fullmatch(r"xox[a-z]-[!-~]+", self.token):
            raise ConfigurationError("alerts.slack.token must be a Slack bot token, which begins with xoxb-")
        if not is_private(self.base_url):
            raise ConfigurationError("alerts.slack.base_url must be https")
        seconds("alerts.slack.timeout", self.timeout, least=1)
        self.rules()

    def rules(self) -> Rules:
        """What goes where and when. Raises ConfigurationError for what cannot be."""
        return read_rules(self)

    def calls(self) -> SlackCalls:
        return SlackCalls(token=self.token, base_url=self.base_url, timeout=self.timeout)

    def channels(self) -> tuple[str, ...]:
        """Every channel that messages may go to."""
        rules = self.rules()
        named = (self.channel, *(route.channel for route in rules.routes), rules.escalate_channel)
        return tuple(dict.fromkeys(channel for channel in named if channel))

    def open(self, given: Given) -> "SlackChannel":
        return SlackChannel(self, clock=given.clock, sleep=given.sleep)


class SlackChannel:
    """Writes at the pace that Slack allows, and marks what it posts so that it can be found again.

    An alert without a step becomes a message of its own; an alert with one becomes that one write.
    """

    name = "slack"

    def __init__(self, options: SlackOptions, *, clock: Clock, sleep: Sleep) -> None:
        self._channel = options.channel
        self._clock, self._sleep = clock, sleep
        self._next: dict[str, float] = {}
        self._asked_to_wait: dict[tuple[str, str], float] = {}
        self.calls = options.calls()

    def deliver(self, alert: Alert) -> str:
        step = alert.step
        channel, ts = self._place(step)
        if step is None:
            return self._posted(alert, channel, blocks.message(alert))
        match step.verb:
            case "post":
                return self._posted(alert, channel, case_blocks.root(alert))
            case "update" if step.leaves is not None:
                self._leave(alert, *_split(step.leaves))
                return step.leaves
            case "update" if ts is not None:
                return self._updated(alert, channel, ts)
            case "escalate":
                try:
                    return self._posted(alert, channel, case_blocks.reply(alert), thread=ts)
                except Gone:  # somebody deleted the case's message: the call must be heard all the same
                    return self._posted(alert, channel, case_blocks.reply(alert))
            case _:
                return self._posted(alert, channel, case_blocks.reply(alert), thread=ts)

    def find(self, alert: Alert) -> str | None:
        """Look through the channel, or the case's thread, for a message of this app that is this write."""
        step = alert.step
        channel, ts = self._place(step)
        if step is not None and step.verb == "update":
            return None  # bringing a message up to date twice does no harm
        self._heed(channel, _POST)  # what is not found could not be posted either
        if step is None:
            oldest = (alert.finding.time - _SKEW).timestamp()
            return self._found(channel, oldest, EVENT, "message", message_id(alert))
        oldest = (step.since - _SKEW).timestamp()
        try:
            return self._found(channel, oldest, CASE_EVENT, "step", step.key, thread=ts)
        except Gone:
            if step.verb != "escalate":
                raise
            return self._found(channel, oldest, CASE_EVENT, "step", step.key)

    def check(self) -> str:
        """Ask Slack who this token is. Raises AlertError or RetryLater; for `guardian doctor`."""
        answer = self.calls.me()
        return f"Slack knows this app as {answer.get('user', '?')} in {answer.get('team', '?')}"

    def _place(self, step: Step | None) -> tuple[str, str | None]:
        """The channel, and the message there that the step is about."""
        if step is not None and step.place:
            return _split(step.place)
        return (step.channel if step is not None else "") or self._channel, None

    def _heed(self, channel: str, kind: str) -> None:
        wait = self._asked_to_wait.get((channel, kind), 0.0) - self._clock()
        if wait > 0:
            raise RetryLater("Slack asked to wait", after_s=wait)

    @contextmanager
    def _obeying(self, channel: str, kind: str) -> Iterator[None]:
        """While Slack asks for no calls of this kind in this channel, none is made for any case."""
        self._heed(channel, kind)
        try:
            yield
        except RetryLater as trouble:
            if trouble.after_s is not None:
                until = self._clock() + min(trouble.after_s, _LONGEST_WAIT_S)
                self._asked_to_wait[channel, kind] = until
            raise

    def _found(
        self, channel: str, oldest: float, event: str, name: str, wanted: str, thread: str | None = None
    ) -> str | None:
        with self._obeying(channel, _LOOK):
            for seen in self.calls.ours(channel, oldest=oldest, thread=thread):
                metadata = seen.get("metadata") or {}
                if metadata.get("event_type") == event and metadata.get("event_payload", {}).get(name) == wanted:
                    return f"{channel}:{seen['ts']}"
        return None

    def _posted(
        self, alert: Alert, channel: str, shown: list[block_kit.Block] | None, *, thread: str | None = None
    ) -> str:
        body = {
            **_body(alert, channel, shown),
            "unfurl_links": False,
            "unfurl_media": False,
            "thread_ts": thread,
            "reply_broadcast": True if alert.verb == "escalate" and thread is not None else None,
        }
        try:
            with self._obeying(channel, _POST):
                self._pace(channel, _PACE_S)
                answer = self.calls.write(_POST, body)
        except Unshowable:
            if shown is None:
                raise NeverTaken("Slack refuses the message even as plain text") from None
            return self._posted(alert, channel, None, thread=thread)  # better one plain line than silence
        return f"{answer.get('channel', channel)}:{answer['ts']}"

    def _updated(self, alert: Alert, channel: str, ts: str) -> str:
        assert alert.step is not None  # noqa: S101 - only steps bring up to date
        shown: list[block_kit.Block] | None = case_blocks.root(alert)
        try:
            with self._obeying(channel, _UPDATE):
                self._pace(channel, _UPDATE_PACE_S)
                try:
                    self.calls.write(_UPDATE, {**_body(alert, channel, shown), "ts": ts})
                except Unshowable:
                    # an empty list takes the old blocks away: they must not go on saying what is not so any more
                    self.calls.write(_UPDATE, {**_body(alert, channel, []), "ts": ts})
        except Gone:  # somebody deleted it: the case is shown anew, once
            oldest = (alert.step.since - _SKEW).timestamp()
            known = self._found(channel, oldest, CASE_EVENT, "step", alert.step.key)
            return known or self._posted(alert, channel, shown)
        except Unshowable:
            raise NeverTaken("Slack refuses the message even as plain text") from None
        return f"{channel}:{ts}"

    def _leave(self, alert: Alert, channel: str, ts: str | None) -> None:
        """Say in the message that showed the case so far that it goes on elsewhere, if Slack takes that: it must
        not go on saying what is not so any more."""
        body = _body(alert, channel, case_blocks.left(alert))
        del body["metadata"]  # it stays the write that it was
        with suppress(AlertError, Unshowable), self._obeying(channel, _UPDATE):
            self._pace(channel, _UPDATE_PACE_S)
            self.calls.write(_UPDATE, {**body, "ts": ts, "text": case_blocks.LEFT})

    def _pace(self, channel: str, pace_s: float) -> None:
        wait = self._next.get(channel, 0.0) - self._clock()
        if wait > 0 and self._sleep(wait):
            raise RetryLater("guardian is stopping")
        self._next[channel] = self._clock() + pace_s


def _body(alert: Alert, channel: str, shown: list[block_kit.Block] | None) -> dict[str, Any]:
    if alert.step is None:
        payload = {"message": message_id(alert), "finding_id": alert.finding.id, "case": alert.case}
        metadata = {"event_type": EVENT, "event_payload": payload}
        text = sentences.fallback(alert)
    else:
        payload = {"step": alert.step.key, "finding_id": alert.finding.id, "case": alert.case}
        metadata = {"event_type": CASE_EVENT, "event_payload": payload}
        text = case_blocks.fallback(alert)
    # an update that leaves `parse` out is read as what a person types: names and addresses become links
    literally = {"parse": "none", "link_names": False}
    return {"channel": channel, "text": text, "metadata": metadata, "blocks": shown, **literally}


def _split(place: str) -> tuple[str, str | None]:
    channel, _, ts = place.partition(":")
    return channel, ts or None


plugin = SlackOptions
