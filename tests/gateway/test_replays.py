"""Who stands between control and a gateway can bring signed answers again, or late: the list ages all the same."""

from datetime import timedelta

import pytest
from joserfc.jwk import OKPKey

from guardian.domain import revocation
from guardian.gateway.client import Refused, Revision
from guardian.gateway.connection import Answered
from guardian.keys.signing import KeySet
from guardian.revocation.signing import ListSigner

NEVER = "nobody-in-particular"


class Keys:
    def __init__(self) -> None:
        key = OKPKey.generate_key("Ed25519", {"kid": "k1"})
        self.set = KeySet(key, (key,))

    def current(self) -> KeySet:
        return self.set


class Control:
    """Signs what the ledger says, by a clock that may differ from the gateway's by `skew` seconds."""

    def __init__(self, ledger, clocks) -> None:
        self.ledger, self.clocks, self.skew = ledger, clocks, 0.0
        self.keys = Keys()

    def answer(self, query=None, *_):
        """As to a question of the client."""
        held = (query or {}).get("since")
        if held == f"{self.ledger.epoch}.{self.ledger.n}":
            return self.unchanged()
        return self.listed(None if held is None else int(held.split(".")[1]))

    def listed(self, since=None):
        self.ledger.issued = self._now()
        body = self.ledger.body(since or 0, complete=since is None)
        base = None if since is None else revocation.Revision(epoch=self.ledger.epoch, n=since)
        return 200, self._headers(body, base), body

    def unchanged(self):
        return 304, self._headers(self.ledger.etag().encode()), b""

    def _now(self):
        start = type(self.clocks)().wall_at
        return type(self.ledger)().issued + timedelta(seconds=self.clocks.wall() - start + self.skew)

    def _headers(self, payload, since=None):
        signer = ListSigner(self.keys, "https://guardian.test")
        signature = signer.sign(payload, reach=frozenset({"acme"}), now=self._now(), since=since)
        return {"ETag": self.ledger.etag(), "Guardian-Signature": signature}


@pytest.fixture
def control(ledger, clocks):
    ledger.append("s1")
    return Control(ledger, clocks)


@pytest.fixture
def asked(follow, control):
    """A list that verifies, and a way to let it poll and be given this answer (None: the honest one), whose body
    took so long."""
    jwks = control.keys.set.jwks()
    revoked = follow(start=False, verify_with=jwks, tenants={"acme"}, max_stale_s=30)

    def poll(answer=None, took_s=0.0):
        revoked._server.get = lambda *given: Answered(*(answer or control.answer(*given)), took_s)
        revoked._follower.poll()

    return revoked, poll


@pytest.mark.parametrize("kinds", ["whole", "unchanged", "both in turn"])
def test_the_last_answers_brought_again_do_not_keep_the_list_fresh(asked, control, clocks, kinds) -> None:
    revoked, poll = asked
    poll()
    whole = control.listed()
    clocks.pass_by(5)
    last = control.listed() if kinds == "whole" else control.unchanged()
    poll(last)
    for n in range(30):
        clocks.pass_by(1)
        poll(whole if kinds == "both in turn" and n % 2 else last)
        assert revoked.state().status == "fresh"
    clocks.pass_by(1)
    poll(last)
    assert revoked.state().status == "stale"
    assert "signature_replayed: the newest was made 31 s ago" in revoked.state().last_error
    assert revoked.refusal("acme", session=NEVER) == "list_stale"
    poll()
    assert (revoked.state().status, revoked.state().last_error) == ("fresh", "")


def test_a_signature_tells_the_servers_clock(asked, control, clocks) -> None:
    revoked, poll = asked
    body = control.ledger.body()  # unchanged since noon, and s1 is out until noon
    for passed, is_out in ((23, True), (2, False)):
        clocks.pass_by(passed * 3600)
        revoked._follower._synced = False  # as after a restart
        poll((200, control._headers(body), body))
        clocks.wall_at += 2 * 86400  # the other clock that a revocation ends by is wrong
        assert revoked.is_revoked("acme", "s1") is is_out
        clocks.wall_at -= 2 * 86400


def test_answers_that_were_held_back_are_as_old_as_their_signatures(asked, control, clocks) -> None:
    revoked, poll = asked
    poll()
    held_back = []
    for _ in range(9):
        clocks.pass_by(1)
        held_back.append(control.unchanged())
    clocks.pass_by(20)
    for n, answer in enumerate(held_back):
        poll(answer)
        assert revoked.state().age_s == 29 - (n + 1) - 10
    clocks.pass_by(19)
    assert revoked.state().age_s == 29
    clocks.pass_by(2)
    assert revoked.state().status == "stale"  # 41 s after the last was signed


