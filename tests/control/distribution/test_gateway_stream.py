"""The shipped client on the real stream: push, cuts, restarts, signatures, replays, forgeries."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack

import httpx
import pytest
from ports import port_of, reserve
from serving import running
from sqlalchemy import delete, update
from until import until

from guardian.control.switch import SwitchRule
from guardian.gateway import held
from guardian.gateway.aio import AsyncRevocationList
from guardian.gateway.asgi import RefuseRevoked, from_headers
from guardian.gateway.client import RevocationList
from guardian.gateway.reading import Refused, Revision
from guardian.gateway.signature import Verifier
from guardian.store.control.tables import head, ledger


class Deployment:
    """A control API on a port that can be cut and opened again."""

    def __init__(self, stage, port):
        self.stage, self.port = stage, port
        self.start()

    def start(self):
        from guardian.control.app import create_app

        app, self.open = create_app(self.stage.deps), ExitStack()
        self.url = self.open.enter_context(running(app, socket.create_server(("127.0.0.1", self.port))))
        self.open.callback(app.state.bell.close)

    def stop(self):
        self.open.close()

    def jwks(self):
        return self.stage.deps.tokens.keys.current().jwks()


@pytest.fixture
def deployment(stage):
    with reserve() as held:
        made = Deployment(stage, port_of(held))
        yield made
        made.stop()


@pytest.fixture
def follow(deployment):
    made = []

    def make(**options):
        token = deployment.stage.token("gateway")
        if "verify_with" in options:
            # control's clock stands still, so its signatures never grow newer and the list ages in real time
            options = {"tenants": {"acme"}, "max_stale_s": 300, **options}
        options = {"wall": lambda: deployment.stage.clock().timestamp(), "interval_s": 0.1, **options}
        revoked = RevocationList(deployment.url, token, **options).start()
        made.append(revoked)
        return revoked

    yield make
    for each in made:
        each.stop()


def test_a_revocation_is_pushed_verified_and_acknowledged(deployment, follow):
    revoked = follow(verify_with=deployment.jwks(), instance="gw-a")
    until(lambda: revoked.state().transport == "push")
    deployment.stage.revoke("s1")
    until(lambda: revoked.is_revoked("acme", "s1"))
    assert not revoked.is_revoked("acme", "s2")
    assert revoked.state().verified
    until(lambda: any(p.revision.n == 1 for p in deployment.stage.deps.peers.heard("gateway")))
    deployment.stage.reinstate("s1")
    until(lambda: not revoked.is_revoked("acme", "s1"))
    revoked.stop()
    assert deployment.stage.deps.peers.heard("gateway") == []  # it said good-bye


@pytest.mark.parametrize("ends", ["by itself", "in a child"])
def test_a_gateway_whose_program_ends_says_good_bye_and_none_for_another_one(deployment, ends):
    """`start()`, as the README has it, and never `stop()`."""
    program = f"""
import os, sys, time
from guardian.gateway.client import RevocationList
revoked = RevocationList({deployment.url!r}, sys.stdin.readline().strip(), instance="gw-a").start()
assert revoked.wait_ready(20)
print("ready", flush=True)
sys.stdin.readline()
if {ends == "in a child"} and os.fork():
    os.wait()
    os._exit(0)
