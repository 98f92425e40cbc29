"""calibrate, evaluate: the drift model given its promise, and judged."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from guardian.cli.common import (
    UNREADABLE,
    ConfigOption,
    JsonOption,
    escape,
    existing_file,
    existing_source,
    other_file,
    print_json,
    progress,
    settings_from,
)
from guardian.domain.text import counted
from guardian.errors import ConfigurationError, GuardianError

LabelsOption = Annotated[
    Path | None,
    typer.Option("--labels", help="What people said, as `guardian labels` prints it."),
]


def register(app: typer.Typer) -> None:
    app.command()(calibrate)
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


def rereadable(path: Path) -> Path:
    """The same path. Raises ConfigurationError for standard input and pipes: what a file holds is looked up before
    it is read."""
    if str(path) == "-" or (os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))):
        raise ConfigurationError(f"{path} can be read only once, and is read more often here: name a file")
    return path


def each_once(files: Iterable[Path]) -> list[Path]:
    """Without what is named a second time: its sessions would count twice."""
    return list({file.resolve(): file for file in files}.values())


def existing_labels(labels: Path | None) -> Path | None:
    """Raises ConfigurationError where there is no such file."""
    return labels and existing_file(rereadable(labels))


def unread_ends(records: int) -> None:
    """Done, without some records of the logs: told, and the exit code says so."""
    if records:
        are = "is" if records == 1 else "are"
        typer.echo(
            f"{counted(records, 'record')} could not be read or believed and {are} not part of it", err=True
        )
        raise typer.Exit(UNREADABLE)


@contextmanager
def labelled_lines() -> Iterator[None]:
    """A file that holds something else than labelled sessions is wrong usage, told in words."""
    try:
        yield
    except GuardianError as error:
        from guardian.evaluation.sessions import SessionFileError

        if not isinstance(error, SessionFileError):
            raise
        raise ConfigurationError(_line_in_words(error)) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            "a file is not UTF-8 text; give labelled session lines, or a .gz of them"
        ) from error


def _line_in_words(error: GuardianError) -> str:
    found = re.match(r"(.+?):(\d+): not a labelled session", str(error), re.DOTALL)
    if found is None:
        return str(error)
    match error.__cause__:
        case json.JSONDecodeError():
            why = "it is not JSON"
        case KeyError() as absent:
            why = f"it has no {absent.args[0]!r}"
        case ValueError() as wrong:
            why = str(wrong)
        case _:
            why = "a field is of another type than it must be"
    return (
        f"{found[1]}: line {found[2]} is not a labelled session: {why};"
        " it takes dataset, session_id, purpose and actions, each with tool, args and label"
        " (benign, drift or unknown)"
    )
