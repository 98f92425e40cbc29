"""Does the world look as the configuration says? One check per part, each with what to mend."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from guardian.alerting.port import RetryLater
from guardian.alerting.slack_signature import SlackSignature
from guardian.bootstrap.channels import given
from guardian.bootstrap.checking import check_plugins
from guardian.bootstrap.control import open_channels
from guardian.bootstrap.judgement import known_tenants
from guardian.bootstrap.policies import close_point, open_policy
from guardian.bootstrap.secrets import SecretFiles
from guardian.bootstrap.slack import people, slack_options
from guardian.bootstrap.sources import open_source
from guardian.commands.auditing import checkpoints_checked
from guardian.commands.checks import Check, Runs, Unknown, Unwell
from guardian.commands.doctor_control import advice_checked, control_checked, token_checked, watching_checked
from guardian.commands.doctor_kafka import broker_checked, envelopes_checked, group_checked
from guardian.commands.doctor_model import calibration_checked, model_checked
from guardian.commands.doctor_pages import pages_checked
from guardian.commands.letters import refused_checked, sealed_checked
from guardian.commands.slack_check import ask_for_socket
from guardian.commands.storing import archive_checked, database_checked
from guardian.config import Settings
from guardian.domain.text import counted
from guardian.errors import GuardianError, PolicyError
from guardian.keys.files import read_secret, read_token
from guardian.policy.cedar import barred
from guardian.policy.files import CASES
from guardian.policy.port import Asker, PolicyRequest
from guardian.policy.reload import ReloadablePolicies
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
        "model": (monitor, model_checked, ()),
        "calibration": (monitor, calibration_checked, ("model",)),
        "policy": (control, _policy, ()),
        "gateways": (monitor, _gateways, ()),
        "source": (monitor, _source, ()),
        "broker": (monitor, broker_checked, ()),
        "group": (monitor, group_checked, ("keys", "database", "broker")),
        "envelopes": (monitor, envelopes_checked, heard),
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


def _alerts(settings: Settings) -> str:
    if settings.logging.level == "error":
        raise Unwell(
            "logging.level is error, and alerts are warnings there: what goes to the log, as does what a channel"
            " refuses, is written nowhere",
            "set logging.level to warning or info",
        )
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
