"""The drift model changed: from now on, for a while, its statistics are believed less.

The monitor names the model, in its findings. All it can do with that is restrict itself, for the tenants it speaks
for: policy reads how long ago a version was new, and an invented one is as new as a true one.
"""

import hashlib
from datetime import datetime

from guardian.control.deps import ControlDeps
from guardian.control.telling.news import tell
from guardian.domain.finding import OPERATORS, Finding
from guardian.store.control.models import FURTHER
from guardian.store.control.rows import ControlRows

_LONGEST = 128


def note_model(deps: ControlDeps, rows: ControlRows, finding: Finding, by: str, now: datetime) -> None:
    """Remember the model version that made this finding; a new one is audited and told to people once."""
    told = finding.versions.get("model", "")
    if not told:
        return
    version = _plain(told)
    before = rows.models.note(finding.tenant_id, version, now)
    if before is None:
        return
    change = {"old": before, "new": version, "finding_id": finding.id}
    rows.audit.note("modelChange", at=now, actor=by, tenant_id=finding.tenant_id, **change, result="noted")
    if before == FURTHER:  # a flood: people heard of a thousand, and each further one is in the audit trail
        return
    tell(
        deps,
        rows,
        topic="model_change",
        tenant_id=OPERATORS,
        title="The drift model changed",
        detail=f"findings name the model {version}, before that {before}; until it has settled policy trusts "
        "it less",
        severity="low",
        once=version,
        now=now,
        facts={"model": version, "model_before": before},
    )


def _plain(version: str) -> str:
    """A name that can be stored and shown; anything odd is known by its hash."""
    if len(version) <= _LONGEST and version.isascii() and version.isprintable():
        return version
    return f"sha256:{hashlib.sha256(version.encode()).hexdigest()}"
