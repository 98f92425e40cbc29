"""Buttons: each is a call of the API as the person who pressed it, bound to what they were shown."""

import re
from dataclasses import replace
from html import unescape
from types import SimpleNamespace

import pytest

from guardian.bootstrap.console import with_console
from guardian.console import lists
from guardian.console.forms import approval_form
from guardian.control.app import create_app
from guardian.control.cases import view
from guardian.domain.finding import Effect, Kind
from guardian.errors import ControlError
from guardian.wire.evidence import EvidenceClient
from guardian.wire.findings import VerdictRequest

ORIGIN = "http://127.0.0.1:8731"
JUDGE = EvidenceClient.judge


def test_revoking_is_the_persons_act_with_their_reason(site):
    site.follow()
    browser = site.signed_in("maya", "responder")
    got = browser.press(browser.session(), "revoke", reason="exports the customer list")
    assert got.status_code == 303
    assert got.headers["location"].startswith("/console/session?tenant=acme&id=sess_1&told=")
    assert got.headers["location"].endswith("&did=revoked")
    html = browser.page(got.headers["location"])
    assert "Revoked. Gateways refuse its next call." in html
    assert "exports the customer list" in html
    (line,) = site.audit(action="revoke", session_id="sess_1")
    assert (line["actor"], line["role"], line["allowed"], line["reason"]) == (
        "maya", "responder", True, "exports the customer list",
    )  # fmt: skip


@pytest.mark.parametrize("silent", [False, True])
def test_nobody_hears_that_gateways_refuse_where_none_is_known_to_follow_the_list(site, silent):
    if silent:
        site.follow()
        site.clock.pass_(minutes=2)
    unknown = "no gateway is known to follow that list now"
    browser = site.signed_in()
    html = browser.session()
    assert (f"it goes on the revocation list; {unknown}" in html, "refuses its next call" in html) == (True, False)
    html = browser.page(browser.press(html, "revoke").headers["location"])
    assert '<div class="notice waits" role="status"><bdi>It is on the revocation list' in html
    assert (html.count(unknown), "refuse its next call" in html) == (2, False), "as a notice and beside the entry"
    site.follow()
    assert unknown not in browser.session()


def test_reinstating_waits_for_a_second_person_who_approves_it_on_the_same_page(site):
    maya, lee = site.signed_in("maya", "responder"), site.signed_in("lee", "approver")
    maya.press(maya.session(), "revoke")
    got = maya.press(maya.session(), "reinstate", reason="it was ours")
    assert got.headers["location"].endswith("did=waits")
    html = maya.page(got.headers["location"])
    assert "second person" in html
    assert 'value="withdraw"' in html
    assert 'value="approve"' not in html, "nobody approves their own wish"
    html = lee.session()
    assert "it was ours" in html
    assert lee.press(html, "approve").headers["location"].endswith("did=approved")
    assert "reinstated" in lee.session()
    (line,) = site.audit(action="reinstate", result="changed")
    assert (line["actor"], line["approved_by"]) == ("maya", "lee")


@pytest.mark.parametrize(("verb", "state"), [("deny", "denied"), ("withdraw", "withdrawn")])
def test_what_waits_is_denied_or_withdrawn_on_the_page_of_approvals(site, verb, state):
    maya, lee = site.signed_in("maya", "responder"), site.signed_in("lee", "approver")
    maya.press(maya.session(), "revoke")
    maya.press(maya.session(), "reinstate")
    who = lee if verb == "deny" else maya
    got = who.press(who.page("/console/approvals"), verb, reason="not like this")
    assert re.fullmatch(rf"/console/approvals\?told=[0-9a-f]{{32}}&did={state}", got.headers["location"])
    html = who.page(f"/console/approvals?state={state}")
    assert "not like this" in html
    assert state in html


def test_a_case_that_another_version_wrote_keeps_nobody_from_deciding_what_else_waits(site, monkeypatch):
    maya, lee = site.signed_in("maya", "responder"), site.signed_in("lee", "approver")
    maya.press(maya.session(), "revoke")
    maya.press(maya.session(), "reinstate")
    site.api("root", "admin", "*").set_mode("acme", "enforce", reason="trusted")

    def case_view(*_):
        return VerdictRequest.model_validate({})

    monkeypatch.setattr("guardian.control.routes.approvals.case_view", case_view)
    html = lee.page("/console/approvals")
    assert "another version of guardian wrote a finding of its session" in html
    assert html.count('name="verb" value="approve"') == 1, "nothing is decided that is not bound to what was shown"
    assert lee.press(html, "approve").headers["location"].endswith("did=approved")
    assert site.api("root", "admin", "*").mode("acme").mode == "enforce"


