"""What the pages show, of whom, and what every answer of theirs carries."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from itertools import count

import pyarrow.parquet as pq
import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from guardian.bootstrap.console import model_facts
from guardian.commands.doctor_pages import pages_checked
from guardian.console.showing import said
from guardian.domain.finding import Effect, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.text import cut_off
from guardian.wire.advice import Weighing
from guardian.wire.findings import FindingOutcome
from guardian.wire.peers import Acknowledgement

PAGES = [
    "/console", "/console/sessions?status=flagged&tenant=acme", "/console/findings?kind=drift&effect=flag",
    "/console/approvals?state=denied", "/console/revoked?kind=agent", "/console/session?tenant=acme&id=sess_1",
    "/console/audit", "/console/session?id=nobody", "/console/proposals",
    "/console/sign-in", "/console/nothing", "/console/session?tenant=acme&id=nobody", "/console/proposal?name=no",
    "/console/static/guardian.css", "/console/static/no",
]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_is_locked_down(still, path):
    got = still.signed_in().get(path)
    policy = got.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["referrer-policy"] == "strict-origin"
    if "/static/guardian" not in path:
        assert got.headers["cache-control"] == "no-store"
    assert not re.search(
        r"<script|style=|\son\w+=|https?://(?!127\.0\.0\.1)", got.text.replace("http://www.w3.org", "")
    )


def test_the_style_sheet_is_ours_and_kept_by_its_content(still):
    html = still.signed_in().page()
    (sheet,) = re.findall(r'rel="stylesheet" href="([^"]+)"', html)
    got = still.browser().get(sheet)
    assert got.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in got.headers["cache-control"]
    assert "immutable" not in still.browser().get(sheet.replace("?v=", "?v=x")).headers["cache-control"]
    assert "url(" not in got.text
    assert "@import" not in got.text


def test_the_page_of_a_session_shows_what_it_was_for_what_it_did_and_what_was_made_of_it(still):
    html = still.signed_in().session()
    for told in (
        "Review the customer&#39;s contract for renewal risk",  # purpose
        "contracts.read", "crm.read",  # envelope, as registered
        "Registered with control, version 1",
        "flag at 1 in 1,000", "revoke at 1 in 20,000", "<svg",  # curve and thresholds
        "to: rival@example.net",  # the argument that mattered
        "an e-mail is no part of a review", "purpose fit", "0.97",  # signals
        "monitor-may-flag",  # policy about guardian itself
        "sess_0",  # delegation
        "sess_7",  # a related case
        "registerEnvelope",  # the audit trail
        "1 to 8 of 8",  # actions, from the archive
        "; at most 1 in 50,000 honest sessions gathers this much evidence",
    ):  # fmt: skip
        assert told in html, told


def test_a_decision_that_the_log_does_not_say_is_not_shown_as_one(make_site, scribe):
    site = make_site()
    said = scribe.finding(n=1)
    unsaid = scribe.finding(n=2).model_copy(update={"features_missing": ("decision",)})
    for told, words in (
        (said, "the gateway said allow"),
        (unsaid, "the log does not say what the gateway decided"),
    ):
        site.submit(told)
        assert words in site.signed_in().page(f"/console/finding?id={told.id}")


@pytest.mark.parametrize("archive", [{}, {"path": "archive"}])
def test_no_page_gives_a_figure_beyond_the_promise_without_saying_that_it_is_estimated(make_site, scribe, archive):
    site = make_site(archive=archive)
    made = [scribe.finding(n=n, one_in=n + 50_000, promised=n < 3) for n in range(7)]
    for told in made:
        site.submit(told)
    site.archived(*(scribe.row(n, one_in=n + 50_000.0, promised=n < 3, wanted="flag") for n in range(7)))
    browser, beyond = site.signed_in(), []
    for path in ("/console", "/console/findings", "/console/session?tenant=acme&id=sess_1",
                 f"/console/finding?id={made[-1].id}", f"/console/finding?id={made[0].id}"):  # fmt: skip
        bare = re.sub(
            r"(flag|revoke|flags|to revoke) at 1 in [\d,]+|<dd>1 in [\d,]+ honest sessions", "", browser.page(path)
        )
        said = re.findall(r"([\w ]*\b)1 in [\d,]+", bare)
        assert said, path
        assert all(each.endswith(("at most ", "an estimated ")) for each in said), (path, said)
        beyond += [each for each in said if each.endswith("an estimated ")]
    assert len(beyond) > 10
    html = browser.session()
    assert "; an estimated 1 in 50,000 honest sessions gathers this much evidence" in html
    assert "an estimated 1 in 50,000 <span" in html


def test_times_are_utc_and_marked_as_times(still):
    html = still.signed_in().session()
    assert '<time datetime="2026-05-12T12:00:00Z">2026-05-12 12:00:00</time>' in html
    assert "times are UTC" in html


def test_an_action_that_led_to_a_finding_is_marked_with_its_argument(still):
    html = still.signed_in().session()
    (item,) = re.findall(r'<li id="a-8".*?\n</li>', html, re.DOTALL)
    assert 'class="flag"' in item
    assert "email.send" in item
    assert "rival@example.net" in item


def test_the_finding_that_heads_the_case_is_the_open_one_and_an_action_bears_what_was_done(make_site, scribe):
    site = make_site()
    drift = scribe.finding("sess_1", n=1, wanted=Effect.REVOKE, title="It left its purpose")
    site.submit(drift)
    site.clock.pass_(minutes=5)
    site.submit(scribe.finding("sess_1", n=2, kind=Kind.GATEWAY, hard=True, title="Its gateway logs it twice"))
    rows = [scribe.row(n, wanted="revoke") for n in range(2)]
    rows[0]["finding_id"] = drift.id
    site.archived(*rows)
    html = site.signed_in().session()
    (opened,) = re.findall(r'<details class="finding" open>(.*?)</summary>', html, re.DOTALL)
    assert "It left its purpose" in opened
    assert html.count("Its gateway logs it twice") == 1
    known, unknown = re.findall(r'<li id="a-.*?\n</li>', html, re.DOTALL)
    assert '<span class="badge flag">flag</span>' in known, "in shadow it was not revoked"
    assert '<span class="badge revoke">revoke asked for</span>' in unknown


def test_what_is_to_be_typed_is_set_apart_and_no_markup_of_others_is(still):
    got = still.browser().get("/console/link?code=over")
    assert "<code>guardian link</code> makes another one" in got.text
    assert said("<b>`x <i>` y`", 99) == "<bdi>&lt;b&gt;<code>x &lt;i&gt;</code> y`</bdi>"


def test_a_session_that_was_given_back_is_not_shown_as_free_while_what_it_acts_under_is_revoked(site, scribe):
    hostile = 'task"><script>window.pwned=1</script>\u202e'
    site.submit(scribe.finding("sess_8", task_id=hostile))
    maya, lee = site.api("maya", "responder"), site.api("lee", "approver")
    maya.revoke("acme", "sess_8", reason="stop")
    maya.revoke_subject("acme", "task", hostile, reason="all of it", seconds=3600)
    asked = maya.reinstate("acme", "sess_8", reason="ours").approval
    lee.decide_approval(asked.id, "approve", reason="yes")
    html = site.signed_in().session("sess_8")
    (warning,) = re.findall(r'<div class="p warn">Its task .*?</div>', html, re.DOTALL)
    assert "guardian reinstate TENANT ID --subject task" in warning
    assert "by <bdi>maya</bdi>" in warning
    assert ("&lt;script&gt;" in warning, "‹U+202E›" in warning, "<script" in html) == (True, True, False)
    lee.reinstate_subject("acme", "task", hostile, reason="clean")
    assert "Its task" not in site.signed_in().session("sess_8")


def test_a_hard_breach_is_told_as_a_fact_beside_the_estimate(site, scribe):
    site.submit(scribe.finding("sess_3", n=3, hard=True, promised=False, one_in=4630))
    browser = site.signed_in()
    (lead,) = re.findall(r'<p class="lead">(.*?)</p>', browser.session("sess_3"))
    assert (
        "it broke a hard rule (envelope expired), which is a fact and not an estimate; an estimated 1 in 4,630"
        in lead
    )
    assert "the broken rule is a fact" in browser.session("sess_3")
    assert "is a fact" not in browser.session("sess_1")


def test_every_action_can_be_reached_without_scripts(make_site, scribe):
    site = make_site()
    site.submit(scribe.finding())
    site.archived(*(scribe.row(n) for n in range(230)))
    browser, seen, path = site.signed_in(), set(), "/console/session?tenant=acme&id=sess_1"
    waiting, looked = [path], set()
    while waiting:
        path = waiting.pop()
        looked.add(path)
        html = browser.page(path)
        seen |= {int(n) for n in re.findall(r'<li id="a-(\d+)"', html)}
        assert len(re.findall(r'<li id="a-', html)) <= 50
        pager = html.partition('aria-label="Pages of actions"')[2].partition("</nav>")[0]
        found = {each.replace("&amp;", "&").partition("#")[0] for each in re.findall(r'href="([^"]+)"', pager)}
        waiting += sorted(found - looked)
    assert seen == set(range(1, 231))
    first = browser.session(at=1)
    assert (first.count(">…</li>"), "51–100</a>" in first) == (2, True), "what lies between is not passed over"


def test_the_page_opens_where_the_evidence_led_to_the_finding(make_site, scribe):
    site = make_site()
    told = scribe.finding()
    site.submit(told)
    rows = [scribe.row(n) for n in range(200)]
    rows[70] |= {"wanted": "flag", "finding_id": told.id}
    site.archived(*rows)
    assert "51 to 100 of 200" in site.signed_in().session()
    assert "151 to 200 of 200" in site.signed_in().session(at=160)
    assert "151 to 200 of 200" in site.signed_in().session(at=99999)
    assert "1 to 50 of 200" in site.signed_in().session(at=0)


def test_without_an_archive_the_page_says_so_and_shows_what_control_knows(make_site, scribe):
    site = make_site(archive={})
    site.submit(scribe.finding())
    html = site.signed_in().session()
    assert "No archive is kept here" in html
    assert "no archive is kept here" in html
    assert "<svg" in html
    assert "rival@example.net" in html


def test_where_control_reads_an_archive_that_holds_nothing_page_and_doctor_say_whose_it_is(make_site, scribe):
    site = make_site()
    site.submit(scribe.finding())
    html = site.signed_in().session()
    assert "holds nothing at all" in html
    assert "must be shared with this one" in html
    assert "It is filled some moments" not in html
    assert f"{site.archive} holds nothing" in pages_checked(site.settings)
    site.archived(scribe.row(1, session="sess_2"))
    assert "It is filled some moments" in site.signed_in().session()
    assert "holds nothing" not in pages_checked(site.settings)


def test_with_an_archive_that_lacks_the_session_it_says_where_it_looked(site, scribe):
    site.submit(scribe.finding("sess_9"))
    assert "no action of this session from 2026-05-11 to 2026-05-12" in site.signed_in().session("sess_9")


def test_an_archive_that_cannot_be_read_takes_nothing_else_away(site):
    for path in site.archive.glob("events/*/*/*.parquet"):
        path.write_bytes(b"PAR1 and then nothing")
    html = site.signed_in().session()
    assert "could not be read" in html
    assert "rival@example.net" in html


def test_an_archive_of_which_only_what_was_done_cannot_be_read_takes_nothing_else_away(site):
    for path in site.archive.glob("events/*/*/*.parquet"):
        group = pq.read_metadata(path).row_group(0)
        chunk = next(c for c in map(group.column, range(group.num_columns)) if c.path_in_schema == "arguments")
        body = bytearray(path.read_bytes())
        body[chunk.dictionary_page_offset : chunk.dictionary_page_offset + 40] = b"\xff" * 40
        path.write_bytes(body)
    html = site.signed_in().session()
    assert "could not be read" in html
    assert "rival@example.net" in html


def test_actions_of_long_ago_are_found_when_asked_for(site, scribe):
    old = scribe.START - timedelta(days=40)
    site.archived(scribe.row(100, at=old, tool="notes.old"), name="old")
    browser = site.signed_in()
    assert "notes.old" not in browser.session()
    assert "notes.old" in browser.session(wide=1, at=1)


def test_what_is_kept_as_a_shape_only_is_said_to_be_one_and_a_resource_to_be_one(make_site, scribe):
    site = make_site()
    site.submit(scribe.finding())
    email = {"resource_type": "email", "resource_id": "email", "arguments": '{"path": "~/notes/2026"}'}
    site.archived(scribe.row(1, **email), name="whole")
    html = site.signed_in().session()
    assert '<span class="muted">on resource</span> <bdi>email/email</bdi>' in html
    assert "is the shape of what was written" not in html
    site.archived(scribe.row(2, arguments='{"period": "~a 9 a"}'), name="shaped")
    assert "is the shape of what was written" in site.signed_in().session()


def test_the_overview_shows_what_is_open_and_whether_the_switch_works(site):
    site.follow()
    site.api("monitor", "monitor", "*").vitals("watch-1", 4, False)
    html = site.signed_in().page()
    for told in (
        "sess_1",
        "sess_7",
        "mcp-gw-eu-1",
        "current",
        "watch-1",
        "shadow",
        "0 of 20",
        "AUC",
        "1 in 1,000",
    ):
        assert told in html, told


def test_the_overview_says_where_findings_are_judged_with_other_files_than_controls(make_site, scribe):
    site = make_site()
    told = "model abc123 and calibration def456"
    assert "was judged with" not in site.signed_in().page()
    site.submit(scribe.finding(n=1))
    assert told in site.signed_in().page()
    model, calibration = (model_facts(site.settings)[name].split(", ")[0] for name in ("Model", "Calibration"))
    site.clock.pass_(minutes=1)
    own = {"model": f"{model}+fast", "calibration": calibration}
    site.submit(scribe.finding(n=2).model_copy(update={"versions": own}))
    assert "was judged with" not in site.signed_in().page()


def test_a_control_without_a_model_of_its_own_has_no_files_that_could_be_others(make_site, scribe, tmp_path):
    site = make_site(model={"path": str(tmp_path / "elsewhere")})
    site.submit(scribe.finding(n=1))
    html = site.signed_in().page()
    assert "not at hand here" in html
    assert "was judged with" not in html


def hold_more_calls_than_the_api_gives_at_once(site):
    with site.deps.store.write() as rows:
        (asked,) = rows.approvals.page(None, limit=1)
        for n in range(501):
            told = {"id": f"apr_call_{n}", "action": "permitCall", "session_id": "sess_1"}
            call = asked.view.model_copy(update=told)
            rows.approvals.add(call, proposer_role="monitor", act=asked.act, policy_ids=())


def test_the_overview_shows_every_other_wish_before_any_number_of_held_calls(site):
    site.api("root", "admin", "*").set_mode("acme", "enforce", reason="trusted")
    hold_more_calls_than_the_api_gives_at_once(site)
    html = site.signed_in().page()
    assert "<strong>change the mode</strong>" in html
    assert html.count("<strong>let one held call through</strong>") == 9


def test_the_page_of_approvals_looks_once_at_a_session_however_many_of_its_calls_are_held(site, scribe):
    site.enforce()
    site.api("lee", "approver").protect("acme", "sess_5", protected=True, reason="payroll")
    site.submit(scribe.finding("sess_5", hard=True, wanted=Effect.REVOKE))
    kim, asked, statements = site.signed_in("kim", "approver"), [], count()
    event.listen(site.deps.store._engine, "before_cursor_execute", lambda *_: next(statements))
    for held in (12, 37):  # more than a case shows
        with site.deps.store.write() as rows:
            first = rows.approvals.page(None, limit=1, state="pending")[0]
            for n in range(held):
                call = first.view.model_copy(update={"id": f"apr_call_{held}_{n}", "action": "permitCall"})
                rows.approvals.add(call, proposer_role="gateway", act=first.act, policy_ids=())
        before = next(statements)
        html = kim.page("/console/approvals")
        asked.append(next(statements) - before)
    assert asked[0] == asked[1]
    assert html.count('value="deny"') == 50
    case = site.api("kim", "approver").case("acme", "sess_5")
    assert set(re.findall('name="seen" value="([^"]*)"', html)) == {case.digest}


def test_the_overview_shows_a_case_that_became_worse_however_long_ago_it_was_met(make_site, scribe):
    site = make_site()
    site.submit(scribe.finding("sess_old"))
    for n in range(16):
        site.clock.pass_(minutes=1)
        site.submit(scribe.finding(f"sess_{n}", time=site.clock()))
    site.clock.pass_(hours=3)
    site.submit(scribe.finding("sess_old", n=1, wanted=Effect.REVOKE, hard=True, time=site.clock()))
    person = site.signed_in()
    html = person.page()
    shown = re.findall(r"id=(sess_\w+)", html[html.index("Open cases") : html.index("Waiting for a second")])
    assert (shown[:2], len(shown), html.count("All of them")) == (["sess_old", "sess_15"], 15, 1)
    for session in ("sess_5", "sess_2"):
        site.clock.pass_(minutes=1)
        site.api("maya", "responder").revoke("acme", session, reason="stop")
    html = person.page()
    revoked = html[html.index('id="revoked">') :]
    assert re.findall(r"id=(sess_\w+)", revoked)[:2] == ["sess_2", "sess_5"]
    assert "1 finding, last <time" in revoked[: revoked.index("id=sess_5")], (
        "and not as if that were when it was revoked"
    )


def test_no_number_of_lesser_cases_hides_a_critical_one_on_the_overview(make_site, scribe):
    site = make_site()
    site.submit(
        scribe.finding("sess_worst", wanted=Effect.REVOKE, hard=True).model_copy(update={"severity": "critical"})
    )
    forged = {"arguments": '{"severity":"critical"}', "title": '"severity":"critical"'}
    with site.deps.store.write() as rows:
        for n in range(520):  # more than the API gives at once
            site.clock.pass_(seconds=1)
            told = scribe.finding(f"decoy_{n}", kind=Kind.HYGIENE, time=site.clock(), **forged)
            told = told.model_copy(update={"severity": "low"})
            mode = {"wanted": told.wanted, "effect": Effect.FLAG, "mode": "shadow", "at": site.clock()}
            outcome = FindingOutcome(finding_id=told.id, tenant_id="acme", session_id=told.session_id, **mode)
            rows.sessions.note_finding(told, Effect.FLAG, site.clock())
            rows.findings.add(told, outcome, site.clock())
    person = site.signed_in()
    html = person.page()
    cases = html[html.index("Open cases") : html.index("Waiting for a second")]
    assert re.findall(r"id=(\w+)", cases)[:2] == ["sess_worst", "decoy_519"]
    assert re.findall(r"sev-(\w+)", cases) == ["critical"] + ["low"] * 14
    assert cases.count("All of them") == 1
    assert re.findall(r"sev-(\w+)", person.page("/console/sessions?status=flagged")) == ["low"] * 50


class Alarmed:
    def __init__(self, arguments='{"to": "<b>thief@evil.example</b>"}'):
        self._arguments = arguments

    def weigh(self, line, timeout_s):
        shown = {"agent": "agent_9", "purpose": "review", "arguments": self._arguments}
        found = {"score": 0.98, "session_evidence": 5.0, "one_in": 50_000.0, "promised": True}
        return Weighing(**found, independent_signals=3, shown=shown)


def holding(site):
    """A gateway asks about one call of `sess_held`, and has it held."""
    site.enforce()
    envelope = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": "sess_held", "purpose": "review"}
    body = {
        "subject": {"type": "session", "id": "sess_held"},
        "action": {"name": "email.send", "properties": {"arguments": {"to": "thief@evil.example"}}},
        "resource": {"type": "customer", "id": "c1"},
        "context": {"envelope": {**envelope, "allowed_tools": ["email.send"]}},
    }
    token = site.token("gw-1", "gateway", "acme")
    gateway = TestClient(site.app, base_url="http://127.0.0.1:8731")
    got = gateway.post("/v1/advise", json=body, headers={"Authorization": f"Bearer {token}"})
    assert got.json()["context"]["advice"] == "hold"


def test_a_held_call_of_which_a_part_is_shown_to_nobody_can_only_be_denied(make_site):
    site = make_site(adviser=Alarmed(cut_off("a" * 9000, 8000)))
    holding(site)
    html = site.signed_in("lee", "approver").page("/console/approvals")
    assert ('value="approve"' in html, 'value="deny"' in html) == (False, True)
    assert "it cannot be approved: it is too long to be shown whole" in html


def test_a_held_call_is_shown_as_it_would_be_made_and_its_links_lead_somewhere(make_site):
    site = make_site(adviser=Alarmed())
    holding(site)
    person = site.signed_in("lee", "approver")
    html = person.page("/console/approvals")
    for told in ("agent_9", "review", "email.send", "&lt;b&gt;thief@evil.example&lt;/b&gt;"):
        assert told in html, told
    links = {unescape(each) for each in re.findall(r'href="(/console/session\?[^"]+)"', html)}
    assert links
    assert [person.get(each).status_code for each in links] == [200] * len(links)
    hold_more_calls_than_the_api_gives_at_once(site)  # of another session
    html = person.page(links.pop())
    assert "alerted nobody about this session" not in html
    assert "&lt;b&gt;thief@evil.example&lt;/b&gt;" in html
    assert 'value="approve"' in html


def test_a_gateway_that_stopped_in_order_leaves_no_word_that_none_ever_came(site):
    gateway = site.api("mcp-gw-eu-1", "gateway")
    for leaving in (False, True):
        revision = str(gateway.revocations().revision)
        told = Acknowledgement(revision=revision, transport="push", leaving=leaving)
        gateway._send("POST", "/v1/revocations/ack", body=told)
    html = site.signed_in().page()
    assert "No gateway follows the list now." in html
    assert "mcp-gw-eu-1" not in html


def test_where_control_knows_no_monitor_nothing_looks_watched(site):
    none = "Calls are not watched: control knows no monitor."
    assert none in site.signed_in().page()
    site.api("monitor", "monitor", "*").vitals("watch-1", 4, False)
    assert none not in site.signed_in().page()


def test_a_monitor_that_is_gone_is_said_first(site):
    site.api("monitor", "monitor", "*").vitals("watch-1", 4, False)
    site.clock.pass_(minutes=10)
    told = site.signed_in().page()
    assert "Calls are not watched: the monitor has been behind, stopped or gone for 10 min" in told


def test_lists_are_filtered_and_go_on(make_site, scribe):
    site = make_site()
    for n in range(60):
        site.submit(scribe.finding(f"s{n:02}", n=n))
    browser = site.signed_in()
    first = browser.page("/console/findings?kind=drift")
    assert first.count("/console/finding?id=") == 50
    (more,) = re.findall(r'href="(/console/findings\?[^"]*cursor=\d+[^"]*)"', first)
    assert "kind=drift" in more
    assert browser.page(more.replace("&amp;", "&")).count("/console/finding?id=") == 10
    assert "No session here" in browser.page("/console/sessions?status=revoked")
    assert browser.page("/console/sessions").count("/console/session?tenant=") == 50
    assert "No finding here" in browser.page("/console/findings?session=nobody")
    root = site.signed_in("root", "admin", "*")
    for page in ("sessions", "findings"):  # what is typed may be misspelt
        html = root.page(f"/console/{page}?tenant=acme%E2%80%8B%3Cb%3E")
        assert "called exactly <bdi>acme‹U+200B›&lt;b&gt;</bdi>" in html


def test_a_session_is_found_by_its_name_from_any_page(make_site, scribe):
    site = make_site()
    for name, tenant in (("sess 42/é", "acme"), ("twice", "acme"), ("twice", "globex")):
        site.submit(scribe.finding(name, tenant=tenant))
    browser = site.signed_in()
    (form,) = re.findall(r'<form class="find".*?</form>', browser.page("/console/findings"), re.DOTALL)
    assert ('action="/console/session"' in form, 'name="id"' in form, 'method="get"' in form) == (True, True, True)
    found = browser.get("/console/session?id=sess%2042/%C3%A9")
    assert (found.status_code, "sess 42/é" in browser.page(found.headers["location"])) == (303, True)
    assert browser.get("/console/session?id=twice").headers["location"] == "/console/session?tenant=acme&id=twice"
    every = site.signed_in("root", "admin", "*")
    several = every.get("/console/session?id=twice").headers["location"]
    assert several == "/console/sessions?session=twice"
    assert re.findall(r"tenant=(\w+)&amp;id=twice", every.page(several)) == ["globex", "acme"]
    assert browser.get("/console/session?id=unheard").status_code == 404
    assert 'class="find"' not in site.browser().page("/console/sign-in")


def test_sessions_and_findings_are_narrowed_to_an_agent_and_more(make_site, scribe):
    site = make_site()
    for n in range(60):
        who = {"agent_id": f"agent_{n % 2}", "delegator_id": "ann <b>", "task_id": None}
        site.submit(scribe.finding(f"s{n:02}", n=n, hard=n == 3, **who))
    site.submit(scribe.finding("other", n=60, agent_id="agent_1"))
    browser = site.signed_in()
    html = browser.page("/console/sessions?agent=agent_1")
    assert html.count("/console/session?tenant=") == 31
    assert ('value="agent_1"' in html, "for <bdi>ann &lt;b&gt;</bdi>" in html) == (True, True)
    assert browser.page("/console/sessions?agent=agent_1&delegator=ann+%3Cb%3E").count("session?tenant=") == 30
    first = browser.page("/console/sessions?delegator=ann+%3Cb%3E&task=")
    (more,) = re.findall(r'href="(/console/sessions\?[^"]*cursor=\d+[^"]*)"', first)
    assert browser.page(more.replace("&amp;", "&")).count("session?tenant=") == 10
    assert "No session here" in browser.page("/console/sessions?task=unheard")
    assert "No session here" in browser.page("/console/sessions?until=2020-01-01T00:00")
    assert 'value="2020-01-01"' in (since := browser.page("/console/sessions?agent=agent_1&since=2020-01-01"))
    assert "session?tenant=" in since
    assert browser.get("/console/sessions?since=yesterday").status_code == 422
    own = browser.session("other")
    for name, told in (("agent", "agent_1"), ("delegator", "user_7f3a"), ("task", "task_88")):
        (link,) = re.findall(rf'href="(/console/sessions\?[^"]*{name}={told}[^"]*)"', own)
        assert "other" in browser.page(link.replace("&amp;", "&"))
    assert browser.page("/console/findings?agent=agent_1&judged=no").count("/console/finding?id=") == 31
    assert "No finding here" in browser.page("/console/findings?agent=agent_1&judged=yes")
    assert browser.page("/console/findings?breach=envelope_expired").count("/console/finding?id=") == 1
    assert browser.page("/console/findings?signal=purpose_fit").count("/console/finding?id=") == 50
    assert browser.get("/console/sessions?agent=" + "x" * 2001).status_code == 422


def test_the_trail_is_shown_to_who_watches_the_watchers(site, scribe):
    site.submit(scribe.finding("theirs", tenant="globex", n=5))
    for n in range(55):
        site.clock.pass_(minutes=1)
        site.api("lee", "approver").protect("acme", "sess_1", protected=bool(n % 2), reason=f"turn {n} <i>")
    ada = site.signed_in("ada", "auditor")
    html = ada.page("/console/audit")
    assert '<a href="/console/audit" aria-current="page">Audit</a>' in html
    assert ("turn 54 &lt;i&gt;" in html, "globex" in html, "signIn" in html) == (True, False, False)
    assert "is shown to those who see every tenant" in html
    assert html.count('href="/console/session?tenant=acme&amp;id=sess_1"') == 50
    (more,) = re.findall(r'href="(/console/audit\?[^"]*cursor=\d+)"', html)
    assert ("turn 0 &lt;i&gt;" in ada.page(more), "turn 54" in ada.page(more)) == (True, False)
    narrow = ada.page("/console/audit?actor=lee&action=protect&since=2026-05-12T12:10&until=2026-05-12T12:12:30Z")
    assert re.findall(r"turn (\d+)", re.sub(r"<details.*?</details>", "", narrow)) == ["11", "10", "9"]
    assert "No entry here" in ada.page("/console/audit?actor=nobody")
    assert ada.get("/console/audit?since=yesterday").status_code == 422
    assert ada.get("/console/audit?tenant=globex").status_code == 404
    every = site.signed_in("root", "admin", "*").page("/console/audit")
    assert ("signIn" in every, "those who see every tenant" in every) == (True, False)
    assert "globex" in site.signed_in("root", "admin", "*").page("/console/audit?tenant=globex")
    maya = site.signed_in()
    assert (maya.get("/console/audit").status_code, "/console/audit" in maya.page()) == (403, False)


def test_a_canary_has_no_page_and_its_entry_no_link(site):
    with site.deps.store.write() as rows:
        rows.audit.note(
            "selfTest",
            at=site.clock(),
            actor="guardian",
            tenant_id="guardian",
            session_id="canary-1",
            result="revoked",
        )
    html = site.signed_in("root", "admin", "*").page("/console/audit")
    assert "<bdi>canary-1</bdi>" in html
    assert "id=canary-1" not in html


def test_an_entry_that_cannot_be_read_is_shown_as_one(site):
    with site.deps.store.write() as rows:
        rows.connection.exec_driver_sql("UPDATE control_audit SET record = 'no JSON' WHERE seq = 2")
    assert site.signed_in("ada", "auditor").page("/console/audit").count("cannot be read") == 1


def test_an_entry_whose_values_somebody_altered_hides_no_other(site):
    ada = site.signed_in("ada", "auditor")
    pages = "/console/audit", "/console/session?tenant=acme&id=sess_1"
    before = [ada.page(path).count("permitted") for path in pages]
    odd = ["", 5, 1.5, True, None, [7], {"a": [8]}]
    names = (
        "actor",
        "action",
        "tenant_id",
        "session_id",
        "at",
        "result",
        "role",
        "allowed",
        "reason",
        "policy_ids",
    )
    for n, value in enumerate(odd):
        record = json.dumps(dict.fromkeys((*names, "policy_errors", "approved_by"), value) | {"tenant_id": "acme"})
        with site.deps.store.write() as rows:
            seq = rows.audit.note(
                "note", at=site.clock(), tenant_id="acme", session_id="sess_1", result="noted"
            ).seq
            rows.connection.exec_driver_sql("UPDATE control_audit SET record = ? WHERE seq = ?", (record, seq))
        assert [ada.page(path).count("permitted") for path in pages] >= before, (n, value)


def test_findings_are_listed_by_the_time_that_they_were_told_and_show_it(make_site, scribe):
    site = make_site()
    for n, days in enumerate((1, 3, 2)):
        site.submit(scribe.finding(n=n, time=scribe.START - timedelta(days=days)))
        site.clock.pass_(minutes=1)
    browser = site.signed_in()
    for path in ("/console", "/console/findings"):
        told = re.findall(r'reported <time datetime="([^"]+)"', browser.page(path))
        assert told == ["2026-05-12T12:02:00Z", "2026-05-12T12:01:00Z", "2026-05-12T12:00:00Z"], path
    assert '<time datetime="2026-05-09T12:00:00Z">' in browser.page("/console/findings")


def test_a_finding_has_a_page_of_its_own(still):
    with still.deps.store.read() as rows:
        (told,) = [each.view for each in rows.findings.page({"acme"}, limit=9, session_id="sess_1")]
    html = still.signed_in().page(f"/console/finding?id={told.finding.id}")
    for each in (
        "rival@example.net",
        "monitor-may-flag",
        "sensitive reads, then a way out",
        "abc123",
        "Your verdict",
    ):
        assert each in html, each
    assert still.signed_in().get("/console/finding").status_code == 404


def test_news_about_guardian_itself_are_findings_without_a_session(site):
    site.enforce()
    with site.deps.store.read() as rows:
        (told,) = [each.view for each in rows.findings.page({"acme"}, limit=9, kind=Kind.CONTROL.value)]
    browser = site.signed_in()
    html = browser.page(f"/console/finding?id={told.finding.id}")
    assert "second person" in html
    assert "All the evidence" not in html
    assert "/console/act" not in html, "it accuses nobody, so nobody is asked for a verdict"
    assert "% of the score" not in html, "it has none"
    assert "What policy decided" not in html, "policy was not asked"
    assert "wants setMode enforce" in html
    assert "Versions" in html
    assert "guardian itself" in browser.page("/console/findings")


def test_the_audit_trail_of_a_session_goes_back_to_its_beginning(site):
    api = site.api("root", "admin")
    for n in range(40):
        api.protect("acme", "sess_1", protected=bool(n % 2), reason=f"turn {n}")
    browser = site.signed_in()
    html = browser.session()
    assert "turn 39" in html
    assert "registerEnvelope" not in html
    (more,) = re.findall(r'href="([^"]*audit=\d+)#audit"', browser.session(at=3, wide=1))
    assert ("&amp;at=1&" in more, "&amp;wide=1&" in more) == (True, True), "the actions stay where they were"
    html = browser.page(more.replace("&amp;", "&"))
    assert "registerEnvelope" in html
    assert "turn 39" not in html


def test_what_is_another_tenants_does_not_exist(site, scribe):
    site.submit(scribe.finding("theirs", tenant="globex", n=5, title="of globex"))
    site.archived(scribe.row(50, session="theirs", tenant="globex"), name="theirs")
    with site.deps.store.read() as rows:
        (told,) = [each.view.finding for each in rows.findings.page({"globex"}, limit=1)]
    browser = site.signed_in("maya", "responder", "acme")
    there = {
        path: browser.get(path)
        for path in (
            "/console/session?tenant=globex&id=theirs", "/console/session?tenant=globex&id=nobody",
            "/console/session?tenant=acme&id=theirs", "/console/session?id=theirs",
            "/console/session?id=nobody", f"/console/finding?id={told.id}", "/console/finding?id=none",
        )
    }  # fmt: skip
    bodies = set()
    for path, got in there.items():
        assert got.status_code == 404, path
        assert "globex" not in got.text
        bodies.add(re.sub(r"Reference \w+", "", got.text))
    assert len(bodies) == 1, "the answer is the same whether it exists or not"
    theirs = site.api("gil", "responder", "globex")
    theirs.revoke_subject("globex", "agent", "agent_of_globex", reason="globex")
    for path in (
        "/console", "/console/sessions", "/console/findings", "/console/revoked", "/console/sessions?tenant=acme",
        "/console/sessions?session=theirs", "/console/findings?agent=agent_renewal_review",
    ):  # fmt: skip
        assert "globex" not in browser.page(path)
    for path in ("/console/sessions", "/console/findings", "/console/revoked"):
        path += "?tenant=globex"
        assert browser.get(path).status_code == 404
    assert "of globex" in site.signed_in("gil", "responder", "globex").session("theirs", "globex")
    assert "of globex" in site.signed_in("root", "admin", "*").session("theirs", "globex")


def test_what_is_revoked_besides_sessions_has_a_page_of_its_own(make_site):
    site = make_site()
    evil = "agent<b>\u202e_7"
    maya = site.api("maya", "responder")
    maya.revoke_subject("acme", "agent", evil, reason="<script>its image was altered", seconds=3600)
    maya.revoke("acme", "sess_1", reason="stop")
    browser = site.signed_in()
    html = browser.page("/console/revoked")
    assert 'href="/console/session?tenant=acme&amp;id=sess_1"' in html
    for told in ("agent&lt;b&gt;‹U+202E›_7", "2026-05-12 13:00:00", "&lt;script&gt;its image was altered"):
        assert told in html, told
    assert re.search(r"by <bdi>maya</bdi>", html)
    only = browser.page("/console/revoked?kind=agent&tenant=acme")
    assert ("its image was altered" in only, "id=sess_1" in only) == (True, False)
    assert "Nothing of that is revoked" in browser.page("/console/revoked?kind=task")
    assert "called exactly nobody" in site.signed_in("root", "admin", "*").page(
        "/console/revoked?tenant=nobody"
    ).replace("<bdi>", "").replace("</bdi>", "")
    assert 'href="/console/revoked"' in browser.page(), "the overview leads there"
    for n in range(50):
        maya.revoke_subject("acme", "task", f"t{n}", reason="stop")
    (more,) = re.findall(
        r'href="(/console/revoked\?[^"]*cursor=[^"]*)"', browser.page("/console/revoked?tenant=acme")
    )
    assert "its image was altered" in browser.page(more.replace("&amp;", "&"))


def test_an_auditor_reads_and_is_offered_nothing(still):
    html = still.signed_in("ada", "auditor").session()
    assert "rival@example.net" in html
    assert "/console/act" not in html


def test_one_process_answers_pages_while_more_are_asked_than_there_are_threads(still):
    """The pages' threads wait for the API's: were they the same ones, this would never end."""
    browser = still.signed_in()
    with ThreadPoolExecutor(48) as pool:
        found = list(pool.map(lambda _: browser.get("/console/proposals").status_code, range(48)))
    assert set(found) == {200}


def test_that_there_are_more_tenants_than_are_shown_is_said(make_site):
    site = make_site()
    with site.deps.store.write() as rows:
        for n in range(102):
            rows.sessions.meet(SessionKey(f"t{n:03}", "s"), site.clock())
        rows.breakers.trip("t100", now=site.clock(), until=site.clock() + timedelta(hours=1), reason="flood")
    root = site.signed_in("root", "admin", "*")
    html = root.page()
    assert "These are not all tenants" in html
    assert "t100" in html
    assert "<code>guardian mode</code> lists them all" in html
    for page in ("sessions", "findings"):  # a tenant that the list has no room for is typed
        html = root.page(f"/console/{page}?tenant=t101")
        assert re.search('<input id="tenant" name="tenant" value="t101" list="tenant-names"', html)
        assert ('<option value="t099">' in html, '<option value="t101">' in html) == (True, False)


def test_an_alert_links_to_the_page(make_site, scribe):
    site = make_site(control={"public_url": "https://guardian.example.com"})
    site.submit(scribe.finding("a/b ?&#%"))
    with site.deps.store.read() as rows:
        payload = json.loads(rows.alerts.payload(1))
    wanted = "https://guardian.example.com/console/session?tenant=acme&id=a%2Fb%20%3F%26%23%25"
    assert payload["link"] == wanted


@pytest.mark.parametrize("session", ["..", ".", "a/../b", "x" * 512, "%2e%2e", "a+b c", "é\u0301", "?id=sess_1"])
def test_no_name_of_a_session_is_a_place_to_hide(make_site, scribe, session):
    site = make_site()
    site.submit(scribe.finding(session))
    browser = site.signed_in()
    (path,) = {
        each.replace("&amp;", "&")
        for each in re.findall(r'href="(/console/session\?[^"]+)"', browser.page("/console/sessions"))
    }
    html = browser.page(path)
    assert "Actions no longer fit" in html
    got = browser.press(html, "revoke")
    assert got.status_code == 303, got.text
    assert "did=unfollowed" in got.headers["location"]
    assert browser.page(got.headers["location"]).count('<div class="notice waits"') == 1


def test_a_wish_that_policy_refused_is_shown_with_the_policy_that_did(site, scribe):
    site.submit(scribe.finding("sess_2", n=2, wanted=Effect.REVOKE))
    html = site.signed_in().session("sess_2")
    assert "only the mode stood in the way" in html
    assert "shadow" in html
    assert "May guardian revoke it by itself?" in html


def test_a_parent_that_only_the_log_names_is_a_link_where_it_leads_somewhere(make_site, scribe):
    site = make_site()
    site.submit(scribe.finding("child", parent_session_id="parent"))
    browser = site.signed_in()
    html = browser.session("child")
    assert "as the log says; not registered" in html
    assert "id=parent" not in html
    site.submit(scribe.finding("parent", n=1))
    assert "id=parent" in browser.session("child")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize(
    "path", ["/console", "/console/session", "/console/static/guardian.css", "/console/nothing", "/"]
)
def test_what_is_not_offered_is_refused_and_locked_down_too(still, method, path):
    got = still.browser().client.request(method, path)
    assert got.status_code == 405
    assert "default-src 'none'" in got.headers["content-security-policy"]
    assert got.headers["cache-control"] == "no-store"


def test_looking_at_the_headers_alone_is_looking(still):
    got = still.signed_in().client.head("/console/session?tenant=acme&id=sess_1")
    assert (got.status_code, got.text) == (200, "")
    assert still.browser().client.head("/console").status_code == 303


def test_the_address_alone_leads_to_the_pages_and_the_api_is_where_it_was(still):
    assert still.browser().get("/").headers["location"] == "/console"
    assert still.browser().get("/v1/whoami").status_code == 401
    assert still.browser().get("/healthz").status_code == 200
    assert still.browser().get("/consolex").status_code == 401


def test_a_session_that_is_not_unusual_is_described_so(make_site, scribe):
    site = make_site()
    site.submit(scribe.finding(one_in=1.9))
    html = site.signed_in().session()
    assert "Nothing unusual in any." in html
    assert "nothing unusual honest sessions" not in html


def test_long_names_that_differ_at_their_ends_are_told_apart(site, scribe):
    start = "window:spiffe://prod.example.com/ns/agents-renewals-emea/sa/agent-contract-renewal-review"
    names = [f"{start}|{person}@example.com" + "x" * 300 + person for person in ("lee", "root")]
    maya = site.api("maya", "responder")
    for n, name in enumerate(names):
        site.submit(scribe.finding(name, n=n))
        maya.revoke("acme", name, reason="odd")
        maya.reinstate("acme", name, reason="ours")
    browser = site.signed_in("lee", "approver")
    shown = re.compile(r'<a class="id" href="[^"]+"><bdi>(window:[^<]+)</bdi>')
    for page in ("", "/sessions", "/findings"):
        assert {name[-20:] for name in shown.findall(browser.page(f"/console{page}"))} == {n[-20:] for n in names}
    assert set(shown.findall(browser.page("/console/approvals"))) == set(names), "whoever decides sees it whole"
    assert f"<h1><bdi>{names[0]}</bdi>" in browser.session(names[0])
