"""Makes the pictures that the documents show anew: `pytest tests/console/pictures.py` (it needs Chromium).

The real console before a real control API; what it is told of acme's sessions is made up.
"""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from guardian.domain.finding import Effect

PICTURES = Path(__file__).parents[2] / ".pictures"
MAILED = (
    '{"to": "partner-intake@northwind.example", "subject": "Customer list, all regions", '
    '"attachments": ["customers.csv"]}'
)
SESSION = "sess_7fa3_renewal"
OVERVIEW, PAGE = {"width": 1280, "height": 960}, {"width": 1280, "height": 1180}


def test_the_pictures(tmp_path: Path, policies: Any, migrated: Path, scribe: Any) -> None:
    driver_of = pytest.importorskip("playwright.sync_api").sync_playwright
    shutil.copytree(migrated, tmp_path / "site")
    with scribe.serve(tmp_path / "site", policies) as site, driver_of() as driver:
        furnish(site, scribe)
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, scheme, path, size in (
            ("overview", "dark", "/console", OVERVIEW),
            ("session", "light", f"/console/session?tenant=acme&id={SESSION}", PAGE),
        ):
            page = chromium.new_context(color_scheme=scheme, viewport=size).new_page()
            page.goto(site.link("maya", "responder"))
            page.get_by_role("button", name="Sign in as maya").click()
            page.get_by_role("button", name="Sign out").wait_for()
            page.goto(site.url + path)
            page.screenshot(path=PICTURES / f"{name}.png")
        chromium.close()


def furnish(site: Any, scribe: Any) -> None:
    """A review of a contract that became the mailing of the customer list, and three sessions beside it."""
    site.enforce()
    site.register(SESSION)
    site.clock.pass_(minutes=1)
    at = scribe.START
    first = scribe.finding(
        SESSION, n=1, one_in=1_240, tool="crm.export", argument=None, time=at - timedelta(minutes=9)
    )
    then = scribe.finding(
        SESSION, n=2, one_in=40_500, wanted=Effect.REVOKE, arguments=MAILED, time=at - timedelta(minutes=8)
    )
    other = scribe.finding("sess_44aa_renewal", one_in=80_000, wanted=Effect.REVOKE)
    late = scribe.finding(
        "sess_51c2_invoices", one_in=3_000, wanted=Effect.REVOKE, hard=True, title="Acts on an expired envelope",
        tool="invoices.export", purpose="Match supplier invoices against purchase orders",
        agent_id="agent_invoice_matching",
    )  # fmt: skip
    slow = scribe.finding(
        "sess_60d9_triage", one_in=1_500, tool="reports.read", purpose="Sort new support tickets by urgency",
        agent_id="agent_support_triage",
    )  # fmt: skip
    for told in (first, then, other, late, slow):
        site.submit(told)
    rows = [scribe.row(n, session=SESSION, one_in=2.0 + (n * 7 % 5)) for n in range(47)]
    mailed = {"tool": "email.send", "score": 0.97, "arguments": MAILED}
    mailed["signals"] = [("purpose_fit", 0.97), ("chain_exposure", 0.61)]
    for n, one_in in enumerate(
        (5, 20, 80, 320, 1_240, 4_000, 13_000, 40_500, *(40_500 * 2.4**k for k in range(1, 10)))
    ):
        told = {4: (first.id, "flag"), 7: (then.id, "revoke")}.get(n, (None, "none"))
        rows.append(
            scribe.row(47 + n, session=SESSION, one_in=float(one_in), finding_id=told[0], wanted=told[1], **mailed)
        )
    site.archived(*rows)
    site.clock.pass_(minutes=6)
    site.api("maya", "responder").reinstate("acme", "sess_44aa_renewal", reason="the partner was agreed")
    site.clock.pass_(minutes=2)
    site.api("monitor", "monitor", "*").vitals("monitor-1", 0.2, False)
    site.follow()
