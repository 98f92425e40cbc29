"""schema, check-config, purposes."""

import json
from dataclasses import asdict

import typer

from guardian.cli.common import ConfigOption, JsonOption, print_json, settings_from
from guardian.cli.masking import masked


def register(app: typer.Typer) -> None:
    app.command()(schema)
    app.command("check-config")(check_config)
    app.command()(purposes)


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
    from guardian.bootstrap.checking import check_files, check_plugins

    check_plugins(settings)
    check_files(settings)
    shown = masked(settings.model_dump(mode="json"))
    if as_json:
        print_json(shown)
    else:
        import yaml

        typer.echo(yaml.safe_dump(shown, sort_keys=False).rstrip())
        typer.echo("# The configuration is complete and every name in it is known.", err=True)


def purposes(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List what the monitor has learnt of purposes: those that constrain least come first.

    A purpose under which every session does something new constrains nothing; narrow it, or watch it closely.

    Example: guardian purposes -c guardian.yaml
    """
    from guardian.commands.purposes import known_purposes

    found = known_purposes(settings_from(config))
    if as_json:
        print_json([asdict(purpose) for purpose in found])
        return
    from guardian.cli.tables import show_purposes

    show_purposes(found)
