"""`/v1/check`, the OPA bundle, and a real nginx in front of an application."""

import hashlib
import io
import json
import re
import tarfile
from datetime import UTC, datetime

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey
from nginx import EXAMPLES, certified, nginx
from serving import Reply, answering, running
from until import until

from guardian.control.app import create_app
from guardian.domain.revocation import Revision
from guardian.gateway.names import session_name
from guardian.revocation import opa_bundle
from guardian.revocation.opa_bundle import BundleFace

regopy = pytest.importorskip("regopy", reason="the dev extra brings a Rego evaluator")


def check(stage, *tenants, **named):
    headers = {f"X-Guardian-{name.title()}": value for name, value in named.items()}
    return stage.call("GET", "/v1/check", "gateway", *tenants, headers=headers)


def test_a_revoked_session_is_forbidden_and_others_may_pass_for_a_moment(stage):
    stage.revoke("s1")
    bad, good = check(stage, session="s1"), check(stage, session="s2")
    assert (bad.status_code, bad.json()["code"]) == (403, "revoked")
    assert (good.status_code, good.content) == (200, b"")
    for answer in (bad, good):
        assert answer.headers["cache-control"] == "private, max-age=1"
        assert "X-Guardian-Session" in answer.headers["vary"]


@pytest.mark.parametrize("kind", ["agent", "delegator", "task", "jti"])
def test_every_subject_that_a_gateway_may_know_is_looked_up(stage, kind):
    stage.call("POST", f"/v1/subjects/acme/{kind}/x/revoke", "responder", json={"reason": "r"})
    name = "token" if kind == "jti" else kind
    assert check(stage, session="s", **{name: "x"}).status_code == 403
    assert check(stage, session="s", **{name: "y"}).status_code == 200


def test_a_revoked_parent_is_enough(stage):
    stage.revoke("root")
    assert check(stage, session="child", parent="root").status_code == 403


def test_who_names_nobody_or_somebody_elses_tenant_is_forbidden(stage):
    assert check(stage).json()["code"] == "unnamed"
    assert check(stage, tenant="globex", session="s").json()["code"] == "out_of_reach"
    assert check(stage, "acme", "globex", session="s").json()["code"] == "unnamed"
    assert check(stage, "acme", "globex", tenant="globex", session="s").status_code == 200
    assert stage.call("GET", "/v1/check?session_id=s", "monitor").status_code == 403


def test_a_revocation_that_is_over_forbids_nothing_even_before_the_sweep(stage):
    stage.call("POST", "/v1/subjects/acme/agent/x/revoke", "responder", json={"reason": "r", "seconds": 5})
    stage.clock.pass_(seconds=5)
    assert check(stage, agent="x").status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"])
def test_a_proxy_may_append_the_original_path_and_method(stage, method):
    stage.revoke("s1")
    path = "/v1/check/tools/call?x=1"
    assert stage.call(method, path, "gateway", headers={"X-Guardian-Session": "s1"}).status_code == 403
    assert stage.call(method, path, "gateway", headers={"X-Guardian-Session": "s2"}).status_code == 200


def test_who_is_asked_about_is_not_for_an_agent_s_own_query_to_say(stage):
    stage.revoke("s1")
    for path in ("/v1/check/tools/call", "/v1/check/"):
        assert stage.call("GET", f"{path}?session_id=s2", "gateway").json()["code"] == "unnamed"
        query = f"{path}?session_id={'x' * 600}&tenant_id=globex"
        assert stage.call("GET", query, "gateway", headers={"X-Guardian-Session": "s1"}).status_code == 403
        assert stage.call("GET", query, "gateway", headers={"X-Guardian-Session": "s2"}).status_code == 200
        both = stage.call("GET", f"{path}?tenant_id=acme&session_id=s2", "gateway", "acme", "globex")
        assert both.json()["code"] == "unnamed"
    assert stage.call("GET", "/v1/check?session_id=s1", "gateway").json()["code"] == "revoked"
    assert stage.call("GET", "/v1/check?session_id=s2&tenant_id=acme", "gateway").status_code == 200


