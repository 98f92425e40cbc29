"""Which acts a page offers for a case as it stands, each bound to what was shown. Policy decides on every one."""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, get_args
from urllib.parse import quote, unquote

from guardian.alerting.buttons import kept_from_approval, of_no_session
from guardian.domain.envelope import purpose_family
from guardian.domain.finding import OPERATORS, Kind
from guardian.domain.text import counted, plain
from guardian.wire.approvals import ApprovableAction, ApprovalView
from guardian.wire.cases import NO_CASE, CaseView
from guardian.wire.findings import FindingView, ListedFinding
from guardian.wire.policies import PolicyExplanation
from guardian.wire.principal import Role
from guardian.wire.sessions import SessionView
from guardian.wire.visits import Visit

Verb = Literal[
    "revoke",
    "reinstate",
    "false_positive",
    "benign",
    "confirmed",
    "withdrawn",
    "approve",
    "deny",
    "withdraw",
    "protect",
    "unprotect",
    "snooze",
    "take",
    "note",
    "except",
]
VERBS: tuple[Verb, ...] = get_args(Verb)
_READERS: frozenset[Role] = frozenset({"auditor"})
ACTIONS: Mapping[Verb, str] = {
    "revoke": "revoke",
    "reinstate": "reinstate",
    "false_positive": "dismiss",
    "benign": "dismiss",
    "confirmed": "confirm",
    "withdrawn": "dismiss",
    "protect": "protect",
    "unprotect": "protect",
    "snooze": "snooze",
    "take": "take",
    "note": "note",
    "except": "makeException",
}
"""What policy calls the acts that a page asks it about before it offers them."""


WISHES: Mapping[ApprovableAction, str] = {
    "revoke": "revoke",
    "reinstate": "reinstate",
    "setMode": "change the mode",
    "permitCall": "let one held call through",
}
"""What a request for approval asks for, in words."""
_UNFOLLOWED = "it goes on the revocation list; no gateway is known to follow that list now"


@dataclass(frozen=True, slots=True)
class Button:
    """`outlook` is what policy is likely to say: no, or that it takes two. Policy is asked again at the click."""

    verb: Verb
    text: str
    hint: str = ""
    style: Literal["", "danger", "plain"] = ""
    outlook: Literal["", "two", "no"] = ""


@dataclass(frozen=True, slots=True)
class Form:
    """Buttons that share one reason. `seen` is the digest of what was shown. `key` makes a double click on revoke
    or reinstate count once; the other acts are bound to the case alone.

    `extra` names further fields: the hours of a snooze, or the days and the tool of an exception. `typed` is what
    the fields held when this form was refused.
    """

    title: str
    buttons: tuple[Button, ...]
    key: str
    seen: str = ""
    finding: str = ""
    approval: ApprovalView | None = None
    extra: Literal["", "hours", "days"] = ""
    open: bool = True
    typed: Mapping[str, str] = field(default_factory=dict)

    def refilled(self, sent: Mapping[str, str]) -> "Form":
        """With what the person had typed, if this is the form that was sent and it still has the button that they
        pressed: a reason to revoke is none to reinstate."""
        approval = "" if self.approval is None else self.approval.id
        mine = sent.get("approval") == approval and any(each.verb == sent.get("verb") for each in self.buttons)
        return replace(self, typed=sent) if mine else self


def left_over(forms: Iterable[Form], sent: Mapping[str, str]) -> str:
    """The reason of the form that was sent where none of the page's forms is refilled with it."""
    return "" if any(form.typed for form in forms) else sent.get("reason", "")


def forms_for(
    session: SessionView,
    case: CaseView | None,
    visit: Visit,
    held: Sequence[ApprovalView] = (),
    *,
    purpose: str = "",
    followed: bool = False,
) -> tuple[Form, ...]:
    """For a session's page: first what waits for approval, then the acts that fit its state, then the rest.

    `held` is what waits where there is no case, which would say it; `purpose` is the registered one, if any;
    `followed` whether a gateway is known to follow the list."""
    if visit.principal.role in _READERS:
        return ()
    seen = seen_of(case)
    finding = "" if case is None else case.shown.finding.id
    waiting = held if case is None else case.approvals
    found = [approval_form(each, visit, seen) for each in waiting]
    revoked, of_none = session.status == "revoked", case is not None and of_no_session(case.shown.finding)
    if session.tenant_id == OPERATORS and session.delegator_id is None:  # if anybody's, another tenant's
        of_none = True
    buttons: tuple[Button, ...] = ()
    if revoked:
        buttons = (Button("reinstate", "Reinstate", "it is given back; its evidence starts afresh"),)
    elif not of_none:
        told = "every gateway that follows the list refuses its next call" if followed else _UNFOLLOWED
        buttons = (Button("revoke", "Revoke", told, "danger"),)
    if case is not None:
        others = case.others_unjudged
        also = f"also of {counted(others, 'other drift finding')}" if others else ""
        buttons += verdicts(case.shown, revoked=revoked, others=also)
    found.append(Form("Decide", buttons, _key(), seen, finding))
    if case is not None:
        note = Button("note", "Leave the note", "shown to others and audited; it changes nothing else", "plain")
        if case.taken_by != visit.principal.id:
            over = "" if case.taken_by is None else f" over from {plain(case.taken_by, 80)}"
            told = "nobody is called for help then, unless it becomes worse; no reason is needed"
            take = Button("take", "I take it" if not over else f"I take it{over}", told, "plain")
            found.append(Form("Take the case, or leave a note", (take, note), _key(), seen, open=False))
        else:
            found.append(Form("Leave a note", (note,), _key(), seen, open=False))
        told = "no reminders in the channel; guardian goes on judging and revoking"
        snooze = Button("snooze", "Snooze", told, "plain")
        found.append(Form("Snooze the case", (snooze,), _key(), seen, extra="hours", open=False))
        if case.excusable:
            subject = case.shown.finding.subject
            family = purpose_family(purpose or ("" if subject is None else subject.purpose))
            told = f"guardian does not flag this tool on statistics alone for the purpose “{plain(family, 200)}”, "
            told += "which is what it reads without names and numbers"
            fine = Button("except", "Make the exception", told, "plain")
            found.append(Form("Make an exception", (fine,), _key(), seen, finding, extra="days", open=False))
    guard = (
        Button("unprotect", "Let guardian revoke it by itself", style="plain")
        if session.protected
        else Button("protect", "Protect from automatic revocation", style="plain")
    )
    if not of_none:
        found.append(Form("Protection", (guard,), _key(), seen, open=False))
    return tuple(found)


