"""The conformance vectors, run by the shipped client; and the vectors are what the shipped server would send."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from guardian.bootstrap.sources import formats_of
from guardian.domain.record import Record
from guardian.domain.revocation import LedgerEntry, Revision
from guardian.gateway.client import Refused, RevocationList
from guardian.gateway.connection import Answered
from guardian.gateway.names import session_name, window_name
from guardian.keys.signing import KeySet
from guardian.revocation.signing import ListSigner
from guardian.revocation.snapshot import SnapshotFace
from guardian.sources.port import Told
from guardian.sources.reading import Reader

FILE = Path(__file__).parent / "revocations" / "vectors.json"
NOON = datetime(2026, 5, 12, 12, tzinfo=UTC)
AT = int(NOON.timestamp())
SEED = {"kty": "OKP", "crv": "Ed25519", "kid": "vectors", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}  # RFC 8037, appendix A: a published key  # fmt: skip


class _Keys:
    def current(self) -> KeySet:
        key = OKPKey.import_key(SEED)
        return KeySet(key, (key,))


SIGNER = ListSigner(_Keys(), "https://guardian.test")  # type: ignore[arg-type]
REACH = frozenset({"acme", "globex"})


def entry(n: int, subject: str, status: str = "revoked", *, epoch: int = 1, **more: Any) -> LedgerEntry:
    told = {"tenant_id": "acme", "reason_code": "manual", "actor": "ann", "at": NOON, **more}
    told.setdefault("expires_at", NOON + timedelta(hours=24))
    return LedgerEntry(revision=Revision(epoch=epoch, n=n), subject_id=subject, status=status, **told)


def answer(
    entries: list[LedgerEntry], at: str, *, since: str | None = None, signed: int = 0, **more: Any
) -> dict[str, Any]:
    """What the server sends, `signed` seconds after noon."""
    epoch, n = map(int, at.split("."))
    revision = Revision(epoch=epoch, n=n)
    face = SnapshotFace()
    render = face.whole if since is None else face.changes
    rendered = render([face.line(each) for each in entries], revision=revision, changed_at=NOON)
    base = None if since is None else Revision(epoch=int(since.split(".")[0]), n=int(since.split(".")[1]))
    when = NOON + timedelta(seconds=signed)
    signature = SIGNER.sign(rendered.body, reach=more.pop("reach", REACH), now=when, since=base)
    told = {"asked_since": since, "status": 200, "etag": f'"{rendered.etag}"', "signature": signature}
    return {**told, "body": rendered.body.decode(), **more}


def take(told: dict[str, Any], revision: str | None, expect: str = "taken", at: int = 0) -> dict[str, Any]:
    return {"answer": told, "at": AT + at, "expect": expect, "revision": revision}


def ask(
    subject: str, revoked: bool, *, kind: str = "session", tenant: str = "acme", at: int = 0, **more: bool
) -> dict[str, Any]:
    return {"ask": {"tenant": tenant, "kind": kind, "id": subject}, "at": AT + at, "revoked": revoked, **more}


def vector(
    name: str, *steps: dict[str, Any], tenants: list[str] | Literal["*"] | None = None, verify: bool = True
) -> dict[str, Any]:
    named = tenants or (sorted(REACH) if verify else "*")
    return {"name": name, "tenants": named, "verify": verify, "steps": list(steps)}


def unchanged(at: str, of: dict[str, Any], signed: int) -> dict[str, Any]:
    tag = of["etag"]
    signature = SIGNER.sign(tag.encode(), reach=REACH, now=NOON + timedelta(seconds=signed))
    return {"asked_since": at, "status": 304, "etag": tag, "signature": signature, "body": ""}


def url64(of: bytes) -> str:
    return base64.urlsafe_b64encode(of).rstrip(b"=").decode()


def unurl64(of: str) -> bytes:
    return base64.urlsafe_b64decode(of + "=" * (-len(of) % 4))


def headed(told: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """The answer with other fields in its signature's header (None: without), and rightly signed as that says."""
    was = json.loads(unurl64(told["signature"].split(".")[0]))
    header = {name: value for name, value in {**was, **changed}.items() if value is not None}
    protected = url64(json.dumps(header, separators=(",", ":")).encode())
    what = f"{protected}.{url64(told['body'].encode())}".encode()
    if header["alg"] == "none":
        made = b""
    elif header["alg"] == "HS256":  # with what everybody knows for a secret
        made = hmac.digest(unurl64(SEED["x"]), what, "sha256")
    else:
        made = Ed25519PrivateKey.from_private_bytes(unurl64(SEED["d"])).sign(what)
    return {**told, "signature": f"{protected}..{url64(made)}"}


