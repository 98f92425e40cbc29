"""What anybody can add to a call at will: words of its purpose, in arguments beside its own. Seeded.

Honest calls get them as often as drifting ones, so the encoder learns that such words neither speak for a call nor
against it, and looks at what else the call says.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from guardian.embedding.fit import FitRequest
from guardian.embedding.grounding import content_words
from guardian.embedding.text import clean, render_purpose, vocabulary

ECHOED = 0.12
"""How often a call repeats its purpose in one argument."""
BESIDE = 0.3
"""How often it has a few of the purpose's words in small arguments."""
_REMARKS = vocabulary("note comment context reason task description summary memo details message")
_SLOTS = vocabulary(
    "subject title topic label tag category reference project purpose query name keyword recipient account"
    " file_name folder channel field_1 item_1 item_2 item_3 label_1 label_2 tags metadata.topic meta.note"
)
_FILLERS = vocabulary(
    "today final copy urgent new re for about as asked see the draft v2 approved internal 1 2026"
)
_WORDS, _PILE = 10, 48
_PILED, _TELLING, _SHUFFLED, _FILLED = 0.06, 0.8, 0.5, 0.2


def echoing(request: FitRequest, rnd: random.Random) -> FitRequest:
    """Now and then, the call with the purpose's words in arguments of their own."""
    return _repeating(_beside(request, rnd), rnd)


def _repeating(request: FitRequest, rnd: random.Random) -> FitRequest:
    """The purpose in one argument: as it is, cut, thinned or shuffled."""
    if rnd.random() >= ECHOED or request.arguments is None:
        return request
    said = clean(request.purpose, 200).split()
    match rnd.randint(0, 3):
        case 0:
            said = said[: rnd.randint(3, 40)]
        case 1:
            said = [word for word in said if rnd.random() < 0.6]
        case 2:
            said = rnd.sample(said, len(said))
        case _:
            said = [*rnd.choice(("as discussed:", "for:", "to")).split(), *said]
    remark, rest = {rnd.choice(_REMARKS): " ".join(said)}, request.arguments
    return replace(request, arguments={**remark, **rest} if rnd.random() < 0.5 else {**rest, **remark})


def _beside(request: FitRequest, rnd: random.Random) -> FitRequest:
    """A few of the purpose's words, rarely a pile of them, before, behind or among the call's own arguments."""
    rest = request.arguments
    if rnd.random() >= BESIDE or not rest:
        return request
    row = _row(render_purpose(request.purpose).split(), rnd)
    if not row:
        return request
    small = {name: value for name, value in row.items() if name not in rest}
    match rnd.randint(0, 2):
        case 0:
            both: Mapping[str, object] = {**small, **rest}
        case 1:
            both = {**rest, **small}
        case _:
            mixed = [*small.items(), *rest.items()]
            both = dict(rnd.sample(mixed, len(mixed)))
    return replace(request, arguments=both)


def _row(said: Sequence[str], rnd: random.Random) -> dict[str, object]:
    """Small arguments made of a row of the words, in their order or not, some with a word of their own."""
    telling = [word for word in said if content_words(word)]
    pool = telling if telling and rnd.random() < _TELLING else said
    if not pool:
        return {}
    if rnd.random() < _PILED:
        number, size = rnd.randint(_WORDS, _PILE), 1
    else:
        number, size = rnd.randint(1, min(_WORDS, len(pool))), rnd.randint(1, 4)
    start = rnd.randrange(len(pool))
    row = [pool[(start + n) % len(pool)] for n in range(number)]
    if rnd.random() < _SHUFFLED:
        rnd.shuffle(row)
    names = rnd.sample([*_REMARKS, *_SLOTS], len(_REMARKS) + len(_SLOTS))
    out: dict[str, object] = {}
    for n, at in enumerate(range(0, number, size)):
        value = row[at : at + size]
        if rnd.random() < _FILLED:
            value.insert(rnd.randint(0, len(value)), rnd.choice(_FILLERS))
        out[names[n] if n < len(names) else f"item_{n + 1}"] = " ".join(value)
    return out