def test_a_name_beyond_ascii_is_looked_up_as_the_gateway_wrote_it(stage):
    stage.call("POST", "/v1/subjects/acmé/agent/é/revoke", "responder", "acmé", json={"reason": "r"})
    told = {"tenant": "acmé".encode(), "agent": "é".encode()}
    assert check(stage, "acmé", "globex", **told).json()["code"] == "revoked"
    assert check(stage, "acmé", agent="é".encode()).json()["code"] == "revoked"


def test_a_name_may_be_as_long_in_any_script(stage):
    longest = "名" * 512
    stage.revoke(longest)
    assert check(stage, session=longest.encode()).json()["code"] == "revoked"
    assert check(stage, session=longest[:200].encode()).status_code == 200


@pytest.mark.parametrize("odd", ["", "名" * 513, "x" * 513, "é" * 513, "a\tb", "a\x7fb"])
@pytest.mark.parametrize("name", ["tenant", "agent", "token"])
def test_a_name_that_nobody_can_bear_is_refused_in_whatever_header(stage, name, odd):
    """By a 403, for nginx tells its users of any other no as an error of its own."""
    got = check(stage, **{"session": "x", name: odd.encode()})
    assert (got.status_code, got.json()["code"]) == (403, "invalid")


@pytest.mark.parametrize("odd", ["名" * 513, "x" * 513, "é" * 513, "a\tb", "a\x7fb"])
def test_a_session_that_cannot_be_known_by_its_name_is_by_its_hash(stage, odd):
    stage.revoke(session_name(odd))
    for name in ("session", "parent"):
        assert check(stage, **{name: odd.encode()}).json()["code"] == "revoked"
        assert check(stage, **{name: f"{odd}2".encode()}).status_code == 200
        assert check(stage, agent="x", **{name: b""}).json()["code"] == "invalid"
    assert stage.call("GET", "/v1/check", "gateway", params={"session_id": odd}).json()["code"] == "revoked"


@pytest.mark.parametrize("query", ["session_id=", "session_id=s&tenant_id=a%09b"])
def test_nor_in_a_query(stage, query):
    got = stage.call("GET", f"/v1/check?{query}", "gateway")
    assert (got.status_code, got.json()["code"]) == (403, "invalid")


def test_a_header_that_came_twice_names_nobody(stage):
    headers = [("Authorization", f"Bearer {stage.token('gateway')}")]
    headers += [("X-Guardian-Session", "s2"), ("X-Guardian-Session", "s1")]
    assert stage.client.get("/v1/check", headers=headers).json()["code"] == "unnamed"


@pytest.mark.parametrize("query", ["session_id=s1&session_id=s2", "session_id=s2&tenant_id=acme&tenant_id=acme"])
def test_nor_does_a_query_that_says_it_twice(stage, query):
    stage.revoke("s1")
    assert stage.call("GET", f"/v1/check?{query}", "gateway").json()["code"] == "unnamed"
    headers = {"X-Guardian-Tenant": "acme", "X-Guardian-Session": "s2"}  # then the query is the agent's, and idle
    for path in ("/v1/check", "/v1/check/tools"):
        assert stage.call("GET", f"{path}?{query}", "gateway", headers=headers).status_code == 200


def bundle(stage, *tenants, **headers):
    return stage.call("GET", "/v1/opa/bundle.tar.gz", "gateway", *tenants, headers=headers)


def unpacked(got):
    with tarfile.open(fileobj=io.BytesIO(got.content), mode="r:gz") as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def refused(files, **told):
    rego = regopy.Interpreter()
    rego.add_module("policy", files["guardian/revocations/policy.rego"].decode())
    data = json.loads(files["guardian/revocations/data.json"])
    rego.add_data_json(json.dumps({"guardian": {"revocations": data}}))
    rego.set_input({name: value for name, value in {"tenant_id": "acme", **told}.items() if value != "absent"})
    return rego.query("x := data.guardian.revocations.refused").results[0]["x"]


def test_a_rego_evaluator_that_loads_the_bundle_denies_the_revoked(stage):
    stage.revoke("s1")
    stage.call("POST", "/v1/subjects/acme/agent/a1/revoke", "responder", json={"reason": "r"})
    files = unpacked(bundle(stage))
    assert refused(files, session_id="s1") is True
    assert refused(files, session_id="child", parent_session_id="s1") is True
    assert refused(files, session_id="s2", agent_id="a1") is True
    assert refused(files, agent_id="a1") is True
    assert refused(files, session_id="s2", agent_id="a2") is False


