"""Parameters on several ranks take the steps of one process: FSDP2, DTensors and DDP on gloo."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
gloo = pytest.importorskip("tests.gloo")

WORLDS = (2, 3)
EXACT = 1e-9
"""Relative to the distance walked, in float64."""


def run(world, folder):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "tests.gloo"]
    logs = [folder / f"errors-{world}-{rank}.txt" for rank in range(world)]
    started = []
    for rank, log in enumerate(logs):
        with log.open("wb") as errors:
            line = [*command, str(rank), str(world), str(folder)]
            started.append(subprocess.Popen(line, stderr=errors, env=environment))
    codes = [process.wait(timeout=240) for process in started]
    assert codes == [0] * world, "\n".join(log.read_text()[-2000:] for log in logs)
    return json.loads((folder / f"found-{world}.json").read_text(encoding="utf-8"))


def test_the_example_trains_saves_and_resumes():
    example = Path(__file__).parent.parent / "examples" / "fsdp2.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(example)]
    ran = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "held-out digits read by 2 processes" in ran.stdout


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What was found on 2 ranks and on 3, and the folder with what the two wrote."""
    folder = tmp_path_factory.mktemp("ranks")
    return {world: run(world, folder) for world in WORLDS}, folder


@pytest.mark.parametrize("world", WORLDS)
def test_sharded_equals_one_process(ranks, world):
    found = ranks[0][world]
    cases = [f"{kind} {name}" for kind in ("fsdp2", "ddp") for name in gloo.RULES]
    assert max(found[case] for case in [*cases, "columns", "replicated", "cut twice", "routed", "clipped"]) < EXACT, (
        found
    )


@pytest.mark.parametrize("world", WORLDS)
def test_each_matrix_is_orthogonalised_once_and_the_work_is_divided(ranks, world):
    counts = ranks[0][world]["counts"]
    matrices = sum(p.ndim > 1 for p in gloo.model().parameters())
    assert sum(counts) == matrices
    assert min(counts) >= 1


@pytest.mark.parametrize("world", WORLDS)
def test_the_memory_of_a_step_does_not_grow_with_the_number_of_matrices(ranks, world):
    # Two and eight matrices a rank. A step holds 8 times the one it has gathered; gloo's two threads let go of
    # their last exchange (a chunk sent, a chunk received) when they next run, so up to 4 more may still be there.
    # A step that kept what it gathered would hold 6 more with eight matrices than with two.
    few, many = ranks[0][world]["peaks"]
    assert max(few, many) <= 12


@pytest.mark.parametrize("world", WORLDS)
def test_a_state_dict_shows_ordinary_dtensors(ranks, world):
    assert all(ranks[0][world][f"kinds {name}"] == ["DTensor"] for name in gloo.RULES)


def test_three_ranks_go_on_from_what_two_wrote(ranks):
    found = ranks[0][3]
    assert max(found[f"{kind} {name}"] for kind in ("dcp", "portable") for name in ("Muon", "DeVA")) < EXACT


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize("name", ["Muon", "DeVA"])
@pytest.mark.filterwarnings("ignore")  # torch.distributed.checkpoint says that it runs in one process
def test_one_process_goes_on_from_what_two_wrote(ranks, name, portable):
    assert gloo.resumed(gloo.model(), ranks[1], name, portable) < EXACT


@pytest.mark.parametrize("world", WORLDS)
def test_nan_in_one_gradient_touches_no_other_parameter(ranks, world):
    assert ranks[0][world]["not finite"] == ["1.weight"]


@pytest.mark.parametrize("world", WORLDS)
def test_what_cannot_be_gathered_is_refused_with_advice(ranks, world):
    placement, copies, moved, pickled = ranks[0][world]["refused"]
    assert "only Shard and Replicate can be optimised" in placement
    assert 'use rounding="kahan", or shard the parameter' in copies
    assert "move it in one process, then carry it over in a portable checkpoint" in moved
    assert "cannot be pickled or copied: use state_dict" in pickled
