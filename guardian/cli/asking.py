"""What the commands have in common that ask the control API: whose token, what people name, how answers read."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError

from guardian.cli.common import settings_from
from guardian.config import Settings
from guardian.domain.text import visible
from guardian.errors import ConfigurationError, ControlError
from guardian.wire.approvals import ApprovalView, BreakerView, BreakGlassTaken
from guardian.wire.base import Page
from guardian.wire.calls import sound_token
from guardian.wire.evidence import EvidenceClient
from guardian.wire.policies import PolicyExplanation
from guardian.wire.sessions import ModeView

TOKEN = "GUARDIAN_TOKEN"  # noqa: S105 - the name of a variable
CONTROL = "GUARDIAN_CONTROL__URL"

_MOST = 10_000


def named(value: str | None) -> str | None:
    """What must not be empty, as a variable of the shell is that nobody set. Raises BadParameter."""
    if value is not None and not value.strip():
        raise typer.BadParameter("it is empty and names nothing; give a name, or leave the option out")
    return value


Tenant = Annotated[str, typer.Argument(help="The tenant.", callback=named)]
OnlyTenant = Annotated[str | None, typer.Option("--tenant", help="Only this tenant.", callback=named)]
OneOfMany = Annotated[
    str | None,
    typer.Option("--tenant", help="Whose, where findings of several tenants have this id.", callback=named),
]
ControlOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Configuration file; default $GUARDIAN_CONFIG, else ./guardian.yaml. The token is $GUARDIAN_TOKEN,"
        " else keys/admin.token beside it.",
    ),
]
Why = Annotated[str, typer.Option("--reason", help="Why; it is audited and shown to others.")]
Limit = Annotated[int, typer.Option(min=1, max=_MOST, help="How many at most, the newest first.")]
Listed = TypeVar("Listed")
_AT_ONCE = 200  # of one answer of control


@contextmanager
def client(config: Path | None) -> Iterator[EvidenceClient]:
    """A control client with the caller's token. Where both are in the environment no configuration is needed."""
    instead = f"{CONTROL} and {TOKEN}; whoever runs guardian writes one with `guardian init FOLDER`"
    settings = settings_from(config, required=not os.environ.get(CONTROL), instead=instead)
    _token(settings)  # without one it is the configuration that is wrong, not control that is away
    shown = settings.shown_certificate
    with EvidenceClient(settings.control.url, lambda: _token(settings), certificate=shown) as control:
        try:
            yield control
        except ValidationError as error:
            raise ConfigurationError(_in_words(error)) from error
        except ControlError as error:
            if error.code != "unauthenticated":
                raise
            whose = f"that of {TOKEN}" if os.environ.get(TOKEN) else f"that in {_token_file(settings)}"
            raise ControlError(
                f"{error} ({whose}); `guardian token issue` on control's machine makes another",
                status=error.status,
                code=error.code,
            ) from error


def newest(limit: int, ask: Callable[[int, str | None], Page[Listed]]) -> Page[Listed]:
    """The first `limit` of a list, a page at a time; that there are more is said on standard error."""
    page = ask(min(limit, _AT_ONCE), None)
    while page.next is not None and len(page.items) < limit:
        more = ask(min(limit - len(page.items), _AT_ONCE), page.next)
        page = more.model_copy(update={"items": page.items + more.items})
    if page.next is not None:
        further = "--limit" if len(page.items) < _MOST else "ask for less of them, such as with --tenant"
        typer.echo(f"these are the newest {len(page.items)}; there are more: {further}", err=True)
    return page


def _in_words(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(map(str, problem["loc"]))
    if name == "reason":
        return '--reason "..." takes 1 to 1000 characters, not only spaces; say why'
    return f"{name}: {problem['msg']}"


def _token(settings: Settings) -> str:
    from guardian.keys.files import read_token

    if given := os.environ.get(TOKEN):
        return sound_token(given.strip())
    path = _token_file(settings)
    with suppress(PermissionError):  # of its folder: reading it says so
        if not path.is_file():
            raise ConfigurationError(f"no token: set {TOKEN}, or put one into {path} (`guardian token issue`)")
    try:
        kept = read_token(path, "admin")
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}; or set {TOKEN} to a token of your own") from error
    return sound_token(kept)


def _token_file(settings: Settings) -> Path:
    return settings.resolve(settings.keys.directory) / "admin.token"


def show_unheard(name: str, of: str, *, unheard: bool) -> None:
    """To act ahead is meant; a slip of the pen looks the same."""
    if unheard:
        typer.echo(one_line(f"control had not heard of {name}: no {of} has that name"), err=True)


def show_unheard_session(tenant_id: str, session_id: str, *, unheard: bool) -> None:
    show_unheard(f"{tenant_id}/{session_id}", "finding or envelope", unheard=unheard)


def show_unheard_tenant(view: ModeView | BreakerView | BreakGlassTaken | PolicyExplanation) -> None:
    show_unheard(view.tenant_id, "session, envelope or machine's token", unheard=view.unheard)


def one_line(text: str) -> str:
    return visible(text)


def waits(approval: ApprovalView) -> str:
    """What a second person has to type, and until when."""
    until = approval.expires_at.isoformat(timespec="seconds")
    command = f'guardian approve {approval.id} --reason "why"'
    return one_line(f"{_wish(approval)} waits for a second person (until {until}): {command}")


def _wish(approval: ApprovalView) -> str:
    if approval.session_id is None:
        return f"the change of mode of {approval.tenant_id}"
    return f"the request to {approval.action} {approval.session_id}"
