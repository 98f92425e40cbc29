"""From values to HTML: templates with autoescape on, and the only filters that let agents' text into them."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from guardian import __version__
from guardian.console.asked import Asked
from guardian.console.forms import WISHES
from guardian.console.notices import Notice
from guardian.console.ports import ConsoleParts
from guardian.domain.finding import Act
from guardian.domain.past import argument_leaves
from guardian.domain.text import as_name, one_in, plain, visible

_SHORT, _WHOLE = 160, 20_000
_CUT = Markup(' <span class="all">cut here: only the first {} characters are shown</span>').format(f"{_WHOLE:,}")
_QUIET = 0.05
_LISTED = frozenset({"policy_ids", "policy_errors"})  # of an audit record
_TYPED = re.compile("`([^`<]+)`")
ASSETS = {"guardian.css": "text/css; charset=utf-8", "guardian.svg": "image/svg+xml"}


class Showing:
    """Renders pages; `parts` has their address and the clock."""

    def __init__(self, parts: ConsoleParts) -> None:
        self._parts = parts

    def page(
        self, asked: Asked, template: str, /, *, status: int = 200, notice: Notice | None = None, **told: Any
    ) -> Response:
        """A whole page; `told` is what its template asks for."""
        common = {
            "visit": asked.visit,
            "here": asked.here,
            "path": asked.path,
            "notice": notice,
            "now": self._parts.clock(),
            "root": self._parts.root,
            "link": self.link,
            "asset": self._asset,
            "version": __version__,
        }
        html = _environment().get_template(f"{template}.html").render(**common, **told)
        return HTMLResponse(html, status_code=status)

    def link(self, page: str, **query: object) -> str:
        told = urlencode({name: str(value) for name, value in query.items() if value not in (None, "")})
        return f"{self._parts.root}/{page}" + (f"?{told}" if told else "")

    def _asset(self, name: str) -> str:
        return f"{self._parts.root}/static/{name}?v={digest_of(name)}"


@cache
def _environment() -> Environment:
    pages = Environment(
        loader=PackageLoader("guardian.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {
        "val": value,
        "text": line,
        "code": code,
        "name": as_name,
        "said": said,
        "recorded": recorded,
        "when": moment,
        "ago": ago,
        "one_in": one_in,
        "rarity": rarity,
        "share": share,
        "number": number,
        "words": words,
        "mattered": mattered,
        "heard": heard,
        "wish": WISHES.__getitem__,
    }
    return pages


@pass_context
def ago(context: Context, at: datetime | None) -> Markup:
    """How long ago that is, with the time itself at hand."""
    if at is None:
        return Markup("–")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        _iso(at), f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", age(context["now"] - at)
    )


def value(text: object, limit: int = _SHORT) -> Markup:
    """Text that an agent may have written: it cannot steer the page, and what is cut off can be opened."""
    told = "" if text is None else str(text)
    if not told:
        return Markup('<span class="nothing">none</span>')
    short = plain(told, limit)
    whole = plain(told, _WHOLE)  # what hides is spelt out, so this may be far longer than what was written
    cut = len(whole) >= _WHOLE or len(told) > 4 * _WHOLE
    if short == whole and not cut:
        return Markup("<bdi>{}</bdi>").format(short)
    opened = Markup(
        '<details class="more"><summary><bdi>{}</bdi> <span class="all">show all</span></summary>'
        "<bdi>{}</bdi>{}</details>"
    )
    return opened.format(short, whole, _CUT if cut else "")


def said(text: object, limit: int = _SHORT) -> Markup:
    """The same for a sentence of our own, in which back-ticks mark what is to be typed."""
    return Markup(_TYPED.sub(r"<code>\1</code>", str(value(text, limit))))  # noqa: S704 - escaped by `value`


def recorded(record: Mapping[str, Any]) -> dict[str, Any]:
    """An audit record for a page: what somebody made of one of its values keeps no other from being shown.

    >>> recorded({"actor": ["a"], "reason": None, "allowed": True, "policy_ids": [2], "policy_errors": 5})
    {'actor': "['a']", 'reason': None, 'allowed': True, 'policy_ids': ['2'], 'policy_errors': ['5']}
    """

    def shown(name: str, told: object) -> object:
        if told is None or name == "allowed":
            return told
        return [*map(str, told if isinstance(told, list) else [told])] if name in _LISTED else str(told)

    return {name: shown(name, told) for name, told in record.items()}


def line(text: object, limit: int = _SHORT) -> Markup:
    """The same on one line that cannot be opened: for links, titles and options."""
    return escape(plain("" if text is None else str(text), limit))


def code(text: str) -> Markup:
    """A line of a file, whole: its spaces are part of what it says."""
    return escape(visible(text.expandtabs(4)))


def moment(at: datetime | None) -> Markup:
    """In UTC, to the second."""
    if at is None:
        return Markup("–")
    shown = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return Markup('<time datetime="{}">{}</time>').format(_iso(at), shown)


def age(gone: timedelta) -> str:
    """
    >>> age(timedelta(seconds=59)), age(timedelta(minutes=90)), age(timedelta(days=3)), age(timedelta(seconds=-9))
    ('59 s ago', '1 h 30 min ago', '3 d ago', 'just now')
    """
    seconds = int(gone.total_seconds())
    if seconds < 1:
        return "just now"
    if seconds < 60:
        return f"{seconds} s ago"
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 60:
        return f"{minutes} min ago"
    if hours < 48:
        return f"{hours} h ago" if not minutes % 60 else f"{hours} h {minutes % 60} min ago"
    return f"{hours // 24} d ago"


class Rare(Protocol):
    """A finding's evidence, an action, some actions of the curve."""

    @property
    def one_in(self) -> float: ...
    @property
    def promised(self) -> bool: ...


