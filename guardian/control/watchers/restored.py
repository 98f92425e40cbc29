"""A restored backup: people hear what it brought back, and a gateway that is ahead of the ledger gives it away."""

from datetime import datetime, timedelta
from typing import Any

from guardian.control.authority.asking import Reach
from guardian.control.deps import ControlDeps
from guardian.control.telling.news import tell
from guardian.domain.finding import OPERATORS, Severity
from guardian.domain.revocation import Revision
from guardian.store.control.rows import ControlRows
from guardian.wire.principal import Principal

_SELDOM = timedelta(hours=1)
_FAR = 10**6
"""Further than a feed gets between a backup and its restore, but not too far: false alarms use it up too."""


def gave_away(deps: ControlDeps, gateway: Principal, held: Revision, reach: Reach) -> bool:
    """Begin a new epoch where a gateway holds a revision of the present one that lies beyond the ledger, or beyond
    all that it has within `reach`: it was taken back in time, and what is revoked from now on must bear no
    revision that was given out before.

    A token in wrong hands can say so too. What that brings about is that every gateway fetches the whole list, at
    most once an hour, and that people are called.
    """
    now = deps.clock()
    with deps.store.read() as rows:
        if held.epoch > rows.head().revision.epoch:  # only people can mend that: any token could claim any epoch
            deps.watched.later[gateway.id] = held
        if not _ahead(held, rows, reach, now):
            return False
    with deps.store.write() as rows:
        if _ahead(held, rows, reach, now):  # else another one said so first
            head = rows.head()
            epoch, change_seq = head.revision.epoch + 1, head.change_seq + _FAR
            rows.begin_epoch(epoch, change_seq, expected=held, now=now, gateway=gateway.id)
    return True


def _ahead(held: Revision, rows: ControlRows, reach: Reach, now: datetime) -> bool:
    head, newest = rows.head(), rows.ledger.newest(reach)
    if held.epoch != head.revision.epoch or abs(now - head.epoch_at) < _SELDOM:
        return False
    return held.n > (newest[0].n if newest is not None and newest[0].epoch == held.epoch else 0)


def tell_of_later_epochs(deps: ControlDeps, now: datetime) -> None:
    """Gateways refuse every list of an earlier epoch than theirs; each is told once in an epoch of the ledger."""
    held = dict(deps.watched.later)
    if not held:
        return
    with deps.store.write() as rows:
        at = rows.head().revision
        for gateway, revision in sorted(held.items()):
            tell(
                deps,
                rows,
                topic="gateway",
                tenant_id=OPERATORS,
                title=f"Gateway {gateway} refuses the list: it holds one of a later epoch",
                detail=(
                    f"it holds revision {revision}, and the ledger stands at {at}, as when store.epoch_file was"
                    f" lost with a restored backup. Stop control, write epoch {revision.epoch} into it as"
                    " config/README.md says ('A backup was restored'), start control. If nobody restored a backup,"
                    f" the gateway's token is in wrong hands: guardian token revoke --principal {gateway}"
                ),
                severity="critical",
                once=f"{gateway} later than epoch {at.epoch}",
                now=now,
                about=gateway,
            )
    for gateway in held:
        deps.watched.later.pop(gateway, None)


def tell_of_restores(deps: ControlDeps, now: datetime) -> None:
    """Each once, whichever process or command noticed it."""
    with deps.store.read() as rows:
        begun = rows.restores()
    if not begun:
        return
    with deps.store.write() as rows:
        for each in begun:
            title, detail, severity = _words(each)
            tell(
                deps,
                rows,
                topic="restored_backup",
                tenant_id=OPERATORS,
                title=title,
                detail=detail,
                severity=severity,
                once=f"epoch {each['epoch']}",
                now=now,
            )


def _words(begun: dict[str, Any]) -> tuple[str, str, Severity]:
    """Title, detail and severity."""
    found, expected, gateway = begun["found"], begun["expected"], begun.get("gateway")
    what = f"Epoch {begun['epoch']} began: gateways take the whole list anew"
    tokens = (
        "Tokens that were withdrawn in between count again: withdraw them; those issued in between are refused:"
        " issue new ones (guardian token list). Then guardian audit verify. More: config/README.md, 'A backup was"
        " restored'"
    )
    if not expected:
        title = "The epoch file was not there: nobody can tell whether a backup was restored"
        how = (
            f"the ledger stood at {found}, and nothing beside it said how far it had come before. If the file was"
            " only lost, or there never was one, as before an upgrade, this is all. If a backup was restored, who"
            " was revoked since may act again: revoke that again (alerts and the exported trail tell what)"
        )
        return title, f"{how}. {what}. {tokens}", "high"
    if gateway is None and Revision.parse(found) >= Revision.parse(expected):
        title = "The audit trail went back, as by a restored backup or a new database"
        how = (
            f"the ledger stood at {found}, no less than before, and the feed or the audit trail had come further,"
            " or other entries of it had been signed, or its end is lost. If nobody restored a backup, somebody"
            " altered the database"
        )
        return title, f"{how}. {what}. {tokens}", "high"
    how = f"the ledger stood at {found}, and had come to {expected} before"
    if gateway is not None:
        how = (
            f"gateway {gateway} holds revision {expected}, and of its tenants the ledger, at {found}, had nothing"
            " so late; if nobody restored a backup, it says of this list what it holds of another one,"
            f" or its token is in wrong hands: guardian token revoke --principal {gateway}"
        )
    again = "without what was revoked in between. Revoke that again (alerts and the exported trail tell what)"
    title = "The ledger went back, as by a restored backup: who was revoked since may act again"
    return title, f"{how}. {what}, {again}. {tokens}", "critical"
