"""What a person saw of a case, as a digest that an act on it is bound to."""

import hashlib
from collections.abc import Sequence

from guardian.domain.identity import SessionKey
from guardian.store.control.rows import ControlRows
from guardian.store.control.sessions import StoredSession
from guardian.wire.cases import CaseView

_PICTURE, _WORDS = 32, 16  # hexadecimal digits of a digest: of what was shown, and of what people had said


def digest_of(rows: ControlRows, view: CaseView, session: StoredSession, unjudged: Sequence[str]) -> str:
    """Names the case as it stands, in two parts: what it shows, and what people have said of it. `unjudged` are
    the ids of its drifts that nobody has judged."""
    return _picture(view, unjudged) + _words(rows, view, session)


def shows(view: CaseView, seen: str, *, revoking: bool = False) -> bool:
    """Whether an act on the case as `seen` names it is one on the case as it stands.

    To revoke, or to approve that, takes power away, so an older picture will do while the case is open and people
    have said nothing since: the more a session does, the sooner its picture is old.
    """
    if seen[:_PICTURE] == view.digest[:_PICTURE]:
        return True
    is_open = view.state not in ("revoked", "reinstated", "dismissed")
    return revoking and is_open and seen[_PICTURE:] == view.digest[_PICTURE:]


def _picture(view: CaseView, unjudged: Sequence[str]) -> str:
    """Names what a person decides on: the state, the finding shown, the verdict, what waits, the revocation, and
    those of what the session acts under; and of the drifts that nobody has judged those that go with the one shown
    when it is dismissed, one that was delivered late, say. So does who works on it:
    nobody is to do so unawares of somebody who does.

    How often the same was seen, and who is quiet for how long, change nothing about a decision.
    """
    verdict = view.shown.verdict
    parts = (
        view.tenant_id,
        view.session_id,
        view.state,
        view.shown.finding.id,
        view.shown.outcome.effect.value,
        "" if verdict is None else verdict.verdict,
        "" if view.revision is None else str(view.revision),
        *(approval.id for approval in view.approvals),
        *(f"also {entry.revision}" for entry in view.also_revoked),
        *(f"with {name}" for name in unjudged if name != view.shown.finding.id),
        *(f"taken by {name}" for name in (view.taken_by,) if name is not None),
    )
    return _hashed(parts)[:_PICTURE]


def _words(rows: ControlRows, view: CaseView, session: StoredSession) -> str:
    """Names what people have said of the session: their last word, a verdict that was none on the session itself,
    the revocations that they denied, the exceptions made from its findings. However much came since, and whatever
    of it is over, it stays said. What the session acts under belongs to it while that is revoked."""
    key = SessionKey(view.tenant_id, view.session_id)
    parts = (
        str(session.seq),
        str(session.view.last_word_at),
        str(rows.findings.judged_at(key)),
        *rows.approvals.denied(*key, "revoke"),
        *rows.exceptions.made_from(key),
        *(f"also {entry.revision}" for entry in view.also_revoked),
    )
    return _hashed(parts)[:_WORDS]


def _hashed(parts: Sequence[str]) -> str:
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
