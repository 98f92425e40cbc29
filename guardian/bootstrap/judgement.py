"""The pipeline from settings: source, redaction, drift model, signals, scorer, ladder."""

import hashlib
import hmac
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import chain, combinations
from pathlib import Path

from guardian import __version__, embedding
from guardian.bootstrap import plugins
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.resources import resource
from guardian.bootstrap.secrets import envelope_verifier
from guardian.bootstrap.sources import filling_of, open_source, redactor_of
from guardian.config import Settings
from guardian.config.base import Options
from guardian.domain.batch import DeadLetter, Decoded, Known
from guardian.domain.breach import DOUBT
from guardian.domain.event import DecisionEvent
from guardian.domain.finding import Effect
from guardian.domain.record import Record
from guardian.domain.signal import Signature
from guardian.embedding.artefact import open_artefact
from guardian.embedding.fit import READING, PurposeFit
from guardian.embedding.meaning import Meanings
from guardian.embedding.ports import EnginePlugin
from guardian.errors import ConfigurationError, ModelError
from guardian.pipeline.decoding import ClockBounds, Decoder
from guardian.pipeline.judging import Fit, Judge
from guardian.pipeline.pipeline import Pipeline
from guardian.response.ladder import Ladder
from guardian.scoring.calibration import Calibration
from guardian.scoring.fusion import Fusion
from guardian.scoring.scorer import Scorer
from guardian.signals.credentials.scanner import CredentialScanner
from guardian.signals.port import SignalFold
from guardian.telemetry import logger

CALIBRATION = "calibration.json"

_log = logger("bootstrap")

ReadLog = Callable[[Sequence[Record]], tuple[list[Decoded], list[DeadLetter]]]


def model_directory(settings: Settings) -> Path:
    return settings.resolve(settings.model.path) if settings.model.path is not None else resource("models")


def open_fit(settings: Settings) -> PurposeFit:
    """The drift model: verified against its manifest, its engine the configured one."""
    return embedding.load(model_directory(settings), _engine(settings), cache_size=settings.model.cache_size)


def _engine(settings: Settings) -> EnginePlugin:
    paths = getattr(plugins.find("embedding", settings.model.engine), "paths", ())
    options = {
        name: str(settings.resolve(Path(value))) if name in paths and isinstance(value, str) and value else value
        for name, value in settings.model.options.items()
    }
    engine: EnginePlugin = plugins.make("embedding", settings.model.engine, options)
    return engine


