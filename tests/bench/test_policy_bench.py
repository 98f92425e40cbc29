"""The policy bench measures decisions that are really made, beside the same from text."""

from guardian.bench import policy


def test_figures_come_with_their_counts_and_a_baseline():
    told = []
    rows = {
        row.name: row
        for row in policy.run(requests=40, seed=1, progress=lambda done, total: told.append((done, total)))
    }
    assert rows["decisions"].n == 40
    assert rows["decisions"].baseline
    assert rows["one decision, p99"].value >= rows["one decision, p50"].value > 0
    assert 0 < rows["permitted"].value < 1
    assert any(name.startswith("validation and reload") for name in rows)
    assert all(done <= total for done, total in told)


def test_the_same_seed_asks_the_same():
    assert policy.mixture(50, 3) == policy.mixture(50, 3) != policy.mixture(50, 4)
