"""Where other channels deliver to, for tests: an HTTP collector, a mail server, and one that takes its time."""

import socket
import socketserver
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass
class Receiver:
    """Keeps what is posted; answers with the next of `statuses`, else 200; to what has `filter` with the status
    `filtered`, by hanging up where that is 0, and not at all where it is -1."""

    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    statuses: deque[int] = field(default_factory=deque)
    closing: threading.Event = field(default_factory=threading.Event)
    filter: bytes = b""
    filtered: int = 403
    url: str = ""

    def __enter__(self) -> Self:
        receiver = self

        class Front(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.statuses.popleft() if receiver.statuses else 200
                receiver.bodies.append(body)
                status = receiver.filtered if receiver.filter and receiver.filter in body else status
                if status <= 0:
                    self.close_connection = True
                    receiver.closing.wait(30 * -status)
                    return
                if status < 400:
                    receiver.requests.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                if status in (429, 529):
                    self.send_header("Retry-After", "7")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/collect"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@dataclass
class Mailbox:
    """Speaks SMTP without TLS; `refuse` is what it says to MAIL FROM instead of 250, `refused` to a recipient,
    `bye` to QUIT. A mail that has `filter` hears `filtered`, or nothing more where that is empty."""

    mails: list[EmailMessage] = field(default_factory=list)
    refuse: str = ""
    bye: str = "221 bye"
    filter: bytes = b""
    filtered: str = "550 spam"
    refused: dict[str, str] = field(default_factory=dict)
    reached: list[str] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        mailbox = self

        class Front(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 mailbox")
                while line := self.rfile.readline():
                    verb = line[:4].upper().strip()
                    whom = line.partition(b"<")[2].partition(b">")[0].decode()
                    if verb == b"MAIL" and mailbox.refuse:
                        self._say(mailbox.refuse)
                    elif verb == b"RCPT" and whom in mailbox.refused:
                        self._say(mailbox.refused[whom])
                    elif verb == b"RCPT":
                        mailbox.reached.append(whom)
                        self._say("250 yes")
                    elif verb == b"DATA":
                        self._say("354 go on")
                        lines = []
                        while (text := self.rfile.readline()) not in (b".\r\n", b""):
                            lines.append(text.removeprefix(b"."))
                        if mailbox.filter and mailbox.filter in b"".join(lines):
                            if not mailbox.filtered:
                                return
                            self._say(mailbox.filtered)
                            continue
                        mailbox.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))  # type: ignore[arg-type]
                        self._say("250 kept")
                    elif verb == b"QUIT":
                        self._say(mailbox.bye)
                        return
                    else:
                        self._say("250 yes")

            def _say(self, text: str) -> None:
                self.wfile.write(text.encode() + b"\r\n")

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Front)
        self._server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@dataclass
class Dripping:
    """Says `answer` to whoever connects, one byte each hundredth of a second, and hears whatever it is told."""

    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + b"X-Pad: yes\r\n" * 40 + b"\r\n{}"
    port: int = 0

    def __enter__(self) -> Self:
        dripping = self

        class Front(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):  # who asked has left
                    for byte in dripping.answer:
                        self.request.sendall(bytes([byte]))
                        time.sleep(0.01)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Front)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
