"""Other spellings of what an envelope allows: those that certainly mean the same, and those that may.

Certain are the dots, doubled and last slashes of a path, `file:` before it and the case of its drive; the case of
a host or of a URL's scheme and host, its own port and its empty path, and, where hosts are listed, a URL's host;
the blanks in an IBAN or a telephone number; and `mailto:`. What climbs, is encoded, names a user or begins with
two slashes is none of these: who reads it decides where it leads. Pure and bounded.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from guardian.signals.words.identifiers import ADDRESS, MARKS, is_iban, normal
from guardian.signals.words.listing import ELSEWHERE, listed
from guardian.signals.words.paths import FILE, OPENED, ROOTED, decoded, ends, resolved
from guardian.signals.words.wording import canonical, word_set

HOSTS = word_set("domain fqdn host hostname origin server site subdomain website")
REPOSITORIES = frozenset({"repo", "repository"})
_PATHS = word_set("cwd dir directory file filename filepath folder path root workdir")
_PHONES = word_set("fax mobile msisdn phone telephone")
_NUMBERS = word_set("no number nr")
"""Words of canonical names, the last ones but for telephones: an id beside one of those is none."""
_MAY_CHARS = 512
_LABELS = r"[A-Za-z0-9_*-]+(?:\.[A-Za-z0-9_*-]+)*"
"""Of a host, in ASCII: a letter of another script is another host's, whatever it looks like."""
_REST = r"((?:/[^\s\\,;|]*)?)"
_WEB = re.compile(rf"([A-Za-z]{{2,5}})://({_LABELS}\.?)(?::([0-9]{{1,5}}))?{_REST}")
_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}
_HOST = re.compile(rf"{_LABELS}(?::(?:[0-9]{{1,5}}|\*))?")
_SERVER = re.compile(
    rf"(?:(?:[A-Za-z][A-Za-z0-9+-]*:)?//)?(?:[A-Za-z0-9._~+-]+@)?({_LABELS})\.?(:(?:[0-9]{{1,5}}|\*))?{_REST}"
)
_UNCERTAIN = re.compile(r"\A//|[\\;]|://|\*/\Z")
"""In a path: another machine's, another system's sign, and what a wildcard's last slash may mean."""
_ENCODED = re.compile(r"[%?#]")
_DRIVE = re.compile(r"[A-Za-z]:/")
_NAMED = re.compile(r"[\w.][^*/:%\\]*(?:/[^:%\\]*)?")
"""A path that begins with a name: not with an option, another machine's name (`host:/srv`), a wildcard that may
stand for one, or what is a slash or a colon for who decodes it."""
_SPECIAL = re.compile(rf"[*$%@-]|{ROOTED.pattern}")
"""What means something else without a dot before it."""
_GLOB = re.compile(r"(?:^|(?<=/))\*\*/")
_GLOBS, _STEPS = 3, 32
"""Of more nobody writes a path."""
_MAILTO = re.compile(rf"[Mm][Aa][Ii][Ll][Tt][Oo]:({ADDRESS.pattern})")
_PHONE = re.compile(r"\+?[0-9][0-9 -]{4,24}")
_ANY_PHONE = re.compile(r"(?:tel:)?[+0-9(][0-9 ()./-]{4,30}")
_NO_DIGIT = re.compile(r"\(0\)|[^0-9]|^00")
_CALLED = re.compile(rf"[^\W\d_][\w .'’-]{{0,63}} ?\(({ADDRESS.pattern})\)")
"""An address in brackets after its owner's name: for some a comment, for others the address."""
_HASHED = re.compile(r"#[\w-]+")
_FORGE = re.compile(
    r"(?:(?:https?|ssh|git)://)?(?:[a-z0-9._-]+@)?(?:www\.)?"
    r"(?:github\.com|gitlab\.com|bitbucket\.org|codeberg\.org)[/:]([a-z0-9_.-]+/[a-z0-9_./-]+)"
)
_STEP = re.compile(r"[/:]")
_Reading = tuple[frozenset[str], str]
"""What is allowed and what was said, in one spelling."""


