"""Limits on numbers and hours: records, hours of the day, and how long a session lives."""

from collections import Counter
from collections.abc import Iterable, Iterator

from guardian.domain.restriction import Restriction, Support
from guardian.domain.rules import LARGEST, MaxLifetime, MaxRecords, OnlyHours, Rule
from guardian.tightening.basis import Basis
from guardian.tightening.caution import Caution, roomy
from guardian.tightening.confidence import upper_bound
from guardian.tightening.doubt import excepted
from guardian.tightening.usage import Use

_HOURS = 24
_LEAST_LIFETIME_S = 900


def records(basis: Basis) -> Iterator[Restriction]:
    """A lower `max_records`, if it is far above what was ever needed or delegated.

    An envelope's limit binds a session's calls together, so the new one leaves room for the largest whole session.
    A session whose log does not say the records of every call took more than it says: that may show a need, but
    never that there is none.
    """
    history, whole, caution = basis.history, basis.whole, basis.caution
    granted = [grant.max_records for grant in history.current() if grant.max_records is not None]
    if not whole.records or not history.early.records or not granted:
        return
    most, handed = max(whole.records), max(history.handed.records, default=0)
    limit = max(roomy(most, caution.headroom), handed)
    if min(granted) < caution.excess * limit or limit > LARGEST:
        return
    broken = above(history.late.records, max(roomy(max(history.early.records), caution.headroom), handed))
    said = (told(history.late), told(whole))
    none = "no session" if said[1] == whole.sessions else f"none of the {said[1]:,} sessions that said theirs"
    why = f"granted {min(granted):,} records, {none} ever needed more than {most:,}"
    why += f", nor was one below it granted more than {handed:,}" if handed > most else ""
    yield from fitted(basis, MaxRecords(limit), why, broken, sessions=said)


def hours(basis: Basis) -> Iterator[Restriction]:
    """Only the hours that were needed, with one hour of room on both sides (clocks change)."""
    history, whole, caution = basis.history, basis.whole, basis.caution
    if whole.sessions < caution.hours_sessions:
        return
    kept = with_neighbours(whole.hours)
    if _HOURS - len(kept) < caution.hours_unused:
        return
    mined = with_neighbours(history.early.hours)
    broken = sum(n for hour, n in history.late.hours.items() if hour not in mined)
    why = f"{_HOURS - len(kept)} hours of the day were never needed"
    yield from fitted(basis, OnlyHours(tuple(sorted(kept))), why, broken)


def lifetime(basis: Basis) -> Iterator[Restriction]:
    """A shorter lifetime, if envelopes live far longer than their sessions."""
    history, whole, caution = basis.history, basis.whole, basis.caution
    if not history.lifetimes or not whole.durations or not history.early.durations:
        return
    typical_s = 60 * sorted(history.lifetimes.elements())[history.lifetimes.total() // 2]
    most = max(whole.durations)
    limit = roomy_seconds(most, caution)
    if typical_s < 2 * caution.excess * limit:
        return
    broken = above(history.late.durations, roomy_seconds(max(history.early.durations), caution))
    left = f"envelopes have {typical_s // 60:,} minutes left at the first call"
    why = f"{left}, no session needed longer than {-(-most // 60):,}"
    yield from fitted(basis, MaxLifetime(limit), why, broken)


def fitted(
    basis: Basis, rule: Rule, why: str, broken: int, *, sessions: tuple[int, int] | None = None
) -> Iterator[Restriction]:
    """The restriction, if the same rule learnt from the early part held in the late part.

    The early part's rule would have touched `broken` late sessions; doubted ones decide nothing, and are told.
    `sessions` are the numbers of late and of all
    sessions that it could have touched, if those are fewer than the scope's.
    """
    whole = basis.whole
    late, all_ = sessions or (basis.history.late.sessions, whole.sessions)
    beyond, held = basis.history.beyond[rule.subject], min(broken, late)
    if upper_bound(held, late) <= basis.caution.at_most:
        support = Support(
            sessions=all_,
            actions=whole.actions,
            days=len(whole.days),
            last_use=None,
            denied_at_most=upper_bound(held + beyond, late + beyond),
            held_out=late,
            held_out_broken=broken,
        )
        yield Restriction(basis.scope, rule, why + excepted(beyond), support)


def told(use: Use) -> int:
    """How many sessions said the records of all their calls."""
    return use.records.total() - use.records_unlogged


def above(sessions: Counter[int], limit: int) -> int:
    return sum(count for number, count in sessions.items() if number > limit)


def with_neighbours(used: Iterable[int]) -> set[int]:
    return {(hour + step) % _HOURS for hour in used for step in (-1, 0, 1)}


def roomy_seconds(longest: int, caution: Caution) -> int:
    """A round number of minutes with room above `longest`, in seconds; at least a quarter of an hour."""
    minutes = roomy(-(-longest // 60), 2 * caution.headroom)
    return max(_LEAST_LIFETIME_S, 60 * minutes)
