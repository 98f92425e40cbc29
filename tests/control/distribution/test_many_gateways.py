"""What a hundred gateways cost: once, not a hundred times."""

import asyncio
import base64
import gzip
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from guardian.control.distribution import listing, shared_looks
from guardian.control.distribution.bell import Bell
from guardian.control.distribution.shared_looks import SharedLooks
from guardian.control.distribution.wholes import WholeLists
from guardian.control.watchers.watching import watch
from guardian.domain.revocation import Revision
from guardian.gateway.signature import Verifier
from guardian.revocation.opa_bundle import BundleFace
from guardian.revocation.snapshot import SnapshotFace
from guardian.store.control.store import ControlStore

HUNDRED = 100


@pytest.fixture
def together():
    with ThreadPoolExecutor(20) as pool:
        yield lambda ask: list(pool.map(ask, range(HUNDRED)))


def _listings(stage):
    return stage.client.app.state.listings


def _looks(stage):
    return SharedLooks(stage.deps, _listings(stage), WholeLists(stage.deps, BundleFace()), Bell())


def _long(stage, length=200):
    _append(stage.deps.store, stage.clock(), *(f"s{n}" for n in range(length)))


def _append(store, now, *sessions):
    with store.write() as rows:
        for session in sessions:
            rows.ledger.append(
                tenant_id="acme",
                subject_id=session,
                status="revoked",
                reason_code="manual",
                reason="test",
                actor="test",
                now=now,
                expires_at=now.replace(year=2027),
            )


class Counting(SnapshotFace):
    """How many whole lists were rendered."""

    rendered = 0

    def whole(self, lines, **facts):
        type(self).rendered += 1
        return super().whole(lines, **facts)


@pytest.fixture
def counted(make_stage):
    class Counted(Counting):
        pass

    return make_stage(face=Counted()), lambda: Counted.rendered


def test_a_list_is_rendered_and_gzipped_once_per_revision(counted, together, monkeypatch):
    stage, rendered = counted
    gzipped = []
    compress = gzip.compress
    monkeypatch.setattr(listing.gzip, "compress", lambda body, **how: gzipped.append(1) or compress(body, **how))
    _long(stage)
    before = rendered()
    got = together(lambda _: stage.revocations())
    assert {each.headers["content-encoding"] for each in got} == {"gzip"}
    assert len({each.headers["etag"] for each in got}) == 1
    assert len({each.content for each in got}) == 1
    assert (rendered(), len(gzipped)) == (before + 1, 1)
    stage.revoke("one_more")
    assert len(stage.revocations().json()["entries"]) == 201
    assert (rendered(), len(gzipped)) == (before + 2, 2)


def test_another_tenants_revocation_makes_nobody_elses_list_anew(counted):
    stage, rendered = counted
    _long(stage)
    first = stage.revocations()
    before = rendered()
    stage.call("POST", "/v1/sessions/globex/s1/revoke", "responder", "globex", json={"reason": "x"})
    assert stage.revocations().content == first.content
    assert rendered() == before


def test_one_tenants_long_list_holds_up_nobody_else(make_stage):
    begun, go_on = threading.Event(), threading.Event()

    class Slow(SnapshotFace):
        def whole(self, lines, **facts):
            if any(b'"acme"' in line for line in lines):
                begun.set()
                assert go_on.wait(60)
            return super().whole(lines, **facts)

    stage = make_stage(face=Slow())
    stage.revoke("s1")
    with ThreadPoolExecutor(4) as pool:
        slow = pool.submit(_listings(stage).full, frozenset({"acme"}))
        assert begun.wait(30)
        try:
            others = pool.submit(_listings(stage).full, frozenset({"globex"})).result(timeout=30)
        finally:
            go_on.set()
        assert others.revision.n == 0
        assert slow.result(timeout=30).revision.n == 1


def test_who_asks_for_the_same_bundle_meanwhile_occupies_no_thread(stage, monkeypatch):
    asked = []
    whole = WholeLists.whole

    def slow(self, reach):
        asked.append(reach)
        time.sleep(0.2)
        return whole(self, reach)

    monkeypatch.setattr(WholeLists, "whole", slow)
    looks, acme = _looks(stage), frozenset({"acme"})

    async def herd():
        return await asyncio.gather(*(looks.bundle(acme) for _ in range(HUNDRED)))

    assert len({bundle.etag for bundle in asyncio.run(herd())}) == 1
    assert asked == [acme]


def test_whole_lists_are_not_kept_twice_and_old_looks_are_let_go(stage):
    _long(stage, 400)
    looks = _looks(stage)
    acme = frozenset({"acme"})

    async def kept():
        for epoch in range(2, 6):  # none of them leads to a delta
            await looks.look(acme, Revision(epoch=epoch, n=1))
        await looks.look(acme, Revision(epoch=1, n=1))  # a long one
        before = len(looks._landed)
        for n in range(390, 400):
            await looks.look(acme, Revision(epoch=1, n=n))
        looks._bell.ring()
        await looks.look(acme, Revision(epoch=1, n=395))
        return before, len(looks._landed)

    assert asyncio.run(kept()) == (0, 1)


