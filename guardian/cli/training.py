"""train: a drift model of one's own."""

import os
import shlex
import shutil
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from guardian.cli.common import ConfigOption, existing_source, progress, settings_from
from guardian.cli.measuring import (
    LabelsOption,
    each_once,
    existing_labels,
    labelled_lines,
    rereadable,
    unread_ends,
)
from guardian.config import Settings
from guardian.domain.text import counted
from guardian.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    app.command()(train)


def train(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Labelled session lines (.gz too), logs, or an archive's folder; two data sets or more."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the new model.")],
    labels: LabelsOption = None,
    seed: Annotated[int, typer.Option(help="Varies what is drawn by chance: pairs, their order.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Gradient steps of each encoder, on sessions.")] = 2_400,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    pair_base: Annotated[
        Path | None,
        typer.Option(
            "--pair-base",
            exists=True,
            help="What the pair encoder starts from: a model's directory, or a wheel with a BERT as int8 ONNX"
            " (default: the packaged all-MiniLM-L6-v2).",
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Train the drift model; needs the `train` extra (torch, sentence-transformers), uses a GPU when there is one.

    Leaves a model that is calibrated on what its fold encoders had not seen, and a card that says how it did.
    Of a log, what nobody labelled is taken for honest; of an archive, what nobody labelled or flagged. A tenant is
    a data set of its own; one that is alone is held out against written work, which is built in. Arguments of an
    archive are learnt as it keeps them (archive.arguments in the configuration), those of a log in clear. With
    --resume logs and archives are learnt from as they were when the training began; what it read of them is
    removed when it is finished.
    Exit code 3 if some records of a log could not be read.

    Example: guardian train sets/*.jsonl.gz log.jsonl.gz --labels labels.txt -o my-model
    """
    settings = settings_from(config, required=False)
    known = each_once(existing_source(rereadable(f)) for f in files)
    labelled = existing_labels(labels)
    if output.exists() and not output.is_dir():
        raise ConfigurationError(f"{output} is a file; name a folder for the model")

    from guardian.bootstrap.plugins import extras_named
    from guardian.commands.labelling import training_files  # seconds, which wrong usage need not take
    from guardian.evaluation.labels import read_labels

    with extras_named("guardian train"):
        from guardian.training.recipe import train as fit
        from guardian.training.stages import begun, goes_on_with

    said = read_labels(labelled)
    unread: list[int] = []
    work = output / ".work"
    logs = work / _logs(known)
    there, given = logs.exists(), list[Path]()
    with progress("training") as update, labelled_lines():
        goes_on = begun(work, resume=resume)
        try:
            given, learnt = training_files(settings, known, said, logs, begun=goes_on)
            if learnt:
                told = f"{counted(learnt, 'session')} of logs and archives among what is learnt from"
                typer.echo(told + ", as they and their labels were when it began" * goes_on, err=True)
            fit(given, output, seed=seed, steps=steps, resume=resume, pair=pair_base, progress=update)
            promise = _promise_of(settings, known, output, update, labelled, unread.append)
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            if stopped:
                typer.echo(f"{output}: not finished; the same command with --resume goes on", err=True)
            reads = goes_on_with(work, given, stopped=stopped) if given else there
            if not (reads or (there and begun(work, resume=False))):
                shutil.rmtree(logs, ignore_errors=True)  # in clear, and nothing goes on with it
            raise
        for left in work.glob("logs-*"):
            shutil.rmtree(left, ignore_errors=True)
    base, folder = settings.base.resolve(), output.resolve()
    path = folder.relative_to(base) if folder.is_relative_to(base) else folder
    named = [] if config is None else ["-c", str(config)]
    command = ["guardian", "calibrate", "LOG", *named, "-o", str(output / "calibration.json")]
    typer.echo(
        f"{output}: trained, {promise}\n"
        f"Next: `model: {{path: {path}}}` in {config or 'guardian.yaml'}, and with it, on your own traffic:\n"
        f"{shlex.join(command)}"
    )
    unread_ends(sum(unread))


def _logs(files: Iterable[Path]) -> str:
    """A folder's name for what is read of logs and archives: a training goes on with those of its own command."""
    places = b"\0".join(os.fsencode(file.absolute()) for file in files)
    return f"logs-{sha256(places).hexdigest()[:16]}"


def _promise_of(
    settings: Settings,
    files: list[Path],
    model: Path,
    update: Callable[..., None],
    labels: Path | None,
    on_unread: Callable[[int], None],
) -> str:
    from guardian.commands.calibrating import calibrate_trained

    try:
        made = calibrate_trained(
            settings,
            files,
            model,
            lambda done, total: update(done, total, "calibrating"),
            labels=labels,
            on_unread=on_unread,
        )
    except ConfigurationError as error:
        return f"not calibrated: {error}."
    return (
        f"calibrated on {counted(len(made.evidence.values), 'honest session')} that its encoders had not seen:"
        f" promises reach 1 in {made.reach:,}."
    )
