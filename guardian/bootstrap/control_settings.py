"""What the configuration says to control, in control's own terms."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from guardian.bootstrap.advice import advice_rule
from guardian.bootstrap.revocation import switch_rule
from guardian.bootstrap.visiting import visit_rule
from guardian.config import Settings
from guardian.control.authentication.certificates import ClientCertificates
from guardian.control.deps import BreakerRule, ControlSettings
from guardian.domain.envelope import purpose_family
from guardian.domain.text import plain
from guardian.errors import ConfigurationError
from guardian.revocation.expiry import ExpiryRule


def control_settings(settings: Settings, *, port: int | None = None) -> ControlSettings:
    """`port` is where control listens, where that is not as configured."""
    section = settings.control
    try:
        return ControlSettings(
            default_mode=section.default_mode,
            budget_total=section.budget.revocations,
            budget_reserved=section.budget.reserved_for_breaches,
            budget_window=timedelta(seconds=section.budget.window_s),
            expiry=ExpiryRule(
                grace=timedelta(seconds=section.revocation_grace_s),
                maximum=timedelta(days=section.revocation_max_days),
            ),
            protected={tenant: frozenset(names) for tenant, names in section.protected.items()},
            solo=section.solo,
            on_call={tenant: frozenset(people) for tenant, people in section.on_call.items()},
            purpose_owners=_by_family(section.purpose_owners),
            approval_life=timedelta(seconds=section.approvals.ttl_s),
            approvals_waiting=section.approvals.most_waiting,
            exception_days=section.exception_days,
            break_glass_most=timedelta(minutes=section.break_glass.most_minutes),
            breaker=BreakerRule(
                window=timedelta(seconds=section.breaker.window_s),
                least=section.breaker.least,
                factor=section.breaker.factor,
                usual=timedelta(seconds=section.breaker.usual_s),
                cooldown=timedelta(seconds=section.breaker.cooldown_s),
            ),
            client_certificates=_client_certificates(settings),
            public_url=section.public_url,
            event_issuer=_event_issuer(settings),
            switch=switch_rule(settings),
            advice=advice_rule(settings),
            console=visit_rule(settings, port=section.port if port is None else port),
        )
    except ValueError as error:
        raise ConfigurationError(f"control: {error}") from error


def _event_issuer(settings: Settings) -> str | None:
    told = settings.revocation.faces.get("caep", {}).get("issuer")
    return None if told is None else str(told)


def _by_family(owners: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    """Owners by purpose family, by which control finds them. Raises ValueError where two purposes are one by that
    and have other owners."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for purpose, people in owners.items():
        family, named = purpose_family(purpose), frozenset(people)
        other, theirs = found.setdefault(family, (purpose, named))
        if named != theirs:
            raise ValueError(
                f"purpose_owners: {plain(other)!r} and {plain(purpose)!r} are one purpose here, {plain(family)!r} "
                "without numbers and later words in capitals. Give both the same owners, or tell them apart by "
                "words in small letters, in the envelopes too"
            )
    return {family: people for family, (_, people) in found.items()}


def _client_certificates(settings: Settings) -> ClientCertificates | None:
    section = settings.control.client_certificates
    if section.header is None:
        if section.trusted_proxies or section.required_for:
            raise ValueError("client_certificates: give the header that the proxy sets, or nothing at all")
        return None
    return ClientCertificates(
        header=section.header,
        proxies=tuple(section.trusted_proxies),
        required_for=frozenset(section.required_for),
    )
