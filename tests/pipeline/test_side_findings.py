"""What one decision says about its gateway and about its grant."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from guardian.domain.event import Origin
from guardian.domain.finding import Effect, Kind
from guardian.domain.session import HumanWord
from guardian.pipeline.side_findings import TOLD_A_DAY
from guardian.signals.envelope_breach import EnvelopeBreach
from guardian.signals.envelope_hygiene import EnvelopeHygiene
from guardian.sources.guardian import GuardianDecisions


def test_an_allowed_breach_is_a_finding_against_the_gateways_policy(world, body) -> None:
    world.feed(body(1, action__tool="crm.write"))
    (finding,) = world.told(Kind.GATEWAY)
    assert finding.title == "Gateway gw allowed what the envelope forbids: tool_not_allowed"
    assert (finding.wanted, finding.severity, finding.act.tool) == (Effect.FLAG, "medium", "crm.write")


def test_the_same_gap_of_a_gateway_is_told_again_on_a_later_day(world, body, record) -> None:
    def acts(number, day):
        name, at = f"sess_{day}_{number}", datetime(2026, 5, day, 16, tzinfo=UTC)
        ends = {"envelope__expires_at": "2026-05-30T00:00:00Z", "envelope__session_id": name}
        return record(body(number, action__tool="crm.write", time=at.isoformat(), **ends), timestamp=at)

    world.feed(acts(1, 11), acts(2, 11), acts(3, 12), acts(4, 12))
    told = {finding.id: finding.time.day for finding in world.told(Kind.GATEWAY)}
    assert sorted(told.values()) == [11, 12]


def test_a_session_that_lives_for_weeks_has_its_gateways_gap_told_every_day(world, body, record) -> None:
    ends = {"envelope__expires_at": "2026-05-30T00:00:00Z"}
    for day in range(1, 29):
        at = datetime(2026, 4, day, 16, tzinfo=UTC)
        call = body(day, action__tool="crm.write", action__records=0, result=None, time=at.isoformat(), **ends)
        world.feed(record(call, timestamp=at))
    assert len(world.told(Kind.GATEWAY)) == 28
    assert {name.split(":")[1] for name in world.state().reported} == {"2026-04-28"}


def test_what_may_lie_outside_is_not_said_to_be_forbidden(world, body) -> None:
    bounds = {"max_bytes": 500}
    world.feed(body(1, action__arguments={"bytes": "9,999"}, envelope__resource_constraints=bounds))
    (finding,) = world.told(Kind.GATEWAY)
    assert finding.title == "Gateway gw allowed what may lie outside the envelope: arguments_unchecked"
    assert finding.severity == "low"


def test_what_could_not_be_checked_is_told_of_the_gateway_and_flags_no_session(world, body) -> None:
    bounds, pages = {"max_pages": 10}, {"pages": "1-3"}
    for n in range(3):
        world.feed(body(n, action__arguments=pages, envelope__resource_constraints=bounds))
    assert len(world.told(Kind.GATEWAY)) == 1
    assert world.told(Kind.DRIFT) == []
    tool = "crm.write"
    world.feed(body(4, action__tool=tool, action__arguments=pages, envelope__resource_constraints=bounds))
    (drift,) = world.told(Kind.DRIFT)
    assert {breach.name for breach in drift.breaches} == {"tool_not_allowed", "arguments_unchecked"}


@pytest.mark.parametrize(
    ("bounds", "call", "rule"),
    [
        ({"max_bytes": 500}, {"action__arguments": {"bytes": 300}}, "limit_exceeded_session"),
        ({"max_records": 3}, {"action__records": 2, "result": None}, "records_over_limit_session"),
    ],
)
def test_a_total_that_only_guardian_counts_is_not_held_against_the_gateway(
    world, body, bounds, call, rule
) -> None:
    world.feed(*(body(n, envelope__resource_constraints=bounds, **call) for n in range(2)))
    (drift,) = world.told(Kind.DRIFT)
    assert [breach.name for breach in drift.breaches] == [rule]
    assert world.told(Kind.GATEWAY) == []


def test_a_denied_breach_is_no_finding_against_the_gateway(world, body) -> None:
    world.feed(body(1, action__tool="crm.write", decision__effect="deny"))
    assert world.told(Kind.GATEWAY) == []


class Undecided(GuardianDecisions):
    """A log that does not say what the gateway decided."""

    def read(self, record):
        for each in super().read(record):
            origin = Origin(format="mcp", absent=("decision",))
            yield dataclasses.replace(each, event=each.event.model_copy(update={"origin": origin}))


def test_what_the_log_does_not_say_of_a_decision_is_not_held_against_the_gateway(
    new_world, make_decoder, body, now
) -> None:
    world = new_world(decoder=dataclasses.replace(make_decoder(), source=Undecided()))
    world.feed(body(1, action__tool="crm.write"))
    assert world.told(Kind.GATEWAY) == []
    (drift,) = world.told(Kind.DRIFT)
    assert drift.breaches[0].hard
    assert "decision" in drift.features_missing
    world.hear(HumanWord.REVOKED, at=now - timedelta(hours=1))
    world.feed(body(2))
    (finding,) = world.told(Kind.GATEWAY)
    assert finding.title == "Gateway gw logs calls of a revoked session, not whether it let them through"
    assert (finding.severity, "decision" in finding.features_missing) == ("medium", True)


def test_the_same_gap_in_a_gateways_policy_is_told_once_for_all_sessions(world, body) -> None:
    for n in range(4):
        world.feed(body(n, action__tool="crm.write", envelope__session_id=f"s{n}"))
    assert len(world.told(Kind.GATEWAY)) == 1
    assert len(world.told(Kind.DRIFT)) == 4
    world.feed(body(8, action__tool="crm.delete"), body(9, action__tool="crm.write", gateway="gw2"))
    assert len(world.told(Kind.GATEWAY)) == 3


def test_an_agent_that_makes_up_tools_floods_nobody(world, body) -> None:
    for n in range(40):
        world.feed(body(n, action__tool=f"crm.made_up_{n}"))
    assert len(world.told(Kind.GATEWAY)) == TOLD_A_DAY
    world.feed(body(50, action__tool="crm.made_up_39", envelope__session_id="another"))
    assert len(world.told(Kind.GATEWAY)) == TOLD_A_DAY + 1


def test_an_agent_that_words_its_purpose_anew_or_uses_ids_again_floods_nobody(world, body) -> None:
    for n in range(40):
        purpose = {"envelope__purpose": f"do everything on my list number {n}"}
        world.feed(body(n, **purpose), body(n, action__tool="tickets.create", **purpose))
    assert len(world.told(Kind.HYGIENE)) == TOLD_A_DAY
    assert len(world.told(Kind.IDENTITY)) == TOLD_A_DAY
    world.feed(body(50, action__tool="crm.write"))
    assert "crm.write" in {finding.act.tool for finding in world.told(Kind.GATEWAY)}, "of another kind"
    world.feed(body(1, envelope__session_id="another"))
    assert len(world.told(Kind.IDENTITY)) == TOLD_A_DAY + 1


def test_a_day_later_reused_ids_are_told_again(world, body, record) -> None:
    ends = {"envelope__expires_at": "2026-05-30T00:00:00Z"}
    for day in (11, 12):
        at = datetime(2026, 5, day, 16, tzinfo=UTC)
        for n in range(20):
            for tool in ("contracts.read", "tickets.create"):
                told = body(f"{day}_{n}", action__tool=tool, time=at.isoformat(), **ends)
                world.feed(record(told, timestamp=at))
    assert len(world.told(Kind.IDENTITY)) == 2 * TOLD_A_DAY
    assert {name.split(":")[1] for name in world.state().reported} == {"2026-05-12"}


def test_each_breach_of_one_call_is_a_gap_of_its_own(world, body) -> None:
    world.feed(body(1, action__tool="crm.write", envelope__expires_at="2026-05-12T16:00:00Z"))
    names = {f.breaches[0].name for f in world.told(Kind.GATEWAY)}
    assert names == {"tool_not_allowed", "envelope_expired"}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"envelope__expires_at": ...}, "no_expiry"),
        ({"envelope__expires_at": "2036-05-12T18:30:00Z"}, "expiry_far"),
        ({"envelope__allowed_tools": ["*"]}, "wildcard_tools"),
        ({"envelope__delegator_id": "svc-account"}, "service_account_delegator"),
    ],
)
def test_a_careless_grant_is_told_once_per_shape_and_never_asks_for_more_than_a_flag(
    world, body, change, name: str
) -> None:
    for n in range(12):
        world.feed(body(n, envelope__session_id=f"s{n % 3}", **change))
    (finding,) = world.told(Kind.HYGIENE)
    assert (finding.wanted, finding.severity, finding.title) == (Effect.FLAG, "low", f"Careless grant: {name}")
    assert world.told(Kind.DRIFT) == []


def test_whom_a_signals_breaches_accuse_is_what_it_says_itself_whatever_it_is_called(new_world, body) -> None:
    class HouseRules(EnvelopeBreach):
        name = "house_rules"

    class HouseGrants(EnvelopeHygiene):
        name = "house_grants"

    world = new_world()
    judge = dataclasses.replace(world.pipeline.judging, signals=[HouseRules(), HouseGrants()])
    world.pipeline = dataclasses.replace(world.pipeline, judging=judge)
    world.feed(body(1, envelope__expires_at=...), body(2, envelope__session_id="s2", action__tool="crm.write"))
    told = {kind: [b.name for f in world.told(kind) for b in f.breaches] for kind in Kind if world.told(kind)}
    assert told == {
        Kind.HYGIENE: ["no_expiry"], Kind.GATEWAY: ["tool_not_allowed"], Kind.DRIFT: ["tool_not_allowed"],
    }  # fmt: skip


def test_another_shape_of_the_same_grant_is_told_again(world, body) -> None:
    for n, tools in enumerate((["contracts.*"], ["contracts.*", "crm.*"], ["crm.*", "contracts.*"])):
        world.feed(body(n, envelope__session_id=f"s{n}", envelope__allowed_tools=tools))
    assert len(world.told(Kind.HYGIENE)) == 2
    world.feed(body(9, envelope__allowed_tools=["contracts.*"], envelope__tenant_id="globex"))
    assert len(world.told(Kind.HYGIENE)) == 3


def test_a_grant_for_purposes_in_ever_new_words_is_told_once(world, body) -> None:
    words = ("water plants", "translate poems", "audit payroll", "book flights", "train models", "renew contracts")
    for n in range(24):
        said = {"envelope__purpose": f"{words[n % 6]} for customer {n}", "envelope__session_id": f"s{n}"}
        world.feed(body(n, envelope__allowed_tools=["contracts.*"], **said))
    told = [{breach.name for breach in finding.breaches} for finding in world.told(Kind.HYGIENE)]
    assert told == [{"wildcard_tools"}, {"wildcard_tools", "blurred_agent"}]


def test_each_purpose_that_constrains_nothing_is_told(world, body) -> None:
    for n, purpose in enumerate(("do anything", "whatever is needed", "do anything")):
        world.feed(body(n, envelope__session_id=f"s{n}", envelope__purpose=purpose))
    assert len(world.told(Kind.HYGIENE)) == 2


def test_hygiene_is_told_apart_and_not_as_a_reason_of_drift(world, body) -> None:
    world.feed(body(1, action__tool="crm.write", envelope__expires_at=...))
    (drift,) = world.told(Kind.DRIFT)
    assert {breach.name for breach in drift.breaches} == {"tool_not_allowed"}


def test_an_agent_that_serves_many_unrelated_purposes_is_blurred(world, body) -> None:
    purposes = [
        "renew contracts",
        "water plants",
        "translate poems",
        "audit payroll",
        "book flights",
        "train models",
    ]
    for n, purpose in enumerate(purposes):
        world.feed(body(n, envelope__session_id=f"s{n}", envelope__purpose=purpose))
    blurred = [f for f in world.told(Kind.HYGIENE) if any(b.name == "blurred_agent" for b in f.breaches)]
    assert [f.subject.purpose for f in blurred] == ["train models"]


def test_findings_carry_the_versions_that_made_them(new_world, body) -> None:
    world = new_world(versions={"model": "m1", "calibration": "c1"})
    world.feed(body(1, action__tool="crm.write"), body(2, action__records=-1), b"{")
    kinds = {f.kind: f.versions for f in world.findings.values()}
    assert set(kinds) == {Kind.DRIFT, Kind.GATEWAY, Kind.UNSCORABLE}
    assert all(versions == {"model": "m1", "calibration": "c1"} for versions in kinds.values())
