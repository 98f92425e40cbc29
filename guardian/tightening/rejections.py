"""Restrictions that people rejected: a YAML file in their repository, with reason and owner.

    rst_0123…:
      reason: the auditors use it once a year
      owner: maya
      what: agent_review for review contracts may not call audits.export
      sessions: 214        # the evidence when it was rejected

A rejected restriction is not proposed again until its evidence has changed: twice the sessions.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from guardian.disk import write_atomically
from guardian.domain.restriction import Restriction
from guardian.domain.yaml_text import read_yaml
from guardian.errors import ProposalError
from guardian.tightening.wording import said, whom

CHANGED = 2


@dataclass(frozen=True, slots=True)
class Rejection:
    """One rejection, with the evidence that there was at the time."""

    reason: str
    owner: str
    what: str = ""
    sessions: int = 0

    def __post_init__(self) -> None:
        if not self.reason.strip() or not self.owner.strip():
            raise ValueError("a rejection needs a reason and an owner")
        if not isinstance(self.sessions, int):
            raise ValueError(f"sessions must be a number, not {self.sessions!r}")


def read_rejections(path: Path) -> dict[str, Rejection]:
    """Empty where there is no such file. Raises ProposalError naming the entry that is wrong."""
    if not path.exists():
        return {}
    try:
        body = read_yaml(path.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError) as error:
        raise ProposalError(f"{path} is not YAML: {error}") from error
    if not isinstance(body, dict):
        raise ProposalError(f"{path}: must hold rejections by restriction id")
    found = {}
    for name, entry in body.items():
        try:
            found[str(name)] = Rejection(**entry)
        except (TypeError, ValueError, AttributeError) as error:
            raise ProposalError(f"{path}: {name}: {error}; write reason, owner, what and sessions") from error
    return found


def reject(path: Path, restriction: Restriction, *, reason: str, owner: str) -> None:
    """Add one; several people may at once. Raises ProposalError where reason or owner are empty."""
    what = f"{whom(restriction.scope)} {said(restriction.rule)}"
    try:
        added = Rejection(reason, owner, what, restriction.support.sessions)
    except ValueError as error:
        raise ProposalError(str(error)) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone_in(path.parent):
        known = read_rejections(path) | {restriction.id: added}
        body = {name: asdict(each) for name, each in sorted(known.items())}
        with write_atomically(path) as file:
            file.write(yaml.safe_dump(body, allow_unicode=True, sort_keys=False).encode())


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Waits for other processes that are in here. The lock is the folder's: a file for it would lie in people's
    repository."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems lock no folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def still_rejected(restrictions: Iterable[Restriction], rejections: Mapping[str, Rejection]) -> frozenset[str]:
    """The ids that are not to be proposed again yet."""
    return frozenset(
        each.id
        for each in restrictions
        if (no := rejections.get(each.id)) is not None and each.support.sessions < CHANGED * max(1, no.sessions)
    )
