"""What part of a window the archive has of a tenant, and where it is split into what is mined and what tests."""

from dataclasses import dataclass
from datetime import UTC, datetime, time

from guardian.archive.reader import Archive, Window
from guardian.tightening.caution import Caution


@dataclass(frozen=True, slots=True)
class Held:
    """The part of a window of which something lies there: no end of a month before was seen. What began before
    `split` is mined, the rest tests it."""

    since: datetime
    until: datetime
    split: datetime

    @classmethod
    def of(cls, *, asked: datetime, begins: datetime, until: datetime) -> "Held":
        """Of a window since `asked` the part that `begins` later. As much is held out as of the whole window where
        that leaves half to mine, else the same share of the part."""
        whole, part = until - asked, until - begins
        share = Caution().held_out
        out = whole * share if whole * share <= part / 2 else part * share
        return cls(begins, until, until - out)


def held(archive: Archive, tenant_id: str, *, since: datetime, until: datetime) -> Held:
    """Of the window what the archive has of a tenant."""
    days = archive.partitions(Window(tenant_id, since, until))
    begins = max(since, datetime.combine(days[0].day, time.min, UTC)) if days else since
    return Held.of(asked=since, begins=begins, until=until)
