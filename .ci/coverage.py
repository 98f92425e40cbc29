"""Coverage bars: 90 % over all, 100 % with branches where decisions are made."""

import json
import sys
from pathlib import Path
from typing import Any

OVERALL = 90.0
FULL = ("guardian/domain/", "guardian/scoring/", "guardian/response/", "guardian/policy/")


def missing(entry: dict[str, Any]) -> list[Any]:
    """Lines of a file that no test ran and ways that none took, but for those into what is not measured."""
    measured = {0, *entry["executed_lines"], *entry["missing_lines"]}  # 0: out of the function
    return [*entry["missing_lines"], *(way for way in entry["missing_branches"] if way[1] in measured)]


report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
files = {str(file) for file in Path("guardian").rglob("*.py") if "migrations" not in file.parts}
if unmeasured := files - {*report["files"]}:
    sys.exit(f"not measured: {sorted(unmeasured)}")
total = report["summary"]["percent_covered"]
gaps = {
    name: gap
    for name, entry in sorted(report["files"].items())
    if name.startswith(FULL) and (gap := missing(entry))
}
print(f"coverage {total:.1f} % (at least {OVERALL:.0f} %)")
for name, gap in gaps.items():
    print(f"  must be 100 %: {name}, missing {gap}")
sys.exit(bool(gaps) or total < OVERALL)
