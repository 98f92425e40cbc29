"""From labelled sessions to the artefact that is shipped: the whole recipe, resumable, one stage at a time.

1. An encoder learns what tools are for (tasks.py); all others go on from there.
2. Two fold encoders learn from sessions, each without the data sets it will be judged on.
3. They go on, at a lower rate, with toolboxes about acts beside some of the same sessions. The mean of their
   weights before and after gives out-of-fold logits.
4. The fusion is fitted on those (fusing.py).
5. The pair encoder is the mean of their weights: between them, they have seen everything.
6. Graphs, tokenizer, fusion, parity samples, card and manifest are made in the working folder and moved to `out`
   when they are whole; the manifest comes last.
"""

import hashlib
import json
import random
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from guardian.disk import write_atomically
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
from guardian.embedding.fit import READING, as_pair, distances_of, static_features, wished
from guardian.embedding.fusion import save_fusion
from guardian.embedding.ports import TEXT_TOKENS
from guardian.embedding.sentence_transformers import (
    REFERENCE,
    SentenceTransformer,
    SentenceTransformersEncoder,
    load_model,
    pair_logits,
)
from guardian.errors import ConfigurationError, ModelError
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
from guardian.training.stages import MADE, Progress, Recipe, Run, Stages, average, clear, publish
from guardian.training.toolboxes import ABOUT_ACTS, UNSEEN, toolbox_grades, toolbox_sessions

_log = logger("training")

PARITY = "parity.json"
PARITY_PAIRS = 48
"""So many pairs are kept with their logits, to compare engines by."""
REST = 2
"""So many pairs of the second stage stand beside each graded call in the third."""


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

    Raises ConfigurationError without sessions, ModelError if the stages there are of another run than this one, or
    would be lost without `resume`.
    """
    recipe, base = recipe or Recipe(), base or packaged_base()
    sessions = read_sessions(files)
    if not sessions:
        raise ConfigurationError(f"{', '.join(map(str, files))}: no sessions to learn from")
    if not recipe.repeats:  # none of the written work, so none that is about acts
        recipe = replace(recipe, act_steps=0)
    scenarios = _written(seed, recipe)
    dealt = [fold for fold in folds(sessions, scenarios) if fold.train and fold.held]
    if not dealt:
        raise ModelError("nothing can be held out; give at least two data sets of sessions")
    if len(sets := families(sessions)) == 1:
        _log.warning("one_data_set", data_set=", ".join(sets[0]), held_out_against="guardian's written work")
    work = out / ".work"
    work.mkdir(parents=True, exist_ok=True)
    tools = versions() if recipe.tool_steps else {}
    run = Run(
        work,
        seed=seed,
        steps=steps,
        base=_contents(base),
        pair=None if pair is None else _contents(pair),
        recipe=recipe,
        files=files,
        written_work=_written_work(),
        reading=READING,
        tools=tools,
    )
    goes_on = run.goes_on(resume=resume)
    begins = base if pair is None else pair_base(pair, base, work / "base")
    if not goes_on:
        clear(work, [*files, begins / TOKENIZER])
    run.note(finished=False)
    grades = graded(sessions)
    stages = Stages(begins, work, recipe, seed, steps, resume, progress)
    if recipe.tool_steps:
        stages.learn_tools()
    rows: list[Row] = []
    held: list[tuple[SentenceTransformer, list[str]]] = []
    text = _text_model(base)
    for number, fold in enumerate(dealt):
        broad, acts = _examples(fold.train, grades, seed=seed)
        model = stages.run(f"fold-{number}", broad, acts, seed)
        rows += out_of_fold(model, text, fold.held, seed=seed, recipe=recipe)
        held.append((model, fold.unseen))
    if not {row.target > 0.5 for row in rows} == {True, False}:
        raise ModelError(
            "the held-out data sets hold no drift or no honest calls; give at least two data sets of sessions"
        )
    fusion = fit_fusion(rows)
    model = average([fold_model for fold_model, _ in held])
    sample = examples([*sessions, *scenarios], seed=seed + 1_000)[: recipe.measured]
    pairs = [as_pair(example.request) for example in sample]
    made = work / MADE
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    export_pair(model.cpu(), pairs, made / PAIR_MODEL)
    export_text(text.cpu(), [half for pair in pairs for half in pair], made / TEXT_MODEL)
    shutil.copyfile(base / TOKENIZER, made / TOKENIZER)
    save_fusion(fusion, made / FUSION)
    for number, (fold_model, purposes) in enumerate(held):
        write_fold(made / FOLDS / str(number), fold_model, pairs, purposes, made, seed=seed)
    model.save(str(made / work.name / REFERENCE / "pair"))
    text.save(str(made / work.name / REFERENCE / "text"))
    write_parity(model, pairs[:PARITY_PAIRS], made / PARITY)
    data = {path.name: {"sha256": digest(path), "sessions": len(read_sessions([path]))} for path in files}
    about = {
        "seed": seed, "steps": steps, "act_steps": recipe.act_steps, "data": data,
        "scenarios": len(scenarios), "graded": len(grades),
        "base": base.parent.name, "pair_base": base.parent.name if pair is None else pair.name,
        "tools": tools, "metrics": {"held_out": held_out(rows)},
    }  # fmt: skip
    (made / CARD).write_text(card(about), "utf-8")
    write_manifest(made, **about)
    publish(made, out)
    run.note(finished=True)


def _written_work() -> str:
    """A digest of the written work and the grades that the recipe brings along and that are learned."""
    here = Path(__file__).parent
    work = (path for path in here.glob("work/**/*.txt") if path.parent.name not in UNSEEN)
    return _digest([*work, here / "graded.jsonl"], here)


def _contents(base: Path) -> str:
    """A digest of a model's folder, or of a wheel, wherever it lies: it may be moved while a training rests."""
    return _digest([path for path in (base, *base.rglob("*")) if path.is_file()], base)


