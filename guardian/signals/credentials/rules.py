"""What a real credential looks like: detect-secrets' structured rules, anchored so that hostile text stays cheap.

Only the rules are used: no entropy guesses, no settings, no verification over the network. The few formats that
the library does not know yet are added below it.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Collection
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


class Rule(NamedTuple):
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


def _of(detector: Any, kind: str, *more: str, **options: Any) -> Rule:
    return Rule(kind, (*detector.denylist, *map(re.compile, more)), **options)


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


NO_TAIL = re.compile("")
_PEM_BODY = re.compile(r"(?: BLOCK)?[ -]{0,8}(?:[^\S\n]*+(?:\n|\\+[nr])(?:\s|\\+[nr])*+\S|\s*[A-Za-z0-9+/=]{16})")
"""What follows a key's first line in a file of it, and not where code looks for one."""
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
AWS_ID, AWS_SECRET = re.compile(_AWS_ID), re.compile(rf"(?:{_AWS_MIXED}{_AWS_NO_PATH}{_AWS_KEY}")

AWS, KEY_ID = "aws_key", "aws_key_id"
"""The second is an access key's id alone: it tells which key is meant, and opens nothing without its secret."""

NAMED = "named_secret"
"""The kind for which only a name or the place speaks."""

_RULES: dict[Rule, tuple[str, ...]] = {
    Rule(AWS, (re.compile(_AWS_PAIR), re.compile(_AWS_ID)), last=KEY_ID): (
        *("AKIA", "ASIA", "ABIA", "ACCA", "A3T"),
    ),
    Rule(AWS, tuple(map(re.compile, _AWS_SECRETS)), reach=16_384, tail=NO_TAIL): (
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
    Rule("private_key", (re.compile(r"PuTTY-User-Key-File-[23]"),), tail=_TO_THE_END): ("PuTTY-User-Key-File-",),
    _of(
        BasicAuthDetector,
        "basic_auth_url",
        r"://:([^:/?#\[\]@!$&'()*+,;=\s]+)@",  # Redis has no user
        run=re.compile(r"[^/?#\[\]@!$&'()*+,;=\s]*"),
        tail=NO_TAIL,
    ): ("://",),
    Rule("google_api_key", (re.compile(r"AIza[0-9A-Za-z_-]{35}"),)): ("AIza",),
    Rule("huggingface_token", (re.compile(r"hf_[A-Za-z0-9]{34,40}(?![A-Za-z0-9])"),)): ("hf_",),
    Rule("digitalocean_token", (re.compile(r"do[opr]_v1_[0-9a-f]{64}"),)): ("doo_v1_", "dop_v1_", "dor_v1_"),
    Rule("google_oauth_token", (re.compile(r"ya29\.[0-9A-Za-z_-]{30,}"),)): ("ya29.",),
    Rule("npm_token", (re.compile(r"npm_[A-Za-z0-9]{36}"),)): ("npm_",),
    Rule(
        "bearer_token",
        (re.compile(r"[Bb]earer\s{1,4}((?=[^\s]{0,200}\d)[A-Za-z0-9._~+/-]{20,}=*)"),),
        tail=NO_TAIL,
    ): ("Bearer ", "bearer "),
    Rule(
        NAMED,
        (re.compile(r"[Bb]asic\s{1,4}([A-Za-z0-9+/]{8,}={0,2})"),),
        tail=NO_TAIL,
        confirmed=_is_user_and_password,
    ): ("Basic ", "basic "),
    Rule(
        "url_secret",
        (re.compile(r"[?&](?:password|passwd|pwd|api_?key|access_token|client_secret)=([^&\s#]{6,512})"),),
        tail=NO_TAIL,
    ): tuple(
        f"{mark}{name}="
        for mark in "?&"
        for name in ("password", "passwd", "pwd", "api_key", "apikey", "access_token", "client_secret")
    ),
}
BY_ANCHOR = {anchor: rule for rule, anchors in _RULES.items() for anchor in anchors}


def _any_of(words: Collection[str]) -> str:
    """A pattern of many words that tries what several begin with once; of two the longer."""
    firsts = sorted({word[0] for word in words if word})
    each = (re.escape(first) + _any_of({word[1:] for word in words if word[:1] == first}) for first in firsts)
    return f"(?:{'|'.join(each)})" + "?" * ("" in words) if firsts else ""


ANCHOR = re.compile(_any_of(BY_ANCHOR))
"""Matches wherever a credential may begin; text without a match carries none."""
