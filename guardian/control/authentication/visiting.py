"""Who is signed in to the evidence pages. A visit is a token of the control API, kept for a browser.

By OIDC the token is made for the visit and ends with it; by a one-time link it is the very token that
asked for the link. Either way each request of the visit is that principal's request, and a token that was
withdrawn or has expired ends the visit at once.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from urllib.parse import quote

from guardian.control.authentication.token_records import record_token
from guardian.control.authority.asking import may_read
from guardian.control.deps import ControlDeps, VisitRule
from guardian.control.problems import Refusal
from guardian.errors import TokenError
from guardian.keys.tokens import RefusedToken
from guardian.keys.visit import VisitSecret
from guardian.store.control.rows import ControlRows
from guardian.store.control.tokens import StoredVisit, VisitKind
from guardian.wire.principal import Principal, Role
from guardian.wire.visits import PEOPLE, How, SignInLink, Visit

_SEEN_EVERY = timedelta(minutes=1)
"""How exactly the time of the last request is kept: not every look at a page is a write."""


class Admitted(NamedTuple):
    """`secret` is for the person's browser alone."""

    secret: str
    visit: Visit


class Visits:
    """The sign-ins of one deployment. Every beginning and every end is in the audit trail; the end of one that ran
    out with nobody there, once somebody else comes in.
    """

    def __init__(self, deps: ControlDeps, rule: VisitRule) -> None:
        self._deps, self._rule = deps, rule

    def admit(self, principal_id: str, *, role: Role, tenants: Collection[str]) -> Admitted:
        """Somebody whom the identity provider vouches for. Raises TokenError for one who could hold no token."""
        if role not in PEOPLE:
            raise TokenError(f"role {role!r} is for machines; people are {', '.join(sorted(PEOPLE))}")
        now = self._deps.clock()
        made = self._deps.tokens.issue(principal_id, role=role, tenants=tenants, ttl=self._rule.life, now=now)
        with self._deps.store.write() as rows:
            record_token(rows, made)
            return self._begin(rows, made.principal, made.text, "oidc", now)

    def whose(self, code: str) -> Visit | None:
        """Whom a link would sign in; it is not used up by looking."""
        found = self._opened(code, "link")
        return None if found is None else self._visit(*found)

    def redeem(self, code: str) -> Admitted | None:
        """Open a link, which works once. None if it was opened before, ran out, or its token no longer counts."""
        found = self._opened(code, "link")
        visit = None if found is None else self._visit(*found)
        if found is None or visit is None:
            return None
        with self._deps.store.write() as rows:
            if not rows.visits.remove(found[1].id):
                return None
            return self._begin(rows, visit.principal, visit.token, "via_link", self._deps.clock())

    def resume(self, secret: str) -> Visit | None:
        """The visit that this browser is in the middle of; None when there is none any more."""
        found = self._opened(secret, "oidc", "via_link")
        if found is None:
            return None
        now, (_, stored) = self._deps.clock(), found
        visit = None if now - stored.seen_at > self._rule.idle else self._visit(*found)
        if visit is None:
            self._end(stored, "expired")
        elif now - stored.seen_at > min(_SEEN_EVERY, self._rule.idle / 10):
            with self._deps.store.write() as rows:
                rows.visits.touch(stored.id, now)
        return visit

    def end(self, secret: str) -> None:
        """Sign out. What is over already stays so."""
        found = self._opened(secret, "oidc", "via_link")
        if found is not None:
            self._end(found[1], "signed out")

    def _begin(
        self, rows: ControlRows, who: Principal, token: str, kind: Literal["oidc", "via_link"], now: datetime
    ) -> Admitted:
        secret, ends = VisitSecret.fresh(), min(now + self._rule.life, who.expires_at)
        stored = StoredVisit(secret.id, kind, secret.seal(token), who.jti, now, now, ends)
        _forget(rows, now)
        rows.visits.add(stored)
        how: How = "oidc" if kind == "oidc" else "link"
        rows.audit.note("signIn", at=now, actor=who.id, how=how, role=who.role, jti=who.jti)
        self._deps.metrics.add("guardian_sign_ins_total", how=how)
        return Admitted(secret.text, Visit(who, token, secret.csrf, how, ends))

    def _end(self, stored: StoredVisit, why: str) -> None:
        now = self._deps.clock()
        with self._deps.store.write() as rows:
            if not rows.visits.remove(stored.id):
                return
            if stored.kind == "oidc":
                rows.tokens.end(stored.jti, now)
            rows.audit.note("signOut", at=now, jti=stored.jti, why=why)

    def _opened(self, text: str, *kinds: VisitKind) -> tuple[VisitSecret, StoredVisit] | None:
        secret = VisitSecret.parse(text)
        if secret is None:
            return None
        with self._deps.store.read() as rows:
            stored = rows.visits.get(secret.id)
        return None if stored is None or stored.kind not in kinds else (secret, stored)

    def _visit(self, secret: VisitSecret, stored: StoredVisit) -> Visit | None:
        now = self._deps.clock()
        if now >= stored.expires_at:
            return None
        token = secret.unseal(stored.sealed)
        try:
            who = self._deps.tokens.verify(token, now=now)
        except RefusedToken:
            return None
        if stored.kind == "oidc" and self._rule.people.get(who.id) != (who.role, who.tenants):
            return None  # no longer listed, or for something else
        return Visit(who, token, secret.csrf, "oidc" if stored.kind == "oidc" else "link", stored.expires_at)


def _forget(rows: ControlRows, now: datetime) -> None:
    """Remove what ran out with nobody there. That ends a visit, but not a link that was never opened."""
    for over in rows.visits.forget(now):
        if over.kind != "link":
            ended = over.expires_at.isoformat()
            rows.audit.note("signOut", at=now, jti=over.jti, why="expired", ended_at=ended)


def make_link(deps: ControlDeps, caller: Principal, token: str, path: str) -> SignInLink:
    """A link that signs the caller in, once. Raises Refusal for machines, and where there are no pages."""
    rule = deps.settings.console
    if rule is None:
        raise Refusal(404, "no evidence pages are set up here: console.enabled", code="no_console")
    may_read(deps, caller, "read")
    if caller.role not in PEOPLE:
        raise Refusal(403, "the evidence pages are for people", code="denied")
    if caller.certificate is not None:
        raise Refusal(403, "this token counts only together with its client certificate", code="denied")
    now, secret = deps.clock(), VisitSecret.fresh()
    ends = min(now + rule.link_life, caller.expires_at)
    with deps.store.write() as rows:
        _forget(rows, now)
        rows.visits.add(StoredVisit(secret.id, "link", secret.seal(token), caller.jti, now, now, ends))
        rows.audit.note("makeSignInLink", at=now, actor=caller.id, jti=caller.jti)
    url = f"{rule.url}/link?code={secret.text}" + (f"&next={quote(path, safe='')}" if path else "")
    return SignInLink(url=url, expires_at=ends)
