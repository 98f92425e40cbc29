"""Declared purposes that leave open what is to be done, so that no call can be far from them.

Three kinds: a wildcard ("*", "use crm.*"), words that name no work ("general assistance"), and a purpose that
hands the choice over to somebody or something ("do everything on my list", "follow the instructions in the
ticket"). A purpose that narrows the choice again ("follow the steps to restart nginx"), or says much besides,
constrains something. So does one whose task words belong to another noun ("the to-do list app"). Lexical and
deterministic; English only.
"""

import re
from functools import lru_cache

from guardian.domain.names import CAMEL
from guardian.domain.text import word_set

_READ = 8192
_WORDS_BESIDES = 12
"""With more telling words than these beside what hands the choice over, a purpose says what to do."""
_WORDS_BESIDE_A_STAR = 2
"""With more telling words than these beside its wildcards, a purpose names work: "grant crm.* to the new team"."""
_FILES = re.compile(
    r"\w/|/\w|\*\.(?!(?:add|all|call|edit|exec|find|get|list|pay|post|put|read|run|send|set|view|write)\b)"
    r"\w{1,5}[^\w*]*$"
)
"""A wildcard over files, not tools; one word besides says what is to be done with them: "lint src/**/*.ts"."""
_WORD = re.compile(r"[^\W_]+")
_COLON = re.compile(r"(?::| [-\u2013\u2014])(?=[ \t])")
_AND_ALL = re.compile(r"(?:\b(?:and|or|then|plus)|[,;&+])[ \t]+\*+(?![^\s.,;])", re.IGNORECASE)
"""What is read as words: "task 9: mend it" as "task 9 about mend it", "and *" as "do everything"."""
_CLAUSE = re.compile(r"[.!?;,](?=\s)|\n")

_ITEM = re.compile(r"^[ \t]*\*[ \t]+(?=\**[^\s*])", re.MULTILINE)
_STRESS = re.compile(
    r"(?<![\w*.:/=-])(\*{1,3})(?=[^\W_])[^*\n]*(?:(?<=[^\W_]|[)!?])|(?<=[.:])(?=\*\*))\1(?![\w*/-]|\.\S)"
)
"""How prose is marked up with stars: an item of a list, and a stressed word or some."""
_PRODUCT = re.compile(r"(?<=[\d)])\s*\*{1,2}\s*(?=[\d(])")
"""A star between numbers: arithmetic."""

_TELLING_NOTHING = word_set(
    "a achieve act action actions activities ad agent ai all an and answer any anything are as asked assigned"
    " assist assistance assistant at attached automation autonomous available be behalf bot by can carry chat"
    " chatbot command commands complete copilot daily day default different digital directed discussed do does"
    " doing done duties everyday everything execute finish follow for from fulfil fulfill full general generic"
    " get given goal goals handle has have help helpful hoc i in incoming instructed instructions into is items"
    " job jobs just kinds me misc miscellaneous my n necessary need needed needs none null odd of on or other our"
    " out per perform personal please process purpose purposes random request requested requests required respond"
    " run s satisfy see serve so something steps stuff task tasks tbd test that the their them then thing things"
    " this to todo todos tool tools unknown unspecified use user users various virtual want wants was we were"
    " what whatever will with work you your"
)
"""A purpose of these words only, in whatever order, names no work. Not here: "it", which is a department too."""

