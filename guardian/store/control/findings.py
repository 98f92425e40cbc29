"""Findings as received, each with the outcome that was answered for it."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from guardian.domain.finding import SEVERITIES, Effect, Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.store.columns import in_key, storable
from guardian.store.control.scope import NoIndex, Scope, has_much, within
from guardian.store.control.tables import UNKNOWN, finding, finding_about, session
from guardian.wire.findings import FindingOutcome, FindingView, PersonsVerdict

ROOM = 8 * 1024 * 1024
"""As many characters of findings are read for one answer: nobody's may stall the answers to all others."""
_AT_ONCE = 20
_MOST_NAMED = 64  # signals and broken rules of one finding, each
_ANY: Mapping[str, str] = {}
_ABOUT_A_SESSION = finding.c.kind != Kind.CONTROL.value
# Nothing that an agent wrote passes for it: within its texts every quote is escaped.
_SEVERE = case(*((finding.c.finding.contains(f'"severity":"{each}"'), n) for n, each in enumerate(SEVERITIES)))
_TOLD = finding.c.effect != Effect.NONE.value
_DRIFT = finding.c.kind == Kind.DRIFT.value
_SPOKEN_OF = case((_DRIFT, session.c.cleared_at), else_=session.c.restarted_at)
"""Whoever dismisses one drift says nothing of another; what else was told of the session goes with it."""
_ACCUSES = (
    _TOLD,
    or_(finding.c.verdict.is_(None), finding.c.verdict.contains('"verdict":"confirmed"')),
    or_(_SPOKEN_OF.is_(None), finding.c.received_at >= _SPOKEN_OF),
)
_OF_THE_SESSION = and_(finding.c.tenant_id == session.c.tenant_id, finding.c.session_id == session.c.session_id)
WORST = (
    select(func.coalesce(func.max(_SEVERE), UNKNOWN))
    .where(_OF_THE_SESSION, _ABOUT_A_SESSION, *_ACCUSES)
    .correlate(session)
    .scalar_subquery()
)
"""What a row of `session` keeps as `worst`. It parses every finding of the session."""

_Read = TypeVar("_Read")


class StoredFinding(NamedTuple):
    """A finding with its place in the order of arrival."""

    seq: int
    digest: str
    view: FindingView


