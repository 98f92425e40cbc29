"""`guardian bench console`: what a page of a long session costs in a large archive, from a real control API.

Baseline: the JSON API's answer about the same session, which knows its findings and nothing of its actions; for
the archive alone, reading the session's days as other readers do, without looking at what a row group holds.
"""

import json
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pyarrow.compute as pc

from guardian.archive.reader import Archive, Window
from guardian.archive.rows import pack
from guardian.archive.schema import EVENTS
from guardian.archive.timelines import ArchivedTimelines
from guardian.archive.writer import write_events
from guardian.bench.report import Row, resident_mb
from guardian.bench.serving import serving, settled
from guardian.bootstrap.clock import utc_now
from guardian.commands import tokens
from guardian.config import Settings
from guardian.demo.outcome import percentile
from guardian.domain.finding import Act, Effect, Evidence, Finding, Kind, Reason, Subject, finding_id
from guardian.wire.evidence import EvidenceClient

_TENANT, _SESSION, _PURPOSE = "bench", "sess_long", "review the customer's contract for renewal risk"
_ANSWER = f"/v1/sessions/{_TENANT}/{_SESSION}"
_FINDINGS, _AT_ONCE, _SHORT = 40, 20_000, 40
_COLUMNS = ("session_id", "at", "tool", "arguments", "one_in", "signals", "wanted", "finding_id")
_DAY = timedelta(days=1)
_EMPTY: dict[str, Any] = dict.fromkeys(EVENTS.names)
Progress = Callable[[int, int], None]


def run(*, actions: int, rows: int, times: int, progress: Progress) -> list[Row]:
    """A session of so many `actions` in an archive of so many `rows`, asked for so many `times`."""
    with tempfile.TemporaryDirectory(prefix="guardian-bench-") as folder:
        root, now = Path(folder), utc_now()
        _fill(root / "archive", actions, rows, now, progress)
        settings = settled(root, archive={"path": "archive"}, console={"enabled": True})
        with serving(settings) as control:
            url = control.url
            _tell(settings, url, now)
            browser = _sign_in(settings, url)
            api = httpx.Client(base_url=url, headers={"authorization": f"Bearer {_token(settings, 'analyst')}"})
            page = f"/console/session?tenant={_TENANT}&id={_SESSION}"
            asked = {
                "first page of its actions": (browser, f"{page}&at=1"),
                "page of its latest finding": (browser, page),
                "overview": (browser, "/console"),
            }
            answers = _times(api, _ANSWER, times)
            found: list[Row] = []
            for name, (client, path) in asked.items():
                took = _times(client, path, times)
                found += [
                    Row(f"{name}, {title}", "ms", percentile(took, q), len(took), baseline=percentile(answers, q))
                    for title, q in (("p50", 50), ("p99", 99))
                ]
            size = len(browser.get(page).content) / 1024
            found.append(Row("size of the page", "kB", size, 1, baseline=len(api.get(_ANSWER).content) / 1024))
        found.append(_archive_alone(root / "archive", now, times))
    return [*found, Row("resident memory, peak", "MB", resident_mb(), 1)]


