"""The Slack app manifest: what a person pastes to have the app, with the scopes it needs and no others."""

import yaml

from guardian.bootstrap.resources import resource

_FILE = "slack-app.yaml"


def manifest_text(url: str | None) -> str:
    """The manifest for clicks over HTTP at `url`, or over Socket Mode without one."""
    body = yaml.safe_load((resource("config") / "examples" / _FILE).read_text(encoding="utf-8"))
    settings, command = body["settings"], body["features"]["slash_commands"][0]
    settings["socket_mode_enabled"] = url is None
    if url is None:
        settings["interactivity"].pop("request_url", None)
        command.pop("url", None)
    else:
        base = url.rstrip("/")
        settings["interactivity"]["request_url"] = f"{base}/slack/interactions"
        command["url"] = f"{base}/slack/commands"
    return str(yaml.safe_dump(body, sort_keys=False, allow_unicode=True))
