"""Parents as recorded facts, and sessions that come back with more than they had."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from guardian.bootstrap.sources import formats_of
from guardian.domain.envelope import Envelope
from guardian.domain.finding import Effect, Kind
from guardian.domain.record import Record
from guardian.domain.session import HumanWord, Stage
from guardian.domain.signal import CHAIN_KEPT
from guardian.pipeline.filling import Filling
from guardian.pipeline.pipeline import Pipeline
from guardian.response.ladder import Ladder
from guardian.signals.delegation_widening import DelegationWidening
from guardian.signals.envelopes.ownership import named_sessions
from guardian.sources.completing import Completion
from guardian.sources.reading import Reader
from guardian.sources.tool_names import ToolNames

CHILD = {"envelope__session_id": "child", "envelope__parent_session_id": "s1"}
NARROW = {**CHILD, "envelope__allowed_tools": ["contracts.read"], "envelope__expires_at": "2026-05-12T18:00:00Z"}


def digest(body) -> str:
    return Envelope.model_validate_json(json.dumps(body["envelope"])).digest


def names(world) -> set[str]:
    return {breach.name for breach in world.scored[-1].drift.breaches}


def at(body, now, seconds: float) -> Record:
    when = now + timedelta(seconds=seconds)
    return Record("t", 0, 0, json.dumps({**body, "time": when.isoformat()}).encode(), timestamp=when)


def test_a_parent_not_seen_yet_is_waited_for_and_then_unknown(world, body, now) -> None:
    for n, seconds in enumerate((0, 30, 59)):
        world.feed(at(body(n, **NARROW), now, seconds))
        assert "parent_unknown" not in names(world)
    world.feed(at(body(9, **NARROW), now, 60))
    assert "parent_unknown" in names(world)


def test_the_wait_for_a_parent_is_a_setting(new_world, body, now) -> None:
    world = new_world(parent_grace=timedelta(seconds=5))
    world.feed(at(body(1, **NARROW), now, 0))
    world.feed(at(body(2, **NARROW), now, 5))
    assert "parent_unknown" in names(world)


def test_a_parent_that_comes_in_time_is_compared_with(world, body, now) -> None:
    world.feed(at(body(1, **CHILD), now, 0))
    assert names(world) == set()
    world.feed(at(body(2), now, 10), at(body(3, **CHILD), now, 20))
    assert names(world) == {"copied_authority"}
    world.feed(at(body(4, **NARROW), now, 90))
    assert "parent_unknown" not in names(world)


def test_a_child_that_widens_its_parent_is_a_breach_in_the_same_batch(world, body) -> None:
    world.feed(body(1), body(2, **CHILD, envelope__allowed_tools=["contracts.read", "crm.write"]))
    assert "wider_tools" in names(world)
    assert [f.session_id for f in world.told(Kind.DRIFT)] == ["child"]


def test_a_parent_of_another_tenant_is_nobodys_parent(world, body, now) -> None:
    world.feed(at(body(1), now, 0))
    child = {**NARROW, "envelope__tenant_id": "globex"}
    world.feed(at(body(2, **child), now, 0), at(body(3, **child), now, 61))
    assert "parent_unknown" in names(world)


def test_a_child_of_a_revoked_parent_is_a_breach(world, body, now) -> None:
    world.feed(body(1))
    world.hear(HumanWord.REVOKED, at=now)
    world.feed(body(2, **NARROW))
    assert "parent_revoked" in names(world)


def test_a_child_that_people_gave_back_below_a_revoked_parent_is_not_accused_of_it(world, body, now) -> None:
    world.feed(body(1))
    world.hear(HumanWord.REVOKED, at=now)
    for session in ("child", "other"):
        world.hear(HumanWord.REVOKED, session=session, at=now)
    world.hear(HumanWord.REINSTATED, session="child", at=now, detail="parent_revoked")
    world.hear(HumanWord.REINSTATED, session="other", at=now)
    world.feed(body(2, **NARROW), body(3, **{**NARROW, "envelope__session_id": "other"}))
    assert [found.session_id for found in world.told(Kind.DRIFT)] == ["other"]


def under(session: str, parent: str | None, **more) -> dict[str, object]:
    return {"envelope__session_id": session, "envelope__parent_session_id": parent, **more}


def accusers(world) -> set[str]:
    found = world.scored[-1].drift.breaches
    return {breach.detail for breach in found if breach.name == "parent_revoked"}


@pytest.mark.parametrize("between", [["s2"], ["s2", "s3"]])
def test_below_a_revoked_session_a_grandchild_is_told_though_the_one_between_rests(
    world, body, now, between
) -> None:
    line = ["s1", *between, "last"]
    for n, (parent, name) in enumerate(zip([None, *line], line, strict=False)):
        world.feed(body(n, **under(name, parent)))
    world.hear(HumanWord.REVOKED, at=now)
    world.feed(body(10, **under("last", line[-2])))
    assert accusers(world) == {"above its parent s1 is revoked"}
    world.hear(HumanWord.REVOKED, session=line[-2], at=now)
    world.feed(body(11, **under("last", line[-2])))
    assert accusers(world) == {f"its parent {line[-2]} is revoked"}, "the nearest is named"
    for name in ("s1", line[-2]):
        world.hear(HumanWord.REINSTATED, session=name, at=now)
    world.feed(body(12, **under("last", line[-2])))
    assert accusers(world) == set()


@pytest.mark.parametrize("back", [True, False])
def test_a_grandchild_that_people_gave_back_below_a_revoked_session_is_not_accused_of_it(
    world, body, now, back: bool
) -> None:
    world.feed(body(1), body(2, **NARROW), body(3, **under("last", "child")))
    world.hear(HumanWord.REVOKED, at=now)
    if back:
        world.hear(HumanWord.REINSTATED, session="last", at=now, detail="parent_revoked")
    world.feed(body(4, **under("last", "child")))
    told = {breach.name for finding in world.told(Kind.DRIFT) for breach in finding.breaches}
    assert ("parent_revoked" in told) is not back


def test_whom_a_denied_call_put_above_a_session_its_children_do_not_answer_for(world, body, now) -> None:
    world.feed(body(1, **under("bad", None)), body(2, **under("s1", "bad"), **DENIED))
    world.hear(HumanWord.REVOKED, session="bad", at=now)
    world.feed(body(3, **NARROW), body(4, **under("last", "child")))
    assert "parent_revoked" not in {b.name for v in world.scored[-2:] for b in v.drift.breaches}


def test_a_session_that_stands_above_itself_is_not_its_own_revoked_parent(world, body, now) -> None:
    world.feed(body(1), body(2, **NARROW), body(3, **under("last", "child")))
    world.hear(HumanWord.REVOKED, session="child", at=now)
    world.feed(body(4, **under("child", "last")))
    assert names(world) >= {"delegation_cycle"}
    assert accusers(world) == set()


def test_who_scores_sessions_alone_knows_of_no_revoked_parent(new_world, body, now) -> None:
    world = new_world(across_sessions=False)
    world.feed(body(1))
    world.hear(HumanWord.REVOKED, at=now)
    world.feed(body(2, **NARROW))
    assert accusers(world) == set()


def test_a_parent_that_was_revoked_before_it_ever_acted_is_a_breach(world, body, now) -> None:
    world.hear(HumanWord.REVOKED, at=now)
    world.feed(body(1, **NARROW))
    assert names(world) == {"parent_revoked"}


def test_a_parent_that_never_acts_is_known_by_what_was_registered_for_it(world, body) -> None:
    world.register(body()["envelope"])
    world.feed(body(1, **NARROW))
    assert names(world) == set()
    world.feed(body(2, **{**NARROW, "envelope__allowed_tools": ["payments.send"]}))
    assert "wider_tools" in names(world)


def test_a_registered_parent_that_is_itself_delegated_is_not_taken_at_its_word(world, body, now) -> None:
    middle = {**body()["envelope"], "session_id": "mid", "parent_session_id": "s1"}
    world.register({**middle, "allowed_tools": ["payments.send"]})
    wide = body(
        2, **{**NARROW, "envelope__parent_session_id": "mid", "envelope__allowed_tools": ["payments.send"]}
    )
    world.feed(at(body(1), now, 0), at(wide, now, 0), at({**wide, "id": "later"}, now, 61))
    assert "parent_unknown" in names(world)


def test_what_is_registered_for_a_parent_says_nothing_to_those_who_score_sessions_alone(new_world, body) -> None:
    world = new_world(across_sessions=False)
    world.register(body()["envelope"])
    world.feed(body(1, **{**NARROW, "envelope__allowed_tools": ["payments.send"]}))
    assert "wider_tools" not in names(world)


def asks_after(body, number: int, session: str, named: object, **more):
    action = {"tool": "crm.read", "arguments": {"session_id": named}}
    more = {"envelope__agent_id": f"agent of {session}", **more}
    return body(number, envelope__session_id=session, action=action, **more)


def accused(world) -> dict[str, bool]:
    told = sorted(world.scored[-1].drift.breaches, key=lambda breach: breach.hard)
    return {breach.name: breach.hard for breach in told if breach.name in BY_NAME}


BY_NAME = ("session_mismatch", "arguments_unchecked")


@pytest.fixture
def observe_names(make_decoder, body, record):
    """Which sessions are looked up that a call of sess_1 names so."""

    def names_of(*said: str) -> frozenset[str]:
        event = make_decoder().decode([record(asks_after(body, 1, "sess_1", []))])[0][0].event
        told = event.action.model_copy(update={"arguments": {"session_ids": list(said)}})
        return named_sessions(event.model_copy(update={"action": told}))

    return names_of


@pytest.fixture
def family(world, body):
    """sess_1 delegated to sess_2, that to sess_3; sess_4 is another child of sess_1, and sess_9 nobody's kin."""
    lines = {1: None, 2: 1, 3: 2, 4: 1}
    for n, parent in lines.items():
        above = None if parent is None else f"sess_{parent}"
        ids = {"envelope__session_id": f"sess_{n}", "envelope__parent_session_id": above}
        world.feed(body(n, **ids, envelope__agent_id=f"agent of sess_{n}", envelope__task_id=None))
    world.feed(body(9, envelope__session_id="sess_9", **OF_NINE))
    return world


