"""What sessions that guardian flagged or found unusual do to what is proposed: nothing, of every kind."""

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from guardian.domain.identity import SessionKey
from guardian.domain.rules import RULES, ForbidTool
from guardian.tightening.backtest import backtest
from guardian.tightening.confidence import upper_bound
from guardian.tightening.history import History
from guardian.tightening.mining import mine
from guardian.tightening.sessions import Places
from guardian.tightening.trust import Trust

BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)
SPLIT = BEGIN + timedelta(days=60)
DAYS = 90
ARGUMENTS = {"contract": "c1", "region": "eu", "limit": 6, "to": "ann@acme.example"}
FACTS = {
    "allowed_tools": ("contracts.read", "admin.purge", "mail.send"), "records": 3, "agent_id": "agent_review-0",
    "constraints": {"data_classes": ["terms", "prices"], "max_records": 1000, "contract_ids": ["c1", "c2"]},
    "data_classes": frozenset({"terms"}), "arguments": ARGUMENTS, "expires_at": BEGIN + timedelta(days=200),
}  # fmt: skip


@cache
def honest(call):
    """Four sessions a day of four agents, of which one alone purges."""
    calls = []
    for n in range(4 * DAYS):
        said = {"contract": f"c{1 + n % 2}", "region": ("eu", "us")[n % 2], "limit": 5 + n % 20}
        told = FACTS | {"session_id": f"s{n}", "agent_id": f"agent_review-{n % 4}"}
        at = BEGIN + timedelta(days=n // 4, minutes=n % 4)
        to = {"to": f"u{n}@acme.example"}
        calls.append(call(**told | {"at": at, "decision_id": f"d{n}", "arguments": said | to}))
        if n % 8 == 1:
            calls.append(call(**told | {"at": at, "decision_id": f"p{n}", "tool": "admin.purge"}))
    return tuple(calls)


ODD = {
    "a tool": ([{"tool": "mail.send"}], "forbid_tool"),
    "another's tool": ([{"tool": "admin.purge"}], "forbid_tool"),
    "a class": ([{"data_classes": frozenset({"Prices"})}], "forbid_data_class"),
    "no classes": ([{"data_classes": None}], "forbid_data_class"),
    "records": ([{"records": 900}], "max_records"),
    "records together": ([{"records": 300}] * 3, "max_records"),
    "hours and a long life": ([{}, {"later": 10}], "only_hours"),
    "a long life": ([{}, {"later": 23}], "max_lifetime"),
    "beyond its envelope": ([{"arguments": ARGUMENTS | {"contract": "c999"}}], "pin_argument"),
    "a pin as a number": ([{"arguments": ARGUMENTS | {"contract": 1}}], "pin_argument"),
    "a value": ([{"arguments": ARGUMENTS | {"region": "mars"}}], "argument_in"),
    "many values": ([{"arguments": ARGUMENTS | {"region": f"r{n}"}} for n in range(49)], "argument_in"),
    "a long value": ([{"arguments": ARGUMENTS | {"region": "r" * 200}}], "argument_in"),
    "a list": ([{"arguments": ARGUMENTS | {"region": ["eu"]}}], "argument_in"),
    "a number": ([{"arguments": ARGUMENTS | {"limit": 9_000}}], "argument_at_most"),
    "a number as text": ([{"arguments": ARGUMENTS | {"limit": "6"}}], "argument_at_most"),
    "a form": ([{"arguments": ARGUMENTS | {"to": "drop@evil.example"}}], "argument_like"),
    "a short text": ([{"arguments": ARGUMENTS | {"to": "x"}}], "argument_like"),
    "an argument left out": ([{}, {"arguments": {"contract": "c1"}}], "argument_in"),
    "no arguments": ([{"arguments": {}}], "pin_argument"),
    "arguments not logged": ([{"arguments": None}], "argument_like"),
    "names": ([{"arguments": ARGUMENTS | {f"x{n}": 1 for n in range(1025)}}], "pin_argument"),
    "fewer names": ([{"arguments": ARGUMENTS | {f"x{n}": 1 for n in range(1021)}}], "pin_argument"),
    "an envelope of one record": ([{"constraints": FACTS["constraints"] | {"max_records": 1}}], "max_records"),
}  # fmt: skip


def strange(call, steps, days):
    """One session for each of the days, all of which do the same."""
    for day in days:
        for n, told in enumerate(steps):
            later = timedelta(hours=told.get("later", 0), seconds=n)
            facts = FACTS | {name: fact for name, fact in told.items() if name != "later"}
            at = BEGIN + timedelta(days=day) + later
            yield call(**facts | {"session_id": f"odd{day}", "decision_id": f"o{day}.{n}", "at": at})


def found(calls, trust):
    history = History.learn(sorted(calls, key=lambda each: each.at), trust=trust, split=SPLIT)
    return mine(history).restrictions


def rules(restrictions):
    return {(each.rule.kind, each.rule.subject): each.rule for each in restrictions}


def keys(days):
    return frozenset(SessionKey("acme", f"odd{day}") for day in days)


@pytest.fixture(scope="module")
def sound(call):
    """What the honest history gives: restrictions of every kind, and of tools both."""
    restrictions = found(honest(call), Trust())
    assert {each.rule.kind for each in restrictions} == RULES.keys()
    assert {ForbidTool("mail.send"), ForbidTool("admin.purge", ("agent_review-1",))} < {
        each.rule for each in restrictions
    }
    return restrictions


@pytest.mark.parametrize("days", [(40,), (40, 85), (70, 110)], ids=str)
@pytest.mark.parametrize("odd", [*ODD, "all of it"])
def test_one_or_two_unusual_sessions_neither_remove_nor_widen_anything_and_the_backtest_counts_their_calls(
    call, sound, odd, days
):
    steps = [step for each, _ in ODD.values() for step in each] if odd == "all of it" else ODD[odd][0]
    more = list(strange(call, steps, days))
    trust = Trust(unusual=keys(days))
    kept = found([*honest(call), *more], trust)
    assert rules(kept) == rules(sound)
    told = sorted([*honest(call), *more], key=lambda each: each.at)
    tested = backtest(told, kept, trust)
    denied = [placed.call for placed in Places().place(told) if any(each.denies(placed) for each in kept)]
    assert (tested.honest, tested.honest_denied) == (len(told), len(denied))
    assert tested.unusual_denied == sum(each.key in trust.unusual for each in denied) == len(denied)


@pytest.mark.parametrize("odd", [*ODD, "all of it"])
def test_what_unusual_sessions_would_lose_is_in_the_bound_of_each_restriction_though_it_decides_nothing(
    call, sound, odd
):
    steps = [step for each, _ in ODD.values() for step in each] if odd == "all of it" else ODD[odd][0]
    days = (40, 85)
    more = list(strange(call, steps, days))
    told = sorted([*honest(call), *more], key=lambda each: each.at)
    before = {each.rule: each.support.denied_at_most for each in sound}
    for each in found(told, Trust(unusual=keys(days))):
        tested = backtest(told, [each], Trust(unusual=keys(days)))
        whole = each.rule.kind.startswith("forbid") and not getattr(each.rule, "except_agents", ())
        trials = each.support.sessions if whole else each.support.held_out
        lost = tested.honest_sessions_denied
        assert each.support.denied_at_most >= upper_bound(lost, trials + lost) >= before[each.rule]
        assert not lost or "that guardian found unusual" in each.why


@pytest.mark.parametrize("odd", [*ODD, "all of it"])
def test_no_number_of_flagged_sessions_removes_or_widens_anything(call, sound, odd):
    steps = [step for each, _ in ODD.values() for step in each] if odd == "all of it" else ODD[odd][0]
    days = range(0, 130, 2)
    more = list(strange(call, steps, days))
    trust = Trust(flagged=keys(days))
    kept = found([*honest(call), *more], trust)
    assert rules(kept) == rules(sound)
    tested = backtest(sorted([*honest(call), *more], key=lambda each: each.at), kept, trust)
    assert (tested.honest_denied, tested.flagged, tested.flagged_sessions) == (0, len(more), len(days))


@pytest.mark.parametrize("odd", ODD)
def test_what_three_unusual_sessions_do_is_needed(call, sound, odd):
    steps, kind = ODD[odd]
    days = (85, 86, 87) if "envelope of" in odd else (40, 41, 42)  # only the envelopes of the last days count
    more = list(strange(call, steps, days))
    kept = found([*honest(call), *more], Trust(unusual=keys(days)))
    before, after = ({each.rule for each in all_ if each.rule.kind == kind} for all_ in (sound, kept))
    assert after != before
    wider = [each for each in kept if each.rule in after - before]
    assert not any(each.denies(placed) for placed in Places().place(more) for each in wider)


def test_of_three_unusual_sessions_the_widest_sets_no_number_and_no_form(call):
    odd = [*strange(call, [{"arguments": ARGUMENTS | {"limit": 100, "to": "a@eu.acme.example"}}], (40, 41, 42))]
    worst = strange(call, [{"arguments": ARGUMENTS | {"limit": 10**9, "to": "drop@evil.test"}}], (43,))
    kept = rules(found([*honest(call), *odd, *worst], Trust(unusual=keys((40, 41, 42, 43)))))
    assert kept["argument_at_most", "contracts.read:limit"].limit == 200
    assert kept["argument_like", "contracts.read:to"].suffix == ".example"


def test_a_short_history_loses_nothing_to_one_unusual_session_and_its_share_is_told(call):
    few = [each for each in honest(call) if int(each.session_id[1:]) % 6 == 0]
    assert len(few) == 60
    more = strange(call, ODD["a tool"][0], (40,))
    kept = found([*few, *more], Trust(unusual=keys((40,))))
    [one] = [each for each in kept if each.rule == ForbidTool("mail.send")]
    assert one.why == "called only by 1 session that guardian found unusual"
    assert one.support.denied_at_most == pytest.approx(upper_bound(1, 61))


def edges(call):
    """The honest sessions, each with a parent that comes first."""
    for n, each in enumerate(honest(call)):
        yield call(session_id=f"b{n}", decision_id=f"b{n}", role="boss", at=each.at - timedelta(seconds=9))
        yield each._replace(parent_session_id=f"b{n}")


def children(call, parents, acts):
    """For each parent a day of one unusual child: what it does, and when."""
    for n, (parent, (day, told)) in enumerate(zip(parents, acts, strict=True)):
        at = BEGIN + timedelta(days=day)
        yield call(**FACTS | {"session_id": f"odd{day}", "decision_id": f"o{n}", "at": at,
                              "parent_session_id": parent} | told)  # fmt: skip


EVIL = {"arguments": {"contract": "c999", "region": "mars", "limit": 9_000, "to": "drop@evil.test"}}
ARGUED = {"pin_argument", "argument_in", "argument_at_most", "argument_like"}


@pytest.mark.parametrize(
    ("parents", "acts", "lost"),
    [
        pytest.param(["lost"] * 3, [{}, {}, EVIL], set(), id="one of three whose parents nobody knows"),
        pytest.param(["lost"] * 3, [EVIL] * 3, ARGUED, id="three whose parents nobody knows"),
        pytest.param(["b160", "b164", "lost"], [EVIL] * 3, ARGUED, id="two of the edge and one"),
        pytest.param(["b160", "b164", "lost"], [EVIL, EVIL, {}], set(), id="two of the edge"),
    ],
)
def test_of_unusual_sessions_that_may_be_of_an_edge_several_that_do_alike_show_a_need(call, parents, acts, lost):
    more = [*edges(call), *children(call, parents, zip((40, 41, 42), acts, strict=True))]
    before, after = (
        {each.rule for each in found(calls, Trust(unusual=keys((40, 41, 42)))) if each.scope.parent_role == "boss"}
        for calls in (edges(call), more)
    )
    assert {each.kind for each in before - after} == lost
    assert after <= before


def test_an_unusual_session_that_is_silent_for_long_is_one_session_still(call):
    """Meanwhile its parent is forgotten, and it comes again later than the child."""
    parents = [
        call(
            session_id=f"p{day}",
            decision_id=f"p{day}.{later}",
            role="boss",
            at=BEGIN + timedelta(days=day + later),
        )
        for day in (60, 61)
        for later in (0, 23)
    ]
    often = [(day, {"at": BEGIN + timedelta(days=day + n, hours=1)} | EVIL) for day in (60, 61) for n in (0, 22)]
    more = children(call, ["p60", "p60", "p61", "p61"], often)
    kept = found([*edges(call), *parents, *more], Trust(unusual=keys((60, 61))))
    assert {each.rule.kind for each in kept if each.scope.parent_role == "boss"} > ARGUED


def test_an_unusual_child_that_serves_many_purposes_is_one_child(call, sound):
    wide = FACTS["constraints"] | {"max_records": 10**6}
    served = [(40, {"purpose": f"purpose {n}", "constraints": wide, "role": "kid"}) for n in range(3)]
    kept = found([*honest(call), *children(call, ["s160"] * 3, served)], Trust(unusual=keys((40,))))
    assert rules(kept) == rules(sound)
    three = [(40 + n, {"constraints": wide, "role": "kid"}) for n in range(3)]
    kept = found([*honest(call), *children(call, ["s160"] * 3, three)], Trust(unusual=keys((40, 41, 42))))
    assert rules(sound).keys() - rules(kept).keys() == {("max_records", "records")}
