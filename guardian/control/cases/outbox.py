"""What is to be written in a channel that keeps cases: an outbox over the cases, one write at a time.

It follows three feeds, each written in the same transaction as what it reports: alerts (findings that people are
told of), the audit trail (what people did), and people's words (lapses). Whatever happened while the channel was
away has changed only how the cases stand; what is written then is how they stand now. A write that was begun is
repeated under its own name until it has ended, so the channel can be asked whether it arrived.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import assert_never

from pydantic import ValidationError

from guardian.alerting.port import Alert, Step, Verb
from guardian.alerting.rules import OPEN_STATES, Done, Fold, Rules, Wait, Write, is_refused, next_call, next_move
from guardian.alerting.worker import AlertRow
from guardian.control.cases.beginning import LINE, go_on
from guardian.control.cases.case import told as told_of
from guardian.control.cases.digests import counted_in, fold
from guardian.control.cases.feeds import catch_up, given_up, read_alert
from guardian.control.cases.similar import with_similar
from guardian.control.cases.standing import Standing, standing
from guardian.control.cases.view import severity_of
from guardian.control.deps import ControlDeps
from guardian.control.revocations.following import LONGEST_S
from guardian.store.control.cases import CaseChanges, StoredCase
from guardian.store.control.picture import Picture
from guardian.store.control.rows import ControlRows
from guardian.telemetry import logger
from guardian.wire.approvals import ApprovalView
from guardian.wire.cases import CaseEvent
from guardian.wire.findings import AlertPayload

_LOOKED_AT = 50  # due cases of which one is to be written; the others are put to rest
_IN_A_DIGEST, _IN_A_REPLY = 40, 200  # lines of a digest's reply; events that one reply sums up
_PARKED_AGAIN = timedelta(hours=1)
_log = logger("control")


class CaseOutbox:
    """For one AlertWorker. `rules` say what is written where and when.

    A write that another process took over is that process's to end: it asks the channel what became of it. A
    report that comes late here ends only the write that was claimed here, and only if that one arrived.
    """

    def __init__(self, deps: ControlDeps, rules: Rules) -> None:
        self._deps, self._rules = deps, replace(rules, always=rules.always | {LINE})
        self._store = deps.store
        self._in_hand, self._attempt = "", 0  # the write that was claimed last
        self._looked_at = datetime.max.replace(tzinfo=UTC)

    def recover(self, before: datetime | None = None) -> int:
        with self._store.write() as rows:
            return rows.cases.recover(before)

    def claim(self, now: datetime) -> AlertRow | None:
        if now < self._looked_at:  # it just started, or the clock was put back
            with self._store.write() as rows:
                rows.cases.put_right(now)
        self._looked_at = now
        if go_on(self._deps, now):  # the worker comes again in a moment, and whoever else writes gets a turn
            return None
        while catch_up(self._store, now, floor=self._rules.floor):
            pass
        while True:
            with self._store.read() as rows:  # most looks find nothing: they need not queue with the writers
                if not rows.cases.due(now, 1):
                    return None
            with self._store.write() as rows:
                stops = self._deps.stopwatch() + LONGEST_S
                claimed = self._next(rows, now, stops)
            if claimed is not None:
                alert, attempts = claimed
                return AlertRow(alert.case, self._beside_similar(alert).model_dump_json(), attempts)
            if self._deps.stopwatch() > stops:  # the worker comes again in a moment here, too
                return None

    def _beside_similar(self, alert: Alert) -> Alert:
        """Once the write is claimed: that takes long, and nobody who writes is to wait for it."""
        if alert.view is None or alert.verb == "reply":
            return alert
        with self._store.read() as rows:
            return alert.model_copy(update={"view": with_similar(rows, alert.view)})

    def sent(self, id: str, reference: str) -> None:
        now = self._deps.clock()
        with self._store.write() as rows:
            found = self._sending(rows, id)
            if found is None:
                return
            case, step = found
            changes: CaseChanges = {"status": "due", "next_at": now, "attempts": 0, "step": None, "last_error": ""}
            match step.verb:
                case "update" if step.leaves is not None:
                    changes |= _left(case, step.leaves)
                case "post" | "update":
                    left = case.place is None and reference == step.place  # it begins anew meanwhile
                    changes |= {"place": None if left else reference, "folded_into": None, "written_at": now}
                    if step.leaves is not None:
                        changes["step"] = _leaving(case, step, reference, now).model_dump_json()
                case "reply":
                    changes |= {"told": step.events, "replied_at": now}
                case "escalate":
                    changes["escalated_at"] = now
                case _:
                    assert_never(step.verb)
            rows.cases.change(id, **changes)

    def postponed(self, id: str, until: datetime, error: str) -> None:
        with self._store.write() as rows:
            found = self._sending(rows, id)
            if found is not None and found[0].attempts == self._attempt:
                rows.cases.change(id, status="due", next_at=until, last_error=error[:500])

    def parked(self, id: str, error: str, *, never: bool = False) -> None:
        """The channel refuses this write for good: it is tried anew in an hour, but for a reply that is never
        taken.

        Where the configuration names another channel by now, its message is made there at once. What the channel
        on call refuses is made where the case is. What else is to be done with a case does not wait for its reply.
        """
        now = self._deps.clock()
        with self._store.write() as rows:
            found = self._sending(rows, id)
            if found is None or found[0].attempts != self._attempt:
                return
            case, step = found
            changes: CaseChanges = {"status": "due", "attempts": 0, "step": None, "next_at": now}
            changes["last_error"] = error[:500]
            moves = step.channel != self._rules.channel_for(case)
            match step.verb:
                case "update" if step.leaves is not None:
                    changes |= _left(case, step.leaves)
                case "post" | "update":
                    changes["shown"] = Picture(left=step.leaves) if step.leaves else case.shown.unsure()
                    if moves:
                        changes |= {"place": None, "last_error": ""}
                    else:
                        changes["next_at"] = self._but_for_a_call(rows, case, error, now)
                case "reply" if never:
                    changes |= {"told": step.events, "replied_at": now, "last_error": ""}
                case "escalate" if step.place is None and case.place is not None:
                    there = step.model_copy(update={"channel": case.channel, "place": case.place, "home": ""})
                    changes["step"] = there.model_dump_json()
                case "reply" | "escalate" if moves and case.place is not None:
                    changes |= {"place": None, "shown": case.shown.unsure(), "last_error": ""}
                case "reply":
                    changes["next_at"] = self._but_for_its_reply(rows, case, now)
                case "escalate":
                    changes["next_at"] = now + _PARKED_AGAIN
                    if is_refused(case):  # what it went before has its turn then
                        before = self._step(case, "post" if case.place is None else "update", now, asks=False)
                        changes["step"] = before.model_copy(update={"leaves": case.shown.left}).model_dump_json()
                    elif case.place is None:  # it begins anew meanwhile
                        changes |= {"next_at": now, "last_error": ""}
                case _:
                    assert_never(step.verb)
            rows.cases.change(id, **changes)

    def _but_for_a_call(self, rows: ControlRows, case: StoredCase, error: str, now: datetime) -> datetime:
        """When its message is tried again, or somebody is called for help before that."""
        case, again = case._replace(last_error=error, shown=Picture()), now + _PARKED_AGAIN
        due = next_call(self._of_its_cases(rows, case) if case.kind == "digest" else case, self._rules)
        return again if due is None else min(max(due, now), again)

    def _but_for_its_reply(self, rows: ControlRows, case: StoredCase, now: datetime) -> datetime:
        """When something else is to be done with the case; in an hour at the latest."""
        stands, again = standing(self._deps, rows, case._replace(told=case.events), now), now + _PARKED_AGAIN
        case = self._of_its_cases(rows, stands.case) if case.kind == "digest" else stands.case
        match next_move(case, self._rules, crowd=0, now=now):
            case Wait(until):
                return min(until, _ends(stands) or until, again)
            case Done():
                return min(_ends(stands) or again, again)
            case _:
                return now

    def depth(self) -> int:
        with self._store.read() as rows:
            return rows.cases.depth(self._deps.clock())

    def refresh(self, key: str) -> None:
        """Write the case's message anew even if nothing changed: somebody clicked on an old picture of it."""
        with self._store.write() as rows:
            if (case := rows.cases.get(key)) is not None:
                rows.cases.change(key, shown=case.shown.unsure(), folded_into=None)
                rows.cases.touch(key, self._deps.clock())

    def _sending(self, rows: ControlRows, key: str) -> tuple[StoredCase, Step] | None:
        """The case and the write that is being sent of it, if that is the one in hand here."""
        case = rows.cases.get(key)
        step = None if case is None or case.status != "sending" else _step_of(case)
        if case is None or step is None or step.key != self._in_hand:
            return None
        return case, step

    # -- choosing the next write -----------------------------------------------------------------------------

    def _next(self, rows: ControlRows, now: datetime, stops: float) -> tuple[Alert, int] | None:
        """The next write, claimed. None where there is none before `stops` on the stopwatch; one case is always
        looked at."""
        for looked, found in enumerate(rows.cases.due(now, _LOOKED_AT)):
            if looked and self._deps.stopwatch() > stops:
                break
            case = rows.cases.get(found.key)  # an earlier one may have folded this one
            if case is None or case.status != "due":
                continue
            stands = standing(self._deps, rows, case, now)
            case = stands.case
            if (step := _step_of(case)) is not None:
                return self._row(rows, stands, step)
            if case.step is not None:  # nobody knows whether it arrived; written anew, it is as it stands
                _log.error("case_unreadable", case=case.key)
                case = case._replace(step=None, attempts=0, shown=case.shown.unsure())
                stands = replace(stands, case=case)
                rows.cases.change(case.key, step=None, attempts=0, shown=case.shown)
            if case.place is None and _is_over(stands.approval, now):
                rows.cases.change(case.key, status="idle")
                continue
            leaves = case.shown.left
            if case.shown.worse and case.place is not None and self._is_for_others(case, now):
                rows.cases.change(case.key, **given_up(case))
                leaves, case = case.place, case._replace(place=None)
            began = now - self._rules.storm_window
            crowd = rows.cases.crowd(case.tenant_id, case.rank, began, waits=case.next_at)
            asks = bool(stands.requests)
            if case.kind == "digest":
                case = self._of_its_cases(rows, case)
                asks = rows.cases.asked_in(case.key, now)
            match next_move(case, self._rules, crowd=crowd, now=now, asks=asks):
                case Write(verb):
                    step = self._step(case, verb, now, asks=asks)
                    return self._row(rows, stands, step.model_copy(update={"leaves": leaves}))
                case Fold() if leaves is not None:  # else it would go on in a digest, and nothing say so
                    step = self._step(case, "update", now, asks=asks)
                    return self._row(rows, stands, step.model_copy(update={"place": leaves, "leaves": leaves}))
                case Fold():
                    if not fold(self._deps, self._rules, rows, case, now, crowd, stops):  # none could be listed
                        rows.cases.change(case.key, next_at=now + _PARKED_AGAIN)
                case Wait(until):
                    rows.cases.change(case.key, next_at=min(until, _ends(stands) or until))
                case Done() if case.place is not None and (ends := _ends(stands)) is not None:
                    rows.cases.change(case.key, next_at=ends)
                case Done():
                    rows.cases.change(case.key, status="idle")
                    if case.folded_into is not None:  # it may call for help again: its snooze is over, say
                        rows.cases.touch(case.folded_into, now)
        return None

    def _of_its_cases(self, rows: ControlRows, digest: StoredCase) -> StoredCase:
        """The digest as one of the cases that it lists: it calls for help once one of them would."""
        now = self._deps.clock()
        since, ended = rows.cases.waits_in(digest.key, self._rules.escalate_floor, OPEN_STATES, now)
        return digest if since is None else digest._replace(state="flagged", opened_at=since, snoozed_until=ended)

    def _is_for_others(self, case: StoredCase, now: datetime) -> bool:
        """Whether others have to see, by a message of its own, that it became worse: of an edit nobody hears.

        Where quiet hours would hold that message back, those who know of the case see the edit at once.
        """
        if case.channel != self._rules.channel_for(case):
            return True
        return case.rank >= self._rules.mention_floor and self._rules.quiet_until(case, now) is None

    def _step(self, case: StoredCase, verb: Verb, now: datetime, *, asks: bool) -> Step:
        calls = self._rules.calls(case) if verb == "post" and (asks or case.acted_at is None) else ""
        place, home = case.place, ""
        channel = self._rules.channel_for(case) if place is None else case.channel
        if verb == "escalate":
            calls = self._rules.mention(case.tenant_id)
            if self._rules.escalate_channel is not None:
                channel, place = self._rules.escalate_channel, None
                home = case.channel if case.channel != channel and case.place is not None else ""
        most = _IN_A_DIGEST if case.kind == "digest" else _IN_A_REPLY
        return Step(
            verb=verb,
            key=f"{case.key}:{case.steps + 1}",
            since=now,
            channel=channel,
            place=place,
            home=home,
            calls=calls,
            told=case.told,
            events=min(case.events, case.told + most),
        )

    def _row(self, rows: ControlRows, stands: Standing, step: Step) -> tuple[Alert, int] | None:
        """Claim this write: from here on it is repeated until it has ended. Also says how often it was tried."""
        case = stands.case
        told = read_alert(rows.alerts.payload(case.alert_id))
        if told is None:
            if case.alert_id:  # another version may be able to
                _log.error("alert_unreadable", alert=case.alert_id, case=case.key)
            rests: CaseChanges = {"last_error": "it has no alert that can be read"}
            again = self._deps.clock() + _PARKED_AGAIN
            rests |= {"next_at": again} if case.alert_id else {"status": "parked"}
            rows.cases.change(case.key, **rests)
            return None
        changes: CaseChanges = {"status": "sending", "step": step.model_dump_json(), "next_at": self._deps.clock()}
        changes |= {"attempts": case.attempts + 1, "steps": int(step.key.rpartition(":")[2])}
        if step.verb == "post" or (step.verb == "update" and step.leaves is None):
            # of a write that is repeated nobody knows what it showed when it arrived
            shown = Picture(case.digest) if case.attempts == 0 else case.shown.unsure()
            changes |= {"shown": shown, "channel": step.channel}
        rows.cases.change(case.key, **changes)
        self._in_hand, self._attempt = step.key, case.attempts + 1
        return self._alert(rows, stands, step, told), case.attempts

    def _alert(self, rows: ControlRows, stands: Standing, step: Step, told: AlertPayload) -> Alert:
        case, view, finding, outcome = stands.case, stands.view, told.finding, told.outcome
        events: Sequence[CaseEvent] = ()
        if step.verb == "reply":
            events = rows.cases.events(case.key, step.told, step.events - step.told)
        elif view is not None:
            finding, outcome = view.shown.finding, told_of(view.shown.outcome)  # which its buttons act on
            finding = finding.model_copy(update={"severity": severity_of(rows, view)})
        return Alert(
            finding=finding,
            outcome=outcome,
            link=told.link,
            case=case.key,
            step=step,
            view=view,
            approval=stands.approval,
            events=tuple(events),
            digest=counted_in(rows, case) if case.kind == "digest" else None,
        )


