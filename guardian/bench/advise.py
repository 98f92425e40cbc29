"""`guardian bench advise`: how long a gateway waits for advice, cold and warm, over HTTP, with the shipped model.

Cold: a purpose and arguments never seen before. Warm: a call of a kind that recurs. Baseline: `/v1/check` on the
same server in the same run, which asks neither model nor policy about the call.
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from guardian.bench.report import Row
from guardian.bench.serving import serving, settled
from guardian.bootstrap.advice import local_adviser
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.commands import tokens
from guardian.demo.outcome import percentile

_TENANT = "bench"
_WORDS = ("renewal", "invoice", "incident", "travel", "payroll", "audit", "onboarding", "tender", "claim", "stock")


def run(*, calls: int, progress: Callable[[int, int], None]) -> list[Row]:
    """That many calls of each kind, one after the other, on one connection."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guardian-bench-")))
        settings = settled(folder, control={"default_mode": "enforce"}, advice={"budget_ms": 5000})
        adviser = local_adviser(settings)
        adviser.reads(stack.enter_context(closing(open_monitor_store(settings, makes=True))))
        control = stack.enter_context(serving(settings, adviser=adviser))
        day = timedelta(days=1)
        token = tokens.issue(settings, "gateway", role="gateway", tenants={_TENANT}, ttl=day).text
        headers = {"Authorization": f"Bearer {token}"}
        client = stack.enter_context(httpx.Client(base_url=control.url, headers=headers, timeout=30))
        for n in range(5):  # the first calls load what is loaded once
            _ask(client, _proposal(-1 - n))
        cold = []
        for n in range(calls):
            cold.append(_ask(client, _proposal(n)))
            progress(n, 3 * calls)
        warm = []
        for n in range(calls):
            warm.append(_ask(client, _proposal(n % 10)))
            progress(calls + n, 3 * calls)
        plain = []
        for n in range(calls):
            began = time.perf_counter()
            client.get("/v1/check", headers={"X-Guardian-Session": f"sess_{n}"}).raise_for_status()
            plain.append(1000 * (time.perf_counter() - began))
            progress(2 * calls + n, 3 * calls)
    return [
        Row(f"advice, {name}, p{q}", "ms", percentile(waits, q), len(waits), baseline=percentile(plain, q))
        for name, waits in (("cold", cold), ("warm", warm))
        for q in (50, 99)
    ]


def _ask(client: httpx.Client, proposal: dict[str, Any]) -> float:
    began = time.perf_counter()
    got = client.post("/v1/advise", json=proposal)
    took = 1000 * (time.perf_counter() - began)
    got.raise_for_status()
    if got.json()["context"]["fallback"]:
        raise RuntimeError(f"the adviser fell back: {got.json()['context']['reason']}")
    return took


def _proposal(n: int) -> dict[str, Any]:
    word, other = _WORDS[n % 10], _WORDS[(n // 10) % 10]
    return {
        "subject": {"type": "session", "id": f"sess_{n}"},
        "action": {
            "name": f"{word}s.read",
            "properties": {"arguments": {"id": f"{word}_{n}", "fields": f"{other} summary"}, "records": 1},
        },
        "resource": {"type": word, "id": f"{word}_{n}"},
        "context": {
            "envelope": {
                "delegator_id": "user_1",
                "tenant_id": _TENANT,
                "session_id": f"sess_{n}",
                "task_id": f"task_{n}",
                "purpose": f"review the {word} number {n} against its {other}",
                "allowed_tools": [f"{word}s.read"],
                "resource_constraints": {"max_records": 25},
                "expires_at": (utc_now() + timedelta(hours=1)).isoformat(),
                "agent_id": "agent_1",
            }
        },
    }
