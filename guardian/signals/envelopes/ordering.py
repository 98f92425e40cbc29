"""Which of two numbers or moments allows more, by the name that they stand under. Pure and bounded.

`created_after` is a beginning: a later one allows less. `until` is an end, `budget` a most and `min_delay` a
least. Where a name says nothing of the kind, values are words, and each is another one. Only a smaller number of
what is counted or measured (`records`, `amount`) may be less of it, or something else: nobody can tell.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from math import isfinite
from typing import NamedTuple

from guardian.signals.envelopes.comparing import spend
from guardian.signals.words.constraints import Constraints, bare, number
from guardian.signals.words.wording import singular, word_set, words


class _Way(Enum):
    """What a value bounds, and so which of two allows less."""

    BEGINNING = "of moments the later one"
    END = "of moments the earlier one"
    MOST = "of quantities the smaller one"
    LEAST = "of quantities the larger one"
    AMOUNT = "of quantities perhaps the smaller one"


_MOMENTS, _RISING = frozenset({_Way.BEGINNING, _Way.END}), frozenset({_Way.BEGINNING, _Way.LEAST})
_MAX, _MIN, _LOWER = word_set("max maximum"), word_set("min minimum"), word_set("least low lower minimum")
_SAYING: Mapping[str, _Way] = {
    **dict.fromkeys(word_set("after begin beginning earliest from later since start"), _Way.BEGINNING),
    **dict.fromkeys(word_set("before earlier end exp expire expiry latest through till to until"), _Way.END),
    **dict.fromkeys(_MAX | word_set("budget cap ceiling duration limit quota timeout ttl"), _Way.MOST),
    **dict.fromkeys(_MIN, _Way.LEAST),
}
"""Words, in the singular, by which a name says its way."""
_TURNED = {_Way.BEGINNING: _Way.END, _Way.END: _Way.BEGINNING}
_TURNING = word_set("no not")
"""`not_before` is a beginning."""
_UNCLEAR = _TURNING | word_set("except exclude excluding ignore skip without")
_FREEING = word_set(
    "approval approve audit ban banned blackout block blocked close closed confirm confirmation cooldown delay "
    "denied deny disable disabled embargo embargoed exempt forbid forbidden freeze frozen hold keep lock locked "
    "mask masking monitor monitoring mute pause probation quarantine quiet redact require required retain "
    "retention review snooze suspend suspended wait"
)
"""With words of the first nobody knows the way, and so of a moment with the others: an earlier end allows more."""
_CURRENCIES = word_set("cent chf dollar eur euro gbp usd")
_DATED = word_set("at date datetime day time timestamp ts utc")
_AFTER_IT = _CURRENCIES | _DATED | word_set(
    "h hour hr m min minute month ms s sec second week year "
    "amount byte call gb in item kb mb on per percent record request row tb than token total value"
)  # fmt: skip
"""What may follow such a word: a unit, or of what. Anything else (`limit_id`, `to_account`) makes another name."""
_BETWEEN = word_set("from through till to")
"""Under these a number is a moment only where the name says so: it may be an account or a telephone."""
_EXPIRING = word_set("exp expire expiry")
_MEASURED = word_set("amount byte cost count fee percent percentage price quantity size")
_COUNTED = word_set("call record row token")
"""Of these the plural is counted; the singular names one."""
_LASTING = word_set("duration rate timeout ttl")
"""Here an `m` is a minute, and no month and no metre."""

_PAIRS, _CHARS = 256, 64
"""So many pairs of values are compared, of so many characters: longer lists and texts count as
words."""
_LEAST_MOMENT, _MOST_SECONDS = 1e8, 1e11
"""Since 1970: what is less is no moment but means "no end" or so many days, what is more are thousandths."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DAY, _EAST, _WEST = 86_400.0, 14 * 3_600.0, 12 * 3_600.0
"""A day, and by how much clocks differ from that of UTC at most."""

