"""The miner against known needs: small here; the figures in the README come from `guardian bench tightening`."""

from guardian.bench import tightening


def test_the_aims_hold_on_an_estate_with_known_needs():
    told = {row.name: row for row in tightening.run(seeds=[11], events=3000, progress=lambda done, total: None)}
    denied = told["honest calls denied (allow exactly, same scopes)"]
    assert told["newly allowed calls"].value == 0
    assert denied.value < 0.001 < denied.baseline
    assert told["excess privilege removed (drop unused)"].value >= 0.6
    assert told["excess privilege removed (drop unused)"].baseline < 0.6
    assert told["precision (allow exactly what was seen)"].value > 0.98
    assert told["recall of what could be taken"].value > 0.4
    assert told["backtest"].value > 0
    assert told["drifted and attacked sessions that were flagged"].value < 0.95
