"""What is done in a task, as its words say: whether it only looks, and which of its words are verbs.

Pure and lexical; English only: of a task in another language it can tell that it is.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from guardian.signals.words.reach import JOINING
from guardian.signals.words.wording import READING, singular, word_set, words

_CHARS = 8_192
LOOKING = READING | word_set(
    "review summarize summarise analyze analyse analysis assess assessment audit compare classify evaluate "
    "evaluation examine explore inspect investigate look monitor research scan study summary verify understand"
)
_OUTCOMES = word_set("count history list preview status study summary")
"""Of these, what comes of looking: "email_renewal_summary" asks for a mail, "email_log_review" for none."""
WORKING = word_set(
    "answer clean close fix follow handle help manage mend operate organise organize prepare process resolve "
    "restart run serve settle solve update work"
)
"""What more than looking is done in a task, in its first words or joined to them."""
MENDING = word_set("debug diagnose fix mend patch refactor repair troubleshoot")
"""What is named in a task that begins so it is about: "fix the email validation bug"."""
_BEFORE_VERBS = word_set("a an i is our please task the to we you your")
_SOON = word_set("afterwards auto automatically finally immediately just kindly later promptly simply")
"""What may stand between a verb and the word that leads it: "and kindly email me"."""
_POLITE = _SOON | word_set("can could i must need please should task then to we will would you")

BOTH = word_set(
    "answer archive backup broadcast comment contact copy download dump email export extract forward grant "
    "invite mail message migrate post reach release reply report save share sms sync text tweet upload"
)
THINGS = word_set(
    "access blog collaborator gist migration newsletter notification onboarding outreach permission reminder "
    "response"
)
"""Words that ask for something where a verb stands, and name a thing as often; and those that are no verbs."""
_MESSAGES = word_set("answer email mail message newsletter notification reminder reply report response sms text")
_ARTICLES = word_set("a an the")
_LEADING = JOINING | word_set("but by else must or otherwise per please should to via you")
_LEADING_ONE = word_set("as by in per via with")
"""Behind one of these stands a verb, or how something is told; of the second with "a": "in an email"."""
_NO_LEAD = BOTH | THINGS | word_set("change")
"""Before "to": no verb follows in "access to email"."""
_TAKEN = word_set(
    "a all an any each every everybody everyone her him his it its me my our that the their them these this "
    "those to us who whoever with"
)
"""Behind a verb: in "review emails, text messages" nothing is to be texted, in "review it, text them" it is."""
_DONE_WITH = word_set(
    "access applicant attendee author boss buyer candidate client colleague customer employee finding guest "
    "landlord manager member outcome owner parent patient people recipient reporter result reviewer staff student "
    "subscriber summary supplier team tenant total user vendor"
)
_DONE_HOW = word_set("as back if on once politely so when where")
"""Behind it, or a word on, in "list invoices, email customers"; and right behind it in "reply where needed"."""
_AND_SIGN = re.compile(r"(?<=\s)(?:[&+/]|[-=]?>|→)(?=\s)")
_END = re.compile(r"([.,;:!?)\n](?=\s|$)|(?<=\s)(?:\(|[-–—](?=\s)))")
_LISTED = (",", "(")
_HYPHEN = re.compile(r"(?<=\be)-(?=mail)", re.IGNORECASE)

_ENGLISH = word_set(
    "about and are by every for from has have into of our that the their these this those to was were which with "
    "your"
)
_FOREIGN = word_set(
    "al alla alle allen aos aux avec av az bei bir cada com con dan dans das de dei del della delle dem den der "
    "des det di din dla dos du een ein eine einem einen einer el em et ett gli het ihre il ile im ja la las le "
    "les leur lo los mit na naar nach nel och og oraz os para pela pelo pentru por pour pro que ses su sul sur "
    "sus um uma un una und une untuk voor vom von y za zum zur"
)
"""Small words that tell the language; those of both are in neither."""
_SENDING_ABROAD = word_set(
    "anmahnen ao avisar benachrichtigen bitte enviar envie envoie envoyer informeren informiere informieren "
    "inviare kirim mailen mandar mandare rispondere schicke schicken schickt sende senden skicka stuur sturen "
    "transmettre verschicken versenden verzenden weiterleiten"
)
"""Of a short purpose the verb is all that does, and it may begin it."""
_WORD = re.compile(r"(?<![^\W_])(?<![.@/])[^\W_]+")
"""But for what follows the first of a domain or path: "com" and "de" are in those of any language."""


def only_looks(purpose: str) -> bool:
    """Whether a purpose is of looking at things only, so that no part of its work is to send them anywhere.

    >>> told = ("review_contract", "Contract review of Q3", "access_review_q4", "Check and fix", "Run audits")
    >>> [only_looks(each) for each in told]
    [True, True, True, False, False]
    """
    said = [singular(word) for word in words(purpose) if word not in _BEFORE_VERBS]
    while said and any(map(str.isdigit, said[-1])):
        said.pop()
    begun = {*said[:1], *(after for joint, after in pairwise(said) if joint in JOINING)}
    named = {*said[:1], *said[-1:], *(before for before, of in pairwise(said) if of == "of")}
    return not LOOKING.isdisjoint(named) and WORKING.isdisjoint(begun)


def is_about_things(purpose: str) -> bool:
    """Whether what a purpose names is what it looks at or mends, rather than what it makes."""
    begun = next((word for word in words(purpose) if word not in _BEFORE_VERBS), "")
    return only_looks(purpose) or begun in MENDING


def verbs_in(purpose: str) -> Iterator[str]:
    """Of `BOTH` the words that stand where a verb does, and the messages that go to somebody.

    >>> told = ("check it, then email Ann", "draft a reply to Ann", "review logs, text messages", "mail_review")
    >>> [list(verbs_in(each)) for each in told]
    [['email'], ['reply'], [], []]
    """
    told = _AND_SIGN.sub("and", _HYPHEN.sub("", purpose[:_CHARS]))
    for behind, clause in pairwise(["", *_END.split(told)]):
        said = words(clause)
        first = next((place for place, word in enumerate(said) if word not in _POLITE), 0)
        for place, word in enumerate(said):
            begins = place == first and _begins(clause, said[place:], behind)
            if word in BOTH and (begins or _led(said[:place])):
                yield word
            sent = said[place + 1 : place + 2] == ("to",) and singular(word) in _MESSAGES
            if sent and LOOKING.isdisjoint(said[max(0, place - 3) : place]):
                yield singular(word)


def _led(before: Sequence[str]) -> bool:
    """Whether a verb, or how something is told, follows these words."""
    while before and before[-1] in _SOON:
        before = before[:-1]
    *earlier, last = before or ("",)
    if last in _ARTICLES:
        return last != "the" and not _LEADING_ONE.isdisjoint(earlier[-1:])
    return last in _LEADING and not (last == "to" and not _NO_LEAD.isdisjoint(map(singular, earlier[-1:])))


def _begins(clause: str, said: Sequence[str], behind: str) -> bool:
    """Whether the first of the words that a clause says is a verb: behind a comma one that takes an object or
    stands alone, else any but the first of a headline, "contact_list_review"."""
    if behind not in _LISTED:
        return not (said[-1] in LOOKING - _OUTCOMES and _TAKEN.isdisjoint(said))
    if len(said) == 1 or said[1] in _TAKEN or not _ARTICLES.isdisjoint(said[2:3]) or "to" in said:
        return True
    if not (_DONE_WITH.isdisjoint(map(singular, said[1:3])) and _DONE_HOW.isdisjoint(said[1:2])):
        return True
    found = re.search(rf"\b{said[0]}\s+(?:\S*@|[^\W_])", clause, re.IGNORECASE)
    return found is not None and not found.group()[-1].islower()  # "email Ann", "text 555"


def is_foreign(purpose: str) -> bool:
    """Whether a purpose seems to be in another language, so that no word here says what it asks for.

    >>> told = ("Enviar la nómina a Ann", "把工资单发送给员工", "Review José's contract", "renewals")
    >>> [is_foreign(each) for each in told]
    [True, True, False, False]
    """
    said = _WORD.findall(purpose[:_CHARS])
    others = sum(
        word in _FOREIGN or word.lower() in _SENDING_ABROAD or not (word.isascii() or word[0].isupper())
        for word in said
    )
    return others > sum(word in _KNOWN for word in words(purpose))


_KNOWN = _ENGLISH | LOOKING | WORKING | MENDING | BOTH