def open_calibration(settings: Settings) -> Calibration:
    """The configured calibration, else the one that the model was shipped with."""
    configured = settings.model.calibration
    path = settings.resolve(configured) if configured is not None else model_directory(settings) / CALIBRATION
    try:
        return Calibration.from_json(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: no calibration ({error.strerror}); run `guardian calibrate`") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def calibration_version(calibration: Calibration) -> str:
    return hashlib.sha256(calibration.to_json().encode()).hexdigest()[:12]


def configured_fold(settings: Settings) -> str:
    """What a calibration must have been fitted with to speak for this configuration; hashes the model's files."""
    return fold_version(settings, embedding.version(open_artefact(model_directory(settings)), _engine(settings)))


def speaks_for(calibration: Calibration, settings: Settings) -> bool:
    """Whether its promises hold for what is configured; one that names nothing (an old one) speaks for nothing."""
    named = configured_fold(settings)
    as_spelt = _fold(settings, named.rpartition("/")[0], settings.signals)  # which earlier versions named it by
    return calibration.fold in (named, as_spelt)


def unlisted_signals(calibration: Calibration, settings: Settings) -> tuple[str, ...]:
    """Those without which alone the calibration does not speak for what is configured: it names all by a hash."""
    model = configured_fold(settings).rpartition("/")[0]
    unlisted = [name for name in plugins.names("signals") if name not in settings.signals]
    for count in range(1, len(unlisted) + 1):
        for names in combinations(unlisted, count):
            more = settings.model_copy(update={"signals": settings.signals | {name: {} for name in names}})
            if fold_version(more, model) == calibration.fold:
                return names
    return ()


def fold_version(settings: Settings, model: str) -> str:
    """Names model, reading, signals with their options, and weights: a calibration speaks for these only."""
    return _fold(settings, model, {name: _unusual(name, options) for name, options in settings.signals.items()})


def _fold(settings: Settings, model: str, signals: Mapping[str, Mapping[str, object]]) -> str:
    said = {"signals": signals, "weights": weights_of(settings), "reading": READING}
    told = json.dumps(said, sort_keys=True)
    return f"{model}/{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def _unusual(name: str, options: Options) -> dict[str, object]:
    """The options of a signal that are not as they are by themselves, however a file or a variable spells them."""
    if not options:
        return {}
    made, usual = plugins.make("signals", name, options), plugins.make("signals", name, {})
    found = {option: getattr(made, option) for option in options}
    return {
        option: int(value) if isinstance(value, float) and value.is_integer() else value
        for option, value in found.items()
        if value != getattr(usual, option)
    }


def open_signals(settings: Settings) -> list[SignalFold]:
    """Those that are switched on. Raises ConfigurationError for a weight or a hard breach that none of them has;
    a careless grant is none: its issuer is told, and the session goes on."""
    given = {"envelope_breach": {"tenants": known_tenants(settings)}}
    signals = [
        plugins.make("signals", name, options, **given.get(name, {})) for name, options in settings.signals.items()
    ]
    rules = frozenset[str]().union(*(signal.breaches for signal in signals if signal.tells_of != "grant"))
    _all_known("weights", settings.weights, "no such signal is switched on", settings.signals)
    asked = settings.response.breaches
    _all_known("response.breaches", asked, "no signal switched on has this hard rule", rules, also=DOUBT)
    return signals


def known_tenants(settings: Settings) -> frozenset[str]:
    """Those that the configuration names: a call that names another one of these is a fact, any other a doubt."""
    return frozenset(chain.from_iterable(settings.gateways.values())) - {"*"}


def weights_of(settings: Settings) -> dict[str, float]:
    """How much each signal that is switched on counts: as it says itself, where the configuration does not."""
    return {name: settings.weights.get(name, plugins.find("signals", name).weight) for name in settings.signals}


def lasting_of(settings: Settings) -> frozenset[str]:
    """The signals that are switched on whose state outlives a finding that people called wrong."""
    return frozenset(name for name in settings.signals if plugins.find("signals", name).lasting)


def _all_known(
    section: str, told: Mapping[str, object], wrong: str, known: Collection[str], *, also: str = ""
) -> None:
    """Each of them must be a known name, or one with `also` at its end."""
    for name, value in told.items():
        if name.removesuffix(also) not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise ConfigurationError(f"{section}.{name}: {value}: {wrong}; known: {listed}")


def open_judge(
    settings: Settings,
    *,
    fingerprint_key: bytes,
    fit: Fit | None = None,
    calibration: Calibration | None = None,
) -> Judge:
    """Everything after decoding. `fingerprint_key` keys the hashes that follow argument values.

    A given `calibration` that does not speak for the settings promises nothing either; its giver says so."""
    fit = fit or open_fit(settings)
    yardstick = calibration or open_calibration(settings)
    speaks = speaks_for(yardstick, settings)
    if calibration is None and not speaks:
        _log.warning(
            "calibration_of_another_model", effect="nothing is promised, all estimated", see="guardian doctor"
        )
    kept = settings.model.cache_size // 4  # as many texts as the drift model keeps
    return Judge(
        fit=fit,
        signals=open_signals(settings),
        scorer=Scorer(Fusion(weights_of(settings)), yardstick, speaks),
        ladder=Ladder(
            flag_one_in=settings.response.flag_one_in,
            revoke_one_in=settings.response.revoke_one_in,
            breach_effects={name: Effect(effect) for name, effect in settings.response.breaches.items()},
        ),
        fingerprint=fingerprinter(fingerprint_key),
        versions={
            "guardian": __version__,
            "model": fit.version,
            "calibration": calibration_version(yardstick),
        },
        parent_grace=settings.parent_grace,
        meanings=Meanings(fit, fit.version, cache_size=kept) if isinstance(fit, PurposeFit) else None,
        idle=timedelta(seconds=settings.source.idle_s),
    )


def open_pipeline(
    settings: Settings,
    judge: Judge,
    *,
    verify: Callable[[DecisionEvent], Signature],
    clock: Callable[[], datetime],
    redaction_key: bytes = b"",
    check_entitlements: bool = True,
) -> Pipeline:
    """Decoding and judging as one. Without `check_entitlements` any gateway may speak for any tenant (files).

    `redaction_key` keys the fingerprint that stands for a credential used as an identifier; the same on every
    monitor, so that such sessions stay distinct and stay themselves.
    """
    redactor = redactor_of(settings, CredentialScanner(key=redaction_key), redaction_key)
    filling = filling_of(settings, redactor)
    decoder = Decoder(
        source=open_source(settings),
        redactor=redactor,
        begin=filling.begin,
        verify=verify,
        clock=clock,
        entitlements=entitlements_of(settings.gateways) if check_entitlements else None,
        bounds=ClockBounds(
            ahead=timedelta(seconds=settings.monitor.clock_ahead_s),
            behind=timedelta(seconds=settings.monitor.clock_behind_s),
        ),
    )
    return Pipeline(decoder, judge, filling)


def open_reading(settings: Settings) -> ReadLog:
    """Records of a log file to decisions with their envelopes filled in, nothing judged. A gateway is believed as
    the monitor believes it; where the settings entitle none, any is. What guardian itself planted to test the
    switch is no agent's work, and left out.
    """
    planted = settings.revocation.self_test.gateway
    redactor = redactor_of(settings, CredentialScanner(), b"")
    filling = filling_of(settings, redactor)

    @cache
    def verifier() -> Callable[[DecisionEvent], Signature]:
        """Opened by the first record: session lines can be read where the keys are not."""
        return envelope_verifier(settings) or unchecked

    decoder = Decoder(
        source=open_source(settings),
        redactor=redactor,
        begin=filling.begin,
        verify=lambda event: verifier()(event),
        clock=utc_now,
        entitlements=entitlements_of(settings.gateways) if settings.gateways else None,
    )

    def read(records: Sequence[Record]) -> tuple[list[Decoded], list[DeadLetter]]:
        decoded, letters = decoder.decode(records)
        theirs = [d for d in decoded if not planted or d.event.gateway != planted]
        return filling.fill(theirs, Known(), patient=False)[0], letters

    return read


def fingerprinter(key: bytes) -> Callable[[str], str]:
    """A keyed 64-bit hash: equal values stay equal, and nothing can be read back."""
    return lambda value: hmac.new(key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]


def unchecked(event: DecisionEvent) -> Signature:
    """No envelope keys are configured: a signature is noted and not believed."""
    return "absent" if event.envelope_jws is None else "unchecked"


def entitlements_of(gateways: Mapping[str, list[str]]) -> dict[str, frozenset[str]]:
    return {gateway: frozenset(tenants) for gateway, tenants in gateways.items()}
