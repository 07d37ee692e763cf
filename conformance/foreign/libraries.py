"""The libraries, how each is run, and the verdict that is expected."""

from dataclasses import dataclass, field
from pathlib import Path

from deva_core import RULES

HERE = Path(__file__).parent
ALL = tuple(rule.__name__ for rule in RULES)
ELEMENTWISE = ("DeVAVector", "AdamW")
"""The rules without products of matrices."""
CORE = ("Muon", "AdaGO", *ELEMENTWISE)
"""The rules that do without QR and eigendecompositions."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A backend as the kit names it.

    Args:
        backend: `module:callable`, or `module(namespace)`.
        conforms: the rules that must keep every law, and the only ones.
        breaks: laws that must be broken, whatever else is: what a witness is kept for.
        profile: of the kit; `smoke`, one case a law, for libraries that take seconds a step.
        about: what this run shows, in words for the page.
    """

    backend: str
    conforms: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ()
    profile: str = "quick"
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something to tell the library's maintainers: one line of Python that shows it, and what its last line of output holds."""

    about: str
    code: str
    shows: str


@dataclass(frozen=True, kw_only=True)
class Library:
    """A library, in an environment of its own with these packages."""

    name: str
    packages: tuple[str, ...]
    runs: tuple[Run, ...]
    findings: tuple[Finding, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


def strict(device: str) -> Run:
    """array-api-strict on one of its devices."""
    return Run(backend=f"array_api_strict@{device}(namespace)", conforms=ALL, profile="smoke")


LIBRARIES = (
    Library(
        name="array-api-strict",
        packages=("array-api-strict==2.6.1",),
        runs=(
            strict("CPU_DEVICE"),
            strict("device1"),
            strict("device2"),
            strict("no_float64"),
            Run(
                backend="array_api_strict@no_x64(namespace)",
                conforms=CORE,
                breaks=("oracle",),
                profile="smoke",
                about="DeVA orders its basis with `argsort`, whose int64 indices this device does not have.",
            ),
        ),
        findings=(
            Finding(
                about="On the device `no_x64`, `argsort` asks for int64 indices, which that device refuses.",
                code="import array_api_strict as xp; "
                "xp.argsort(xp.asarray([2.0, 1.0], dtype=xp.float32, device=xp.Device('no_x64')))",
                shows="does not support dtype=array_api_strict.int64",
            ),
        ),
    ),
    Library(
        name="mlx",
        packages=("mlx[cpu]==0.32.4",),
        runs=(
            Run(backend="foreign.mlx:start", conforms=ALL),
            Run(
                backend="mlx.core(namespace)",
                breaks=("oracle",),
                profile="smoke",
                about="As it is. What the adapter supplies is what differs from the standard here.",
            ),
        ),
        findings=(
            Finding(
                about="`astype` has no keyword `copy`.",
                code="import mlx.core as mx; mx.astype(mx.ones(2), mx.float32, copy=False)",
                shows="kwargs = { copy: bool }",
            ),
            Finding(
                about="A float64 array of NumPy becomes float32 unless a dtype is given, also where MLX has float64.",
                code="import numpy, mlx.core as mx; mx.set_default_device(mx.cpu); print(mx.asarray(numpy.ones(2)).dtype)",
                shows="mlx.core.float32",
            ),
        ),
    ),
    Library(
        name="dask",
        packages=("dask[array]==2026.8.0",),
        runs=(Run(backend="foreign.dask:start", conforms=CORE, profile="smoke"),),
        findings=(
            Finding(
                about="`linalg.svd` is for matrices, not for stacks of them.",
                code="import dask.array as da; da.linalg.svd(da.ones((2, 4, 3)))",
                shows="Input ndim: 3",
            ),
        ),
    ),
    Library(
        name="ndonnx",
        packages=("ndonnx==0.23.0", "onnxruntime==1.32.0"),
        runs=(Run(backend="foreign.ndonnx:start", conforms=CORE, profile="smoke"),),
    ),
    Library(
        name="tinygrad",
        packages=("tinygrad==0.14.0", "ziglang==0.17.1"),
        runs=(
            Run(
                backend="foreign.tinygrad:start",
                conforms=("AdaGO", "DeVAVector", "AdamW"),
                breaks=("scale",),
                profile="smoke",
                about="Muon meets the finding below where gradients are large: 2^80.",
            ),
        ),
        findings=(
            Finding(
                about="The sum of the squares of a quotient, here of 1 and 1, is NaN. It looks as if the quotient of the squares "
                "were computed, which overflow.",
                code="from tinygrad import Tensor; x = Tensor([2.0**80, 2.0**80]); y = x / x.abs().max(); "
                "print((y * y).sum().numpy())",
                shows="nan",
            ),
        ),
        environment={"DEV": "CPU", "CC": str(HERE / "clang")},
    ),
    Library(
        name="drjit",
        packages=("drjit==1.5.0",),
        runs=(
            Run(
                backend="foreign.drjit:start",
                conforms=("Muon", "AdamW"),
                breaks=("oracle",),
                about="AdaGO and DeVAVector meet the two findings below.",
            ),
        ),
        findings=(
            Finding(
                about="A division gives an operand of shape (1,) three entries, where `select` made it; its shape stays (1,).",
                code="import drjit as dr; from drjit.llvm import TensorXf as T; s, m = T([2]), T([1, 2, 3]); "
                "u = dr.select(s == 0, dr.ones_like(s), s); m / u; print(u.shape, len(u.array))",
                shows="(1,) 3",
            ),
            Finding(
                about="A tensor without axes cannot be given new ones by `[..., None]`.",
                code="from drjit.llvm import TensorXf as T; T([2])[0][..., None]",
                shows="too many indices",
            ),
        ),
    ),
    Library(
        name="marray",
        packages=("marray==0.0.12",),
        runs=(Run(backend="foreign.marray:start", conforms=CORE),),
    ),
    Library(
        name="openvino",
        packages=("openvino==2026.4.1",),
        runs=(
            Run(
                backend="foreign.openvino:start",
                conforms=ELEMENTWISE,
                breaks=("oracle", "enclosure", "operations"),
                about="A witness: products of float64 are computed in float32, and on processors with bfloat16 units, "
                "unless a precision is asked for, those of float32 in bfloat16.",
            ),
        ),
        findings=(
            Finding(
                about="The square of 1 + 2^-30 as a product of float64 matrices is 1.",
                code="import numpy as np, openvino as ov; from openvino import opset13 as o; "
                "p = o.parameter([1, 1], ov.Type.f64); m = ov.Model([o.matmul(p, p, False, False)], [p]); "
                "print(ov.Core().compile_model(m, 'CPU')(np.array([[1 + 2**-30]]))[0][0, 0] - 1)",
                shows="0.0",
            ),
        ),
    ),
    Library(
        name="unyt",
        packages=("unyt==3.2.0",),
        runs=(
            Run(
                backend="foreign.unyt:start",
                breaks=("dtype-and-shape", "operations", "save-load"),
                about="A witness: float32 turns into float64 without a word.",
            ),
        ),
        findings=(
            Finding(
                about="A float32 array times a Python number is float64.",
                code="import numpy, unyt; print((unyt.unyt_array(numpy.ones(2, 'float32'), '') * 0.5).dtype)",
                shows="float64",
            ),
            Finding(
                about="`clip` without a lower limit raises.",
                code="import numpy, unyt; numpy.clip(unyt.unyt_array([1.0], ''), None, 2.0)",
                shows="'NoneType' object is not iterable",
            ),
        ),
    ),
    Library(
        name="blosc2",
        packages=("blosc2==4.14.1",),
        runs=(
            Run(
                backend="foreign.blosc2:start",
                breaks=("oracle", "dtype-and-shape"),
                about="A witness: a namespace with all of the standard's names, not all of which are written yet.",
            ),
        ),
        findings=(
            Finding(
                about="`matrix_norm` is there, and says that it is not implemented; so do `eigh`, `qr` and `svd`.",
                code="import blosc2, numpy; blosc2.linalg.matrix_norm(blosc2.asarray(numpy.ones((2, 2)), copy=True))",
                shows="NotImplementedError",
            ),
            Finding(
                about="A reduction gives an array of NumPy, which other functions of the namespace, `where` one of them, "
                "do not take.",
                code="import blosc2, numpy; x = blosc2.asarray(numpy.ones((2, 2)), copy=True); "
                "print(type(blosc2.max(x, axis=(0, 1), keepdims=True)))",
                shows="<class 'numpy.ndarray'>",
            ),
        ),
    ),
    Library(
        name="rstsr",
        packages=("rstsr-faer-py==0.10.0",),
        runs=(
            Run(
                backend="foreign.rstsr:start",
                breaks=("oracle", "dtype-and-shape"),
                about="A witness: a scalar on the left of an operator raises, which no rule can do without.",
            ),
        ),
        findings=(
            Finding(
                about="A Python number on the left of an operator raises.",
                code="from rstsr_faer import api as xp; 2.0 * xp.asarray([1.0])",
                shows="positional-only arguments passed as keyword arguments: 'reflected'",
            ),
        ),
    ),
)