def seen_of(case: CaseView | None) -> str:
    """What a form about a session is bound to: the case that was shown, or the fact that there was none."""
    return NO_CASE if case is None else case.digest


def with_outlook(forms: Sequence[Form], ask: Callable[[str], PolicyExplanation | None]) -> tuple[Form, ...]:
    """The forms with what policy would say of each act, where it can be asked; it is asked once per action."""
    told: dict[str, PolicyExplanation | None] = {}

    def looked(button: Button) -> Button:
        action = ACTIONS.get(button.verb)
        if action is None:
            return button
        if action not in told:
            told[action] = ask(action)
        would = told[action]
        if would is None or would.allowed:
            return button
        return replace(button, outlook="two" if would.needs_approval else "no")

    return tuple(replace(form, buttons=tuple(map(looked, form.buttons))) for form in forms)


def may_judge(visit: Visit) -> bool:
    """Whether the visitor is one of those who judge at all; policy decides on each finding."""
    return visit.principal.role not in _READERS


class Pick(NamedTuple):
    """A finding that was chosen in a list, and the digest of its session's case as the list showed it."""

    seen: str
    tenant: str
    finding: str


def pick_of(view: ListedFinding, visit: Visit) -> str:
    """What the check-box of a finding holds; empty where there is none, as of one whose case cannot be read."""
    if visit.principal.role in _READERS or view.finding.kind is Kind.CONTROL or view.dismissed:
        return ""
    named = view.finding.tenant_id, view.finding.id
    return "" if view.digest is None else "/".join((view.digest, *(quote(name, safe="") for name in named)))


def picked(form: Mapping[str, str]) -> list[Pick]:
    """What was chosen. Raises ValueError for what no list of ours holds."""
    found = []
    for name, value in form.items():
        if name.startswith("pick-"):
            parts = value.split("/")
            if len(parts) != len(Pick._fields):
                raise ValueError("this form was altered; reload the page")
            found.append(Pick(*map(unquote, parts)))
    return found


def finding_form(view: FindingView, case: CaseView | None, visit: Visit) -> tuple[Form, ...]:
    """For a finding's own page. What guardian says about itself is no judgement to be judged."""
    if visit.principal.role in _READERS or view.finding.kind is Kind.CONTROL:
        return ()
    revoked = case is not None and case.state == "revoked"
    left = 0 if case is None else case.unjudged_beside(view)
    others = f"not of {counted(left, 'other drift finding')} of the session" if left else ""
    buttons = verdicts(view, revoked=revoked, others=others)
    return (Form("Your verdict", buttons, _key(), seen_of(case), view.finding.id),)


def verdicts(view: FindingView, *, revoked: bool, others: str = "") -> tuple[Button, ...]:
    """Those that were not given already, with what becomes of the session's other findings, and the way back from
    the one that was. Only a verdict on drift restarts evidence, and none reinstates."""
    afresh = ["the session's evidence starts afresh"] if view.finding.kind is Kind.DRIFT else []
    kept = ["it stays revoked until it is reinstated"] if revoked else []
    kept += [others] if others and afresh else []
    every = (
        Button("false_positive", "Dismiss as false positive", "; ".join(["guardian was wrong", *afresh, *kept])),
        Button("benign", "Unusual, but all right", "; ".join([*afresh, *kept])),
        Button("confirmed", "Confirm", "guardian was right"),
    )
    if view.verdict is None:
        return every
    undo = Button("withdrawn", "Take the verdict back", "as if nobody had judged it; it is open again", "plain")
    return (*(each for each in every if each.verb != view.verdict.verdict), undo)


def approval_form(approval: ApprovalView, visit: Visit, seen: str = "") -> Form:
    """Whoever asked may withdraw it; somebody else decides."""
    if approval.proposer == visit.principal.id:
        buttons: tuple[Button, ...] = (Button("withdraw", "Withdraw", style="plain"),)
    elif why := kept_from_approval(approval):
        buttons = (Button("deny", "Deny", f"it cannot be approved: {why}", "plain"),)
    else:
        style: Literal["", "danger"] = "danger" if approval.action == "revoke" else ""
        buttons = (
            Button("approve", "Approve", "it is done at once", style),
            Button("deny", "Deny", style="plain"),
        )
    return Form(
        f"Waiting for a second person: {WISHES[approval.action]}", buttons, _key(), seen, approval=approval
    )


def _key() -> str:
    return secrets.token_hex(12)
