"""What the list inside a gateway answers, against a real server."""

import sys
import threading
import uuid
from datetime import timedelta

import pytest
from until import until

from guardian.gateway.names import session_name


def test_a_revoked_session_is_refused_and_others_pass(ledger, follow) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    assert revoked.is_revoked("acme", "s1")
    assert not revoked.is_revoked("acme", "s2")


@pytest.mark.parametrize("strange", [uuid.UUID(int=7), 77, b"s1", ["s1"]], ids=str)
def test_a_name_that_is_no_text_is_refused_and_not_looked_up_in_vain(ledger, follow, strange) -> None:
    ledger.append(str(strange))
    revoked = follow(on_stale="open")
    assert revoked.wait_ready(10)
    assert revoked.is_revoked("acme", strange)
    assert revoked.is_revoked(strange, "s2")
    assert revoked.refusal(strange, session="s2") == "not_text"
    for name in ("session", "parent", "agent", "delegator", "task", "jti"):
        assert revoked.refusal("acme", **{name: strange}) == "not_text"


@pytest.mark.parametrize("long", ["A" * 608, "s\n1", "\u540d" * 513])
def test_a_session_whose_name_no_entry_can_hold_is_known_by_its_hash(ledger, follow, long) -> None:
    ledger.append(session_name(long))
    revoked = follow(on_stale="open")
    assert revoked.wait_ready(10)
    assert revoked.is_revoked("acme", long)
    assert not revoked.is_revoked("acme", f"{long}2")
    assert revoked.refusal("acme", session=long) == "session_revoked"
    assert revoked.refusal("acme", session="s2", parent=long) == "parent_revoked"


@pytest.mark.parametrize("odd", ["A" * 513, "s\n1", "\x7f", "\ud800"])
def test_another_name_that_no_entry_can_hold_is_refused_and_not_looked_up_in_vain(ledger, follow, odd) -> None:
    ledger.append("s1")
    revoked = follow(on_stale="open")
    assert revoked.wait_ready(10)
    for name in ("agent", "delegator", "task", "jti"):
        assert revoked.refusal("acme", session="s2", **{name: odd}) == "invalid"
    assert revoked.refusal(odd, session="s2") == "invalid"
    assert revoked.is_revoked(odd, "s2")
    assert revoked.is_revoked("acme", "\ud800")
    assert revoked.refusal("acme", session="\ud800") == "invalid"


@pytest.mark.parametrize("plain", ["x" * 512, "a b", "\u00a0", "\u200bx", "\u540d" * 512, "|%7C"])
def test_any_other_name_is_looked_up_as_it_is(ledger, follow, plain) -> None:
    ledger.append(plain)
    revoked = follow(on_stale="open")
    assert revoked.wait_ready(10)
    assert revoked.is_revoked("acme", plain)
    assert session_name(plain) == plain


def test_there_is_no_session_without_a_name() -> None:
    for nothing in ("", "\ud800"):
        with pytest.raises(ValueError, match=r"without a name|surrogates"):
            session_name(nothing)


@pytest.mark.parametrize("ready", [True, False])
def test_a_call_that_names_nobody_is_refused(ledger, follow, ready) -> None:
    ledger.append("s1")
    if not ready:
        ledger.break_everything(lambda *_: None)
    revoked = follow(on_stale="open")
    assert revoked.wait_ready(10 if ready else 0) is ready
    for nobody in ({}, {"session": None, "agent": None}, {"session": "", "jti": ""}):
        assert revoked.refusal("acme", **nobody) == "unnamed"
    assert revoked.refusal("", session="s2") == "unnamed"
    assert revoked.refusal("acme", session="s2", agent="") is None
    assert revoked.is_revoked("acme", "")
    assert revoked.is_revoked("", "s2")
    assert not revoked.is_revoked("acme", "s2")


def test_the_same_session_id_of_another_tenant_passes(ledger, follow) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    assert not revoked.is_revoked("globex", "s1")


def test_a_reinstated_session_passes_again(ledger, follow) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    assert revoked.is_revoked("acme", "s1")
    ledger.append("s1", status="reinstated")
    until(lambda: not revoked.is_revoked("acme", "s1"))


def test_an_expired_revocation_lets_the_session_pass(ledger, follow, clocks) -> None:
    ledger.append("s1", expires=ledger.issued + timedelta(seconds=10))
    revoked = follow()
    assert revoked.wait_ready(10)
    clocks.pass_by(9)
    assert revoked.is_revoked("acme", "s1")
    clocks.pass_by(2)
    assert not revoked.is_revoked("acme", "s1")


def test_an_entry_without_an_expiry_stays(ledger, follow, clocks) -> None:
    ledger.append("s1", expires=None)
    revoked = follow(on_stale="open")
    assert revoked.wait_ready(10)
    clocks.pass_by(10**9)
    assert revoked.is_revoked("acme", "s1")


