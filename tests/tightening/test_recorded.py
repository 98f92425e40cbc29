"""What proposals, their backtests and the ledger take from an archive: whose work it is, and whose is honest."""

import json
from datetime import timedelta

import pytest

from guardian.archive.reader import Archive, Window
from guardian.archive.rows import labels, pack
from guardian.archive.schema import EVENTS
from guardian.archive.writer import write_events, write_labels
from guardian.bench.estate_archive import row_of
from guardian.bootstrap.backends import backends
from guardian.bootstrap.clock import utc_now
from guardian.commands.proposals import backtest_proposal, verify_proposal
from guardian.commands.tightening import Asked, authority_of, propose, recorded, save
from guardian.config import Settings
from guardian.domain.batch import Change
from guardian.domain.identity import SessionKey
from guardian.domain.rules import ForbidTool
from guardian.domain.session import HumanWord
from guardian.errors import ConfigurationError
from guardian.tightening.folder import read_proposal

DAYS = 89
UNTIL = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
BEGIN = UNTIL - timedelta(days=DAYS) + timedelta(hours=9)
MIDDLE = BEGIN + timedelta(days=52)
ANN, BOB = "window:agent_review|ann", "window:agent_review|bob"
TOOLS = ("contracts.read", "crm.read", "mail.send")


@pytest.fixture
def archive(call, tmp_path):
    """Writes calls, each by its facts, and what people said."""

    def written(*calls, said=()):
        root = tmp_path / "archive"
        made = [call(**{"decision_id": f"d{n}", "allowed_tools": TOOLS} | told) for n, told in enumerate(calls)]
        rows = [
            row_of(each)
            | {"finding_id": f"fnd_{each.decision_id}" if each.wanted != "none" else None}
            | {"tool_spelt": each.tool_spelt}
            for each in sorted(made, key=lambda each: each.at)
        ]
        write_events(root, "a", [pack(rows, EVENTS)])
        if said:
            write_labels(root, "a", [labels(said)])
        return Archive(root)

    return written


@pytest.fixture
def proposed(tmp_path):
    """What `guardian propose` finds; its folder is `p`."""

    def made(archive, settings=None):
        asked = Asked("acme", timedelta(days=DAYS), until=UNTIL)
        none = tmp_path / "none.yaml"
        found = propose(settings or Settings(), archive, asked, none, lambda *_: None)
        save(found, tmp_path / "p")
        return found.proposal

    return made


def when(n):
    """An hour apart, four on every fourth day: an archive keeps a file for each day."""
    return BEGIN + timedelta(days=n - n % 4, hours=n % 4)


def often(session, tool, which=range(DAYS - 1), **facts):
    """Calls that are one session each where it has no name."""
    return [{"session_id": session, "tool": tool, "at": when(n)} | facts for n in which]


def late(**facts):
    """One call of ann's hours after a day's work."""
    return {"session_id": ANN, "decision_id": "late", "at": MIDDLE + timedelta(hours=6)} | facts


def taken(proposal):
    return {each.rule.tool: each.why for each in proposal.restrictions if isinstance(each.rule, ForbidTool)}


@pytest.mark.parametrize("told", [{"wanted": "flag"}, {"one_in": 120.0}])
def test_a_moment_of_a_user_whose_sessions_have_no_names_costs_one_session_and_no_quarter(
    archive, proposed, tmp_path, told
):
    work = [*often(ANN, "crm.read"), *often(BOB, "contracts.read"), late(tool="mail.send", **told)]
    held = archive(*work)
    proposal = proposed(held)
    assert taken(proposal).keys() == {"mail.send"}, "crm.read is in daily use"
    flagged = "wanted" in told
    assert proposal.backtest.honest == len(work) - flagged
    assert (proposal.backtest.flagged, proposal.backtest.flagged_sessions) == (int(flagged), int(flagged))
    again = backtest_proposal(Settings(), held, tmp_path / "p", lambda *_: None)
    assert again == proposal.backtest


