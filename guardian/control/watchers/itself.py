"""What is amiss with control itself while it goes on: people hear when it begins, and when it is over."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from guardian.control.deps import ControlDeps
from guardian.control.telling.news import tell
from guardian.domain.finding import OPERATORS, Severity
from guardian.domain.text import moment
from guardian.store.sure_time import jumped, none_yet

_SLACK = timedelta(minutes=1)
_LONG = timedelta(days=1)


class _Matter(NamedTuple):
    """`bad` and `good` are title and detail of the news."""

    topic: str
    well: bool
    bad: tuple[str, str]
    good: tuple[str, str]
    severity: Severity = "high"


def tell_of_itself(deps: ControlDeps, now: datetime) -> None:
    """Each turn once. `deps.watched.turns` says by which news people know that a matter is bad."""
    for each in _matters(deps, now):
        known = deps.watched.turns.get(each.topic, "")
        if each.well is not bool(known):
            continue
        title, detail = each.good if each.well else each.bad
        once = f"{known} back" if each.well else f"since {now.isoformat()}"
        with deps.store.write() as rows:
            tell(
                deps,
                rows,
                topic=each.topic,
                tenant_id=OPERATORS,
                title=title,
                detail=detail,
                severity="info" if each.well else each.severity,
                once=once,
                now=now,
                follows=known,
            )
        deps.watched.turns[each.topic] = "" if each.well else once


def _matters(deps: ControlDeps, now: datetime) -> Iterator[_Matter]:
    yield _Matter(
        "epoch_file",
        deps.store.remembers(),
        (
            "The epoch file cannot be written",
            "a restored backup would not be noticed: see control's log, and mend where store.epoch_file lies",
        ),
        ("The epoch file is written again", "a restored backup would be noticed"),
    )
    unsigned = deps.unsigned()
    yield _Matter(
        "checkpoints",
        not unsigned,
        (
            "The audit trail is not signed any more",
            f"{unsigned}; if a backup was put back, see config/README.md, 'A backup was restored'",
        ),
        ("The audit trail is signed again", "with all that came meanwhile"),
    )
    kept_in = deps.kept_in()
    yield _Matter(
        "exports",
        not kept_in,
        (
            "Checkpoints of the audit trail do not get out",
            f"{kept_in}; until they do, whoever has the database can rewrite what came since the last one, and"
            " nobody could prove it",
        ),
        ("Checkpoints of the audit trail get out again", "with all that came meanwhile"),
    )
    yield from _clock(deps, now)
    keys = deps.tokens.keys
    yield _Matter(
        "signing_keys",
        keys.readable(),
        (
            "The signing keys cannot be read",
            "those known so far stay in force until control is started again; see control's log, and mend"
            " keys/signing.jwks.json, or its owner or mode",
        ),
        ("The signing keys can be read again", "as they are in keys/signing.jwks.json now"),
    )
    kid = keys.current().active.kid
    yield _Matter(
        "retired_key",
        not keys.current().retired,
        (
            f"The key that a control signs with is retired: {kid}",
            "what it signs is refused, so it signs no list and no token; copy keys/signing.jwks.json to it from"
            " where `guardian token rotate` was run",
        ),
        ("A control signs again with a key that is believed", f"with {kid}"),
    )


def _clock(deps: ControlDeps, now: datetime) -> Iterator[_Matter]:
    steady, apart, before = deps.steady(now), deps.watched.apart, deps.watched.before
    its = "its database's clock" if apart < timedelta(0) else "its clock"
    yield _Matter(
        "clock",
        jumped(steady, now) is None,
        (
            "Control's clock went ahead",
            f"it says {moment(now)}, and by the time that passed it is {moment(steady)}. If it is wrong, set it"
            " right within a quarter of an hour: until then revocations, requests and grants end by the time that"
            f" passed, afterwards by {its}",
        ),
        ("Control's clock keeps step", f"it says {moment(now)}, and control ends revocations by {its}"),
    )
    yield _Matter(
        "database_clock",
        not apart,
        (
            "The clocks of control and its database differ",
            f"it is {moment(now)} by a control's and {moment(now + apart)} by the database's. Set right the one"
            " that is wrong: until they agree, revocations, requests and grants end by the one that is behind",
        ),
        ("The clocks of control and its database agree", f"it is {moment(now)} by both"),
    )
    yield _Matter(
        "clock_behind",
        before is None or before - now <= _SLACK,
        (
            "Control's clock is behind what control wrote before",
            f"it says {moment(now)}, and the last entry before this start is of {moment(before or now)}. One of"
            " the two is wrong: if it is the clock, set it right, for tokens, grants and exceptions count by it",
        ),
        ("Control's clock has come to what control wrote before", f"it is {moment(now)}"),
    )
    yield _Matter(
        "away",
        before is None or now - before < _LONG or not none_yet(steady),
        (
            "Control was away for long, by its clock",
            f"it says {moment(now)}, and before this start control last wrote or heard anything by"
            f" {moment(before or now)}. If that was not so long ago, set the clock right within a quarter of an"
            f" hour of the start: from then on revocations, requests and grants end by {its}",
        ),
        (f"Control goes by {its}", f"its own says {moment(now)}"),
        "medium",  # mostly it was away indeed
    )
