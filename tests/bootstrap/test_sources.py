"""What the settings say of the log, as its reader has it."""

from guardian.bootstrap.sources import completion_of
from guardian.config import load


def test_what_control_plants_on_the_log_of_one_gateway_is_read():
    test = {"tenant": "acme", "gateway": "self-test"}
    settings = load(
        None, overrides={"source": {"format": "mcp", "gateway": "edge-1"}, "revocation": {"self_test": test}}
    )
    made = completion_of(settings)
    assert (made.gateway, made.planted) == ("edge-1", frozenset({"self-test"}))
    assert completion_of(load(None)).planted == frozenset()
