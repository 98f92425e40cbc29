"""Numeric limits of an envelope, per call and summed over the session. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from guardian.domain.event import DecisionEvent
from guardian.domain.signal import Breach
from guardian.signals.constraints import Constraints, Number, Touched, number
from guardian.signals.wording import canonical, shown

_CAP = 2**53  # sums stay exact in every JSON reader
_RECORD = "record"

Sums = Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class Limits:
    """An envelope's limits against one action. `aliases` names further arguments that a constraint bounds."""

    constraints: Constraints
    event: DecisionEvent
    action: Touched
    aliases: Callable[[str], tuple[str, ...]]

    def per_call(self) -> Iterator[Breach]:
        """Limits that this call alone breaks."""
        for name, most in self.constraints.maxima.items():
            asked = self._asked(name, "max_")
            if asked and max(asked) > most:
                yield Breach(
                    "records_over_limit" if name == _RECORD else "limit_exceeded",
                    f"{_shown(max(asked))} asked for, {self._spelt('max_', name)} is {_shown(most)}",
                )
        for name, least in self.constraints.minima.items():
            asked = self._asked(name, "min_")
            if asked and min(asked) < least:
                yield Breach(
                    "below_minimum",
                    f"{_shown(min(asked))} asked for, {self._spelt('min_', name)} is {_shown(least)}",
                )

    def added(self, sums: Sums, summed: tuple[str, ...]) -> Sums:
        """The sums after this action; a denied call moved nothing and adds nothing."""
        if self.event.decision.effect == "deny":
            return dict(sums)
        return {**sums, **self._totals(sums, summed)}

    def per_session(self, sums: Sums, summed: tuple[str, ...]) -> Iterator[Breach]:
        """Limits that this call breaks together with the allowed calls before it, whose sums are given."""
        for name, total in self._totals(sums, summed).items():
            most = self.constraints.maxima[name]
            if total > most and total > sums.get(name, 0):
                yield Breach(
                    "records_over_limit_session" if name == _RECORD else "limit_exceeded_session",
                    f"{_shown(total)} in this session so far, {self._spelt('max_', name)} is {_shown(most)}",
                )

    def _totals(self, sums: Sums, summed: tuple[str, ...]) -> Sums:
        bounded = [name for name in _bare(summed) if name in self.constraints.maxima]
        return {name: min(sums.get(name, 0) + min(max(self._moved(name), 0), _CAP), _CAP) for name in bounded}

    def _asked(self, name: str, prefix: str) -> list[Number]:
        wanted = {name, prefix + name, *self.aliases(prefix + name)}
        found = [number(leaf.values if leaf.many else leaf.values[0]) for leaf in self.action.named(*wanted)]
        if name == _RECORD and "records" not in self.event.features_missing:
            found.append(self.event.records)
        return [quantity for quantity in found if quantity is not None]

    def _moved(self, name: str) -> Number:
        result = self.event.result
        if name == _RECORD and result is not None and result.records is not None:
            return result.records
        if name == _RECORD and self.event.action.records is not None:
            return self.event.action.records
        return max(self._asked(name, "max_"), default=0)

    def _spelt(self, prefix: str, name: str) -> str:
        return shown(self.constraints.spelt[prefix + name], 60)


def _bare(summed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(canonical(key).removeprefix("max_") for key in summed)


def _shown(quantity: Number) -> str:
    return format(quantity, ".15g") if isinstance(quantity, float) else shown(quantity)
