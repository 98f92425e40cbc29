"""What control knows and the archive does not: what policy made of findings, and why people judged them so."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from guardian.disk import make_folder, write_atomically
from guardian.errors import ConfigurationError
from guardian.wire.base import listed
from guardian.wire.client import ControlClient
from guardian.wire.findings import FindingView
from guardian.wire.principal import EVERY_TENANT

FINDINGS = "findings.jsonl"
MOST = 20_000
_PAGE = 200


@dataclass(frozen=True, slots=True)
class ControlView:
    """Findings as control held them when it was asked, the oldest first; false if it had none."""

    views: tuple[FindingView, ...] = ()

    @classmethod
    def of(cls, views: Iterable[FindingView], tenant: str | Collection[str]) -> "ControlView":
        """Those of these tenants; "*" is all."""
        wanted = {tenant} if isinstance(tenant, str) else set(tenant)
        mine = [v for v in views if EVERY_TENANT in wanted or v.finding.tenant_id in wanted]
        return cls(tuple(sorted(mine, key=lambda view: (view.finding.time, view.finding.id))))

    def __bool__(self) -> bool:
        return bool(self.views)

    def save(self, folder: Path) -> Path:
        """Write them down, for `open_control(folder)` where control cannot be asked; returns the file, which its
        owner alone can read. Raises OSError, and then leaves an older one in place."""
        make_folder(folder, mode=0o700)
        path = folder / FINDINGS
        with write_atomically(path, mode=0o600) as file:
            file.writelines(f"{view.model_dump_json()}\n".encode() for view in self.views)
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

    Control answers with what the token may see; of that, these tenants' findings are kept. Raises
    ConfigurationError if `place` is neither, ControlError if control refuses or cannot be reached.
    """
    if isinstance(place, str) and place.startswith(("https://", "http://")):
        if token is None:
            raise ConfigurationError(f"{place}: control needs a token: `guardian token issue NAME --role analyst`")
        with ControlClient(place, lambda: token, certificate=certificate) as client:
            return ControlView.of(_asked(client, tenant), tenant)
    path = Path(place) / FINDINGS
    try:
        lines = path.read_bytes().splitlines()  # agents' text may hold other ends of lines
    except OSError as error:
        raise ConfigurationError(f"{path}: no export of control here ({error.strerror})") from error
    views = []
    for number, line in enumerate(lines, 1):
        try:
            views.append(FindingView.model_validate_json(line))
        except ValidationError as error:
            raise ConfigurationError(f"{path}: line {number} is no finding of control") from error
    return ControlView.of(views, tenant)


def _asked(client: ControlClient, tenant: str | Collection[str]) -> list[FindingView]:
    """The newest `MOST` findings."""
    one = tenant if isinstance(tenant, str) and tenant != EVERY_TENANT else None
    every = listed(lambda cursor: client.findings(tenant_id=one, limit=_PAGE, cursor=cursor))
    return list(islice(every, MOST))