OF_NINE = {"envelope__agent_id": "agent of sess_9", "envelope__task_id": "task_9"}


def test_a_session_may_ask_after_those_that_it_delegated_to(family, body) -> None:
    for n, named in enumerate(("sess_2", "sess_3", ["sess_2", "sess_3", "sess_4"]), start=10):
        family.feed(asks_after(body, n, "sess_1", named, envelope__task_id=None))
        assert accused(family) == {}
    assert family.state("sess_1").stage is Stage.CLEAR


def test_a_session_of_another_work_is_nobodys_to_name_even_among_ones_own(family, body) -> None:
    for n, session in enumerate(("sess_1", "sess_3"), start=10):
        parent = {"envelope__parent_session_id": "sess_2"} if session == "sess_3" else {}
        named = ["sess_2", "sess_5", "sess_9"]
        family.feed(asks_after(body, n, session, named, envelope__task_id=None, **parent))
        assert accused(family) == {"session_mismatch": True}
        assert family.state(session).stage is Stage.REVOKED


@pytest.mark.parametrize(
    ("session", "named", "more"),
    [
        ("sess_1", "sess_5", {"envelope__task_id": None}),
        ("sess_4", "sess_3", {"envelope__task_id": None, "envelope__parent_session_id": "sess_1"}),
        ("sess_8", "sess_9", {"envelope__task_id": "task_9"}),
        ("sess_8", "sess_9", {"envelope__task_id": None, "envelope__agent_id": "agent of sess_9"}),
    ],
    ids=["a child that has not acted yet", "of one family", "of one task", "of one agent for one delegator"],
)
def test_a_session_that_nobody_knows_to_be_anothers_flags_and_is_no_proof(
    family, body, session: str, named: str, more
) -> None:
    family.feed(asks_after(body, 10, session, named, **more))
    assert accused(family) == {"session_mismatch": False}
    assert family.state(session).stage is Stage.FLAGGED


