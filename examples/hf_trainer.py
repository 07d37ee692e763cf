"""Hugging Face's Trainer with one optimizer for the whole model: Muon for matrices, AdamW for the rest.

`python examples/hf_trainer.py` trains a small Llama, randomly initialised, on the bytes of Python's own reference manual
(the standard library's `pydoc_data`), for about ten seconds on a CPU. It writes a checkpoint into `--out`; with `--resume`
it goes on from there. Exit status 1: the loss did not fall.
"""

import argparse
import math
import sys
import tempfile
from collections import Counter
from pathlib import Path
from pydoc_data.topics import topics

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    get_cosine_schedule_with_warmup,
)

from deva_core import observe
from deva_torch import Muon, param_groups

LENGTH, BATCH = 64, 16
DATA = "\n".join(topics.values()).encode()


def entropy() -> float:
    """Nats a byte from the frequencies of bytes alone; a model below has learnt more."""
    return -sum(n / len(DATA) * math.log(n / len(DATA)) for n in Counter(DATA).values())


def texts() -> list[dict[str, list[int]]]:
    """The manual's bytes, in pieces."""
    starts = range(0, len(DATA) - LENGTH, LENGTH)
    return [{"input_ids": list(piece), "labels": list(piece)} for piece in (DATA[k : k + LENGTH] for k in starts)]


def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = dict(hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4)
    return LlamaForCausalLM(LlamaConfig(vocab_size=256, max_position_embeddings=LENGTH, **sizes))


class Watch(TrainerCallback):
    """Observes each step: Trainer makes it between these two calls."""

    def __init__(self) -> None:
        self.seen = {}

    def on_pre_optimizer_step(self, args, state, control, **kwargs) -> None:
        """Begin."""
        self.observer = observe()
        self.seen = self.observer.__enter__()

    def on_optimizer_step(self, args, state, control, **kwargs) -> None:
        """End."""
        self.observer.__exit__(None, None, None)


def trainer(steps: int, out: Path) -> Trainer:
    net = model()
    optimizer = Muon(param_groups(net), lr=0.02)
    scheduler = get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=steps // 10, num_training_steps=steps)
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=steps,
        per_device_train_batch_size=BATCH,
        logging_steps=max(1, steps // 6),
        save_steps=max(1, steps // 2),
        max_grad_norm=1.0,  # Trainer clips before the step, where clipping belongs
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    return Trainer(model=net, args=arguments, train_dataset=texts(), optimizers=(optimizer, scheduler))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=180)
    parser.add_argument("--out", type=Path, help="folder for checkpoints (default: a temporary one)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    args = parser.parse_args(argv)
    if args.resume and args.out is None:
        parser.error("--resume needs --out, the folder whose last checkpoint it goes on from")
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        run = trainer(args.steps, args.out or Path(folder))
        run.add_callback(watch)
        print(run.optimizer.explain())
        run.train(resume_from_checkpoint=args.resume or None)
    moved = max((float(seen.update_rms) for seen in watch.seen.values()), default=0.0)
    print(f"the last step moved {len(watch.seen)} parameters, none by more than {moved:.1e} (root mean square)")
    losses = [entry["loss"] for entry in run.state.log_history if "loss" in entry]
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f} nats a byte; frequencies of bytes alone: {entropy():.3f}")
    return 0 if losses[-1] < min(losses[0], entropy()) else 1


if __name__ == "__main__":
    sys.exit(main())
