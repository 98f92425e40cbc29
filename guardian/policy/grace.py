"""For gateways, while a decision point gives no answer: its own last permit to read the revocation list.

Nothing else outlives an answer. A list that gateways obey and no longer get goes stale, and then they refuse
everybody, or let revoked sessions act: that is worse than a reader whose permit is some minutes old.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from guardian.policy.port import Asker, PolicyDecision, PolicyRequest

_MOST = 16_384

_Question = tuple[Asker, str, str | None]


class _Permit(NamedTuple):
    at: float
    version: str
    said: PolicyDecision


class Grace:
    """Remembers the permits of `seconds`, by principal with its reach, token and tenant. For several threads.

    `clock` gives seconds that only grow. `version` is the decision point's: under another one no permit stands.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._permits: OrderedDict[_Question | None, _Permit] = OrderedDict()
        self._refused = -math.inf
        self._turn = threading.Lock()

    def heard(self, request: PolicyRequest, said: PolicyDecision, version: str, *, asked: float) -> None:
        """Take note of an answer to what was asked then, on the clock. Any but a permit ends what was permitted
        before, and what was asked before it."""
        if (question := _question(request)) is None:
            return
        with self._turn:
            if not said.allowed:
                self._refused = self._clock()
                self._permits.pop(question, None)
            elif asked >= self._refused:
                self._permits[question] = _Permit(asked, version, said)
                self._permits.move_to_end(question)
                if len(self._permits) > _MOST:
                    self._permits.popitem(last=False)

    def instead_of(self, none: PolicyDecision, request: PolicyRequest, version: str) -> PolicyDecision:
        """The last permit, with the causes of `none` beside it; `none` itself where no permit stands."""
        with self._turn:
            permit = self._permits.get(_question(request))
        if permit is None or permit.version != version or self._clock() - permit.at >= self._seconds:
            return none
        return replace(permit.said, instead_of=none.causes)


def _question(request: PolicyRequest) -> _Question | None:
    """None for what is never answered by an earlier permit: every act, and every other read."""
    if request.action != "readRevocations" or request.session is not None:
        return None
    return request.asker, request.asker.jti, request.tenant_id
