"""A policy owner's way: propose, read, reject, propose again, merge, verify; on an estate's archive."""

import json
import re
import shutil
from datetime import timedelta
from typing import get_args

import pytest
import yaml
from typer.testing import CliRunner

from guardian.archive.rows import labels, pack
from guardian.archive.schema import EVENTS
from guardian.archive.writer import write_events, write_labels
from guardian.bench.estate import BEGIN, WINDOW, Estate
from guardian.bench.estate_archive import row_of
from guardian.bootstrap import clock
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.resources import resource
from guardian.cli import app
from guardian.cli.authority import show_chain
from guardian.commands import proposals
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.domain.identity import SessionKey
from guardian.domain.past import Label
from guardian.domain.session import HumanWord
from guardian.errors import ConfigurationError
from guardian.policy.port import PolicyAction
from guardian.store.control.store import ControlStore
from guardian.tightening.authority import Authority, Hop
from guardian.tightening.backtest import Unheld
from guardian.tightening.envelope import EnvelopePatches
from guardian.tightening.folder import read_proposal
from guardian.tightening.own import narrowable

UNTIL = (BEGIN + WINDOW).isoformat()
LATELY = ("--tenant", "estate", "--until", UNTIL, "--window", "45d")  # what it holds of the later half


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    estate = Estate(3, purposes=4)
    calls = estate.calls(BEGIN, BEGIN + WINDOW + timedelta(days=10))
    write_events(root, "estate", [pack([row_of(call) for call in calls], EVENTS)])
    dismissed, later = sorted(estate.dismissed), BEGIN + 2 * WINDOW
    false = [Label(key, HumanWord.FALSE_POSITIVE, later, n) for n, key in enumerate(dismissed, 1)]
    write_labels(root, "estate", [labels(false)] if false else [])
    return root


