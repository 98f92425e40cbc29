"""Beside which other sessions a session has to be judged, because it may know what they have read."""

from bisect import insort
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from guardian.domain.batch import TaskKey, delegation
from guardian.domain.identity import SessionKey
from guardian.domain.signal import CHAIN_KEPT, Observation
from guardian.evaluation.honest import HonestSession
from guardian.pipeline.judging import Judge
from guardian.pipeline.working import SIBLINGS_KEPT
from guardian.signals.port import Sharing


class Siblings:
    """The sessions that share a task or a delegation, as the monitor comes to know of them.

    Each is told of those that had begun before its own last call, of a task and of a delegation at most as many as
    the monitor tells of and the most sensitive reads first: a task may have any number of sessions. Who read
    nothing is not told of.
    """

    def __init__(
        self, given: Sequence[HonestSession], known: Mapping[SessionKey, HonestSession], judge: Judge
    ) -> None:
        self._folds = (
            [fold for fold in judge.signals if isinstance(fold, Sharing)] if judge.across_sessions else []
        )
        self._given = given
        self._place = {id(session): place for place, session in enumerate(given)}
        self._near: dict[int, int] = {}
        self._told: dict[int, list[tuple[HonestSession, ...]]] = {}
        shared: dict[TaskKey, list[int]] = {}
        for place, session in enumerate(given) if self._folds else ():
            for task in _tasks(session, known):
                shared.setdefault(task, []).append(place)
        for places in shared.values():
            if len(places) > 1:
                self._tell(places)

    def near(self, sessions: Iterable[HonestSession]) -> list[HonestSession]:
        """The same sessions, those of one task together: what they are told of is then judged once for many."""
        places = sorted((self._near.get(place, place), place) for place in map(self._placed, sessions))
        return [self._given[place] for _, place in places]

    def of(self, chunk: Sequence[HonestSession]) -> dict[SessionKey, HonestSession]:
        """Those that the sessions of the chunk are told of and that are not in it."""
        there = {session.key for session in chunk}
        told = (s for place in map(self._placed, chunk) for some in self._told.get(place, ()) for s in some)
        return {s.key: s for s in told if s.key is not None and s.key not in there}

    def in_order(self, sessions: Iterable[HonestSession]) -> list[HonestSession]:
        """As they were given."""
        return sorted(sessions, key=self._placed)

    def _placed(self, session: HonestSession) -> int:
        return self._place[id(session)]

    def _tell(self, places: Sequence[int]) -> None:
        """Sweep over the sessions of one task by when they end: each is told of what has begun till then."""
        weights = {place: weight for place in places if (weight := self._weight(self._given[place])) is not None}
        begins = deque(sorted((self._given[place].decisions[0].now, place) for place in weights))
        most: list[tuple[float, str, int]] = []
        told: tuple[HonestSession, ...] = ()
        for end, place in sorted((max(d.now for d in self._given[place].decisions), place) for place in places):
            while begins and begins[0] < (end, place):
                _, other = begins.popleft()
                key = self._given[other].decisions[0].event.key
                insort(most, (-weights[other], key.session_id, other))
                del most[SIBLINGS_KEPT + 1 :]  # one more: it may be the session itself
                told = tuple(self._given[other] for *_, other in most)
            self._told.setdefault(place, []).append(told)
            self._near.setdefault(place, places[0])

    def _weight(self, session: HonestSession) -> float | None:
        """How much the most sensitive thing matters that it has read; None if it read nothing."""
        for fold in self._folds:
            state = fold.start()
            for d in session.decisions:
                state, _ = fold.fold(state, Observation(d.event, now=d.our_time, redacted=d.redacted))
            if (reads := fold.shared(state)) is not None:
                return reads.weight
        return None


def _tasks(session: HonestSession, known: Mapping[SessionKey, HonestSession]) -> set[TaskKey]:
    """The tasks that its calls name, and the delegation that it belongs to."""
    if session.key is None:
        return set()
    envelopes = (d.event.envelope for d in session.decisions)
    tasks = {TaskKey(e.tenant_id, e.task_id) for e in envelopes if e.task_id is not None}
    head, parent = session.key, session.parent
    for _ in range(CHAIN_KEPT):
        if parent is None:
            break
        head, parent = parent, known[parent].parent if parent in known else None
    return {*tasks, delegation(head, ())}
