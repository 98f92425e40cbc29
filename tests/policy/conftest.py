"""Real servers on this machine: a decision point that answers, and sockets that misbehave."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from serving import JSON, Asked, Reply, Served, answering

from guardian.policy.cedar import CedarPolicies
from guardian.policy.files import PolicyFiles
from guardian.policy.port import (
    ActFacts,
    Asker,
    BudgetFacts,
    EvidenceFacts,
    HarmFacts,
    PolicyRequest,
    SessionFacts,
    WhomFacts,
)

CONFIG = Path(__file__).parents[2] / "config"
SHAPES = """package shapes
yes := true
no := false
undefined_here if input.context.nothing_like_this
text := "true"
number := 1
list := [true]
beside_deny := {"allow": true, "deny": ["no"]}
textual := {"allow": "true"}
silent := {"policy_ids": ["p"]}
named := {"allow": true, "policy_ids": {"b", "a"}, "reasons": {"a": "because"}}
ids_of_numbers := {"allow": true, "policy_ids": [1]}
"""


@dataclass
class HandClock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def request_from(connection: socket.socket) -> bytes:
    """One whole HTTP request, or the first bytes of whatever else is said.

    To close a socket with bytes unread resets it, and the answer is lost on its way.
    """
    request = connection.recv(65536)
    while request.startswith(b"POST ") and (more := connection.recv(65536) if _lacks(request) else b""):
        request += more
    return request


def _lacks(request: bytes) -> bool:
    head, ends, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return not ends or (length is not None and len(body) < int(length[1]))


@contextmanager
def _raw(behave: Callable[[socket.socket, threading.Event], None]) -> Iterator[Served]:
    """A socket that reads one request and then does what it likes until `over` is set."""
    listener = socket.create_server(("127.0.0.1", 0))
    pdp, over = Served(f"http://127.0.0.1:{listener.getsockname()[1]}"), threading.Event()

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.settimeout(5)
                    pdp.asked.append(Asked("", "", Message(), request_from(connection), ("", 0)))
                    behave(connection, over)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield pdp
    finally:
        over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Asked], Reply]], Served]]:
    with ExitStack() as servers:
        yield lambda answer: servers.enter_context(answering(answer))


@pytest.fixture
def serve_raw() -> Iterator[Callable[[Callable[[socket.socket, threading.Event], None]], Served]]:
    with ExitStack() as servers:
        yield lambda behave: servers.enter_context(_raw(behave))


@pytest.fixture
def whole_request() -> Callable[[socket.socket], bytes]:
    return request_from


@pytest.fixture
def hand_clock() -> HandClock:
    return HandClock()


@pytest.fixture
def numbered() -> Callable[[], str]:
    ids = count(1)
    return lambda: f"request-{next(ids)}"


@pytest.fixture
def auto_revoke() -> PolicyRequest:
    """What the shipped policies permit the monitor, and every sensible decision point too."""
    return PolicyRequest(
        asker=Asker("monitor-1", "monitor", frozenset({"acme"})),
        action="revoke",
        tenant_id="acme",
        session=SessionFacts("sess_1"),
        mode="enforce",
        evidence=EvidenceFacts(one_in=50_000, session_evidence_milli=5000, independent_signals=2),
        budget=BudgetFacts(total=10, reserved=3),
    )


@pytest.fixture(scope="session")
def rego_server() -> Iterator[Served]:
    """The example policies in a real Rego evaluator, behind the shape of OPA's REST API."""
    regopy = pytest.importorskip("regopy", reason="the dev extra brings a Rego evaluator")
    interpreter = regopy.Interpreter()
    for file in sorted((CONFIG / "examples" / "opa").glob("*.rego")):
        interpreter.add_module(file.name, file.read_text(encoding="utf-8"))
    interpreter.add_module("shapes.rego", SHAPES)
    turn, bundles = threading.Lock(), {}

    def answer(asked: Asked) -> Reply:
        path, _, query = asked.path.partition("?")
        rule = path.removeprefix("/v1/data/").replace("/", ".")
        with turn:  # the interpreter holds one input at a time
            if rule not in bundles:
                bundles[rule] = interpreter.build(f"x := data.{rule}")
            interpreter.set_input(asked.json["input"])
            output = interpreter.query_bundle(bundles[rule])
        body: dict[str, Any] = {} if str(output) == "undefined" else {"result": output.results[0]["x"]}
        if query == "provenance=true":
            body["provenance"] = {"version": "1.10.0", "bundles": {"authz": {"revision": "rev-7"}}}
        return Reply(body)

    with answering(answer) as pdp:
        yield pdp


@pytest.fixture(scope="session")
def authzen_server() -> Iterator[Served]:
    """An AuthZEN PDP that rebuilds the request from the facts and lets the shipped Cedar policies decide."""
    shipped = CedarPolicies.from_files(PolicyFiles.read(CONFIG / "policies"))

    def answer(asked: Asked) -> Reply:
        if asked.path != "/access/v1/evaluation":
            return Reply({"error": "no such endpoint"}, status=404)
        said = shipped.decide(request_of(asked.json))
        context = {"policy_ids": list(said.policy_ids), "reasons": dict(said.reasons)}
        return Reply(
            {"decision": said.allowed, "context": context},
            headers=(*JSON, ("X-Request-ID", asked.headers["X-Request-ID"])),
        )

    with answering(answer) as pdp:
        yield pdp


def request_of(facts: dict[str, Any]) -> PolicyRequest:
    """The inverse of guardian.policy.facts: that it exists shows that nothing which policy reads is lost."""
    subject, context = facts["subject"], facts["context"]
    about, resource = facts["resource"].get("properties", {}), facts["resource"]
    tenants = set(subject["properties"]["tenants"]) | ({"*"} if subject["properties"]["every_tenant"] else set())
    evidence = {**context["evidence"], "breaches": frozenset(context["evidence"]["breaches"])}
    named = facts["action"].get("properties", {})
    whom = None
    if "whom" in named:
        whom = WhomFacts(named["whom"], registered=named["whom_registered"], delegated=named["whom_delegated"])
    session = None
    if resource["type"] == "session":
        session = SessionFacts(
            about["session_id"],
            protected=about["protected"],
            revoked=about["revoked"],
            registered=about["registered"],
            delegator_id=about["delegator"],
            purpose=about["purpose"],
            data_classes=frozenset(about["data_classes"]),
            purpose_owners=frozenset(about["purpose_owners"]),
        )
    return PolicyRequest(
        asker=Asker(subject["id"], subject["properties"]["role"], frozenset(tenants)),
        action=facts["action"]["name"],
        tenant_id=about.get("tenant"),
        session=session,
        mode=context["mode"],
        in_canary=context["in_canary"],
        solo=context["solo"],
        on_call=frozenset({subject["id"]}) if context["on_call"] else frozenset(),
        evidence=EvidenceFacts(**evidence),
        budget=BudgetFacts(**context["budget"]),
        harm=HarmFacts(**context["harm"]),
        act=ActFacts(**context["act"]),
        target=named.get("target"),
        whom=whom,
        hour=context["hour"],
        weekday=context["weekday"],
    )


@pytest.fixture(scope="session")
def rebuilt() -> Callable[[dict[str, Any]], PolicyRequest]:
    return request_of
