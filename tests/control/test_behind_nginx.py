"""Control behind a real nginx that terminates TLS, as the example says."""

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import ip_network
from urllib.parse import quote

import httpx
import pytest
from nginx import EXAMPLES, certified, nginx
from ports import port_of, reserve
from serving import running

from guardian.control.app import create_app
from guardian.control.authentication.certificates import ClientCertificates, pem_thumbprint
from guardian.errors import ControlError
from guardian.wire.client import ControlClient

pytestmark = pytest.mark.slow
MANY = [f"tenant_{place:04}" for place in range(700)]
"""About as many as a token can name."""


@pytest.fixture
def through(tmp_path):
    """The example with its certificate before what serves at a port, and with some of it replaced."""
    certificate, key = certified(tmp_path, "proxy")
    text = (EXAMPLES / "control.conf").read_text(encoding="utf-8")

    def made(port, instead=None):
        site = text
        for old, new in (instead or {}).items():
            assert old in site
            site = site.replace(old, new)
        told = {"NAME": "localhost", "CERTIFICATE": str(certificate), "KEY": str(key)}
        return nginx(tmp_path, site, GUARDIAN=f"127.0.0.1:{port}", **told)

    return made


def answered(address, path, **more):
    """Whatever certificate: it is the test's own."""
    return httpx.get(f"https://{address}{path}", verify=False, timeout=30, **more)


def asking(address):
    return httpx.Client(base_url=f"https://{address}", verify=False, timeout=30)


def test_a_gateway_of_many_tenants_is_told_of_all_of_them(stage, through):
    with running(create_app(stage.deps)) as url, through(url.rpartition(":")[2]) as address:
        headers = {"Authorization": f"Bearer {stage.token('gateway', *MANY)}"}
        got = answered(address, "/v1/revocations", headers=headers)
        assert (got.status_code, len(got.headers["Guardian-Signature"]) > 12_000) == (200, True)


def test_the_monitor_shows_the_certificate_that_its_token_is_bound_to(make_stage, through, tmp_path, monkeypatch):
    certificate, key = certified(tmp_path, "monitor")
    required = ClientCertificates("X-Client-Cert", (ip_network("127.0.0.0/8"),), frozenset({"monitor"}))
    stage = make_stage(client_certificates=required)
    bound, life = pem_thumbprint(certificate.read_bytes()), timedelta(days=1)
    facts = {"role": "monitor", "tenants": ["acme"], "ttl": life, "now": stage.clock()}
    token = stage.deps.tokens.issue("watch", **facts, certificate=bound).text
    told = {"# ssl_": "ssl_", "# proxy_set_header": "proxy_set_header", "@CLIENTS@": str(certificate)}
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "proxy.pem"))
    with running(create_app(stage.deps)) as served, through(served.rpartition(":")[2], told) as address:
        url = f"https://localhost:{address.rpartition(':')[2]}"
        with ControlClient(url, lambda: token, certificate=(certificate, key)) as monitor:
            assert monitor.whoami().role == "monitor"
        with ControlClient(url, lambda: token) as thief, pytest.raises(ControlError) as refused:
            thief.whoami()
        assert refused.value.status == 401
        shown = {"Authorization": f"Bearer {token}", "X-Client-Cert": quote(certificate.read_bytes())}
        assert answered(address, "/v1/whoami", headers=shown).status_code == 401


def test_a_one_time_code_stands_in_no_log_while_control_is_away(through, tmp_path):
    with reserve() as away, through(port_of(away)) as address:
        assert answered(address, "/console/link?code=of-one-time").status_code == 502
        assert answered(address, "/console?after=elsewhere").status_code == 502
    log = (tmp_path / "error.log").read_text()
    assert ("elsewhere" in log, "of-one-time" in log) == (True, False)


KNOWN = {"Authorization": "Bearer x"}


def test_strangers_are_held_back_and_whoever_shows_a_token_is_not(through):
    fewer = {"rate=20r/s": "rate=1r/m"}  # however slowly this machine asks
    with reserve() as away, through(port_of(away), fewer) as address, asking(address) as client:
        assert {client.get("/readyz", headers=KNOWN).status_code for _ in range(60)} == {502}
        told = [client.get("/readyz").status_code for _ in range(45)]
        assert told == [502] * 41 + [429] * 4


def test_nobody_asks_for_ever_by_a_header_alone(through):
    fewer = {"rate=1000r/s": "rate=1r/m", "burst=2000": "burst=20"}
    with reserve() as away, through(port_of(away), fewer) as address, asking(address) as client:
        told = [client.get("/readyz", headers=KNOWN).status_code for _ in range(25)]
        assert told == [502] * 21 + [429] * 4


def test_nobody_holds_all_connections_by_a_header_alone(through):
    fewer = {"guardian_open_all 1000": "guardian_open_all 2"}
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        through(mute.getsockname()[1], fewer) as address,
        ThreadPoolExecutor(2) as others,
        asking(address) as client,
    ):
        held = [others.submit(answered, address, "/v1/revocations/stream", headers=KNOWN) for _ in range(2)]
        asked = [mute.accept()[0] for _ in held]
        assert client.get("/readyz", headers=KNOWN).status_code == 429
        for each in asked:
            each.close()
        assert [each.result().status_code for each in held] == [502, 502]
