"""From labelled sessions to the artefact that is shipped: the whole recipe, resumable, one stage at a time.

1. An encoder learns what tools are for (tasks.py); all others go on from there.
2. Two fold encoders, each trained without the data sets it will be judged on, give out-of-fold logits.
3. The fusion is fitted on those (fusing.py).
4. The pair encoder is the mean of their weights: between them, they have seen everything.
5. Graphs, tokenizer, fusion, parity samples, card and manifest are written to `out`.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from guardian.embedding.artefact import (
    FOLDS,
    FUSION,
    HELD,
    PAIR_MODEL,
    TEXT_MODEL,
    TOKENIZER,
    digest,
    write_manifest,
)
from guardian.embedding.fit import as_pair, static_features, wished
from guardian.embedding.fusion import save_fusion
from guardian.embedding.ports import TEXT_TOKENS
from guardian.embedding.sentence_transformers import (
    REFERENCE,
    SentenceTransformer,
    SentenceTransformersEncoder,
    load_model,
    pair_logits,
)
from guardian.embedding.text import render_action, render_purpose
from guardian.errors import ModelError
from guardian.evaluation.sessions import LabelledSession, read_sessions
from guardian.telemetry import logger
from guardian.training.apis import versions
from guardian.training.bases import packaged_base, pair_base
from guardian.training.card import CARD, card, held_out
from guardian.training.export import export_pair, export_text
from guardian.training.folds import families, folds
from guardian.training.fusing import Row, fit_fusion
from guardian.training.graded import Graded, graded, mixed
from guardian.training.on_the_way import REPEATS, on_the_way_sessions
from guardian.training.pairs import Example, examples
from guardian.training.scenarios import scenario_sessions
from guardian.training.stages import Progress, Recipe, Run, Stages, clear
from guardian.training.toolboxes import toolbox_grades, toolbox_sessions

_log = logger("training")

PARITY_PAIRS = 48
"""So many pairs are kept with their logits, to compare engines by."""


def train(
    files: Sequence[Path],
    out: Path,
    *,
    seed: int,
    steps: int,
    resume: bool,
    progress: Progress,
    base: Path | None = None,
    pair: Path | None = None,
    recipe: Recipe | None = None,
) -> None:
    """Write a drift model to `out`, all but its calibration. With `resume`, finished stages in `out/.work` are
    kept.

    Both encoders start from `base`; with `pair` (see bases.py) the pair encoder starts from that instead. If there
    is only one data set, or all of them share their tools, they are held out against the written work, and a
    warning says so. `progress(done, total, note)` counts gradient steps over all stages. Runs on a GPU if torch
    sees one.

    Raises ModelError if the stages there are of another run than this one, or would be lost without `resume`.
    """
    recipe, base = recipe or Recipe(), base or packaged_base()
    sessions = read_sessions(files)
    if not sessions:
        raise ModelError(f"{', '.join(map(str, files))}: no sessions to learn from")
    scenarios = _written(seed, recipe)
    dealt = [fold for fold in folds(sessions, scenarios) if fold.train and fold.held]
    if not dealt:
        raise ModelError("nothing can be held out; give at least two data sets of sessions")
    if len(sets := families(sessions)) == 1:
        _log.warning("one_data_set", data_set=", ".join(sets[0]), held_out_against="guardian's written work")
    work = out / ".work"
    work.mkdir(parents=True, exist_ok=True)
    run = Run(
        work,
        seed=seed,
        steps=steps,
        base=base,
        pair=pair,
        recipe=recipe,
        files=files,
        written_work=_written_work(),
    )
    if not run.goes_on(resume=resume):
        clear(work, files)
    run.note(finished=False)
    grades = graded(sessions)
    begins = base if pair is None else pair_base(pair, base, work / "base")
    stages = Stages(begins, work, recipe, seed, steps, resume, progress)
    if recipe.tool_steps:
        stages.learn_tools()
    rows: list[Row] = []
    held: list[tuple[SentenceTransformer, list[str]]] = []
    text = _text_model(base)
    for number, fold in enumerate(dealt):
        model = stages.run(f"fold-{number}", _examples(fold.train, grades, seed=seed), seed)
        rows += out_of_fold(model, text, fold.held, seed=seed, recipe=recipe)
        held.append((model, sorted({session.purpose for session in fold.held})))
    if not {row.target > 0.5 for row in rows} == {True, False}:
        raise ModelError(
            "the held-out data sets hold no drift or no honest calls; give at least two data sets of sessions"
        )
    fusion = fit_fusion(rows)
    model = average([fold_model for fold_model, _ in held])
    sample = examples([*sessions, *scenarios], seed=seed + 1_000)[: recipe.measured]
    pairs = [as_pair(example.request) for example in sample]
    export_pair(model.cpu(), pairs, out / PAIR_MODEL)
    export_text(text.cpu(), [half for pair in pairs for half in pair], out / TEXT_MODEL)
    shutil.copyfile(base / TOKENIZER, out / TOKENIZER)
    save_fusion(fusion, out / FUSION)
    for number, (fold_model, purposes) in enumerate(held):
        write_fold(out / FOLDS / str(number), fold_model, pairs, purposes, out, seed=seed)
    model.save(str(work / REFERENCE / "pair"))
    text.save(str(work / REFERENCE / "text"))
    write_parity(model, pairs[:PARITY_PAIRS], out / "parity.json")
    data = {path.name: {"sha256": digest(path), "sessions": len(read_sessions([path]))} for path in files}
    about = {
        "seed": seed, "steps": steps, "data": data, "scenarios": len(scenarios), "graded": len(grades),
        "base": base.parent.name, "pair_base": base.parent.name if pair is None else pair.name,
        "tools": versions() if recipe.tool_steps else {}, "metrics": {"held_out": held_out(rows)},
    }  # fmt: skip
    (out / CARD).write_text(card(about), "utf-8")
    write_manifest(out, **about)
    run.note(finished=True)


def _written_work() -> str:
    """A digest of the written work and the grades that the recipe brings along."""
    here = Path(__file__).parent
    told = "".join(digest(path) for path in sorted([*here.glob("work/**/*.txt"), here / "graded.jsonl"]))
    return hashlib.sha256(told.encode()).hexdigest()


def _written(seed: int, recipe: Recipe) -> list[LabelledSession]:
    if not recipe.repeats:
        return []
    beside = on_the_way_sessions(seed=seed, repeats=min(REPEATS, recipe.repeats))
    return [*scenario_sessions(seed=seed, repeats=recipe.repeats), *beside, *toolbox_sessions(seed=seed)]


def _examples(sessions: Sequence[LabelledSession], grades: Sequence[Graded], *, seed: int) -> list[Example]:
    return mixed(examples(sessions, seed=seed), [*grades, *toolbox_grades(seed=seed)], sessions, seed=seed)


def write_fold(
    folder: Path,
    model: SentenceTransformer,
    sample: Sequence[tuple[str, str]],
    purposes: Sequence[str],
    out: Path,
    *,
    seed: int,
) -> None:
    """A fold's encoder as an artefact of its own, with the purposes it has not seen, for calibrating."""
    folder.mkdir(parents=True, exist_ok=True)
    export_pair(model.cpu(), sample, folder / PAIR_MODEL)
    for name in (TEXT_MODEL, TOKENIZER, FUSION):
        shutil.copyfile(out / name, folder / name)
    (folder / HELD).write_text(json.dumps(purposes, indent=0) + "\n", "utf-8")
    write_manifest(folder, seed=seed)


