"""What a person is told above a page: after an act, or when nothing was done."""

import hmac
from collections.abc import Mapping
from typing import Literal, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from guardian.console.asked import Asked
from guardian.wire.peers import UNFOLLOWED
from guardian.wire.visits import Visit

_SAID = ("did", "told")
_SIGNING_IN = ("signed_out", "over", "not_done")


class Notice(NamedTuple):
    kind: Literal["done", "waits", "refused"]
    text: str


_TOLD = {
    "revoked": Notice("done", "Revoked. Gateways refuse its next call."),
    "unfollowed": Notice("waits", f"{UNFOLLOWED}."),
    "reinstated": Notice("done", "Reinstated. Its evidence starts afresh."),
    "unchanged": Notice("done", "There was nothing to do: it was so already."),
    "waits": Notice("waits", "Nothing is done yet: policy requires a second person, who is being asked now."),
    "false_positive": Notice("done", "Noted as a false positive."),
    "all_dismissed": Notice("done", "All that was chosen is dismissed."),
    "benign": Notice("done", "Noted as unusual, but all right."),
    "confirmed": Notice("done", "Noted as confirmed."),
    "taken_back": Notice("done", "The verdict is taken back: nobody has judged it now."),
    "approved": Notice("done", "Approved, and done."),
    "denied": Notice("done", "Denied."),
    "withdrawn": Notice("done", "Withdrawn."),
    "protected": Notice("done", "Protected: guardian does not revoke it by itself."),
    "unprotected": Notice("done", "No longer protected."),
    "snoozed": Notice("done", "Snoozed. Guardian goes on judging and revoking."),
    "taken": Notice("done", "The case is yours. Nobody is called for help unless it becomes worse."),
    "noted": Notice("done", "The note is kept."),
    "excepted": Notice("done", "The exception is made."),
    "signed_out": Notice("done", "You are signed out."),
    "over": Notice("refused", "Your sign-in has ended. Sign in to go on."),
    "not_done": Notice("refused", "Your sign-in has ended and nothing was done. Sign in, look again, and decide."),
}

STALE = Notice(
    "refused",
    "Nothing was done: the case has changed since this page was shown to you. This is how it stands now.",
)


def notice_of(name: str | None) -> Notice | None:
    """By the word in an address, for those who are not signed in: how they came to be so, and nothing else."""
    return _TOLD[name] if name in _SIGNING_IN else None


def notice_in(asked: Asked) -> Notice | None:
    """By the word in the address if this very visit was sent there with it: no link tells of acts nobody did."""
    word, seal = asked.query.get("did", ""), asked.query.get("told", "")
    wanted = _seal(asked.signed_in, asked.path, asked.query, word)
    return _TOLD.get(word) if hmac.compare_digest(seal.encode(), wanted.encode()) else None


def with_word(visit: Visit, path: str, word: str) -> str:
    """The page that somebody came from, with what is to be said there."""
    where = urlsplit(path)
    query = {name: values[0] for name, values in parse_qs(where.query).items()}
    query = {name: value for name, value in query.items() if name not in (*_SAID, "audit")}
    return f"{where.path}?{urlencode({**query, 'told': _seal(visit, where.path, query, word), 'did': word})}"


def _seal(visit: Visit, path: str, query: Mapping[str, str], word: str) -> str:
    about = sorted((name, value) for name, value in query.items() if name not in _SAID and value)
    text = f"guardian.notice/v1 {word} {path}?{urlencode(about)}"
    return hmac.digest(visit.csrf.encode(), text.encode(), "sha256").hex()[:32]
