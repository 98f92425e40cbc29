"""What is amiss with the signing keys of a control that goes on: in /readyz, and told to people."""

from guardian.control.watchers.watching import watch
from guardian.keys.signing import SigningKeys


def ready(stage):
    return stage.client.get("/readyz").text


def severities(stage, topic):
    """Of the news about it, the newest first."""
    watch(stage.deps)
    found = stage.call("GET", "/v1/findings", "admin", "*", params={"kind": "control"}).json()["items"]
    news = [each["finding"] for each in found]
    return [each["severity"] for each in news if each["reasons"][0]["signal"] == topic]


def test_a_key_file_that_cannot_be_read_for_a_moment_stops_nothing_and_people_hear_of_it(stage):
    stage.deps.tokens.keys.path.chmod(0o640)
    assert stage.revocations().headers["Guardian-Signature"]
    assert stage.client.get("/.well-known/jwks.json").json()["keys"]
    assert ready(stage) == "not ready: the signing keys cannot be read\n"
    for _ in range(2):
        assert severities(stage, "signing_keys") == ["high"]
    stage.deps.tokens.keys.path.chmod(0o600)
    for _ in range(2):
        assert severities(stage, "signing_keys") == ["info", "high"]
    assert ready(stage) == ""


def test_a_control_whose_key_was_retired_elsewhere_signs_no_list_and_says_so(stage, tmp_path):
    """The tokens here are of the key before."""
    stage.token("gateway")
    stage.token("admin", "*")
    keys = stage.deps.tokens.keys
    before, retired = keys.current().signing.kid, keys.rotate()
    other = SigningKeys.create(tmp_path / "other.json")
    assert stage.revocations().headers["Guardian-Signature"]
    with stage.deps.store.write() as rows:
        rows.tokens.retire_key(retired, stage.clock())
    assert severities(stage, "retired_key") == ["high"]
    got = stage.revocations()
    assert (got.status_code, "Guardian-Signature" in got.headers) == (200, False)
    assert ready(stage) == "not ready: the key that signs is retired\n"
    assert [each["kid"] for each in stage.client.get("/.well-known/jwks.json").json()["keys"]] == [before]
    keys.path.write_bytes(other.path.read_bytes())
    stage._tokens.clear()
    assert severities(stage, "retired_key") == ["info", "high"]
    assert stage.revocations().headers["Guardian-Signature"]
    assert ready(stage) == ""
