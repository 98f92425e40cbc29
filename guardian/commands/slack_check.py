"""`guardian slack check`: token, scopes, channels, ways in, people, and a test case that is seen to arrive."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx

from guardian.alerting.port import RetryLater
from guardian.alerting.slack import SlackOptions
from guardian.alerting.slack_calls import NoAnswer, SlackCalls, Unshowable
from guardian.alerting.slack_signature import SlackSignature
from guardian.bootstrap.channels import given
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.slack import people, slack_options
from guardian.commands.checks import Check
from guardian.commands.samples import samples
from guardian.config import Settings
from guardian.errors import AlertError, GuardianError
from guardian.wire.deadline import BoundedClient

NEEDED = {
    "chat:write": "to post",
    "channels:history": "to see whether a post arrived",
    "channels:read": "to look at its channels",
    "commands": "for /guardian",
}
_BY_EMAIL = {"users:read": "to look people up", "users:read.email": "to know them by e-mail"}

_BOT = "GUARDIAN_SLACK__TOKEN is the bot token (xoxb-…) under OAuth & Permissions, as it is there now"
_SET_UP = "see the message; `guardian slack manifest` sets an app up"


def check_slack(settings: Settings, *, send: bool) -> Iterator[Check]:
    """Each check with what to mend; with `send` a test case goes to the channel and is looked for there."""
    options = slack_options(settings)
    if options is None:
        yield Check(
            "token", False, "Slack is not set up", "alerts: {slack: {channel: C...}} and GUARDIAN_SLACK__TOKEN"
        )
        return
    checks: dict[str, Callable[[], Check]] = {
        "token": lambda: Check("token", True, options.open(given(settings, time.sleep)).check()),
        "scopes": lambda: _scopes(settings, options),
        "channels": lambda: _channels(options),
        "clicks": lambda: _clicks(settings, options),
        "people": lambda: _people(settings),
    }
    if send:
        checks["test case"] = lambda: _send(settings, options)
    for name, check in checks.items():
        try:
            yield check()
        except NoAnswer as error:
            mend = "let this machine reach slack.com (DNS, HTTPS_PROXY, outbound port 443), then check the rest"
            yield Check(name, False, str(error)[:300], mend)
            return  # every other call would end alike
        except (GuardianError, RetryLater, Unshowable) as error:
            refused = name == "token" and isinstance(error, AlertError)
            yield Check(name, False, str(error)[:300], _BOT if refused else _SET_UP)
            if refused:
                return  # nor does Slack take it for any other call


def _scopes(settings: Settings, options: SlackOptions) -> Check:
    needed = NEEDED | (_BY_EMAIL if any(p.email for p in settings.slack.people.values()) else {})
    missing = sorted(set(needed) - options.calls().scopes())
    if missing:
        mend = "add under OAuth & Permissions and install the app again: "
        return Check(
            "scopes", False, f"missing: {', '.join(missing)}", mend + "; ".join(needed[scope] for scope in missing)
        )
    return Check("scopes", True, "all that is needed")


def _channels(options: SlackOptions) -> Check:
    calls, absent = options.calls(), []
    for channel in options.channels():
        told = calls.read("conversations.info", {"channel": channel}).get("channel") or {}
        if not told.get("is_member"):
            absent.append(channel)
    if absent:
        return Check("channels", False, f"not a member of {', '.join(absent)}", "in each: /invite @guardian")
    return Check("channels", True, f"a member of {', '.join(options.channels())}")


def _clicks(settings: Settings, options: SlackOptions) -> Check:
    """Would Slack open a connection for the app token, and does the way in over HTTP answer as it should?"""
    slack, ways = settings.slack, []
    try:
        ways += ["Socket Mode"] if ask_for_socket(settings, options) else []
    except AlertError as error:
        found, _, mend = str(error).partition("; ")
        return Check("clicks", False, found, mend)
    if slack.signing_secret is not None:
        SlackSignature(slack.signing_secret.get_secret_value(), now=time.time)
        url = f"{settings.control.url}/slack/commands"
        try:
            with BoundedClient(timeout=5, certificate=settings.shown_certificate) as http:
                status = http.post(url, content=b"ssl_check=1").status_code
        except httpx.HTTPError as error:
            return Check("clicks", False, f"{url}: {type(error).__name__}", "start `guardian serve` or `run`")
        if status != httpx.codes.UNAUTHORIZED:
            mend = "the running control has no signing secret: restart it with the same environment"
            return Check("clicks", False, f"an unsigned request was answered {status} and not 401", mend)
        ways.append("HTTP (unsigned requests are refused)")
    if not ways:
        mend = "set GUARDIAN_SLACK__APP_TOKEN (Socket Mode) or GUARDIAN_SLACK__SIGNING_SECRET (HTTP)"
        return Check("clicks", False, "buttons do nothing: there is no way in", mend)
    return Check("clicks", True, " and ".join(ways))


def _people(settings: Settings) -> Check:
    by_id, by_email = people(settings)
    if not by_id and not by_email:
        return Check("people", False, "nobody may click", "list them under slack.people")
    return Check("people", True, f"{len(by_id)} known by Slack id, {len(by_email)} by e-mail")


def _send(settings: Settings, options: SlackOptions) -> Check:
    channel = options.open(given(settings, time.sleep))
    now = utc_now()
    alert = samples(now)["flagged"]
    assert alert.step is not None  # noqa: S101 - samples have one
    step = alert.step.model_copy(update={"key": f"check:{now.isoformat()}", "since": now - timedelta(minutes=1)})
    alert = alert.model_copy(update={"step": step})
    reference = channel.deliver(alert)
    if channel.find(alert) != reference:
        mend = "guardian needs channels:history, and groups:history in a private channel"
        return Check("test case", False, "it was posted and cannot be found again", mend)
    return Check("test case", True, f"posted as {reference}, and found again by its metadata")


def ask_for_socket(settings: Settings, options: SlackOptions) -> bool:
    """Whether there is an app token, for which Slack opens a connection. Raises AlertError where it does not."""
    if settings.slack.app_token is None:
        return False
    token = settings.slack.app_token.get_secret_value()
    calls = SlackCalls(token=token, base_url=options.base_url, timeout=options.timeout)
    try:
        calls.write("apps.connections.open", {})
    except AlertError as error:
        mend = "make an app-level token with connections:write under Basic Information"
        raise AlertError(f"buttons do nothing: GUARDIAN_SLACK__APP_TOKEN: {error}; {mend}") from None
    return True
