"""What a channel was last shown of a case, and the texts that stand for it in every version."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from guardian.store.control.cases import CaseChanges, StoredCase
from guardian.store.control.picture import Picture
from guardian.store.control.store import ControlStore
from guardian.store.control.tables import case

NOW = datetime(2026, 5, 12, 17, tzinfo=UTC)
DIGESTS = st.text("0123456789abcdef", min_size=32, max_size=32)
PICTURES = st.just(Picture()) | st.just(Picture(worse=True)) | st.builds(Picture, DIGESTS)
PICTURES |= st.builds(Picture, left=st.text(max_size=59))
OLD = {
    "": Picture(),
    "unknown": Picture(),
    "worse": Picture(worse=True),
    "left C1:1752600000.000100": Picture(left="C1:1752600000.000100"),
    "0123456789abcdef" * 2: Picture("0123456789abcdef" * 2),
}


@given(PICTURES)
def test_a_picture_is_read_as_it_was_written(picture: Picture) -> None:
    assert Picture.read(picture.text()) == picture


@pytest.mark.parametrize(("text", "picture"), OLD.items())
def test_what_every_version_wrote_is_read(text: str, picture: Picture) -> None:
    assert Picture.read(text) == picture
    assert picture.text() == (text if text != "unknown" else "")


@given(PICTURES)
def test_what_is_still_to_be_told_outlasts_a_write_of_which_nothing_is_known(picture: Picture) -> None:
    kept = picture if picture.worse or picture.left is not None else Picture()
    assert picture.unsure() == kept


@given(PICTURES)
def test_that_a_message_was_given_up_outlasts_that_the_case_became_worse(picture: Picture) -> None:
    assert picture.worsened() == (Picture(worse=True) if picture.left is None else picture)


def test_the_columns_that_may_change_are_those_of_a_case_but_for_whose_it_is() -> None:
    whose = {"key", "tenant_id", "session_id", "kind"}
    known = StoredCase.__annotations__
    assert CaseChanges.__annotations__ == {name: kind for name, kind in known.items() if name not in whose}
    assert list(known) == case.c.keys()


@pytest.mark.parametrize(("text", "picture"), OLD.items())
def test_a_case_keeps_its_picture_in_the_column_that_it_had(tmp_path, text: str, picture: Picture) -> None:
    store = ControlStore.open(f"sqlite:///{tmp_path}/control.db", now=NOW)
    with store.write() as rows:
        rows.cases.open("c", kind="session", tenant_id="acme", session_id="s", now=NOW)
        rows.cases.connection.execute(case.update().values(shown=text))
        found = rows.cases.get("c")
        assert found is not None
        assert found.shown == picture
        rows.cases.change("c", shown=found.shown)
        assert rows.cases.connection.execute(select(case.c.shown)).scalar_one() == picture.text()
    store.close()
