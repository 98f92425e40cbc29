"""The control API as the monitor uses it: two calls, in domain values and plain JSON."""

from collections.abc import Mapping
from dataclasses import dataclass

from guardian.domain.batch import Change, ChangePage
from guardian.domain.finding import Finding
from guardian.wire.client import ControlClient


@dataclass(frozen=True, slots=True)
class MonitorClient:
    """Both raise ControlError with the HTTP status, or 0 when control cannot be reached."""

    client: ControlClient

    def submit(self, finding: Finding) -> Mapping[str, object]:
        """What policy made of the finding, as plain JSON."""
        return self.client.submit(finding).model_dump(mode="json")

    def changes(self, since: int) -> ChangePage:
        """One page of what people said after `since`, in order."""
        told = self.client.changes(since)
        items = [Change(each.seq, each.key, each.word, each.at, each.detail, each.envelope) for each in told.items]
        return ChangePage(items, told.next, told.feed)