def test_a_mode_that_waits_is_approved_there_too(site):
    site.api("root", "admin", "*").set_mode("acme", "enforce", reason="trusted")
    lee = site.signed_in("lee", "approver")
    html = lee.page("/console/approvals")
    assert "Change the mode: " in html
    assert re.search(r"<dt>Mode</dt><dd><strong><bdi>enforce</bdi>", html), "what is approved is shown"
    assert lee.press(html, "approve").headers["location"].endswith("did=approved")
    assert site.api("root", "admin", "*").mode("acme").mode == "enforce"
    assert "enforce" in lee.page()


def test_what_is_not_known_in_full_cannot_be_approved(site):
    asked = site.api("root", "admin", "*").set_mode("acme", "enforce", reason="trusted")
    assert asked.approval.particulars["mode"] == "enforce"
    blind = asked.approval.model_copy(update={"particulars": {}})
    visit = SimpleNamespace(principal=SimpleNamespace(id="lee"))
    assert "approve" in [each.verb for each in approval_form(asked.approval, visit).buttons]
    assert "approve" not in [each.verb for each in approval_form(blind, visit).buttons]


@pytest.mark.parametrize(
    ("verb", "verdict", "action"),
    [
        ("false_positive", "false positive", "dismiss"),
        ("benign", "benign", "dismiss"),
        ("confirmed", "confirmed", "confirm"),
    ],
)
@pytest.mark.parametrize("page", ["session", "finding"])
def test_people_say_what_a_finding_was(site, verb, verdict, action, page):
    browser = site.signed_in("ann", "analyst")
    html = browser.session()
    if page == "finding":
        (path,) = set(re.findall(r'href="(/console/finding\?id=fnd_\w+)&amp;tenant=acme"', html))
        html = browser.page(path)
    got = browser.press(html, verb, reason="a campaign that was agreed")
    assert got.headers["location"].endswith(f"did={verb}")
    assert verdict in browser.page(got.headers["location"])
    assert site.audit(action=action, result=verb, actor="ann") != []
    with pytest.raises(AssertionError, match="no button"):
        browser.form(browser.session(), verb)


@pytest.mark.parametrize("page", ["session", "finding"])
@pytest.mark.parametrize("verb", ["false_positive", "confirmed"])
def test_a_verdict_is_taken_back_where_it_was_given(site, page, verb):
    browser = site.signed_in("ann", "analyst")
    (path,) = set(re.findall(r'href="(/console/finding\?id=fnd_\w+)&amp;tenant=acme"', browser.session()))
    where = browser.session if page == "session" else lambda: browser.page(path)
    assert 'value="withdrawn"' not in where(), "there is none yet"
    browser.press(where(), verb)
    got = browser.press(where(), "withdrawn", reason="pressed on the wrong one")
    assert got.headers["location"].endswith("did=taken_back")
    html = browser.page(got.headers["location"])
    assert "The verdict is taken back: nobody has judged it now." in html
    assert 'value="withdrawn"' not in html
    [line] = site.audit(result="withdrawn")
    assert (line["actor"], line["reason"]) == ("ann", "pressed on the wrong one")


@pytest.mark.parametrize("page", ["session", "finding"])
def test_a_sessions_page_dismisses_all_of_its_drifts_and_a_findings_page_that_one(site, scribe, page):
    newest = scribe.finding(n=1, hard=True)
    site.submit(newest)
    browser = site.signed_in("ann", "analyst")
    html = browser.session() if page == "session" else browser.page(f"/console/finding?id={newest.id}")
    assert ("also of 1 other drift finding" in html) is (page == "session")
    assert ("not of 1 other drift finding" in html) is (page == "finding")
    done = browser.page(browser.press(html, "benign").headers["location"])
    assert ("1 of drift that nobody has judged" in done) is (page == "finding")
    case = site.api("ann", "analyst").case("acme", "sess_1")
    assert (case.state, case.unjudged) == (("dismissed", 0) if page == "session" else ("flagged", 1))


def test_a_snooze_is_shown_with_its_end(site):
    browser = site.signed_in()
    got = browser.press(browser.session(), "snooze", hours="4")
    assert got.headers["location"].endswith("did=snoozed"), got.text
    assert "Snoozed until" in browser.session()


