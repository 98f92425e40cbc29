"""How far what an act means lies from what the past of its purpose meant, in bits of sketches. Pure.

Sketches within NEAR bits of each other are one meaning: a baseline keeps the first of them and counts the sessions
(leader clustering; Hartigan 1975, ch. 3). How often a meaning was new in the past estimates how often the next one
is (Good 1953: the share of what was seen once), so where every session means something else nothing is odd about
one more; such a purpose constrains little, and `constraint` says so.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from guardian.domain.signal import BaselineFact

NEAR = 24
"""Of 256 bits; a cosine of about .96."""

FAR = 96
"""From here on (a cosine of about .4) an act means something else altogether."""

MAX_MEANINGS = 128
_LEAST_SESSIONS = 20


@lru_cache(maxsize=4096)
def _bits(sketch: str) -> int:
    """The same few sketches are compared with every act of their purpose."""
    return int(sketch, 16)


def nearest(sketch: str, known: Iterable[str]) -> tuple[int, str]:
    """In how many bits the nearest of `known` differs, and that one; (256, "") where there is none."""
    bits = _bits(sketch)
    return min((((bits ^ _bits(other)).bit_count(), other) for other in known), default=(256, ""))


def gathered(known: Mapping[str, int], fresh: Iterable[str], units: int) -> dict[str, int]:
    """The meanings after one more session: each of its own counts once, near ones as the one that is known."""
    after, counted = dict(known), set[str]()
    for sketch in fresh:
        away, leader = nearest(sketch, after)
        name = leader if away <= NEAR else sketch
        if name not in counted:
            counted.add(name)
            after[name] = after.get(name, 0) + units
    return dict(sorted(after.items(), key=lambda entry: (-entry[1], entry[0]))[:MAX_MEANINGS])


def strangeness(sketch: str, known: Iterable[str]) -> float:
    """0 within NEAR bits of a known meaning, 1 from FAR bits on, straight in between."""
    away = nearest(sketch, known)[0]
    return min(max((away - NEAR) / (FAR - NEAR), 0.0), 1.0)


def new_meanings(known: Mapping[str, int], units: int) -> float:
    """How often an act of this purpose is expected to mean something new, in (0, 1]."""
    once = sum(count <= units for count in known.values())
    return (once + 1) * units / (sum(known.values()) + units)


def constraint(fact: BaselineFact, units: int) -> float | None:
    """How much a purpose has constrained what its sessions do, in [0, 1); None where too little was seen."""
    if fact.sessions < _LEAST_SESSIONS or not fact.sketches:
        return None
    return max(0.0, 1.0 - min(1.0, new_meanings(fact.sketches, units)))
