"""feedback: people's verdicts as data."""

import json
from pathlib import Path
from typing import Annotated

import typer

from guardian.cli.asking import OnlyTenant, client
from guardian.cli.common import ConfigOption, other_file
from guardian.domain.text import counted
from guardian.wire.base import listed

feedback_app = typer.Typer(no_args_is_help=True, help="People's verdicts as data.")


def register(app: typer.Typer) -> None:
    app.add_typer(feedback_app, name="feedback")


@feedback_app.command()
def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write; - is standard output.")] = Path(
        "-"
    ),
    tenant: OnlyTenant = None,
    config: ConfigOption = None,
) -> None:
    """Write one JSON line per judged finding: label, drift, purpose, tool, signals, evidence, versions.

    `drift` is 0 or 1; null where the verdict says nothing of what the session did, as one on a careless grant.

    `session_honest` marks sessions in which nothing was confirmed: those may calibrate (`guardian calibrate`).

    Example: guardian feedback export -o feedback.jsonl
    """
    from guardian.bootstrap.output import to_stdout, writer

    other_file(output)
    count, aside = 0, to_stdout(output)
    with client(config) as control, writer(output) as write:
        for row in listed(lambda cursor: control.feedback(tenant_id=tenant, cursor=cursor)):
            told = {"schema": "guardian.feedback/v1", **row.model_dump(mode="json")}
            write(json.dumps(told, ensure_ascii=True, sort_keys=True))
            count += 1
    if not aside:
        typer.echo(f"{counted(count, 'labelled finding')} written to {output}", err=True)
