"""One Socket Mode connection, server side: RFC 6455 as far as slack-sdk needs it."""

import base64
import contextlib
import hashlib
import json
import socket
import struct
import threading
from typing import Any

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


def accept_of(key: str) -> str:
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()


class Connection:
    """`serve` reads until the client leaves; `send` may be called from any thread. `acks` are envelope ids."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._lock = sock, threading.Lock()
        self.acks: list[str] = []
        self.heard = threading.Condition()

    def serve(self) -> None:
        self.send({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A0"}})
        while (frame := self._frame()) is not None:
            opcode, body = frame
            if opcode == _PING:
                self._write(_PONG, body)
            elif opcode == _TEXT:
                with self.heard:
                    self.acks.append(json.loads(body).get("envelope_id", ""))
                    self.heard.notify_all()
            elif opcode == _CLOSE:
                return

    def send(self, message: dict[str, Any]) -> None:
        self._write(_TEXT, json.dumps(message).encode())

    def wait_for_ack(self, envelope_id: str, timeout_s: float = 30.0) -> bool:
        with self.heard:
            return self.heard.wait_for(lambda: envelope_id in self.acks, timeout_s)

    def drop(self) -> None:
        """Break the connection, as networks do."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def _write(self, opcode: int, body: bytes) -> None:
        size = len(body)
        head = bytes([0x80 | opcode])
        head += bytes([size]) if size < 126 else struct.pack("!BH", 126, size)
        with self._lock:
            self._sock.sendall(head + body)

    def _frame(self) -> tuple[int, bytes] | None:
        head = self._read(2)
        if head is None:
            return None
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack("!H", self._read(2) or b"\0\0")[0]
        elif size == 127:
            size = struct.unpack("!Q", self._read(8) or b"\0" * 8)[0]
        mask, body = self._read(4) or b"\0" * 4, self._read(size) or b""
        return head[0] & 0x0F, bytes(b ^ mask[i % 4] for i, b in enumerate(body))

    def _read(self, size: int) -> bytes | None:
        found = b""
        while len(found) < size:
            try:
                more = self._sock.recv(size - len(found))
            except OSError:
                return None
            if not more:
                return None
            found += more
        return found
