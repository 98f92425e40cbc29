"""The report that a reviewer reads in two minutes: what, why, on what evidence, at what cost."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, timedelta
from typing import Any

from guardian.domain.restriction import Restriction
from guardian.domain.rules import ForbidDataClass, ForbidTool, MaxLifetime
from guardian.domain.text import counted, plain, some
from guardian.tightening.grants import Grant
from guardian.tightening.mining import Abstention
from guardian.tightening.promise import foretold
from guardian.tightening.proposal import Proposal
from guardian.tightening.wording import said, whom

_LOOKALIKE = str.maketrans({"@": "＠", "$": "＄"})  # of these some forges take no backslash for an answer
_SPECIAL = str.maketrans({sign: f"\\{sign}" for sign in "\\`*{}[]<>#|~!&"})
_EMOJI = re.compile(r"(?!(?<=(?<![\d:])\d\d):\d\d:\d\d(?![\d:])):(?=[a-z0-9_+'-]+:)", re.I)  # none in 06:39:59
_OPENING = re.compile(r"(?<!\w)_+")
_SCHEME, _WWW = re.compile("(?i)(mailto|xmpp):|:(?=//)"), re.compile(r"(?i)(www)\.")
"""What code forges turn into links by themselves: https://github.github.com/gfm/#autolinks-extension-"""
_MOST_EXAMPLES = 10
_HOW = "two bounds of 95 %, added; if they are like the window's"
_NUMBER = re.compile(r"\d[\d,]*")
_FOOT = """\
Evidence: the role's honest sessions in the window, their calls and days; when honest work last did what is now
refused; and the upper bound (95 %, Clopper-Pearson) on the share of future honest sessions that the restriction
would touch by itself. For sessions to come all of a role count together. What nobody used is taken only where few
sessions used a tool or data class that no other did: about as many will need one yet (Good-Turing). A number, a
set of values or a form is learnt from the first part of the window (at least half) and tested on the rest ("held
out": sessions there, and how many it would have touched); of very many limits some pass by chance."""