def test_who_takes_a_case_is_named_on_its_page_and_in_the_lists(site):
    ann, lee = site.signed_in("ann", "analyst"), site.signed_in("lee", "approver")
    old = lee.session()
    got = ann.press(ann.session(), "take", reason="")
    assert got.headers["location"].endswith("did=taken"), got.text
    html = ann.page(got.headers["location"])
    assert "Taken by <bdi>ann</bdi>" in html
    assert 'value="take"' not in html
    for page in ("/console", "/console/sessions"):
        assert "taken by <bdi>ann</bdi>" in ann.page(page), page
    refused = lee.press(old, "take", reason="")
    assert (refused.status_code, "I take it over from ann" in refused.text) == (412, True)
    lee.press(lee.session(), "take", reason="")
    assert "Taken by <bdi>lee</bdi>" in ann.session()


def test_a_note_is_shown_as_text_and_kept_in_the_form_when_it_was_refused(site, scribe):
    ann = site.signed_in("ann", "analyst")
    words = "<script>alert(1)</script> asked the owner"
    old = ann.session()
    site.submit(scribe.finding(n=1))
    refused = ann.press(old, "note", reason=words)
    assert (refused.status_code, site.audit(action="note", result="noted")) == (412, [])
    assert "&lt;script&gt;alert(1)&lt;/script&gt; asked the owner</textarea>" in refused.text
    got = ann.press(refused.text, "note", reason=words)
    assert got.headers["location"].endswith("did=noted")
    html = site.signed_in("lee", "approver").session()
    assert '<h2 id="notes">Notes</h2>' in html
    assert "&lt;script&gt;alert(1)" in html.partition('id="notes"')[2].partition("</section>")[0]
    assert "<script>" not in html
    for n in range(31):
        site.api("ann", "analyst").snooze("acme", "sess_1", hours=1, reason=f"once more, {n}")
    assert '<h2 id="notes">Notes</h2>' in ann.session(), "nothing that came since covers it"


def chosen(html: str, verb: str, browser, *titles: str, **fields: str):
    """The form of the list, with the boxes of these findings, or all of them."""
    boxes = re.findall(r'name="(pick-\d+)" value="([^"]*)" aria-label="Choose ([^"]*)"', html)
    picks = {name: unescape(value) for name, value, title in boxes if not titles or title in titles}
    return browser.post("/console/act", browser.form(html, verb) | picks | fields)


def test_many_findings_are_dismissed_at_once_each_with_a_record_of_its_own(site, scribe):
    for n in range(3):
        site.submit(scribe.finding(f"sess_{n + 5}"))
    site.submit(scribe.finding("sess_5", n=1))
    ann = site.signed_in("ann", "analyst")
    html = ann.page("/console/findings?all=1&judged=no&kind=drift")
    assert html.count('type="checkbox"') == html.count(" checked>") == 6, "one is of another session"
    got = chosen(html, "benign", ann, reason="the new release")
    assert got.headers["location"].endswith("did=all_dismissed"), got.text
    assert "all=1" not in got.headers["location"], "what is listed then was chosen by nobody"
    assert "No finding here" in ann.page(got.headers["location"])
    told = site.audit(action="dismiss", result="benign")
    assert (len(told), {each["reason"] for each in told}) == (6, {"the new release"})


def test_of_many_what_has_changed_since_is_not_dismissed_and_named(site, scribe):
    site.submit(scribe.finding("sess_5"))
    ann = site.signed_in("ann", "analyst")
    html = ann.page("/console/findings")
    site.submit(scribe.finding("sess_5", n=1))
    got = chosen(html, "false_positive", ann, reason="the <new> release")
    assert (got.status_code, "Dismissed: 2. Not dismissed: fnd_" in got.text) == (200, True), got.text
    assert "its case has changed since the list was shown" in got.text
    assert "the &lt;new&gt; release</textarea>" in got.text
    assert " checked>" not in got.text
    assert "sess_5" not in {each["session_id"] for each in site.audit(action="dismiss", result="false_positive")}


def test_what_was_dismissed_before_control_failed_is_told(site, scribe, monkeypatch):
    for n in (5, 6):
        site.submit(scribe.finding(f"sess_{n}"))
    ann, answered = site.signed_in("ann", "analyst"), []

    def judge(self, *told, **more):
        if answered:
            raise ControlError("policy is away", status=503)
        answered.append(told)
        return JUDGE(self, *told, **more)

    monkeypatch.setattr(EvidenceClient, "judge", judge)
    got = chosen(ann.page("/console/findings"), "benign", ann, reason="all of them")
    assert "Dismissed: 1. Not dismissed: fnd_" in got.text
    assert "Nothing was done" not in got.text
    assert "policy is away" in got.text
    assert got.text.count(" checked>") == got.text.count('type="checkbox"') == 3, "who tries again need not choose"
    got = chosen(ann.page("/console/findings"), "benign", ann, reason="all of them")
    assert (got.status_code, "Nothing was done. policy is away" in got.text) == (503, True)


