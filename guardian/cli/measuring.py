"""train, calibrate, evaluate, bench."""

from pathlib import Path
from typing import Annotated

import typer

from guardian.cli.common import ConfigOption, JsonOption, existing_file, print_json, progress, settings_from


def register(app: typer.Typer) -> None:
    app.command()(calibrate)


def calibrate(
    files: Annotated[list[Path], typer.Argument(help="Session lines of honest work; .gz too.")],
    output: Annotated[Path, typer.Option("--output", "-o")] = Path("calibration.json"),
    seed: Annotated[int, typer.Option(help="Splits the purposes into two halves.")] = 0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Re-fit the false-alarm promise from your own traffic.

    Sessions with a confirmed drift are left out; flagged ones are not, or the honest tail would be cut.

    Example: guardian calibrate march.jsonl.gz -o calibration.json   (then: model.calibration: calibration.json)
    """
    from guardian.bootstrap.modelling import calibrate as fit

    settings = settings_from(config, required=False)
    with progress("calibrating") as update:
        made = fit(settings, [existing_file(f) for f in files], update, seed=seed)
    output.write_text(made.to_json() + "\n", encoding="utf-8")
    summary = {
        "actions": len(made.actions.values),
        "sessions": len(made.evidence.values),
        "promised_up_to_one_in": (len(made.evidence.values) + 1) // 2,
        "file": str(output),
    }
    if as_json:
        print_json(summary)
    else:
        typer.echo(
            f"{output}: {summary['actions']} honest actions, {summary['sessions']} honest sessions.\n"
            f"Promises reach 1 in {summary['promised_up_to_one_in']:,}; beyond that figures are estimated.\n"
            "Both assume that sessions are exchangeable with these."
        )
