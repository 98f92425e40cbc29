"""Control's own database and the tokens it vouches for, without the API around them."""

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.secrets import SecretFiles
from guardian.config import Settings
from guardian.keys.signing import SigningKeys
from guardian.keys.tokens import Tokens
from guardian.store.control import ControlStore
from guardian.wire.principal import Principal


def open_control_store(settings: Settings) -> ControlStore:
    beside = settings.store.epoch_file
    return ControlStore.open(
        settings.store_url(settings.store.control),
        now=utc_now(),
        epoch_file=settings.resolve(beside) if beside is not None else None,
    )


def open_tokens(settings: Settings, store: ControlStore) -> Tokens:
    """Issue and verify; what the store does not vouch for is refused: a stolen key alone makes no token."""

    def revoked(principal: Principal) -> bool:
        with store.read() as rows:
            return not rows.tokens.vouches_for(principal)

    return Tokens(
        SigningKeys(SecretFiles.of(settings).signing),
        issuer=settings.control.issuer,
        audience=settings.control.audience,
        revoked=revoked,
    )
