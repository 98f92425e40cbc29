"""The decision point that the configuration names, and the thread that keeps its policy files in force."""

import queue
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from guardian.bootstrap import plugins
from guardian.bootstrap.resources import resource
from guardian.config import Settings
from guardian.errors import ConfigurationError, PolicyError
from guardian.policy.floor import Floor
from guardian.policy.port import PolicyDecisionPoint
from guardian.policy.reload import ReloadablePolicies, ReloadOutcome
from guardian.telemetry import logger

CEDAR = "cedar"
_WRITTEN_S = 1.0
_log = logger("bootstrap")


def policy_folder(settings: Settings) -> Path:
    configured = settings.policy.path
    return settings.resolve(configured) if configured is not None else resource("config") / "policies"


def open_policy(settings: Settings) -> PolicyDecisionPoint:
    """The configured decision point. Policy files are parsed, validated, and put to the cases beside them.

    An external decision point has guardian's own policies below it as a floor, unless `policy.floor` is off.
    Raises PolicyError for unsound policies and ConfigurationError for impossible options.
    """
    return _opened(settings)[0]


class WatchedPolicies:
    """The configured decision point, `point`, whose policy files are followed while it runs.

    The folder is looked at every `policy.reload_every_s`, and at once after `poke`. `told` hears what came of
    every reload: of a swap, of a refusal (once for each broken state of the files), and of every poke. It is
    called on the watching thread; what it raises is logged, and told again at the next look. An external decision
    point without a floor has no files: then a poke is answered in the log only.
    """

    def __init__(self, settings: Settings, told: Callable[[ReloadOutcome], None] = lambda _: None) -> None:
        self.point, self._files = _settled(settings)
        self._every_s = settings.policy.reload_every_s
        self._told = told
        self._untold: list[ReloadOutcome] = []
        # The one queue whose put may interrupt itself, as a signal handler's can.
        self._wishes: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._watch, name="guardian-policies", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def poke(self) -> None:
        """Ask for a reload now, for instance from a signal handler. Returns at once."""
        self._wishes.put(True)

    def stop(self) -> None:
        """End the thread and let go of an external decision point. Twice is the same as once."""
        self._wishes.put(False)
        if self._thread.ident is not None:
            self._thread.join(timeout=5)
        close_point(self.point)

    def _watch(self) -> None:
        while True:
            try:
                wanted = self._wishes.get(timeout=self._every_s)
            except queue.Empty:
                self._look(poked=False)
                continue
            if not wanted:
                return
            self._look(poked=True)

    def _look(self, *, poked: bool) -> None:
        try:
            if self._files is None:
                if poked:
                    _log.info("no_policy_files", note="the decision point is external and has no floor here")
                return
            outcome = self._files.reload() if poked else self._files.reload_if_changed()
            if outcome is not None:
                refused = outcome.result == "refused"
                (_log.error if refused else _log.info)(
                    "policies_reloaded", result=outcome.result, note=str(outcome)
                )
                self._untold.append(outcome)
            while self._untold:
                self._told(self._untold[0])
                self._untold.pop(0)
        except Exception as error:  # whatever happens, the policies in force stay, and are still watched
            _log.error("policy_watch_failed", error=type(error).__name__, detail=str(error)[:300])


def _settled(settings: Settings) -> tuple[PolicyDecisionPoint, ReloadablePolicies | None]:
    """As `_opened`. Unsound files are looked at a second time: one may be half-written still, and control that
    ends for its policies is not started again."""
    try:
        return _opened(settings)
    except PolicyError:
        time.sleep(_WRITTEN_S)
        return _opened(settings)


def _opened(settings: Settings) -> tuple[PolicyDecisionPoint, ReloadablePolicies | None]:
    """The decision point, and the policy files in it that can be read again."""
    external = external_point(settings)
    if external is None:
        files = ReloadablePolicies(policy_folder(settings))
        return files, files
    if not settings.policy.floor:
        return external, None
    try:
        floor = ReloadablePolicies(policy_folder(settings))
    except Exception:
        close_point(external)
        raise
    return Floor(external=external, floor=floor), floor


def external_point(settings: Settings) -> PolicyDecisionPoint | None:
    """The configured decision point outside guardian, not asked yet; None where guardian's own policies decide."""
    section = settings.policy
    if section.language == CEDAR:
        if section.options:
            raise ConfigurationError(
                f"policy.options: Cedar policies have none, got {', '.join(section.options)}; set policy.path, or"
                " policy.language to an external decision point"
            )
        return None
    options: dict[str, Any] = dict(section.options)
    if isinstance(ca := options.get("ca"), str):
        options["ca"] = str(settings.resolve(Path(ca)))
    point: PolicyDecisionPoint = plugins.make(
        "policy", section.language, options, clock=time.monotonic, new_id=lambda: secrets.token_hex(8)
    )
    return point


def close_point(point: PolicyDecisionPoint | None) -> None:
    """An external decision point holds connections."""
    close = getattr(point.external if isinstance(point, Floor) else point, "close", None)
    if close is not None:
        close()
