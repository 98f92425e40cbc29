"""The audit bench verifies a trail that it really wrote, beside the bare chain."""

from guardian.bench import audit


def test_figures_come_with_their_counts_and_a_baseline():
    told = []
    rows = {
        row.name: row
        for row in audit.run(entries=300, seed=1, progress=lambda done, total: told.append((done, total)))
    }
    assert rows["verified"].n == 320  # and one entry before each of the checkpoints
    assert rows["verified"].value > 0
    assert rows["verified"].baseline > 0
    assert rows["checkpoint after one new entry, p50"].n == 20
    assert rows["database"].value > 200
    assert told[-1][0] >= 600
