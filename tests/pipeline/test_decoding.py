"""Which records are believed, at what time, and what becomes of the rest."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.batch import DeadLetter
from guardian.domain.finding import Effect, Kind
from guardian.domain.identity import NO_SLASH
from guardian.domain.session import HumanWord
from guardian.errors import DecodeError
from guardian.pipeline.decoding import LETTERS_OF_A_RECORD, Letters
from guardian.pipeline.side_findings import dead_letter_finding

LONG_AGO = datetime(2001, 2, 3, tzinfo=UTC)


def told_time(decoder, body, record, said: str, **more):
    decoded, letters = decoder.decode([record(body(time=said), **more)])
    assert letters == []
    return decoded[0].now, decoded[0].clock_suspect


@pytest.mark.parametrize(
    ("seconds", "suspect"),
    [
        (0, False),
        (-60, False),
        (300, False),
        (301, True),
        (-86_400, False),
        (-86_401, True),
        (10**8, True),
        (-(10**8), True),
    ],
)
def test_event_time_is_believed_within_bounds_of_the_brokers(
    make_decoder, body, record, now, seconds: int, suspect: bool
) -> None:
    said = now + timedelta(seconds=seconds)
    expected = (now, True) if suspect else (said, False)
    assert told_time(make_decoder(), body, record, said.isoformat()) == expected


@pytest.mark.parametrize(
    "said", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "9999-12-31T23:59:59Z"]
)
def test_a_time_at_the_end_of_the_calendar_is_not_believed(make_decoder, body, record, now, said: str) -> None:
    assert told_time(make_decoder(), body, record, said) == (now, True)
    assert told_time(make_decoder(), body, record, said, timestamp=None) == (now, True)


def test_a_broker_whose_clock_ends_the_calendar_crashes_nothing(make_decoder, body, record, now) -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert told_time(make_decoder(), body, record, last.isoformat(), timestamp=last) == (now, True)


@pytest.mark.parametrize(("seconds", "suspect"), [(300, False), (301, True), (7_200, True)])
def test_a_gateway_that_stamps_records_by_its_own_wrong_clock_vouches_for_no_future(
    make_decoder, body, record, now, seconds: int, suspect: bool
) -> None:
    ahead = now + timedelta(seconds=seconds)
    expected = (now, True) if suspect else (ahead, False)
    assert told_time(make_decoder(), body, record, ahead.isoformat(), timestamp=ahead) == expected


def test_a_session_is_not_revoked_for_an_expiry_that_only_its_gateways_clock_has_seen(
    world, body, record, now
) -> None:
    ahead, ends = now + timedelta(hours=2), now + timedelta(hours=1)
    call = body(time=ahead.isoformat(), envelope__expires_at=ends.isoformat())
    world.feed(record(call, timestamp=ahead))
    assert (world.state().actions, world.told(Kind.DRIFT)) == (1, [])


@pytest.mark.parametrize(("arrives", "expired"), [(59, False), (91, True)])
def test_a_call_that_arrived_before_its_envelope_expired_was_in_time_whatever_its_gateways_clock_says(
    new_world, make_decoder, body, record, now, later, arrives: int, expired: bool
) -> None:
    at = now + timedelta(seconds=arrives)
    world = new_world(decoder=make_decoder(clock=lambda: at))
    world.feed(record(body(time=later(120), envelope__expires_at=later(60)), timestamp=at))
    assert [b.name for f in world.told(Kind.DRIFT) for b in f.breaches] == ["envelope_expired"] * expired


@pytest.mark.parametrize(("told", "wanted"), [(-60, Effect.FLAG), (3_600, Effect.REVOKE)])
def test_what_a_gateway_sends_days_late_is_expired_for_certain_only_by_its_own_time(
    world, body, record, now, later, told: int, wanted: Effect
) -> None:
    """One that was cut off over the weekend made its calls in time, for all that anybody knows."""
    call = body(time=later(told - 3 * 86_400), envelope__expires_at=later(60 - 3 * 86_400))
    world.feed(record(call, timestamp=now))
    assert [b.name for f in world.told(Kind.DRIFT) for b in f.breaches] == ["envelope_expired"]
    assert [f.wanted for f in world.told(Kind.DRIFT)] == [wanted]


def test_an_expiry_at_the_end_of_the_calendar_breaks_nothing(world, body) -> None:
    for n, expiry in enumerate(("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00")):
        world.feed(body(n, envelope__expires_at=expiry, time=expiry, envelope__session_id=f"s{n}"))
    breaches = [{b.name for b in verdict.drift.breaches} for verdict in world.scored]
    assert "envelope_expired" not in breaches[0]
    assert "envelope_expired" in breaches[1]


def test_without_broker_time_only_the_future_and_the_impossible_are_suspect(
    make_decoder, body, record, now
) -> None:
    decoder = make_decoder()
    for said, believed in (
        (LONG_AGO, True),
        (now + timedelta(minutes=6), False),
        (datetime(1970, 1, 1, tzinfo=UTC), False),
    ):
        expected = (said, False) if believed else (now, True)
        assert told_time(decoder, body, record, said.isoformat(), timestamp=None) == expected


@pytest.mark.parametrize("later", [timedelta(0), timedelta(days=400)])
def test_an_old_record_is_taken_as_of_its_own_time_whenever_it_is_read(
    make_decoder, body, record, now, later: timedelta
) -> None:
    decoder, broken = make_decoder(clock=lambda: now + later), body(1, time=LONG_AGO.isoformat())
    decoded, letters = decoder.decode([record(body()), record(broken, 1), record(b"{", 2)])
    assert [(d.now, d.clock_suspect) for d in decoded] == [(now, False), (now, True)]
    assert letters[0].at == now


def test_the_letters_of_one_record_say_which_of_its_decisions_they_are_about(make_decoder, record) -> None:
    class Batch:
        def read(self, record):
            return [DecodeError("invalid", "no", tenant_id="acme", session_id=f"s{n}") for n in range(3)]

    _, letters = replace(make_decoder(), source=Batch()).decode([record(b"[]")])
    assert [(letter.entry, letter.session_id) for letter in letters] == [(0, "s0"), (1, "s1"), (2, "s2")]


def test_a_letter_without_broker_time_is_dated_by_the_clock(make_decoder, record) -> None:
    _, letters = make_decoder(clock=lambda: LONG_AGO).decode([record(b"{", timestamp=None)])
    assert letters[0].at == LONG_AGO


@given(st.lists(st.booleans(), max_size=12))
def test_every_record_comes_back_once_and_in_order(make_decoder, body, record, readable: list[bool]) -> None:
    records = [record(body(i) if good else b"junk", i) for i, good in enumerate(readable)]
    decoded, letters = make_decoder().decode(records)
    assert [d.record for d in decoded] == [r for r, good in zip(records, readable, strict=True) if good]
    assert [d.record for d in letters] == [r for r, good in zip(records, readable, strict=True) if not good]


def test_a_digest_is_of_the_untouched_bytes(make_decoder, record, body) -> None:
    spaced = json.dumps(body(), indent=1).encode()
    decoded, _ = make_decoder().decode([record(body()), record(body()), record(spaced)])
    assert decoded[0].digest == decoded[1].digest != decoded[2].digest


@pytest.mark.parametrize(
    ("gateway", "tenant", "believed"),
    [
        ("gw", "acme", True),
        ("gw", "globex", False),
        ("hub", "globex", True),
        ("nobody", "acme", False),
    ],
)
def test_a_gateway_speaks_only_for_its_tenants(
    make_decoder, body, record, gateway: str, tenant: str, believed: bool
) -> None:
    decoder = make_decoder(entitlements={"gw": frozenset({"acme"}), "hub": frozenset({"*"})})
    decoded, letters = decoder.decode([record(body(gateway=gateway, envelope__tenant_id=tenant))])
    assert bool(decoded) is believed
    assert [letter.code for letter in letters] == ([] if believed else ["gateway_not_entitled"])


@pytest.mark.parametrize("entitlements", [None, {"gw": frozenset({"*"})}, {"gw": frozenset({"acme"})}])
def test_a_tenant_that_no_path_can_name_is_not_heard_and_the_operators_are_told(
    new_world, make_decoder, body, entitlements
) -> None:
    world = new_world(decoder=make_decoder(entitlements=entitlements))
    world.feed(body(envelope__tenant_id="acme/eu"), body(1, envelope__session_id="eu/s1"))
    (finding,) = world.told(Kind.UNSCORABLE)
    assert (finding.tenant_id, finding.session_id) == ("guardian", "s1")
    assert finding.breaches[0].detail == f"envelope.tenant_id: {NO_SLASH}"
    assert (world.dead, world.state("eu/s1").actions) == (1, 1), "a session may be called anything"


@pytest.mark.parametrize("entitlements", [None, {"gw": frozenset({"*"})}, {"gw": frozenset({"acme"})}])
def test_no_session_is_one_of_every_tenant_at_once(new_world, make_decoder, body, entitlements) -> None:
    world = new_world(decoder=make_decoder(entitlements=entitlements))
    world.feed(body(envelope__tenant_id="*"))
    (finding,) = world.told(Kind.UNSCORABLE)
    assert (finding.tenant_id, finding.session_id, world.dead) == ("guardian", "s1", 1)
    assert "every tenant" in finding.breaches[0].detail


def test_a_foreign_gateway_is_reported_and_judged_by_nobody(new_world, make_decoder, body) -> None:
    world = new_world(decoder=make_decoder(entitlements={"gw": frozenset({"acme"})}))
    world.feed(*[body(n, gateway="intruder") for n in range(3)], body(9))
    (finding,) = world.told(Kind.ENTITLEMENT)
    assert (finding.tenant_id, finding.wanted, finding.severity) == ("guardian", Effect.FLAG, "high")
    assert "'intruder' is not granted tenant 'acme'" in finding.breaches[0].detail
    assert (world.state().actions, world.dead) == (1, 3)


def test_two_foreign_gateways_are_two_findings(new_world, make_decoder, body) -> None:
    world = new_world(decoder=make_decoder(entitlements={}))
    world.feed(body(1, gateway="intruder"), body(2, gateway="burglar"))
    assert len(world.told(Kind.ENTITLEMENT)) == 2


@pytest.mark.parametrize(
    ("headers", "gateway"),
    [
        ((), "t[0]"),
        ((("gateway", b"gw-7"),), "gw-7"),
        ((("Gateway", b"gw-7"),), "gw-7"),
        ((("gateway", b""),), "t[0]"),
        ((("gateway", b"\xff" * 999),), "\ufffd" * 512),
    ],
)
def test_a_dead_letter_knows_its_gateway_by_header_or_place(make_decoder, record, headers, gateway: str) -> None:
    _, letters = make_decoder().decode([record(b"{", headers=headers)])
    assert letters[0].gateway == gateway


def test_an_unreadable_record_of_a_known_session_is_unscorable_once_per_reason(world, body) -> None:
    broken = body(1, action__records=-1)
    world.feed(broken, broken)
    world.feed(broken, json.dumps(body(2)).encode()[:-9])
    told = world.told(Kind.UNSCORABLE)
    assert [(f.tenant_id, f.session_id, f.breaches[0].name) for f in told] == [
        ("acme", "s1", "invalid"),
        ("acme", "s1", "not_json"),
    ]
    assert {f.wanted for f in told} == {Effect.FLAG}
    assert not any(breach.hard for f in told for breach in f.breaches)


def test_what_cannot_be_judged_is_told_once_a_day_and_anew_after_peoples_word(world, body, record, now) -> None:
    def feed(day: int) -> int:
        batch = (record(body(action__records=-1), at, timestamp=now + timedelta(days=day)) for at in range(20))
        world.feed(*batch)
        return len(world.told(Kind.UNSCORABLE))

    assert [feed(0), feed(0), feed(1), feed(1)] == [1, 1, 2, 2]
    world.hear(HumanWord.FALSE_POSITIVE)
    assert [feed(1), feed(1), feed(2)] == [3, 3, 4], "dismissed is what was told, not what comes"
    assert feed(1) == 4, "delivered again it is what it was"


def test_a_gateway_that_speaks_for_a_foreign_tenant_is_told_once_a_day(
    new_world, make_decoder, body, record, now
) -> None:
    world = new_world(decoder=make_decoder(entitlements={}))
    for day in (0, 0, 1, 1):
        world.feed(record(body(day), timestamp=now + timedelta(days=day)))
    told = world.told(Kind.ENTITLEMENT)
    assert len(told) == 2
    event = body()
    gateway, tenant = event["gateway"], event["envelope"]["tenant_id"]
    assert told[0].title.startswith(f"Not entitled: gateway {gateway!r} is not granted tenant {tenant!r}")


@pytest.mark.parametrize(
    ("tenant", "session"), [("a\nb", "s1"), ("acme", "x" * 513), (None, "s1"), ("acme", None)]
)
def test_a_letter_whose_names_are_no_names_is_told_of_nobody(
    record, tenant: str | None, session: str | None
) -> None:
    letter = DeadLetter(record(b"{"), "invalid", "no", tenant_id=tenant, session_id=session)
    assert dead_letter_finding(letter, {}) is None


def test_a_letter_is_told_with_the_time_it_came_or_was_given_up(record, now) -> None:
    times = []
    for stamp, at in ((now, LONG_AGO), (None, LONG_AGO), (None, None)):
        letter = DeadLetter(
            record(b"{", timestamp=stamp), "invalid", "no", tenant_id="acme", session_id="s1", at=at
        )
        found = dead_letter_finding(letter, {"model": "m"})
        assert found is not None
        times.append(found.time)
    assert times == [now, LONG_AGO, datetime(1970, 1, 1, tzinfo=UTC)]


def test_bytes_that_name_nobody_are_dead_and_told_of_nobody(world) -> None:
    judgement = world.feed(b"", b"[1]", b"\x00\x01", b"null")
    assert (len(judgement.dead_letters), judgement.findings) == (4, ())


def test_a_signature_is_checked_on_what_the_gateway_wrote(make_decoder, body, record) -> None:
    seen = []

    def verify(event):
        seen.append(event)
        return "invalid"

    key = "AIza" + "b" * 35
    decoded, _ = make_decoder(verify=verify).decode([record(body(envelope__purpose=key))])
    assert seen[0].envelope.purpose == key
    assert decoded[0].signature == "invalid"
    assert "AIza" not in decoded[0].event.envelope.purpose


HIDING = [b'"\\ud800"', b"9" * 30, b"[" * 100 + b"]" * 100, b'{"a": 1, "a": 2}', b"NaN"]


@pytest.mark.parametrize("value", HIDING)
def test_a_call_is_judged_by_its_rules_whatever_an_agent_puts_into_it(world, body, value) -> None:
    call = body(1, action={"tool": "payments.create", "arguments": {"memo": "HERE"}})
    world.feed(json.dumps(call).encode().replace(b'"HERE"', value))
    (drift,) = world.told(Kind.DRIFT)
    assert [breach.name for breach in drift.breaches if breach.hard] == ["tool_not_allowed"]
    (part,) = world.told(Kind.UNSCORABLE)
    assert (part.title, part.session_id) == ("Part of a record could not be read", "s1")
    assert (world.state().actions, world.dead) == (1, 1), "judged, and kept for people"


def test_a_part_that_cannot_be_read_is_told_of_the_session_that_the_record_is_of(
    make_decoder, body, record
) -> None:
    forged = {"gateway": "gw-b", "tenant_id": "globex", "session_id": "victim", "n": "HERE"}
    value = json.dumps(body(1, action__arguments=forged), sort_keys=True).encode().replace(b'"HERE"', b"9" * 30)
    entitlements = {"gw": frozenset({"acme"}), "gw-b": frozenset({"globex"})}
    decoded, letters = make_decoder(entitlements=entitlements).decode([record(value)])
    assert [d.event.key for d in decoded] == [("acme", "s1")]
    assert [(x.gateway, x.tenant_id, x.session_id, x.judged) for x in letters] == [("gw", "acme", "s1", True)]
    decoded, letters = make_decoder(entitlements=entitlements).decode([record(value[:-1])])
    assert decoded == []
    assert [(x.gateway, x.tenant_id, x.session_id, x.judged) for x in letters] == [("gw", "acme", "s1", False)]


def test_a_gateway_that_is_not_entitled_is_not_heard_in_part_either(make_decoder, body, record) -> None:
    value = json.dumps(body(1, action__arguments={"n": "HERE"})).encode().replace(b'"HERE"', b"NaN")
    decoded, letters = make_decoder(entitlements={}).decode([record(value)])
    assert (decoded, [letter.code for letter in letters]) == ([], ["gateway_not_entitled"])


def test_of_one_record_there_are_few_letters_however_many_decisions_it_holds(make_decoder, record) -> None:
    class Batch:
        def read(self, _record):
            sessions = [f"s{n // 3}" for n in range(300)]
            return [DecodeError("invalid", "why", tenant_id="acme", session_id=session) for session in sessions]

    decoder = replace(make_decoder(), source=Batch())
    decoded, letters = decoder.decode([record(b"{}")])
    assert decoded == []
    assert [letter.session_id for letter in letters] == [f"s{n}" for n in range(LETTERS_OF_A_RECORD)]
    assert [letter.entry for letter in letters] == list(range(0, 3 * LETTERS_OF_A_RECORD, 3))
    assert letters[-1].reason == f"why; and {300 - LETTERS_OF_A_RECORD} more decisions of this record"


def test_the_letters_of_a_record_are_not_kept_to_be_counted(record) -> None:
    alive: set[int] = set()

    class Counted(DeadLetter):
        def __init__(self, *given, **named) -> None:
            super().__init__(*given, **named)
            alive.add(id(self))
            most.append(len(alive))

        def __del__(self) -> None:
            alive.discard(id(self))

    most: list[int] = []
    letters = Letters()
    for n in range(1000):
        letters.add(Counted(record(b""), "invalid", "no", "acme", f"s{n}", entry=n))
    assert letters.kept()[-1].reason == "no; and 984 more decisions of this record"
    assert max(most) <= LETTERS_OF_A_RECORD + 2
