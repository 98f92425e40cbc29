"""Proposals put together: archive, labels and rejections in, a folder for a pull request out."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from guardian.archive.reader import Archive, Window
from guardian.bootstrap.backends import backends
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.policies import policy_folder
from guardian.commands.auditing import export
from guardian.commands.windows import Held, held
from guardian.config import Settings
from guardian.domain.envelope import purpose_family
from guardian.domain.finding import OPERATORS
from guardian.domain.identity import NAMELESS, SessionKey
from guardian.domain.past import PastCall, agent_role
from guardian.domain.restriction import Restriction, Scope
from guardian.domain.rules import ForbidTool
from guardian.domain.text import plain, some
from guardian.domain.wildcards import covers
from guardian.errors import ConfigurationError
from guardian.policy.cedar_text import forbid_problems
from guardian.policy.port import PolicyAction
from guardian.tightening.authority import Authority, Ledger
from guardian.tightening.backtest import Change, backtest
from guardian.tightening.caution import Caution
from guardian.tightening.envelope import patched_tools
from guardian.tightening.folder import EXAMPLES, PROPOSAL, REPORT, write_folder
from guardian.tightening.grants import Grant
from guardian.tightening.history import UNUSUAL_ONE_IN, History
from guardian.tightening.mining import mine
from guardian.tightening.own import OwnForbids, audited_calls, narrowable
from guardian.tightening.port import Backend
from guardian.tightening.proposal import Proposal
from guardian.tightening.proposal_json import as_json
from guardian.tightening.redacted import marked
from guardian.tightening.rejections import read_rejections, still_rejected
from guardian.tightening.report import report
from guardian.tightening.sessions import Apart, Spoken
from guardian.tightening.spelling import Spellings
from guardian.tightening.surface import resources_of, surface
from guardian.tightening.trust import Trust

Update = Callable[[int, int | None], None]
Calls = Callable[[], Iterable[PastCall]]
_MOST_EXAMPLES = 100_000
_NAMED = 5
_NO_FLAG = (None, "none")


@dataclass(frozen=True, slots=True)
class Made:
    """A proposal with its files; `problems` by back-end."""

    proposal: Proposal
    files: Mapping[str, str]
    problems: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What to propose for. `purpose` as declared, or its family; `role` as such, or one of its agents. None: all
    of the tenant's."""

    tenant_id: str
    window: timedelta
    purpose: str | None = None
    role: str | None = None
    until: datetime | None = None

    def about(self, scope: Scope) -> bool:
        purpose = self.purpose is None or scope.purpose in (self.purpose, purpose_family(self.purpose))
        return purpose and (self.role is None or scope.role in (self.role, agent_role(self.role)))

    def among(self, scopes: Collection[Scope]) -> None:
        """Raises ConfigurationError where it is about none of the scopes: nothing proposed would read as nothing
        to propose."""
        if (self.purpose is None and self.role is None) or any(map(self.about, scopes)):
            return
        roles = {scope.role for scope in scopes if replace(self, role=None).about(scope)}
        asked, known = f"role {self.role!r}", roles
        if not roles:
            asked, known = f"purpose {self.purpose!r}", {scope.purpose for scope in scopes}
        listed = some(sorted(known), _NAMED, lambda name: repr(plain(name))) or "none at all"
        raise ConfigurationError(f"{self.tenant_id!r} has no {asked} in this window; it has {listed}")


def recorded(settings: Settings, archive: Archive, window: Window) -> tuple[Calls, Trust]:
    """What agents did in the window, and whose work was honest: with the sessions of nameless keys told apart, and
    without what guardian planted to test itself."""
    idle, planted = timedelta(seconds=settings.source.idle_s), settings.revocation.self_test.gateway

    def calls() -> Iterable[PastCall]:
        theirs = (call for call in archive.past_calls(window) if not planted or call.gateway != planted)
        return Apart(idle).calls(theirs)

    return calls, trust_of(archive, window, idle=idle, planted=planted)