@pytest.mark.parametrize(
    ("delegator", "agent"),
    [("user_other", "agent of sess_9"), ("user_7f3a91", "another agent"), ("user_7f3a91", None)],
)
def test_a_session_in_other_hands_is_anothers(family, body, delegator: str, agent: str | None) -> None:
    hands = {"envelope__delegator_id": delegator, "envelope__agent_id": agent}
    family.feed(asks_after(body, 10, "sess_8", "sess_9", envelope__task_id=None, **hands))
    assert accused(family) == {"session_mismatch": True}


@pytest.mark.parametrize(("who", "untold"), [("agent", None), ("agent", "-"), ("delegator", "-")])
def test_whose_hands_nobody_told_nobody_knows(world, body, who: str, untold: str | None) -> None:
    hands = {"envelope__agent_id": "agent_1", "envelope__task_id": None, f"envelope__{who}_id": untold}
    world.feed(body(9, envelope__session_id="sess_9", **hands), asks_after(body, 10, "sess_8", "sess_9", **hands))
    assert accused(world) == {"session_mismatch": True}


UUIDS = [f"{n}3f2c1d0-0000-4000-8000-00000000000{n}" for n in range(3)]


@pytest.mark.parametrize(
    ("own", "named"), [(UUIDS[0], UUIDS[2]), ("sess_s7_00043", "sess_2NzT9qVb1kYx0aLrM3cWd8eFgHi")]
)
def test_a_browsers_session_that_any_system_might_call_so_is_noted_and_asks_for_nothing(
    world, body, own: str, named: str
) -> None:
    world.feed(*(asks_after(body, n, own, named, envelope__task_id=None) for n in range(3)))
    assert accused(world) == {"arguments_unchecked": False}
    (told,) = {breach.detail for breach in world.scored[-1].drift.breaches if breach.name == "arguments_unchecked"}
    assert named in told
    assert (world.told(Kind.DRIFT), world.state(own).stage) == ([], Stage.CLEAR)


