"""The kind of act that a call is: its tool, and what a general one is told to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.embedding.operation import kind_of


@pytest.mark.parametrize(
    ("tool", "arguments", "kind"),
    [
        ("call_tool", {"name": "crm.export", "arguments": {}}, "call_tool crm.export"),
        ("call_tool", {"toolName": "mail__send", "tool_input": '{"to": "a@x"}'}, "call_tool mail__send"),
        ("use_mcp_tool", {"server_name": "crm", "tool_name": "export", "arguments": "{}"}, "use_mcp_tool export"),
        ("http.request", {"method": "GET", "url": "https://x.example"}, "http.request get"),
        ("http.request", {"method": "get", "url": "https://y.example"}, "http.request get"),
        ("jira", {"action": "add_user", "user": "mallory"}, "jira add_user"),
        ("db.execute", {"sql": " (select 1)"}, "db.execute select"),
        ("db.query", {"query": "DROP TABLE t"}, "db.query drop"),
        ("search", {"query": "show me the open invoices"}, "search"),
        ("bash", {"command": "rm -rf /srv"}, "bash"),
        ("create_user", {"name": "Ann"}, "create_user"),
        ("create_user", {"name": "Ann", "params": {"role": "staff"}}, "create_user"),
        ("states.start_execution", {"name": "order-5512", "input": "{}"}, "states.start_execution"),
        ("audit.log", {"action": "ticket.9921.viewed"}, "audit.log ticket.#.viewed"),
        ("audit.log", {"action": "Aé"}, "audit.log"),
        ("files.open", {"name": "report.pdf", "input": 3}, "files.open"),
        ("tickets.move", {"action": "to the archive, please"}, "tickets.move"),
        ("tickets.move", {"action": ["a", "b"]}, "tickets.move"),
        ("wrap", {"ticket": {"action": "delete"}}, "wrap"),
        ("contracts.read", None, "contracts.read"),
        ("call_tool", {"function": "x", "name": "crm.export", "arguments": {}}, "call_tool x crm.export"),
        ("http.request", {"http_method": "GET", "method": "POST"}, "http.request get post"),
        ("jira", {**{f"k{n}": n for n in range(99)}, "action": "delete"}, "jira delete"),
    ],
)
def test_a_kind_is_a_tool_and_the_operation_that_it_is_told(
    tool: str, arguments: dict[str, object], kind: str
) -> None:
    assert kind_of(tool, arguments) == kind


@given(
    st.text(max_size=20), st.dictionaries(st.sampled_from(["action", "name", "args", "sql"]), st.text(max_size=80))
)
def test_a_kind_adds_nothing_but_a_short_name(tool: str, arguments: dict[str, str]) -> None:
    kind = kind_of(tool, arguments)
    assert kind.startswith(tool)
    added = kind[len(tool) :]
    assert added.isascii()
    assert added.isprintable()
    assert len(added) <= 65


def test_many_names_make_a_short_kind_that_tells_each_of_them():
    said = {"action": "a" * 60, "method": "b" * 60}
    kinds = {kind_of("x", {**said, "operation": told}) for told in ("read", "send")}
    assert len(kinds) == 2
    assert {len(kind) for kind in kinds} == {66}
