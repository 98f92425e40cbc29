"""Policy is asked about reads with the facts of the hour and of the tenant, as it is about acts."""

from dataclasses import replace

import pytest
from deployment import START

from guardian.control.authority.asking import may_read
from guardian.policy.cedar import CedarPolicies
from guardian.wire.principal import Principal

FORBID = '@id("house-rule") @why("") forbid (principal, action in [{actions}], resource) when {{ {when} }};'


@pytest.fixture
def make_ruled(make_stage, policies):
    """A stage whose policies forbid these reads besides."""

    def make(when, *actions, **settings):
        named = ", ".join(f'Guardian::Action::"{action}"' for action in actions or ("read", "readRevocations"))
        text = policies.policies + FORBID.format(actions=named, when=when)
        return make_stage(pdp=CedarPolicies(text, policies.schema), **settings)

    return make


def test_a_prohibition_by_the_hour_holds_for_reads_in_that_hour_and_in_no_other(make_ruled):
    stage = make_ruled("context.hour < 5")
    got = []
    for _ in range(0, 24, 3):  # from noon on
        got.append(stage.call("GET", "/v1/findings", "analyst").status_code)
        stage.clock.pass_(hours=3)
    assert got == [200] * 4 + [403] * 2 + [200] * 2


def test_so_does_one_by_the_weekday(make_ruled):
    assert START.weekday() == 1
    stage = make_ruled("context.weekday != 1", "readMetrics")
    assert stage.call("GET", "/metrics", "metrics", "*").status_code == 200
    stage.clock.pass_(days=1)
    assert stage.call("GET", "/metrics", "metrics", "*").status_code == 403


def test_whether_one_person_runs_guardian_counts(make_ruled):
    assert make_ruled("context.solo").call("GET", "/v1/findings", "analyst").status_code == 200
    assert make_ruled("context.solo", solo=True).call("GET", "/v1/findings", "analyst").status_code == 403


def test_who_is_on_call_for_a_tenant_reads_what_is_that_tenants(make_ruled):
    stage = make_ruled("!context.onCall", on_call={"acme": frozenset({"ada"}), "globex": frozenset({"bob"})})
    for who, tenant, expected in (("ada", "acme", 200), ("bob", "acme", 403), ("ada", "globex", 403)):
        got = stage.call("GET", f"/v1/findings?tenant_id={tenant}", "analyst", "acme", "globex", who=who)
        assert got.status_code == expected, (who, tenant)
    assert stage.call("GET", "/v1/findings", "analyst", who="ada").status_code == 403, "no tenant is named"


def test_a_tenants_mode_counts_where_the_tenant_is_named(make_ruled):
    stage = make_ruled('context.mode == "enforce"')
    asked = {"X-Guardian-Tenant": "acme", "X-Guardian-Session": "s1"}
    assert stage.call("GET", "/v1/check", "gateway", headers=asked).status_code == 200
    stage.enforce()
    assert stage.call("GET", "/v1/check", "gateway", headers=asked).status_code == 403
    assert stage.call("GET", "/v1/revocations", "gateway").status_code == 200, "no tenant is named"


def test_what_explains_a_read_is_shown_what_the_read_is(make_ruled):
    stage = make_ruled("context.budget.total > 0 || context.act.breakGlass")
    asked = "/v1/policy/explain?tenant_id=acme&action=read&role=analyst"
    assert stage.call("GET", "/v1/findings?tenant_id=acme", "analyst").status_code == 200
    assert stage.call("GET", asked, "analyst").json()["allowed"]
    stage.revoke("s1")
    assert stage.call("GET", f"{asked}&session_id=s1", "analyst").json()["allowed"]


def test_a_read_that_names_no_tenant_asks_the_database_nothing(stage):
    caller = Principal("g", "gateway", frozenset({"acme"}), jti="", expires_at=START)
    unread = replace(stage.deps, store=None)
    assert may_read(unread, caller, "readRevocations") == {"acme"}
