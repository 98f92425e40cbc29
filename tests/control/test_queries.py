"""What a query asks for is known to the route, or nothing is answered."""

import re

import pytest
from fastapi.routing import APIRoute

from guardian.control.authentication.gate import PUBLIC, SIGNED

APPENDED = ("/v1/check", "/v1/check/{path:path}", "/metrics")
"""A proxy appends the query of the call that it asks about: words of the agent; a scrape may have `params`."""


def _asked(stage):
    """Every route with a token, also those that the OpenAPI document leaves out: (method, path, parameters)."""
    document = stage.client.get("/openapi.json").json()
    for route in stage.client.app.routes:
        if not isinstance(route, APIRoute) or route.path in PUBLIC | SIGNED | {*APPENDED}:
            continue
        path = route.path.replace("{tenant_id}", "acme").replace("{subject_type}", "agent")
        documented = document["paths"].get(route.path_format, {})
        for method in sorted(route.methods):
            told = documented.get(method.lower(), {}).get("parameters", ())
            taken = [each["name"] for each in told if each["in"] == "query"]
            yield method, re.sub(r"{[a-z_]+(:path)?}", "x", path), taken


def test_no_route_answers_a_query_with_a_parameter_that_it_does_not_know(stage):
    """`?tenant=acme` would be answered for every tenant, and a misspelt cursor with the first page for ever."""
    asked = list(_asked(stage))
    known = {(method, path): names for method, path, names in asked}
    assert {"tenant_id", "status", "order", "limit", "cursor"} <= set(known["GET", "/v1/sessions"])
    assert ("GET", "/v1/revocations/stream", []) in asked
    for method, path, taken in asked:
        for query in ("nonsense=1", "=", *(f"{name}=1&nonsense=1" for name in taken[:1])):
            got = stage.call(method, f"{path}?{query}")
            assert (got.status_code, got.json()["detail"][:14]) == (422, "query: here it"), (method, path, query)
            assert "nonsense" not in got.text
            assert all(name in got.json()["detail"] for name in taken)


def test_no_route_takes_the_last_of_two_for_the_one_that_was_meant(stage):
    asked = [(method, path, name) for method, path, taken in _asked(stage) for name in taken]
    assert ("GET", "/v1/findings", "tenant_id") in asked
    for method, path, name in asked:
        got = stage.call(method, f"{path}?{name}=acme&{name}=globex")
        assert (got.status_code, "each once" in got.text) == (422, True), (method, path, name)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/.well-known/jwks.json", "/openapi.json"])
def test_what_anybody_may_ask_is_answered_whatever_a_prober_adds(stage, path):
    assert stage.client.get(f"{path}?nonsense=1").status_code == 200


def test_a_scrape_with_params_of_its_own_is_answered(stage):
    for query in ("format=prometheus", "collect[]=a&collect[]=b"):
        got = stage.call("GET", f"/metrics?{query}", "metrics", "*")
        assert (got.status_code, "guardian_ledger_revision" in got.text) == (200, True)
    assert stage.call("GET", "/metrics?x=1", "gateway").status_code == 403


def test_a_query_that_a_proxy_appends_to_a_check_is_left_alone(stage):
    named = {"X-Guardian-Session": "s"}
    for path in ("/v1/check?nonsense=1", "/v1/check?nonsense=1&nonsense=2", "/v1/check/tools/call?nonsense=1"):
        assert stage.call("GET", path, "gateway", headers=named).status_code == 200
