"""Of what a purpose has a successor made: "renew policy 70031", "order 5512 was lost; reorder it". Pure."""

from collections.abc import Iterator, Mapping, Sequence

from guardian.signals.words.wording import nouns_of, word_set

REACH = 8
"""So many words before an identifier its kind stands at most: "orders 5512, 5513 and 5514", "order (no. 5512)"."""
AROUND = ".!?*"
_ENDING = (".", "!", "?")
AND = word_set("and or & , ;")
"""What may stand between two identifiers of one kind."""
_ANEW = word_set(
    "clone cloned clones cloning duplicate duplicated duplicates duplicating rebook rebooked rebooking rebooks "
    "recreate recreated recreates recreating reissue reissued reissues reissuing renew renewal renewed renewing "
    "renews reorder reordered reordering reorders replace replaced replacement replaces replacing reran rerun "
    "rerunning reruns resubmission resubmit resubmits resubmitted resubmitting retried retries retry retrying"
)
"""Of an object: the purpose has a successor of it made, with a number of its own."""
_WHO = word_set(
    "agent candidate client contact customer employee guest member passenger patient person student supplier "
    "tenant user vendor"
)
"""Whom something is made anew for has no successor."""
_REBOOK = word_set("rebook rebooked rebooking rebooks")
_BOOKINGS = word_set(
    "account booking card case claim confirmation invoice itinerary locator order payment pnr policy request "
    "reservation ticket trip voucher"
)
"""Who rebooks one of these, or with its money, books another flight, room or visit for it."""
_TO_BE = word_set("be get have")
"""Shortly before "rebooked" it is asked for, "customer 88 must be rebooked", and not told."""
_OFF = word_set("canceled cancellation cancelled")
_BESIDE = range(-3, 12)
"""Where a word stands beside an object, from its kind on: "flight LH1203, due at noon, was cancelled"."""
_TOO, _WHOSE, _IT = word_set("and or &"), word_set("of for"), word_set("it them")
_ONCE = word_set("renewal replacement resubmission")
"""These call what is made: in "the replacement order 5512" it is the order itself."""
_SHORTLY = 4
_UNWANTED = word_set(
    "avoid before cancel cannot disable don neither never no nor not off prevent prior stop than without"
)
"""Shortly before one of the former: no successor is made, or none yet ("cancel it before renewal")."""
_CLAUSE = AND.union(
    *(_WHOSE, _IT),
    word_set(
        "( after again as asap at because before but by from if immediately in into now on quickly since so soon "
        "then to today tomorrow until when while with"
    ),
)
"""What an object stands before: "rerun it until it passes" has none of its own, and in "renew the plan of customer
88" it is the plan."""
_PARTS = AND | word_set("( because but")
_BEGINNING = _PARTS | word_set("forget then")
"""Behind these what was not wanted is over: "don't forget to renew it"."""
_NO_SUBJECT = word_set(
    "also are be been being can could get gets got had has have is it must need needs not shall should still they "
    "to was were which will would"
)
"""Between one of the former and "replaced" these name nothing else that was: "and should be replaced"."""


def made_anew(tokens: Sequence[str], begun: Mapping[int, str]) -> Iterator[str]:
    """Kinds of which the purpose has successors made: "renew policy 70031", "order 5512 was lost; reorder it"."""
    said, things = list[str](), dict[int, str]()
    for at, token in enumerate(tokens):
        if at in begun and begun[at] not in _WHO:
            things[len(said)] = begun[at]
        said += [token.strip(AROUND).lower(), *([";"] if token.endswith(_ENDING) else ())]
    for at, word in enumerate(said):
        if at in things or word.replace("-", "") not in _ANEW or _is_unwanted(said, at):
            continue
        after = said[at + 1] if at + 1 < len(said) else ";"
        first = at + (2 if after in _WHOSE else 1)
        near = range(first, min(first + REACH, len(said)))
        end = next((place for place in near if said[place] in _CLAUSE), near.stop)
        ahead = [place for place in near if place in things]
        behind = [place for place in range(max(0, at - 1 - REACH), at) if place in things]
        was = word.endswith("ed")
        asked = not (was and _TO_BE.isdisjoint(said[max(0, at - _SHORTLY) : at]))
        own_object = not was and ahead and ahead[0] < end and things[ahead[0]] not in _BOOKINGS
        if word.replace("-", "") in _REBOOK and asked and not own_object:
            yield from _booked_anew(said, things, at)
        makes = after in _WHOSE if word in _ONCE else not was
        alone = after in _IT or word == "replacement" or ((was or word in _ONCE) and after in _CLAUSE)
        if ahead and makes and (ahead[0] < end or (after in _TOO and not behind)):
            yield things[ahead[0]]
        elif behind and alone and not (was and _has_own_subject(said[behind[-1] + 1 : at])):
            yield things[behind[-1]]


def _is_unwanted(said: Sequence[str], at: int) -> bool:
    """Whether the few words before it, since its part began, forbid it or put it off: "do not reorder it"."""
    before = said[max(0, at - _SHORTLY) : at]
    begins = max((place for place, word in enumerate(before, 1) if word in _BEGINNING), default=0)
    return not _UNWANTED.isdisjoint(before[begins:])


def _has_own_subject(between: Sequence[str]) -> bool:
    """Whether a participle is about something else than what stands before: "…, and the card was replaced"."""
    parts = [place for place, word in enumerate(between) if word in _PARTS]
    return bool(parts) and between[-1] not in _IT and not _NO_SUBJECT.issuperset(between[parts[-1] + 1 :])


def _booked_anew(said: Sequence[str], things: Mapping[int, str], at: int) -> Iterator[str]:
    """Where a person or a booking is rebooked: what of that is cancelled, else the last that is said of it, else
    what is cancelled elsewhere ("rebook PNR K7X9QZ, flight LH1203 is cancelled"), else what was named last."""
    ends = (
        place
        for place in range(at + 1, len(said))
        if said[place] == ";" or (said[place - 1] in _BEGINNING and not nouns_of(said[place]))
    )
    end = next(ends, len(said))
    others = [place for place, kind in things.items() if kind not in _BOOKINGS]
    off = [place for place in others if _is_off(said, things, place)]
    own = [place for place in others if at < place < end]
    before = [place for place in others if place < at][-1:]
    yield from (things[place] for place in [each for each in off if each in own] or own[-1:] or off or before)


def _is_off(said: Sequence[str], things: Mapping[int, str], place: int) -> bool:
    """Whether an object is said to be cancelled."""
    for step in (-1, 1):
        for beside in (place + off for off in sorted(_BESIDE, key=abs) if off * step > 0):
            if beside in things or not 0 <= beside < len(said) or said[beside] == ";":
                break
            if said[beside] in _OFF:
                return True
    return False
