"""The working folder of a training: the settings that it was begun with, and its encoders, one after another."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from guardian.disk import write_atomically
from guardian.embedding.artefact import FOLDS as HELD_OUT
from guardian.embedding.artefact import MANIFEST, digest
from guardian.embedding.sentence_transformers import REFERENCE, SentenceTransformer, new_pair_model
from guardian.errors import ModelError
from guardian.training.apis import operations
from guardian.training.folds import FOLDS
from guardian.training.loop import Plan, fit, whole
from guardian.training.pairs import Example
from guardian.training.tasks import tool_examples
from guardian.training.tools import services

Progress = Callable[[int, int, str], None]
MADE = "made"
"""In the working folder, what is made of the encoders until all of it is there."""
_NOTE = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What may be varied without editing code; the defaults reproduce the shipped artefact."""

    rate: float = 5e-5
    batch: int = 32
    repeats: int = 6
    tool_steps: int = 1_600
    """Steps that teach what tools are for, at `tool_rate`; 0 leaves that stage out."""
    tool_rate: float = 1e-4
    act_steps: int = 1_800
    """Steps that go on with toolboxes about acts, at `act_rate`; 0 leaves that stage out."""
    act_rate: float = 4e-5
    judged: int = 4_000
    """The most held-out calls of a fold that the fusion is fitted on."""
    measured: int = 256
    """Pairs that the sizes of activations are measured on when a graph is written."""
    fusion_kinds: frozenset[str] = frozenset({"honest", "attack", "injected"})


def begun(work: Path, *, resume: bool) -> bool:
    """Whether a training in the folder is to go on, or would without `resume` be lost: what it reads must stay."""
    note = _noted(work)
    return note is not None and (resume or not note[0])


def goes_on_with(work: Path, files: Sequence[Path], *, stopped: bool) -> bool:
    """Whether the training in the folder reads these files and is not finished, or was `stopped` after that. So it
    may while one of them cannot be read."""
    note = _noted(work)
    if note is None or (note[0] and not stopped):
        return False
    try:
        return note[1].get("files") == _told(files)
    except OSError:
        return True


def _noted(work: Path) -> tuple[bool, Mapping[str, object]] | None:
    """Whether the run that the folder's note speaks of was finished, and its settings; None without a note. Raises
    ModelError for one that is damaged."""
    path = work / _NOTE
    if not path.is_file():
        return None
    with whole(path, f"remove {work} to begin anew"):
        told = json.loads(path.read_text("utf-8"))
        return bool(told["finished"]), dict(told["about"])


class Run:
    """The settings of a run, noted in its working folder, so that it never takes another run's stages for its
    own."""

    def __init__(self, work: Path, *, recipe: Recipe, files: Sequence[Path], **given: object) -> None:
        told = {name: str(value) for name, value in given.items()}
        kinds = {"fusion_kinds": sorted(recipe.fusion_kinds)}
        told |= {"recipe": json.dumps({**asdict(recipe), **kinds}, sort_keys=True)}
        self._about = {**told, "files": _told(files)}
        self._work = work

    def goes_on(self, *, resume: bool) -> bool:
        """Whether the stages in the folder are this run's and are to be kept. Raises ModelError as `train`
        does."""
        if (begun := _noted(self._work)) is None:
            if resume and (kept := next(self._work.glob("*.safetensors"), None)) is not None:
                raise ModelError(f"{kept}: no note says which training left it; remove {self._work} to begin anew")
            return False
        finished, about = begun
        if not resume:
            if not finished:
                raise ModelError(
                    f"{self._work}: a training here was not finished; --resume continues it, and to begin anew"
                    " remove the folder"
                )
            return False
        other = [name for name, value in self._about.items() if about.get(name) != value]
        if other:
            raise ModelError(
                f"{self._work}: the training that was begun here had other {', '.join(other)}; repeat its command"
                " with --resume, or begin a new training in another folder"
            )
        return True

    def note(self, *, finished: bool) -> None:
        with write_atomically(self._work / _NOTE) as file:
            file.write(json.dumps({"finished": finished, "about": self._about}).encode() + b"\n")


def _told(files: Sequence[Path]) -> list[list[str]]:
    return [[path.name, digest(path)] for path in files]


def clear(work: Path, files: Sequence[Path]) -> None:
    """Remove what an earlier run left, except `files`: sessions of logs are written here before a run begins. And
    except what its model needs, which may be in use until another one is there."""
    folders = {folder for file in files for folder in file.resolve().parents}
    folders |= {work.resolve() / name for name in (REFERENCE, HELD_OUT.name)}
    for left in work.resolve().iterdir():
        if left.is_dir() and left not in folders:
            shutil.rmtree(left, ignore_errors=True)
        elif left.is_file():
            left.unlink()


def publish(made: Path, out: Path) -> None:
    """Move what lies in `made` to its place in `out`, instead of what an earlier training left there; the manifest
    last."""
    for folder in (HELD_OUT, HELD_OUT.with_name(REFERENCE)):
        shutil.rmtree(out / folder, ignore_errors=True)
        (made / folder).rename(out / folder)
    files = [path for path in made.iterdir() if path.is_file()]
    for file in sorted(files, key=lambda file: file.name == MANIFEST):
        file.replace(out / file.name)
    shutil.rmtree(made)


@dataclass
class Stages:
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
        """The first stage; all later ones begin with its weights."""
        recipe = self.recipe
        plan = Plan(steps=recipe.tool_steps, seed=self.seed, rate=recipe.tool_rate, batch=recipe.batch)
        number = recipe.tool_steps * recipe.batch
        model = self._stage(
            "tools",
            plan,
            lambda: tool_examples(services(operations(), seed=self.seed), number, seed=self.seed),
            {},
        )
        self.begins = {name: value.cpu() for name, value in model.state_dict().items()}

    def run(self, name: str, data: Sequence[Example], acts: Sequence[Example], seed: int) -> SentenceTransformer:
        """The second stage on `data`, and from there the third on `acts`. The mean of the weights before and after
        keeps what was known of other work (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models")."""
        recipe = self.recipe
        plan = Plan(steps=self.steps, seed=seed, rate=recipe.rate, batch=recipe.batch)
        model = self._stage(name, plan, lambda: data, self.begins)
        if not recipe.act_steps:
            return model
        plan = replace(plan, steps=recipe.act_steps, rate=recipe.act_rate)
        return average([model, self._stage(f"{name}-acts", plan, lambda: acts, model.state_dict())])

    def _stage(
        self,
        name: str,
        plan: Plan,
        data: Callable[[], Sequence[Example]],
        begins: Mapping[str, torch.Tensor],
    ) -> SentenceTransformer:
        model = new_pair_model(str(self.base), device="cuda" if torch.cuda.is_available() else "cpu")
        kept, start = self.work / f"{name}.safetensors", self.done
        total = self.recipe.tool_steps + (self.steps + self.recipe.act_steps) * FOLDS
        self.done += plan.steps
        if kept.is_file():
            with whole(kept, "remove it, and --resume makes it again"):
                model.load_state_dict(load_file(kept))
            model.eval()
            return model
        if begins:
            model.load_state_dict(begins)

        def told(done: int, of: int, note: str) -> None:
            self.progress(start + done, total, f"{name} {done}/{of} {note}")

        fit(model, data(), plan, checkpoint=self.work / name, resume=self.resume, progress=told)
        partial = kept.with_suffix(".partial")
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, partial)
        partial.replace(kept)
        shutil.rmtree(self.work / name, ignore_errors=True)
        return model


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
