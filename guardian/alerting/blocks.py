"""A finding as a Slack message: Block Kit, pure, within Slack's limits whatever the finding holds.

Severity is shown by a word and by the shape of a sign, never by colour alone. Sections stack, so a phone shows
them in reading order. Slack's limits: 50 blocks, header 150 characters, section text 3,000, 10 fields of 2,000,
10 context elements (https://docs.slack.dev/reference/block-kit/blocks); our own bounds are well below. All blocks
of one message together may have 13,200 characters as JSON, or Slack refuses them (`msg_blocks_too_long`).
"""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from guardian.alerting.neutralise import code, prose, typed
from guardian.alerting.port import Alert
from guardian.domain.finding import Effect, Evidence, Finding, Kind, NamedBreach, Reason
from guardian.domain.text import as_name, counted, moment, one_in, plain, some
from guardian.wire.findings import AlertOutcome

Block = dict[str, Any]

SIGNS = {"critical": "⛔", "high": "🔺", "medium": "🔶", "low": "🔹", "info": "▫"}  # five shapes
_ABOUT = {
    Kind.DRIFT: "the session left its purpose",
    Kind.GATEWAY: "the gateway allowed what it should have refused",
    Kind.HYGIENE: "the envelope carries a careless grant",
    Kind.UNSCORABLE: "a record of this session could not be read",
    Kind.IDENTITY: "one decision id came with two different contents",
    Kind.ENTITLEMENT: "a gateway reported for a tenant that it does not serve",
    Kind.BUS: "something is wrong with what the monitor reads",
    Kind.ENVELOPE: "the envelope in the log is not the registered one",
    Kind.CALIBRATION: "traffic no longer looks like what guardian was calibrated on",
    Kind.CONTROL: "guardian about itself",
}
_UNSAID = "decision"
"""Among what a log lacks: whether the gateway let the call through, so that it is judged as if it had."""
SIGNALS = {
    "purpose_fit": "does not fit the declared purpose",
    "object_mismatch": "is about another object than the purpose names",
    "envelope_breach": "breaks the envelope",
    "delegation_widening": "holds more than it was delegated",
    "envelope_hygiene": "carries a careless grant",
    "credential_exposure": "carries what looks like a credential",
    "denial_pressure": "keeps asking for what it is denied",
    "purpose_baseline": "is unusual for this purpose",
    "chain_exposure": "could carry out what was read before",
}
_NO_BRACKETS = str.maketrans("<>", "‹›")  # plain_text is not parsed, and this does not have to be trusted
_TITLE = 120
_NAME = 200
WHOLE = 10_000
"""Room for any name, all of it spelt out: one that is cut can be typed by nobody."""
_BAR = 10
_REASONS = 3
_BREACHES = 5
_MOST = 13_000
_SHARES = (1.0, 0.5, 0.25, 0.1)


def message(alert: Alert) -> list[Block]:
    """The blocks of one alert."""
    return fitting(lambda share: in_full(alert, share))


def fitting(made: Callable[[float], list[Block]]) -> list[Block]:
    """The blocks that `made` makes, with the largest share of each text's room that fits into one message."""
    for share in _SHARES:
        shown = made(share)
        if sum(len(json.dumps(block, ensure_ascii=False)) for block in shown) <= _MOST:
            break
    return shown


def in_full(alert: Alert, share: float = 1.0, names: int = _NAME) -> list[Block]:
    """The blocks of one alert, where the room is not a Slack message's: each name has so much of it."""
    finding = alert.finding
    if finding.kind is Kind.CONTROL:
        return [*news(finding), *([section(to_evidence(alert.link))] if alert.link else []), ids(alert)]
    parts = [
        header(finding),
        section("\n".join([verdict(finding, alert.outcome), *whole_title(finding)])),
        whose(alert, share, names),
        purpose(finding, share),
        act(finding, 1200, share),
        reasons(finding.reasons, share),
        breaches(finding.breaches, _BREACHES, share),
        evidence(finding),
        section(policy(alert.outcome, share)),
        missing(finding.features_missing),
        section(to_evidence(alert.link)) if alert.link else None,
        ids(alert),
    ]
    return [part for part in parts if part is not None]


