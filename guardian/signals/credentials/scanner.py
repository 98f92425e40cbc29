"""Takes credentials out of an event before anything stores, embeds or shows it.

The value itself is replaced inside its string by `[redacted:<kind>]` and appears nowhere else: not in hits, not in
paths, and in the cache only behind a digest. What lies too deep, or beyond what is scanned, is dropped. Fields by
which others know the record (its id and gateway, `envelope_jws`) are left alone. Names that revocations go by
(tenant, session and parent, task, agent, delegator) are reported and stay as they are: a session under a new name
could not be cut off, since gateways ask by the old one. A `credential_id` gets a keyed fingerprint, so that two
stay different.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel

from guardian.domain.event import DecisionEvent
from guardian.domain.signal import CredentialHit
from guardian.signals.credentials.key_lines import key_items
from guardian.signals.credentials.matching import (
    UNSCANNED,
    WORK,
    WORK_PER_CHARACTER,
    Found,
    Span,
    look,
    secrets_beside_ids,
)
from guardian.signals.credentials.named_secrets import (
    calls_password,
    holds_secret,
    is_made,
    is_value,
    pairs_secret,
    placeholder,
)
from guardian.signals.credentials.rules import ANCHOR, NAMED
from guardian.signals.credentials.said_secrets import said_secrets, says_secret
from guardian.signals.words.constraints import text as plain
from guardian.signals.words.wording import shown

_LEFT_ALONE = frozenset({"schema_", "id", "time", "gateway", "envelope_jws"})
_ASKED_BY = frozenset({"tenant_id", "session_id", "parent_session_id", "task_id", "agent_id", "delegator_id"})
"""Fields of an envelope by which control revokes and gateways ask."""
_MAX_DEPTH = 24
_PATH_CHARS = 160
_MAX_HITS = 64
_AREAS = frozenset({("action", "arguments"), ("action", "resource")})
_CONSTRAINTS = "envelope.resource_constraints"
_CACHED_FROM = 64  # shorter texts are scanned faster than digested

_Model = TypeVar("_Model", bound=BaseModel)


_KEY = "[redacted:private_key]"
_MAY_GROW_TO = 128
"""A mark may be longer than what it hides. A text grows to this length at most, the bound of the shortest field, a
result's status."""


class CredentialScanner:
    """Finds and removes credentials; keeps no value that it found. Not for two threads at once.

    `key` makes the fingerprints of credentials that are used as identifiers; `cache_size` is how many texts'
    results are remembered.
    """

    rules: Mapping[str, str] = MappingProxyType({})  # what it takes out, no rule of a deployment decides

    def __init__(self, *, key: bytes = b"", cache_size: int = 8_192) -> None:
        self._key = hashlib.sha256(key).digest()
        self._cache: OrderedDict[bytes, Found] = OrderedDict()
        self._cache_size = cache_size

    def redact(self, event: DecisionEvent) -> tuple[DecisionEvent, tuple[CredentialHit, ...]]:
        """The event without credentials, and where which kind was found; the same event if there is none."""
        texts: list[str] = []
        if not _gather(event, texts) and not _may_hold("\n".join(texts)):
            return event, ()
        work = _Redaction(self)
        clean = work.event(event)
        hits = _few(dict.fromkeys(work.hits))
        return (clean if hits else event), hits

    def text(self, text: str) -> str:
        """One text as it stands in a redacted event, under a name that says nothing of it."""
        return _Redaction(self).text(text)

    def name(self, identifier: str) -> str:
        """A name that no revocation goes by, as it may be shown: a credential becomes its mark."""
        found = self.find(identifier)
        return f"[redacted:{found[0].kind}:{self.fingerprint(identifier)}]" if found else identifier

    def find(self, text: str) -> tuple[Span, ...]:
        """The credentials in one text."""
        return self.look(text, WORK + WORK_PER_CHARACTER * len(text)).spans

    def look(self, text: str, work: int) -> Found:
        """The credentials in one of a record's texts, found with at most `work`. A remembered result (long texts,
        by digest) counts as if the work were done again, so that two readings of a record agree."""
        if len(text) < _CACHED_FROM:
            return _look(text, work)
        if not _may_hold(text):
            return Found((), 0)
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        known = self._cache.get(digest)
        if known is not None and known.work <= work:
            self._cache.move_to_end(digest)
            return known
        found = _look(text, work)
        if found.whole and len(found.spans) <= _MAX_HITS:  # agents choose how many a text holds
            self._cache[digest] = found
            if len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        return found

    def fingerprint(self, value: str) -> str:
        """Tells credentials apart without telling them."""
        return hashlib.blake2b(value.encode("utf-8", "surrogatepass"), key=self._key, digest_size=6).hexdigest()


def _may_hold(text: str) -> bool:
    return ANCHOR.search(text) is not None or says_secret(text)


def _look(text: str, work: int) -> Found:
    """By their shapes, and by the names that the text tells of them. What is both is known by its shape."""
    found = look(text, work)
    if not (said := [Span(first, last, NAMED) for first, last in said_secrets(text)]):
        return found
    spans: list[Span] = []
    for span in sorted((*found.spans, *said)):
        if spans and span.start < spans[-1].end:
            last = spans.pop()
            kind = span.kind if last.kind == NAMED else last.kind
            span = Span(last.start, max(last.end, span.end), kind)
        spans.append(span)
    return found._replace(spans=tuple(spans))


