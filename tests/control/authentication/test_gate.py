"""Who gets in, and what everybody else gets: nothing."""

import asyncio
import base64
import json
from datetime import timedelta
from itertools import product

import anyio.to_thread
import httpx
import pytest
from sqlalchemy import event
from structlog.testing import capture_logs
from whole_store import ledger_entries

from guardian.control.app import create_app
from guardian.control.watchers.watching import watch
from guardian.errors import StoreError
from guardian.keys.signing import SigningKeys
from guardian.keys.tokens import Tokens

HOUR = timedelta(hours=1)
EVERY_ROUTE = [
    ("POST", "/v1/findings"),
    ("GET", "/v1/findings"),
    ("GET", "/v1/findings/fnd_1"),
    ("POST", "/v1/findings/fnd_1/verdict"),
    ("GET", "/v1/sessions"),
    ("GET", "/v1/sessions/acme/sess_1"),
    ("POST", "/v1/sessions/acme/sess_1/revoke"),
    ("POST", "/v1/sessions/acme/sess_1/reinstate"),
    ("PUT", "/v1/sessions/acme/sess_1/protection"),
    ("GET", "/v1/revocations"),
    ("GET", "/v1/revoked"),
    ("GET", "/v1/session-changes"),
    ("GET", "/v1/modes/acme"),
    ("PUT", "/v1/modes/acme"),
    ("GET", "/v1/approvals"),
    ("GET", "/v1/approvals/apr_1"),
    ("POST", "/v1/approvals/apr_1/decision"),
    ("GET", "/v1/break-glass"),
    ("POST", "/v1/break-glass"),
    ("POST", "/v1/break-glass/bgl_1/end"),
    ("GET", "/v1/breakers/acme"),
    ("POST", "/v1/breakers/acme/reset"),
    ("GET", "/v1/whoami"),
    ("GET", "/metrics"),
    ("GET", "/no/such/path"),
]


def _part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _forgeries(stage, tmp_path):
    tokens, now = stage.deps.tokens, stage.clock()
    good = {"role": "admin", "tenants": ["*"], "ttl": timedelta(hours=1), "now": now}
    claims = {"iss": tokens.issuer, "aud": tokens.audience, "sub": "x", "jti": "j", "iat": 0, "exp": 2**40}
    claims |= {"role": "admin", "tenants": ["*"]}
    kid = str(tokens.keys.current().signing.kid)
    stranger = Tokens(SigningKeys.create(tmp_path / "stranger.json"), tokens.issuer, tokens.audience)
    issued = tokens.issue("admin-9", **good).text
    head, body, signature = issued.split(".")
    widened = _part({**json.loads(base64.urlsafe_b64decode(body + "==")), "tenants": ["*", "other"]})
    withdrawn = tokens.issue("admin-8", **good)
    with stage.deps.store.write() as rows:
        rows.tokens.revoke(withdrawn.principal.jti, by="test", now=now)
    other_issuer = Tokens(tokens.keys, "https://elsewhere.test", tokens.audience)
    unsigned = f"{_part({'alg': 'none', 'typ': 'at+jwt', 'kid': kid})}.{_part(claims)}."
    return {
        "no token": None,
        "empty": "",
        "rubbish": "rubbish",
        "unsigned": unsigned,
        "unsigned with a signature": unsigned + signature,
        "symmetric": f"{_part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': kid})}.{_part(claims)}.{signature}",
        "another key": stranger.issue("admin-9", **good).text,
        "another audience": tokens.issue("admin-9", audience="somebody-else", **good).text,
        "another issuer": other_issuer.issue("admin-9", **good).text,
        "expired": tokens.issue("admin-9", **{**good, "now": now - timedelta(days=1)}).text,
        "not yet valid": tokens.issue("admin-9", **{**good, "now": now + timedelta(days=1)}).text,
        "revoked": withdrawn.text,
        "altered": f"{head}.{widened}.{signature}",
        "huge": "a" * 20_000,
    }


