"""What is asked for often stays; what nobody asks for goes, however much is asked at once."""

import pytest

from guardian.embedding.recent import LookedUp, Recent


class Doubling:
    """Twice each key, and a list of what was computed."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, keys: list[int]) -> list[int]:
        self.asked += keys
        return [2 * key for key in keys]


def test_what_was_not_asked_for_longest_is_forgotten_first() -> None:
    recent, double = Recent[int, int](2), Doubling()
    for key in (1, 2, 1, 3, 1, 2):  # 3 takes the place of 2, for 1 was asked for since
        assert recent.look_up([key], double) == {key: 2 * key}
    assert double.asked == [1, 2, 3, 2]


def test_a_repeated_key_is_computed_once() -> None:
    recent, double = Recent[int, int](10), Doubling()
    assert recent.look_up([5, 4, 5], double) == {5: 10, 4: 8}
    assert recent.look_up([4], double) == {4: 8}
    assert recent.look_up([], double) == {}
    assert double.asked == [5, 4]
    assert recent.looked_up == LookedUp(hits=2, misses=2)


@pytest.mark.parametrize("size", [0, 1, 3])
def test_more_than_fits_is_answered_in_full_all_the_same(size: int) -> None:
    recent, double = Recent[int, int](size), Doubling()
    assert recent.look_up(range(9), double) == {key: 2 * key for key in range(9)}
    assert recent.look_up([8], double) == {8: 16}
    assert double.asked == list(range(9))


def test_a_failure_leaves_what_was_known_and_nothing_of_what_was_not() -> None:
    def fail(keys: list[int]) -> list[int]:
        raise OSError(keys)

    recent, double = Recent[int, int](2), Doubling()
    recent.look_up([1], double)
    with pytest.raises(OSError, match=r"\[2\]"):
        recent.look_up([1, 2], fail)
    assert recent.look_up([1, 2], double) == {1: 2, 2: 4}
    assert double.asked == [1, 2]
