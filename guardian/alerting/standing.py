"""How a case stands, in words: its state, what that means for the session, and what it acts under."""

from collections.abc import Sequence
from typing import get_args

from guardian.alerting import block_kit, blocks
from guardian.alerting.buttons import of_no_session
from guardian.alerting.neutralise import code, prose
from guardian.alerting.port import Alert
from guardian.domain.finding import Kind
from guardian.domain.text import moment
from guardian.wire.cases import CaseState, CaseView
from guardian.wire.findings import Became

STATES: dict[CaseState, str] = {
    "flagged": "⚑ Flagged",
    "revoke_requested": "⏳ Waiting for approval to revoke",
    "revoked": "■ Revoked",
    "reinstated": "▶ Reinstated",
    "dismissed": "○ Dismissed",
    "confirmed": "● Confirmed as drift",
    "lapsed": "◌ Revocation lapsed",
    "noted": "· Noted",
}
MEANS: dict[CaseState, str] = {
    "flagged": "Not revoked: the session can still act",
    "revoke_requested": "Not revoked yet: the session can still act",
    "revoked": "Gateways that follow the revocation list refuse the session's calls",
    "reinstated": "The session may act again",
    "confirmed": "Not revoked: the session can still act",
    "lapsed": "Gateways no longer refuse the session's calls",
}
"""What that means for the session right now, where somebody has to know."""
_ITSELF: dict[CaseState, str] = {"reinstated": "Given back itself", "lapsed": "Its own revocation is over"}
"""The same where what it acts under is revoked; a gateway may know a session by that alone, or not at all."""
_LET_ACT = "It is on the revocation list, but a gateway let it act after that, and may still"
_UNSAID = "It is on the revocation list; whether a gateway that logs its calls refuses them, the log does not say"
_UNDER = 3


def stands(view: CaseView | None) -> str:
    """The state in a few words; empty where it is not known."""
    if view is None:
        return ""
    return STATES[view.state] + (f", its {_kinds(_of(view))} revoked" if view.also_revoked else "")


def under(view: CaseView, share: float = 1.0) -> list[str]:
    """What the session acts under that is revoked, until when, by whom, and how that is lifted. Of one that is let
    act although it is revoked, that."""
    if view.ignored is not None:
        return [_LET_ACT if view.ignored == "critical" else _UNSAID]
    if not view.also_revoked:
        return []
    lines = [f"{_refused(view.state, _of(view))}:"]
    for entry in view.also_revoked[:_UNDER]:
        revoked = f"revoked until {moment(entry.expires_at)} by {prose(entry.actor, int(80 * share))}"
        lift = f"`guardian reinstate TENANT ID --subject {entry.subject_type}` lifts that"
        lines.append(f"• {entry.subject_type} {code(entry.subject_id, int(120 * share))} {revoked}; {lift}")
    if len(view.also_revoked) > _UNDER:
        lines.append(f"and {len(view.also_revoked) - _UNDER} more")
    return lines


def in_words(state: str) -> str:
    """A case's state, or that of a request for a second person, in a few words without a sign."""
    return next((STATES[each][2:] for each in get_args(CaseState) if each == state), state.capitalize())


def followed_up(alert: Alert, became: Became) -> list[block_kit.Block]:
    """What became of a finding, and which finding that is."""
    finding = alert.finding
    lines = [*done(became), f"{stands_now(became)}{f': {means}' if (means := _means(became)) else ''}"]
    told = [blocks.header(finding), block_kit.section("\n".join(lines))]
    if not of_no_session(finding) and finding.kind is not Kind.CONTROL:
        told.append(blocks.whose(alert, 1.0, blocks.WHOLE))
    if alert.link:
        told.append(block_kit.section(block_kit.to_evidence(alert.link)))
    return [*told, blocks.ids(alert)]


def done(became: Became) -> list[str]:
    """Who did what, why, and when."""
    why = f": {prose(became.why, 1000)}" if became.why.strip() else ""
    return [f"*{prose(became.by, 200)}* {prose(became.what, 500)}{why}", moment(became.at)]


def stands_now(became: Became) -> str:
    """The state in a few words without a sign."""
    also = f", its {_kinds(became.also_revoked)} revoked" if became.also_revoked else ""
    return f"{in_words(became.state)}{also}"


def _means(became: Became) -> str:
    """What that means for the session, where somebody has to know."""
    state = next((each for each in get_args(CaseState) if each == became.state), None)
    if became.also_revoked and state is not None:
        return _refused(state, became.also_revoked)
    return "" if state is None else MEANS.get(state, "")


def _refused(state: CaseState, also_revoked: Sequence[str]) -> str:
    kinds = _kinds(also_revoked)
    if state == "revoked":
        told = "Gateways that follow the list refuse its calls; given back it is still refused where they know its"
        return f"{told} {kinds}"
    return f"{_ITSELF.get(state, 'Not revoked itself')}, but gateways that know its {kinds} refuse its calls"


def _of(view: CaseView) -> list[str]:
    return [entry.subject_type for entry in view.also_revoked]


def _kinds(also_revoked: Sequence[str]) -> str:
    return " and ".join(sorted(set(also_revoked)))
