"""The policy languages that proposals are rendered in."""

from pathlib import Path
from typing import Any

from guardian.bootstrap import plugins
from guardian.config import Settings
from guardian.errors import ConfigurationError
from guardian.policy.cedar_text import forbid_problems
from guardian.tightening.port import Backend


def backends(settings: Settings) -> dict[str, Backend]:
    """Every policy language that `tightening.backends` names, with its options."""
    made: dict[str, Backend] = {}
    for name, given in settings.tightening.backends.items():
        options: dict[str, Any] = dict(given)
        if name != "cedar":
            made[name] = plugins.make("tightening", name, options)
            continue
        if (path := options.pop("schema_file", None)) is not None:
            try:
                options["schema"] = settings.resolve(Path(str(path))).read_text(encoding="utf-8")
            except OSError as error:
                raise ConfigurationError(
                    f"tightening.backends.cedar.schema_file: {path}: {error.strerror}"
                ) from error
        made[name] = plugins.make("tightening", name, options, check_cedar=forbid_problems)
    return made
