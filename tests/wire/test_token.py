"""The token that a client shows, while somebody renews its file."""

import httpx
import pytest

from guardian.errors import ConfigurationError, ControlError
from guardian.keys.files import read_secret, write_secret
from guardian.wire.client import ControlClient


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"two words"])
def test_a_token_that_cannot_be_read_now_is_a_call_that_failed_and_a_good_one_is_picked_up(tmp_path, content):
    file, shown = tmp_path / "monitor.token", []

    def answer(request):
        shown.append(request.headers["Authorization"])
        return httpx.Response(204)

    write_secret(file, content or b"good", replace=True)
    if content is None:
        file.chmod(0o644)  # whoever renewed it forgot
        with pytest.raises(ConfigurationError):
            read_secret(file)
    with ControlClient(
        "http://control", lambda: read_secret(file).decode(), transport=httpx.MockTransport(answer)
    ) as client:
        with pytest.raises(ControlError) as refused:
            client.vitals("m", 0, leaving=False)
        assert refused.value.status == 0
        write_secret(file, b"renewed", replace=True)
        client.vitals("m", 0, leaving=False)
    assert shown == ["Bearer renewed"]
