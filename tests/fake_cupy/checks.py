"""What must hold of `deva_cupy` on the stand-in. Each function runs in a process of its own (tests/test_cupy_simulated.py).

Nothing here is evidence that a GPU computes anything: see the package's docstring.
"""

from contextlib import contextmanager
from typing import Any

import numpy as np

from deva_core import RULES, AdaGO, DeVA, DeVAVector, Muon

SHAPES = [(4, 4), (3, 5), (5, 3), (2, 3, 4), (1, 7), (3,)]
VARIANTS = [
    *(rule() for rule in RULES),
    Muon(nesterov=False, scale="rms", weight_decay=0.1, lr=lambda count: 0.1 / (1 + count)),
    AdaGO(nesterov=True, weight_decay=0.1, ns_coefficients="exact", min_step=0.02, max_norm=2.0),
    DeVA(statistics="gradient", precondition_frequency=3),
    DeVA(factored=True, sign_stabilization=True, precondition_frequency=1),
    DeVA(basis="eigh", bias_correction=False),
    DeVAVector(nesterov=True, weight_decay=0.1),
]


@contextmanager
def raises(kind: type[Exception], words: str):
    """The body raises this, and says so."""
    try:
        yield
    except kind as error:
        assert words in str(error), f"{words!r} is not in {error}"
    else:
        raise AssertionError(f"no {kind.__name__}")


def gradients(step: int, dtype: Any) -> dict[str, np.ndarray]:
    """One gradient for each shape."""
    r = np.random.Generator(np.random.Philox(key=step))
    return {str(shape): r.normal(size=shape).astype(dtype) for shape in SHAPES}


def distance(a: np.ndarray, b: np.ndarray, start: np.ndarray) -> float:
    """How far apart, relative to the distance walked."""
    wide = [np.asarray(x, dtype=np.float64) for x in (a, b, start)]
    return float(np.linalg.norm(wide[0] - wide[1]) / np.linalg.norm(wide[1] - wide[2]))


def rules_agree_with_numpy_and_read_nothing_back() -> None:
    """Six steps of every rule, float32 and float64, with and without replacements; device reads raise in a step."""
    import deva_numpy
    from tests.fake_cupy.subject import start

    for rule in VARIANTS:
        for dtype, tolerance in (("float32", 2e-6), ("float64", 1e-14)):
            for replacements in (True, False):
                W = gradients(0, dtype)
                ours, theirs = start(rule, W, replacements=replacements), deva_numpy.start(rule, W, replacements=False)
                for t in range(1, 7):
                    ours.step(gradients(t, dtype))
                    theirs.step(gradients(t, dtype))
                for name, end in theirs.params.items():
                    gone = distance(ours.params[name], end, W[name])
                    assert ours.params[name].dtype == dtype and gone <= tolerance, f"{rule} {name} {dtype}: {gone}"


def the_generic_host_takes_its_arrays() -> None:
    """`deva_core.Optimizer`, which knows no CuPy, on nested containers of its arrays; it may wait for the device."""
    import cupy

    from deva_core import Optimizer

    for rule in (Muon(), AdaGO(), DeVA()):
        ends = []
        for make in (np.asarray, cupy.asarray):
            W = {"layers": [make(gradients(0, "float64")["(3, 5)"]), make(gradients(0, "float64")["(3,)"])]}
            optimizer = Optimizer(rule)
            state = optimizer.init(W)
            for t in (1, 2, 3):
                grads = [make(gradients(t, "float64")[name]) for name in ("(3, 5)", "(3,)")]
                W, state = optimizer.step(W, {"layers": grads}, state)
            ends.append(W["layers"])
        for ours, theirs in zip(*ends, strict=True):
            assert type(theirs) is cupy.ndarray and np.allclose(ours, cupy.asnumpy(theirs), rtol=0, atol=1e-12), rule


def telemetry_is_numpys_and_reads_nothing_back() -> None:
    """An observed step of every rule, under the guard; read afterwards, the numbers are NumPy's."""
    import cupy

    import deva_numpy
    from deva_core import observe
    from deva_cupy import Optimizer
    from tests.fake_cupy._array import guard

    for rule in VARIANTS:
        W, G = gradients(0, "float64"), gradients(1, "float64")
        layout = {name: "vector" if X.ndim < 2 else "... out in" for name, X in W.items()}
        ours, theirs = Optimizer(rule, layout=layout), deva_numpy.Optimizer(rule, layout=layout)
        there, grads = ({name: cupy.asarray(X) for name, X in Xs.items()} for Xs in (W, G))
        state = ours.init(there)
        with observe() as seen, guard.on():
            ours.step(there, grads, state)
        with observe() as expected:
            theirs.step(W, G, theirs.init(W))
        assert seen.keys() == expected.keys() == W.keys()
        for name, numbers in expected.items():
            got = [float(x) for x in seen[name]]
            assert np.allclose(got, [float(x) for x in numbers], rtol=1e-9, atol=1e-18, equal_nan=True), (rule, name)


