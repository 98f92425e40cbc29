"""The circuit breaker before the adviser."""

from guardian.control.advice.circuit import Circuit


def opened(at=10.0):
    circuit = Circuit(most=2, pause_s=1.0)
    circuit.late(at)
    assert circuit.lets_through(at), "once is nothing"
    circuit.late(at)
    return circuit


def test_while_it_is_open_one_question_a_pause_goes_through():
    circuit = opened()
    told = [circuit.lets_through(now) for now in (10.9, 11.0, 11.9, 12.0, 12.1)]
    assert told == [False, True, False, True, False]


def test_a_question_that_is_late_again_begins_another_pause():
    circuit = opened()
    assert circuit.lets_through(11.0)
    circuit.late(11.5)
    assert [circuit.lets_through(now) for now in (12.4, 12.5)] == [False, True]


def test_an_answer_closes_it_and_what_was_late_before_is_forgotten():
    circuit = opened()
    circuit.answered()
    assert circuit.lets_through(10.1)
    circuit.late(10.1)
    assert not circuit.open
