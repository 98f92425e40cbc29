"""Tokens bound to a client certificate, as a proxy in front tells it."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from guardian.control.authentication.certificates import (
    ClientCertificates,
    certificate_thumbprint,
    pem_thumbprint,
    thumbprint,
)

HEADER = "X-Client-Certificate"
HERE = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def _certificate(name):
    key = ed25519.Ed25519PrivateKey.generate()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=3650))
        .sign(key, None)
    )


@pytest.fixture(scope="module")
def certificate():
    return _certificate("monitor")


@pytest.fixture
def forms(certificate):
    """The same certificate as each kind of proxy writes it."""
    der = certificate.public_bytes(Encoding.DER)
    digest = hashlib.sha256(der).hexdigest()
    return {
        "hex": digest,
        "colons": ":".join(digest[i : i + 2] for i in range(0, 64, 2)).upper(),
        "envoy": f'By=spiffe://a/b;Hash={digest};Subject="CN=monitor";URI=spiffe://c',
        "rfc9440": f":{base64.b64encode(der).decode()}:",
        "pem": quote(certificate.public_bytes(Encoding.PEM)),
    }


@pytest.mark.parametrize("form", ["hex", "colons", "envoy", "rfc9440", "pem"])
def test_every_proxy_s_form_names_the_same_certificate(certificate, forms, form):
    assert thumbprint(forms[form]) == certificate_thumbprint(certificate)
    assert pem_thumbprint(certificate.public_bytes(Encoding.PEM)) == certificate_thumbprint(certificate)
    assert certificate.fingerprint(hashes.SHA256()) == base64.urlsafe_b64decode(thumbprint(forms[form]) + "=")


@pytest.mark.parametrize(
    "text", ["", " ", "abc", "::", ":!!!:", "Hash=12", "-----BEGIN%20CERTIFICATE-----", "f" * 20_000]
)
def test_a_header_that_speaks_of_no_certificate_names_none(text):
    assert thumbprint(text) is None


def test_what_a_client_slipped_into_envoy_s_header_does_not_count(forms):
    forged = f"Hash={'0' * 64},{forms['envoy']}"
    assert thumbprint(forged) == thumbprint(forms["envoy"])


REAL, VICTIM = "a" * 64, "b" * 64


def test_a_subject_with_commas_and_semicolons_is_one_value():
    for subject in ("CN=svc,O=Acme", f"O=x,;Hash={VICTIM};CN=evil", f'O=\\",;Hash={VICTIM};CN=\\"evil'):
        assert thumbprint(f'By=spiffe://x;Hash={REAL};Subject="{subject}"') == thumbprint(REAL)


@pytest.mark.parametrize(
    "told",
    [
        f"Hash={REAL};Hash={VICTIM}",
        f"Hash={REAL};hash={REAL}",
        f'Hash={REAL};Subject="never closed;Hash={VICTIM}',
        f'Hash={REAL};Subject="a\\";Hash={VICTIM}',
        f"Hash={VICTIM},By=spiffe://x",
        f'Subject="Hash={VICTIM}"',
        f"Hash={VICTIM},",
    ],
)
def test_an_element_that_does_not_name_one_hash_names_no_certificate(told):
    assert thumbprint(told) is None


def test_a_certificate_that_is_only_quoted_is_not_the_one_shown(forms):
    assert thumbprint(f'Cert="{forms["pem"]}",By=spiffe://x;Subject="CN=evil"') is None


_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
_HOSTILE = st.lists(st.sampled_from(['"', "\\", ",", ";", "=", "Hash", f"Hash={VICTIM}", "x"]), max_size=12)


@given(
    told=st.lists(st.tuples(st.sampled_from(["Subject", "URI", "DNS"]), _TEXT | _HOSTILE.map("".join)), max_size=4)
)
def test_whatever_a_certificate_says_of_itself_the_hash_is_the_proxy_s(told):
    pairs = [f"Hash={REAL}"]
    for name, value in told:
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        pairs.append(f'{name}="{quoted}"')
    for order in (pairs, pairs[::-1]):
        assert thumbprint(";".join(order)) == thumbprint(REAL)
        assert thumbprint(f"By=x;Hash={VICTIM}," + ";".join(order)) == thumbprint(REAL)


class _Bound:
    """A deployment, a token bound to a certificate, and the call that shows whether it is believed."""

    def __init__(self, stage, bound):
        self.stage = stage
        self.text = stage.deps.tokens.issue(
            "ann", role="analyst", tenants=["acme"], ttl=timedelta(days=1), now=stage.clock(), certificate=bound
        ).text

    def status(self, *headers):
        told = [("Authorization", f"Bearer {self.text}"), *((HEADER, value) for value in headers)]
        return self.stage.client.get("/v1/whoami", headers=told).status_code


@pytest.fixture
def checked(make_stage, monkeypatch):
    def make(bound, *, proxies=HERE, required=frozenset()):
        stage = make_stage(client_certificates=ClientCertificates(HEADER, proxies, required))
        stage.client._transport.client = ("127.0.0.1", 50_000)  # the peer that the test client claims to be
        return _Bound(stage, bound)

    return make


def test_a_bound_token_is_believed_with_its_certificate_only(checked, certificate, forms):
    caller = checked(certificate_thumbprint(certificate))
    assert caller.status(forms["hex"]) == 200
    assert caller.status(forms["pem"]) == 200
    assert caller.status() == 401
    assert caller.status(thumbprint_of_other()) == 401
    assert caller.status(forms["hex"], forms["hex"]) == 401, "two headers: one of them is somebody else's"


def thumbprint_of_other():
    return hashlib.sha256(_certificate("other").public_bytes(Encoding.DER)).hexdigest()


def test_the_header_counts_only_from_a_trusted_proxy(checked, certificate, forms):
    caller = checked(certificate_thumbprint(certificate), proxies=(ip_network("10.0.0.0/8"),))
    assert caller.status(forms["hex"]) == 401


@pytest.mark.parametrize("proxies", [HERE, (ip_network("::ffff:127.0.0.0/104"),)], ids=str)
def test_a_proxy_that_comes_over_ipv4_to_a_socket_of_both_families_is_the_same(
    checked, certificate, forms, proxies
):
    caller = checked(certificate_thumbprint(certificate), proxies=proxies)
    for peer, status in (("::ffff:127.0.0.1", 200), ("::ffff:10.0.0.1", 401), ("::2", 401)):
        caller.stage.client._transport.client = (peer, 50_000)
        assert caller.status(forms["hex"]) == status


def test_the_log_says_why_a_certificate_does_not_count(checked, certificate, forms, capsys):
    caller = checked(certificate_thumbprint(certificate))
    for headers, why in (
        ([], "came 0 times"),
        ([forms["hex"]] * 2, "came 2 times"),
        ([thumbprint_of_other()], "tells of another"),
    ):
        assert caller.status(*headers) == 401
        assert why in capsys.readouterr().out
    elsewhere = checked(certificate_thumbprint(certificate), proxies=(ip_network("10.0.0.0/8"),))
    assert elsewhere.status(forms["hex"]) == 401
    assert "127.0.0.1 is none of the trusted_proxies" in capsys.readouterr().out


def test_a_flood_of_them_is_a_few_lines_that_say_whose_token_it_was(checked, certificate, forms):
    caller = checked(certificate_thumbprint(certificate))
    with capture_logs() as lines:
        assert {caller.status() for _ in range(20)} == {401}
    assert [(each["event"], each["code"], each["principal"]) for each in lines] == [
        ("token_refused", "certificate", "ann")
    ] * 5
    assert {each["why"] for each in lines} == {f"{HEADER} came 0 times"}


def test_a_role_that_must_be_bound_is_not_believed_without(checked):
    assert checked(None, required=frozenset({"analyst"})).status() == 401
    assert checked(None, required=frozenset({"monitor"})).status() == 200


def test_a_bound_token_is_refused_where_certificates_are_not_checked(stage, certificate, forms):
    caller = _Bound(stage, certificate_thumbprint(certificate))
    assert caller.status(forms["hex"]) == 401
    assert stage.deps.metrics.value("guardian_auth_failures_total", reason="certificate") == 1


def test_a_header_without_trusted_proxies_is_refused_at_start():
    with pytest.raises(ValueError, match="trusted_proxies"):
        ClientCertificates(HEADER, ())
    with pytest.raises(ValueError, match="no name of a header"):
        ClientCertificates("X Client", HERE)