@pytest.mark.parametrize("other", [UUIDS[1], UUIDS[1].replace("-", "")])
@pytest.mark.parametrize("named", [UUIDS[1], UUIDS[1].replace("-", ""), f"{{{UUIDS[1].upper()}}}"])
def test_where_a_session_of_that_name_is_known_here_it_flags(world, body, other: str, named: str) -> None:
    world.feed(body(1, envelope__session_id=other, envelope__task_id="task_9"))
    world.feed(asks_after(body, 2, UUIDS[0], named, envelope__task_id=None))
    assert accused(world) == {"session_mismatch": False}
    assert world.state(UUIDS[0]).stage is Stage.FLAGGED


def test_to_name_the_parent_that_has_not_acted_yet_flags_as_to_name_any_parent(world, body) -> None:
    child = {"envelope__parent_session_id": UUIDS[1], "envelope__task_id": None}
    world.feed(asks_after(body, 2, UUIDS[0], UUIDS[1], **child))
    assert accused(world) == {"session_mismatch": False}


def test_a_session_that_was_only_ever_denied_proves_no_other_work(family, body) -> None:
    family.feed(body(5, envelope__session_id="sess_5", envelope__task_id=None, **DENIED))
    family.feed(asks_after(body, 10, "sess_1", "sess_5", envelope__task_id=None))
    assert accused(family) == {"session_mismatch": False}


@pytest.mark.parametrize("odd", ["sess_\ud800", "sess_\x00", "sess_" + "9" * 600])
def test_a_name_that_no_store_can_be_asked_for_is_not_looked_up(observe_names, odd: str) -> None:
    assert observe_names(odd, "sess_9") == {"sess_9"}


def test_more_sessions_than_are_looked_up_are_no_hiding_place(family, body) -> None:
    many = [f"sess_{n}" for n in range(1_000, 1_129)]
    family.feed(asks_after(body, 10, "sess_1", many, envelope__task_id=None))
    assert accused(family) == {"session_mismatch": True}


def test_who_scores_sessions_alone_makes_no_proof_of_a_name(new_world, body) -> None:
    world = new_world(across_sessions=False)
    world.feed(asks_after(body, 5, UUIDS[0], UUIDS[1]))
    assert accused(world) == {"session_mismatch": False}, "nor does it know that there is none"
    world.feed(body(1, envelope__session_id="sess_9"), asks_after(body, 2, "sess_1", "sess_9"))
    assert accused(world) == {"session_mismatch": False}


def test_the_chain_above_a_session_is_remembered_nearest_first(world, body) -> None:
    world.feed(body(1))
    for n in range(2, 9):
        parent = "s1" if n == 2 else f"c{n - 1}"
        world.feed(body(n, envelope__session_id=f"c{n}", envelope__parent_session_id=parent))
    assert world.state("c4").ancestors == ("c3", "c2", "s1")
    assert "chain_too_deep" in names(world)


def test_a_grandchild_may_act_for_the_person_at_the_head_of_its_chain_and_for_no_other(world, body) -> None:
    middle = {**NARROW, "envelope__delegator_id": "agent_renewal_review", "envelope__agent_id": "agent_b"}
    below = {"envelope__session_id": "below", "envelope__parent_session_id": "child"}
    world.feed(body(1), body(2, **middle))
    world.feed(body(3, **{**NARROW, **below}))
    assert "changed_delegator" not in names(world)
    world.feed(body(4, **{**NARROW, **below}, envelope__delegator_id="user_other"))
    assert "changed_delegator" in names(world)
    world.feed(
        body(5, **{**NARROW, **middle, **below, "envelope__session_id": "x", "envelope__agent_id": "agent_x"})
    )
    world.feed(body(6, **NARROW | {"envelope__session_id": "y", "envelope__parent_session_id": "x"}))
    assert "changed_delegator" not in names(world)


def test_below_a_chain_whose_head_is_unread_nobody_is_accused_of_acting_for_another(world, body) -> None:
    first = {**NARROW, "envelope__session_id": "c2", "envelope__delegator_id": "agent_1"}
    second = {**NARROW, "envelope__session_id": "c3", "envelope__parent_session_id": "c2"}
    second["envelope__delegator_id"] = "agent_2"
    below = {**NARROW, "envelope__session_id": "below", "envelope__parent_session_id": "c3"}
    world.feed(body(2, **first), body(3, **second), body(1), body(4, **below))
    assert "changed_delegator" not in names(world)
    world.feed(body(5, **first), body(6, **second), body(7, **below))
    assert "changed_delegator" not in names(world)
    assert world.state("c3").principals == ("agent_1", "agent_renewal_review", "user_7f3a91")
    world.feed(body(8, **below | {"envelope__delegator_id": "user_other"}))
    assert "changed_delegator" in names(world)


