"""How far a file was read is told beside its size, so that whoever waits sees an end."""

import gzip
import json
import random
from itertools import pairwise
from pathlib import Path

import pytest

from guardian.commands.detecting import detect
from guardian.commands.offline import batches, replay_file, score_file, scratch_store
from guardian.config import load
from guardian.errors import StoreError

LEXICAL = {"model": {"engine": "lexical"}, "monitor": {"batch": 2}}


def packed_twice(lines: list[bytes]) -> bytes:
    """As of two days, one behind the other."""
    return gzip.compress(b"".join(lines[:2_000])) + gzip.compress(b"".join(lines[2_000:]))


@pytest.mark.parametrize(("name", "written"), [("a.jsonl", b"".join), ("a.jsonl.gz", packed_twice)])
def test_what_was_read_of_a_file_grows_to_its_size(tmp_path: Path, name, written) -> None:
    noise = random.Random(7)
    path = tmp_path / name
    path.write_bytes(written([noise.randbytes(500).hex().encode() + b"\n" for _ in range(4_000)]))
    told: list[tuple[int, int | None]] = []
    held = sum(len(batch) for batch in batches(path, lambda *far: told.append(far)))
    size = path.stat().st_size
    assert {total for _, total in told} == {size}
    assert held == 4_000
    assert 0 < told[0][0] < size / 2
    assert all(before <= after for (before, _), (after, _) in pairwise(told))
    assert told[-1][0] == size


def test_of_standard_input_nobody_knows_the_end(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"{}\n" * 100)
    told: list[tuple[int, int | None]] = []
    with (tmp_path / "in").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert sum(len(batch) for batch in batches(Path("-"), lambda *far: told.append(far))) == 100
    assert told == [(64 * 3, None), (300, None)]


def test_whoever_scores_replays_or_asks_for_the_format_sees_the_end(tmp_path: Path) -> None:
    line = {"session_id": "s", "purpose": "p", "actions": [{"tool": "t", "args": {}}]}
    sessions, log = tmp_path / "sessions.jsonl", tmp_path / "log.jsonl"
    sessions.write_text(f"{json.dumps(line)}\n" * 3)
    sample = Path(__file__).parents[1] / "sources/samples/guardian.jsonl"
    log.write_bytes(sample.read_bytes())
    told: list[tuple[int, int | None]] = []
    settings = load(None, overrides=LEXICAL)
    score_file(settings, sessions, tmp_path / "out", lambda *far: told.append(far))
    detect(settings, sessions, lambda *far: told.append(far))
    assert told == [(sessions.stat().st_size,) * 2] * 2
    told.clear()
    replay_file(settings, log, lambda *far: told.append(far))
    assert told[-1] == (log.stat().st_size,) * 2


def test_where_there_is_no_room_for_what_is_read_the_way_out_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "away"))
    wanted = "name by TMPDIR a folder with room for what is read: some 0.3 kB for each decision"
    with pytest.raises(StoreError, match=f"away/guardian-scratch-.*; {wanted}"), scratch_store():
        pass
    (tmp_path / "away").mkdir()
    full = pytest.raises(StoreError, match=f"is full; it lies in {tmp_path}/away/guardian-.*: {wanted}")
    with full, scratch_store():
        raise StoreError("store: the disk is full")
    assert not list((tmp_path / "away").iterdir())