def test_a_finding_whose_case_another_version_wrote_is_listed_without_a_box(site, scribe, monkeypatch):
    site.submit(scribe.finding("sess_5"))
    ann = site.signed_in("ann", "analyst")
    before = ann.page("/console/findings").count('type="checkbox"')

    case_of = view.case_view

    def case_view(deps, rows, key):
        return VerdictRequest.model_validate({}) if key.session_id == "sess_5" else case_of(deps, rows, key)

    monkeypatch.setattr("guardian.control.routes.findings.case_view", case_view)
    html = ann.page("/console/findings")
    assert "sess_5" in html
    assert html.count('type="checkbox"') == before - 1


def test_a_list_that_somebody_elses_word_made_old_dismisses_nothing_of_that_session(site, scribe):
    site.submit(scribe.finding("sess_1", n=1))
    ann, lee = site.signed_in("ann", "analyst"), site.signed_in("lee", "approver")
    html = ann.page("/console/findings?session=sess_1")
    lee.press(lee.session(), "confirmed")
    assert chosen(html, "benign", ann).status_code == 412
    assert site.audit(action="dismiss", result="benign") == []


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "choose at least one"),
        ({"pick-1": "none/acme"}, "altered"),
        ({"pick-1": "xyz/acme/fnd_1"}, "altered"),
        ({"pick-1": "none/acme/fnd_1", "verb": "revoke"}, "altered"),
        ({"pick-1": "none/acme/fnd_1", "reason": " "}, "give a reason"),
    ],
)
def test_a_list_that_no_page_of_ours_made_dismisses_nothing(site, fields, why):
    ann = site.signed_in("ann", "analyst")
    form = ann.form(ann.page("/console/findings"), "benign")
    got = ann.post("/console/act", form | fields)
    assert (got.status_code, why in got.text) == (422, True), got.text
    assert ann.post("/console/act", form | {"pick-1": "none/globex/fnd_1"}).status_code in (403, 404)
    assert ann.post("/console/act", form | {"csrf": "x", "pick-1": "none/acme/fnd_1"}).status_code == 403


def test_an_auditor_is_offered_no_boxes(site):
    assert "checkbox" not in site.signed_in("otto", "auditor").page("/console/findings")


def test_an_exception_is_made_for_the_purpose_and_the_tool(site):
    browser = site.signed_in("lee", "approver")
    page = browser.session()
    got = browser.press(page, "except", days="14", tool="email.*")
    assert got.headers["location"].endswith("did=excepted"), got.text
    (made,) = site.api("ann", "analyst").exceptions().items
    assert (made.tool, made.owner, made.reason) == ("email.*", "lee", "looked at it")
    assert f"for the purpose “{made.purpose}”" in unescape(page), "who makes it reads beforehand what it covers"


def test_no_exception_is_offered_of_a_hard_breach(site, scribe):
    browser = site.signed_in("lee", "approver")
    assert 'value="except"' in browser.session()
    site.submit(scribe.finding(n=1, hard=True))
    assert 'value="snooze"' in browser.session()
    assert 'value="except"' not in browser.session()


@pytest.mark.parametrize(
    ("tenant", "told", "offered"),
    [
        ("acme", {"kind": Kind.BUS}, False),
        ("guardian", {"kind": Kind.ENTITLEMENT, "subject": None}, False),
        ("acme", {"kind": Kind.ENTITLEMENT, "subject": None}, True),
        ("guardian", {}, True),
    ],
)
def test_where_there_is_no_session_nobody_is_asked_to_revoke_or_to_protect_one(
    site, scribe, tenant, told, offered
):
    site.submit(scribe.finding("orders/0", tenant=tenant, n=1).model_copy(update=told))
    html = site.signed_in("root", "admin", "*").session("orders/0", tenant)
    assert 'value="confirmed"' in html
    assert re.findall('value="(revoke|protect)"', html) == ["revoke", "protect"] * offered


