"""What a proposal promises for sessions to come holds, also where many needs are rare."""

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.restriction import Restriction, Scope
from guardian.domain.rules import ForbidDataClass, ForbidTool, MaxRecords
from guardian.tightening.backtest import backtest
from guardian.tightening.confidence import upper_bound
from guardian.tightening.history import History
from guardian.tightening.mining import mine
from guardian.tightening.promise import Promise, foretold, promised, promised_of
from guardian.tightening.trust import Trust
from guardian.tightening.usage import SessionUse, Use

from .conftest import SCOPE, START, SUPPORT, make_call, make_placed

RARE = tuple(f"contracts.read_{n}" for n in range(38))
WINDOW = timedelta(days=60)


def work(session, at, tools, *, granted=RARE, classes=()):
    """One session that reads, and then calls `tools`."""
    listed = ("contracts.read", *granted)
    facts = {"session_id": session, "allowed_tools": listed, "constraints": {"data_classes": ["terms", "prices"]}}
    return [
        make_call(
            **facts,
            tool=tool,
            decision_id=f"{session}-{n}",
            at=at + timedelta(minutes=n),
            data_classes=frozenset({"terms", *classes}),
        )
        for n, tool in enumerate(("contracts.read", *tools))
    ]


def window(sessions, **facts):
    """So many honest sessions over sixty days; `sessions` lists what each calls besides."""
    step = WINDOW / len(sessions)
    return [call for n, tools in enumerate(sessions) for call in work(f"s{n}", START + n * step, tools, **facts)]


def mined(calls):
    return mine(History.learn(calls, trust=Trust(), split=START + WINDOW * 2 / 3))


def unused(found):
    return {each.rule.subject for each in found.restrictions if each.rule.kind.startswith("forbid")}


def rarely(rng, sessions, share=0.02):
    return [[tool for tool in RARE if rng.random() < share] for _ in range(sessions)]


def test_where_many_tools_are_rarely_needed_none_is_taken_and_the_next_month_does_not_break():
    rng = random.Random(11)
    found = mined(window(rarely(rng, 64)))
    following = window(rarely(rng, 90))
    assert backtest(following, found.restrictions, Trust()).honest_sessions_denied == 0
    assert unused(found) == set()
    [silent] = found.abstentions
    assert silent.scope == SCOPE
    assert "of 64 sessions used a tool or data class that no other did, so up to " in silent.why
    assert silent.why.endswith("of those to come need what none did yet: none that is unused is taken")


def test_what_is_always_alike_is_narrowed_as_before():
    found = mined(window([[RARE[n % 4]] for n in range(64)]))
    assert unused(found) == {*RARE[4:], "prices"}
    assert found.abstentions == ()
    assert {each.support.alone for each in found.restrictions} == {0}


@pytest.mark.parametrize(("sessions", "taken"), [(92, False), (93, True)])
def test_the_bound_is_spent_once_for_all_that_is_taken(sessions, taken):
    """One session that used something alone foretells more; 93 are needed to say that of at most 5 %."""
    once = [[RARE[0]] if n == 50 else [] for n in range(sessions)]
    found = mined(window(once))
    assert upper_bound(1, 93) <= 0.05 < upper_bound(1, 92)
    assert unused(found) == ({*RARE[1:], "prices"} if taken else set())


def test_several_things_that_one_session_alone_used_foretell_one_session():
    found = mined(window([[*RARE[:9]] if n == 50 else [] for n in range(93)]))
    assert {each.support.alone for each in found.restrictions if each.rule.kind == "forbid_tool"} == {1}


def test_a_data_class_that_one_session_alone_touched_counts_as_well():
    calls = window([[] for _ in range(70)])
    odd = work("odd", START + WINDOW, (), classes=("prices",))
    assert unused(mined([*calls, *odd])) == set()


