import errno
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from threading import Barrier, BrokenBarrierError

import pytest

from guardian.disk import write_atomically
from guardian.domain.restriction import Scope
from guardian.domain.rules import RULES, ArgumentIn, ForbidTool, MaxLifetime, MaxRecords, OnlyHours, PinArgument
from guardian.errors import ProposalError
from guardian.tightening import rejections
from guardian.tightening.backtest import Backtest
from guardian.tightening.folder import read_proposal, write_folder
from guardian.tightening.grants import Grant
from guardian.tightening.mining import Abstention, Advice
from guardian.tightening.proposal import Proposal
from guardian.tightening.proposal_json import as_json, from_json
from guardian.tightening.rejections import read_rejections, reject, still_rejected
from guardian.tightening.report import inert, report
from guardian.tightening.surface import Surface
from guardian.tightening.wording import said, slug

SINCE, UNTIL = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 4, 5, tzinfo=UTC)
SCOPE = Scope("acme", "review contracts", "agent_review", "")


@pytest.fixture
def proposal(restricted):
    one, two = restricted(ForbidTool("mail.send", ("a-1",))), restricted(MaxRecords(50))
    of_a = Grant(("a",), ("x",), 3, spelt=(("mcp__a", "a"),))
    grants = {SCOPE: (of_a, Grant(("b",), None, None, True), Grant(("c",), None, None, spelt=()))}
    return Proposal(
        tenant_id="acme",
        since=SINCE,
        until=UNTIL,
        made_at=UNTIL,
        restrictions=(one, two),
        grants=grants,
        backtest=Backtest(replayed=10, honest=8, honest_denied=1, by_restriction={one.id: 1}),
        surface=Surface(20, 5),
        abstentions=(Abstention(Scope("acme", "p", "r"), "3 honest sessions, 59 are needed"),),
        advice=(Advice("acme", "svc", "split"),),
        rejected=("rst_gone",),
        renamed=("crm.read", "crm.`x`"),
        spelt={"a": ("a", "mcp__a")},
    )


def test_a_proposal_survives_its_file(proposal, tmp_path):
    write_folder(tmp_path / "p", {"proposal.json": json.dumps(as_json(proposal))})
    assert read_proposal(tmp_path / "p") == proposal
    assert read_proposal(tmp_path / "p/proposal.json") == proposal


def test_a_proposal_reads_the_same_in_whichever_order_its_grants_were_found(proposal):
    grants = {**proposal.grants, Scope("acme", "pay", "agent_pay"): (Grant(("a",), None, None),)}
    files = {
        json.dumps(as_json(replace(proposal, grants=dict(order)))) for order in permutations(grants.items())
    }  # fmt: skip
    assert len(files) == 1


