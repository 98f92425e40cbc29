"""The pages in a real browser: Chromium, headless, without a window. Skipped where there is none.

One browser and one server for all of it; each test has a session and people of its own.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guardian.domain.finding import Effect

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine: apt-get install chromium", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'")
OPEN = "document.querySelectorAll('details').forEach(each => { each.open = true })"
HOSTILE = (
    "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>\"'><svg onload=window.pwned=1>"
    "{{7*7}}javascript:window.pwned=1//\u202egnp.exe\u2066\u200b\x07" + "A" * 300 + "</bdi></dd></main></style>-->"
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, policies: Any, migrated: Path, scribe: Any) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("served") / "site"
    shutil.copytree(migrated, folder)
    proposals(folder / "proposals" / "renewals")
    with scribe.serve(folder, policies, console={"proposals": "proposals"}) as site:
        yield scribe.furnished(site)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def someone(chromium: Any, served: Any) -> Iterator[Callable[..., Any]]:
    """A person's browser: `someone()` is nobody yet, `someone("maya")` has signed in with a link."""
    contexts: list[Any] = []

    def come(name: str = "", role: str = "responder", *tenants: str, **more: Any) -> Any:
        context = chromium.new_context(**more)
        context.set_default_timeout(120_000)
        contexts.append(context)
        page = context.new_page()
        page.troubles = []
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on("dialog", lambda dialog: (page.troubles.append(dialog.message), dialog.dismiss()))
        page.on("console", lambda told: page.troubles.append(told.text) if told.type == "error" else None)
        if name:
            page.goto(served.link(name, role, *tenants))
            page.get_by_role("button", name=f"Sign in as {name}").click()
            page.get_by_role("button", name="Sign out").wait_for()
            page.wait_for_load_state()
        return page

    yield come
    for context in contexts:
        context.close()


def url(served: Any, session: str, tenant: str = "acme") -> str:
    return f"{served.url}/console/session?tenant={tenant}&id={session}"


def test_from_an_alert_to_the_evidence_to_a_revocation(served, someone, scribe):
    served.submit(scribe.finding("alert_1", n=3))
    page = someone()
    page.goto(url(served, "alert_1"))
    assert page.title() == "Sign in · guardian"
    page.goto(served.link("maya", "responder"))
    page.get_by_role("button", name="Sign in as maya").click()
    page.wait_for_url(url(served, "alert_1"))  # back at the page that the alert named
    assert page.get_by_role("heading", level=1).inner_text().startswith("alert_1")
    assert page.get_by_role("img", name="Evidence against the session").is_visible()
    assert page.get_by_text("to: rival@example.net").first.is_visible()
    page.get_by_role("button", name="Revoke", exact=True).click()
    assert page.get_by_label("Reason").first.evaluate("field => !field.validity.valid"), "the browser asks why"
    page.get_by_label("Reason").first.fill("exports the customer list")
    page.get_by_role("button", name="Revoke", exact=True).click()
    assert page.get_by_role("status").inner_text() == (
        "It is on the revocation list; no gateway is known to follow that list now."
    )
    assert page.get_by_role("heading", level=1).inner_text() == "alert_1 revoked"
    (line,) = served.audit(action="revoke", session_id="alert_1")
    assert (line["actor"], line["reason"]) == ("maya", "exports the customer list")
    assert page.troubles == []


@pytest.mark.parametrize("width", [1280, 390])
def test_a_line_of_a_list_ends_between_phrases(served, someone, scribe, width):
    served.submit(scribe.finding("a_session_of_some_length", n=7))
    page = someone("maya", viewport={"width": width, "height": 900})
    for told in page.get_by_text(re.compile(r"^[0-9]+ findings?, last")).all():
        assert told.evaluate("each => [...each.getClientRects()].length") == 1
        assert told.bounding_box()["height"] < 30, "it lies on one line"
    assert page.troubles == []


