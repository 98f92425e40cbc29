"""audit verify, export, checkpoint, show, prove, check-proof: the trail of every control decision."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from guardian.cli.asking import named
from guardian.cli.common import (
    FAULT,
    ConfigOption,
    JsonOption,
    as_json_line,
    escape,
    existing_file,
    other_file,
    print_json,
    progress,
    settings_from,
)
from guardian.cli.windows import moment_of
from guardian.domain.text import counted, visible
from guardian.errors import ConfigurationError

_Files = list[Path] | None

audit_app = typer.Typer(no_args_is_help=True, help="The audit trail: verify, export, sign and show it.")


def register(app: typer.Typer) -> None:
    app.add_typer(audit_app, name="audit")


def _files(option: str, about: str) -> Any:
    return typer.Option(option, metavar="<file>", help=f"{about}; repeatable.")


@audit_app.command()
def verify(
    checkpoint: Annotated[
        _Files, _files("--checkpoint", "A file of exported checkpoints to hold the trail against")
    ] = None,
    keys: Annotated[_Files, _files("--keys", "JWK set to believe instead of the deployment's own keys")] = None,
    restored: Annotated[
        list[int] | None,
        typer.Option(
            "--restored",
            metavar="<epoch>",
            help="An epoch that began with a restore which you know of: what that lost is no fault; repeatable.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find any edit, removal, reorder, truncation or rewrite of the trail, and name the first bad entry.

    Exit code 1 if anything is wrong. The configured audit.checkpoint_file is compared too (that it is gone is
    wrong, unless --checkpoint names a copy), and store.epoch_file, where it can be read.

    Example: guardian audit verify --checkpoint /mnt/elsewhere/checkpoints.txt
    """
    from guardian.commands import auditing

    settings = settings_from(config)
    files = [existing_file(path) for path in checkpoint or []]
    began = time.perf_counter()
    with progress("verifying") as update:
        believed = [existing_file(path) for path in keys or []]
        report = auditing.verify(settings, files, believed, restored or [], update)
    took = time.perf_counter() - began
    if as_json:
        print_json({**report.to_json(), "seconds": round(took, 3)})
    else:
        for fault in report.faults:
            more = f" (and {fault.more} more like it)" if fault.more else ""
            typer.echo(visible(f"BAD  {fault.kind}: {fault.says}{more}"))
        if report.ok:
            hold = "holds" if report.entries == 1 else "hold"
            typer.echo(f"{_entries(report.entries)} {hold}, root {report.root.hex()}")
            typer.echo(f"{report.stored} stored and {report.given} exported checkpoints agree")
            if later := report.entries - report.covered:
                typer.echo(f"the last {_entries(later)} {'is' if later == 1 else 'are'} under no checkpoint yet")
        if report.lost:
            typer.echo(f"{report.lost} more {'is' if report.lost == 1 else 'are'} of what a known restore lost")
        if report.superseded:
            were = "was" if report.superseded == 1 else "were"
            typer.echo(f"{report.superseded} more {were} signed with keys that are not known here (any more)")
        if report.first_bad is not None:
            typer.echo(f"first bad entry: {report.first_bad}")
    rate = f", {report.entries / took:,.0f} entries/s" if took else ""
    typer.echo(f"{_entries(report.entries)} in {took:.1f} s{rate}", err=True)
    if (unread := auditing.unread_epoch_file(settings)) is not None:
        typer.echo(
            escape(f"Not compared: what control remembers in {unread}, which cannot be read here"), err=True
        )
    if not report.given:
        typer.echo(
            "No exported checkpoint agreed: whoever has the database can rewrite all that is in it. Give one with"
            " --checkpoint FILE",
            err=True,
        )
    if not report.ok:
        raise typer.Exit(FAULT)


@audit_app.command()
def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; - is stdout.")] = Path("-"),
    after: Annotated[int, typer.Option(min=0, help="Only entries with a larger number.")] = 0,
    config: ConfigOption = None,
) -> None:
    """Write the entries as JSON lines: seq, hash, record. All but printable ASCII is escaped.

    Example: guardian audit export -o trail.jsonl --after 1200
    """
    from guardian.commands import auditing
    from guardian.commands.output import writer

    settings = settings_from(config)
    count = 0
    with writer(other_file(output), private=True) as write:
        for entry in auditing.export(settings, after):
            write(as_json_line(entry))
            count += 1
    typer.echo(_entries(count), err=True)