@dataclass(frozen=True, slots=True)
class FindingRows:
    connection: Connection

    def add(self, received: Finding, outcome: FindingOutcome, now: datetime) -> None:
        seq = self.connection.execute(
            insert(finding)
            .returning(finding.c.seq)
            .values(
                tenant_id=received.tenant_id,
                id=received.id,
                session_id=received.session_id,
                kind=received.kind.value,
                effect=outcome.effect.value,
                digest=received.digest,
                finding=received.model_dump_json(),
                outcome=outcome.model_dump_json(),
                received_at=now,
            )
        ).scalar_one()
        place = {"seq": seq, "tenant_id": received.tenant_id}
        if told := [{"what": what, **place} for what in sorted(_named(received))]:
            self.connection.execute(insert(finding_about), told)

    def get(self, finding_id: str, scope: Scope) -> StoredFinding | None:
        """Within `scope`: a finding of another tenant is as if absent."""
        wanted = select(finding).where(finding.c.id == finding_id, within(finding.c.tenant_id, scope))
        row = self.connection.execute(wanted.order_by(finding.c.seq).limit(1)).one_or_none()
        return None if row is None else _stored(row)

    def tenants_of(self, finding_id: str, scope: Scope) -> list[str]:
        """The tenants within `scope` that have a finding of this id, by name."""
        wanted = select(finding.c.tenant_id).where(finding.c.id == finding_id, within(finding.c.tenant_id, scope))
        return list(self.connection.execute(wanted.order_by(finding.c.tenant_id)).scalars())

    def set_verdict(self, tenant_id: str, finding_id: str, verdict: PersonsVerdict | None) -> None:
        """None: nobody has judged it, or not any more."""
        this = finding.c.tenant_id == tenant_id, finding.c.id == finding_id
        self.connection.execute(update(finding).where(*this).values(verdict=verdict and verdict.model_dump_json()))
        whose = select(finding.c.session_id).where(*this).scalar_subquery()
        its = session.c.tenant_id == tenant_id, session.c.session_id == whose
        self.connection.execute(update(session).where(*its).values(worst=WORST))

    def newest_seq(self) -> int:
        return int(self.connection.execute(select(func.max(finding.c.seq))).scalar_one() or 0)

    def after(self, seq: int, limit: int) -> list[tuple[int, FindingView | None]]:
        """Those that arrived after this place, each with its own, in order; None for one that this version cannot
        read. Fewer than `limit` as of a `page`."""
        wanted = select(finding).where(finding.c.seq > seq).order_by(finding.c.seq)
        return self._fitting(wanted, limit, _as_far_as_readable)[0]

    def page(
        self,
        scope: Scope,
        *,
        limit: int,
        before: int | None = None,
        session_id: str | None = None,
        kind: str | None = None,
        effect: str | None = None,
    ) -> list[StoredFinding]:
        """Newest first, `before` a place in the order of arrival; fewer than `limit` where they are large, but one
        at least.

        Control's own news are about no session, whatever session bears the name that stands in them.
        """
        return self.window(scope, limit=limit, before=before, session_id=session_id, kind=kind, effect=effect)[0]

    def window(
        self,
        scope: Scope,
        *,
        limit: int,
        before: int | None = None,
        session_id: str | None = None,
        kind: str | None = None,
        effect: str | None = None,
        judged: bool | None = None,
        named: Mapping[str, str] = _ANY,
    ) -> tuple[list[StoredFinding], bool]:
        """A `page`, and whether there are more. `judged`: only those with, or without, a person's verdict.
        `named`: only those of this `agent`, with this `breach` or this `signal`."""
        tenant, seq = finding.c.tenant_id, finding.c.seq
        names = [in_key(f"{sort}:{name}") for sort, name in named.items()]
        if session_id is None and names:
            about, walked, seq = finding_about.c, False, finding_about.c.seq
            wanted = select(finding).join(finding_about, about.seq == finding.c.seq)
            wanted = wanted.where(about.what == names.pop(), within(about.tenant_id, scope))
        else:
            # else its few rows are read by tenant or session and sorted: SQLite must not take another index
            walked = session_id is None and has_much(self.connection, tenant, scope)
            wanted = select(finding).where(within(NoIndex(tenant) if walked else tenant, scope))
        for name in names:
            this = finding_about.alias().c
            wanted = wanted.where(exists().where(this.what == name, this.seq == finding.c.seq))
        if judged is not None:
            wanted = wanted.where(finding.c.verdict.is_not(None) if judged else finding.c.verdict.is_(None))
            walked = False  # along those that are, or are not
        if session_id is not None:
            wanted = wanted.where(finding.c.session_id == session_id, _ABOUT_A_SESSION)
        if kind is not None:
            along = walked and effect is None
            wanted = wanted.where((finding.c.kind if along else NoIndex(finding.c.kind)) == kind)
        if effect is not None:
            wanted = wanted.where((finding.c.effect if walked else NoIndex(finding.c.effect)) == effect)
        if before is not None:
            wanted = wanted.where(seq < before)
        return self._fitting(wanted.order_by(seq.desc()), limit, _stored)

    def judged(self, scope: Scope, *, limit: int, before: int | None = None) -> tuple[list[StoredFinding], bool]:
        """Those with a person's verdict, as a `window`."""
        wanted = select(finding).where(within(NoIndex(finding.c.tenant_id), scope), finding.c.verdict.is_not(None))
        if before is not None:
            wanted = wanted.where(finding.c.seq < before)
        return self._fitting(wanted.order_by(finding.c.seq.desc()), limit, _stored)

    def _fitting(
        self, wanted: Select[Any], limit: int, read: Callable[[Row[Any]], _Read]
    ) -> tuple[list[_Read], bool]:
        """The first of them, up to `limit`, that have room together; and whether there are more. What has no room
        is never parsed: that takes twenty times its size."""
        found, room = list[_Read](), ROOM
        first = wanted.limit(limit + 1).execution_options(yield_per=_AT_ONCE)
        with self.connection.execute(first) as rows:
            for row in rows:
                room -= len(row.finding)
                if len(found) == limit or (found and room < 0):
                    return found, True
                found.append(read(row))
        return found, False

    def confirmed(self, key: SessionKey) -> bool:
        """Whether a person confirmed any finding on this session."""
        said = self._verdicts(key, finding.c.verdict.is_not(None))
        return any(each is not None and each.verdict == "confirmed" for each in said)

    def judged_at(self, key: SessionKey) -> datetime | None:
        """When people last judged any finding on this session."""
        said = self._verdicts(key, finding.c.verdict.is_not(None))
        return max((each.at for each in said if each is not None), default=None)

    def judged_with(self, key: SessionKey, said: PersonsVerdict) -> list[str]:
        """The findings on this session to which that very verdict was given, the oldest first."""
        mine = finding.c.tenant_id == key.tenant_id, finding.c.session_id == key.session_id
        wanted = select(finding.c.id).where(*mine, finding.c.verdict == said.model_dump_json())
        return list(self.connection.execute(wanted.order_by(finding.c.seq)).scalars())

    def of_drift(self, key: SessionKey) -> list[PersonsVerdict]:
        """What people said of the session's drifts, as far as it stands."""
        said = self._verdicts(key, _DRIFT, finding.c.verdict.is_not(None))
        return [each for each in said if each is not None]

    def accusing(self, key: SessionKey) -> bool:
        """Whether any finding that people were told of this session still accuses it."""
        this = session.c.tenant_id == key.tenant_id, session.c.session_id == key.session_id
        wanted = select(finding.c.seq).join(session, _OF_THE_SESSION).where(*this, _ABOUT_A_SESSION, *_ACCUSES)
        return self.connection.execute(wanted.limit(1)).first() is not None

    def unjudged(self, key: SessionKey) -> list[str]:
        """The drifts that people were told of this session and have not judged, the oldest first."""
        mine = finding.c.tenant_id == key.tenant_id, finding.c.session_id == key.session_id
        wanted = select(finding.c.id).where(*mine, _DRIFT, _TOLD, finding.c.verdict.is_(None))
        return list(self.connection.execute(wanted.order_by(finding.c.seq)).scalars())

    def names_delegator(self, key: SessionKey, name: str) -> bool:
        """Whether any finding on this session tells that it acts for this person."""
        mine = finding.c.tenant_id == key.tenant_id, finding.c.session_id == key.session_id, _ABOUT_A_SESSION
        written = f'"delegator_id":{json.dumps(name, ensure_ascii=False)}'
        wanted = select(finding.c.finding).where(*mine, finding.c.finding.contains(written, autoescape=True))
        with self.connection.execute(wanted.execution_options(yield_per=_AT_ONCE)) as found:
            subjects = (json.loads(text)["subject"] for text in found.scalars())
            return any(told is not None and told["delegator_id"] == name for told in subjects)

    def _verdicts(self, key: SessionKey, *where: ColumnElement[bool]) -> Iterator[PersonsVerdict | None]:
        """Of such findings on a session; None where nobody has judged one yet."""
        mine = finding.c.tenant_id == key.tenant_id, finding.c.session_id == key.session_id, _ABOUT_A_SESSION
        for text in self.connection.execute(select(finding.c.verdict).where(*mine, *where)).scalars():
            yield None if text is None else PersonsVerdict.model_validate_json(text)


def _named(received: Finding) -> set[str]:
    """What it is looked up by."""
    agent = received.subject and received.subject.agent_id
    names = [] if agent is None else [f"agent:{agent}"]
    names += [f"breach:{each.name}" for each in received.breaches[:_MOST_NAMED]]
    names += [f"signal:{each.signal}" for each in received.reasons[:_MOST_NAMED]]
    return {in_key(storable(name)) for name in names}


def _as_far_as_readable(row: Row[Any]) -> tuple[int, FindingView | None]:
    with suppress(ValidationError):
        return row.seq, _stored(row).view
    return row.seq, None


def _stored(row: Row[Any]) -> StoredFinding:
    """Fields that only a newer version of guardian knows are not shown."""
    view = FindingView(
        finding=Finding.model_validate_json(row.finding, extra="ignore"),
        outcome=FindingOutcome.model_validate_json(row.outcome),
        verdict=None if row.verdict is None else PersonsVerdict.model_validate_json(row.verdict),
    )
    return StoredFinding(row.seq, row.digest, view)
