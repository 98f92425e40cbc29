"""A long list travels packed, and costs a gateway no more than it must."""

import gzip

import pytest
from until import until

from guardian.gateway.cache import Cache


def packed(how=gzip.compress, **headers):
    def answer(ledger, _seen):
        told = {"ETag": ledger.etag(), "Content-Encoding": "gzip", **headers}
        return 200, told, how(ledger.body())

    return answer


def test_it_is_asked_for_and_read_packed(ledger, follow) -> None:
    ledger.append("s1")
    ledger.always = packed()
    revoked = follow()
    assert revoked.wait_ready(10)
    assert revoked.is_revoked("acme", "s1")
    assert ledger.requests[0]["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (packed(lambda body: gzip.compress(body)[:-5]), "cut_short"),
        (packed(lambda body: gzip.compress(body) * 2), "cut_short"),
        (packed(lambda body: body), "malformed"),
        (packed(lambda _: gzip.compress(b" " * 10_000_000)), "too_long"),
        (packed(**{"Content-Encoding": "br"}), "unasked_coding"),
    ],
    ids=["half", "two", "not gzip", "a bomb", "another coding"],
)
def test_what_does_not_unpack_as_it_should_changes_nothing(ledger, follow, answer, says) -> None:
    ledger.append("s1")
    ledger.always = answer
    revoked = follow(max_bytes=1_000_000)
    until(lambda: says in revoked.state().last_error)
    assert revoked.state().status == "never_loaded"


def test_saving_takes_a_small_part_of_the_time_and_stopping_saves_the_rest(
    ledger, follow, cache, clocks, monkeypatch
) -> None:
    saves, save = [], Cache.save

    def slow(self, view, *what, **when):
        save(self, view, *what, **when)
        saves.append(view.revision.n)
        clocks.pass_by(1)  # a second for each: the next is due in twenty

    monkeypatch.setattr(Cache, "save", slow)
    ledger.append("s0")
    revoked = follow(cache_path=cache)
    until(lambda: saves == [1])
    for n in range(2, 5):
        ledger.append(f"s{n}")
        until(lambda n=n: revoked.state().revision.n == n)
    assert saves == [1]
    clocks.pass_by(21)
    ledger.append("s5")
    until(lambda: saves == [1, 5])
    ledger.append("s6")
    until(lambda: revoked.state().revision.n == 6)
    revoked.stop()
    assert saves == [1, 5, 6]
