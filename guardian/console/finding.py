"""The page of one finding: what guardian said, what policy made of it, and what people made of that."""

from starlette.responses import Response

from guardian.console.asked import Asked
from guardian.console.forms import finding_form, left_over
from guardian.console.notices import Notice, notice_in
from guardian.console.pages import Pages, unless_absent
from guardian.domain.finding import Kind
from guardian.errors import ControlError


def show(pages: Pages, asked: Asked) -> Response:
    return page(pages, asked, asked.query.get("id", ""), asked.query.get("tenant", ""), notice=notice_in(asked))


def page(
    pages: Pages,
    asked: Asked,
    finding_id: str,
    tenant: str = "",
    *,
    notice: Notice | None = None,
    status: int = 200,
) -> Response:
    """Raises ControlError (404) for one that is not within the visitor's reach."""
    if not finding_id:
        raise ControlError("name a finding", status=404)
    api = pages.api(asked)
    view = api.finding(finding_id, tenant_id=tenant or None)
    finding = view.finding
    about_itself = finding.kind is Kind.CONTROL
    case = None if about_itself else unless_absent(lambda: api.case(finding.tenant_id, finding.session_id))
    forms = [form.refilled(asked.form) for form in finding_form(view, case, asked.signed_in)]
    return pages.page(
        asked,
        "finding",
        status=status,
        notice=notice,
        view=view,
        case=case,
        forms=forms,
        typed=left_over(forms, asked.form),
        about_itself=about_itself,
    )
