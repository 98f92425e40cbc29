"""A monitor that is adopted where a log has been for long, and is killed before it reads anything."""

from typing import Any

import pytest
import yaml
from until import until


@pytest.mark.slow
def test_a_first_start_at_the_newest_judges_what_came_since_also_after_a_kill(
    estate: Any, day: list[bytes]
) -> None:
    path = estate.folder / "guardian.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings["kafka"]["auto_offset_reset"] = "latest"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    older, newer = day[:30], day[30:60]
    estate.produce(older)
    first = estate.watch(name="first")
    until(lambda: "first_start" in (estate.folder / "first.log").read_text(encoding="utf-8"))
    first.kill()
    first.wait()
    assert estate.count("select sum(next_offset) from places") == len(older)
    estate.produce(newer)
    estate.watch(name="second")
    until(lambda: estate.finished(len(newer)))
    assert estate.count("select sum(next_offset) from places") == len(older + newer)
    assert estate.count("select (select count(*) from seen) + (select count(*) from dead_letters)") == len(newer)
