"""Alerts as structured log lines: where they go until somebody configures Slack."""

from dataclasses import dataclass

from guardian.alerting.delivered import Delivered, message_id
from guardian.alerting.port import Alert, Given
from guardian.domain.text import as_name, plain
from guardian.telemetry import logger


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """There are none."""

    def open(self, _given: Given) -> "LogChannel":
        return LogChannel()


class LogChannel:
    """Writes one line per alert. Remembers what it wrote until the process ends: a line is cheap to repeat.

    `because` names what is missing when the log stands in for another channel; it is said once, at the start.
    """

    name = "log"

    def __init__(self, *, because: str = "") -> None:
        self._log = logger("alerting")
        self._delivered = Delivered()
        if because:
            self._log.warning("alerts_go_to_the_log", because=because)

    def deliver(self, alert: Alert) -> str:
        finding, subject, act = alert.finding, alert.finding.subject, alert.finding.act
        if (became := alert.became) is not None:
            others = [event.finding_id for event in alert.events]
            many = {} if alert.digest is None else {"cases": alert.digest.total, "findings": others}
            self._log.warning(
                "alert_outcome",
                finding=finding.id,
                tenant=plain(as_name(finding.tenant_id), 200),
                session=plain(as_name(finding.session_id), 200),
                by=plain(as_name(became.by), 200),
                what=plain(became.what, 400),
                why=plain(became.why, 400),
                state=became.state,
                also_revoked=list(became.also_revoked),
                over=became.over,
                **many,
            )
            return self._delivered.note(alert, f"log:{message_id(alert)}")
        self._log.warning(
            "alert",
            finding=finding.id,
            case=plain(as_name(alert.case), 200),
            kind=finding.kind.value,
            severity=finding.severity,
            title=plain(finding.title, 300),
            tenant=plain(as_name(finding.tenant_id), 200),
            session=plain(as_name(finding.session_id), 200),
            agent=plain(as_name(subject.agent_id or ""), 200) if subject else "",
            on_behalf_of=plain(as_name(subject.delegator_id), 200) if subject else "",
            purpose=plain(subject.purpose, 400) if subject else "",
            tool=plain(act.tool, 200) if act else "",
            wanted=finding.wanted.value,
            granted=alert.outcome.effect.value,
            note=plain(alert.outcome.note, 400),
            policies=[plain(policy, 100) for policy in alert.outcome.policy_ids[:10]],
            mode=alert.outcome.mode,
            breaches=[plain(breach.name, 100) for breach in finding.breaches[:10]],
            link=alert.link,
            correlation_id=plain(finding.correlation_id, 200),
        )
        return self._delivered.note(alert, f"log:{message_id(alert)}")

    def find(self, alert: Alert) -> str | None:
        return self._delivered.find(alert)


plugin = LogOptions
