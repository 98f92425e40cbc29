"""Look-ups that leave the house: where a fetch, a look-up of a name or a search of the web asks, and what it tells
there. Pure, lexical, bounded.

What an encoding or another cut hides is not found.
"""

import re
from collections.abc import Callable, Sequence, Set

from guardian.domain.envelope import UNTOLD
from guardian.domain.event import DecisionEvent
from guardian.domain.signal import Observation
from guardian.signals.exposure.value_prints import pieces_of
from guardian.signals.words import asking
from guardian.signals.words.constraints import read, text
from guardian.signals.words.hiding import DELEGATOR
from guardian.signals.words.leaves import touched
from guardian.signals.words.mail_houses import anybodys
from guardian.signals.words.paths import decoded
from guardian.signals.words.wording import only_reads, word_set, words

WEB = ""
"""Where a search of the web asks: anywhere."""
_ENGINES = word_set("google bing duckduckgo brave tavily serp serper serpapi exa perplexity")
_SEARCHING = word_set("search query lookup find ask")
_ALL_OVER = re.compile(
    r"\b(?:web|internet|online) (?:search|query|lookup|find)\b"
    r"|\b(?:search|query|lookup|find|ask)(?: in| on| the)* (?:web\b|(?:internet|online)$)"
)
"""What a tool is called that searches the web; `search_online_orders` searches orders."""
_GOING = word_set(
    "http https url curl wget web webpage website internet browser browse navigate crawl scrape dns whois "
    "nslookup dig resolve ping traceroute"
)
"""Words of tools that go to the host that any of their arguments names."""
_OPENING = word_set("fetch request download open visit goto load preview")
_PLACES = word_set("url uri link href page website site host hostname domain fqdn endpoint address name target")
_URL = re.compile(r"\s*[a-z][a-z0-9+.-]*:[/\\]{2}(?:[^/?#\\\s]*@)?([^/?#\\\s:@]+)", re.IGNORECASE)
_HOST = re.compile(r"\s*((?:[\w-]+\.)+[a-z][a-z0-9-]+)\.?(?::\d+)?(?:[/?#]\S*)?\s*", re.IGNORECASE)
_PRIVATE = re.compile(
    r"[a-z][a-z0-9_-]*|.*\.(?:internal|local|localhost|lan|corp|intranet|home\.arpa)"
    r"|(?:127|10)\.[\d.]+|192\.168\.[\d.]+|172\.(?:1[6-9]|2\d|3[01])\.[\d.]+"
)
"""Names and addresses that lead nowhere but into one's own network (RFC 1918, 6762, 8375, 9476)."""
_HOST_CHARS = 253  # of the longest name that can be resolved
_HOST_READ = 4_096
_READ_CHARS, _LEAST = 131_072, 64
"""How much of what a look-up carries is read; a value counts as so many characters at least."""
_UNREAD = 0.5
"""How surely what lies beyond tells of a sensitive read."""
TOLD = "a value of that read is in it"
_MAX_PLACES = 16
_LABELS = 8
_STEP = re.compile(r"/([^/?#]+)(?=[/?#]|\Z)")
_FORM = re.compile(r"\.(?:csv|html?|json|pdf|xml)\Z")
_AS_STEP = 0.5
"""How much is left where a value is a step of a path, as the thing that was read has one of its own."""
_PERHAPS_OWN = 0.5
"""How much is left where redaction hides which house is the delegator's own."""


