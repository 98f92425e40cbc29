"""sources, sources try, detect."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardian.cli.common import (
    UNREADABLE,
    ConfigOption,
    JsonOption,
    escape,
    existing_file,
    print_json,
    progress,
    say_if_empty,
    settings_from,
)
from guardian.domain.strict_json import MAX_CALL_BYTES
from guardian.domain.text import counted, plain

if TYPE_CHECKING:
    from guardian.commands.detecting import Line
    from guardian.commands.tally import Tally
    from guardian.config import Settings

sources_app = typer.Typer(help="Log formats that guardian reads, and what each of them carries.")


def register(app: typer.Typer) -> None:
    app.add_typer(sources_app, name="sources")
    app.command()(detect)


@sources_app.callback(invoke_without_command=True)
def sources(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the log formats, what each of them can carry and what is then missing.

    Example: guardian sources --json
    """
    if context.invoked_subcommand is not None:
        return
    from guardian.commands.detecting import list_formats

    formats = list(list_formats())
    if as_json:
        print_json([asdict(each) for each in formats])
        return
    for each in formats:
        typer.echo(f"{each.name}\n    {each.title}")
        typer.echo(f"    carries: {', '.join(each.carries)}")
        typer.echo(f"    never carries: {', '.join(each.missing) or '–'}")
        if each.options:
            typer.echo(f"    source.options: {each.options}")
    typer.echo("auto\n    any of these, told record by record: by the header guardian-format, else by content")