@pytest.mark.parametrize(("method", "path"), EVERY_ROUTE)
def test_without_a_sound_token_every_route_gives_nothing(stage, tmp_path, method, path):
    for name, token in _forgeries(stage, tmp_path).items():
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        got = stage.client.request(method, path, headers=headers, content=b"{broken")
        assert got.status_code == 401, (name, got.text)
        assert got.headers["www-authenticate"].startswith("Bearer")
        assert got.headers["content-type"] == "application/problem+json"
        assert set(got.json()) == {"type", "title", "status", "code", "detail", "correlation_id"}


def test_only_who_holds_a_token_that_was_signed_here_is_told_that_it_has_expired(stage, tmp_path):
    stranger = Tokens(SigningKeys.create(tmp_path / "other.json"), "guardian", "guardian-control")
    past = {"role": "admin", "tenants": ["acme"], "ttl": HOUR, "now": stage.clock() - timedelta(days=1)}
    told = {}
    for name, token in {**_forgeries(stage, tmp_path), "not ours": stranger.issue("a", **past).text}.items():
        if token:
            got = stage.client.get("/v1/whoami", headers={"Authorization": f"Bearer {token}"})
            told[name] = got.json()["detail"], got.json()["code"]
    assert told.pop("expired") == ("this token has expired", "unauthenticated")
    assert set(told.values()) == {("this token is not valid here", "unauthenticated")}


def test_refused_tokens_are_counted_by_reason(stage, tmp_path):
    for token in _forgeries(stage, tmp_path).values():
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        stage.client.get("/v1/whoami", headers=headers)
    counted = {
        reason: stage.deps.metrics.value("guardian_auth_failures_total", reason=reason)
        for reason in ("missing", "algorithm", "unknown_key", "claim_aud", "claim_iss", "expired", "revoked")
    }
    assert counted == {
        "missing": 2,
        "algorithm": 3,
        "unknown_key": 1,
        "claim_aud": 1,
        "claim_iss": 1,
        "expired": 1,
        "revoked": 1,
    }


def test_another_tenant_is_as_if_absent(stage, a_finding):
    stage.enforce()
    found = stage.submit(a_finding()).json()["finding_id"]
    reason = {"reason": "curious"}
    path = "/v1/sessions/acme/sess_1/reinstate"
    waiting = stage.call("POST", path, "responder", json=reason).json()["approval"]["id"]
    body = {"tenant_id": "acme", **reason}
    grant = stage.call("POST", "/v1/break-glass", "approver", json=body).json()["id"]
    names = {"acme": "nowhere", found: "fnd_0", waiting: "apr_0", grant: "bgl_0"}
    for method, path, body in [
        ("GET", "/v1/sessions/acme/sess_1", None),
        ("POST", "/v1/sessions/acme/sess_1/revoke", reason),
        ("POST", "/v1/sessions/acme/sess_1/reinstate", reason),
        ("PUT", "/v1/sessions/acme/sess_1/protection", {"protected": True, **reason}),
        ("GET", f"/v1/findings/{found}", None),
        ("POST", f"/v1/findings/{found}/verdict", {"verdict": "confirmed", **reason}),
        ("GET", "/v1/modes/acme", None),
        ("PUT", "/v1/modes/acme", {"mode": "shadow", **reason}),
        ("GET", "/v1/sessions?tenant_id=acme", None),
        ("GET", "/v1/findings?tenant_id=acme", None),
        ("GET", "/v1/revocations?tenant_id=acme", None),
        ("GET", "/v1/revoked?tenant_id=acme", None),
        ("GET", "/v1/approvals?tenant_id=acme", None),
        ("GET", f"/v1/approvals/{waiting}", None),
        ("POST", f"/v1/approvals/{waiting}/decision", {"decision": "approve", **reason}),
        ("GET", "/v1/break-glass?tenant_id=acme", None),
        ("POST", "/v1/break-glass", {"tenant_id": "acme", **reason}),
        ("POST", f"/v1/break-glass/{grant}/end", None),
        ("GET", "/v1/breakers/acme", None),
        ("POST", "/v1/breakers/acme/reset", reason),
    ]:
        foreign = stage.call(method, path, "admin", "globex", json=body)
        assert foreign.status_code == 404, (method, path, foreign.text)
        elsewhere = path
        for name, other in names.items():
            elsewhere = elsewhere.replace(name, other)
        nowhere = stage.call(method, elsewhere, "admin", "globex", json=body)
        without_id = {**foreign.json(), "correlation_id": ""}
        assert without_id == {**nowhere.json(), "correlation_id": ""}
    assert stage.submit(a_finding("other"), "monitor", "globex").status_code == 404
    for path in ("/v1/sessions", "/v1/revoked", "/v1/findings", "/v1/approvals", "/v1/break-glass"):
        assert stage.call("GET", path, "admin", "globex").json()["items"] == []
    assert stage.revocations("globex").json()["entries"] == []
    assert stage.call("GET", "/v1/session-changes", "monitor", "globex").json()["items"] == []
    with stage.deps.store.read() as rows:
        assert [entry.status for entry in ledger_entries(rows)] == ["revoked"]