def places_asked(event: DecisionEvent) -> tuple[str, ...]:
    """The hosts outside one's own network that a look-up goes to, in lower case, and `WEB` for a search of it."""
    tool = event.action.tool
    said = words(tool)
    named = frozenset(said)
    if not (_ENGINES.isdisjoint(named) or _SEARCHING.isdisjoint(named)) or _ALL_OVER.search(" ".join(said)):
        return (WEB,)
    goes, opens = not _GOING.isdisjoint(named), only_reads(tool) or not _OPENING.isdisjoint(named)
    if not (goes or opens):
        return ()
    found: dict[str, None] = {}
    for leaf in touched(event).leaves:
        at = leaf.answers(_PLACES)
        if leaf.path.startswith("arguments.") and (goes or at):
            for value in leaf.values:
                address = text(value).strip()
                host = _URL.match(address) or (_HOST.fullmatch(address[:_HOST_READ]) if goes and at else None)
                if host is None or len(host[1]) > _HOST_CHARS or _PRIVATE.fullmatch(host[1].lower()):
                    continue
                found[host[1].lower()] = None
                if len(found) > _MAX_PLACES:  # what lies beyond may be anywhere
                    return (*found, WEB)
    return tuple(found)


def source(host: str, fingerprint: Callable[[str], str]) -> str:
    """By what a host is known again from which sensitive data came; no value of an argument has the same."""
    return fingerprint(f"from {host}")[:64]


def told_outside(seen: Observation, places: Sequence[str], known: Set[str]) -> tuple[float, str]:
    """How surely a look-up at these places tells one of them a value whose fingerprint is `known`, in [0, 1], and
    why. No value is one that a purpose names, nor a place's own name; and what came from a place may go back
    there."""
    fingerprint = seen.fingerprint
    if fingerprint is None:
        return 0.0, ""
    own = _owns(seen)
    if all(source(at, fingerprint) in known or own(at) for at in places):
        return 0.0, ""
    leaves = (leaf for leaf in touched(seen.event).leaves if leaf.path.startswith("arguments."))
    houses = {house for at in places for house in _houses(at)}
    purposes, surely, left = _purposes(seen), 0.0, _READ_CHARS
    for value in (value for leaf in leaves for value in leaf.values):
        whole = text(value)
        said = whole[:left]
        found = (piece for piece in pieces_of(said) - houses if fingerprint(piece)[:64] in known)
        told = {piece for piece in found if not any(asking.spelt_out(purpose, piece) for purpose in purposes)}
        if told:
            path = re.split("[?#]", decoded(said), maxsplit=1)[0].lower() if _URL.match(said) else ""
            steps = _STEP.findall(path)
            surely = max(surely, _AS_STEP if told <= {*steps, *(_FORM.sub("", step) for step in steps)} else 1.0)
        left -= max(len(whole), _LEAST)
        if left < 0:
            break
    why = TOLD if surely else "more is in it than is read"
    surely = max(surely, _UNREAD) if left < 0 else surely
    return surely * _PERHAPS_OWN if hides_house(seen) and WEB not in places else surely, why


def hides_house(seen: Observation) -> bool:
    """Whether redaction hides which house is the delegator's own; who is not told has none."""
    return DELEGATOR in seen.redacted and seen.event.envelope.delegator_id != UNTOLD


def _purposes(seen: Observation) -> tuple[str, ...]:
    parent = seen.parent.envelope
    return seen.event.envelope.purpose, parent.purpose if parent is not None else "", seen.parent.root_purpose


def _owns(seen: Observation) -> Callable[[str], bool]:
    """Whether a host is of the delegator's own house, or in one that a purpose or the envelope names."""
    envelope = seen.event.envelope
    _, at, mine = envelope.delegator_id.lower().rpartition("@")
    allowed = read(envelope.resource_constraints, seen.redacted).allowed.values()
    granted = (each.lower().replace("*.", "") for values in allowed for each in values)
    named = " ".join([*_purposes(seen), *granted]).lower()
    own = mine if at and not anybodys(mine) else None
    return lambda host: any(house == own or asking.spelt_out(named, house) for house in _houses(host))


def _houses(host: str) -> tuple[str, ...]:
    """A host and the domains that it lies in.

    >>> _houses("hr.acme.example")
    ('hr.acme.example', 'acme.example')
    """
    labels = host.split(".")
    last = len(labels) - _LABELS
    return tuple(".".join(labels[at:]) for at in range(len(labels) - 1) if at == 0 or at >= last)