@pytest.mark.parametrize("loaded", [True, False])
def test_a_rule_that_asks_who_passes_lets_nobody_pass_while_no_bundle_is_loaded(stage, loaded):
    stage.revoke("s1")
    files = unpacked(bundle(stage))
    own = "allow if { input.ok; data.guardian.revocations.passes }"
    for session, allowed in (("s1", False), ("s2", loaded)):
        rego = regopy.Interpreter()
        rego.add_module("own", f"package own\nimport rego.v1\ndefault allow := false\n{own}\n")
        if loaded:
            rego.add_module("policy", files["guardian/revocations/policy.rego"].decode())
            data = json.loads(files["guardian/revocations/data.json"])
            rego.add_data_json(json.dumps({"guardian": {"revocations": data}}))
        rego.set_input({"ok": True, "tenant_id": "acme", "session_id": session})
        assert rego.query("x := data.own.allow").results[0]["x"] is allowed


def test_there_a_tenant_that_the_token_does_not_reach_is_refused_as_here(stage):
    for held, beyond in ((("acme", "umbrella"), ("globex", "Acme", "acme ", "*")), (("*",), ())):
        files = unpacked(bundle(stage, *held))
        for tenant in ("acme", "umbrella"):  # nobody is revoked in either
            assert refused(files, session_id="s1", tenant_id=tenant) is False
        for tenant in beyond:
            assert refused(files, session_id="s1", tenant_id=tenant) is True
    assert len({bundle(stage, *held).headers["etag"] for held in (("acme",), ("umbrella",), ("*",))}) == 3


def test_there_too_nobody_named_is_refused_and_no_tenant_named_means_every_one_of_the_bundle(stage):
    stage.revoke("s1")
    files = unpacked(bundle(stage))
    for nobody in ({}, {"session_id": ""}, {"session_id": None, "agent_id": 5}, {"tenant_id": None}):
        assert refused(files, **nobody) is True
    for unnamed in ("", None, 5, "absent"):
        assert refused(files, tenant_id=unnamed, session_id="s1") is True
        assert refused(files, tenant_id=unnamed, session_id="s2") is False


def test_there_a_name_that_is_no_text_is_refused_beside_one_that_is(stage):
    stage.revoke("77")
    files = unpacked(bundle(stage))
    for strange in (77, ["77"], {"id": "77"}, True):
        assert refused(files, session_id=strange, agent_id="a1") is True
    assert refused(files, session_id="s2", parent_session_id=None, agent_id="a1") is False


def test_there_too_a_session_that_cannot_be_known_by_its_name_is_by_its_hash_and_another_such_name_is_refused(
    stage,
):
    for odd in ("x" * 513, f"window:{'名' * 512}", "a\tb", "a\x7fb", "\x01", "window:a\x1f|b"):
        stage.revoke(session_name(odd))
        files = unpacked(bundle(stage))
        assert refused(files, session_id=odd) is True
        assert refused(files, session_id="s2", parent_session_id=odd) is True
        assert refused(files, session_id=f"{odd}x") is False
    assert refused(files, session_id="s2", agent_id="x" * 512) is False
    files = unpacked(bundle(stage, "*"))
    for name in ("tenant_id", "agent_id", "delegator_id", "task_id", "token_id"):
        for odd in ("x" * 513, "a\tb"):
            assert refused(files, **{"session_id": "s2", name: odd}) is True
    assert refused(files, session_id="s2", agent_id="a\x80é\u2028") is False


def test_a_revocation_lasts_there_for_as_long_as_control_says_whatever_the_evaluators_clock(stage):
    stage.revoke("s1")  # in May, for days: long ago on the evaluator's clock
    assert refused(unpacked(bundle(stage)), session_id="s1") is True
    stage.reinstate("s1")
    assert refused(unpacked(bundle(stage)), session_id="s1") is False


