"""Files of JSON documents as people have them: pretty-printed, one array, compressed, rotated, cut short."""

import gzip
import json

import pytest

from guardian.bus.documents import Documents


@pytest.fixture
def read(tmp_path):
    def documents(content, name="log.json"):
        path = tmp_path / name
        path.write_bytes(content)
        consumer = Documents(path)
        consumer.start(lambda _: {})
        found = []
        while not consumer.exhausted():
            found += [(r.offset, r.value) for r in consumer.poll(timeout_s=0, max_records=2)]
        consumer.close()
        return found

    return documents


ONE, TWO = {"a": 1, "b": {"c": ["}", "]"]}}, {"a": 2, "b": "{ \\" + '"'}


def values(found):
    return [json.loads(value) for _, value in found]


def test_lines_stay_lines_and_keep_their_numbers(read):
    found = read(b'{"a": 1}\nnonsense\n\n{"a": 2}\n')
    assert [number for number, _ in found] == [0, 1, 2, 3]
    assert found[1][1] == b"nonsense"


def test_a_document_may_be_spread_over_lines(read):
    found = read("\n".join(json.dumps(each, indent=2) for each in (ONE, TWO)).encode())
    assert values(found) == [ONE, TWO]
    assert found[1][0] == len(json.dumps(ONE, indent=2).splitlines())


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_an_array_that_is_the_whole_file_holds_documents(indent, read):
    if indent is None:
        content = "[\n" + ",\n".join(json.dumps(each) for each in (ONE, TWO, ONE)) + "\n]\n"
    else:
        content = json.dumps([ONE, TWO, ONE], indent=indent)
    assert values(read(content.encode())) == [ONE, TWO, ONE]


def test_a_file_that_was_rotated_in_the_middle_loses_only_what_was_cut(read):
    found = read(b'"end of something"}\n{"a": 1}\n{"a": 2, "b": {\n{"a": 3}\n{"a": 4}\n{"a":')
    readable = []
    for _, value in found:
        try:
            readable.append(json.loads(value)["a"])
        except ValueError:
            continue
    assert readable == [1, 3, 4]
    assert len(found) == 6


@pytest.mark.parametrize("indent", [1, 2, "\t"])
def test_a_document_over_lines_that_is_cut_anywhere_costs_itself_only(indent, read):
    first, cut, *rest = (json.dumps({"n": n, "b": [{"c": ["}", n]}, ONE]}, indent=indent) for n in range(4))
    for end in range(1, len(cut)):
        readable = []
        for _, value in read("\n".join([first, cut[:end], *rest]).encode()):
            try:
                readable.append(json.loads(value))
            except ValueError:
                continue
        assert [each["n"] for each in readable if "n" in each] == [0, 2, 3], cut[:end]


def test_a_document_over_lines_need_not_be_indented(read):
    made = [{"n": n, "b": [ONE, [TWO], {"c": [ONE, n]}]} for n in range(3)]
    assert values(read("\n".join(json.dumps(each, indent=0) for each in made).encode())) == made


def test_a_document_over_lines_may_close_brackets_on_any_of_them(read):
    found = read(b'{"a": {"b": 1},\n "c": 2}\n{"a": {"b": 2}\n}\n{"a": [1],\n"b": {"c": "}"}}\n{"a": 3}')
    assert values(found) == [{"a": {"b": 1}, "c": 2}, {"a": {"b": 2}}, {"a": [1], "b": {"c": "}"}}, {"a": 3}]
    assert [number for number, _ in found] == [0, 2, 4, 6]


def test_a_compressed_file_reads_the_same(read):
    plain = json.dumps(ONE, indent=2).encode()
    assert values(read(gzip.compress(plain) + gzip.compress(b"\n" + plain), "log.json.gz")) == [ONE, ONE]


def test_a_file_that_is_started_again_is_read_from_its_beginning_and_nothing_twice(tmp_path):
    path = tmp_path / "log.json"
    path.write_bytes(b'{"a":\n{"b": 1}\n{"c": 2}\n')  # the first is cut off, which shows as the second begins
    consumer = Documents(path)
    consumer.start(lambda places: {})
    first = consumer.poll(timeout_s=0, max_records=1)
    consumer.start(lambda places: {})
    assert consumer.poll(timeout_s=0, max_records=1) == first