def _text_model(base: Path) -> SentenceTransformer:
    return load_model(base, tokens=TEXT_TOKENS)


def out_of_fold(
    model: SentenceTransformer,
    text: SentenceTransformer,
    held: Sequence[LabelledSession],
    *,
    seed: int,
    recipe: Recipe,
) -> list[Row]:
    """Fusion rows of held-out sessions: honest calls against labelled and injected drift.

    Other swapped-in calls, graded or not, are left out: all of their values are foreign by construction. They
    would teach the fusion that a value which the purpose does not name is drift, but honest work takes most of its
    values from the answers of tools.
    """
    chosen = [e for e in examples(held, seed=seed + 99, per_session=4, cap=8) if e.kind in recipe.fusion_kinds]
    chosen = chosen[: recipe.judged]
    requests = [example.request for example in chosen]
    encoder = SentenceTransformersEncoder(None, text)
    purposes = encoder.embed([render_purpose(r.purpose) for r in requests])
    actions = encoder.embed([render_action(r.tool, r.arguments) for r in requests])
    logits = pair_logits(model, [as_pair(r) for r in wished(requests, actions, encoder.embed)])
    distance: NDArray[np.float32] = 1.0 - np.einsum("ij,ij->i", purposes, actions)
    return [
        Row((float(logit), float(far), *static_features(example.request)), example.target, example.dataset)
        for logit, far, example in zip(logits, distance, chosen, strict=True)
    ]


def average(models: Sequence[SentenceTransformer]) -> SentenceTransformer:
    """A model with the mean of the weights of models that began alike (Wortsman et al. 2022, "Model soups")."""
    states = [model.state_dict() for model in models]
    mean = deepcopy(models[0])
    mean.load_state_dict(
        {
            name: torch.stack([state[name].float() for state in states]).mean(0).to(value.dtype)
            for name, value in states[0].items()
        }
    )
    mean.eval()
    return mean


def write_parity(model: SentenceTransformer, pairs: Sequence[tuple[str, str]], path: Path) -> None:
    """Pairs with the logits of the torch model in fp32, so that every engine can be held against the reference."""
    rows = [{"pair": pair, "logit": float(z)} for pair, z in zip(pairs, pair_logits(model, pairs), strict=True)]
    path.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
