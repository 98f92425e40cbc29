"""A case as Slack shows it: one message that is kept up to date, replies with its history, digests. Pure.

The message answers, in the order in which somebody on a phone reads: how bad, what state, who, for what purpose,
what the agent did, why guardian reports it, what policy let guardian do, and what the reader can do now. All text
that an agent wrote goes through `neutralise`. State and severity are words and shapes, never colour alone.
"""

from collections.abc import Sequence

from guardian.alerting import block_kit, blocks, sentences
from guardian.alerting.approval_blocks import approvals
from guardian.alerting.block_kit import Block, literal, mrkdwn, section, to_evidence
from guardian.alerting.buttons import beneath, of_no_session
from guardian.alerting.neutralise import code, prose, typed
from guardian.alerting.port import Alert, Digest
from guardian.alerting.standing import MEANS, STATES, done, stands, stands_now, under
from guardian.domain.text import counted, moment, one_in
from guardian.wire.cases import CaseEvent, CaseView, SimilarCase, TrendPoint
from guardian.wire.findings import Became, Verdict

_SAID: dict[Verdict, str] = {
    "false_positive": "called it a false positive",
    "benign": "called it unusual, but all right",
    "confirmed": "confirmed it",
}
LEFT = "This case goes on in a newer message"
_BARS = "▁▂▃▄▅▆▇█"
_WEIGHTIEST = 6.0  # log10: one in a million fills the bar
_LINES, _CHUNK = 40, 2900
_TEXTS, _BESIDE = 4, 2  # sections of a history, and of one with evidence beside it: both must fit one message


def root(alert: Alert) -> list[Block]:
    """The case's own message."""
    if alert.digest is not None:
        return _digest(alert)
    if alert.view is None:
        return _news(alert)
    view = alert.view
    return block_kit.fitting(lambda share: _case(alert, view, share))


def _case(alert: Alert, view: CaseView, share: float) -> list[Block]:
    finding = alert.finding
    parts = [
        blocks.header(finding),
        section("\n".join(_standing(alert, view, share))),
        blocks.who(finding, share),
        blocks.purpose(finding, share),
        blocks.act(finding, 400, share),
        blocks.reasons(finding.reasons, share),
        blocks.breaches(finding.breaches, 3, share),
        blocks.evidence(finding, _trend(view.trend)),
        section(blocks.policy(alert.outcome, share)),
        *approvals(alert.case, view.approvals, view.digest, share),
        _similar(view.similar, share),
        beneath(alert.case, view),
        _foot(alert),
    ]
    return [part for part in parts if part is not None]


def left(alert: Alert) -> list[Block]:
    """What stays of a message where the case goes on in another one: nothing that could become untrue."""
    return [blocks.header(alert.finding), section(f"*{LEFT}*"), _foot(alert)]


def reply(alert: Alert) -> list[Block]:
    """A reply in the case's thread: what happened since the last one, with the evidence of a new finding."""
    if alert.verb == "escalate":
        return _escalation(alert)
    if alert.digest is not None:
        return block_kit.fitting(lambda share: _sections([_line(event, share) for event in alert.events]))
    return block_kit.fitting(lambda share: _since(alert, share))


def _since(alert: Alert, share: float) -> list[Block]:
    anew = any(event.finding_id == alert.finding.id for event in alert.events)
    parts: list[Block | None] = [*_timeline(alert.events, _BESIDE if anew else _TEXTS, share)]
    if anew:
        parts += [
            blocks.act(alert.finding, 1200, share),
            blocks.breaches(alert.finding.breaches, 5, share),
            blocks.missing(alert.finding.features_missing),
            blocks.ids(alert),
        ]
    return [part for part in parts if part is not None]


