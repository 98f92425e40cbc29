"""What kinds of sensitive data a name speaks of. Pure.

Gateways that log data classes say what was read; where they do not, the names of the tool and of the resource's
type are all there is. The table is of plain words and knows no meaning: an operator's own classes are given as
options.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise

from guardian.domain.wildcards import covers
from guardian.signals.wording import singular, word_set, words

OPERATOR = "named by the operator"
"""The kind of a class that the configuration calls sensitive."""

WEIGHTS: Mapping[str, float] = {
    OPERATOR: 1.0,
    "secrets": 1.0,
    "health data": 0.95,
    "payroll and staff data": 0.9,
    "identity documents": 0.9,
    "financial data": 0.85,
    "confidential documents": 0.8,
    "personal data": 0.7,
    "messages": 0.6,
}
"""How much harm one leaked record of a kind does, in (0, 1]: an order, not a measurement."""


_WORDS: Mapping[str, frozenset[str]] = {
    "secrets": word_set("secret password passwd passcode credential vault apikey keystore keychain mnemonic totp"),
    "health data": word_set("health medical medication patient diagnosis prescription clinical genetic therapy"),
    "payroll and staff data": word_set("payroll salary wage compensation hr employee appraisal staff personnel"),
    "identity documents": word_set("ssn passport biometric fingerprint licence license visa birthdate"),
    "financial data": word_set(
        "bank iban bic payment payout billing transaction creditcard debit balance tax wallet loan portfolio"
    ),
    "confidential documents": word_set(
        "confidential restricted board legal litigation nda merger acquisition patent"
    ),
    "personal data": word_set(
        "customer client contact profile crm subscriber directory personal pii applicant lead"
    ),
    "messages": word_set("email mail inbox mailbox message chat sms conversation voicemail"),
}
_PAIRS: Mapping[tuple[str, str], str] = {
    ("api", "key"): "secrets",
    ("private", "key"): "secrets",
    ("access", "key"): "secrets",
    ("access", "token"): "secrets",
    ("security", "code"): "secrets",
    ("verification", "code"): "secrets",
    ("credit", "card"): "financial data",
    ("national", "id"): "identity documents",
    ("user", "detail"): "personal data",
    ("user", "information"): "personal data",
    ("user", "info"): "personal data",
    ("home", "address"): "personal data",
}


@lru_cache(maxsize=8_192)
def kinds_in(name: str) -> frozenset[str]:
    """The kinds of sensitive data that a name speaks of.

    >>> sorted(kinds_in("hr.read_profile")), sorted(kinds_in("contracts.read")), sorted(kinds_in("getApiKeys"))
    (['payroll and staff data', 'personal data'], [], ['secrets'])
    """
    said = [singular(word) for word in words(name)]
    found = {kind for kind, listed in _WORDS.items() if not listed.isdisjoint(said)}
    found |= {_PAIRS[pair] for pair in pairwise(said) if pair in _PAIRS}
    return frozenset(found)


def kinds_of(
    names: Iterable[str], *, sensitive: Iterable[str] = (), ordinary: Iterable[str] = ()
) -> frozenset[str]:
    """The kinds of several names. `sensitive` and `ordinary` are the operator's patterns (`*` stands for anything)
    and win over the table."""
    found: set[str] = set()
    for name in names:
        if any(covers(pattern, name) for pattern in sensitive):
            found.add(OPERATOR)
        elif not any(covers(pattern, name) for pattern in ordinary):
            found |= kinds_in(name)
    return frozenset(found)
