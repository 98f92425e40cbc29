"""What travels with the package: the model, the policies, the example configuration."""

from pathlib import Path

from guardian.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parents[1]


def resource(name: str) -> Path:
    """A folder such as `models` or `config`: inside the installed package, or in the checkout it runs from."""
    for place in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise ConfigurationError(f"the package's {name!r} folder is missing: reinstall intent-guardian")