def test_below_a_session_that_spells_no_delegator_a_child_still_acts_for_somebody_above_it(world, body) -> None:
    middle = {**NARROW, "envelope__delegator_id": "-", "envelope__agent_id": "-"}
    below = {**NARROW, "envelope__session_id": "below", "envelope__parent_session_id": "child"}
    further = {**below, "envelope__session_id": "further", "envelope__parent_session_id": "below"}
    world.feed(body(1), body(2, **middle), body(3, **below), body(4, **further))
    assert names(world).isdisjoint({"changed_delegator", "unclear_delegator"})
    world.feed(body(5, **{**further, "envelope__delegator_id": "user_other"}))
    assert "unclear_delegator" in names(world)
    assert names(world).isdisjoint({"changed_delegator"})
    assert world.state("below").principals == ("", "user_7f3a91", "agent_renewal_review")


def test_below_a_session_whose_agent_nobody_told_a_stranger_may_be_that_agent(world, body) -> None:
    nameless, below = {"envelope__agent_id": None}, {**NARROW, "envelope__session_id": "below"}
    below |= {"envelope__parent_session_id": "child", "envelope__delegator_id": "agent_orchestrator"}
    world.feed(body(1, **nameless), body(2, **NARROW), body(3, **below))
    assert {(b.name, b.hard) for b in world.scored[-1].drift.breaches} >= {("unclear_delegator", False)}
    assert world.state("child").principals == ("user_7f3a91", "")
    assert [finding.wanted for finding in world.told(Kind.DRIFT) if finding.session_id == "below"] == [Effect.FLAG]


def test_who_stands_above_a_session_is_remembered_while_its_parent_is_unseen(world, body) -> None:
    world.feed(body(1), body(2, **NARROW), body(3, **{**NARROW, "envelope__parent_session_id": "unseen"}))
    assert world.state("child").principals == ("user_7f3a91", "agent_renewal_review")


def test_the_greatest_depth_that_may_be_allowed_can_still_be_exceeded(new_world, body) -> None:
    deepest = DelegationWidening(max_depth=CHAIN_KEPT - 1)
    world = new_world()
    world.pipeline = replace(world.pipeline, judging=replace(world.pipeline.judging, signals=[deepest]))
    world.feed(body(0, envelope__session_id="c0"))
    for n in range(1, CHAIN_KEPT):
        world.feed(body(n, envelope__session_id=f"c{n}", envelope__parent_session_id=f"c{n - 1}"))
    assert "chain_too_deep" not in names(world)
    world.feed(body(99, envelope__session_id="deepest", envelope__parent_session_id=f"c{CHAIN_KEPT - 1}"))
    assert "chain_too_deep" in names(world)


def test_a_session_that_is_its_own_ancestor_is_a_cycle(world, body) -> None:
    world.feed(body(1, envelope__parent_session_id="child"), body(2, **CHILD))
    assert "delegation_cycle" in names(world)


def test_a_ring_is_the_breach_of_who_closes_it_and_of_none_beside_or_below(world, body) -> None:
    ring = [body(1, envelope__parent_session_id="child"), body(2, **CHILD)]
    beside, below = ({**NARROW, "envelope__session_id": name} for name in ("beside", "below"))
    world.feed(*ring, body(3, **beside), body(4, **{**below, "envelope__parent_session_id": "child"}))
    world.feed(body(5, envelope__parent_session_id="child"), body(6, **CHILD))
    accused = [
        v.decoded.event.id for v in world.scored if "delegation_cycle" in {b.name for b in v.drift.breaches}
    ]
    assert accused == ["dec_2", "dec_6"]


def test_a_root_that_its_child_hands_back_to_is_the_root_that_it_was(world, body, now) -> None:
    world.feed(body(1), body(2, **NARROW), body(3, envelope__parent_session_id="child"))
    assert names(world) == set()
    world.hear(HumanWord.REVOKED, session="child", at=now)
    world.feed(body(4, envelope__parent_session_id="child"))
    assert names(world) == set()
    world.feed(body(5, envelope__parent_session_id="child", envelope__allowed_tools=["mail.send"]))
    assert names(world) >= {"reissued_tools"}


def test_a_child_whose_log_comes_after_its_hand_over_is_in_no_ring(world, body) -> None:
    below = {**NARROW, "envelope__session_id": "below", "envelope__parent_session_id": "child"}
    world.feed(body(1), body(2, envelope__parent_session_id="below"), body(3, **NARROW), body(4, **below))
    world.feed(body(5, envelope__parent_session_id="below"), body(6, **NARROW), body(7, **below))
    told = {breach.name for verdict in world.scored for breach in verdict.drift.breaches if breach.hard}
    assert (told, world.state("below").ancestors) == (set(), ("child", "s1"))


def test_a_child_that_names_one_below_it_as_its_parent_is_a_cycle(world, body) -> None:
    below = {**NARROW, "envelope__session_id": "below", "envelope__parent_session_id": "child"}
    world.feed(body(1), body(2, **NARROW), body(3, **below))
    world.feed(body(4, **{**NARROW, "envelope__parent_session_id": "below"}))
    assert names(world) >= {"delegation_cycle", "reissued_parent"}