@pytest.fixture
def guardian(archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GUARDIAN_CONFIG", raising=False)

    def run(*words, expect=0):
        outcome = CliRunner().invoke(app, [*map(str, words), "--archive", str(archive)])
        assert outcome.exit_code == expect, outcome.output
        return outcome.output

    return run


@pytest.fixture(scope="module")
def proposal(archive, tmp_path_factory):
    out = tmp_path_factory.mktemp("proposal") / "p"
    outcome = CliRunner().invoke(app, ["propose", *LATELY, "--archive", str(archive), "--out", str(out)])
    assert outcome.exit_code == 0, outcome.output
    assert "newly denied" in outcome.output
    return out


@pytest.fixture
def proposed(proposal, tmp_path):
    return shutil.copytree(proposal, tmp_path / "p")


def test_a_proposal_is_a_folder_for_a_pull_request(guardian, proposed):
    names = {path.relative_to(proposed).as_posix() for path in proposed.rglob("*") if path.is_file()}
    assert {"REPORT.md", "proposal.json", "denied.jsonl", "rego/data.json"} <= names
    assert {"cedar/guardian_tightening.cedar", "polar/guardian_tightening.polar"} <= names
    assert any(name.startswith("envelope/purpose_") for name in names)
    told = json.loads((proposed / "proposal.json").read_text())
    assert told["backtest"]["newly_allowed"] == 0
    assert told["backtest"]["honest_denied"] == len((proposed / "denied.jsonl").read_text().splitlines())
    assert len(told["restrictions"]) > 20


def test_replaying_a_proposal_gives_what_proposing_it_gave(guardian, proposed, tmp_path):
    proposal = json.loads((proposed / "proposal.json").read_text())
    told = proposal["backtest"]
    again = json.loads(guardian("backtest", proposed, "--json", "--examples", tmp_path / "x.jsonl"))
    assert (tmp_path / "x.jsonl").stat().st_mode & 0o777 == 0o600
    assert again == told | {"promised": proposal["promised"]}
    changes = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert len(changes) == told["honest_denied"] + told["flagged_denied"]


@pytest.mark.parametrize("name", ["proposal.json", "REPORT.md", "denied.jsonl", "cedar/mine.jsonl"])
def test_the_calls_that_change_are_not_written_over_the_proposal_that_is_replayed(
    guardian, archive, proposed, monkeypatch, name
):
    before = {path: path.read_bytes() for path in proposed.rglob("*") if path.is_file()}
    for folder in (proposed, proposed / "proposal.json"):
        told = refused(archive, "backtest", folder, "--examples", proposed / name)
        assert told.endswith(f"{name} is within the proposal that is read; name a file elsewhere")
    assert {path: path.read_bytes() for path in proposed.rglob("*") if path.is_file()} == before
    monkeypatch.chdir(proposed)
    assert '"restrictions": ["rst_' in guardian("backtest", ".", "--examples", "-")


def test_a_restriction_that_was_rejected_is_not_proposed_again(guardian, proposed, tmp_path):
    ids = [each["id"] for each in json.loads((proposed / "proposal.json").read_text())["restrictions"]]
    runner = CliRunner()
    words = ["reject", str(proposed), ids[0], "--reason", "needed at year end", "--owner", "maya"]
    assert runner.invoke(app, [*words, "--rejections", "no.yaml"]).exit_code == 0
    again = json.loads(guardian("propose", *LATELY, "--rejections", "no.yaml", "--json"))["proposal"]
    assert [each["id"] for each in again["restrictions"]] == ids[1:]
    assert again["rejected"] == [ids[0]]
    other = runner.invoke(
        app, ["reject", str(proposed), "rst_x", "--reason", "a", "--owner", "b", "--rejections", "n"]
    )
    assert f"has no restriction 'rst_x'; it has {ids[0]}, " in str(other.exception)
    assert str(other.exception).endswith(f" and {len(ids) - 5} more")


def test_ci_fails_over_budget(guardian, proposed):
    guardian("backtest", proposed, "--fail-over", "1")
    told = json.loads((proposed / "proposal.json").read_text())
    assert 0 < told["backtest"]["cost"] < 1
    guardian("backtest", proposed, "--fail-over", "0", expect=1)
    guardian("propose", *LATELY, "--fail-over", "0", expect=1)


def test_ci_fails_over_what_sessions_to_come_may_cost_where_the_calls_are_those_that_it_was_made_from(
    guardian, proposed, monkeypatch
):
    """Of these hardly any is denied, by construction."""
    path = proposed / "proposal.json"
    told = json.loads(path.read_text())
    assert 0 < told["backtest"]["cost"] < 0.01 < told["promised"]["at_most"] < 0.1
    said = f"honest sessions to come that any of it touches: at most {told['promised']['at_most']:.1%}"
    for shown in (
        guardian("backtest", proposed, "--fail-over", "0.01", expect=1),
        guardian("propose", *LATELY, "--fail-over", "0.01", "--out", proposed.parent / "again", expect=1),
    ):
        assert said in shown
        assert "of those that it was made from (few by construction)" in shown
        assert "over budget: honest sessions to come that any of it touches: at most " in shown
    guardian("backtest", proposed, "--fail-over", "0.1")
    for each in told["restrictions"]:
        del each["support"]["alone"]  # as earlier versions wrote it
    path.write_text(json.dumps(told))
    assert "touches: not known" in guardian("backtest", proposed, "--fail-over", "0.1", expect=1)
    guardian("backtest", proposed, "--fail-over", "1")
    monkeypatch.setattr(clock, "utc_now", lambda: BEGIN + WINDOW + timedelta(days=10))
    monkeypatch.setattr(proposals, "utc_now", clock.utc_now)
    later = guardian("backtest", proposed, "--window", "10d", "--fail-over", "0.01")
    assert "to come" not in later
    assert "made from" not in later
    partly = guardian("backtest", proposed, "--window", "11d", "--fail-over", "0.01", expect=1)
    assert "to come" in partly
    assert "in part of those that it was made from" in partly


def test_what_the_merged_proposal_refuses_is_told_where_it_is_asked_what_it_costs(
    archive, proposed, tmp_path, monkeypatch
):
    """What was refused is not newly denied: it would seem to cost nothing."""
    root = shutil.copytree(archive, tmp_path / "later")
    cut = [each for each in read_proposal(proposed).restrictions if each.rule.kind == "forbid_tool"]
    one = next(each for each in cut if not each.scope.parent_role)
    work = list(Estate(3, purposes=4).calls(BEGIN, BEGIN + WINDOW))
    like = next(call for call in work if (call.role, call.purpose) == (one.scope.role, one.scope.purpose))
    facts = {"tool": one.rule.tool, "allowed": False, "at": BEGIN + WINDOW + timedelta(days=1)}
    broken = [like._replace(session_id=f"broken{n}", decision_id=f"broken{n}", **facts) for n in range(4000)]
    write_events(root, "after", [pack([row_of(call) for call in broken], EVENTS)])
    monkeypatch.setattr(clock, "utc_now", lambda: BEGIN + WINDOW + timedelta(days=10))
    monkeypatch.setattr(proposals, "utc_now", clock.utc_now)
    words = ["backtest", str(proposed), "--window", "10d", "--fail-over", "0.05", "--archive", str(root)]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 1, told.output
    assert "4,000 calls of honest sessions refused after its own window, as it refuses them: if" in told.output
    assert "and 4,000 calls that were refused already, as it refuses them" in told.output


def test_where_no_honest_call_was_replayed_nobody_knows_the_cost_and_ci_fails(guardian, tmp_path):
    day = (BEGIN + timedelta(days=1)).isoformat()
    words = ("--tenant", "estate", "--until", day, "--out", tmp_path / "early", "--fail-over", "0")
    told = guardian("propose", *words)
    assert "0 restrictions" in told, "a day is too little to narrow anything by"
    assert "REPORT.md, which says what too little is known about" in told
    assert ("none, as nothing is narrowed\n" in told, "two bounds" in told) == (True, False), "there is no figure"
    told = guardian("backtest", tmp_path / "early", "--fail-over", "0.001", expect=1)
    assert "0 of 0 honest calls newly denied (–)" in told
    assert "nobody knows the cost" in told
    assert json.loads(guardian("backtest", tmp_path / "early", "--json"))["cost"] is None


def test_of_an_archive_that_holds_nothing_of_the_window_no_budget_holds(guardian, proposed):
    path = proposed / "proposal.json"
    told = json.loads(path.read_text())
    told["window"] = {"since": "2001-01-01T00:00:00+00:00", "until": "2001-02-01T00:00:00+00:00"}
    path.write_text(json.dumps(told))
    guardian("backtest", proposed, "--fail-over", "0.001", expect=1)


def refused(archive, *words):
    outcome = CliRunner().invoke(app, [*map(str, words), "--archive", str(archive)])
    assert outcome.exit_code == 1, outcome.output
    assert "newly denied" not in outcome.output
    return str(outcome.exception)


def without(text, gone):
    """A policy file without one restriction's policies, as a person takes them out."""
    return "\n".join(block for block in re.split(r"\n(?=\n@id|guardian_denies)", text) if gone not in block)


def test_policies_that_people_edited_are_not_what_would_be_replayed(guardian, archive, proposed):
    rendered = "cedar/guardian_tightening.cedar", "rego/guardian_tightening.rego"
    for file in (*rendered, "polar/our/own.polar", "cedar/.own.cedar", "rego/.json"):
        path = proposed / file
        path.parent.mkdir(exist_ok=True)
        before = path.read_text() if path.exists() else None
        path.write_text((before or "") + "\nforbid (principal, action, resource);\n")
        told = refused(archive, "backtest", proposed, "--fail-over", "1")
        assert file in told
        assert f"{file}: 'forbid (principal, action, resource);'" in told
        assert "only proposal.json is replayed" in told
        assert file in refused(archive, "backtest", proposed / "proposal.json")
        path.unlink() if before is None else path.write_text(before)
    (proposed / "cedar" / ".own.cedar.swp").write_bytes(b"what an editor leaves")
    guardian("backtest", proposed, "--fail-over", "1")


def test_a_limit_that_people_edited_in_one_place_only_is_not_replayed(archive, proposed):
    path = proposed / "proposal.json"
    told = json.loads(path.read_text())
    limited = next(each for each in told["restrictions"] if "limit" in each["rule"])
    limited["rule"]["limit"] *= 1000
    path.write_text(json.dumps(told))
    assert "cedar/guardian_tightening.cedar" in refused(archive, "backtest", proposed)


def _more_records(grant):
    grant["max_records"] += 1


def _another_name(grant):
    grant["spelt"] = {tool: tool for tool in grant["tools"]} | {"mcp__admin__wipe": grant["tools"][0]}


@pytest.mark.parametrize(
    ("widen", "says"),
    [
        (lambda grant: grant["tools"].append("admin.wipe"), "none held admin.wipe"),
        (lambda grant: grant["data_classes"].append("secrets"), "none held secrets"),
        (lambda grant: grant.update(data_classes=None), "none held *"),
        (_more_records, "none held max_records "),
        (_another_name, "none held mcp__admin__wipe"),
    ],
)
def test_a_proposal_that_was_edited_to_hand_out_more_is_no_proposal(guardian, archive, proposed, widen, says):
    path = proposed / "proposal.json"
    told = json.loads(path.read_text())
    roles = [each["scope"] for each in told["restrictions"]]
    widen(next(each for each in told["grants"] if each["scope"] in roles and each["max_records"]))
    path.write_text(json.dumps(told))
    for name, text in EnvelopePatches().files(read_proposal(proposed)).items():
        (proposed / name).write_text(text)
    assert says in refused(archive, "backtest", proposed, "--fail-over", "0")


def test_days_after_the_merge_no_envelope_holds_what_was_taken_and_the_proposal_is_replayed(
    guardian, proposed, monkeypatch
):
    """Its grants are looked for in its own window, not only in the one that is counted."""
    monkeypatch.setattr(proposals, "utc_now", lambda: BEGIN + WINDOW + timedelta(days=10))
    seen = Unheld.note

    def merged(unheld, placed):
        bare = placed.call._replace(allowed_tools=("a",), allowed_tools_spelt=None)
        after = placed.call.at >= BEGIN + WINDOW
        seen(unheld, placed._replace(call=bare) if after else placed)

    monkeypatch.setattr(Unheld, "note", merged)
    few = json.loads(guardian("backtest", proposed, "--window", "5d", "--json"))
    assert 0 < few["replayed"] < json.loads((proposed / "proposal.json").read_text())["backtest"]["replayed"] / 5


def test_what_people_took_out_of_a_proposal_must_be_out_of_its_policies_and_patches_too(
    guardian, archive, proposed
):
    path = proposed / "proposal.json"
    told = json.loads(path.read_text())
    gone = next(each for each in told["restrictions"] if each["rule"]["kind"] == "only_hours")
    told["restrictions"].remove(gone)
    path.write_text(json.dumps(told))
    for file in ("cedar/guardian_tightening.cedar", "polar/guardian_tightening.polar"):
        assert file in refused(archive, "backtest", proposed)
        text = (proposed / file).read_text()
        assert gone["id"] in text
        (proposed / file).write_text(without(text, gone["id"]))
    data = json.loads((proposed / "rego/data.json").read_text())
    rules = data["guardian"]["restrictions"]
    data["guardian"]["restrictions"] = [each for each in rules if each["id"] != gone["id"]]
    assert "rego/data.json" in refused(archive, "backtest", proposed)
    (proposed / "rego/data.json").write_text(json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False))
    guardian("backtest", proposed, "--fail-over", "1")
    shutil.rmtree(proposed / "polar")
    guardian("backtest", proposed, "--fail-over", "1")