def test_a_verdict_is_not_taken_for_giving_a_session_back(site, scribe):
    stays = "it stays revoked until it is reinstated"
    site.enforce()
    told = scribe.finding("sess_3", n=3, wanted=Effect.REVOKE)
    site.submit(told)
    browser = site.signed_in("root", "admin")
    html = browser.session("sess_3")
    assert (html.count(stays), browser.page(f"/console/finding?id={told.id}").count(stays)) == (2, 2)
    html = browser.page(browser.press(html, "false_positive").headers["location"])
    assert ('class="badge revoked"' in html, html.count(stays)) == (True, 1), "the other button's"
    assert stays not in browser.session("sess_1")


def test_a_verdict_on_a_session_that_was_never_revoked_speaks_of_no_revocation(site):
    browser = site.signed_in()
    html = browser.page(browser.press(browser.session(), "false_positive").headers["location"])
    assert ("Noted as a false positive." in html, "einstate" in html) == (True, False)


def test_protecting_and_letting_go(site):
    browser = site.signed_in("root", "admin")
    assert browser.press(browser.session(), "protect").headers["location"].endswith("did=protected")
    html = browser.session()
    assert "Let guardian revoke it by itself" in html
    assert browser.press(html, "unprotect").headers["location"].endswith("did=unprotected")


def test_what_policy_refuses_is_said_and_not_done(site):
    browser = site.signed_in("ann", "analyst")
    got = browser.press(browser.session(), "revoke", reason="I would rather")
    assert got.status_code == 403
    assert "Nothing was done" in got.text
    assert "no policy permits it" in got.text
    assert "I would rather" in got.text, "the reason is not lost"
    assert 'role="alert"' in got.text
    (line,) = site.audit(action="revoke", session_id="sess_1", result="refused")
    assert line["actor"] == "ann"


def test_of_two_people_the_second_is_told_that_the_page_is_old(site):
    maya, lee = site.signed_in("maya", "responder"), site.signed_in("lee", "responder")
    shown = lee.session()
    maya.press(maya.session(), "revoke")
    got = lee.press(shown, "revoke", reason="mine")
    assert got.status_code == 412
    assert "has changed since this page was shown" in got.text
    assert 'value="reinstate"' in got.text, "the page is the present one"
    assert "mine" in got.text
    told = [(each["actor"], each["result"]) for each in site.audit(action="revoke", session_id="sess_1")]
    assert told == [("maya", "changed"), ("lee", "stale")]
    again = lee.press(got.text, "reinstate")
    assert again.status_code == 303, "and its buttons work"


@pytest.mark.parametrize("verb", ["false_positive", "snooze", "except"])
def test_every_act_is_bound_to_what_was_shown(site, scribe, verb):
    browser = site.signed_in("lee", "approver")
    shown = browser.session()
    site.submit(scribe.finding(n=9, one_in=1e6))
    got = browser.press(shown, verb, hours="4", days="2")
    assert got.status_code == 412
    assert [each["result"] for each in site.audit(action="dismiss")] == ["stale"] * (verb == "false_positive")


def test_so_is_protection(site, scribe):
    browser = site.signed_in("root", "admin")
    shown = browser.session()
    site.submit(scribe.finding(n=9, one_in=1e6))
    assert browser.press(shown, "protect").status_code == 412


def test_a_double_click_counts_once(site):
    browser = site.signed_in()
    fields = browser.form(browser.session(), "revoke")
    assert fields["seen"]
    first, second = browser.post("/console/act", fields), browser.post("/console/act", fields)
    assert first.headers["location"] == second.headers["location"]
    assert len(site.audit(action="revoke", result="changed")) == 1


def test_so_does_a_verdict_that_was_clicked_twice(site):
    browser = site.signed_in("ann", "analyst")
    fields = browser.form(browser.session(), "benign")
    first, second = browser.post("/console/act", fields), browser.post("/console/act", fields)
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"reason": ""}, "give a reason"),
        ({"reason": "   "}, "give a reason"),
        ({"reason": "x" * 1001}, "at most 1000"),
        ({"verb": "destroy"}, "choose one of the buttons"),
        ({"verb": ""}, "choose one of the buttons"),
        ({"verb": "snooze", "hours": "ten"}, "no whole number"),
        ({"verb": "snooze", "hours": "25"}, "less than or equal to 24"),
        ({"verb": "except", "days": "0"}, "greater than or equal to 1"),
        ({"key": "ü"}, "was altered"),
        ({"seen": "x"}, "was altered"),
    ],
)
def test_a_form_that_was_filled_in_wrongly_is_explained(still, fields, told):
    browser = still.signed_in()
    got = browser.post("/console/act", browser.form(browser.session(), "revoke") | fields)
    assert got.status_code == 422
    assert told in got.text, re.findall(r'class="notice[^<]*<?', got.text)
    assert still.audit(action="revoke") == []


