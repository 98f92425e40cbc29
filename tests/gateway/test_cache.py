"""What a gateway remembers over its own restart."""

import json
import os
import stat

import pytest
from until import until


@pytest.fixture
def remembered(ledger, follow, cache, served):
    """A cache with s1 and t1 revoked, and the server gone."""
    ledger.append("s1")
    ledger.append("t1", tenant="globex")
    first = follow(cache_path=cache)
    until(cache.exists)
    first.stop()
    served.stop()
    yield cache
    served.start()


def test_a_restarted_gateway_knows_its_list_while_the_server_is_away(remembered, follow, clocks) -> None:
    clocks.pass_by(20)
    revoked = follow(cache_path=remembered)
    assert revoked.wait_ready(0)
    assert revoked.state().age_s == pytest.approx(20)
    assert revoked.is_revoked("acme", "s1")
    assert not revoked.is_revoked("acme", "s2")


def test_a_cache_that_grows_stale_before_the_server_answers_is_ready_no_longer(
    remembered, follow, clocks, served
) -> None:
    clocks.pass_by(29)
    revoked = follow(cache_path=remembered, max_stale_s=30)
    assert revoked.wait_ready(0)
    clocks.pass_by(2)
    assert not revoked.wait_ready(0)
    assert not revoked.wait_ready(0.05)
    served.start()
    assert revoked.wait_ready(10)
    served.stop()


def test_a_cache_older_than_the_bound_is_stale_from_the_start(remembered, follow, clocks) -> None:
    clocks.pass_by(31)
    closed = follow(cache_path=remembered)
    opened = follow(cache_path=remembered, on_stale="open")
    assert not closed.wait_ready(0)
    assert closed.state().status == "stale"
    assert closed.is_revoked("acme", "s2")
    assert opened.is_revoked("acme", "s1")
    assert not opened.is_revoked("acme", "s2")


def test_a_restart_makes_no_list_fresher(remembered, follow, clocks) -> None:
    saved = remembered.read_bytes()
    for age in (20, 40):
        clocks.pass_by(20)
        revoked = follow(cache_path=remembered)
        assert revoked.state().age_s == pytest.approx(age)
        revoked.stop()
    assert revoked.state().status == "stale"
    assert revoked.is_revoked("acme", "s2")
    assert remembered.read_bytes() == saved, "nothing was learnt"


def test_a_list_is_dated_by_when_it_was_confirmed_not_by_when_it_was_saved(ledger, follow, cache, clocks) -> None:
    revoked = follow(cache_path=cache)
    assert revoked.wait_ready(10)
    until(cache.exists)
    confirmed = clocks.wall()
    revoked._held._save_took = 10.0  # so long a list that it is not saved at once
    ledger.append("s1")
    until(lambda: revoked.is_revoked("acme", "s1"))
    ledger.break_everything(lambda *_: None)
    clocks.pass_by(40)
    revoked.stop()
    saved = json.loads(cache.read_text())
    assert saved["until"]
    assert saved["confirmed_at"] == confirmed


def test_only_its_owner_can_read_it_and_no_draft_is_left(remembered) -> None:
    assert stat.S_IMODE(remembered.stat().st_mode) == 0o600
    assert list(remembered.parent.iterdir()) == [remembered]


def test_drafts_of_runs_that_were_killed_go_at_the_next_start(remembered, follow, clocks) -> None:
    old, young, other = (remembered.with_name(f"revoked.json.{end}") for end in ("0" * 16, "f" * 16, "other"))
    for path, age in ((old, 61), (young, 59), (other, 61)):
        path.write_text("{")
        os.utime(path, (clocks.wall() - age,) * 2)
    follow(cache_path=remembered)
    assert sorted(remembered.parent.iterdir()) == [remembered, young, other]


def test_the_token_is_not_in_it(remembered) -> None:
    assert "token-of-the-gateway" not in remembered.read_text()


def test_a_cache_that_others_can_write_is_ignored(remembered, follow) -> None:
    remembered.chmod(0o666)
    assert follow(cache_path=remembered).state().status == "never_loaded"


def test_a_cache_from_the_future_is_ignored(remembered, follow, clocks) -> None:
    clocks.wall_at -= 3600
    assert follow(cache_path=remembered).state().status == "never_loaded"


def test_a_cache_of_other_tenants_is_ignored(remembered, follow) -> None:
    assert follow(cache_path=remembered, tenants={"acme"}).state().status == "never_loaded"


@pytest.mark.parametrize("reach", [["acme"], None])
def test_a_cache_says_whose_list_it_is_and_that_of_an_older_client_reaches_nobody(
    remembered, follow, reach
) -> None:
    saved = json.loads(remembered.read_text())
    assert saved.pop("reach") == ["*"]
    remembered.write_text(json.dumps(saved if reach is None else {**saved, "reach": reach}))
    revoked = follow(cache_path=remembered)
    assert revoked.refusal("globex", session="s2") == "list_stale"
    assert revoked.refusal("acme", session="s2") == (None if reach else "list_stale")
    assert revoked.is_revoked("acme", "s1")


@pytest.mark.parametrize("garbage", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"confirmed_at": "x"}'])
def test_a_damaged_cache_is_ignored(remembered, follow, garbage: bytes) -> None:
    remembered.write_bytes(garbage)
    assert follow(cache_path=remembered).state().status == "never_loaded"


@pytest.mark.parametrize("field", ["of", "revision", "issued_at", "confirmed_at", "asked_as", "until"])
def test_a_cache_that_lacks_a_field_is_ignored(remembered, follow, field: str) -> None:
    saved = json.loads(remembered.read_text())
    del saved[field]
    remembered.write_text(json.dumps(saved))
    assert follow(cache_path=remembered).state().status == "never_loaded"


def test_after_a_restart_the_whole_list_is_asked_for_and_an_older_one_is_refused(
    remembered, follow, ledger, served
) -> None:
    before = len(ledger.requests)
    ledger.n, ledger.entries = 1, ledger.entries[:1]
    served.start()
    revoked = follow(cache_path=remembered)
    until(lambda: "went_back" in revoked.state().last_error)
    assert "since" not in ledger.requests[before]
    assert revoked.is_revoked("globex", "t1")
    served.stop()


def test_a_folder_that_cannot_be_written_costs_the_cache_and_not_the_list(
    ledger, follow, tmp_path, caplog
) -> None:
    ledger.append("s1")
    revoked = follow(cache_path=tmp_path / "missing" / "revoked.json")
    assert revoked.wait_ready(10)
    assert revoked.is_revoked("acme", "s1")


def test_a_list_that_only_stays_confirmed_is_saved_now_and_then(ledger, follow, cache, clocks) -> None:
    ledger.long_poll = False
    revoked = follow(cache_path=cache)
    assert revoked.wait_ready(10)
    until(cache.exists)
    clocks.pass_by(16)
    until(lambda: json.loads(cache.read_text())["confirmed_at"] == clocks.wall())


@pytest.mark.parametrize(
    "wrong",
    [{"issued_at": float("nan")}, {"confirmed_at": 10**400}, {"revision": [float("inf"), 1]}, {"revision": [1]}],
)
def test_a_cache_that_says_no_time_or_no_revision_is_ignored(remembered, follow, wrong) -> None:
    saved = json.loads(remembered.read_text())
    remembered.write_text(json.dumps({**saved, **wrong}))
    revoked = follow(cache_path=remembered)
    assert revoked.state().status == "never_loaded"