@pytest.mark.parametrize(
    ("word", "hours", "finding", "honest"),
    [
        (HumanWord.FALSE_POSITIVE, 10, "fnd_late", (True, True)),
        (HumanWord.FALSE_POSITIVE, 10, "fnd_other", (True, False)),
        (HumanWord.FALSE_POSITIVE, 10, "", (True, True)),
        (HumanWord.FALSE_POSITIVE, 3, "", (True, False)),
        (HumanWord.CONFIRMED, 10, "fnd_late", (True, False)),
        (HumanWord.CONFIRMED, 3, "", (False, False)),
        (HumanWord.CONFIRMED, -10_000, "", (True, False)),
    ],
)
def test_of_sessions_without_names_people_spoke_of_the_one_that_was_judged_or_of_the_last_by_then(
    archive, word, hours, finding, honest
):
    said = Change(1, SessionKey("acme", ANN), word, MIDDLE + timedelta(hours=hours), finding)
    daily = [{"session_id": ANN, "tool": "crm.read", "at": MIDDLE + timedelta(days=n)} for n in range(-2, 3)]
    held = archive(*daily, late(wanted="flag"), said=[said])
    calls, trust = recorded(Settings(), held, Window("acme"))
    that_day = [call for call in calls() if call.at.date() == late()["at"].date()]
    assert tuple(trust.honest(call.key) for call in that_day) == honest
    assert sum(not trust.honest(call.key) for call in calls()) == honest.count(False)


@pytest.mark.parametrize("name", ["sess_7", f"{ANN}@acme.eu"])
def test_a_session_that_was_flagged_before_the_window_is_as_little_honest_in_it(archive, proposed, name):
    since = UNTIL - timedelta(days=DAYS)
    early = {"session_id": name, "tool": "mail.send", "decision_id": "e", "at": since - timedelta(minutes=5)}
    on = early | {"decision_id": "o", "at": since + timedelta(minutes=5)}
    work = [*often(ANN, "crm.read"), *often(BOB, "contracts.read")]
    assert taken(proposed(archive(*work, early, on))) == {}
    flagged = proposed(archive(*work, early | {"wanted": "flag"}, on))
    assert taken(flagged) == {"mail.send": "called only by 1 session that guardian flagged"}
    assert flagged.backtest.flagged_sessions == 1


def test_calls_before_the_window_tell_which_session_of_a_nameless_key_was_flagged(archive):
    since, idle = UNTIL - timedelta(days=DAYS), timedelta(seconds=Settings().source.idle_s)
    before = [{"at": since - idle * share, "decision_id": f"{share}"} for share in (1.2, 0.6)]
    here = {"session_id": ANN, "tool": "crm.read"}
    on = {"at": since + idle * 0.2, "decision_id": "on"}
    for between, honest in ((before[1:], False), ([], True)):
        held = archive(*(here | told for told in (before[0] | {"wanted": "flag"}, *between, on)))
        calls, trust = recorded(Settings(), held, Window("acme", since))
        assert [trust.honest(call.key) for call in calls()] == [honest]


@pytest.mark.parametrize(("days", "flags"), [(60, 0), (-1, 1)])
def test_a_word_before_the_window_clears_what_was_flagged_before_it(archive, days, flags):
    at = BEGIN + timedelta(days=60)
    held = archive(
        *often("sess_7", "crm.read", range(56, 80), wanted="none"),
        {"session_id": "sess_7", "tool": "mail.send", "at": at, "wanted": "flag", "decision_id": "bad"},
        said=[Change(1, SessionKey("acme", "sess_7"), HumanWord.FALSE_POSITIVE, BEGIN + timedelta(days=days), "")],
    )
    calls, trust = recorded(Settings(), held, Window("acme", BEGIN + timedelta(days=70)))
    assert {trust.honest(call.key) for call in calls()} == {not flags}


def test_verifying_knows_who_was_flagged_long_before_the_merge(archive, proposed, tmp_path):
    flag = {"session_id": "sess_7", "tool": "mail.send", "at": BEGIN, "wanted": "flag", "decision_id": "bad"}
    stopped = often("sess_7", "mail.send", allowed=False)
    held = archive(*often(ANN, "crm.read"), *often(BOB, "contracts.read"), flag, *stopped)
    assert taken(proposed(held)).keys() == {"mail.send"}
    found = verify_proposal(Settings(), held, tmp_path / "p", BEGIN + timedelta(days=60))
    assert (found.denied_flagged, found.denied_honest, found.broken) == (DAYS - 61, 0, 0)


