"""What analysts start from: an archive as pandas frames with UTC times, explanations, and plots.

    from guardian.analysis import explain, open_archive
    archive = open_archive("guardian-home/data/archive", tenant="tenant_acme")
    archive.sessions().head()            # events(), words(); arrow() for polars and DuckDB
    explain(archive, "sess_42")

Every frame has the columns that `schema` lists, always all of them and in that order:

| frame | one row is | from |
|---|---|---|
| `schema.EVENTS` | a decision of a gateway with guardian's verdict | `archive.events()` |
| `schema.SESSIONS` | a session | `archive.sessions()` |
| `schema.FINDINGS` | a finding; where control was asked, with its answer | `findings(archive, control)` |
| `schema.FEEDBACK` | what somebody said of a finding or a session | `feedback(archive, control)` |
| `schema.PROPOSALS` | a narrowing of what agents may do | `proposing.restrictions(proposal)` |

A handle sees the tenants it was opened for and no other; several, or all (`tenant="*"`), must be asked for. That
keeps analyses apart; who may read the files at all is the file system's business.

What agents wrote is hostile: in frames, hidden characters are shown by their code points (`‹U+202E›`), and
pandas' HTML does not typeset `$…$`. For a spreadsheet write a frame with `to_csv(frame, path)`: what pandas
writes may be a formula there. `arrow()` has the values untouched. Needs the `notebooks` extra.
"""

try:
    import matplotlib  # noqa: F401
    import pandas as pd
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"guardian.analysis needs {error.name}, which is not installed: pip install 'intent-guardian[notebooks]'",
        name=error.name,
    ) from None

from guardian.analysis.archived import ArchiveView
from guardian.analysis.controlled import ControlView, open_control
from guardian.analysis.explaining import Explanation, explain
from guardian.analysis.judged import feedback, findings
from guardian.analysis.neutral import to_csv
from guardian.analysis.opening import open_archive, open_sources

__all__ = [
    "ArchiveView",
    "ControlView",
    "Explanation",
    "explain",
    "feedback",
    "findings",
    "open_archive",
    "open_control",
    "open_sources",
    "to_csv",
]

pd.set_option("display.html.use_mathjax", False)  # an agent's $…$ is no formula