def test_tools_that_were_granted_lately_are_judged_by_the_sessions_that_had_them():
    """Twelve of the last seventy foretell much for these, and little among seven hundred."""
    early = [[] for _ in range(430)]
    late = [[RARE[n // 3]] if n % 3 == 0 and n < 36 else [] for n in range(70)]
    days = [20 * n / 430 for n in range(430)] + [20 + 40 * n / 70 for n in range(70)]
    calls = [
        call
        for n, tools in enumerate([*early, *late])
        for call in work(f"s{n}", START + timedelta(days=days[n]), tools, granted=RARE if n >= 430 else RARE[:1])
    ]
    assert upper_bound(12, 500) < 0.05 < upper_bound(12, 70)
    assert not unused(mined(calls)) & {*RARE}


def test_where_nobody_wrote_what_writes_goes_however_rare_what_is_read():
    rng = random.Random(11)
    found = mined(window(rarely(rng, 64), granted=(*RARE, "mail.send")))
    assert unused(found) == {"mail.send"}
    assert found.restrictions[0].why == "a tool that writes, for a purpose that only reads"
    assert found.restrictions[0].support.alone == 0
    assert found.abstentions[0].why.endswith(": only tools that write are taken, as no session wrote")
    wrote = mined(window([*rarely(rng, 64), ["mail.move"]], granted=(*RARE, "mail.send", "mail.move")))
    assert unused(wrote) == set()


def test_what_is_granted_by_a_wildcard_or_no_longer_foretells_nothing_about_what_is_listed():
    rng = random.Random(11)
    found = mined(window(rarely(rng, 64), granted=("contracts.*", "files.read")))
    assert unused(found) == {"files.read", "prices"}


def test_where_all_that_is_granted_was_used_there_is_nothing_to_say():
    found = mined(window([[RARE[0]] if n == 9 else [] for n in range(64)], granted=RARE[:1], classes=("prices",)))
    assert (unused(found), found.abstentions) == (set(), ())


NAMES = st.sets(st.sampled_from("abcdef"), max_size=3)


@given(sessions=st.lists(st.tuples(NAMES, NAMES, st.booleans()), max_size=12))
def test_lone_sessions_are_those_that_hold_something_which_no_other_holds(sessions):
    """However the window is parted."""
    parts = Use(), Use()
    for tools, classes, late in sessions:
        session = SessionUse.begin(make_call())
        for tool in tools or {"always"}:
            session.note(make_placed(tool=tool, data_classes=frozenset(classes)))
        parts[late].add(session)
    whole = Use()
    for part in parts:
        whole.merge(part)
    held = [
        {("tool", tool) for tool in tools or {"always"}} | {("class", name) for name in classes}
        for tools, classes, _ in sessions
    ]
    alone = [one - set().union(*(held[:n] + held[n + 1 :])) for n, one in enumerate(held)]
    assert len({*whole.lone.values()}) == sum(map(bool, alone))
    assert whole.lone.keys() == set().union(*alone)


@pytest.mark.parametrize(
    ("needs", "share", "held"),
    [(38, 0.02, 0.85), (4, 0.05, 0.85), (1, 0.05, 0.93), (200, 0.002, 0.93), (38, 0.0005, 0.99)],
)
def test_the_bound_holds_for_sessions_to_come_where_one_per_tool_does_not(needs, share, held):
    """Simulated: 95 % for one need, no less than 85 % where many lie just where chance hides some of them."""
    rng, sessions, windows = random.Random(5), 80, 300
    kept = by_row = 0
    for _ in range(windows):
        users = [[n for n in range(sessions) if rng.random() < share] for _ in range(needs)]
        lone = len({each[0] for each in users if len(each) == 1})
        risk = 1 - (1 - share) ** sum(not each for each in users)
        kept += risk <= upper_bound(lone, sessions)
        by_row += risk <= upper_bound(0, sessions)
    assert kept / windows >= held
    if needs == 38 and share == 0.02:
        assert by_row / windows < 0.2


class Looked(Counter):
    looked = 0

    def __getitem__(self, name):
        self.looked += 1
        return super().__getitem__(name)


def test_a_session_costs_what_it_used_however_many_used_something_alone():
    """Agents may choose the names of tools and data classes: each session has one of its own."""
    use = Use(touched=Looked())
    for n in range(500):
        session = SessionUse.begin(make_call())
        session.note(make_placed(data_classes=frozenset({f"class {n}"})))
        use.add(session)
    assert len(use.lone) == 500
    assert use.touched.looked <= 1000


def restrict(rule, scope=SCOPE, **support):
    return Restriction(scope, rule, "granted, and never used", replace(SUPPORT, **support))


def test_all_restrictions_of_a_role_share_one_promise():
    """SUPPORT: 200 sessions, 70 of them held out."""
    cut = [restrict(ForbidTool(f"t{n}"), alone=2) for n in range(9)]
    cut.append(restrict(ForbidDataClass("c"), alone=2, sessions=150))
    assert promised_of(cut) == pytest.approx(upper_bound(2, 150))
    fitted = [restrict(MaxRecords(5), held_out_broken=1), restrict(ForbidTool("x", ("me",)), held_out=60)]
    assert promised_of(fitted) == pytest.approx(upper_bound(1, 60))
    assert promised_of([*cut, *fitted]) == pytest.approx(upper_bound(2, 150) + upper_bound(1, 60))
    assert promised_of([*cut, restrict(ForbidTool("u"), alone=2, denied_at_most=0.2)]) == 0.2
    assert promised_of([restrict(ForbidTool("u"), alone=-3, sessions=-1)]) == 1.0


def test_roles_count_by_their_sessions_and_the_worst_is_told():
    small, large = (replace(SCOPE, role=name) for name in ("small", "large"))
    of_small = [restrict(ForbidTool("a"), small, alone=0, sessions=60)]
    of_large = [restrict(ForbidTool("a"), large, alone=0, sessions=540)]
    found = promised({small: of_small, large: of_large})
    assert found is not None
    assert found.worst == upper_bound(0, 60)
    assert found.at_most == pytest.approx(0.1 * upper_bound(0, 60) + 0.9 * max(0.015, upper_bound(0, 540)))
    assert foretold(found) == f"at most {found.at_most:.1%}, in the worst role {found.worst:.1%}"
    assert foretold(Promise(0.02, 0.02)) == "at most 2.0%"
    assert foretold(Promise(0.02, 0.02), "two bounds") == "at most 2.0% (two bounds)"


def test_one_role_is_its_own_worst_and_is_told_once():
    """Also where a weighted mean of one number is not quite that number."""
    for sessions in range(60, 400):
        found = promised({SCOPE: [restrict(ForbidTool("a"), alone=1, sessions=sessions)]})
        assert foretold(found) == f"at most {found.at_most:.1%}"


@pytest.mark.parametrize("name", ["sessions", "held_out", "held_out_broken", "alone"])
@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_no_number_that_somebody_wrote_breaks_the_page_of_all_proposals(name, number):
    rows = [restrict(ForbidTool("a"), **{"alone": 1, name: number}), restrict(MaxRecords(5), **{name: number})]
    found = promised({SCOPE: rows})
    assert 0 <= found.at_most <= found.worst * 1.001 <= 1.001


def test_of_a_proposal_of_an_earlier_version_nobody_knows():
    old = restrict(ForbidTool("a")).as_json()
    del old["support"]["alone"]
    assert promised({SCOPE: [Restriction.from_json(old)]}) is None
    assert "not known" in foretold(None)
    assert promised({Scope("a", "b", "c"): []}) == Promise(0.0, 0.0)
    assert foretold(Promise(0.0, 0.0), "two bounds") == "none, as nothing is narrowed"
    assert "two bounds" not in foretold(None, "two bounds")