_QUANTITY = r"\d{1,15}(?:\.\d{1,9})?"
_THOUSANDS = re.compile(r"[1-9]\d{0,2}\.\d{3}", re.ASCII)
"""Half of the world writes a thousand so."""
_AMOUNT = re.compile(
    rf"([€$£¥]|[A-Z]{{3}})?\s*({_QUANTITY})\s*([A-Za-z]{{1,16}}|[€$£¥%])?(?:\s*(?:/|per )\s*([A-Za-z]{{1,16}}))?",
    re.ASCII,
)
_PARTS = re.compile(rf"(?:{_QUANTITY}\s*[A-Za-z]{{1,16}}\s*){{2,4}}", re.ASCII)
_PART = re.compile(rf"({_QUANTITY})\s*([A-Za-z]+)", re.ASCII)
_ISO = re.compile(r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?", re.ASCII)
_ISO_SECONDS = (7 * _DAY, _DAY, 3_600.0, 60.0, 1.0)
_SECONDS = {
    **dict.fromkeys(("s", "sec", "second"), 1.0),
    **dict.fromkeys(("min", "minute"), 60.0),
    **dict.fromkeys(("h", "hr", "hour"), 3_600.0),
    "ms": 0.001,
    "day": _DAY,
    "week": 7 * _DAY,
}
_BYTES = {
    "KB": 2**10,
    "KiB": 2**10,
    "MB": 2**20,
    "MiB": 2**20,
    "GB": 2**30,
    "GiB": 2**30,
    "TB": 2**40,
    "TiB": 2**40,
}
"""Units that mean one thing: an `m` may be a minute, a month or a metre."""

_Readings = Mapping[str, tuple[float, float]]
"""What a value may say, from the least to the most, by the unit in which it does, the most exact one first."""


class _Said(NamedTuple):
    """What a name says: the way, what remains of it (`created_after` and `created_before` leave the same; None
    where it bounds nothing beside it), whether a number is a moment, and whether an `m` is a minute."""

    way: _Way
    stem: tuple[str, ...] | None = None
    numbers: bool = True
    minutes: bool = False


def within(key: str, held: Collection[str], granted: Collection[str]) -> bool | None:
    """Whether what is held under a constraint's key certainly allows no more than what was granted under it. False
    where it allows more or nothing orders the two; None where nobody can tell.

    >>> [within("created_after", {"2026-05-03"}, {said}) for said in ("2026-05-01", "2026-05-04", "May")]
    [True, False, False]
    >>> within("records", {"10"}, {"25"}), within("budget", {"10"}, {"25"}), within("contract", {"10"}, {"25"})
    (None, True, False)
    """
    says, pairs = _says(key), len(held) * len(granted)
    if says is None or not 0 < pairs <= (1 if says.way is _Way.AMOUNT else _PAIRS):
        return False
    mine, theirs = [_read(says, said.strip()) for said in held], _all_read(says, frozenset(granted))
    return _least_sure(_pair(says.way, one, other) for one in mine for other in theirs)


def meets(constraints: Constraints, name: str, said: str) -> bool | None:
    """The same of what a call says under a constraint's canonical name. A beginning must lie before the end that
    is bounded beside it, and an end after the beginning: calls may leave out the other one."""
    key = constraints.spelt[name]
    if len(constraints.allowed[name]) > 1 and (told := _says(key)) is not None and told.way in _MOMENTS:
        return False  # several moments are those to choose from
    found, says = within(key, (said,), constraints.allowed[name]), _says(key)
    if found is False or says is None or says.stem is None:
        return found
    if not spend(len(constraints.allowed)):
        return None
    beside = ((constraints.spelt[other], allowed) for other, allowed in constraints.allowed.items())
    faced = (within(other, (said,), allowed) for other, allowed in beside if _faces(says, _says(other)))
    return _least_sure((found, *faced))


def _faces(one: _Said, other: _Said | None) -> bool:
    return other is not None and other.stem == one.stem and _TURNED.get(other.way) is one.way


def _least_sure(found: Iterable[bool | None]) -> bool | None:
    told = {*found}
    return False if False in told else None if None in told else True


def _pair(way: _Way, held: _Readings, granted: _Readings) -> bool | None:
    unit = next((unit for unit in held if unit in granted), None)
    if unit is None:
        return False
    (least, most), (low, high) = held[unit], granted[unit]
    if way is _Way.MOST and (low < 0 or least <= 0):  # less than nothing is no limit, and nothing may be none
        return None if low < 0 or least == 0 else False
    if way is _Way.AMOUNT and least < 0:  # minus ten thousand is no smaller payment, and -1 may be all
        return False
    if way in _RISING:
        least, most, low, high = -most, -least, -high, -low
    if most <= low:
        return None if way is _Way.AMOUNT else True
    return False if least > high else None


@lru_cache(maxsize=8_192)
def _says(key: str) -> _Said | None:
    """What a name says; None where it orders nothing."""
    name = tuple(map(singular, words(bare(key))))
    minutes = not _LASTING.isdisjoint(name)
    if not (_MAX | _MIN).isdisjoint(name[:1]):
        return _Said(_SAYING[name[0]], minutes=minutes)
    for at, word in reversed([*enumerate(name)]):
        way = _SAYING.get(word)
        unit = word == "min" and any(_SAYING.get(each) is _Way.MOST for each in name[:at])  # `timeout_min`
        if way is not None and not unit:
            return _turned(way, name, at, minutes=minutes)
        if word not in _AFTER_IT:
            break
    of = next((word for word in reversed(name) if word not in _CURRENCIES), "")
    plural = words(key)[-1:] != name[-1:]
    return _Said(_Way.AMOUNT) if of in _MEASURED or (plural and of in _COUNTED) else None


def _turned(way: _Way, name: tuple[str, ...], at: int, *, minutes: bool) -> _Said | None:
    """What a name says by the word at that place, and those around it."""
    turned = not _TURNING.isdisjoint(name[at - 1 : at]) and way in _TURNED
    before = name[: at - turned]
    others = {*before, *name[at + 1 :]}
    if not others.isdisjoint(_UNCLEAR):
        return None
    if not others.isdisjoint(_FREEING):
        return None
    if way not in _TURNED:
        return _Said(way if others.isdisjoint(_LOWER) else _Way.LEAST, minutes=minutes)
    stem = None if name[at] in _EXPIRING else tuple(word for word in before if word not in _AFTER_IT)
    numbers = name[at] not in _BETWEEN or not others.isdisjoint(_DATED)
    return _Said(_TURNED[way] if turned else way, stem, numbers)


def _read(says: _Said, said: str) -> _Readings:
    """What can be compared of a value; nothing where it is neither a moment nor a quantity."""
    told = number(said)
    if len(said) > _CHARS or (told is not None and not isfinite(told)):
        return {}
    if says.way in _MOMENTS:
        return _moment(said) if told is None else _stamp(float(told)) if says.numbers else {}
    return _amount(said, minutes=says.minutes) if told is None else {"": _span(float(told), said)}


@lru_cache(maxsize=16)
def _all_read(says: _Said, granted: frozenset[str]) -> tuple[_Readings, ...]:
    return tuple(_read(says, said.strip()) for said in granted)


def _stamp(told: float) -> _Readings:
    seconds = told / 1_000 if told > _MOST_SECONDS else told
    return {"UTC": (seconds, seconds)} if seconds > _LEAST_MOMENT else {}


def _moment(said: str) -> _Readings:
    """A text's seconds since 1970. Where it says no zone it may be any; and a day may mean where it begins or
    where it ends. Of two days, or two times without a zone, the same is meant."""
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        return {}
    seconds = (at.replace(tzinfo=UTC) if at.tzinfo is None else at).timestamp()
    if at.tzinfo is not None or seconds <= _LEAST_MOMENT:
        return {"UTC": (seconds, seconds)} if seconds > _LEAST_MOMENT else {}
    day = _DATE.fullmatch(said) is not None
    until = seconds + _DAY * day
    readings = {"local": (seconds, until), "UTC": (seconds - _EAST, until + _WEST)}
    return {"day": (seconds, seconds), **readings} if day else readings


def _amount(said: str, *, minutes: bool) -> _Readings:
    """The quantity of "10 GB", "1h30m", "PT1H" or "100/min", in seconds or bytes where it measures those."""
    if (iso := _ISO.fullmatch(said)) is not None and any(iso.groups()):
        seconds = sum(float(many or 0) * unit for many, unit in zip(iso.groups(), _ISO_SECONDS, strict=True))
        return {"s": (seconds, seconds)}
    if _PARTS.fullmatch(said):
        parts = [(float(many), _seconds(unit, minutes=minutes)) for many, unit in _PART.findall(said)]
        seconds = sum(many * (unit or 0.0) for many, unit in parts)
        return {"s": (seconds, seconds)} if all(unit for _, unit in parts) else {}
    found = _AMOUNT.fullmatch(said)
    if found is None:
        return {}
    before, many, unit, per = found.groups(default="")
    size = _seconds(unit, minutes=minutes)
    measure, times = ("s", size) if size else ("B", float(_BYTES[unit])) if unit in _BYTES else (unit, 1.0)
    rate = f"/{_seconds(per, minutes=minutes) or per}" if per else ""
    least, most = _span(float(many), many)
    return {f"{before}{measure}{rate}": (least * times, most * times)}


def _seconds(unit: str, *, minutes: bool) -> float | None:
    return 60.0 if minutes and unit == "m" else _SECONDS.get(unit) or _SECONDS.get(singular(unit))


def _span(many: float, said: str) -> tuple[float, float]:
    return many, many * (1_000 if _THOUSANDS.fullmatch(said) else 1)
