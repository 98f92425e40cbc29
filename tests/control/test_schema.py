"""The OpenAPI document is true: no answer that it does not name, and never a failure of the server."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.python.asgi import get_client
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from guardian.wire.exceptions import ExceptionView

GENERAL = {
    "cache-control", "content-encoding", "content-length", "content-security-policy", "content-type",
    "cross-origin-resource-policy", "referrer-policy", "vary", "x-content-type-options",
}  # fmt: skip
"""Headers that mean here what they mean everywhere."""


def every_other_header_is_named(_context: Any, response: Any, case: Any) -> None:
    operation = case.operation.definition.raw
    named = operation["responses"][str(response.status_code)]["headers"]
    sent = {name.lower() for name in response.headers} - GENERAL
    assert sent <= {name.lower() for name in named}, (case.operation.label, response.status_code, sent)


CHECKS = [
    every_other_header_is_named,
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
FEW = settings(
    max_examples=4,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def lived_in(make_stage: Any) -> Any:
    return make_stage(long_poll_max_s=0, solo=True, default_mode="enforce")


@pytest.fixture
def existing(lived_in: Any, a_finding: Any, hard: Any) -> dict[str, str]:
    """Something of every kind that can be named in a path: a made-up name only ever gets 404."""
    lived_in.submit(a_finding("s1"))
    lived_in.submit(a_finding("s2"))
    lived_in.call("POST", "/v1/sessions/acme/s2/reinstate", "responder", json={"reason": "ours"})
    lived_in.call("PUT", "/v1/sessions/acme/s3/protection", json={"protected": True, "reason": "payroll"})
    wish = lived_in.submit(a_finding("s3", breaches=hard)).json()
    with lived_in.deps.store.write() as rows:
        rows.exceptions.add(fine(lived_in.clock()))
    glass = {"tenant_id": "acme", "reason": "an emergency", "minutes": 5}
    return {
        "tenant_id": "acme",
        "session_id": "s1",
        "subject_type": "agent",
        "subject_id": "agent_9",
        "finding_id": wish["finding_id"],
        "approval_id": wish["approval_id"],
        "exception_id": "exc_1",
        "grant_id": lived_in.call("POST", "/v1/break-glass", "responder", json=glass).json()["id"],
    }


def fine(now: datetime) -> ExceptionView:
    told = {
        "id": "exc_1",
        "tenant_id": "acme",
        "purpose": "review",
        "tool": "crm.*",
        "owner": "ann",
        "reason": "r",
    }
    return ExceptionView(**told, created_at=now, expires_at=now + timedelta(days=1))


def operations(stage: Any) -> Iterator[Any]:
    document = stage.client.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    schema.app = stage.client.app
    for found in schema.get_all_operations():
        yield found.ok()


def probed(operation: Any, strategy: Any, client: Any, headers: dict[str, str]) -> tuple[set[int], str]:
    """The statuses that were answered, and what is wrong with the operation, if anything."""
    seen: set[int] = set()

    @FEW
    @given(case=strategy)
    def answers_as_documented(case: Any) -> None:
        response = case.call(session=client, headers=headers)
        seen.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    try:
        answers_as_documented()
    except Exception as failure:
        causes = getattr(failure, "exceptions", ())
        return seen, f"{operation.label}: " + "; ".join(map(str, (failure, *causes)))[:2000]
    return seen, ""


def named(operation: Any, existing: dict[str, str]) -> dict[str, Any]:
    wanted = {each.name: existing[each.name] for each in operation.path_parameters}
    return {"path_parameters": wanted} if wanted else {}


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("admin", {"GET /v1/findings/{finding_id}", "GET /v1/approvals/{approval_id}", "GET /v1/watch"}),
        ("monitor", {"POST /v1/findings", "GET /v1/session-changes"}),
        ("gateway", {"GET /v1/revocations", "GET /v1/whoami"}),
    ],
)
def test_no_valid_request_gets_an_undocumented_answer(lived_in, existing, role, may):
    headers = {"Authorization": f"Bearer {lived_in.token(role, '*')}"}
    with get_client(lived_in.client.app) as client:
        found = {
            each.label: probed(each, each.as_strategy(**named(each, existing)), client, headers)
            for each in operations(lived_in)
        }
    assert [wrong for _, wrong in found.values() if wrong] == []
    assert may <= {label for label, (seen, _) in found.items() if 200 in seen}


def test_no_invalid_request_gets_an_undocumented_answer(lived_in):
    headers = {"Authorization": f"Bearer {lived_in.token('admin', '*')}"}
    with get_client(lived_in.client.app) as client:
        found = {
            each.label: probed(each, each.as_strategy(generation_mode=GenerationMode.NEGATIVE), client, headers)
            for each in operations(lived_in)
            if each.path_parameters or each.query or each.body or each.headers
        }
    assert [wrong for _, wrong in found.values() if wrong] == []
    assert {422} <= set.union(*(seen for seen, _ in found.values()))
