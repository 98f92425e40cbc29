"""What the feed says beside a person's word: the finding they judged and the rules they knew of."""

import pytest

from guardian.domain.session import judged


@pytest.mark.parametrize(
    ("detail", "finding", "rules"),
    [
        ("", "", frozenset()),
        ("fnd_1", "fnd_1", frozenset()),
        ("-", "", frozenset({"-"})),
        ("fnd_1 envelope_expired parent_revoked", "fnd_1", frozenset({"envelope_expired", "parent_revoked"})),
        ("envelope_expired", "", frozenset({"envelope_expired"})),
    ],
)
def test_a_finding_is_told_apart_from_the_rules(detail: str, finding: str, rules: frozenset[str]) -> None:
    assert judged(detail) == (finding, rules)