def _fill(root: Path, actions: int, rows: int, now: datetime, progress: Progress) -> None:
    """The long session's actions among other sessions' of the same tenant, over three days."""
    number, written = count(), 0
    for back in (2, 1, 0):
        begin = now - back * _DAY - timedelta(hours=1)
        mine = actions if back == 0 else 0
        for _ in range(0, max(1, rows // 3), _AT_ONCE):
            part = [_row(next(number), f"sess_{next(number) // _SHORT}", begin) for _ in range(_AT_ONCE // 2)]
            mixed = [_row(next(number), _SESSION, begin) for _ in range(min(mine, _AT_ONCE // 2))]
            mine -= len(mixed)
            part += mixed or [
                _row(next(number), f"s_{next(number) // _SHORT}", begin) for _ in range(_AT_ONCE // 2)
            ]
            written += write_events(root, f"bench-{written:09}", [pack(part, EVENTS)])
            progress(written, rows)


def _row(n: int, session: str, begin: datetime) -> dict[str, Any]:
    at = begin + timedelta(milliseconds=n % 3_000_000)
    finding = finding_id(Kind.DRIFT, _TENANT, _SESSION, 0, _FINDINGS - 1)
    told = (
        {"wanted": "flag", "finding_id": finding} if session == _SESSION and n % 997 == 0 else {"wanted": "none"}
    )
    return (
        _EMPTY
        | {"tenant_id": _TENANT, "gateway": "gw", "decision_id": f"dec_{n}", "digest": f"{n:064x}", "at": at}
        | {
            "event_time": at,
            "origin": "live",
            "session_id": session,
            "delegator_id": "user_1",
            "agent_id": "agent_1",
        }
        | {"purpose": _PURPOSE, "purpose_family": _PURPOSE, "allowed_tools": ["contracts.read", "crm.read"]}
        | {"constraints": '{"max_records":25}', "tool": "contracts.read", "effect": "allow", "records": n % 30}
        | {"arguments": json.dumps({"contract_id": f"contract_{n}", "fields": ["terms", "price"], "page": n % 9})}
        | {"resource_type": "contract", "data_classes": ["renewal_terms"], "score": 0.2, "one_in": 1 + n % 4000}
        | {"promised": True, "signals": [("purpose_fit", 0.2), ("purpose_baseline", 0.4)], "breaches": []}
        | {"features_missing": []}
        | told
    )


def _tell(settings: Settings, url: str, now: datetime) -> None:
    """What the monitor would have: one finding after another on the long session."""
    token = _token(settings, "monitor")
    monitor = EvidenceClient(url, lambda: token)
    for n in range(_FINDINGS):
        act = Act(decision_id=f"dec_{n}", gateway="gw", tool="email.send", arguments='{"to": "x"}', time=now)
        monitor.submit(
            Finding(
                id=finding_id(Kind.DRIFT, _TENANT, _SESSION, 0, n),
                kind=Kind.DRIFT,
                tenant_id=_TENANT,
                session_id=_SESSION,
                transition=n,
                wanted=Effect.FLAG,
                severity="high",
                title="Actions no longer fit the declared purpose",
                subject=Subject(delegator_id="user_1", agent_id="agent_1", purpose=_PURPOSE),
                act=act,
                reasons=(Reason(signal="purpose_fit", share=1, value=0.9, text="no part of a review"),),
                evidence=Evidence(score=0.9, one_in=2000 + n, independent_signals=2, actions_seen=100 * n),
                time=now,
            )
        )


def _token(settings: Settings, role: Any) -> str:
    return tokens.issue(settings, f"bench-{role}", role=role, tenants={_TENANT}, ttl=_DAY).text


def _sign_in(settings: Settings, url: str) -> httpx.Client:
    """A browser without a window."""
    token = _token(settings, "analyst")
    code = EvidenceClient(url, lambda: token).sign_in_link().url.partition("code=")[2]
    browser = httpx.Client(base_url=url, headers={"origin": url}, timeout=60)
    answer = browser.post("/console/link", data={"code": code})
    if answer.status_code != httpx.codes.SEE_OTHER:
        raise RuntimeError(f"could not sign in: {answer.status_code}")
    return browser


def _times(client: httpx.Client, path: str, times: int) -> list[float]:
    """Milliseconds of each request, after one that does not count."""
    took = []
    for _ in range(times + 1):
        began = time.perf_counter()
        client.get(path).raise_for_status()
        took.append(1000 * (time.perf_counter() - began))
    return took[1:]


def _archive_alone(root: Path, now: datetime, times: int) -> Row:
    """Finding the session's rows, beside reading the same days whole."""
    day: date = now.date()
    timelines, took = ArchivedTimelines(root), []
    for _ in range(times):
        began = time.perf_counter()
        timelines.of(_TENANT, _SESSION, since=day - _DAY, until=day)
        took.append(1000 * (time.perf_counter() - began))
    began = time.perf_counter()
    window = Window(_TENANT, datetime.combine(day - _DAY, datetime.min.time(), now.tzinfo))
    found = 0
    for batch in Archive(root).batches(_COLUMNS, window):
        found += batch.filter(pc.equal(batch.column("session_id"), _SESSION)).num_rows
    whole = 1000 * (time.perf_counter() - began)
    return Row(
        f"its {found:,} rows out of the archive, p50", "ms", percentile(took, 50), len(took), baseline=whole
    )
