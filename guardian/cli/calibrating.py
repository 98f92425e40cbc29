"""calibrate: the drift model given its promise."""

from pathlib import Path
from typing import Annotated

import typer

from guardian.cli.common import (
    ConfigOption,
    JsonOption,
    existing_file,
    other_file,
    print_json,
    progress,
    settings_from,
)
from guardian.cli.measuring import (
    LabelsOption,
    each_once,
    existing_labels,
    labelled_lines,
    rereadable,
    unread_ends,
)
from guardian.domain.text import counted
from guardian.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    app.command()(calibrate)


def calibrate(
    files: Annotated[
        list[Path], typer.Argument(help="Your log (source.format), or labelled session lines; .gz too.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write; - is standard output.")] = Path(
        "calibration.json"
    ),
    seed: Annotated[int, typer.Option(help="Splits the purposes into two halves.")] = 0,
    out_of_fold: Annotated[
        Path | None,
        typer.Option("--out-of-fold", help="Folds of a training (OUT/.work/folds): score what each has not seen."),
    ] = None,
    labels: LabelsOption = None,
    max_per_purpose: Annotated[
        int, typer.Option("--max-per-purpose", min=1, help="Sessions that one purpose may contribute.")
    ] = 20,
    max_share: Annotated[
        float,
        typer.Option("--max-share", min=0.01, max=1.0, help="Share that one agent or one tenant may contribute."),
    ] = 0.5,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Re-fit the false-alarm promise from your own traffic.

    Sessions with a confirmed drift are left out; flagged ones are not, or the honest tail would be cut. Those
    that the calibration in use flags and nobody judged are named: judge them before you use the new one. No
    purpose can fill the yardstick by flooding it, and no agent or tenant where the log names three or more. What
    baselines know of a purpose's past is no part of it. Exit code 3 if some records could not be read, or came
    from a gateway that `gateways` does not entitle; where it lists none, any is believed.

    Example: guardian calibrate march.jsonl.gz --labels labels.txt   (then: model.calibration: calibration.json)
    """
    settings = settings_from(config, required=False)
    if archive := next((f for f in files if (f / "events").is_dir()), None):
        raise ConfigurationError(
            f"{archive} is an archive: it keeps no envelopes to hold rules against; calibrate on the log itself"
        )
    other_file(output, *(existing_file(rereadable(f)) for f in files))
    labelled = existing_labels(labels)

    from guardian.commands.calibrating import Unjudged, calibration_in_use, list_beside_model
    from guardian.commands.calibrating import calibrate as fit  # seconds, which wrong usage need not take
    from guardian.commands.output import to_stdout, writer
    from guardian.scoring.calibration import ASSUMPTIONS

    in_use, unread = calibration_in_use(settings), list[int]()
    unjudged = Unjudged(settings.response.flag_one_in)
    aside = to_stdout(output)  # then the summary is not there
    with writer(output) as write, progress("calibrating") as update, labelled_lines():
        made = fit(
            settings,
            each_once(files),
            update,
            seed=seed,
            folds=out_of_fold,
            labels=labelled,
            max_per_purpose=max_per_purpose,
            max_share=max_share,
            on_unread=unread.append,
            unjudged=unjudged,
        )
        write(made.to_json())
    if not aside:
        list_beside_model(output)
    summary = {
        "actions": len(made.actions.values),
        "sessions": len(made.evidence.values),
        "promised_up_to_one_in": made.reach,
        "promised_up_to_calls": made.calls,
        "unjudged": unjudged.to_json(),
        "assumptions": ASSUMPTIONS,
        "file": str(output),
    }
    if as_json and not aside:
        print_json(summary)
    else:
        typer.echo(
            f"{output}: {counted(len(made.actions.values), 'honest action')},"
            f" {counted(len(made.evidence.values), 'honest session')}.\n"
            f"Promises reach 1 in {made.reach:,}, in sessions of up to {counted(made.calls, 'call')}; beyond that"
            " figures are estimated.\n"
            f"{ASSUMPTIONS}",
            err=aside,
        )
    if warning := unjudged.warning():
        typer.echo(warning, err=True)
    if in_use is not None and made.reach < in_use.reach:
        typer.echo(
            f"The calibration in use promises up to 1 in {in_use.reach:,}: by fewer sessions more is only"
            " estimated."
            "\nA longer log of more purposes gives more; of one purpose --max-per-purpose sessions count at most.",
            err=True,
        )
    unread_ends(sum(unread))
