"""archive: history into it, what lies there, and putting it in order."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from guardian.cli.common import (
    UNREADABLE,
    ConfigOption,
    JsonOption,
    escape,
    existing_file,
    hint_format,
    print_json,
    progress,
    say_if_empty,
    settings_from,
)
from guardian.domain.text import counted

archive_app = typer.Typer(
    no_args_is_help=True,
    help="Every decision with its verdict, as Parquet by day and tenant.\n\n"
    "Where `archive.path` is set the monitor fills it; DuckDB, Spark or Trino read it as it lies.",
)


def register(app: typer.Typer) -> None:
    app.add_typer(archive_app, name="archive")


@archive_app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="A log in source.format (.gz too; - is stdin), or kafka.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Back-fill history: judge a log, or all that the topic still has, and archive it.

    Nothing is sent anywhere and no session changes. Doing it again adds nothing that is counted twice; what
    guardian judged live more than a day late lies under the day it came, and may count again. Signatures of
    envelopes are not checked: old keys may be gone. Meanwhile 0.3 kB of each decision lie in the folder for
    temporary files: a million takes 0.3 GB. TMPDIR names another one.

    Example: guardian archive import decisions-2025.jsonl.gz -c guardian-home/guardian.yaml
    """
    from guardian.commands.archiving import import_history, open_history
    from guardian.commands.offline import PlainLines

    settings = settings_from(config)
    if source == "kafka":
        where = f"topic {settings.kafka.topic!r} at {settings.kafka.bootstrap_servers}"
        typer.echo(f"Reading what {where} holds now; joining it may take half a minute.", err=True)
    else:
        existing_file(Path(source))
    history = open_history(settings, source)
    with progress("importing", of_bytes=source != "kafka") as update:
        try:
            outcome = import_history(settings, history, update)
        except KeyboardInterrupt:
            typer.echo("What was archived so far stays; the same command again counts nothing twice", err=True)
            raise
    if as_json:
        refusals = [asdict(each) for each in outcome.refusals.values()]
        told = {"decisions": outcome.decisions, "refused": outcome.refused, "duplicates": outcome.duplicates}
        print_json({**told, "refusals": refusals})
    else:
        typer.echo(
            f"{counted(outcome.decisions, 'decision')} archived, {outcome.duplicates:,} came twice, "
            f"{outcome.refused:,} could not be read or believed"
        )
        for each in outcome.refusals.values():
            of_topic = f"{each.topic}[{each.partition}] at {each.offset}"
            place = of_topic if source == "kafka" else f"line {each.offset + 1}"
            typer.echo(
                escape(f"{counted(each.count, 'time')} {each.code}, first in {place}: {each.reason}"), err=True
            )
    if isinstance(history, PlainLines):
        say_if_empty(Path(source), history.held)
        refused = {code: each.count for code, each in outcome.refusals.items()}
        hint_format(settings, Path(source), decisions=outcome.decisions, refused=refused)
    if outcome.too_old:
        days, (are, go) = (
            counted(outcome.too_old, "day"),
            ("is", "goes") if outcome.too_old == 1 else ("are", "go"),
        )
        older = f"{days} {are} older than archive.keep_days ({settings.archive.keep_days})"
        typer.echo(f"{older} and {go} when the archive is tidied next; keep more, and import again", err=True)
    if outcome.refused:
        raise typer.Exit(UNREADABLE)


@archive_app.command()
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """What lies in the archive, and how to read it.

    Example: guardian archive status --json
    """
    from guardian.bootstrap.archiving import open_archive
    from guardian.commands.archiving import archive_counts

    archive = open_archive(settings_from(config))
    counts = archive_counts(archive)
    if as_json:
        print_json({"path": str(archive.root), **counts})
        return
    typer.echo(
        f"{archive.root}: {counted(counts['rows'], 'row')} in {counted(counts['files'], 'file')}, "
        f"{counted(counts['days'], 'day')}, {counted(counts['tenants'], 'tenant')}, "
        f"{counts['bytes'] / 1e6:,.1f} MB; {counted(counts['labels'], 'label')} by people"
    )
    files = f"'{archive.root}/events/*/*/*.parquet', union_by_name=true"  # columns only ever grow
    query = f'FROM read_parquet({files}) SELECT tenant_id, min("at"), max("at") GROUP BY tenant_id'
    typer.echo(f'Any lake engine reads it, such as DuckDB ("at" takes quotes there): {query}')


@archive_app.command()
def adopt(config: ConfigOption = None) -> None:
    """Make the folder at `archive.path` the archive of the monitor's database, as after the old one was lost.

    Until then nothing is written into another folder than before: it may only be one that is not mounted.

    Example: guardian archive adopt
    """
    from guardian.commands.archiving import adopt_archive

    root = adopt_archive(settings_from(config))
    typer.echo(f"{root} is this database's archive from now on; every monitor of it needs it as archive.path")


@archive_app.command()
def compact(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Merge small files, forget days beyond `archive.keep_days`; the monitor does it hourly.

    Example: guardian archive compact
    """
    from guardian.commands.archiving import tidy_archive

    settings = settings_from(config)
    with progress("tidying") as update:
        done = tidy_archive(settings, update)
    if as_json:
        print_json({"merged": done.merged, "into": done.into, "forgotten": done.forgotten})
    else:
        forgotten = counted(done.forgotten, "old one")
        typer.echo(f"{counted(done.merged, 'file')} merged into {done.into:,}; {forgotten} forgotten")
