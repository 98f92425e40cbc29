"""The people whom the configuration lists: who is which principal, and by what others know them."""

from collections.abc import Iterable

from guardian.config import Settings
from guardian.config.console import ConsolePerson
from guardian.config.control import SlackPerson
from guardian.errors import ConfigurationError
from guardian.wire.principal import Person

Listed = SlackPerson | ConsolePerson


def by_id_and_email(
    section: str, listed: Iterable[tuple[str, Listed, str | None]], *, id_setting: str
) -> tuple[dict[str, Person], dict[str, Person]]:
    """Of each the principal's name, what the configuration says, and the id. Raises ConfigurationError.

    Only ASCII letters are the same in both cases: beyond them, two addresses would fold into one.
    """
    by_id: dict[str, Person] = {}
    by_email: dict[str, Person] = {}
    for name, told, told_id in listed:
        if told.email is not None and not told.email.isascii():
            raise ConfigurationError(
                f"{section}.{name}: an e-mail address has ASCII letters only; use {id_setting}"
            )
        person = Person(principal=name, role=told.role, tenants=frozenset(told.tenants))
        for key, known in ((told_id, by_id), (told.email and told.email.lower(), by_email)):
            if key is not None and key in known:
                raise ConfigurationError(f"{section}.{name}: {key} is {known[key].principal} already")
            if key is not None:
                known[key] = person
    return by_id, by_email


def check_certificate(settings: Settings, person: str, role: str, way: str) -> None:
    """Raises ConfigurationError where control wants a certificate of this role, which this way in cannot show."""
    if role in settings.control.client_certificates.required_for:
        raise ConfigurationError(
            f"{person}: control.client_certificates wants a certificate with every {role}'s token, which {way}"
            " cannot have"
        )
