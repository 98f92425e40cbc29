"""Checkpoint files: notes are appended, interrupted ones are closed and written again, junk is not passed over."""

import os
from contextlib import suppress

import pytest

from guardian.audit.files import append_note, notes_in

NOTES = [f"guardian/audit/1\n{n}\nroot\n\n— guardian/audit/1 c2lnbmF0dXJl{n}\n" for n in range(3)]


@pytest.fixture
def path(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere" / "checkpoints.txt"


def texts(path):
    return [note for _, note in notes_in(path)]


def test_notes_come_back_in_order_with_the_line_where_they_begin(path):
    for note in NOTES:
        append_note(path, note)
    assert list(notes_in(path)) == [(1, NOTES[0]), (7, NOTES[1]), (13, NOTES[2])]


def test_the_note_that_is_already_the_last_is_not_added_again(path):
    append_note(path, NOTES[0])
    append_note(path, NOTES[0])
    assert texts(path) == [NOTES[0]]


@pytest.mark.parametrize("cut", range(1, len(NOTES[1].encode()) + 1))
def test_wherever_an_append_was_cut_off_the_next_one_repairs_the_file(path, cut):
    append_note(path, NOTES[0])
    with path.open("ab") as file:
        file.write(NOTES[1].encode()[:cut])
    append_note(path, NOTES[1])
    append_note(path, NOTES[2])
    assert list(dict.fromkeys(texts(path))) == NOTES
    assert path.read_bytes().startswith(NOTES[0].encode())


def test_notes_written_by_hand_without_empty_lines_between_are_read(path):
    path.write_text("".join(NOTES), encoding="utf-8")
    assert texts(path) == NOTES


def test_several_signatures_belong_to_one_note(path):
    path.write_text(NOTES[0] + "— witness c2lnbmF0dXJl\n\n" + NOTES[1], encoding="utf-8")
    assert [note.count("—") for note in texts(path)] == [2, 1]


@pytest.mark.parametrize(
    "junk", ["junk", "junk\n", "junk\n\n", "\x00\xff", "— guardian/audit/1 c2ln\n", "a\n" * 100]
)
def test_junk_is_handed_to_the_reader_and_spoils_nothing_after_it(path, junk):
    path.write_text(junk + "\n\n" + NOTES[1], encoding="utf-8")
    found = texts(path)
    assert found[-1] == NOTES[1]
    assert len(found) > 1


def test_in_the_place_of_a_disk_that_is_not_mounted_no_folder_is_made(path):
    path.parent.rmdir()
    with pytest.raises(FileNotFoundError):
        append_note(path, NOTES[0])
    assert not path.parent.exists()


def test_an_empty_file_holds_nothing(path):
    path.touch()
    assert texts(path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_what_root_makes_belongs_to_whose_folder_it_is(path):
    os.chown(path.parent, 65534, 65534)
    append_note(path, NOTES[0])
    assert path.stat().st_uid == 65534
    os.chown(path, 1, 1)
    append_note(path, NOTES[1])
    assert (texts(path), path.stat().st_uid) == (NOTES[:2], 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_root_makes_none_where_a_link_leads(path, tmp_path):
    path.symlink_to(tmp_path / "another")
    with suppress(OSError):
        append_note(path, NOTES[0])
    assert not (tmp_path / "another").exists()
    (tmp_path / "another").touch()
    append_note(path, NOTES[0])
    assert texts(path) == NOTES[:1]
