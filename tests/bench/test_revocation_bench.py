"""The benches of the switch and of advice run and print their figures; none is asserted."""

import json
import subprocess
import sys
import time
from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace

import pytest

from guardian.bench import revocation
from guardian.bench.long_list import long_list


def bench(*args):
    command = [sys.executable, "-m", "guardian", "bench", *args, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["rows"]


@pytest.mark.slow
def test_advice_is_measured_cold_and_warm_beside_a_plain_check():
    rows = bench("advise", "--calls", "5")
    assert [row["name"] for row in rows] == [
        f"advice, {kind}, p{q}" for kind in ("cold", "warm") for q in (50, 99)
    ]
    assert all(row["value"] > 0 and row["baseline"] > 0 for row in rows)


@pytest.mark.slow
def test_the_switch_is_measured_by_every_face_beside_plain_polling():
    rows = revocation.run(live=30, gateways=(2, 2), revocations=2, progress=lambda _done, _of: None, poll_s=1.0)
    told = {row.name: row for row in rows}
    assert [row.name for row in rows].count("first load of the list, 2 gateways") == 2
    faces = (
        "push (stream), 2 gateways",
        "long poll, 1 gateway",
        "/v1/check, 1 gateway",
        "OPA bundle (long poll), 1 gateway",
    )
    for face in faces:
        row = told[f"finding to refusal, {face}, max"]
        assert 0 < row.value < 20_000
        assert row.baseline > 0
        assert row.n == (4 if "2 gateways" in face else 2)
    assert told["bytes of one poll after one revocation"].value < 5000
    assert told["is_revoked look-ups"].value > 0


def test_revocations_that_never_arrive_end_the_bench(monkeypatch):
    monkeypatch.setattr(revocation, "_PATIENCE_S", 0.0)
    told = SimpleNamespace(watch=lambda _: None, noted=lambda _: {"bench_check_0": [time.monotonic()]})
    place = SimpleNamespace(
        find=lambda _: time.monotonic(), gateway="token", control=SimpleNamespace(url="http://c")
    )
    timed = revocation._Timed(place, told, -5.0)
    answer = SimpleNamespace(status_code=200)
    client = SimpleNamespace(get=lambda *_, **__: answer)
    monkeypatch.setattr(revocation.httpx, "Client", lambda **_: nullcontext(client))
    with pytest.raises(RuntimeError, match="/v1/check never refused bench_check_0"):
        revocation._check(timed, 1)
    with pytest.raises(RuntimeError, match="4 refusals of the baseline never came"):
        timed.baseline()


@pytest.mark.slow
def test_every_entry_of_the_long_list_has_times_of_its_own_as_those_of_a_real_one_have():
    """Else a list of copies is measured, which packs much smaller."""
    with long_list(40) as place, place.control.store.read() as rows:
        entries = list(rows.ledger.each_live())
    assert len(entries) == 40
    times = [entry.at for entry in entries]
    assert times == sorted(set(times)), "as the ledger grew"
    lives = [entry.expires_at - entry.at for entry in entries]
    assert len(set(lives)) > 5
    assert min(lives) == timedelta(hours=24)
