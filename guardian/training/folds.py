"""Which data sets an encoder must not see, so that its logits on them are those of unknown data.

Two files may hold one world (the same tools, other sessions): such data sets are one family, held out together.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from guardian.evaluation.sessions import LabelledSession

SAME_WORLD = 0.5
FOLDS = 2


@dataclass(frozen=True, slots=True)
class Fold:
    """Sessions to train on and sessions held out."""

    train: tuple[LabelledSession, ...]
    held: tuple[LabelledSession, ...]

    @property
    def unseen(self) -> list[str]:
        """The purposes of sessions held out that no session to train on declares, too."""
        return sorted({session.purpose for session in self.held} - {session.purpose for session in self.train})


def families(sessions: Sequence[LabelledSession]) -> list[tuple[str, ...]]:
    """Data sets grouped by shared tools, the family with most actions first."""
    tools: dict[str, set[str]] = defaultdict(set)
    size: dict[str, int] = defaultdict(int)
    for session in sessions:
        tools[session.dataset].update(action.tool for action in session.actions)
        size[session.dataset] += len(session.actions)
    groups: list[list[str]] = []
    for name in sorted(tools, key=lambda name: (-size[name], name)):
        for group in groups:
            if any(_overlap(tools[name], tools[other]) > SAME_WORLD for other in group):
                group.append(name)
                break
        else:
            groups.append([name])
    groups.sort(key=lambda group: (-sum(size[name] for name in group), group[0]))
    return [tuple(group) for group in groups]


def _overlap(left: set[str], right: set[str]) -> float:
    return len(left & right) / max(1, min(len(left), len(right)))


def folds(files: Sequence[LabelledSession], scenarios: Sequence[LabelledSession]) -> list[Fold]:
    """Two folds. Of three families or more, the largest is always trained on and the others are dealt out in turn;
    authored work is split by domain."""
    groups = families(files)
    dealt = groups[1:] if len(groups) > FOLDS else groups
    snake = [0, 1, 1, 0]
    home = {name: snake[index % 4] for index, group in enumerate(dealt) for name in group}
    halves: dict[str, int] = {}
    for dataset in dict.fromkeys(session.dataset for session in scenarios):
        domains = {session.domain for session in scenarios if session.dataset == dataset}
        halves |= {domain: index % FOLDS for index, domain in enumerate(sorted(domains - halves.keys()))}
    out = []
    for fold in range(FOLDS):
        everything = [(s, home.get(s.dataset) == fold) for s in files]
        everything += [(s, halves[s.domain] == fold) for s in scenarios]
        held = tuple(s for s, out_of_fold in everything if out_of_fold)
        out.append(Fold(tuple(s for s, out_of_fold in everything if not out_of_fold), held))
    return out