def _step_of(case: StoredCase) -> Step | None:
    """The write that has not ended, if there is one and this version can read it."""
    with suppress(ValidationError):
        return None if case.step is None else Step.model_validate_json(case.step)
    return None


def _leaving(case: StoredCase, step: Step, place: str, now: datetime) -> Step:
    """Once that step showed the case at `place`: the message that it leaves says that it goes on elsewhere. That
    is a write of its own, or a limit on it would be the end of it."""
    next_one = {"verb": "update", "key": f"{case.key}:{case.steps + 1}", "since": now, "calls": ""}
    return step.model_copy(update={**next_one, "place": place})


def _left(case: StoredCase, place: str) -> CaseChanges:
    """What changes once that message says so, if Slack took that."""
    return {"shown": Picture()} if case.shown.left == place else {}


def _is_over(asked: ApprovalView | None, now: datetime) -> bool:
    """Whether a held call was answered, or is too late to be. Nobody is called for that."""
    if asked is None or asked.action != "permitCall":
        return False
    return asked.state != "pending" or asked.expires_at <= now


def _ends(stands: Standing) -> datetime | None:
    """When the first revocation ends of what the session acts under: nothing else says so then."""
    also = () if stands.view is None else stands.view.also_revoked
    return min((entry.expires_at for entry in also), default=None)
