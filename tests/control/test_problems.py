"""Whatever goes wrong leaves as problem details, and the OpenAPI document says so."""

import json
import re

import pytest

from guardian.control import app
from guardian.errors import StoreError, Unstorable


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("DELETE", "/v1/findings", 405),
        ("GET", "/v1/findings?limit=many", 422),
        ("GET", "/v1/findings?cursor=../../etc", 422),
        ("GET", "/v1/findings?cursor=9999999999999999999", 422),
        ("GET", "/v1/sessions?status=<script>", 422),
        ("GET", "/v1/session-changes?since=99999999999999999999999", 422),
        ("GET", "/v1/sessions/acme/" + "x" * 600, 422),
    ],
)
def test_refusals_are_problems_that_repeat_nothing_of_the_request(stage, method, path, status):
    got = stage.call(method, path)
    assert got.status_code == status
    assert got.headers["content-type"] == "application/problem+json"
    problem = got.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:guardian:problem:")
    for hostile in ("script", "etc", "many", "nothing"):
        assert hostile not in problem["title"] + problem["detail"]


def test_no_tenant_is_called_as_tokens_call_every_one_whatever_is_read(stage):
    """A list that is signed for a tenant `*` would read as everybody's, and be empty."""
    document = stage.client.get("/openapi.json").json()
    asked = [
        (path.replace("{tenant_id}", "%2A").replace("{session_id}", "s").replace("{finding_id}", "f"), told["get"])
        for path, told in document["paths"].items()
        if any(each["name"] == "tenant_id" for each in told.get("get", {}).get("parameters", ()))
    ]
    assert {"/v1/revocations", "/v1/opa/bundle.tar.gz", "/v1/watch", "/v1/check"} <= {path for path, _ in asked}
    asked.append(("/v1/revocations/stream", {"parameters": [{"in": "query", "name": "tenant_id"}]}))
    for path, told in asked:
        taken = {each["name"] for each in told["parameters"] if each["in"] == "query"}
        query = {name: value for name, value in (("tenant_id", "*"), ("session_id", "s")) if name in taken}
        got = stage.call("GET", path, "admin", "*", params=query)
        assert (got.status_code, "name the one that is meant" in got.text) == (422, True), path
        assert "Guardian-Signature" not in got.headers
    for method, path in (("GET", "/v1/check"), ("POST", "/v1/check/tools/call")):
        named = {"X-Guardian-Tenant": "*", "X-Guardian-Session": "s"}
        assert stage.call(method, path, "gateway", "*", headers=named).status_code == 422
    told = {"params": {"tenant_id": "*"}, "json": {"revision": "1.0"}}
    assert stage.call("POST", "/v1/revocations/ack", "gateway", "*", **told).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"id": "\\ud800"}',
        b'{"id": ' + b"9" * 5000 + b"}",
        b'{"id": "a\\u0000b"}',
    ],
)
def test_a_hostile_body_is_refused_and_never_breaks_the_server(stage, body):
    got = stage.call("POST", "/v1/findings", "monitor", content=body, headers={"Content-Type": "application/json"})
    assert got.status_code in (400, 422)
    assert got.headers["content-type"] == "application/problem+json"


def test_of_a_thousand_unknown_keys_none_is_named_wherever_a_body_is_taken(stage):
    """Each would become an error of its own, for seconds, while nobody else is answered."""
    document = stage.client.get("/openapi.json").json()
    asked = [
        (method.upper(), re.sub(r"{[a-z_]+}", "x", path))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation and path != "/v1/advise"  # where unknown keys are no mistake
    ]
    assert {("POST", "/v1/findings"), ("POST", "/v1/envelopes"), ("PUT", "/v1/modes/x")} <= set(asked)
    for method, path in asked:
        got = stage.call(method, path, "analyst", json={f"k{place}": 1 for place in range(1_000)})
        assert got.status_code == 422, (method, path)
        assert ("k1" in got.text, "keys at most" in got.text or "too many to name" in got.text) == (False, True), (
            path
        )


def test_times_outside_the_calendar_are_refused(stage, a_finding):
    body = json.loads(a_finding().model_dump_json())
    body["subject"]["expires_at"] = "9999-12-31T23:59:59-12:00"
    assert stage.call("POST", "/v1/findings", "monitor", json=body).status_code == 422
    body["subject"]["expires_at"] = "9999-12-31T23:59:59Z"
    assert stage.call("POST", "/v1/findings", "monitor", json=body).status_code == 200


class Broken:
    """A face that cannot be drawn."""

    def __init__(self, error):
        self._error = error

    def whole(self, lines, *, revision, changed_at, reach=None):
        raise self._error

    changes = whole


def test_a_crash_inside_says_nothing_of_itself(make_stage):
    got = make_stage(face=Broken(RuntimeError("secret detail"))).revocations()
    assert got.status_code == 500
    assert "secret" not in got.text
    assert got.headers["x-request-id"] == got.json()["correlation_id"]
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-type"] == "application/problem+json"


def test_a_store_that_is_away_is_503(make_stage):
    got = make_stage(face=Broken(StoreError("store: /secret/path stayed locked"))).revocations()
    assert got.status_code == 503
    assert "secret" not in got.text


def test_what_the_database_does_not_hold_is_refused_for_good_and_not_until_it_is_back(make_stage):
    got = make_stage(face=Broken(Unstorable("store: /secret/path: index row size 4120"))).revocations()
    assert (got.status_code, got.json()["code"]) == (422, "unstorable")
    assert got.json()["correlation_id"] in got.json()["detail"]
    assert "secret" not in got.text


def test_the_openapi_document_which_anybody_may_ask_for_is_rendered_once(make_stage, monkeypatch):
    render, rendered = app._openapi, []
    monkeypatch.setattr(app, "_openapi", lambda of: rendered.append(of) or render(of))
    client = make_stage().client
    first, second = (client.get("/openapi.json") for _ in range(2))
    assert (first.status_code, first.headers["content-type"]) == (200, "application/json")
    assert (first.content, len(rendered)) == (second.content, 1)


def test_the_openapi_document_names_every_refusal_as_a_problem(stage):
    document = stage.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "Problem" in document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                if status.startswith(("4", "5")) and path != "/readyz":
                    assert list(response["content"]) == ["application/problem+json"], (method, path, status)
            assert {"400", "413", "500"} <= set(operation["responses"]), "the gate's, whatever is asked"
            assert ("408" in operation["responses"]) == ("requestBody" in operation), path
            if path.startswith("/v1"):
                assert operation["security"] == [{"token": []}]
                assert {"401", "422", "503"} <= set(operation["responses"]), path
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"]


def test_documentation_pages_that_load_foreign_scripts_are_off(stage):
    for path in ("/docs", "/redoc"):
        assert stage.call("GET", path).status_code == 404