def rarity(told: Rare) -> str:
    """
    >>> from guardian.domain.finding import Evidence
    >>> rarity(Evidence(one_in=1)), rarity(Evidence(one_in=2345.6)), rarity(Evidence(one_in=3e7, promised=False))
    ('nothing unusual', 'at most 1 in 2,340', 'an estimated 1 in 30,000,000')
    """
    figure = one_in(told.one_in)
    if not figure:
        return "nothing unusual"
    return f"{'at most' if told.promised else 'an estimated'} 1 in {figure}"


def share(threshold: float) -> str:
    """
    >>> share(1_000)
    '1 in 1,000'
    """
    return f"1 in {threshold:,.0f}"


def number(told: float | None) -> str:
    return "–" if told is None else f"{told:,.2f}"


def words(names: Sequence[str]) -> str:
    """
    >>> words(["envelope_breach", "tool"])
    'envelope breach, tool'
    """
    return ", ".join(name.replace("_", " ") for name in names)


class Heard(NamedTuple):
    """Signals with their values, the strongest first: those that say something, and those that hardly do."""

    loud: list[tuple[str, float]]
    quiet: list[tuple[str, float]]


def heard(signals: Mapping[str, float]) -> Heard:
    """
    >>> heard({"envelope_breach": 0.0, "purpose_fit": 0.88, "purpose_baseline": 0.049})
    Heard(loud=[('purpose_fit', 0.88)], quiet=[('purpose_baseline', 0.049), ('envelope_breach', 0.0)])
    """
    ordered = sorted(signals.items(), key=lambda each: -each[1])
    loud = [each for each in ordered if each[1] >= _QUIET]
    return Heard(loud, ordered[len(loud) :])


def mattered(act: Act) -> str:
    """The argument whose removal lowers the score most, with its value where the arguments are still whole."""
    name = act.argument or ""
    try:
        told = json.loads(act.arguments)
    except (ValueError, RecursionError):
        return name
    found = dict(argument_leaves(told)).get(name) if isinstance(told, dict) else None
    return name if found is None else f"{name}: {found}"


@cache
def asset(name: str) -> bytes:
    return (files("guardian.console") / "static" / name).read_bytes()


@cache
def digest_of(name: str) -> str:
    return sha256(asset(name)).hexdigest()[:12]


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
