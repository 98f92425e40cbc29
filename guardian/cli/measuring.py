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

LabelsOption = Annotated[
    Path | None,
    typer.Option("--labels", help="What people said, as `guardian labels` prints it."),
]
bench_app = typer.Typer(no_args_is_help=True, help="Measure: each bench prints its figures beside a baseline.")


def register(app: typer.Typer) -> None:
    app.command()(train)
    app.command()(calibrate)
    app.command()(evaluate)
    app.add_typer(bench_app, name="bench")


def train(
    files: Annotated[
        list[Path],
        typer.Argument(help="Labelled session lines, or logs; two data sets or more; .gz too."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the new model.")],
    labels: LabelsOption = None,
    seed: Annotated[int, typer.Option()] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Gradient steps of each encoder.")] = 600,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    config: ConfigOption = None,
) -> None:
    """Train the drift model; needs the `train` extra (torch, sentence-transformers), uses a GPU when there is one.

    Of a log, what nobody labelled is taken for honest; each tenant is a data set of its own.

    Example: guardian train sets/*.jsonl.gz log.jsonl.gz --labels labels.txt -o my-model   (then calibrate it)
    """
    from guardian.bootstrap.labelling import training_files
    from guardian.evaluation.labels import read_labels
    from guardian.training import train as fit

    settings = settings_from(config, required=False)
    said = read_labels(existing_file(labels) if labels is not None else None)
    output.mkdir(parents=True, exist_ok=True)
    with progress("training") as update, _labelled_lines():
        known = [existing_file(f) for f in files]
        given, learnt = training_files(settings, known, said, output / ".work" / "logs")
        if learnt:
            typer.echo(f"{learnt:,} sessions of logs among what is learnt from", err=True)
        fit(
            given,
            output,
            seed=seed,
            steps=steps,
            resume=resume,
            progress=lambda done, total, _note: update(done, total),
        )
    typer.echo(f"{output}: trained. Next: guardian calibrate HONEST_SESSIONS -o {output}/calibration.json")


def evaluate(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Labelled session lines, or logs with --labels; .gz too.")
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option("--benchmark", help="Build a public set instead: agentdojo (an extra).")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="SIGNAL", help="Also without a signal; repeatable.")
    ] = None,
    robustness: Annotated[bool, typer.Option("--robustness", help="Also stuffed, split, reworded ...")] = False,
    explanations: Annotated[bool, typer.Option("--explanations", help="Do named arguments matter?")] = False,
    left_out: Annotated[bool, typer.Option("--left-out", help="Also calibrated without each set.")] = False,
    out_of_fold: Annotated[
        Path | None,
        typer.Option("--out-of-fold", help="With --left-out: folds of a training (OUT/.work/folds)."),
    ] = None,
    labels: LabelsOption = None,
    one_in: Annotated[
        list[float] | None, typer.Option("--one-in", min=1, help="Count flags at 1 in N; repeatable.")
    ] = None,
    plots: Annotated[
        Path | None, typer.Option("--plots", metavar="FOLDER", help="Draw ROC, calibration and delay as PNG.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge the monitor on labelled sessions, beside cosine and lexical overlap, with bootstrap intervals.

    Prints separation, false alarms promised and measured, the delay of detection and what a single act shows.

    Example: guardian evaluate labelled.jsonl.gz --without chain_exposure --robustness --plots figures
    """
    from guardian.bootstrap.modelling import Wanted, evaluate_files

    settings = settings_from(config, required=False)
    if plots is not None and plots.exists() and not plots.is_dir():
        raise ConfigurationError(f"{plots} is a file; name a folder for the plots")
    if out_of_fold is not None and not left_out:
        raise ConfigurationError("--out-of-fold goes with --left-out")
    wanted = Wanted(
        benchmark=benchmark,
        without=tuple(without or ()),
        robustness=robustness,
        explanations=explanations,
        left_out=left_out,
        folds=out_of_fold,
        labels=existing_file(labels) if labels is not None else None,
        one_in=tuple(one_in or ()),
    )
    with progress("evaluating") as update, _labelled_lines():
        found = evaluate_files(
            settings,
            [existing_file(f) for f in files or ()],
            lambda done, total, _name: update(done, total),
            wanted,
        )
    if plots is not None:
        from guardian.evaluation.plots import draw

        for path in draw(found, plots):
            typer.echo(f"{path}: drawn", err=True)
    if as_json:
        print_json(found.to_json())
    else:
        for line in found.lines():
            typer.echo(line)


def calibrate(
    files: Annotated[
        list[Path], typer.Argument(help="Your log (guardian.decision/v1 lines), or session lines; .gz too.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o")] = Path("calibration.json"),
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

    Sessions with a confirmed drift are left out; flagged ones are not, or the honest tail would be cut. No
    purpose, agent or tenant can fill the yardstick by flooding it.

    Example: guardian calibrate march.jsonl.gz --labels labels.txt   (then: model.calibration: calibration.json)
    """
    from guardian.bootstrap.modelling import calibrate as fit
    from guardian.scoring.calibration import ASSUMPTIONS

    settings = settings_from(config, required=False)
    other_file(output, *(existing_file(f) for f in files))
    with progress("calibrating") as update, _labelled_lines():
        made = fit(
            settings,
            files,
            update,
            seed=seed,
            folds=out_of_fold,
            labels=existing_file(labels) if labels is not None else None,
            max_per_purpose=max_per_purpose,
            max_share=max_share,
        )
    output.write_text(made.to_json() + "\n", encoding="utf-8")
    summary = {
        "actions": len(made.actions.values),
        "sessions": len(made.evidence.values),
        "promised_up_to_one_in": made.reach,
        "assumptions": ASSUMPTIONS,
        "file": str(output),
    }
    if as_json:
        print_json(summary)
    else:
        typer.echo(
            f"{output}: {summary['actions']} honest actions, {summary['sessions']} honest sessions.\n"
            f"Promises reach 1 in {summary['promised_up_to_one_in']:,}; beyond that figures are estimated.\n"
            f"{ASSUMPTIONS}"
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
def start(
    times: Annotated[int, typer.Option(min=1, max=50)] = 5,
    seed: Annotated[int, typer.Option()] = 1,
    as_json: JsonOption = False,
) -> None:
    """Seconds and memory of a monitor from its first instruction to its first verdicts, beside importing torch."""
    from guardian.bench import start as bench

    with progress("start") as update:
        rows = bench.run(times=times, seed=seed, progress=update)
    _show("start", rows, as_json)


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


@bench_app.command()
def policy(
    requests: Annotated[int, typer.Option(min=20, help="Questions to ask.")] = 5000,
    seed: Annotated[int, typer.Option()] = 1,
    as_json: JsonOption = False,
) -> None:
    """Decisions a second and their p99 with the shipped policies, in process, and what a reload costs."""
    from guardian.bench import policy as bench

    with progress("policy") as update:
        rows = bench.run(requests=requests, seed=seed, progress=update)
    _show("policy", rows, as_json)


@bench_app.command()
def audit(
    entries: Annotated[int, typer.Option(min=1, help="Length of the trail.")] = 1_000_000,
    seed: Annotated[int, typer.Option()] = 1,
    as_json: JsonOption = False,
) -> None:
    """Entries of the audit trail verified a second, and what a checkpoint costs."""
    from guardian.bench import audit as bench

    with progress("audit") as update:
        rows = bench.run(entries=entries, seed=seed, progress=update)
    _show("audit", rows, as_json)


@bench_app.command()
def revocation(
    live: Annotated[int, typer.Option(min=0, help="Revocations on the list beforehand.")] = 100_000,
    gateways: Annotated[str, typer.Option(help="Numbers of gateways, with commas.")] = "1,10,100",
    revocations: Annotated[int, typer.Option(min=1, help="For each number of gateways.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Milliseconds from a finding to the gateways' refusal by face, beside 30-second polling; look-ups, memory."""
    from guardian.bench import revocation as bench

    try:
        counts = tuple(int(each) for each in gateways.split(","))
    except ValueError as error:
        raise ConfigurationError("--gateways takes numbers with commas, such as 1,10,100") from error
    with progress("revocation") as update:
        rows = bench.run(live=live, gateways=counts, revocations=revocations, progress=update)
    _show("revocation", rows, as_json)


@bench_app.command()
def advise(
    calls: Annotated[int, typer.Option(min=1, max=10_000)] = 200,
    as_json: JsonOption = False,
) -> None:
    """Milliseconds that a gateway waits for advice before the act, cold and warm."""
    from guardian.bench import advise as bench

    with progress("advise") as update:
        rows = bench.run(calls=calls, progress=update)
    _show("advise", rows, as_json)


@bench_app.command()
def sources(
    records: Annotated[int, typer.Option(min=100, help="Records of each format.")] = 100_000,
    seed: Annotated[int, typer.Option()] = 1,
    as_json: JsonOption = False,
) -> None:
    """Records a second that each log format decodes, beside merely parsing their JSON."""
    from guardian.bench import sources as bench

    with progress("sources") as update:
        rows = bench.run(records=records, seed=seed, progress=update)
    _show("sources", rows, as_json)


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
