"""Labelled sessions: one JSON object a line, gzip or plain.

`{"dataset", "session_id", "purpose", "domain", "actions": [{"tool", "args",
"label": "benign" | "drift" | "unknown", "conf", "index"}], "meta"}`. Labels are for judging; no scorer may read
them. What is misspelt is refused, as by `guardian score`.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, cast, get_args

from pydantic import BaseModel, ValidationError

from guardian.domain.envelope import Envelope
from guardian.domain.event import Action
from guardian.embedding.text import render_action
from guardian.errors import GuardianError
from guardian.sources.session_lines import arguments_of, said
from guardian.telemetry import logger

Label = Literal["benign", "drift", "unknown"]
"""An act that is `unknown` is there for those after it: nothing is learnt of it, and it is not counted."""


_log = logger("evaluation")


class SessionFileError(GuardianError):
    """A line of a labelled file is not a session; names the file and the line."""


@dataclass(frozen=True, slots=True)
class LabelledAction:
    """One call with its label; `counted` is false where the labeller was unsure (`conf: low`) or nobody knows.
    Calls of one `act` do the same, however they are written; where it is not told, those that the encoders read
    alike do. `arguments` None: the log did not carry them, which is not the same as empty."""

    tool: str
    arguments: Mapping[str, object] | None
    label: Label
    counted: bool = True
    act: str = ""

    @property
    def told(self) -> Mapping[str, object]:
        """The arguments; none where they were not logged."""
        return self.arguments or {}

    @property
    def drift(self) -> bool:
        return self.label == "drift"

    @property
    def does(self) -> str:
        """The act, told or read."""
        return self.act or render_action(self.tool, self.arguments)


@dataclass(frozen=True, slots=True)
class LabelledSession:
    """One session with the purpose it was delegated for and its calls in order. Sessions of one `work` do the same
    job, whatever words their purposes use; where it is not told, those of one purpose do. An `unjudged` one is
    of a log, and nobody said anything of it: it is taken for honest."""

    dataset: str
    session_id: str
    domain: str
    purpose: str
    actions: tuple[LabelledAction, ...]
    work: str = ""
    unjudged: bool = False

    @property
    def honest(self) -> bool:
        """Whether every action is called benign, none drift with a doubt or unknown."""
        return all(action.label == "benign" for action in self.actions)

    @property
    def drift(self) -> bool:
        """Whether any counted action left the purpose."""
        return any(action.drift and action.counted for action in self.actions)

    @property
    def strays(self) -> str:
        """The distinct acts, as one text, that left the purpose and are counted; "" where none did."""
        return together(action.does for action in self.actions if action.drift and action.counted)


def together(acts: Iterable[str]) -> str:
    """One text for a set of acts."""
    return "\n".join(sorted(set(acts)))


def read_sessions(paths: Iterable[Path], seen: set[bytes] | None = None) -> list[LabelledSession]:
    """Every session of every file, in order; one that comes again as it was counts once, which is told. `seen`
    holds what other files brought, and gains these. Raises SessionFileError on a line that is not one."""
    seen = set() if seen is None else seen
    kept, again = list[LabelledSession](), 0
    for session in (session for path in paths for session in _read(path)):
        known = sha256(json.dumps(session_json(session), sort_keys=True).encode()).digest()
        if known in seen:
            again += 1
        else:
            seen.add(known)
            kept.append(session)
    if again:
        _log.warning("sessions_came_again", sessions=again, effect="each counts once")
    return kept


def _read(path: Path) -> Iterator[LabelledSession]:
    if not path.is_file():
        raise SessionFileError(f"{path}: no such file of labelled sessions")
    number = 0
    with (
        gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig")
    ) as lines:
        try:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        session = session_of(json.loads(line))
                    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                        raise SessionFileError(f"{path}:{number}: not a labelled session ({error!r})") from error
                    yield session
        except (EOFError, OSError, UnicodeDecodeError, zlib.error) as error:
            raise SessionFileError(f"{path}: damaged after line {number}; write it again") from error


def session_json(session: LabelledSession) -> dict[str, Any]:
    """The JSON object that `session_of` reads back."""
    return {
        "dataset": session.dataset,
        "session_id": session.session_id,
        "domain": session.domain,
        "purpose": session.purpose,
        "actions": [
            {"tool": a.tool}
            | ({} if a.arguments is None else {"args": dict(a.arguments)})
            | {"label": a.label, "conf": "high" if a.counted else "low"}
            for a in session.actions
        ],
    }


def session_of(record: Mapping[str, Any]) -> LabelledSession:
    """A session from its JSON object; an unknown label, or a field of another kind, is a ValueError."""
    actions = []
    purpose, session_id = record["purpose"], str(record["session_id"])
    if not isinstance(purpose, str):
        raise ValueError("purpose is no text")
    # as it will be scored: numbered, the purpose cut
    named = {"delegator_id": "-", "tenant_id": "-", "session_id": f"{session_id[:400]}#1"}
    _check(Envelope, {**named, "purpose": purpose[:8192]}, "")
    for index, action in enumerate(record["actions"]):
        arguments = arguments_of(index, action)
        _check(Action, {"tool": action["tool"], "arguments": arguments}, f"actions.{index}.")
        label = cast(Label, action["label"])
        if label not in get_args(Label):
            raise ValueError(f"label {label!r} is none of {', '.join(get_args(Label))}")
        sure = said(action, "conf", "confidence", where=f"actions.{index}: ") != "low"
        actions.append(LabelledAction(action["tool"], arguments, label, sure and label != "unknown"))
    dataset = record["dataset"]
    domain = said(record, "domain") or dataset
    if not (isinstance(dataset, str) and isinstance(domain, str)):
        raise ValueError("dataset or domain is no text")
    return LabelledSession(
        dataset=dataset,
        session_id=session_id,
        domain=domain,
        purpose=purpose,
        actions=tuple(actions),
    )


def _check(model: type[BaseModel], told: Mapping[str, Any], where: str) -> None:
    """Raises ValueError for what no log may hold either: it could not be scored."""
    try:
        model.model_validate(told)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{where}{first['loc'][0]}: {first['msg']}") from error
