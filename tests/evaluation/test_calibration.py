"""A yardstick is fitted from honest sessions only, through the fold that will use it."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from guardian.bootstrap.plugins import make
from guardian.domain.batch import Memory
from guardian.embedding import FitRequest
from guardian.embedding.lexical import Lexical
from guardian.evaluation.calibration import FLAT, OutOfFold, fit_calibration, session_line
from guardian.evaluation.honest import LEAST_SESSIONS, HonestSession, bounded
from guardian.evaluation.sessions import session_of
from guardian.pipeline.judging import Judge
from guardian.pipeline.scoring_run import SessionScorer
from guardian.response.ladder import Ladder
from guardian.scoring.calibration import Calibration
from guardian.scoring.fusion import Fusion
from guardian.scoring.scorer import Scorer
from guardian.signals.credentials.scanner import CredentialScanner

NOUNS = ["contract", "invoice", "ticket", "report", "flight", "order", "lease", "survey", "patent", "recipe"]
VERBS = ["read", "list", "send", "check", "write"]
FIT = Lexical().purpose_fit()
SIGNALS = [make("signals", name, {}) for name in ("purpose_fit", "denial_pressure", "delegation_widening")]


def judge_with(calibration: Calibration, signals: Sequence[Any] = SIGNALS) -> Judge:
    scorer = Scorer(Fusion({signal.name: signal.weight for signal in signals}), calibration)
    return Judge(fit=FIT, signals=signals, scorer=scorer, ladder=Ladder(), fingerprint=lambda value: value[:16])


def labelled(number: int, label: str = "benign", *, purpose: str | None = None) -> Any:
    noun, verb = NOUNS[number % 10], VERBS[number // 10 % 5]
    calls = [
        {"tool": f"{noun}s.{verb}", "args": {noun: f"{noun} {number}"}, "label": label},
        {"tool": f"{noun}s.read", "args": {}, "label": "benign"},
    ]
    wanted = purpose or f"{verb} the {noun} of customer {number}"
    return session_of({"dataset": "d", "session_id": f"s{number}", "purpose": wanted, "actions": calls})


@pytest.fixture(scope="module")
def honest() -> Callable[..., list[HonestSession]]:
    """n sessions as decisions, each with a purpose of its own unless one is given."""
    scorer = SessionScorer(judge_with(FLAT), CredentialScanner())

    def build(count: int, *, purpose: str | None = None, start: int = 0) -> list[HonestSession]:
        made = [labelled(n, purpose=purpose) for n in range(start, start + count)]
        return [
            HonestSession(s.purpose, tuple(scorer.session(session_line(s, n + start))))
            for n, s in enumerate(made, 1)
        ]

    return build


def fitted(sessions: list[HonestSession], **options: Any) -> Calibration:
    return fit_calibration(sessions, judge_with=judge_with, source="made", fold="made/1", **options)


def test_every_session_teaches_either_the_p_values_or_the_promise(honest) -> None:
    calibration = fitted(honest(60))
    assert calibration.source == "made"
    assert len(calibration.evidence.values) == len(calibration.acts.values)
    assert len(calibration.actions.values) / 2 + len(calibration.evidence.values) == 60  # two actions a session
    assert min(len(calibration.actions.values) / 2, len(calibration.evidence.values)) > 15


def test_the_same_sessions_give_the_same_yardstick_and_another_seed_another_split(honest) -> None:
    sessions = honest(60)
    assert fitted(sessions) == fitted(sessions)
    assert fitted(sessions, seed=1) != fitted(sessions)


def test_a_yardstick_survives_its_file(honest) -> None:
    calibration = fitted(honest(60))
    read = Calibration.from_json(calibration.to_json())
    assert read.to_json() == calibration.to_json()


def test_a_yardstick_tells_how_many_calls_its_longest_session_has(honest) -> None:
    assert fitted(honest(60)).longest == 2


def test_an_honest_session_is_no_rarity_by_its_own_yardstick(honest) -> None:
    judge = judge_with(fitted(honest(120)))
    reached = []
    for session in honest(60, start=120):
        verdicts = judge.judge(session.decisions, [], Memory()).scored
        reached.append(verdicts[-1].drift.one_in)
    assert sum(one_in >= 20 for one_in in reached) <= len(reached) / 10


def test_the_second_half_is_replayed_through_what_the_first_one_fitted(honest) -> None:
    asked: list[Calibration] = []

    def noting(calibration: Calibration) -> Judge:
        asked.append(calibration)
        return judge_with(calibration)

    final = fit_calibration(honest(60), judge_with=noting, source="made", fold="made/1")
    assert asked[0] == FLAT
    assert asked[1].actions == final.actions
    assert asked[1].evidence != final.evidence


def test_repetition_of_one_purpose_is_not_evidence(honest) -> None:
    several = honest(45)
    repeated = honest(200, purpose="read the contract", start=200)
    for most in (20, 3):
        kept = _bounded([*several, *repeated], max_per_purpose=most)
        assert Counter(s.purpose for s in kept)["read the contract"] == most
        assert fitted([*several, *repeated], max_per_purpose=most) == fitted(kept)


@pytest.mark.parametrize("seed", [0, 1])
def test_seats_are_drawn_from_the_whole_log_in_whatever_order_its_files_are_named(honest, seed: int) -> None:
    log = [s for n in range(5) for s in honest(200, purpose=f"{VERBS[n]} the plan", start=200 * n)]
    kept = _bounded(log, seed=seed)
    turned = _bounded([*log[700:], *log[:700]], seed=seed)
    assert {s.key for s in kept} == {s.key for s in turned}
    assert fitted(kept) == fitted(turned), "the halves too"
    places = [n % 200 for n, s in enumerate(log) if any(s is other for other in kept)]
    assert all(sum(at <= place < at + 50 for place in places) >= 10 for at in range(0, 200, 50)), places


def test_another_seed_draws_others_and_of_a_tenant_that_is_cut_too(honest) -> None:
    several = [_known_as(s, tenant=f"t{n % 10 % 4}", agent="a") for n, s in enumerate(honest(100))]
    for options in ({"max_per_purpose": 20, "max_share": 0.25}, {"max_per_purpose": 100, "max_share": 0.25}):
        assert {s.key for s in _bounded(several, seed=0, **options)} == {
            s.key for s in _bounded(several[::-1], seed=0, **options)
        }
        one, other = ({s.key for s in _bounded(several, seed=seed, **options)} for seed in (0, 1))
        assert len(one) == len(other)
        assert one != other


def test_who_breaks_a_hard_rule_takes_no_seat_of_who_breaks_none(honest) -> None:
    several = honest(45, start=1_000)
    sound = honest(30, purpose="read the contract", start=80)
    broken = [_all_widened(s) for s in honest(80, purpose="read the contract")]
    assert fitted([*broken, *sound, *several]) == fitted([*sound, *several])
    kept = _bounded(
        [*broken, *sound[:5], *several], breaking=lambda some: [s for s in some if any(s is one for one in broken)]
    )
    assert sum(any(s is one for one in kept) for s in sound[:5]) == 5
    assert len(kept) == 45 + 20, "where there is room, their calls that break no rule count as before"


def test_rules_are_looked_at_only_in_sessions_that_would_count(honest) -> None:
    asked: list[int] = []

    def breaking(some: Sequence[HonestSession]) -> list[HonestSession]:
        asked.append(len(some))
        return [*some[-5:]] if len(asked) == 1 else []

    kept = _bounded([*honest(45), *honest(300, purpose="read the contract", start=80)], breaking=breaking)
    assert sum(asked) <= len(kept) + 5
    assert len(asked) == 2


@pytest.mark.parametrize("share", [0.5, 0.9, 1.0])
def test_where_most_break_a_rule_they_are_found_in_few_rounds_and_count_as_if_all_had_been_asked(
    honest, share: float
) -> None:
    log = [*honest(45), *honest(1_000, purpose="read the contract", start=80)]
    broken = {id(s) for s in log[45 : 45 + int(1_000 * share)]}
    asked: list[list[HonestSession]] = []

    def breaking(some: Sequence[HonestSession]) -> list[HonestSession]:
        asked.append([*some])
        return [s for s in some if id(s) in broken]

    kept = _bounded(log, breaking=breaking)
    assert len(asked) <= 8, "of 50 that ask 20 each"
    every = [id(s) for some in asked for s in some]
    assert len(every) == len({*every}), "nobody is asked twice"
    assert len(kept) == 45 + 20
    sound = [s for s in log if id(s) not in broken]
    assert [s for s in kept if id(s) not in broken] == (sound if share == 1 else _bounded(sound))


def test_a_number_in_it_makes_no_other_purpose(honest) -> None:
    several = honest(45)
    flood = [s for n in range(100) for s in honest(1, purpose=f"Refund order {n}", start=200 + n)]
    assert sum(s.purpose.startswith("Refund") for s in _bounded([*several, *flood])) == 20
    with pytest.raises(
        ValueError, match=r"got 20 after no purpose \(names and numbers left out\) gave more than 20"
    ):
        fitted(flood)


def test_with_few_purposes_the_halves_share_them(honest) -> None:
    sessions = [s for n, noun in enumerate(NOUNS) for s in honest(10, purpose=f"read the {noun}", start=n * 10)]
    calibration = fitted(sessions)
    assert len(calibration.actions.values) / 2 + len(calibration.evidence.values) == 100


@pytest.mark.parametrize("count", [0, 1, LEAST_SESSIONS - 1])
def test_too_few_sessions_are_refused_with_their_number(honest, count: int) -> None:
    with pytest.raises(ValueError, match=f"at least {LEAST_SESSIONS} honest sessions, got {count}") as error:
        fitted(honest(count))
    assert "--max-per-purpose" not in str(error.value), "no bound made them so few"
    with pytest.raises(ValueError, match=f"at least {LEAST_SESSIONS} honest sessions, got 20 after") as error:
        fitted(honest(LEAST_SESSIONS, purpose="the one of a log without purposes"), max_per_purpose=20)
    assert "--max-per-purpose" in str(error.value)


def test_sessions_without_actions_do_not_count(honest) -> None:
    empty = [HonestSession(f"p{n}", ()) for n in range(100)]
    with pytest.raises(ValueError, match="got 39"):
        fitted([*empty, *honest(39)])
    assert fitted([*empty, *honest(60)]) == fitted(honest(60))


def test_a_session_that_breaks_a_hard_rule_is_no_part_of_the_promise(honest) -> None:
    sessions = honest(60)
    broken = [
        dataclasses.replace(s, decisions=(_widened(s.decisions[0]), *s.decisions[1:]))
        for s in honest(60, start=60)
    ]
    clean, mixed = fitted(sessions), fitted([*sessions, *broken])
    assert len(mixed.evidence.values) == len(clean.evidence.values)


def test_a_session_whose_envelope_nobody_signed_counts_for_a_calibration(honest) -> None:
    unsigned = [
        dataclasses.replace(s, decisions=tuple(dataclasses.replace(d, signature="missing") for d in s.decisions))
        for s in honest(60)
    ]
    checking = [make("signals", name, {}) for name in ("purpose_fit", "envelope_breach")]
    of_signed, of_unsigned = (
        fit_calibration(each, judge_with=lambda scale: judge_with(scale, checking), source="made", fold="made/1")
        for each in (honest(60), unsigned)
    )
    assert of_unsigned == of_signed


def test_sessions_that_all_break_a_hard_rule_are_refused_with_the_reason(honest) -> None:
    with pytest.raises(ValueError, match=r"every call of the \d+ sessions that were counted .* breaks"):
        fitted(list(map(_all_widened, honest(60))))


def test_a_delegated_session_is_judged_beside_those_above_it_which_count_once(honest) -> None:
    roots, middle, leaves = honest(60), honest(60, start=60), honest(60, start=120)
    middle = [_delegated(child, parent) for child, parent in zip(middle, reversed(roots), strict=True)]
    leaves = [_delegated(child, parent) for child, parent in zip(leaves, reversed(middle), strict=True)]
    batches: list[list[Any]] = []
    alone = fitted([*honest(60, start=120), *honest(60, start=60), *honest(60)])
    noting = _noting(batches)
    assert fit_calibration([*leaves, *middle, *roots], judge_with=noting, source="made", fold="made/1") == alone
    for batch in batches:
        there = {None, *(d.event.envelope.key for d in batch)}
        assert all(d.event.envelope.parent_key in there for d in batch)
    assert sum(map(len, batches)) > 2 * 180, "two calls a session, and those above are judged once more"


CHAIN = [*SIGNALS, make("signals", "chain_exposure", {})]
READ, SEND = "hr.read_payroll", "email.send"


@pytest.mark.parametrize("delegated", [False, True], ids=["of one task", "of one delegation"])
@pytest.mark.parametrize("writers_begin", [False, True], ids=["readers first", "writers first"])
def test_what_sibling_sessions_read_is_known_to_the_yardstick_as_to_the_monitor(
    honest, delegated: bool, writers_begin: bool
) -> None:
    def split(start: int) -> list[HonestSession]:
        readers = [_worked(s, n, READ, n) for n, s in enumerate(honest(60, start=start), 1)]
        writers = [_worked(s, n - 60, SEND, n) for n, s in enumerate(honest(60, start=start + 60), 61)]
        if writers_begin:
            writers = [_begun(s, -1) for s in writers]
        if not delegated:
            return [*readers, *writers]
        roots = honest(60, start=start + 120)
        return [
            *(dataclasses.replace(r, decisions=tuple(_at(d, -2) for d in r.decisions)) for r in roots),
            *(_delegated(s, roots[n % 60], task=None) for n, s in enumerate([*readers, *writers])),
        ]

    judge = judge_with(
        fit_calibration(split(0), judge_with=lambda c: judge_with(c, CHAIN), source="made", fold="made/1"), CHAIN
    )
    calls = sorted((d for s in split(500) for d in s.decisions), key=lambda d: d.now)
    last = {v.decoded.event.key: v.drift for v in judge.judge(calls, [], Memory()).scored}
    exposed = [any(s.name == "chain_exposure" and s.value > 0 for s in drift.signals) for drift in last.values()]
    assert sum(exposed) >= 40, "the last calls of those writers whose purpose asks for no send"
    assert sum(drift.one_in >= 4 for drift in last.values()) <= len(last) / 4


def test_of_what_a_sibling_reads_after_a_sessions_last_call_it_knows_nothing(honest) -> None:
    late = [_worked(s, n, READ, 900) for n, s in enumerate(honest(60), 1)]
    writers = [_worked(s, n, SEND, 100) for n, s in enumerate(honest(60, start=60), 1)]
    alone = [_worked(s, n + 900, SEND, 100) for n, s in enumerate(honest(60, start=60), 1)]
    assert _chained([*late, *writers]) == _chained([*late, *alone])
    assert _chained([*late, *(_worked(s, n + 1, SEND, 990) for n, s in enumerate(honest(60, start=60)))]) != (
        _chained([*late, *alone])
    )


@pytest.mark.parametrize("reader", [0, 150, 299])
def test_of_a_task_of_many_sessions_the_most_sensitive_reads_are_known_and_few_are_judged_twice(
    honest, reader: int
) -> None:
    quiet = [_worked(s, 1, "notes.read", n) for n, s in enumerate(honest(300))]
    quiet[reader] = _worked(honest(1, start=reader)[0], 1, READ, reader)
    batches: list[list[Any]] = []
    fit_calibration(quiet, judge_with=_noting(batches, CHAIN), source="made", fold="made/1")
    assert sum(map(len, batches)) < 5 * 2 * 300
    for batch in batches:
        numbers = [int(d.event.envelope.session_id.split("#")[0][1:]) for d in batch]
        assert max(numbers) < reader or reader in numbers


def test_progress_ends_at_the_number_of_sessions(honest) -> None:
    seen: list[tuple[int, int]] = []
    fitted(honest(60), progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (60, 60)


def test_baselines_in_the_memory_are_part_of_the_yardstick_and_sessions_are_not(honest) -> None:
    sessions = honest(60)
    (key, state), *_ = judge_with(FLAT).judge(sessions[0].decisions, [], Memory()).sessions.items()
    assert fitted(sessions, memory=Memory(sessions={key: state})) == fitted(sessions)


def test_out_of_fold_each_purpose_is_read_by_the_model_that_was_trained_without_it() -> None:
    one, other = _Constant("a", 0.1), _Constant("b", 0.9)
    routed = OutOfFold({"p": one, "q": other})
    requests = [FitRequest(purpose, "t") for purpose in "pqqp"]
    assert routed.score(requests) == [0.1, 0.9, 0.9, 0.1]
    assert routed.score([]) == []
    assert routed.explain(requests[1]) == [("b", 0.9)]
    assert routed.version == "a+b"


def test_out_of_fold_a_purpose_that_every_fold_saw_is_refused() -> None:
    with pytest.raises(KeyError):
        OutOfFold({"p": _Constant("a", 0.1)}).score([FitRequest("seen", "t")])
    with pytest.raises(ValueError, match="no held-out purposes"):
        OutOfFold({})


@dataclasses.dataclass(frozen=True)
class _Constant:
    """A drift model that says one thing."""

    version: str
    value: float

    def score(self, requests: Sequence[FitRequest]) -> list[float]:
        return [self.value for _ in requests]

    def explain(self, request: FitRequest) -> list[tuple[str, float]]:
        return [(self.version, self.value)]


def test_the_labels_of_a_session_stay_behind() -> None:
    assert session_line(labelled(1), 7) == session_line(labelled(1, "drift"), 7)
    line = session_line(labelled(1), 7)
    assert (line.line, line.session_id, [a.tool for a in line.actions]) == (
        7,
        "s1",
        ["invoices.read", "invoices.read"],
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Noting(Judge):
    """A judge that notes what it is given to judge."""

    batches: list[list[Any]]

    def judge(self, decoded: Sequence[Any], *rest: Any) -> Any:
        self.batches.append(list(decoded))
        return super().judge(decoded, *rest)


def _noting(batches: list[list[Any]], signals: Sequence[Any] = SIGNALS) -> Callable[[Calibration], Judge]:
    def noting(calibration: Calibration) -> Judge:
        judge = judge_with(calibration, signals)
        told = {field.name: getattr(judge, field.name) for field in dataclasses.fields(judge)}
        return _Noting(**told, batches=batches)

    return noting


def _chained(sessions: list[HonestSession]) -> Calibration:
    return fit_calibration(sessions, judge_with=lambda c: judge_with(c, CHAIN), source="made", fold="made/1")


def _worked(session: HonestSession, task: int, tool: str, minute: int) -> HonestSession:
    """The same session at work on a numbered task, with another last act, at a minute of the day."""
    decisions = []
    for number, d in enumerate(session.decisions):
        envelope = d.event.envelope.model_copy(update={"task_id": f"task{task}"})
        action = d.event.action
        if number == len(session.decisions) - 1:
            action = action.model_copy(update={"tool": tool, "arguments": {}})
        event = d.event.model_copy(update={"envelope": envelope, "action": action})
        decisions.append(_at(dataclasses.replace(d, event=event), minute))
    return HonestSession(session.purpose, tuple(decisions))


def _at(decision: Any, minute: int) -> Any:
    return dataclasses.replace(decision, now=datetime(2026, 5, 12, 8, tzinfo=UTC) + timedelta(minutes=minute))


def _begun(session: HonestSession, minute: int) -> HonestSession:
    """The same session, its first call at that minute."""
    first, *others = session.decisions
    return dataclasses.replace(session, decisions=(_at(first, minute), *others))


def _delegated(child: HonestSession, parent: HonestSession, **update: Any) -> HonestSession:
    above = parent.decisions[0].event.envelope.session_id

    def below(decision: Any) -> Any:
        envelope = decision.event.envelope.model_copy(update={"parent_session_id": above, **update})
        return dataclasses.replace(decision, event=decision.event.model_copy(update={"envelope": envelope}))

    return dataclasses.replace(child, decisions=tuple(map(below, child.decisions)))


def _all_widened(session: HonestSession) -> HonestSession:
    return dataclasses.replace(session, decisions=tuple(map(_widened, session.decisions)))


def _widened(decision: Any) -> Any:
    """The same decision in a session that is its own parent: a cycle, which no honest session shows."""
    envelope = decision.event.envelope
    cyclic = envelope.model_copy(update={"parent_session_id": envelope.session_id})
    return dataclasses.replace(decision, event=decision.event.model_copy(update={"envelope": cyclic}))


def test_no_agent_and_no_tenant_fills_the_yardstick_by_flooding_it(honest) -> None:
    quiet = [_known_as(s, tenant=f"t{n % 2}", agent=f"a{n % 4}") for n, s in enumerate(honest(80))]
    flood = [_known_as(s, tenant="loud", agent="loud") for s in honest(600, start=1_000)]
    alone, flooded = fitted(quiet), fitted([*quiet, *flood])
    assert len(flooded.evidence.values) < 2.6 * len(alone.evidence.values)
    assert len(fitted([*quiet, *flood], max_share=1.0).evidence.values) > 6 * len(alone.evidence.values)
    assert fitted([*quiet, *flood]) == flooded


def test_a_yardstick_that_one_source_would_fill_says_what_bounded_it(honest) -> None:
    few = [_known_as(s, tenant=f"t{n}", agent="a") for n, s in enumerate(honest(4))]
    flood = [_known_as(s, tenant="loud", agent="loud") for s in honest(100, start=1_000)]
    with pytest.raises(ValueError, match=r"no agent or tenant more than 50%"):
        fitted([*few, *flood])


def test_it_is_told_how_many_sessions_were_left_out_and_by_what(honest) -> None:
    sessions = [*honest(45), *honest(200, purpose="read the contract", start=200)]
    with capture_logs() as told:
        fitted(sessions)
    (line,) = (line for line in told if line["event"] == "calibration_bounded")
    assert (line["sessions"], line["counted"]) == (245, 65)
    assert line["bounds"] == "--max-per-purpose 20, --max-share 0.5"
    with capture_logs() as told:
        fitted(honest(60))
    assert told == []


@pytest.mark.parametrize(
    ("sizes", "told"), [([240, *[1] * 60], [("80%", "25%")]), ([61] * 5, []), ([60, *[1] * 60], [])]
)
def test_a_purpose_that_weighs_far_less_than_in_the_log_is_told(
    honest, sizes: list[int], told: list[tuple[str, str]]
) -> None:
    """Not where all are over the limit alike, and not where it is hardly over it."""
    sessions = [
        session
        for n, size in enumerate(sizes)
        for session in honest(size, purpose="job " + n * "x", start=300 * n)
    ]
    with capture_logs() as lines:
        fitted(sessions)
    found = [line for line in lines if line["event"] == "calibration_mix_differs"]
    assert [(line["of_traffic"], line["of_calibration"]) for line in found] == told


def test_sessions_of_one_or_two_named_sources_are_all_kept(honest) -> None:
    sessions = [_known_as(s, tenant=f"t{n % 10 == 0}", agent="a") for n, s in enumerate(honest(60))]
    assert len(fitted(sessions).evidence.values) == len(fitted(honest(60)).evidence.values)


@pytest.mark.parametrize(("of_two", "told"), [(10, 1), (2, 0)])
def test_of_two_sources_one_that_leads_is_told(honest, of_two: int, told: int) -> None:
    sessions = [_known_as(s, tenant=f"t{n % of_two == 0}", agent="a") for n, s in enumerate(honest(60))]
    with capture_logs() as lines:
        fitted(sessions)
    assert [line["on"] for line in lines if line["event"] == "calibration_leans"] == ["tFalse/a", "tFalse"] * told


def test_a_purpose_that_tenants_share_seats_all_of_them_whoever_comes_first(honest) -> None:
    jobs = [f"{verb} the {noun}" for noun in NOUNS[:3] for verb in VERBS]
    tenants = {
        name: [
            _known_as(s, tenant=name, agent=f"a{n % 4}")
            for at, job in enumerate(jobs)
            for n, s in enumerate(honest(40, purpose=job, start=begin + 40 * at))
        ]
        for name, begin in (("t0", 0), ("t1", 1_000), ("t2", 2_000))
    }
    for order in (("t0", "t1", "t2"), ("t2", "t1", "t0")):
        kept = bounded([s for name in order for s in tenants[name]], max_per_purpose=20, max_share=0.5, seed=0)
        seats = Counter((s.purpose, s.key.tenant_id) for s in kept)
        assert set(seats.values()) == {6, 7}
        assert len(kept) == 20 * len(jobs)
        agents = Counter((s.key.tenant_id, s.decisions[0].event.envelope.agent_id) for s in kept)
        assert min(agents.values()) > len(jobs)


def test_many_names_of_agents_take_no_seat_of_another_tenant(honest) -> None:
    several = [_known_as(s, tenant="t0", agent="a") for s in honest(45, start=1_000)]
    many = [_known_as(s, tenant="t1", agent=f"a{n}") for n, s in enumerate(honest(60, purpose="read it"))]
    few = [_known_as(s, tenant="t2", agent="a") for s in honest(10, purpose="read it", start=100)]
    kept = bounded([*many, *few, *several], max_per_purpose=20, max_share=1.0, seed=0)
    assert Counter(s.key.tenant_id for s in kept) == {"t0": 45, "t1": 10, "t2": 10}


def test_a_tenant_without_a_session_in_the_yardstick_is_told(honest) -> None:
    several = [_known_as(s, tenant=f"t{n % 4}", agent="a") for n, s in enumerate(honest(60))]
    shared = honest(3, purpose="read it", start=90)
    late = [_known_as(s, tenant=f"u{n}", agent="a") for n, s in enumerate(shared)]
    with capture_logs() as lines:
        bounded([*several, *late], max_per_purpose=2, max_share=0.5, seed=0)
    (line,) = (line for line in lines if line["event"] == "calibration_without_tenants")
    assert (line["count"], line["tenants"] in {"u0", "u1", "u2"}) == (1, True)


def test_a_tenant_whose_sessions_that_are_seated_all_break_a_rule_is_told_as_missing(honest) -> None:
    several = [_known_as(s, tenant=f"t{n % 4}", agent="a") for n, s in enumerate(honest(60))]
    with capture_logs() as lines:
        _bounded(several, breaking=lambda some: [s for s in some if s.key.tenant_id == "t1"])
    assert [line["tenants"] for line in lines if line["event"] == "calibration_without_tenants"] == ["t1"]


def _bounded(sessions: list[HonestSession], **options: Any) -> list[HonestSession]:
    return bounded(sessions, **{"max_per_purpose": 20, "max_share": 0.5, "seed": 0, **options})


def _known_as(session: HonestSession, *, tenant: str, agent: str) -> HonestSession:
    """The same session, delegated in another tenant to a named agent."""
    decisions = []
    for d in session.decisions:
        envelope = d.event.envelope.model_copy(update={"tenant_id": tenant, "agent_id": agent})
        decisions.append(dataclasses.replace(d, event=d.event.model_copy(update={"envelope": envelope})))
    return HonestSession(session.purpose, tuple(decisions))
