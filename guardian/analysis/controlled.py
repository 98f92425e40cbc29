"""What control knows and the archive does not: what policy made of findings, and why people judged them so."""

import warnings
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from guardian.disk import make_folder, write_atomically
from guardian.domain.closed import Closed
from guardian.errors import ConfigurationError
from guardian.wire.base import listed
from guardian.wire.client import ControlClient
from guardian.wire.findings import FindingView
from guardian.wire.principal import EVERY_TENANT

FINDINGS = "findings.jsonl"
MOST = 20_000
"""So many findings of a tenant are asked for, the newest; of all together, where all are wanted."""
_PAGE = 200


class _Cut(Closed):
    """The last line of an export that is not whole."""

    cut_at: AwareDatetime


_LINE: TypeAdapter[FindingView | _Cut] = TypeAdapter(FindingView | _Cut)


@dataclass(frozen=True, slots=True)
class ControlView:
    """Findings as control held them when it was asked, the oldest first; false if it had none.

    `cut_at`: it had more than were asked for, and some from before that time are missing. None: these are all.
    """

    views: tuple[FindingView, ...] = ()
    cut_at: datetime | None = None

    @classmethod
    def of(
        cls, views: Iterable[FindingView], tenant: str | Collection[str], *, cut_at: datetime | None = None
    ) -> "ControlView":
        """Those of these tenants; "*" is all. Warns where some are missing."""
        wanted = _wanted(tenant)
        mine = [v for v in views if EVERY_TENANT in wanted or v.finding.tenant_id in wanted]
        if cut_at is not None:
            warnings.warn(
                f"control has more findings than the {MOST:,} newest that were asked for: of those before"
                f" {cut_at:%Y-%m-%d %H:%M} UTC some are missing here, with policy's answers and people's verdicts",
                stacklevel=3,
            )
        return cls(tuple(sorted(mine, key=lambda view: (view.finding.time, view.finding.id))), cut_at)

    def __bool__(self) -> bool:
        return bool(self.views)

    def save(self, folder: Path) -> Path:
        """Write them down, for `open_control(folder)` where control cannot be asked; returns the file, which its
        owner alone can read. Raises OSError, and then leaves an older one in place."""
        make_folder(folder, mode=0o700)
        path = folder / FINDINGS
        with write_atomically(path, mode=0o600) as file:
            file.writelines(f"{view.model_dump_json()}\n".encode() for view in self.views)
            if self.cut_at is not None:
                file.write(f"{_Cut(cut_at=self.cut_at).model_dump_json()}\n".encode())
        return path


def open_control(
    place: str | Path,
    *,
    tenant: str | Collection[str],
    token: str | None = None,
    certificate: tuple[Path, Path] | None = None,
) -> ControlView:
    """`place` is the control API's address, with an analyst's token, or a folder that `save` wrote.
    `certificate` are the files of a client certificate and its key, where one has to be shown.

    Control answers with what the token may see; of that, these tenants' findings are kept, of each tenant the
    `MOST` newest. Warns where there are more. Raises ConfigurationError if `place` is neither, ControlError if
    control refuses or cannot be reached.
    """
    if isinstance(place, str) and place.startswith(("https://", "http://")):
        if token is None:
            raise ConfigurationError(f"{place}: control needs a token: `guardian token issue NAME --role analyst`")
        with ControlClient(place, lambda: token, certificate=certificate) as client:
            views, cut_at = _asked(client, tenant)
        return ControlView.of(views, tenant, cut_at=cut_at)
    path = Path(place) / FINDINGS
    try:
        lines = path.read_bytes().splitlines()  # agents' text may hold other ends of lines
    except OSError as error:
        raise ConfigurationError(f"{path}: no export of control here ({error.strerror})") from error
    kept: list[FindingView | _Cut] = []
    for number, line in enumerate(lines, 1):
        try:
            kept.append(_LINE.validate_json(line))
        except ValidationError as error:
            raise ConfigurationError(f"{path}: line {number} is no finding of control") from error
    cuts = [each.cut_at for each in kept if isinstance(each, _Cut)]
    views = [each for each in kept if isinstance(each, FindingView)]
    return ControlView.of(views, tenant, cut_at=max(cuts, default=None))


def _wanted(tenant: str | Collection[str]) -> set[str]:
    return {tenant} if isinstance(tenant, str) else set(tenant)


def _asked(client: ControlClient, tenant: str | Collection[str]) -> tuple[list[FindingView], datetime | None]:
    """The newest `MOST` findings of each tenant, whatever the others have; and where these are not all, from when
    on they are."""
    wanted, found, cuts = _wanted(tenant), list[FindingView](), list[datetime]()
    for one in [None] if EVERY_TENANT in wanted else sorted(wanted):
        newest = _newest(client, one)
        if newest[MOST:]:  # by arrival, which may be late: what is missing was made before the newest of it came
            cuts.append(max(newest[MOST].finding.time, newest[MOST].outcome.at))
        found += newest[:MOST]
    return found, max(cuts, default=None)


def _newest(client: ControlClient, tenant: str | None) -> list[FindingView]:
    """One more than `MOST` where there are more."""
    every = listed(lambda cursor: client.findings(tenant_id=tenant, limit=_PAGE, cursor=cursor))
    shown = islice(every, MOST + 1)
    return [FindingView(finding=each.finding, outcome=each.outcome, verdict=each.verdict) for each in shown]