def names() -> list[dict[str, str | None]]:
    """What sessions are called that go by no name of their own that a revocation can hold."""
    made: list[dict[str, str | None]] = [
        {"session": said, "name": f"sha256:{hashlib.sha256(said.encode()).hexdigest()}"}
        for said in ("A" * 608, "s\n1", "\u540d" * 513, "\U0001f600" * 513)
    ]
    made += [{"session": said, "name": said} for said in ("A" * 512, "\u540d" * 512, "a|b%7C", "\u200b")]
    made += [{"session": said, "name": said} for said in ("\U0001f600" * 300, "\U0001f600" * 512)]
    windows = (
        ("invoice-bot", "maya", "invoice-bot|maya"),
        ("invoice-bot", "auth0|5f7c", "invoice-bot|auth0%7C5f7c"),
        ("a%7Cb", "50%", "a%257Cb|50%25"),
        (None, "maya", "-|maya"),
        ("invoice-bot", None, "invoice-bot|-"),
    )
    made += [{"agent": agent, "user": user, "name": f"window:{name}"} for agent, user, name in windows]
    long = f"window:{'a' * 400}|{'u' * 400}"
    hashed = f"window:sha256:{hashlib.sha256(long.encode()).hexdigest()}"
    return [*made, {"agent": "a" * 400, "user": "u" * 400, "name": hashed}]


