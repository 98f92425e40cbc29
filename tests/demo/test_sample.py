"""The sample data: the same for everybody, with what was planted found in it and nothing else."""

import hashlib

import pytest
import structlog

from guardian.archive.reader import Archive
from guardian.demo import weeks
from guardian.demo.sample import sample
from guardian.demo.scenario import PLANTS
from guardian.demo.weeks import BAD_DAY, Weeks
from guardian.errors import ConfigurationError


def digests(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def one_quick_week(monkeypatch):
    monkeypatch.setattr(weeks, "WEEKS", 1)
    monkeypatch.setattr(weeks, "SESSIONS_A_DAY", 3)
    monkeypatch.setenv("GUARDIAN_MODEL__ENGINE", "lexical")


def test_the_same_seed_makes_the_same_bytes_and_another_seed_others(tmp_path, one_quick_week, monkeypatch):
    one, other = (sample(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("c", 2)))
    monkeypatch.setenv("GUARDIAN_STORE__CONTROL", f"sqlite:///{tmp_path}/real.db")
    monkeypatch.setenv("GUARDIAN_RESPONSE__FLAG_ONE_IN", "1.5")
    again = sample(tmp_path / "b", seed=1)
    assert digests(one) == digests(again)
    assert digests(one) != digests(other)
    assert not (tmp_path / "real.db").exists()  # a deployment that variables name is nothing to it


def test_a_sample_that_is_there_is_not_made_again(tmp_path, one_quick_week, monkeypatch):
    root = sample(tmp_path / "here")
    before = digests(root)
    monkeypatch.setattr(weeks.Weeks, "plan", None)  # would fail if it were asked
    assert sample(root) == root
    assert digests(root) == before


def test_it_is_kept_in_the_users_cache_whole_or_not_at_all(tmp_path, one_quick_week, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    seen = []
    root = sample(update=lambda done, total: seen.append((done, total)))
    assert root.parent == tmp_path / "cache" / "guardian"
    assert [path.name for path in root.parent.iterdir()] == [root.name]
    assert seen[-1] == (5, 5)
    assert sum(batch.num_rows for batch in Archive(root).batches(["tool"])) > 0


def test_in_a_notebook_where_nobody_has_configured_logging_nothing_is_printed(tmp_path, one_quick_week, capsys):
    before = structlog.get_config()
    structlog.reset_defaults()
    try:
        sample(tmp_path / "a")
        assert capsys.readouterr() == ("", "")
        assert not structlog.is_configured()
    finally:
        structlog.configure(**before)


def test_a_place_that_cannot_be_written_is_told(tmp_path, one_quick_week):
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="cannot write sample data"):
        sample(tmp_path / "file" / "sample")


def test_every_kind_of_drift_is_planted_on_the_last_day():
    plan = Weeks.plan(7)
    assert max(plan.days) == BAD_DAY
    assert {shift.session.plant for shift in plan.days[BAD_DAY]} >= set(PLANTS)


def test_children_act_after_their_parents():
    plan = Weeks.plan(7)
    seen = set()
    for day in plan.days:
        for _, line in plan.of(day):
            parent = line["envelope"]["parent_session_id"]
            assert parent is None or parent in seen
            seen.add(line["envelope"]["session_id"])
