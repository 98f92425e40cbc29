"""The miner on small histories, each about one thing."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from guardian.commands.tightening import proposed
from guardian.commands.windows import Held
from guardian.domain.identity import SessionKey
from guardian.domain.past import Label, agent_role
from guardian.domain.restriction import Scope
from guardian.domain.rules import (
    UNKNOWN_PARENT,
    ArgumentAtMost,
    ArgumentIn,
    ArgumentLike,
    ForbidDataClass,
    ForbidTool,
    MaxLifetime,
    MaxRecords,
    OnlyHours,
    PinArgument,
    Placed,
)
from guardian.domain.session import HumanWord
from guardian.tightening.backtest import backtest
from guardian.tightening.caution import Caution, roomy
from guardian.tightening.confidence import upper_bound
from guardian.tightening.envelope import EnvelopePatches, patched_tools
from guardian.tightening.grants import Grant
from guardian.tightening.history import UNUSUAL_ONE_IN, History
from guardian.tightening.mining import mine
from guardian.tightening.redacted import SHAPED
from guardian.tightening.report import report
from guardian.tightening.surface import resources_of, surface
from guardian.tightening.tools import confined_to, reads_only
from guardian.tightening.trust import Trust
from guardian.tightening.usage import MOST_ARGUMENTS, SessionUse

BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)
DAYS = 90
CONSTRAINTS = {"data_classes": ["terms", "prices"], "max_records": 1000, "contract_ids": ["c1", "c2"]}


@pytest.fixture
def history(call):
    """Two sessions a day for ninety days; `step(n)` gives more facts of the n-th session, None for none at all."""

    def made(step=lambda n: {}, *, days=DAYS, trust=None, more=()):
        calls = []
        for n in range(2 * days):
            told = step(n)
            if told is None:
                continue
            facts = {
                "session_id": f"s{n}", "decision_id": f"d{n}", "at": BEGIN + timedelta(days=n // 2, minutes=n % 2),
                "agent_id": f"agent_review-{n % 4}", "constraints": CONSTRAINTS, "records": 3,
                "data_classes": frozenset({"terms"}),
            }  # fmt: skip
            calls.append(call(**facts | told))
        calls = sorted([*calls, *more], key=lambda each: each.at)
        unusual = {each.key for each in calls if each.one_in >= UNUSUAL_ONE_IN}
        return History.learn(
            calls, trust=trust or Trust(unusual=unusual), split=BEGIN + timedelta(days=DAYS * 2 / 3)
        )

    return made


def rules(mined, kind):
    return [each.rule for each in mined.restrictions if each.rule.kind == kind]


def subjects(mined, kind):
    return [rule.subject for rule in rules(mined, kind)]


def test_what_was_granted_and_never_used_goes_with_its_evidence(history):
    mined = mine(history())
    assert subjects(mined, "forbid_tool") == ["mail.send"]
    assert subjects(mined, "forbid_data_class") == ["prices"]
    [one] = [each for each in mined.restrictions if each.rule.kind == "forbid_tool"]
    assert one.why == "a tool that writes, for a purpose that only reads"
    assert (one.support.sessions, one.support.days, one.support.last_use) == (180, 90, None)
    assert one.support.denied_at_most == pytest.approx(upper_bound(0, 180))


def test_one_honest_use_keeps_a_tool_however_rare(history):
    """Month-end work comes once in a while and would be missed."""
    assert subjects(mine(history(lambda n: {"tool": "mail.send"} if n == 53 else {})), "forbid_tool") == []


def test_flagged_sessions_are_no_evidence_of_need_unless_people_cleared_them(history):
    key = SessionKey("acme", "s53")
    drifted = lambda n: {"tool": "mail.send", "wanted": "flag"} if n == 53 else {}  # noqa: E731
    [one] = [
        r
        for r in mine(history(drifted, trust=Trust(frozenset({key})))).restrictions
        if r.rule.kind == "forbid_tool"
    ]
    assert one.why == "called only by 1 session that guardian flagged"
    assert one.support.flagged_use == 1
    cleared = Trust.of({key: BEGIN}, [Label(key, HumanWord.FALSE_POSITIVE, BEGIN, 1)])
    assert subjects(mine(history(drifted, trust=cleared)), "forbid_tool") == []
    again = Trust.of({key: BEGIN + timedelta(days=1)}, [Label(key, HumanWord.FALSE_POSITIVE, BEGIN, 1)])
    assert subjects(mine(history(drifted, trust=again)), "forbid_tool") == ["mail.send"], "of the later finding"
    confirmed = Trust.of(
        {}, [Label(key, HumanWord.FALSE_POSITIVE, BEGIN, 1), Label(key, HumanWord.CONFIRMED, BEGIN, 2)]
    )
    assert subjects(mine(history(drifted, trust=confirmed)), "forbid_tool") == ["mail.send"]
    one = Label(key, HumanWord.CONFIRMED, BEGIN, 1, "fnd_1")
    for finding, honest in (("fnd_2", False), ("fnd_1", True), ("", True)):
        said = [one, Label(key, HumanWord.FALSE_POSITIVE, BEGIN, 2, finding)]
        assert Trust.of({key: BEGIN}, said).honest(key) is honest, (
            "who dismisses another finding takes nothing back"
        )
    unsaid = Trust.of({key: BEGIN}, [Label(key, HumanWord.REINSTATED, BEGIN, 1)])
    assert subjects(mine(history(drifted, trust=unsaid)), "forbid_tool") == ["mail.send"]


@pytest.mark.parametrize("flagged", [range(0), range(20, 150)])
def test_only_honest_sessions_that_held_a_tool_or_a_class_show_that_it_is_not_needed(history, flagged):
    more = {"allowed_tools": ("contracts.read", "mail.send"), "constraints": CONSTRAINTS}
    less = {"allowed_tools": ("contracts.read",), "constraints": CONSTRAINTS | {"data_classes": ["terms"]}}
    granted = history(
        lambda n: more if n in flagged or n % 18 == 0 else less,
        trust=Trust(frozenset(SessionKey("acme", f"s{n}") for n in flagged)),
        days=4 * DAYS // 3,
    )
    assert [each for each in mine(granted).restrictions if "forbid" in each.rule.kind] == []


@pytest.mark.parametrize(
    ("said", "honest"),
    [
        ([HumanWord.REVOKED], False),
        ([HumanWord.REVOKED, HumanWord.LAPSED], False),
        ([HumanWord.REVOKED, HumanWord.REINSTATED], True),
        ([HumanWord.REVOKED, HumanWord.FALSE_POSITIVE], True),
        ([HumanWord.FALSE_POSITIVE, HumanWord.REVOKED], False),
        ([HumanWord.CONFIRMED, HumanWord.REVOKED, HumanWord.REINSTATED], False),
    ],
)
def test_a_session_that_was_revoked_or_confirmed_shows_no_need_though_never_flagged(history, said, honest):
    key = SessionKey("acme", "s53")
    trust = Trust.of({}, [Label(key, word, BEGIN, n) for n, word in enumerate(said)])
    drifted = lambda n: {"tool": "mail.send", "data_classes": {"prices"}} if n == 53 else {}  # noqa: E731
    why = [each.why for each in mine(history(drifted, trust=trust)).restrictions if "forbid" in each.rule.kind]
    by = "by 1 session confirmed as drift or revoked"
    assert why == ([] if honest else [f"called only {by}", f"touched only {by}"])


def test_one_or_two_unusual_sessions_do_not_show_a_need_and_three_do(history):
    def unusual(many):
        return lambda n: {"tool": "mail.send", "one_in": 300.0} if n in range(50, 50 + many) else {}

    [one] = [r for r in mine(history(unusual(1))).restrictions if r.rule.kind == "forbid_tool"]
    assert one.why == "called only by 1 session that guardian found unusual"
    assert one.support.denied_at_most == pytest.approx(upper_bound(1, 180))
    assert one.support.last_use is not None
    assert subjects(mine(history(unusual(3))), "forbid_tool") == []


def test_a_session_that_was_silent_for_half_a_day_is_over_whoever_else_was_at_work(history, call):
    steady = lambda n: {"session_id": f"always{n % 2}"}  # noqa: E731
    stranger = [
        call(session_id=f"x{n}", decision_id=f"x{n}", role="other", at=BEGIN + timedelta(days=n, hours=1))
        for n in range(DAYS)
    ]
    scope = Scope("acme", "review contracts", "agent_review", "")
    alone, beside = (history(steady, more=more).scopes[scope].whole().sessions for more in ((), stranger))
    assert alone == beside == 2 * DAYS


def test_an_unusual_session_stays_one_session_however_often_it_pauses_and_in_whichever_part_it_was_unusual(
    history, call
):
    key = SessionKey("acme", "odd")
    days = [
        call(
            session_id="odd",
            decision_id=f"o{n}",
            at=BEGIN + timedelta(days=30 + n),
            tool="mail.send",
            one_in=9.0 * n,
        )
        for n in range(20)
    ]
    [one] = [
        r
        for r in mine(history(trust=Trust(unusual={key}), more=days)).restrictions
        if r.rule.kind == "forbid_tool"
    ]
    assert one.why == "called only by 1 session that guardian found unusual"
    flagged = mine(history(trust=Trust(flagged={key}), more=days)).restrictions
    assert [r.why for r in flagged if r.rule.kind == "forbid_tool"] == [
        "called only by 1 session that guardian flagged"
    ]
    accused = mine(history(trust=Trust(words={key: HumanWord.REVOKED}), more=days)).restrictions
    assert [r.why for r in accused if r.rule.kind == "forbid_tool"] == [
        "called only by 1 session confirmed as drift or revoked"
    ]


def test_one_or_two_unusual_sessions_widen_no_number_set_hours_or_lifetime_and_three_do(history, call):
    def limits(unusual):
        def step(n):
            return {
                "arguments": {"limit": 5 + n % 20, "region": ("eu", "us")[n % 2]},
                "expires_at": BEGIN + timedelta(200),
            }

        odd = [
            call(
                session_id=f"odd{n}", decision_id=f"odd{n}{hours}", one_in=500.0, constraints=CONSTRAINTS,
                records=3, at=BEGIN + timedelta(days=40 + n, hours=hours),
                arguments={"limit": 9_000, "region": "mars"}, data_classes=frozenset({"terms"}),
                expires_at=BEGIN + timedelta(200),
            )
            for n in range(unusual)
            for hours in (0, 10)
        ]  # fmt: skip
        trust = Trust(unusual={SessionKey("acme", f"odd{n}") for n in range(unusual)})
        found = mine(history(step, days=110, trust=trust, more=odd)).restrictions
        return {r.rule for r in found if r.rule.kind not in ("forbid_tool", "forbid_data_class", "max_records")}

    assert limits(0) == limits(1) == limits(2) == {
        OnlyHours((8, 9, 10)), MaxLifetime(900), ArgumentAtMost("contracts.read", "limit", True, 50),
        ArgumentIn("contracts.read", "region", True, ("eu", "us")),
    }  # fmt: skip
    assert limits(3) == {
        OnlyHours((8, 9, 10, 18, 19, 20)), MaxLifetime(120_000),
        ArgumentAtMost("contracts.read", "limit", True, 20_000),
        ArgumentIn("contracts.read", "region", True, ("eu", "mars", "us")),
    }  # fmt: skip


def test_what_the_gateway_refused_is_no_use(history):
    refused = history(lambda n: {"tool": "mail.send", "allowed": False} if n % 9 == 0 else {})
    assert subjects(mine(refused), "forbid_tool") == ["mail.send"]


def test_a_session_that_is_refused_for_half_a_day_and_goes_on_stays_one_session(history, call):
    times = {"session_id": "s", "constraints": CONSTRAINTS}
    tried = [
        call(**times, decision_id=f"t{hour}", at=BEGIN + timedelta(hours=hour), allowed=hour in (0, 20))
        for hour in range(0, 21, 4)
    ]
    others = [call(session_id=f"o{n}", decision_id=f"o{n}", at=BEGIN + timedelta(hours=n)) for n in (1, 15, 23)]
    [(_, past)] = history(lambda n: None, more=[*tried, *others]).scopes.items()
    assert past.whole().sessions == 1 + len(others)


def four_a_day(n, **facts):
    return {"at": BEGIN + timedelta(days=n // 4, minutes=n % 4)} | facts


def test_one_agent_that_uses_everything_keeps_it_for_itself_only(history):
    """Learnt from the early part and tested on the late one: 90 of its 120 sessions are of the other agents."""
    mined = mine(history(lambda n: four_a_day(n, **{"tool": "mail.send"} if n % 8 == 1 else {}), days=180))
    assert rules(mined, "forbid_tool") == [ForbidTool("mail.send", ("agent_review-1",))]
    [one] = [each for each in mined.restrictions if each.rule.kind == "forbid_tool"]
    assert "of 4 agents in this role only agent_review-1" in one.why
    assert (one.support.held_out, one.support.held_out_broken) == (90, 0)
    assert one.support.denied_at_most == pytest.approx(upper_bound(0, 90))
    few = mine(history(lambda n: {"tool": "mail.send"} if n % 8 == 1 else {}))
    assert rules(few, "forbid_tool") == [], "45 sessions test it, 59 are needed"


@pytest.mark.parametrize("uses", [lambda n: n >= 270 and n % 4 == 0, lambda n: n < 90 and n % 4 == 0])
def test_a_tool_of_one_release_is_not_confined_to_it_because_the_next_has_another_name(history, uses):
    def step(n):
        return four_a_day(n, agent_id=f"agent_review-v{n // 90}", **{"tool": "mail.send"} if uses(n) else {})

    assert subjects(mine(history(step, days=180)), "forbid_tool") == []


def test_a_tool_that_chance_may_have_left_to_one_agent_stays(history):
    assert subjects(mine(history(lambda n: {"tool": "mail.send"} if n in (1, 5) else {})), "forbid_tool") == []
    assert confined_to(Counter({"": 50}), Counter({"": 50, "b": 100, "c": 100}), Caution()) == frozenset()


@pytest.mark.parametrize(
    ("step", "days", "why"),
    [
        (lambda n: {} if n < 40 else None, 90, "40 honest sessions, 59 are needed"),
        (lambda n: {"at": BEGIN + timedelta(minutes=n)}, 90, "it may not be in use any more"),
        (lambda n: {}, 30, "no session in the last part"),
        (lambda n: {"at": BEGIN + timedelta(days=60 + n // 12)}, 90, "days of history, 35 are needed"),
        (lambda n: {"at": BEGIN + timedelta(days=(n // 20) * 10)}, 90, "used on 9 days, 15 are needed"),
        (lambda n: {"purpose": ""}, 90, "no purpose was declared"),
        (lambda n: {"role": ""}, 90, "no agent was named"),
        (lambda n: {"purpose": f"hash:{7:016x}"}, 90, "is redacted"),
        (lambda n: {"role": agent_role(f"hash:{n:016x}")}, 90, "is redacted"),
        (lambda n: {"parent_session_id": "nowhere"}, 90, "parent sessions are not in the archive"),
    ],
)
def test_with_too_little_history_nothing_is_proposed_and_it_says_so(history, step, days, why):
    mined = mine(history(step, days=days))
    assert mined.restrictions == ()
    assert why in mined.abstentions[0].why


def test_a_tool_that_was_granted_only_lately_is_too_young_to_judge(history):
    grant = lambda n: {"allowed_tools": ("contracts.read", "mail.send") if n > 150 else ("contracts.read",)}  # noqa: E731
    assert subjects(mine(history(grant)), "forbid_tool") == []


def test_a_tool_that_is_not_granted_any_more_is_not_spoken_of(history):
    grant = lambda n: {"allowed_tools": ("contracts.read", "mail.send") if n < 150 else ("contracts.read",)}  # noqa: E731
    assert subjects(mine(history(grant)), "forbid_tool") == []


def test_a_wildcard_that_honest_work_relies_on_stays_and_people_are_told_what_it_is_used_for(history):
    wild = {
        "allowed_tools": ("contracts.*", "mail.send"), "constraints": {"data_classes": ["te*", "prices", "x*"]},
    }  # fmt: skip
    mined = mine(history(lambda n: wild))
    assert subjects(mined, "forbid_tool") == ["mail.send"]
    assert subjects(mined, "forbid_data_class") == ["prices"]
    told = {each.text.split()[2]: each.text for each in mined.advice}
    assert list(told) == ["contracts.*", "te*", "x*"]
    assert "for review contracts, of which honest sessions used contracts.read." in told["contracts.*"]
    assert "used terms." in told["te*"]
    assert "used nothing." in told["x*"]
    unsaid = mine(history(lambda n: wild | ({"data_classes": None} if n == 9 else {})))
    assert [each.text.split()[2] for each in unsaid.advice] == ["contracts.*"]


def test_a_child_that_never_used_what_it_inherited_is_narrowed_on_its_edge(history, call):
    parents = [
        call(
            session_id=f"p{n}",
            decision_id=f"p{n}",
            at=BEGIN + timedelta(days=n // 2) - timedelta(minutes=1),
            role="boss",
        )
        for n in range(2 * DAYS)
    ]
    mined = mine(history(lambda n: {"parent_session_id": f"p{n}"}, more=parents))
    [one] = [r for r in mined.restrictions if r.rule.kind == "forbid_tool" and r.scope.role == "agent_review"]
    assert one.scope.parent_role == "boss"
    assert one.why == "inherited from boss, and never used"


@pytest.mark.parametrize("later", [timedelta(minutes=1), timedelta(hours=40)])
def test_a_child_that_acts_before_its_parents_first_call_needs_what_it_uses_on_its_edge(history, call, later):
    """An orchestrator that delegates first: each third child is at work before it. Gateways know the parent."""
    parents = [
        call(
            session_id=f"p{n}",
            decision_id=f"p{n}",
            at=BEGIN + timedelta(days=n // 2) + (later if n % 3 == 0 else -timedelta(minutes=1)),
            role="boss",
        )
        for n in range(2 * DAYS)
    ]
    known = history(
        lambda n: {"parent_session_id": f"p{n}", "tool": ("contracts.read", "mail.send")[n % 3 == 0]},
        more=parents,
    )
    mined = mine(known)
    edge = Scope("acme", "review contracts", "agent_review", "boss")
    assert [r.rule for r in mined.restrictions if r.scope == edge and r.rule.kind == "forbid_tool"] == []
    assert ForbidDataClass("prices") in [r.rule for r in mined.restrictions if r.scope == edge]
    unknown = [each for each in mined.abstentions if each.scope.parent_role == UNKNOWN_PARENT]
    assert bool(unknown) is (later > timedelta(hours=12)), (
        "it is looked for until the child has been silent so long"
    )


def test_what_children_of_unknown_parents_need_is_taken_from_no_edge_of_their_role(history, call):
    parents = [
        call(session_id=f"p{n}", decision_id=f"p{n}", at=BEGIN + timedelta(days=n // 2, minutes=-1), role="boss")
        for n in range(2 * DAYS)
    ]

    def edge(sent, records):
        lost = [
            call(session_id=f"x{n}", decision_id=f"x{n}", parent_session_id="before", at=BEGIN + timedelta(days=n),
                 constraints=CONSTRAINTS, data_classes=frozenset({"terms"}), tool=sent, records=records)
            for n in range(3)
        ]  # fmt: skip
        mined = mine(history(lambda n: {"parent_session_id": f"p{n}"}, more=[*parents, *lost]))
        return {each.rule for each in mined.restrictions if each.scope.parent_role == "boss"}

    prices = ForbidDataClass("prices")
    assert edge("contracts.read", 3) == {ForbidTool("mail.send"), prices, MaxRecords(5)}
    assert edge("mail.send", 3) == {prices, MaxRecords(5)}
    assert edge("contracts.read", 400) == {ForbidTool("mail.send"), prices}


def test_where_calls_do_not_say_their_data_classes_nothing_is_said(history):
    assert subjects(mine(history(lambda n: {"data_classes": None} if n == 9 else {})), "forbid_data_class") == []


@pytest.mark.parametrize(
    "listed", ["Renewal Terms", "renewal-terms", "renewalTerms", "RENEWAL_TERM", "Re\u0301sume\u0301"]
)
def test_a_data_class_is_needed_in_whatever_spelling_it_is_touched(history, listed):
    """As an envelope is held to it: a template without `PII` refuses `pii`."""
    told = {"constraints": {"data_classes": [listed, "Prices"]}}
    touched = lambda n: frozenset({"renewal_terms", "R\xe9sum\xe9"}) if n == 53 else frozenset()  # noqa: E731
    assert subjects(mine(history(lambda n: told | {"data_classes": touched(n)})), "forbid_data_class") == [
        "Prices"
    ]


def test_a_data_class_of_which_only_the_hash_is_known_is_not_spoken_of(history):
    names = [f"hash:{n:016x}" for n in (1, 2)]
    mined = mine(history(lambda n: {"constraints": {"data_classes": names}}))
    assert subjects(mined, "forbid_data_class") == []


def test_an_argument_is_pinned_also_where_both_sides_are_hashed_and_not_where_both_were_shaped(history):
    ids = [f"hash:{n:016x}" for n in (1, 2)]
    both = lambda n: {"arguments": {"contract": ids[n % 2]}, "constraints": {"contract_ids": ids}}  # noqa: E731
    assert rules(mine(history(both)), "pin_argument") == [
        PinArgument("contracts.read", "contract", True, "contract_ids")
    ]
    alike = {
        "arguments": {"contract": SHAPED},
        "constraints": {"contract_ids": ["xx"]},
        "bound": ("contract=contract_ids",),
    }
    assert rules(mine(history(lambda n: alike)), "pin_argument") == []


def test_an_argument_called_like_the_resource_is_pinned_by_its_own_value_only(history):
    def told(value):
        resource = {"resource_id": "c1", "resource_type": "contract"}
        return lambda n: resource | {
            "arguments": {"resource": {"id": value(n)}}, "bound": ("resource.id=contract_ids",)
        }  # fmt: skip

    pin = PinArgument("contracts.read", "resource.id", True, "contract_ids")
    assert rules(mine(history(told(lambda n: f"c{n % 2 + 1}"))), "pin_argument") == [pin]
    assert rules(mine(history(told(lambda n: f"doc {n}"))), "pin_argument") == []


def test_records_get_room_and_one_unusual_session_does_not_set_them(history):
    mined = mine(
        history(lambda n: {"records": 900, "one_in": 500.0} if n == 20 else {"records": 40 if n % 9 else 12})
    )
    assert [rule.limit for rule in rules(mined, "max_records")] == [80]
    needed = mine(history(lambda n: {"records": 600 if n == 20 else 12}))
    assert rules(needed, "max_records") == []


def test_a_session_that_does_not_say_its_records_is_no_evidence_of_how_many_it_needs(history):
    """180 sessions, 60 of them held out."""

    def limits(silent):
        mined = mine(history(lambda n: {"records": None if silent(n) else 5}))
        return [each for each in mined.restrictions if each.rule.kind == "max_records"]

    assert limits(lambda n: n not in (10, 150)) == []
    assert limits(lambda n: n in (170, 175)) == []
    [one] = limits(lambda n: n == 175)
    assert one.support.denied_at_most == pytest.approx(upper_bound(0, 59))
    assert (one.support.held_out, one.support.sessions) == (59, 179)
    assert one.why == "granted 1,000 records, none of the 179 sessions that said theirs ever needed more than 5"
    [one] = limits(lambda n: False)
    assert one.why == "granted 1,000 records, no session ever needed more than 5"
    assert (one.support.held_out, one.support.sessions) == (60, 180)


def test_a_session_that_does_not_say_the_records_of_every_call_shows_a_need_and_never_that_there_is_none(
    history, call
):
    def limits(silent, records=5):
        more = [
            call(
                session_id=f"s{n}", decision_id=f"report{n}", at=BEGIN + timedelta(days=n // 2, minutes=5),
                constraints=CONSTRAINTS, tool="reports.build", records=None if silent(n) else 0,
            )
            for n in range(2 * DAYS)
        ]  # fmt: skip
        mined = mine(history(lambda n: {"records": records if n == 175 else 5}, more=more))
        return [each for each in mined.restrictions if each.rule.kind == "max_records"]

    assert limits(lambda n: True) == []
    assert limits(lambda n: n in (170, 175)) == []
    [one] = limits(lambda n: n == 175)
    assert (one.rule.limit, one.support.held_out, one.support.sessions) == (8, 59, 179)
    assert "none of the 179 sessions that said theirs ever needed more than 5" in one.why
    assert limits(lambda n: n == 175, records=800) == [], "it took 800 at the least"


def test_what_a_session_took_before_a_long_silence_counts_with_what_it_takes_after(history, call):
    later = [
        call(
            session_id=f"s{n}",
            decision_id=f"later{n}",
            at=BEGIN + timedelta(days=n // 2 + 1, hours=1),
            constraints=CONSTRAINTS,
            records=60,
        )
        for n in range(2 * DAYS)
    ]
    assert rules(mine(history(lambda n: {"records": 60}, more=later)), "max_records") == [MaxRecords(200)]


def test_a_limit_beyond_what_policy_languages_count_is_no_limit(history):
    many = {"constraints": {"max_records": 10**30}, "records": 2**62}
    assert rules(mine(history(lambda n: many)), "max_records") == [MaxRecords(8 * 10**18)]
    assert rules(mine(history(lambda n: many | {"records": 2**63})), "max_records") == []


def test_a_limit_that_the_held_out_part_breaks_is_not_proposed(history):
    mined = mine(history(lambda n: {"records": 5 if n < 120 else 60 + n}, days=90))
    assert rules(mined, "max_records") == []


def test_hours_never_used_go_with_an_hour_of_room_on_both_sides(history):
    at = lambda n: {"at": BEGIN.replace(hour=9 + n % 3) + timedelta(days=n // 3), "session_id": f"s{n}"}  # noqa: E731
    mined = mine(history(at, days=135))
    assert rules(mined, "only_hours") == [OnlyHours((8, 9, 10, 11, 12))]


def test_envelopes_that_live_far_longer_than_their_sessions_are_shortened(history):
    mined = mine(history(lambda n: {"expires_at": BEGIN + timedelta(days=n // 2 + 2)}))
    assert [rule.seconds for rule in rules(mined, "max_lifetime")] == [900]
    short = mine(history(lambda n: {"expires_at": BEGIN + timedelta(days=n // 2, minutes=30)}))
    assert rules(short, "max_lifetime") == []


def test_no_template_is_shortened_by_what_is_counted_from_the_first_call(history):
    """Issued at midnight for a day, and first used at nine: 15 minutes from the issue would end all work."""
    past = history(lambda n: {"expires_at": BEGIN.replace(hour=0) + timedelta(days=n // 2 + 1)})
    [short] = [each for each in mine(past).restrictions if isinstance(each.rule, MaxLifetime)]
    assert short.rule.seconds == 900
    assert short.why.startswith("envelopes have 900 minutes left at the first call, ")
    [(_, scope)] = past.scopes.items()
    assert [EnvelopePatches().patch(grant, [short]) for grant in scope.current()] == [{}]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (lambda n: {"contract": f"c{n % 2 + 1}"}, PinArgument("contracts.read", "contract", True, "contract_ids")),
        (
            lambda n: {"contract": f"c{n % 2 + 1}"} if n % 3 else {},
            PinArgument("contracts.read", "contract", False, "contract_ids"),
        ),
        (
            lambda n: {"where": {"region": ("eu", "us")[n % 2]}},
            ArgumentIn("contracts.read", "where.region", True, ("eu", "us")),
        ),
        (lambda n: {"dry_run": True}, ArgumentIn("contracts.read", "dry_run", True, (True,))),
        (lambda n: {"limit": 5 + n % 20}, ArgumentAtMost("contracts.read", "limit", True, 50)),
        (lambda n: {"path": f"doc_{n}/a.pdf"}, ArgumentLike("contracts.read", "path", True, "doc_", "/a.pdf")),
        (
            lambda n: {"path": f"doc-{n}-final" if n % 4 else "doc-final"},
            ArgumentLike("contracts.read", "path", True, "doc-", ""),
        ),
        (lambda n: {"bill": f"INV-2026-{n:05}"}, ArgumentLike("contracts.read", "bill", True, "INV-", "")),
        (
            lambda n: {"kind": ("notify26", "year")[n % 2]},
            ArgumentIn("contracts.read", "kind", True, ("notify26", "year")),
        ),
        (lambda n: {"bill": f"FIN/FY26/{n:05}"}, ArgumentLike("contracts.read", "bill", True, "FIN/FY", "")),
        (lambda n: {"bill": f"RE-26-{n:05}"}, ArgumentLike("contracts.read", "bill", True, "RE-", "")),
        (lambda n: {"file": f"{n}_2026.pdf"}, ArgumentLike("contracts.read", "file", True, "", ".pdf")),
    ],
)
def test_arguments_that_never_were_anything_else_are_held_to_it(history, arguments, rule):
    mined = mine(history(lambda n: {"arguments": arguments(n)})).restrictions
    assert rule in [each.rule for each in mined]
    assert not any("True" in each.why for each in mined)


@pytest.mark.parametrize(
    "arguments",
    [
        lambda n: {"region": "us" if n == 77 else "eu"},  # seen once: others will come
        lambda n: {"region": "eu" if n < 120 else "us"},  # changed in the held-out part
        lambda n: {"q": f"{n}"},  # no form
        lambda n: {"dry_run": n % 2 == 0},  # there is no third truth value
        lambda n: {"q": f"{n}" if n % 2 else n},  # mixed kinds
        lambda n: {"q": f"~a{n % 2}"},  # redacted
        lambda n: {"~Aa": "eu", "of": {"~a a": {"dry_run": True}}},  # the names were
        lambda n: {"q": f"hash:{n:016x}"},
        lambda n: {"q": f"hash:{n % 2:016x}"},
        lambda n: {"q": "Bearer [redacted:jwt]"},
        lambda n: {"q": "[unscanned:too deep]"},
        lambda n: {"q": SHAPED},
        lambda n: {"q": 2**63 - 1 - n},  # no number that languages know leaves room
        lambda n: {"q": [n % 2]},  # a list
        lambda n: {"to": ["a@x", "b@x"] if n % 9 == 0 else "a@x"},  # now and then a list
        lambda n: {"to": {"name": "a"} if n % 9 == 0 else "a@x"},
        lambda n: {"path": "doc-final" if n > 120 and n % 2 else f"doc-{n}-final"},  # late, both ends in one
        lambda n: None,  # not logged
        lambda n: {"q": 1.5},
        lambda n: {"q": 12.5 if n == 77 else n % 20},  # not always a whole number
        lambda n: {"q": "x" * 200},
        lambda n: {"due": f"2026-0{1 + n % 9}-{10 + n % 17}T09:00:00"},  # next year's begin otherwise
        lambda n: {"period": "FY2026"},
        lambda n: {"period_of": "FY26"},
        lambda n: {"books": ("fy-26", "FY26/Q")[n % 2]},
        lambda n: {"fiscal_year": "26"},
        lambda n: {"fiscalYear": 26},
        lambda n: {"fy": 2026},
        lambda n: {"month": 1 + n // 70},
        lambda n: {"reportWeek": 5 + n // 20},
        lambda n: {"quarter": 1},
        lambda n: {"due": "Q1"},
        lambda n: {"due": ("January", "february")[n % 2]},
        lambda n: {"file": f"Q1_{n}_x"},
        lambda n: {"seq": 1000 + n * 7},  # it runs on
    ],
)
def test_arguments_that_vary_or_are_not_known_are_left_alone(history, arguments):
    mined = mine(history(lambda n: {"arguments": arguments(n)}))
    assert {each.rule.kind for each in mined.restrictions} <= {"forbid_tool", "forbid_data_class", "max_records"}


def test_an_identity_that_hides_many_purposes_is_pointed_out(history):
    mined = mine(history(lambda n: {"agent_id": "svc", "purpose": f"purpose {n % 6}"}))
    assert [(advice.subject, "serves 6 purposes" in advice.text) for advice in mined.advice] == [("svc", True)]


@pytest.mark.parametrize(
    ("own", "each", "told"), [(180, 1, True), (50, 130, True), (49, 131, False), (60, 2, False)]
)
def test_that_purposes_are_in_peoples_own_words_is_said_where_nothing_can_be_learnt_of_them(
    history, own, each, told
):
    """Of 180 sessions `own` have a purpose of their own, of the others `each` so many."""
    words = [f"look after {first} and {second}" for first in "abcdefghijklmno" for second in "pqrstuvwxyzü"]
    mined = mine(history(lambda n: {"purpose": words[n if n < own else own + (n - own) // each]}))
    said = [advice for advice in mined.advice if "own words" in advice.text]
    assert [advice.tenant_id for advice in said] == ["acme"] * told


def test_the_surface_counts_triples_of_what_is_granted(history):
    past = history(lambda n: {"resource_type": ("contract", "draft")[n % 2]})
    mined = mine(past)
    [(scope, of_scope)] = past.scopes.items()
    area = surface({scope: of_scope.current()[0]}, {scope: resources_of(of_scope)}, mined.restrictions)
    assert (area.before, area.after) == ((2 + 1) * 2, 2 * 1)
    assert area.removed == pytest.approx(2 / 3)


def test_the_surface_of_a_grant_that_lists_no_tools_is_not_nothing():
    scope = Scope("acme", "review", "agent_review")
    area = surface({scope: Grant((), ("terms", "prices"), None)}, {}, [])
    assert (area.before, area.after) == (2, 2)


def test_what_a_proposal_takes_is_counted_over_all_templates_of_a_role(call, tmp_path):
    """One has what the other lacks: `mail.send` would be cut of a template that is not counted."""
    templates = (("contracts.read", "a.cut"), ("contracts.read", "b.cut", "mail.send"))
    calls = [
        call(session_id=f"s{n}", decision_id=f"d{n}", at=BEGIN + timedelta(days=n // 2, minutes=n % 2),
             allowed_tools=templates[n % 2], constraints={"data_classes": ["terms", ("pii", "hr")[n % 2]]},
             data_classes=frozenset({"terms"}))
        for n in range(2 * DAYS)
    ]  # fmt: skip
    made, _ = proposed(
        lambda: calls, Trust(), tenant_id="acme", rejections=tmp_path / "none.yaml", update=lambda _: None,
        window=Held.of(asked=BEGIN, begins=BEGIN, until=BEGIN + timedelta(days=DAYS)), wanted=lambda _: True,
    )  # fmt: skip
    assert (made.surface.before, made.surface.after) == (4 * 3, 1)
    assert "| 3 of 4 | 2 of 3 |" in report(made, {})


def test_rare_grants_are_forgotten_and_the_order_of_the_report_is_stable(history):
    many = history(lambda n: {"constraints": {**CONSTRAINTS, "max_records": 1000 + n}})
    [(_, past)] = many.scopes.items()
    assert len(past.grants) == 32
    assert mine(many) == mine(many)


def test_bounds_are_clopper_pearsons():
    assert upper_bound(0, 59) < 0.05 < upper_bound(0, 58)
    assert upper_bound(3, 3) == 1.0
    assert upper_bound(1, 100) == pytest.approx(0.0466, abs=1e-4)  # the usual tables
    with pytest.raises(ValueError, match="events"):
        upper_bound(4, 3)


@pytest.mark.parametrize("wrong", [{"at_most": 0}, {"held_out": 1}, {"headroom": 0.5}, {"excess": 0}])
def test_caution_refuses_nonsense(wrong):
    with pytest.raises(ValueError, match="are"):
        Caution(**wrong)


def test_room_is_a_round_number():
    assert [roomy(n, 1.5) for n in (0, 3, 33, 1000)] == [1, 5, 50, 2000]


def test_reading_tools_are_known_by_their_verb():
    assert reads_only("contracts.read_excerpt")
    assert not reads_only("mail.send")


def test_of_a_tool_whose_arguments_agents_name_anew_nothing_is_said_and_little_is_kept(history):
    """However many calls there are, and however many arguments in one of them."""

    def fixed(n):
        return {"arguments": {"region": "eu"}}

    assert subjects(mine(history(fixed)), "argument_in") == ["contracts.read:region"]
    for step in (
        lambda n: {"arguments": {"region": "eu", **{f"{n}.{i}": 1 for i in range(20)}}},
        lambda n: {"arguments": {"region": "eu", **({f"x{i}": 1 for i in range(5000)} if n == 7 else {})}},
    ):
        known = history(step)
        assert subjects(mine(known), "argument_in") == []
        used = [use.tools["contracts.read"] for past in known.scopes.values() for use in (past.early, past.late)]
        assert all(len(use.arguments) <= MOST_ARGUMENTS for use in used)


def test_of_a_sessions_numbers_only_the_largest_is_kept(call):
    session = SessionUse.begin(call(at=BEGIN))
    for number in (*range(1000), 3):
        session.note(Placed(call(at=BEGIN, arguments={"page": number}), "", 0))
    assert session.tools["contracts.read"].arguments["page"].largest == Counter({1000: 1})


def test_a_call_with_many_values_of_its_envelope_takes_no_longer_than_its_length(call):
    """A time that grew with the square of their number would end no test run."""
    many = {f"a{i}": "c1" for i in range(80_000)}
    told = call(arguments=many, constraints=CONSTRAINTS)
    assert len(told.bound) == 80_000
    assert History.learn([told], trust=Trust(), split=BEGIN).calls == 1


PLANNER = {
    "role": "boss", "constraints": {"data_classes": ["terms", "prices", "notes"], "max_records": 1000},
    "allowed_tools": ("contracts.read", "mail.send", "tickets.create"), "records": 3,
    "data_classes": frozenset({"terms"}),
}  # fmt: skip


def delegated(call, history, *, child=lambda n: {}, before=timedelta(minutes=1), trust=None, step=lambda n: {}):
    """Planners that read, each with one child that holds and uses what they only delegate."""
    parents = [
        call(
            **PLANNER | step(n), session_id=f"p{n}", decision_id=f"p{n}",
            at=BEGIN + timedelta(days=n // 2, minutes=n % 2) - before,
        )
        for n in range(2 * DAYS)
    ]  # fmt: skip
    held = {
        "parent_session_id": None, "allowed_tools": ("mail.send",), "tool": "mail.send", "records": 1,
        "constraints": {"data_classes": ["prices"], "max_records": 400}, "data_classes": frozenset({"prices"}),
    }  # fmt: skip
    return history(lambda n: held | {"parent_session_id": f"p{n}"} | child(n), more=parents, trust=trust)


def taken(mined, role="boss"):
    """From its template too, and not by the policies alone."""
    here = [each for each in mined.restrictions if each.scope.role == role and not each.support.held_below]
    return {(each.rule.kind, each.rule.subject) for each in here}


UNUSED = {("forbid_tool", "tickets.create"), ("forbid_data_class", "notes")}


@pytest.mark.parametrize("before", [timedelta(minutes=1), timedelta(minutes=-1)])
def test_what_a_session_delegates_stays_in_its_template_also_where_the_child_acts_first(history, call, before):
    """A template without it makes every honest child wider than its parent."""
    past = delegated(call, history, before=before)
    mined = mine(past)
    assert taken(mined) == UNUSED | {("max_records", "records")}
    [scope] = [scope for scope in past.scopes if scope.role == "boss"]
    [grant] = past.scopes[scope].current()
    assert EnvelopePatches().patch(grant, [r for r in mined.restrictions if r.scope == scope]) == {
        "allowed_tools": ["contracts.read", "mail.send"],
        "resource_constraints": {"data_classes": ["prices", "terms"], "max_records": 400},
    }
    [limit] = [r for r in mined.restrictions if r.rule == MaxRecords(400)]
    assert limit.why.endswith(", nor was one below it granted more than 400")
    kept = {each.rule: each for each in mined.restrictions if each.support.held_below}
    assert set(kept) == {ForbidTool("mail.send"), ForbidDataClass("prices")}, "only policies refuse it"
    assert kept[ForbidTool("mail.send")].why.endswith("; held by 180 sessions below, so its template keeps it")
    assert not mined.advice
    used = {"tool": "mail.send", "data_classes": frozenset({"Prices"})}
    at_work = call(**PLANNER | used, session_id="p0", parent_session_id=None, tool_spelt="mail.send")
    asked = {"patched": patched_tools({scope: (grant,)}, mined.restrictions)}
    tested = backtest([at_work], mined.restrictions, Trust(), **asked)
    assert set(tested.by_restriction) == {kept[ForbidTool("mail.send")].id}, "the template still lists prices"


@pytest.mark.parametrize(
    ("child", "kept"),
    [
        ({"allowed_tools": ()}, {("forbid_tool", "tickets.create")}),
        ({"allowed_tools": ("t*",)}, {("forbid_tool", "tickets.create")}),
        ({"constraints": {"data_classes": ["*"], "max_records": 400}}, {("forbid_data_class", "notes")}),
        ({"constraints": {"data_classes": ["Notes"], "max_records": 400}}, {("forbid_data_class", "notes")}),
        ({"constraints": {"data_classes": ["prices"], "max_records": "all"}}, {("max_records", "records")}),
        ({"constraints": {}}, {("max_records", "records"), ("forbid_data_class", "notes")}),
    ],
)
def test_what_a_childs_envelope_does_not_list_counts_as_delegated(history, call, child, kept):
    whole = UNUSED | {("max_records", "records")}
    found = taken(mine(delegated(call, history, child=lambda n: child)))
    assert found - {("forbid_tool", "mail.send"), ("forbid_data_class", "prices")} == whole - kept


@pytest.mark.parametrize(("unusual", "flagged", "goes"), [(2, 0, True), (3, 0, False), (0, 2, True), (2, 9, True)])
def test_what_only_flagged_children_hold_or_one_or_two_unusual_ones_is_no_need(
    history, call, unusual, flagged, goes
):
    odd = [SessionKey("acme", f"s{n}") for n in range(40, 40 + unusual + flagged)]
    wide = {"allowed_tools": ("mail.send", "tickets.create")}
    trust = Trust(flagged=frozenset(odd[unusual:]), unusual=frozenset(odd[:unusual]))
    found = delegated(
        call, history, trust=trust, child=lambda n: wide if SessionKey("acme", f"s{n}") in odd else {}
    )
    assert (("forbid_tool", "tickets.create") in taken(mine(found))) is goes


def test_what_children_hold_of_whom_nobody_knows_who_delegated_is_left_to_people(history, call):
    past = delegated(call, history, child=lambda n: {"parent_session_id": "nowhere"})
    mined = mine(past)
    assert ("forbid_tool", "mail.send") in taken(mined)
    [told] = mined.advice
    assert told.subject == "agent_review"
    assert told.text.startswith(
        "holds mail.send, prices, its number of records for review contracts, delegated by sessions that are not"
    )
    unlimited = delegated(call, history, child=lambda n: {"parent_session_id": "nowhere", "allowed_tools": ("x",)})
    [told] = mine(unlimited).advice
    assert told.text.startswith("holds prices, its number of records for")


@pytest.mark.parametrize(("few", "told"), [(8, []), (9, ["agent_review"])])
def test_few_children_of_unknown_parents_are_like_the_others_of_their_role(history, call, few, told):
    """The window begins in the midst of work. That a clerk loses what helpers of others hold is none of theirs."""
    past = delegated(
        call, history, step=lambda n: {"role": ("boss", "clerk")[n % 2]},
        child=lambda n: {"parent_session_id": "before" if n < few else f"p{n - n % 2}"},
    )  # fmt: skip
    mined = mine(past)
    assert ("forbid_tool", "mail.send") in taken(mined, "clerk")
    assert [each.subject for each in mined.advice] == told


def test_of_a_wildcard_people_are_told_what_was_delegated_too(history, call):
    wild = {"allowed_tools": ("contracts.read", "mail.*"), "constraints": {"data_classes": ["*"]}}
    advice = [each.text for each in mine(delegated(call, history, step=lambda n: wild)).advice]
    assert [each.split(", of which ")[1].split(".  ")[0] for each in advice if "mail.*" in each] == [
        "honest sessions used or delegated mail.send. A list of what is needed would be narrower"
    ]
