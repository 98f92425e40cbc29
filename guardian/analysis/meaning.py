"""Purposes and actions as the model reads them: similar sessions, and a plane to look at."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from guardian.analysis import neutral
from guardian.analysis.archived import ArchiveView
from guardian.analysis.sessions import ONE, known_until
from guardian.errors import ConfigurationError

Vectors = NDArray[np.float32]
Session: TypeAlias = str | Mapping[str, Any] | pd.Series
"""A session's id, or a row of a frame: of sessions, calls or findings."""
_LEAST = 3


@dataclass(frozen=True)
class Plane:
    """The two directions in which vectors differ most. What is far apart here differs; what is near may differ
    too."""

    centre: Vectors
    axes: Vectors  # (2, dimensions)
    explained: float

    @classmethod
    def through(cls, vectors: Vectors) -> "Plane":
        """Principal components. Raises ConfigurationError for fewer than three vectors."""
        if len(vectors) < _LEAST:
            raise ConfigurationError(f"a map needs at least {_LEAST} vectors, there are {len(vectors)}")
        centre = vectors.mean(axis=0, dtype=np.float32)
        apart = vectors - centre
        # of the scatter, which is small, not of the vectors, of which there may be a hundred thousand
        weights, axes = np.linalg.eigh((apart.T @ apart).astype(np.float64))
        weights = weights.clip(min=0.0)
        most = axes.T[:-3:-1]  # they come in order, the largest last
        signs = np.sign(most[np.arange(2), np.abs(most).argmax(axis=1)])
        total = float(weights.sum())
        return cls(
            centre,
            (most * signs[:, None]).astype(np.float32),
            float(weights[-2:].sum()) / total if total else 1.0,
        )

    def place(self, vectors: Vectors) -> Vectors:
        """Coordinates of shape (n, 2)."""
        return ((vectors - self.centre) @ self.axes.T).astype(np.float32)


def purpose_map(archive: ArchiveView, session: Session) -> tuple[pd.DataFrame, float]:
    """The session's calls and purpose among the calls of its tenant in the week around it, and the share of the
    differences that two directions show.

    Columns: x, y, what (call, purpose or other), tool, act, distance (cosine, of a call to the session's purpose).
    Empty where the deployment keeps no vectors, or too few. Raises ConfigurationError for a session that is not
    there, or an id that several tenants have.
    """
    acts = archive.events(session=_id(session))
    which = _of(acts, session)
    own = acts["at"][which]
    if own.empty:
        raise ConfigurationError(f"{neutral.text(_id(session))}: no such session in this archive, or not for you")
    week = timedelta(days=7)
    since, until = own.min().to_pydatetime() - week, own.max().to_pydatetime() + week
    one = acts[which].iloc[0]
    rows, purposes, actions = archive.vectors(since=since, until=until, of=lambda rows: _of(rows, one))
    mine = _of(rows, one)
    if not mine.any() or len(rows) < _LEAST:
        return pd.DataFrame(columns=["x", "y", "what", "tool", "distance", "act"]), 0.0
    near = (rows["tenant_id"] == rows["tenant_id"][mine].iloc[0]).to_numpy() & ~mine
    plane = Plane.through(np.concatenate([actions[near], actions[mine], purposes[mine][:1]]))
    purpose = purposes[mine][0]
    found = [
        pd.DataFrame(plane.place(vectors), columns=["x", "y"]).assign(
            what=what,
            tool=list(rows["tool"][which]),
            distance=1.0 - vectors @ purpose,
            act=np.arange(1, len(vectors) + 1),
        )
        for what, which, vectors in (("other", near, actions[near]), ("call", mine, actions[mine]))
    ]
    centre = pd.DataFrame(plane.place(purpose[None]), columns=["x", "y"])
    found.append(centre.assign(what="purpose", tool="", distance=0.0, act=-1))
    return pd.concat(found, ignore_index=True), plane.explained


def session_vectors(
    archive: ArchiveView, *, since: datetime | None = None, session: Session | None = None
) -> tuple[pd.DataFrame, Vectors]:
    """One unit vector per session: the mean of its calls. The frame has ONE, agent_id, purpose_family and at.

    They are the newest model's, or the model's that read `session`.
    """
    of = None if session is None else lambda rows: _of(rows, session)
    rows, sums = archive.summed_vectors(since=since, of=of)
    first = rows.groupby(ONE, sort=False)[["agent_id", "purpose_family", "at"]].first().reset_index()
    return first, sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)


def similar(
    archive: ArchiveView, session: Session, *, most: int = 10, since: datetime | None = None
) -> pd.DataFrame:
    """The sessions whose calls mean most nearly the same, by cosine `similarity`, the nearest first.

    Empty where no vectors of the session are kept. Raises ConfigurationError for an id that several tenants have.
    """
    known, vectors = session_vectors(archive, since=since, session=session)
    place = np.flatnonzero(_of(known, session))
    if not len(place):
        return known.head(0).assign(similarity=pd.Series(dtype="float64"))
    found = known.assign(similarity=vectors @ vectors[place[0]]).drop(index=int(place[0]))
    return found.sort_values("similarity", ascending=False, kind="stable").head(most).reset_index(drop=True)


def _id(session: Session) -> str:
    return session if isinstance(session, str) else str(session["session_id"])


def _of(rows: pd.DataFrame, session: Session) -> NDArray[np.bool_]:
    """Which rows are that session's; of several of one name the last that had begun, as far as the row knows."""
    mine = rows["session_id"].isin([_id(session), neutral.name(_id(session))])
    if not isinstance(session, str):
        mine &= rows["tenant_id"] == session["tenant_id"]
    owners = sorted(rows["tenant_id"][mine].unique())
    if len(owners) > 1:
        raise ConfigurationError(
            f"{neutral.text(_id(session))}: several tenants have it ({', '.join(owners)}); choose one with "
            "archive.only(...)"
        )
    until = None if isinstance(session, str) else known_until(session)
    begun = rows["begin"][mine if until is None else mine & (rows["begin"] <= until)]
    return np.asarray(mine & (rows["begin"] == begun.max()), dtype=bool)
