"""How a list is kept fresh: `GET /v1/revocations/stream`, and polling where that cannot be had."""

import math
import threading
from typing import Literal

from .connection import Event, Server, header
from .credentials import Credentials, asker
from .held import HeldList, Pace
from .reading import Refused, View
from .signature import HEADER

_NOT_STREAMING = frozenset({"http_404", "http_405", "no_stream", "slow_stream", "held_back"})
_UNKNOWN = (400, 404, 409, 410, 416)  # what a server says that does not know our revision
_NO_STREAM_S = 300.0  # how long a server that does not stream is only polled


class Follower:
    """One thread runs `run` until `stop` is set and the server is aborted."""

    def __init__(
        self, held: HeldList, server: Server, credentials: Credentials, pace: Pace, *, push: bool
    ) -> None:
        self.transport: Literal["push", "poll", "none"] = "none"
        self.stop = threading.Event()
        self._held, self._server, self._credentials = held, server, credentials
        self._push, self._pace, self._clock = push, pace, pace.clock
        self._wait = min(pace.wait_s, pace.max_stale_s / 3)  # the list must not go stale during a long poll
        self._silence = max(1.0, pace.max_stale_s / 2)  # a stream that says nothing for so long is dead
        self._synced = False  # has the server itself given us a whole list since we started?
        self._push_after = -math.inf

    def run(self) -> None:
        failures = 0
        while not self.stop.is_set():
            began, before = self._clock(), self._held.view
            try:
                if self._push and self._synced and began >= self._push_after:
                    self._follow()
                    continue
                self.poll()
            except Exception as error:  # whatever the network brings, the thread lives and the list ages
                failures += 1
                self._server.drop()
                if not self.stop.is_set():
                    self._held.trouble.note(error)
                ceiling = max(self._pace.interval_s, self._pace.max_stale_s / 6)
                pause = min(ceiling, 0.25 * 2 ** min(failures, 16)) * (0.5 + self._pace.jitter() / 2)
            else:
                failures = 0
                self.transport = "poll"
                pause = self._pause(began, before)
            self.stop.wait(pause)
        self._server.drop()
        self._held.end()
        self._held.save(last=True)

    def _pause(self, began: float, before: View | None) -> float:
        """Seconds from a good answer until the next question."""
        if self._push and self._clock() >= self._push_after:
            return 0.0
        took, view = self._clock() - began, self._held.view
        changed = before is None or view is None or before.revision != view.revision
        held = self._wait > 0 and took >= self._wait / 2  # it does long-poll: ask again at once
        return min(0.05, self._pace.interval_s) if changed or held else max(0.05, self._pace.interval_s - took)

    def poll(self) -> None:
        """One round: confirm, apply or refuse. Raises and changes nothing when the answer is no good."""
        view, headers = self._held.view, self._credentials.headers()
        asked_as = asker(headers)
        same = view is not None and view.asked_as == asked_as
        base = view if self._synced and same and not self._held.wants_whole else None
        if base is not None:
            known = {**headers, "If-None-Match": base.etag} if base.etag else headers
            calm = not self._held.trouble.reason and self._held.is_fresh(base)
            wait = self._wait if calm else 0.0  # be fresh first, patient later
            query = {"since": str(base.revision), "wait": f"{wait:g}"}
            answer = self._server.get(query, known, self._pace.timeout_s + wait)
        if base is None or answer.status in _UNKNOWN:  # take it all
            base, answer = None, self._server.get({}, headers, self._pace.timeout_s)
        status, got, body, took_s = answer
        if status == 200:
            etag = header(got, "ETag").removeprefix("W/")  # what a proxy that packs makes of it
            self._held.take(body, header(got, HEADER), etag, base, asked_as, took_s=took_s)
        elif status == 304 and base is not None and base.etag:
            self._held.confirm(base, base.etag.encode(), header(got, HEADER))
        else:
            raise Refused(f"http_{status}", "the token was refused" if status in (401, 403) else "")
        self._synced = True

    def _follow(self) -> None:
        """Listen to the stream until it ends; after any trouble with it there is a while of polling."""
        view, headers = self._held.view, self._credentials.headers()
        assert view is not None  # noqa: S101 - only a synced list is followed
        began, pause = self._clock(), 1.0
        if asker(headers) != view.asked_as:  # another token may see more: begin with a whole list
            self._synced = False
            return
        try:
            self._listen({**headers, "Accept": "text/event-stream", "Last-Event-ID": str(view.revision)}, began)
            if not self._synced or self.stop.is_set():
                return
        except Exception as error:
            pause = self._missed(error)
        self.transport = "poll"
        short = self._clock() - began < self._silence  # one that breaks at once is not tried in a hot loop
        self._push_after = self._clock() + (pause if short or pause > 1 else 0.0) * (0.5 + self._pace.jitter() / 2)

    def _listen(self, headers: dict[str, str], began: float) -> None:
        """Until the stream ends, somebody stops it, or a whole list must be asked for first."""
        for event in self._server.events(headers, min(self._pace.timeout_s, self._silence), self._silence):
            if event is not None:
                self._hear(event)
                self.transport = "push"
            if self.stop.is_set():
                return
            heard = began if self._held.view is None else max(began, self._held.view.confirmed)
            if self._clock() - heard > self._silence:
                raise Refused("silent", "the stream goes on and says nothing of the list")
            another = self._credentials.headers()["Authorization"] != headers["Authorization"]
            if another or self._held.wants_whole:
                self._synced = False
                return

    def _hear(self, event: Event) -> None:
        name, data = event
        base = self._held.view
        if name not in ("revocations", "fresh") or base is None:
            return
        body = data[0]
        signature = data[1].decode("ascii", "replace") if len(data) > 1 else ""
        if name == "revocations":
            self._held.take(body, signature, "", base, base.asked_as)
        elif body.decode("ascii", "replace") == str(base.revision):
            self._held.confirm(base, body, signature)
        else:
            raise Refused("gap", "the server confirms another revision than the one that is held")

    def _missed(self, error: Exception) -> float:
        """Say why there is no stream, where that is news; seconds until it is tried again."""
        code = error.code if isinstance(error, Refused) else ""
        if code in ("slow_stream", "held_back"):
            self._held.trouble.not_streamed(error)
        if code in _NOT_STREAMING:
            return _NO_STREAM_S
        if self.stop.is_set():
            pass
        elif code and not code.startswith("http_"):
            self._held.trouble.note(error)
        else:
            self._held.trouble.not_streamed(error)
        return 5.0 if code or isinstance(error, TimeoutError) else 1.0
