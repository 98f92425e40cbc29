"""token: issue, list and withdraw them; rotate the key that signs them."""

import math
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from guardian.cli.asking import named
from guardian.cli.common import ConfigOption, JsonOption, escape, print_json, settings_from
from guardian.config import Settings
from guardian.domain.text import counted
from guardian.errors import ConfigurationError
from guardian.wire.principal import ROLES, Role

token_app = typer.Typer(no_args_is_help=True, help="Issue, list and withdraw tokens; rotate the signing key.")


def register(app: typer.Typer) -> None:
    app.add_typer(token_app, name="token")


@token_app.command()
def issue(
    principal: Annotated[str, typer.Argument(help="Who it is for, such as maya or mcp-gw-eu-1.")],
    role: Annotated[Role, typer.Option(metavar="<role>", help=f"What it may do: {', '.join(ROLES)}.")],
    tenant: Annotated[
        list[str],
        typer.Option(metavar="<name>", help="A tenant that it reaches; '*' is every tenant; repeatable."),
    ],
    days: Annotated[float, typer.Option(min=0.001, max=36_500, help="How long it lives.")] = 90.0,
    certificate: Annotated[
        Path | None,
        typer.Option(help="Bind it to this client certificate (PEM); see client_certificates under control."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Issue a bearer token and print it once; it is stored nowhere.

    Example: guardian token issue maya --role responder --tenant tenant_acme --days 7
    """
    from guardian.commands import tokens

    if math.isnan(days):
        raise ConfigurationError("--days nan is no number of days; give one from 0.001 to 36500")
    settings = settings_from(config)
    bound, ends = tokens.client_certificate(certificate) if certificate is not None else (None, None)
    token = tokens.issue(
        settings, principal, role=role, tenants=tenant, ttl=timedelta(days=days), certificate=bound, ends=ends
    )
    typer.echo(token.text)
    expires = token.principal.expires_at
    typer.echo(f"id {token.principal.jti}, expires {expires.isoformat()}", err=True)
    if expires == ends:
        typer.echo("then its certificate is over, and the token with it", err=True)


@token_app.command("list")
def list_(
    principal: Annotated[str | None, typer.Option(help="Only those of this principal.", callback=named)] = None,
    ended: Annotated[
        bool, typer.Option("--ended", help="Also those that are over, or were withdrawn more than a week ago.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="How many at most, the newest; default: all.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List issued tokens that are not over, and those lately withdrawn; the tokens themselves are not kept.

    Each is live, revoked, ended (it expired), or refused (the key that signed it was retired).

    Example: guardian token list --principal maya --ended
    """
    from guardian.commands import tokens

    most = None if limit is None else limit + 1
    rows = tokens.issued(settings_from(config), ended=ended, principal=principal, limit=most)
    if limit is not None and len(rows) > limit:
        rows = rows[1:]
        typer.echo(f"these are the newest {limit}; there are more: --limit", err=True)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    for row in rows:
        state = "revoked" if row.revoked else "ended" if row.ended else "refused" if row.key_retired else "live"
        whose = f"{row.role:<10} {row.principal}  of {', '.join(row.tenants)}"
        bound = "  with its certificate" * bool(row.certificate)
        typer.echo(escape(f"{row.jti}  {state:<8} {whose}  until {row.expires_at}{bound}"))
    others = "issued" if ended else "shown; --ended shows those that are over, too"
    typer.echo(f"{counted(len(rows), 'token')} {others}", err=True)


@token_app.command()
def revoke(
    jti: Annotated[str | None, typer.Argument(help="The token's id.")] = None,
    principal: Annotated[
        str | None, typer.Option(help="Every token of this principal, instead.", callback=named)
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Withdraw a token before its time; control refuses it from the next request on.

    Example: guardian token revoke --principal monitor
    """
    from guardian.commands import tokens

    if (jti is None) == (principal is None):
        raise ConfigurationError("give either a token's id or --principal NAME")
    settings = settings_from(config)
    if principal is not None:
        withdrawn = counted(tokens.revoke_all(settings, principal), "token")
        typer.echo(f"{withdrawn} of {escape(principal)} revoked")
        lists = {"slack.people": {*settings.slack.people}, "console.people": {*settings.console.people}}
        if listed := [name for name, people in lists.items() if principal in people]:
            told = f"{escape(principal)} gets new ones by {' and '.join(listed)}: take the name out there"
            typer.echo(f"{told}, restart control, and do this again", err=True)
    elif jti is not None:
        tokens.revoke(settings, jti)
        typer.echo(f"{escape(jti)} is revoked")


@token_app.command()
def keys(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the signing keys of this host's file: which one signs, and which are retired and believed no more.

    Example: guardian token keys
    """
    from guardian.commands import tokens

    found = tokens.keys(settings_from(config))
    if as_json:
        print_json(found)
    for row in found if not as_json else []:
        states = {"retired": row["retired"], "signs": row["signs"], "signs next": row["prepared"]}
        state = next((name for name, so in states.items() if so), "verifies only")
        typer.echo(f"{row['kid']}  {state}")


@token_app.command()
def retire(
    kid: Annotated[str, typer.Argument(help="The key's id, as `guardian token keys` shows it.")],
    config: ConfigOption = None,
) -> None:
    """Stop believing a signing key: every token it signed is refused at once. Rotate first.

    Example: guardian token retire -- OLD_KID
    """
    from guardian.commands import tokens

    settings = settings_from(config)
    tokens.retire(settings, kid)
    typer.echo(f"key {escape(kid)} is retired: every token that it signed is refused from now on")
    typer.echo(
        "Keep the jwks.json that has it, for older audit checkpoints. Without it `guardian audit verify` believes"
        " none of them until there is a new one: `guardian audit checkpoint`, or wait for control's next",
        err=True,
    )
    _copy(settings)


@token_app.command()
def rotate(
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only publish the next key, for gateways that check signatures.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Sign with a fresh key from now on; tokens in the field stay valid until they expire.

    Gateways with `verify_with` believe a key that is in their file: prepare it, bring them the file, then rotate.

    Example: guardian token rotate --prepare
    """
    from guardian.commands import tokens

    settings = settings_from(config)
    if prepare:
        kid = tokens.prepare(settings)
        typer.echo(f"key {kid} is in /.well-known/jwks.json: bring that to who verifies, then rotate")
        _copy(settings)
        return
    kid, prepared = tokens.rotate(settings)
    typer.echo(f"signing with key {kid}")
    if not prepared:
        typer.echo("gateways with verify_with believe no list until they have the new jwks.json", err=True)
    _copy(settings)


def _copy(settings: Settings) -> None:
    from guardian.bootstrap.secrets import SecretFiles

    path = SecretFiles.of(settings).signing
    typer.echo(f"if another host runs `guardian serve` on this database, copy {path} to it now", err=True)