def test_a_session_reissued_with_more_is_named(world, body) -> None:
    world.feed(body(1))
    world.feed(body(2, envelope__allowed_tools=["contracts.read", "crm.read", "mail.send"]))
    assert "reissued_tools" in names(world)
    world.feed(body(3, envelope__purpose="send newsletters"))
    assert "reissued_purpose" in names(world)
    assert world.state().envelope.purpose == body()["envelope"]["purpose"]  # the first one stays the yardstick
    world.feed(body(4, envelope__expires_at="2026-05-13T18:30:00Z"))
    assert "reissued_expiry" in names(world)


EARLY, LATE, LATEST = "2026-05-12T17:30:00Z", "2026-05-12T18:30:00Z", "2026-05-12T20:30:00Z"


def renewed(until: str | None, **more) -> dict[str, object]:
    return {"envelope__expires_at": until, **more}


def test_the_children_of_a_renewed_parent_are_held_to_its_longest_expiry(world, body, now) -> None:
    world.feed(body(1, **renewed(EARLY)), body(2, **renewed(LATE)), body(3, **renewed(EARLY)))
    world.feed(at(body(4, **NARROW), now, 3000))
    assert names(world) == set()
    world.feed(at(body(5, **{**NARROW, **renewed(LATEST)}), now, 3000))
    assert names(world) >= {"later_expiry"}


@pytest.mark.parametrize(
    ("signed", "registers", "hard"), [(False, False, True), (True, False, False), (True, True, True)]
)
def test_a_parent_that_waits_for_its_children_may_have_been_renewed_unseen(
    new_world, make_decoder, body, signed: bool, registers: bool, hard: bool
) -> None:
    world = new_world(decoder=make_decoder(verify=lambda _: "valid" if signed else "absent"))
    parent = body(1, **renewed(EARLY))
    if registers:
        world.register(parent["envelope"])
    world.feed(parent, body(2, **{**NARROW, **renewed(LATEST)}))
    assert ("later_expiry", hard) in {(breach.name, breach.hard) for breach in world.scored[-1].drift.breaches}


def test_a_parent_that_was_renewed_for_ever_bounds_no_childs_expiry(world, body) -> None:
    world.feed(body(1, **renewed(EARLY)), body(2, **renewed(None)), body(3, **NARROW))
    assert names(world) == set()


def test_nothing_is_hidden_behind_more_tools_than_are_compared(new_world, body) -> None:
    """Or a session that grew would be silent."""
    world = new_world(ladder=Ladder(flag_one_in=1e12, revoke_one_in=1e12))
    bounds = {"vaults": ["vault_1"], "max_amount": 100}
    wild = {"envelope__allowed_tools": [f"a{n:03}*" for n in range(100)], "action__tool": "a001"}
    many = [*wild["envelope__allowed_tools"], *(f"a001{n}" for n in range(10_500))]
    world.feed(body(1, **wild, envelope__resource_constraints=bounds))
    grown = wild | {"envelope__allowed_tools": [*many, "payments.send"]}
    world.feed(body(2, **grown, envelope__resource_constraints=bounds))
    assert names(world) >= {"wider_unclear"}
    assert [finding.wanted for finding in world.told(Kind.DRIFT)] == [Effect.FLAG]
    wider = {**bounds, "vaults": ["vault_1", "vault_2"]}
    world.feed(body(3, **grown, envelope__resource_constraints=wider))
    assert "reissued_resources" in names(world), "a list without wildcards is compared all the same"


def test_a_parent_that_only_tried_with_a_longer_envelope_is_not_renewed(world, body) -> None:
    world.feed(body(1, **renewed(EARLY)), body(2, **renewed(LATE, decision__effect="deny")), body(3, **NARROW))
    assert "later_expiry" in names(world)


@pytest.mark.parametrize("how", ["signed", "registered", None])
def test_a_renewal_by_who_may_issue_envelopes_flags_nobody(new_world, make_decoder, body, how: str | None) -> None:
    world = new_world(decoder=make_decoder(verify=lambda _: "valid" if how == "signed" else "absent"))
    for n, until in enumerate((EARLY, LATE, LATEST, None)):
        call = body(n, **renewed(until))
        if how == "registered":
            world.hear(HumanWord.REGISTERED, detail=digest(call))
        world.feed(call)
        assert names(world) - {"no_expiry"} == ({"renewed" if how else "reissued_expiry"} if n else set())
    told = [] if how else ["Its envelope was issued again to last longer"]
    assert [f.title for f in world.told(Kind.DRIFT)] == told
    world.feed(body(9, **renewed(LATEST, envelope__allowed_tools=["*"])))
    assert "reissued_tools" in names(world)
    assert world.state().stage is Stage.FLAGGED


