"""Does this action fit the purpose? The room's one question, asked in batches, answered from a cache."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from guardian.domain.purposes import open_ended
from guardian.embedding.consequence import consequence
from guardian.embedding.echo import REPEATED, without_echo, without_repeats
from guardian.embedding.fusion import Fusion
from guardian.embedding.grounding import grounding, openness, tool_overlap
from guardian.embedding.ports import DIMENSIONS, Encoder
from guardian.embedding.recent import LookedUp, Recent
from guardian.embedding.text import (
    HISTORY_TOOLS,
    flat,
    leaves,
    overlong,
    raw_leaves,
    render_action,
    render_pair,
    render_purpose,
    scalar,
    shown,
    without,
)
from guardian.embedding.wishes import Embed, parts, wishes
from guardian.telemetry import Metric

EXPLAINED_LEAVES = 24
EXPLAINED_CHARS = 65_536
READING = 13
"""The version of how calls are read; a calibration is only valid for one.

1  purposes as a whole
2  long purposes by the part that is nearest to the act
3  also a second time, without what the call repeats of its purpose
4  all arguments, for what the act can do and where it goes; those come first if not all fit into the input
5  the second reading counts from .25 above the first, no longer from .5
6  with less weight under a purpose that constrains nothing
7  how much a look-up shall answer, and in which shape, is no value of its own
8  a tool that does several things by the weightiest (`get_and_send_report`), and so a GraphQL mutation
9  a list or search that something is done to (`mailing_list.send`, `customer_list_export`) is no look-up
10 statements that carry data out or change something in other words (UNLOAD, EXPORT DATA, EXEC, a graph's SET);
   verbs before what may be looked up (`mute_monitor`), shown logs, a keyboard's keys, `check_merge_status`
11 statements also under the names that warehouses give them (`QueryString`, `sqlText`, `query_text`)
12 text vectors without what repeats the purpose, the least known value instead of a share, a second reading from
   13 words on; more verbs, and what is done behind a dot (`estimate.send`)
13 each of several destinations in one argument by itself
"""


@dataclass(frozen=True, slots=True)
class FitRequest:
    """One action to judge. `before` are the session's earlier tools, oldest first; `earlier_values` the normalised
    values of their arguments (`grounding.argument_values`). `arguments` None means the log did not carry them."""

    purpose: str
    tool: str
    arguments: Mapping[str, object] | None = None
    before: tuple[str, ...] = ()
    earlier_values: frozenset[str] = frozenset()


class PurposeFit:
    """Scores in [0, 1]; higher is further from purpose. One per process; not thread-safe.

    `cache_size` bounds the cached scores; a quarter as many vectors of texts are kept. `cache_misses` counts the
    requests that had to be computed.
    """

    def __init__(self, encoder: Encoder, fusion: Fusion, version: str, *, cache_size: int = 65_536) -> None:
        self.version = version
        self._encoder, self._fusion = encoder, fusion
        self._aside = ThreadPoolExecutor(1, "guardian-pairs")
        self._scores: Recent[bytes, float] = Recent(cache_size)
        self._vectors: Recent[str, NDArray[np.float32]] = Recent(cache_size // 4)

    @property
    def cache_misses(self) -> int:
        return self._scores.looked_up.misses

    def looked_up(self) -> Mapping[Metric, LookedUp]:
        """What each cache was asked so far, under the metric that shows it."""
        return {
            "guardian_embedding_cache_total": self._scores.looked_up,
            "guardian_vector_cache_total": self._vectors.looked_up,
        }

    def score(self, requests: Sequence[FitRequest]) -> list[float]:
        """One score per request, in order."""
        keys = [_key(request) for request in requests]
        asked = dict(zip(keys, requests, strict=True))
        found = self._scores.look_up(keys, lambda missing: self._compute([asked[key] for key in missing]))
        return [found[key] for key in keys]

    def explain(self, request: FitRequest) -> list[tuple[str, float]]:
        """(argument path, how much the score falls without it), largest fall first; empty without arguments. Of
        more than EXPLAINED_LEAVES only as many are tried."""
        request = _explained(request)
        paths = [path for path, _ in leaves(request.arguments, EXPLAINED_LEAVES)]
        if not paths:
            return []
        variants = [replace(request, arguments=without(request.arguments, path)) for path in paths]
        whole, *rest = self.score([request, *variants])
        falls = [(path, whole - value) for path, value in zip(paths, rest, strict=True)]
        return sorted(falls, key=lambda fall: (-fall[1], fall[0]))

    def features(self, requests: Sequence[FitRequest]) -> list[tuple[float, ...]]:
        """What the fusion weighs, per request, in `fusion.FEATURES` order; uncached.

        Both encoders run at the same time, because a single call leaves cores idle in each. Pairs with a long
        purpose come after the vectors, which tell the part of it that the pair encoder reads.
        """
        static = [static_features(request) for request in requests]
        requests = [heard(request) for request in requests]
        long = np.array([bool(parts(r.purpose)) for r in requests], dtype=bool)
        whole = [as_pair(request) for request in requests if not parts(request.purpose)]
        aside = self._aside.submit(self._encoder.logits, whole)
        distances = distances_of(requests, self.embed)
        logits = np.zeros(len(requests), dtype=np.float32)
        logits[~long] = aside.result()
        if long.any():
            waited = wished([r for r in requests if parts(r.purpose)], self.embed)
            logits[long] = self._encoder.logits([as_pair(request) for request in waited])
        rows = zip(logits, distances, static, strict=True)
        return [(float(logit), float(distance), *others) for logit, distance, others in rows]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of shape (n, 384), cached by text."""
        found = self._vectors.look_up(texts, self._embed)
        out = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            out[row] = found[text]
        return out

    def _embed(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        return [row.copy() for row in self._encoder.embed(texts)]  # a view would keep its whole batch in memory

    def _compute(self, requests: Sequence[FitRequest]) -> list[float]:
        bare = {place: told for place, request in enumerate(requests) if (told := bared(request)) is not request}
        rows = self.features([*requests, *bare.values()])
        whole, rest = rows[: len(requests)], dict(zip(bare, rows[len(requests) :], strict=True))
        return [
            self._fusion.score(row, rest.get(place), left_open=open_ended(request.purpose))
            for place, (request, row) in enumerate(zip(requests, whole, strict=True))
        ]


def distances_of(requests: Sequence[FitRequest], embed: Embed) -> NDArray[np.float32]:
    """1 - cosine of purpose and action, shape (n,); the action goes without what it repeats of the purpose."""
    texts = [render_purpose(request.purpose) for request in requests]
    texts += [render_action(r.tool, without_repeats(r.purpose, r.arguments)) for r in requests]
    purposes, actions = np.split(embed(texts), 2)
    return np.asarray(1.0 - np.einsum("ij,ij->i", purposes, actions), dtype=np.float32)


def wished(requests: Sequence[FitRequest], embed: Embed) -> list[FitRequest]:
    """The requests as the pair encoder reads them: a long purpose by the part that is nearest to the action."""
    long = [request for request in requests if parts(request.purpose)]
    actions = embed([render_action(request.tool, request.arguments) for request in long])
    nearest = iter(wishes([request.purpose for request in long], actions, embed))
    return [replace(r, purpose=next(nearest)) if parts(r.purpose) else r for r in requests]


def as_pair(request: FitRequest) -> tuple[str, str]:
    """The two segments of the pair encoder."""
    return render_pair(request.purpose, request.before, request.tool, request.arguments)


def heard(request: FitRequest) -> FitRequest:
    """The request as the encoders and the fusion read it: without what its arguments quote of the purpose."""
    arguments = without_echo(request.purpose, request.arguments)
    return request if arguments is request.arguments else replace(request, arguments=arguments)


def static_features(request: FitRequest) -> tuple[float, ...]:
    """All features but the encoders' two, in FEATURES' order from the third on.

    What the act can do is read from the whole call: an SQL statement beside words of the purpose still counts.
    """
    weight = consequence(request.tool, request.arguments).weight
    found = grounding(request.purpose, heard(request).arguments, request.earlier_values, looks_up=weight == 0.0)
    return (
        found.fresh,
        weight * found.fresh_destination,
        weight,
        1.0 - openness(request.purpose),
        1.0 - tool_overlap(request.purpose, request.tool),
    )


def bared(request: FitRequest) -> FitRequest:
    """The request without what its arguments repeat of the purpose; the same object if that is REPEATED words or
    fewer."""
    arguments = without_repeats(request.purpose, request.arguments, spared=REPEATED)
    return request if arguments is request.arguments else replace(request, arguments=arguments)


def _explained(request: FitRequest) -> FitRequest:
    """The request as it is explained. An explanation scores it once per argument, which could take a minute, so of
    a call that exceeds the encoders' input or EXPLAINED_CHARS only what the encoders are shown is kept."""
    told = (value if isinstance(value, list) else [value] for _, value in raw_leaves(request.arguments))
    chars = sum(len(item) for items in told for item in items if isinstance(item, str))
    if chars <= EXPLAINED_CHARS and not overlong(request.arguments):
        return request
    return replace(request, arguments=flat(leaves(request.arguments)))


def _key(request: FitRequest) -> bytes:
    """What a score depends on, in 16 bytes; arguments by their leaves, so no strange object's `repr` is called."""
    raw = raw_leaves(request.arguments)
    parts = (
        request.purpose,
        request.tool,
        None if request.arguments is None else shown(raw),
        [_whole(value) for _, value in raw],  # of which a leaf shows no more than the beginning
        consequence(request.tool, request.arguments),  # read off more of a statement than a leaf keeps
        request.before[-HISTORY_TOOLS:],
    )
    digest = hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=16)
    digest.update(hash(request.earlier_values).to_bytes(8, "little", signed=True))
    return digest.digest()


def _whole(value: object) -> object:
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value if isinstance(value, str) else scalar(value)
