"""A revision is that of one reach: another token reaches other tenants, and its list begins where that stands."""

import json

import pytest
from until import until

from guardian.gateway.client import Revision
from guardian.gateway.reading import Answer, Refused, Signed, View, apply

WIDE, NARROW = "token-of-the-gateway", "token-of-one-tenant"
BOTH, ONE = frozenset({"acme", "globex"}), frozenset({"acme"})


def narrow_at(n, epoch=1):
    """What the narrow token is given; all others get the honest answer."""

    def answer(ledger, seen):
        if seen["Authorization"] != f"Bearer {NARROW}":
            return 200, {"ETag": ledger.etag()}, ledger.body()
        told = {"revision": {"epoch": epoch, "n": n}, "issued_at": ledger.issued.isoformat(), "complete": True}
        entries = [each for each in ledger.entries[:n] if each["tenant_id"] == "acme" and epoch == ledger.epoch]
        return 200, ledger.made_for("acme"), json.dumps({**told, "entries": entries}).encode()

    return answer


@pytest.fixture
def two_tenants(ledger):
    """acme's list stands at 1.1, both together at 1.2."""
    ledger.append("s1")
    ledger.append("g1", tenant="globex")
    ledger.tokens.add(NARROW)
    ledger.always = narrow_at(1)
    return ledger


def test_another_token_begins_with_a_whole_list(ledger, follow) -> None:
    """A token with wider reach must not miss what was revoked before it: a delta would leave that out."""
    ledger.tokens.add(NARROW)
    follow(token=lambda: NARROW if len(ledger.requests) < 2 else WIDE, wait_s=0)
    ledger.wait_requests(4)
    asked = [(seen["Authorization"].removeprefix("Bearer "), "since" in seen) for seen in ledger.requests[:4]]
    assert asked == [(NARROW, False), (NARROW, True), (WIDE, False), (WIDE, True)]


def test_a_narrowed_token_starts_from_its_own_list(two_tenants, follow, clocks) -> None:
    tokens = [WIDE]
    revoked = follow(token=lambda: tokens[-1])
    until(lambda: revoked.state().revision == Revision(1, 2))
    tokens.append(NARROW)
    until(lambda: revoked.state().revision == Revision(1, 1))
    clocks.pass_by(31)
    until(lambda: revoked.state().status == "fresh")
    assert revoked.is_revoked("acme", "s1")
    assert not revoked.is_revoked("acme", "s2")


def test_a_narrowed_token_starts_from_its_own_list_after_a_restart_too(two_tenants, follow, cache) -> None:
    first = follow(cache_path=cache)
    until(cache.exists)
    first.stop()
    again = follow(cache_path=cache, token=NARROW)
    until(lambda: again.state().revision == Revision(1, 1))
    assert again.is_revoked("acme", "s1")


def test_a_wider_list_of_the_same_revision_is_kept_at_once(two_tenants, follow, cache) -> None:
    two_tenants.break_everything(narrow_at(2))
    tokens = [NARROW]
    first = follow(token=lambda: tokens[-1], cache_path=cache)

    def kept():
        return {subject for _, _, subject, _ in json.loads(cache.read_text())["until"]}

    until(lambda: cache.exists() and kept() == {"s1"})
    narrow = cache.read_bytes()
    tokens.append(WIDE)
    until(lambda: kept() == {"s1", "g1"})
    first.stop()
    cache.write_bytes(narrow)
    follow(token=WIDE, cache_path=cache)
    until(lambda: kept() == {"s1", "g1"})


def test_of_a_tenant_that_a_narrowed_token_does_not_reach_nothing_is_known_any_more(two_tenants, follow) -> None:
    tokens = [WIDE]
    revoked = follow(token=lambda: tokens[-1])
    assert revoked.wait_ready(10)
    assert revoked.refusal("globex", session="g2") is None
    tokens.append(NARROW)
    until(lambda: revoked.refusal("globex", session="g2") == "list_stale")
    assert revoked.refusal("acme", session="s2") is None


def test_the_same_token_is_not_led_back_after_it_was_narrowed(two_tenants, follow, cache) -> None:
    revoked = follow(token=NARROW, cache_path=cache)
    until(lambda: revoked.state().revision == Revision(1, 1))
    two_tenants.break_everything(narrow_at(0))
    until(lambda: "went_back" in revoked.state().last_error)
    revoked.stop()
    again = follow(token=NARROW, cache_path=cache)
    until(lambda: "went_back" in again.state().last_error)
    assert again.is_revoked("acme", "s1")


def test_a_new_token_takes_the_list_of_a_restored_backup(ledger, follow) -> None:
    """Nobody can tell control that it went back: the new token holds no list yet, and the old one is refused."""
    for subject in ("s1", "s2"):
        ledger.append(subject)
    ledger.tokens.add(NARROW)
    tokens = [WIDE]
    revoked = follow(token=lambda: tokens[-1])
    until(lambda: revoked.state().revision == Revision(1, 2))
    with ledger.changed:
        ledger.n = 1
        del ledger.entries[1:]
    tokens.append(NARROW)
    until(lambda: revoked.state().revision == Revision(1, 1))
    assert revoked.refusal("acme", session="s2") is None


def test_no_token_is_led_back_into_an_older_epoch(two_tenants, follow) -> None:
    tokens = [WIDE]
    revoked = follow(token=lambda: tokens[-1])
    until(lambda: revoked.state().revision == Revision(1, 2))
    two_tenants.break_everything(narrow_at(99, epoch=0))
    tokens.append(NARROW)
    until(lambda: "went_back" in revoked.state().last_error)
    assert revoked.is_revoked("globex", "g1")


def test_what_the_list_of_another_token_says_is_not_acknowledged(two_tenants, follow) -> None:
    tokens, said = [WIDE], set()
    revoked = follow(start=False, token=lambda: tokens[-1], acknowledge=True)
    revoked._teller.acknowledge = lambda body, headers, _timeout: said.add(
        (headers["Authorization"].removeprefix("Bearer "), json.loads(body)["revision"])
    )
    revoked.start()
    until(lambda: said == {(WIDE, "1.2")})
    two_tenants.break_everything(lambda *_: (503, {}, b""))
    tokens.append(NARROW)
    revoked._held.moved.set()
    until(lambda: not revoked._held.moved.is_set())
    two_tenants.break_everything(narrow_at(1))
    until(lambda: (NARROW, "1.1") in said)
    assert said == {(WIDE, "1.2"), (NARROW, "1.1")}


@pytest.mark.parametrize(
    ("seen", "given", "believed"),
    [
        (Signed(100, BOTH), Signed(101, ONE), True),
        (Signed(100, BOTH), Signed(99, ONE), False),
        (Signed(100, ONE), Signed(101, ONE), False),
        (Signed(0, BOTH), Signed(0, ONE), True),
        (Signed(0, ONE), Signed(0, ONE), True),
        (Signed(), Signed(0, ONE), True),
    ],
)
def test_a_lower_revision_is_believed_of_another_reach_and_of_a_later_signature(seen, given, believed) -> None:
    before = View(Revision(1, 2), "", {}, 0.0, 0.0, "one token", seen)
    answer = Answer(Revision(1, 1), 0.0, complete=True, entries=[])
    told = {"tenants": None, "confirmed": 0.0, "asked_as": "another", "signed": given}
    facts = {"seen": before, "base": None, **told}
    if believed:
        assert apply(answer, "", **facts)[0].revision == Revision(1, 1)
    else:
        with pytest.raises(Refused, match="went_back"):
            apply(answer, "", **facts)
