"""Which past sessions are honest."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from guardian.domain.identity import SessionKey
from guardian.domain.past import Label, revoked, verdicts
from guardian.domain.session import HumanWord


@dataclass(frozen=True)
class Trust:
    """Which sessions are honest: those that guardian did not flag or that people cleared, and that were neither
    confirmed as drift nor revoked. An `unusual` one does not show by itself, or with only one or two like it, that
    something is needed, though it is honest."""

    flagged: AbstractSet[SessionKey] = frozenset()
    words: Mapping[SessionKey, HumanWord] = field(default_factory=dict)
    unusual: AbstractSet[SessionKey] = frozenset()

    @classmethod
    def of(
        cls,
        flagged: Mapping[SessionKey, datetime],
        labels: Iterable[Label],
        unusual: Mapping[SessionKey, datetime] = MappingProxyType({}),
    ) -> "Trust":
        """A confirmation counts until it is taken back, a revocation until the session is given back or dismissed;
        that it lapsed says nothing. A dismissal clears nothing that came after it.

        `flagged` maps each session to the time of its last finding, `unusual` to when it last was that.
        """
        said = tuple(labels)
        judged = verdicts(said)
        words = {
            key: label.word
            for key, label in judged.items()
            if label.word is HumanWord.CONFIRMED or flagged.get(key, label.at) <= label.at
        }
        for key in revoked(said):
            if words.get(key) is not HumanWord.CONFIRMED:
                words[key] = HumanWord.REVOKED
        doubted = {key for key, at in unusual.items() if key not in judged or judged[key].at < at}
        return cls(flagged.keys(), words, doubted)

    def honest(self, key: SessionKey) -> bool:
        word = self.words.get(key)
        return word is HumanWord.FALSE_POSITIVE if word is not None else key not in self.flagged

    def remarkable(self, key: SessionKey) -> bool:
        """Whether guardian flagged it or found it unusual, whatever people said, or people spoke of it."""
        return key in self.unusual or key in self.flagged or key in self.words
