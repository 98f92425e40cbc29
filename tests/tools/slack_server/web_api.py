"""What Slack holds, and the methods of its Web API that guardian uses."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from slack_server.limits import message_limits, view_limits

TOKEN, APP_TOKEN = "xoxb-test-1", "xapp-test-1"
CHANNEL, TEAM = "C0SECURITY", "T0ACME"
BOT, USER = "B0GUARDIAN", "U0GUARDIAN"
SCOPES = frozenset(
    {"chat:write", "channels:history", "groups:history", "channels:read", "groups:read", "commands", "users:read",
     "users:read.email"}
)  # fmt: skip
_NEEDS = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.postEphemeral": "chat:write",
    "conversations.history": "channels:history",
    "conversations.replies": "channels:history",
    "conversations.info": "channels:read",
    "users.info": "users:read",
}
_TRIGGER_S = 3.0
Answer = dict[str, Any]


def _no(error: str, **more: Any) -> Answer:
    return {"ok": False, "error": error, **more}


@dataclass
class Workspace:
    """Messages by channel and in order, ephemeral ones, open views, people. `members` are the bot's channels."""

    scopes: set[str] = field(default_factory=lambda: set(SCOPES))
    members: set[str] = field(default_factory=lambda: {CHANNEL})
    messages: list[dict[str, Any]] = field(default_factory=list)
    ephemeral: list[dict[str, Any]] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    socket_url: str = ""
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] | None = None  # seconds since 1970, for the names of messages
    _triggers: dict[str, float] = field(default_factory=dict)
    _count: Any = field(default_factory=lambda: itertools.count(1))

    def store(self, body: dict[str, Any], *, bot: str = BOT, user: str = USER) -> dict[str, Any]:
        now = 1764021600 + len(self.messages) if self.wall is None else int(self.wall())
        ts = f"{now}.{next(self._count):06d}"
        message = {"type": "message", "channel": CHANNEL, "ts": ts, "bot_id": bot, "user": user, **body}
        self.messages.append(message)
        return message

    def roots(self, channel: str = CHANNEL) -> list[dict[str, Any]]:
        """Messages that are not replies."""
        return [m for m in self.messages if m["channel"] == channel and not m.get("thread_ts")]

    def thread(self, ts: str) -> list[dict[str, Any]]:
        return [m for m in self.messages if m.get("thread_ts") == ts]

    def new_trigger(self) -> str:
        name = f"{next(self._count)}.trigger"
        self._triggers[name] = self.clock()
        return name

    def call(self, method: str, token: str, body: dict[str, Any]) -> Answer:
        if method == "apps.connections.open":
            return {"ok": True, "url": self.socket_url} if token == f"Bearer {APP_TOKEN}" else _no("invalid_auth")
        if token != f"Bearer {TOKEN}":
            return _no("invalid_auth")
        needed = _NEEDS.get(method)
        if needed is not None and needed not in self.scopes:
            return _no("missing_scope", needed=needed, provided=",".join(sorted(self.scopes)))
        match method:
            case "auth.test":
                return {
                    "ok": True,
                    "bot_id": BOT,
                    "user_id": USER,
                    "user": "guardian",
                    "team": "Acme",
                    "team_id": TEAM,
                }
            case "chat.postMessage" | "chat.update" | "chat.postEphemeral":
                return self._write(method, body)
            case "conversations.history" | "conversations.replies":
                return self._read(method, body)
            case "conversations.info":
                channel = str(body.get("channel"))
                known = channel in self.members or channel.startswith("CPUBLIC")
                told = {"id": channel, "name": channel.lower(), "is_member": channel in self.members}
                return {"ok": True, "channel": told} if known else _no("channel_not_found")
            case "users.info":
                person = self.people.get(str(body.get("user")))
                return {"ok": True, "user": person} if person is not None else _no("user_not_found")
            case "views.open":
                return self._open(body)
            case _:
                return _no("unknown_method")

    def _write(self, method: str, body: dict[str, Any]) -> Answer:
        if body.get("channel") not in self.members:
            return _no("not_in_channel" if str(body.get("channel")).startswith("CPUBLIC") else "channel_not_found")
        if not body.get("text") and not body.get("blocks"):
            return _no("no_text")
        if len(body.get("text", "")) > 40_000:
            return _no("msg_too_long")
        if wrong := message_limits(body.get("blocks") or []):
            return _no("invalid_blocks", response_metadata={"messages": wrong})
        if method == "chat.update":
            for message in self.messages:
                if (message["channel"], message["ts"]) == (body["channel"], body["ts"]):
                    message.update(body, edited=True)
                    return {"ok": True, "channel": body["channel"], "ts": body["ts"], "text": body.get("text")}
            return _no("message_not_found")
        if method == "chat.postEphemeral":
            self.ephemeral.append(body)
            return {"ok": True, "message_ts": f"{next(self._count)}.0"}
        if body.get("thread_ts") and not any(m["ts"] == body["thread_ts"] for m in self.messages):
            return _no("cannot_reply_to_message")
        message = self.store(body)
        return {"ok": True, "channel": body["channel"], "ts": message["ts"], "message": message}

    def _read(self, method: str, body: dict[str, Any]) -> Answer:
        thread = body.get("ts")
        if method == "conversations.replies":
            found = [m for m in self.messages if m["ts"] == thread or m.get("thread_ts") == thread]
            if not found:
                return _no("thread_not_found")
        else:
            found = self.roots(str(body.get("channel")))[::-1]  # newest first
        oldest = float(body.get("oldest") or 0)
        found = [m for m in found if float(m["ts"]) > oldest]
        start, limit = int(body.get("cursor") or 0), min(int(body.get("limit", 100)), 999)
        page = found[start : start + limit]
        if body.get("include_all_metadata") not in (True, "1", "true", "True"):
            page = [{key: value for key, value in m.items() if key != "metadata"} for m in page]
        more = str(start + limit) if start + limit < len(found) else ""
        return {"ok": True, "messages": page, "response_metadata": {"next_cursor": more}}

    def _open(self, body: dict[str, Any]) -> Answer:
        given = self._triggers.pop(str(body.get("trigger_id")), None)
        if given is None:
            return _no("invalid_trigger_id")
        if self.clock() - given > _TRIGGER_S:
            return _no("expired_trigger_id")
        if wrong := view_limits(body["view"]):
            return _no("invalid_arguments", response_metadata={"messages": wrong})
        view = {**body["view"], "id": f"V{next(self._count):09d}"}
        self.views.append(view)
        return {"ok": True, "view": view}