def report(
    proposal: Proposal, problems: Mapping[str, Sequence[str]], examples: Sequence[Mapping[str, object]] = ()
) -> str:
    """Markdown. `problems` are what the back-ends' checks found; `examples` are honest calls that would be newly
    denied."""
    test, area = proposal.backtest, proposal.surface
    lines = [
        f"# Least privilege for {inert(proposal.tenant_id)}",
        "",
        f"{counted(len(proposal.restrictions), 'restriction')} for {counted(len(proposal.scopes), 'agent role')}, "
        f"from what honest sessions used between {proposal.since.date()} and {proposal.until.date()} "
        f"({counted(test.replayed, 'decision')}; {_calendar(proposal)}). guardian applies nothing: review and "
        "merge this, then check it with `guardian verify`.",
        "",
        "| | |",
        "|---|---|",
        f"| privilege surface (tool × kind of resource × data class) | {area.before:,} → {area.after:,} "
        f"(−{area.removed:.0%}) |",
        f"| **honest sessions to come that any of it touches** | {foretold(proposal.promised, _HOW)} |",
        "| honest calls newly denied in the backtest: of those that it was made from, so 0 by construction, "
        "but for unusual sessions | "
        f"{test.honest_denied:,} of {test.honest:,} ({'–' if test.cost is None else f'{test.cost:.3%}'}), in "
        f"{counted(test.honest_sessions_denied, 'session')} |",
        f"| of these, in sessions that guardian found unusual | {test.unusual_denied:,} |",
        "| flagged sessions that would have been stopped | "
        f"{test.flagged_stopped:,} of {test.flagged_sessions:,} |",
        f"| calls that the log says too little about to judge | {test.unknown:,} |",
        f"| calls newly allowed | {test.newly_allowed:,} (every rendered policy only refuses) |",
        "",
    ]
    lines += _names(proposal)
    lines += _glance(proposal)
    for scope in proposal.scopes:
        lines += [
            f"## {inert(whom(scope))}",
            "",
            "| id | proposed | why | evidence | calls newly denied |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(restriction, proposal) for restriction in proposal.of(scope)]
        lines.append("")
    lines += _examples(examples, test.honest_denied)
    advice = [f"- {inert(plain(each.subject))} {inert(each.text)}." for each in proposal.advice]
    if advice := [*_lifetimes(proposal), *advice]:
        lines += ["## For people to decide", "", *advice, ""]
    if any(problems.values()):
        lines += ["## What the checks found", ""]
        lines += [f"- {name}: {inert(problem)}" for name, found in problems.items() for problem in found] + [""]
    lines += _silent(proposal.abstentions)
    if proposal.rejected:
        left_out = counted(len(proposal.rejected), "restriction")
        lines += [f"Left out: {left_out} that people rejected and whose evidence has not changed since.", ""]
    return "\n".join([*lines, _FOOT, ""])


def inert(text: str) -> str:
    """Text that agents wrote, made inert in Markdown as code forges read it: no markup, link, mention, emoji or
    formula, no new table cell or line."""
    line = _EMOJI.sub("∶", plain(text, 500)).translate(_SPECIAL)
    line = _OPENING.sub(lambda found: "\\_" * len(found[0]), line)
    return _WWW.sub(r"\1\\[.\\]", _SCHEME.sub(r"\1\\[:\\]", line)).translate(_LOOKALIKE)


def _glance(proposal: Proposal) -> list[str]:
    """One line per role, the largest cuts first, for a reviewer in a hurry."""
    found = []
    for scope in proposal.scopes:
        rules = [restriction.rule for restriction in proposal.of(scope)]
        tools = sum(isinstance(rule, ForbidTool) and not rule.except_agents for rule in rules)
        classes = sum(isinstance(rule, ForbidDataClass) for rule in rules)
        grant = Grant.union(proposal.grants.get(scope, ()))
        of_tools = f" of {len(grant.tools)}" if grant.tools else ""
        of_classes = f" of {len(grant.data_classes)}" if grant.data_classes else ""
        cost = sum(proposal.backtest.by_restriction.get(each.id, 0) for each in proposal.of(scope))
        cells = f"{tools}{of_tools} | {classes}{of_classes} | {len(rules) - tools - classes} | {cost:,}"
        found.append((-tools - classes, f"| {inert(whom(scope))} | {cells} |"))
    head = ["| role | tools cut | data classes cut | limits | honest calls denied |", "|---|---|---|---|---|"]
    return ["## At a glance", "", *head, *(line for _, line in sorted(found)), ""] if found else []


def _names(proposal: Proposal) -> list[str]:
    """What a reviewer must know about tool names before anything is merged."""
    told = {tool: " and ".join(map(inert, own)) for tool, own in sorted(proposal.spelt.items())}
    several = [
        f"{inert(tool)} ({told[tool]})"
        for tool, own in sorted(proposal.spelt.items())
        if len({*own} - ({tool} & {*proposal.renamed})) > 1
    ]
    lines = []
    if told:
        of = some([f"{own} for {inert(tool)}" for tool, own in told.items()], _MOST_EXAMPLES)
        lines += [
            f"**Policies and patches name tools as the log does**: {of}. This report, `proposal.json` and "
            "`denied.jsonl` use guardian's names (`source.tools`). A tool that was never called has the name that "
            "envelopes give it.",
            "",
        ]
    if several:
        lines += [
            f"**One tool to guardian, several to the log**: {some(several, _MOST_EXAMPLES)}. A restriction is "
            "about all of them together: if one of them is needed, the others stay as well.",
            "",
        ]
    if proposal.renamed:
        of = some(proposal.renamed, _MOST_EXAMPLES, inert)
        lines += [
            f"**Not every name that the log uses is known for** {of}. "
            "They were archived by an earlier version, or never called, or the log keeps the server's name apart "
            "from the tool's. For these, policies and patches use guardian's names (`source.tools`) as well. If "
            "the gateway or an envelope template spells one differently (`mcp__crm__read` for `crm.read`), a "
            "policy does not match it, and a patch of `allowed_tools` takes it away; no backtest can show that. "
            "So ask the policy engine with guardian's names, and put the template's own names into a patch before "
            "you merge it.",
            "",
        ]
    return lines


def _lifetimes(proposal: Proposal) -> list[str]:
    """Why no envelope patch shortens a template's life, and what a person must know to do it."""
    ids = [f"`{each.id}`" for each in proposal.restrictions if isinstance(each.rule, MaxLifetime)]
    line = (
        f"- {some(ids, _MOST_EXAMPLES)}: for the policy engine only, and in no envelope patch. They count from a "
        "session's first call, and an envelope's lifetime from its issue, of which the log does not tell. Whoever "
        "shortens a template must add the longest time that its envelopes wait for the first call."
    )
    return [line] if ids else []


def _row(restriction: Restriction, proposal: Proposal) -> str:
    support, test = restriction.support, proposal.backtest
    honest, flagged = test.by_restriction.get(restriction.id, 0), test.stopped_by.get(restriction.id, 0)
    last = f"last done {support.last_use[:10]}" if support.last_use else "see below" if honest else "never done"
    held = (
        f"; held out {support.held_out:,}, touched {support.held_out_broken:,}" if support.held_out_broken else ""
    )
    evidence = (
        f"{counted(support.sessions, 'session')}, {counted(support.actions, 'call')}, "
        f"{counted(support.days, 'day')}; {last}; would touch at most {support.denied_at_most:.1%}{held}"
    )
    cost = f"{honest:,} honest, {flagged:,} of flagged sessions"
    why, what = inert(restriction.why), inert(said(restriction.rule))
    return f"| `{restriction.id}` | {what} | {why} | {evidence} | {cost} |"


def _examples(examples: Sequence[Mapping[str, Any]], total: int) -> list[str]:
    if not examples:
        return []
    lines = ["## Honest calls that would be denied", ""]
    for each in examples[:_MOST_EXAMPLES]:
        where = inert(f"{each['at']} {each['agent']} {each['tool']} in {each['session']}")
        lines.append(f"- {where} (by {', '.join(map(str, each['restrictions']))})")
    if total > min(len(examples), _MOST_EXAMPLES):
        lines.append(f"- … all {total:,} are in `denied.jsonl`")
    return [*lines, ""]


def _silent(abstentions: Sequence[Abstention]) -> list[str]:
    """Of each kind of reason (which differ by their numbers) the few with the most history, and how many more."""
    kinds: dict[str, list[Abstention]] = {}
    for each in abstentions:
        kinds.setdefault(_NUMBER.sub("", each.why), []).append(each)
    lines = []
    for found in kinds.values():
        found.sort(key=lambda each: -int((_NUMBER.findall(each.why) or ["0"])[0].replace(",", "")))
        lines += [f"- {inert(whom(each.scope))}: {inert(each.why)}." for each in found[:_MOST_EXAMPLES]]
        if more := found[_MOST_EXAMPLES:]:
            lines.append(f"- … and {len(more):,} more like these (all are in `proposal.json`).")
    head = ["## Not proposed", "", "Too little is known about these yet, or about all that they need:", ""]
    return [*head, *lines, ""] if lines else []


def _calendar(proposal: Proposal) -> str:
    """How many ends of months and quarters the window holds: without any, work that is done only then went
    unseen."""
    day, ends, quarters = proposal.since.astimezone(UTC).date(), 0, 0
    last = proposal.until.astimezone(UTC).date()
    while day < last:
        following = day + timedelta(days=1)
        ends += following.day == 1
        quarters += _quarter(following)
        day = following
    return f"{counted(ends, 'month end')}, {counted(quarters, 'quarter end')}"


def _quarter(day: date) -> bool:
    return day.day == 1 and day.month in (1, 4, 7, 10)
