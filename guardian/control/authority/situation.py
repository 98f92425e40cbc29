"""The facts that policy is shown: all of them control's own records and configuration, as they stand now."""

import hashlib
from dataclasses import replace
from datetime import datetime

from guardian.control.authority.asking import question
from guardian.control.deps import ControlDeps
from guardian.domain.envelope import Envelope, purpose_family
from guardian.domain.identity import SessionKey
from guardian.domain.redacted import hashed
from guardian.domain.revocation import LedgerEntry
from guardian.policy.port import (
    ActFacts,
    BudgetFacts,
    EvidenceFacts,
    HarmFacts,
    PolicyAction,
    PolicyRequest,
    SessionFacts,
)
from guardian.signals.words.constraints import read
from guardian.store.control.rows import ControlRows
from guardian.wire.principal import Principal
from guardian.wire.visits import PEOPLE

MOST_FOLLOW = 2000
"""How many sessions follow other sessions' automatic revocations at most, in a tenant and a budget's window."""

_ALL_DAY: frozenset[PolicyAction] = frozenset({"flag", "permitCall", "registerEnvelope"})
"""Machines ask for these all day, so a tenant's sessions are not counted each time."""


def situation(
    deps: ControlDeps,
    rows: ControlRows,
    principal: Principal,
    action: PolicyAction,
    tenant_id: str,
    session_id: str | None,
    now: datetime,
    *,
    evidence: EvidenceFacts | None = None,
    agent_id: str | None = None,
    act: ActFacts | None = None,
    target: PolicyAction | None = None,
    sessions: tuple[int, int] | None = None,
    follows: bool = False,
) -> PolicyRequest:
    """The request with every fact as it stands inside this transaction.

    `sessions`: how many sessions of the tenant were registered lately, and how many of these are revoked, if the
    caller has counted them already. One that `follows` another's revocation is no decision of its own: a larger
    budget bounds these, of which nothing is reserved.
    """
    settings = deps.settings
    stored = deps.mode_of(rows, tenant_id)
    session, author = None, None
    if session_id is not None:
        key = SessionKey(tenant_id, session_id)
        session, author = session_facts(deps, rows, key, agent_id)
        asks = principal.role in PEOPLE and not session.registered
        if asks and rows.findings.names_delegator(key, principal.id):
            session = replace(session, told_delegators=frozenset({principal.id}))
    act = act or ActFacts(own=author == principal.id)
    spent = rows.ledger.spent(tenant_id, now - settings.budget_window, now)
    budget = BudgetFacts(settings.budget_total, settings.budget_reserved, spent.used, spent.general)
    if follows:
        budget = BudgetFacts(total=MOST_FOLLOW, reserved=0, used=spent.followers, used_general=spent.followers)
    return replace(
        question(deps, principal, action, tenant_id, now, mode=stored.mode),
        session=session,
        in_canary=session_id is not None and in_canary(SessionKey(tenant_id, session_id), stored.canary_percent),
        evidence=evidence or EvidenceFacts(),
        budget=budget,
        harm=harm_of(deps, rows, tenant_id, now, sessions=(0, 0) if action in _ALL_DAY else sessions),
        act=replace(act, break_glass=rows.break_glass.open(tenant_id, principal.id, now) is not None),
        target=target,
    )


def in_canary(session: SessionKey, percent: int) -> bool:
    """Whether a session belongs to the canary's share: the same answer every time, and for every larger share."""
    place = hashlib.sha256("\x1f".join(("canary", *session)).encode()).digest()
    return int.from_bytes(place[:8]) % 100 < percent


def session_facts(
    deps: ControlDeps, rows: ControlRows, session: SessionKey, agent_id: str | None
) -> tuple[SessionFacts, str | None]:
    """What control knows of a session, and who revoked it, if anybody: not that guardian carried that on since."""
    settings = deps.settings
    known = rows.sessions.get(session)
    live = rows.ledger.live_entry(*session)
    told = rows.envelopes.newest(session)
    agents = {agent_id, None if known is None else known.view.agent_id} - {None}
    registered = None if told is None else told.envelope.agent_id
    listed = settings.protected.get(session.tenant_id, frozenset())
    # who was only ever told as a hash may be any of those, unless the record says who it is
    hidden = bool(listed and agents) and registered is None and all(map(hashed, agents))
    protected = hidden or not listed.isdisjoint({session.session_id, registered, *agents})
    facts = SessionFacts(
        session.session_id,
        protected=protected or (known is not None and known.view.protected),
        revoked=live is not None,
    )
    if told is not None:
        purpose = told.envelope.purpose
        facts = replace(
            facts,
            registered=True,
            delegator_id=told.envelope.delegator_id,
            purpose=purpose,
            data_classes=_data_classes(told.envelope),
            purpose_owners=settings.purpose_owners.get(purpose_family(purpose), frozenset()),
        )
    return facts, None if live is None else origin_of(rows, live).actor


def origin_of(rows: ControlRows, root: LedgerEntry) -> LedgerEntry:
    """The decision that `root` goes back to, however often it was renewed since."""
    entries = rows.ledger.of_session(SessionKey(root.tenant_id, root.subject_id))
    return next((each for each in reversed(entries) if each.reason_code != "renewed"), root)


def _data_classes(envelope: Envelope) -> frozenset[str]:
    """What the grant lets the session touch, as far as it says so, and however it spells that."""
    told = read(envelope.resource_constraints).data_classes or ()
    return frozenset(each.strip().lower() for each in told)


def harm_of(
    deps: ControlDeps,
    rows: ControlRows,
    tenant_id: str,
    now: datetime,
    *,
    sessions: tuple[int, int] | None = None,
) -> HarmFacts:
    """How much of the tenant is stopped already, and what keeps guardian from stopping more."""
    since = now - deps.settings.budget_window
    registered, revoked = sessions or rows.envelopes.registered_since(tenant_id, since)
    changed = rows.models.changed_at(tenant_id)
    facts = HarmFacts(
        registered_sessions=registered,
        revoked_permille=revoked * 1000 // registered if registered else 0,
        breaker_open=rows.breakers.get(tenant_id, now).open,
    )
    if changed is None:
        return facts
    return replace(facts, minutes_since_model_change=max(0, int((now - changed).total_seconds() // 60)))