class _Web(NamedTuple):
    """A URL of the web that every reader takes apart alike."""

    scheme: str
    host: str
    port: str
    rest: str

    @property
    def url(self) -> str:
        rest = self.rest or ("" if self.host.endswith("*") else "/")
        return f"{self.scheme}://{self.host}{self.port and ':' + self.port}{rest}"


def certain(allowed: frozenset[str], said: str, name: str) -> Iterator[_Reading]:
    """Both in their one spelling, where those under this name have one.

    >>> [(sorted(told), one) for told, one in certain(frozenset({"src/*"}), "./src//a.py", "path")]
    [(['src/*'], 'src/a.py')]
    >>> [one for _, one in certain(frozenset({"acme.example"}), "https://ACME.example/a", "domain")]
    ['https://acme.example/a', 'acme.example']
    """
    for one in _same(said, name):
        told = _same_all(allowed, name)
        if one != said or told != allowed:
            yield told, one
        relative = _last(name) in _PATHS and _NAMED.fullmatch(one)
        if relative and (here := _here(told)):
            yield here, f"./{one}"


def possible(allowed: frozenset[str], said: str, name: str) -> Iterator[_Reading]:
    """Both in spellings that may mean the same: in another case, behind a sign, or without what only one of them
    has, as a port, the site of a repository, or the folder that a relative path begins at; and the folders above
    it, which may be allowed with what lies in them.

    >>> mine = frozenset({"acme/shop"})
    >>> [one for _, one in possible(mine, "https://github.com/Acme/Shop.git", "repo") if one in mine]
    ['acme/shop']
    """
    if len(said) > _MAY_CHARS or len(listed(said)) > 1 or ELSEWHERE.search(said):
        return
    told, bare, one = _loose_all(allowed, name), _bare_all(allowed, name), _loose(said, name)
    for entries, each in ((told, one), (bare, one), *((told, each) for each in _bare(one, name))):
        yield entries, each
        yield from ((entries, folder) for folder in _above(each, name) if folder in entries)


def _last(name: str) -> str:
    return name.rpartition("_")[2]


@lru_cache(maxsize=16)
def _same_all(allowed: frozenset[str], name: str) -> frozenset[str]:
    told = (next(iter(_same(entry, name)), entry) for entry in allowed)
    same = frozenset(form for entry in told for form in (_globbed(entry) if _last(name) in _PATHS else [entry]))
    return allowed if same == allowed else same  # one object: comparing two takes as long as they are


@lru_cache(maxsize=16)
def _loose_all(allowed: frozenset[str], name: str) -> frozenset[str]:
    return frozenset(_loose(entry, name) for entry in _same_all(allowed, name))


@lru_cache(maxsize=16)
def _bare_all(allowed: frozenset[str], name: str) -> frozenset[str]:
    return frozenset(bare for entry in _loose_all(allowed, name) for bare in _bare(entry, name))


@lru_cache(maxsize=16)
def _here(allowed: frozenset[str]) -> frozenset[str]:
    """Those of which only the dot before a wildcard says that it stands for relative paths."""
    return frozenset(entry for entry in allowed if entry.startswith("./"))


def _same(said: str, name: str) -> tuple[str, ...]:
    """What it certainly means, if that is spelt in several ways; of a URL where hosts are listed also its host."""
    last = _last(name)
    if len(said) > OPENED:
        return ()
    if web := _web(said):
        hosts = (web.host,) if last in HOSTS and not web.port else ()
        return () if web.host.endswith(".") else (web.url, *hosts)
    if last in HOSTS:
        return (said.lower(),) if _HOST.fullmatch(said) else ()
    if last in _PATHS:
        return (_path(said),)
    if last == "iban":
        return ("".join(said.split()).upper(),) if is_iban(normal(said)) else ()
    if last in _PHONES | _NUMBERS and not _PHONES.isdisjoint(name.split("_")) and _PHONE.fullmatch(said):
        return (said.replace(" ", "").replace("-", ""),)
    mail = _MAILTO.fullmatch(said)
    return (mail[1],) if mail else ()