def test_the_bundle_names_its_root_and_every_file_is_signed(stage):
    stage.revoke("s\u2028<1>")
    files = unpacked(bundle(stage))
    manifest = json.loads(files[".manifest"])
    assert (manifest["roots"], manifest["rego_version"]) == (["guardian/revocations"], 1)
    key = ECKey.import_key(stage.call("GET", "/v1/opa/key.pem", "gateway").content)
    (token,) = json.loads(files[".signatures.json"])["signatures"]
    told = json.loads(jws.deserialize_compact(token, key, algorithms=["ES256"]).payload)["files"]
    hashes = {each["name"]: each["hash"] for each in told}
    assert hashes == {
        name: hashlib.sha256(body).hexdigest() for name, body in files.items() if name != ".signatures.json"
    }
    assert b"\\u2028" in files["guardian/revocations/data.json"]  # as OPA's own hashing writes it


def test_who_holds_the_same_list_with_another_policy_gets_the_new_one(monkeypatch):
    told = {"revision": Revision(epoch=1, n=1), "changed_at": datetime(2026, 5, 12, tzinfo=UTC), "reach": None}
    tag = BundleFace().whole((), **told).etag
    assert BundleFace().whole((), **told).etag == tag
    monkeypatch.setattr(opa_bundle, "_POLICY", "package guardian.revocations\n")
    assert BundleFace().whole((), **told).etag != tag


def test_the_bundle_is_polled_like_any_other(stage):
    first = bundle(stage)
    assert first.headers["content-type"] == "application/gzip"
    again = bundle(stage, **{"If-None-Match": first.headers["etag"], "Prefer": "modes=snapshot;wait=0"})
    assert again.status_code == 304
    stage.revoke("s1")
    changed = bundle(stage, **{"If-None-Match": first.headers["etag"], "Prefer": "wait=5"})
    assert changed.status_code == 200
    assert changed.headers["content-type"] == "application/vnd.openpolicyagent.bundles"
    assert stage.call("GET", "/v1/opa/bundle.tar.gz", "monitor").status_code == 403


@pytest.fixture
def vouching(request):
    """Whose certificate nginx trusts for control; "" where control speaks plain HTTP."""
    return getattr(request, "param", "")


@pytest.fixture
def callers():
    """The address and port that each check came to control from."""
    return []


@pytest.fixture
def behind_nginx(stage, tmp_path, vouching, callers):
    """nginx's address, with `auth_request` before an application of ours."""
    control = create_app(stage.deps)

    async def noted(scope, receive, send):
        if scope["type"] == "http":
            callers.append(scope["client"])
        await control(scope, receive, send)

    folder = tmp_path / "nginx"
    folder.mkdir()
    text, certificate = (EXAMPLES / "auth_request.conf").read_text(encoding="utf-8"), {}
    if vouching:
        text = re.sub(r"proxy_pass http://guardian_control.*", "", text).replace("# proxy_", "proxy_")
        certificate = dict(zip(("ssl_certfile", "ssl_keyfile"), certified(folder, "control"), strict=True))
        certified(folder, "stranger")
    with (
        answering(lambda _: Reply(b"served")) as application,
        running(noted, timeout_keep_alive=600, **certificate) as guardian,
    ):
        told = {
            "GUARDIAN": guardian.removeprefix("http://"),
            "NAME": "localhost",
            "CA": str(folder / f"{vouching}.pem"),
            "APPLICATION": application.url.removeprefix("http://"),
            "TOKEN": stage.token("gateway"),
            "TENANT": "acme",
            "CACHE": str(folder),
        }
        with nginx(folder, text, **told) as address:
            yield f"http://{address}"


@pytest.mark.slow
def test_a_real_nginx_refuses_a_revoked_session(stage, behind_nginx, tmp_path):
    def call(session):
        return httpx.get(f"{behind_nginx}/tools/call", headers={"X-Session-Id": session}, timeout=30).status_code

    assert (call("s1"), call("s2")) == (200, 200)
    stage.revoke("s1")
    until(lambda: call("s1") == 403)  # an answer may be kept for a second, which nginx counts in whole ones
    assert call("s2") == 200
    assert httpx.get(f"{behind_nginx}/tools/call", timeout=30).status_code == 403  # who names nobody
    stage.revoke(session_name("x" * 513))
    until(lambda: call("x" * 513) == 403)
    assert call("x" * 514) == 200
    forged = {"X-Session-Id": "s1", "X-Guardian-Session": "s2"}
    assert httpx.get(f"{behind_nginx}/tools/call", headers=forged, timeout=30).status_code == 403
    assert (tmp_path / "nginx" / "guardian-check").is_dir()  # what it keeps lies where it was told


