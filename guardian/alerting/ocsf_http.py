"""Alerts as OCSF Detection Findings over HTTP: one event a request, as collectors and Splunk's HEC take them."""

import json
import re
from dataclasses import dataclass
from typing import Any

from guardian.alerting.bare import InFullOrBare
from guardian.alerting.checked import seconds, secret
from guardian.alerting.delivered import Delivered, message_id
from guardian.alerting.http_post import checked_url, post
from guardian.alerting.ocsf import to_ocsf
from guardian.alerting.port import Alert, Given
from guardian.errors import ConfigurationError

_SHAPES = ("json", "splunk_hec")


@dataclass(frozen=True, slots=True, kw_only=True)
class OcsfHttpOptions:
    """`url` to post to; `token_file` holds what follows `scheme` in the Authorization header, if one is needed.

    `shape` is json (the event alone) or splunk_hec (the event in HEC's envelope; then `scheme` is Splunk). A SIEM
    knows a repeated event by `metadata.uid`.
    """

    url: str
    token_file: str | None = None
    scheme: str = "Bearer"
    shape: str = "json"
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        checked_url("alerts.ocsf_http.url", self.url)
        if self.shape not in _SHAPES:
            raise ConfigurationError(
                f"alerts.ocsf_http.shape must be one of {', '.join(_SHAPES)}, got {self.shape!r}"
            )
        if not re.fullmatch("[!-~]+", self.scheme):
            raise ConfigurationError(f"alerts.ocsf_http.scheme must be a word such as Bearer, got {self.scheme!r}")
        seconds("alerts.ocsf_http.timeout_s", self.timeout_s)

    def open(self, _given: Given) -> "OcsfHttpChannel":
        file = self.token_file
        return OcsfHttpChannel(self, None if file is None else secret("alerts.ocsf_http.token_file", file))


class OcsfHttpChannel:
    """Posts one event per alert."""

    name = "ocsf_http"

    def __init__(self, options: OcsfHttpOptions, token: str | None) -> None:
        self._options = options
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"{options.scheme} {token}"
        self._delivered, self._in_full_or_bare = Delivered(), InFullOrBare()

    def deliver(self, alert: Alert) -> str:
        name = message_id(alert)
        self._in_full_or_bare(alert, lambda told: self._post(told, name))
        return self._delivered.note(alert, f"ocsf_http:{name}")

    def _post(self, alert: Alert, name: str) -> None:
        event: dict[str, Any] = to_ocsf(alert)
        event["metadata"]["uid"] = name
        if self._options.shape == "splunk_hec":
            event = {"time": event["time"] / 1000, "sourcetype": "ocsf:detection_finding", "event": event}
        body = json.dumps(event, ensure_ascii=True, allow_nan=False).encode("ascii")
        post(self._options.url, body, self._headers, timeout_s=self._options.timeout_s)

    def find(self, alert: Alert) -> str | None:
        return self._delivered.find(alert)


plugin = OcsfHttpOptions
