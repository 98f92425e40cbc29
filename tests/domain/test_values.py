"""Signals, drift, findings, sessions and revisions check themselves."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardian.domain.batch import TaskKey, Wanted, delegation
from guardian.domain.breach import Breach
from guardian.domain.drift import Drift
from guardian.domain.envelope import Envelope
from guardian.domain.finding import Effect, Finding, Kind, finding_id
from guardian.domain.gathered import Gathered
from guardian.domain.identity import SessionKey
from guardian.domain.revocation import LedgerEntry, Revision
from guardian.domain.session import HumanWord, SessionState, Stage
from guardian.domain.signal import Signal

NOW = datetime(2026, 5, 12, 17, tzinfo=UTC)
NAMES = st.text(st.characters(blacklist_categories=["Cc", "Cs"]), min_size=1, max_size=20)


def finding(**changes: Any) -> Finding:
    given_: dict[str, Any] = {
        "id": "fnd_1", "kind": Kind.DRIFT, "tenant_id": "acme", "session_id": "s1", "wanted": Effect.FLAG,
        "severity": "high", "title": "t", "time": NOW,
    }  # fmt: skip
    return Finding(**{**given_, **changes})


@pytest.mark.parametrize("value", [-0.001, 1.001, math.nan, math.inf, -math.inf])
def test_a_signal_outside_its_range_cannot_exist(value: float) -> None:
    with pytest.raises(ValueError, match=r"purpose_fit must lie in \[0, 1\]"):
        Signal("purpose_fit", value)


@given(st.floats(0, 1))
def test_every_value_between_none_and_all_is_a_signal(value: float) -> None:
    assert Signal("purpose_fit", value).value == value


def test_a_verdict_lists_the_breaches_of_all_its_signals_in_order() -> None:
    a, b, c = (Breach(name, "") for name in "abc")
    drift = Drift(
        score=1.0, p_value=0.1, e_value=2.0, session_evidence=1.0, one_in=10.0, promised=True, shares={},
        signals=(Signal("x", 1.0, breaches=(a, b)), Signal("y", 0.0), Signal("z", 1.0, breaches=(c,))),
    )  # fmt: skip
    assert drift.breaches == (a, b, c)


def test_the_same_finding_has_the_same_digest_and_any_change_another() -> None:
    assert finding().digest == finding().digest
    for change in ({"title": "u"}, {"wanted": Effect.REVOKE}, {"transition": 1}, {"versions": {"model": "2"}}):
        assert finding(**change).digest != finding().digest


def test_a_digest_survives_the_wire() -> None:
    assert Finding.model_validate_json(finding().model_dump_json()).digest == finding().digest


@pytest.mark.parametrize(
    "change",
    [
        {"title": "t" * 301},
        {"session_id": "a\nb"},
        {"surprise": 1},
        {"severity": "dire"},
        {"time": datetime(2026, 1, 1)},
    ],
)
def test_a_finding_is_bounded_and_closed(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        finding(**change)


@given(st.lists(NAMES, max_size=3), st.lists(NAMES, max_size=3))
def test_two_state_changes_never_share_an_id(one: list[str], other: list[str]) -> None:
    same = finding_id(Kind.DRIFT, "acme", "s1", *one) == finding_id(Kind.DRIFT, "acme", "s1", *other)
    assert same is (one == other)


def test_an_id_depends_on_kind_tenant_and_session() -> None:
    ids = {finding_id(k, t, s, 0, 1) for k in Kind for t in ("acme", "globex") for s in ("s1", "s2")}
    assert len(ids) == 4 * len(Kind)
    assert finding_id(Kind.DRIFT, "acme", "s1", 0, 1) == finding_id(Kind.DRIFT, "acme", "s1", "0", "1")


def test_a_session_that_has_not_acted_is_clear() -> None:
    state = SessionState()
    assert (state.stage, state.epoch, state.transition, state.actions) == (Stage.CLEAR, 0, 0, 0)
    assert state.revoked_at is None


def test_a_session_survives_its_json_and_knows_no_strangers() -> None:
    envelope = Envelope(delegator_id="u", tenant_id="acme", session_id="s1", allowed_tools=("a", "b"))
    state = SessionState(
        stage=Stage.FLAGGED, envelope=envelope, first_seen=NOW, revoked_at=NOW, tools=("a",), ancestors=("p",),
        signals={"x": {"n": [1, 2]}}, evidence=Gathered(n=1, m=1.5, top=1.5), breaches=("b",), pardoned=("c",),
    )  # fmt: skip
    assert SessionState.model_validate_json(state.model_dump_json()) == state
    with pytest.raises(ValidationError):
        SessionState.model_validate({"mood": "good"})


def test_a_delegation_is_a_task_that_no_log_can_name_and_all_who_belong_to_it_ask_for_the_same() -> None:
    root, child, grandchild = (SessionKey("acme", name) for name in ("root", "child", "grandchild"))
    known = {child: SessionState(ancestors=("root",)), grandchild: SessionState(ancestors=("child", "root"))}
    empty: frozenset[Any] = frozenset()
    task = TaskKey("acme", "root")
    wanted = Wanted(frozenset({root, *known}), empty, empty, empty, tasks=frozenset({task}))
    family = delegation(root, ())
    assert wanted.all_tasks(known) == {task, family}
    assert Wanted(frozenset({grandchild}), empty, empty, empty).above(known) == {root, child}
    assert wanted.above(known) == empty
    with pytest.raises(ValidationError):
        Envelope(delegator_id="u", tenant_id="acme", session_id="s", task_id=family.task_id)


def test_the_words_of_people_are_their_wire_names() -> None:
    said = {"revoked", "reinstated", "false_positive", "confirmed", "lapsed", "registered", "withdrawn"}
    assert {word.value for word in HumanWord} == said


def test_a_revision_reads_as_epoch_and_number() -> None:
    assert str(Revision(epoch=2, n=41)) == "2.41"


def test_a_ledger_entry_is_closed_and_wants_aware_times() -> None:
    entry: dict[str, Any] = {
        "revision": {"epoch": 1, "n": 1}, "tenant_id": "acme", "subject_id": "s1", "status": "revoked",
        "reason_code": "drift", "actor": "guardian", "at": NOW, "expires_at": NOW,
    }  # fmt: skip
    assert LedgerEntry.model_validate(entry).subject_type == "session"
    for wrong in ({"status": "paused"}, {"at": datetime(2026, 1, 1)}, {"note": "x"}, {"subject_type": "planet"}):
        with pytest.raises(ValidationError):
            LedgerEntry.model_validate({**entry, **wrong})
