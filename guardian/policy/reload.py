"""Policies that are read again while guardian runs: the whole set or nothing of it.

A set goes into force when its files can be read, every policy parses and fits the schema, and every case kept
beside them comes out as it must. Otherwise the old set stays in force, and the outcome says why: a typing error
must neither open nor close anything.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

from guardian.errors import PolicyError
from guardian.policy.cases import read_cases, run_cases
from guardian.policy.cedar import CedarPolicies
from guardian.policy.files import CASES, PolicyFiles
from guardian.policy.port import PolicyDecision, PolicyRequest

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class ReloadOutcome:
    """What came of reading the policies again. `before` and `after` are versions; equal unless swapped.

    `added` and `removed` are policy ids; a policy that kept its id may have changed all the same. `cases` is how
    many the new set answered, `reason` why a set was refused.
    """

    result: Literal["swapped", "unchanged", "refused"]
    before: str
    after: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    cases: int = 0
    reason: str = ""

    def __str__(self) -> str:
        match self.result:
            case "refused":
                return f"the policies were not reloaded, version {self.after} stays in force: {self.reason}"
            case "unchanged":
                return f"the policies are unchanged: version {self.after}"
            case "swapped":
                names = [f"+{name}" for name in self.added] + [f"-{name}" for name in self.removed]
                return f"policies {self.before} gave way to {self.after}" + (
                    f" ({', '.join(names)})" if names else ""
                )
            case _:  # pragma: no cover
                assert_never(self.result)


@dataclass(frozen=True, slots=True)
class _InForce:
    """One checked set, and the fingerprint of the files it came from."""

    policies: CedarPolicies
    fingerprint: str
    cases: int


class ReloadablePolicies:
    """A decision point over a folder of Cedar files. Raises PolicyError when the folder is not sound at start.

    Any thread may ask while another reloads: a question is answered by one whole set, the old or the new.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._one_at_a_time = threading.Lock()
        self._in_force = _checked(PolicyFiles.read(folder))
        self._tried = self._in_force.fingerprint
        self._glimpsed = self._tried

    @property
    def version(self) -> str:
        return self._in_force.policies.version

    @property
    def cases(self) -> int:
        """How many examples kept beside the set in force it answers as it must."""
        return self._in_force.cases

    @property
    def policies(self) -> CedarPolicies:
        """The set in force: keep it where two questions must be answered by the same one."""
        return self._in_force.policies

    def decide(self, request: PolicyRequest) -> PolicyDecision:
        return self._in_force.policies.decide(request)

    def reload(self) -> ReloadOutcome:
        """Read the folder again, now."""
        with self._one_at_a_time:
            return self._reload(_seen(self._folder))

    def reload_if_changed(self) -> ReloadOutcome | None:
        """Look at the folder; reload it when it changed, and has stayed the same since the last look.

        Waiting for one more look keeps a half-written file out: one that ends early may well be sound, only
        without its last prohibitions. None when there is nothing to do, also for files that were refused before.
        """
        with self._one_at_a_time:
            seen = _seen(self._folder)
            glimpse = _fingerprint(seen)
            settled, self._glimpsed = glimpse == self._glimpsed, glimpse
            return self._reload(seen) if settled and glimpse != self._tried else None

    def _reload(self, seen: PolicyFiles | PolicyError) -> ReloadOutcome:
        """Put in force what was seen, whatever the files hold by now."""
        was = self._in_force
        self._tried = _fingerprint(seen)
        if isinstance(seen, PolicyError):
            return self._refused(seen)
        try:
            new = _checked(seen)
        except PolicyError as error:
            return self._refused(error)
        self._in_force = new
        before, after = was.policies, new.policies
        return ReloadOutcome(
            "unchanged" if before.version == after.version else "swapped",
            before.version,
            after.version,
            added=tuple(sorted(after.policy_ids - before.policy_ids)),
            removed=tuple(sorted(before.policy_ids - after.policy_ids)),
            cases=new.cases,
        )

    def _refused(self, error: PolicyError) -> ReloadOutcome:
        version = self._in_force.policies.version
        return ReloadOutcome("refused", version, version, reason=str(error))


def _checked(files: PolicyFiles) -> _InForce:
    """Parse, validate, and ask the cases. Raises PolicyError with the first thing that is wrong."""
    policies = CedarPolicies.from_files(files)
    if files.cases is None:
        return _InForce(policies, files.fingerprint, 0)
    place = files.folder / CASES
    results = run_cases(policies, read_cases(files.cases, place))
    failed = [f"{each.case.name!r}: {each.complaint}" for each in results if not each.passed]
    if failed:
        more = f"; and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        raise PolicyError(
            f"{place}: {len(failed)} of {len(results)} cases fail: {'; '.join(failed[:_SHOWN])}{more};"
            " `guardian policy test` shows them all"
        )
    return _InForce(policies, files.fingerprint, len(results))


def _seen(folder: Path) -> PolicyFiles | PolicyError:
    try:
        return PolicyFiles.read(folder)
    except PolicyError as error:
        return error


def _fingerprint(seen: PolicyFiles | PolicyError) -> str:
    return f"unreadable: {seen}" if isinstance(seen, PolicyError) else seen.fingerprint
