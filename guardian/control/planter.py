"""The port through which decisions are planted on the live topic."""

from collections.abc import Sequence
from typing import Protocol


class Planter(Protocol):
    """Puts decisions on the live topic. `places` are its partitions; `plant` returns when the broker has it."""

    def places(self) -> Sequence[int]: ...

    def plant(self, place: int, session_id: str, line: bytes) -> None: ...
