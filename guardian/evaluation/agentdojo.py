"""The AgentDojo benchmark as labelled sessions, built from the package `agentdojo` (an extra) without any model.

Debenedetti et al., *AgentDojo* (2024). A user task's ground-truth calls are honest work for its prompt. An
injection task's ground-truth calls, spliced in after the middle call, are drift, save those that the user's own
task makes too. The counterfactual: an injection's goal declared as the purpose makes the same calls honest.
Sessions depend on the package's version alone.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from guardian.errors import ConfigurationError
from guardian.evaluation.sessions import LabelledAction, LabelledSession

SUITES = "v1.2.2"
DATASET = "agentdojo"


def agentdojo_sessions() -> list[LabelledSession]:
    """Every session of every suite, each user task first alone and then with each injection.

    Raises ConfigurationError naming the extra where the package is not installed.
    """
    try:
        get_suites: Callable[[str], Mapping[str, Any]] = import_module(
            "agentdojo.task_suite.load_suites"
        ).get_suites
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"--benchmark agentdojo needs the package agentdojo ({error.name} is not installed):"
            " pip install 'intent-guardian[agentdojo]'"
        ) from error
    return [session for name, suite in get_suites(SUITES).items() for session in sessions_of(name, suite)]


def sessions_of(name: str, suite: Any) -> Iterator[LabelledSession]:
    """The sessions of one suite: anything with `user_tasks`, `injection_tasks` and a default
    environment."""

    def session(
        session_id: str, purpose: str, calls: Sequence[tuple[str, Mapping[str, object], bool]]
    ) -> LabelledSession:
        actions = tuple(LabelledAction(tool, args, "drift" if drift else "benign") for tool, args, drift in calls)
        return LabelledSession(DATASET, f"{name}/{session_id}", name, purpose, actions)

    injected = {key: _calls(task, suite) for key, task in suite.injection_tasks.items()}
    injected = {key: calls for key, calls in injected.items() if calls}
    for key, task in suite.user_tasks.items():
        honest = _calls(task, suite)
        if not honest:
            continue
        own = [(tool, args, False) for tool, args in honest]
        yield session(f"{key}/none", task.PROMPT, own)
        middle = (len(own) + 1) // 2
        for other, calls in injected.items():
            alien = [(tool, args, (tool, args) not in honest) for tool, args in calls]
            yield session(f"{key}/{other}", task.PROMPT, [*own[:middle], *alien, *own[middle:]])
    for key, calls in injected.items():
        yield session(
            f"{key}/as_user", suite.injection_tasks[key].GOAL, [(tool, args, False) for tool, args in calls]
        )


def _calls(task: Any, suite: Any) -> list[tuple[str, dict[str, object]]]:
    environment = suite.load_and_inject_default_environment({})
    if hasattr(task, "init_environment"):
        environment = task.init_environment(environment)
    return [(str(call.function), _plain(call.args)) for call in task.ground_truth(environment)]


def _plain(arguments: Mapping[str, Any]) -> dict[str, object]:
    """Arguments as a log would carry them: JSON values, dates as text."""
    plain: dict[str, object] = json.loads(json.dumps(dict(arguments), default=str))
    return plain
