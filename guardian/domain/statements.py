"""Database statements in arguments, as far as their words tell what they do. Pure, lexical, bounded.

An argument called `query` may as well hold a question in words, so a statement is known by its shape, and not by
a first word that a sentence may begin with ("Load data about churn", "Export data from last week").
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from guardian.domain.text import word_set

NAMES = word_set(
    "sql sqls query queries statement statements stmt sql_query sql_statement sql_statements sql_text "
    "query_statement query_string query_text statement_text"
)
"""What arguments are called that hold statements, also by Athena (`QueryString`), CloudTrail (`QueryStatement`),
Redshift (`Sqls`), Snowflake (`sqlText`) and Databricks (`query_text`)."""
SURELY = word_set("sql sqls stmt sql_query sql_statement sql_statements sql_text query_statement")
"""Those that hold nothing else."""
CHARS = 100_000
"""What is read of a text."""
_EXECUTED_MARK = re.compile(r"/\*m?!\d*|\*/")
"""Around what MySQL and MariaDB execute. Behind the other mark no statement begins: `/* Export by month */`."""
_LINE_COMMENT = re.compile(r"(?:--|#)[^\n]*")
_CHANGING = word_set("insert update delete drop alter truncate grant revoke copy merge")
_BUT_LOOKING = (
    r"(?! (?:[\w\[\]]{0,64}\.){0,3}\[?(?:u?sp_)?"
    r"(?:get|list|find|fetch|show|search|select|count|describe|help|columns|tables)(?!\w{0,64}_(?:and|or|then)_))"
)
"""Not before a procedure whose name says that it looks up."""
_CHANGE = re.compile(
    r"\b(?:(?:insert|merge|replace) (?:\w+ ){0,2}into|delete from|truncate table|do \$|call [\w.]+ ?\("
    r"|update (?:only )?\S{1,128} (?:as )?(?:\w{1,64} )?set \S{1,128} ?=|copy \S{1,128} (?:from|to) '"
    r"|mutation(?: \w{1,64})? ?(?:\{|\(\$)|into (?:out|dump)file"
    rf"|exec(?:ute)?(?: immediate| ?\( ?(?:@|n?')|{_BUT_LOOKING} (?:[\w.\[\]]{{0,128}}[sx]p_"
    r"|(?:[\w\[\]]{1,64}\.{1,2}){1,3}[\w\[\]]{1,64} (?:n?'|@\w)|[\w\[\]]{1,64} @\w{1,64} ?=))"
    r"|detach delete \w|upsert into \S|pg_(?:terminate|cancel)_backend ?\(|lo_export ?\("
    r"|(?:(?<!show )create|drop|alter)(?: or replace)? (?:external |materialized |unique |foreign )*"
    r"(?:table|view|index|database|schema|user|role|function))"
)
_BEGINS = re.compile(
    r"(?:backup (?:database|log|table) \S{1,128} (?:to (?:disk|url) ?=|into ['(])"
    r"|restore (?:database|log|table) \S{1,128} (?:from (?:disk|url) ?=|from '|with (?:no)?recovery)"
    r"|rename (?:table|database|schema) \S{1,128} to \S|reassign owned by \S"
    r"|load data (?:(?:local|low_priority|concurrent) )*in(?:file|path) ['\"]"
    r"|load data (?:into|overwrite) (?:table )?\S{1,128} from files ?\("
    r"|kill (?:query |connection |hard |soft )?'?\d+(?:,\d+)*'?$|put '?file:"
    r"|set password (?:for \S{1,128} ?)?= ?\S|create trigger \S{1,128} on \S{1,128} (?:after|for|instead) "
    r"|create (?:share|stage|login|trigger|proc(?:edure)?) \S{1,128} (?:with|from|url|before|after|instead|as)[ =]"
    r"|create (?:or replace )?proc(?:edure)? [\w.]{1,128} ?\(|create ?\(\w{0,64}(?::\w| ?\{|\) ?[-<])"
    r"|with [^ (]{1,128} (?:\([^)]{0,512}\) )?as ?\(.*\) (?:delete|update|insert) [\w\[\"]"
    rf"|exec(?:ute)?{_BUT_LOOKING} (?:[\w\[\]]{{0,64}}\.){{0,3}}[\w\[\]]{{1,64}} (?:@\w|n?'))"
)
"""How a statement that changes something begins, in any text."""
_LOOSELY = re.compile(
    r"(?:upsert|unload|export|import|backup|restore|rename|reassign|kill|call|load|put|deny|undrop|set password"
    rf"|exec(?:ute)?{_BUT_LOOKING}"
    r"|create(?! (?:or replace )?(?:local |global )?(?:temp|temporary|volatile)\b))\b"
)
"""The same where only a statement can be meant. A scratch table that ends with its connection changes nothing."""
_GRAPH = re.compile(
    r"(?:(?:explain|profile) )?"
    r"(?:(?:optional )?match ?(?:\w{1,64} ?= ?)?\(|unwind \S.{0,512}? as \w|call ?\{|with \S.*\bmatch ?\()"
)
_GRAPH_CHANGE = re.compile(
    r"\b(?:delete(?: \w| ?[(`])|set [\w`]{1,64}(?:[.:\[]\S| ?\+?=)|remove [\w`]{1,64}[.:]|(?:create|merge) ?\()"
)
_INTO_FILE = re.compile(
    r"\b(?:into (?:out|dump)file ['\"]|insert overwrite (?:local )?directory (?:['\"]|using\b)"
    r"|insert into (?:table )?function \w{1,64} ?\( ?'[a-z][a-z0-9+.-]{1,16}://"
    r"|external_location ?= ?'[^']{0,1024}'.{0,512}\) ?as ?\(? ?(?:select|with|table)\b)"
)
_COPIES = re.compile(r"\bto (?:program ?'|e?'[^' ]{0,512}[/\\.])")
_BACKS_UP = re.compile(r"\bto url ?=|\b(?:in)?to (?:\w{1,32} ?)?\(? ?'[a-z][a-z0-9+.-]{1,16}://")
_CARRIES = re.compile(
    r"(?:unload ?\( ?(?:'|\$|select\b|with\b|table\b)|unload to ['\"]|copy into (?:'|@)"
    r"|export data (?:with connection \S{1,128} )?(?:options ?\(|as ?\(|as (?:select|with)\b)"
    r"|export database (?:\S{1,128} to )?['\"]"
    r"|export into (?:csv|parquet) ['\"(]|export table \S{1,128} (?:partition ?\([^)]{0,256}\) )?to ['\"])"
)


def changes(text: str, *, surely: bool) -> bool:
    """Whether anything in the text changes something or carries data out. `surely`: it is a statement.

    >>> changes("SELECT 1; DROP TABLE t", surely=False), changes("how do I update my plan", surely=False)
    (True, False)
    """
    for told in _readings(text):
        if _CHANGE.search(told):
            return True
        for statement in _statements(told):
            if statement.split(" ", 1)[0] in _CHANGING or _BEGINS.match(statement) or _carries(statement):
                return True
            if (surely and _LOOSELY.match(statement)) or (
                _GRAPH.match(statement) and _GRAPH_CHANGE.search(statement)
            ):
                return True
    return False


def carries_out(text: str) -> bool:
    """Whether anything in the text hands data to another place: a bucket, a URL, a program, a file of the server.

    >>> carries_out("UNLOAD ('select * from t') TO 's3://b/'"), carries_out("COPY t FROM 's3://b/'")
    (True, False)
    """
    return any(_carries(statement) for told in _readings(text) for statement in _statements(told))


def _carries(statement: str) -> bool:
    into_file = _INTO_FILE.search(statement)
    copied = statement.startswith("copy ") and _COPIES.search(statement)
    backed_up = statement.startswith("backup ") and _BACKS_UP.search(statement)
    return bool(into_file or copied or backed_up or _CARRIES.match(statement))


@lru_cache(maxsize=16)
def _readings(text: str) -> tuple[str, ...]:
    """The text on one line in lower case, without comments and with their contents: databases differ in what a
    comment is, and a mark of one may stand in another (`-- /*`) or in a text."""
    lowered = text[:CHARS].lower()
    read = (
        _LINE_COMMENT.sub(" ", _without_comments(lowered)),
        _EXECUTED_MARK.sub(" ", _LINE_COMMENT.sub(" ", lowered)),
        _EXECUTED_MARK.sub(" ", lowered),
    )
    return tuple(dict.fromkeys(" ".join(each.split()) for each in read))


def _statements(told: str) -> Iterator[str]:
    return (statement for part in told.split(";") if (statement := part.lstrip(" (")))


def _without_comments(text: str) -> str:
    kept, at = [], 0
    while (start := text.find("/*", at)) >= 0 and (end := text.find("*/", start + 2)) >= 0:
        kept.append(text[at:start])
        at = end + 2
    return " ".join([*kept, text[at:]])
