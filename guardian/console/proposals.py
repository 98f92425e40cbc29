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
from guardian.errors import ProposalError
from guardian.tightening.envelope import EnvelopePatches
from guardian.tightening.folder import PROPOSAL, read_proposal, rendered
from guardian.tightening.grants import Grant
from guardian.tightening.proposal import Proposal
from guardian.tightening.wording import said, whom
from guardian.wire.visits import Visit

_MOST_SHOWN, _MOST_FILES, _LONGEST_FILE = 200, 400, 200_000


class Found(NamedTuple):
    """A proposal by its folder's name."""

    name: str
    proposal: Proposal


@dataclass(frozen=True, slots=True)
class Narrowed:
    """One agent role: what each envelope template in force grants, before and after, the most used one first; and
    the restrictions with their evidence. A line of a diff is a sign (space, - or +) and a text."""

    whom: str
    diffs: tuple[tuple[tuple[str, str], ...], ...]
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
    proposal, files = found.proposal, _files(folder / name)
    chosen = next((each for each in files if each == asked.query.get("file")), None)
    content = "" if chosen is None else _text(folder / name / chosen)
    return pages.page(
        asked,
        "proposal",
        name=name,
        proposal=proposal,
        narrowed=narrowed(proposal),
        files=files[:_MOST_FILES],
        more=len(files[_MOST_FILES:]),
        chosen=chosen,
        content=content[:_LONGEST_FILE],
        of=(folder / name / chosen).stat().st_size if chosen is not None and content[_LONGEST_FILE:] else None,
    )


def narrowed(proposal: Proposal) -> list[Narrowed]:
    """By role, those first whose templates shrink most."""
    found = []
    for scope in proposal.scopes:
        rules = proposal.of(scope)
        diffs = tuple(tuple(_diff(grant, rules)) for grant in proposal.grants.get(scope, ()))
        found.append(Narrowed(whom(scope), diffs, tuple((each, said(each.rule)) for each in rules)))
    return sorted(found, key=lambda each: -sum(sign != " " for diff in each.diffs for sign, _ in diff))


def _diff(grant: Grant, restrictions: Sequence[Restriction]) -> Iterator[tuple[str, str]]:
    """The envelope template's lines before and after its patch, as a reviewer of a pull request reads them."""
    patch = EnvelopePatches().patch(grant, restrictions)
    limits = patch.get("resource_constraints", {})
    had = _granted(grant.tools, grant.data_classes, grant.max_records)
    has = _granted(
        patch.get("allowed_tools", grant.tools),
        limits.get("data_classes", grant.data_classes),
        limits.get("max_records", grant.max_records),
    )
    for line in difflib.ndiff(had, has):
        if line[0] != "?":
            yield line[0], line[2:]


def _granted(tools: Sequence[str], classes: Sequence[str] | None, records: int | None) -> list[str]:
    """An empty list of tools is no limit."""
    lines = [f"tool {tool}" for tool in tools or ("*",)]
    lines += [f"data class {name}" for name in classes or ()]
    if records is not None:
        lines.append(f"at most {records:,} records")
    return lines


def _within_reach(folder: Path, visit: Visit) -> list[Found]:
    """Every proposal about a tenant of the visitor's; folders that hold none are passed over."""
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


def _files(folder: Path) -> list[str]:
    """The rendered policies, by path within the folder."""
    return [path.relative_to(folder).as_posix() for path in rendered(folder, "[!.]*")]


def _text(path: Path) -> str:
    """As much as is shown of it; one character more where that is not all."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(_LONGEST_FILE + 1)
