"""Where credentials stand in a text, by the rules.

Each rule is tried at the places where its literal beginning stands, within a bounded reach. Beginnings without
end, each of which reads on over the next, would be looked at again and again: what the rules may look at grows
with the record only.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from guardian.signals.credentials.key_lines import LINE_CHARS, is_key_text
from guardian.signals.credentials.rules import ANCHOR, AWS, AWS_ID, AWS_SECRET, BY_ANCHOR, NO_TAIL, Rule


class Span(NamedTuple):
    """Where a credential stands in a text, and of what kind it is."""

    start: int
    end: int
    kind: str


class Found(NamedTuple):
    """The credentials of a text, left to right, not overlapping, and how many characters it took to look."""

    spans: tuple[Span, ...]
    work: int

    @property
    def whole(self) -> bool:
        """Whether the text was looked through to its end."""
        return not self.spans or self.spans[-1].kind != UNSCANNED


_RUN = re.compile(r"(?:[A-Za-z0-9+/]|%2[BFbf]){40,}+")
_RUN_BEHIND = 200

UNSCANNED = "unscanned"
_NAME_CHARS, _LONGEST_ID = 16, 64
_STAND_IN = re.compile(
    r"\$\{[^{}]+\}|\{\{[^{}]+\}\}|<[^<>]+>|‹[^‹›]+›|\[(?i:redacted)(?::[a-z_]+)?\]|([^\w\s]|[xX])\1{2,}"
    r"|YOUR_[A-Z_]+|\{[A-Za-z_.]*\}|%s|(?i:(?:(?:my|your)[-_])?(?:password|passwd|pass|pwd|secret|token|api[-_]?key))"
    r"|(?i:changeme|example)"
)
"""What stands where a secret would and is none, as a whole: `${TOKEN}`, `{token}`, a mask, `YOUR_API_KEY`."""
WORK, WORK_PER_CHARACTER = 1_024, 4
"""How many characters rules may look at in one record, and how many more for each that it has; one that asks for
more is not trusted to be clean."""
_FILLING = re.compile(r"[xX.]+")
_LEAST_WORK = 16
"""What one beginning counts for, however little stands behind it."""


def look(text: str, work: int) -> Found:
    """The credentials in a text; where the work ends the rest of it is `unscanned`.

    `{"` in base64 is often `eyJ`, and a web token has a dot: a run without one is looked at once.
    """
    spans: list[Span] = []
    runs = _Runs(text)
    left, at, run_ends, dotless = work, 0, 0, False
    while (anchor := ANCHOR.search(text, at)) is not None:
        rule, start = BY_ANCHOR[anchor.group()], anchor.start()
        if anchor.group() == "eyJ":
            if start >= run_ends:
                whole = rule.run.match(text, start)
                run_ends = start + 1 if whole is None else whole.end()
                dotless = "." not in text[start:run_ends]
            if dotless:
                at = start + 1
                continue
        run = rule.run.match(text, anchor.end(), start + rule.reach)
        left -= max(run.end() - start if run is not None else 0, _LEAST_WORK)
        if left < 0:
            spans.append(Span(start, len(text), UNSCANNED))
            return Found(tuple(spans), work)
        found = _try(rule, text, start, runs)
        at = start + 1
        if found is not None:
            spans.append(found)
            at = found.end
    return Found(tuple(spans), work - left)


def secrets_beside_ids(values: Iterable[object]) -> frozenset[str]:
    """Of values that stand together those that are shaped as the secret of an access key, where one is its id."""
    texts = [value for value in values if isinstance(value, str) and len(value) <= _LONGEST_ID]
    secrets = frozenset(text for text in texts if len(text) == 40 and AWS_SECRET.fullmatch(text))
    return secrets if secrets and any(AWS_ID.search(text) for text in texts) else frozenset()


def _stands_in(said: str) -> bool:
    return _STAND_IN.fullmatch(said) is not None and not any(map(str.isdigit, said))


def _is_filled_in(text: str, start: int, last: int) -> bool:
    """Whether no more than a token's beginning is there, filled up as examples are: `ghp_xxxx`, `SG.xx.xx`."""
    begins = ANCHOR.match(text, start)
    return begins is not None and _FILLING.fullmatch(text, begins.end(), last) is not None


def _name_twice(said: str, userinfo: str) -> bool:
    """A password that is its user's name, as databases on a desk have, keeps no secret."""
    return len(said) <= _NAME_CHARS and userinfo == f"://{said}:{said}@"


class _Runs:
    """Where the next long run of base64 begins in a text: what follows a key's first line, whatever its lines were
    joined by. A path or a digest is none. What lies before a run is looked through once."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, -1

    def follow(self, end: int) -> bool:
        """Whether one begins soon behind this place."""
        at = end
        while self._at < end:
            run = _RUN.search(self._text, at)
            if run is None:
                self._at = len(self._text) + _RUN_BEHIND
            elif is_key_text(run.group()[:LINE_CHARS]):
                self._at = run.start()
            else:
                at = run.end()
        return self._at - end < _RUN_BEHIND


def _try(rule: Rule, text: str, start: int, runs: _Runs) -> Span | None:
    for pattern in rule.patterns:
        match = pattern.match(text, start, start + rule.reach)
        if match is None:
            continue
        grouped = rule.tail is NO_TAIL and pattern.groups == 1
        first, last = match.span(1) if grouped else match.span()
        if rule.confirmed is not None and not rule.confirmed(text[first:last]):
            continue
        if not grouped and _is_filled_in(text, start, last):
            continue
        # the keys of AWS's documentation
        if rule.kind == AWS and last - first < 100 and text.endswith(("EXAMPLE", "EXAMPLEKEY"), first, last):
            continue
        if grouped and (_stands_in(said := text[first:last]) or _name_twice(said, match.group())):
            continue
        if rule.behind.match(text, last, start + rule.reach) is None and not runs.follow(last):
            continue
        tail = rule.tail.match(text, last)
        kind = rule.last if rule.last and pattern is rule.patterns[-1] else rule.kind
        return Span(first, tail.end() if tail is not None else last, kind)
    return None
