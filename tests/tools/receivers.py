"""Where other channels deliver to, for tests: an HTTP collector, a mail server, and one that takes its time."""

import socket
import socketserver
import threading
import time
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Self

from serving import Asked, Reply, answering, serving


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
        self._open = ExitStack()
        self.url = f"{self._open.enter_context(answering(self._answer)).url}/collect"
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._open.close()

    def _answer(self, asked: Asked) -> Reply | None:
        status = self.statuses.popleft() if self.statuses else 200
        self.bodies.append(asked.body)
        status = self.filtered if self.filter and self.filter in asked.body else status
        if status <= 0:
            self.closing.wait(30 * -status)
            return None
        if status < 400:
            self.requests.append(({k.lower(): v for k, v in asked.headers.items()}, asked.body))
        return Reply(status=status, headers=(("Retry-After", "7"),) if status in (429, 529) else ())


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
                    whom = line.partition(b"<")[2].partition(b">")[0].decode(errors="replace")
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

        server, self._open = Server(("127.0.0.1", 0), Front), ExitStack()
        server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = server.server_address[1]
        self._open.enter_context(serving(server))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


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

        server, self._open = Server(("127.0.0.1", 0), Front), ExitStack()
        self.port = server.server_address[1]
        self._open.enter_context(serving(server))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