@pytest.mark.parametrize(
    ("change", "headers"),
    [
        ({"csrf": ""}, {}),
        ({"csrf": "0" * 64}, {}),
        ({"csrf": "ü"}, {}),
        ({}, {"origin": "https://evil.example"}),
        ({}, {"origin": "null"}),
        ({}, {"origin": None}),
        ({}, {"sec-fetch-site": "cross-site"}),
        ({}, {"sec-fetch-site": "same-site"}),
        ({}, {"sec-fetch-site": "none"}),
    ],
    ids=str,
)
def test_a_form_of_somebody_elses_does_nothing(still, change, headers):
    browser = still.signed_in()
    fields = browser.form(browser.session(), "revoke") | change
    sent = {name: value for name, value in ({"origin": ORIGIN} | headers).items() if value is not None}
    got = browser.client.post("/console/act", data=fields, headers=sent)
    assert got.status_code == 403
    assert ("looked at it" in got.text) == (not headers), "what was typed here before signing in anew is not lost"
    assert still.audit(action="revoke") == []
    got = browser.client.post("/console/sign-out", data=fields, headers=sent)
    assert got.status_code == 403
    browser.page()


def test_another_persons_token_against_forgery_is_none(still):
    maya, lee = still.signed_in("maya"), still.signed_in("lee")
    fields = maya.form(maya.session(), "revoke") | {"csrf": lee.csrf()}
    assert maya.post("/console/act", fields).status_code == 403


def test_nothing_is_done_by_a_get(still):
    browser = still.signed_in()
    fields = browser.form(browser.session(), "revoke")
    got = browser.client.get("/console/act", params=fields)
    assert (got.status_code, got.headers["location"]) == (303, "/console")
    assert browser.client.get("/console/sign-out").status_code in (404, 405)
    assert still.audit(action="revoke") == []


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b'{"verb": "revoke"}', "application/json", 415),
        (b"&".join(b"a%d=1" % n for n in range(99)), "application/x-www-form-urlencoded", 400),
        (b"\xff\xfe%ff%00=%", "application/x-www-form-urlencoded", 403),
    ],
)
def test_what_is_no_form_of_ours_is_not_read(still, content, kind, status):
    browser = still.signed_in()
    got = browser.client.post("/console/act", content=content, headers={"content-type": kind, "origin": ORIGIN})
    assert got.status_code == status
    assert got.headers["content-security-policy"]


def test_another_tenants_session_cannot_be_acted_on(site, scribe):
    site.submit(scribe.finding("theirs", tenant="globex", n=5))
    browser = site.signed_in("maya", "responder", "acme")
    form = browser.form(browser.session(), "revoke") | {"tenant": "globex", "session": "theirs", "seen": ""}
    assert browser.post("/console/act", form).status_code == 404
    with site.deps.store.read() as rows:
        assert rows.ledger.live_entry("globex", "theirs") is None
        (told,) = [each.view.finding for each in rows.findings.page({"globex"}, limit=1)]
    judged = browser.form(browser.session(), "confirmed") | {"finding": told.id, "seen": ""}
    assert browser.post("/console/act", judged).status_code == 404


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "", "/v1/findings"])
def test_after_an_act_one_stays_here(site, back):
    browser = site.signed_in()
    got = browser.press(browser.session(), "confirmed", back=back)
    assert re.fullmatch(r"/console\?told=[0-9a-f]{32}&did=confirmed", got.headers["location"])


def test_a_notice_says_only_what_this_house_wrote(still):
    html = still.signed_in().session(did="<script>alert(1)</script>")
    assert 'class="notice' not in html
    assert "alert(1)</script>" not in html


def test_no_link_tells_of_an_act_that_nobody_did(site):
    site.follow()
    maya, lee = site.signed_in("maya"), site.signed_in("lee")
    assert 'class="notice' not in maya.session(did="revoked")
    location = maya.press(maya.session(), "revoke").headers["location"]
    assert "Revoked. Gateways" in maya.page(location)
    assert "Revoked. Gateways" not in lee.page(location), "what was said to one is not said to another"
    assert "Revoked. Gateways" not in maya.page(location.replace("sess_1", "sess_7"))
    assert "Reinstated" not in maya.page(location.replace("did=revoked", "did=reinstated"))


