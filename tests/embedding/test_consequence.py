"""What a call can do, whatever its arguments are spelt like."""

import pytest

from guardian.embedding.consequence import Consequence, consequence, of_tool


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE users",
        "/* */ DROP TABLE users",
        "DROP/**/TABLE users",
        "/*!50000 DROP*/ TABLE users",
        "DROP -- a\n TABLE users",
        "SELECT 5--1; DROP TABLE users",
        "SELECT 1; DELETE users",
        "SELECT " + "a, " * 300 + "b; DROP TABLE users",
        "(DELETE FROM users)",
        "WITH t AS (SELECT 1) DELETE FROM users",
        "WITH t AS (UPDATE ONLY users u SET role = 'admin' RETURNING *) SELECT * FROM t",
        "EXPLAIN ANALYZE INSERT INTO users VALUES (1)",
        "DO $$ BEGIN PERFORM f(); END $$",
        "SELECT * FROM users INTO OUTFILE '/tmp/users'",
        "EXEC xp_cmdshell 'dir'",
        "CREATE OR REPLACE VIEW users AS SELECT 1",
        "mutation { deleteUser(id: 1) { id } }",
        "mutation Delete($id: ID!) { deleteUser(id: $id) { id } }",
    ],
)
@pytest.mark.parametrize("name", ["sql", "Query", "sqlStatement"])
def test_a_statement_that_changes_something_is_an_act_wherever_it_begins(name: str, statement: str) -> None:
    assert consequence("db.query", {"options": {name: statement}}) is Consequence.ACT
    assert consequence("db.query", {"statements": ["SELECT 1"] * 100 + [statement]}) is Consequence.ACT


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT team, count(*) FROM tickets GROUP BY team;",
        "WITH t AS (SELECT 1) SELECT * FROM t -- nothing else",
        "renewal terms of Acme; the latest update",
        "how do I update my plan",
        "what the delete button does",
        "mutation of BRCA1 (hereditary)",
    ],
)
def test_a_question_is_a_look_up(statement: str) -> None:
    assert consequence("db.query", {"query": statement}) is Consequence.READ


def test_a_statement_longer_than_is_read_is_unknown() -> None:
    assert consequence("db.query", {"sql": "SELECT " + "a, " * 50_000 + "b"}) is Consequence.UNKNOWN


@pytest.mark.parametrize("hint", ["method", "Method", "http_method", "requestMethod", "HTTP-METHOD"])
def test_the_method_is_found_behind_any_number_of_other_arguments(hint: str) -> None:
    headers = {f"x-{n}": "a" for n in range(500)}
    assert consequence("http.get", {"headers": headers, "request": {hint: "Post"}}) is Consequence.ACT
    assert consequence("http.get", {"headers": headers, hint: ["GET", "DELETE"]}) is Consequence.ACT
    assert consequence("quote.get", {"payment_method": "card"}) is Consequence.READ


@pytest.mark.parametrize(
    ("tool", "kind"),
    [
        ("mailing_list.send_campaign", Consequence.ACT),
        ("customer_list.email", Consequence.ACT),
        ("contactList.purge", Consequence.ACT),
        ("wage_list_bulk_export", Consequence.ACT),
        ("mcp__azure_search__delete_index", Consequence.ACT),
        ("monitor/delete", Consequence.ACT),
        ("balance_transfer", Consequence.ACT),
        ("authorize_payment", Consequence.ACT),
        ("distribution_list.add_member", Consequence.WRITE),
        ("supplierBankDetailsEdit", Consequence.WRITE),
        ("authorize_security_group_ingress", Consequence.WRITE),
        ("find_and_replace", Consequence.WRITE),
        ("get_or_create_customer", Consequence.WRITE),
    ],
)
def test_what_is_done_to_a_list_is_no_look_up(tool: str, kind: Consequence) -> None:
    assert of_tool(tool) is kind


@pytest.mark.parametrize(
    "tool",
    [
        "list_export_jobs",
        "mcp__github__list_issues",
        "list.message",
        "view.comment",
        "search.email",
        "search_post",
        "view_bank_details_for_grant",
        "price_list.get",
        "access_log_list",
        "charge_list",
        "open_orders_list",
        "account_balance",
        "leave_balance",
        "list",
        "search.",
    ],
)
def test_a_look_up_stays_one_whatever_it_looks_up(tool: str) -> None:
    assert of_tool(tool) is Consequence.READ


def test_a_name_without_a_word_is_unknown() -> None:
    assert of_tool("...") is Consequence.UNKNOWN
