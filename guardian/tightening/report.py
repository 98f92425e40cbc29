"""The report that a reviewer reads in two minutes: what, why, on what evidence, at what cost."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, timedelta

from guardian.domain.restriction import Restriction
from guardian.domain.rules import ForbidDataClass, ForbidTool
from guardian.domain.text import counted, shown, some
from guardian.tightening.proposal import Proposal
from guardian.tightening.wording import said, whom

_SPECIAL = str.maketrans({sign: f"\\{sign}" for sign in "\\`*{}[]<>#|~!"})
_OPENING = re.compile(r"(?<!\w)_+")
_SCHEME, _WWW = re.compile("(?i)(mailto|xmpp):|:(?=//)"), re.compile(r"(?i)(www)\.")
"""What forges make links of, and whom they tell, by themselves: https://github.github.com/gfm/#autolinks-extension-"""
_MOST_EXAMPLES = 10
_FOOT = """\
Evidence: honest sessions of the role in the window, their calls, days, the last time that honest work did what is
now refused, and the 95 % upper bound (Clopper-Pearson) on the share of future honest sessions it would touch.
Where a number, a set or a form was fitted, it was mined on the first part of the window and tested on the rest:
`held out` says on how many sessions, and how many it would have touched."""


def report(
    proposal: Proposal, problems: Mapping[str, Sequence[str]], examples: Sequence[Mapping[str, object]] = ()
) -> str:
    """Markdown. `problems` are what the back-ends' checks found; `examples` some honest calls newly denied."""
    test, area = proposal.backtest, proposal.surface
    lines = [
        f"# Least privilege for {plain(proposal.tenant_id)}",
        "",
        f"{counted(len(proposal.restrictions), 'restriction')} for {counted(len(proposal.scopes), 'agent role')}, "
        f"from what honest sessions used between {proposal.since.date()} and {proposal.until.date()} "
        f"({counted(test.replayed, 'decision')}; {_calendar(proposal)}). guardian applies nothing: review, merge, "
        "then `guardian propose --verify` it.",
        "",
        "| | |",
        "|---|---|",
        f"| privilege surface (tool × kind of resource × data class) | {area.before:,} → {area.after:,} "
        f"(−{area.removed:.0%}) |",
        "| honest calls newly denied in the backtest | "
        f"{test.honest_denied:,} of {test.honest:,} ({test.cost:.3%}), "
        f"{counted(test.honest_sessions_denied, 'session')} |",
        f"| of these in sessions that guardian found unusual, but did not flag | {test.unusual_denied:,} |",
        "| flagged sessions that would have been stopped | "
        f"{test.flagged_stopped:,} of {test.flagged_sessions:,} |",
        f"| calls that the log says too little to judge | {test.unknown:,} |",
        f"| newly allowed | {test.newly_allowed:,} (every rendered policy only refuses) |",
        "",
    ]
    lines += _names(proposal)
    lines += _glance(proposal)
    for scope in proposal.scopes:
        lines += [
            f"## {plain(whom(scope))}",
            "",
            "| id | proposed | why | evidence | cost |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(restriction, proposal) for restriction in proposal.of(scope)]
        lines.append("")
    lines += _examples(examples, test.honest_denied)
    if proposal.advice:
        lines += ["## For people to decide", ""]
        lines += [f"- {plain(shown(each.subject))} {plain(each.text)}." for each in proposal.advice] + [""]
    if any(problems.values()):
        lines += ["## What the checks found", ""]
        lines += [f"- {name}: {plain(problem)}" for name, found in problems.items() for problem in found] + [""]
    if proposal.abstentions:
        lines += ["## Not proposed", "", "Too little is known of these yet:", ""]
        lines += [f"- {plain(whom(each.scope))}: {plain(each.why)}." for each in proposal.abstentions] + [""]
    if rejected := len(proposal.rejected):
        were, their = ("was", "its") if rejected == 1 else ("were", "their")
        lines += [
            f"{counted(rejected, 'restriction')} {were} rejected earlier and {their} evidence has not changed.",
            "",
        ]
    lines += [_FOOT, ""]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Text of agents in Markdown: no markup, no link, nobody called, no table cell and no line of its own."""
    line = " ".join(shown(text, 500).translate(_SPECIAL).split())
    line = _OPENING.sub(lambda found: "\\_" * len(found[0]), line)
    return _WWW.sub(r"\1\\[.\\]", _SCHEME.sub(r"\1\\[:\\]", line)).replace("@", "＠")


def _glance(proposal: Proposal) -> list[str]:
    """One line a role, the largest cuts first: what a reviewer in a hurry reads."""
    found = []
    for scope in proposal.scopes:
        rules = [restriction.rule for restriction in proposal.of(scope)]
        tools = sum(isinstance(rule, ForbidTool) and not rule.except_agents for rule in rules)
        classes = sum(isinstance(rule, ForbidDataClass) for rule in rules)
        grant = next(iter(proposal.grants.get(scope, ())), None)
        of_tools = f" of {len(grant.tools)}" if grant else ""
        of_classes = f" of {len(grant.data_classes)}" if grant and grant.data_classes else ""
        cost = sum(proposal.backtest.by_restriction.get(each.id, 0) for each in proposal.of(scope))
        cells = f"{tools}{of_tools} | {classes}{of_classes} | {len(rules) - tools - classes} | {cost:,}"
        found.append((-tools - classes, f"| {plain(whom(scope))} | {cells} |"))
    head = ["| role | tools cut | data classes cut | limits | honest calls denied |", "|---|---|---|---|---|"]
    return ["## At a glance", "", *head, *(line for _, line in sorted(found)), ""] if found else []


def _names(proposal: Proposal) -> list[str]:
    """Before anything is merged: by which names policies and patches speak of tools."""
    told = {tool: " and ".join(map(plain, own)) for tool, own in sorted(proposal.spelt.items())}
    several = [
        f"{plain(tool)} ({told[tool]})"
        for tool, own in sorted(proposal.spelt.items())
        if len({*own} - ({tool} & {*proposal.renamed})) > 1
    ]
    lines = []
    if told:
        of = some([f"{own} for {plain(tool)}" for tool, own in told.items()], _MOST_EXAMPLES)
        lines += [
            f"**Policies and patches name tools as the log does**: {of}. This report, `proposal.json` and "
            "`denied.jsonl` say guardian's names (`source.tools`). A tool that was never called goes by its name "
            "in envelopes.",
            "",
        ]
    if several:
        lines += [
            f"**One tool to guardian, several to the log**: {some(several, _MOST_EXAMPLES)}. What is proposed of "
            "one is proposed of all of them, and what one of them is needed for keeps the others too.",
            "",
        ]
    if proposal.renamed:
        of = some(proposal.renamed, _MOST_EXAMPLES, plain)
        lines += [
            f"**No name in the log is known, or not every one, of** {of}: "
            "they were archived earlier, never called, or the log has the server's name beside the tool's. Of "
            "these policies and patches say guardian's names (`source.tools`) too. Where the gateway or an "
            "envelope template spells one otherwise, as in `mcp__crm__read` for `crm.read`, a policy does not "
            "match it and a patch of `allowed_tools` takes it away, which no backtest can see. Ask the policy "
            "engine by guardian's names, and put the template's own into a patch before it is merged.",
            "",
        ]
    return lines


def _row(restriction: Restriction, proposal: Proposal) -> str:
    support, test = restriction.support, proposal.backtest
    honest, flagged = test.by_restriction.get(restriction.id, 0), test.stopped_by.get(restriction.id, 0)
    last = f"last {support.last_use[:10]}" if support.last_use else "see below" if honest else "never"
    held = (
        f"; held out {support.held_out:,}, touched {support.held_out_broken:,}" if support.held_out_broken else ""
    )
    evidence = (
        f"{counted(support.sessions, 'session')}, {counted(support.actions, 'call')}, "
        f"{counted(support.days, 'day')}; {last}; "
        f"at most {support.denied_at_most:.1%}{held}"
    )
    cost = f"{honest:,} honest, {flagged:,} flagged"
    why, what = plain(restriction.why), plain(said(restriction.rule))
    return f"| `{restriction.id}` | {what} | {why} | {evidence} | {cost} |"


def _examples(examples: Sequence[Mapping[str, object]], total: int) -> list[str]:
    if not examples:
        return []
    lines = ["## Honest calls that would be denied", ""]
    for each in examples[:_MOST_EXAMPLES]:
        where = plain(f"{each['at']} {each['agent']} {each['tool']} in {each['session']}")
        lines.append(f"- {where} (by {', '.join(map(str, each['restrictions']))})")  # type: ignore[call-overload]
    if total > min(len(examples), _MOST_EXAMPLES):
        lines.append(f"- … all {total:,} are in `denied.jsonl`")
    return [*lines, ""]


def _calendar(proposal: Proposal) -> str:
    """Which ends of months and quarters the window held: work that only comes then was seen, or could not be."""
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
