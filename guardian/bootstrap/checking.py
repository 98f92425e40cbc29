"""Does every name in the configuration exist, with options that it takes?"""

from guardian.bootstrap import plugins
from guardian.bootstrap.sources import filling_of, open_source, redactor_of
from guardian.config import Settings
from guardian.errors import ConfigurationError
from guardian.signals.credential_exposure import CredentialScanner


def check_plugins(settings: Settings) -> None:
    """Construct everything that needs no world around it. Raises ConfigurationError on the first wrong name."""
    open_source(settings)
    filling_of(settings, redactor_of(settings, CredentialScanner(), b""))
    plugins.make("embedding", settings.model.engine, settings.model.options)
    for name, options in settings.signals.items():
        plugins.make("signals", name, options)
    known = plugins.names("alerting")
    for name in settings.alerts:
        if name not in known:
            raise ConfigurationError(f"unknown alerts channel {name!r}; known ones: {', '.join(known)}")
    known = plugins.names("tightening")
    for name in settings.tightening.backends:
        if name not in known:
            raise ConfigurationError(f"unknown tightening.backends {name!r}; known ones: {', '.join(known)}")
    if settings.policy.language not in plugins.names("policy"):
        listed = ", ".join(plugins.names("policy"))
        raise ConfigurationError(f"unknown policy.language {settings.policy.language!r}; known ones: {listed}")
