"""What a person is told above a page: after an act, or when nothing was done."""

from typing import Literal, NamedTuple


class Notice(NamedTuple):
    kind: Literal["done", "waits", "refused"]
    text: str


_TOLD = {
    "revoked": Notice("done", "Revoked. Gateways refuse its next call."),
    "reinstated": Notice("done", "Reinstated. Its evidence starts afresh."),
    "unchanged": Notice("done", "There was nothing to do: it is so already."),
    "waits": Notice("waits", "Nothing is done yet: policy wants a second person's word, which is asked for now."),
    "false_positive": Notice("done", "Noted as a false positive. The session's evidence starts afresh."),
    "benign": Notice("done", "Noted as unusual, and all right. The session's evidence starts afresh."),
    "confirmed": Notice("done", "Noted as confirmed."),
    "approved": Notice("done", "Approved, and done."),
    "denied": Notice("done", "Denied."),
    "withdrawn": Notice("done", "Withdrawn."),
    "protected": Notice("done", "Protected: guardian does not revoke it by itself."),
    "unprotected": Notice("done", "No longer protected."),
    "snoozed": Notice("done", "Quiet for a while. Guardian goes on judging and revoking."),
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
    """By the word in an address; anything else says nothing, so that no link can put words into our mouth."""
    return _TOLD.get(name or "")