def a_read_in_a_step_would_be_seen() -> None:
    """The guard can fail: single reads raise, and so do array-api-compat's own `clip` and `sign`, which ours replace."""
    import array_api_compat.cupy as standard
    import cupy

    import deva_cupy._namespace as ours
    from tests.fake_cupy._array import Synchronised, guard

    x = cupy.asarray(np.array([-2.0, np.nan, 0.5]))
    reads = (float, int, bool, lambda a: a.item(), lambda a: a.get(), lambda a: a[a > 0], cupy.nonzero)
    compat = (lambda a: standard.clip(a, None, 1.0), standard.sign)
    for read in (*reads, *compat):
        with guard.on(), raises(Synchronised, "waits for the device"):
            read(x if read in (cupy.nonzero, *reads[-2:], *compat) else x[0])
    with guard.on():
        clipped, signs = ours.clip(x, -1.0, 0.25), ours.sign(x)
    assert np.array_equal(clipped.get(), [-1.0, np.nan, 0.25], equal_nan=True)
    assert np.array_equal(signs.get(), [-1.0, np.nan, 1.0], equal_nan=True)
    assert np.array_equal(clipped.get(), standard.clip(x, -1.0, 0.25).get(), equal_nan=True)


def replacements_are_used_and_can_be_switched_off() -> None:
    """Kernels are called for Muon and DeVA, and not at all with `replacements=False`."""
    import cupy

    from deva_cupy import start

    called, original = [], cupy.ElementwiseKernel.__call__
    cupy.ElementwiseKernel.__call__ = lambda self, *args: called.append(self.name) or original(self, *args)
    for dtype, kind in (("float32", "float"), ("float64", "double")):
        for rule in (Muon(), DeVA()):
            for replacements in (True, False):
                called.clear()
                start(rule, gradients(0, dtype), replacements=replacements).step(gradients(1, dtype))
                expected = {f"deva_combine_{kind}"} | ({"deva_flip_negative"} if isinstance(rule, DeVA) else set())
                assert set(called) == (expected if replacements else set()), called


def the_compute_dtype_follows_the_policy() -> None:
    """bfloat16 from compute capability 8.0 on, float32 below or without a CuPy that holds it; float64 never narrowed."""
    import cupy

    from deva_cupy._backend import bfloat16, checked_compute_dtype, policy

    assert policy(None, 80) == policy(None, 90) == bfloat16() and policy(None, 75) is None
    assert policy(np.dtype("float16"), 70) == np.float16
    with raises(ValueError, "compute capability 8.0, this device has 7.5"):
        policy(bfloat16(), 75)
    for wrong in ("int32", "bf16", 3, "float8"):
        with raises(ValueError, "compute_dtype must be"):
            checked_compute_dtype(wrong)
    cupy.__version__ = "13.6.0"
    assert policy(None, 90) is None
    with raises(ValueError, "needs CuPy >= 14"):
        checked_compute_dtype("bfloat16")


def narrow_products_are_as_good_as_bfloat16() -> None:
    """On a device with bfloat16 a step differs from float32's by bfloat16's rounding; on an older one by nothing."""
    import cupy

    from deva_cupy import Optimizer

    def moved(compute_dtype: str, capability: str, dtype: str) -> np.ndarray:
        cupy.cuda.Device.capability = capability
        q = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 8, 8)))[0].astype(dtype)
        W, G = {"w": cupy.zeros((3, 8, 8), dtype=dtype)}, {"w": cupy.asarray(q)}
        optimizer = Optimizer(Muon(lr=1.0, scale="none"), layout="batch out in", compute_dtype=compute_dtype)
        return optimizer.step(W, G, optimizer.init(W))[0]["w"].get()

    wide = moved("float32", "90", "float32")
    assert 1e-4 < distance(moved("auto", "90", "float32"), wide, 0 * wide) < 3e-2
    assert 1e-4 < distance(moved("float16", "90", "float32"), wide, 0 * wide) < 3e-2
    assert np.array_equal(moved("auto", "75", "float32"), wide)
    assert np.array_equal(moved("auto", "90", "float64"), moved("float64", "90", "float64"))


