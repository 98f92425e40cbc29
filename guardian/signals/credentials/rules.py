"""What a real credential looks like: detect-secrets' structured rules, anchored so that hostile text stays cheap.

Only the rules are used: no entropy guesses, no settings, no verification over the network. Each rule is tried
at the places where its literal beginning stands, within a bounded reach. Beginnings without end, each of which
reads on over the next, would be looked at again and again: what the rules may look at grows with the record only.
The few formats that the library does not know yet are added below it.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector

from guardian.signals.credentials.key_lines import LINE_CHARS, is_key_text


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


class _Rule(NamedTuple):
    """`run` is what its patterns may read behind their beginning, and look at again from the next one; `behind` is
    what has to follow them. What only the last of the patterns finds is of the kind `last`, where there is one."""

    kind: str
    patterns: tuple[re.Pattern[str], ...]
    reach: int = 2_048
    run: re.Pattern[str] = re.compile(r"[\w.~+/=-]*")
    tail: re.Pattern[str] = re.compile(r"[A-Za-z0-9_+/=-]*")
    confirmed: Callable[[str], bool] | None = None
    behind: re.Pattern[str] = re.compile("")
    last: str = ""


def _of(detector: Any, kind: str, *more: str, **options: Any) -> _Rule:
    return _Rule(kind, (*detector.denylist, *map(re.compile, more)), **options)


def _is_token(text: str) -> bool:
    try:
        return bool(JwtTokenDetector.is_formally_valid(text))
    except RecursionError:  # claims nested without end: hostile, and no token that anybody accepts
        return False


def _is_user_and_password(text: str) -> bool:
    """Whether it is base64 of `user:password`: what follows `basic` mostly is another word."""
    try:
        told = b64decode(text + "=" * (-len(text) % 4), validate=True)
        return b":" in told and told.decode().isprintable()
    except ValueError:
        return False


_NO_TAIL = re.compile("")
_PEM_BODY = re.compile(r"(?: BLOCK)?[ -]{0,8}(?:[^\S\n]*+(?:\n|\\+[nr])(?:\s|\\+[nr])*+\S|\s*[A-Za-z0-9+/=]{16})")
"""What follows a key's first line in a file of it, and not where code looks for one."""
_RUN = re.compile(r"(?:[A-Za-z0-9+/]|%2[BFbf]){40,}+")
_RUN_BEHIND = 200
_PEM_TAIL = re.compile(r"(?:(?!-----END).)*(?:-----END [A-Z0-9 ]+-----)?", re.DOTALL)
_TO_THE_END = re.compile(r".*", re.DOTALL)

_AWS_SIGNS = r"(?:[\s\"'`\\=:,>|*\])]|(?<=\\)[nrt]){1,24}+"
_AWS_BEFORE = rf"\w{{0,20}}+{_AWS_SIGNS}(?:(?i:value){_AWS_SIGNS})?"
_AWS_MIXED = r"(?=[^a-z]{0,39}[a-z])(?=[^A-Z]{0,39}[A-Z])"
_AWS_NO_PATH = r"(?=[^0-9]{0,39}[0-9])(?=[0-9A-Za-z/+]{0,24}?[0-9A-Za-z+]{16})"
_AWS_KEY = r"[0-9A-Za-z/+]{40})(?![\w/+=~-]|\.\w)"
_AWS_SECRETS = (
    rf"(?i:aws.{{0,20}}?)?(?i:secret[_ -]?(?:access[_ -]?)?key){_AWS_BEFORE}({_AWS_MIXED}{_AWS_KEY}",
    rf"(?i:aws).{{0,20}}?(?i:secret|key|pwd|pw|pass|token)(?:{_AWS_BEFORE}|.{{0,20}}?[\"'])"
    + f"({_AWS_MIXED}{_AWS_NO_PATH}{_AWS_KEY}",
    rf"(?i:aws.{{0,20}}?token|session_?token){_AWS_BEFORE}(?!eyJ)([0-9A-Za-z/+]{{100,}}+=*)",
)
"""A secret access key or a session token, in quotes or without. A commit, as long as a key, has no capital; behind
other names than a secret key's own it is no path either, which slashes cut into short pieces."""
_AWS_ID = r"(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}"
_AWS_BESIDE = r"(?:[^0-9A-Za-z/+]{0,24}|(?s:.{0,64}?)(?<![\w/+~-])(?=[0-9A-Za-z/+]{40}))"
_AWS_PAIR = rf"{_AWS_ID}{_AWS_BESIDE}(?:{_AWS_MIXED}{_AWS_NO_PATH}{_AWS_KEY}"
_AWS_ID_IN, _AWS_SECRET = re.compile(_AWS_ID), re.compile(rf"(?:{_AWS_MIXED}{_AWS_NO_PATH}{_AWS_KEY}")

_AWS, KEY_ID = "aws_key", "aws_key_id"
"""The second is an access key's id alone: it tells which key is meant, and opens nothing without its secret."""

NAMED = "named_secret"
"""The kind for which only a name or the place speaks."""