@pytest.mark.parametrize(
    ("name", "found"),
    [("not_before", "renewed"), ("valid_until", "renewed"), ("created_before", "reissued_expiry")],
)
def test_a_renewal_covers_when_the_envelope_holds_not_which_data_it_is_for(
    world, body, name: str, found: str
) -> None:
    years = (2027, 2024) if name == "not_before" else (2024, 2027)
    first, later = (
        body(n, envelope__resource_constraints={name: f"{year}-01-01"}) for n, year in enumerate(years)
    )
    world.hear(HumanWord.REGISTERED, detail=digest(first))
    world.hear(HumanWord.REGISTERED, detail=digest(later))
    world.feed(first, later)
    assert names(world) == {found}


def test_a_renewal_that_was_registered_counts_before_the_parent_acts_again(world, body) -> None:
    world.feed(body(1, **renewed(EARLY)))
    world.register(body(**renewed(LATE))["envelope"])
    world.feed(body(2, **NARROW))
    assert names(world) == set()


def test_a_wider_reissue_of_a_parent_is_told_and_widens_no_child(world, body) -> None:
    wider = {"max_records": 9000}
    tools = ["contracts.read", "crm.read", "mail.send"]
    world.feed(body(1, **renewed(EARLY)))
    world.feed(body(2, **renewed(LATE, envelope__allowed_tools=tools, envelope__resource_constraints=wider)))
    assert names(world) == {"reissued_tools", "reissued_resources", "reissued_limits", "reissued_expiry"}
    grown = {**NARROW, "envelope__allowed_tools": ["mail.send"], "envelope__resource_constraints": wider}
    world.feed(body(3, **grown))
    assert names(world) >= {"wider_tools", "wider_resources", "wider_limits"}


def test_a_child_that_drops_its_revoked_parent_is_told(world, body, now) -> None:
    world.feed(body(1), body(2, **NARROW))
    world.hear(HumanWord.REVOKED, at=now)
    world.feed(body(3, **{**NARROW, "envelope__parent_session_id": None}))
    assert names(world) == {"reissued_parent"}


def test_a_session_reissued_with_less_is_no_breach(world, body) -> None:
    world.feed(
        body(1), body(2, envelope__allowed_tools=["contracts.read"], envelope__expires_at="2026-05-12T18:00:00Z")
    )
    assert names(world) == set()


def test_a_forged_envelope_is_not_what_its_children_are_compared_with(new_world, make_decoder, body) -> None:
    def verify(event):
        return "invalid" if event.envelope.delegator_id == "mallory" else "valid"

    world = new_world(decoder=make_decoder(verify=verify))
    forged = {"envelope__delegator_id": "mallory", "envelope__allowed_tools": ["crm.read"]}
    world.feed(body(1, **forged, decision__effect="deny"), body(2), body(3, **NARROW))
    assert names(world) == set()
    world.feed(body(4, **forged, envelope__expires_at="2026-06-12T18:30:00Z"))
    assert world.state().renewed is None


EVERYTHING = {"envelope__allowed_tools": ["*"], "envelope__resource_constraints": {}}
DENIED = {"decision__effect": "deny"}
PAYS = {"envelope__allowed_tools": ["payments.send"], "action__tool": "payments.send"}


def test_what_a_denied_call_claims_is_not_what_a_session_and_its_children_are_measured_by(world, body) -> None:
    world.feed(body(1, **EVERYTHING, **DENIED), body(2))
    assert names(world) == set()
    world.feed(body(3, **EVERYTHING, action__tool="payments.send"))
    assert names(world) >= {"reissued_tools", "reissued_resources", "reissued_limits"}
    world.feed(body(4, **{**NARROW, **EVERYTHING, **PAYS}))
    assert names(world) >= {"wider_tools", "wider_resources", "wider_limits"}


def test_a_denied_forgery_is_not_held_against_the_session_that_it_names(world, body) -> None:
    below = {"envelope__parent_session_id": "other", "envelope__delegator_id": "user_mallory"}
    world.feed(body(1, envelope__session_id="other"), body(2, **below, **DENIED), body(3))
    assert names(world) == set()
    world.feed(body(4, **below, **DENIED), body(5, **NARROW))
    assert (names(world), world.state("child").ancestors) == (set(), ("s1",))


def test_whom_a_denied_call_put_above_a_session_nobody_below_it_acts_for(world, body) -> None:
    mallory = {"envelope__delegator_id": "user_mallory"}
    world.feed(body(1, envelope__session_id="other", **mallory))
    world.feed(body(2, envelope__parent_session_id="other", **DENIED), body(3))
    assert (world.state().principals, world.state().root_purpose) == ((), "")
    world.feed(body(4, **NARROW, **mallory))
    assert names(world) == {"changed_delegator"}


