"""By which names policies ask for a tool: those of the log, all of them, and never a guess."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from guardian.domain.restriction import Scope
from guardian.tightening.grants import Grant
from guardian.tightening.history import MOST_SPELLINGS, History
from guardian.tightening.scope_history import ScopeHistory
from guardian.tightening.spelling import Spellings, unasked
from guardian.tightening.trust import Trust
from guardian.tightening.usage import SessionUse

START = datetime(2026, 2, 2, 9, tzinfo=UTC)
TOOLS = ("crm.export", "crm.read")
MCP = ("mcp__crm__export", "mcp__crm__read")


@pytest.fixture
def spellings(call):
    """Of what these calls name; each is the facts that are told of it."""

    def made(*told, tools=TOOLS):
        calls = [call(**{"session_id": f"s{n}", "allowed_tools": TOOLS} | each) for n, each in enumerate(told)]
        history = History.learn(calls, trust=Trust(), split=START)
        return Spellings.of(tools, history)

    return made


def read(own, listed=MCP, **more):
    return {"tool": "crm.read", "tool_spelt": own, "allowed_tools_spelt": listed, **more}


def test_every_name_that_the_log_has_for_a_tool_is_asked_for(spellings):
    found = spellings(read("mcp__crm__read"), read("crm/read", session_id="s0"))
    assert found.own == {"crm.export": ("mcp__crm__export",), "crm.read": ("crm/read", "mcp__crm__read")}
    assert found.unsure == frozenset()


def test_names_that_are_the_same_in_the_log_need_no_other(spellings):
    assert spellings(read("crm.read", ())) == Spellings({}, frozenset())


def test_of_what_was_archived_earlier_guardians_name_stands_beside_the_known_ones(spellings):
    found = spellings(read(None, None), read("mcp__crm__read"))
    assert found.own == {
        "crm.export": ("crm.export", "mcp__crm__export"),
        "crm.read": ("crm.read", "mcp__crm__read"),
    }
    assert found.unsure == {"crm.export", "crm.read"}
    assert spellings(read(None, None)) == Spellings({}, frozenset(TOOLS))


def test_where_calls_are_spelt_otherwise_than_envelopes_these_do_not_tell_how_a_tool_would_be_called(spellings):
    """The log has the server's name beside the tool's, or another way with both: no envelope says which."""
    for own in (None, "crm/read"):
        found = spellings(read(own))
        assert "crm.export" in found.unsure
        assert found.own["crm.export"] == ("crm.export", "mcp__crm__export")


def test_what_an_agent_made_up_and_the_gateway_refused_is_no_spelling(spellings):
    found = spellings(read("mcp__crm__read"), read("crm__read", allowed=False))
    assert found.own["crm.read"] == ("mcp__crm__read",)


def test_more_spellings_than_any_gateway_has_are_not_all_kept_and_that_is_told(spellings):
    found = spellings(*(read(f"crm-{n:03}-read") for n in range(100)))
    assert len(found.own["crm.read"]) <= MOST_SPELLINGS + len(("crm.read", "mcp__crm__read"))
    assert {"crm.read"} <= {*found.own["crm.read"]} & found.unsure


def test_a_name_that_was_read_as_two_tools_refuses_neither_for_the_other(spellings):
    """The rule for names was changed within the window."""
    found = spellings(read("mcp__crm__read"), read("mcp__crm__read", tool="crm.export"))
    assert found == Spellings({"crm.export": ("crm.export", "mcp__crm__export")}, frozenset(TOOLS))
    other = spellings(read("crm.export"), tools=["crm.export"])
    assert other == Spellings({"crm.export": ("mcp__crm__export",)}, frozenset({"crm.export"}))


def test_two_templates_that_only_differ_in_spelling_are_two(call):
    scope = ScopeHistory()
    for own in (MCP, ("crm/export", "crm/read"), MCP):
        scope.note_grant(SessionUse.begin(call(allowed_tools=TOOLS, allowed_tools_spelt=own)), shows=True)
    first, second = scope.current()
    assert (first.own(TOOLS), second.own(["crm.read"])) == (["mcp__crm__export", "mcp__crm__read"], ["crm/read"])


def test_a_template_of_unknown_spelling_is_not_proposed_for_beside_the_same_one_that_is_known(call):
    scope = ScopeHistory()
    for own in (None, None, MCP):
        scope.note_grant(SessionUse.begin(call(allowed_tools=TOOLS, allowed_tools_spelt=own)), shows=True)
    assert [grant.spelt for grant in scope.current()] == [tuple(zip(MCP, TOOLS, strict=True))]
    scope.note_grant(SessionUse.begin(call(allowed_tools=("a",), at=START + timedelta(hours=1))), shows=True)
    assert [grant.spelt for grant in scope.current()] == [None, tuple(zip(MCP, TOOLS, strict=True))]


@pytest.mark.parametrize("own", [None, ("mcp__crm__read",), (*MCP, "x")])
def test_a_list_that_does_not_fit_its_envelope_is_no_spelling_of_it(call, own):
    grant = Grant.of(call(allowed_tools=TOOLS, allowed_tools_spelt=own))
    assert grant.spelt is None
    assert grant.own(TOOLS) == sorted(TOOLS)


def test_a_spelling_of_other_tools_than_the_templates_is_refused():
    with pytest.raises(ValueError, match="no other"):
        Grant(TOOLS, None, None, spelt=(("mcp__crm__read", "crm.read"),))
    assert replace(Grant(TOOLS, None, None), spelt=()).own(["crm.read"]) == ["crm.read"]


def test_a_name_that_also_stands_for_another_tool_need_not_be_asked_for():
    called = {"crm.read": {"mcp__crm__read", "crm", None}, "crm.export": {"crm"}, "mail.send": {"mail"}}
    own = {"crm.read": ("mcp__crm__read",), "crm.export": ("crm.export",), "never.called": ("never.called",)}
    assert unasked(own, called) == {}
    assert unasked({"crm.read": ("crm",), "mail.send": ()}, called) == {
        "crm.read": ["mcp__crm__read"], "mail.send": ["mail"],
    }  # fmt: skip


def test_scopes_share_what_gateways_call_a_tool(call):
    calls = [
        call(**read("mcp__crm__read"), allowed_tools=TOOLS),
        call(**read("crm/read"), allowed_tools=TOOLS, session_id="s2", role="other"),
    ]
    history = History.learn(calls, trust=Trust(), split=START)
    assert {scope.role for scope in history.scopes if isinstance(scope, Scope)} == {"agent_review", "other"}
    assert Spellings.of(["crm.read"], history).own["crm.read"] == ("crm/read", "mcp__crm__read")
