"""schema, check-config."""

import json

import typer

from guardian.cli.common import ConfigOption, JsonOption, settings_from
from guardian.cli.masking import masked


def register(app: typer.Typer) -> None:
    app.command()(schema)
    app.command("check-config")(check_config)


def schema() -> None:
    """Print the JSON Schema of guardian.decision/v1, the log format that guardian reads.

    Example: guardian schema > decision.schema.json
    """
    from guardian.domain.event import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


def check_config(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Read the configuration completely and print what is in force; secrets are masked.

    Example: guardian check-config -c guardian.yaml
    """
    settings = settings_from(config)
    from guardian.bootstrap.checking import check_plugins

    check_plugins(settings)
    shown = masked(settings.model_dump(mode="json"))
    if as_json:
        typer.echo(json.dumps(shown))
    else:
        import yaml

        typer.echo(yaml.safe_dump(shown, sort_keys=False).rstrip())
        typer.echo("# The configuration is complete and every name in it is known.", err=True)
