"""One deadline for everything that asking a decision point takes."""

import httpcore
import pytest

from guardian.policy.deadline import Deadline


def test_what_is_left_shrinks_with_the_clock_and_then_it_is_too_late() -> None:
    now = [100.0]
    network = Deadline(lambda: now[0])
    network.begin(2.0)
    now[0] = 101.5
    assert network.left(httpcore.ReadTimeout) == pytest.approx(0.5)
    now[0] = 102.0
    with pytest.raises(httpcore.ConnectTimeout, match="deadline has passed"):
        network.connect_tcp("127.0.0.1", 9)
