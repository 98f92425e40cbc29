"""Tokens that are refused, and what is logged: once each, and no secret."""

import errno
import logging
import ssl
from pathlib import Path

import pytest
from until import until

from guardian.gateway.trouble import reason


def of_openssl(error: ssl.SSLError, **words: str) -> ssl.SSLError:
    for name, said in words.items():
        setattr(error, name, said)
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            of_openssl(
                ssl.SSLCertVerificationError(1, "secret"),
                reason="CERTIFICATE_VERIFY_FAILED",
                verify_message="certificate has expired",
            ),
            "SSLCertVerificationError certificate has expired",
        ),
        (of_openssl(ssl.SSLError(1, "secret"), reason="WRONG_VERSION_NUMBER"), "SSLError WRONG_VERSION_NUMBER"),
        (ssl.SSLError("secret"), "SSLError"),
        (OSError(errno.EMFILE, "Too many open files", "/a/secret"), "OSError EMFILE"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "secret"), "ConnectionRefusedError ECONNREFUSED"),
        (OSError("secret"), "OSError"),
        (OSError(99_999, "secret"), "OSError"),
        (ValueError("secret"), "ValueError"),
    ],
)
def test_what_the_system_refuses_is_named_and_nothing_is_quoted(error, said) -> None:
    assert reason(error) == said


def test_a_refused_token_is_said_once_without_the_token(ledger, follow, caplog) -> None:
    follow(token="wrong-secret-token", max_stale_s=0.3)  # so that it is not long until the next try
    ledger.wait_requests(4)
    said = [record.getMessage() for record in caplog.records if record.name == "guardian.gateway"]
    assert len(said) == 1
    assert "http_401" in said[0]
    assert "wrong-secret-token" not in caplog.text


def test_a_token_that_no_header_can_carry_is_never_logged(ledger, follow, caplog) -> None:
    revoked = follow(token="secret\nX-Evil: 1")
    until(lambda: "token_unusable" in caplog.text)
    assert "token_unusable" in revoked.state().last_error
    assert "secret" not in caplog.text
    assert ledger.requests == []


def test_a_token_may_be_the_content_of_its_file(follow, tmp_path: Path) -> None:
    file = tmp_path / "gateway.token"
    file.write_text("token-of-the-gateway\n")  # as `guardian init` writes it
    assert follow(token=file.read_text).wait_ready(10)


def test_a_renewed_token_is_used_as_soon_as_it_is_there(ledger, follow) -> None:
    tokens = ["expired"]
    revoked = follow(token=lambda: tokens[-1])
    until(lambda: "http_401" in revoked.state().last_error)
    tokens.append("token-of-the-gateway")
    assert revoked.wait_ready(10)


def test_trouble_is_said_again_after_a_recovery(ledger, follow, caplog) -> None:
    caplog.set_level(logging.INFO)
    revoked = follow()
    assert revoked.wait_ready(10)
    for _ in range(2):
        ledger.break_everything(lambda *_: (503, {}, b""))
        until(lambda: "http_503" in revoked.state().last_error)
        ledger.break_everything(None)
        until(lambda: revoked.state().last_error == "")
    said = [record.getMessage() for record in caplog.records if record.name == "guardian.gateway"]
    assert [("503" in line, "fresh again" in line) for line in said] == [(True, False), (False, True)] * 2
