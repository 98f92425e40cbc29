import pytest

from guardian.errors import ConfigurationError
from guardian.sources.tool_names import PATTERNS, ToolNames


@pytest.mark.parametrize(
    ("tool", "server", "name"),
    [
        ("mcp__crm__read", None, "crm.read"),
        ("mcp__crm__read__all", None, "crm.read__all"),
        ("crm/read", None, "crm.read"),
        ("read", "crm", "crm.read"),
        ("crm.read", "erp", "crm.read"),
        ("read", None, "read"),
        ("https://x.example/read", None, "https://x.example/read"),
        ("mcp__crm__*", None, "crm.*"),
    ],
)
def test_server_prefixes_are_brought_into_one_spelling(tool, server, name):
    assert ToolNames().of(tool, server=server) == name


def test_configuration_overrides_the_rule():
    bare = ToolNames(name="{tool}", aliases={"get_customer": "crm.read", "wipe": "crm.delete"})
    assert bare.of("mcp__crm__read") == "read"
    assert bare.of("get_customer") == "crm.read"
    assert bare.of("mcp__crm__wipe") == "crm.delete"
    underscored = ToolNames(patterns=(r"(?P<server>[a-z]+)_(?P<tool>.+)",))
    assert underscored.of("crm_read_all") == "crm.read_all"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"patterns": ("(",)}, "source.tools.patterns"),
        ({"patterns": ("(?P<server>.+)",)}, "must name both groups"),
        ({"name": "{server}"}, "must hold {tool}"),
        ({"name": "{tool.__class__}"}, "must hold {tool}"),
        ({"name": "{tool}{agent}"}, "no other braces"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_at_start(options, reason):
    with pytest.raises(ConfigurationError) as caught:
        ToolNames(**options)
    assert reason in str(caught.value)


@pytest.mark.parametrize("patterns", [PATTERNS, (r"mcp__(?P<server>.+?)__(?P<tool>.+)",)])
def test_no_name_takes_long(patterns):
    """A time that grew with the square of the length would end no test run."""
    name = "mcp__" + "a__" * 300_000 + "\n"
    assert ToolNames(patterns).of(name) == name


def test_many_names_of_an_envelope_take_no_longer_than_their_length():
    names = ["mcp__" + "a__" * 168 + "\n"] * 20_000
    assert {ToolNames().of(name) for name in names} == {"a." + "a__" * 167 + "\n"}


@pytest.mark.parametrize(
    ("tool", "server", "own"),
    [
        ("mcp__crm__read", None, "mcp__crm__read"),
        ("mcp__crm__read", "other", "mcp__crm__read"),
        ("crm.read", "erp", "crm.read"),
        ("read", None, "read"),
        ("read", "", "read"),
        ("read", "crm", None),
        ("read\n", None, None),
        ("\ud800", None, None),
        ("", None, None),
        ("a" * 513, None, None),
    ],
)
def test_the_log_has_one_name_for_a_tool_where_the_server_does_not_belong_to_it(tool, server, own):
    assert ToolNames().spelt(tool, server=server) == own


def test_where_the_server_is_left_out_its_name_does_not_belong_to_the_tools():
    assert ToolNames(name="{tool}").spelt("read", server="crm") == "read"
    assert ToolNames(aliases={"crm.read": "read"}).spelt("read", server="crm") is None