def test_a_proposal_from_before_the_logs_own_names_were_kept_is_read(proposal):
    told = json.loads(json.dumps(as_json(proposal)))
    del told["spelt"]
    for grant in told["grants"]:
        grant.pop("spelt", None)
    read = from_json(told)
    assert [grant.spelt for found in read.grants.values() for grant in found] == [None, None, None]
    assert [read.own(each) for each in read.restrictions] == [("mail.send",), ()]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda told: told.update(format="x/v9"), "format: Input should be 'guardian.proposal/v1'"),
        (lambda told: told.pop("window"), "window is missing"),
        (lambda told: told["restrictions"][0]["rule"].update(tool="z"), "was edited"),
        (
            lambda told: told["restrictions"][0]["rule"].update(kind="allow"),
            "restrictions.0: rule.kind: 'allow' is none of forbid_tool",
        ),
        (lambda told: told.update(made_at="2026-01-01T00:00:00"), "made_at: .*timezone"),
        (lambda told: told["backtest"].update(more=1), "backtest.more is not known here"),
        (lambda told: told.update(grants=[3]), "grants.0: .*valid dictionary"),
        (lambda told: told["grants"][0].update(spelt={"mcp__a": "z"}), "and no other"),
        (lambda told: told["grants"][0].update(spelt=["a"]), "grants.0.spelt: .*valid dictionary"),
        (lambda told: told.update(spelt=["a"]), "spelt: .*valid dictionary"),
        (lambda told: told.update(spelt={"a": 3}), "spelt.a: .*valid tuple"),
        (lambda told: told.update(tenant=[]), "tenant: .*valid string"),
        (lambda told: told.update(tenant=None), "tenant: .*valid string"),
        (lambda told: told["backtest"].update(honest="many"), "honest: .*valid integer"),
        (lambda told: told["backtest"].update(honest_denied=10**400), "less than"),
        (lambda told: told["backtest"].update(by_restriction=[]), "valid dictionary"),
        (lambda told: told["surface"].update(before=None), "before: .*valid integer"),
        (lambda told: told["surface"].update(after=-1), "greater than"),
        (lambda told: told["grants"][0].update(tools=[3]), "tools.0: .*valid string"),
        (lambda told: told["grants"][0].update(max_records="all"), "max_records: .*valid integer"),
        (lambda told: told["grants"][0]["scope"].update(role=None), "role: .*valid string"),
        (lambda told: told["abstentions"][0].update(why=None), "why: .*valid string"),
        (lambda told: told["advice"][0].update(subject={}), "subject: .*valid string"),
        (lambda told: told.update(rejected="x"), "rejected: .*valid tuple"),
        (lambda told: told.update(renamed=[None]), "renamed.0: .*valid string"),
        (lambda told: told.update(applies=True), "applies is not known here"),
        (lambda told: told["restrictions"][0].update(unless="x"), "restrictions.0: unless is not known here"),
        (lambda told: told["restrictions"][0]["rule"].update(unless="x"), "restrictions.0: unless is not known"),
        (
            lambda told: told["restrictions"][0]["scope"].update(agent="a"),
            "restrictions.0: scope.agent is not known",
        ),
        (lambda told: told["grants"][0].update(servers=["s"]), "grants.0.servers is not known here"),
        (lambda told: told["abstentions"][0]["scope"].update(agent="a"), "abstentions.0.scope.agent is not known"),
    ],
)
def test_a_file_that_is_no_proposal_is_refused_with_the_reason(proposal, change, says):
    told = json.loads(json.dumps(as_json(proposal)))
    change(told)
    with pytest.raises(ProposalError, match=says):
        from_json(told)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_a_folder_without_a_proposal_says_how_to_make_one(tmp_path, text):
    (tmp_path / "proposal.json").write_text(text)
    with pytest.raises(ProposalError, match="proposal"):
        read_proposal(tmp_path)
    with pytest.raises(ProposalError, match="guardian propose --out"):
        read_proposal(tmp_path / "nowhere")


def test_a_new_proposal_takes_the_place_of_the_old_and_touches_nothing_else(tmp_path):
    write_folder(tmp_path, {"proposal.json": "{}", "cedar/a.cedar": "a", "envelope/x.json": "x"})
    (tmp_path / "README.md").write_text("ours")
    (tmp_path / "cedar/ours.cedar").write_text("ours")
    write_folder(tmp_path, {"proposal.json": "{}", "cedar/a.cedar": "b"})
    found = {
        path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*") if path.is_file()
    }
    sums = found.pop("SHA256SUMS").splitlines()
    assert [line.split("  ")[1] for line in sums] == ["cedar/a.cedar", "proposal.json"]
    assert found == {"proposal.json": "{}", "cedar/a.cedar": "b", "cedar/ours.cedar": "ours", "README.md": "ours"}


def test_what_people_wrote_or_what_nobody_knows_to_be_as_proposed_is_not_written_over(tmp_path):
    first = {"proposal.json": "{}", "REPORT.md": "a\n", "cedar/a.cedar": "a"}
    write_folder(tmp_path, first)
    (tmp_path / "REPORT.md").write_bytes(b"a\r\n")
    write_folder(tmp_path, first)
    (tmp_path / "cedar/b.cedar").write_text("ours")
    with pytest.raises(ProposalError, match=r"cedar/b\.cedar was edited since"):
        write_folder(tmp_path, {**first, "cedar/b.cedar": "b"})
    assert (tmp_path / "cedar/b.cedar").read_text() == "ours"
    (tmp_path / "cedar/a.cedar").unlink()
    write_folder(tmp_path, first)
    (tmp_path / "SHA256SUMS").unlink()
    with pytest.raises(ProposalError, match=r"without SHA256SUMS,.* remove this one if nobody"):
        write_folder(tmp_path, first)
    for path in tmp_path.iterdir():
        path.unlink() if path.is_file() else shutil.rmtree(path)
    write_folder(tmp_path, first)