@pytest.mark.parametrize("page", ["/console/approvals", "/console/session?tenant=acme&id=sess_1"])
def test_deciding_for_another_is_bound_to_what_was_shown(site, scribe, page):
    maya, lee = site.signed_in("maya"), site.signed_in("lee", "approver")
    maya.press(maya.session(), "revoke")
    maya.press(maya.session(), "reinstate")
    shown = lee.page(page)
    site.submit(scribe.finding(n=9, one_in=1e6))
    assert lee.press(shown, "approve").status_code == 412


def test_a_page_that_showed_no_case_is_old_once_there_is_one(make_site, scribe):
    site = make_site()
    site.register("sess_5")
    site.api("root", "admin").protect("acme", "sess_5", protected=True, reason="payroll")
    browser = site.signed_in()
    shown = browser.session("sess_5")
    site.submit(scribe.finding("sess_5"))
    assert browser.press(shown, "revoke").status_code == 412
    (record,) = site.audit(action="revoke", session_id="sess_5", actor="maya")
    assert record["result"] == "stale"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("explain", "Not known now"),
        ("lineage", "is not known now"),
        ("session_audit", "Not known now"),
        ("watch", "no gateway is known"),
    ],
)
def test_what_is_beside_the_point_cannot_take_the_button_away(site, monkeypatch, asked, said):
    site.follow()

    def refuse(*_: object, **__: object) -> None:
        raise ControlError("no policy can be read", status=503)

    monkeypatch.setattr(EvidenceClient, asked, refuse)
    browser = site.signed_in()
    html = browser.session()
    assert said in html
    wanted = "did=unfollowed" if asked == "watch" else "did=revoked"
    assert browser.press(html, "revoke").headers["location"].endswith(wanted)


def test_a_session_without_findings_can_be_revoked_from_its_page(make_site):
    site = make_site()
    site.register("sess_5")
    site.api("root", "admin").protect("acme", "sess_5", protected=True, reason="payroll")
    browser = site.signed_in()
    html = browser.session("sess_5")
    assert "There is no case: guardian alerted nobody about this session" in html
    assert browser.press(html, "revoke").headers["location"].endswith("did=unfollowed")


def test_an_approval_that_somebody_else_decided_is_over(site, scribe):
    site.enforce()
    maya, lee, kim = (site.signed_in(*who) for who in (("maya",), ("lee", "approver"), ("kim", "approver")))
    maya.press(maya.session(), "revoke")
    maya.press(maya.session(), "reinstate")
    shown = kim.page("/console/approvals")
    lee.press(lee.page("/console/approvals"), "approve")
    got = kim.press(shown, "deny")
    assert got.status_code == 412
    assert "has changed since" in got.text
    assert "Nothing is waiting" in got.text


def test_an_automatic_revocation_is_shown_as_one(site, scribe):
    site.enforce()
    site.submit(scribe.finding("sess_3", n=3, wanted=Effect.REVOKE))
    html = site.signed_in().session("sess_3")
    assert "monitor-may-revoke-on-strong-evidence" in html
    assert 'class="badge revoked"' in html


def test_what_policy_is_likely_to_say_is_said_beforehand(site):
    def hints(name, role):
        html = site.signed_in(name, role).session()
        found = re.findall(r'<p class="hint"[^>]*><strong>([^<]*):</strong>[^<]*<em>([^<]*)</em>', html)
        return dict(found)

    site.api("maya", "responder").revoke("acme", "sess_1", reason="stop")
    assert hints("maya", "responder")["Reinstate"] == "takes a second person"
    assert hints("ann", "analyst")["Reinstate"] == "policy is likely to say no to the role analyst"
    assert "Dismiss as false positive" not in hints("ann", "analyst")


def in_form(html, verb):
    """What stands in the fields of the form that has this button; None while it is folded away."""
    folds = r"(<details[^>]*><summary>[^<]*</summary>\s*)?(<form.*?</form>)"
    for fold, form in re.findall(folds, html, re.DOTALL):
        if f'value="{verb}"' in form:
            fields = re.findall(r'<input id="[\w-]+" name="(\w+)"[^>]*? value="([^"]*)"', form)
            fields += re.findall(r'<select id="[\w-]+" name="(\w+)">.*?<option selected>(\d+)<', form)
            fields += re.findall(r'<textarea[^>]* name="(\w+)"[^>]*>([^<]*)</textarea>', form)
            return None if fold and " open>" not in fold else dict(fields)
    raise AssertionError(f"no button {verb}")