def test_what_people_edited_is_not_written_over(guardian, archive, proposed):
    words = ("propose", *LATELY, "--out", proposed)
    guardian(*words)
    for file in ("proposal.json", "REPORT.md", "cedar/guardian_tightening.cedar"):
        kept = (proposed / file).read_text()
        (proposed / file).write_text(kept + " ")
        told = refused(archive, *words)
        assert f"{file} was edited since" in told
        assert "name another folder" in told
        assert (proposed / file).read_text() == kept + " "
        (proposed / file).write_text(kept)
    guardian(*words)


def test_one_purpose_or_role_may_be_asked_for(guardian):
    options = (*LATELY, "--json")
    found = json.loads(guardian("propose", *options, "--purpose", "purpose_aa"))["proposal"]["restrictions"]
    assert {each["scope"]["purpose"] for each in found} == {"purpose_aa"}
    few = json.loads(guardian("propose", *options, "--role", "agent_invoices_a_helper-07"))["proposal"][
        "restrictions"
    ]
    assert few
    assert {each["scope"]["role"] for each in few} == {"agent_invoices_a_helper"}
    assert {each["scope"]["parent_role"] for each in few} == {"agent_invoices_a"}


def test_a_window_that_begins_before_the_archive_is_the_archives(guardian, tmp_path):
    """Else its first part, of which limits are mined, would be empty, and months be counted that nobody saw."""
    options = ("propose", "--tenant", "estate", "--until", (BEGIN + timedelta(days=45)).isoformat())
    guardian(*options, "--window", "45d", "--out", tmp_path / "found")
    found = (tmp_path / "found/REPORT.md").read_text()
    assert "1 month end, 0 quarter ends" in found
    assert "rst_" in found
    assert guardian(*options, "--window", "2y").strip() == found.strip()


