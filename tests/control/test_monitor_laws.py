"""No sequence of monitor calls, also not at the same time, does more than policy allows."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres import open_postgres
from replaying import replay
from whole_store import first_bad, ledger_entries

from guardian.control.authority.situation import in_canary
from guardian.control.deps import BreakerRule, ControlDeps, ControlSettings
from guardian.control.findings.intake import receive
from guardian.domain.finding import Evidence, NamedBreach
from guardian.domain.identity import SessionKey
from guardian.keys.signing import SigningKeys
from guardian.keys.tokens import Tokens
from guardian.store.control.store import ControlStore
from guardian.telemetry import Metrics
from guardian.wire.principal import Principal

TOTAL, RESERVED, WINDOW = 2, 1, timedelta(minutes=10)
BREAKER = BreakerRule(window=timedelta(hours=1), least=3, factor=1, cooldown=timedelta(minutes=30))
OURS, FOREIGN = ("acme", "initech"), "globex"
SESSIONS = st.integers(0, 4).map("s{}".format)
STRONG = Evidence(one_in=20_000.0, session_evidence=6, independent_signals=2)
ODD = st.builds(
    Evidence,
    one_in=st.sampled_from([1.0, 19_999.0, 1e300]),
    session_evidence=st.sampled_from([-3.0, 0.5, 1e300]),
    independent_signals=st.sampled_from([0, 2, 10**9]),
    score=st.sampled_from([0.0, 1e300]),
)
HARD = (NamedBreach(name="envelope_expired", detail="", hard=True),)
TENANT = st.sampled_from(OURS)
FINDING = st.tuples(
    st.just("finding"),
    st.sampled_from([*OURS, *OURS, FOREIGN]),
    SESSIONS,
    st.fixed_dictionaries(
        {
            "epoch": st.sampled_from([99, 99, 99, 0]),  # 0 is older than any word of people
            "wanted": st.sampled_from(["revoke", "revoke", "revoke", "flag"]),
            "evidence": st.one_of(st.just(STRONG), st.just(STRONG), ODD),
            "breaches": st.sampled_from([(), HARD]),
            "model": st.sampled_from(["m1"] * 40 + ["m2", ""]),
        }
    ),
)
BURST = st.tuples(st.just("burst"), TENANT, st.integers(2, 4), st.sampled_from([(), HARD]))
OTHERS = st.one_of(
    st.tuples(st.just("protect"), TENANT, SESSIONS, st.booleans()),
    st.tuples(st.just("reinstate"), TENANT, SESSIONS, st.none()),
    st.tuples(st.just("mode"), TENANT, st.none(), st.sampled_from(["shadow", "canary"] + ["enforce"] * 3)),
    st.tuples(st.just("reset"), TENANT, st.none(), st.none()),
    st.tuples(st.just("approve"), TENANT, st.none(), st.none()),
    st.tuples(st.just("usurp"), TENANT, SESSIONS, st.none()),
    st.tuples(st.just("repeat"), st.none(), st.none(), st.integers(0, 10)),
    st.tuples(st.just("wait"), st.none(), st.none(), st.sampled_from([1, 11, 11, 31])),
)
CALLS = st.lists(st.one_of(FINDING, FINDING, BURST, OTHERS), min_size=15, max_size=35)


class Truth:
    """What people said, kept by the test: the laws are held against this, not against what control thinks."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self.modes = dict.fromkeys(OURS, "enforce")
        self.protected: set[tuple[str, str]] = set()
        self.opened: dict[str, datetime] = {}
        self.closed: dict[str, datetime] = {}
        self.seen = 0

    def automatic(self, entries: list[Any], tenant: str, since: datetime) -> list[Any]:
        by_machine = [each for each in entries if each.actor == "monitor-1" and each.status == "revoked"]
        return [each for each in by_machine if each.tenant_id == tenant and each.at > since]

    def check(self) -> None:
        """Every new revocation by the monitor, against the laws at the moment at which it was made."""
        with self.stage.deps.store.read() as rows:
            entries = ledger_entries(rows)
        new, self.seen = entries[self.seen :], len(entries)
        now = self.stage.clock()
        for entry in self.automatic(new, FOREIGN, now - timedelta(days=9)):
            raise AssertionError(f"the monitor crossed into another tenant: {entry}")
        for tenant in OURS:
            for entry in self.automatic(new, tenant, now - timedelta(days=9)):
                session = entry.subject_id
                mode = self.modes[tenant]
                assert (tenant, session) not in self.protected, "a protected session was revoked"
                assert mode == "enforce" or (mode == "canary" and in_canary(SessionKey(tenant, session), 50)), mode
            recent = self.automatic(entries, tenant, now - WINDOW)
            assert len(recent) <= TOTAL, "the budget was exceeded"
            soft = [each for each in recent if each.reason_code == "drift"]
            assert len(soft) <= TOTAL - RESERVED, "the reserve was spent without a breach"
            self.cool_down(tenant, now)
            since = max(now - BREAKER.window, self.closed.get(tenant, now - BREAKER.window))
            counted = self.automatic(entries, tenant, since)
            assert len(counted) <= BREAKER.least, "the breaker let one more pass"
            if len(counted) == BREAKER.least:
                self.opened.setdefault(tenant, counted[-1].at)

    def cool_down(self, tenant: str, now: datetime) -> None:
        """A breaker that nobody reset closes by itself, and what tripped it counts no more."""
        until = self.opened.get(tenant, now) + BREAKER.cooldown
        if until <= now:
            self.opened.pop(tenant)
            self.closed[tenant] = until


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=CALLS)
def test_no_sequence_of_monitor_calls_goes_beyond_its_limits(make_stage, a_finding, calls):
    stage = make_stage(
        budget_total=TOTAL, budget_reserved=RESERVED, budget_window=WINDOW, breaker=BREAKER, default_mode="enforce"
    )
    truth, sent = Truth(stage), []
    for step, (verb, tenant, session, more) in enumerate(calls):
        path = f"/v1/sessions/{tenant}/{session}"
        match verb:
            case "finding":
                told = {name: value for name, value in more.items() if name != "model"}
                found = a_finding(session, tenant=tenant, n=step, **told)
                found = found.model_copy(update={"versions": {"model": more["model"]}})
                sent.append(found)
                got = stage.submit(found, "monitor", *OURS)
                assert got.status_code in ((404,) if tenant == FOREIGN else (200, 409)), got.text
            case "burst":  # a flood over sessions that nobody has heard of
                for n in range(session):
                    found = a_finding(f"b{step}-{n}", tenant=tenant, evidence=STRONG, breaches=more)
                    assert stage.submit(found, "monitor", *OURS).status_code == 200
            case "repeat":
                for found in sent[more : more + 1]:
                    stage.submit(found, "monitor", *OURS)
            case "protect":
                body = {"protected": more, "reason": "x"}
                assert stage.call("PUT", f"{path}/protection", "admin", tenant, json=body).status_code == 200
                (truth.protected.add if more else truth.protected.discard)((tenant, session))
            case "reinstate":
                asked = stage.call("POST", f"{path}/reinstate", "responder", tenant, json={"reason": "x"})
                if asked.status_code == 202:
                    stage.decide(asked.json()["approval"]["id"], "approve", "approver", tenant)
            case "mode":
                share = {"canary_percent": 50} if more == "canary" else {}
                asked = stage.call(
                    "PUT", f"/v1/modes/{tenant}", "admin", tenant, json={"mode": more, "reason": "x", **share}
                )
                if asked.status_code == 202:
                    stage.decide(asked.json()["approval"]["id"], "approve", "approver", tenant)
                truth.modes[tenant] = stage.call("GET", f"/v1/modes/{tenant}", "admin", tenant).json()["mode"]
                assert truth.modes[tenant] == more
            case "reset":
                stage.call("POST", f"/v1/breakers/{tenant}/reset", "approver", tenant, json={"reason": "x"})
                truth.opened.pop(tenant, None)
                truth.closed[tenant] = stage.clock()
            case "approve":  # the monitor puts its own wishes through, with whatever approval it can find
                page = stage.call("GET", "/v1/approvals", "admin", tenant).json()["items"]
                for each in page:
                    got = stage.decide(each["id"], "approve", "monitor", tenant)
                    assert got.status_code in (403, 404), got.text
            case "usurp":
                for act in ("revoke", "reinstate"):
                    got = stage.call("POST", f"{path}/{act}", "monitor", tenant, json={"reason": "x"})
                    assert got.status_code == (200 if got.status_code == 200 and act == "revoke" else 403), (
                        got.text
                    )
            case "wait":
                stage.clock.pass_(minutes=more)
        truth.check()
    with stage.deps.store.read() as rows:
        assert first_bad(rows) is None
        assert replay(ledger_entries(rows)) == {
            (entry.tenant_id, "session", entry.subject_id): entry for entry in rows.ledger.live(None)
        }
        assert rows.findings.page({FOREIGN}, limit=1) == []
        assert all(rows.sessions.get(SessionKey(FOREIGN, f"s{n}")) is None for n in range(6))