def test_a_denied_call_makes_no_ring_of_a_session_and_its_child(world, body) -> None:
    ring = {"envelope__parent_session_id": "child"}
    world.feed(body(1, **ring, **DENIED), body(2, **NARROW))
    assert (names(world), world.state("child").ancestors) == (set(), ("s1",))
    world.feed(body(3, **ring), body(4, **NARROW))
    assert names(world) == {"delegation_cycle"}, "what was allowed does"


def test_a_session_that_was_only_ever_denied_is_nobodys_parent(world, body, now) -> None:
    world.feed(at(body(1, **EVERYTHING, **DENIED), now, 0))
    for n, seconds in enumerate((0, 61), 2):
        world.feed(at(body(n, **{**NARROW, **PAYS}), now, seconds))
    assert names(world) == {"parent_unknown"}


@pytest.mark.parametrize("how", ["signed", "registered"])
def test_an_envelope_that_was_issued_is_the_sessions_own_whatever_becomes_of_its_first_call(
    new_world, make_decoder, body, how: str
) -> None:
    world = new_world(decoder=make_decoder(verify=lambda _: "valid" if how == "signed" else "absent"))
    if how == "registered":
        world.hear(HumanWord.REGISTERED, detail=digest(body()))
    world.feed(body(1, **DENIED), body(2, **{**NARROW, **PAYS}))
    assert "wider_tools" in names(world)
    world.feed(body(3, envelope__allowed_tools=["*"]))
    assert "reissued_tools" in names(world)


def test_a_forged_parent_makes_no_ring_of_a_sessions_children(new_world, make_decoder, body) -> None:
    def verify(event):
        return "invalid" if event.envelope.delegator_id == "mallory" else "valid"

    world = new_world(decoder=make_decoder(verify=verify))
    world.feed(body(1, envelope__delegator_id="mallory", envelope__parent_session_id="child"), body(2, **NARROW))
    assert "delegation_cycle" not in names(world)


@pytest.fixture
def two_formats(new_world, make_decoder, make_judge):
    """A log that holds guardian's own format, in which tools keep their names, beside adapted ones."""
    source = Reader(formats_of("auto", {}), Completion(tenant="acme"))
    world = new_world()
    world.pipeline = Pipeline(replace(make_decoder(), source=source), make_judge(), Filling(rename=ToolNames().of))
    return world


def adapted(body) -> dict:
    """The same decision as OPA's log has it."""
    action, envelope = body["action"], body["envelope"]
    asked = {"tool": action["tool"], "arguments": action["arguments"], "envelope": envelope}
    asked |= {"session_id": envelope["session_id"], "tenant": envelope["tenant_id"]}
    return {
        "decision_id": body["id"], "labels": {"app": body["gateway"]}, "path": "mcp/allow", "input": asked,
        "result": True, "timestamp": body["time"],
    }  # fmt: skip


READS, READ = ["mcp__contracts__read", "mcp__crm__read"], ["contracts.read", "crm/read"]


@pytest.mark.parametrize("later", [{}, CHILD])
@pytest.mark.parametrize("own_first", [True, False])
@pytest.mark.parametrize("tools", [READS, READ])
@pytest.mark.parametrize("at_once", [True, False])
def test_one_list_of_tools_in_two_formats_grows_by_no_spelling(
    two_formats, body, later, own_first, tools, at_once
) -> None:
    own, other = (READS, tools) if own_first else (tools, READS)
    first = body(1, action__tool=own[1], envelope__allowed_tools=own)
    then = body(2, action__tool=other[1], envelope__allowed_tools=other, **later)
    pair = (first, adapted(then)) if own_first else (adapted(first), then)
    for batch in (pair,) if at_once else ((each,) for each in pair):
        two_formats.feed(*batch)
    assert not names(two_formats) & {"reissued_tools", "wider_tools"}
    grown = [*other, "mcp__mail__send"]
    third = body(3, action__tool=other[1], envelope__allowed_tools=grown, **later)
    two_formats.feed(adapted(third) if own_first else third)
    more = {each.name: each.detail for each in two_formats.scored[-1].drift.breaches}
    found = [more[name] for name in ("reissued_tools", "wider_tools") if name in more]
    assert found
    assert all("mail" in detail and "crm" not in detail for detail in found)


def test_in_a_log_of_guardians_own_format_alone_every_name_is_a_tool_of_its_own(new_world, body) -> None:
    world = new_world()
    filling = Filling(rename=ToolNames(name="{tool}").of, adapts=False)
    world.pipeline = replace(world.pipeline, filling=filling)
    world.feed(body(1, action__tool="read", envelope__allowed_tools=["read"]))
    tool = "mcp__mail__read"
    world.feed(body(2, action__tool=tool, envelope__allowed_tools=[tool]))
    assert "reissued_tools" in names(world)