def test_dismissing_with_the_keyboard_alone(served, someone, scribe):
    served.submit(scribe.finding("keys_1", n=4))
    page = someone("maya")
    page.goto(url(served, "keys_1"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "TEXTAREA":
            break
    page.keyboard.type("a campaign that was agreed")
    while page.evaluate("document.activeElement.value") != "false_positive":
        page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "where the focus is can be seen"
    page.keyboard.press("Enter")
    assert "false positive" in page.get_by_role("status").inner_text()
    assert served.audit(action="dismiss", session_id="keys_1", actor="maya") != []


@pytest.mark.parametrize("width", [1280, 360])
def test_a_box_stands_before_what_it_chooses(served, someone, scribe, width):
    served.submit(scribe.finding("box_1"))
    page = someone("maya", viewport={"width": width, "height": 900})
    page.goto(f"{served.url}/console/findings?session=box_1")
    box, badge = (page.locator(f".stream li {what}").first.bounding_box() for what in ("input", ".badge"))
    assert box["width"] < 30
    assert 0 < badge["x"] - box["x"] < 40, "in the same line"
    assert abs(badge["y"] - box["y"]) < 15
    if width > 1000:
        assert page.locator(".who").bounding_box()["y"] < 40, "the header has one line"


def test_two_people_at_once(served, someone, scribe):
    served.submit(scribe.finding("two_1", n=5))
    maya, lee = someone("maya"), someone("lee", "responder")
    for page in (maya, lee):
        page.goto(url(served, "two_1"))
        page.get_by_label("Reason").first.fill(f"because, by {page.locator('.who span').first.inner_text()}")
    maya.get_by_role("button", name="Revoke", exact=True).click()
    assert maya.get_by_role("status").inner_text().startswith("It is on the revocation list")
    lee.get_by_role("button", name="Revoke", exact=True).click()
    assert "has changed since this page was shown" in lee.get_by_role("alert").inner_text()
    assert lee.get_by_role("heading", level=1).inner_text() == "two_1 revoked", "it is brought up to date"
    assert lee.get_by_label("Your reason").input_value().startswith("because, by lee")
    audited = served.audit(action="revoke", session_id="two_1")
    assert [(each["actor"], each["result"]) for each in audited] == [("maya", "changed"), ("lee", "stale")]
    lee.get_by_label("Reason audited").first.fill("a mistake")
    lee.get_by_role("button", name="Reinstate").click()
    assert "second person" in lee.get_by_role("status").inner_text()
    maya.reload()
    maya.get_by_label("Reason").first.fill("he is right")
    maya.get_by_role("button", name="Approve").click()
    assert "Nothing was done" in maya.get_by_role("alert").inner_text(), "approving is for approvers"
    ann = someone("ann", "approver")
    ann.goto(f"{served.url}/console/approvals")
    ann.get_by_role("link", name="the evidence").last.click()
    ann.wait_for_url(re.compile(r"/console/session\?"))
    ann.get_by_label("Reason").first.fill("looked at it")
    ann.get_by_role("button", name="Approve").click()
    assert ann.get_by_role("status").inner_text() == "Approved, and done."
    assert ann.get_by_role("heading", level=1).inner_text() == "two_1 reinstated"


def test_an_ended_sign_in_does_nothing_and_says_so(served, someone, scribe):
    served.submit(scribe.finding("ended_1", n=6))
    page = someone("mo")
    page.goto(url(served, "ended_1"))
    with served.deps.store.write() as rows:
        for row in rows.tokens.all():
            if row.principal_id == "mo":
                rows.tokens.revoke(row.jti, by="operator", now=served.clock())
    page.get_by_label("Reason").first.fill("too late")
    page.get_by_role("button", name="Revoke", exact=True).click()
    assert "nothing was done" in page.get_by_role("alert").inner_text()
    assert page.title() == "Sign in · guardian"
    assert served.audit(action="revoke", session_id="ended_1") == []


def test_signing_out(served, someone):
    page = someone("maya")
    page.get_by_role("button", name="Sign out").click()
    assert page.get_by_role("status").inner_text() == "You are signed out."
    page.goto(f"{served.url}/console")
    assert page.title() == "Sign in · guardian"


def test_another_tenants_page_does_not_exist(served, someone, scribe):
    served.submit(scribe.finding("globex_1", tenant="globex", n=7))
    page = someone("maya")
    got = page.goto(url(served, "globex_1", "globex"))
    assert got.status == 404
    assert page.get_by_role("heading", level=1).inner_text() == "Not found"
    assert page.get_by_role("link", name="Sessions").is_visible(), "one is still signed in"
    page = someone("gil", "responder", "globex")
    assert page.goto(url(served, "globex_1", "globex")).status == 200


def test_hostile_text_in_every_field_runs_nothing_and_breaks_nothing(served, someone, scribe):
    site, session = served, "h<b>\"'&{{1}}\u202e"
    told = scribe.finding(
        session, n=8, title=HOSTILE[:290], purpose=HOSTILE, tool=HOSTILE, arguments=json.dumps({"to": HOSTILE}),
        delegator_id="user<i>", agent_id=HOSTILE, task_id="task\"><script>window.pwned=1</script>",
        parent_session_id="<img src=x onerror=window.pwned=1>",
    )  # fmt: skip
    site.submit(told)
    site.archived(
        scribe.row(
            0, session=session, tool=HOSTILE, arguments=json.dumps({HOSTILE: HOSTILE}), resource_type=HOSTILE,
            resource_id=HOSTILE, data_classes=[HOSTILE], purpose=HOSTILE, agent_id=HOSTILE, reason=HOSTILE,
            effect="deny", signals=[(HOSTILE, 0.9)], breaches=[HOSTILE], features_missing=[HOSTILE],
            allowed_tools=[HOSTILE] * 60, constraints=json.dumps({HOSTILE: [HOSTILE]}), finding_id=told.id,
            wanted="flag",
        ),
        name="hostile",
    )  # fmt: skip
    site.api("maya", "responder").snooze("acme", session, hours=1, reason=HOSTILE[:900].replace("\x07", ""))
    for size in ({"width": 1280, "height": 800}, {"width": 360, "height": 740}):
        page = someone("maya", viewport=size)
        for link in (page.url, f"{site.url}/console/sessions", f"{site.url}/console/findings"):
            page.goto(link)
            assert_harmless(page)
        page.goto(site.url + "/console/sessions")
        page.locator("a.id", has_text="h<b>").click()
        page.wait_for_url(re.compile(r"/console/session\?"))
        page.evaluate(OPEN)
        assert_harmless(page)
        assert page.locator("main").inner_text().count("‹U+202E›") > 3
        page.locator("a:has(code)", has_text="fnd_").first.click()
        page.wait_for_url(re.compile(r"/console/finding\?"))
        assert_harmless(page)
        assert page.locator("footer").is_visible()


def assert_harmless(page: Any) -> None:
    assert page.evaluate("window.pwned") is None
    assert page.troubles == []
    assert page.locator("script, iframe, object, embed, base, main img, [onerror], [onload]").count() == 0
    assert page.evaluate("document.querySelectorAll('body > main').length") == 1
    wide, room = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= room, f"{page.url} is {wide} wide in {room}"
    text = re.sub(r'<input type="hidden"[^>]*>', "", page.evaluate("document.documentElement.outerHTML"))
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x07]", text)


PLACES = {
    "sign-in": "/console/sign-in",
    "overview": "/console",
    "session": "/console/session?tenant=acme&id=sess_1",
    "sessions": "/console/sessions",
    "revoked": "/console/revoked",
    "findings": "/console/findings",
    "approvals": "/console/approvals",
    "proposals": "/console/proposals",
    "proposal": "/console/proposal?name=renewals",
    "missing": "/console/session?tenant=acme&id=nobody",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(served, someone, scheme):
    from axe_playwright_python.base import AXE_FILE_PATH

    site = served
    if not site.api("root", "admin").approvals(state="pending").items:
        site.api("root", "admin", "*").set_mode("acme", "enforce", reason="trusted")
    told = site.api("maya", "responder").findings(session_id="sess_1").items[0].finding.id
    page = someone(
        "lee", "approver", color_scheme=scheme, bypass_csp=True
    )  # axe is a script, and pages allow none
    nobody = someone(color_scheme=scheme, bypass_csp=True)
    found = []
    for name, path in {**PLACES, "finding": f"/console/finding?id={told}"}.items():
        looked = nobody if name == "sign-in" else page
        looked.goto(site.url + path)
        looked.evaluate(OPEN)
        looked.add_script_tag(path=str(AXE_FILE_PATH))
        told_of = looked.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found += [
            f"{name}: {each['id']} {each['impact']} {each['nodes'][0]['html'][:200]}"
            f" {each['nodes'][0]['failureSummary'][:300]}"
            for each in told_of["violations"]
            if each["impact"] in ("serious", "critical", "moderate")
        ]
    assert found == []


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_page_is_wider_than_the_screen(served, someone, width):
    page = someone("lee", "approver", viewport={"width": width, "height": 800})
    for path in PLACES.values():
        page.goto(served.url + path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, path


@pytest.mark.parametrize("width", [360, 1280])
def test_a_colleagues_session_is_found_and_who_did_what(served, someone, scribe, width):
    from axe_playwright_python.base import AXE_FILE_PATH

    served.submit(scribe.finding("found_1", n=31, agent_id=f"{HOSTILE}!"))
    size = {"width": width, "height": 800}
    page = someone("ada", "auditor", viewport=size, bypass_csp=True)
    page.get_by_role("textbox", name="Find a session").fill("found_1")
    page.get_by_role("button", name="Go", exact=True).click()
    page.wait_for_url(url(served, "found_1"))
    page.get_by_role("link", name="its sessions").first.click()
    page.wait_for_url(re.compile(r"/console/sessions\?"))
    assert page.locator("main a.id").all_inner_texts() == ["found_1"]
    page.get_by_role("link", name="Audit", exact=True).click()
    page.get_by_label("Actor").fill("monitor")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(re.compile("actor=monitor"))
    page.evaluate(OPEN)
    assert page.get_by_role("link", name="found_1").first.is_visible()
    assert_harmless(page)
    page.add_script_tag(path=str(AXE_FILE_PATH))
    told = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [each for each in told if each["impact"] in ("serious", "critical", "moderate")] == []


def test_it_can_be_read_without_scripts(served, someone):
    page = someone("maya", java_script_enabled=False)
    page.goto(url(served, "sess_1"))
    assert page.get_by_text("rival@example.net").first.is_visible()
    page.get_by_text("The curve as a table").click()
    assert page.get_by_role("cell", name="at most 1 in 50,000").is_visible()


def test_on_paper_nothing_is_folded_and_nothing_waits_to_be_clicked(served, someone, scribe):
    for n in (5, 6):
        served.submit(scribe.finding("paper_1", n=n))
    page = someone("maya", viewport={"width": 1000, "height": 800})
    page.goto(url(served, "paper_1"))
    folded = (
        "[...document.querySelectorAll('details:not(.decide) > :not(summary)')].map(it => it.checkVisibility())"
    )
    assert False in page.evaluate(folded)
    page.emulate_media(media="print")
    assert set(page.evaluate(folded)) == {True}
    for clicked in (".jump", "summary .all", ".decide"):
        assert page.locator(clicked).count()
        assert page.locator(f"{clicked}:visible").count() == 0
    wider = "[...document.querySelectorAll('.scroll')].filter(it => it.scrollWidth > it.clientWidth).length"
    assert page.evaluate(wider) == 0, "nor to be moved sideways"


def test_over_the_network_nothing_but_our_own_is_fetched(served, someone):
    page = someone("maya")
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(url(served, "sess_1"))
    assert len(fetched) >= 2
    assert all(each.startswith(served.url) for each in fetched)


def test_a_revocation_by_the_monitor_is_on_the_next_look(served, someone, scribe):
    site = served
    page = someone("maya")
    site.submit(scribe.finding("auto_1", n=11, wanted=Effect.REVOKE, hard=True))
    page.goto(url(served, "auto_1"))
    assert page.get_by_text("envelope expired").first.is_visible()


def proposals(folder: Path) -> None:
    """As `guardian propose --out` writes it, from a few made-up restrictions."""
    from guardian.domain.restriction import Restriction, Scope, Support
    from guardian.domain.rules import ForbidTool, MaxRecords
    from guardian.tightening.backtest import Backtest
    from guardian.tightening.folder import PROPOSAL, write_folder
    from guardian.tightening.grants import Grant
    from guardian.tightening.proposal import Proposal
    from guardian.tightening.proposal_json import as_json
    from guardian.tightening.surface import Surface

    scope = Scope("acme", "review_contract", "agent_renewal_review")
    support = Support(
        sessions=140, actions=2000, days=60, last_use=None, denied_at_most=0.021, held_out=40, held_out_broken=0
    )
    rules = (ForbidTool("crm.export"), MaxRecords(25), ForbidTool("<b>x</b>"))
    made = Proposal(
        tenant_id="acme",
        since=_day(1),
        until=_day(10),
        made_at=_day(11),
        restrictions=tuple(Restriction(scope, rule, "never used", support) for rule in rules),
        grants={scope: (Grant(("contracts.read", "crm.export", "<b>x</b>"), None, 100),)},
        backtest=Backtest(replayed=5000, honest=4800, honest_denied=2),
        surface=Surface(40, 12),
    )
    files = {
        PROPOSAL: json.dumps(as_json(made)),
        "cedar/renewals.cedar": "forbid (principal, action, resource);\n",
    }
    write_folder(folder, files)


def _day(n: int) -> Any:
    from datetime import UTC, datetime

    return datetime(2026, 5, n, tzinfo=UTC)
