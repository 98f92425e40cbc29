"""Revisions of the ledger: their order and their text."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.revocation import LARGEST, Revision

REVISIONS = st.builds(Revision, epoch=st.integers(0, LARGEST), n=st.integers(0, LARGEST))


@given(REVISIONS, REVISIONS)
def test_a_new_epoch_is_later_than_anything_in_an_old_one(one, other):
    order = (one.epoch, one.n), (other.epoch, other.n)
    assert (one < other, one <= other) == (order[0] < order[1], order[0] <= order[1])
    assert (one > other, one >= other) == (order[0] > order[1], order[0] >= order[1])


@given(REVISIONS)
def test_a_revision_reads_back_from_its_text(revision):
    assert Revision.parse(str(revision)) == revision


@given(st.text(max_size=50))
def test_no_text_crashes_the_reading_of_a_revision(text):
    with suppress(ValueError):
        assert Revision.parse(text) >= Revision(epoch=0, n=0)
