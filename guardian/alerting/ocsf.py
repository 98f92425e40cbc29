"""A finding as an OCSF 1.8.0 Detection Finding (class 2004), for SIEMs; https://schema.ocsf.io/1.8.0. Pure.

The ids of MITRE ATLAS 5.6 techniques and of the OWASP Top 10 for Agentic Applications (2026) let other tools
classify it. The agent itself goes to `unmapped.ai_agent`, shaped like the object that OCSF 1.9 introduces.
"""

import math
from datetime import datetime
from importlib.metadata import version
from typing import Any

from guardian.alerting.buttons import of_no_session
from guardian.alerting.delivered import message_id
from guardian.alerting.port import Alert
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.text import plain
from guardian.wire.findings import Became

OCSF = "1.8.0"
ATLAS = "5.6.0"
_SEVERITY = {
    "info": (1, "Informational"),
    "low": (2, "Low"),
    "medium": (3, "Medium"),
    "high": (4, "High"),
    "critical": (5, "Critical"),
}

_TOOL_USE = ("AML.T0053", "AI Agent Tool Invocation")
_EXFILTRATION = ("AML.T0086", "Exfiltration via AI Agent Tool Invocation")
_CREDENTIALS = ("AML.T0098", "AI Agent Tool Credential Harvesting")
TECHNIQUES = {Kind.DRIFT: _TOOL_USE, Kind.GATEWAY: _TOOL_USE}
BY_SIGNAL = {"credential_exposure": _CREDENTIALS, "chain_exposure": _EXFILTRATION}
BY_BREACH = dict.fromkeys(
    ("data_class_outside", "records_over_limit", "records_over_limit_session"), _EXFILTRATION
)
OWASP = {
    Kind.DRIFT: ("ASI01 Agent Goal Hijack", "ASI02 Tool Misuse & Exploitation"),
    Kind.GATEWAY: ("ASI03 Identity & Privilege Abuse",),
    Kind.HYGIENE: ("ASI03 Identity & Privilege Abuse",),
    Kind.IDENTITY: ("ASI07 Insecure Inter-Agent Communication",),
    Kind.ENTITLEMENT: ("ASI03 Identity & Privilege Abuse",),
    Kind.ENVELOPE: ("ASI03 Identity & Privilege Abuse",),
}
OWASP_BY_SIGNAL = {"delegation_widening": "ASI03 Identity & Privilege Abuse"}
_MOST = 32  # of any list


def to_ocsf(alert: Alert) -> dict[str, Any]:
    """The event as JSON-able data. Each text that an agent wrote is one visible line of bounded length.

    Names (`uid`s, `case`) are whole and as they are, for whoever asks by them: mind what hides where you show one.
    What guardian does not know is left out: figures of what is no drift, a session where there is none. A name
    that a filter may have stopped is left out too, and `unmapped.session_left_out` says so. What became of a
    finding is an Update, or where nobody has to do anything any more a Close, of the same `finding_info.uid`.
    """
    finding, outcome = alert.finding, alert.outcome
    severity_id, severity = _SEVERITY[finding.severity]
    event: dict[str, Any] = {
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200401,
        "type_name": "Detection Finding: Create",
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 1,
        "status": "New",
        "time": _millis(finding.time),
        "is_alert": finding.wanted is not Effect.NONE,
        "message": plain(finding.title, 300) or finding.kind.value,
        "metadata": {
            "version": OCSF,
            "uid": message_id(alert),
            "tenant_uid": finding.tenant_id,
            "product": {
                "name": "guardian",
                "vendor_name": "intent-guardian",
                "version": version("intent-guardian"),
            },
        },
        "finding_info": _info(finding, alert.link),
        "unmapped": {
            "case": alert.case,
            "wanted": finding.wanted.value,
            "granted": outcome.effect.value,
            "allowed": outcome.allowed,
            "mode": plain(outcome.mode, 64),
            "note": plain(outcome.note, 500),
            "policy_ids": [plain(policy, 128) for policy in outcome.policy_ids[:_MOST]],
            "breaches": [
                {"name": plain(breach.name, 128), "detail": plain(breach.detail, 500), "hard": breach.hard}
                for breach in finding.breaches[:_MOST]
            ],
            "features_missing": [plain(name, 64) for name in finding.features_missing[:_MOST]],
            "versions": {plain(k, 64): plain(v, 128) for k, v in list(finding.versions.items())[:_MOST]},
        },
    }
    if finding.kind is Kind.DRIFT and math.isfinite(finding.evidence.score):
        event["risk_score"] = round(100 * min(1.0, max(0.0, finding.evidence.score)))
    if data := _evidence(finding):
        event["evidences"] = [{"data": data}]
    if alert.nameless:
        event["unmapped"]["session_left_out"] = True
    elif finding.kind is not Kind.CONTROL and not of_no_session(finding):
        event["resources"] = [{"uid": finding.session_id, "type": "agent_session"}]
    if finding.correlation_id:
        event["metadata"]["correlation_uid"] = finding.correlation_id
    if alert.became is not None:
        _follow_up(event, alert.became)
    if finding.subject is not None:
        subject = finding.subject
        event["unmapped"]["ai_agent"] = {
            "uid": subject.agent_id or "unknown",
            "instance_uid": finding.session_id,
            "charter": plain(subject.purpose, 1000),
        }
        event["unmapped"]["delegator"] = {"uid": subject.delegator_id}
    return event


