"""What an envelope granted, compared with others of its role."""

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from guardian.domain.names import canonical
from guardian.domain.past import PastCall
from guardian.domain.rules import LARGEST


@dataclass(slots=True)
class Handed:
    """What sessions delegated: by each entry of their children's envelopes, how many children hold it.

    An envelope that does not say what it holds counts under `*`, or under more records than any limit.
    """

    tools: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    records: Counter[int] = field(default_factory=Counter)

    def merge(self, other: "Handed") -> None:
        self.tools.update(other.tools)
        self.classes.update(other.classes)
        self.records.update(other.records)


@dataclass(frozen=True, slots=True)
class Grant:
    """What an envelope granted, as far as it can be narrowed.

    None means no limit, or, with `records_unread`, a limit that is not a number. `spelt` pairs the template's name
    of each tool with guardian's (empty: they are the same; None: not known).
    """

    tools: tuple[str, ...]
    data_classes: tuple[str, ...] | None
    max_records: int | None
    records_unread: bool = False
    spelt: tuple[tuple[str, str], ...] | None = None

    def __post_init__(self) -> None:
        if self.spelt and {tool for _, tool in self.spelt} != set(self.tools):
            raise ValueError("`spelt` must have every tool of its template, and no other")

    @classmethod
    def of(cls, call: PastCall) -> "Grant":
        classes, told = call.constraints.get("data_classes"), call.constraints.get("max_records")
        most = whole_number(told)
        return cls(
            tuple(sorted(set(call.allowed_tools))),
            tuple(sorted(str(name) for name in classes)) if isinstance(classes, list | tuple) else None,
            most,
            told is not None and most is None,
            spelt=_pairs(call.allowed_tools_spelt, call.allowed_tools),
        )

    @classmethod
    def union(cls, grants: Sequence["Grant"]) -> "Grant":
        """What some of a role's templates list, to be counted; no list where none has one."""
        classes = [each.data_classes for each in grants if each.data_classes is not None]
        tools = frozenset[str]().union(*(each.tools for each in grants))
        return cls(tuple(sorted(tools)), tuple(sorted({*chain(*classes)})) if classes else None, None)

    def own(self, tools: Iterable[str]) -> list[str]:
        """Some of its tools as the template spells them, or by guardian's names if that is not known."""
        some = set(tools)
        return sorted(own for own, tool in self.spelt if tool in some) if self.spelt else sorted(some)

    def beyond(self, other: "Grant") -> tuple[str, ...]:
        """What it grants and `other` does not: tools as the templates spell them, data classes, records."""
        more: set[str] = set()
        if other.tools:
            more |= {*self.own(self.tools or ("*",))} - {*other.own(other.tools)}
        if other.data_classes is not None:
            more |= {*(("*",) if self.data_classes is None else self.data_classes)} - {*other.data_classes}
        most, least = self.max_records, other.max_records
        if (other.records_unread and not self.records_unread) or (
            least is not None and (most is None or most > least)
        ):
            more.add(f"max_records {'without a number' if most is None else most}")
        return tuple(sorted(more))

    def handed(self) -> Handed:
        """What a child's envelope says that its parent delegated."""
        classes = ("*",) if self.data_classes is None else map(class_name, self.data_classes)
        most = LARGEST + 1 if self.max_records is None else self.max_records
        return Handed(Counter(self.tools or ("*",)), Counter({*classes}), Counter([most]))


def class_name(name: str) -> str:
    """A data class in the one spelling by which envelopes are held to theirs. Wildcards stay as they are.

    >>> [class_name(name) for name in ("Renewal Terms", "renewal-terms", "PII", "hr_*", "*")]
    ['renewal_term', 'renewal_term', 'pii', 'hr_*', '*']
    """
    return name if "*" in name else canonical(unicodedata.normalize("NFC", name)) or name


def _pairs(own: tuple[str, ...] | None, tools: tuple[str, ...]) -> tuple[tuple[str, str], ...] | None:
    if not own or not tools:
        return () if own is not None else None
    if len(own) != len(tools):
        return None
    return () if own == tools else tuple(sorted({*zip(own, tools, strict=True)}))


def whole_number(value: object) -> int | None:
    """A limit on a count, which may come as text; its fraction is dropped. None for anything but a number.

    >>> [whole_number(value) for value in (6, 6.5, "1e3", "six", True, [1], float("inf"), float("nan"))]
    [6, 6, 1000, None, None, None, None, None]
    """
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    try:
        return math.floor(float(value)) if isinstance(value, float | str) else None
    except (ValueError, OverflowError):
        return None
