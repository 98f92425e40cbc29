"""Proposals of least privilege on their pages."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from guardian.console.proposals import narrowed
from guardian.disk import UNFINISHED
from guardian.domain.restriction import Restriction, Scope, Support
from guardian.domain.rules import ForbidDataClass, ForbidTool, MaxLifetime, MaxRecords, Rule
from guardian.tightening.backtest import Backtest
from guardian.tightening.folder import PROPOSAL, write_folder
from guardian.tightening.grants import Grant
from guardian.tightening.mining import Advice
from guardian.tightening.proposal import Proposal
from guardian.tightening.proposal_json import as_json
from guardian.tightening.surface import Surface


def proposal(
    tenant: str = "acme", tool: str = "crm.export", *, grant: Grant | None = None, rules: tuple[Rule, ...] = ()
) -> Proposal:
    scope = Scope(tenant, "review_contract", "agent_renewal_review")
    support = Support(
        sessions=140, actions=2000, days=60, last_use=None, denied_at_most=0.021, held_out=40, held_out_broken=0
    )
    rules = rules or (ForbidTool(tool), ForbidDataClass("pricing"), MaxRecords(25))
    grant = grant or Grant(("contracts.read", tool), ("renewal_terms", "pricing"), 100)
    return Proposal(
        tenant_id=tenant,
        since=datetime(2026, 5, 1, tzinfo=UTC),
        until=datetime(2026, 5, 10, tzinfo=UTC),
        made_at=datetime(2026, 5, 11, tzinfo=UTC),
        restrictions=tuple(Restriction(scope, rule, "never used", support) for rule in rules),
        grants={scope: (grant,)},
        backtest=Backtest(replayed=5000, honest=4800, honest_denied=2, flagged_sessions=9, flagged_stopped=7),
        surface=Surface(40, 12),
    )


def put(folder: Path, made: Proposal, **files: str) -> None:
    write_folder(
        folder, {PROPOSAL: json.dumps(as_json(made)), **{f"cedar/{n}.cedar": t for n, t in files.items()}}
    )


def test_a_diff_is_what_a_reviewer_reads() -> None:
    (role,) = narrowed(proposal())
    (diff,) = role.diffs
    assert diff == (
        (" ", "tool contracts.read"),
        ("-", "tool crm.export"),
        (" ", "data class renewal_terms"),
        ("-", "data class pricing"),
        ("-", "at most 100 records"),
        ("+", "at most 25 records"),
    )
    assert role.restrictions[0][1] == "may not call crm.export"


@pytest.mark.parametrize(
    ("grant", "rule", "lines"),
    [
        (Grant(("a", "b"), None, 0), ForbidTool("a"), ["-tool a", " tool b", " at most 0 records"]),
        (Grant(("a",), None, 0), MaxRecords(20), [" tool a", " at most 0 records"]),
        (Grant(("a",), None, None, True), MaxRecords(20), [" tool a"]),
        (Grant(("a",), None, None), MaxRecords(20), [" tool a", "+at most 20 records"]),
        (Grant(("a",), None, None), ForbidTool("a"), [" tool a"]),
        (Grant(("a", "b"), None, None), ForbidTool("a", ("agent_1",)), [" tool a", " tool b"]),
        (Grant((), None, None), ForbidTool("a"), [" tool *"]),
        (Grant(("a",), None, None), MaxLifetime(3600), [" tool a"]),
    ],
)
def test_a_diff_is_what_the_patch_does(grant: Grant, rule: Rule, lines: list[str]) -> None:
    (role,) = narrowed(proposal(grant=grant, rules=(rule,)))
    (diff,) = role.diffs
    assert [f"{sign}{told}" for sign, told in diff] == lines


def test_every_template_in_force_is_shown_before_and_after(make_site: Any) -> None:
    made = proposal(rules=(ForbidTool("crm.export"),))
    (scope,) = made.grants
    rarer = Grant(("crm.export", "tickets.create"), None, None)
    both = replace(made, grants={scope: (*made.grants[scope], rarer)})
    site = make_site(console={"proposals": "proposals"})
    put(site.folder / "proposals" / "renewals", both)
    html = site.signed_in().page("/console/proposal?name=renewals")
    assert "before and after (template 2 of 2)" in html
    assert "tool tickets.create" in html
    assert html.count("removed: </span><bdi>tool crm.export") == 2


def test_without_a_folder_the_page_says_how_to_have_one(site: Any) -> None:
    assert "console.proposals" in site.signed_in().page("/console/proposals")


def test_an_empty_folder_is_no_error(make_site: Any) -> None:
    site = make_site(console={"proposals": "proposals"})
    assert "guardian propose" in site.signed_in().page("/console/proposals")


def test_a_proposal_is_shown_with_its_diff_its_backtest_and_its_files(make_site: Any) -> None:
    site = make_site(console={"proposals": "proposals"})
    put(site.folder / "proposals" / "renewals", proposal(), rules="forbid (principal);\n// <b>x</b>\n")
    browser = site.signed_in()
    listed = browser.page("/console/proposals")
    assert "/console/proposal?name=renewals" in listed
    assert "2 of 4,800" in listed
    assert "Honest sessions to come touched</dt><dd>not known" in listed
    html = browser.page("/console/proposal?name=renewals")
    for told in ("crm.export", "7 of 9", "40 → 12", "never used", "at most 25 records", "removed: "):
        assert told in html, told
    html = browser.page("/console/proposal?name=renewals&file=cedar/rules.cedar")
    assert "forbid (principal);" in html
    assert "// &lt;b&gt;x&lt;/b&gt;" in html


def test_a_file_is_shown_as_it_is(make_site: Any) -> None:
    site = make_site(console={"proposals": "proposals"})
    long = "x" * 5000
    rules = f'permit (principal)\n    when {{ "a  b" }}\n\tunless {{ "\u202e" }}\n// {long}y\n'
    put(site.folder / "proposals" / "renewals", proposal(), rules=rules)
    html = site.signed_in().page("/console/proposal?name=renewals&file=cedar/rules.cedar")
    shown = unescape(html.partition("<pre>")[2].partition("</pre>")[0])
    assert shown == f'permit (principal)\n    when {{ "a  b" }}\n    unless {{ "‹U+202E›" }}\n// {long}y\n'
    assert "Cut here" not in html
    assert "not listed here" not in html


def test_what_is_left_out_of_a_file_and_of_their_list_is_told(make_site: Any) -> None:
    site = make_site(console={"proposals": "proposals"})
    files = {f"f{n:03}": "forbid" for n in range(402)}
    put(site.folder / "proposals" / "renewals", proposal(), **files, a="forbid;\n" * 30_000)
    html = site.signed_in().page("/console/proposal?name=renewals&file=cedar/a.cedar")
    assert html.partition("<pre>")[2].count("forbid;") == 25_000
    assert "the first 200,000 characters of 240,000 bytes are shown" in html
    assert "3 more are in the folder and not listed here" in html


def test_a_file_that_is_being_written_or_was_left_by_a_crash_is_not_shown(make_site: Any) -> None:
    site = make_site(console={"proposals": "proposals"})
    put(site.folder / "proposals" / "renewals", proposal(), rules="forbid")
    (site.folder / "proposals" / "renewals" / "cedar" / f"{UNFINISHED}rules.cedar-0a1b2c3d").write_text("for")
    html = site.signed_in().page("/console/proposal?name=renewals")
    assert "rules.cedar" in html
    assert UNFINISHED not in html


def test_only_those_about_tenants_within_reach(make_site: Any) -> None:
    site = make_site(console={"proposals": "proposals"})
    put(site.folder / "proposals" / "theirs", proposal("globex"), rules="forbid")
    browser = site.signed_in()
    assert "theirs" not in browser.page("/console/proposals")
    assert browser.get("/console/proposal?name=theirs").status_code == 404
    assert browser.get("/console/proposal?name=nothing").status_code == 404
    assert "theirs" in site.signed_in("gil", "analyst", "globex").page("/console/proposals")


def test_other_tenants_proposals_take_no_room(make_site: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("guardian.console.proposals._MOST_SHOWN", 2)
    site = make_site(console={"proposals": "proposals"})
    put(site.folder / "proposals" / "ours", proposal())
    for n in range(3):
        put(site.folder / "proposals" / f"theirs{n}", proposal("globex"))
    assert "name=ours" in site.signed_in().page("/console/proposals")
    html = site.signed_in("gil", "analyst", "globex").page("/console/proposals")
    assert html.count('href="/console/proposal?name=') == 2
    assert "1 older ones are not listed; <code>/console/proposal?name=</code>" in html


def test_a_name_leads_nowhere_else(make_site: Any) -> None:
    site = make_site(console={"proposals": "proposals"})
    put(site.folder / "proposals" / "renewals", proposal(), rules="forbid")
    (site.folder / "secret.txt").write_text("the secret")
    browser = site.signed_in()
    for name in ("..", "../keys", "renewals/..", "/etc", "renewals%00"):
        assert browser.get(f"/console/proposal?name={name}").status_code == 404
    for file in ("../../secret.txt", "cedar/../../../secret.txt", "/etc/passwd", "proposal.json"):
        assert "the secret" not in browser.page(f"/console/proposal?name=renewals&file={file}")
        assert 'id="content"' not in browser.page(f"/console/proposal?name=renewals&file={file}")


def test_what_is_no_proposal_is_passed_over(make_site: Any) -> None:
    site = make_site(console={"proposals": "proposals"})
    edited = json.dumps({**as_json(proposal()), "surface": {"before": None}})
    texts = {"a": "{", "b": "[]", "c": '{"format": "other"}', "d": "[" * 99_999, "e": edited}
    for name, text in texts.items():
        (site.folder / "proposals" / name).mkdir(parents=True)
        (site.folder / "proposals" / name / PROPOSAL).write_text(text)
    put(site.folder / "proposals" / "good", proposal())
    html = site.signed_in().page("/console/proposals")
    assert html.count("/console/proposal?name=") == 1


def test_text_of_agents_in_a_proposal_is_shown_as_text(make_site: Any) -> None:
    site = make_site(console={"proposals": "proposals"})
    told = Advice("acme", "the planner", "delegates <script>y</script>\u202e")
    put(site.folder / "proposals" / "p", replace(proposal(tool="<script>x</script>\u202e"), advice=(told,)))
    html = site.signed_in().page("/console/proposal?name=p")
    assert "For people to decide" in html
    assert "&lt;script&gt;y" in html
    assert "<script" not in html
    assert "&lt;script&gt;x" in html
    assert "\u202e" not in html