@pytest.mark.slow
def test_who_leaves_the_session_out_does_not_pass_as_an_agent(behind_nginx):
    for more in ({}, {"X-Session-Id": ""}):
        got = httpx.get(f"{behind_nginx}/tools/call", headers={"X-Agent-Id": "anything", **more}, timeout=30)
        assert got.status_code == 403
    both = {"X-Agent-Id": "anything", "X-Session-Id": "s2"}
    assert httpx.get(f"{behind_nginx}/tools/call", headers=both, timeout=30).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("0.8.54", 403),
        ("1.9.15", 403),
        ("1.18.0", 403),
        ("1.22.1", 403),
        ("1.23.0", 200),
        ("1.30.1", 200),
        ("2.0.0", 200),
    ],
)
def test_an_nginx_that_sees_only_the_first_of_two_headers_lets_nobody_through(stage, tmp_path, version, status):
    """It would ask about the proxy's and hand on the client's."""
    text = (EXAMPLES / "auth_request.conf").read_text(encoding="utf-8")
    with (
        answering(lambda _: Reply(b"served")) as application,
        running(create_app(stage.deps)) as guardian,
        nginx(
            tmp_path,
            text.replace("$nginx_version", version),
            GUARDIAN=guardian.removeprefix("http://"),
            APPLICATION=application.url.removeprefix("http://"),
            TOKEN=stage.token("gateway"),
            TENANT="acme",
            CACHE=str(tmp_path),
        ) as address,
    ):
        got = httpx.get(f"http://{address}/tools/call", headers={"X-Session-Id": "s2"}, timeout=30)
        assert got.status_code == status


@pytest.mark.slow
def test_nor_does_nginx_keep_an_answer_for_two_whose_names_run_together(stage, behind_nginx):
    def call(session, agent):
        headers = {"X-Session-Id": session, "X-Agent-Id": agent}
        return httpx.get(f"{behind_nginx}/tools/call", headers=headers, timeout=30).status_code

    stage.revoke("s one")
    assert (call("s", "one two"), call("s one", "two")) == (200, 403)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["X-Session-Id", "X-Agent-Id"])
def test_a_header_that_came_twice_is_refused_before_nginx_makes_one_name_of_both(stage, behind_nginx, name):
    def call(*more):
        headers = [("X-Session-Id", "s2"), ("X-Agent-Id", "a2"), *more]
        return httpx.get(f"{behind_nginx}/tools/call", headers=headers, timeout=30).status_code

    assert (call(), call((name, "s1"))) == (200, 403)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("vouching", "answered"), [("control", [200, 403]), ("stranger", [500, 500])], indirect=["vouching"]
)
def test_to_another_machine_the_token_goes_through_tls_and_to_control_alone(stage, behind_nginx, answered):
    stage.revoke("s1")
    asked = [{"X-Session-Id": name} for name in ("s2", "s1")]
    assert [httpx.get(f"{behind_nginx}/", headers=each, timeout=30).status_code for each in asked] == answered


@pytest.mark.slow
def test_what_clients_send_along_is_no_part_of_the_check(behind_nginx, callers):
    for n in range(5):
        headers = {"X-Session-Id": f"s{n}"}
        for told in ({"method": "tools/call"}, {"method": "tools/call", "params": "x" * 900}):
            assert httpx.post(f"{behind_nginx}/", json=told, headers=headers, timeout=30).status_code == 200
        assert httpx.get(f"{behind_nginx}/", headers=headers, timeout=30).status_code == 200
    assert len(set(callers)) == 1, "and so its connection is kept"


@pytest.mark.slow
@pytest.mark.parametrize("vouching", ["", "control"], indirect=True)
def test_one_check_after_the_other_takes_the_same_connection(behind_nginx, callers):
    for n in range(5):
        headers = {"X-Session-Id": f"s{n}"}
        assert httpx.get(f"{behind_nginx}/", headers=headers, timeout=30).status_code == 200
    assert (len(callers), len(set(callers))) == (5, 1)
