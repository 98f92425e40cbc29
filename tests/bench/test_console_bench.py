"""The bench of the evidence pages runs; no figure is asserted."""

import pytest

from guardian.bench import console


@pytest.mark.slow
def test_the_console_bench_times_pages_beside_the_apis_answer() -> None:
    rows = {row.name: row for row in console.run(actions=200, rows=3000, times=2, progress=lambda *_: None)}
    assert rows["page of its latest finding, p50"].value > 0
    assert rows["page of its latest finding, p50"].baseline > 0
    assert any(name.startswith("its 200 rows out of the archive") for name in rows)