def test_a_gateway_that_begins_with_a_replay_is_stale_as_soon(asked, control, clocks) -> None:
    revoked, poll = asked
    old = control.listed()
    clocks.pass_by(41)
    poll(old)
    assert revoked.state().status == "stale"
    assert not revoked.wait_ready(0)
    assert revoked.refusal("acme", session="s1") == "session_revoked"
    assert revoked.refusal("acme", session=NEVER) == "list_stale"


@pytest.mark.parametrize("kind", ["whole", "unchanged"])
def test_what_was_signed_well_before_the_newest_is_refused(asked, control, clocks, kind) -> None:
    revoked, poll = asked
    poll()
    old = control.listed() if kind == "whole" else control.unchanged()
    clocks.pass_by(20)
    poll()
    with pytest.raises(Refused, match="signature_replayed: made 20 s before the newest"):
        poll(old)
    assert revoked.state().age_s == 0


@pytest.mark.parametrize("skew", [-35, -8, 8, 55])
def test_clocks_that_differ_leave_the_list_fresh(asked, control, clocks, skew) -> None:
    revoked, poll = asked
    control.skew = skew
    for n in range(60):
        clocks.pass_by(2)
        if n % 7 == 3:
            control.ledger.append(f"t{n}")
        poll()
        assert (revoked.state().status, revoked.state().last_error) == ("fresh", "")
        assert revoked.state().age_s == max(0, -skew - 10)


def test_a_clock_that_is_ahead_by_more_than_a_list_may_age_is_named(asked, control, clocks, caplog) -> None:
    revoked, poll = asked
    control.skew = -45
    for _ in range(3):
        clocks.pass_by(2)
        poll()
        assert revoked.state().status == "stale"
    assert "signature_replayed: the newest was made 45 s ago" in revoked.state().last_error
    assert caplog.text.count("revocation list not refreshed") == 1
    control.skew = 0
    poll()
    assert (revoked.state().status, revoked.state().last_error) == ("fresh", "")


def test_answers_out_of_order_are_taken(asked, control, clocks) -> None:
    """The clocks of two servers differ by seconds, and the signature of a whole list serves for a while."""
    revoked, poll = asked
    for n in range(20):
        control.skew = 2.5 if n % 2 else -2.5
        whole = control.listed()
        clocks.pass_by(2)
        control.ledger.append(f"t{n}")
        poll()
        assert revoked.is_revoked("acme", f"t{n}")
        if n % 5 == 4:
            control.ledger.append(f"u{n}")
            whole = control.listed()
            clocks.pass_by(4)
            poll()
            poll(whole)
            assert revoked.is_revoked("acme", f"u{n}")
        assert (revoked.state().status, revoked.state().last_error) == ("fresh", "")
        assert revoked.state().age_s <= 5


def test_a_late_signature_ends_no_revocation_before_its_time(asked, control, clocks) -> None:
    """The gateway's clock is ahead: how long until the expiry is told by the server's."""
    revoked, poll = asked
    control.skew = -35
    control.ledger.append("short", expires=control._now() + timedelta(seconds=20))
    for left in (20, 11, 2):
        poll()
        clocks.pass_by(min(9, left - 1))
        assert revoked.is_revoked("acme", "short")
    clocks.pass_by(2)
    assert revoked.state().status == "fresh"
    assert not revoked.is_revoked("acme", "short")


def test_the_stream_replayed_is_no_better(asked, control, clocks) -> None:
    revoked, poll = asked
    poll()
    word = b"1.1"
    signature = control._headers(word)["Guardian-Signature"].encode()
    for _ in range(31):
        clocks.pass_by(1)
        revoked._follower._hear(("fresh", [word, signature]))
    assert revoked.state().revision == Revision(1, 1)
    assert revoked.state().status == "stale"


def test_a_list_that_was_under_way_for_long_is_taken_as_old_as_it_is(asked, control, clocks) -> None:
    revoked, poll = asked
    begun = control.listed()
    clocks.pass_by(100)
    with pytest.raises(Refused, match=r"signature_replayed: made 100 s ago"):
        poll(begun)
    poll(begun, took_s=100)
    state = revoked.state()
    assert (state.status, state.entries, state.age_s) == ("stale", 1, 90)
    poll()
    assert revoked.state().status == "fresh"
