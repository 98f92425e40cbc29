"""Fields that say by their name that they hold a secret. Pure.

Weaker than a credential's own shape: a name proves nothing, and placeholders or references to a vault are
what a careful agent writes there. A value wrapped under such a name, in lists or as `value`, is the secret too;
what else lies in an object of that name is not: `{"authorization": {"account": "acc_1"}}` names an account.
"""

import re
from collections.abc import Mapping

from guardian.signals.words.wording import canonical

_NAME = re.compile(
    r"(?:^|[_\W])(?:password|passwd|pwd|passphrase|secret|client[_-]?secret|api[_-]?key|apikey|access[_-]?key"
    r"|secret[_-]?key|private[_-]?key|auth[_-]?token|access[_-]?token|refresh[_-]?token|bearer[_-]?token"
    r"|authorization)s?$",
    re.IGNORECASE,
)
_ENDINGS = ("password", "passwd", "pwd", "passphrase", "secret", "key", "token", "authorization")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PLACEHOLDER = re.compile(
    r"\s*+(?:$|\[redacted|\[masked|\[hidden|<[^>]*>$|\$\{|\$[A-Z_]+$|\{\{|%[A-Z_]+%$|(.)\1*$|(?:your|my)[-_ ]"
    r"|(?:none|null|nil|true|false|redacted|masked|hidden|placeholder|example|changeme|change_me|secret|password"
    r"|n/?a|undefined|tbd|dummy|test)\s*$"
    r"|(?:vault|op|env|ref|secret|secrets|keyring|kms|ssm|arn|sops|file)[:/]|projects/[^/]+/secrets/)",
    re.IGNORECASE,
)
_LONGEST_NAME = 128
_NAMING = frozenset({"name", "key", "field", "header"})


def names_secret(key: str) -> bool:
    """Whether a field's name ends in what secrets are called.

    >>> [names_secret(name) for name in ("dbPassword", "api_key", "password_hint", "max_tokens")]
    [True, True, False, False]
    """
    if len(key) > _LONGEST_NAME or not key.lower().rstrip("s").endswith(_ENDINGS):  # nearly every field's way out
        return False
    return _NAME.search(_CAMEL.sub("_", key)) is not None


def pairs_secret(entry: Mapping[str, object]) -> bool:
    """Whether an object is one field, told by its name and its value, and its name is that of a secret.

    >>> pairs_secret({"Name": "apiKey", "Value": "k-1"}), pairs_secret({"name": "api_key", "in": "header"})
    (True, False)
    """
    named = [item for key, item in entry.items() if key.lower() in _NAMING]
    return any(isinstance(item, str) and names_secret(item) for item in named) and any(map(is_value, entry))


def is_value(key: str) -> bool:
    """Whether it is what the value of such a field is called."""
    return canonical(key) in ("value", "val", "v")


def placeholder(value: str) -> bool:
    """Whether a value only stands for a secret: empty, masked, a template or a reference to a vault.

    >>> placeholder("${DB_PASSWORD}"), placeholder("vault:kv/crm"), placeholder("hunter2!")
    (True, True, False)
    """
    return len(value) < 4 or _PLACEHOLDER.match(value) is not None