def trust_of(archive: Archive, window: Window, *, idle: timedelta, planted: str) -> Trust:
    """Who was flagged up to the window's end or found unusual in it, and not cleared since, and what people said;
    `idle` as of `Apart`, `planted` the gateway of what guardian planted (empty: it planted nothing).

    A session is flagged once, however long it goes on. Of a nameless key it has the name that `Apart` gives it
    within the window.
    """
    flagged: dict[SessionKey, datetime] = {}
    unusual: dict[SessionKey, datetime] = {}
    renamed: dict[SessionKey, SessionKey] = {}  # those of nameless keys that began before the window
    apart, within, spoken = Apart(idle), Apart(idle), Spoken(archive.labels())
    for inside, (tenant, session, at, wanted, one_in, finding, gateway) in _verdicts(archive, window):
        if planted and gateway == planted:
            continue
        named = SessionKey(tenant, session)
        key = apart.session(named, at)
        spoken.note(named, key, at, finding)
        if inside and (name := within.session(named, at)) != key:
            renamed[key] = name
        if wanted not in _NO_FLAG:
            flagged[key] = max(at, flagged.get(key, at))
        elif inside and one_in is not None and one_in >= UNUSUAL_ONE_IN:
            unusual[key] = max(at, unusual.get(key, at))
    said = [replace(label, key=renamed.get(label.key, label.key)) for label in spoken.labels()]
    flags, doubts = ({renamed.get(key, key): at for key, at in found.items()} for found in (flagged, unusual))
    return Trust.of(flags, said, doubts)


def _verdicts(archive: Archive, window: Window) -> Iterator[tuple[bool, tuple[Any, ...]]]:
    """What guardian made of each call, in time, and whether that lies in the window. Of what came before only
    flags, and the calls of nameless keys, whose pauses tell one session from the next."""
    names = ("tenant_id", "session_id", "at", "wanted", "one_in", "finding_id", "gateway")
    earlier = () if window.since is None else (replace(window, since=None, until=window.since),)
    for part in (*earlier, window):
        for batch in archive.batches(names, part, batch_rows=131_072):
            if part is not window:
                told = zip(batch.column("session_id").to_pylist(), batch.column("wanted").to_pylist(), strict=True)
                batch = batch.filter([flag not in _NO_FLAG or key.startswith(NAMELESS) for key, flag in told])
            rows = zip(*(batch.column(name).to_pylist() for name in names), strict=True)
            yield from ((part is window, row) for row in rows)


def propose(settings: Settings, archive: Archive, asked: Asked, rejections: Path, update: Update) -> Made:
    """Mine, backtest on the same window, render, check. Applies nothing."""
    until = asked.until or utc_now()
    part = held(archive, asked.tenant_id, since=until - asked.window, until=until)
    window = Window(asked.tenant_id, part.since, until)
    rows = held_rows(archive, window)
    calls, trust = recorded(settings, archive, window)
    made = proposed(
        lambda: marked(calls(), settings.source.redact),
        trust,
        window=part,
        tenant_id=asked.tenant_id,
        rejections=rejections,
        update=lambda done: update(done, 2 * rows),
        wanted=lambda restriction: asked.about(restriction.scope),
        on_scopes=asked.among,
    )
    return rendered(replace(made[0], renamed=renamed(settings, made[0].renamed)), backends(settings), made[1])


def renamed(settings: Settings, tools: Iterable[str]) -> tuple[str, ...]:
    """Those of the tools, of unknown spelling, that the rule for names may have made of another one."""
    rule = settings.source.tools
    form = rule.name.replace("{server}", "*").replace("{tool}", "*")
    made = (tool for tool in tools if tool in rule.aliases.values() or covers(form, tool))
    return () if settings.source.format == "guardian" else tuple(sorted(made))


def propose_own(settings: Settings, window: timedelta, rejections: Path, update: Update) -> Made:
    """The same for guardian's own roles, from the audit trail."""
    until = utc_now()
    actions = narrowable(get_args(PolicyAction))
    entries = [
        entry
        for entry in map(_record, export(settings, 0))
        if str(entry.get("at", "")) >= (until - window).isoformat()
    ]
    update(len(entries), len(entries))
    asked = until - window
    begins = min((call.at for call in audited_calls(entries, actions)), default=asked)
    proposal, examples = proposed(
        lambda: audited_calls(entries, actions), Trust(), window=Held.of(asked=asked, begins=begins, until=until),
        tenant_id=OPERATORS, rejections=rejections, update=lambda _: None,
        wanted=lambda restriction: isinstance(restriction.rule, ForbidTool),
    )  # fmt: skip
    schema = next(iter(sorted(policy_folder(settings).glob("[!.]*.cedarschema"))), None)
    own = OwnForbids(forbid_problems, "" if schema is None else schema.read_text(encoding="utf-8"))
    return rendered(proposal, {"cedar": own}, examples)


