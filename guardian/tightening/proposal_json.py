"""A proposal as JSON, which people edit, and back."""

from dataclasses import asdict, astuple
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, PlainValidator, ValidationError

from guardian.domain.closed import first_of
from guardian.domain.restriction import Restriction, Scope
from guardian.domain.text import plain
from guardian.errors import ProposalError
from guardian.tightening.backtest import Backtest
from guardian.tightening.grants import Grant
from guardian.tightening.mining import Abstention, Advice
from guardian.tightening.proposal import Proposal
from guardian.tightening.surface import Surface

FORMAT: Literal["guardian.proposal/v1"] = "guardian.proposal/v1"


def as_json(proposal: Proposal) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "tenant": proposal.tenant_id,
        "window": {"since": proposal.since.isoformat(), "until": proposal.until.isoformat()},
        "made_at": proposal.made_at.isoformat(),
        "restrictions": [restriction.as_json() for restriction in proposal.restrictions],
        "grants": [
            {"scope": asdict(scope), "tools": list(g.tools), "max_records": g.max_records}
            | {"data_classes": None if g.data_classes is None else list(g.data_classes)}
            | ({"records_unread": True} if g.records_unread else {})
            | ({} if g.spelt is None else {"spelt": dict(g.spelt)})
            for scope in sorted(proposal.grants, key=astuple)
            for g in proposal.grants[scope]
        ],
        "backtest": proposal.backtest.as_json(),
        "promised": None if (promise := proposal.promised) is None else promise._asdict(),
        "surface": {"before": proposal.surface.before, "after": proposal.surface.after},
        "abstentions": [{"scope": asdict(each.scope), "why": each.why} for each in proposal.abstentions],
        "advice": [{"tenant": a.tenant_id, "subject": a.subject, "text": a.text} for a in proposal.advice],
        "rejected": list(proposal.rejected),
        "renamed": list(proposal.renamed),
        "spelt": {tool: list(own) for tool, own in proposal.spelt.items()},
    }


class _Part(BaseModel):
    """Frozen; an unknown key, of a later version perhaps, is refused: what it says would be left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _Window(_Part):
    since: AwareDatetime
    until: AwareDatetime


class _Template(_Part):
    """An envelope's, and in which scope."""

    scope: Scope
    tools: tuple[str, ...]
    data_classes: tuple[str, ...] | None
    max_records: int | None
    records_unread: bool = False
    spelt: dict[str, str] | None = None
    lifetime_s: object = None  # of earlier versions, whose patches set lifetimes

    def grant(self) -> Grant:
        spelt = None if self.spelt is None else tuple(sorted(self.spelt.items()))
        return Grant(self.tools, self.data_classes, self.max_records, self.records_unread, spelt)


class _Advice(_Part):
    tenant: str
    subject: str
    text: str


def _counts(told: Any) -> Any:
    """Without their quotient, which they give themselves."""
    return {name: each for name, each in told.items() if name != "cost"} if isinstance(told, dict) else told


class _File(_Part):
    """`promised` is for readers: the restrictions say it themselves."""

    format: Literal["guardian.proposal/v1"]
    tenant: str
    window: _Window
    made_at: AwareDatetime
    restrictions: tuple[Annotated[Restriction, PlainValidator(Restriction.from_json)], ...]
    grants: tuple[_Template, ...]
    backtest: Annotated[Backtest, BeforeValidator(_counts)]
    promised: object = None
    surface: Surface
    abstentions: tuple[Abstention, ...]
    advice: tuple[_Advice, ...]
    rejected: tuple[str, ...]
    renamed: tuple[str, ...] = ()
    spelt: dict[str, tuple[str, ...]] = {}

    def proposal(self) -> Proposal:
        grants: dict[Scope, list[Grant]] = {}
        for each in self.grants:
            grants.setdefault(each.scope, []).append(each.grant())
        return Proposal(
            tenant_id=self.tenant,
            since=self.window.since,
            until=self.window.until,
            made_at=self.made_at,
            restrictions=self.restrictions,
            grants={scope: tuple(found) for scope, found in grants.items()},
            backtest=self.backtest,
            surface=self.surface,
            abstentions=self.abstentions,
            advice=tuple(Advice(each.tenant, each.subject, each.text) for each in self.advice),
            rejected=self.rejected,
            renamed=self.renamed,
            spelt=self.spelt,
        )


def from_json(value: object) -> Proposal:
    """Raises ProposalError naming what is wrong."""
    try:
        return _File.model_validate(value).proposal()
    except ValueError as error:
        why = first_of(error) if isinstance(error, ValidationError) else str(error)
        raise ProposalError(f"not a proposal of guardian's: {plain(why, 300)}") from error
