"""The control API's socket."""

import socket

import pytest

from guardian.bootstrap.listening import listen
from guardian.errors import ConfigurationError


def test_asyncio_is_told_that_this_is_tcp_so_that_no_answer_waits_for_an_acknowledgement():
    """asyncio turns Nagle's algorithm off only for sockets whose protocol is named; accepted ones inherit it."""
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert (listener.proto, accepted.proto) == (socket.IPPROTO_TCP, socket.IPPROTO_TCP)


def test_a_port_that_is_taken_is_said_with_a_way_out():
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}.*choose another port"):
            listen("127.0.0.1", port)
