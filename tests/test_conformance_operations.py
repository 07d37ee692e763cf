"""The law of operations: a check for everything that can be replaced, the rules' own needs, and narrow products."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from deva_conformance import Broken, Problem, Subject, from_namespace, law, load
from deva_conformance.faults import LEGAL, kernels
from deva_conformance.faults.table import killers
from deva_conformance.laws._operation_bench import INPUTS, Bench
from deva_conformance.laws._operation_checks import CHECKS, COMPOSED, replaceables, used
from deva_conformance.laws._operation_factors import polar
from deva_conformance.plan import PROFILES
from deva_conformance.runner import run_law
from deva_core import AdamW, DeVA, DeVAVector, Muon
from deva_core.costs import Costs

OPERATIONS = law("operations")


def test_every_replaceable_function_has_a_check():
    """And every check is of something that there is."""
    assert set(CHECKS) == replaceables() | set(COMPOSED)


def test_a_rule_is_asked_what_it_uses():
    """Vectors are not orthogonalised; only DeVA has bases."""
    assert used(AdamW) == ("donated_stack", "ema", "descent")
    assert {"ema", "matmul", "polar"} <= set(used(Muon))
    assert "positive_qr" not in used(Muon)
    assert "positive_qr" in used(DeVA)


def test_a_backend_without_operations_is_not_supported():
    """Which is no pass."""
    honest = load("numpy").start

    def start(*args, **options):
        return honest(*args, **options)

    result = run_law(OPERATIONS, Muon, Subject("closed", start), PROFILES["smoke"])
    assert result.status == "not_supported"
    assert "operations" in result.cause


def test_float32_where_float64_was_given_is_broken():
    """A library that narrows in silence."""
    operations = load("numpy").start.operations()
    narrowing = replace(operations, asarray=lambda x: np.asarray(x, np.float32))
    result = run_law(
        OPERATIONS, Muon, Subject("narrow", SimpleNamespace(operations=lambda: narrowing)), PROFILES["quick"]
    )
    assert result.status == "fail", result
    assert "float64 operands give float32" in result.cause


@pytest.mark.parametrize("namespace", ["numpy", "array_api_strict"])
def test_a_namespace_computes_what_it_says(namespace):
    """Every dtype, family and rule, far below the threshold."""
    for rule in (Muon, DeVA, DeVAVector):
        result = run_law(OPERATIONS, rule, from_namespace(namespace), PROFILES["quick"])
        assert result.status == "pass", result
        assert 0.1 < result.ratio < 8, result


@pytest.mark.parametrize("name", kernels.VARIANTS)
def test_a_legal_variant_is_accepted_with_every_case(name):
    """The smoke profile, which `test_conformance_faults` uses, has one."""
    assert killers(name, LEGAL[name], laws=["operations", "enclosure"]) == ()


def narrow_torch(costs: Costs):
    """Torch as it computes on an accelerator: Newton–Schulz in bfloat16."""
    torch = pytest.importorskip("torch")
    given = load("torch").start.operations()
    return replace(given, backend=replace(given.backend, compute_dtype=torch.bfloat16, costs=costs))


@pytest.mark.parametrize("family", INPUTS)
@pytest.mark.parametrize("form", ["plain", "gram"])
def test_narrow_products_are_no_worse_than_the_plain_iteration(family, form):
    """Fused, and on the Gram matrix, which is read anew."""
    for seed, shape in enumerate(((17, 33), (64, 64), (40, 8))):
        polar(Bench(narrow_torch(Costs(form=form)), Muon(), Problem(family, shape, 1.0, seed)))


def test_a_narrow_gram_matrix_that_is_never_read_anew_is_named(monkeypatch):
    """Right for well-conditioned matrices; its error explodes where directions are missing."""
    monkeypatch.setattr("deva_core.linalg.segments", lambda steps: (steps,))
    operations = narrow_torch(Costs(form="gram"))
    with pytest.raises(Broken, match="polar factor"):
        for seed, family in enumerate(INPUTS):
            polar(Bench(operations, Muon(), Problem(family, (17, 33), 1.0, seed)))


def test_cupys_operations_conform_on_the_stand_in():
    """NumPy in CuPy's place: conversions and kernels as NumPy runs them."""
    code = (
        "import sys; sys.path[:0] = ['backends', 'conformance']\n"
        "from tests.fake_cupy import install; install()\n"
        "from deva_conformance import Subject, law\n"
        "from deva_conformance.plan import PROFILES\n"
        "from deva_conformance.runner import run_law\n"
        "from deva_core import DeVA, Muon\n"
        "import deva_cupy\n"
        "for rule in (Muon, DeVA):\n"
        "    result = run_law(law('operations'), rule, Subject('cupy', deva_cupy.start), PROFILES['quick'])\n"
        "    assert result.status == 'pass', result\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
