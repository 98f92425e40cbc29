"""Laws of the snapshot face, of its tags and of how long a revocation lasts."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replaying import replay

from guardian.domain.revocation import LARGEST, LedgerEntry, Revision
from guardian.revocation.expiry import ExpiryRule
from guardian.revocation.snapshot import SnapshotFace, matching, presented_revision
from guardian.wire.revocations import RevocationList

NOW = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
FACE = SnapshotFace()

WORDS = st.lists(
    st.tuples(
        st.sampled_from(["acme", "globex"]),
        st.sampled_from(["s1", "s2", "s3"]),
        st.sampled_from(["revoked", "reinstated", "lapsed"]),
        st.booleans(),  # whether a new epoch begins here
    ),
    max_size=30,
)


def _entries(words):
    entries, epoch, n = [], 1, 0
    for tenant, session, status, jump in words:
        epoch, n = (epoch + 1, 1) if jump else (epoch, n + 1)
        entries.append(
            LedgerEntry(
                revision=Revision(epoch=epoch, n=n),
                tenant_id=tenant,
                subject_id=session,
                status=status,
                reason_code="drift",
                actor="m",
                at=NOW,
                expires_at=NOW + timedelta(days=1),
            )
        )
    return entries


def _stand(entries):
    newest = max((entry.revision for entry in entries), default=Revision(epoch=1, n=0))
    return {"revision": newest, "changed_at": NOW}


@given(WORDS, WORDS)
def test_tags_are_equal_exactly_when_the_bytes_are(one, other):
    def draw(words):
        entries = _entries(words)
        return FACE.whole([FACE.line(entry) for entry in replay(entries).values()], **_stand(entries), reach=None)

    first, second = draw(one), draw(other)
    assert (first.etag == second.etag) == (first.body == second.body)
    assert draw(one) == first


def test_a_snapshot_reads_back_as_what_the_wire_promises():
    entries = _entries([("acme", "s1", "revoked", False), ("acme", "s2", "revoked", False)])
    rendered = FACE.whole([FACE.line(entry) for entry in entries], **_stand(entries), reach=None)
    listed = RevocationList.model_validate_json(rendered.body)
    assert (str(listed.revision), listed.complete, listed.issued_at) == ("1.2", True, NOW)
    assert [entry.subject_id for entry in listed.entries] == ["s1", "s2"]


@pytest.mark.parametrize(
    ("tags", "same"),
    [
        ('"1.2-abc"', True),
        ('W/"1.2-abc"', True),
        ('"x", "1.2-abc"', True),
        ("*", True),
        ('"1.2-abd"', False),
        ("1.2-abc", False),
        ("", False),
    ],
)
def test_if_none_match_is_read_as_the_standard_says(tags, same):
    assert (matching(tags, "1.2-abc") is not None) is same


@given(st.integers(0, LARGEST), st.integers(0, LARGEST))
def test_a_revision_reads_back_from_its_tag(epoch, n):
    revision = Revision(epoch=epoch, n=n)
    assert presented_revision(f'W/"{revision}-abc"') == revision


@given(st.text(max_size=50))
def test_no_text_crashes_the_reading_of_a_tag(text):
    presented_revision(text)
    matching(text, "x")


@given(st.none() | st.datetimes(timezones=st.just(UTC)), st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)))
def test_a_revocation_outlives_the_session_by_the_grace_and_lasts_a_day(expires_at, now):
    rule, now = ExpiryRule(), now.replace(tzinfo=UTC)
    ends = rule.until(expires_at, now)
    assert ends >= now + timedelta(hours=24)
    if expires_at is None:
        assert ends == now + rule.maximum
    else:
        end_of_time = datetime.max.replace(tzinfo=UTC)
        assert ends == end_of_time or ends >= expires_at + rule.grace


@given(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)), st.timedeltas(timedelta(0), timedelta(days=900)))
def test_a_later_expiry_never_shortens_a_revocation(expires_at, later):
    rule, expires_at = ExpiryRule(), expires_at.replace(tzinfo=UTC)
    assert rule.until(expires_at + later, NOW) >= rule.until(expires_at, NOW)


def test_a_rule_that_forgets_too_soon_is_refused():
    with pytest.raises(ValueError, match="at least 24 h"):
        ExpiryRule(minimum=timedelta(hours=1))
