"""The server: HTTP in front of a workspace, with a script of troubles."""

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

from serving import serving
from until import until

from slack_server.rates import Rates
from slack_server.web_api import BOT, CHANNEL, TOKEN, USER, Workspace
from slack_server.web_socket import Connection, accept_of

__all__ = ["BOT", "CHANNEL", "TOKEN", "USER", "SlackServer"]


@dataclass
class SlackServer(Workspace):
    """A workspace on a port. Each post or update takes the next of `troubles`, "" for none; reads `read_troubles`.

    429[:seconds], 500, refuse:ERROR, drop (nothing stored), drop_after (stored, answer lost), garbage_after,
    slow_after (stored, then no answer in time). `down` refuses everything. Rate limits count on `rates.clock`.
    """

    url: str = ""
    troubles: deque[str] = field(default_factory=deque)
    read_troubles: deque[str] = field(default_factory=deque)
    calls: list[str] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    down: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)
    release: threading.Event = field(default_factory=threading.Event)
    connections: list[Connection] = field(default_factory=list)
    rates: Rates = field(default_factory=lambda: Rates(time.monotonic, on=False))

    def __enter__(self) -> Self:
        front, self._serving = type("Front", (_Front,), {"slack": self}), ExitStack()
        url = self._serving.enter_context(serving(ThreadingHTTPServer(("127.0.0.1", 0), front)))
        self.url, self.socket_url = f"{url}/api/", f"{url.replace('http', 'ws')}/link?ticket=1"
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        for connection in self.connections:
            connection.drop()
        self._serving.close()

    def until(self, holds: Callable[[], Any]) -> Any:
        """Wait until something holds of what Slack has; its value."""

        def held() -> Any:
            with self.lock:
                return holds()

        return until(held, told=lambda: f"Messages {len(self.messages)}, calls {self.calls[-9:]}")


class _Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    slack: SlackServer

    def do_GET(self) -> None:
        if self.headers.get("Upgrade", "").lower() != "websocket":
            self._answer(404, b"")
            return
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept_of(self.headers["Sec-WebSocket-Key"]))
        self.end_headers()
        self.wfile.flush()
        connection = Connection(self.connection)
        self.slack.connections.append(connection)
        connection.serve()
        self.close_connection = True

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "json" in self.headers.get("Content-Type", ""):
            body = json.loads(raw or b"{}")
        else:
            body = {name: values[0] for name, values in parse_qs(raw.decode()).items()}
        slack = self.slack
        if self.path.startswith("/respond/"):
            with slack.lock:
                slack.answers.append({"url": self.path, **body})
            self._answer(200, b"ok")
            return
        method = self.path.rsplit("/", 1)[-1].split("?")[0]
        with slack.lock:
            slack.calls.append(method)
            troubles = slack.troubles if method in ("chat.postMessage", "chat.update") else slack.read_troubles
            trouble = "drop" if slack.down else troubles.popleft() if troubles else ""
            if not trouble and (wait := slack.rates.wait(method, str(body.get("channel")))):
                trouble = f"429:{wait}"
            kind, _, detail = trouble.partition(":")
            stored = kind in ("", "drop_after", "garbage_after", "slow_after")
            answer = slack.call(method, self.headers.get("Authorization", ""), body) if stored else {}
        match kind:
            case "":
                self._answer(200, json.dumps(answer).encode(), {"X-OAuth-Scopes": ",".join(sorted(slack.scopes))})
            case "429":
                self._answer(429, b'{"ok":false,"error":"ratelimited"}', {"Retry-After": detail or "1"})
            case "500":
                self._answer(500, b"<html>oops</html>")
            case "refuse":
                self._answer(200, json.dumps({"ok": False, "error": detail}).encode())
            case "garbage_after":
                self._answer(200, b"<html>half an ans")
            case "slow_after":
                slack.release.wait(10)
                self._hang_up()
            case _:
                self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Be quiet."""
