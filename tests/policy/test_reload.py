"""A reload takes the whole set or nothing of it, and says which."""

import threading
from pathlib import Path

import pytest

from guardian.errors import PolicyError
from guardian.policy.cases import read_cases
from guardian.policy.reload import ReloadablePolicies

SHIPPED = Path(__file__).parents[2] / "config" / "policies"
ANALYSTS_REVOKE = """
@id("analysts-may-revoke") @why("a test")
permit (principal in Guardian::Role::"analyst", action == Guardian::Action::"revoke", resource);
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped policies without their cases, to be changed at will."""
    for file in SHIPPED.glob("*.cedar*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


@pytest.fixture(scope="module")
def wish():
    """An analyst who wants to revoke, which the shipped policies refuse."""
    cases = read_cases((SHIPPED / "cases.yaml").read_text(), SHIPPED)
    return next(case.request for case in cases if case.name == "an analyst does not revoke")


def test_a_sound_change_is_in_force_at_once_and_told(folder, wish):
    point = ReloadablePolicies(folder)
    before = point.version
    assert not point.decide(wish).allowed
    (folder / "more.cedar").write_text(ANALYSTS_REVOKE)
    outcome = point.reload()
    assert (outcome.result, outcome.before, outcome.after) == ("swapped", before, point.version)
    assert (outcome.added, outcome.removed, outcome.cases) == (("analysts-may-revoke",), (), 0)
    assert "+analysts-may-revoke" in str(outcome)
    assert point.decide(wish).allowed
    (folder / "more.cedar").unlink()
    assert point.reload().removed == ("analysts-may-revoke",)
    assert point.version == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("permit (", "Cedar cannot parse"),
        ('@id("x") permit (principal, action == Guardian::Action::"rvk", resource);', "does not fit the schema"),
        ('@id("monitor-may-flag") permit (principal, action, resource);', "ids must be unique"),
    ],
)
def test_a_broken_set_changes_nothing_and_says_why(folder, wish, text, reason):
    point = ReloadablePolicies(folder)
    before = point.version
    (folder / "more.cedar").write_text(ANALYSTS_REVOKE + text)
    outcome = point.reload()
    assert (outcome.result, outcome.before, outcome.after) == ("refused", before, before)
    assert reason in outcome.reason
    assert "stays in force" in str(outcome)
    assert point.version == before
    assert not point.decide(wish).allowed


def test_a_set_that_breaks_its_cases_is_refused_at_reload_and_at_start(folder):
    (folder / "cases.yaml").write_bytes((SHIPPED / "cases.yaml").read_bytes())
    point = ReloadablePolicies(folder)
    (folder / "more.cedar").write_text(ANALYSTS_REVOKE)
    outcome = point.reload()
    assert outcome.result == "refused"
    assert (
        "'an analyst does not revoke': expected deny by no policy, got allow by analysts-may-revoke"
        in outcome.reason
    )
    with pytest.raises(PolicyError, match="cases fail"):
        ReloadablePolicies(folder)


def test_a_prohibition_that_went_missing_is_noticed_by_the_cases(folder):
    (folder / "cases.yaml").write_bytes((SHIPPED / "cases.yaml").read_bytes())
    point = ReloadablePolicies(folder)
    (folder / "tenancy.cedar").unlink()
    assert point.reload().result == "refused"
    assert "tenant-isolation" in point.policies.policy_ids


@pytest.mark.parametrize("text", ["- {name: x", "- {name: 2026-02-30}"])
def test_unreadable_cases_are_no_cases_passed(folder, text):
    point = ReloadablePolicies(folder)
    (folder / "cases.yaml").write_text(text)
    assert point.reload().result == "refused"
    with pytest.raises(PolicyError, match=r"cases\.yaml"):
        ReloadablePolicies(folder)


def test_nothing_changed_is_told_as_that(folder):
    point = ReloadablePolicies(folder)
    outcome = point.reload()
    assert (outcome.result, outcome.before) == ("unchanged", outcome.after)
    assert "unchanged" in str(outcome)