@pytest.mark.parametrize("fails_at", range(6))
@pytest.mark.parametrize("earlier", [True, False])
def test_a_proposal_that_was_not_written_to_its_end_is_read_by_nobody_and_written_again(
    proposal, tmp_path, monkeypatch, fails_at, earlier
):
    told = json.dumps(as_json(proposal))
    old = {"proposal.json": told, "REPORT.md": "old", "cedar/a.cedar": "old", "cedar/gone.cedar": "old"}
    new = {"proposal.json": told + "\n", "REPORT.md": "new", "cedar/a.cedar": "new", "cedar/b.cedar": "new"}
    if earlier:
        write_folder(tmp_path / "p", old)
    written = []

    @contextmanager
    def full(path):
        if len(written) == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        with write_atomically(path) as file:
            yield file

    monkeypatch.setattr("guardian.tightening.folder.write_atomically", full)
    with pytest.raises(OSError, match=rf"No space left on device: '{tmp_path}/p/.+'"):
        write_folder(tmp_path / "p", new)
    monkeypatch.undo()
    if fails_at:
        with pytest.raises(ProposalError, match=r"was not written to its end; `guardian propose|no proposal here"):
            read_proposal(tmp_path / "p")
    write_folder(tmp_path / "p", new)
    assert read_proposal(tmp_path / "p") == proposal
    found = {path.relative_to(tmp_path / "p").as_posix() for path in (tmp_path / "p").rglob("*") if path.is_file()}
    assert found == {*new, "SHA256SUMS"}
    assert "#" not in (tmp_path / "p/SHA256SUMS").read_text()


def test_what_was_edited_in_a_proposal_that_was_not_written_to_its_end_stays(tmp_path):
    first = {"proposal.json": "{}", "REPORT.md": "a"}
    write_folder(tmp_path, first)
    sums = tmp_path / "SHA256SUMS"
    sums.write_text("# not written to its end\n" + sums.read_text())
    (tmp_path / "REPORT.md").write_text("ours")
    with pytest.raises(ProposalError, match=r"REPORT\.md was edited since"):
        write_folder(tmp_path, first)


def test_somebody_elses_folder_is_left_alone(tmp_path):
    (tmp_path / "src.py").write_text("x")
    with pytest.raises(ProposalError, match="not empty and holds no proposal"):
        write_folder(tmp_path, {"proposal.json": "{}"})
    with pytest.raises(ProposalError, match=r"src\.py is a file; name a folder"):
        write_folder(tmp_path / "src.py", {"proposal.json": "{}"})


def test_the_report_says_what_why_evidence_and_cost(proposal):
    problems = {"polar": ["unchecked: the oso package is not installed here"]}
    text = report(
        proposal, problems, [{"at": "t", "agent": "a", "tool": "x", "session": "s", "restrictions": ["rst_1"]}]
    )
    assert "20 → 5 (−75%)" in text
    assert "1 of 8 (12.500%)" in text
    assert "| agent_review for review contracts | 0 of 3 | 0 of 1 | 2 | 1 |" in text
    assert "3 month ends, 1 quarter end" in text
    assert "may not call mail.send, but a-1 may | granted, and never used" in text
    evidence = "200 sessions, 1,000 calls, 60 days"
    assert f"{evidence}; see below; would touch at most 1.5% | 1 honest, 0 of flagged sessions |" in text
    assert f"{evidence}; never done; would touch at most 1.5% | 0 honest, 0 of flagged sessions |" in text
    assert "3 honest sessions, 59 are needed" in text
    assert "oso package" in text
    assert "Left out: 1 restriction that people rejected" in text
    assert len(text.splitlines()) < 60


