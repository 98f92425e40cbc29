"""The evidence pages put together, in front of the control API that they speak to."""

import ssl
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from guardian.archive.timelines import ArchivedTimelines
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.judgement import calibration_version, model_directory, open_calibration
from guardian.bootstrap.people import by_id_and_email
from guardian.bootstrap.secrets import SecretFiles
from guardian.config import Settings
from guardian.console.app import ASGIApp, create_console, in_front
from guardian.console.in_process import InProcess
from guardian.console.oidc import Client, OpenIdProvider
from guardian.console.ports import ConsoleParts, Thresholds
from guardian.control.authentication.visiting import Visits
from guardian.control.deps import ControlDeps
from guardian.domain.urls import is_private
from guardian.embedding.artefact import read_about
from guardian.errors import ConfigurationError, ModelError
from guardian.wire.deadline import BoundedClient
from guardian.wire.evidence import EvidenceClient
from guardian.wire.principal import Person
from guardian.wire.visits import Visit

_INSIDE = "http://control.in-process"
_BROWSERS_WAIT = timedelta(minutes=10)


def with_console(
    settings: Settings, deps: ControlDeps, control: ASGIApp, identity: OpenIdProvider | None
) -> ASGIApp:
    """The control API with the pages before it, where they are enabled; else the API as it is."""
    rule = deps.settings.console
    if rule is None:
        return control
    inside, archive = InProcess(control), settings.archive.path
    parts = ConsoleParts(
        url=rule.url,
        visits=Visits(deps, rule),
        api=lambda visit: _as_visitor(visit, inside),
        clock=deps.clock,
        stopwatch=time.perf_counter,
        metrics=deps.metrics,
        thresholds=Thresholds(settings.response.flag_one_in, settings.response.revoke_one_in),
        exception_days=deps.settings.exception_days,
        timelines=None if archive is None else ArchivedTimelines(settings.resolve(archive)),
        identity=identity,
        proposals=None if settings.console.proposals is None else settings.resolve(settings.console.proposals),
        model=model_facts(settings),
    )
    return in_front(parts, create_console(parts), control)


def open_identity(settings: Settings, url: str) -> OpenIdProvider | None:
    """The configured OpenID Connect provider. Nothing is asked of it before somebody signs in."""
    section = settings.console.oidc
    if section is None:
        return None
    check_identity(settings)
    secret = section.client_secret
    return OpenIdProvider(
        Client(
            issuer=section.issuer,
            client_id=section.client_id,
            client_secret=None if secret is None else secret.get_secret_value(),
            scopes=tuple(section.scopes),
            come_back=f"{url}/sign-in/callback",
        ),
        name=section.name,
        person=_mapping(settings),
        http=BoundedClient(
            timeout=section.timeout_s,
            ca=None if section.ca_file is None else settings.resolve(section.ca_file),
            follow_redirects=False,
        ),
        sealing=SecretFiles.of(settings).load_console_seal(_BROWSERS_WAIT),
        clock=utc_now,
    )


def check_identity(settings: Settings) -> None:
    """Raises ConfigurationError for a provider that nobody could sign in by."""
    section = settings.console.oidc
    if section is None:
        return
    if not is_private(section.issuer):
        raise ConfigurationError("console.oidc.issuer: an identity provider speaks https")
    if "openid" not in section.scopes:
        raise ConfigurationError("console.oidc.scopes: without openid the provider tells nobody's name")
    if section.ca_file is not None:
        _check_ca(settings.resolve(section.ca_file))
    _mapping(settings)


def _check_ca(ca: Path) -> None:
    try:
        ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"console.oidc.ca_file: {ca} holds no certificates in PEM that can be read ({type(error).__name__});"
            " name the file with those of the provider's CA"
        ) from error


def model_facts(settings: Settings) -> Mapping[str, str]:
    """What the model's card says in a line each; why not, where the model is not here."""
    try:
        (version, about), calibration = read_about(model_directory(settings)), open_calibration(settings)
    except (ModelError, OSError) as error:
        return {"Model": f"not at hand here: {error}"}
    facts = {
        "Model": f"{version}, from {about.get('base', 'an encoder of your own')}",
        "Engine": settings.model.engine,
        "Calibration": f"{calibration_version(calibration)}, {len(calibration.evidence.values):,} honest sessions",
        "Calibrated on": calibration.source,
    }
    found = about.get("metrics", {}).get("agentdojo_static", {}).get("action", {})
    if found:
        facts["On foreign ground"] = f"AUC {found['auc']['value']} on AgentDojo, single actions, zero-shot"
    return facts


def _mapping(settings: Settings) -> Any:
    """From claims to a person: by the provider's id, or by an address that the provider has verified."""
    listed = ((name, told, told.sub) for name, told in settings.console.people.items())
    by_sub, by_email = by_id_and_email("console.people", listed, id_setting="sub")

    def person_of(claims: Mapping[str, Any]) -> Person | None:
        found = by_sub.get(str(claims.get("sub")))
        email = str(claims.get("email"))
        if found is None and claims.get("email_verified") is True and email.isascii():
            found = by_email.get(email.lower())
        return found

    return person_of


def _as_visitor(visit: Visit, inside: InProcess) -> EvidenceClient:
    return EvidenceClient(_INSIDE, lambda: visit.token, transport=inside)