def test_a_folder_that_is_gone_leaves_the_old_set_in_force(folder, wish):
    point = ReloadablePolicies(folder)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert point.reload().result == "refused"
    assert not point.decide(wish).allowed


def test_looking_at_files_that_did_not_change_does_nothing(folder):
    point = ReloadablePolicies(folder)
    (folder / "a.cedar").write_text("// a word\n")
    (folder / "a.cedar").unlink()
    assert [point.reload_if_changed() for _ in range(3)] == [None, None, None]


def test_a_change_is_taken_when_it_has_settled(folder):
    point = ReloadablePolicies(folder)
    (folder / "more.cedar").write_text(ANALYSTS_REVOKE)
    assert point.reload_if_changed() is None  # somebody may be writing still
    (folder / "more.cedar").write_text(ANALYSTS_REVOKE + "// more\n")
    assert point.reload_if_changed() is None
    outcome = point.reload_if_changed()
    assert outcome is not None
    assert outcome.result == "swapped"
    assert point.reload_if_changed() is None


def test_what_is_put_in_force_is_what_had_settled_and_not_what_is_written_a_moment_later(folder, wish):
    never = ANALYSTS_REVOKE.replace("may", "never").replace("permit", "forbid")

    class Restless(type(folder)):
        """At the fourth reading (after the start, the change, and the look that finds it settled) half is gone."""

        readings = 0

        def glob(self, pattern):
            Restless.readings += pattern == "*.cedar"
            if Restless.readings == 4:
                (folder / "more.cedar").write_text(ANALYSTS_REVOKE)
            return super().glob(pattern)

    point = ReloadablePolicies(Restless(folder))
    (folder / "more.cedar").write_text(ANALYSTS_REVOKE + never)
    assert [point.reload_if_changed() is not None for _ in range(2)] == [False, True]
    assert point.decide(wish).policy_ids == ("analysts-never-revoke",)


@pytest.mark.parametrize("breakage", ["text", "absence"])
def test_a_broken_state_is_told_once_and_its_repair_too(folder, breakage):
    point = ReloadablePolicies(folder)
    kept = (folder / "guardian.cedarschema").read_bytes()
    if breakage == "text":
        (folder / "guardian.cedarschema").write_text("entity {")
    else:
        (folder / "guardian.cedarschema").unlink()
    told = [point.reload_if_changed() for _ in range(4)]
    assert [each.result for each in told if each] == ["refused"]
    (folder / "guardian.cedarschema").write_bytes(kept)
    told = [point.reload_if_changed() for _ in range(4)]
    assert [each.result for each in told if each] == ["unchanged"]


def test_a_poke_after_a_refusal_tells_again(folder):
    point = ReloadablePolicies(folder)
    (folder / "more.cedar").write_text("permit (")
    assert [point.reload().result for _ in range(2)] == ["refused", "refused"]
    assert [point.reload_if_changed() for _ in range(3)] == [None] * 3


def test_while_sets_are_swapped_every_question_is_answered_by_one_of_them(folder, wish):
    """Each set has two policies of its own; an answer by one of each would be a torn set."""
    sets = [ANALYSTS_REVOKE.replace("may-revoke", f"{name}-{n}") for name in ("old", "new") for n in (1, 2)]
    (folder / "more.cedar").write_text("".join(sets[:2]))
    point = ReloadablePolicies(folder)
    seen, over = set(), threading.Event()

    def ask():
        while not over.is_set():
            seen.add(point.decide(wish).policy_ids)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    for place in (2, 0, 2):
        (folder / "more.cedar").write_text("".join(sets[place : place + 2]))
        assert point.reload().result == "swapped"
    over.set()
    for asker in askers:
        asker.join()
    assert seen <= {("analysts-old-1", "analysts-old-2"), ("analysts-new-1", "analysts-new-2")}
    assert point.decide(wish).policy_ids == ("analysts-new-1", "analysts-new-2")
