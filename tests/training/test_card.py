"""What a training says of itself: figures by data sets left out, and a card that a person can read."""

import json
import random

from guardian.embedding.fusion import FEATURES
from guardian.training.card import card, held_out
from guardian.training.fusing import Row


def rows(dataset: str, *, apart: float, drift: int = 30, honest: int = 30) -> list[Row]:
    """Calls whose logit tells drift by so much, among features that say nothing."""
    draw = random.Random(dataset)
    noise = [draw.random() for _ in range(len(FEATURES) - 1)]
    targets = [0.97] * drift + [0.02] * honest
    return [Row((draw.gauss(apart * (t > 0.5), 1.0), *noise), t, dataset) for t in targets]


def test_each_data_set_is_measured_by_a_fusion_of_the_others() -> None:
    told = held_out([*rows("clear", apart=9.0), *rows("as clear", apart=9.0), *rows("dim", apart=0.5)])
    assert told["clear"]["auc"] == told["clear"]["pair_auc"] == 1.0
    assert told["clear"]["recall"]["0.01"] == 1.0
    assert 0.4 < told["dim"]["auc"] < 0.9
    assert told["dim"]["benign"] == told["dim"]["drift"] == 30
    turned = [Row((-row.features[0], *row.features[1:]), row.target, "turned") for row in rows("clear", apart=9.0)]
    assert held_out([*rows("clear", apart=9.0), *turned])["turned"]["auc"] < 0.1


def test_a_data_set_that_holds_only_one_kind_is_left_out_of_the_table() -> None:
    told = held_out([*rows("a", apart=2.0), *rows("b", apart=2.0), *rows("honest only", apart=2.0, drift=0)])
    assert set(told) == {"a", "b"}
    assert held_out([*rows("alone", apart=2.0), *rows("honest only", apart=2.0, drift=0)]) == {}


def test_a_card_names_data_base_seed_and_figures_and_no_name_breaks_its_tables() -> None:
    about = {
        "pair_base": "mini", "steps": 600, "act_steps": 300, "seed": 7, "scenarios": 0, "graded": 0,
        "tools": {"botocore": "1.2"},
        "data": {"a|b\n# c.jsonl": {"sessions": 1_200, "sha256": "0123456789abcdef"}},
        "metrics": {"held_out": json.loads(json.dumps(held_out([*rows("a", apart=9.0), *rows("b", apart=9.0)])))},
    }  # fmt: skip
    lines = card(about).splitlines()
    assert (
        "mini; 600 steps for each encoder and 300 on toolboxes about acts, seed 7, after a first stage on what"
        " tools are for (botocore 1.2)." in lines
    )
    assert r"| a\|b # c.jsonl | 1,200 | 0123456789ab | *to fill in* |" in lines
    assert "| a | 30 / 30 | 1.0 | 1.0 | 1.0 | 1.0 |" in lines


def test_what_a_tenant_calls_itself_is_text_in_the_card() -> None:
    named = "log/<img src=x>[a](b)`c`\u202ex"
    made = {"benign": 1, "drift": 1, "pair_auc": 1.0, "auc": 1.0, "recall": {"0.01": 1.0, "0.04": 1.0}}
    about = {
        "pair_base": "<b>mini", "steps": 1, "act_steps": 0, "seed": 7, "scenarios": 0, "graded": 0, "tools": {},
        "data": {}, "metrics": {"held_out": {named: made}},
    }  # fmt: skip
    told = card(about)
    assert r"| log/\<img src=x>\[a](b)\`c\`‹U+202E›x | 1 / 1 |" in told
    assert r"\<b>mini; 1 steps" in told