@sources_app.command("try")
def try_(
    mapping: Annotated[Path, typer.Argument(help="A mapping file (YAML); see config/examples/mapping.yaml.")],
    file: Annotated[Path, typer.Argument(help="A log of JSON records; .gz too; - is stdin.")],
    lines: Annotated[int, typer.Option("--lines", min=1, help="How many records to look at.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show line by line what a mapping understands of a log.

    With --json one line per record. Exit code 3 if a line could not be read.

    Example: guardian sources try mapping.yaml gateway.log
    """
    from guardian.commands.detecting import try_mapping

    settings = settings_from(config, required=False)
    refused = seen = 0
    for line in islice(try_mapping(settings, existing_file(mapping), existing_file(file)), lines):
        seen += 1
        refused += bool(line.refusals)
        if as_json:
            events = [event.model_dump(mode="json", by_alias=True, exclude_none=True) for event in line.events]
            print_json({"line": line.line, "events": events, "refused": line.refusals})
        else:
            _show_line(line)
    say_if_empty(file, seen)
    if refused:
        raise typer.Exit(UNREADABLE)


def detect(
    file: Annotated[Path, typer.Argument(help="A log file; .gz too; - is stdin.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which format a log is, what share of it can be read, and what its records do not carry.

    Exit code 3 if some of it could not be read. Example: guardian detect decisions.log.gz
    """
    from guardian.commands.detecting import detect as look

    settings = settings_from(config, required=False)
    with progress("reading", of_bytes=True) as update:
        tallies = look(settings, existing_file(file), update)
    if as_json:
        print_json([tally.as_json() for tally in tallies])
    else:
        _show_tallies(tallies, settings)
    say_if_empty(file, len(tallies))
    if any(tally.refused for tally in tallies):
        raise typer.Exit(UNREADABLE)


_OTHERWISE = {
    "gateway": "or send a header `gateway` with each",
    "tenant": "or grant its gateway exactly one in `gateways`",
}
_READ_BY = "`guardian score` reads them, and `calibrate`, `train` and `evaluate` those with labels"
_NAMED_BY = {
    "gateway": "gateway session id",
    "token": "token",
    "conversation": "conversation id",
    "trace": "trace",
}


def _show_tallies(tallies: "list[Tally]", settings: "Settings") -> None:
    from guardian.commands.detecting import list_formats

    options = {each.name: each.options for each in list_formats()}
    for tally in tallies:
        _show_tally(tally, options.get(tally.format or ""), settings.source.session)
    _show_way(tallies, settings)


def _show_tally(tally: "Tally", options: str | None, session: Sequence[str]) -> None:
    """What its records are; `options` are those of its format in words, `session` is source.session."""
    from guardian.commands.detecting import SESSIONS

    typer.echo(
        f"{tally.format or 'unknown'}: {counted(tally.records, 'record')}, {tally.readable:.1%} readable:"
        f" {counted(tally.decisions, 'decision')}, {tally.skipped:,} that are no tool calls,"
        f" {tally.refused:,} refused"
    )
    if tally.format == SESSIONS:
        typer.echo(f"    whole sessions and no log: {_READ_BY}")
    if tally.callless:
        typer.echo(f"    none of it is a tool call as {tally.format} has them")
    if tally.only_auto:
        limit = f"{MAX_CALL_BYTES // 2**20} MiB"
        why = f"{tally.format} takes one plain object a record, of {limit} at most"
        typer.echo(f"    {tally.only_auto:,} of them with format auto only: {why}")
    for reason, count in tally.reasons.most_common(5):
        typer.echo(f"    {count:,} x {escape(reason)}")
    if not tally.decisions and options:
        typer.echo(f"    where its records are written otherwise, source.options may say how: {options}")
    always = [name for name, count in tally.missing.items() if tally.decisions and count == tally.decisions]
    if always:
        typer.echo(f"    never there: {', '.join(always)}")
    if tally.anothers:
        typer.echo(
            f"    {tally.anothers:,} with the envelope of another tenant, session, agent or user than the gateway"
            " names: it is left out, and their sessions are flagged (envelope_mismatch)"
        )
    if (single := tally.alone) is not None:
        others = ", ".join(name for name in session if name != single.named_by) or "window"
        typer.echo(
            f"    {single.of_one_call:,} of {single.sessions:,} sessions hold one call, named by its"
            f" {_NAMED_BY[single.named_by]}; source.session: [{others}] leaves that name out"
        )


def _show_way(tallies: "list[Tally]", settings: "Settings") -> None:
    """How to have it read: by which configuration, or that it takes a mapping."""
    from guardian.commands.detecting import SESSIONS, grants, section

    known = [tally.format for tally in tallies if tally.format and tally.format != SESSIONS and tally.decisions]
    alone = len(known) == 1 and not any(tally.only_auto for tally in tallies)
    if known:
        wanted = section(settings, tallies, known[0] if alone else "auto")
        typer.echo(f"\nTo read it, in guardian.yaml:\n\n{wanted}")
        for name, otherwise in _OTHERWISE.items():
            if any(tally.missing[name] for tally in tallies):
                typer.echo(f"  {name}: {name.upper()}  # not every record says it; {otherwise}")
        typer.echo(grants(tallies))
    elif tallies and (way := tallies[0].way):
        typer.echo(f"\n{way}")
    elif any(tally.callless or any(map(_is_unknown, tally.reasons)) for tally in tallies):
        typer.echo(
            "\nIf it is a format of your own: say where its records have what in a mapping, such as"
            " config/examples/mapping.yaml,\nand look what that understands: guardian sources try MAPPING FILE"
        )


def _is_unknown(reason: str) -> bool:
    return reason.startswith("unknown_format")


def _show_line(line: "Line") -> None:
    if not line.events and not line.refusals:
        typer.echo(f"{line.line}: no tool call")
    for event in line.events:
        envelope = event.envelope
        said = {
            "tool": event.action.tool,
            "decision": event.decision.effect,
            "session": envelope.session_id,
            "agent": envelope.agent_id,
            "user": envelope.delegator_id,
            "purpose": envelope.purpose or None,
            "arguments": ", ".join(event.action.arguments) if event.action.arguments is not None else None,
        }
        told = "  ".join(f"{name}={plain(str(value))}" for name, value in said.items() if value is not None)
        typer.echo(f"{line.line}: {told}")
        typer.echo(f"    missing: {', '.join(event.features_missing) or 'nothing'}")
    for reason in line.refusals:
        typer.echo(f"{line.line}: refused: {escape(reason)}")
