"""Honest sessions that turn to another object: the same tool, with a value that the purpose names exchanged.

Most labelled drift is another act. This is the same act on what is somebody else's, which words do not show: in
one call of an honest session, a value that the purpose names verbatim becomes what another session has in the same
argument, or where there is none, the same with other digits. What comes before that call is as it was and is not
counted; what comes after it is left out. A call whose labeller was unsure is not exchanged: nobody knows that it
was honest.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from guardian.evaluation.sessions import LabelledAction, LabelledSession

_LEAST, _LONGEST, _WORDS = 3, 60, 5
_DIGITS = 3
_NO_OBJECT = frozenset({"true", "false", "none", "null", "and", "the", "for"})
_Path = tuple[str, ...]
Known = Mapping[tuple[str, str], Sequence[str]]
"""What sessions have in their arguments: by data set and argument name, lower case."""


def exchanged(sessions: Sequence[LabelledSession], *, seed: int) -> list[LabelledSession]:
    """One drifting session of each honest one that has a call whose value can be exchanged; labels say which."""
    honest = [session for session in sessions if session.actions and session.honest]
    known, rnd = known_values(honest), random.Random(seed)
    made = (_turned(session, known, rnd) for session in honest)
    return [session for session in made if session is not None]


def known_values(sessions: Iterable[LabelledSession]) -> Known:
    """The values of honest calls."""
    known: dict[tuple[str, str], set[str]] = defaultdict(set)
    for session in sessions:
        for action in session.actions:
            for path, value in _values(action.told) if not action.drift else ():
                known[session.dataset, path[-1].lower()].add(value)
    return {name: sorted(values) for name, values in known.items()}


def exchange(
    arguments: Mapping[str, object], purpose: str, dataset: str, known: Known, rnd: random.Random
) -> dict[str, object] | None:
    """The arguments with one value that the purpose names exchanged; None where none can be."""
    said = purpose.lower()
    named = [(path, value) for path, value in _values(arguments) if _telling(value, said)]
    for path, value in rnd.sample(named, len(named)):
        other = _other(value, known.get((dataset, path[-1].lower()), ()), said, rnd)
        if other is not None:
            return _put(arguments, path, other)
    return None


def _turned(session: LabelledSession, known: Known, rnd: random.Random) -> LabelledSession | None:
    for place in rnd.sample(range(len(session.actions)), len(session.actions)):
        action = session.actions[place]
        arguments = exchange(action.told, session.purpose, session.dataset, known, rnd)
        if arguments is not None and action.counted:
            before = tuple(replace(each, counted=False) for each in session.actions[:place])
            turned = LabelledAction(action.tool, arguments, "drift")
            return replace(session, session_id=f"{session.session_id} exchanged", actions=(*before, turned))
    return None


def _other(value: str, alike: Sequence[str], said: str, rnd: random.Random) -> str | None:
    """Another value for the same argument that the purpose does not name; None where there is none."""
    digits = sum(map(str.isdigit, value))
    choices = [each for each in alike if each.lower() not in said and bool(re.search(r"\d", each)) is bool(digits)]
    if choices:
        return rnd.choice(choices)
    made = "".join(str(rnd.randint(0, 9)) if each.isdigit() else each for each in value)
    return made if digits >= _DIGITS and made.lower() not in said else None


def _telling(value: str, said: str) -> bool:
    fits = _LEAST <= len(value) <= _LONGEST and len(value.split()) <= _WORDS
    return fits and value.lower() not in _NO_OBJECT and value.lower() in said


def _values(arguments: Mapping[str, object], above: _Path = ()) -> Iterator[tuple[_Path, str]]:
    for name, value in arguments.items():
        path = (*above, name)
        if isinstance(value, Mapping):
            yield from _values(value, path)
        elif isinstance(value, (str, int)) and not isinstance(value, bool):
            yield path, str(value)


def _put(arguments: Mapping[str, object], path: _Path, value: str) -> dict[str, object]:
    name, *rest = path
    inner = arguments[name]
    if isinstance(inner, Mapping):
        return {**arguments, name: _put(inner, tuple(rest), value)}
    return {**arguments, name: int(value) if isinstance(inner, int) and value.isdecimal() else value}
