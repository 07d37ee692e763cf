"""The examples with Hugging Face's Trainer and with Lightning train, save, and go on where they were."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(code: str, cwd: Path) -> None:
    """In an interpreter of its own: these frameworks set global state, and warn."""
    prelude = f"import sys, torch; sys.path.insert(0, {str(EXAMPLES)!r}); torch.set_num_threads(1)\n"
    result = subprocess.run([sys.executable, "-c", prelude + code], cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


HF = """
import shutil, hf_trainer
from pathlib import Path
from transformers import Trainer
from deva_core import AdamW
from deva_torch import Muon

assert hf_trainer.main(["--steps", "40", "--out", "out"]) == 0
last = Path("out/checkpoint-40")
def saved():
    optimizer = torch.load(last / "optimizer.pt", weights_only=True)["state"]
    scheduler = torch.load(last / "scheduler.pt", weights_only=True)
    return optimizer, scheduler["last_epoch"], (last / "model.safetensors").read_bytes()
first = saved()
shutil.rmtree(last)
hf_trainer.main(["--steps", "40", "--out", "out", "--resume"])
again = saved()
assert first[1:] == again[1:], "the weights are not the same bytes"
torch.testing.assert_close(first[0], again[0], rtol=0, atol=0)

try:
    raise AssertionError(f"not refused: {hf_trainer.main(['--resume'])}")
except SystemExit as refused:
    assert refused.code == 2, "--resume needs --out"

given = hf_trainer.trainer(3, Path("out"))
kwargs = {"lr": 0.01, "vector_rule": AdamW(lr=1e-3)}
own = Trainer(given.model, given.args, train_dataset=given.train_dataset, optimizer_cls_and_kwargs=(Muon, kwargs))
own.train()
optimizer = own.optimizer.optimizer
assert type(optimizer) is Muon and [g["count"] for g in optimizer.param_groups] == [3, 3]
assert {g["lr"] for g in optimizer.param_groups} == {0.0}, "Trainer's own linear schedule ends at 0"
"""

LIGHTNING = """
import lightning_digits
from pathlib import Path

trainer = lightning_digits.fit(5, Path("out"))
assert trainer.callback_metrics["accuracy"].item() >= lightning_digits.ENOUGH
[path] = Path("out").rglob("*.ckpt")
saved = torch.load(path, weights_only=True)["optimizer_states"][0]
resumed = lightning_digits.fit(5, Path("out"), str(path)).optimizers[0].state_dict()
torch.testing.assert_close(resumed["state"], saved["state"], rtol=0, atol=0)
assert resumed["param_groups"] == saved["param_groups"]
assert saved["param_groups"][0]["betas"][0] != 0.95, "OneCycleLR cycles beta1"
"""


def test_hugging_faces_trainer_trains_and_resumes_to_the_same_bytes(tmp_path):
    """By `optimizers=(optimizer, scheduler)`; and the class handed over as `optimizer_cls_and_kwargs` trains too."""
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    run(HF, tmp_path)


def test_lightning_trains_under_automatic_optimisation_and_resumes(tmp_path):
    pytest.importorskip("lightning")
    run(LIGHTNING, tmp_path)
