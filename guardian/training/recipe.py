"""From labelled sessions to the artefact that is shipped: the whole recipe, resumable, one stage at a time.

1. An encoder learns what tools are for (tasks.py); all others go on from there.
2. Two fold encoders, each trained without the data sets it will be judged on, give out-of-fold logits.
3. The fusion is fitted on those (fusing.py).
4. Encoders with different seeds are trained on everything and their weights averaged.
5. Graphs, tokenizer, fusion, parity samples and manifest are written to `out`.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from guardian.embedding.artefact import FUSION, HELD, PAIR_MODEL, TEXT_MODEL, TOKENIZER, digest, write_manifest
from guardian.embedding.fit import as_pair, wished
from guardian.embedding.fusion import save_fusion, static_features
from guardian.embedding.ports import TEXT_TOKENS
from guardian.embedding.sentence_transformers import (
    REFERENCE,
    SentenceTransformer,
    SentenceTransformersEncoder,
    load_model,
    new_pair_model,
    pair_logits,
)
from guardian.embedding.text import render_action, render_purpose
from guardian.errors import ModelError
from guardian.evaluation.sessions import LabelledSession, read_sessions
from guardian.training.apis import operations, versions
from guardian.training.bases import packaged_base, pair_base
from guardian.training.export import export_pair, export_text
from guardian.training.folds import folds
from guardian.training.fusing import Row, fit_fusion
from guardian.training.loop import Plan, fit
from guardian.training.pairs import Example, examples
from guardian.training.scenarios import scenario_sessions
from guardian.training.tasks import tool_examples
from guardian.training.tools import services

Progress = Callable[[int, int, str], None]
PARITY_PAIRS = 48
"""Pairs that are kept to compare engines by."""
FOLDS_FOLDER = "folds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What may be varied without editing code; the defaults reproduce the shipped artefact."""

    seeds: int = 2
    rate: float = 5e-5
    batch: int = 32
    repeats: int = 6
    tool_steps: int = 1_600
    """So many steps teach what tools are for, at `tool_rate`; 0 leaves them out."""
    tool_rate: float = 1e-4
    judged: int = 2_400
    """So many held-out calls of a fold, at most, fit the fusion."""
    measured: int = 256
    """So many pairs tell how large activations get when a graph is written."""
    fusion_kinds: frozenset[str] = frozenset({"honest", "attack", "injected"})


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
    """Write a complete artefact to `out`; stages that `out/.work` holds are kept when `resume` is set.

    Raises ModelError where they are of another run than this one, and where they would be lost without `resume`.
    Both encoders start from `base`; with `pair` (see bases.py) the pair encoder starts from that instead.
    `progress(done, total, note)` counts gradient steps over all stages. Runs on a GPU when torch sees one.
    """
    recipe, base = recipe or Recipe(), base or packaged_base()
    sessions = read_sessions(files)
    if not sessions:
        raise ModelError(f"{', '.join(map(str, files))}: no sessions to learn from")
    scenarios = _scenarios(seed, recipe)
    dealt = [fold for fold in folds(sessions, scenarios) if fold.train and fold.held]
    if not dealt:
        raise ModelError("nothing can be held out; give at least two data sets of sessions")
    work = out / ".work"
    work.mkdir(parents=True, exist_ok=True)
    run = _Run(work, seed=seed, steps=steps, base=base, pair=pair, recipe=recipe, files=files)
    if not run.goes_on(resume=resume):
        _clear(work, files)
    run.note(finished=False)
    begins = base if pair is None else pair_base(pair, base, work / "base")
    stages = _Stages(begins, work, recipe, seed, steps, resume, progress)
    if recipe.tool_steps:
        stages.learn_tools()
    rows: list[Row] = []
    held: list[tuple[SentenceTransformer, list[str]]] = []
    text = _text_model(base)
    for number, fold in enumerate(dealt):
        model = stages.run(f"fold-{number}", examples(fold.train, seed=seed), seed)
        rows += out_of_fold(model, text, fold.held, seed=seed, recipe=recipe)
        held.append((model, sorted({session.purpose for session in fold.held})))
    if not {row.target > 0.5 for row in rows} == {True, False}:
        raise ModelError(
            "the held-out data sets hold no drift or no honest calls; give at least two data sets of sessions"
        )
    fusion = fit_fusion(rows)
    model = average(
        stages.run(
            f"seed-{number}",
            examples([*sessions, *_scenarios(seed + number, recipe)], seed=seed + number),
            seed + number,
        )
        for number in range(recipe.seeds)
    )
    sample = examples([*sessions, *scenarios], seed=seed + 1_000)[: recipe.measured]
    pairs = [as_pair(example.request) for example in sample]
    export_pair(model.cpu(), pairs, out / PAIR_MODEL)
    export_text(text.cpu(), [half for pair in pairs for half in pair], out / TEXT_MODEL)
    shutil.copyfile(base / TOKENIZER, out / TOKENIZER)
    save_fusion(fusion, out / FUSION)
    for number, (fold_model, purposes) in enumerate(held):
        write_fold(work / FOLDS_FOLDER / str(number), fold_model, pairs, purposes, out)
    model.save(str(work / REFERENCE / "pair"))
    text.save(str(work / REFERENCE / "text"))
    write_parity(model, pairs[:PARITY_PAIRS], out / "parity.json")
    data = {path.name: {"sha256": digest(path), "sessions": len(read_sessions([path]))} for path in files}
    write_manifest(
        out, seed=seed, steps=steps, data=data, scenarios=len(scenarios), base=base.parent.name,
        tools=versions() if recipe.tool_steps else {}, pair_base=base.parent.name if pair is None else pair.name,
    )  # fmt: skip
    run.note(finished=True)