def configured(tmp_path, source):
    """A configuration whose log is read so."""
    config = initialise(tmp_path / "home")
    told = yaml.safe_load(config.read_text(encoding="utf-8"))
    config.write_text(yaml.safe_dump({**told, "source": source}), encoding="utf-8")
    return config


def test_what_the_configuration_redacts_is_not_mined(guardian, proposed, tmp_path):
    def limited(told):
        return [each for each in told["restrictions"] if each["rule"].get("argument") == "limit"]

    config = configured(tmp_path, {"redact": {"action.arguments.limit": "shape"}})
    assert limited(json.loads((proposed / "proposal.json").read_text()))
    assert limited(json.loads(guardian("propose", *LATELY, "--json", "-c", config))["proposal"]) == []


@pytest.mark.parametrize(
    ("source", "some"),
    [
        ({"format": "guardian"}, False),
        ({"format": "opa"}, True),
        ({"format": "opa", "tools": {"name": "{server}/{tool}"}}, False),
        ({"format": "opa", "tools": {"name": "{server}/{tool}", "aliases": {"x": "shifts.approve"}}}, True),
    ],
)
def test_names_that_a_log_may_have_spelt_otherwise_are_told(guardian, tmp_path, source, some):
    config = configured(tmp_path, source)
    told = json.loads(guardian("propose", *LATELY, "--json", "-c", config))
    assert bool(told["proposal"]["renamed"]) is some
    assert ("envelope" in told["problems"]) is some