NOW = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlStore]:
    """A control database of either kind. Tests share it, and have a tenant each."""
    folder, server = tmp_path_factory.mktemp("laws"), None
    url = f"sqlite:///{folder}/control.db"
    if request.param == "postgresql":
        server = open_postgres(folder / "postgres")
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    store = ControlStore.open(url, now=NOW, epoch_file=folder / "epoch")
    yield store
    store.close()
    if server is not None:
        server.cleanup()


@pytest.fixture
def concurrent(database: ControlStore, tmp_path: Path, policies: Any) -> Callable[[ControlSettings], ControlDeps]:
    """Without the HTTP in front: the threads meet in the store."""
    keys = SigningKeys.create(tmp_path / "keys.json")
    tokens = Tokens(keys, "https://guardian.test", "guardian-control", lambda _: False)

    def make(chosen: ControlSettings) -> ControlDeps:
        return ControlDeps(
            store=database, pdp=policies, tokens=tokens, clock=lambda: NOW, metrics=Metrics(), settings=chosen
        )

    return make


MONITOR = Principal("monitor-1", "monitor", frozenset(OURS), "jti", NOW + timedelta(hours=1))


def test_findings_at_the_same_time_spend_the_budget_exactly(concurrent, a_finding):
    deps = concurrent(ControlSettings(default_mode="enforce", budget_total=5, budget_reserved=2))
    with deps.store.write() as rows:
        rows.sessions.protect(SessionKey("acme", "s0-0"), NOW, protected=True)
    started = threading.Barrier(8)

    def work(thread: int) -> list[str]:
        started.wait()
        sent = [a_finding(f"s{thread}-{n}", breaches=HARD if n % 2 == 0 else ()) for n in range(12)]
        return [receive(deps, MONITOR, each).outcome.effect.value for each in sent]

    with ThreadPoolExecutor(8) as pool:
        effects = [effect for effects in pool.map(work, range(8)) for effect in effects]
    assert effects.count("revoke") == 5
    assert effects.count("flag") == 91
    with deps.store.read() as rows:
        entries = [each for each in ledger_entries(rows) if each.tenant_id == "acme"]
        assert first_bad(rows) is None
        assert len(rows.findings.page({"acme"}, limit=500, kind="drift")) == 96
    assert [each.revision.n for each in entries] == [1, 2, 3, 4, 5]
    assert len([each for each in entries if each.reason_code == "drift"]) <= 3
    assert "s0-0" not in {each.subject_id for each in entries}


def test_findings_at_the_same_time_trip_the_breaker_once(concurrent, a_finding):
    rule = BreakerRule(least=3)
    deps = concurrent(ControlSettings(default_mode="enforce", budget_total=50, budget_reserved=2, breaker=rule))

    def work(thread: int) -> list[str]:
        sent = [a_finding(f"s{thread}-{n}", tenant="initech") for n in range(3)]
        return [receive(deps, MONITOR, each).outcome.effect.value for each in sent]

    with ThreadPoolExecutor(8) as pool:
        effects = [effect for effects in pool.map(work, range(8)) for effect in effects]
    assert effects.count("revoke") == 3
    with deps.store.read() as rows:
        assert len(rows.findings.page({"initech"}, limit=500, kind="control")) == 1
