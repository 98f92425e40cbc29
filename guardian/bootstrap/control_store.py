"""Control's own database and the tokens it vouches for, without the API around them."""

import os
from pathlib import Path

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.databases import control_url
from guardian.bootstrap.secrets import SecretFiles
from guardian.config import Settings
from guardian.errors import ConfigurationError, PlaceAway
from guardian.keys.signing import SigningKeys
from guardian.keys.tokens import Tokens
from guardian.store.control.store import ControlStore
from guardian.store.engine import open_engine
from guardian.store.schema import CONTROL, migrate
from guardian.wire.principal import Principal


def open_control_store(settings: Settings, *, makes: bool = False) -> ControlStore:
    """Control's database. Who runs control `makes` it, or brings it up to date, and settles its epoch; others find
    it so: StoreError."""
    return ControlStore.open(
        control_url(settings, makes=makes),
        migrates=makes,
        now=utc_now(),
        clock=utc_now,
        epoch_file=named_epoch_file(settings),
    )


def named_epoch_file(settings: Settings) -> Path | None:
    named = settings.store.epoch_file
    return None if named is None else settings.resolve(named)


def migrate_control(settings: Settings) -> None:
    """Make its tables or bring them up to date, as the role that owns them, and nothing else: no epoch begins."""
    engine = open_engine(control_url(settings, makes=False))
    migrate(engine, CONTROL)
    engine.dispose()


def restore_is_noticed(settings: Settings) -> None:
    """For who serves the list. Raises ConfigurationError where nothing would tell that a backup was restored:
    PlaceAway where the folder that would is not there."""
    named = settings.store.epoch_file
    if settings.store.control.startswith("sqlite"):
        return  # where none is named, it lies beside the database
    if named is None:
        raise ConfigurationError(
            "store.epoch_file is not set: a restored backup of store.control, a server's database, would go"
            " unnoticed, and gateways would miss revocations; below store: in guardian.yaml write"
            " `epoch_file: control.db.epoch` (or set GUARDIAN_STORE__EPOCH_FILE), a file on a durable disk of this"
            " machine and in no backup of the database; it is made at the start"
        )
    folder = settings.resolve(named).parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PlaceAway(
            f"store.epoch_file: {folder} is no folder that this user can write, and a restored backup would go"
            " unnoticed; mount its disk, make it, or mend its owner or mode"
        )


def open_tokens(settings: Settings, store: ControlStore, keys: SigningKeys | None = None) -> Tokens:
    """Issue and verify, with `keys` where they were read before; what the store does not vouch for is refused: a
    stolen key alone makes no token."""

    def revoked(principal: Principal) -> bool:
        with store.read() as rows:
            return not rows.tokens.vouches_for(principal)

    keys = keys or SigningKeys(SecretFiles.of(settings).signing)
    with store.read() as rows:
        keys.leave_out(rows.tokens.retired_keys())
    return Tokens(
        keys,
        issuer=settings.control.issuer,
        audience=settings.control.audience,
        revoked=revoked,
    )