def build() -> dict[str, Any]:
    one = answer([entry(1, "s1")], "1.1")
    two = answer([entry(2, "s2")], "1.2", since="1.1")
    lifted = answer([entry(3, "s1", "reinstated")], "1.3", since="1.2")
    kinds = [entry(n, "x", subject_type=kind) for n, kind in enumerate(("agent", "delegator", "task", "jti"), 1)]
    forged = {**one, "body": one["body"].replace("s1", "s9")}
    vectors = [
        vector("a whole list names who is revoked and nobody else", take(one, "1.1"), ask("s1", True),
               ask("s2", False), ask("s1", False, tenant="globex"), ask("s1", False, kind="agent")),
        vector("a delta is applied to what is held", take(one, "1.1"), take(two, "1.2"), ask("s1", True),
               ask("s2", True)),
        vector("the latest word on a subject holds", take(one, "1.1"), take(two, "1.2"), take(lifted, "1.3"),
               ask("s1", False), ask("s2", True)),
        vector("a lapse ends a revocation", take(one, "1.1"),
               take(answer([entry(2, "s1", "lapsed")], "1.2", since="1.1"), "1.2"), ask("s1", False)),
        vector("a revocation ends at its expiry by itself", take(one, "1.1"), ask("s1", True, at=86_399),
               ask("s1", False, at=86_401)),
        vector("every kind of subject", take(answer(kinds, "1.4"), "1.4"),
               *(ask("x", True, kind=kind) for kind in ("agent", "delegator", "task", "jti")), ask("x", False)),
        vector("a revision never runs backwards", take(answer([entry(2, "s2")], "1.2"), "1.2"),
               take(one, "1.2", "went_back"), ask("s2", True), ask("s1", False)),
        vector("a new epoch replaces the list, whatever its n", take(answer([entry(9, "s9")], "1.9"), "1.9"),
               take(answer([entry(1, "s1", epoch=2)], "2.1"), "2.1"), ask("s1", True), ask("s9", False)),
        vector("a delta has nothing to build on in another epoch", take(one, "1.1"),
               take(answer([entry(2, "s2", epoch=2)], "2.2", since="1.1"), "1.1", "no_base"), ask("s1", True)),
        vector("a 304 confirms what is held", take(one, "1.1"), take(unchanged("1.1", one, 20), "1.1", at=20),
               ask("s1", True, at=20)),
        vector("an old signature is a replay", take(one, None, "signature_replayed", at=3600)),
        vector("a replayed 304 confirms nothing", take(one, "1.1"),
               take(unchanged("1.1", one, 0), "1.1", "signature_replayed", at=3600)),
        vector("what was signed well before the newest is a replay, also of the same revision", take(one, "1.1"),
               take(unchanged("1.1", one, 40), "1.1", at=40),
               take(unchanged("1.1", one, 10), "1.1", "signature_replayed", at=41),
               take(one, "1.1", "signature_replayed", at=41), ask("s1", True, at=41)),
        vector("what was signed a few seconds before the newest is none", take(one, "1.1"),
               take(unchanged("1.1", one, 8), "1.1", at=8), take(two, "1.2", at=9), ask("s2", True, at=9)),
        vector("a forged body is refused", take(forged, None, "signature_wrong")),
        vector("an unsigned answer is refused", take({**one, "signature": ""}, None, "signature_missing")),
        vector("what the same key signed for something else is refused",
               *(take(headed(one, typ=typ), None, "signature_type") for typ in ("at+jwt", "secevent+jwt", None))),
        vector("a header that must be understood is not", take(headed(one, crit=["b64"], b64=True), None,
               "signature_type")),
        vector("a signature by a key that is not known, or by none that is named, is refused",
               *(take(headed(one, kid=kid), None, "signature_unknown_key") for kid in ("other", None))),
        vector("no other algorithm is believed",
               *(take(headed(one, alg=alg), None, "signature_malformed") for alg in ("none", "HS256"))),
        vector("the older name of the algorithm is known", take(headed(one, alg="EdDSA"), "1.1"), ask("s1", True)),
        vector("a delta with a gap before it is refused", take(one, "1.1"),
               take({**answer([entry(9, "s9")], "1.9", since="1.8"), "asked_since": "1.1"}, "1.1",
                    "signature_gap")),
        vector("another tenant's list is refused",
               take(answer([], "1.0", reach=frozenset({"globex"})), None, "signature_audience"), tenants=["acme"]),
        vector("a list of some tenants is refused where every tenant's is needed",
               take(one, None, "signature_audience"), tenants="*"),
        vector("a list of every tenant is believed where every tenant's is needed",
               take(answer([entry(1, "s1")], "1.1", reach=None), "1.1"), ask("s1", True), tenants="*"),
        vector("only the tenants that were asked for are kept",
               take(answer([entry(1, "s1", tenant_id="globex"), entry(2, "s2")], "1.2"), "1.2"), ask("s2", True),
               tenants=["acme"]),
        vector("of a tenant that the list was not made for nothing is known, also by who checks no signature",
               take(answer([entry(1, "s1")], "1.1", reach=frozenset({"acme"})), "1.1"), ask("s1", True),
               ask("s2", False, unknown=False), ask("s2", False, tenant="globex", unknown=True), verify=False),
        vector("a list that does not say whose it is is refused, also by who checks no signature",
               take({**one, "signature": ""}, None, "signature_missing"), verify=False),
        vector("half an answer changes nothing", take(one, "1.1", at=0),
               take({**two, "body": two["body"][:-9]}, "1.1", "malformed"), ask("s2", False), verify=False),
        vector("an entry newer than its list is refused",
               take({**one, "body": one["body"].replace('"n":1', '"n":0', 1)}, None, "malformed"), verify=False),
        vector("an unknown status keeps the subject out",
               take({**one, "body": one["body"].replace('"revoked"', '"suspended"')}, "1.1"), ask("s1", True),
               verify=False),
        vector("a session whose name no revocation can hold is looked up by its hash",
               take(answer([entry(1, str(names()[0]["name"]))], "1.1"), "1.1"), ask("A" * 608, True),
               ask("A" * 609, False)),
        vector("characters are code points, whatever a language counts",
               take(answer([entry(1, "\U0001f600" * 300)], "1.1"), "1.1"), ask("\U0001f600" * 300, True),
               ask("\U0001f600" * 299, False), ask("\U0001f600" * 513, True, kind="agent")),
        vector("whatever else no revocation can hold is refused", take(one, "1.1"),
               *(ask("A" * 513, True, kind=kind) for kind in ("agent", "delegator", "task", "jti")),
               ask("s2", True, tenant="A" * 513)),
    ]  # fmt: skip
    public = {name: value for name, value in SEED.items() if name != "d"}
    return {
        "about": "see README.md beside this file",
        "keys": {"keys": [public]},
        "names": names(),
        "vectors": vectors,
    }