def news(finding: Finding) -> list[Block]:
    """What guardian says about itself: there is no session, no agent and no score."""
    texts = [reason.text for reason in finding.reasons[:3] if reason.text.strip()]
    told = [prose(text, 2_700 // len(texts)) for text in texts]
    return [header(finding), section("\n".join([*told, f"Tenant {code(finding.tenant_id, 120)}"]))]


def fallback(alert: Alert, standing: str = "") -> str:
    """One line for notifications, screen readers and clients without blocks.

    It ends with how the case stands, or where that is not known with what guardian did.
    """
    return f"{SIGNS[alert.finding.severity]} {one_line(alert, prose, 200, standing)}"


def one_line(alert: Alert, shown: Callable[[str, int], str], room: int, standing: str = "") -> str:
    """The same in words alone, each text `shown` as the place of the line needs it, the title in so much room."""
    finding, subject = alert.finding, alert.finding.subject
    parts = [f"{finding.severity.upper()}: {shown(finding.title, room) or about(finding)}"]
    tenant = shown(as_name(finding.tenant_id), 80)
    if finding.kind is Kind.CONTROL:
        return " · ".join([*parts, tenant])
    if subject is None:
        parts.append(tenant)
    else:
        agent = shown(as_name(subject.agent_id or "an unnamed agent"), 80)
        parts.append(f"{agent} for {shown(as_name(subject.delegator_id), 80)} in {tenant}")
    return " · ".join([*parts, standing or done(finding, alert.outcome)])


def header(finding: Finding) -> Block:
    title = plain(finding.title, _TITLE).translate(_NO_BRACKETS) or about(finding)
    text = f"{SIGNS[finding.severity]} {finding.severity.upper()} · {title}"
    return {"type": "header", "text": literal(text)}


def whole_title(finding: Finding) -> list[str]:
    """A title that is too long for the header, once more in full: its end often says what to do."""
    return [prose(finding.title, 400)] if len(plain(finding.title, 400)) > _TITLE else []


def done(finding: Finding, outcome: AlertOutcome) -> str:
    match outcome.effect, finding.wanted:
        case Effect.REVOKE, _:
            return "session revoked"
        case Effect.FLAG, Effect.REVOKE:
            return "flagged only: policy did not let guardian revoke"
        case Effect.FLAG, _:
            return "flagged"
        case _:
            return "nothing was done: policy did not allow it" if not outcome.allowed else "noted"


def verdict(finding: Finding, outcome: AlertOutcome) -> str:
    return f"*{done(finding, outcome)[0].upper()}{done(finding, outcome)[1:]}* · {about(finding)}"


def about(finding: Finding) -> str:
    """What it is about, in a few words. A hard breach goes first, as in the title: it is a fact. A soft one goes
    before the statistics where it asks for all that is wanted."""
    if finding.kind is Kind.DRIFT and any(breach.hard for breach in finding.breaches):
        return "the session broke a hard rule"
    if finding.kind is Kind.DRIFT and any(breach.wanted is finding.wanted for breach in finding.breaches):
        return "the session may have broken a rule"
    if finding.kind is Kind.GATEWAY and _UNSAID in finding.features_missing:
        return "the gateway's log does not say what it allowed"
    return _ABOUT[finding.kind]


def who(finding: Finding, share: float, room: int = _NAME) -> Block:
    subject = finding.subject
    pairs = [("Tenant", finding.tenant_id), ("Session", finding.session_id)]
    if subject is not None:
        pairs = [("Agent", subject.agent_id or ""), ("On behalf of", subject.delegator_id), *pairs]
        if subject.task_id:
            pairs.append(("Task", subject.task_id))
        if subject.parent_session_id:
            pairs.append(("Delegated by session", subject.parent_session_id))
    fields = [
        mrkdwn(f"*{name}*\n{typed(value, int(room * share)) if value else 'not in the log'}")
        for name, value in pairs
    ]
    return {"type": "section", "fields": fields}


def whose(alert: Alert, share: float, room: int) -> Block:
    """Whose session it is, as far as that may be said."""
    return _nobody(alert.finding, room) if alert.nameless else who(alert.finding, share, room)


def _nobody(finding: Finding, room: int) -> Block:
    left_out = "The session's name is left out: a filter may have stopped the alert for it"
    return section(f"*Tenant*: {typed(finding.tenant_id, room)}\n{left_out}")


def purpose(finding: Finding, share: float) -> Block | None:
    if finding.subject is None:
        return None
    purpose = finding.subject.purpose
    shown = code(purpose, int(600 * share)) if purpose.strip() else "none was declared"
    expires = finding.subject.expires_at
    until = f" · envelope expires {moment(expires)}" if expires else ""
    return section(f"*Declared purpose*{until}\n{shown}")


def act(finding: Finding, room: int, share: float) -> Block | None:
    act = finding.act
    if act is None:
        return None
    said = {"allow": "allowed", "deny": "denied"}.get(act.effect, "decided")
    how = ""
    if _UNSAID in finding.features_missing:
        said, how = "decided", ", whose log does not say how"
    did = "tried" if act.effect == "deny" else "did"
    lines = [
        f"*What the agent {did}* · {moment(act.time)}",
        f"{code(act.tool, int(200 * share))} · {said} by gateway {code(act.gateway, 120)}{how}",
        code(act.arguments, int(room * share)) if act.arguments.strip() else "arguments not in the log",
    ]
    if act.argument:
        lines.append(f"The argument that mattered most: {code(act.argument, int(200 * share))}")
    return section("\n".join(lines))


def reasons(reasons: Sequence[Reason], share: float) -> Block | None:
    strongest = sorted(reasons, key=lambda reason: -_unit(reason.share))[:_REASONS]
    if not strongest:
        return None
    lines = ["*Why guardian reports it* (share of the score)"]
    for reason in strongest:
        plainly = SIGNALS.get(reason.signal) or prose(reason.signal.replace("_", " "), 80)
        text = f": {prose(reason.text, int(320 * share))}" if reason.text.strip() else ""
        lines.append(f"{_bar(reason.share)} {_unit(reason.share):.0%} {plainly}{text}")
    return section("\n".join(lines))


def breaches(breaches: Sequence[NamedBreach], most: int, share: float) -> Block | None:
    if not breaches:
        return None
    worst = sorted(breaches, key=lambda breach: not breach.hard)
    lines = ["*Rules broken*"]
    for breach in worst[:most]:
        told = prose(breach.detail, int(320 * share))
        lines.append(f"{'✖' if breach.hard else '△'} {code(breach.name, 80)} {told}")
    if len(worst) > most:
        lines.append(f"and {len(worst) - most} more")
    return section("\n".join(lines))


def evidence(finding: Finding, trend: Sequence[str] = ()) -> Block | None:
    """What the statistics say, with the lines of the trend below; None where guardian counts nothing."""
    if finding.kind is not Kind.DRIFT and not trend:
        return None
    seen = finding.evidence.actions_seen
    parts = [f"*Evidence* {rarity(finding.evidence)}"]
    if seen > 0:
        parts.append(f"after {counted(seen, 'action')}")
    if any(breach.hard for breach in finding.breaches):
        parts.append("the broken rules (✖) are facts and no part of this figure")
    return section("\n".join([" · ".join(parts), *trend]))


def rarity(evidence: Evidence) -> str:
    """How few honest sessions gather this much evidence, and whether the calibration covers that figure."""
    figure = one_in(evidence.one_in)
    if not figure:
        return "nothing unusual by the statistics"
    share, covered = ("at most", "covered") if evidence.promised else ("an estimated", "not covered")
    return f"{share} 1 in {figure} honest sessions gathers this much evidence ({covered} by the calibration)"


def policy(outcome: AlertOutcome, share: float) -> str:
    verb = {Effect.REVOKE: "revoke", Effect.FLAG: "flag", Effect.NONE: "do nothing"}[outcome.effect]
    shown = some(outcome.policy_ids, 5, lambda policy: code(policy, 80))
    said = f" · decided by {shown}" if shown else "" if outcome.allowed else " · no policy permitted more"
    note = f"\n{prose(outcome.note, int(500 * share))}" if outcome.note.strip() else ""
    return f"*Policy let guardian* {verb}{said} · mode {code(outcome.mode, 40)}{note}"


def missing(features: Sequence[str]) -> Block | None:
    if not features:
        return None
    names = some(features, 12, lambda name: prose(name, 40))
    return {"type": "context", "elements": [mrkdwn(f"Missing from the log: {names} (missing is not benign)")]}


def ids(alert: Alert) -> Block:
    finding = alert.finding
    texts = [f"finding {code(finding.id, 120)}", f"case {typed(alert.case, 120)}"]
    if finding.correlation_id:
        texts.append(f"correlation {code(finding.correlation_id, 120)}")
    if finding.versions:
        versions = list(finding.versions.items())[:6]
        texts.append(" · ".join(f"{prose(name, 30)} {code(version, 60)}" for name, version in versions))
    return {"type": "context", "elements": [mrkdwn(text) for text in texts]}


def _bar(share: float) -> str:
    filled = round(_unit(share) * _BAR)
    return "▰" * filled + "▱" * (_BAR - filled)


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value)) if math.isfinite(value) else 0.0


def to_evidence(link: str) -> str:
    url = link.replace("&", "&amp;")
    return f"<{url}|Open the evidence>"


def literal(text: str) -> Block:
    """Text in which Slack looks for neither markup nor emoji names."""
    return {"type": "plain_text", "text": text, "emoji": False}


def mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def section(text: str) -> Block:
    return {"type": "section", "text": mrkdwn(text)}
