"""The miner against known needs: small here; the figures in the README come from `guardian bench tightening`."""

from guardian.archive.reader import Archive
from guardian.bench import tightening
from guardian.bench.estate import Estate
from guardian.bench.estate_archive import first_day, multiply


def test_the_aims_hold_on_an_estate_with_known_needs():
    told = {
        row.name: row
        for row in tightening.run(seeds=[11], events=0, progress=lambda done, total: None, purposes=12, rare=0)
    }
    denied = told["honest calls denied (allow exactly, same scopes)"]
    assert told["newly allowed calls"].value == 0
    assert denied.value < 0.001 < denied.baseline
    assert told["excess privilege removed (drop unused)"].value >= 0.6
    assert told["excess privilege removed (drop unused)"].baseline < 0.6
    assert told["precision (allow exactly what was seen)"].value > 0.98
    assert told["recall of what could be taken"].value > 0.4
    assert told["drifted and attacked sessions that were flagged"].value < 0.95


def test_what_sessions_to_come_may_cost_is_told_before_they_come_where_needs_are_rare():
    told = {
        row.name: row
        for row in tightening.run(seeds=[11], events=0, progress=lambda done, total: None, purposes=12)
    }
    denied = told["next month's honest calls denied (drop unused)"]
    touched = told["next month's honest sessions touched (promised at most)"]
    assert denied.value < 0.0005 < denied.baseline
    assert touched.n > 100
    assert touched.value < touched.baseline < 0.05


def test_a_day_of_the_estate_is_multiplied_and_replayed(tmp_path):
    estate = Estate(11, purposes=4)
    day = list(first_day(estate))
    written = multiply(tmp_path, day, events=3 * 4 * len(day), days=3, progress=lambda done, total: None)
    calls = list(Archive(tmp_path).past_calls())
    assert written == len(calls) == 12 * len(day)
    assert len({call.session_id for call in calls}) == 12 * len({call.session_id for call in day})
    assert len({call.at.date() for call in calls}) == 3
    assert [call.at for call in calls] == sorted(call.at for call in calls)
