"""A case's history in sentences, made of audit records, alerts and people's words. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from guardian.domain.finding import Effect, Kind
from guardian.domain.session import HumanWord
from guardian.domain.text import counted
from guardian.wire.cases import CaseEvent
from guardian.wire.findings import AlertPayload
from guardian.wire.visits import PEOPLE

_PEOPLE = PEOPLE - {"auditor"}  # who see everything and change nothing
_ACTED = frozenset(  # a snooze is none: it ends, and then somebody has to
    {
        "revoke",
        "revokeSubject",
        "reinstate",
        "dismiss",
        "confirm",
        "approve",
        "protect",
        "makeException",
        "propose",
        "take",
    }
)
_SENTENCES: Mapping[tuple[str, str], str] = {
    ("revoke", "changed"): "revoked the session",
    ("revoke", "unchanged"): "wanted to revoke the session, which was revoked already",
    ("revoke", "waits"): "asked for a second person to revoke the session",
    ("reinstate", "changed"): "gave the session back",
    ("reinstate", "unchanged"): "wanted to give the session back, which was not revoked",
    ("reinstate", "waits"): "asked for a second person to give the session back",
    ("dismiss", "false_positive"): "called it a false positive",
    ("dismiss", "benign"): "called it unusual, and all right",
    ("dismiss", "withdrawn"): "took the verdict back",
    ("confirm", "confirmed"): "confirmed it as drift",
    ("approve", "approved"): "approved",
    ("approve", "denied"): "said no",
    ("propose", "withdrawn"): "took the request back",
    ("protect", "changed"): "changed the session's protection",
    ("snooze", "snoozed"): "snoozed the case",
    ("take", "taken"): "took the case",
    ("note", "noted"): "left a note",
    ("makeException", "made"): "made an exception for its like",
}

_MOVED_ON = "nothing was done, for the case had changed since it was shown"


def told_by_audit(record: Mapping[str, Any]) -> CaseEvent | None:
    """One audit record as an event, or None where the case's own findings tell it or nobody has to know."""
    action, result, role = record.get("action"), record.get("result"), record.get("role")
    at = datetime.fromisoformat(str(record["at"]))
    if action == "expireApproval":
        return CaseEvent(at=at, by="guardian", what=f"the request for approval is over: {record['reason']}")
    if action == "useException":
        return None
    seconded, target = record.get("approved_by"), record.get("target")
    if result == "refused" and seconded:  # whoever asked did nothing now, and the yes came to nothing
        return CaseEvent(
            at=at, by="guardian", what=f"did not {action} as {seconded} had approved; {_refused(record)}"
        )
    if seconded and (action, result) == ("revoke", "changed") and role not in _PEOPLE:
        return CaseEvent(at=at, by="guardian", what=f"revoked the session, as {seconded} had approved")
    if role not in _PEOPLE:
        return None
    why = str(record.get("reason") or "")
    sentence = _SENTENCES.get((str(action), str(result)))
    if sentence is None and result in ("refused", "stale"):
        word = record.get("word")
        wanted = f"{word}: {target}" if word and target else word or action
        refused = _refused(record) if result == "refused" else _MOVED_ON
        return CaseEvent(at=at, by=str(record["actor"]), what=f"wanted to {wanted}; {refused}", why=why)
    if sentence is None:
        return None
    if target:
        sentence += f": {target}"
    if seconded:
        sentence += f", approved by {seconded}"
    if record.get("break_glass"):
        sentence += ", with a broken glass"
    return CaseEvent(at=at, by=str(record["actor"]), what=sentence, why=why)


def _refused(record: Mapping[str, Any]) -> str:
    """By policy, or by the act itself, which policy had permitted."""
    if record.get("allowed") is True:
        because = record.get("because")
        return f"nothing was done: {because}" if because else "nothing was done"
    named = ", ".join(str(policy) for policy in record.get("policy_ids") or ())
    silent = "policy could not decide" if record.get("policy_errors") else "no policy permits it"
    return f"refused: {named or silent}"


def acted(record: Mapping[str, Any]) -> bool:
    """Whether a person did something about the case, so that nobody else has to be called.

    What follows from an act on another session bears that person's name, but nobody looked at this case. Who
    stops a session's agent, say, has acted on it for as long as that holds; who gives that back has not.
    Nor has who asked for a second person, whom somebody may have to call, or who took a verdict back.
    """
    return (
        "follows" not in record
        and record.get("role") in _PEOPLE
        and record.get("allowed") is True
        and record.get("action") in _ACTED
        and record.get("result") not in ("refused", "stale", "waits", "withdrawn", "not_judged")
    )


def told_by_alert(payload: AlertPayload) -> CaseEvent:
    """The finding of an alert as an event."""
    finding, outcome = payload.finding, payload.outcome
    after = finding.evidence.actions_seen
    seen = f" after {counted(after, 'action')}" if after else ""
    match outcome.effect:
        case Effect.REVOKE:
            what = f"revoked the session{seen}"
        case Effect.FLAG if finding.wanted is Effect.REVOKE:
            what = f"flagged the session{seen}; policy did not let guardian revoke it"
        case _ if finding.kind is not Kind.DRIFT and finding.title.strip():  # it is no step of the session's own
            what = finding.title
        case Effect.FLAG:
            what = f"flagged the session{seen}"
        case _:
            what = f"noted something{seen}"
    return CaseEvent(at=finding.time, by="guardian", what=what, why=outcome.note, finding_id=finding.id)


def told_by_word(word: str, at: datetime, detail: str = "") -> CaseEvent | None:
    """Of the words on the feed only the lapse is nobody's act; its `detail` says what else ended it."""
    if word != HumanWord.LAPSED.value:
        return None
    what = "the revocation reached its expiry and has lapsed"
    if detail == "parent_reinstated":
        what = "the session that this one was delegated by was given back, and this one with it"
    return CaseEvent(at=at, by="guardian", what=what)