@pytest.mark.parametrize(
    ("role", "method", "path", "body"),
    [
        ("gateway", "POST", "/v1/sessions/acme/s/revoke", {"reason": "x"}),
        ("gateway", "GET", "/v1/sessions", None),
        ("gateway", "GET", "/v1/revoked", None),
        ("gateway", "GET", "/v1/findings", None),
        ("monitor", "GET", "/v1/revocations", None),
        ("monitor", "POST", "/v1/sessions/acme/s/reinstate", {"reason": "x"}),
        ("monitor", "PUT", "/v1/modes/acme", {"mode": "enforce", "reason": "x"}),
        ("monitor", "PUT", "/v1/sessions/acme/s/protection", {"protected": False, "reason": "x"}),
        ("analyst", "POST", "/v1/sessions/acme/s/revoke", {"reason": "x"}),
        ("responder", "PUT", "/v1/modes/acme", {"mode": "enforce", "reason": "x"}),
        ("monitor", "POST", "/v1/break-glass", {"tenant_id": "acme", "reason": "x"}),
        ("monitor", "GET", "/v1/approvals", None),
        ("monitor", "POST", "/v1/breakers/acme/reset", {"reason": "x"}),
        ("gateway", "GET", "/v1/break-glass", None),
        ("analyst", "POST", "/v1/break-glass", {"tenant_id": "acme", "reason": "x"}),
        ("analyst", "POST", "/v1/sessions/acme/s/reinstate", {"reason": "x"}),
        ("responder", "POST", "/v1/breakers/acme/reset", {"reason": "x"}),
        ("auditor", "POST", "/v1/break-glass", {"tenant_id": "acme", "reason": "x"}),
        ("auditor", "POST", "/v1/sessions/acme/s/revoke", {"reason": "x"}),
        ("metrics", "GET", "/v1/sessions", None),
        ("gateway", "GET", "/metrics", None),
    ],
)
def test_a_role_gets_nothing_beyond_its_own(stage, role, method, path, body):
    got = stage.call(method, path, role, json=body)
    assert got.status_code == 403
    assert got.json()["code"] == "denied"
    with stage.deps.store.read() as rows:
        assert ledger_entries(rows) == []


@pytest.mark.parametrize("role", ["metrics", "admin", "auditor", "monitor"])
def test_only_a_token_for_every_tenant_reads_what_counts_them_together(stage, role):
    ack = "/v1/revocations/ack", "gateway", "globex"
    assert stage.call("POST", *ack, who="gateway-globex", json={"revision": "1.0"}).status_code == 204
    watch(stage.deps)
    for tenants in (("acme",), ("acme", "globex")):
        got = stage.call("GET", "/metrics", role, *tenants)
        assert (got.status_code, got.json()["code"], "gateway-globex" in got.text) == (403, "denied", False)
        assert "does not cover them all" in got.json()["detail"]
    assert len(stage.audit(action="readMetrics", result="refused")) == 1, "and it is audited once an hour"
    assert 'gateway="gateway-globex"' in stage.call("GET", "/metrics", role, "*").text


