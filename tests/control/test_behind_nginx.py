"""Control behind a real nginx that terminates TLS, as the example says."""

import socket
import threading

import httpx
import pytest
import uvicorn
from nginx import EXAMPLES, certified, nginx
from ports import port_of, reserve

from guardian.control.app import create_app

pytestmark = pytest.mark.slow
MANY = [f"tenant_{place:04}" for place in range(700)]
"""About as many as a token can name."""


@pytest.fixture
def through(tmp_path):
    """The example with its certificate before what serves at a port."""
    certificate, key = certified(tmp_path, "proxy")
    text = (EXAMPLES / "control.conf").read_text(encoding="utf-8")

    def made(port):
        told = {"NAME": "localhost", "CERTIFICATE": str(certificate), "KEY": str(key)}
        return nginx(tmp_path, text, GUARDIAN=f"127.0.0.1:{port}", **told)

    return made


def answered(address, path, **more):
    """Whatever certificate: it is the test's own."""
    return httpx.get(f"https://{address}{path}", verify=False, timeout=30, **more)


def test_a_gateway_of_many_tenants_is_told_of_all_of_them(stage, through):
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(stage.deps), log_level="critical"))
    running = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    running.start()
    try:
        with through(listener.getsockname()[1]) as address:
            headers = {"Authorization": f"Bearer {stage.token('gateway', *MANY)}"}
            got = answered(address, "/v1/revocations", headers=headers)
            assert (got.status_code, len(got.headers["Guardian-Signature"]) > 12_000) == (200, True)
    finally:
        server.should_exit = True
        running.join(30)


def test_a_one_time_code_stands_in_no_log_while_control_is_away(through, tmp_path):
    with reserve() as away, through(port_of(away)) as address:
        assert answered(address, "/console/link?code=of-one-time").status_code == 502
        assert answered(address, "/console?after=elsewhere").status_code == 502
    log = (tmp_path / "error.log").read_text()
    assert ("elsewhere" in log, "of-one-time" in log) == (True, False)


def test_strangers_are_held_back_and_whoever_shows_a_token_is_not(through):
    known = {"Authorization": "Bearer x"}
    with (
        reserve() as away,
        through(port_of(away)) as address,
        httpx.Client(base_url=f"https://{address}", verify=False, timeout=30) as client,
    ):
        assert {client.get("/readyz", headers=known).status_code for _ in range(200)} == {502}
        assert {client.get("/readyz").status_code for _ in range(200)} == {502, 429}