def stacks_of_16_bits_are_multiplied_as_matrices_are() -> None:
    """Widened or one by one: the same bits as CuPy's product of each pair, which accumulates in float32."""
    import cupy
    import ml_dtypes

    from deva_cupy import _backend

    r = np.random.default_rng(0)
    for dtype in (ml_dtypes.bfloat16, np.float16):
        A, B = (cupy.asarray(r.normal(size=shape).astype(dtype)) for shape in ((2, 3, 4, 6), (2, 3, 6, 5)))
        pairs = zip(A.reshape(6, 4, 6), B.reshape(6, 6, 5), strict=True)
        single = np.stack([cupy.matmul(X, Y).get() for X, Y in pairs]).reshape(2, 3, 4, 5)
        for worth in (1, 2**26):
            _backend.WORTH_A_LAUNCH = worth
            assert np.array_equal(_backend.matmul(A, B).get().view(np.int16), single.view(np.int16))
        Bt = cupy.asarray(np.swapaxes(r.normal(size=(2, 3, 5, 6)).astype(dtype), -1, -2))
        assert _backend.one_by_one(A, Bt).dtype == dtype
    with raises(TypeError, "no product of stacks of bfloat16"):
        C = cupy.asarray(np.ones((2, 3, 3), ml_dtypes.bfloat16))
        cupy.matmul(C, C)


def the_boundary_copies_and_keeps_dtypes() -> None:
    """Arrays are copied on the way in and out; bfloat16 and float16 keep their dtype."""
    import ml_dtypes

    from deva_cupy import start

    assert start.capabilities.dtypes == ("float64", "float32", "bfloat16", "float16")
    for dtype in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16):
        W, G = np.ones((3, 4), dtype), np.ones((3, 4), dtype)
        run = start(Muon(), {"w": W})
        run.step({"w": G})
        before = run.params["w"]
        W[:], G[:], run.params["w"][:], run.state["w"]["momentum"][:] = 7, 7, 7, 7
        after, state = run.params["w"], run.state["w"]
        assert after.dtype == dtype and np.array_equal(after, before) and not (after == 7).any()
        assert state["step"] == 1 and not (state["momentum"] == 7).any()
        assert state["momentum"].dtype == (np.float64 if dtype is np.float64 else np.float32)
        run.step({})
        run.step({"w": None})
        assert np.array_equal(run.params["w"], before) and run.state["w"]["step"] == 1


def what_cannot_be_done_is_refused_in_words() -> None:
    """Compilation, no device, bfloat16 on an old CuPy, arrays that are not floating, stray gradients."""
    import cupy
    import ml_dtypes

    from deva_cupy import start

    W = {"w": np.ones((2, 2), np.float32)}
    with raises(ValueError, "does not compile its step"):
        start(Muon(), W, compiled=True)
    with raises(TypeError, "real floating"):
        start(Muon(), {"w": np.ones((2, 2), np.int32)})
    with raises(ValueError, "'v', but no parameter is"):
        start(Muon(), W).step({"v": W["w"]})
    cupy.__version__ = "13.6.0"
    with raises(TypeError, "CuPy 13.6.0"):
        start(Muon(), {"w": np.ones((2, 2), ml_dtypes.bfloat16)})
    assert start.unavailable() is None
    cupy.is_available = lambda: False
    assert "no CUDA device" in start.unavailable()
    with raises(RuntimeError, "no CUDA device"):
        start(Muon(), W)


def the_host_takes_nested_containers_and_writes_nothing() -> None:
    """`deva_cupy.Optimizer` on nested device arrays, with a layout and a missing gradient; its inputs stay."""
    import cupy

    from deva_cupy import Optimizer
    from tests.fake_cupy._array import guard

    optimizer = Optimizer(Muon(), layout={"net.qkv": "(q k v) in"}, compute_dtype="float32")
    W = {"net": {"qkv": cupy.ones((6, 2), dtype="float32"), "bias": cupy.ones(3, dtype="float32")}}
    G = {"net": {"qkv": cupy.asarray(gradients(0, "float32")["(4, 4)"][:3].reshape(6, 2)), "bias": None}}
    given = G["net"]["qkv"].get()
    state = optimizer.init(W)
    with guard.on():
        new, state = optimizer.step(W, G, state)
        optimizer.step(new, G, state)
    assert np.array_equal(G["net"]["qkv"].get(), given) and np.all(W["net"]["qkv"].get() == 1)
    assert new["net"]["bias"] is W["net"]["bias"] and state.slots["net.bias"].step == 0
    assert not np.any(new["net"]["qkv"].get() == 1)


