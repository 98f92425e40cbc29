"""A button was pressed: one call of the control API, as the person who did, bound to what they were shown."""

import re
from typing import assert_never

from pydantic import ValidationError
from starlette.responses import Response

from guardian.console import finding, lists, session
from guardian.console.asked import Asked, at_its_page, safe_path
from guardian.console.forms import VERBS, Verb, picked
from guardian.console.notices import STALE, Notice, with_word
from guardian.console.pages import Pages, followed
from guardian.domain.text import plain
from guardian.errors import ControlError
from guardian.telemetry import logger
from guardian.wire.cases import NO_CASE
from guardian.wire.evidence import EvidenceClient
from guardian.wire.sessions import ActResult

_log = logger("console")
_PATTERN = (
    "give a tool's name of 3 to 200 letters, digits and _ . : / -, or at least three of its first characters and a"
    " star, such as `crm.*`"
)
_STALE = "its case has changed since the list was shown"
_TOLD = 10
"""Of so many refusals it is said what they are about."""
_OURS = re.compile(rf"[0-9a-f]{{24,48}}|{NO_CASE}")


def take(pages: Pages, asked: Asked) -> Response:
    """When done, back to the page by GET. When refused, the page as it stands now, with the refusal and with what
    the person had typed in the form that was sent."""
    verb = asked.form.get("verb", "")
    if verb not in VERBS:
        return _again(pages, asked, 422, Notice("refused", "Nothing was done: choose one of the buttons."))
    try:
        if asked.form.get("page") == "findings":
            return _judge_all(pages, asked, verb)
        word = _done(pages.api(asked), verb, asked)
    except ControlError as refusal:
        if refusal.status == 401:
            raise
        outcome = Notice("refused", f"Nothing was done. {refusal}")
        return _again(pages, asked, refusal.status or 503, STALE if refusal.status == 412 else outcome)
    except (ValidationError, ValueError) as mistake:
        text = _wrong(mistake) if isinstance(mistake, ValidationError) else str(mistake)
        return _again(pages, asked, 422, Notice("refused", f"Nothing was done: {text}"))
    _log.info("console_act", verb=verb, who=asked.signed_in.principal.id, outcome=word)
    return pages.away(with_word(asked.signed_in, safe_path(pages.parts, asked.form.get("back", "")), word))


def show(pages: Pages, _asked: Asked) -> Response:
    """For who opens the address of a refusal again: nothing is done by that."""
    return pages.away(pages.parts.root)


def _done(api: EvidenceClient, verb: Verb, asked: Asked) -> str:
    """Do it, and name the notice to show. Raises ControlError for a refusal, ValueError for an unusable field."""
    form = asked.form
    tenant, name = form.get("tenant", ""), form.get("session", "")
    reason, seen, key = form.get("reason", "").strip(), form.get("seen") or None, form.get("key") or None
    if not all(_OURS.fullmatch(told) for told in (seen, key) if told is not None):
        raise ValueError("this form was altered; reload the page")
    if not reason and verb != "take":
        raise ValueError("give a reason; it is audited and shown to others")
    match verb:
        case "revoke":
            made = api.revoke(tenant, name, reason=reason, seen=seen, idempotency_key=key)
            return _of(made, "revoked" if followed(api, tenant) else "unfollowed")
        case "reinstate":
            made = api.reinstate(tenant, name, reason=reason, seen=seen, idempotency_key=key)
            return _of(made, "reinstated")
        case "protect" | "unprotect":
            wanted = verb == "protect"
            return _of(api.protect(tenant, name, protected=wanted, reason=reason, seen=seen), f"{verb}ed")
        case "false_positive" | "benign" | "confirmed" | "withdrawn":
            found, case = form.get("finding", ""), form.get("page") == "session"
            api.judge(found, verb, reason=reason, tenant_id=tenant or None, seen=seen, case=case)
            return "taken_back" if verb == "withdrawn" else verb
        case "approve" | "deny" | "withdraw":
            return api.decide_approval(form.get("approval", ""), verb, reason=reason, seen=seen).state
        case "snooze":
            api.snooze(tenant, name, hours=_whole(form.get("hours", "")), reason=reason, seen=seen)
            return "snoozed"
        case "take":
            api.take(tenant, name, reason=reason or None, seen=seen)
            return "taken"
        case "note":
            api.note(tenant, name, reason=reason, seen=seen)
            return "noted"
        case "except":
            days, tool = _whole(form.get("days", "")), form.get("tool", "").strip() or None
            found = form.get("finding", "")
            api.make_exception(found, reason=reason, days=days, tool=tool, tenant_id=tenant or None, seen=seen)
            return "excepted"
        case _:
            assert_never(verb)