def _follow_up(event: dict[str, Any], became: Became) -> None:
    """Make it the event that something became of the finding."""
    number, name = (3, "Close") if became.over else (2, "Update")
    event |= {"activity_id": number, "activity_name": name, "type_uid": 200400 + number}
    event["type_name"] = f"Detection Finding: {name}"
    if not became.over:
        event |= {"status_id": 2, "status": "In Progress"}
    elif became.verdict in ("false_positive", "benign"):
        event |= {"status_id": 3, "status": "Suppressed"}
    else:
        event |= {"status_id": 4, "status": "Resolved"}
    event["status_detail"] = f"{plain(became.by, 200)} {plain(became.what, 500)}"
    if became.why.strip():
        event["comment"] = plain(became.why, 2000)
    event |= {"time": _millis(became.at), "is_alert": False}
    event["finding_info"]["modified_time"] = _millis(became.at)
    event["unmapped"] |= {"state": became.state, "by": became.by}
    if became.also_revoked:
        event["unmapped"]["also_revoked"] = list(became.also_revoked)
    if became.verdict is not None:
        event["unmapped"]["verdict"] = became.verdict


def _info(finding: Finding, link: str | None) -> dict[str, Any]:
    signals = [reason.signal for reason in finding.reasons[:_MOST]]
    types = [*OWASP.get(finding.kind, ()), *(OWASP_BY_SIGNAL[s] for s in signals if s in OWASP_BY_SIGNAL)]
    found = [TECHNIQUES.get(finding.kind), *map(BY_SIGNAL.get, signals)]
    found += [BY_BREACH.get(breach.name) for breach in finding.breaches]
    techniques = dict.fromkeys(technique for technique in found if technique is not None)
    info: dict[str, Any] = {
        "uid": finding.id,
        "title": plain(finding.title, 300) or finding.kind.value,
        "created_time": _millis(finding.time),
        "types": list(dict.fromkeys(types)),
        "analytic": {"uid": f"guardian.{finding.kind.value}", "name": finding.kind.value, "type": "Behavioral",
                     "type_id": 2},
        "attacks": [{"version": ATLAS, "technique": {"uid": uid, "name": name}} for uid, name in techniques],
    }  # fmt: skip
    reasons = [reason.text for reason in finding.reasons[:3] if reason.text.strip()]
    texts = reasons or [breach.detail for breach in finding.breaches[:3] if breach.detail.strip()]
    if texts:
        info["desc"] = "; ".join(plain(text, 300) for text in texts)
    if link:
        info["src_url"] = link
    return info


def _evidence(finding: Finding) -> dict[str, Any]:
    """Figures are of a session that drifted; an act may be of anything."""
    evidence, data = finding.evidence, dict[str, Any]()
    if finding.kind is Kind.DRIFT:
        data = {
            "score": _number(evidence.score),
            "p_value": _number(evidence.p_value),
            "session_evidence_log10": _number(evidence.session_evidence),
            "one_in_honest_sessions": _number(evidence.one_in),
            "promised": evidence.promised,
            "actions_seen": evidence.actions_seen,
            "shares": {plain(reason.signal, 64): _number(reason.share) for reason in finding.reasons[:_MOST]},
        }
    if finding.act is not None:
        act = finding.act
        data["act"] = {
            "decision_id": act.decision_id,
            "gateway": plain(act.gateway, 512),
            "tool": plain(act.tool, 512),
            "arguments": plain(act.arguments, 2000),
            "effect": plain(act.effect, 16),
            "time": _millis(act.time),
        }
    return data


def _millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _number(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None
