"""What people do in Slack: the payloads that Slack makes of clicks, forms and commands, and how it signs them."""

import hashlib
import hmac
import itertools
import json
import time
from typing import Any
from urllib.parse import urlencode

from slack_server.web_api import TEAM, Workspace

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
_numbers = itertools.count(1)


def signed(body: bytes, *, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    """The headers that Slack sends with a body."""
    timestamp = str(int(time.time() if at is None else at))
    mac = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256)
    return {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": f"v0={mac.hexdigest()}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


def interaction(payload: dict[str, Any]) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


def click(workspace: Workspace, message: dict[str, Any], button: str, user: str) -> dict[str, Any]:
    """The payload of a click on the button with this text, as the message stands now."""
    for block in message["blocks"]:
        for element in block.get("elements", []):
            if element.get("type") == "button" and element["text"]["text"] == button:
                return {
                    "type": "block_actions",
                    "user": {"id": user, "username": user.lower(), "team_id": TEAM},
                    "api_app_id": "A0",
                    "token": "legacy",
                    "container": {
                        "type": "message",
                        "message_ts": message["ts"],
                        "channel_id": message["channel"],
                    },
                    "trigger_id": workspace.new_trigger(),
                    "team": {"id": TEAM, "domain": "acme"},
                    "channel": {"id": message["channel"], "name": "security"},
                    "message": message,
                    "response_url": "https://hooks.slack.com/actions/T0/1/x",
                    "actions": [
                        {
                            "action_id": element["action_id"],
                            "block_id": block.get("block_id", "b"),
                            "type": "button",
                            "value": element.get("value"),
                            "action_ts": f"{time.time():.6f}",
                        }
                    ],
                }
    shown = [e["text"]["text"] for b in message["blocks"] for e in b.get("elements", []) if e["type"] == "button"]
    raise AssertionError(f"no button {button!r}; there are {shown}")


def submission(view: dict[str, Any], user: str, **fields: str) -> dict[str, Any]:
    """The payload of a filled-in form: what is not given keeps its initial value."""
    values: dict[str, Any] = {}
    for block in view["blocks"]:
        if block["type"] == "input":
            element, name = block["element"], block["block_id"]
            if element["type"] == "static_select":
                given = fields.get(name, element.get("initial_option", {}).get("value"))
                chosen = None if given is None else {"value": given}
                told: dict[str, Any] = {"type": "static_select", "selected_option": chosen}
            else:
                told = {"type": "plain_text_input", "value": fields.get(name, element.get("initial_value"))}
            values[name] = {element["action_id"]: told}
    return {
        "type": "view_submission",
        "team": {"id": TEAM, "domain": "acme"},
        "user": {"id": user, "team_id": TEAM},
        "api_app_id": "A0",
        "token": "legacy",
        "trigger_id": "0.used",
        "view": {**view, "state": {"values": values}},
        "response_urls": [],
    }


def command(text: str, user: str, *, channel: str, response_url: str) -> dict[str, str]:
    return {
        "token": "legacy",
        "team_id": TEAM,
        "channel_id": channel,
        "channel_name": "security",
        "user_id": user,
        "command": "/guardian",
        "text": text,
        "api_app_id": "A0",
        "response_url": response_url,
        "trigger_id": f"{next(_numbers)}.command",
    }
