"""train, calibrate, evaluate, bench: every figure that we quote is one of these commands."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from guardian.errors import ConfigurationError, GuardianError

if TYPE_CHECKING:
    from guardian.bench.report import Row

bench_app = typer.Typer(no_args_is_help=True, help="Measure: each bench prints its figures beside a baseline.")


def register(app: typer.Typer) -> None:
    app.command()(train)
    app.command()(calibrate)
    app.command()(evaluate)
    app.add_typer(bench_app, name="bench")


def train(
    files: Annotated[list[Path], typer.Argument(help="Labelled session lines, two data sets or more; .gz too.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the new model.")],
    seed: Annotated[int, typer.Option()] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Gradient steps of each encoder.")] = 400,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
) -> None:
    """Train the drift model; needs the `train` extra (torch, sentence-transformers), uses a GPU when there is one.

    Example: guardian train sets/*.jsonl.gz -o my-model   (then calibrate, and set model.path: my-model)
    """
    from guardian.training import train as fit

    output.mkdir(parents=True, exist_ok=True)
    with progress("training") as update, _labelled_lines():
        fit(
            [existing_file(f) for f in files],
            output,
            seed=seed,
            steps=steps,
            resume=resume,
            progress=lambda done, total, _note: update(done, total),
        )
    typer.echo(f"{output}: trained. Next: guardian calibrate HONEST_SESSIONS -o {output}/calibration.json")


def evaluate(
    files: Annotated[list[Path], typer.Argument(help="Labelled session lines; .gz too.")],
    variants: Annotated[
        bool, typer.Option("--variants", help="Also under stuffing, mimicry, padding, ...")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge the drift model on labelled sessions, beside cosine and lexical overlap, with bootstrap intervals.

    Example: guardian evaluate labelled.jsonl.gz --json
    """
    from guardian.bootstrap.modelling import evaluate_files

    settings = settings_from(config, required=False)
    with progress("evaluating") as update, _labelled_lines():
        report = evaluate_files(
            settings,
            [existing_file(f) for f in files],
            lambda done, total, _name: update(done, total),
            variants=variants,
        )
    if as_json:
        print_json(report.to_json())
    else:
        for line in report.lines():
            typer.echo(line)


def calibrate(
    files: Annotated[list[Path], typer.Argument(help="Session lines of honest work; .gz too.")],
    output: Annotated[Path, typer.Option("--output", "-o")] = Path("calibration.json"),
    seed: Annotated[int, typer.Option(help="Splits the purposes into two halves.")] = 0,
    out_of_fold: Annotated[
        Path | None,
        typer.Option("--out-of-fold", help="Folds of a training (OUT/.work/folds): score what each has not seen."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Re-fit the false-alarm promise from your own traffic.

    Sessions with a confirmed drift are left out; flagged ones are not, or the honest tail would be cut.

    Example: guardian calibrate march.jsonl.gz -o calibration.json   (then: model.calibration: calibration.json)
    """
    from guardian.bootstrap.modelling import calibrate as fit

    settings = settings_from(config, required=False)
    other_file(output, *(existing_file(f) for f in files))
    with progress("calibrating") as update, _labelled_lines():
        made = fit(settings, files, update, seed=seed, folds=out_of_fold)
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


@bench_app.command()
def scenario(
    seeds: Annotated[int, typer.Option(min=1)] = 20,
    first_seed: Annotated[int, typer.Option()] = 1000,
    sessions: Annotated[int, typer.Option(min=1, help="Honest sessions per seed.")] = 100,
    each: Annotated[int, typer.Option(min=1, help="Planted sessions of every kind per seed.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """The demo's scenario over many seeds: what is caught of each kind, and how many honest are accused."""
    from guardian.bench import scenario as bench

    with progress("scenario") as update:
        rows = bench.run(
            seeds=range(first_seed, first_seed + seeds), sessions=sessions, each=each, progress=update
        )
    _show("scenario", rows, as_json)


@bench_app.command()
def replay(
    sessions: Annotated[int, typer.Option(min=60)] = 600,
    seed: Annotated[int, typer.Option()] = 1,
    as_json: JsonOption = False,
) -> None:
    """Decisions a second through the whole monitor, cold and warm, and its memory."""
    from guardian.bench import replay as bench

    with progress("replay") as update:
        rows = bench.run(sessions=sessions, seed=seed, progress=update)
    _show("replay", rows, as_json)


@bench_app.command()
def e2e(
    revocations: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    seed: Annotated[int, typer.Option()] = 1,
    as_json: JsonOption = False,
) -> None:
    """Milliseconds from a decision on the topic to the gateway's refusal, on a real broker."""
    from guardian.bench import e2e as bench

    with progress("e2e") as update:
        rows = bench.run(revocations=revocations, seed=seed, progress=update)
    _show("e2e", rows, as_json)


@bench_app.command()
def tightening(
    seeds: Annotated[int, typer.Option(min=1, help="Estates to mine.")] = 10,
    first_seed: Annotated[int, typer.Option()] = 5000,
    events: Annotated[int, typer.Option(min=0, help="Decisions to replay once; 0: none.")] = 1_000_000,
    as_json: JsonOption = False,
) -> None:
    """Mine estates whose needs are known: what is taken, what it costs in the next month, beside two baselines."""
    from guardian.bench import tightening as bench

    with progress("tightening") as update:
        rows = bench.run(seeds=range(first_seed, first_seed + seeds), events=events, progress=update)
    _show("tightening", rows, as_json)


@bench_app.command()
def scoring(
    pairs: Annotated[int, typer.Option(min=64)] = 640,
    seed: Annotated[int, typer.Option()] = 1,
    as_json: JsonOption = False,
) -> None:
    """The drift model alone: pairs a second, cold and cached, beside torch where it is installed."""
    from guardian.bench import scoring as bench

    with progress("scoring") as update:
        rows = bench.run(pairs=pairs, seed=seed, progress=update)
    _show("scoring", rows, as_json)


@contextmanager
def _labelled_lines() -> Iterator[None]:
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
        " see `guardian score --help` for session lines, here each action has a label too"
    )


def _show(name: str, rows: "Sequence[Row]", as_json: bool) -> None:
    from guardian.bench.report import report

    if as_json:
        print_json(report(name, rows))
        return
    for row in rows:
        value = (
            "not measured"
            if row.value is None
            else f"{row.value:,.3g}"
            if row.value < 100
            else f"{row.value:,.0f}"
        )
        base = "" if row.baseline is None else f"   (baseline {row.baseline:,.3g})"
        typer.echo(f"{row.name:<48} {value:>10} {row.unit}, n={row.n}{base}")
