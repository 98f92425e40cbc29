"""Getting in with a one-time link, staying in for a while, and out."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from html import unescape
from itertools import islice

import pytest

from guardian.control.authentication.visiting import Visits
from guardian.errors import ConfigurationError, ControlError, TokenError
from guardian.keys.visit import VisitSecret

PAGE = "/console/session?tenant=acme&id=sess_1"
EVERY_PAGE = [
    "/console", "/console/sessions", "/console/findings", "/console/approvals", PAGE, "/console/finding?id=fnd_1",
    "/console/revoked", "/console/proposals", "/console/proposal?name=p",
]  # fmt: skip


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_who_is_not_signed_in_is_sent_to_sign_in_and_sees_nothing(still, path):
    got = still.browser().get(path)
    assert got.status_code == 303
    assert got.headers["location"].startswith("/console/sign-in?after=%2Fconsole")
    assert got.text == ""


@pytest.mark.parametrize("path", ["/console/act", "/console/sign-out"])
def test_nor_can_they_do_anything(still, path):
    fields = {"verb": "revoke", "tenant": "acme", "session": "sess_1", "reason": "r"}
    assert still.browser().post(path, fields).status_code == 403
    got = still.browser().post(path, fields, origin=None)
    assert (got.status_code, got.headers["location"]) == (303, "/console/sign-in?after=%2Fconsole&did=not_done")
    assert still.audit(action="revoke") == []


def test_a_link_says_whom_it_signs_in_and_is_not_used_up_by_looking(still):
    url, browser = still.link("maya", "responder"), still.browser()
    for _ in range(2):
        shown = browser.get(url.removeprefix("http://127.0.0.1:8731")).text
        assert "Sign in as maya" in shown
        assert "responder" in shown


def test_it_signs_in_once(site):
    url, first, second = site.link("maya", "responder"), site.browser(), site.browser()
    assert first.come_in(url).status_code == 303
    assert "maya" in first.page()
    assert second.come_in(url).status_code == 404
    assert "was used already" in second.get(url.removeprefix("http://127.0.0.1:8731")).text
    assert second.get("/console").status_code == 303
    assert [each["how"] for each in site.audit(action="signIn")] == ["link"]


def test_it_leads_to_the_page_that_it_was_made_for(site):
    url, browser = site.link("maya", "responder", path=PAGE), site.browser()
    html = browser.get(url.removeprefix("http://127.0.0.1:8731")).text
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', html))
    got = browser.post("/console/link", {name: unescape(value) for name, value in fields.items()})
    assert got.headers["location"] == PAGE


def test_or_to_the_page_that_was_wanted_in_this_browser(site):
    browser = site.browser()
    browser.get(browser.get(PAGE).headers["location"])
    assert browser.come_in(site.link("maya", "responder")).headers["location"] == PAGE


def test_a_link_is_over_after_some_minutes(site):
    url = site.link("maya", "responder")
    site.clock.pass_(minutes=5)
    assert site.browser().come_in(url).status_code == 404


def test_a_link_dies_with_the_token_that_asked_for_it(site):
    url = site.link("maya", "responder")
    withdraw(site, "maya")
    assert site.browser().come_in(url).status_code == 404


@pytest.mark.parametrize("role", ["monitor", "gateway", "delegation", "metrics"])
def test_machines_get_no_link(still, role):
    with pytest.raises(ControlError) as refused:
        still.link("robot", role)
    assert refused.value.status == 403


def test_where_there_are_no_pages_there_is_no_link(make_site):
    site = make_site(console={"enabled": False})
    with pytest.raises(ControlError, match=r"console\.enabled"):
        site.link("maya", "responder")
    assert site.browser().get("/console").status_code == 401


def test_a_sign_in_that_rests_is_over(site):
    browser = site.signed_in()
    for _ in range(3):
        site.clock.pass_(minutes=29)
        browser.page()
    site.clock.pass_(minutes=31)
    got = browser.get(PAGE)
    assert got.status_code == 303
    assert "did=over" in got.headers["location"]
    assert "has ended" in browser.get(got.headers["location"]).text
    assert site.audit(action="signOut", why="expired") != []


def test_and_so_is_one_that_is_old_however_busy(site):
    browser = site.signed_in()
    for _ in range(23):
        site.clock.pass_(minutes=20)
        browser.page()
    site.clock.pass_(minutes=20)
    assert browser.get("/console").status_code == 303


def test_one_that_ran_out_with_nobody_there_ends_in_the_audit_trail_when_somebody_signs_in(site):
    site.signed_in("maya", "responder")
    site.link("maya", "responder")  # never opened: no sign-in, so none that ends
    (begun,) = site.audit(action="signIn")
    over = site.clock() + timedelta(hours=8)
    site.clock.pass_(days=3)
    for _ in range(2):
        site.signed_in("lee", "approver")
    (ended,) = site.audit(action="signOut")
    assert (ended["jti"], ended["why"], ended["ended_at"]) == (begun["jti"], "expired", over.isoformat())


def test_it_lives_no_longer_than_the_token_behind_it(site):
    browser = site.browser()
    browser.come_in(site.link("maya", "responder", ttl=timedelta(minutes=10)))
    browser.page()
    site.clock.pass_(minutes=11)
    assert browser.get("/console").status_code == 303


def test_a_withdrawn_token_ends_it_at_once(site):
    browser = site.signed_in()
    html = browser.session()
    withdraw(site, "maya")
    assert browser.get(PAGE).status_code == 303
    assert browser.press(html, "revoke").status_code == 403
    assert site.audit(action="revoke") == []


def test_an_act_of_somebody_whose_sign_in_ended_is_not_done_and_says_so(site):
    browser = site.signed_in()
    html = browser.session()
    site.clock.pass_(hours=1)
    got = browser.press(html, "revoke", reason="exports <b>everything</b>")
    assert got.status_code == 403
    assert "nothing was done" in got.text
    assert "readonly>exports &lt;b&gt;everything&lt;/b&gt;</textarea>" in got.text, "the reason is not lost"
    assert "Sign out" not in got.text
    assert site.audit(action="revoke") == []
    assert "sess_1" in browser.come_in(site.link("maya", "responder")).headers["location"]


@pytest.mark.parametrize("change", [{"origin": "https://evil.example"}, {"fields": {"reason": ""}}])
def test_what_another_site_sends_is_not_shown_for_the_persons_own(site, change):
    browser = site.signed_in()
    told = {"fields": browser.form(browser.session(), "revoke"), **change}
    site.clock.pass_(hours=1)
    got = browser.post("/console/act", **told)
    assert got.status_code == 303
    assert got.headers["location"].endswith("did=not_done")


def test_signing_out_ends_it_for_good_and_leaves_the_persons_token_alone(site):
    browser = site.signed_in()
    kept = dict(browser.client.cookies)
    got = browser.post("/console/sign-out", {"csrf": browser.csrf()})
    assert got.headers["location"].endswith("did=signed_out")
    assert browser.get("/console").status_code == 303
    browser.client.cookies.update(kept)
    assert browser.get("/console").status_code == 303, "a copy of the cookie opens nothing any more"
    with site.deps.store.read() as rows:
        assert all(row.revoked_at is None for row in rows.tokens.all())


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(site):
    got = site.browser().come_in(site.link("maya", "responder"))
    cookie = next(each for each in got.headers.get_list("set-cookie") if each.startswith("guardian="))
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie
    assert "Max-Age" not in cookie


def test_over_https_its_name_promises_who_set_it(make_site):
    site = make_site(control={"public_url": "https://guardian.example.com"})
    url = site.link("maya", "responder")
    assert url.startswith("https://guardian.example.com/console/link?code=")
    browser = site.browser()
    code = url.partition("code=")[2]
    got = browser.post("/console/link", {"code": code}, origin="https://guardian.example.com")
    cookie = next(each for each in got.headers.get_list("set-cookie") if each.startswith("__Host-guardian="))
    assert "Secure" in cookie


def test_strangers_take_no_places_of_those_who_are_signed_in(site, monkeypatch):
    go_on, browser = threading.Event(), site.signed_in()
    monkeypatch.setattr(Visits, "whose", lambda *_: go_on.wait(60) and None)
    strangers = [site.browser() for _ in range(22)]
    with ThreadPoolExecutor(22) as crowd:
        answers = [crowd.submit(each.get, "/console/link?code=x") for each in strangers]
        try:
            refused = {each.result().status_code for each in islice(as_completed(answers, timeout=30), 4)}
            assert refused == {503}, "two are served, sixteen wait, the others are told to come again"
            assert "maya" in browser.page()
        finally:
            go_on.set()


@pytest.mark.parametrize("url", ["https://Guardian.Example.com", "https://guardian.example.com:443/"])
def test_an_address_that_browsers_write_otherwise_is_the_same(make_site, url):
    site = make_site(control={"public_url": url})
    code, origin = site.link("maya", "responder").partition("code=")[2], "https://guardian.example.com"
    assert site.browser().post("/console/link", {"code": code}, origin=origin).status_code == 303


def test_who_signs_in_anew_leaves_nothing_behind(site):
    browser = site.signed_in("maya", "responder")
    former = next(iter(browser.client.cookies.values()))
    browser.come_in(site.link("lee", "approver"))
    assert "lee" in browser.page()
    assert len(site.audit(action="signOut")) == 1
    other = site.browser()
    other.client.cookies.set("guardian", former)
    assert other.get("/console").status_code == 303


@pytest.mark.parametrize(
    "control",
    [
        {"public_url": "http://guardian.example.com"},
        {"host": "10.0.0.7"},
        {"host": "0.0.0.0"},
        {"host": "::"},
        {"public_url": "https://g.example/under"},
        {"public_url": "https://maya@g.example"},
        {"public_url": "https://g.example#x"},
        {"public_url": "https://g.example:x"},
    ],
)
def test_pages_that_would_be_served_in_the_clear_are_refused_at_the_start(make_site, control):
    with pytest.raises((ConfigurationError, ValueError), match=r"console\.enabled|public_url"):
        make_site(control=control)


@pytest.mark.parametrize(
    "after",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "/console/../evil", "/v1/findings",
        "javascript:x", "/consolexx", "/console/\r\nset-cookie: a=b", "console", "/console//evil.example/..",
        "\u202e/console", "/console/%2e%2e/evil", "/console/%2E./evil", "//[", "http://[", "[",
    ],
)  # fmt: skip
def test_no_link_leads_anywhere_else(still, after):
    browser = still.browser()
    shown = browser.client.get("/console/sign-in", params={"after": after})
    assert shown.status_code == 200
    url = still.link("maya", "responder")
    got = browser.post("/console/link", {"code": url.partition("code=")[2], "next": after})
    assert got.headers["location"] == "/console"


@pytest.mark.parametrize("word", ["approved", "revoked", "excepted"])
def test_no_link_tells_a_stranger_of_an_act_that_nobody_did(still, word):
    assert 'class="notice' not in still.browser().get(f"/console/sign-in?did={word}").text


def test_who_is_signed_in_already_goes_on(still):
    browser = still.signed_in()
    got = browser.client.get("/console/sign-in", params={"after": PAGE})
    assert (got.status_code, got.headers["location"]) == (303, PAGE)


def test_a_forged_cookie_is_nobody(still):
    browser = still.browser()
    for value in ("x", "A" * 43, "", "é" * 43, "A" * 5000):
        browser.client.cookies.set("guardian", value.encode("ascii", "ignore").decode())
        assert browser.get("/console").status_code == 303


def test_the_database_holds_nothing_that_opens_anything(site):
    browser = site.signed_in()
    cookie = browser.client.cookies["guardian"]
    secret = VisitSecret.parse(cookie)
    assert secret is not None
    with site.deps.store.read() as rows:
        stored = rows.visits.get(secret.id)
    assert stored is not None
    token = secret.unseal(stored.sealed)
    raw = b"".join(path.read_bytes() for path in site.folder.glob("control.db*"))
    for text in (cookie.encode(), secret.raw, token.encode(), token.rpartition(".")[2].encode()):
        assert text not in raw
    with pytest.raises(TokenError):
        VisitSecret.fresh().unseal(stored.sealed)


def withdraw(site, name: str) -> None:
    with site.deps.store.write() as rows:
        for row in rows.tokens.all():
            if row.principal_id == name:
                rows.tokens.revoke(row.jti, by="operator", now=site.clock())
