"""`guardian bench policy`: what one answer of the shipped policies costs in process, and what a reload costs.

Baseline: the same questions to the same policies, read and validated from their text each time.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from guardian.bench.report import Row, in_ms, resident_mb
from guardian.bootstrap.policies import policy_folder
from guardian.config import load
from guardian.policy.cedar import CedarPolicies
from guardian.policy.port import (
    Asker,
    BudgetFacts,
    EvidenceFacts,
    HarmFacts,
    PolicyDecision,
    PolicyRequest,
    SessionFacts,
)
from guardian.policy.reload import ReloadablePolicies

_RELOADS = 10
_FROM_TEXT_SHARE = 20  # one question in so many is asked from text as well: it is that much slower


def run(*, requests: int, seed: int, progress: Callable[[int, int], None]) -> list[Row]:
    """`requests` wishes of the monitor, of every kind that control asks about, in a seeded mixture."""
    folder = policy_folder(load(None, apart=True))
    asked = mixture(requests, seed)
    sample = asked[:: min(_FROM_TEXT_SHARE, len(asked))]
    total = len(asked) + len(sample) + _RELOADS
    reloads, point = [], ReloadablePolicies(folder)
    for done in range(_RELOADS):
        began = time.perf_counter()
        outcome = point.reload()
        reloads.append(time.perf_counter() - began)
        progress(done + 1, total)
    prepared, permitted = _timed(point.decide, asked, lambda done: progress(_RELOADS + done, total))
    text, schema = point.policies.policies, point.policies.schema
    from_text, _ = _timed(
        lambda each: CedarPolicies(text, schema).decide(each),
        sample,
        lambda done: progress(_RELOADS + len(asked) + done, total),
    )
    n = len(asked)
    return [
        Row("decisions", "decisions/s", n / sum(prepared), n, baseline=len(sample) / sum(from_text)),
        Row("one decision, p50", "ms", in_ms(prepared, 50), n, baseline=in_ms(from_text, 50)),
        Row("one decision, p99", "ms", in_ms(prepared, 99), n, baseline=in_ms(from_text, 99)),
        Row("permitted", "share", permitted / n, n),
        Row(f"validation and reload, {outcome.cases} cases, p50", "ms", in_ms(reloads, 50), _RELOADS),
        Row("resident memory, peak", "MB", resident_mb(), 1),
    ]


def mixture(count: int, seed: int) -> list[PolicyRequest]:
    """Wishes to flag and to revoke in modes, budgets and evidence as they come."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        tenant = f"tenant_{chance.randrange(50)}"
        strong = chance.random() < 0.5
        request = PolicyRequest(
            asker=Asker("monitor", "monitor", frozenset({tenant})),
            action=chance.choice(("flag", "revoke")),
            tenant_id=tenant,
            session=SessionFacts(
                f"sess_{number}",
                protected=chance.random() < 0.05,
                registered=True,
                delegator_id=f"user_{chance.randrange(500)}",
                purpose="review_customer_contract_for_renewal_risk",
                data_classes=frozenset({"renewal_terms"} if chance.random() < 0.9 else {"restricted"}),
            ),
            mode=chance.choice(("shadow", "canary", "enforce", "enforce")),
            in_canary=chance.random() < 0.1,
            evidence=EvidenceFacts(
                one_in=90_000 if strong else 1_500,
                session_evidence_milli=4_900 if strong else 2_100,
                score_permille=chance.randrange(1000),
                independent_signals=chance.randrange(1, 4),
            ),
            budget=BudgetFacts(total=20, reserved=5, used=chance.randrange(21)),
            harm=HarmFacts(registered_sessions=chance.randrange(400), revoked_permille=chance.randrange(50)),
            hour=chance.randrange(24),
            weekday=chance.randrange(7),
        )
        if chance.random() < 0.1:
            breach = replace(request.evidence, hard_breach=True, breaches=frozenset({"envelope_expired"}))
            request = replace(request, evidence=breach)
        made.append(request)
    return made


def _timed(
    decide: Callable[[PolicyRequest], PolicyDecision], asked: Sequence[PolicyRequest], done: Callable[[int], None]
) -> tuple[list[float], int]:
    """Seconds of each answer, and how many were permits."""
    took, permitted = [], 0
    for number, request in enumerate(asked, start=1):
        began = time.perf_counter()
        decision = decide(request)
        took.append(time.perf_counter() - began)
        permitted += decision.allowed
        if number % 100 == 0:
            done(number)
    return took, permitted