@pytest.mark.parametrize("flag", [{"wanted": "flag"}, {"one_in": 120.0}])
@pytest.mark.parametrize(("days", "cleared"), [(49, False), (50, True), (51, True)])
def test_a_word_answers_for_what_was_unusual_before_it_and_not_for_what_came_later(
    archive, proposed, flag, days, cleared
):
    seven = {"session_id": "sess_7", "tool": "contracts.read", "at": BEGIN, "decision_id": "first"} | flag
    odd = {"session_id": "sess_7", "tool": "mail.send", "one_in": 500.0, "at": BEGIN + timedelta(days=50)}
    said = Change(1, SessionKey("acme", "sess_7"), HumanWord.FALSE_POSITIVE, BEGIN + timedelta(days=days), "")
    work = [*often(ANN, "crm.read"), *often(BOB, "contracts.read")]
    proposal = proposed(archive(*work, seven, odd | {"decision_id": "odd"}, said=[said]))
    why = "called only by 1 session that guardian found unusual"
    assert taken(proposal) == ({} if cleared else {"mail.send": why})
    assert proposal.backtest.unusual_denied == (0 if cleared else 1)


def test_a_proposal_whose_policies_ask_for_a_tool_by_a_name_that_nobody_uses_is_not_replayed(
    archive, proposed, tmp_path
):
    sent = {"session_id": "sess_7", "tool": "mail.send", "at": BEGIN, "tool_spelt": "mcp__mail__send"}
    work = [*often(ANN, "crm.read"), *often(BOB, "contracts.read"), sent | {"wanted": "flag"}]
    made_up = sent | {"tool_spelt": "mail/anything", "allowed": False, "decision_id": "no"}
    held = archive(*work, made_up)
    assert proposed(held).spelt == {"mail.send": ("mcp__mail__send",)}
    assert backtest_proposal(Settings(), held, tmp_path / "p", lambda *_: None).flagged_stopped == 1
    told = json.loads((tmp_path / "p" / "proposal.json").read_text())
    (tmp_path / "p" / "proposal.json").write_text(json.dumps(told | {"spelt": {"mail.send": ["nothing"]}}))
    edited = read_proposal(tmp_path / "p")
    for language in backends(Settings()).values():
        for name, text in language.files(edited).items():
            (tmp_path / "p" / name).write_text(text)
    with pytest.raises(ConfigurationError, match="ask by nothing, and gateways call it mcp__mail__send, so"):
        backtest_proposal(Settings(), held, tmp_path / "p", lambda *_: None)


def test_the_ledger_shows_each_session_that_a_name_stands_for_the_latest_first(archive):
    other = often(f"{ANN}@acme.eu", "crm.read", range(3))
    held = archive(*often(ANN, "crm.read", range(3)), *other, late(tool="mail.send"))
    chains = authority_of(Settings(), held, ANN, tenant_id="acme", window=timedelta(days=DAYS + 1))
    assert [sorted(chain[-1].hop.used) for chain in chains] == [["mail.send"], *[["crm.read"]] * 3]
    name = chains[0][-1].hop.key.session_id
    assert name == f"{ANN}|{late()['at'].isoformat()}"
    [[one]] = authority_of(Settings(), held, name, tenant_id="acme", window=timedelta(days=DAYS + 1))
    assert one.hop.calls == 1


def test_what_guardian_planted_to_test_itself_is_nobodys_work(archive, proposed):
    settings = Settings(revocation={"self_test": {"gateway": "plants"}})
    plants = [
        {"session_id": f"plant{n}", "decision_id": f"p{n}", "at": when(n) + timedelta(minutes=1)}
        | {"gateway": "plants", "role": role, "agent_id": role, "tool": "mail.send", "wanted": "flag"}
        for n in range(DAYS - 1)
        for role in [("agent_review", "agent_planted")[n % 2]]
    ]
    proposal = proposed(archive(*often(ANN, "crm.read"), *plants), settings)
    assert taken(proposal).keys() == {"contracts.read", "mail.send"}
    assert not any("flagged" in why for why in taken(proposal).values())
    assert (proposal.backtest.replayed, proposal.backtest.flagged_sessions) == (DAYS - 1, 0)
    assert proposal.abstentions == ()
