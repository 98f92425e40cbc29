"""What is kept in memory is what the ledger says, whenever it was read and for whomever it is shown."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replaying import replay

from guardian.domain.revocation import LedgerEntry, Revision
from guardian.revocation.mirror import Mirror, Stand
from guardian.revocation.opa_bundle import BundleFace, _grouped, canonical
from guardian.revocation.snapshot import SnapshotFace

NOW = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
FACE = SnapshotFace()
NOTHING = Stand(Revision(epoch=1, n=0), NOW, {})
REACHES = (None, frozenset({"acme"}), frozenset({"acme", "globex"}), frozenset({"nobody"}), frozenset[str]())
WORDS = st.lists(
    st.tuples(
        st.sampled_from(["acme", "globex", "initech"]),
        st.sampled_from(["session", "agent"]),
        st.sampled_from(["s1", "s2", "s\u2028", 'q"\\', "é"]),
        st.sampled_from(["revoked", "revoked", "reinstated", "lapsed"]),
    ),
    max_size=30,
)


def entries_of(words):
    return [
        LedgerEntry(
            revision=Revision(epoch=1, n=n),
            tenant_id=tenant,
            subject_type=kind,
            subject_id=name,
            status=status,
            reason_code="drift",
            actor="m",
            at=NOW + timedelta(seconds=n),
            expires_at=NOW + timedelta(days=1),
        )
        for n, (tenant, kind, name, status) in enumerate(words, 1)
    ]


def within(entries, reach):
    return [entry for entry in entries if reach is None or entry.tenant_id in reach]


def stand_of(entries):
    newest = {entry.tenant_id: (entry.revision.n, entry.at) for entry in entries}
    return Stand(entries[-1].revision if entries else NOTHING.revision, NOW, newest)


@given(WORDS, st.integers(0, 30))
def test_it_shows_what_replaying_the_ledger_gives_wherever_it_was_picked_up(words, cut):
    entries = entries_of(words)
    mirror = Mirror(FACE)
    before = entries[:cut]
    live = sorted(replay(before).values(), key=lambda entry: entry.revision.n)
    mirror.begin(stand_of(before), live)
    if entries[cut:]:
        mirror.follow(entries[cut:])
    for reach in REACHES:
        seen = within(entries, reach)
        revision, changed_at = mirror.stand(reach)
        assert revision == (seen[-1].revision if seen else NOTHING.revision)
        assert changed_at == (seen[-1].at if seen else NOW)
        facts = {"revision": revision, "changed_at": changed_at, "reach": reach}
        whole = FACE.whole(mirror.live(reach), **facts)
        told = sorted(replay(seen).values(), key=lambda entry: entry.revision.n)
        assert whole == FACE.whole([FACE.line(entry) for entry in told], **facts)


@given(WORDS, st.integers(0, 30), st.integers(0, 5))
def test_changes_since_a_revision_are_all_there_or_not_to_be_had(words, since, keep):
    entries = entries_of(words)
    mirror = Mirror(FACE, keep=keep)
    mirror.begin(NOTHING, [])
    if entries:
        mirror.follow(entries)
    for reach in REACHES:
        lines = mirror.since(since, reach)
        missing = [entry for entry in entries if entry.revision.n > since]
        if lines is None:
            assert len(missing) > keep
        else:
            assert lines == [FACE.line(entry) for entry in within(missing, reach)]


def test_an_entry_is_rendered_once_whatever_is_asked_of_it():
    rendered = []

    class Counting(SnapshotFace):
        def line(self, entry):
            rendered.append(entry.revision.n)
            return super().line(entry)

    mirror = Mirror(Counting())
    mirror.begin(NOTHING, [])
    mirror.follow(entries_of([("acme", "session", f"s{n}", "revoked") for n in range(5)]))
    for _ in range(3):
        mirror.live(None), mirror.since(2, None)
    assert rendered == [1, 2, 3, 4, 5]


def test_a_beginning_that_fails_leaves_what_there_was():
    mirror = Mirror(FACE)
    first, second, third = entries_of([("acme", "session", f"s{n}", "revoked") for n in range(3)])
    mirror.begin(stand_of([first, second]), [first, second])
    before = mirror.live(None)

    def torn():
        yield first
        raise OSError("the database went away")

    with pytest.raises(OSError, match="went away"):
        mirror.begin(stand_of([first]), torn())
    assert (mirror.live(None), mirror.at) == (before, second.revision)
    assert mirror.follow([third]) == third.revision


def test_a_gap_and_nothing_at_all_are_refused():
    mirror = Mirror(FACE)
    first, second, third = entries_of([("acme", "session", f"s{n}", "revoked") for n in range(3)])
    with pytest.raises(ValueError, match="nothing follows"):
        mirror.follow([first])  # before it began
    mirror.begin(NOTHING, [])
    mirror.follow([first])
    with pytest.raises(ValueError, match="does not follow"):
        mirror.follow([third])
    with pytest.raises(ValueError, match="nothing follows"):
        mirror.follow([])
    assert mirror.follow([second]) == second.revision


@given(WORDS)
def test_what_opa_is_given_is_canonical_and_names_every_live_revocation(words):
    face = BundleFace()
    live = replay(entries_of(words))
    content = b"{" + _grouped([face.line(entry) for entry in live.values()]) + b"}"
    told = json.loads(content)
    assert canonical(told) == content
    named = {(tenant, kind, name) for tenant, kinds in told.items() for kind in kinds for name in kinds[kind]}
    assert named == set(live)
