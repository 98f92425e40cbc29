"""Fields that say by their name that they hold a secret. Pure.

Weaker than a credential's own shape: a name proves nothing, and placeholders or references to a vault are
what a careful agent writes there. A value wrapped under such a name, in lists or as `value`, is the secret too;
what else lies in an object of that name is not: `{"authorization": {"account": "acc_1"}}` names an account.
Under names that mean other things as well (`token`, `storage_key`) only what looks made by a machine is one, and
so in a constraint, which lists the names of secrets (`secrets: [db-prod]`), but for passwords.
"""

import re
from collections.abc import Mapping

from guardian.signals.credentials.key_lines import is_mixed
from guardian.signals.words.wording import canonical

PASSWORDS = (
    r"password|passwd|passcode|passphrase|pwd|(?:admin|db|ftp|mail|mysql|pg|root|smtp|sql|ssh|user)[_-]?pass"
)
OTHERS = (
    r"secret|(?:api|access|secret|private|service[_-]?role)[_-]?key|cookie"
    r"|(?:api|app|auth|access|refresh|bearer|bot|deploy|github|gitlab|id|private|secret|security|service|session"
    r"|slack|vault)[_-]?token"
)
"""What secrets are called; passwords may be short."""
_NAME = re.compile(rf"(?:^|[_\W])(?:{PASSWORDS}|{OTHERS}|authorization)s?$", re.IGNORECASE)
_PASSWORD = re.compile(rf"(?:^|[_\W])(?:{PASSWORDS})s?(?:\.|$)", re.IGNORECASE)
_MAYBE = re.compile(
    r"^token$|(?:^|[_\W])(?:account|encryption|master|service|signing|ssh|storage)[_-]?key$", re.IGNORECASE
)
_ENDINGS = (
    *("password", "passwd", "passcode", "pass", "pwd", "passphrase", "secret", "key", "token", "cookie"),
    "authorization",
)
_ENDS = (*_ENDINGS, *(f"{ending}s" for ending in _ENDINGS))
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PLACEHOLDER = re.compile(
    r"\s*+(?:$|\[(?:redacted|masked|hidden)[^\[\]]*+\]?\s*$|<[^>]*>$|(?:\$\{\{?(?:(?!:-)[^{}])*+\}\}?[-_./:@]?)++\s*$"
    r"|\$[A-Z_]+$|\{\{[^{}]*+\}\}\s*$|%[A-Z_]+%$|(.)\1*$|(?:your[-_ ][a-z_ -]*+|my[-_][a-z_-]*+)$"
    r"|(?:none|null|nil|true|false|redacted|masked|hidden|placeholder|example|changeme|change_me|secret|password"
    r"|n/?a|undefined|tbd|dummy|test)\s*$"
    r"|(?:vault|op|env|ref|secret|secrets|keyring|kms|ssm|arn|sops|file)[:/](?:[^\s/:]*+[/:]\S*+|[a-z_.-]*+)\s*$"
    r"|projects/[^/\s]+/secrets/\S*+\s*$|(?-i:env:[A-Z][A-Z0-9_]*+)\s*$"
    r"|(?-i:A[KS]IA[0-9A-Z]{9}EXAMPLE|[0-9A-Za-z/+]{30}EXAMPLEKEY)\s*$)",
    re.IGNORECASE,
)
"""The whole of it: what only begins like a stand-in is none. The last are the keys of AWS's documentation."""
_MADE = re.compile(r"[A-Za-z0-9+/=_.~-]{20,4096}")
_HEX = re.compile(r"[0-9a-f]{32,}")
_JOINTS = re.compile(r"[/_.~-]")
_LEAST_PIECE = 16
_LONGEST_NAME = 128
_NAMING = frozenset({"name", "key", "field", "header"})


def holds_secret(key: str, value: object) -> bool:
    """Whether a field holds a secret by how its name ends, or, where that may mean other things, by its value too.

    >>> [holds_secret(name, "x") for name in ("dbPassword", "api_key", "password_hint", "max_tokens")]
    [True, True, False, False]
    >>> [holds_secret("token", value) for value in ("BTC", "Zq81kfLw02mPq7YtRr4e")], holds_secret("api_token", 1)
    ([False, True], True)
    """
    if not key.lower().endswith(_ENDS) or len(key) > _LONGEST_NAME:  # nearly every field's way out
        return False
    name = _CAMEL.sub("_", key)
    if _NAME.search(name) is not None:
        return True
    return isinstance(value, str) and _MAYBE.search(name) is not None and is_made(value)


def calls_password(path: str) -> bool:
    """Whether a step of a path is called like a password.

    >>> calls_password("constraints.dbPassword.value"), calls_password("constraints.secrets")
    (True, False)
    """
    return _PASSWORD.search(_CAMEL.sub("_", path)) is not None


def is_made(value: str) -> bool:
    """Whether a machine made it at random: neither a word, a path, a UUID nor another key's name."""
    if _MADE.fullmatch(value) is None or ("/" in value and "." in value):
        return False
    mixed = is_mixed(value) and max(map(len, _JOINTS.split(value))) >= _LEAST_PIECE
    return mixed or _HEX.fullmatch(value) is not None


def pairs_secret(entry: Mapping[str, object]) -> bool:
    """Whether an object is one field, told by its name and its value, and its name is that of a secret.

    >>> pairs_secret({"Name": "apiKey", "Value": "k-1"}), pairs_secret({"name": "api_key", "in": "header"})
    (True, False)
    """
    named = [item for key, item in entry.items() if isinstance(item, str) and key.lower() in _NAMING]
    if not named:
        return False
    return any(is_value(key) and any(holds_secret(name, item) for name in named) for key, item in entry.items())


def is_value(key: str) -> bool:
    """Whether it is what the value of such a field is called."""
    return canonical(key) in ("value", "val", "v")


def placeholder(value: str) -> bool:
    """Whether a value only stands for a secret: empty, masked, a template or a reference to a vault.

    >>> placeholder("${DB_PASSWORD}"), placeholder("vault:kv/crm"), placeholder("hunter2!")
    (True, True, False)
    """
    return len(value) < 4 or _PLACEHOLDER.match(value) is not None
