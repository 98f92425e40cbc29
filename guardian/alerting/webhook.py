"""Alerts to anybody's web-hook, signed as Standard Webhooks says; https://www.standardwebhooks.com.

`webhook-id` is the same for the same alert, so a receiver that remembers ids takes each once.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from guardian.alerting.bare import InFullOrBare
from guardian.alerting.checked import seconds, secret
from guardian.alerting.delivered import Delivered, message_id
from guardian.alerting.http_post import checked_url, post
from guardian.alerting.port import Alert, Given
from guardian.errors import ConfigurationError

_PREFIX = "whsec_"
_SETTING = "alerts.webhook.secret_file"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOptions:
    """`url` to post to; `secret_file` holds the shared secret, `whsec_` and base64 of 24 bytes or more."""

    url: str
    secret_file: str
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        checked_url("alerts.webhook.url", self.url)
        seconds("alerts.webhook.timeout_s", self.timeout_s)

    def open(self, given: Given) -> "WebhookChannel":
        return WebhookChannel(self, _secret(self.secret_file), now=given.now)


class WebhookChannel:
    """Posts the finding and what policy made of it as JSON; type `guardian.finding`, or with what became of it
    since `guardian.case`."""

    name = "webhook"

    def __init__(self, options: WebhookOptions, secret: bytes, *, now: Callable[[], datetime]) -> None:
        self._options, self._secret, self._now = options, secret, now
        self._delivered, self._in_full_or_bare = Delivered(), InFullOrBare()

    def deliver(self, alert: Alert) -> str:
        name = message_id(alert)
        self._in_full_or_bare(alert, lambda told: self._post(told, name))
        return self._delivered.note(alert, f"webhook:{name}")

    def _post(self, alert: Alert, name: str) -> None:
        at, data = self._now(), alert.model_dump(mode="json", include={"finding", "outcome", "link", "case"})
        if alert.nameless:
            del data["finding"]["session_id"]
            data["session_left_out"] = True
        if alert.became is not None:
            data["became"] = alert.became.model_dump(mode="json")
        kind = "guardian.finding" if alert.became is None else "guardian.case"
        told = {"type": kind, "timestamp": at.isoformat(), "data": data}
        body = json.dumps(told, ensure_ascii=True).encode()
        stamp = str(int(at.timestamp()))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{signature(self._secret, name, stamp, body)}",
        }
        post(self._options.url, body, headers, timeout_s=self._options.timeout_s)

    def find(self, alert: Alert) -> str | None:
        return self._delivered.find(alert)


def signature(secret: bytes, name: str, stamp: str, body: bytes) -> str:
    """Base64 of HMAC-SHA256 over `id.timestamp.body`."""
    mac = hmac.new(secret, f"{name}.{stamp}.".encode() + body, hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def _secret(file: str) -> bytes:
    text = secret(_SETTING, file)
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(_PREFIX) or len(key) < 24:
        raise ConfigurationError(
            f"{_SETTING}: {file} must hold whsec_ and base64 of at least 24 random bytes; "
            f"make one with: (umask 077; echo whsec_$(openssl rand -base64 32) > {file})"
        )
    return key


plugin = WebhookOptions