def test_after_the_merge_what_still_passes_is_told_by_the_old_name_of_the_command_too(guardian, archive, proposed):
    told = json.loads(guardian("verify", proposed, "--since", UNTIL, "--json"))
    assert told["replayed"] > 100
    assert told["denied_honest"] == 0
    assert told["not_refused"] >= 0
    assert told["honest_sessions"] > 10
    assert told["honest_sessions_denied"] == 0
    shown = guardian("verify", proposed, "--since", UNTIL)
    old = CliRunner().invoke(
        app, ["propose", "--verify", str(proposed), "--since", UNTIL, "--archive", str(archive)]
    )
    assert old.stderr == "`propose --verify` is `guardian verify` now, and will be gone in the next version\n"
    assert old.stdout == shown
    never = told["never_refused"]
    assert sum(never.values()) >= told["not_refused"] > 0, "it was merged nowhere"
    assert f"they are not in force, it seems: {max(never, key=never.get)}" in shown
    assert f"0 calls in 0 of {told['honest_sessions']:,} honest sessions of its roles refused" in shown


def test_after_the_merge_a_refusal_of_a_session_whose_parent_nobody_knows_is_not_taken_for_none(
    proposed, tmp_path
):
    cut = [each for each in read_proposal(proposed).restrictions if each.rule.kind == "forbid_tool"]
    one = next(each for each in cut if each.scope.parent_role)
    work = Estate(3, purposes=4).calls(BEGIN, BEGIN + WINDOW)
    like = next(call for call in work if (call.role, call.purpose) == (one.scope.role, one.scope.purpose))
    lost = {"session_id": "lost", "parent_session_id": "nowhere", "tool": one.rule.tool, "allowed": False}
    write_events(tmp_path / "later", "a", [pack([row_of(like._replace(**lost, at=BEGIN + WINDOW))], EVENTS)])
    words = ["verify", str(proposed), "--since", UNTIL, "--archive", str(tmp_path / "later")]
    outcome = CliRunner().invoke(app, words)
    assert "1 refused that could not be judged" in outcome.output
    assert "nobody knows whether honest work breaks" in outcome.output
    assert outcome.exit_code == 1
    assert json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)["unknown"] == 1


@pytest.mark.parametrize(("since", "says"), [((), " since 20"), (("--since", "2200-01-01"), "yet to come")])
def test_a_proposal_is_not_verified_by_nothing(archive, proposed, since, says):
    told = refused(archive, "verify", proposed, *since)
    assert told.startswith("'estate': nothing of this tenant lies in ")
    assert says in told


def test_the_relay_race_is_visible(guardian):
    chains = json.loads(
        guardian("authority", "purpose_aa", "--tenant", "estate", "--window", "50y", "--json", "--limit", "3")
    )
    root, child = chains[0]
    assert child["own"] == root["own"]
    assert "nothing was narrowed" in child["faults"][0]
    assert 0 < child["used_share"] < 1
    shown = guardian("authority", child["session"], "--tenant", "estate", "--window", "50y")
    assert f"{len(root['own'])} > {len(root['effective'])}" in shown


