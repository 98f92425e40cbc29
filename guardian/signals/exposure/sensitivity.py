"""What kinds of sensitive data a name speaks of. Pure.

Gateways that log data classes say what was read; where they do not, the names of the tool and of the resource's
type are all there is. The tables are of plain words and know no meaning: an operator's own classes are given as
options. Some words tell of data only where a class is declared ("card" and "token" are in the names of many
tools), some in a name only beside another that says so, and some not beside one that says otherwise:
`list_directory` lists files, and `service_health` is no patient's.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise

from guardian.domain.wildcards import covers
from guardian.signals.words.wording import singular, word_set, words

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
    "internal data": 0.4,
}
"""How much harm one leaked record of a kind does, in (0, 1]: an order, not a measurement."""


_WORDS: Mapping[str, frozenset[str]] = {
    "secrets": word_set("secret password passwd passcode credential vault apikey keystore keychain mnemonic totp"),
    "health data": word_set(
        "health healthcare medical medication patient diagnosis prescription clinical genetic therapy ehr hipaa"
    ),
    "payroll and staff data": word_set(
        "payroll payslip paycheck salary wage compensation hr employee appraisal staff personnel"
    ),
    "identity documents": word_set("ssn passport biometric fingerprint licence license visa birthdate dob"),
    "financial data": word_set(
        "bank iban bic payment payout billing transaction creditcard debit balance tax wallet loan portfolio "
        "financial cardholder"
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
    ("encryption", "key"): "secrets",
    ("signing", "key"): "secrets",
    ("ssh", "key"): "secrets",
    ("credit", "card"): "financial data",
    ("card", "number"): "financial data",
    ("account", "number"): "financial data",
    ("national", "id"): "identity documents",
    ("social", "security"): "identity documents",
    ("identity", "document"): "identity documents",
    ("identity", "card"): "identity documents",
    ("id", "document"): "identity documents",
    ("id", "card"): "identity documents",
    ("of", "birth"): "identity documents",
    ("user", "detail"): "personal data",
    ("user", "information"): "personal data",
    ("user", "info"): "personal data",
    ("home", "address"): "personal data",
}
_OF_CLASSES: Mapping[str, frozenset[str]] = {
    "secrets": word_set("token otp pin"),
    "health data": word_set("diagnose phi ephi emr"),
    "identity documents": word_set("identity"),
    "financial data": word_set("finance card pci earnings revenue"),
    "confidential documents": word_set("sensitive privileged proprietary classified attorney sourcecode"),
    "personal data": word_set(
        "person people individual citizen guest student candidate resume address phone telephone location "
        "geolocation gps age gender ethnic ethnicity religion nationality demographic criminal gdpr spi"
    ),
    "internal data": word_set("internal"),
}
"""What declared classes say besides."""
_PAIRS_OF_CLASSES: Mapping[tuple[str, str], str] = {
    **_PAIRS,
    ("source", "code"): "confidential documents",
    ("special", "category"): "personal data",
    ("user", "account"): "personal data",
    ("user", "data"): "personal data",
    ("user", "record"): "personal data",
}
_NOT = word_set("no non not")
_BESIDE: Mapping[str, frozenset[str]] = {
    "health": word_set(
        "care claim condition history insurance medical mental note patient plan profile public record vital"
    ),
    "directory": word_set(
        "company contact corporate customer employee member people person phone staff student user"
    ),
    "board": word_set("deck director meeting minute pack paper resolution"),
    "license": word_set("driver driving"),
    "licence": word_set("driver driving"),
    "fingerprint": word_set("biometric employee finger person scan user"),
}
"""What a name speaks of with one of these words beside it only."""
_OTHERWISE: Mapping[str, frozenset[str]] = {
    "health": word_set("check endpoint node probe server service status system"),
    "client": word_set("grpc http kafka mqtt oauth redis soap ssh websocket"),
    "lead": word_set("team tech time"),
    "message": word_set("commit error"),
    "profile": word_set("build cpu heap"),
    "subscriber": word_set("kafka mqtt pubsub"),
    "transaction": word_set("begin commit rollback"),
    "vault": word_set("markdown obsidian"),
}
"""What a name does not speak of with one of these words beside it."""


@lru_cache(maxsize=8_192)
def kinds_in(name: str, *, declared: bool = False) -> frozenset[str]:
    """The kinds of sensitive data that a name, or a `declared` data class, speaks of.

    >>> sorted(kinds_in("hr.read_profile")), sorted(kinds_in("contracts.read")), sorted(kinds_in("getApiKeys"))
    (['payroll and staff data', 'personal data'], [], ['secrets'])
    >>> sorted(kinds_in("card.list")), sorted(kinds_in("card_data", declared=True))
    ([], ['financial data'])
    >>> sorted(kinds_in("fs.list_directory")), sorted(kinds_in("staff_directory.get"))
    ([], ['payroll and staff data', 'personal data'])
    """
    said = [singular(word) for word in words(name)]
    told = frozenset(said)
    if declared:  # "non_sensitive"
        told -= {after for before, after in pairwise(said) if before in _NOT}
    else:
        alone = {word for word, others in _BESIDE.items() if others.isdisjoint(told)}
        told -= alone | {word for word, others in _OTHERWISE.items() if not others.isdisjoint(told)}
    tables, pairs = ((_WORDS, _OF_CLASSES), _PAIRS_OF_CLASSES) if declared else ((_WORDS,), _PAIRS)
    found = {kind for table in tables for kind, listed in table.items() if not listed.isdisjoint(told)}
    found |= {pairs[pair] for pair in pairwise(said) if pair in pairs}
    return frozenset(found)


def kinds_of(
    names: Iterable[str], *, declared: bool = False, sensitive: Iterable[str] = (), ordinary: Iterable[str] = ()
) -> frozenset[str]:
    """The kinds of several names. `sensitive` and `ordinary` are the operator's patterns (`*` stands for anything)
    and win over the tables."""
    found: set[str] = set()
    for name in names:
        if any(covers(pattern, name) for pattern in sensitive):
            found.add(OPERATOR)
        elif not any(covers(pattern, name) for pattern in ordinary):
            found |= kinds_in(name, declared=declared)
    return frozenset(found)
