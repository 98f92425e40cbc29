"""Does the world look as the configuration says? One check per part, each with what to mend."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

from guardian.alerting.port import RetryLater
from guardian.alerting.slack_signature import SlackSignature
from guardian.bootstrap.channels import given
from guardian.bootstrap.checking import check_plugins
from guardian.bootstrap.control import open_channels
from guardian.bootstrap.databases import is_there
from guardian.bootstrap.departing import departure_of
from guardian.bootstrap.judgement import (
    known_tenants,
    open_calibration,
    open_fit,
    speaks_for,
    unlisted_signals,
)
from guardian.bootstrap.kafka import kafka_settings
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.bootstrap.policies import close_point, open_policy
from guardian.bootstrap.secrets import SecretFiles
from guardian.bootstrap.slack import people, slack_options
from guardian.bootstrap.sources import open_source
from guardian.bus.admin import read_by, topic_partitions
from guardian.commands.auditing import checkpoints_checked
from guardian.commands.checks import Check, Runs, Unknown, Unwell
from guardian.commands.doctor_control import advice_checked, control_checked, token_checked, watching_checked
from guardian.commands.doctor_pages import pages_checked
from guardian.commands.letters import refused_checked, sealed_checked
from guardian.commands.slack_check import ask_for_socket
from guardian.commands.storing import archive_checked, database_checked
from guardian.config import Settings
from guardian.domain.record import Place
from guardian.domain.text import counted
from guardian.errors import BusError, ConfigurationError, GuardianError, PolicyError, StoreError
from guardian.keys.files import read_secret, read_token
from guardian.policy.cedar import barred
from guardian.policy.files import CASES
from guardian.policy.port import Asker, PolicyRequest
from guardian.policy.reload import ReloadablePolicies
from guardian.scoring.calibration import ASSUMPTIONS
from guardian.signals.words.hiding import AGENT

_HARMLESS = PolicyRequest(Asker("monitor", "monitor", frozenset({"*"})), "readChanges")


def examine(settings: Settings, runs: Runs = "run") -> Iterator[Check]:
    """Every check of what `runs` on this machine, in the order in which things are needed. One that fails stops
    only those that cannot be asked before it is mended: each names what it `needs`."""
    monitor, control = runs != "serve", runs != "watch"
    advised = settings.advice.url is not None
    asked = runs == "serve" and settings.advice.enabled  # in `run` the monitor's own model answers
    sealed = ("keys",) if monitor else ()  # a monitor's database is opened with them
    heard = ("broker",) if settings.envelopes.topic is not None else ()
    exported = ("broker",) if settings.audit.checkpoint_topic is not None else ()
    checks: dict[str, tuple[bool, Callable[[Settings], str], tuple[str, ...]]] = {
        "names": (True, _names, ()),
        "keys": (True, partial(_keys, monitor=monitor, control=control), ()),
        "database": (True, partial(database_checked, monitor=monitor, control=control), sealed),
        "archive": (monitor, archive_checked, ()),
        "sealed": (monitor, sealed_checked, ("keys", "database")),
        "model": (monitor, _model, ()),
        "calibration": (monitor, _calibration, ("model",)),
        "policy": (control, _policy, ()),
        "gateways": (monitor, _gateways, ()),
        "source": (monitor, _source, ()),
        "broker": (monitor, _broker, ()),
        "group": (monitor, _group, ("keys", "database", "broker")),
        "envelopes": (monitor, _envelopes, heard),
        "control": (True, control_checked, ()),
        "token": (monitor, token_checked, ("keys", "control")),
        "watching": (True, watching_checked, ("control",)),
        "advice": (control and (advised or asked), advice_checked, ()),
        "pages": (control, pages_checked, ()),
        "checkpoints": (control, checkpoints_checked, ("keys", "database", *exported)),
        "alerts": (control, _alerts, ()),
        "refused": (True, partial(refused_checked, monitor=monitor, control=control), (*sealed, "database")),
    }
    failed = set[str]()
    for name, (here, check, needs) in checks.items():
        if not here:
            continue
        first = next((need for need in needs if need in failed), None)
        if first is not None:
            yield Check(name, None, f"not known: what {first} says comes first")
            continue
        try:
            checked = _checked(name, check, settings)
            stops = checked.ok is False
        except Unwell as trouble:
            checked, stops = Check(name, False, trouble.found, trouble.mend), trouble.stops
        if stops:
            failed.add(name)
        yield checked


def _checked(name: str, check: Callable[[Settings], str], settings: Settings) -> Check:
    """Raises Unwell as the check does."""
    try:
        return Check(name, True, check(settings))
    except Unknown as reason:
        return Check(name, None, str(reason))
    except GuardianError as error:
        found, _, mend = str(error).partition("; ")
        return Check(name, False, found, mend or "see the message; `guardian init FOLDER` shows a working set-up")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        theirs = isinstance(error, PermissionError)
        mend = "mend its owner or mode, or ask as the user that guardian runs as" if theirs else "see the message"
        return Check(name, False, f"{where}{error.strerror or error}", mend)


def _names(settings: Settings) -> str:
    check_plugins(settings)
    known = "every name in the configuration is known"
    if AGENT not in settings.source.redact or not any(settings.control.protected.values()):
        return known
    tenants = ", ".join(tenant for tenant, names in settings.control.protected.items() if names)
    return f"{known}; source.redact hashes agents, so what is not registered of {tenants} counts as protected"


def _keys(settings: Settings, *, monitor: bool, control: bool) -> str:
    files = SecretFiles.of(settings)
    if control:
        read_secret(files.signing)
    if monitor:
        files.load_seal(settings)
        files.load_fingerprint_key()
        read_token(settings.resolve(settings.monitor.token_file), "monitor")
    return f"{files.directory}: present, readable by their owner only"


def _model(settings: Settings) -> str:
    began = time.perf_counter()
    fit = open_fit(settings)
    return f"model {fit.version} loaded in {time.perf_counter() - began:.1f} s"


def _calibration(settings: Settings) -> str:
    calibration = open_calibration(settings)
    flag = settings.response.flag_one_in
    kept = "promised" if flag <= calibration.reach else "estimated"
    said = (
        f"{len(calibration.evidence.values):,} honest sessions: promises reach 1 in {calibration.reach:,}, how"
        f" many are flagged at 1 in {flag:,g} is {kept}; a session's own figure is covered up to 1 in"
        f" {calibration.covered:,.0f} and {counted(calibration.calls, 'call')}, past that estimated"
    )
    if not speaks_for(calibration, settings):
        if names := ", ".join(unlisted_signals(calibration, settings)):
            raise Unwell(
                f"the calibration knows {names}, which `signals:` does not list: its promises do not hold",
                f"list {names} under `signals:`, or `guardian calibrate` without, then set model.calibration",
            )
        raise Unwell(
            "the calibration was fitted with another model, other signals or other weights than are configured:"
            " its promises do not hold",
            "`guardian calibrate` on your own traffic, then set model.calibration",
        )
    seen = None
    if is_there(settings, settings.store.monitor):
        try:
            with closing(open_monitor_store(settings)) as store:
                seen = departure_of(store, calibration)
        except (ConfigurationError, StoreError) as error:  # which other checks say
            said = f"{said}; whether traffic has left it is not known: the database cannot be opened"
            raise Unknown(said) from error
    if seen is None:
        return f"{said}; no session has ended under it yet\n{ASSUMPTIONS}"
    one_in = settings.monitor.departure_one_in
    if seen.left(one_in) and seen.direction == "further out":
        raise Unwell(
            f"traffic has left the calibration: {seen.seen:,} finished sessions lie {seen.direction} than its own",
            "`guardian calibrate` on recent traffic (with a higher --max-per-purpose where few purposes are most"
            " of it), then set model.calibration",
        )
    tamer = ": they are tamer than its own, a new one would be sharper" if seen.left(one_in) else ""
    since = f"{counted(seen.seen, 'session')} since"
    return f"{said}; {since}, evidence of a change {seen.peak:,.3g} of {one_in:,g}{tamer}\n{ASSUMPTIONS}"


def _policy(settings: Settings) -> str:
    try:
        point = open_policy(settings)
    except PolicyError as error:
        found, _, mend = str(error).rpartition("; ")  # the last: names of cases that fail may hold others
        reread = "see the message; `guardian policy check` reads them again, config/policies/ has sound ones"
        raise Unwell(found or mend, mend if found else reread) from error
    if isinstance(point, ReloadablePolicies):
        held = f"{point.cases} must-allow and must-deny cases hold" if point.cases else f"no {CASES} beside them"
        nobody_may = point.policies.nobody_may()
        return f"policies {point.version} are valid; {held}" + (f"\n{barred(nobody_may)}" if nobody_may else "")
    try:
        said = point.decide(_HARMLESS)
    finally:
        close_point(point)
    if said.errors:
        raise Unwell(
            f"the decision point gives no answer: {(said.causes or said.errors)[0]}",
            "start it, or mend policy.options; until it answers, what guardian asks for is denied (gateways' lists"
            " go on for policy.options.grace_s)",
        )
    if not said.allowed:
        by = ", ".join(said.policy_ids) or "no policy permits it"
        raise Unwell(
            f"the decision point denies the monitor to read changes, which endangers nobody ({by})",
            "look whether it has the policies, and at policy.options; config/examples/ has some to begin with",
        )
    return f"the decision point answers, version {said.version or point.version}"


def _gateways(settings: Settings) -> str:
    if not settings.gateways:
        raise Unwell("no gateway is entitled to any tenant", "list them under `gateways`, or all is dead-lettered")
    found = f"{counted(len(settings.gateways), 'gateway')} entitled to tenants"
    named = "" if known_tenants(settings) else "; none is named, so a call that names another tenant only flags"
    return found + named


def _source(settings: Settings) -> str:
    open_source(settings)
    section = settings.source
    known = [
        f"{name} {value!r}" for name, value in (("gateway", section.gateway), ("tenant", section.tenant)) if value
    ]
    return f"reads {section.format}" + (f"; every record is of {', '.join(known)}" if known else "")


def _envelopes(settings: Settings) -> str:
    topic, map_ = settings.envelopes.topic, settings.envelopes.static
    for name in [topic, f"dlq.{topic}"] if topic is not None else []:
        if topic_partitions(kafka_settings(settings), name) is None:
            raise Unwell(f"envelopes.topic: {name!r} is missing", f"create it, and dlq.{topic}")
    told = ["in the log, or registered with control"]
    told += [f"on topic {topic!r}"] if topic is not None else []
    told += [f"by a map of {counted(len(map_), 'line')}"] if map_ else []
    return f"{', '.join(told)}; late ones are waited for {settings.envelopes.wait_s:g} s"


def _broker(settings: Settings) -> str:
    topic = settings.kafka.topic
    try:
        partitions = topic_partitions(kafka_settings(settings), topic)
        letters = topic_partitions(kafka_settings(settings), f"dlq.{topic}")
    except BusError as error:
        found, _, mend = str(error).partition("; ")
        way_out = "start a broker there, or set kafka.bootstrap_servers to yours, kafka.options for TLS and SASL"
        raise Unwell(found, mend or way_out) from error
    if partitions is None:
        raise Unwell(
            f"{settings.kafka.bootstrap_servers} answers, topic {topic!r} is missing",
            f"create it, and dlq.{topic}; key its records by session id",
            stops=False,
        )
    if letters is None:
        raise Unwell(
            f"{settings.kafka.bootstrap_servers}: topic 'dlq.{topic}' is missing",
            "create it: what cannot be read is kept there",
            stops=False,
        )
    shown = f"{settings.kafka.bootstrap_servers}: topic {topic!r} with {counted(partitions, 'partition')}"
    return f"{shown}; a first start begins at {settings.kafka.auto_offset_reset} (kafka.auto_offset_reset)"


def _group(settings: Settings) -> str:
    """A monitor stores how far it read before it tells the broker: what the group read beyond that, others did."""
    topic, group = settings.kafka.topic, settings.kafka.group
    try:
        told = read_by(kafka_settings(settings), topic, group)  # first: what is stored only grows
    except BusError as error:  # it may describe a topic, and not say who reads it
        raise Unknown(f"not asked how far {group!r} has read: {error}") from error
    stored: dict[Place, int] = {}
    if is_there(settings, settings.store.monitor):
        with closing(open_monitor_store(settings)) as store:
            stored = store.positions(Place(topic, partition) for partition in told)
    for partition, at in sorted(told.items()):
        if (here := stored.get(Place(topic, partition), 0)) < at:
            raise Unwell(
                f"others read {topic}[{partition}] as members of {group!r}: up to {at}, this database's monitors"
                f" up to {here}",
                "give each deployment (staging too) a kafka.group of its own; where this database is new, or was"
                " put back from a copy, its monitors read that themselves once they run",
            )
    return f"nobody else reads {topic!r} as a member of {group!r}, as far as the broker knows"


def _alerts(settings: Settings) -> str:
    open_channels(settings, threading.Event())  # reads their secrets; nothing is sent
    if settings.slack.signing_secret is not None:
        SlackSignature(settings.slack.signing_secret.get_secret_value(), now=time.time)
    if "slack" not in settings.alerts:
        return f"go to: {', '.join(settings.alerts) or 'the log'}"
    if settings.slack.token is None:
        raise Unwell("alerts.slack has no token", "set GUARDIAN_SLACK__TOKEN (xoxb-…)")
    options = slack_options(settings)
    if options is None:
        raise Unwell(
            "alerts.slack has an empty token", "set GUARDIAN_SLACK__TOKEN to the app's bot token (xoxb-…)"
        )
    people(settings)
    try:
        said = options.open(given(settings, time.sleep)).check()
        ask_for_socket(settings, options)
    except RetryLater as trouble:
        mend = "let this machine reach slack.com, through HTTPS_PROXY if need be; until then Slack's alerts wait"
        raise Unwell(str(trouble), mend) from trouble
    return f"{said}; more: guardian slack check"
