"""Declared purposes that leave open what is to be done, so that no call can be far from them.

Three kinds: a wildcard ("*", "use crm.*"), words that name no work ("general assistance"), and a purpose that
hands the choice over to somebody or something ("do everything on my list", "follow the instructions in the
ticket"). A purpose that narrows the choice again ("follow the steps to restart nginx"), or says much besides,
constrains something. Lexical and deterministic; English only.
"""

import re
from functools import lru_cache

from guardian.domain.text import word_set

_READ = 8192
_WORDS_BESIDES = 12
"""With more telling words than these beside a star, or beside what hands the choice over, it says what to do."""
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")
_CLAUSE = re.compile(r"[.!?;:](?=\s)|\n")

_ITEM = re.compile(r"^[ \t]*\*[ \t]+(?=\**[^\s*])", re.MULTILINE)
_STRESS = re.compile(
    r"(?<![\w*.:/=-])(\*{1,3})(?=[^\W_])[^*\n]*(?:(?<=[^\W_]|[)!?])|(?<=[.:])(?=\*\*))\1(?![\w*/-]|\.\S)"
)
"""How prose is marked up with stars: an item of a list, and a stressed word or some."""
_PRODUCT = re.compile(r"(?<=[\d)])\s*\*{1,2}\s*(?=[\d(])")
"""A star between numbers: arithmetic."""

_TELLING_NOTHING = word_set(
    "a agent all an and any are as assist assistance assistant at automation be by can default for from general"
    " has have help i in into is it its me misc miscellaneous my none of on or other our please purpose so task"
    " tasks test that the their them then things this to todo unknown use user users various was we were will with"
    " work you your"
)
_VERB = (
    r"(?:act (?:on|upon)|attend to|carry out|deal with|do(?:ing)?|execute|finish|follow|go (?:down|through)|handle"
    r"|implement|obey|perform|process|run through|see to|sort out|tackle|take care of|tick off"
    r"|work (?:down|off|on|through))"
)
_ENDS = r"(?:clear|complete)"
"""These may also say how a thing is: "a complete list"."""
_WHOSE = (
    r"(?:(?:all|any|customer|daily|due|each|every|her|his|its|my|of|open|our|pending|remaining|s|the|their|these"
    r"|those|today s|user|your|\w+ s) ){%s,4}"
)
_TASKS = (
    r"(?:action items?|actions|chores|directions|errands|instructions?|playbook|procedures?|protocol|runbook|steps"
    r"|tasks?|to dos|todos)"
)
_LIST = r"(?:checklist|list|notes?|points|task list|things|to ?do(?: list)?|wishes)"
_ASKED = (
    r"(?:appropriate|asked|asks?|described|instructed|listed|necessary|needed|requested|required|said|says?|tells?"
    r"|told|wants?|writes?|wrote)"
)
_WHOM = r"(?: (?:her|him|me|them|us|customers?|people|the \w+|users?))?(?: with)?"
_HANDS_OVER = re.compile(
    "|".join(
        (
            rf"\b(?:{_VERB}|{_ENDS}|run) {_WHOSE % 0}{_TASKS}\b",
            rf"(?<!\bto )\b(?:{_VERB} {_WHOSE % 0}|{_ENDS} {_WHOSE % 1}){_LIST}\b",
            rf"\b(?:{_VERB}|{_ENDS}|accomplish|assist|help){_WHOM} (?:anything|everything|whatever"
            r"|any (?:job|question|request|task|thing)s?|all (?:the )?(?:jobs|requests?|tasks|work))\b",
            rf"\b(?:do|perform|execute) (?:as|what(?:ever)?) (?:\w+ ){{0,5}}{_ASKED}\b",
            rf"\bwhatever (?:it takes|is {_ASKED}|you (?:like|see fit|think best|want))\b",
            rf"^(?:as {_ASKED}|anything|everything|whatever"
            r"|any (?:action|job|purpose|request|task|thing|work)s?)(?: please)?$",
        )
    )
)
_NARROWED = re.compile(
    r" (?:about|(?:in order to|so as to|for|of|to) (?!(?:a|all|an|at|by|day|do|document|each|every\w*|file|from"
    r"|her|him|his|in|it|list|me|meeting|my|note|now|on|our|runbook|sheet|that|the|their|them|this|ticket|today"
    r"|tomorrow|tonight|us|you|your|\w+day|\d+)\b)) ?\w"
)
"""What narrows the choice again: "the steps to restart nginx", "the tasks about the move"."""


@lru_cache(maxsize=1_024)
def open_ended(purpose: str) -> bool:
    """Whether a purpose constrains nothing. One that is empty declares nothing, which is another matter: False.

    >>> [open_ended(said) for said in ("do everything on my list", "*", "assistUser", "review_customer_contract")]
    [True, True, True, False]
    """
    read = purpose[:_READ].replace("\\n", "\n")
    telling = _telling(_said(read))
    if not telling or (_wild(read) and len(telling) <= _WORDS_BESIDES):
        return bool(read.strip())
    return any(_hands_over(_said(clause), telling) for clause in _CLAUSE.split(read))


def _said(text: str) -> str:
    return " ".join(_WORD.findall(_CAMEL.sub(" ", text).lower()))


def _telling(said: str) -> frozenset[str]:
    return frozenset(said.split()) - _TELLING_NOTHING


def _hands_over(clause: str, telling: frozenset[str]) -> bool:
    return any(
        len(telling - _telling(found.group())) <= _WORDS_BESIDES and not _NARROWED.match(clause, found.end())
        for found in _HANDS_OVER.finditer(clause)
    )


def _wild(purpose: str) -> bool:
    """Whether it holds a star that neither marks up prose nor multiplies.

    >>> [_wild(said) for said in ("crm.*", "use `crm.*`, and erp", "* review **this** contract", "add 2 * 3")]
    [True, True, False, False]
    """
    if "*" not in purpose:
        return False
    return len(purpose.split()) == 1 or "*" in _PRODUCT.sub("", _STRESS.sub("", _ITEM.sub("", purpose)))
