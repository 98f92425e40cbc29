"""The vectors of archived calls: those of one model, call by call or summed over each session."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from guardian.analysis.schema import EVENTS, frame
from guardian.analysis.sessions import KEY, ONE, begins
from guardian.archive.schema import EVENTS as ARCHIVED
from guardian.domain.identity import NAMELESS

VECTORS = ("vector_model", "purpose_vector", "action_vector")
CALLED = ("tenant_id", "session_id", "at", "tool", "purpose_family", "agent_id")
"""What the frames beside vectors tell of a call."""

_COLUMNS = tuple(column for column in EVENTS if column.name in [*CALLED, "begin"])


class Sums:
    """Sums the actions' vectors of each session, batch by batch, so that single ones need not be held."""

    def __init__(self) -> None:
        self._calls: list[pa.Table] = []
        self._of_models: dict[str, list[NDArray[np.float32]]] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """`batch` has `CALLED`, vector_model and action_vector."""
        calls = pa.Table.from_batches([batch])
        keys = calls.select([*KEY, "at", "vector_model"]).to_pandas()
        keys = keys[calls.column("action_vector").is_valid().to_numpy()]
        parts = pd.Series(pd.NA, range(len(calls)), dtype="Int64")
        for model, mine in keys.groupby("vector_model"):
            nameless = mine["session_id"].str.startswith(NAMELESS)  # one name, maybe several sessions
            groups = mine.groupby([*KEY, mine["at"].where(nameless)], dropna=False, sort=False).ngroup()
            vectors = matrix(calls.column("action_vector").take(pa.array(mine.index)))
            there = self._of_models.setdefault(model, [])
            parts[mine.index] = groups + sum(map(len, there))
            there.append(_summed(groups.to_numpy(), vectors))
        self._calls.append(calls.drop_columns(["action_vector"]).append_column("part", pa.array(parts)))

    def of_sessions(
        self, of: Callable[[pd.DataFrame], NDArray[np.bool_]] | None, idle: timedelta
    ) -> tuple[pd.DataFrame, NDArray[np.float32]]:
        """The calls in time, and a sum for each of their sessions, in the order in which these begin there."""
        schema = pa.schema([*map(ARCHIVED.field, (*CALLED, "vector_model")), ("part", pa.int64())])
        rows, table = of_a_model(pa.concat_tables([schema.empty_table(), *self._calls]), "part", of, idle)
        if rows.empty:
            return rows, np.zeros((0, 0), dtype=np.float32)
        parts, first = np.unique(table.column("part").to_numpy(), return_index=True)
        places = rows.groupby(ONE, sort=False).ngroup().to_numpy()[first]
        return rows, _summed(places, np.concatenate(self._of_models[rows["vector_model"][0]])[parts])


def of_a_model(
    table: pa.Table, needed: str, of: Callable[[pd.DataFrame], NDArray[np.bool_]] | None, idle: timedelta
) -> tuple[pd.DataFrame, pa.Table]:
    """The calls in time that have what is needed, of one model; as a frame, and as they are."""
    table = table.sort_by("at")
    begin = begins(table.select([*KEY, "at"]).to_pandas(), idle)  # calls without vectors make no pause
    table = table.append_column("begin", pa.array(begin, table.schema.field("at").type))
    table = table.filter(pc.is_valid(table.column(needed)))
    told = table.select([*CALLED, "begin", "vector_model"]).to_pandas()
    rows = frame(told, _COLUMNS, raw=True).assign(vector_model=told["vector_model"])
    models = rows["vector_model"]
    theirs = models if of is None else models[of(rows)]
    model = (theirs if len(theirs) else models).tail(1)
    same = models.isin(model).to_numpy()
    return rows[same].reset_index(drop=True), table.filter(pa.array(same, pa.bool_()))


def matrix(column: pa.ChunkedArray) -> NDArray[np.float16]:
    """Vectors of one length, without an object of each."""
    values = [np.frombuffer(b"".join(chunk.to_pylist()), dtype="<f2") for chunk in column.chunks]
    found = np.concatenate(values) if values else np.zeros(0, dtype="<f2")
    return found.reshape(len(column), -1) if len(column) else np.zeros((0, 0), dtype="<f2")


def _summed(places: NDArray[np.int64], vectors: NDArray[Any]) -> NDArray[np.float32]:
    """The sum of the vectors at each place, of which none is left out."""
    sums = np.zeros((int(places.max()) + 1, vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, places, vectors.astype(np.float32))
    return sums
