"""What every policy language must do."""

from collections.abc import Mapping
from typing import Protocol

from guardian.tightening.proposal import Proposal


class Backend(Protocol):
    """One policy language, one file of this folder; the module exports `plugin`.

    `files` renders the proposal, by path within its folder. `check` evaluates what was rendered with a real engine
    or validator and returns what is wrong, one line each, or "unchecked: …" if the engine is not installed.
    Neither raises for any proposal: what a language cannot express is reported by `check`, with the restriction's
    id.
    """

    def files(self, proposal: Proposal) -> dict[str, str]: ...

    def check(self, proposal: Proposal, files: Mapping[str, str]) -> list[str]: ...
