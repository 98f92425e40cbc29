"""notebooks: what happened, why, and where to look next, for analysts."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from guardian.cli.common import progress


def register(app: typer.Typer) -> None:
    app.command()(notebooks)


def notebooks(
    folder: Annotated[Path, typer.Argument(help="Where to copy them; made if it is not there.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite notebooks that lie there already.")] = False,
    sample: Annotated[
        bool, typer.Option("--sample", help="Make the sample data now, not when the first notebook runs.")
    ] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only copy; do not open Jupyter.")] = False,
) -> None:
    """Copy the analysts' notebooks to a folder of your choice, and open Jupyter where it is installed.

    They run on sample data; for your own set GUARDIAN_ARCHIVE to the archive's folder, GUARDIAN_TENANT to see one
    tenant only, GUARDIAN_TOKEN to ask control as well. Edit the copies at will.

    Example: guardian notebooks hunting --no-open
    """
    from guardian.commands.notebooks import INSTALL, copy_notebooks, jupyter, lacking, open_jupyter

    copied = copy_notebooks(folder, force=force)
    typer.echo(f"{folder}: {len({path.stem for path in copied})} notebooks, each as .ipynb and .py")
    if sample:
        from guardian.demo.sample import sample as make

        with progress("making the sample") as update:
            typer.echo(f"{make(update=update)}: sample data of six weeks")
    if missing := lacking():
        typer.echo(f"To run them, {', '.join(missing)} must be installed: {INSTALL}")
        return
    command = jupyter()
    if command is None and no_open:
        typer.echo(f"Open them in {shlex.quote(str(folder))} with Jupyter, or an editor that can")
    elif command is None:
        typer.echo("Jupyter is not installed here: pip install jupyterlab, or open them in an editor that can")
    elif no_open:
        typer.echo(f"Open them: cd {shlex.quote(str(folder))} && {shlex.join(command)}")
    else:
        open_jupyter(command, folder)
