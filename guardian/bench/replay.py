"""`guardian bench replay`: decisions a second from a file to the store, cold and with a warm cache.

That is decoding, judging and the transaction that stores it. Archive, broker and delivery are left out.
Baseline: the same log with the lexical engine and a warm cache, that is everything but the drift model.
"""

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from guardian.bench.report import Row, resident_mb
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.judgement import open_fit, open_judge
from guardian.commands.offline import ReplayOutcome, replay_file
from guardian.config import load
from guardian.demo.log import log_lines
from guardian.demo.scenario import Scenario
from guardian.embedding.fit import PurposeFit
from guardian.embedding.lexical import plugin as lexical


def run(*, sessions: int, seed: int, progress: Callable[[int, int], None]) -> list[Row]:
    """One log of `sessions` honest sessions and their planted share, four times through the monitor."""
    settings = load(None, apart=True)
    plan = Scenario(seed=seed, sessions=sessions, each=max(1, sessions // 60)).plan()
    lines = list(log_lines(plan, begin=utc_now() - timedelta(hours=4), seed=seed))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_bytes(b"\n".join(lines) + b"\n")

        def once(fit: PurposeFit, round_: int) -> ReplayOutcome:
            judge = open_judge(settings, fingerprint_key=b"bench", fit=fit)
            size = path.stat().st_size
            return replay_file(
                settings, path, lambda done, _: progress(100 * round_ + 100 * done // size, 400), judge=judge
            )

        words = lexical().purpose_fit()
        once(words, 0)
        bare = once(words, 1)
        fit = open_fit(settings)
        cold = once(fit, 2)
        misses = fit.cache_misses
        warm = once(fit, 3)
    rate = [outcome.decisions / outcome.seconds for outcome in (bare, cold, warm)]
    return [
        Row("replay, cold cache", "decisions/s", rate[1], cold.decisions, baseline=rate[0]),
        Row("replay, warm cache", "decisions/s", rate[2], warm.decisions, baseline=rate[0]),
        Row("distinct acts scored", "count", float(misses), cold.decisions),
        Row("resident memory, peak", "MB", resident_mb(), 1),
    ]
