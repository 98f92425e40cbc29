"""What a channel delivered, for channels that cannot be asked: the receiver recognises a repeat by its id."""

import hashlib
from collections import OrderedDict

from guardian.alerting.port import Alert

_MOST = 10_000


def message_id(alert: Alert) -> str:
    """The same id for the same finding with the same outcome; another one for each thing that became of it."""
    told = f"{alert.finding.tenant_id}\x1f{alert.finding.id}\x1f{alert.outcome.model_dump_json()}"
    if alert.became is not None:
        told += f"\x1f{alert.became.model_dump_json()}"
    return "msg_" + hashlib.sha256(told.encode()).hexdigest()[:40]


class Delivered:
    """References by alert, in memory; the oldest are forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, str] = OrderedDict()

    def note(self, alert: Alert, reference: str) -> str:
        self._known[message_id(alert)] = reference
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return reference

    def find(self, alert: Alert) -> str | None:
        return self._known.get(message_id(alert))