def test_a_list_without_tools_is_shown_as_no_limit(capsys):
    hop = Hop(SessionKey("acme", "s"), None, "user_1", "agent_1", "review", frozenset("*"), None, None)
    show_chain([Authority(hop, hop.own, None, ()), Authority(hop, frozenset({"a.read"}), None, ())])
    shown = capsys.readouterr().out
    assert "tools: held > effective > implied" in shown
    assert "no limit > no limit > ?" in shown
    assert "no limit > 1 > ?" in shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("propose",), "say for which tenant"),
        (("propose", "--tenant", "t", "--window", "soon"), "such as 90d"),
        (("propose", "--tenant", "t", "--since", "2026-01-01"), "goes with `guardian verify`"),
        (("verify", "nowhere"), "no proposal here"),
        (("propose", "--verify", "nowhere"), "no proposal here"),
        *(
            (
                ("propose", "--verify", "nowhere", *option),
                f"--verify takes no {option[0]}; see `guardian verify --help`",
            )
            for option in [
                ("--tenant", "t"),
                ("--purpose", "p"),
                ("--role", "r"),
                ("--window", "90d"),
                ("--until", UNTIL),
                ("--out", "p"),
                ("--fail-over", "0"),
                ("--rejections", "no.yaml"),
                ("--own",),
            ]
        ),
        (
            ("propose", "--verify", "nowhere", "--fail-over", "0.01", "--out", "p"),
            "takes no --out or --fail-over;",
        ),
        *(
            (("propose", "--own", *option), f"--own takes no {(option or ('--archive',))[0]}")
            for option in [("--tenant", "t"), ("--purpose", "p"), ("--until", UNTIL), ()]
        ),
        (("backtest", "nowhere"), "no proposal here"),
        (("authority", "nobody", "--tenant", "estate"), "no session and no purpose"),
        (("propose", "--tenant", "t", "--until", "later"), "no ISO 8601 time"),
        (("propose", "--tenant", "t", "--until", "0001-01-01"), "the years 1970 to 2261"),
        (("propose", "--tenant", "t", "--window", "9999y"), "at most 100y"),
        (("propose", *LATELY, "--purpose", "pay"), "it has 'purpose_aa', "),
        (("propose", *LATELY, "--role", "agent_x"), "has no role 'agent_x' in "),
        (("propose", "--tenant", "estat", "--until", UNTIL), "'estat': nothing of this tenant lies in "),
    ],
)
def test_wrong_usage_is_told_with_the_way_out(archive, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(app, [*words, "--archive", str(archive)])
    assert isinstance(outcome.exception, ConfigurationError), "exit code 2: 1 is of a proposal that costs too much"
    assert says in str(outcome.exception)


def test_an_archive_that_is_not_there_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(app, ["propose", "--tenant", "t", "--archive", str(tmp_path / "none")])
    assert "guardian archive import" in str(outcome.exception)


def test_guardians_own_roles_are_narrowed_by_what_they_asked_of_control(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load(initialise(tmp_path / "home"))
    policies = shutil.copytree(resource("config") / "policies", tmp_path / "policies")
    (policies / "._guardian.cedarschema").write_bytes(b"\xff")  # as macOS leaves it; it is none of them
    monkeypatch.setattr("guardian.commands.tightening.policy_folder", lambda _settings: policies)
    store = ControlStore.open(settings.store_url(settings.store.control), now=utc_now())
    now = utc_now()
    with store.write() as rows:
        for day in range(89, 0, -1):
            entry = {"at": (now - timedelta(days=day)).isoformat(), "actor": "monitor", "role": "monitor"}
            rows.audit.append({**entry, "action": "flag" if day % 3 else "revoke", "allowed": True})
    store.close()
    words = ["propose-own", "-c", str(tmp_path / "home/guardian.yaml"), "--out", str(tmp_path / "own")]
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 0, outcome.output
    told = json.loads((tmp_path / "own/proposal.json").read_text())
    forbidden = {each["rule"].get("tool") for each in told["restrictions"]}
    assert forbidden == {*narrowable(get_args(PolicyAction))} - {"flag"}
    assert {"makeException", "snooze"} < forbidden
    text = (tmp_path / "own/cedar/own_permissions.cedar").read_text()
    assert (
        'forbid (principal in Guardian::Role::"monitor", action == Guardian::Action::"snooze", resource)' in text
    )
    assert "What the checks found" not in (tmp_path / "own/REPORT.md").read_text()
    outcome = CliRunner().invoke(app, ["propose", "--own", *words[1:3], "--out", str(tmp_path / "old")])
    assert outcome.exit_code == 0, outcome.output
    assert "`propose --own` is `guardian propose-own` now" in outcome.stderr
    old = json.loads((tmp_path / "old/proposal.json").read_text())
    assert [each["id"] for each in old["restrictions"]] == [each["id"] for each in told["restrictions"]]