@pytest.mark.parametrize(
    ("verb", "typed", "seen", "told"),
    [
        ("except", {"tool": "crm export", "days": "30"}, {}, "and a star, such as <code>crm.*</code>"),
        ("except", {"tool": "crm.*", "days": "300"}, {}, "at most 90 at a time"),
        ("snooze", {"hours": "8"}, {"seen": "0" * 32}, "has changed since this page was shown"),
    ],
)
def test_what_was_typed_is_back_in_the_form_that_was_refused_and_in_no_other(site, verb, typed, seen, told):
    browser, typed = site.signed_in("lee", "approver"), typed | {"reason": "the yearly export"}
    html = browser.session()
    assert (in_form(html, "revoke"), in_form(html, verb)) == ({"reason": ""}, None)
    html = browser.press(html, verb, **typed, **seen).text
    assert told in html
    assert in_form(html, verb) == typed
    assert in_form(html, "revoke") == {"reason": ""}, "the browser asks for one before it revokes"
    assert html.count("the yearly export</textarea>") == 1


@pytest.mark.parametrize(("verb", "opposite"), [("revoke", "reinstate"), ("protect", "unprotect")])
def test_a_reason_is_shown_and_not_filled_in_for_the_opposite_act(site, verb, opposite):
    browser, other = site.signed_in("maya", "approver"), site.signed_in("lee", "approver")
    html = browser.session()
    assert other.press(other.session(), verb).status_code == 303
    got = browser.press(html, verb, reason="exports everything", seen="0" * 32)
    assert got.status_code == 412
    assert f'value="{opposite}"' in got.text
    assert in_form(got.text, opposite) in ({"reason": ""}, None), "None: its form is not even open"
    assert "readonly>exports everything</textarea>" in got.text, "it is kept nowhere else"


def in_days(site, most=None):
    """The most days that the form takes, and those that stand in it."""
    if most is not None:
        deps = replace(site.deps, settings=replace(site.deps.settings, exception_days=most))
        site.app = with_console(site.settings, deps, create_app(deps), None)
    html = site.signed_in("lee", "approver").session()
    return re.search(r'name="days"[^>]* max="(\d+)" value="(\d+)"', html).groups()


def test_the_form_offers_no_longer_exception_than_is_made(site):
    assert (in_days(site), in_days(site, 7)) == (("90", "14"), ("7", "7"))


def test_a_refused_decision_keeps_its_reason_in_its_own_form(site):
    for tenant in ("acme", "globex"):
        site.api("root", "admin", "*").set_mode(tenant, "enforce", reason="trusted")
    browser = site.signed_in("maya", "responder", "acme", "globex")
    got = browser.press(browser.page("/console/approvals"), "approve", reason="I would rather")
    assert got.status_code == 403
    assert got.text.count(">I would rather</textarea>") == 1


def test_a_refused_decision_is_shown_on_the_page_that_it_was_on(site, monkeypatch):
    monkeypatch.setattr(lists, "_AT_ONCE", 1)
    for tenant in ("acme", "globex"):
        site.api("root", "admin", "*").set_mode(tenant, "enforce", reason="trusted")
    browser = site.signed_in("maya", "responder", "acme", "globex")
    (second,) = re.findall(r'href="([^"]*)">Next page', browser.page("/console/approvals?state=pending"))
    form = browser.form(browser.page(unescape(second)), "approve")
    got = browser.post("/console/act", form)
    assert got.status_code == 403
    again = browser.form(got.text, "approve")
    assert (again["approval"], again["back"]) == (form["approval"], unescape(second))
    assert in_form(got.text, "approve") == {"reason": "looked at it"}


def test_a_refusal_leaves_one_at_the_actions_that_one_read(site):
    browser = site.signed_in("ann", "analyst")
    page = browser.session(at=3, wide=1)
    got = browser.press(page, "revoke")
    assert got.status_code == 403
    assert "Look three months back" not in got.text
    assert browser.form(got.text, "revoke")["back"] == browser.form(page, "revoke")["back"]


def test_findings_of_two_tenants_with_one_id_are_chosen_apart(site, scribe):
    for tenant in ("acme", "globex"):
        site.submit(scribe.finding("sess_5", tenant=tenant).model_copy(update={"id": "fnd_same"}))
    lee = site.signed_in("lee", "approver", "*")
    boxes = re.findall(r'value="([^"]*/fnd_same)"', lee.page("/console/findings"))
    assert sorted(value.split("/")[1] for value in boxes) == ["acme", "globex"]
    got = chosen(lee.page("/console/findings?session=sess_5&tenant=globex"), "benign", lee)
    assert got.headers["location"].endswith("did=all_dismissed"), got.text
    assert {each["tenant_id"] for each in site.audit(action="dismiss", result="benign")} == {"globex"}
