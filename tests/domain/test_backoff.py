"""How long a loop waits before it tries again."""

from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.backoff import Backoff

BACKOFF = Backoff(base_s=0.5, cap_s=30)


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_pause_grows_to_its_cap_and_is_never_nothing(failures, jitter):
    pause = BACKOFF.after(failures, jitter=jitter)
    assert 0.25 <= pause <= 30
    assert pause <= BACKOFF.after(failures + 1, jitter=jitter)


def test_without_jitter_it_doubles_from_its_base_with_every_failure():
    assert [BACKOFF.after(failures) for failures in (0, 1, 2, 3, 99)] == [0.5, 1, 2, 4, 30]


@given(st.floats(0.001, 200), st.floats(0.001, 200), st.integers(0, 99))
def test_no_pause_is_longer_than_the_longest(base_s, cap_s, failures):
    backoff = Backoff(base_s, cap_s)
    assert backoff.after(failures) <= backoff.longest_s == backoff.after(99)


def test_what_waits_longer_than_the_cap_when_all_is_well_goes_on_so() -> None:
    assert [Backoff(120, 30).after(failures) for failures in (0, 1, 9)] == [120, 120, 120]
