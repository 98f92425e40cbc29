"""The slash command: a few questions and one act, in a line. Same routes, same policy."""

import re
from collections.abc import Sequence

from guardian.alerting.neutralise import code, is_altered, prose, typed
from guardian.alerting.standing import stands, under
from guardian.domain.identity import NAMELESS
from guardian.domain.text import counted, plain
from guardian.errors import ControlError
from guardian.wire.base import SessionStatus
from guardian.wire.desk import DeskClient
from guardian.wire.sessions import SessionView

HELP = """*What guardian answers*
`/guardian status` what is flagged, revoked, and waits for a second person
`/guardian session ID` one session and why; `TENANT/ID` where you work for several tenants
`/guardian revoke ID REASON` if policy lets you, every gateway that follows the list refuses its next call
`/guardian mode [TENANT]` what guardian may do by itself
`/guardian help` this
An ID with spaces goes in back-ticks, as messages show it; to revoke, so does every `window:…`."""
_QUOTED = re.compile(r"([^\s`]+/)?`([^`]+)`(?:\s+(.*))?", re.DOTALL)
_SLIP = " Guardian had not heard of it: is the name right?"
_SHOWN = 10
_TRIED = 20  # tenants, for a name without one


def answer_command(control: DeskClient, text: str) -> str:
    """Slack's markup for the person alone. Raises ControlError for what is refused."""
    verb, rest = (*text.strip().split(maxsplit=1), "", "")[:2]
    whole = apart = False
    if quoted := _QUOTED.fullmatch(rest):
        tenant, name, reason = quoted.groups("")
        name, whole, apart = tenant + name.strip(), not tenant, bool(tenant)
    elif verb.lower() == "session":
        name, reason = rest, ""
    else:
        name, reason = (*rest.split(maxsplit=1), "", "")[:2]
    if verb.lower() in ("session", "revoke") and is_altered(name):
        raise ValueError(
            "such a name is shown altered here; act on its evidence page, or in a terminal, "
            "where guardian sessions --json spells it"
        )
    match verb.lower():
        case "status":
            return _status(control)
        case "session" if rest:
            return _session(control, *_named(control, name, whole=whole, apart=apart))
        case "revoke" if name and reason:
            if not quoted and ("`" in name or NAMELESS in name):  # where would it end?
                raise ValueError("put the name in back-ticks: it may have spaces")
            return _revoke(control, *_named(control, name, whole=whole, apart=apart), reason)
        case "mode":
            return _mode(control, rest)
        case "help" | "":
            return HELP
        case _:
            return f"I do not know {code(text, 80)}, or something is missing.\n{HELP}"


def _status(control: DeskClient) -> str:
    lines = []
    pressing: dict[SessionStatus, str] = {"flagged": "Flagged", "revoked": "Revoked"}
    for status, name in pressing.items():
        page = control.sessions(status=status, order="pressing", limit=_SHOWN)
        more = " and more" if page.next else ""
        lines.append(f"*{name}*: {len(page.items)}{more}")
        lines += [f"• {_line(view)}" for view in page.items]
    waiting = control.approvals(state="pending", limit=_SHOWN)
    lines.append(f"*Waits for a second person*: {len(waiting.items)}{' and more' if waiting.next else ''}")
    lines += [
        f"• {code(each.id, 60)} {each.action} {typed(each.session_id or each.tenant_id, 120)} "
        f"asked by {prose(each.proposer, 60)}"
        for each in waiting.items
    ]
    return "\n".join(lines)


def _session(control: DeskClient, tenant: str, session: str) -> str:
    view = control.case(tenant, session)
    finding = view.shown.finding
    reasons = sorted(finding.reasons, key=lambda reason: -reason.share)[:3]
    count = counted(view.findings, "finding")
    lines = [
        f"*{stands(view)}* · {typed(session, 120)} in {typed(tenant, 120)} · {count}",
        prose(finding.title, 300),
        *under(view),
        *([f"Taken by {prose(view.taken_by, 80)}"] if view.taken_by is not None else ()),
        *(f"• {reason.share:.0%} {prose(reason.text or reason.signal, 300)}" for reason in reasons),
        f"Policy: {prose(view.shown.outcome.note or view.shown.outcome.effect.value, 500)}",
    ]
    return "\n".join(lines)


