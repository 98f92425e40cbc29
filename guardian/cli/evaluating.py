"""evaluate: the drift model judged."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from guardian.cli.common import (
    ConfigOption,
    JsonOption,
    escape,
    existing_source,
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
from guardian.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    app.command()(evaluate)


def evaluate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Labelled session lines, logs with --labels, or an archive's folder; .gz too."),
    ] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(
            "--benchmark",
            help="Also a built set: agentdojo, german, look_ups, on_the_way, open_ended, own_object, reach,"
            " toolboxes, unnamed (extras).",
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="<signal>", help="Also without this signal; repeatable."),
    ] = None,
    exchanged: Annotated[
        bool,
        typer.Option("--exchanged", help="Also honest calls on an object that the purpose does not name."),
    ] = False,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also drift in disguise: stuffed, split, reworded, ...")
    ] = False,
    explanations: Annotated[
        bool, typer.Option("--explanations", help="Also whether the arguments that guardian names matter.")
    ] = False,
    left_out: Annotated[
        bool, typer.Option("--left-out", help="Also calibrate without each data set in turn.")
    ] = False,
    out_of_fold: Annotated[
        Path | None,
        typer.Option(
            "--out-of-fold", help="Folds of a training (OUT/.work/folds): judge by what each has not seen."
        ),
    ] = None,
    labels: LabelsOption = None,
    one_in: Annotated[
        list[float] | None,
        typer.Option(
            "--one-in", metavar="<N>", min=1, max=1_000_000_000_000, help="Count flags at 1 in N; repeatable."
        ),
    ] = None,
    plots: Annotated[
        Path | None, typer.Option("--plots", metavar="<folder>", help="Draw ROC, calibration and delay as PNG.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge the monitor on labelled sessions, beside cosine and lexical overlap, with bootstrap intervals.

    Prints separation, false alarms promised and measured, the delay of detection and what a single act shows.

    A labelled session is one line of JSON: {"dataset": "crm", "session_id": "s1", "purpose": "...", "actions":
    [{"tool": "crm.read", "args": {...}, "label": "benign"}, {"tool": "mail.send", "label": "drift"}]};
    "conf": "low" beside a label leaves that action out. Exit code 3 if some records of a log could not be
    read, or came from a gateway that `gateways` does not entitle; where it lists none, any is believed.

    Example: guardian evaluate labelled.jsonl.gz --without chain_exposure --robustness --plots figures
    """
    settings = settings_from(config, required=False)
    known = each_once(existing_source(rereadable(f)) for f in files or ())
    labelled = existing_labels(labels)
    if plots is not None:
        _make_ready(plots)

    from guardian.commands.evaluating import Wanted, evaluate_files  # seconds, which wrong usage need not take

    wanted = Wanted(
        benchmark=benchmark,
        without=tuple(without or ()),
        exchanged=exchanged,
        robustness=robustness,
        explanations=explanations,
        left_out=left_out,
        folds=out_of_fold,
        labels=labelled,
        one_in=tuple(one_in or ()),
    )
    unread: list[int] = []
    with progress("evaluating") as update, labelled_lines():
        found = evaluate_files(
            settings,
            known,
            update,
            wanted,
            on_unread=unread.append,
        )
    if as_json:
        print_json(found.to_json())
    else:
        for line in found.lines():
            typer.echo(escape(line))
    if plots is not None:
        from guardian.evaluation.plots import draw

        for path in draw(found, plots):
            typer.echo(f"{path}: drawn", err=True)
    unread_ends(sum(unread))


def _make_ready(plots: Path) -> None:
    """The folder is made. Raises ConfigurationError where nothing could be drawn there."""
    if find_spec("matplotlib") is None:
        raise ConfigurationError("--plots needs matplotlib: pip install 'intent-guardian[plots]'")
    try:
        plots.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ConfigurationError(f"{plots} is a file; name a folder for the plots") from error
    except OSError as error:
        raise ConfigurationError(f"cannot make the folder {plots}: {error.strerror}") from error
