"""Policy files are read once, told apart by every byte, and cut into policies whose lines can be named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.errors import PolicyError
from guardian.policy.cedar import CedarPolicies
from guardian.policy.files import PolicyFiles, statements

SCHEMA = """
entity Actor; entity Session;
action read appliesTo { principal: [Actor], resource: [Session], context: { mode: String } };
"""
READERS = '@id("readers")\npermit (principal, action == Action::"read", resource);\n'
OTHERS = READERS.replace("readers", "others")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.cedar").write_text(READERS)
    (tmp_path / "s.cedarschema").write_text(SCHEMA)
    return tmp_path


def test_what_editors_and_systems_leave_beside_a_policy_changes_nothing(folder):
    before = PolicyFiles.read(folder)
    (folder / ".#a.cedar").symlink_to("ann@host.4711:1")
    (folder / "._a.cedar").write_bytes(b"\x00\x05\x16\x07\xff")
    (folder / "._s.cedarschema").write_bytes(b"\x00\x05\x16\x07\xff")
    assert PolicyFiles.read(folder) == before


def test_policies_are_cut_at_semicolons_that_are_neither_in_strings_nor_in_comments():
    text = '// one; two\n\n@id("a;b") @why("say \\"x;\\"")\npermit (1); // after;\n@id("c")\nforbid (2);\n// end\n'
    found = list(statements(text))
    assert [each.line for each in found] == [3, 5]
    assert found[0].text == '@id("a;b") @why("say \\"x;\\"")\npermit (1);'
    assert found[1].text.endswith('@id("c")\nforbid (2);')


def test_a_policy_that_is_never_finished_is_a_policy_too():
    assert [each.line for each in statements('permit (1);\n@id("a"\n"')] == [1, 2]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "\n", " ", "// a; comment\n", '\n// "\n\n']),
            st.sampled_from(["permit (1);", '@id("a;b")\nforbid (2);', 'permit (3) // "odd\nwhen { "//;" };']),
        ),
        max_size=6,
    )
)
def test_policies_put_together_come_apart_again_each_with_its_line(parts):
    text = "".join(between + policy for between, policy in parts)
    lines = [text[: sum(map(len, map("".join, parts[:n]))) + len(parts[n][0])] for n in range(len(parts))]
    assert [each.text for each in statements(text)] == [policy for _, policy in parts]
    assert [each.line for each in statements(text)] == [before.count("\n") + 1 for before in lines]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            OTHERS + '\n@id("b")\npermit (principal, action, resource)\nwhen { 1 == };',
            "more.cedar:4: Cedar cannot",
        ),
        ('\npermit (principal, action == Action::"read", resource);', "more.cedar:2: this policy has no @id"),
        ('@id("open") permit (principal, action, resource)', "more.cedar:1: Cedar cannot parse"),
        ('// twice\n@id("readers") permit (principal, action, resource);', "more.cedar:2: .*a.cedar:1 is called"),
        (
            '@id("typo") permit (principal, action == Action::"raed", resource);',
            "more.cedar:1: policy 'typo' does",
        ),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(folder, text, message):
    (folder / "more.cedar").write_text(text)
    with pytest.raises(PolicyError, match=message):
        CedarPolicies.from_files(PolicyFiles.read(folder))


def test_a_file_that_ends_too_early_does_not_eat_into_the_next(folder):
    (folder / "a.cedar").write_text('@id("readers") permit (principal, action == Action::"read", resource)')
    (folder / "b.cedar").write_text('when { context.mode == "x" };')
    with pytest.raises(PolicyError, match=r"a\.cedar:1"):
        CedarPolicies.from_files(PolicyFiles.read(folder))


def test_a_folder_of_comments_is_refused(folder):
    (folder / "a.cedar").write_text("// nothing yet\n")
    with pytest.raises(PolicyError, match="holds no policy"):
        CedarPolicies.from_files(PolicyFiles.read(folder))


def test_every_policy_knows_where_it_is_written(folder):
    (clause,) = CedarPolicies.from_files(PolicyFiles.read(folder)).clauses
    assert (clause.id, clause.effect, clause.why) == ("readers", "permit", "")
    assert clause.place == f"{folder / 'a.cedar'}:1"


def test_the_fingerprint_changes_with_every_byte_and_name(folder):
    seen = {PolicyFiles.read(folder).fingerprint}
    (folder / "a.cedar").write_text(READERS + " ")
    seen.add(PolicyFiles.read(folder).fingerprint)
    (folder / "a.cedar").rename(folder / "b.cedar")
    seen.add(PolicyFiles.read(folder).fingerprint)
    (folder / "s.cedarschema").write_text(SCHEMA + " ")
    seen.add(PolicyFiles.read(folder).fingerprint)
    (folder / "cases.yaml").write_text("[]")
    seen.add(PolicyFiles.read(folder).fingerprint)
    assert len(seen) == 5


def test_what_stands_beside_the_policies_is_not_fingerprinted(folder):
    before = PolicyFiles.read(folder).fingerprint
    (folder / "notes.txt").write_text("x")
    assert PolicyFiles.read(folder).fingerprint == before


def test_files_that_are_no_text_or_too_large_are_refused(folder):
    (folder / "a.cedar").write_bytes(b"\xff\xfe")
    with pytest.raises(PolicyError, match="not UTF-8"):
        PolicyFiles.read(folder)
    (folder / "a.cedar").write_bytes(b"/" * (4 * 1024 * 1024 + 1))
    with pytest.raises(PolicyError, match="more than"):
        PolicyFiles.read(folder)
    (folder / "a.cedar").unlink()
    (folder / "a.cedar").mkdir()
    with pytest.raises(PolicyError, match="cannot be read"):
        PolicyFiles.read(folder)