def test_the_monitor_cannot_use_the_route_by_which_people_revoke(stage):
    stage.enforce()
    got = stage.call("POST", "/v1/sessions/acme/sess_1/revoke", "monitor", json={"reason": "x"})
    assert got.status_code == 403


def test_denied_acts_are_audited(stage):
    stage.call("POST", "/v1/sessions/acme/s/revoke", "gateway", json={"reason": "x"})
    with stage.deps.store.read() as rows:
        (entry,) = rows.audit.entries()
    record = json.loads(entry.record)
    assert (record["actor"], record["action"], record["allowed"]) == ("gateway-1", "revoke", False)


def test_health_is_open_and_says_nothing(stage):
    for method, path in product(("GET", "HEAD"), ("/healthz", "/readyz")):  # balancers probe with either
        got = stage.client.request(method, path)
        assert (got.status_code, got.content) == (200, b"")


def test_what_is_scraped_or_fetched_without_its_body_is_answered_as_with_it(make_stage):
    stage = make_stage(public_url="https://guardian.example")
    for path in ("/metrics", "/.well-known/jwks.json", "/.well-known/ssf-configuration", "/openapi.json"):
        got = stage.call("HEAD", path, "metrics", "*")
        assert (got.status_code, got.content) == (200, b"")
        assert got.headers["content-type"] == stage.call("GET", path, "metrics", "*").headers["content-type"]
    assert stage.client.head("/metrics").status_code == 401


def test_a_body_beyond_the_limit_is_refused_with_and_without_its_length(stage):
    def chunks():
        for _ in range(40):
            yield b"x" * 65536

    for body in (b"x" * (1024 * 1024 + 1), chunks()):
        got = stage.call("POST", "/v1/findings", "monitor", content=body)
        assert got.status_code == 413
        assert got.json()["code"] == "too_large"


def test_a_body_under_a_signature_is_smaller_for_anybody_may_send_one(stage):
    for size, refused in ((256 * 1024, False), (256 * 1024 + 1, True)):
        for path in ("/slack/interactions", "/slack/commands"):
            got = stage.client.post(path, content=b"x" * size)
            assert (got.status_code == 413) is refused


def test_a_rotated_key_is_noticed_and_a_retired_one_is_refused(stage):
    old_kid = str(stage.deps.tokens.keys.current().signing.kid)
    elsewhere = SigningKeys(stage.deps.tokens.keys.path)
    assert stage.call("GET", "/v1/whoami").status_code == 200
    elsewhere.rotate()
    assert stage.call("GET", "/v1/whoami").status_code == 200
    assert len(stage.client.get("/.well-known/jwks.json").json()["keys"]) == 2
    elsewhere.retire(old_kid)
    assert stage.call("GET", "/v1/whoami").status_code == 401


def test_every_answer_carries_the_security_headers_and_a_name(stage):
    for got in (stage.client.get("/healthz"), stage.call("GET", "/v1/whoami"), stage.client.get("/v1/whoami")):
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in got.headers["content-security-policy"]
        assert got.headers["x-request-id"]


def test_health_names_the_part_that_is_away_and_nothing_of_it(make_stage, tmp_path):
    stage = make_stage()
    stage.deps.store.close()  # an open connection may answer from memory
    (tmp_path / "0" / "control.db").write_bytes(b"this is no database" * 500)
    assert stage.client.get("/healthz").status_code == 200
    got = stage.client.get("/readyz")
    assert (got.status_code, got.text) == (503, "not ready: the database cannot be read\n")
    assert stage.call("GET", "/v1/whoami").status_code == 503


def test_a_database_that_is_read_and_takes_no_writes_is_not_ready_until_it_does_again(stage):
    """As on a full disk. Who waits for it to be ready sends nothing that would show that it is."""
    engine, full = stage.deps.store._engine, ["1"]

    @event.listens_for(engine, "checkout")
    def fill(connection, *_):
        connection.cursor().execute(f"PRAGMA query_only={full[0]}")

    assert stage.call("POST", "/v1/sessions/acme/s/revoke", "gateway", json={"reason": "x"}).status_code == 503
    got = stage.client.get("/readyz")
    assert (got.status_code, got.text) == (503, "not ready: the database takes no writes\n")
    with pytest.raises(StoreError):
        stage.deps.store.try_again()
    full[0] = "0"
    assert stage.client.get("/readyz").status_code == 503, "nobody has seen it take one"
    stage.deps.store.try_again()
    assert stage.client.get("/readyz").status_code == 200


