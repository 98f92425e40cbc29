"""What a training can say about its own model: figures on data sets that its encoders had not seen, and a card."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from guardian.domain.text import plain
from guardian.evaluation.metrics import RATES, Separation, separation
from guardian.training.fusing import Row, fit_fusion

CARD = "MODEL_CARD.md"
_SHOWN = ("0.01", "0.04")
_MARKUP = re.compile(r"[\\|<\[`]")

_CARD = """# A drift model of your own

Reads a declared purpose and one tool call of an agent, and gives a number in [0, 1]: how far the call is from the
purpose. Higher is further. It is evidence for a policy, not a decision, and no detector of harm: a harmful act
that fits a harmful purpose scores low. `guardian train` wrote this card; what it cannot know is *to fill in*.

## Training
{base}; {steps:,} steps for each encoder{acts}, seed {seed}{scenarios}{graded}{tools}.

| data set file | sessions | sha256 | licence |
|---|---|---|---|
{data}

## Measured
Each data set by an encoder and a fusion that had not seen it: honest calls against labelled drift, one reading of
each call, in fp32. A data set without either is not in the table.

| left out | honest / drift | pair encoder, AUC | fused, AUC | recall @ 1 % | @ 4 % |
|---|---|---|---|---|---|
{held_out}

`guardian evaluate FILES -c guardian.yaml` measures the finished model; too kindly on what it was trained on.

## Limits and use
Purpose and tool are needed; arguments and history help. Scores are no probabilities: thresholds come from
`calibration.json`. The one that a training leaves is fitted out of fold, where honest sessions sufficed; fit it
again on your own traffic before policy may revoke by it. Not for judging people, and not as the only control on an
act that cannot be undone.

*To fill in:* what the data are, who may use them, which languages they are in, where the model fails.
"""


def held_out(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """By data set: AUC of the pair encoder, and AUC and recall after a fusion that was fitted on the other data
    sets.

    Empty where fewer than two data sets have honest calls and drift.
    """
    found = {}
    for name in sorted({row.dataset for row in rows}):
        mine, others = ([row for row in rows if (row.dataset == name) is told] for told in (True, False))
        if not (_both(mine) and _both(others)):
            continue
        fusion = fit_fusion(others)
        fused = _separation(mine, [fusion.margin(row.features) for row in mine])
        found[name] = {
            "benign": fused.benign,
            "drift": fused.drift,
            "pair_auc": round(_separation(mine, [row.features[0] for row in mine]).auc.value, 3),
            "auc": round(fused.auc.value, 3),
            "recall": {str(rate): round(r.value, 3) for rate, r in zip(RATES, fused.recall, strict=True)},
        }
    return found


def card(about: Mapping[str, Any]) -> str:
    """The card, from what the manifest will say."""
    return _CARD.format(
        base=_cell(about["pair_base"]),
        steps=about["steps"],
        acts=f" and {about['act_steps']:,} on toolboxes about acts" if about["act_steps"] else "",
        seed=about["seed"],
        scenarios=f", with {about['scenarios']:,} written sessions" if about["scenarios"] else "",
        graded=f" and {about['graded']:,} graded calls" if about["graded"] else "",
        tools=f", after a first stage on what tools are for ({_named(about['tools'])})" if about["tools"] else "",
        data="\n".join(
            f"| {_cell(name)} | {told['sessions']:,} | {told['sha256'][:12]} | *to fill in* |"
            for name, told in about["data"].items()
        ),
        held_out="\n".join(
            f"| {_cell(name)} | {told['benign']:,} / {told['drift']:,} | {told['pair_auc']} | {told['auc']} | "
            + " | ".join(str(told["recall"][rate]) for rate in _SHOWN)
            + " |"
            for name, told in about["metrics"]["held_out"].items()
        ),
    )


def _both(rows: Sequence[Row]) -> bool:
    return {row.target > 0.5 for row in rows} == {True, False}


def _separation(rows: Sequence[Row], scores: Sequence[float]) -> Separation:
    return separation(scores, [row.target > 0.5 for row in rows], [""] * len(rows), seed=0, resamples=0)


def _named(versions: Mapping[str, str]) -> str:
    return " and ".join(f"{name} {version}" for name, version in versions.items())


def _cell(text: str) -> str:
    """A name that others chose (a tenant's, a file's) as it may stand in Markdown."""
    return _MARKUP.sub(r"\\\g<0>", plain(text))
