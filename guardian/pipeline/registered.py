"""Compares the log's envelope with those that were registered for the session."""

import dataclasses
from collections.abc import Collection, Mapping

from guardian.domain.batch import Decoded
from guardian.domain.breach import Breach
from guardian.domain.envelope import Envelope
from guardian.domain.finding import Finding, Kind
from guardian.domain.session import SessionState
from guardian.response.findings import side_finding


def unregistered(d: Decoded, state: SessionState) -> str | None:
    """The digest of an envelope that is none of those registered for the session, else None.

    Registration is optional: for a session without any there is nothing to compare with.
    """
    return d.envelope_digest if state.registered and not _among(d, state.registered) else None


def vouched(d: Decoded, registered: Collection[str]) -> Decoded:
    """The decision; an envelope that nobody signed and that is one of those `registered`, by digest, needs no
    signature: who registered it was entitled to."""
    return dataclasses.replace(d, signature="absent") if d.signature == "missing" and _among(d, registered) else d


def issued(d: Decoded, registered: Collection[str]) -> bool:
    """Whether whoever may issue envelopes stands for this one: it is validly signed, or one of those `registered`
    for the session, by digest. The operator's map is not enough: it goes by names that the log told."""
    if d.signature in ("valid", "invalid"):
        return d.signature == "valid"
    return d.purpose_from in ("file", "registry") or _among(d, registered)


def _among(d: Decoded, registered: Collection[str]) -> bool:
    """Whether it is one of these, with tools as the log spells them or as guardian does."""
    return bool(registered) and (d.envelope_digest in registered or d.event.envelope.digest in registered)


def envelope_finding(d: Decoded, state: SessionState, versions: Mapping[str, str]) -> Finding:
    """A flag at most: control may know of a re-issue that the monitor has not heard of yet."""
    tenant, session = d.event.key
    return side_finding(
        Kind.ENVELOPE,
        tenant_id=tenant,
        session_id=session,
        identity=(d.envelope_digest,),
        title="The log's envelope is not one that was registered for this session",
        severity="high",
        now=d.now,
        event=d.event,
        breaches=[Breach("envelope_not_registered", _sentence(d.event.envelope, state), hard=False)],
        versions=versions,
        envelope_digest=d.envelope_digest,
    )


def _sentence(envelope: Envelope, state: SessionState) -> str:
    """What is known here: digests, and the envelope that the session began with where that is a registered one."""
    count = len(state.registered)
    known = "the one registered envelope" if count == 1 else f"any of the {count} registered envelopes known here"
    text = f"The envelope in the log does not match {known} of this session"
    began = state.envelope
    if began is None or began.digest not in state.registered:
        return f"{text}; which fields differ is for control to say, here only digests are known."
    fields = ", ".join(envelope.differs_from(began)) or "what was redacted"
    return f"{text}; compared with the registered one that the session began with it differs in: {fields}."