"""
    heard = deployment.stage.deps.peers.heard
    ran = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with ran:
        ran.stdin.write(deployment.stage.token("gateway") + "\n")
        ran.stdin.flush()
        assert ran.stdout.readline() == "ready\n"
        until(lambda: [each.instance for each in heard("gateway")] == ["gw-a"])
        ran.stdin.write("end\n")
    assert ran.returncode == 0
    assert [each.instance for each in heard("gateway")] == (["gw-a"] if ends == "in a child" else [])


def test_every_kind_of_subject_is_refused_by_name(deployment, follow):
    revoked = follow()
    until(lambda: revoked.state().transport == "push")
    for kind in ("agent", "delegator", "task", "jti"):
        path = f"/v1/subjects/acme/{kind}/x/revoke"
        deployment.stage.call("POST", path, "responder", json={"reason": "r"})
        until(lambda kind=kind: revoked.refusal("acme", **{kind: "x"}) == f"{kind}_revoked")
    deployment.stage.revoke("parent")
    until(lambda: revoked.refusal("acme", session="s", parent="parent") == "parent_revoked")
    assert revoked.refusal("acme", session="s", agent="y") is None


def test_a_cut_is_bridged_by_polling_and_what_was_missed_arrives(deployment, follow):
    revoked = follow(verify_with=deployment.jwks(), wait_s=0)
    until(lambda: revoked.state().transport == "push")
    deployment.stop()
    until(lambda: revoked.state().last_error)
    deployment.stage.revoke("s1")
    assert not revoked.is_revoked("acme", "s1")
    deployment.start()
    until(lambda: revoked.is_revoked("acme", "s1"))
    until(lambda: revoked.state().transport == "push")


@pytest.mark.parametrize(
    ("most", "why"),
    [
        (0, "http_503: the server does not stream to us"),
        (1, "slow_stream: its heartbeats are too far apart for max_stale_s"),
    ],
)
def test_a_stream_that_cannot_be_had_is_said_once_and_is_no_trouble_of_the_list(make_stage, caplog, most, why):
    """There are too many; or it says less often that it is alive than this gateway wants to hear."""
    tried = []

    def at_once():
        tried.append(1)
        return -1.0

    stage = make_stage(switch=SwitchRule(watch_every_s=3600, streams_per_caller=most))
    with reserve() as held:
        served = Deployment(stage, port_of(held))
        options = {"interval_s": 0.1, "wait_s": 0, "max_stale_s": 2, "acknowledge": False, "jitter": at_once}
        with RevocationList(served.url, stage.token("gateway"), **options) as revoked:
            until(lambda: len(tried) > 2)
            assert (revoked.state().status, revoked.state().transport) == ("fresh", "poll")
        served.stop()
    told = [each.getMessage() for each in caplog.records if each.name == "guardian.gateway"]
    assert told == [f"revocation list polled while it is not streamed ({why})"]


def test_a_restored_backup_is_followed_into_its_new_epoch(deployment, follow):
    deployment.stage.revoke("s1")
    revoked = follow()
    until(lambda: revoked.is_revoked("acme", "s1"))
    store = deployment.stage.deps.store
    from guardian.store.control.head import begin_epoch

    with store.write() as rows:
        head = rows.head()
        begin_epoch(rows.connection, 2, head.change_seq + 1, deployment.stage.clock())
    until(lambda: revoked.state().revision == Revision(2, 0))
    assert revoked.is_revoked("acme", "s1")
    deployment.stage.reinstate("s1")
    until(lambda: not revoked.is_revoked("acme", "s1"))


@pytest.mark.parametrize("restarts", [False, True])
def test_a_client_that_is_ahead_of_a_restored_ledger_misses_nothing_that_is_revoked_next(
    deployment, follow, tmp_path, restarts
):
    stage, store = deployment.stage, deployment.stage.deps.store
    for name in ("s1", "s2", "s3"):
        stage.revoke(name)
    options = {"verify_with": deployment.jwks(), "cache_path": tmp_path / "revoked.json", "jitter": lambda: 0.0}
    revoked = follow(**options)
    until(lambda: revoked.state().revision == Revision(1, 3))
    if restarts:
        revoked.stop()
    deployment.stop()
    store._epoch_file = None  # as where none is configured, or its disk was lost
    with store._engine.begin() as connection:
        connection.execute(delete(ledger).where(ledger.c.n > 1))
        connection.execute(update(head).values(n=1))
    stage.clock.pass_(hours=2)
    deployment.start()
    if restarts:  # its cache is stale by now, so it asks for a whole list and not for what it missed
        revoked = follow(**options, max_stale_s=4)
    until(lambda: store.head().revision.epoch == 2)
    for name in ("s4", "s5"):
        stage.revoke(name)
    until(lambda: revoked.state().revision == Revision(2, 2))
    assert [name for name in ("s1", "s2", "s3", "s4", "s5") if revoked.is_revoked("acme", name)] == [
        "s1",
        "s4",
        "s5",
    ]


def test_an_unsigned_list_is_not_believed_by_one_that_verifies(deployment, follow):
    object.__setattr__(deployment.stage.deps, "signer", None)
    revoked = follow(verify_with=deployment.jwks())
    until(lambda: "signature_missing" in revoked.state().last_error)
    assert revoked.is_revoked("acme", "anybody")


def test_a_list_that_was_signed_for_other_tenants_is_not_believed(deployment):
    deployment.stage.revoke("s1")
    token = deployment.stage.token("gateway", "acme", "globex")
    keys = deployment.jwks()
    revoked = RevocationList(deployment.url, token, tenants={"acme", "globex"}, verify_with=keys, push=False)
    narrowed = {"tenant_id": "globex"}  # what somebody on the way adds to the question
    get = revoked._server.get
    revoked._server.get = lambda query, *rest: get({**query, **narrowed}, *rest)
    with revoked:
        until(lambda: "signature_audience" in revoked.state().last_error)
        assert revoked.refusal("acme", session="s1") is not None


def test_a_narrowed_token_starts_from_its_own_list_and_streams_again(deployment):
    stage = deployment.stage
    stage.revoke("s1")
    stage.call("POST", "/v1/sessions/globex/g1/revoke", "responder", "globex", json={"reason": "x"})
    tokens = [stage.token("gateway", "acme", "globex")]
    facts = {"verify_with": deployment.jwks(), "wall": lambda: stage.clock().timestamp(), "instance": "gw-a"}
    switch = SwitchRule(watch_every_s=3600, heartbeat_s=0.2)
    object.__setattr__(stage.deps.settings, "switch", switch)  # the stream looks at its token so often
    with RevocationList(deployment.url, lambda: tokens[-1], tenants={"acme"}, **facts) as revoked:
        until(lambda: revoked.state().transport == "push" and revoked.state().revision == Revision(1, 2))
        tokens.append(stage.token("gateway", "acme"))
        until(lambda: revoked.state().revision == Revision(1, 1))
        stage.revoke("s2")
        until(lambda: revoked.is_revoked("acme", "s2") and revoked.state().transport == "push")


def test_under_another_token_a_list_that_was_signed_before_the_one_in_hand_is_a_replay(deployment, tmp_path):
    stage = deployment.stage
    tokens = [stage.token("gateway")]
    facts = {"verify_with": deployment.jwks(), "wall": lambda: stage.clock().timestamp(), "push": False}
    facts |= {"tenants": {"acme"}, "cache_path": tmp_path / "revoked.json", "acknowledge": False}
    revoked = RevocationList(deployment.url, lambda: tokens[-1], **facts)
    restarted = RevocationList(deployment.url, lambda: tokens[-1], **facts)
    stage.revoke("s1")
    get, answers = revoked._server.get, []
    revoked._server.get = lambda *asked: answers.append(get(*asked)) or answers[-1]
    revoked._follower.poll()
    stage.clock.pass_(seconds=5)
    stage.revoke("s2")
    revoked._follower.poll()
    tokens.append(stage.token("gateway", who="gateway-2"))
    revoked._held.save(last=True)
    restarted._held.load()
    for each in (revoked, restarted):
        each._server.get = lambda *_: answers[0]  # seconds old: its signature alone would be believed
        with pytest.raises(Refused, match="went_back"):
            each._follower.poll()
        assert each.is_revoked("acme", "s2")
    revoked._server.get = get
    revoked._follower.poll()
    assert not revoked.state().last_error


def test_another_deployments_signature_is_a_forgery(deployment, follow, make_stage):
    strangers = make_stage().deps.tokens.keys.current().jwks()
    revoked = follow(verify_with=strangers)
    until(lambda: "signature_unknown_key" in revoked.state().last_error)
    assert revoked.state().status == "never_loaded"


def test_a_key_that_was_taken_out_of_the_file_is_believed_no_more(deployment, follow, tmp_path):
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(deployment.jwks()))
    revoked = follow(verify_with=keys, push=False, wait_s=0)
    assert revoked.wait_ready(20)
    away = keys.rename(tmp_path / "away.json")
    deployment.stage.revoke("s1")
    until(lambda: revoked.is_revoked("acme", "s1"))  # a file that is away takes nothing back
    away.write_text(json.dumps({"keys": []}))
    away.rename(keys)
    until(lambda: "signature_unknown_key" in revoked.state().last_error)


@pytest.mark.parametrize("prepared", [True, False])
def test_a_gateway_that_was_brought_the_next_key_before_it_signs_misses_nothing(
    deployment, follow, tmp_path, prepared
):
    file, keys = tmp_path / "keys.json", deployment.stage.deps.tokens.keys
    file.write_text(json.dumps(deployment.jwks()))
    revoked = follow(verify_with=file, push=False)
    assert revoked.wait_ready(20)
    if prepared:
        keys.prepare()
        file.write_text(json.dumps(deployment.jwks()))
    keys.rotate()
    deployment.stage.revoke("s1")
    if prepared:
        until(lambda: revoked.is_revoked("acme", "s1"))
        assert revoked.state().last_error == ""
    else:
        until(lambda: "signature_unknown_key" in revoked.state().last_error)
        assert revoked.state().revision == (1, 0)


def test_the_cache_holds_signed_answers_and_an_edited_one_is_ignored(deployment, follow, tmp_path):
    path = tmp_path / "cache.json"
    deployment.stage.revoke("s1")
    first = follow(verify_with=deployment.jwks(), cache_path=path)
    until(lambda: first.state().transport == "push")
    deployment.stage.revoke("s2")
    until(lambda: first.is_revoked("acme", "s2"))
    first.stop()
    deployment.stop()
    again = follow(verify_with=deployment.jwks(), cache_path=path)
    assert again.is_revoked("acme", "s2")
    assert not again.is_revoked("acme", "s3")
    saved = json.loads(path.read_text())
    older = {**saved, "parts": saved["parts"][:1], "revision": [1, 1], "proof": None}
    deployment.stage.clock.pass_(seconds=45)
    path.write_text(json.dumps({**older, "confirmed_at": deployment.stage.clock().timestamp()}))
    replayed = follow(verify_with=deployment.jwks(), cache_path=path, max_stale_s=30)
    assert replayed.state().status == "stale"  # an old list can be brought back, but not as a fresh one
    assert replayed.is_revoked("acme", "s2")
    saved["parts"][0][1] = saved["parts"][1][1]
    path.write_text(json.dumps(saved))
    assert follow(verify_with=deployment.jwks(), cache_path=path).state().status == "never_loaded"
    deployment.start()


def test_a_stream_that_lives_long_makes_the_cache_no_longer_than_polling_does(
    deployment, follow, tmp_path, monkeypatch
):
    monkeypatch.setattr(held, "_MOST_PARTS", 3)
    path = tmp_path / "cache.json"
    revoked = follow(verify_with=deployment.jwks(), cache_path=path)
    for n in range(9):
        until(lambda: revoked.state().transport == "push")
        deployment.stage.revoke(f"s{n}")
        until(lambda n=n: revoked.is_revoked("acme", f"s{n}"))
    revoked.stop()
    assert len(json.loads(path.read_text())["parts"]) <= 4
    assert follow(verify_with=deployment.jwks(), cache_path=path).state().entries == 9


@pytest.fixture
def answer(deployment):
    """A signed answer as it came over the wire."""

    def ask(**query):
        headers = {"Authorization": f"Bearer {deployment.stage.token('gateway')}"}
        return httpx.get(f"{deployment.url}/v1/revocations", params=query, headers=headers, timeout=30)

    return ask


def test_replayed_mixed_up_and_gapped_answers_are_refused(deployment, answer):
    deployment.stage.revoke("s1")
    verifier = Verifier(deployment.jwks())
    now = deployment.stage.clock().timestamp()
    whole, delta = answer(), answer(since="1.0")
    facts = {"tenants": frozenset({"acme"}), "since": None, "now": now, "window_s": 60}

    def code(got, body=None, signature=None, **other):
        told = {**facts, **other}
        try:
            verifier.check(body or got.content, signature or got.headers["Guardian-Signature"], **told)
        except Refused as refused:
            return refused.code
        return "believed"

    assert code(whole) == "believed"
    assert code(delta, since=Revision(1, 0)) == "believed"
    assert code(whole, now=now + 61) == "signature_replayed"
    assert code(whole, now=now - 61) == "signature_replayed"
    assert code(whole, tenants=frozenset({"globex"})) == "signature_audience"
    assert code(delta, since=Revision(1, 5)) == "signature_gap"
    assert code(whole, body=delta.content) == "signature_wrong"
    assert code(whole, body=whole.content.replace(b"s1", b"s9")) == "signature_wrong"
    head, _, mac = whole.headers["Guardian-Signature"].split(".")
    assert code(whole, signature=f"{head}..{mac[:-4]}AAAA") == "signature_wrong"
    for junk in ("", "a.b.c", "..", "e30..AA", "x" * 50):
        assert code(whole, signature=junk or " ") == "signature_malformed"


def test_what_is_stale_is_open_or_closed_by_the_risk_of_the_tool():
    lists = RevocationList("http://127.0.0.1:9", "t", on_stale={"low": "open", "high": "closed"})
    assert not lists.is_revoked("acme", "s", risk="low")
    assert lists.is_revoked("acme", "s", risk="high")
    assert lists.is_revoked("acme", "s", risk="unheard of")
    assert lists.refusal("acme", session="s", risk="high") == "list_stale"
    assert lists.refusal("acme", session="s", risk="low") is None
    with pytest.raises(ValueError, match="on_stale"):
        RevocationList("http://127.0.0.1:9", "t", on_stale={"low": "maybe"})


def test_middleware_refuses_the_revoked_before_the_application_sees_them(deployment):
    deployment.stage.revoke("s1")

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"served"})

    async def scenario():
        token = deployment.stage.token("gateway")
        async with AsyncRevocationList(deployment.url, token, wall=lambda: 0.0) as revoked:
            assert await revoked.wait_ready(30)
            guarded = RefuseRevoked(app, revoked, from_headers("acme"))
            transport = httpx.ASGITransport(guarded)
            async with httpx.AsyncClient(transport=transport, base_url="http://gw") as client:
                good = await client.get("/", headers={"x-session-id": "s2"})
                bad = await client.get("/", headers={"x-session-id": "s1"})
                nameless = await client.get("/")
        return good, bad, nameless

    good, bad, nameless = asyncio.run(scenario())
    assert (good.status_code, good.text) == (200, "served")
    assert (bad.status_code, bad.json()["code"]) == (403, "session_revoked")
    assert (nameless.status_code, nameless.json()["code"]) == (403, "unnamed")


def test_an_answer_comes_from_memory_and_opens_neither_file_nor_connection(deployment, follow):
    revoked = follow()
    assert revoked.wait_ready(30)
    here, seen, on = threading.get_ident(), list[str](), [True]

    def note(event, _):
        if on[0] and threading.get_ident() == here and event.startswith(("open", "os.", "socket.", "sqlite3.")):
            seen.append(event)

    sys.addaudithook(note)  # for good, so it is told when to stop
    try:
        revoked.is_revoked("acme", "s1")
        revoked.is_revoked("acme", "x" * 600)
        assert seen == []
        open(os.devnull).close()
        assert seen == ["open"], "and it would have been seen"
    finally:
        on[0] = False


def test_a_polling_gateway_that_verifies_is_confirmed_by_a_304(deployment, follow):
    deployment.stage.revoke("s1")
    revoked = follow(verify_with=deployment.jwks(), push=False, wait_s=0)
    until(lambda: revoked.state().transport == "poll")
    first = revoked.state().age_s
    for _ in range(3):
        before = revoked._held.view
        until(lambda before=before: revoked._held.view is not before)
    assert first is not None
    assert not revoked.state().last_error
    deployment.stage.revoke("s2")
    until(lambda: revoked.is_revoked("acme", "s2"))
    before = revoked._held.view
    until(lambda: revoked._held.view is not before)  # now the tag of a delta is confirmed
    assert not revoked.state().last_error