class Scripted:
    """Stands for the server: gives the next answer."""

    name = "https://guardian.test"

    def __init__(self) -> None:
        self.next: dict[str, Any] = {}

    def get(self, query: Any, headers: Any, timeout: float) -> Answered:
        told = self.next
        found = {"ETag": told["etag"], "Guardian-Signature": told["signature"]}
        return Answered(told["status"], found, told["body"].encode(), 0.0)


READER = Reader(formats_of("mapping", {}))
KNOWN = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", KNOWN["vectors"], ids=lambda case: case["name"])
def test_the_shipped_client_conforms(case: dict[str, Any]) -> None:
    now = [float(AT)]
    revoked = RevocationList(
        "https://guardian.test",
        "token",
        tenants="*" if case["tenants"] == "*" else set(case["tenants"]),
        verify_with=KNOWN["keys"] if case["verify"] else None,
        on_stale={"low": "open"},
        clock=lambda: now[0],
        wall=lambda: now[0],
    )
    server = Scripted()
    revoked._follower._server = server  # type: ignore[assignment]
    for step in case["steps"]:
        now[0] = float(step["at"])
        if "ask" in step:
            asked = step["ask"]
            named = {asked["kind"]: asked["id"]}
            assert (revoked.refusal(asked["tenant"], **named, risk="low") is not None) is step["revoked"], step
            if "unknown" in step:
                assert (revoked.refusal(asked["tenant"], **named) == "list_stale") is step["unknown"], step
            continue
        server.next = step["answer"]
        revoked._follower._synced = step["answer"]["asked_since"] is not None
        try:
            revoked._follower.poll()
            got = "taken"
        except Refused as refused:
            got = refused.code
        state = revoked.state()
        assert (got, None if state.revision is None else str(state.revision)) == (step["expect"], step["revision"])


@pytest.mark.parametrize("case", KNOWN["names"], ids=lambda case: case["name"][:40])
def test_the_gateways_names_of_sessions_are_those_that_logs_are_read_with(case: dict[str, Any]) -> None:
    if "session" in case:
        told, made = {"session": case["session"]}, session_name(case["session"])
    else:
        told = {"agent": case["agent"], "delegator": case["user"]}
        made = window_name(case["agent"], case["user"])
    line = {**told, "tool": "x", "decision": True, "time": AT, "gateway": "g", "tenant": "t"}
    (found,) = READER.read(Record("t", 0, 0, json.dumps(line).encode()))
    assert isinstance(found, Told)
    assert (made, found.event.envelope.session_id) == (case["name"], case["name"])


def test_the_vectors_are_what_the_shipped_server_sends() -> None:
    """After a change of the format on purpose, write `build()` to the file."""
    assert build() == KNOWN
