"""`guardian alerts test`: a sample of each kind to every configured channel; and what `alerts preview` shows."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from guardian.alerting.block_kit import Block, section
from guardian.alerting.blocks import message
from guardian.alerting.neutralise import code
from guardian.alerting.port import Alert, AlertChannel, RetryLater
from guardian.bootstrap.channels import given
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control import open_channel
from guardian.bootstrap.slack import slack_options
from guardian.commands.samples import samples, shown, without_cases
from guardian.config import Settings
from guardian.control.cases.case import told as outcome_of
from guardian.control.desk.clicks import alert_of
from guardian.domain.finding import Kind
from guardian.errors import ConfigurationError, GuardianError
from guardian.wire.evidence import EvidenceClient
from guardian.wire.findings import AlertOutcome

_CASE = "preview"


@dataclass(frozen=True, slots=True)
class Sent:
    """One sample, and what became of it."""

    channel: str
    kind: str
    ok: bool
    found: str


def send_samples(settings: Settings, *, only: str | None = None) -> Iterator[Sent]:
    """Slack gets every kind; channels without cases get a finding that was flagged, one that was revoked, and what
    became of the first.

    Raises ConfigurationError where there is no channel to try.
    """
    if not settings.alerts:
        raise ConfigurationError("no channel is configured, so alerts go to the log; name one under alerts")
    if only is not None and only not in settings.alerts:
        raise ConfigurationError(f"channel {only!r} is not configured; those are: {', '.join(settings.alerts)}")
    stop = threading.Event()
    chosen = settings.alerts if only is None else {only: settings.alerts[only]}
    for name, options in chosen.items():
        if name == "slack":
            slack = slack_options(settings)
            if slack is None:
                yield Sent(name, "-", False, "set GUARDIAN_SLACK__TOKEN")
                continue
            channel: AlertChannel = slack.open(given(settings, stop.wait))
        else:
            channel = open_channel(settings, name, options, stop)
        place: str | None = None
        now = utc_now()
        for kind, sample in (samples(now) if name == "slack" else without_cases(now)).items():
            alert = sample
            if kind in ("reply", "escalation") and alert.step is not None:
                alert = alert.model_copy(update={"step": alert.step.model_copy(update={"place": place})})
            try:
                reference = channel.deliver(alert)
                place = place or reference
                yield Sent(name, kind, True, reference)
            except (GuardianError, RetryLater) as error:
                yield Sent(name, kind, False, str(error)[:300])


def preview_of(finding_id: str, control: EvidenceClient) -> list[Block]:
    """A finding as the message of its case tells it now; where that shows another one, by itself, which is said.

    Raises ControlError where control does not know of it, or of its case.
    """
    found = control.finding(finding_id)
    told = found.finding
    if told.kind is Kind.CONTROL:  # news of guardian are of no session, and so of no case of one
        outcome = AlertOutcome(effect=found.outcome.effect, allowed=True)
        return shown(Alert(finding=told, outcome=outcome, case=_CASE))
    view = control.case(told.tenant_id, told.session_id)
    if view.shown.finding.id == told.id:
        return shown(alert_of(_CASE, view))
    other = section(f"The message of its case shows another finding: {code(view.shown.finding.id, 120)}")
    return [other, *message(Alert(finding=told, outcome=outcome_of(found.outcome), case=_CASE))]
