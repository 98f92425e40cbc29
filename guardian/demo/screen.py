"""What a person sees while the demo runs, and at its end. Names are ours, arguments are escaped."""

from collections import deque
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from guardian.demo.outcome import Catch, Outcome, percentile
from guardian.demo.scenario import PlannedSession
from guardian.domain.finding import Effect, Kind
from guardian.domain.text import counted
from guardian.wire.findings import FindingView

_ROWS = 12
_FRAME = 5  # borders, the counts, the line below them, and one that the terminal keeps
PLANT_NAMES = {
    "renewal_slide": "renewal review slides to payments and e-mail",
    "bulk_export": "bulk export under a reading purpose",
    "expired_envelope": "envelope used after its expiry",
    "copied_authority": "child kept its parent's authority",
    "slow_drift": "slow drift, no call striking",
}


class Screen:
    """A live table on a terminal; plain lines where there is none."""

    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total = console, total
        self._calls = self._refused = 0
        self._news: deque[Text] = deque(maxlen=_ROWS)
        self._told: set[str] = set()
        self._live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        """One line of news."""
        line = Text(text, style=style)
        self._news.append(line)
        if self._live is None:
            self._console.print(line)
        self._draw()

    def call(self, session: PlannedSession, index: int, *, allowed: bool) -> None:
        """A decision of the gateway."""
        self._calls += 1
        self._total = max(self._total, self._calls)  # who is refused tries again
        if not allowed:
            self._refused += 1
            call = session.calls[index]
            self.say(f"refused  {session.session_id}: {call.tool}, its session is revoked", "bold green")
        self._draw()

    def finding(self, view: FindingView) -> None:
        """A finding and what policy made of it; told once."""
        finding, outcome = view.finding, view.outcome
        if finding.id in self._told:
            return
        self._told.add(finding.id)
        agent = finding.subject.agent_id if finding.subject else ""
        who = f"{finding.session_id} ({agent})" if finding.kind is Kind.DRIFT else finding.tenant_id
        word = "revoked " if outcome.effect is Effect.REVOKE else "flagged "
        style = {Effect.REVOKE: "bold red", Effect.FLAG: "yellow"}.get(outcome.effect, "")
        if finding.kind is not Kind.DRIFT:
            word, style = f"{finding.kind.value:<8}", "cyan"
        tool = f" at {finding.act.tool}" if finding.act and finding.kind is Kind.DRIFT else ""
        self.say(f"{word} {who}{tool}: {finding.title}", style)

    def _draw(self) -> None:
        if self._live is None:
            return
        head = Text.assemble(
            (f"{self._calls}/{self._total}", "bold"),
            " decisions · ",
            (f"{len(self._told)}", "bold"),
            " findings · ",
            (f"{self._refused}", "bold green"),
            " calls refused",
        )
        self._live.update(Panel(Group(head, Text(""), *self._fitting()), title="guardian", border_style="dim"))

    def _fitting(self) -> list[Text]:
        """The newest of the news: of what is higher than the terminal only the beginning would be seen."""
        room, fitting = self._console.height - _FRAME, list[Text]()
        for line in reversed(self._news):
            room -= len(line.wrap(self._console, self._console.width - 4))
            if room < 0:
                break
            fitting.insert(0, line)
        return fitting

    def show(self, outcome: Outcome) -> None:
        """The result."""
        why = Column("why", overflow="fold")  # a rule's name is broken rather than cut
        table = Table("planted drift", "became", "after", "refused", why, title="What was planted")
        for catch in outcome.planted:
            title, _, rules = catch.why.removesuffix(")").partition(" (")
            table.add_row(
                PLANT_NAMES[catch.session.plant.value],
                _effect(catch),
                "" if catch.after is None else counted(catch.after, "drifted call"),
                str(catch.refused) if catch.refused else "",
                f"{title}\n{rules}".rstrip(),
            )
        console = self._console
        console.print(table)
        caught = sum(c.caught for c in outcome.planted)
        if not outcome.whole:
            console.print(Text(_fell_short(outcome), "bold magenta"))
        word = "missed" if outcome.whole else "not judged"
        console.print(
            f"{caught} of {counted(len(outcome.planted), 'planted drift')} caught, "
            f"{len(outcome.planted) - caught} {word}; {counted(len(outcome.false_alarms), 'false alarm')} among "
            f"{counted(outcome.honest, 'honest session')}; {counted(outcome.decisions, 'decision')}."
        )
        for view in outcome.false_alarms:
            act = view.finding.act
            console.print(
                Text(f"  false alarm: {view.finding.session_id} at {act.tool if act else '?'}", "yellow")
            )
        if outcome.about_gateways or outcome.about_grants:
            console.print(
                f"Besides: {counted(outcome.about_gateways, 'finding')} about the gateway "
                f"(it allowed what an envelope forbids), {outcome.about_grants} about careless grants."
            )
        p50, p99 = percentile(outcome.refusal_ms, 50), percentile(outcome.refusal_ms, 99)
        if p50 is not None and p99 is not None:
            console.print(
                f"From a decision on the topic to the gateway's refusal: p50 {p50:.0f} ms, p99 {p99:.0f} ms "
                f"({counted(len(outcome.refusal_ms), 'revocation')})."
            )


def _fell_short(outcome: Outcome) -> str:
    reach = outcome.reach
    unread = f", {reach.dead_letters:,} could not be read" * bool(reach.dead_letters)
    found = counted(reach.undelivered, "finding or dead letter waits", "findings or dead letters wait")
    waiting = f", {found} to be delivered" * bool(reach.undelivered)
    return (
        f"judged {reach.judged:,} of {counted(outcome.decisions, 'decision')}{unread}{waiting};"
        " the rest was not waited for, so this is no result"
    )


def _effect(catch: Catch) -> Text:
    return Text(catch.effect, style={"revoked": "bold red", "flagged": "yellow"}.get(catch.effect, "bold magenta"))
