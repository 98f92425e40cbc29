"""Telling guardian which revision is enforced here: `POST /v1/revocations/ack`."""

import json
import math
from contextlib import suppress

from .connection import Server
from .credentials import Credentials, asker
from .following import Follower
from .held import HeldList, Pace

_TELL_S = 2.0  # within which all gateways say it; one acknowledgement covers what changed meanwhile
_STILL_S = 20.0  # at most so long until it is said again of the same revision
_AGAIN_S = 2.0  # after one that nobody took, longer each time: a test of the switch waits only seconds for it


class Acknowledger:
    """Soon after a revision holds, now and then while it does, and good-bye in the end. One thread runs `run`."""

    def __init__(
        self, held: HeldList, follower: Follower, server: Server, credentials: Credentials, pace: Pace
    ) -> None:
        self._held, self._follower, self._server = held, follower, server
        self._credentials, self._pace = credentials, pace

    def run(self) -> None:
        failures, leaving = 0, False
        while not leaving:
            again = _AGAIN_S * 2 ** min(failures - 1, 16) if failures else math.inf
            self._held.moved.wait(min(_STILL_S, self._pace.max_stale_s / 2, again))
            self._follower.stop.wait(_TELL_S * self._pace.jitter())
            self._held.moved.clear()
            leaving = self._follower.stop.is_set()
            with suppress(Exception):  # the list is what counts; the next round says it again
                if (told := self._told(leaving=leaving)) is not None:
                    failures += 1
                    if self._server.acknowledge(*told, 1.0 if leaving else self._pace.timeout_s) < 300:
                        failures = 0
                    else:
                        self._server.drop()  # it may show a client certificate that was renewed meanwhile
        self._server.drop()

    def _told(self, *, leaving: bool) -> tuple[bytes, dict[str, str]] | None:
        """Body and headers; None while there is nothing to acknowledge.

        That is while the list is stale, unless the server's list went back behind it: by this guardian hears how
        far its ledger had come.
        """
        view, headers = self._held.view, self._credentials.headers()
        if view is None or not (self._held.is_fresh(view) or self._held.trouble.code == "went_back"):
            return None
        if asker(headers) != view.asked_as:  # this list is not the one that the new token reaches
            return None
        told = {"revision": str(view.revision), "transport": self._follower.transport, "leaving": leaving}
        return json.dumps(told).encode(), headers
