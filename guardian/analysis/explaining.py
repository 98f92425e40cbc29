"""One session explained: its purpose, every call with its reasons, the delegation, what policy and people said."""

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pandas as pd

from guardian.analysis import neutral
from guardian.analysis.archived import ArchiveView
from guardian.analysis.controlled import ControlView
from guardian.analysis.judged import found_in
from guardian.analysis.schema import EVENTS, frame
from guardian.analysis.sessions import ONE, begins, known_until, sessions_of, spoken_of
from guardian.domain.text import one_in, some
from guardian.errors import ConfigurationError

TIMELINE = (
    "act",
    "at",
    "tool",
    "arguments",
    "effect",
    "score",
    "one_in",
    "promised",
    "step",
    "why",
    "wanted",
    "title",
)
"""Columns of an explanation's timeline. `step` is by how many powers of ten the call moved the session's odds
against honesty; `one_in` says how rare these are, or the oddest single act, whichever is rarer. `why` is what
spoke against the call, `title` the finding that it led to."""

_SPEAKS = 0.2
_TURN = 0.1
_LONGEST = 96
_NAMED = 5
EXACT = 9
"""Figures are written out up to this power of ten; the evidence of a session is not bounded."""


@dataclass(frozen=True)
class Explanation:
    """Prints as text, shows as HTML in a notebook; `events` and `timeline` are frames.

    `chain` are the sessions of the delegation with their `depth`: ancestors, this one, and those below it. There
    are `others` of the same name, told apart by a pause. `asks_at` is the archive's.
    """

    session: dict[str, Any]
    events: pd.DataFrame
    timeline: pd.DataFrame
    chain: pd.DataFrame
    findings: pd.DataFrame
    words: pd.DataFrame
    held: Mapping[str, tuple[str, ...]]
    others: int = 0
    asks_at: tuple[float, float] | None = None

    def lines(self) -> Iterator[str]:
        """The story in sentences."""
        s = self.session
        yield f"{s['session_id']} of {s['tenant_id']}: {_told(s['agent_id'])} for {_told(s['delegator_id'])}"
        if self.others:
            yield f"One of {self.others + 1} sessions of that name: a row of a frame says which is meant"
        yield f"Declared purpose: {_told(s['purpose'], 'none')}"
        days = {at.date() for at in (s["begin"], s["end"], *self.findings["at"])}
        later = "%H:%M:%S" if len(days) == 1 else "%Y-%m-%d %H:%M:%S"
        span = f"{s['begin']:%Y-%m-%d %H:%M:%S} to {s['end']:{later}} UTC"
        yield f"{s['actions']} calls, {s['denied']} refused by the gateway, {span}"
        share, covered = ("at most", "covered") if s["promised"] else ("an estimated", "not covered")
        if figure := one_in(s["one_in"]):
            rare = f"{share} 1 in {figure} honest sessions gathers as much evidence"
            yield f"At its worst {rare} ({covered} by the calibration)"
        else:
            yield "Its evidence is nothing unusual"
        turns = self.timeline[self.timeline["step"] > _TURN].nlargest(3, "step", keep="all").sort_values("act")
        for turn in turns.to_dict("records"):
            factor = f"odds against honesty × {_figure(10 ** min(turn['step'], EXACT))}"
            yield f"Call {turn['act']}, {turn['tool']}: {factor} ({turn['why'] or 'nothing by itself'})"
        for name in s["breaches"] or ():
            yield f"It broke a rule of its envelope or delegation: {name}"
        if len(self.chain) > 1:
            levels = self.chain.groupby("depth")["session_id"].agg(list)
            # those of one depth below one parent did not delegate to each other
            yield f"Delegation: {' → '.join(some(level, _NAMED) for level in levels)}"
        for found in self.findings.to_dict("records"):
            answer = "" if pd.isna(found["effect"]) else f", policy: {found['effect']}"
            note = "" if pd.isna(found["note"]) or not found["note"] else f" ({found['note']})"
            said = "" if pd.isna(found["verdict"]) else f", people: {found['verdict'].replace('_', ' ')}"
            yield f"{found['at']:{later}} guardian asked to {found['wanted']}{answer}{note}{said}"
        for word in self.words.to_dict("records"):
            yield f"{word['at']:%Y-%m-%d %H:%M} people or policy said: {word['word'].replace('_', ' ')}"

    def allowed(self, session_id: str) -> tuple[str, ...]:
        """The tools that a session of the chain held, as its first call's envelope said."""
        return self.held.get(session_id, ())

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        """Escaped whole: nothing that an agent wrote becomes markup, script or formula."""
        items = "".join(f"<li>{html.escape(line)}</li>" for line in self.lines())
        return f'<ul class="tex2jax_ignore mathjax_ignore" style="list-style:none;padding-left:0">{items}</ul>'

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - the signature is IPython's
        printer.text(str(self))