def _gather(event: DecisionEvent, texts: list[str]) -> bool:
    """Collect every text of the event; True when it needs the slow way whatever the texts say."""
    nodes: list[tuple[object, int]] = [
        (value, 1) for name, value in event.__dict__.items() if name not in _LEFT_ALONE
    ]
    nodes.append((event.model_extra, 0))
    for value, depth in nodes:  # grows while it is walked
        if isinstance(value, str):
            texts.append(value)
        elif value is None or isinstance(value, (int, float)):  # asking for a model or a Mapping takes long
            continue
        elif isinstance(value, BaseModel):
            nodes.extend((item, depth + 1) for item in value.__dict__.values())
            nodes.append((value.model_extra, depth))
        elif isinstance(value, Mapping):
            if depth > _MAX_DEPTH:
                return True
            if pairs_secret(value):
                return True
            for key, item in value.items():
                if item is not None and not isinstance(item, bool) and holds_secret(key, item):
                    return True
                texts.append(key)
                nodes.append((item, depth + 1))
        elif isinstance(value, (list, tuple)):
            if depth > _MAX_DEPTH:
                return True
            nodes.extend((item, depth + 1) for item in value)
    return False


def _few(hits: Collection[CredentialHit]) -> tuple[CredentialHit, ...]:
    """At most so many, in their order; of each kind in each part of the record the first, so that no number of
    harmless ones hides another."""
    first = {(hit.kind, hit.path.partition(".")[0]): hit for hit in reversed([*hits])}
    kept = frozenset([*dict.fromkeys((*reversed(first.values()), *hits))][:_MAX_HITS])
    return tuple(hit for hit in hits if hit in kept)


def _names_one(text: str, path: str) -> bool:
    """Whether what a constraint holds under a secret's name is rather which secret is meant."""
    return path.startswith(_CONSTRAINTS) and not (is_made(text) or calls_password(path))


class _Redaction:
    """One pass over one event."""

    def __init__(self, scanner: CredentialScanner) -> None:
        self._scanner = scanner
        self._left = WORK
        self.hits: list[CredentialHit] = []

    def event(self, event: DecisionEvent) -> DecisionEvent:
        """The event, redacted."""
        return self._model(event, "", 0, _LEFT_ALONE)

    def text(self, text: str) -> str:
        """One text, redacted."""
        return self._text(text, "", named=False)

    def _model(self, model: _Model, path: str, depth: int, left_alone: frozenset[str] = frozenset()) -> _Model:
        found = {
            name: (value, self._field(name, value, path, depth))
            for name, value in model.__dict__.items()
            if name not in left_alone
        }
        clean = model.model_copy(update={name: new for name, (old, new) in found.items() if new != old})
        if clean.model_extra:
            extra = {name: value for name, value in clean.model_extra.items() if name not in left_alone}
            for name in extra:
                del clean.model_extra[name]
            clean.model_extra.update(self._mapping(extra, path, depth))
        return clean

    def _field(self, name: str, value: object, path: str, depth: int) -> object:
        below = f"{path}.{name}" if path and (path, name) not in _AREAS else name
        if isinstance(value, str) and (name in _ASKED_BY or name == "credential_id"):
            if found := self._find(value):
                self.hits.append(CredentialHit(found[0].kind, below))
            return value if name in _ASKED_BY else self._scanner.name(value)
        return self._value(value, below, depth + 1, named=False)

    def _value(self, value: object, path: str, depth: int, *, named: bool) -> object:
        if isinstance(value, str):
            return self._text(value, path, named=named)
        if isinstance(value, BaseModel):
            return self._model(value, path, depth)
        if isinstance(value, (Mapping, list, tuple)) and depth > _MAX_DEPTH:
            self.hits.append(CredentialHit(UNSCANNED, path))
            return "[unscanned:too deep]"
        if isinstance(value, Mapping):
            return self._mapping(value, path, depth, named=named)
        if isinstance(value, (list, tuple)):
            key = key_items(value)
            if key:
                self.hits.append(CredentialHit("private_key", path))
            beside = secrets_beside_ids(value)
            return type(value)(
                _KEY
                if at in key
                else self._value(item, path, depth + 1, named=named or (isinstance(item, str) and item in beside))
                for at, item in enumerate(value)
            )
        if named and isinstance(value, (int, float)) and not isinstance(value, bool):
            digits = plain(value)
            clean = self._text(digits, path, named=True)
            return value if clean == digits else clean
        return value

    def _mapping(
        self, mapping: Mapping[str, object], path: str, depth: int, *, named: bool = False
    ) -> dict[str, object]:
        clean: dict[str, object] = {}
        pairs, beside = pairs_secret(mapping), secrets_beside_ids(mapping.values())
        for key, value in mapping.items():
            name = first = self._text(key, path or "record", named=False)
            while name in clean:  # two keys may redact to one
                name = f"{first}#{len(clean)}"
            below = f"{path}.{shown(first, 40)}" if path else shown(first, 40)
            secret = ((named or pairs) and is_value(key)) or holds_secret(key, value)
            secret = secret or (isinstance(value, str) and value in beside)
            clean[name] = self._value(value, below[:_PATH_CHARS], depth + 1, named=secret)
        return clean

    def _text(self, text: str, path: str, *, named: bool) -> str:
        found = self._find(text)
        if named and not placeholder(text) and not _names_one(text, path):
            found = (Span(0, len(text), found[0].kind if found else NAMED),)
        if not found:
            return text
        pieces, at = [], 0
        for span in found:
            self.hits.append(CredentialHit(span.kind, path))
            pieces += [text[at : span.start], f"[redacted:{span.kind}]"]
            at = span.end
        return "".join([*pieces, text[at:]])[: max(len(text), _MAY_GROW_TO)]

    def _find(self, text: str) -> tuple[Span, ...]:
        left = self._left + WORK_PER_CHARACTER * len(text)
        found = self._scanner.look(text, left)
        self._left = left - found.work
        return found.spans
