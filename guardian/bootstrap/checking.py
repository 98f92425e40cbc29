"""Does every name in the configuration exist, with options that it takes, and every file that it names?"""

from pathlib import Path

from guardian.bootstrap import plugins
from guardian.bootstrap.backends import backends
from guardian.bootstrap.channels import check_channels
from guardian.bootstrap.control_settings import control_settings
from guardian.bootstrap.judgement import open_signals
from guardian.bootstrap.kafka import kafka_settings
from guardian.bootstrap.policies import CEDAR, close_point, external_point
from guardian.bootstrap.revocation import open_faces
from guardian.bootstrap.slack import check_slack
from guardian.bootstrap.sources import filling_of, open_source, redactor_of
from guardian.config import Settings
from guardian.errors import ConfigurationError
from guardian.signals.credentials.scanner import CredentialScanner
from guardian.store.engine import check_url


def check_plugins(settings: Settings) -> None:
    """Construct everything that needs no world around it. Raises ConfigurationError on the first thing wrong."""
    kafka_settings(settings)
    open_source(settings)
    filling_of(settings, redactor_of(settings, CredentialScanner(), b""))
    plugins.make("embedding", settings.model.engine, settings.model.options)
    open_signals(settings)
    close_point(external_point(settings))
    open_faces(settings)
    check_channels(settings)
    check_slack(settings)
    backends(settings)
    if control_settings(settings).console is not None:
        from guardian.bootstrap.console import check_identity  # only the pages need what this imports

        check_identity(settings)
    for name, url in (("monitor", settings.store.monitor), ("control", settings.store.control)):
        try:
            check_url(url)
        except ConfigurationError as error:
            raise ConfigurationError(f"store.{name}: {str(error).removeprefix('store: ')}") from error


def check_files(settings: Settings) -> None:
    """Raises ConfigurationError for the first file or folder of model and policy that is not there."""
    policy, model = settings.policy, settings.model
    decides_here = policy.language == CEDAR or policy.floor
    named = {
        "policy.path": (policy.path if decides_here else None, Path.is_dir, "folder"),
        "model.path": (model.path, Path.is_dir, "folder"),
        "model.calibration": (model.calibration, Path.is_file, "file"),
    }
    for name, (path, there, kind) in named.items():
        if path is not None and not there(settings.resolve(path)):
            raise ConfigurationError(
                f"{name}: there is no {kind} {settings.resolve(path)}; without {name} the shipped one counts"
            )
