"""Envelopes are registered: the delegation service, or a gateway for it, says what was delegated."""

from dataclasses import dataclass
from typing import Literal

from guardian.control.authority.asking import may_read
from guardian.control.deps import ControlDeps
from guardian.control.envelopes.recorded import extend
from guardian.control.people.granted import Act, permitted
from guardian.control.problems import Refusal, absent, check_calendar, check_tenant
from guardian.control.revocations.descendants import follow_above
from guardian.domain.envelope import Envelope
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord
from guardian.telemetry import logger
from guardian.wire.envelopes import EnvelopeHistory, RegisteredEnvelope
from guardian.wire.principal import Principal

MOST_VERSIONS = 1000
MOST_BYTES = 64 * 1024
_log = logger("control")


@dataclass(frozen=True, slots=True)
class Registered:
    """The version that holds this content, and whether it was made just now."""

    version: RegisteredEnvelope
    result: Literal["registered", "reissued", "unchanged"]

    @property
    def fresh(self) -> bool:
        return self.result != "unchanged"


def register(deps: ControlDeps, principal: Principal, told: Envelope) -> Registered:
    """The same content again changes nothing; other content is the next version, if it is the same grant."""

    def do(act: Act) -> Registered | Refusal:
        newest = act.rows.envelopes.newest(told.key)
        refusal = None if newest is None else _refusal(newest, told)
        if refusal is not None:
            act.audit(result="refused", code=refusal.code, digest=told.digest)
            return refusal
        known = act.rows.envelopes.find(told.key, told.digest)
        if newest is not None and known is not None:
            act.audit(result="unchanged", digest=known.digest, version=known.version)
            superseded = known.version < newest.version
            return Registered(known.model_copy(update={"superseded": superseded}), "unchanged")
        if newest is not None and newest.version >= MOST_VERSIONS:
            act.audit(result="refused", code="too_many_versions", digest=told.digest)
            return _too_many()
        added = act.rows.envelopes.add(told, by=principal.id, now=act.now)
        done = Registered(added, "registered" if newest is None else "reissued")
        act.audit(result=done.result, digest=added.digest, version=added.version)
        word = HumanWord.REGISTERED
        act.rows.sessions.say(told.key, word, act.now, human=False, detail=added.digest)
        extend(deps, act.rows, told.key, act.now, reissued=True)
        follow_above(deps, act.rows, told.key, act.now)
        return done

    try:
        _check(told)
        done = permitted(deps, principal, "registerEnvelope", *told.key, "", do)
    except Refusal:
        deps.metrics.add("guardian_envelopes_total", result="refused")
        raise
    deps.metrics.add("guardian_envelopes_total", result=done.result)
    _log.info("envelope", result=done.result, digest=done.version.digest, version=done.version.version)
    return done


def history(
    deps: ControlDeps, principal: Principal, session: SessionKey, *, limit: int, before: int | None
) -> EnvelopeHistory:
    """What was in force and when; a page of it, from the newest backwards."""
    may_read(deps, principal, "read", session.tenant_id)
    before = None if before is None else min(before, MOST_VERSIONS + 1)
    with deps.store.read() as rows:
        newest = rows.envelopes.newest(session)
        found = rows.envelopes.history(session, limit=limit, before=before)
    if newest is None:
        raise absent("envelope")
    items = tuple(each.model_copy(update={"superseded": each.version < newest.version}) for each in found)
    oldest = items[0].version if items else 1
    return EnvelopeHistory(items=items, next=str(oldest) if oldest > 1 else None)


def _check(told: Envelope) -> None:
    """Refuses what could not be kept as it is."""
    check_tenant(told.tenant_id)
    text = told.model_dump_json()
    if len(text.encode()) > MOST_BYTES:
        raise Refusal(413, f"an envelope may have {MOST_BYTES} bytes as JSON")
    check_calendar("expires_at", told.expires_at)
    if Envelope.model_validate_json(text).digest != told.digest:
        raise Refusal(422, "every number of resource_constraints must be finite")


def _refusal(newest: RegisteredEnvelope, told: Envelope) -> Refusal | None:
    """Tenant and session are what it is filed under; on whose behalf the session acts never changes either."""
    if newest.envelope.delegator_id == told.delegator_id:
        return None
    return Refusal(
        409,
        f"version {newest.version} of this session's envelope names another delegator; a grant by somebody else "
        "is another session",
        code="not_the_same_grant",
    )


def _too_many() -> Refusal:
    return Refusal(
        409,
        f"this session's envelope has {MOST_VERSIONS} versions already; delegate again under a new session id",
        code="too_many_versions",
    )