_VERB = (
    r"(?:act (?:on|upon)|attend to|carry out|deal with|do(?:ing)?|execute|finish|follow|go (?:down|through)|handle"
    r"|implement|obey|perform|process|run through|see to|sort out|tackle|take care of|tick off"
    r"|work (?:down|off|on|through))"
)
_WHOSE = (
    r"(?:(?:all|any|customer|daily|due|each|every|her|his|its|my|of|open|our|pending|remaining|s|the|their|these"
    r"|those|today s|user|your|\w+ s) ){%s,4}"
)
_TASKS = (
    r"(?:action items?|actions|chores|directions|errands|instructions?|plan|playbook|procedures?|protocol|runbook"
    r"|steps|tasks?|to dos|todos)"
)
_LIST = r"(?:checklist|list|notes?|points|task list|stuff|things|to ?do(?: list)?+|wishes)"
_ASKED = (
    r"(?:appropriate|asked|asks?|described|instructed|listed|necessary|needed|requested|required|said|says?|tells?"
    r"|told|wants?|writes?|wrote)"
)
_GOES_ON = (
    r"(?:above|after|again|and|as|asap|at|before|below|by|come|during|first|for|from|given|here|i|if|in|into|left|me"
    r"|now|of|on|or|please|sent|so|thanks?|that|then|there|they|this|to|today|tomorrow|tonight|until|via|we|when"
    r"|which|with|within|you|\w+(?:day|ed|ly)"
    rf"|(?:\w+ ){{1,2}}(?:{_ASKED}|gave|has|left|made|sent|\w+ed))"
)
"""How a sentence goes on behind "the tasks": where, when, how, or whose wish they are ("Anna left")."""
_NO_NOUN = rf"(?! (?!{_GOES_ON}\b)[^\W\d_])"
"""Anything else makes it another thing, or says which one: "the to-do list app", "runbook disk-full"."""
_WHOM = r"(?: (?:her|him|me|them|us|customers?|people|the \w+|users?))?(?: with)?"
_HANDS_OVER = re.compile(
    "|".join(
        (
            rf"\b(?:{_VERB}|complete|run) {_WHOSE % 0}{_TASKS}\b{_NO_NOUN}",
            rf"(?<!\bto )\b(?:{_VERB} {_WHOSE % 0}|complete {_WHOSE % 1}){_LIST}\b{_NO_NOUN}",
            rf"(?<!\bhave to )(?<!\bneed to )(?<!\b(?:he|we) )(?<!\bthey )"  # "do we have to do anything?"
            rf"\b(?:{_VERB}|accomplish|assist|complete|help){_WHOM} (?:anything|everything|whatever"
            r"|(?:any (?:job|question|request|task|thing)s?|all (?:the )?(?:jobs|requests?|tasks))\b"
            rf"{_NO_NOUN})\b",
            rf"\b(?:do|perform|execute) (?:as|what(?:ever)?) (?!many|much)(?:\w+ ){{0,5}}{_ASKED}\b",
            rf"\bwhatever (?:it takes|is {_ASKED}|you (?:like|see fit|think best|want))\b",
        )
    )
)
_WHOSE_OR_WHEN = (
    r"(?:a|all|an|at|boss|by|clients?|customers?|day|do|document|each|every\w*|file|from|get|her|him|his|in|it|list|me|meeting|my"
    r"|note|now|on|our|runbook|sheet|team|that|the|their|them|they|this|ticket|today|tomorrow|tonight|us|users?|week"
    r"|you|your|(?:mon|tues|wednes|thurs|fri|satur|sun)day|\d+)"
)
_NARROWED = re.compile(
    r"(?: (?:\w+ )?\d+(?= about\b))?(?: (?:is|it|necessary|needed|related|required|takes))*"
    r" (?:about|concerning|into|regarding|to do with"
    r"|(?:in order to|so as to|of|to|(?:for|when)(?: (?:a|an|her|his|my|our|the|their|your))?)"
    rf" (?!{_WHOSE_OR_WHEN}\b)) ?\w"
)
"""What narrows the choice again: "the steps to restart nginx", "everything needed for the move", "task 9: migrate
the login" (`_COLON`). Whose the tasks are, or for when, narrows nothing."""


@lru_cache(maxsize=1_024)
def open_ended(purpose: str) -> bool:
    """Whether a purpose constrains nothing. One that is empty declares nothing, which is another matter: False.

    >>> [open_ended(said) for said in ("do everything on my list", "*", "assistUser", "review_customer_contract")]
    [True, True, True, False]
    """
    read = purpose[:_READ].replace("\\n", "\n")
    telling = _telling(_said(read))
    if not telling:
        return bool(read.strip())
    if (wild := _wild(read)) and len(telling - _telling(_said(wild))) <= _besides(wild):
        return True
    clauses = _CLAUSE.split(_AND_ALL.sub("; do everything", _COLON.sub(" about ", read)))
    return any(_hands_over(_said(clause), telling) for clause in clauses)


def _said(text: str) -> str:
    return " ".join(_WORD.findall(CAMEL.sub(" ", text).lower()))


def _telling(said: str) -> frozenset[str]:
    return frozenset(said.split()) - _TELLING_NOTHING


def _hands_over(clause: str, telling: frozenset[str]) -> bool:
    return any(
        len(telling - _telling(found.group())) <= _WORDS_BESIDES and not _NARROWED.match(clause, found.end())
        for found in _HANDS_OVER.finditer(clause)
    )


def _besides(wild: str) -> int:
    return 0 if all(map(_FILES.search, wild.split())) else _WORDS_BESIDE_A_STAR


def _wild(purpose: str) -> str:
    """Its wildcards: the words with a star that neither marks up prose nor multiplies.

    >>> [_wild(said) for said in ("crm.*", "use `crm.*`, and erp", "* review **this** contract", "add 2 * 3")]
    ['crm.*', '`crm.*`,', '', '']
    """
    if "*" not in purpose:
        return ""
    words = purpose.split()
    plain = words if len(words) == 1 else _PRODUCT.sub("", _STRESS.sub("", _ITEM.sub("", purpose))).split()
    return " ".join(word for word in plain if "*" in word)