@audit_app.command()
def checkpoint(config: ConfigOption = None) -> None:
    """Sign the trail as it is now, keep the checkpoint and print it; the last one where nothing is new.

    Example: guardian audit checkpoint >> /mnt/elsewhere/checkpoints.txt
    """
    from guardian.commands import auditing

    note = auditing.checkpoint(settings_from(config))
    if note is None:
        raise ConfigurationError("the audit trail is empty: there is nothing to sign yet")
    typer.echo(note)


@audit_app.command()
def show(
    last: Annotated[int, typer.Option("--last", min=1, max=10_000, help="How many.")] = 20,
    actor: Annotated[str | None, typer.Option(help="Only what this principal did.", callback=named)] = None,
    tenant: Annotated[str | None, typer.Option(help="Only what concerns this tenant.", callback=named)] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this action, such as reinstate.", callback=named)
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only from this time on, ISO 8601; UTC without a zone.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only before this time.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest entries, the newest last.

    Example: guardian audit show --last 50

    Example: guardian audit show --actor maya --since 2026-05-12
    """
    from guardian.cli.tables import plain, show_rows
    from guardian.commands import auditing

    entries = auditing.newest(
        settings_from(config),
        last,
        actor=actor,
        tenant_id=tenant,
        action=action,
        since=moment_of(since),
        until=moment_of(until),
    )
    if as_json:
        print_json(entries)
        return
    headings = ("entry", "at", "actor", "action", "tenant / session", "allowed", "policies", "result")
    rows = [tuple(plain(cell) for cell in _cells(entry)) for entry in entries]
    show_rows(headings, rows, whole={"entry", "tenant / session"}, empty="No entries.")


@audit_app.command()
def prove(
    entry: Annotated[int, typer.Argument(help="The entry's number.")],
    since: Annotated[
        int | None, typer.Option("--since", help="Prove too that the checkpoint of this size was extended.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Print the proof (RFC 9162) that an entry is under the newest checkpoint, as JSON for any verifier.

    Example: guardian audit prove 1204 --since 1000
    """
    from guardian.commands import auditing

    print_json(auditing.proof(settings_from(config), entry, since))


@audit_app.command("check-proof")
def check_proof(
    file: Annotated[Path, typer.Argument(help="What `guardian audit prove` printed; - is stdin.")],
    checkpoint: Annotated[
        _Files, _files("--checkpoint", "A file with the earlier checkpoint (prove's --since)")
    ] = None,
    keys: Annotated[_Files, _files("--keys", "JWK set to believe; then no configuration is needed")] = None,
    config: ConfigOption = None,
) -> None:
    """Check a proof: the entry, its path to the checkpoint, the signature; the trail itself is not needed.

    Exit code 1 if it does not hold.

    Example: guardian audit check-proof proof.json --keys guardian.jwks.json --checkpoint checkpoints.txt
    """
    from guardian.commands import auditing

    piped = str(file) == "-"
    text = sys.stdin.buffer.read() if piped else existing_file(file).read_bytes()
    name = "standard input" if piped else str(file)
    settings = None if keys else settings_from(config)
    earlier = [existing_file(path) for path in checkpoint or []]
    believed = [existing_file(path) for path in keys or []]
    made, extends = auditing.check_proof(settings, text, earlier, believed, name=name)
    signed = made.checkpoint
    under = f"the checkpoint of {_entries(signed.size)}, {signed.origin}"
    typer.echo(escape(f"entry {made.entry} holds: it is under {under}"))
    if extends:
        typer.echo(f"that checkpoint extends the one of {_entries(made.since or 0)}")
    elif made.since is not None:
        typer.echo(
            f"Not checked: that it extends the checkpoint of {_entries(made.since)}; give that one"
            " with --checkpoint FILE",
            err=True,
        )


def _entries(number: int) -> str:
    return counted(number, "entry", "entries")


def _cells(entry: Mapping[str, object]) -> tuple[str, ...]:
    record = entry.get("record")
    said = record if isinstance(record, dict) else {"action": "(damaged)"}

    def text(name: str) -> str:
        value = said.get(name)
        return "" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)[:200]

    place = " / ".join(filter(None, (text("tenant_id"), text("session_id"))))
    answer = said.get("allowed")
    allowed = ("yes" if answer else "no") if isinstance(answer, bool) else ""
    who = (text("at"), text("actor"), text("action"))
    return (str(entry["seq"]), *who, place, allowed, text("policy_ids"), text("result"))
