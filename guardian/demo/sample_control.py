"""What control made of the sample's findings: the shipped policies over a real store, on the sample's clock."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Self

from guardian.bootstrap.control_settings import control_settings
from guardian.bootstrap.control_store import open_control_store, open_tokens
from guardian.bootstrap.policies import open_policy
from guardian.bootstrap.secrets import SecretFiles
from guardian.config import Settings
from guardian.control.deps import ControlDeps
from guardian.control.findings.intake import receive
from guardian.control.people.acts import judge
from guardian.domain.finding import Finding
from guardian.telemetry import Metrics
from guardian.wire.base import Mode
from guardian.wire.findings import FindingOutcome, FindingView, Verdict, VerdictRequest
from guardian.wire.principal import EVERY_TENANT, Principal, Role
from guardian.wire.sessions import ModeView

_TOLD = timedelta(seconds=1)
_PAGE = 200


class SampleControl:
    """Takes findings as the API does, and people's verdicts on them. `modes` by tenant; others are in shadow."""

    def __init__(self, settings: Settings, begin: datetime, modes: Mapping[str, Mode]) -> None:
        SecretFiles.of(settings).create()
        self._now = begin
        self._store = open_control_store(settings, makes=True)
        self._deps = ControlDeps(
            store=self._store,
            pdp=open_policy(settings),
            tokens=open_tokens(settings, self._store),
            clock=lambda: self._now,
            metrics=Metrics(),
            settings=control_settings(settings),
        )
        with self._store.write() as rows:
            for tenant, mode in modes.items():
                rows.modes.put(ModeView(tenant_id=tenant, mode=mode, set_by="ines", reason="sample", at=begin))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def receive(self, finding: Finding) -> FindingOutcome:
        """A moment after the monitor found it. The same finding again gets the same answer."""
        self._now = finding.time + _TOLD
        return receive(self._deps, self._person("monitor", "monitor"), finding).outcome

    def judge(self, finding_id: str, verdict: Verdict, *, reason: str, by: str, at: datetime) -> FindingView:
        """A person's word on a finding."""
        self._now = at
        asked = VerdictRequest(verdict=verdict, reason=reason)
        return judge(self._deps, self._person(by, "responder"), finding_id, asked)

    def views(self) -> list[FindingView]:
        """Every finding as it stands, the oldest first."""
        found = []
        with self._store.read() as rows:
            position = 0
            while page := rows.findings.after(position, _PAGE):
                found += [view for _, view in page if view is not None]
                position = page[-1][0]
        return found

    def _person(self, name: str, role: Role) -> Principal:
        expires = self._now + timedelta(days=1)
        return Principal(name, role, frozenset({EVERY_TENANT}), jti=f"sample-{name}", expires_at=expires)
