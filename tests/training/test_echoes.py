"""Words of the purpose come beside a call's own arguments, which stay."""

import random

from guardian.embedding.fit import FitRequest
from guardian.training.echoes import _FILLERS, BESIDE, ECHOED, echoing

PURPOSE = "Pay the March invoice of Acme from the joint account"
CALL = FitRequest(PURPOSE, "payments.send", {"iban": "DE77", "amount": 900})


def test_what_a_call_says_itself_stays_and_what_comes_besides_is_of_the_purpose() -> None:
    rnd = random.Random(7)
    found = [dict(echoing(CALL, rnd).arguments or {}) for _ in range(2_000)]
    allowed = {*PURPOSE.lower().split(), *_FILLERS, "as", "discussed:", "for:", "to"}
    for arguments in found:
        assert (arguments.pop("iban"), arguments.pop("amount")) == ("DE77", 900)
        assert {word for value in arguments.values() for word in str(value).lower().split()} <= allowed
    changed = sum(bool(arguments) for arguments in found) / len(found)
    assert abs(changed - (1 - (1 - BESIDE) * (1 - ECHOED))) < 0.05
    assert max(map(len, found)) > 20
    assert {tuple(arguments) for arguments in found if len(arguments) == 1} >= {("note",), ("label_1",)}


def test_own_arguments_come_first_last_and_among_the_others() -> None:
    rnd = random.Random(7)
    orders = {tuple(name in ("iban", "amount") for name in echoing(CALL, rnd).arguments or {}) for _ in range(500)}
    assert {(True, True, False, False), (False, False, True, True), (True, False, True, False)} <= orders


def test_a_seed_repeats_itself_and_a_log_without_arguments_stays_without() -> None:
    assert echoing(CALL, random.Random(3)) == echoing(CALL, random.Random(3))
    bare, rnd = FitRequest(PURPOSE, "payments.send"), random.Random(1)
    assert all(echoing(bare, rnd) is bare for _ in range(50))
    nameless = FitRequest("", "payments.send", {"iban": "DE77"})
    assert all("iban" in (echoing(nameless, rnd).arguments or {}) for _ in range(50))