@pytest.fixture
def kept_waiting(stage):
    """An admin's request that is admitted, and whose body comes only after `meanwhile`; the answer's status."""
    token = stage.deps.tokens.issue("admin-1", role="admin", tenants=["acme"], ttl=HOUR, now=stage.clock())

    def ask(meanwhile):
        told = []

        async def receive():
            meanwhile(token.principal.jti)
            return {"type": "http.request", "body": b'{"reason": "stop"}', "more_body": False}

        async def send(message):
            told.append(message)

        path = "/v1/sessions/acme/sess_1/revoke"
        headers = [(b"authorization", b"Bearer " + token.text.encode()), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": headers}
        scope |= {"query_string": b"", "client": ("127.0.0.1", 1), "http_version": "1.1", "scheme": "http"}
        asyncio.run(stage.client.app(scope, receive, send))
        return told[0]["status"]

    return ask


def test_a_token_that_was_withdrawn_while_the_body_was_awaited_does_nothing_any_more(stage, kept_waiting):
    def withdraw(jti):
        stage.clock.pass_(minutes=10)
        with stage.deps.store.write() as rows:
            rows.tokens.revoke(jti, by="operator", now=stage.clock())

    assert kept_waiting(withdraw) == 401
    assert stage.ledger() == []


def test_nor_does_one_that_expired_meanwhile(stage, kept_waiting):
    assert kept_waiting(lambda _: stage.clock.pass_(hours=2)) == 401
    assert stage.ledger() == []


def test_one_that_still_counts_after_a_long_body_does_what_it_says(stage, kept_waiting):
    assert kept_waiting(lambda _: stage.clock.pass_(minutes=10)) == 200
    assert stage.ledger() == [("revoked", "manual", "admin-1")]


@pytest.mark.parametrize(
    ("role", "path", "body"),
    [
        ("monitor", "/v1/findings", None),
        ("admin", "/v1/sessions/acme/s1/revoke", {"reason": "stop"}),
    ],
)
def test_nor_does_one_that_was_withdrawn_while_its_turn_to_write_was_long_in_coming(
    stage, a_finding, hard, role, path, body
):
    class Queue:
        def of(self, caller, *, revokes=False):
            self.caller = caller
            return self

        async def __aenter__(self):
            stage.clock.pass_(seconds=2)
            with stage.deps.store.write() as rows:
                rows.tokens.revoke(self.caller.jti, by="operator", now=stage.clock())

        async def __aexit__(self, *_):
            return

    stage.enforce()
    stage.client.app.state.writers = Queue()
    token = stage.deps.tokens.issue("x", role=role, tenants=["acme"], ttl=HOUR, now=stage.clock()).text
    told = body or a_finding(breaches=hard).model_dump(mode="json")
    got = stage.client.post(path, json=told, headers={"Authorization": f"Bearer {token}"})
    assert got.status_code == 401
    assert stage.ledger() == []


def test_what_keeps_every_request_from_being_answered_is_in_the_log(stage, monkeypatch, capsys):
    def gone():
        raise StoreError("the disk is gone")

    assert stage.call("GET", "/v1/whoami").status_code == 200
    monkeypatch.setattr(stage.deps.store, "read", gone)
    got = stage.call("GET", "/v1/whoami")
    told = got.json()
    assert got.status_code == 503
    assert told["detail"].endswith(
        f"log of guardian's control says why, under correlation id {told['correlation_id']}"
    )
    assert stage.client.get("/readyz").status_code == 503
    assert "the disk is gone" in "".join(capsys.readouterr())


def _asked(stage, *paths, threads):
    """The answers to whoever shows no token and asks for these at once, with so many threads for all."""

    async def asked():
        limiter = anyio.to_thread.current_default_thread_limiter()
        taken = [object() for _ in range(int(limiter.total_tokens) - threads)]
        for each in taken:
            limiter.acquire_on_behalf_of_nowait(each)
        transport = httpx.ASGITransport(create_app(stage.deps))
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://guardian") as client,
            asyncio.timeout(30),
        ):
            return await asyncio.gather(*(client.get(path) for path in paths))

    return asyncio.run(asked())


