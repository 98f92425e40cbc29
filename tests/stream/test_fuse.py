import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.batch import DeadLetter, Decoded
from guardian.domain.event import DecisionEvent
from guardian.domain.record import Record
from guardian.stream.fuse import ANYBODY, Blown, Fuse, FuseState, Outcome
from guardian.stream.fusing import outcomes
from guardian.stream.marks import Mark

OUTCOMES = st.lists(st.builds(Outcome, st.sampled_from("ab"), st.booleans()), max_size=80)


def _blow(fuse, *outcomes):
    return fuse.fold(FuseState(), outcomes)[1]


def test_it_blows_when_most_of_enough_records_are_bad():
    fuse = Fuse(window=10, minimum=4, ratio=0.5)
    bad, good = Outcome("g", False), Outcome("g", True)
    assert _blow(fuse, *[bad] * 3) is None
    assert _blow(fuse, *[bad] * 4) == Blown("g", 4, 4)
    assert _blow(fuse, *[good] * 5, *[bad] * 4) is None
    assert _blow(fuse, *[good] * 5, *[bad] * 5) == Blown("g", 5, 10)


def test_one_bad_gateway_does_not_speak_for_another():
    fuse = Fuse(window=10, minimum=4)
    mixed = [Outcome("good", True), Outcome("bad", False)] * 4
    assert _blow(fuse, *mixed) == Blown("bad", 4, 4)


def test_bad_records_among_many_good_ones_never_blow_it():
    fuse = Fuse(window=100, minimum=10)
    stream = [Outcome("g", n % 5 != 0) for n in range(5000)]
    assert _blow(fuse, *stream) is None


@given(OUTCOMES, st.integers(0, 80))
def test_how_a_stream_is_cut_into_batches_changes_nothing(outcomes, cut):
    fuse = Fuse(window=12, minimum=5)
    whole, _ = fuse.fold(FuseState(), outcomes)
    first, _ = fuse.fold(FuseState(), outcomes[:cut])
    second, _ = fuse.fold(first, outcomes[cut:])
    assert second == whole


@given(st.lists(st.builds(Outcome, st.text(max_size=3), st.booleans()), max_size=100))
def test_its_memory_is_bounded(outcomes):
    state, _ = Fuse(window=5, minimum=5, gateways=3).fold(FuseState(), outcomes)
    assert len(state.windows) <= 3
    assert all(len(window) <= 5 for window in state.windows.values())


@pytest.mark.parametrize("options", [{"minimum": 0}, {"minimum": 9, "window": 8}, {"ratio": 0}, {"ratio": 1.1}])
def test_an_impossible_fuse_is_refused(options):
    with pytest.raises(ValueError, match="a fuse needs"):
        Fuse(**options)


def _decoded(record):
    event = DecisionEvent.model_construct(gateway="gw")
    return Decoded(record, event, "", None, False, (), "absent", None)


def test_what_an_agent_can_bring_about_speaks_against_no_gateway():
    records = [Record("log", 0, n, b"") for n in range(6)]
    part = DeadLetter(records[0], "not_json", "", "acme", "s1", "gw", judged=True)
    of_a_batch = DeadLetter(records[1], "invalid", "", gateway="gw")
    large = DeadLetter(records[2], "too_large", "", "acme", "s1", "gw")
    nameless = DeadLetter(records[3], "too_large", "", gateway="gw")
    broken = DeadLetter(records[4], "not_json", "", "acme", "s1", "gw")
    poison = DeadLetter(records[5], "poison", "", "acme", "s1", "gw")
    letters = [part, of_a_batch, large, nameless, broken, poison]
    found = outcomes(records, [_decoded(record) for record in records[:2]], letters, Mark())
    vouching = [Outcome("gw", True), Outcome("log[0]", True)]
    assert found == [*vouching, *vouching, Outcome("gw", False, "acme/s1")]


