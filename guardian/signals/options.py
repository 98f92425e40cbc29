"""Options check themselves: a signal that was configured wrongly fails at start, never at the first event."""

from collections.abc import Iterable

from guardian.errors import ConfigurationError


def within(signal: str, option: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside [low, high], and anything that is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigurationError(
            f"signals.{signal}.{option} is {value!r}; give a number between {low:g} and {high:g}"
        )


def names(signal: str, option: str, value: Iterable[str]) -> tuple[str, ...]:
    """A list of words as a tuple; refuse a bare string, which would be read letter by letter."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigurationError(f"signals.{signal}.{option} is {value!r}; give a list of words")
    found = tuple(value)
    for word in found:
        if not isinstance(word, str):
            raise ConfigurationError(f"signals.{signal}.{option} holds {word!r}; give a list of words")
    return found


def known(signal: str, option: str, value: Iterable[str], allowed: Iterable[str]) -> tuple[str, ...]:
    """A list of words, all of them out of `allowed`."""
    found, choices = names(signal, option, value), sorted(allowed)
    for word in found:
        if word not in choices:
            raise ConfigurationError(f"signals.{signal}.{option} names {word!r}; known are {', '.join(choices)}")
    return found
