"""The switch tests itself, on both ends.

A canary session is revoked on a schedule, and every gateway must say that it enforces that; one that was silent
before, of which people heard, is not waited for. Synthetic drift is planted on every partition of the live topic,
and must become a finding, a policy decision and, if it was revoked, a refusal at every gateway. What does not
happen within its time pages people: a blinded, lagging or poisoned guardian does not go unnoticed.
"""

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from guardian.control.deps import ControlDeps
from guardian.control.revocations.by_itself import by_itself
from guardian.control.telling.news import tell
from guardian.control.watchers.monitors import at_rest
from guardian.control.watchers.plants import PlantKind, make_plant
from guardian.control.watchers.watching import Standing, gateways, peers, silent
from guardian.domain.finding import OPERATORS, Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord
from guardian.errors import GuardianError
from guardian.store.control.peers import SelfTest, TestKind
from guardian.store.control.rows import ControlRows
from guardian.telemetry import logger
from guardian.wire.findings import FindingOutcome

_CANARY_LIFE = timedelta(hours=1)
_KEPT, _SKEW = timedelta(days=2), timedelta(minutes=5)
_PLANTS: tuple[PlantKind, ...] = ("planted_breach", "planted_drift")
_log = logger("control")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look at an open test found."""

    test: SelfTest
    missing: str
    passed: bool


def test_the_switch(deps: ControlDeps) -> None:
    """Start what is due and judge what is open; called on a schedule."""
    now, rule = deps.clock(), deps.settings.switch.self_test
    with deps.store.read() as rows:
        standing = gateways(deps, rows, now)
        heard = [each for each in standing if each.state != "silent"]
        open_tests = rows.self_tests.open()
        canaries_due = _due(rows, ("canary",), rule.canary_every, now) and _all_known(heard, deps.watched.since)
        plants_due = deps.planter is not None and _due(rows, _PLANTS, rule.plant_every, now)
        plants_due = plants_due and not at_rest(rule.tenant_id, peers(deps, rows, "monitor"), now)
    seen = [_look(deps, each, standing, now) for each in open_tests]
    ended = [each for each in seen if each.passed or now >= _ends(each.test, deps.watched.since)]
    if ended or canaries_due:
        with deps.store.write() as rows:
            for each in ended:
                _end(deps, rows, each, now)
            if canaries_due and _due(rows, ("canary",), rule.canary_every, now):
                _revoke_canaries(deps, rows, heard, now)
            rows.self_tests.forget(before=deps.sure(now) - _KEPT, after=now + _SKEW)
    if plants_due:
        _plant_everywhere(deps, now)


def noticed(rows: ControlRows, test: SelfTest, finding: Finding, outcome: FindingOutcome, now: datetime) -> None:
    """Note what became of a finding about a planted session, in the transaction that decided on it."""
    if finding.kind is not Kind.DRIFT:
        return
    rows.self_tests.put(
        replace(
            test,
            found_at=test.found_at or now,
            decided=outcome.effect.value if test.revision is None else test.decided,
            revision=outcome.revision or test.revision,
        )
    )


def _all_known(heard: Sequence[Standing], since: datetime | None) -> bool:
    """Whether anybody is heard, and nobody may yet turn out to be silent: not heard since control was back."""
    return bool(heard) and (since is None or all(each.peer.last_seen >= since for each in heard))


def _due(rows: ControlRows, kinds: tuple[TestKind, ...], every: timedelta | None, now: datetime) -> bool:
    if every is None:
        return False
    last = rows.self_tests.latest_start(kinds, until=now + every)
    return last is None or now - last >= every


def _look(deps: ControlDeps, test: SelfTest, standing: Sequence[Standing], now: datetime) -> _Seen:
    if test.kind != "canary" and test.found_at is None:
        return _Seen(test, "no finding: the monitor did not see it", passed=False)
    if test.kind != "canary" and test.decided is None:
        return _Seen(test, "no decision of policy", passed=False)
    if test.revision is None:
        return _Seen(test, "", passed=True)  # flagged: shadow, or policy said no
    lagging = [
        each.peer
        for each in standing
        if each.peer.reaches(test.tenant_id)
        and each.peer.revision < test.revision
        and each.peer.first_seen <= test.deadline_at
        and not silent(deps, each.peer, test.started_at)
    ]
    if lagging:
        names = ", ".join(f"{peer.principal_id} ({peer.instance})" for peer in lagging[:5])
        more = f" and {len(lagging) - 5} more" if len(lagging) > 5 else ""
        return _Seen(test, f"not refused by {names}{more}", passed=False)
    return _Seen(replace(test, refused_at=now), "", passed=True)


def _ends(test: SelfTest, since: datetime | None) -> datetime:
    """When its time is over: all of it again from when control was back, if control was away meanwhile."""
    if since is None or since <= test.started_at:
        return test.deadline_at
    return since + (test.deadline_at - test.started_at)


def _end(deps: ControlDeps, rows: ControlRows, seen: _Seen, now: datetime) -> None:
    test = replace(seen.test, result="passed" if seen.passed else "failed", missing=seen.missing)
    rows.self_tests.put(test)
    deps.metrics.add("guardian_self_tests_total", kind=test.kind, result=test.result)
    live = rows.ledger.live_entry(test.tenant_id, test.session_id)
    if live is not None:
        by_itself(
            rows,
            tenant_id=test.tenant_id,
            subject_id=test.session_id,
            status="reinstated",
            reason_code="self_test",
            reason="the test is over",
            now=now,
            expires_at=live.expires_at,
        )
    if test.kind != "canary":  # it teaches nothing, and no calibration takes it for honest
        rows.sessions.say(SessionKey(test.tenant_id, test.session_id), HumanWord.CONFIRMED, now, human=False)
    if seen.passed:
        return
    what = {
        "canary": "A canary revocation is not enforced everywhere",
        "planted_breach": "Planted drift went unnoticed: a broken rule was not caught",
        "planted_drift": "Planted drift went unnoticed: the drift model did not see it",
    }[test.kind]
    where = f" on partition {test.place}" if test.place else ""
    waited = int((test.deadline_at - test.started_at).total_seconds())
    tell(
        deps,
        rows,
        topic="self_test",
        tenant_id=OPERATORS,
        title=what,
        detail=f"within {waited} s{where}: {test.missing}",
        severity="critical",
        once=f"{test.kind} {test.place} {test.missing} {now:%Y-%m-%dT%H}",  # the same trouble once an hour
        now=now,
    )


def _revoke_canaries(deps: ControlDeps, rows: ControlRows, heard: Sequence[Standing], now: datetime) -> None:
    """One revocation in as few tenants as reach every gateway that is heard."""
    chosen: list[str] = []
    for each in sorted(heard, key=lambda one: (one.peer.tenants is None, len(one.peer.tenants or ()))):
        if not any(each.peer.reaches(tenant) for tenant in chosen):
            chosen.append(min(each.peer.tenants) if each.peer.tenants else OPERATORS)
    for tenant_id in chosen:
        name = f"canary-{secrets.token_hex(8)}"
        entry = by_itself(
            rows,
            tenant_id=tenant_id,
            subject_id=name,
            status="revoked",
            reason_code="self_test",
            reason="the switch tests itself",
            now=now,
            expires_at=now + _CANARY_LIFE,
        )
        deadline = now + deps.settings.switch.self_test.enforced_within
        rows.self_tests.add(
            SelfTest(f"tst_{deps.new_id()}", "canary", tenant_id, name, "", now, deadline, revision=entry.revision)
        )


def _plant_everywhere(deps: ControlDeps, now: datetime) -> None:
    """A planted session of each kind on every partition. What cannot be planted has failed at once."""
    rule, planter = deps.settings.switch.self_test, deps.planter
    assert planter is not None  # noqa: S101 - only called with one
    rnd = random.Random(secrets.token_bytes(32))
    try:
        places = planter.places()
    except GuardianError as error:
        places = ()
        _log.error("not_planted", error=str(error)[:300])
    with deps.store.write() as rows:
        if not _due(rows, _PLANTS, rule.plant_every, now):
            return  # another process was faster
        tests = []
        for place in places or ("?",):
            for kind in _PLANTS:
                plant = make_plant(kind, tenant_id=rule.tenant_id, gateway=rule.gateway, now=now, rnd=rnd)
                deadline = now + rule.noticed_within
                name = f"tst_{deps.new_id()}"
                test = SelfTest(name, kind, rule.tenant_id, plant.session_id, str(place), now, deadline)
                rows.self_tests.add(test)
                tests.append((test, plant))
    if not places:
        return
    for test, plant in tests:  # only now: a finding may be faster than our own commit
        try:
            for line in plant.lines:
                planter.plant(int(test.place), plant.session_id, line)
        except GuardianError as error:
            _log.error("not_planted", place=test.place, error=str(error)[:300])