def _judge_all(pages: Pages, asked: Asked, verb: Verb) -> Response:
    """The same verdict on each finding that was chosen, one after the other: of those that are refused, why.

    Each is bound to its session's case as the list showed it, or as this very form has left it.
    """
    chosen, reason = picked(asked.form), asked.form.get("reason", "").strip()
    if verb not in ("false_positive", "benign") or not all(_OURS.fullmatch(each.seen) for each in chosen):
        raise ValueError("this form was altered; reload the page")
    if not chosen:
        raise ValueError("choose at least one finding")
    if not reason:
        raise ValueError("give a reason; it is audited and shown to others")
    api, left, refusals = pages.api(asked), dict[str, str](), list[tuple[str, ControlError]]()
    for place, each in enumerate(chosen):
        seen = left.get(each.seen, each.seen)
        try:
            done = api.judge(each.finding, verb, reason=reason, tenant_id=each.tenant or None, seen=seen)
        except ControlError as refusal:
            if refusal.status not in (None, 401, 429) and refusal.status < 500:
                refusals.append((each.finding, refusal))
            elif refusal.status == 401 or place == len(refusals):  # nothing was done
                raise
            else:  # the next ones would hear the same
                refusals += [(left_over.finding, refusal) for left_over in chosen[place:]]
                break
        else:
            if each.seen != NO_CASE and done.digest:
                left[each.seen] = done.digest
    _log.info("console_act", verb=verb, who=asked.signed_in.principal.id, outcome=f"{len(chosen)} chosen")
    if not refusals:
        back = safe_path(pages.parts, asked.form.get("back", ""))
        return pages.away(with_word(asked.signed_in, back, "all_dismissed"))
    why = [f"{plain(name, 60)}: {_STALE if no.status == 412 else no}" for name, no in refusals[:_TOLD]]
    more = [f"and {len(refusals) - _TOLD} more"] if len(refusals) > _TOLD else []
    told = f"Dismissed: {len(chosen) - len(refusals)}. Not dismissed: {'; '.join(why + more)}."
    status = 200 if len(refusals) < len(chosen) else refusals[0][1].status or 503
    return _again(pages, asked, status, Notice("refused", told))


def _of(made: ActResult, word: str) -> str:
    if made.approval is not None:
        return "waits"
    return word if made.changed else "unchanged"


def _again(pages: Pages, asked: Asked, status: int, notice: Notice) -> Response:
    """The page that the form was on, as it stands now."""
    form, asked = asked.form, at_its_page(pages.parts, asked)
    match form.get("page", ""):
        case "finding":
            name, tenant = form.get("finding", ""), form.get("tenant", "")
            return finding.page(pages, asked, name, tenant, notice=notice, status=status)
        case "findings":
            return lists.findings(pages, asked, notice=notice, status=status)
        case "approvals":
            return lists.approvals(pages, asked, notice=notice, status=status)
        case _:
            tenant, name = form.get("tenant", ""), form.get("session", "")
            return session.page(pages, asked, tenant, name, notice=notice, status=status)


def _wrong(mistake: ValidationError) -> str:
    first = mistake.errors()[0]
    return _PATTERN if first["loc"] == ("tool",) else first["msg"]


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise ValueError(f"{text[:20]!r} is no whole number")
    return int(text)
