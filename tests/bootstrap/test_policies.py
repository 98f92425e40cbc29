"""The decision point that the configuration names, and its files, followed while it runs."""

import queue
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from guardian.bootstrap.policies import WatchedPolicies, open_policy, policy_folder
from guardian.config import load
from guardian.errors import ConfigurationError, PolicyError
from guardian.policy.floor import Floor
from guardian.policy.port import Asker, PolicyRequest

SHIPPED = Path(__file__).parents[2] / "config" / "policies"
FLAG = PolicyRequest(Asker("monitor-1", "monitor", frozenset({"acme"})), "readMetrics")
MORE = '@id("more") @why("a test") permit (principal, action == Guardian::Action::"read", resource);'
DEAD = {"url": "http://127.0.0.1:9", "timeout_s": 0.2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for file in SHIPPED.glob("*.cedar*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def put(folder: Path, text: str) -> None:
    """A file that is there whole or not at all, as whoever watches the folder may look at any moment."""
    (folder / "more.new").write_text(text)
    (folder / "more.new").replace(folder / "more.cedar")


@pytest.fixture
def watching():
    """Watches policies and hears what is told of them; stopped at the end."""
    opened = []

    def watch(every_s: float = 3600.0, **policy):
        heard: queue.Queue = queue.Queue()
        settings = load(None, overrides={"policy": {"reload_every_s": every_s, **policy}})
        watched = WatchedPolicies(settings, told=heard.put)
        opened.append(watched)
        watched.start()
        return watched, lambda: heard.get(timeout=30)

    yield watch
    for each in opened:
        each.stop()


def test_without_a_path_the_shipped_policies_are_in_force():
    settings = load(None)
    assert open_policy(settings).decide(FLAG).policy_ids == ("monitor-may-follow-people",)
    assert (policy_folder(settings) / "cases.yaml").is_file()


def test_a_configured_folder_is_relative_to_the_configuration(folder):
    settings = load(None, overrides={"policy": {"path": folder.name}, "base": str(folder.parent)})
    assert policy_folder(settings) == folder
    assert open_policy(settings).decide(FLAG).allowed


def test_control_that_starts_while_a_policy_is_written_starts_with_the_whole_of_it(folder, watching):
    policy = folder / "monitor.cedar"
    whole = policy.read_text()
    policy.write_text(whole[: len(whole) // 2])
    written = threading.Timer(0.3, policy.write_text, [whole])
    written.start()
    watched, _ = watching(path=str(folder))
    written.join()
    assert watched.point.decide(FLAG).allowed


def test_unsound_policies_do_not_start(folder):
    (folder / "more.cedar").write_text("permit (")
    with pytest.raises(PolicyError, match=r"more\.cedar:1"):
        open_policy(load(None, overrides={"policy": {"path": str(folder)}}))


def test_cedar_has_no_options_and_an_unknown_language_names_the_known_ones():
    with pytest.raises(ConfigurationError, match="none, got url"):
        open_policy(load(None, overrides={"policy": {"options": {"url": "x"}}}))
    with pytest.raises(ConfigurationError, match="cedar"):
        open_policy(load(None, overrides={"policy": {"language": "prolog"}}))


def test_an_external_decision_point_stands_on_the_shipped_floor_unless_that_is_off():
    with_floor = open_policy(load(None, overrides={"policy": {"language": "opa", "options": DEAD}}))
    assert isinstance(with_floor, Floor)
    decision = with_floor.decide(FLAG)
    assert not decision.allowed
    assert decision.errors
    alone = open_policy(load(None, overrides={"policy": {"language": "opa", "options": DEAD, "floor": False}}))
    assert not isinstance(alone, Floor)


def test_an_unsound_floor_does_not_start_either(folder):
    (folder / "more.cedar").write_text("permit (")
    with pytest.raises(PolicyError):
        open_policy(load(None, overrides={"policy": {"language": "opa", "options": DEAD, "path": str(folder)}}))


def test_a_changed_file_comes_into_force_by_itself(folder, watching):
    watched, heard = watching(every_s=0.05, path=str(folder))
    before = watched.point.version
    put(folder, MORE)
    outcome = heard()
    assert (outcome.result, outcome.added) == ("swapped", ("more",))
    assert watched.point.version == outcome.after != before


def test_a_poke_looks_at_once_and_is_always_answered(folder, watching):
    watched, heard = watching(path=str(folder))
    watched.poke()
    assert heard().result == "unchanged"
    (folder / "more.cedar").write_text("permit (")
    watched.poke()
    assert heard().result == "refused"
    (folder / "more.cedar").write_text(MORE)
    watched.poke()
    assert heard().result == "swapped"


def test_a_signal_may_poke_also_while_it_pokes(folder, watching):
    watched, heard = watching(path=str(folder))
    before = signal.signal(signal.SIGHUP, lambda *_: watched.poke())
    try:
        for _ in range(6):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert {heard().result for _ in range(6)} == {"unchanged"}


def test_the_floor_of_an_external_decision_point_is_followed_too(folder, watching):
    watched, heard = watching(language="opa", options=DEAD, path=str(folder))
    before = watched.point.version
    (folder / "more.cedar").write_text(MORE)
    watched.poke()
    assert heard().result == "swapped"
    assert watched.point.version != before


def test_where_there_are_no_files_a_poke_harms_nothing(watching):
    watched, _ = watching(language="opa", options=DEAD, floor=False)
    watched.poke()
    watched.stop()
    watched.stop()
    assert not watched.point.decide(replace(FLAG, action="read")).allowed


def test_what_a_listener_failed_on_is_told_again_and_does_not_end_the_watch(folder):
    heard: queue.Queue = queue.Queue()
    away = [RuntimeError("the audit trail is away")] * 2

    def told(outcome):
        heard.put(outcome)
        if away:
            raise away.pop()

    settings = load(None, overrides={"policy": {"reload_every_s": 0.05, "path": str(folder)}})
    watched = WatchedPolicies(settings, told=told)
    watched.start()
    try:
        put(folder, MORE)
        assert [heard.get(timeout=30).result for _ in range(3)] == ["swapped"] * 3
        watched.poke()
        assert heard.get(timeout=30).result == "unchanged"
    finally:
        watched.stop()
