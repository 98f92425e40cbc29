"""bench: every figure that we quote is printed by one of these commands."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from guardian.cli.common import JsonOption, print_json, progress
from guardian.errors import ConfigurationError
from guardian.telemetry import configure_logging

if TYPE_CHECKING:
    from guardian.bench.report import Row

Seed = Annotated[int, typer.Option(help="Varies what is measured on.")]
FirstSeed = Annotated[int, typer.Option(help="The lowest seed; the others follow it.")]

bench_app = typer.Typer(
    no_args_is_help=True,
    help="Measure: each bench prints its figures beside a baseline. Example: guardian bench scoring --json",
)


def register(app: typer.Typer) -> None:
    app.add_typer(bench_app, name="bench")


@bench_app.callback()
def _figures_alone() -> None:
    """What is found and revoked meanwhile is the bench's own doing: nobody is alerted."""
    configure_logging(level="error", json=False, libraries="CRITICAL")


@bench_app.command()
def scenario(
    seeds: Annotated[int, typer.Option(min=1, help="Days to play, each with a seed of its own.")] = 20,
    first_seed: FirstSeed = 1000,
    sessions: Annotated[int, typer.Option(min=1, help="Honest sessions per seed.")] = 100,
    each: Annotated[int, typer.Option(min=1, help="Planted sessions of every kind per seed.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """The demo's scenario over many seeds: what is caught of each kind, and how many honest are accused."""
    from guardian.bench import scenario as bench

    _measure(
        "scenario",
        partial(bench.run, seeds=range(first_seed, first_seed + seeds), sessions=sessions, each=each),
        as_json,
    )


@bench_app.command()
def start(
    times: Annotated[int, typer.Option(min=1, max=50, help="How often it is started.")] = 5,
    rows: Annotated[int, typer.Option(min=100, help="Decisions that it writes to the archive at once.")] = 50_000,
    seed: Seed = 1,
    as_json: JsonOption = False,
) -> None:
    """Seconds and memory of a monitor to its first verdicts, beside importing torch, and its memory at work."""
    from guardian.bench import start as bench

    _measure("start", partial(bench.run, times=times, rows=rows, seed=seed), as_json)


@bench_app.command()
def replay(
    sessions: Annotated[int, typer.Option(min=60, help="Honest sessions of the log.")] = 600,
    seed: Seed = 1,
    as_json: JsonOption = False,
) -> None:
    """Decisions a second from a file to the store, cold and warm, and the memory that takes."""
    from guardian.bench import replay as bench

    _measure("replay", partial(bench.run, sessions=sessions, seed=seed), as_json)


@bench_app.command()
def e2e(
    revocations: Annotated[int, typer.Option(min=1, max=1000, help="Sessions to revoke, one by one.")] = 100,
    seed: Seed = 1,
    as_json: JsonOption = False,
) -> None:
    """Milliseconds from a decision on the topic to the gateway's refusal, on a real broker."""
    from guardian.bench import e2e as bench

    _measure("e2e", partial(bench.run, revocations=revocations, seed=seed), as_json)


@bench_app.command()
def tightening(
    seeds: Annotated[int, typer.Option(min=1, help="Estates to mine.")] = 10,
    first_seed: FirstSeed = 5000,
    events: Annotated[int, typer.Option(min=0, help="Decisions to replay once; 0: none.")] = 1_000_000,
    rare: Annotated[
        int, typer.Option(min=0, help="Tools that 1 or 2 % of sessions need, in one team of five.")
    ] = 12,
    as_json: JsonOption = False,
) -> None:
    """Mine estates whose needs are known: what is taken, what it costs in the next month, beside two baselines."""
    from guardian.bench import tightening as bench

    mined = range(first_seed, first_seed + seeds)
    _measure("tightening", partial(bench.run, seeds=mined, events=events, rare=rare), as_json)


@bench_app.command()
def scoring(
    pairs: Annotated[int, typer.Option(min=64, help="Different pairs to score.")] = 640,
    seed: Seed = 1,
    as_json: JsonOption = False,
) -> None:
    """The drift model alone: pairs a second, cold and cached, beside torch where it is installed."""
    from guardian.bench import scoring as bench

    _measure("scoring", partial(bench.run, pairs=pairs, seed=seed), as_json)


@bench_app.command()
def policy(
    requests: Annotated[int, typer.Option(min=20, help="Questions to ask.")] = 5000,
    seed: Seed = 1,
    as_json: JsonOption = False,
) -> None:
    """Decisions a second and their p99 with the shipped policies, in process, and what a reload costs."""
    from guardian.bench import policy as bench

    _measure("policy", partial(bench.run, requests=requests, seed=seed), as_json)


@bench_app.command()
def audit(
    entries: Annotated[int, typer.Option(min=1, help="Length of the trail.")] = 1_000_000,
    seed: Seed = 1,
    as_json: JsonOption = False,
) -> None:
    """Entries of the audit trail verified a second, and what a checkpoint costs."""
    from guardian.bench import audit as bench

    _measure("audit", partial(bench.run, entries=entries, seed=seed), as_json)


@bench_app.command()
def revocation(
    live: Annotated[int, typer.Option(min=0, help="Revocations on the list beforehand.")] = 100_000,
    gateways: Annotated[str, typer.Option(help="Numbers of gateways, with commas.")] = "1,10,100",
    revocations: Annotated[int, typer.Option(min=1, help="For each number of gateways.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Milliseconds from a finding to the gateways' refusal by face, beside 30-second polling; look-ups, memory."""
    from guardian.bench import revocation as bench

    if not re.fullmatch(r"[1-9]\d{0,3}(,[1-9]\d{0,3})*", gateways):
        raise ConfigurationError("--gateways takes numbers from 1 to 9999 with commas, such as 1,10,100")
    counts = tuple(map(int, gateways.split(",")))
    _measure("revocation", partial(bench.run, live=live, gateways=counts, revocations=revocations), as_json)


@bench_app.command()
def advise(
    calls: Annotated[int, typer.Option(min=1, max=10_000, help="Calls of each kind to ask about.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """Milliseconds that a gateway waits for advice before the act, cold and warm."""
    from guardian.bench import advise as bench

    _measure("advise", partial(bench.run, calls=calls), as_json)


@bench_app.command()
def console(
    actions: Annotated[int, typer.Option(min=1, help="Of the session that is looked at.")] = 5000,
    rows: Annotated[int, typer.Option(min=1000, help="Decisions in the archive, about.")] = 600_000,
    times: Annotated[int, typer.Option(min=1, help="How often each page is asked for.")] = 30,
    as_json: JsonOption = False,
) -> None:
    """Milliseconds to a page of a long session in a large archive, beside the JSON API's answer about it."""
    from guardian.bench import console as bench

    _measure("console", partial(bench.run, actions=actions, rows=rows, times=times), as_json)


@bench_app.command()
def sources(
    records: Annotated[int, typer.Option(min=100, help="Records of each format.")] = 100_000,
    seed: Seed = 1,
    as_json: JsonOption = False,
) -> None:
    """Records a second that each log format decodes, beside merely parsing their JSON."""
    from guardian.bench import sources as bench

    _measure("sources", partial(bench.run, records=records, seed=seed), as_json)


def _measure(name: str, run: "Callable[..., Sequence[Row]]", as_json: bool) -> None:
    from guardian.bench.report import report

    with progress(name) as update:
        rows = run(progress=update)
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
