"""Servers on a port of this machine, each in a thread for as long as a block lasts."""

import json
import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import uvicorn

JSON = (("Content-Type", "application/json"),)


@dataclass(frozen=True)
class Asked:
    """One request as the server met it."""

    method: str
    path: str
    headers: Message
    body: bytes
    caller: tuple[str, int]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """`body` is bytes, or pieces of them after which the connection ends, or else is sent as JSON."""

    body: Any = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = JSON

    @property
    def raw(self) -> bytes | Iterator[bytes]:
        return self.body if isinstance(self.body, bytes | Iterator) else json.dumps(self.body).encode()


@dataclass
class Served:
    """Where a server is, what it was asked, and whether anybody hung up before the end of an answer."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list, repr=False)
    cut: threading.Event = field(default_factory=threading.Event, repr=False)


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[str]:
    """Its URL."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def answering(
    answer: Callable[[Asked], Reply | None], port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Served]:
    """A server that answers so, or hangs up, on connections that stay open; who sends something with a GET is
    refused. At its end they are cut, and whoever was being answered has been."""
    served, connections = Served(), list[socket.socket]()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.command, self.path, self.headers, body, self.client_address)
            served.asked.append(asked)
            reply = Reply(status=405) if body and self.command == "GET" else answer(asked)
            if reply is None:
                self.close_connection = True
                return
            raw = reply.raw
            whole = isinstance(raw, bytes)
            try:
                self.send_response_only(reply.status)
                for name, value in (*reply.headers, *([("Content-Length", str(len(raw)))] if whole else [])):
                    self.send_header(name, value)
                self.end_headers()
                for piece in [raw] if whole else raw:
                    self.wfile.write(piece)
            except OSError:
                served.cut.set()
            self.close_connection |= not whole or served.cut.is_set()

        do_POST = do_GET

    class Server(ThreadingHTTPServer):
        daemon_threads = False  # `server_close` waits for what is still being answered

        def process_request(self, request: Any, client_address: Any) -> None:
            connections.append(request)
            super().process_request(request, client_address)

        def handle_error(self, *where: Any) -> None:
            if not isinstance(sys.exception(), OSError):  # callers may hang up
                super().handle_error(*where)

        def server_close(self) -> None:
            for connection in connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            super().server_close()

    server = Server(("127.0.0.1", port), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with serving(server) as served.url:
        yield served


@contextmanager
def running(app: Any, listener: socket.socket | None = None, **how: Any) -> Iterator[str]:
    """The URL of an ASGI application that uvicorn runs, with what is said of `how` in its configuration."""
    listener = listener or socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, **{"log_level": "critical", "timeout_graceful_shutdown": 1, **how})
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        listener.close()
