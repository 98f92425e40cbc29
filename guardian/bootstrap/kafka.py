"""How to talk to the broker, from settings."""

from pathlib import Path
from typing import Any

from guardian.bus.kafka_producer import KafkaProducer
from guardian.bus.kafka_settings import KafkaSettings
from guardian.bus.oauth import ClientCredentials, TokenFile
from guardian.bus.port import Consumer, Producer
from guardian.config import Settings
from guardian.config.intake import OAuthSection

_FILES = ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_crlfile")


def kafka_settings(settings: Settings) -> KafkaSettings:
    """The options as configured, files relative to the configuration; a token provider where one is asked for."""
    section = settings.kafka
    options: dict[str, Any] = dict(section.options)
    for name in _FILES:
        if isinstance(options.get(name), str):
            options[name] = str(settings.resolve(Path(options[name])))
    if section.oauth is not None:
        options = {"sasl_mechanism": "OAUTHBEARER", "security_protocol": "SASL_SSL", **options}
        options["sasl_oauth_token_provider"] = _tokens(settings, section.oauth)
    return KafkaSettings(
        section.bootstrap_servers,
        session_timeout_ms=section.session_timeout_ms,
        heartbeat_interval_ms=section.heartbeat_interval_ms,
        assignor=section.assignor,
        group_instance_id=section.group_instance_id,
        client_options=options,
    )


def _tokens(settings: Settings, section: OAuthSection) -> ClientCredentials | TokenFile:
    if section.token_url is None or section.client_secret is None:
        return TokenFile(settings.resolve(section.token_file or Path()))
    secret = section.client_secret.get_secret_value()
    return ClientCredentials(section.token_url, section.client_id, secret, scope=section.scope)


def producers_of(settings: Settings, consumer: Consumer, of_file: Producer | None) -> dict[str, Producer]:
    """Who takes the dead letters of what is read here, by topic: those of topics go to their broker."""
    topics = [settings.kafka.topic] if of_file is None else []
    topics += [settings.envelopes.topic] if settings.envelopes.topic is not None else []
    found: dict[str, Producer] = dict.fromkeys(topics, KafkaProducer(kafka_settings(settings))) if topics else {}
    if of_file is not None:
        found |= {place.topic: of_file for place in consumer.assignment()}
    return found