def test_no_single_session_blows_it_whatever_its_agent_calls():
    fuse = Fuse(window=200, minimum=50)
    bad = [DeadLetter(Record("log", 0, n, b""), "invalid", "", "acme", "s1", "gw") for n in range(500)]
    assert _blow(fuse, *outcomes([letter.record for letter in bad], [], bad, Mark())) is None


def _anonymous(code, count):
    return [DeadLetter(Record("log", 0, n, b""), code, "", "acme", None, "gw") for n in range(count)]


@pytest.mark.parametrize("code", ["no_session", "no_tool"])
def test_calls_of_nobody_blow_it_only_where_the_gateway_hardly_names_anybody(code):
    fuse = Fuse(window=200, minimum=50)
    bad = _anonymous(code, 50)
    found = outcomes([letter.record for letter in bad], [], bad, Mark())
    assert found == [Outcome("gw", False, ANYBODY)] * 50
    assert _blow(fuse, *found) == Blown("gw", 50, 50)
    assert _blow(fuse, *[Outcome("gw", True)] * 9, *found) == Blown("gw", 50, 59)
    others = [Outcome("gw", True)] * 10
    assert _blow(fuse, *others, *found, *found) is None
    assert _blow(fuse, *others, *found * 4) == Blown("gw", 191, 200)


@pytest.mark.parametrize("code", ["no_session", "no_tool"])
def test_calls_without_a_valid_tool_blow_it_only_where_hardly_any_can_be_read(code):
    """An agent may open any number of sessions, and name any tool in each."""
    fuse = Fuse(window=200, minimum=50)
    bad = [DeadLetter(Record("log", 0, n, b""), code, "", "acme", f"s{n % 5}", "gw") for n in range(60)]
    found = outcomes([letter.record for letter in bad], [], bad, Mark())
    others = [Outcome("gw", True)] * 10
    assert _blow(fuse, *others, *found) is None
    assert _blow(fuse, *others, *found, *[Outcome("gw", False, ANYBODY)] * 60) is None
    assert _blow(fuse, *others[1:], *found) == Blown("gw", 50, 59)
    assert _blow(fuse, *found[:1] * 400) is None
    assert _blow(fuse, *others, *found, *[Outcome("gw", False)] * 60) == Blown("gw", 60, 120)


@pytest.mark.parametrize(("code", "sessions"), [("nobody", [None]), ("no_tool_denied", ["s1", "s2", "s3"])])
def test_what_is_denied_and_names_no_session_or_no_tool_speaks_against_no_gateway(code, sessions):
    bad = [DeadLetter(Record("log", 0, n, b""), code, "", "acme", each, "gw") for n, each in enumerate(sessions)]
    assert outcomes([letter.record for letter in bad], [], bad, Mark()) == []


def test_a_gateway_that_is_broken_for_several_sessions_blows_it():
    fuse = Fuse(window=200, minimum=50)
    bad = [Outcome("gw", False, f"acme/s{n % 5}") for n in range(50)]
    assert _blow(fuse, *bad) == Blown("gw", 50, 50)


def test_a_mark_is_of_one_letter_and_value_and_outlives_the_rotation_of_its_key():
    mark = Mark((b"old",)).of("log/0/1", b"x")
    rotated, others = Mark((b"new", b"old")), Mark((b"new",))

    def sent(value: bytes, *headers: bytes) -> Record:
        return Record("log", 0, 9, value, headers=tuple(("guardian-redriven", each) for each in headers))

    assert rotated.on(sent(b"x", mark))
    of_another = mark.replace(b"log/0/1", b"log/0/2")
    for record in (
        sent(b"y", mark),
        sent(b"x", of_another),
        sent(b"x", b"log/0/1"),
        sent(b"x", b"\xff "),
        sent(b"x"),
    ):
        assert not rotated.on(record)
    assert not others.on(sent(b"x", mark))
    assert not Mark().on(sent(b"x", mark))
