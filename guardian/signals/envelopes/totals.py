"""What the calls of a session moved together, of what its envelope limits in total. Pure and bounded.

A call may move less than its quantities: a dry run, what was drafted before, a second call under the idempotency
key of the first, a record that is read again. Most of that is known from what the agent itself writes. So it
counts apart, as `claimed`: what breaks a limit only together with it is a soft breach, and never none. In two
cases alone the same call again adds nothing: where the log says that nobody knows whether the one before it did
its work, and where it looks up one thing by its id.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from guardian.domain.breach import Breach, broken_by
from guardian.domain.event import DecisionEvent
from guardian.signals.envelopes.acts import Act, act_of
from guardian.signals.envelopes.limits import RECORD, Limits, digits, measured, together
from guardian.signals.words.constraints import Number, at_least, text
from guardian.signals.words.hiding import dropped
from guardian.signals.words.named_values import Leaf
from guardian.signals.words.reads import came_to_nothing
from guardian.signals.words.wording import shown, word_set, words

_REMEMBERED = 16
_DRY = word_set(
    "check_only dry dry_run dryrun is_dry_run is_simulation preview preview_only simulate simulate_only "
    "simulation validate_only validation_only what_if whatif"
)
"""Canonical names of arguments by which a call asks for a rehearsal."""
_YES = word_set("1 all client on server true yes")
_KEYS = word_set(
    "client_request_id client_request_token client_token dedup_id deduplication_id idempotence_key "
    "idempotency_key idempotency_token message_deduplication_id request_id request_token x_idempotency_key"
)
"""Canonical names of arguments by which a call says that it is the same as one before."""
_ATTEMPT = word_set("attempt attempt_number retry retry_count retry_number timestamp")
"""Canonical names of what differs where a call is tried again."""
_OPEN = word_set("deadline timed timedout timeout unavailable unclear unknown")
_OPEN_CODES = frozenset(map(str, [408, *range(500, 600)]))
"""Statuses of results that leave open what became of the call."""
_FLOWING = word_set(
    "channel event events feed inbox latest log logs mail mailbox message messages new newest next pop queue "
    "random receive recent stream topic unread"
)
"""Words for what brings something else each time that it is asked."""


class Known(NamedTuple):
    """A call that may come again: a print of it, what it moved by the names of limits, and whether the same again
    adds nothing."""

    mark: str
    moved: Mapping[str, Number]
    free: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """Everything by the bare name of a limit.

    sums     what the session moved
    claimed  what it moved besides, if what its calls say of themselves is not so
    drafted  of the sums, what was drafted, and not moved since
    known    the newest calls that may come again
    """

    sums: Mapping[str, Number]
    claimed: Mapping[str, Number] = field(default_factory=dict)
    drafted: Mapping[str, Number] = field(default_factory=dict)
    known: tuple[Known, ...] = ()

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Totals":
        """From what is kept between two calls; earlier versions kept, and read, `sums` alone."""
        known = (Known(*each) for each in state.get("known", ()))
        return cls(state["sums"], state.get("claimed", {}), state.get("drafted", {}), tuple(known))

    def state(self) -> dict[str, Any]:
        """What is kept: plain data, and nothing that is empty but the sums."""
        more = {"claimed": self.claimed, "drafted": self.drafted, "known": [list(each) for each in self.known]}
        return {"sums": dict(self.sums), **{name: held for name, held in more.items() if held}}

    def whole(self, name: str) -> Number:
        return together(self.sums.get(name, 0), self.claimed.get(name, 0))


@dataclass(frozen=True)
class Adding:
    """One call, added to what its session moved before; `summed` are the keys of the limits that add up."""

    limits: Limits
    before: Totals
    summed: tuple[str, ...]

    def kept(self) -> Totals:
        """A call that was denied or failed moved nothing and adds nothing."""
        event = self.limits.seen.event
        nothing = event.decision.effect == "deny" or came_to_nothing(event)
        return self.before if nothing else self.after

    def breaches(self) -> Iterator[Breach]:
        """Limits that this call breaks together with those before it."""
        constraints, before, after = self.limits.constraints, self.before, self.after
        for name in self.limits.added_up(self.summed):
            most, claimed = constraints.maxima[name], digits(after.claimed.get(name, 0))
            doubt = f" with {claimed} that may be a rehearsal, a draft, a repetition or another number"
            readings = (
                (after.sums[name], before.sums.get(name, 0), ""),
                (after.whole(name), before.whole(name), doubt),
            )
            broken = ((total, said) for total, earlier, said in readings if total > max(most, earlier))
            for total, said in islice(broken, 1):
                yield Breach(
                    "records_over_limit_session" if name == RECORD else "limit_exceeded_session",
                    f"{digits(total)} in this session so far{said}, "
                    f"{shown(constraints.spelt[f'max_{name}'], 60)} is {digits(most)}",
                    hard=not said,
                    about=broken_by(f"max_{name}", total, summed=True),
                )

    @cached_property
    def after(self) -> Totals:
        """With this call, whatever became of it."""
        names = self.limits.added_up(self.summed)
        if not names:
            return self.before
        sums, claimed, drafted = dict(self.before.sums), dict(self.before.claimed), dict(self.before.drafted)
        known = next((each for each in self.before.known if each.mark == self._mark), None)
        moved: dict[str, Number] = {}
        for name in names:
            told = self.limits.moved(name)
            counts = told.least
            if self._mark is not None and told.came is self._reads:
                earlier = 0 if known is None else known.moved.get(name, 0)
                moved[name] = max(earlier, counts)
                if known is not None and known.free and counts == earlier:
                    sums.setdefault(name, 0)
                    continue
                counts = max(0, counts - earlier)
            if not told.came:
                counts = self._new(name, counts, drafted)
            sums[name] = together(sums.get(name, 0), counts)
            claimed[name] = together(claimed.get(name, 0), told.most - counts)
        calls = self.before.known
        if self._mark is not None and any(moved.values()):
            one = max(moved.values()) <= 1 and not self._flows
            free = (one if self._reads else self._open) and (known is None or known.free)
            others = [each for each in calls if each is not known]
            calls = (*others, Known(self._mark, moved, free))[-_REMEMBERED:]
        return Totals(sums, _some(claimed), _some(drafted), calls)

    def _new(self, name: str, counts: Number, drafted: dict[str, Number]) -> Number:
        """What of a quantity is neither rehearsed nor drafted before."""
        if self._rehearses:
            return 0
        if self._act is Act.DRAFTS:
            drafted[name] = together(drafted.get(name, 0), counts)
            return counts
        taken = min(drafted.get(name, 0), counts)
        drafted[name] = together(drafted.get(name, 0) - taken)
        return together(counts - taken)

    @cached_property
    def _act(self) -> Act:
        return act_of(self.limits.seen.event.action.tool)

    @cached_property
    def _reads(self) -> bool:
        return self._act is Act.LOOKS_UP

    @cached_property
    def _rehearses(self) -> bool:
        asked = (leaf for leaf in self.limits.action.named(_DRY) if _of_the_call(leaf))
        said = any(text(value).strip().casefold() in _YES for leaf in asked for value in leaf.scalars)
        return said or self._act is Act.REHEARSES

    @property
    def _open(self) -> bool:
        return _left_open(self.limits.seen.event)

    @property
    def _flows(self) -> bool:
        names = (self.limits.seen.event.action.tool, *(leaf.path for leaf in self.limits.action.leaves))
        return any(not _FLOWING.isdisjoint(words(name)) for name in names)

    @cached_property
    def _mark(self) -> str | None:
        """A keyed print of a call that may come again: of one with an idempotency key, without its quantities; of
        a look-up of what has an id. None of any other, and where its arguments are not known whole."""
        seen, action = self.limits.seen, self.limits.action
        unknown = action.cut or dropped(seen.redacted, "action") or not all(map(_hashed, action.hidden))
        if seen.fingerprint is None or unknown or self._rehearses:
            return None
        leaves = (*action.leaves, *action.hidden)
        if not any(self._again(leaf) and any(text(value).strip() for value in leaf.scalars) for leaf in leaves):
            return None
        told = [[leaf.path, leaf.count, [*map(text, leaf.values)]] for leaf in leaves if not self._varies(leaf)]
        return seen.fingerprint(json.dumps([self._reads, seen.event.action.tool, told]))

    def _again(self, leaf: Leaf) -> bool:
        if not self._reads:
            return not _KEYS.isdisjoint(leaf.names)
        return any(name == "id" or name.endswith("_id") for name in leaf.names - _KEYS)

    def _varies(self, leaf: Leaf) -> bool:
        """Whether a value may be another one where a call is tried again."""
        if self._reads:
            return False
        limits = {name for name in self.limits.added_up(self.summed) if measured(name)}
        bounded = any(self.limits.bounds(name, leaf) for name in limits)
        quantity = bounded and all(at_least(value) is not None for value in leaf.values)
        return quantity or not _ATTEMPT.isdisjoint(leaf.names)


def _some(quantities: Mapping[str, Number]) -> dict[str, Number]:
    return {name: quantity for name, quantity in quantities.items() if quantity}


def _of_the_call(leaf: Leaf) -> bool:
    """Whether it is an argument of the call itself, or in an object of options, not of one of many things."""
    return leaf.path.startswith("arguments.") and leaf.path.count(".") <= 2


def _hashed(leaf: Leaf) -> bool:
    """Whether redaction left a value by which it is known again."""
    return all(isinstance(value, str) and value.startswith("hash:") for value in leaf.values)


def _left_open(event: DecisionEvent) -> bool:
    """Whether the result says that nobody knows whether the call did its work."""
    result = event.result
    if result is None or result.records:
        return False
    told = words(result.status)
    return result.status.strip() in _OPEN_CODES or not _OPEN.isdisjoint(told) or {"time", "out"} <= {*told}
