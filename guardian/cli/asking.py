"""What the commands have in common that ask the control API: whose token, what people name, how answers read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from guardian.cli.common import escape, settings_from
from guardian.config import Settings
from guardian.errors import ConfigurationError
from guardian.wire.client import sound_token
from guardian.wire.evidence import EvidenceClient

TOKEN = "GUARDIAN_TOKEN"  # noqa: S105 - the name of a variable

Tenant = Annotated[str, typer.Argument(help="The tenant.")]
OneOfMany = Annotated[
    str | None, typer.Option("--tenant", help="Whose, where findings of several tenants have this id.")
]
Why = Annotated[str, typer.Option("--reason", help="Why; it is audited and shown to others.")]


@contextmanager
def client(config: Path | None) -> Iterator[EvidenceClient]:
    """A control client with the caller's token."""
    settings = settings_from(config)
    _token(settings)  # without one it is the configuration that is wrong, not control that is away
    with EvidenceClient(settings.control.url, lambda: _token(settings)) as control:
        try:
            yield control
        except ValidationError as error:
            raise ConfigurationError(_in_words(error)) from error


def _in_words(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(map(str, problem["loc"]))
    if name == "reason":
        return '--reason "..." takes 1 to 1000 characters, not only spaces; say why'
    return f"{name}: {problem['msg']}"


def _token(settings: Settings) -> str:
    from guardian.keys.files import read_secret

    if given := os.environ.get(TOKEN):
        return sound_token(given.strip())
    path = settings.resolve(settings.keys.directory) / "admin.token"
    if not path.is_file():
        raise ConfigurationError(f"no token: set {TOKEN}, or put one into {path} (`guardian token issue`)")
    return sound_token(read_secret(path).decode(errors="replace").strip())


def one_line(text: str) -> str:
    return escape(text.replace("\n", " "))