def test_a_lifetime_is_left_to_people_where_templates_are_concerned(proposal, restricted):
    short = restricted(MaxLifetime(900))
    text = report(replace(proposal, restrictions=(short,), advice=()), {})
    [told] = text.partition("## For people to decide\n\n")[2].splitlines()[:1]
    assert told.startswith(f"- `{short.id}`: for the policy engine only, and in no envelope patch.")
    assert "an envelope's lifetime from its issue" in told
    assert "no envelope patch" not in report(proposal, {})


def test_a_proposal_whose_patches_set_lifetimes_is_read(proposal):
    told = json.loads(json.dumps(as_json(proposal)))
    told["grants"][0]["lifetime_s"] = 600
    assert from_json(told) == proposal


def test_names_that_are_not_known_are_told_with_how_a_gateway_may_spell_them(proposal):
    [told] = [line for line in report(proposal, {}).splitlines() if "Not every name that the log uses" in line]
    assert "crm.read, crm.\\`x\\`." in told
    assert "`mcp__crm__read` for `crm.read`" in told
    assert "Not every name that the log uses" not in report(replace(proposal, renamed=()), {})


def test_the_report_says_which_names_the_files_say_and_which_tools_are_one_to_guardian(proposal):
    text = report(replace(proposal, spelt={"crm.x": ("crm/x", "mcp__crm__`x`"), "y": ("z",)}), {})
    assert "name tools as the log does**: crm/x and mcp__crm__\\`x\\` for crm.x, z for y." in text
    assert "several to the log**: crm.x (crm/x and mcp__crm__\\`x\\`). A restriction is about" in text
    unsure = report(replace(proposal, spelt={"crm.read": ("crm.read", "mcp__crm__read")}), {})
    assert "several to the log" not in unsure
    assert "as the log does" not in report(replace(proposal, spelt={}), {})


def test_text_of_agents_becomes_no_link_by_itself_calls_nobody_and_is_not_set_off():
    shown = inert("https://evil.example/a www.evil.example ftp://x @acme/soc _now_ __all__ crm_read a@b.c")
    assert shown == (
        r"https\[:\]//evil.example/a www\[.\]evil.example ftp\[:\]//x ＠acme/soc \_now_ \_\_all__ "
        "crm_read a＠b.c"
    )
    assert inert("mailto:ann@evil.example XMPP:a@b.c/d") == r"mailto\[:\]ann＠evil.example XMPP\[:\]a＠b.c/d"
    assert inert("x_www.evil.example/a _WWW.evil.example") == (r"x_www\[.\]evil.example/a \_WWW\[.\]evil.example")


def test_text_of_agents_is_no_emoji_and_no_formula_on_a_code_forge():
    assert inert("at 2026-12-02T06:39:59Z, :39:") == "at 2026-12-02T06:39:59Z, ∶39:"
    assert inert("crm.read :white_check_mark: approved :+1:") == "crm.read ∶white_check_mark: approved ∶+1:"
    assert inert(r"$\text{approved}$ $$x$$") == r"＄\\text\{approved\}＄ ＄＄x＄＄"
    assert inert("a : b, 12:30") == "a : b, 12:30"


def test_of_many_roles_of_which_too_little_is_known_the_report_names_those_with_the_most_history(proposal):
    few = [
        Abstention(Scope("acme", f"words {n}", "r"), f"{n % 50:,} honest sessions, 59 are needed")
        for n in range(1000)
    ]
    other = Abstention(Scope("acme", "of a child", "r"), "its parent sessions are not in the archive")
    text = report(replace(proposal, abstentions=(*few, other)), {}).partition("## Not proposed")[2]
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(lines) == 12
    assert all(line.endswith(": 49 honest sessions, 59 are needed.") for line in lines[:10])
    assert lines[10] == "- … and 990 more like these (all are in `proposal.json`)."
    assert lines[11].endswith("its parent sessions are not in the archive.")


def test_text_of_agents_stays_text_in_the_report():
    hostile = "a|b [z](http://x) <img src=x>\n# head `code` **b** crm&period;read \u202e"
    shown = inert(hostile)
    assert "\n" not in shown
    assert "\u202e" not in shown
    for sign in ("|", "<", "`", "*", "[", "]", "#", "&"):
        assert f"\\{sign}" in shown
        assert sign not in shown.replace(f"\\{sign}", "")


