"""The benchmark is built from the suites' own tasks: honest calls, injected ones after the middle, and as_user."""

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from guardian.errors import ConfigurationError
from guardian.evaluation.agentdojo import agentdojo_sessions, sessions_of


@dataclass
class Call:
    function: str
    args: Mapping[str, Any]


@dataclass
class Task:
    """A task of a suite; the suite's environment is a list of words that `init_environment` may add to."""

    calls: tuple[Call, ...]
    PROMPT: str = ""
    GOAL: str = ""
    adds: str = ""

    def init_environment(self, environment: list[str]) -> list[str]:
        return [*environment, self.adds]

    def ground_truth(self, environment: list[str]) -> list[Call]:
        return [Call(call.function, {**call.args, "seen": " ".join(environment)}) for call in self.calls]


@dataclass
class Suite:
    user_tasks: Mapping[str, Task]
    injection_tasks: Mapping[str, Task]

    def load_and_inject_default_environment(self, injections: Mapping[str, str]) -> list[str]:
        assert injections == {}
        return ["default"]


READ, SEND, PAY = Call("read", {"n": 1}), Call("send", {"to": "eve"}), Call("pay", {"to": "eve"})
SUITE = Suite(
    {"u0": Task((READ, Call("read", {"n": 2}), SEND), PROMPT="do it"), "u1": Task((), PROMPT="nothing to do")},
    {"i0": Task((PAY,), GOAL="pay eve"), "i1": Task((SEND, PAY), GOAL="tell and pay eve"), "i2": Task(())},
)


def built() -> dict[str, Any]:
    return {s.session_id: s for s in sessions_of("bank", SUITE)}


def test_each_user_task_stands_alone_and_with_every_injection_that_does_something() -> None:
    assert list(built()) == [
        "bank/u0/none",
        "bank/u0/i0",
        "bank/u0/i1",
        "bank/i0/as_user",
        "bank/i1/as_user",
    ]


def test_injected_calls_follow_the_middle_call_and_are_drift() -> None:
    session = built()["bank/u0/i0"]
    assert [(a.tool, a.label) for a in session.actions] == [
        ("read", "benign"),
        ("read", "benign"),
        ("pay", "drift"),
        ("send", "benign"),
    ]
    assert session.purpose == "do it"
    assert session.domain == "bank"


def test_an_injected_call_that_the_task_makes_anyway_is_no_drift() -> None:
    assert [(a.tool, a.label) for a in built()["bank/u0/i1"].actions[2:]] == [
        ("send", "benign"),
        ("pay", "drift"),
        ("send", "benign"),
    ]


def test_the_goal_as_the_declared_purpose_makes_the_same_calls_honest() -> None:
    session = built()["bank/i1/as_user"]
    assert session.purpose == "tell and pay eve"
    assert [a.label for a in session.actions] == ["benign", "benign"]
    assert not session.drift


def test_arguments_are_plain() -> None:
    session = built()["bank/u0/none"]
    assert session.actions[0].arguments == {"n": 1, "seen": "default "}


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "agentdojo", None)
    with pytest.raises(ConfigurationError, match=r"intent-guardian\[agentdojo\]"):
        agentdojo_sessions()


@pytest.mark.skipif(importlib.util.find_spec("agentdojo") is None, reason="the agentdojo extra is not installed")
@pytest.mark.slow
def test_the_real_suites_give_the_sessions_that_our_figures_speak_of() -> None:
    sessions = agentdojo_sessions()
    assert len(sessions) == 732
    assert sum(s.drift for s in sessions) == 609
    labels = [a.label for s in sessions for a in s.actions]
    assert (labels.count("benign"), labels.count("drift")) == (2_480, 1_046)