def evidence(alert: Alert, events: Sequence[CaseEvent]) -> list[Block]:
    """Everything on one page, for the modal behind `Show evidence`. It has no buttons."""
    view = alert.view
    parts = [
        *blocks.in_full(alert.model_copy(update={"link": None})),
        section("\n".join(["*Evidence over time*", *_trend(view.trend)])) if view and view.trend else None,
        _similar(view.similar, 1.0) if view else None,
        *([section("*Timeline*"), *_timeline(events, _TEXTS, 1.0)] if events else ()),
    ]
    return [part for part in parts if part is not None]


def gathered(alert: Alert, became: Became, digest: Digest) -> list[Block]:
    """What became of many cases by one act, for a mail: it has room for a line of each."""
    told = [
        {"type": "header", "text": literal(f"{counted(digest.total, 'case')} · {stands_now(became)}")},
        section("\n".join(done(became))),
        section(f"Tenant {code(digest.tenant_id, 120)}\n{_counts(digest)}"),
        *_sections([_line(event, 1.0) for event in alert.events]),
    ]
    if left := digest.total - len(alert.events):
        told.append(section(f"and {left:,} more: `guardian findings` lists them"))
    return told


def fallback(alert: Alert) -> str:
    """One line for notifications, screen readers and clients without blocks."""
    calls = f"{alert.calls} " if alert.calls else ""
    if alert.digest is not None:
        nobody = "Nobody has acted yet: " if alert.verb == "escalate" else ""
        return f"{calls}{nobody}Digest: {alert.digest.total} cases in {prose(alert.digest.tenant_id, 80)}"
    if alert.verb == "escalate":
        return f"{calls}Nobody has acted yet: {sentences.fallback(alert)}"
    if alert.verb == "reply" and alert.events:
        newest = alert.events[-1]
        return f"{prose(newest.by, 80)}: {prose(newest.what, 300)}"
    return f"{calls}{sentences.fallback(alert, stands(alert.view))}"


def _standing(alert: Alert, view: CaseView, share: float) -> list[str]:
    count = f" · {view.findings} findings" if view.findings > 1 else ""
    lines = [f"*{stands(view)}* · {sentences.about(alert.finding)}{count}", *blocks.whole_title(alert.finding)]
    if not of_no_session(alert.finding):
        lines += under(view, share) or ([MEANS[view.state]] if view.state in MEANS else [])
    verdict = view.shown.verdict
    if verdict is not None:
        lines.append(f"{prose(verdict.actor, 80)} {_SAID[verdict.verdict]}: {prose(verdict.reason, 300)}")
    if view.protected:
        lines.append("This session is protected: only a person can revoke it")
    if view.taken_by is not None:
        lines.append(f"Taken by {prose(view.taken_by, 80)}")
    if view.snoozed_until is not None:
        until = moment(view.snoozed_until)
        lines.append(f"Snoozed by {prose(view.snoozed_by or '', 80)} until {until}")
    if alert.calls:
        lines.append(f"On call: {alert.calls}")
    return lines


def _trend(trend: Sequence[TrendPoint]) -> list[str]:
    """The evidence at each finding as small bars, and the first and the last as figures."""
    if len(trend) < 2:
        return []
    bars = "".join(_BARS[min(7, int(max(0.0, point.weight) / _WEIGHTIEST * 8))] for point in trend)
    first, last = trend[0], trend[-1]
    return [f"{bars}  from {_figure(first)} to {_figure(last)} over {len(trend)} findings"]


def _figure(point: TrendPoint) -> str:
    return f"1 in {one_in(point.one_in) or 1}" + ("" if point.promised else " (estimated)")


def _similar(similar: Sequence[SimilarCase], share: float) -> Block | None:
    if not similar:
        return None
    lines = []
    for case in similar:
        ended = STATES[case.ended].lower()
        tool = f" at {code(case.tool, int(80 * share))}" if case.tool else ""
        lines.append(f"{typed(case.session_id, int(80 * share))}{tool} on {case.at:%Y-%m-%d}: {ended}")
    return {"type": "context", "elements": [mrkdwn("*Similar past cases*\n" + "\n".join(lines))]}


