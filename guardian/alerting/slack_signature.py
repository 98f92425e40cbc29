"""Did Slack send this? https://docs.slack.dev/authentication/verifying-requests-from-slack"""

import re

from slack_sdk.signature import Clock, SignatureVerifier

from guardian.alerting.port import Clock as Seconds
from guardian.errors import ConfigurationError

WINDOW_S = 300
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class SlackSignature:
    """HMAC-SHA256 over timestamp and raw body, within five minutes. `now` is seconds since 1970.

    slack-sdk compares in constant time; it raises on a timestamp that is no number, on bytes that are no text, and
    on a signature that is not ASCII, so such things do not get that far.
    """

    def __init__(self, secret: str, *, now: Seconds) -> None:
        if not re.fullmatch(r"[!-~]{16,}", secret):
            raise ConfigurationError(
                "slack.signing_secret must be the app's signing secret (Slack: Basic Information, App Credentials)"
            )
        clock = Clock()
        clock.now = now  # type: ignore[method-assign]
        self._verifier = SignatureVerifier(secret, clock)

    def holds(self, body: bytes, timestamp: str, signature: str) -> bool:
        if not _TIMESTAMP.fullmatch(timestamp) or not _SIGNATURE.fullmatch(signature) or not body.isascii():
            return False
        return self._verifier.is_valid(body, timestamp, signature)
