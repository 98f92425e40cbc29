"""What follows from control's own record of envelopes: when a session ends, and whether the log tells the same."""

import re
from datetime import datetime

from guardian.control.deps import ControlDeps
from guardian.control.revocations.by_itself import by_itself
from guardian.domain.envelope import Envelope
from guardian.domain.finding import Effect, Finding, Kind, Subject
from guardian.domain.identity import SessionKey
from guardian.domain.redacted import hashed
from guardian.store.control.rows import ControlRows
from guardian.wire.envelopes import RegisteredEnvelope
from guardian.wire.findings import FindingOutcome

_DIGEST = re.compile(r"[0-9a-f]{64}")
_VISIBLE = ("delegator_id", "agent_id", "task_id", "purpose", "expires_at", "parent_session_id")
"""The fields of an envelope that a finding carries; tools and resource constraints are not among them."""
_MAY_BE_PROTECTED = "its agent's name is hashed and nothing is registered, so it counts as protected"


def lasts_until(rows: ControlRows, session: SessionKey, told: datetime | None = None) -> datetime | None:
    """When the session ends: as registered; where nothing is, the latest expiry that findings and `told` name.

    A registered envelope without an expiry has none, whatever the log says.
    """
    registered = rows.envelopes.newest(session)
    if registered is not None:
        return registered.envelope.expires_at
    known = rows.sessions.get(session)
    ends = [at for at in (told, None if known is None else known.view.expires_at) if at is not None]
    return max(ends, default=None)


def revoked_until(
    deps: ControlDeps, rows: ControlRows, session: SessionKey, now: datetime, told: datetime | None = None
) -> datetime:
    """When a revocation made now ends: never before the one that it takes the place of."""
    ends = deps.settings.expiry.until(lasts_until(rows, session, told), now)
    live = rows.ledger.live_entry(*session)
    return ends if live is None else max(ends, live.expires_at)


def extend(
    deps: ControlDeps,
    rows: ControlRows,
    session: SessionKey,
    now: datetime,
    *,
    finding_id: str | None = None,
    reissued: bool = False,
) -> None:
    """Keep a session that was renewed while it is revoked from outliving its revocation.

    One that is about to be given back, with the session that it follows from, is left alone. `reissued`: the
    caller heard of the renewal itself; only then is a session without an expiry a reason to extend.
    """
    live = rows.ledger.live_entry(*session)
    if live is None or rows.ledger.goes_back(live):
        return
    lasts = lasts_until(rows, session)
    if (lasts is None and not reissued) or (lasts is not None and lasts < live.expires_at):
        return
    ends = deps.settings.expiry.until(lasts, now)
    if ends <= live.expires_at:
        return
    by_itself(
        rows,
        tenant_id=session.tenant_id,
        subject_id=session.session_id,
        status="revoked",
        reason_code="renewed",
        reason="the session was renewed; its revocation lives on",
        now=now,
        expires_at=ends,
        finding_id=finding_id,
        cause=live.cause,
    )


def against_record(
    rows: ControlRows, finding: Finding, outcome: FindingOutcome, *, protected: bool
) -> FindingOutcome:
    """The outcome, with a remark on how the envelope that the finding was made under compares with the record.

    The log may be read before a re-issue is registered. So a finding about an envelope that is registered by now
    has no effect, and nobody is told. Findings of other kinds get the remark and are not changed otherwise.
    """
    subject = finding.subject
    if subject is None:
        return outcome
    newest, digest = rows.envelopes.newest(finding.key), subject.envelope_digest
    if protected and newest is None and hashed(subject.agent_id) and outcome.effect is not outcome.wanted:
        outcome = remarked(outcome, _MAY_BE_PROTECTED)
    if digest is None:
        return outcome
    about = finding.kind is Kind.ENVELOPE
    if newest is None:
        return remarked(outcome, "no envelope is registered for this session here") if about else outcome
    found = None
    if _DIGEST.fullmatch(digest):  # a monitor may send any text, and not every database takes any text
        found = rows.envelopes.find(finding.key, digest)
    if found is None:
        return remarked(outcome, _difference(newest, subject))
    if about and outcome.wanted is not Effect.REVOKE:
        remark = f"the log's envelope is registered by now, as version {found.version}"
        return remarked(outcome.model_copy(update={"effect": Effect.NONE}), remark)
    if found.version < newest.version:
        remark = f"the log carries version {found.version} of the registered envelope"
        return remarked(outcome, f"{remark}; version {newest.version} holds")
    return outcome


def _difference(newest: RegisteredEnvelope, subject: Subject) -> str:
    """Names of fields only: the values are in the finding and in the record, and the log's are hostile text. What
    is hashed in the finding cannot be compared."""
    hidden = [name for name in _VISIBLE if name != "expires_at" and hashed(getattr(subject, name))]
    told = Envelope.model_construct(
        **{**dict(newest.envelope), **{name: getattr(subject, name) for name in _VISIBLE}}
    )
    fields = [name for name in newest.envelope.differs_from(told) if name in _VISIBLE and name not in hidden]
    unseen = "its tools or resource constraints, which a finding does not carry"
    where = ", ".join(fields) or ", or ".join([unseen, *(f"{name}, which is hashed" for name in hidden)])
    return f"the log's envelope is not registered; it differs from version {newest.version} in: {where}"


def remarked(outcome: FindingOutcome, remark: str) -> FindingOutcome:
    """The outcome with one more remark in its note."""
    return outcome.model_copy(update={"note": "; ".join(filter(None, (outcome.note, remark)))})
