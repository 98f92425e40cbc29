"""The evidence pages: whether there are any, who may sign in, and what they show besides."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from guardian.config.base import PersonName, Seconds, Section, TenantOrEvery, Word
from guardian.wire.principal import PersonRole

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]


class OidcSection(Section):
    """An OpenID Connect provider. The secret is best given as GUARDIAN_CONSOLE__OIDC__CLIENT_SECRET."""

    issuer: Url
    client_id: Word
    client_secret: SecretStr | None = None  # None: a public client, which PKCE alone protects
    scopes: list[str] = Field(default_factory=lambda: ["openid", "email"])
    name: str = "your organisation"  # what the button says
    ca_file: Path | None = None  # of the provider's certificate, where it is none that machines know
    timeout_s: Seconds = 5.0


class ConsolePerson(Section):
    """Who may sign in, as which principal: by the provider's own id of them, or by a verified e-mail address."""

    role: PersonRole
    tenants: Annotated[list[TenantOrEvery], Field(min_length=1)]
    sub: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")] | None = None

    @model_validator(mode="after")
    def _can_be_told(self) -> Self:
        if (self.sub is None) == (self.email is None):
            raise ValueError("give one of sub (the provider's id of the person) and email")
        return self


class ConsoleSection(Section):
    enabled: bool = False
    idle_s: Seconds = 1_800.0  # a sign-in that rests so long is over
    life_s: Seconds = 28_800.0  # and so is one that is so old, or whose token is
    link_s: Seconds = 300.0  # how long a one-time link of `guardian link` waits to be opened
    proposals: Path | None = None  # a folder of folders that `guardian propose --out` wrote
    oidc: OidcSection | None = None
    people: dict[PersonName, ConsolePerson] = Field(
        default_factory=dict
    )  # principal -> who that is at the provider

    @model_validator(mode="after")
    def _somebody_can_come(self) -> Self:
        if self.oidc is not None and not self.people:
            raise ValueError("oidc: nobody could sign in; list who may under people")
        if self.people and self.oidc is None:
            raise ValueError("people: they sign in at an identity provider; configure oidc")
        return self
