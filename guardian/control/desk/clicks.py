"""What a click in Slack leads to: a call of the control API, as the person who clicked, bound to what was shown.

The desk has no rights of its own. For each click it takes a token of a minute for the mapped principal and calls
the same routes as everybody, so that policy decides and the audit trail names the person. A button on an old
picture is refused by control (412; of a revocation only where people decided since), and the message is brought
up to date.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from threading import BoundedSemaphore, Lock
from typing import assert_never, cast

from pydantic import ValidationError

from guardian.alerting import modals
from guardian.alerting.approval_blocks import asked, in_full
from guardian.alerting.clicks import ActVerb, Click
from guardian.alerting.neutralise import code, prose, typed
from guardian.alerting.port import Alert, RetryLater
from guardian.alerting.slack_calls import SlackCalls, Unshowable
from guardian.alerting.slack_people import SlackPeople
from guardian.alerting.standing import under
from guardian.control.acts_under import in_words
from guardian.control.cases.case import told
from guardian.control.cases.picture import shows
from guardian.control.desk.commands import answer_command
from guardian.control.findings.found import purpose_of
from guardian.domain.envelope import purpose_family
from guardian.domain.text import counted
from guardian.errors import AlertError, ControlError
from guardian.store.control.cases import StoredCase
from guardian.store.control.store import ControlStore
from guardian.telemetry import Metrics, logger
from guardian.wire.approvals import ApprovalView
from guardian.wire.cases import CaseView
from guardian.wire.desk import DeskClient
from guardian.wire.findings import Said
from guardian.wire.principal import Person
from guardian.wire.sessions import ActResult

_AT_ONCE, _WAITING = 4, 200
_STALE = (
    "This message was out of date: the case has changed since. Its newest message is brought up to date as soon "
    "as Slack takes that; please look there."
)
_FAILED = "Guardian could not do this, and its log says why. Look how the case stands before you try again."
_WHO = "Nothing was done: Slack did not tell guardian who you are. Try again in a moment."
_RESTARTING = "Nothing was done: guardian is restarting. Try again in a moment."
_log = logger("control")


class Desk:
    """`client(person)` speaks to the control API as that person; `refresh(case)` has a message written anew."""

    def __init__(
        self,
        *,
        store: ControlStore,
        calls: SlackCalls,
        people: SlackPeople,
        client: Callable[[Person], DeskClient],
        refresh: Callable[[str], None],
        metrics: Metrics,
    ) -> None:
        self._store, self._calls, self._people = store, calls, people
        self._client, self._refresh, self._metrics = client, refresh, metrics
        self._room = BoundedSemaphore(_WAITING)
        # Nobody's act waits for Slack: it opens forms, and takes answers, as slowly as it likes.
        self._acting = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="guardian-desk-acts")
        self._opening = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="guardian-desk-forms")
        self._answering = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="guardian-desk-answers")
        self._taken: dict[Future[None], Click] = {}
        self._answers: set[Future[None]] = set()
        self._lock = Lock()  # what is taken is known to whoever stops

    def take(self, click: Click) -> bool:
        """Have it handled; returns at once. False when too many wait, and when guardian stops."""
        if not self._room.acquire(blocking=False):
            return False
        try:
            acts = click.kind != "button" or click.verb in ("revoke", "take")
            with self._lock:
                handled = (self._acting if acts else self._opening).submit(self._handle, click)
                self._taken[handled] = click
        except RuntimeError:  # stopping
            self._room.release()
            return False
        handled.add_done_callback(self._taken.pop)
        return True

    def stop(self, *, finish_s: float = 5.0, tell_s: float = 2.0) -> None:
        """Take no more clicks, and finish those that were taken: Slack was told that they are in good hands.

        Those that have not begun after `finish_s` are dropped: counted, logged and, within `tell_s`, told so.
        """
        with self._lock:
            self._acting.shutdown(wait=False)
            self._opening.shutdown(wait=False)
            taken = dict(self._taken)
        wait(taken, timeout=finish_s)
        self._drop([click for handled, click in taken.items() if handled.cancel()], tell_s)
        self._acting.shutdown(wait=True)
        self._opening.shutdown(wait=True)
        wait(tuple(self._answers), timeout=tell_s)
        self._answering.shutdown(wait=True, cancel_futures=True)

    def _drop(self, left: Sequence[Click], tell_s: float) -> None:
        tellers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="guardian-desk-drops")
        told = [(tellers.submit(self._answer, click, _RESTARTING), click) for click in left]
        wait([answered for answered, _ in told], timeout=tell_s)
        tellers.shutdown(wait=False, cancel_futures=True)
        for answered, click in told:
            heard = answered.done() and not answered.cancelled() and answered.exception() is None
            self._metrics.add("guardian_slack_clicks_total", outcome="dropped")
            _log.warning("slack_click_dropped", user=click.user, kind=click.kind, verb=click.verb, told=heard)

    def _handle(self, click: Click) -> None:
        try:
            outcome, text = self._outcome(click)
        except Exception as error:  # a bug must not end the desk
            outcome, text = "failed", _FAILED
            _log.exception("slack_click_failed", verb=click.verb, error=type(error).__name__)
        _log.info("slack_click", user=click.user, kind=click.kind, verb=click.verb, outcome=outcome)
        told = self._answering.submit(self._answer, click, text)
        self._answers.add(told)
        told.add_done_callback(partial(self._answered, click, outcome))

    def _answered(self, click: Click, outcome: str, told: Future[None]) -> None:
        self._answers.discard(told)
        trouble = "guardian stops" if told.cancelled() else told.exception()
        if trouble is not None:
            outcome = outcome if outcome == "failed" else "unanswered"
            _log.warning("slack_click_unanswered", verb=click.verb, error=str(trouble)[:300])
        self._metrics.add("guardian_slack_clicks_total", outcome=outcome)
        self._room.release()

    def _outcome(self, click: Click) -> tuple[str, str]:
        """What became of it, and what the person is told."""
        try:
            person = self._people.of(click.user)
        except RetryLater as trouble:
            _log.warning("slack_user_unknown", verb=click.verb, error=str(trouble)[:300])
            return "unanswered", _WHO
        if person is None:
            return "unmapped", (
                f"Guardian does not know you. An operator has to list {code(click.user, 40)} or your e-mail "
                "address under `slack.people`."
            )
        try:
            with self._client(person) as control:
                if click.kind == "command":
                    return "done", answer_command(control, click.text)
                return self._act(control, click)
        except ControlError as refusal:
            if refusal.status == 412:
                return self._stale(click)
            outcome = {403: "denied", 404: "absent", 409: "late"}.get(refusal.status, "refused")
            return outcome, f"Nothing was done. {prose(str(refusal), 900)}"
        except ValidationError as mistake:  # a field of a form that the API would not take
            wrong = mistake.errors()[0]
            field = ".".join(map(str, wrong["loc"]))
            return "refused", f"Nothing was done: {prose(field, 60)}: {prose(wrong['msg'], 300)}"
        except ValueError as mistake:
            return "refused", f"Nothing was done: {prose(str(mistake), 300)}"

    def _act(self, control: DeskClient, click: Click) -> tuple[str, str]:
        with self._store.read() as rows:
            case = rows.cases.get(click.case)
        if case is None:
            return "absent", "Guardian does not know this case any more."
        verb = cast(ActVerb, click.verb)
        if click.kind == "form":
            return "done", self._filled_in(control, click, case, verb)
        if case.kind == "news":
            asked_for = control.approval(click.approval)
            return self._opened(click, modals.form(click, _request(asked_for), whole=in_full(asked_for)))
        view = control.case(case.tenant_id, case.session_id)
        if verb == "evidence":
            history = control.case_history(case.tenant_id, case.session_id)
            return self._opened(click, modals.page(alert_of(click.case, view), history.items))
        if verb == "take":
            control.take(case.tenant_id, case.session_id, seen=click.seen)
            return "done", "The case is yours. Nobody is called for help unless it becomes worse."
        if not shows(view, click.seen, revoking=self._revokes(click, case)):
            return self._stale(click)
        if verb == "revoke":
            reason = f"Revoke now, clicked in Slack on {view.shown.finding.id}"
            done = control.revoke(case.tenant_id, case.session_id, reason=reason, seen=click.seen)
            return "done", _acted(done)
        finding = view.shown.finding
        wanted = [waiting for waiting in view.approvals if waiting.id == click.approval]
        if click.approval and not wanted:
            return self._stale(click)
        lines = [f"{typed(case.session_id, 120)} in {typed(case.tenant_id, 120)}", *map(_request, wanted)]
        lines += under(view)
        if verb == "verdict" and (others := view.others_unjudged):
            lines.append(f"A dismissal is also of {counted(others, 'other finding')}; see the thread.")
        tool = "" if finding.act is None else finding.act.tool
        if tool.endswith("*"):  # a name that reads as a pattern: nobody shall submit that unseen
            tool = ""
        with self._store.read() as rows:
            family = purpose_family(purpose_of(rows, finding))
        whole = [block for each in wanted for block in in_full(each)]
        told, judged = "\n".join(lines), view.shown.verdict is not None
        opened = modals.form(click, told, whole=whole, tool=tool, family=family, judged=judged)
        return self._opened(click, opened)

    def _revokes(self, click: Click, case: StoredCase) -> bool:
        """Whether the session would be revoked: by whoever clicks, or as somebody asked."""
        if click.verb != "approve":
            return click.verb == "revoke"
        with self._store.read() as rows:
            asked = rows.approvals.get(click.approval, {case.tenant_id})
        return asked is not None and asked.view.action == "revoke"

    def _stale(self, click: Click) -> tuple[str, str]:
        self._refresh(click.case)
        with self._store.read() as rows:
            case = rows.cases.get(click.case)
        if case is None or not self._revokes(click, case):
            return "stale", _STALE
        whose = f"{prose(case.tenant_id, 120)}/{typed(case.session_id, 120)}"
        return "stale", f"{_STALE} To revoke the session as it stands: /guardian revoke {whose} REASON"

    def _opened(self, click: Click, view: dict[str, object]) -> tuple[str, str]:
        try:
            self._calls.open(click.trigger, view)
        except (AlertError, RetryLater, Unshowable) as trouble:
            _log.warning("slack_form_not_opened", verb=click.verb, error=str(trouble)[:300])
            return "unanswered", "Nothing was done: Slack did not open the form in time. Press the button again."
        return "asked", ""

    def _filled_in(self, control: DeskClient, click: Click, case: StoredCase, verb: ActVerb) -> str:
        tenant, session, reason = case.tenant_id, case.session_id, click.fields.get("reason", "")
        seen = None if case.kind == "news" else click.seen
        match verb:
            case "reinstate":
                return _acted(control.reinstate(tenant, session, reason=reason, seen=seen))
            case "approve" | "deny":
                told = control.decide_approval(click.approval, verb, reason=reason, seen=seen)
                came = "" if told.result == told.state else f" {prose(told.result, 300)}"
                return f"{told.state.capitalize()}.{came}"
            case "verdict":
                view, verdict = control.case(tenant, session).shown, cast(Said, click.fields.get("verdict", ""))
                if verdict == "withdrawn" and view.verdict is None:  # another finding came since, say
                    raise ControlError("nobody has judged what the case shows now; look again", status=412)
                done = control.judge(
                    view.finding.id, verdict, reason=reason, tenant_id=tenant, seen=seen, case=True
                )
                also = f", with {counted(len(done.also), 'other finding')} of the case" if done.also else ""
                left = f" Nobody has judged {counted(done.unjudged, 'other one')} of it." if done.unjudged else ""
                if verdict == "withdrawn":
                    return f"The verdict is taken back{also}: nobody has judged that now.{left}"
                return f"Noted as {prose(modals.VERDICTS[verdict], 100)}{also}.{left}"
            case "snooze":
                hours = int(click.fields.get("hours", "0"))
                control.snooze(tenant, session, hours=hours, reason=reason, seen=seen)
                return f"Quiet for {hours} hours. Guardian goes on judging and revoking."
            case "note":  # not bound to what was seen: it changes nothing, and Slack would lose the words
                control.note(tenant, session, reason=reason)
                return "Noted."
            case "except":
                shown = control.case(tenant, session).shown.finding
                days, tool = int(click.fields.get("days", "0")), click.fields.get("tool", "").strip()
                made = control.make_exception(
                    shown.id, reason=reason, days=days, tool=tool or None, tenant_id=tenant, seen=seen
                )
                return (
                    f"Exception {code(made.id, 60)} for {code(made.tool, 120)} until {made.expires_at:%Y-%m-%d}."
                )
            case "revoke":
                return _acted(control.revoke(tenant, session, reason=reason, seen=seen))
            case "take" | "evidence":
                return ""
            case _:
                assert_never(verb)

    def _answer(self, click: Click, text: str) -> None:
        """To the person alone, in the channel where the click was made, or where the command's answer goes."""
        if not text:
            return
        if click.kind == "command" and click.answer_url:
            self._calls.answer(click.answer_url, text)
        elif click.channel:
            self._calls.write("chat.postEphemeral", {"channel": click.channel, "user": click.user, "text": text})


def _request(approval: ApprovalView) -> str:
    """What is decided on: who asks for what, and why."""
    session = "" if approval.session_id is None else f"{typed(approval.session_id, 120)} in "
    where = f"{session}{code(approval.tenant_id, 120)}"
    return f"{asked(approval)} · {where}\n{prose(approval.reason, 400)}"


def _acted(done: ActResult) -> str:
    if done.approval is not None:
        return "A second person has to approve: the message asks for that now."
    also = f" But {prose(in_words(done.also_revoked), 600)}." if done.also_revoked else ""
    if not done.changed:
        return f"Nothing to do: the session is {done.session.status}.{also}"
    return f"Done: the session is {done.session.status}, revision {done.revision}.{also}"


def alert_of(case: str, view: CaseView) -> Alert:
    """What is shown of a case that was asked for."""
    return Alert(finding=view.shown.finding, outcome=told(view.shown.outcome), case=case, view=view)
