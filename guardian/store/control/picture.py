"""What a channel of people was last shown of a case."""

from dataclasses import dataclass, replace

_WORSE, _LEFT = "worse", "left "
_NOT_KNOWN = ("", "unknown")


@dataclass(frozen=True, slots=True)
class Picture:
    """One of four: how the case stood when it was written (`digest`); that it became `worse` since, or that it
    `left` the message at that place, both still to be told by its next message; or, with neither, what nobody
    knows, or nothing yet."""

    digest: str | None = None
    worse: bool = False
    left: str | None = None

    @classmethod
    def read(cls, stored: str) -> "Picture":
        if stored.startswith(_LEFT):
            return cls(left=stored.removeprefix(_LEFT))
        return cls(worse=True) if stored == _WORSE else cls(None if stored in _NOT_KNOWN else stored)

    def text(self) -> str:
        """As it is stored."""
        if self.left is not None:
            return _LEFT + self.left
        return _WORSE if self.worse else self.digest or ""

    def unsure(self) -> "Picture":
        """Where it is not known whether a write arrived; what is still to be told stays so."""
        return replace(self, digest=None)

    def worsened(self) -> "Picture":
        """Once the case became more severe. After a message that was given up the next calls people as it is."""
        return Picture(worse=True) if self.left is None else self
