"""What one check of the doctor says: well, to be mended, or that nothing is known."""

from dataclasses import dataclass
from typing import Literal

Runs = Literal["run", "watch", "serve"]
"""The commands that run guardian on a machine: both parts, the monitor alone, control alone."""


@dataclass(frozen=True, slots=True)
class Check:
    """One entry of a report; further lines of `found` are said below its first one. `ok` is None where nothing is
    known; `mend` says what to do where `ok` is False."""

    name: str
    ok: bool | None
    found: str
    mend: str = ""


class Unwell(Exception):
    """Something must be mended; `mend` says how. `stops`: what needs it cannot be asked before that."""

    def __init__(self, found: str, mend: str, *, stops: bool = True) -> None:
        super().__init__(found)
        self.found, self.mend, self.stops = found, mend, stops


class Unknown(Exception):
    """Nothing can be said: it could not be asked, or nobody has reported yet."""