def test_every_kind_of_rule_has_words():
    rules = {
        "forbid_tool": ForbidTool("t", ("a",)), "max_lifetime": MaxLifetime(120),
        "only_hours": OnlyHours((1, 2, 5)),
        "pin_argument": PinArgument("t", "x", True, "ids"), "argument_in": ArgumentIn("t", "x", True, ("a", 1)),
    }  # fmt: skip
    assert said(rules["forbid_tool"]) == "may not call t, but a may"
    assert said(rules["max_lifetime"]) == "may act for at most 2 minutes per session"
    assert said(rules["only_hours"]) == "may act only in the hours 1-2, 5 (UTC)"
    assert said(rules["pin_argument"]) == "t: x must be in the envelope's ids"
    assert said(rules["argument_in"]) == "t: x must be a or 1"
    assert said(ArgumentIn("t", "x", True, (True,))) == "t: x must be true"
    assert set(rules) <= set(RULES)


def test_scopes_that_look_alike_have_files_of_their_own():
    names = {slug(Scope("acme", purpose, "r")) for purpose in ("a/b", "a b", "a-b", "../../etc", "")}
    assert len(names) == 5
    assert all("/" not in name and not name.startswith(".") for name in names)


def test_a_no_is_remembered_until_the_evidence_changes(tmp_path, restricted):
    one, path = restricted(ForbidTool("mail.send")), tmp_path / "deep/no.yaml"
    assert read_rejections(path) == {}
    reject(path, one, reason="the auditors need it", owner="maya")
    no = read_rejections(path)
    assert no[one.id].what == "agent_review for review contracts may not call mail.send"
    assert still_rejected([one], no) == {one.id}
    more = type(one)(one.scope, one.rule, one.why, replace(one.support, sessions=400))
    assert still_rejected([more], no) == frozenset()
    assert still_rejected([restricted(ForbidTool("other"))], no) == frozenset()


def test_what_two_people_say_no_to_at_once_is_remembered_of_both(tmp_path, restricted, monkeypatch):
    path, both_have_read = tmp_path / "no.yaml", Barrier(2, timeout=0.3)

    def slowly(path):
        known = read_rejections(path)
        with suppress(BrokenBarrierError):
            both_have_read.wait()
        return known

    monkeypatch.setattr(rejections, "read_rejections", slowly)
    two = [restricted(ForbidTool(tool)) for tool in ("mail.send", "crm.export")]
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(reject, path, each, reason="needed", owner="maya") for each in two]:
            done.result()
    assert read_rejections(path).keys() == {each.id for each in two}
    assert [each.name for each in tmp_path.iterdir()] == ["no.yaml"]


@pytest.mark.parametrize(
    "text",
    ["- a", "{", "rst_1: {reason: x}", "rst_1: {reason: '', owner: m}", "rst_1: 3", "rst_1: 2026-13-45",
     "rst_1: {reason: x, owner: m, sessions: '214'}",
     "rst_1: {reason: x, owner: m}\nrst_1: {reason: y, owner: b}"],
)  # fmt: skip
def test_a_broken_file_of_rejections_is_named(tmp_path, text):
    (tmp_path / "no.yaml").write_text(text)
    with pytest.raises(ProposalError, match=r"no\.yaml"):
        read_rejections(tmp_path / "no.yaml")


def test_a_no_needs_a_reason_and_an_owner(tmp_path, restricted):
    with pytest.raises(ProposalError, match="reason and an owner"):
        reject(tmp_path / "no.yaml", restricted(ForbidTool("a")), reason=" ", owner="maya")


def test_a_disk_that_refuses_leaves_the_old_file_and_nothing_beside_it(tmp_path, restricted, monkeypatch):
    write_folder(tmp_path, {"proposal.json": "{}"})
    path = tmp_path / "rejected.yaml"
    one = restricted(ForbidTool("a"))
    reject(path, one, reason="the auditors need it", owner="maya")
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_folder(tmp_path, {"proposal.json": '{"a": 1}'})
    with pytest.raises(OSError, match="No space"):
        reject(path, restricted(ForbidTool("b")), reason="needed", owner="maya")
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