@pytest.mark.parametrize("jump", [-(10**6), 10**6])
def test_a_jump_of_the_wall_clock_ends_no_revocation_and_ages_no_list(ledger, follow, clocks, jump: float) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    clocks.wall_at += jump
    assert revoked.is_revoked("acme", "s1")
    assert not revoked.is_revoked("acme", "s2")
    assert revoked.state().status == "fresh"


def test_a_server_whose_clock_runs_far_ahead_ends_no_revocation(ledger, follow) -> None:
    ledger.append("s1")
    ledger.issued += timedelta(days=365)
    revoked = follow()
    assert revoked.wait_ready(10)
    assert revoked.is_revoked("acme", "s1")


def test_a_steady_clock_that_ran_backwards_is_not_trusted(ledger, follow, clocks, served) -> None:
    revoked = follow()
    assert revoked.wait_ready(10)
    served.stop()
    clocks.steady -= 500
    assert revoked.state().status == "stale"
    assert revoked.is_revoked("acme", "anyone")
    served.start()


@pytest.mark.parametrize(("on_stale", "refused"), [("closed", True), ("open", False)])
def test_before_the_first_answer_the_stated_behaviour_holds(follow, on_stale: str, refused: bool) -> None:
    revoked = follow(start=False, on_stale=on_stale)
    assert revoked.is_revoked("acme", "s1") is refused
    assert revoked.state().status == "never_loaded"
    assert revoked.state().age_s is None
    assert not revoked.wait_ready(0)


@pytest.mark.parametrize(("on_stale", "refused"), [("closed", True), ("open", False)])
def test_a_stale_list_answers_as_stated_but_never_forgets(
    ledger, follow, clocks, served, on_stale: str, refused: bool
) -> None:
    ledger.append("s1")
    revoked = follow(on_stale=on_stale, max_stale_s=30)
    assert revoked.wait_ready(10)
    served.stop()
    clocks.pass_by(29)
    assert not revoked.is_revoked("acme", "s2")
    clocks.pass_by(2)
    assert revoked.state().status == "stale"
    assert revoked.is_revoked("acme", "s2") is refused
    assert revoked.is_revoked("acme", "s1")
    served.start()


def test_only_the_wanted_tenants_are_kept_and_others_are_answered_as_unknown(ledger, follow) -> None:
    ledger.append("s1", tenant="acme")
    ledger.append("s1", tenant="globex")
    closed = follow(tenants={"acme"})
    opened = follow(tenants={"acme"}, on_stale="open")
    for revoked in (closed, opened):
        assert revoked.wait_ready(10)
        assert revoked.state().entries == 1
        assert revoked.is_revoked("acme", "s1")
        assert not revoked.is_revoked("acme", "s2")
    assert closed.is_revoked("globex", "s2")
    assert not opened.is_revoked("globex", "s2")


@pytest.mark.parametrize("tenants", [None, "*", {"acme", "globex"}])
@pytest.mark.parametrize("asked", ["globex", "Acme", "*"])
def test_nobody_is_reported_as_safe_of_a_tenant_that_the_token_does_not_reach(
    ledger, follow, tenants, asked
) -> None:
    ledger.reach = ["acme"]
    closed, opened = follow(tenants=tenants), follow(tenants=tenants, on_stale={"low": "open"})
    for revoked in (closed, opened):
        assert revoked.wait_ready(10)
        assert revoked.refusal("acme", session="s2") is None
        assert revoked.refusal(asked, session="s2") == "list_stale"
        assert revoked.is_revoked(asked, "s2")
    assert not opened.is_revoked(asked, "s2", risk="low")


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        ("", "signature_missing"),
        ("e30..", "signature_audience"),
        ("W10..", "signature_malformed"),
        ("x", "_malformed"),
    ],
)
def test_a_list_that_does_not_say_whose_it_is_is_not_believed(ledger, follow, signature, said) -> None:
    ledger.always = lambda ledger, _: (200, {"Guardian-Signature": signature}, ledger.body())
    revoked = follow()
    until(lambda: said in revoked.state().last_error)
    assert revoked.refusal("acme", session="s2") == "list_stale"


def test_readers_never_see_half_a_change(ledger, follow) -> None:
    for n in range(50):
        ledger.append(f"s{n}")
    revoked = follow(interval_s=0.001)
    assert revoked.wait_ready(10)
    wrong: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            if not all(revoked.is_revoked("acme", f"s{n}") for n in range(50)):
                wrong.append("a revoked session passed")
            if revoked.is_revoked("acme", "honest"):
                wrong.append("an honest session was refused")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    readers = [threading.Thread(target=read) for _ in range(4)]
    try:
        for reader in readers:
            reader.start()
        for n in range(60):
            ledger.append(f"t{n}")
            ledger.wait_requests(n // 4)
    finally:
        done.set()
        for reader in readers:
            reader.join()
        sys.setswitchinterval(interval)
    assert wrong == []