def _web(said: str) -> _Web | None:
    found = _WEB.fullmatch(said)
    if found is None or (scheme := found[1].lower()) not in _PORTS:
        return None
    host, port, rest = found[2].lower(), found[3] or "", found[4]
    return _Web(scheme, host, "" if port == _PORTS[scheme] else port, rest)


def _path(said: str) -> str:
    """As it is where its dots and slashes, or what opens it, may mean something else."""
    found = FILE.match(said)
    told = said[found.end() :] if found else said
    if _UNCERTAIN.search(told) or (found and _ENCODED.search(told)) or ends(told):
        return said
    told = told[1:] if found and _DRIVE.match(told[1:]) else told
    told = told[0].lower() + told[1:] if _DRIVE.match(told) else told
    path = resolved(told, merged=True) or said
    return f"./{path}" if _SPECIAL.match(path) and not _SPECIAL.match(told) else path  # `./*` is no `*`


def _globbed(entry: str) -> list[str]:
    """`src/**/*.py` stands for what lies in `src` itself too."""
    parts = _GLOB.split(entry)
    if not 1 < len(parts) <= _GLOBS + 1:
        return [entry]
    joints = product(("**/", ""), repeat=len(parts) - 1)
    return ["".join(map("".join, zip(parts, (*each, ""), strict=True))) for each in joints]


def _loose(said: str, name: str) -> str:
    """One spelling for all that may mean the same, whatever stands before or behind it."""
    last = _last(name)
    if called := _CALLED.fullmatch(said):
        return called[1]
    if _HASHED.fullmatch(said):
        said = said[1:]
    if last in HOSTS:
        host = _SERVER.fullmatch(said)
        return (host[1] + (host[2] or "")).lower() if host else said
    if last in REPOSITORIES:
        return said.lower().rstrip("/").removesuffix(".git")
    if web := _web(said):
        return web._replace(host=web.host.rstrip(".")).url
    if last in _PATHS:
        return _path(decoded(said).replace("\\", "/"))
    if not _PHONES.isdisjoint(name.split("_")) and _ANY_PHONE.fullmatch(said):
        return _NO_DIGIT.sub("", said)
    if is_iban(normal(said)):
        return "".join(said.split())
    one_case = last in MARKS and said in (said.lower(), said.upper())  # in others the case tells them apart
    return said.lower() if one_case else said


def _bare(said: str, name: str) -> Iterator[str]:
    """Without what may stand before or behind it, where only one of two has that."""
    last = _last(name)
    if last in HOSTS:
        if ":" in said and _HOST.fullmatch(said):
            yield said.partition(":")[0]
    elif last in REPOSITORIES:
        if found := _FORGE.fullmatch(said):
            yield found[1]
    elif last in _PATHS:
        yield from _tails(said)
    elif "://" not in said and len(steps := _STEP.split(said)) > 1:
        of = name.removesuffix(f"_{last}") if last in MARKS else name
        if canonical(steps[-2]) in (of, _last(of)):
            yield steps[-1]


def _tails(path: str) -> Iterator[str]:
    """Of a path from a root what relative ones may be called that begin at one of its folders."""
    if _UNCERTAIN.search(path) or ends(path) or not (path.startswith("/") or _DRIVE.match(path)):
        return
    rest = path.partition("/")[2]
    while rest and not rest.startswith("*") and path.count("/") <= _STEPS:
        yield rest
        step, _, rest = rest.partition("/")
        if "*" in step:
            return


def _above(said: str, name: str) -> Iterator[str]:
    """The folders above a path or a URL, with and without a last slash."""
    if not (_last(name) in _PATHS | REPOSITORIES or _web(said)) or said.startswith("*") or ends(said):
        return
    at = said
    while "/" in at:
        at = at.rpartition("/")[0]
        yield at
        yield f"{at}/"
    if not ROOTED.match(said):
        yield from (".", "./")
