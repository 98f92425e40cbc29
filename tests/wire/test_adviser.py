"""Whatever keeps the adviser from being asked, the fall-back answers."""

from contextlib import closing

import httpx
import pytest
from structlog.testing import capture_logs

from guardian.errors import AdviserError, ConfigurationError
from guardian.wire.adviser import RemoteAdviser


def absent() -> str:
    raise ConfigurationError("keys/advice.token does not exist")


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (absent, "keys/advice.token does not exist"),
        (lambda: b"\xff".decode(), "it is no ASCII text"),
        (lambda: "caf\xe9", "it is no ASCII text"),
    ],
)
def test_a_token_that_cannot_be_read_is_no_answer_and_is_logged_with_the_reason(token, why):
    served = httpx.MockTransport(lambda _: httpx.Response(200))
    remote = RemoteAdviser("http://m", token, transport=served)
    with closing(remote), capture_logs() as lines:
        for _ in range(2):
            with pytest.raises(AdviserError, match=r"^the token for the adviser cannot be read$"):
                remote.weigh(b"{}", 1.0)
    assert [(each["event"], each["error"]) for each in lines] == [("advice_token_not_read", why)]
