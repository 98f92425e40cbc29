"""What proposals, their backtests and the ledger take from an archive: whose work it is, and whose is honest."""

from datetime import timedelta

import pytest

from guardian.archive.reader import Archive, Window
from guardian.archive.rows import labels, pack
from guardian.archive.schema import EVENTS
from guardian.archive.writer import write_events, write_labels
from guardian.bench.estate_archive import row_of
from guardian.bootstrap.clock import utc_now
from guardian.commands.proposals import backtest_proposal
from guardian.commands.tightening import Asked, authority_of, propose, recorded, save
from guardian.config import Settings
from guardian.domain.batch import Change
from guardian.domain.event import SessionKey
from guardian.domain.rules import ForbidTool
from guardian.domain.session import HumanWord

DAYS = 89
UNTIL = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
BEGIN = UNTIL - timedelta(days=DAYS) + timedelta(hours=9)
ANN, BOB = "window:agent_review|ann", "window:agent_review|bob"
TOOLS = ("contracts.read", "crm.read", "mail.send")


@pytest.fixture
def archive(call, tmp_path):
    """Writes calls, each by its facts, and what people said."""

    def written(*calls, said=()):
        root = tmp_path / "archive"
        made = [call(**{"decision_id": f"d{n}", "allowed_tools": TOOLS} | told) for n, told in enumerate(calls)]
        rows = [
            row_of(each) | {"finding_id": f"fnd_{each.decision_id}" if each.wanted != "none" else None}
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


def daily(session, tool, *, days=DAYS - 1, **facts):
    """One call a day."""
    return [{"session_id": session, "tool": tool, "at": BEGIN + timedelta(days=n)} | facts for n in range(days)]


def late(**facts):
    """One call of ann's six hours after a day's work."""
    return {"session_id": ANN, "decision_id": "late", "at": BEGIN + timedelta(days=50, hours=6)} | facts


def taken(proposal):
    return {each.rule.tool: each.why for each in proposal.restrictions if isinstance(each.rule, ForbidTool)}


@pytest.mark.parametrize("told", [{"wanted": "flag"}, {"one_in": 120.0}])
def test_a_moment_of_a_user_whose_sessions_have_no_names_costs_one_session_and_no_quarter(
    archive, proposed, tmp_path, told
):
    work = [*daily(ANN, "crm.read"), *daily(BOB, "contracts.read"), late(tool="mail.send", **told)]
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
    said = Change(1, SessionKey("acme", ANN), word, BEGIN + timedelta(days=50, hours=hours), finding)
    held = archive(*daily(ANN, "crm.read"), late(wanted="flag"), said=[said])
    calls, trust = recorded(Settings(), held, Window("acme"))
    that_day = [call for call in calls() if call.at.date() == late()["at"].date()]
    assert tuple(trust.honest(call.key) for call in that_day) == honest
    assert sum(not trust.honest(call.key) for call in calls()) == honest.count(False)


def test_the_ledger_shows_each_session_that_a_name_stands_for_the_latest_first(archive):
    other = daily(f"{ANN}@acme.eu", "crm.read", days=3)
    held = archive(*daily(ANN, "crm.read", days=3), *other, late(tool="mail.send"))
    chains = authority_of(Settings(), held, ANN, tenant_id="acme", window=timedelta(days=DAYS + 1))
    assert [sorted(chain[-1].hop.used) for chain in chains] == [["mail.send"], *[["crm.read"]] * 3]
    name = chains[0][-1].hop.key.session_id
    assert name == f"{ANN}|{late()['at'].isoformat()}"
    [[one]] = authority_of(Settings(), held, name, tenant_id="acme", window=timedelta(days=DAYS + 1))
    assert one.hop.calls == 1


def test_what_guardian_planted_to_test_itself_is_nobodys_work(archive, proposed):
    settings = Settings(revocation={"self_test": {"gateway": "plants"}})
    plants = [
        {"session_id": f"plant{n}", "decision_id": f"p{n}", "at": BEGIN + timedelta(days=n, hours=1)}
        | {"gateway": "plants", "role": role, "agent_id": role, "tool": "mail.send", "wanted": "flag"}
        for n in range(DAYS - 1)
        for role in [("agent_review", "agent_planted")[n % 2]]
    ]
    proposal = proposed(archive(*daily(ANN, "crm.read"), *plants), settings)
    assert taken(proposal).keys() == {"contracts.read", "mail.send"}
    assert not any("flagged" in why for why in taken(proposal).values())
    assert (proposal.backtest.replayed, proposal.backtest.flagged_sessions) == (DAYS - 1, 0)
    assert proposal.abstentions == ()
