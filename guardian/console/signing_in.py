"""Signing in: by the organisation's identity provider, or by a one-time link from the command line. And out."""

from dataclasses import replace

from starlette.responses import Response

from guardian.console.asked import Asked, safe_path
from guardian.console.notices import Notice, notice_of
from guardian.console.pages import Pages
from guardian.console.ports import Admission
from guardian.errors import AnotherSignIn, ProviderAway, SignInRefused, TokenError
from guardian.telemetry import logger

_log = logger("console")


def to_sign_in(pages: Pages, after: str, word: str) -> Response:
    """To the sign-in page, which leads back to `after`."""
    return pages.away(pages.showing.link("sign-in", after=safe_path(pages.parts, after), did=word))


def show(pages: Pages, asked: Asked) -> Response:
    after = safe_path(pages.parts, asked.query.get("after", ""))
    secret = pages.cookies.visit_in(asked.cookies)
    if secret is not None and pages.parts.visits.resume(secret) is not None:
        return pages.away(after)
    return _page(pages, asked, after, notice_of(asked.query.get("did")))


def not_done(pages: Pages, asked: Asked, after: str) -> Response:
    """The same for who sent a form too late, with the reason they had typed: it is kept nowhere else."""
    typed, notice = asked.form.get("reason", ""), notice_of("not_done")
    return _page(pages, replace(asked, visit=None), safe_path(pages.parts, after), notice, typed, status=403)


def _page(
    pages: Pages, asked: Asked, after: str, notice: Notice | None, typed: str = "", *, status: int = 200
) -> Response:
    identity = pages.parts.identity
    provider = None if identity is None else identity.name
    told = {"after": after, "provider": provider, "typed": typed}
    answer = pages.page(asked, "sign_in", status=status, notice=notice, **told)
    pages.cookies.keep_after(answer, after)
    return answer


def send_off(pages: Pages, asked: Asked) -> Response:
    """To the identity provider."""
    identity = pages.parts.identity
    if identity is None:
        return pages.failed(asked, 404, "There is no identity provider set up here.")
    try:
        sent = identity.begin(safe_path(pages.parts, asked.query.get("after", "")))
    except SignInRefused as refusal:
        return pages.failed(asked, 503, str(refusal))
    answer = pages.away(sent.url)
    pages.cookies.keep_oidc(answer, sent.kept)
    return answer


def returned(pages: Pages, asked: Asked) -> Response:
    """Back from the identity provider. What was asked counts once (RFC 9700, 4.2.4), unless the answer is to
    another tab's sign-in, or the provider may be back in a moment."""
    identity = pages.parts.identity
    if identity is None:
        return pages.failed(asked, 404, "There is no identity provider set up here.")
    try:
        back = identity.finish(pages.cookies.oidc_in(asked.cookies), asked.query)
        person = back.person
        admitted = pages.parts.visits.admit(person.principal, role=person.role, tenants=person.tenants)
    except (SignInRefused, TokenError) as refusal:
        _log.warning("sign_in_refused", reason=str(refusal)[:300], correlation_id=asked.request_id)
        pages.parts.metrics.add("guardian_sign_ins_total", how="refused")
        answer = pages.failed(asked, 503 if isinstance(refusal, ProviderAway) else 403, str(refusal))
        if not isinstance(refusal, AnotherSignIn | ProviderAway):
            pages.cookies.forget_oidc(answer)
        return answer
    answer = _come_in(pages, asked, admitted, safe_path(pages.parts, back.path))
    pages.cookies.forget_oidc(answer)
    return answer


def show_link(pages: Pages, asked: Asked) -> Response:
    """Whom the link signs in. Opening it does not use it up, because chat programs open links as well."""
    code, after = asked.query.get("code", ""), asked.query.get("next", "")
    visit = pages.parts.visits.whose(code)
    if visit is None:
        return _link_over(pages, asked)
    return pages.page(asked, "link", code=code, next=after, who=visit.principal)


def redeem(pages: Pages, asked: Asked) -> Response:
    admitted = pages.parts.visits.redeem(asked.form.get("code", ""))
    if admitted is None:
        pages.parts.metrics.add("guardian_sign_ins_total", how="refused")
        return _link_over(pages, asked)
    wanted = asked.form.get("next") or pages.cookies.after_in(asked.cookies) or ""
    return _come_in(pages, asked, admitted, safe_path(pages.parts, wanted))


def sign_out(pages: Pages, asked: Asked) -> Response:
    secret = pages.cookies.visit_in(asked.cookies)
    if secret is not None:
        pages.parts.visits.end(secret)
    answer = to_sign_in(pages, "", "signed_out")
    pages.cookies.forget_visit(answer)
    answer.headers["clear-site-data"] = '"cache", "storage"'
    return answer


def _come_in(pages: Pages, asked: Asked, admitted: Admission, path: str) -> Response:
    former = pages.cookies.visit_in(asked.cookies)
    if former is not None:
        pages.parts.visits.end(former)
    answer = pages.away(path)
    pages.cookies.keep_visit(answer, admitted.secret)
    pages.cookies.forget_after(answer)
    return answer


def _link_over(pages: Pages, asked: Asked) -> Response:
    text = "This link was used already, or it has expired. `guardian link` makes another one."
    return pages.failed(asked, 404, text)
