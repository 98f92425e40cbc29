"""The gradient steps: low rate, averaged weights, batches of like length, bf16 autocast, and resuming.

Training loss falls while transfer to other domains gets worse, so runs are short and the average of the weights
over the run is what is kept (Izmailov et al. 2018, "Averaging weights leads to wider optima"). Same seed, same
steps and same files give the same batches; floating-point sums may differ between machines.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.nn.functional import binary_cross_entropy_with_logits

from guardian.embedding.fit import as_pair
from guardian.embedding.sentence_transformers import SentenceTransformer, forward
from guardian.errors import ModelError
from guardian.training.pairs import Example

_COUNTED = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a run goes. Of a deeper base only the upper `layers` learn, because the lower ones would cost a CPU
    time; `dropout` 0 halves the time of a step on a CPU, and the averaged weights do not miss it."""

    steps: int
    seed: int
    rate: float = 5e-5
    batch: int = 32
    decay: float = 0.01
    average: float = 0.998
    warm: float = 0.06
    layers: int = 6
    dropout: float = 0.0
    tokens: int = 128
    save_every: int = 100


@contextmanager
def whole(path: Path, way_out: str) -> Iterator[None]:
    """What is read within is of `path`; raises ModelError where it is damaged."""
    try:
        yield
    except torch.OutOfMemoryError:  # a RuntimeError that says nothing of the file
        raise
    except (ValueError, TypeError, LookupError, RuntimeError, FileNotFoundError, SafetensorError) as error:
        raise ModelError(f"{path} is damaged; {way_out}") from error


def batches(lengths: Sequence[int], plan: Plan) -> list[list[int]]:
    """Exactly `plan.steps` batches, each of places in `lengths`; within a chunk of 16 batches, like lengths go
    together."""
    rnd = random.Random(plan.seed)
    out: list[list[int]] = []
    while len(out) < plan.steps:
        order = rnd.sample(range(len(lengths)), len(lengths))
        chunk = plan.batch * 16
        for start in range(0, len(order), chunk):
            part = sorted(order[start : start + chunk], key=lengths.__getitem__)
            groups = [part[i : i + plan.batch] for i in range(0, len(part), plan.batch)]
            rnd.shuffle(groups)
            out.extend(group for group in groups if len(group) > 1)
    return out[: plan.steps]


def tokens(model: SentenceTransformer, pairs: Sequence[tuple[str, str]], most: int) -> list[int]:
    """How many tokens of each pair are read. All of a batch costs what its longest does, and of how many tokens a
    text has its characters tell little: sorted by those, a quarter of all that was computed was filling."""
    out: list[int] = []
    for start in range(0, len(pairs), _COUNTED):
        left, right = zip(*pairs[start : start + _COUNTED], strict=True)
        told = model.tokenizer(list(left), list(right), truncation="longest_first", max_length=most)
        out += map(len, told["input_ids"])
    return out


def rate_at(step: int, plan: Plan) -> float:
    """Linear warm-up, then a straight line to a tenth."""
    warm = max(1, int(plan.warm * plan.steps))
    if step < warm:
        return plan.rate * (step + 1) / warm
    return plan.rate * (1.0 - 0.9 * (step - warm) / max(1, plan.steps - warm))


def fit(
    model: SentenceTransformer,
    examples: Sequence[Example],
    plan: Plan,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> None:
    """Train `model` in place; afterwards it holds the averaged weights."""
    torch.manual_seed(plan.seed)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = plan.dropout
    reads, model.max_seq_length = model.max_seq_length, plan.tokens
    device = str(model.device).split(":")[0]
    if device == "cpu":  # torch's own attention takes a third of a step there, most of it on the way back
        model[0].auto_model.set_attn_implementation("eager")
    _hold(model, plan)
    live = {name: p for name, p in model.named_parameters() if p.requires_grad}
    mean = {name: p.detach().clone() for name, p in live.items()}
    optimiser = torch.optim.AdamW(live.values(), lr=plan.rate, weight_decay=plan.decay)
    start = _restore(checkpoint, live, mean, optimiser) if resume and checkpoint is not None else 0
    halves = device != "cpu" or bf16_on_cpu()
    pairs = [as_pair(example.request) for example in examples]
    todo = batches(tokens(model, pairs, plan.tokens), plan)
    model.train()
    for step in range(start, plan.steps):
        torch.manual_seed(plan.seed * 1_000_003 + step)
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, plan)
        batch = todo[step]
        target = torch.tensor([examples[place].target for place in batch], device=model.device)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=halves):
            logits = forward(model, [pairs[place] for place in batch])
        loss = binary_cross_entropy_with_logits(logits.float(), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(live.values(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        keep = min(plan.average, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, parameter in live.items():
                mean[name].lerp_(parameter.detach(), 1.0 - keep)
        progress(step + 1, plan.steps, f"loss {loss.item():.3f}")
        if checkpoint is not None and (step + 1) % plan.save_every == 0:
            _save(checkpoint, step + 1, live, mean, optimiser)
    with torch.no_grad():
        for name, parameter in live.items():
            parameter.copy_(mean[name])
    model.max_seq_length = reads
    model.eval()


def bf16_on_cpu() -> bool:
    """Whether this processor multiplies bf16 itself; one that does not is far slower with it than in fp32."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _hold(model: SentenceTransformer, plan: Plan) -> None:
    """Freeze the pooler (unused), the word vectors (the sets do not show every word) and all but the upper
    layers."""
    depth = int(model[0].auto_model.config.num_hidden_layers)
    low = tuple(f".layer.{number}." for number in range(depth - plan.layers))
    held = ("pooler", "word_embeddings", *(("embeddings.",) if low else ()), *low)
    for name, parameter in model.named_parameters():
        if any(part in name for part in held):
            parameter.requires_grad_(False)


def _save(
    path: Path,
    step: int,
    live: dict[str, torch.nn.Parameter],
    mean: dict[str, torch.Tensor],
    optimiser: torch.optim.AdamW,
) -> None:
    path.mkdir(parents=True, exist_ok=True)
    tensors = {f"live.{name}": p.detach().contiguous() for name, p in live.items()}
    tensors |= {f"mean.{name}": value.contiguous() for name, value in mean.items()}
    for name, parameter in live.items():
        for slot in ("exp_avg", "exp_avg_sq"):
            tensors[f"{slot}.{name}"] = optimiser.state[parameter][slot].contiguous()
    save_file(tensors, path / "state.partial")
    (path / "state.partial").replace(path / f"state-{step}.safetensors")
    (path / "step.partial").write_text(json.dumps({"step": step}))
    (path / "step.partial").replace(path / "step.json")
    for old in path.glob("state-*.safetensors"):
        if old.name != f"state-{step}.safetensors":
            old.unlink()


def _restore(
    path: Path, live: dict[str, torch.nn.Parameter], mean: dict[str, torch.Tensor], optimiser: torch.optim.AdamW
) -> int:
    if not (path / "step.json").is_file():
        return 0
    with whole(path, "remove it, and --resume begins that stage anew"), torch.no_grad():
        step = int(json.loads((path / "step.json").read_text())["step"])
        tensors = load_file(path / f"state-{step}.safetensors")
        for name, parameter in live.items():
            parameter.copy_(tensors[f"live.{name}"])
            mean[name].copy_(tensors[f"mean.{name}"])
            optimiser.state[parameter] = {
                "step": torch.tensor(float(step)),
                "exp_avg": tensors[f"exp_avg.{name}"].to(parameter.device, copy=True),
                "exp_avg_sq": tensors[f"exp_avg_sq.{name}"].to(parameter.device, copy=True),
            }
    return step