_RULES: dict[_Rule, tuple[str, ...]] = {
    _Rule(_AWS, (re.compile(_AWS_PAIR), re.compile(_AWS_ID)), last=KEY_ID): (
        *("AKIA", "ASIA", "ABIA", "ACCA", "A3T"),
    ),
    _Rule(_AWS, tuple(map(re.compile, _AWS_SECRETS)), reach=16_384, tail=_NO_TAIL): (
        *("aws", "AWS", "Aws", "secret_access_key", "secretAccessKey", "SecretAccessKey", "SECRET_ACCESS_KEY"),
        *("session_token", "sessionToken", "SessionToken", "SESSION_TOKEN"),
    ),
    _of(GitHubTokenDetector, "github_token", r"github_pat_\w{22,255}"): (
        *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    _of(GitLabTokenDetector, "gitlab_token"): (
        *("glpat-", "gldt-", "glft-", "glsoat-", "glrt-", "GR1348941", "glcbt-", "glimt-", "glptt-"),
        *("glagent-", "gloas-"),
    ),
    _of(SlackDetector, "slack_token", r"xapp-\d-[A-Z0-9]+-\d+-[a-z0-9]+"): (
        *("xox", "XOX", "xapp-", "https://hooks.slack.com/services/"),
    ),
    _of(StripeDetector, "stripe_key"): ("sk_live_", "rk_live_"),
    _of(OpenAIDetector, "openai_token", r"sk-ant-[a-z0-9]+-[\w-]{40,}"): ("sk-",),
    _of(SendGridDetector, "sendgrid_key"): ("SG.",),
    _of(PypiTokenDetector, "pypi_token"): ("pypi-AgE",),
    _of(SquareOAuthDetector, "square_secret"): ("sq0csp-",),
    _of(AzureStorageKeyDetector, "azure_storage_key"): ("AccountKey=",),
    _of(
        JwtTokenDetector,
        "json_web_token",
        reach=16_384,
        tail=re.compile(r"[A-Za-z0-9_.+/=-]*"),
        confirmed=_is_token,
    ): ("eyJ",),
    _of(
        PrivateKeyDetector,
        "private_key",
        r"BEGIN ENCRYPTED PRIVATE KEY",
        tail=_PEM_TAIL,
        behind=_PEM_BODY,
    ): ("BEGIN ",),
    _Rule("private_key", (re.compile(r"PuTTY-User-Key-File-[23]"),), tail=_TO_THE_END): ("PuTTY-User-Key-File-",),
    _of(
        BasicAuthDetector,
        "basic_auth_url",
        r"://:([^:/?#\[\]@!$&'()*+,;=\s]+)@",  # Redis has no user
        run=re.compile(r"[^/?#\[\]@!$&'()*+,;=\s]*"),
        tail=_NO_TAIL,
    ): ("://",),
    _Rule("google_api_key", (re.compile(r"AIza[0-9A-Za-z_-]{35}"),)): ("AIza",),
    _Rule("huggingface_token", (re.compile(r"hf_[A-Za-z0-9]{34,40}(?![A-Za-z0-9])"),)): ("hf_",),
    _Rule("digitalocean_token", (re.compile(r"do[opr]_v1_[0-9a-f]{64}"),)): ("doo_v1_", "dop_v1_", "dor_v1_"),
    _Rule("google_oauth_token", (re.compile(r"ya29\.[0-9A-Za-z_-]{30,}"),)): ("ya29.",),
    _Rule("npm_token", (re.compile(r"npm_[A-Za-z0-9]{36}"),)): ("npm_",),
    _Rule(
        "bearer_token",
        (re.compile(r"[Bb]earer\s{1,4}((?=[^\s]{0,200}\d)[A-Za-z0-9._~+/-]{20,}=*)"),),
        tail=_NO_TAIL,
    ): ("Bearer ", "bearer "),
    _Rule(
        NAMED,
        (re.compile(r"[Bb]asic\s{1,4}([A-Za-z0-9+/]{8,}={0,2})"),),
        tail=_NO_TAIL,
        confirmed=_is_user_and_password,
    ): ("Basic ", "basic "),
    _Rule(
        "url_secret",
        (re.compile(r"[?&](?:password|passwd|pwd|api_?key|access_token|client_secret)=([^&\s#]{6,512})"),),
        tail=_NO_TAIL,
    ): tuple(
        f"{mark}{name}="
        for mark in "?&"
        for name in ("password", "passwd", "pwd", "api_key", "apikey", "access_token", "client_secret")
    ),
}
_BY_ANCHOR = {anchor: rule for rule, anchors in _RULES.items() for anchor in anchors}


def _any_of(words: Collection[str]) -> str:
    """A pattern of many words that tries what several begin with once; of two the longer."""
    firsts = sorted({word[0] for word in words if word})
    each = (re.escape(first) + _any_of({word[1:] for word in words if word[:1] == first}) for first in firsts)
    return f"(?:{'|'.join(each)})" + "?" * ("" in words) if firsts else ""


ANCHOR = re.compile(_any_of(_BY_ANCHOR))
"""Matches wherever a credential may begin; text without a match carries none."""

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
        rule, start = _BY_ANCHOR[anchor.group()], anchor.start()
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
    secrets = frozenset(text for text in texts if len(text) == 40 and _AWS_SECRET.fullmatch(text))
    return secrets if secrets and any(_AWS_ID_IN.search(text) for text in texts) else frozenset()


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


def _try(rule: _Rule, text: str, start: int, runs: _Runs) -> Span | None:
    for pattern in rule.patterns:
        match = pattern.match(text, start, start + rule.reach)
        if match is None:
            continue
        grouped = rule.tail is _NO_TAIL and pattern.groups == 1
        first, last = match.span(1) if grouped else match.span()
        if rule.confirmed is not None and not rule.confirmed(text[first:last]):
            continue
        if not grouped and _is_filled_in(text, start, last):
            continue
        # the keys of AWS's documentation
        if rule.kind == _AWS and last - first < 100 and text.endswith(("EXAMPLE", "EXAMPLEKEY"), first, last):
            continue
        if grouped and (_stands_in(said := text[first:last]) or _name_twice(said, match.group())):
            continue
        if rule.behind.match(text, last, start + rule.reach) is None and not runs.follow(last):
            continue
        tail = rule.tail.match(text, last)
        kind = rule.last if rule.last and pattern is rule.patterns[-1] else rule.kind
        return Span(first, tail.end() if tail is not None else last, kind)
    return None
