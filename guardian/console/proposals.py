"""What `guardian propose` wrote: each folder with its diff and its backtest. Nothing is applied from here."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from starlette.responses import Response

from guardian.console.asked import Asked
from guardian.console.pages import Pages
from guardian.domain.restriction import Restriction
from guardian.domain.rules import ForbidDataClass, ForbidTool, MaxRecords
from guardian.errors import ProposalError
from guardian.tightening.history import Grant
from guardian.tightening.proposal import PROPOSAL, Proposal, read_proposal
from guardian.tightening.wording import said, whom
from guardian.wire.visits import Visit

_MOST_SHOWN, _MOST_FILES, _LONGEST_FILE = 200, 400, 200_000
_RENDERED = ("envelope", "cedar", "rego", "polar")


class Found(NamedTuple):
    """A proposal by its folder's name."""

    name: str
    proposal: Proposal


@dataclass(frozen=True, slots=True)
class Narrowed:
    """One agent role: its grant as it is and as it would be, and the restrictions with their evidence."""

    whom: str
    diff: tuple[tuple[str, str], ...]  # sign (space, - or +) and line
    restrictions: tuple[tuple[Restriction, str], ...]


def show_all(pages: Pages, asked: Asked) -> Response:
    pages.api(asked).tenants()  # refused for whoever may not read
    folder = pages.parts.proposals
    found = [] if folder is None else _within_reach(folder, asked.signed_in)
    found.sort(key=lambda each: each.proposal.made_at, reverse=True)
    shown, left_out = found[:_MOST_SHOWN], len(found[_MOST_SHOWN:])
    return pages.page(asked, "proposals", found=shown, left_out=left_out, configured=folder is not None)


def show_one(pages: Pages, asked: Asked) -> Response:
    pages.api(asked).tenants()
    folder, name = pages.parts.proposals, asked.query.get("name", "")
    found = None if folder is None else _named(folder, name, asked.signed_in)
    if folder is None or found is None:
        return pages.failed(asked, 404, "There is nothing here within your reach.")
    proposal, files = found.proposal, list(_files(folder / name))
    chosen = next((each for each in files if each == asked.query.get("file")), None)
    return pages.page(
        asked,
        "proposal",
        name=name,
        proposal=proposal,
        narrowed=narrowed(proposal),
        files=files,
        chosen=chosen,
        content="" if chosen is None else _text(folder / name / chosen),
    )


def narrowed(proposal: Proposal) -> list[Narrowed]:
    """By role, those first whose grant shrinks most."""
    found = []
    for scope in proposal.scopes:
        rules = proposal.of(scope)
        grant = next(iter(proposal.grants.get(scope, ())), None)
        diff = () if grant is None else tuple(_diff(grant, rules))
        found.append(Narrowed(whom(scope), diff, tuple((each, said(each.rule)) for each in rules)))
    return sorted(found, key=lambda each: -sum(sign != " " for sign, _ in each.diff))


def _diff(grant: Grant, restrictions: Sequence[Restriction]) -> Iterator[tuple[str, str]]:
    """The envelope template's lines, as a reviewer of a pull request reads them."""
    rules = [each.rule for each in restrictions]
    tools = {rule.tool for rule in rules if isinstance(rule, ForbidTool) and not rule.except_agents}
    classes = {rule.subject for rule in rules if isinstance(rule, ForbidDataClass)}
    limits = [rule.limit for rule in rules if isinstance(rule, MaxRecords)]
    had = [f"tool {tool}" for tool in grant.tools]
    has = [f"tool {tool}" for tool in grant.tools if tool not in tools]
    had += [f"data class {name}" for name in grant.data_classes or ()]
    has += [f"data class {name}" for name in grant.data_classes or () if name not in classes]
    if grant.max_records is not None:
        had.append(f"at most {grant.max_records:,} records")
    if limits or grant.max_records is not None:
        has.append(f"at most {min([*limits, *([grant.max_records] if grant.max_records else [])]):,} records")
    for line in difflib.ndiff(had, has):
        if line[0] != "?":
            yield line[0], line[2:]


def _within_reach(folder: Path, visit: Visit) -> list[Found]:
    """Every proposal about tenants of the visitor's; what is none is passed over."""
    read = (_read(path.parent, visit) for path in folder.glob(f"*/{PROPOSAL}"))
    return [each for each in read if each is not None]


def _named(folder: Path, name: str, visit: Visit) -> Found | None:
    """The one whose folder is called exactly so."""
    known = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
    return _read(known[name], visit) if name in known else None


def _read(folder: Path, visit: Visit) -> Found | None:
    try:
        proposal = read_proposal(folder) if folder.is_dir() else None
    except (ProposalError, OSError):
        return None
    if proposal is None or not visit.principal.reaches(proposal.tenant_id):
        return None
    return Found(folder.name, proposal)


def _files(folder: Path) -> Iterator[str]:
    """The rendered policies, by path within the folder."""
    names = sorted(path for name in _RENDERED for path in (folder / name).glob("[!.]*") if path.is_file())
    yield from (path.relative_to(folder).as_posix() for path in names[:_MOST_FILES])


def _text(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(_LONGEST_FILE)