def _digest(files: Iterable[Path], root: Path) -> str:
    told = "".join(f"{path.relative_to(root)} {digest(path)}\n" for path in sorted(files))
    return hashlib.sha256(told.encode()).hexdigest()


def _written(seed: int, recipe: Recipe) -> list[LabelledSession]:
    if not recipe.repeats:
        return []
    beside = on_the_way_sessions(seed=seed, repeats=min(REPEATS, recipe.repeats))
    return [*scenario_sessions(seed=seed, repeats=recipe.repeats), *beside, *toolbox_sessions(seed=seed)]


def _examples(
    sessions: Sequence[LabelledSession], grades: Sequence[Graded], *, seed: int
) -> tuple[list[Example], list[Example]]:
    """What the second stage learns from, and what the third does: graded calls of the toolboxes about acts beside
    up to twice as many pairs of the second stage's, so that nothing of that is forgotten."""
    told = [*grades, *toolbox_grades(seed=seed)]
    rest = [session for session in sessions if session.dataset not in ABOUT_ACTS]
    broad = mixed(examples(rest, seed=seed), told, rest, seed=seed)
    about = [session for session in sessions if session.dataset in ABOUT_ACTS]
    acts = mixed([], told, about, seed=seed)
    rnd = random.Random(seed)
    return broad, [*acts, *rnd.sample(broad, min(len(broad), REST * len(acts)))]


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
    values from the answers of tools. Toolboxes about acts are left out as well: they hold no labelled drift, and
    nothing is easier than injected calls there.
    """
    rest = [session for session in held if session.dataset not in ABOUT_ACTS]
    made = examples(rest, seed=seed + 99, per_session=4, cap=8)
    chosen = [example for example in made if example.kind in recipe.fusion_kinds][: recipe.judged]
    requests = [example.request for example in chosen]
    encoder = SentenceTransformersEncoder(None, text)
    logits = pair_logits(model, [as_pair(r) for r in wished(requests, encoder.embed)])
    distance = distances_of(requests, encoder.embed)
    return [
        Row((float(logit), float(far), *static_features(example.request)), example.target, example.dataset)
        for logit, far, example in zip(logits, distance, chosen, strict=True)
    ]


def write_parity(model: SentenceTransformer, pairs: Sequence[tuple[str, str]], path: Path) -> None:
    """Pairs with the logits of the torch model in fp32, so that every engine can be held against the reference."""
    rows = [{"pair": pair, "logit": float(z)} for pair, z in zip(pairs, pair_logits(model, pairs), strict=True)]
    with write_atomically(path, mode=0o600) as file:  # purposes and calls, in clear
        file.write(f"{json.dumps(rows, indent=1)}\n".encode())
