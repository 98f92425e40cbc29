"""`guardian init`: a folder with a commented configuration, fresh keys and the first tokens; shadow mode on."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from guardian.bootstrap.control_store import open_control_store
from guardian.bootstrap.resources import resource
from guardian.bootstrap.secrets import SecretFiles
from guardian.commands import tokens
from guardian.config import load
from guardian.disk import write_atomically
from guardian.errors import ConfigurationError
from guardian.keys.files import write_secret
from guardian.wire.principal import EVERY_TENANT, Role

ADMIN_TOKEN = "admin.token"  # noqa: S105 - a file name
GATEWAY_TOKEN = "gateway.token"  # noqa: S105
MONITOR_TOKEN = "monitor.token"  # noqa: S105
TOKEN_LIFE = timedelta(days=90)


def initialise(folder: Path, *, solo: bool = False) -> Path:
    """Returns the configuration's path. Raises ConfigurationError when one is there already.

    Where it fails it leaves the folder as it was: half a deployment cannot be gone on with.
    `solo`: one person may do what otherwise takes two; every such act is audited as such.
    """
    target = folder / "guardian.yaml"
    before = _held(folder)
    text = (resource("config") / "guardian.yaml").read_text(encoding="utf-8")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Passwords may come to stand in it. Of two at a time one has the folder, and the other takes nothing away.
        with write_atomically(target, mode=0o600, replace=False) as file:
            file.write((text.replace("\n  solo: false ", "\n  solo: true  ") if solo else text).encode())
    except OSError as error:
        if target.exists():
            raise ConfigurationError(f"{target} exists already; choose another folder") from error
        raise ConfigurationError(f"cannot write {target}: {error.strerror}; choose another folder") from error
    with _all_or_nothing(folder, target, before):
        return _filled(target)


@contextmanager
def _all_or_nothing(folder: Path, target: Path, before: set[Path]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        made = sorted(_held(folder) - before - {target}, reverse=True)  # what is in a folder before the folder
        for each in (*made, target):  # while it is there nobody else begins
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        raise


def _held(folder: Path) -> set[Path]:
    """As deep as anything is written here: the keys have a folder of their own."""
    return {*folder.glob("*"), *folder.glob("*/*")}


def _filled(target: Path) -> Path:
    settings = load(target, apart=True)  # what is made is what the file names
    files = SecretFiles.of(settings)
    files.create()
    open_control_store(settings, makes=True).close()
    everyone = {EVERY_TENANT}
    first: dict[Role, str] = {"admin": ADMIN_TOKEN, "monitor": MONITOR_TOKEN, "gateway": GATEWAY_TOKEN}
    for role, name in first.items():
        token = tokens.issue(settings, role, role=role, tenants=everyone, ttl=TOKEN_LIFE)
        write_secret(files.directory / name, token.text.encode() + b"\n", replace=False)
    return target
