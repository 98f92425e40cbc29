"""What sessions that guardian found unusual show: one or two of them show nothing, several that do alike do."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from guardian.domain.text import counted
from guardian.tightening.grants import Handed, class_name
from guardian.tightening.usage import (
    ArgumentUse,
    SessionUse,
    ToolUse,
    Use,
    common_prefix,
    common_suffix,
    rounded,
)

News = dict[tuple[Any, ...], int]
"""What one session did beyond others, by what it is about. A number stands for all the smaller ones too; 0 where
there is none."""


def shown(doubted: Iterable[Sequence[SessionUse]], sure: Use, least: int) -> tuple[list[SessionUse], Counter[str]]:
    """Of doubted sessions what at least `least` of them did beyond the sure ones, each cut down to that. And how
    many did other things beyond them, by the `subject` of the restriction that these may break.

    One may come in parts, as where its parent was not always known. An argument with anything else in it is left
    out of the part as a whole.
    """
    found = [[(part, _news(part, sure)) for part in session] for session in doubted]
    numbers: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for parts in found:
        whole: dict[tuple[Any, ...], int] = {}
        for _, news in parts:
            whole |= {about: max(number, whole.get(about, 0)) for about, number in news.items()}
        for about, number in whole.items():
            numbers[about].append(number)
    several = {about: sorted(told)[-least] for about, told in numbers.items() if len(told) >= least}
    kept, beyond = [], Counter[str]()
    for parts in found:
        subjects = set()
        for part, news in parts:
            lost = {about for about, number in news.items() if about not in several or number > several[about]}
            subjects |= {*map(_subject, lost)}
            if len(lost) < len(news):
                kept.append(_cut(part, sure, lost))
        beyond.update(subjects)
    return kept, beyond


def shown_below(doubted: Collection[Handed], least: int) -> Handed:
    """The same of what doubted sessions hold that others delegated to; all of one session's envelopes together."""
    tools = Counter(name for each in doubted for name in each.tools)
    classes = Counter(name for each in doubted for name in each.classes)
    records = sorted(max(each.records) for each in doubted)
    return Handed(_often(tools, least), _often(classes, least), Counter(records[: len(records) - least + 1]))


def excepted(sessions: int) -> str:
    """What to add to a reason that so many doubted sessions gainsay."""
    return f", except in {counted(sessions, 'session')} that guardian found unusual" if sessions else ""


def _often(counted: Counter[str], least: int) -> Counter[str]:
    return Counter({name: count for name, count in counted.items() if count >= least})


def _news(session: SessionUse, sure: Use) -> News:
    news: News = {("hour", hour): 0 for hour in session.hours - sure.hours.keys()}
    news |= {("class", name): 0 for name in {*map(class_name, session.classes)} - sure.touched.keys()}
    if session.classes_unlogged and not sure.classes_unlogged:
        news["classes unlogged",] = 0
    if session.records >= 0 and (records := rounded(session.records)) > max(sure.records, default=-1):
        news["records",] = records
    if (duration := rounded(session.duration)) > max(sure.durations, default=-1):
        news["lifetime",] = duration
    for tool, use in session.tools.items():
        known = sure.tools.get(tool)
        if known is None:
            news["tool", tool] = 0
            continue
        if session.agent not in known.agents:
            news["agent", tool] = 0
        if use.unlogged and not known.unlogged:
            news["unlogged", tool] = 0
        for path in known.arguments.keys() | use.arguments.keys():
            for what, number in _argument_news(path, use, known):
                news["argument", tool, path, *what] = number
    return news


def _argument_news(path: str, use: ToolUse, sure: ToolUse) -> Iterator[tuple[tuple[Any, ...], int]]:
    """By the narrowest kind of restriction that fits the sure ones."""
    known, mine = sure.arguments.get(path), use.arguments.get(path)
    if known is None:
        yield ("new",), 0
        return
    if known.calls >= sure.calls and (mine is None or mine.calls < use.calls):
        yield ("left out",), 0
    if mine is None:
        return
    yield from ((("kind", kind), 0) for kind in mine.kinds - known.kinds)
    if known.bound:
        yield from ((("unbound", name), 0) for name in known.bound - (mine.bound or frozenset()))
    elif known.kinds == {"int"}:
        if (most := max(mine.largest, default=0)) > max(known.largest, default=0):
            yield ("largest",), most
    elif known.values is None:
        shorter = (
            ("prefix", len(known.prefix or "") - len(common_prefix(known.prefix or "", mine.prefix or ""))),
            ("suffix", len(known.suffix or "") - len(common_suffix(known.suffix or "", mine.suffix or ""))),
            ("shortest", known.shortest - mine.shortest),
        )
        yield from (((what,), number) for what, number in shorter if number > 0)
    elif mine.values is None:
        yield ("values",), 0
    else:
        yield from ((("value", value), 0) for value in mine.values.keys() - known.values.keys())


def _subject(about: tuple[Any, ...]) -> str:
    match about:
        case "argument", tool, path, *_:
            return f"{tool}:{path}"
        case "agent", tool:
            return str(tool)
        case "hour", _:
            return "hours"
        case _:
            return str(about[0])


def _cut(session: SessionUse, sure: Use, lost: AbstractSet[tuple[Any, ...]]) -> SessionUse:
    """The session without what is lost."""
    arguments: dict[str, set[str]] = defaultdict(set)
    for about in lost:
        if about[0] == "argument":
            arguments[about[1]].add(about[2])
    tools = {}
    for name, use in session.tools.items():
        if ("tool", name) in lost:
            continue
        known = sure.tools.get(name, ToolUse())
        left = {path: mine for path, mine in use.arguments.items() if path not in arguments[name]}
        unsaid = {path: ArgumentUse(calls=use.calls) for path in arguments[name] & known.arguments.keys()}
        unlogged = 0 if ("unlogged", name) in lost else use.unlogged
        agents = Counter[str]() if ("agent", name) in lost else use.agents
        tools[name] = replace(use, arguments=left | unsaid, unlogged=unlogged, agents=agents)
    return replace(
        session,
        hours={hour for hour in session.hours if ("hour", hour) not in lost},
        classes={name for name in session.classes if ("class", class_name(name)) not in lost},
        classes_unlogged=0 if ("classes unlogged",) in lost else session.classes_unlogged,
        records=-1 if ("records",) in lost else session.records,
        duration=0 if ("lifetime",) in lost else session.duration,
        tools=tools,
    )
