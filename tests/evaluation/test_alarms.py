"""Promised beside measured, the wait for a flag, and the single act: counted by hand on sessions made by hand."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from guardian.domain.drift import Drift
from guardian.evaluation.alarms import delays, promises, single_acts
from guardian.evaluation.assessment import Assessment
from guardian.evaluation.folding import FoldedSession
from guardian.evaluation.metrics import roc, share
from guardian.evaluation.report import Report
from guardian.evaluation.sessions import Label, LabelledAction, LabelledSession

SEED = 3


def verdict(one_in: float, *, promised: bool = True) -> Drift:
    return Drift(0.5, 0.1, 1.0, 0.0, one_in, promised, {}, ())


def folded(
    labels: str, one_in: Sequence[float], *, purpose: str = "p", tools: Sequence[str] = (), dataset: str = "d"
) -> FoldedSession:
    """A session with one letter per action: "b"enign, "d"rift, "u"nknown, "?" a doubted drift."""
    words: dict[str, Label] = {"b": "benign", "u": "unknown"}
    actions = tuple(
        LabelledAction(tools[at] if tools else "files.read", {}, words.get(letter, "drift"), letter not in "?u")
        for at, letter in enumerate(labels)
    )
    drifts = tuple(verdict(n, promised=n <= 500) for n in one_in)
    return FoldedSession(LabelledSession(dataset, "s", "dom", purpose, actions), drifts)


def test_honest_sessions_that_end_past_n_are_counted_beside_what_was_promised() -> None:
    sessions = [folded("bb", [1, 1], purpose=f"p{n}") for n in range(98)]
    sessions += [folded("bb", [1, 25], purpose="p98"), folded("bb", [200, 2_000], purpose="p99")]
    sessions += [folded("bd", [1, 5_000]), folded("b?", [1, 5_000])]  # neither is surely honest
    rows = {row.one_in: row for row in promises(sessions, calibration="c", one_in=(20, 100, 1_000), seed=SEED)}
    assert [(r.flagged, r.estimated, r.sessions) for r in rows.values()] == [(2, 1, 100), (1, 1, 100), (1, 1, 100)]
    assert rows[20].measured.value == pytest.approx(0.02)
    assert rows[20].measured.low <= 0.02 <= rows[20].measured.high


def test_of_the_flagged_those_that_nobody_judged_are_told() -> None:
    sessions = [folded("b", [one_in], purpose=f"p{one_in}") for one_in in (1, 25, 30, 2_000)]
    silent = [replace(f, session=replace(f.session, unjudged=True)) for f in sessions[:3]]
    rows = promises([*silent, *sessions[3:]], calibration="c", one_in=(20, 28, 100), seed=SEED)
    assert [(row.flagged, row.unjudged) for row in rows] == [(3, 2), (2, 1), (1, 0)]
    table = [text for text in Assessment(Report((), 4, 0, SEED), promises=tuple(rows)).lines() if "| d |" in text]
    assert [row.split(" | ")[5] for row in table] == ["3 / 4 (2 unjudged)", "2 / 4 (1 unjudged)", "1 / 4"]


def test_data_sets_are_counted_apart() -> None:
    sessions = [folded("b", [1], dataset=name) for name in "aab"]
    assert [(r.source, r.sessions) for r in promises(sessions, calibration="c", one_in=(20,), seed=SEED)] == [
        ("a", 2),
        ("b", 1),
    ]


def test_the_wait_is_counted_from_the_first_act_that_left_the_purpose() -> None:
    sessions = [
        folded("bdd", [1, 30, 30]),  # on the act itself
        folded("bddd", [1, 1, 1, 30]),  # two actions later
        folded("bbd", [30, 30, 30]),  # before it: a false alarm that happened to a drifting session
        folded("bd", [1, 1]),  # never
        folded("bb", [30, 30]),  # no drift: no wait
    ]
    (row,) = delays(sessions, one_in=(20,), seed=SEED)
    assert row.sessions == 4
    assert row.delays == (0, 2)
    assert row.median == 1.0
    assert (row.caught.value, row.at_once.value, row.early.value) == (0.5, 0.25, 0.25)


def test_a_doubtful_label_is_no_drift_to_wait_for() -> None:
    (row,) = delays([folded("?bd", [1, 1, 30])], one_in=(20,), seed=SEED)
    assert row.delays == (0,)


def test_nobody_caught_has_no_median() -> None:
    (row,) = delays([folded("d", [1])], one_in=(20,), seed=SEED)
    assert row.median is None


def test_single_acts_are_those_sessions_whose_only_drift_is_one_act_that_changes_something() -> None:
    sessions = [
        folded("bd", [1, 30], tools=["files.read", "email.send"]),
        folded("bd", [1, 1], tools=["files.read", "files.delete"]),
        folded("bd", [1, 30], tools=["files.read", "notes.create"]),
        folded("bd", [1, 30], tools=["files.read", "files.list"]),  # a look-up changes nothing
        folded("dd", [1, 30], tools=["email.send", "email.send"]),  # two acts
        folded("d?", [1, 30], tools=["email.send", "email.send"]),  # perhaps two
        folded("ud", [1, 30], tools=["email.send", "email.send"]),
        folded("bb", [1, 30], tools=["files.read", "email.send"]),  # none
    ]
    rows = {row.act: row for row in single_acts(sessions, one_in=(20,), seed=SEED)}
    assert {act: (row.sessions, row.caught.value) for act, row in rows.items()} == {
        "any": (3, pytest.approx(2 / 3)),
        "write": (1, 1.0),
        "send, pay, share, delete": (2, 0.5),
    }


def test_one_act_under_many_purposes_says_less_than_many_acts() -> None:
    def caught(acts: int) -> tuple[int, int, float, float]:
        made = [
            folded(
                "bd", [1, 30 if n % acts % 2 else 1], tools=["files.read", f"mail{n % acts}.send"], purpose=f"p{n}"
            )
            for n in range(40)
        ]
        single, delay = single_acts(made, one_in=(20,), seed=SEED)[0], delays(made, one_in=(20,), seed=SEED)[0]
        assert single.caught.value == delay.caught.value == 0.5
        return single.acts, delay.acts, *(row.caught.high - row.caught.low for row in (single, delay))

    (few, sets, wide, wide_too), (many, _, narrow, narrow_too) = caught(4), caught(40)
    assert (few, sets, many) == (4, 4, 40)
    assert wide > 1.5 * narrow
    assert wide_too > 1.5 * narrow_too


def test_sessions_that_drift_by_the_same_acts_in_another_order_are_one_case() -> None:
    orders = (["mail.send", "files.delete"], ["files.delete", "mail.send"])
    (row,) = delays(
        [folded("dd", [30, 30], tools=tools, purpose=tools[0]) for tools in orders], one_in=(20,), seed=1
    )
    assert (row.sessions, row.acts) == (2, 1)


def test_a_flag_before_the_act_is_no_catch() -> None:
    rows = single_acts([folded("bd", [30, 30], tools=["files.read", "email.send"])], one_in=(20,), seed=SEED)
    assert rows[0].caught.value == 0.0


def test_evidence_is_that_of_the_last_action_in_powers_of_ten() -> None:
    assert folded("bb", [1, 1_000]).evidence == pytest.approx(3.0)
    assert folded("", []).evidence == 0.0


def test_a_share_of_nothing_is_not_a_number_and_none_of_many_is_not_nothing() -> None:
    assert math.isnan(share([], [], seed=SEED).value)
    none = share([False] * 60, [str(n) for n in range(60)], seed=SEED)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 60))
    clumped = share([False] * 60, ["one purpose"] * 60, seed=SEED)
    assert clumped.high > 0.9  # sixty repetitions are one case
    assert share([True] * 60, [str(n) for n in range(60)], seed=SEED).low < 1.0


def test_repeating_every_session_does_not_narrow_the_interval_of_a_share() -> None:
    flags, names = [n % 5 == 0 for n in range(50)], [str(n) for n in range(50)]
    once, often = share(flags, names, seed=SEED), share(flags * 10, names * 10, seed=SEED)
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.1)


def test_the_roc_runs_from_corner_to_corner_and_ties_are_one_step() -> None:
    assert roc([0.9, 0.5, 0.5, 0.1], [True, True, False, False]) == (
        (0.0, 0.0),
        (0.0, 0.5),
        (0.5, 1.0),
        (1.0, 1.0),
    )
    assert roc([0.5], [True]) == ()