def test_a_signature_does_not_outlive_its_key(stage):
    stage.revoke("s1")
    keys = stage.deps.tokens.keys

    def signed_by():
        head = stage.revocations().headers["guardian-signature"].split(".")[0]
        return json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]

    before = signed_by()
    stage.token("gateway")
    fresh = keys.rotate()
    assert before != fresh
    stage.client.app.state.looks._landed.clear()
    assert signed_by() == fresh


def test_signatures_of_more_reaches_than_are_kept_may_be_made_at_once(stage, monkeypatch):
    monkeypatch.setattr(shared_looks, "_KEPT", 3)
    looks = _looks(stage)

    class Slow(dict):
        def __iter__(self):
            found = super().__iter__()
            time.sleep(0.002)  # what an unlucky switch of threads does
            return found

        def __setitem__(self, *pair):
            time.sleep(0.001)
            super().__setitem__(*pair)

    looks._wholes = Slow()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: looks._look(frozenset({f"t{n}"}), None), range(60)))
    assert len(looks._wholes) == 3


def test_the_signature_is_of_the_list_as_it_is_without_gzip(stage):
    _long(stage)
    verifier = Verifier(stage.deps.tokens.keys.current().jwks())
    packed = stage.revocations(headers={"Accept-Encoding": "gzip"})
    plain = stage.revocations(headers={"Accept-Encoding": "identity"})
    assert packed.content == plain.content  # httpx has unpacked it
    assert packed.headers["etag"] != plain.headers["etag"]
    assert "accept-encoding" in packed.headers["vary"].lower()
    now = stage.clock().timestamp()
    facts = {"tenants": frozenset({"acme"}), "since": None, "now": now, "window_s": 60}
    for each in (packed, plain):
        verifier.check(each.content, each.headers["guardian-signature"], **facts)
        same = stage.revocations(headers={"If-None-Match": each.headers["etag"]})
        assert (same.status_code, same.headers["etag"]) == (304, each.headers["etag"])
        verifier.check(each.headers["etag"].encode(), same.headers["guardian-signature"], **facts)


def test_a_tag_that_was_never_given_out_is_not_signed(stage):
    stage.revoke("s1")
    for tag in ('"1.1-x"', '"1.1-' + "0" * 32 + '" and more', "*", '"1.9-' + "0" * 32 + '"'):
        got = stage.revocations(params={"since": "1.1"}, headers={"If-None-Match": tag})
        assert got.status_code == 200, tag


def test_a_signature_is_made_anew_before_gateways_call_it_old(stage):
    stage.revoke("s1")
    first = stage.revocations().headers["guardian-signature"]
    assert stage.revocations().headers["guardian-signature"] == first
    stage.clock.pass_(seconds=6)
    assert stage.revocations().headers["guardian-signature"] != first


def test_the_acknowledgements_of_a_hundred_gateways_are_all_recorded(stage, together):
    stage.revoke("s1")
    stage.revoke("s2")

    def tell(n, revision):
        headers = {"Guardian-Instance": f"gw-{n}"}
        body = {"revision": revision, "transport": "push"}
        return stage.call("POST", "/v1/revocations/ack", "gateway", json=body, headers=headers).status_code

    for revision, reached in (("1.1", 1), ("1.2", 2)):
        assert set(together(lambda n, told=revision: tell(n, told))) == {204}
        watch(stage.deps)
        with stage.deps.store.read() as rows:
            known = rows.peers.all("gateway")
        assert {each.instance for each in known} == {f"gw-{n}" for n in range(HUNDRED)}
        assert {each.revision.n for each in known} == {reached}
    assert tell(0, "1.99") == 422  # what the ledger has not reached, nobody enforces


def test_what_another_process_revokes_reaches_who_waits_here(stage):
    stage.revoke("s1")
    answers = []

    def poll():
        answers.append(stage.revocations(params={"since": "1.1", "wait": 20}))

    waiting = threading.Thread(target=poll)
    waiting.start()
    time.sleep(0.3)
    elsewhere = ControlStore.open(str(stage.deps.store._engine.url), now=stage.clock())
    _append(elsewhere, stage.clock(), "s2")
    elsewhere.close()
    waiting.join(timeout=30)
    assert [each["subject_id"] for each in answers[0].json()["entries"]] == ["s2"]


def test_a_long_list_comes_in_pieces_and_whole(stage):
    _append(stage.deps.store, stage.clock(), *(f"s{n}".ljust(500, "x") for n in range(800)))
    got = stage.revocations(headers={"Accept-Encoding": "identity"})
    assert len(got.content) == int(got.headers["content-length"]) > 512 * 1024
    assert len(got.json()["entries"]) == 800
    assert gzip.decompress(_listings(stage).packed(_listings(stage).full(frozenset({"acme"})))) == got.content