def a_run_moves_to_numpy_and_back() -> None:
    """Saved here, resumed in NumPy, saved there, resumed here: as if it had never moved."""
    import tempfile

    import deva_numpy
    from deva_cupy import start

    for rule in (Muon(), AdaGO(), DeVA(precondition_frequency=2)):
        W = gradients(0, "float64")
        stayed, first = start(rule, W), start(rule, W)
        with tempfile.TemporaryDirectory() as folder:
            for t, begin in ((1, deva_numpy.start), (3, start)):
                for run in (stayed, first):
                    run.step(gradients(t, "float64"))
                    run.step(gradients(t + 1, "float64"))
                first.save(f"{folder}/state")
                first = begin(rule, first.params)
                first.load(f"{folder}/state")
            for run in (stayed, first):
                run.step(gradients(5, "float64"))
        for name, end in stayed.params.items():
            assert distance(first.params[name], end, W[name]) <= 1e-12


def a_resumed_run_goes_on_bit_by_bit() -> None:
    """Factors come in columns, as cuSOLVER's; what a step hands out lies in rows, as what is loaded does."""
    import cupy

    from deva_cupy import Optimizer
    from tests.fake_cupy.resumed import goes_on_from_a_file, lies_in_rows

    assert not lies_in_rows(cupy.linalg.qr(cupy.ones((3, 3)))[0])
    assert not lies_in_rows(cupy.linalg.eigh(cupy.ones((2, 3, 3)))[1])
    layout = {"(5, 3)": "(q k v r s) in", "(2, 3, 4)": "batch out in"}
    often = {"precondition_frequency": 2}
    for rule in (DeVA(**often), DeVA.dialect("authors", **often), DeVA(basis="eigh", **often)):
        for dtype in ("float32", "float64"):
            there = [{name: cupy.asarray(X) for name, X in gradients(t, dtype).items()} for t in range(7)]
            goes_on_from_a_file(Optimizer(rule, layout=layout, compute_dtype="float32"), there[0], there[1:])


def the_gpu_program_can_step_it() -> None:
    """`benchmarks/gpu` times every rule without an error; the figures are NumPy's and mean nothing."""
    from benchmarks.gpu.timings import timings

    found = list(timings("cupy", 1, shapes=((4, 6), (2, 3, 4))))
    assert len(found) == 24 and not [case["error"] for case in found if "error" in case]


def the_kit_accepts_it() -> None:
    """Every law for every rule, a case each, with the fused kernels and without; device reads raise in a step."""
    from deva_conformance import check_backend, load
    from deva_conformance.tolerance import remembering

    with remembering({}):
        for start in ("start", "plain_start"):
            report = check_backend(load(f"tests.fake_cupy.subject:{start}"), profile="smoke")
            assert report.conforms, "\n".join(result.line for result in report.broken)


def the_kit_rejects_a_wrong_kernel() -> None:
    """With a coefficient of the kernels' text off by a tenth of a percent, laws break."""
    import tests.fake_cupy._module as stand_in

    whole = stand_in.run
    stand_in.run = lambda i, o, operation, *args: whole(i, o, operation.replace("z = p *", "z = 1.001f * p *"), *args)
    from deva_conformance import check_backend, load

    report = check_backend(load("tests.fake_cupy.subject:start"), rules=[Muon], profile="smoke")
    assert {"fail"} == {result.status for result in report.broken}, report.counts()


CHECKS = (
    rules_agree_with_numpy_and_read_nothing_back,
    a_read_in_a_step_would_be_seen,
    replacements_are_used_and_can_be_switched_off,
    the_compute_dtype_follows_the_policy,
    narrow_products_are_as_good_as_bfloat16,
    stacks_of_16_bits_are_multiplied_as_matrices_are,
    the_boundary_copies_and_keeps_dtypes,
    what_cannot_be_done_is_refused_in_words,
    the_host_takes_nested_containers_and_writes_nothing,
    the_generic_host_takes_its_arrays,
    telemetry_is_numpys_and_reads_nothing_back,
    a_run_moves_to_numpy_and_back,
    a_resumed_run_goes_on_bit_by_bit,
    the_gpu_program_can_step_it,
    the_kit_accepts_it,
    the_kit_rejects_a_wrong_kernel,
)
