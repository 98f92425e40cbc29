"""The last list, kept over a restart of the gateway: whole or not at all, readable by its owner alone.

Where signatures are checked the cache holds the signed answers themselves. They are verified again when it is
read, and the newest signature tells its age: whoever can write the file can bring back an older list, but not as a
fresh one.
"""

import base64
import glob
import json
import math
import os
import secrets
import zlib
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from .reading import Refused, Revision, Signed, View, apply, parse
from .signature import Verifier

_DRAFT_S = 60.0  # a draft that nobody wrote to for so long is one whose writer was killed
_FUTURE_S = 5.0  # a cache dated further ahead than this was written by a clock that we cannot trust


class Proof(NamedTuple):
    """The latest signed word that nothing changed: a revision or an entity tag, and its signature."""

    payload: bytes
    signature: str


class Part(NamedTuple):
    """One signed answer: a whole list (`since` None) or a delta, its body packed."""

    since: Revision | None
    packed: bytes
    signature: str


class Cache:
    """`of` says whose list this is (format, server, tenants): a cache of another one is not read."""

    def __init__(
        self, path: str, of: list[Any], tenants: frozenset[str] | None, verifier: Verifier | None
    ) -> None:
        self.path = path
        self._of, self._tenants, self._verifier = of, tenants, verifier

    def load(self, *, wall: float, clock: float) -> tuple[View, tuple[Part, ...]] | None:
        """The list as it was saved, with its age; None where there is no file.

        Raises Refused, or whatever reading and parsing raise, for a file that must not be used.
        """
        for draft in glob.glob(glob.escape(self.path) + "." + "[0-9a-f]" * 16):
            with suppress(OSError):  # another process was here first
                if wall - os.stat(draft).st_mtime > _DRAFT_S:
                    os.unlink(draft)
        try:
            with open(self.path, "rb") as file:
                facts = os.fstat(file.fileno())
                saved = json.loads(file.read())
        except FileNotFoundError:
            return None
        if os.name == "posix" and (facts.st_mode & 0o022 or facts.st_uid not in (0, os.geteuid())):
            raise Refused("unsafe", "others can write it")
        age = wall - float(saved["confirmed_at"])
        if saved["of"] != self._of or not -_FUTURE_S <= age < math.inf:
            raise Refused("foreign", "it belongs to another server, other tenants or the future")
        revision, issued = Revision(*map(int, saved["revision"])), float(saved["issued_at"])
        if not math.isfinite(issued):
            raise Refused("altered", "when it was issued is no time")
        if self._verifier is None:
            rows = saved["until"]
            until = {(str(t), str(k), str(s)): math.inf if at is None else float(at) for t, k, s, at in rows}
            reach = Signed(reach=frozenset(map(str, saved.get("reach", ()))))  # of an older client it is not known
            return View(revision, "", until, issued, clock - max(age, 0.0), str(saved["asked_as"]), reach), ()
        parts = tuple(
            Part(None if since is None else Revision(*map(int, since)), base64.b64decode(packed), str(signature))
            for since, packed, signature in saved["parts"]
        )
        view = self._replayed(parts, str(saved["asked_as"]))
        if saved.get("proof") is not None:
            proof = Proof(str(saved["proof"][0]).encode(), str(saved["proof"][1]))
            if proof.payload.strip(b'"').split(b"-")[0].decode() != str(view.revision):
                raise Refused("altered", "its proof of freshness is about another revision")
            view = replace(view, signed=max(view.signed, self._when(proof.payload, proof.signature, None)))
        if view.revision != revision:
            raise Refused("altered", "its signed answers do not lead to its revision")
        return replace(view, issued=issued, confirmed=clock - max(age, wall - view.signed.at, 0.0)), parts

    def save(self, view: View, parts: tuple[Part, ...], proof: Proof | None, *, confirmed: float) -> None:
        """`confirmed` is by the wall clock. Raises OSError, and then leaves the old file in place."""
        saved: dict[str, Any] = {
            "of": self._of,
            "revision": view.revision,
            "issued_at": view.issued,
            "confirmed_at": confirmed,
            "asked_as": view.asked_as,
        }
        if self._verifier is None:
            rows = view.until.copy().items()
            saved["reach"] = sorted(view.signed.reach)
            saved["until"] = [[t, k, s, None if at == math.inf else at] for (t, k, s), at in rows]
        else:
            saved["parts"] = [[p.since, base64.b64encode(p.packed).decode(), p.signature] for p in parts]
            saved["proof"] = None if proof is None else [proof.payload.decode(), proof.signature]
        draft = f"{self.path}.{secrets.token_hex(8)}"
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                json.dump(saved, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self.path)
        except OSError:
            with suppress(OSError):
                os.unlink(draft)
            raise

    def _replayed(self, parts: tuple[Part, ...], asked_as: str) -> View:
        """The list that the signed answers lead to."""
        view: View | None = None
        for part in parts:
            body = zlib.decompress(part.packed)
            signed = self._when(body, part.signature, part.since)
            if part.since is not None and (view is None or view.revision != part.since):
                raise Refused("altered", "a signed answer is missing")
            view, _ = apply(
                parse(body),
                "",
                seen=view,
                base=view,
                tenants=self._tenants,
                confirmed=0.0,
                asked_as=asked_as,
                signed=signed,
            )
        if view is None:
            raise Refused("altered", "it holds no signed list")
        return view

    def _when(self, payload: bytes, signature: str, since: Revision | None) -> Signed:
        assert self._verifier is not None  # noqa: S101 - only then there are signatures
        return self._verifier.check(
            payload, signature, tenants=self._tenants, since=since, now=None, window_s=math.inf
        )