def _revoke(control: DeskClient, tenant: str, session: str, reason: str) -> str:
    done = control.revoke(tenant, session, reason=reason[:1000])
    slip = _SLIP if done.unheard else ""
    if done.approval is not None:
        return f"A second person has to approve: {code(done.approval.id, 60)}.{slip}"
    already = "" if done.changed else " already"
    return f"{typed(session, 120)} in {typed(tenant, 120)} is {done.session.status}{already}.{slip}"


def _mode(control: DeskClient, tenant: str) -> str:
    tenants = [tenant] if tenant else list(control.whoami().tenants)
    if tenants == ["*"]:
        return "You work for every tenant; say which: `/guardian mode TENANT`"
    lines = []
    for name in tenants[:_SHOWN]:
        view = control.mode(name)
        share = f" {view.canary_percent} %" if view.mode == "canary" else ""
        slip = f".{_SLIP}" if view.unheard else ""
        lines.append(f"{code(name, 120)}: *{view.mode}*{share}{slip}")
    if len(tenants) > _SHOWN:
        lines.append(f"and {len(tenants) - _SHOWN} more; name one: `/guardian mode TENANT`")
    return "\n".join(lines)


def _named(control: DeskClient, name: str, *, whole: bool, apart: bool) -> tuple[str, str]:
    """Tenant and session of `TENANT/ID`, or of a bare ID where only one of the person's tenants can be meant.
    `apart`: back-ticks hold the ID alone.

    An ID with a slash that nobody has heard of, and that was not put as a `whole` in back-ticks, is rather of
    somebody else's tenant.
    """
    tenants = control.whoami().tenants
    head, slash, tail = name.partition("/")
    if slash and (head in tenants or "*" in tenants):
        return (head, tail) if apart else _meant(control, tenants, name, whole=whole)
    if len(tenants) == 1 and tenants[0] != "*":
        if slash and not whole and not _has(control, tenants[0], name):
            raise ValueError(
                f"{plain(head, 60)} is no tenant of yours, and {plain(tenants[0], 60)} has no session "
                f"{plain(name, 80)} that I know of; put all of it in back-ticks if it is really called so"
            )
        return tenants[0], name
    if "*" not in tenants:
        known = [tenant for tenant in tenants[:_TRIED] if _has(control, tenant, name)]
        if len(known) == 1 and len(tenants) <= _TRIED:
            return known[0], name
    raise ValueError("say whose session it is: TENANT/ID")


def _meant(control: DeskClient, tenants: Sequence[str], name: str, *, whole: bool) -> tuple[str, str]:
    """The same where `name` begins with one of the person's tenants: a session may be called so, by its agent."""
    head, _, tail = name.partition("/")
    unknown = "*" in tenants or len(tenants) > _TRIED
    called = [tenant for tenant in tenants[:_TRIED] if tenant != "*" and _has(control, tenant, name)]
    if not called and not (whole and unknown):
        return head, tail
    if len(called) == 1 and not unknown and not _has(control, head, tail):
        return called[0], name
    raise ValueError("a session may be called so, too: write TENANT/`ID`, with only the ID in back-ticks")


def _has(control: DeskClient, tenant: str, session: str) -> bool:
    try:
        return control.session(tenant, session).session.tenant_id == tenant
    except ControlError as refusal:
        if refusal.status == 404:
            return False
        raise


def _line(view: SessionView) -> str:
    agent = prose(view.agent_id or "an unnamed agent", 60)
    return f"{typed(view.session_id, 80)} {agent} in {typed(view.tenant_id, 60)}"
