"""What advice on calls needs put together: its rule, and an adviser here or elsewhere."""

from collections.abc import Callable
from datetime import timedelta

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.judgement import open_judge, open_pipeline, unchecked
from guardian.bootstrap.secrets import SecretFiles
from guardian.bootstrap.sources import OWN, completion_of
from guardian.config import Settings
from guardian.control.advice.adviser import AdviceRule, Adviser
from guardian.embedding.fit import FitRequest
from guardian.stream.advising import LocalAdviser
from guardian.wire.adviser import RemoteAdviser


def advice_rule(settings: Settings) -> AdviceRule:
    section = settings.advice
    tools = None if settings.source.format == OWN else completion_of(settings).tools
    return AdviceRule(
        budget_s=section.budget_ms / 1000,
        risks=dict(section.risks),
        default_risk=section.default_risk,
        fallback=dict(section.fallback),
        rename=str if tools is None else tools.of,
        of_server=None if tools is None else lambda tool, server: tools.of(tool, server=server),
    )


def remote_adviser(settings: Settings) -> Adviser | None:
    """The monitor's adviser over HTTP, if control knows where it is."""
    url = settings.advice.url
    files = SecretFiles.of(settings)
    return None if url is None else RemoteAdviser(url, files.load_advice_token)


def local_adviser(settings: Settings, *, lag: Callable[[], timedelta | None] = timedelta) -> LocalAdviser:
    """An adviser with a drift model of its own, for the store of the monitor that is so far behind, once that is
    open."""
    files = SecretFiles.of(settings)
    judge = open_judge(settings, fingerprint_key=files.load_fingerprint_key())
    judge.fit.score([FitRequest("warm up", "warm.up")])  # the first score is slow, and nobody should wait for it
    pipeline = open_pipeline(
        settings,
        judge,
        verify=unchecked,  # nobody signs what a gateway asks
        clock=utc_now,
        redaction_key=files.load_fingerprint_key(),
        check_entitlements=False,  # control has checked the gateway's token
    )
    return LocalAdviser(pipeline, clock=utc_now, lag=lag)
