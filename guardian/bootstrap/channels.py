"""From the section `alerts` to what its channels are opened from; nothing is opened here."""

import time
from pathlib import Path
from typing import Any

from guardian.alerting.port import ChannelPlugin, Given, Sleep
from guardian.bootstrap import plugins
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.kafka import kafka_settings
from guardian.bus.kafka_producer import KafkaProducer
from guardian.config import Settings
from guardian.config.base import Options

_ANY_TOKEN = "xoxb-none"  # noqa: S105 - stands for the token that may be given at the start, and opens nothing


def channel_options(settings: Settings, name: str, options: Options, **given: Any) -> ChannelPlugin:
    """What the channel is opened from. Raises ConfigurationError for a name or an option that cannot be."""
    plugin: ChannelPlugin = plugins.make("alerting", name, _resolved(settings, options), **given)
    return plugin


def given(settings: Settings, sleep: Sleep) -> Given:
    """What channels are opened with; `sleep` waits, or ends early where guardian stops."""
    return Given(time.monotonic, sleep, utc_now, lambda: KafkaProducer(kafka_settings(settings)))


def check_channels(settings: Settings) -> None:
    """Raises ConfigurationError for the first channel that could not be opened as it is configured."""
    token = settings.slack.token
    secret = {"token": (token.get_secret_value() if token is not None else "") or _ANY_TOKEN}
    for name, options in settings.alerts.items():
        channel_options(settings, name, options, **(secret if name == "slack" else {}))


def _resolved(settings: Settings, options: Options) -> Options:
    """Files lie where the configuration lies."""
    return {
        name: str(settings.resolve(Path(value))) if _is_file(name) and isinstance(value, str) else value
        for name, value in options.items()
    }


def _is_file(option: str) -> bool:
    return option == "path" or option.endswith("_file")