def test_what_strangers_ask_needs_none_of_the_threads_that_gateways_wait_for(stage):
    paths = ("/healthz", "/.well-known/jwks.json", "/openapi.json", "/v1/revocations")
    assert [got.status_code for got in _asked(stage, *paths, threads=0)] == [200, 200, 200, 401]


def test_however_many_ask_whether_control_is_ready_it_looks_once(stage, monkeypatch):
    looked, takes_writes = [], type(stage.deps.store).takes_writes
    monkeypatch.setattr(
        type(stage.deps.store), "takes_writes", lambda store: looked.append(1) or takes_writes(store)
    )
    assert {got.status_code for got in _asked(stage, *["/readyz"] * 30, threads=40)} == {200}
    assert len(looked) == 1


def _refusals(lines):
    return [each for each in lines if each["event"] == "token_refused"]


def test_the_log_says_who_showed_a_refused_token(stage, tmp_path):
    forgeries = _forgeries(stage, tmp_path)
    with capture_logs() as lines:
        got = {
            name: stage.client.get("/v1/whoami", headers={"Authorization": f"Bearer {token or ''}"})
            for name, token in forgeries.items()
        }
    told = {each["correlation_id"]: each for each in _refusals(lines)}
    said = {name: told[answer.json()["correlation_id"]] for name, answer in got.items()}
    assert {each["peer"] for each in said.values()} == {"testclient"}
    assert {name: each["principal"] for name, each in said.items() if each["principal"] is not None} == {
        **dict.fromkeys(("another audience", "another issuer", "expired", "not yet valid"), "admin-9"),
        "revoked": "admin-8",
    }
    parts = {part for token in forgeries.values() if token for part in token.split(".") if len(part) > 8}
    assert not [part for part in parts if part in str(lines)]


def test_a_flood_of_refused_tokens_is_a_few_lines_a_minute_and_their_number(stage):
    def show(token, times=20):
        with capture_logs() as lines:
            for _ in range(times):
                stage.client.get("/v1/whoami", headers={"Authorization": f"Bearer {token}"})
        return [each["so_far"] for each in _refusals(lines)]

    good = {"role": "admin", "tenants": ["*"], "ttl": HOUR, "now": stage.clock() - 24 * HOUR}
    assert show("rubbish") == [1, 2, 3, 4, 5]
    assert show(stage.deps.tokens.issue("admin-9", **good).text) == [1, 2, 3, 4, 5]  # not hidden by the rubbish
    stage.clock.pass_(minutes=1)
    assert show("rubbish", 1) == [21]
    expired = [stage.deps.tokens.issue(f"admin-{n}", **good).text for n in range(150)]
    assert sum(len(show(each, 1)) for each in expired) == 100
    stage.clock.pass_(minutes=-30)  # set back
    assert show("rubbish") == [22, 23, 24, 25, 26]


def test_who_shows_rubbish_from_many_places_hides_no_other_refusal(stage):
    def show(token, peer):
        stage.client._transport.client = (peer, 50_000)
        stage.client.get("/v1/whoami", headers={"Authorization": f"Bearer {token}"})

    withdrawn = stage.deps.tokens.issue("admin-8", role="admin", tenants=["*"], ttl=HOUR, now=stage.clock())
    with stage.deps.store.write() as rows:
        rows.tokens.revoke(withdrawn.principal.jti, by="test", now=stage.clock())
    with capture_logs() as lines:
        for n in range(150):
            show("rubbish", f"10.0.0.{n}")
        show(withdrawn.text, "10.0.0.1")
    told = [(each["code"], each["principal"]) for each in _refusals(lines)]
    assert told == [("malformed", None)] * 100 + [("revoked", "admin-8")]