def explain(archive: ArchiveView, session: str | pd.Series, control: ControlView | None = None) -> Explanation:
    """`session` is an id, or a row of a frame: of sessions, calls or findings.

    Sessions that `archive` does not see are not found. An id made of agent and user only may stand for several:
    then the last that was flagged is explained, else the last. Of relatives with such an id it is the one that
    began at the nearest time.
    Raises ConfigurationError for an id that is not there, or that several tenants have.
    """
    asked = session if isinstance(session, str) else str(session["session_id"])
    known = _known(archive)
    mine = known[known["session_id"].isin([asked, neutral.name(asked)])]
    if not isinstance(session, str):
        mine = mine[mine["tenant_id"] == session["tenant_id"]]
    if mine.empty:
        raise ConfigurationError(f"{neutral.text(asked)}: no such session in this archive, or not for you")
    if mine["tenant_id"].nunique() > 1:
        owners = ", ".join(mine["tenant_id"].unique())
        raise ConfigurationError(
            f"{neutral.text(asked)}: several tenants have it ({owners}); choose one with archive.only(...)"
        )
    one = _meant(mine, None if isinstance(session, str) else known_until(session))
    tenant, name = one["tenant_id"], one["session_id"]
    known = known[known["tenant_id"] == tenant]
    depths = _depths(known, name)
    related = known[known["session_id"].isin(list(depths))]
    near = (related["begin"] - one["begin"]).abs().sort_values(kind="stable").index
    related = related.loc[near].drop_duplicates("session_id")
    since = related["begin"].min().to_pydatetime()
    until = related["end"].max().to_pydatetime() + timedelta(microseconds=1)
    events = archive.events(since=since, until=until, session=depths.keys())
    events, words = _of_these(events, related), archive.words()
    words = _of_these(words.assign(begin=spoken_of(words, known, at="at")), related)
    found = found_in(events, archive, control)
    # a finding goes by its time: control has some that the archive does not know
    found["begin"] = spoken_of(found.assign(finding_id=None), mine, at="at")
    chain = sessions_of(events, words).assign(depth=lambda rows: rows["session_id"].map(depths).astype("int64"))
    acts = events[events["session_id"] == name].reset_index(drop=True)
    about, said = _about(found, one), _about(words, one)
    return Explanation(
        session=chain[chain["session_id"] == name].iloc[0].to_dict(),
        events=acts,
        timeline=_timeline(acts, about),
        chain=chain.sort_values("depth", kind="stable").reset_index(drop=True),
        findings=about,
        words=said,
        held=dict(events.groupby("session_id")["allowed_tools"].first()),
        others=len(mine) - 1,
        asks_at=archive.asks_at,
    )


def _meant(mine: pd.DataFrame, until: pd.Timestamp | None) -> pd.Series:
    """Of the sessions of one name the last that had begun by then, else the last that was flagged, or the last."""
    wanted = mine[list(map(bool, mine["finding_ids"])) if until is None else mine["begin"] <= until]
    return (wanted if len(wanted) else mine).iloc[-1]


def _known(archive: ArchiveView) -> pd.DataFrame:
    """Every session with its parent, beginning, end and findings: five columns of the archive, not all of them."""
    names = ["tenant_id", "session_id", "parent_session_id", "at", "finding_id"]
    columns = tuple(column for column in EVENTS if column.name in names)
    rows = frame(archive.arrow(names).sort_by("at").to_pandas(), columns, raw=True)
    rows["begin"] = begins(rows, archive.idle)
    known = rows.groupby(ONE, sort=False).agg(parent=("parent_session_id", "first"), end=("at", "max"))
    found = {one: tuple(ids) for one, ids in rows.dropna(subset="finding_id").groupby(ONE)["finding_id"]}
    return known.assign(finding_ids=[found.get(one, ()) for one in known.index]).reset_index()


def _of_these(rows: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    return rows[pd.MultiIndex.from_frame(rows[ONE]).isin(pd.MultiIndex.from_frame(sessions[ONE]))]


def _about(rows: pd.DataFrame, one: pd.Series) -> pd.DataFrame:
    mine = (rows[ONE] == one[ONE]).all(axis="columns")
    return rows[mine].drop(columns="begin").reset_index(drop=True)


def _timeline(events: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    evidence = events["session_evidence"]
    made = events.assign(
        # calls lie in order of time, and may have come in another: then the difference would blame a neighbour
        step=events["step"].fillna(evidence - evidence.shift(fill_value=0.0)),
        why=[_why(signals, broken) for signals, broken in zip(events["signals"], events["breaches"], strict=True)],
        arguments=events["arguments"].map(lambda text: text[:_LONGEST], na_action="ignore"),
        title=events["finding_id"]
        .map(dict(zip(found["finding_id"], found["title"], strict=True)))
        .astype("string"),
    )
    return made[list(TIMELINE)]


def _why(signals: dict[str, float] | None, broken: tuple[str, ...] | None) -> str:
    spoke = sorted((signals or {}).items(), key=lambda item: -item[1])
    return ", ".join([*(broken or ()), *(f"{name} {value:.2f}" for name, value in spoke if value >= _SPEAKS)])


def _depths(known: pd.DataFrame, session: str) -> dict[str, int]:
    """The session's ancestors, itself, and what it delegated to, each with its depth below the root.

    A loop ends where it closes.
    """
    parents = {row.session_id: row.parent for row in known.itertuples() if not pd.isna(row.parent)}
    there = set(known["session_id"])
    up = {session: None}
    above = parents.get(session)
    while above is not None and above not in up and above in there:
        up[above] = None
        above = parents.get(above)
    children: dict[str, list[str]] = {}
    for child, parent in parents.items():
        children.setdefault(parent, []).append(child)
    depths = {name: depth for depth, name in enumerate(reversed(up))}
    waiting = [session]
    for name in waiting:  # grows while it is walked
        below = [child for child in children.get(name, ()) if child not in depths]
        depths |= dict.fromkeys(below, depths[name] + 1)
        waiting += below
    return depths


def _figure(number: float) -> str:
    return f"{number:,.1f}" if number < 10**EXACT else f"{10**EXACT:,} or more"


def _told(value: Any, otherwise: str = "somebody") -> str:
    return otherwise if pd.isna(value) or value == "" else str(value)
