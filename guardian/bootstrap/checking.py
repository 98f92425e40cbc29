"""Does every name in the configuration exist, with options that it takes?"""

from guardian.bootstrap import plugins
from guardian.bootstrap.channels import check_channels
from guardian.bootstrap.judgement import open_signals
from guardian.bootstrap.kafka import kafka_settings
from guardian.bootstrap.policies import close_point, external_point
from guardian.bootstrap.revocation import open_faces
from guardian.bootstrap.slack import people
from guardian.bootstrap.sources import filling_of, open_source, redactor_of
from guardian.bootstrap.tightening import backends
from guardian.config import Settings
from guardian.signals.credential_scanner import CredentialScanner


def check_plugins(settings: Settings) -> None:
    """Construct everything that needs no world around it. Raises ConfigurationError on the first wrong name."""
    kafka_settings(settings)
    open_source(settings)
    filling_of(settings, redactor_of(settings, CredentialScanner(), b""))
    plugins.make("embedding", settings.model.engine, settings.model.options)
    open_signals(settings)
    close_point(external_point(settings))
    open_faces(settings)
    check_channels(settings)
    people(settings)
    backends(settings)