class _Run:
    """What a run was begun with, noted in its working folder: stages of another are never taken for its own."""

    def __init__(self, work: Path, *, recipe: Recipe, files: Sequence[Path], **given: object) -> None:
        told = {name: str(value) for name, value in given.items()}
        kinds = {"fusion_kinds": sorted(recipe.fusion_kinds)}
        told |= {"recipe": json.dumps({**asdict(recipe), **kinds}, sort_keys=True)}
        self._about = {**told, "files": [[path.name, digest(path)] for path in files]}
        self._work, self._path = work, work / "run.json"

    def goes_on(self, *, resume: bool) -> bool:
        """Whether stages that lie there are this run's. Raises ModelError, see `train`."""
        if not self._path.is_file():
            if resume and (kept := next(self._work.glob("*.safetensors"), None)) is not None:
                raise ModelError(f"{kept}: nobody noted which training left it; remove {self._work} to begin anew")
            return False
        begun = json.loads(self._path.read_text("utf-8"))
        if not resume:
            if not begun["finished"]:
                raise ModelError(
                    f"{self._work}: a training was not finished here; --resume goes on with it, and to begin anew"
                    " remove the folder"
                )
            return False
        other = [name for name, value in self._about.items() if begun["about"].get(name) != value]
        if other:
            raise ModelError(
                f"{self._work}: the training that was begun here had other {', '.join(other)}; repeat its command"
                " with --resume, or begin anew without it in another folder"
            )
        return True

    def note(self, *, finished: bool) -> None:
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps({"finished": finished, "about": self._about}) + "\n", "utf-8")
        partial.replace(self._path)


def _clear(work: Path, files: Sequence[Path]) -> None:
    """Take away what an earlier run left, but for `files`: sessions of logs are written here before a run."""
    folders = {folder for file in files for folder in file.resolve().parents}
    for left in work.resolve().iterdir():
        if left.is_dir() and left not in folders:
            shutil.rmtree(left, ignore_errors=True)
        elif left.is_file():
            left.unlink()


def _scenarios(seed: int, recipe: Recipe) -> list[LabelledSession]:
    return scenario_sessions(seed=seed, repeats=recipe.repeats) if recipe.repeats else []


def write_fold(
    folder: Path, model: SentenceTransformer, sample: Sequence[tuple[str, str]], purposes: Sequence[str], out: Path
) -> None:
    """A fold's encoder as an artefact of its own, with the purposes it has not seen, for calibrating."""
    folder.mkdir(parents=True, exist_ok=True)
    export_pair(model.cpu(), sample, folder / PAIR_MODEL)
    for name in (TEXT_MODEL, TOKENIZER, FUSION):
        shutil.copyfile(out / name, folder / name)
    (folder / HELD).write_text(json.dumps(purposes, indent=0) + "\n", "utf-8")
    write_manifest(folder)


@dataclass
class _Stages:
    """Trains one encoder after another, keeping each finished one."""

    base: Path
    work: Path
    recipe: Recipe
    seed: int
    steps: int
    resume: bool
    progress: Progress
    done: int = 0
    begins: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def learn_tools(self) -> None:
        """The stage from whose weights all later ones begin."""
        recipe = self.recipe
        plan = Plan(steps=recipe.tool_steps, seed=self.seed, rate=recipe.tool_rate, batch=recipe.batch)
        number = recipe.tool_steps * recipe.batch
        model = self._stage(
            "tools", plan, lambda: tool_examples(services(operations(), seed=self.seed), number, seed=self.seed)
        )
        self.begins = {name: value.cpu() for name, value in model.state_dict().items()}

    def run(self, name: str, data: Sequence[Example], seed: int) -> SentenceTransformer:
        plan = Plan(steps=self.steps, seed=seed, rate=self.recipe.rate, batch=self.recipe.batch)
        return self._stage(name, plan, lambda: data)

    def _stage(self, name: str, plan: Plan, data: Callable[[], Sequence[Example]]) -> SentenceTransformer:
        model = new_pair_model(str(self.base), device="cuda" if torch.cuda.is_available() else "cpu")
        kept, start = self.work / f"{name}.safetensors", self.done
        total = self.recipe.tool_steps + self.steps * (2 + self.recipe.seeds)
        self.done += plan.steps
        if kept.is_file():
            model.load_state_dict(load_file(kept))
            model.eval()
            return model
        if self.begins:
            model.load_state_dict(self.begins)

        def told(done: int, of: int, note: str) -> None:
            self.progress(start + done, total, f"{name} {done}/{of} {note}")

        fit(model, data(), plan, checkpoint=self.work / name, resume=self.resume, progress=told)
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, kept)
        shutil.rmtree(self.work / name, ignore_errors=True)
        return model


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

    Swapped-in calls are left out: they are foreign in every value by construction, which would teach the fusion
    that an unnamed value is drift, and honest work takes most of its values from what tools answered.
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


def average(models: Iterable[SentenceTransformer]) -> SentenceTransformer:
    """The mean of the weights of models that began alike (Wortsman et al. 2022, "Model soups")."""
    first, *rest = models
    states = [model.state_dict() for model in (first, *rest)]
    mean = {
        name: torch.stack([state[name].float() for state in states]).mean(0).to(value.dtype)
        for name, value in states[0].items()
    }
    first.load_state_dict(mean)
    first.eval()
    return first


def write_parity(model: SentenceTransformer, pairs: Sequence[tuple[str, str]], path: Path) -> None:
    """Pairs with the logits of the torch model in fp32, so that every engine can be held against the reference."""
    rows = [{"pair": pair, "logit": float(z)} for pair, z in zip(pairs, pair_logits(model, pairs), strict=True)]
    path.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