def _foot(alert: Alert) -> Block:
    texts = [f"finding {code(alert.finding.id, 120)}"]
    if alert.link:
        texts.insert(0, to_evidence(alert.link))
    return {"type": "context", "elements": [mrkdwn(text) for text in texts]}


def _escalation(alert: Alert) -> list[Block]:
    if alert.digest is not None:
        return [section("*Nobody has acted yet* on one or more of these:"), *_digest(alert)]
    if alert.approval is not None:  # the case's own message, and its buttons, may be elsewhere
        return [section("*Nobody has acted yet* on this:"), *_news(alert)]
    calls = f"{alert.calls} " if alert.calls else ""
    state = stands(alert.view)
    who = f"{typed(alert.finding.session_id, 120)} in {typed(alert.finding.tenant_id, 120)}"
    line = f"{calls}*Nobody has acted yet* · {alert.finding.severity.upper()} · {state}\n"
    shown = [section(f"{line}{prose(alert.finding.title, 200)} · session {who}")]
    if alert.link:
        shown.append(section(to_evidence(alert.link)))
    if where := _home(alert):
        shown.append(section(f"Its message is{where}"))
    return shown


def _home(alert: Alert) -> str:
    """In which channel the case's message is, where that is another one."""
    return f" in <#{alert.step.home}>" if alert.step is not None and alert.step.home else ""


def _news(alert: Alert) -> list[Block]:
    """Control's own news: no session, no state; sometimes something to approve."""
    shown = blocks.news(alert.finding)
    if alert.calls:
        shown.append(section(f"On call: {alert.calls}"))
    if alert.approval is not None:
        if alert.approval.state == "pending":
            shown += approvals(alert.case, [alert.approval], alert.approval.state, 1.0)
        else:
            by = prose(alert.approval.decided_by or "guardian", 80)
            came = (
                "" if alert.approval.result == alert.approval.state else f": {prose(alert.approval.result, 300)}"
            )
            shown.append(section(f"*{alert.approval.state.capitalize()}* by {by}{came}"))
    return [*shown, _foot(alert)]


def _digest(alert: Alert) -> list[Block]:
    digest = alert.digest
    assert digest is not None  # noqa: S101 - the caller has looked
    since = moment(digest.since)
    return [
        {"type": "header", "text": literal(f"Digest · {digest.total:,} cases")},
        section(
            f"Tenant {code(digest.tenant_id, 120)} since {since}: too many at once for one message each.\n"
            + _counts(digest)
        ),
        section(f"The digest's thread{_home(alert)} lists all of them. To look at one: `/guardian session ID`"),
        *([section(f"On call: {alert.calls}")] if alert.calls else ()),
    ]


def _counts(digest: Digest) -> str:
    found = digest.severities.items()
    signs = sentences.SIGNS
    return " · ".join(f"{signs[name]} {n:,} {name}" for name, n in found if name in signs and n)


def _line(event: CaseEvent, share: float) -> str:
    return f"{typed(event.by, int(120 * share))} {prose(event.what, int(160 * share))}"


def _event(event: CaseEvent, share: float) -> str:
    why = f": {prose(event.why, int(300 * share))}" if event.why.strip() else ""
    return f"{moment(event.at)} *{prose(event.by, 80)}* {prose(event.what, int(300 * share))}{why}"


def _timeline(events: Sequence[CaseEvent], texts: int, share: float) -> list[Block]:
    """The newest events that fit into so many sections, and where that is not all, how many there are."""
    lines = [_event(event, share) for event in events[-_LINES:]]
    while len(shown := _sections(lines)) > texts:
        del lines[0]
    if len(lines) < len(events):
        shown.insert(0, section(f"{len(events)} events; the newest {len(lines)}:"))
    return shown


def _sections(lines: Sequence[str]) -> list[Block]:
    """Whole lines, in as few sections as Slack's limit allows."""
    texts: list[str] = []
    for line in lines:
        if texts and len(texts[-1]) + 1 + len(line) <= _CHUNK:
            texts[-1] += "\n" + line
        else:
            texts.append(line)
    return [section(text) for text in texts]