def proposed(
    calls: Calls, trust: Trust, *, window: Held, tenant_id: str, rejections: Path,
    update: Callable[[int], None], wanted: Callable[[Restriction], bool],
    on_scopes: Callable[[Collection[Scope]], None] = lambda _: None,
) -> tuple[Proposal, list[dict[str, Any]]]:  # fmt: skip
    """The proposal, and every honest call that it would newly deny. `on_scopes` takes the scopes of the window."""
    history = History.learn(calls(), trust=trust, split=window.split)
    on_scopes(history.scopes)
    update(history.calls)
    mined = mine(history, Caution())
    candidates = [restriction for restriction in mined.restrictions if wanted(restriction)]
    rejected = still_rejected(candidates, read_rejections(rejections))
    kept = tuple(restriction for restriction in candidates if restriction.id not in rejected)
    scopes = {restriction.scope for restriction in kept}
    grants = {scope: tuple(history.scopes[scope].current()) for scope in scopes}
    examples: list[dict[str, Any]] = []

    def note(change: Change) -> None:
        if change.honest and len(examples) < _MOST_EXAMPLES:
            examples.append(change.as_json())

    tested = backtest(
        calls(), kept, trust, patched=patched_tools(grants, kept), on_change=note,
        progress=lambda done: update(history.calls + done),
    )  # fmt: skip
    area = surface(
        {scope: Grant.union(each) for scope, each in grants.items() if each},
        {scope: resources_of(history.scopes[scope]) for scope in scopes}, kept,
    )  # fmt: skip
    abstained = tuple(a for a in mined.abstentions if a.scope.tenant_id == tenant_id)
    proposal = Proposal(
        tenant_id=tenant_id,
        since=window.since,
        until=window.until,
        made_at=utc_now(),
        restrictions=kept,
        grants=grants,
        backtest=tested,
        surface=area,
        abstentions=abstained,
        advice=mined.advice,
        rejected=tuple(sorted(rejected)),
    )
    spelt = Spellings.of(proposal.tools, history)
    unknown = {tool for found in grants.values() for each in found if each.spelt is None for tool in each.tools}
    limited = {tool for each in kept if (tool := getattr(each.rule, "tool", None)) is not None}
    doubtful = tuple(sorted(unknown | (spelt.unsure & limited)))
    return replace(proposal, spelt=spelt.own, renamed=doubtful), examples


def rendered(proposal: Proposal, languages: Mapping[str, Backend], examples: Sequence[Mapping[str, Any]]) -> Made:
    """Every file of the folder, and what the checks say."""
    files: dict[str, str] = {PROPOSAL: json.dumps(as_json(proposal), indent=2, sort_keys=True) + "\n"}
    problems: dict[str, list[str]] = {}
    for name, backend in languages.items():
        made = backend.files(proposal)
        problems[name] = backend.check(proposal, made)
        files |= made
    files[EXAMPLES] = "".join(json.dumps(example, default=str) + "\n" for example in examples)
    files[REPORT] = report(proposal, problems, examples)
    return Made(proposal, files, problems)


def save(made: Made, folder: Path) -> None:
    write_folder(folder, made.files)


def authority_of(
    settings: Settings, archive: Archive, subject: str, *, tenant_id: str, window: timedelta
) -> list[list[Authority]]:
    """The chains of a session, or of all that its name stands for, or of the sessions that serve a purpose."""
    until = utc_now()
    calls, trust = recorded(settings, archive, Window(tenant_id, until - window, until))
    ledger = Ledger.read(calls(), trust)
    return (
        ledger.of_session(SessionKey(tenant_id, subject))
        or ledger.of_purpose(tenant_id, subject)
        or ledger.of_purpose(tenant_id, purpose_family(subject))
    )


def held_rows(archive: Archive, window: Window) -> int:
    """How many rows the window holds, at least one: of nothing no budget is ever exceeded. Raises
    ConfigurationError."""
    if rows := archive.rows(window):
        return rows
    span = f"from {window.first_day} to {window.last_day}"
    raise ConfigurationError(f"{window.tenant_id!r}: nothing of this tenant lies in {archive.root} {span}")


def rejections_file(settings: Settings, given: Path | None) -> Path:
    return given or settings.resolve(settings.tightening.rejections)


def _record(entry: Mapping[str, object]) -> dict[str, Any]:
    told = entry.get("record", entry)
    found = json.loads(told) if isinstance(told, str) else told
    return dict(found) if isinstance(found, Mapping) else {}
