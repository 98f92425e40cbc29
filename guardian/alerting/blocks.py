"""A finding as blocks of Slack's Block Kit, within Slack's limits whatever the finding holds. Pure.

Severity is shown by a word and by the shape of a sign, never by colour alone. Sections stack, so a phone shows
them in reading order.
"""

import math
from collections.abc import Sequence

from guardian.alerting.block_kit import Block, fitting, literal, mrkdwn, section, to_evidence
from guardian.alerting.neutralise import code, prose, typed
from guardian.alerting.port import Alert
from guardian.alerting.sentences import SIGNALS, SIGNS, UNSAID, about, done, rarity
from guardian.domain.finding import Effect, Finding, Kind, NamedBreach, Reason
from guardian.domain.text import counted, moment, plain, some
from guardian.wire.findings import AlertOutcome

_NO_BRACKETS = str.maketrans("<>", "‹›")  # plain_text is not parsed, and this does not have to be trusted
_TITLE = 120
_NAME = 200
WHOLE = 10_000
"""Room for any name, all of it spelt out: one that is cut can be typed by nobody."""
_BAR = 10
_REASONS = 3
_BREACHES = 5


def message(alert: Alert) -> list[Block]:
    """The blocks of one alert."""
    return fitting(lambda share: in_full(alert, share))


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


def header(finding: Finding) -> Block:
    title = plain(finding.title, _TITLE).translate(_NO_BRACKETS) or about(finding)
    text = f"{SIGNS[finding.severity]} {finding.severity.upper()} · {title}"
    return {"type": "header", "text": literal(text)}


def whole_title(finding: Finding) -> list[str]:
    """A title that is too long for the header, once more in full: its end often says what to do."""
    return [prose(finding.title, 400)] if len(plain(finding.title, 400)) > _TITLE else []


def verdict(finding: Finding, outcome: AlertOutcome) -> str:
    return f"*{done(finding, outcome)[0].upper()}{done(finding, outcome)[1:]}* · {about(finding)}"


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
    said = finding.subject.purpose
    shown = code(said, int(600 * share)) if said.strip() else "none was declared"
    expires = finding.subject.expires_at
    until = f" · envelope expires {moment(expires)}" if expires else ""
    return section(f"*Declared purpose*{until}\n{shown}")


def act(finding: Finding, room: int, share: float) -> Block | None:
    deed = finding.act
    if deed is None:
        return None
    said = {"allow": "allowed", "deny": "denied"}.get(deed.effect, "decided")
    how = ""
    if UNSAID in finding.features_missing:
        said, how = "decided", ", whose log does not say how"
    did = "tried" if deed.effect == "deny" else "did"
    lines = [
        f"*What the agent {did}* · {moment(deed.time)}",
        f"{code(deed.tool, int(200 * share))} · {said} by gateway {code(deed.gateway, 120)}{how}",
        code(deed.arguments, int(room * share)) if deed.arguments.strip() else "arguments not in the log",
    ]
    if deed.argument:
        lines.append(f"The argument that mattered most: {code(deed.argument, int(200 * share))}")
    return section("\n".join(lines))


def reasons(told: Sequence[Reason], share: float) -> Block | None:
    strongest = sorted(told, key=lambda reason: -_unit(reason.share))[:_REASONS]
    if not strongest:
        return None
    lines = ["*Why guardian reports it* (share of the score)"]
    for reason in strongest:
        plainly = SIGNALS.get(reason.signal) or prose(reason.signal.replace("_", " "), 80)
        text = f": {prose(reason.text, int(320 * share))}" if reason.text.strip() else ""
        lines.append(f"{_bar(reason.share)} {_unit(reason.share):.0%} {plainly}{text}")
    return section("\n".join(lines))


def breaches(told: Sequence[NamedBreach], most: int, share: float) -> Block | None:
    if not told:
        return None
    worst = sorted(told, key=lambda breach: not breach.hard)
    lines = ["*Rules broken*"]
    for breach in worst[:most]:
        detail = prose(breach.detail, int(320 * share))
        lines.append(f"{'✖' if breach.hard else '△'} {code(breach.name, 80)} {detail}")
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


def policy(outcome: AlertOutcome, share: float) -> str:
    verb = {Effect.REVOKE: "revoke", Effect.FLAG: "flag", Effect.NONE: "do nothing"}[outcome.effect]
    shown = some(outcome.policy_ids, 5, lambda name: code(name, 80))
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
