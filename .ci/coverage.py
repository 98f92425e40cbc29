"""Coverage bars: 90 % over all, 100 % with branches where decisions are made."""

import json
import sys
from pathlib import Path

OVERALL = 90.0
FULL = ("guardian/domain/", "guardian/scoring/", "guardian/response/", "guardian/policy/")

report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
total = report["summary"]["percent_covered"]
gaps = [
    f"{name}: {entry['summary']['percent_covered']:.1f} %, "
    f"missing {entry['missing_lines'] or entry['missing_branches']}"
    for name, entry in sorted(report["files"].items())
    if name.startswith(FULL) and entry["summary"]["percent_covered"] < 100.0
]
print(f"coverage {total:.1f} % (at least {OVERALL:.0f} %)")
for gap in gaps:
    print(f"  must be 100 %: {gap}")
sys.exit(bool(gaps) or total < OVERALL)
