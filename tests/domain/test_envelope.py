"""An envelope's digest: the same for the same grant however it is spelt, another for every other grant."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.envelope import UNTOLD, UNTOLD_AGENT, Envelope

GRANT: dict[str, Any] = {
    "delegator_id": "user_1",
    "tenant_id": "acme",
    "session_id": "s1",
    "task_id": "task_1",
    "purpose": "review_contract",
    "allowed_tools": ["contracts.read", "crm.read"],
    "resource_constraints": {"contract_ids": ["c1"], "max_records": 25},
    "expires_at": "2026-05-12T18:30:00+00:00",
    "agent_id": "agent_1",
    "parent_session_id": "s0",
}
OTHERS: dict[str, list[Any]] = {
    "delegator_id": ["user_2"],
    "tenant_id": ["globex"],
    "session_id": ["s2", "S1"],
    "task_id": ["task_2", None],
    "purpose": ["pay_invoice", "", "review_contract "],
    "allowed_tools": [["contracts.read"], [], ["contracts.read", "crm.read", "*"]],
    "resource_constraints": [{}, {"contract_ids": ["c1"], "max_records": 26}, {"contract_ids": ["c1"]}],
    "expires_at": ["2026-05-12T18:30:01+00:00", "2026-05-12T18:30:00+01:00", None],
    "agent_id": ["agent_2", None],
    "parent_session_id": ["s9", None],
}
names = st.text(st.characters(blacklist_categories=["Cc", "Cs"]), min_size=1, max_size=8)
numbers = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
moments = st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1))
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
grants = st.fixed_dictionaries(
    {
        "delegator_id": names,
        "tenant_id": names,
        "session_id": names,
        "purpose": names,
        "allowed_tools": st.lists(names, max_size=5).map(tuple),
        "resource_constraints": st.dictionaries(names, values, max_size=3),
        "expires_at": st.none() | moments,
    }
)


def read(body: dict[str, Any]) -> Envelope:
    return Envelope.model_validate_json(json.dumps(body))


@given(grants, st.randoms(use_true_random=False), zones)
def test_the_order_of_tools_the_time_zone_and_extra_fields_do_not_count(grant, random, zone) -> None:
    tools = [*grant["allowed_tools"], *grant["allowed_tools"]]
    random.shuffle(tools)
    expires_at = grant["expires_at"] and grant["expires_at"].astimezone(zone)
    spelt = {**grant, "allowed_tools": tuple(tools), "expires_at": expires_at, "ticket": 7, "_note": ["x"]}
    fields = dict(reversed(spelt.items()))
    assert Envelope(**fields).digest == Envelope(**grant).digest


def test_the_digests_that_were_stored_are_found_again() -> None:
    odd = {"z": 25.0, "a": {"ids": ["é", 2.5, None, True], "y": 1e300, "x": -0.0}, "€": '"\\\n\x7f'}
    told = json.dumps({**GRANT, "purpose": "Prüfe 😀", "resource_constraints": odd})
    digest = Envelope.model_validate_json(told).digest
    assert digest == "fee1fd487b21108ef48f7118b5b1dddf7b5121d07a5eed217d4efb344dc925d8"


@given(grants)
def test_a_digest_survives_the_log_and_the_store(grant) -> None:
    envelope = Envelope(**grant)
    assert Envelope.model_validate_json(envelope.model_dump_json()).digest == envelope.digest


@given(grants, grants)
def test_grants_share_a_digest_only_where_no_field_differs(one, other) -> None:
    a, b = Envelope(**one), Envelope(**other)
    assert (a.digest == b.digest) is (a.differs_from(b) == ())
    assert a.differs_from(b) == b.differs_from(a)


def test_every_named_field_counts_and_is_named_where_it_differs() -> None:
    assert set(OTHERS) == set(Envelope.model_fields)
    grant = read(GRANT)
    digests = {grant.digest}
    for name, others in OTHERS.items():
        for other in others:
            changed = read({**GRANT, name: other})
            assert changed.differs_from(grant) == (name,)
            digests.add(changed.digest)
    assert len(digests) == 1 + sum(map(len, OTHERS.values()))


def test_an_absent_name_an_empty_one_and_none_say_the_same() -> None:
    optional = ("task_id", "agent_id", "parent_session_id")
    spelt = {name: value for name, value in GRANT.items() if name not in optional}
    assert (
        len({read(spelt | dict.fromkeys(optional, none)).digest for none in (None, "")} | {read(spelt).digest})
        == 1
    )


def test_a_whole_number_is_itself_however_it_is_written() -> None:
    limits = [b'{"n": [25, {"m": 3}]}', b'{"n": [25.0, {"m": 3e0}]}', b'{"n": [2.5e1, {"m": 3.00}]}']
    bodies = [json.dumps(GRANT | {"resource_constraints": "?"}).encode().replace(b'"?"', each) for each in limits]
    assert len({Envelope.model_validate_json(body).digest for body in bodies}) == 1
    assert read(GRANT | {"resource_constraints": {"n": 1}}).digest != (
        read(GRANT | {"resource_constraints": {"n": True}}).digest
    )


def test_times_that_have_no_utc_form_have_a_digest_all_the_same() -> None:
    ends = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59+00:00"]
    assert len({read({**GRANT, "expires_at": end}).digest for end in ends}) == 3


def test_an_envelope_lasts_as_long_as_another_that_ends_later_and_never_shorter() -> None:
    grant, endless = read(GRANT), read({**GRANT, "expires_at": None})
    later = read({**GRANT, "purpose": "another", "expires_at": "2026-05-12T20:30:00+00:00"})
    assert grant.lasting(later) == grant.model_copy(update={"expires_at": later.expires_at})
    assert grant.lasting(endless) == endless
    assert later.lasting(grant) is later
    assert endless.lasting(grant) is endless


def test_a_session_that_names_itself_as_its_parent_is_the_same_root_as_one_that_names_none() -> None:
    itself, none = (read({**GRANT, "parent_session_id": parent}) for parent in ("s1", None))
    assert (itself.parent_session_id, itself.parent_key) == (None, None)
    assert (itself, itself.digest) == (none, none.digest)


def test_who_stands_in_an_envelope_is_told_with_a_place_for_an_agent_that_is_not() -> None:
    assert read(GRANT).principals == ("user_1", "agent_1")
    for untold in (None, "", UNTOLD):
        assert read({**GRANT, "agent_id": untold}).principals == ("user_1", UNTOLD_AGENT)
    nobody = {**GRANT, "delegator_id": UNTOLD}
    assert read(nobody).principals == ("agent_1",), "it is somebody above"
    assert read({**nobody, "parent_session_id": None}).principals == (UNTOLD, "agent_1")
