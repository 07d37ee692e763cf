"""In what precision a backend computes: named in a broken line, noted in reports, never a failure of its own."""

import json
from dataclasses import replace

import numpy as np
import pytest

from deva_conformance import Subject, check_backend, from_namespace, law
from deva_conformance.faults import FAULTS, LEGAL
from deva_conformance.plan import PROFILES
from deva_conformance.precision import as_if, is_factor, significant_bits
from deva_conformance.report import Report
from deva_conformance.runner import run_law
from deva_core import DeVA, Muon


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bf16-products", ", as if computed with 8 significant bits (bfloat16)"),
        ("tf32", ", as if computed with 11 significant bits (float16)"),
        ("soap-order", ", as if computed with 11 significant bits (float16)"),
        ("half-gradients", ", as if computed with 11 significant bits (float16)"),
        ("single-gradients", ", as if computed with 24 significant bits (float32)"),
    ],
)
def test_a_lower_precision_is_named(name, words):
    """In the broken line."""
    fault = FAULTS[name]
    result = run_law(law("oracle"), fault.on, Subject(name, fault), PROFILES["quick"])
    assert words in result.line


@pytest.mark.parametrize(
    "name",
    ["lr-off", "momentum-off", "rms-off", "four-steps", "nesterov-flipped", "no-root", "betas-equal", "eps-tenfold"],
)
def test_a_wrong_formula_is_not_taken_for_rounding(name):
    """A factor of a thousandth is no arithmetic of ten bits."""
    fault = FAULTS[name]
    result = run_law(law("oracle"), fault.on, Subject(name, fault), PROFILES["quick"])
    assert result.broken
    assert "as if" not in result.line


def test_bits_are_what_they_say():
    """Errors of a known arithmetic, by hand."""
    assert significant_bits(0.6 * 2.0**16, 2.0**-24) == pytest.approx(8)
    assert as_if([8.2, 7.5, 9.1], 2.0**-24).endswith("8 significant bits (bfloat16)")
    assert as_if([8.2, 13.0, 9.1], 2.0**-24) == ""
    assert as_if([23.5], 2.0**-24) == ""
    assert as_if([23.5], 2.0**-53).endswith("24 significant bits (float32)")
    X = np.arange(6.0)
    assert is_factor(1e-3 * X, X)
    assert not is_factor(np.array([1.0, -1, 1, -1, 1, -1]), X)


def noted(name: str, rule: type) -> Report:
    """The report of a variant."""
    laws = [law("oracle"), law("long-run"), law("zero-gradient")]
    return check_backend(Subject(name, LEGAL[name]), rules=[rule], laws=laws)


def test_silent_promotion_is_noted_and_no_failure(tmp_path):
    """In JSON and HTML; correct arithmetic shows its dtype's unit roundoff."""
    report = noted("promotes", DeVA)
    assert report.conforms
    (single,) = [p for p in report.precisions if p.dtype == "float32"]
    assert single.promoted
    assert "wider arithmetic than was asked for" in single.words
    report.write(tmp_path)
    assert single.as_dict() in json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["precision"]
    assert single.words in (tmp_path / "report.html").read_text(encoding="utf-8")
    honest = {p.dtype: p for p in noted("sums-backwards", DeVA).precisions}
    assert not honest["float32"].promoted
    assert 2.0**-26 < honest["float32"].unit_roundoff < 2.0**-22


def test_bfloat16_inside_is_noted_too():
    """The effective unit roundoff of what fails is that of the narrow arithmetic."""
    report = check_backend(Subject("narrow", FAULTS["bf16-products"]), rules=[DeVA, Muon])
    (single,) = [p for p in report.precisions if p.dtype == "float32"]
    assert single.unit_roundoff > 2.0**-18


def test_the_command_notes_precision():
    """Under the grid."""
    from typer.testing import CliRunner

    from deva_conformance.__main__ import app

    result = CliRunner().invoke(app, ["--namespace", "numpy", "--rules", "DeVA"])
    assert result.exit_code == 0
    assert "numpy(namespace) float32: effective unit roundoff 2^-2" in result.output


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_dtypes_are_checked_where_they_are_declared(dtype):
    """Inputs and parameters are narrow, arithmetic is float32."""
    from deva_conformance import load

    report = check_backend(load("numpy"), rules=[Muon, DeVA])
    assert report.conforms, [r.line for r in report.broken]
    assert sum(r.dtypes.get(dtype, (0, 0))[0] for r in report.results) >= 10
    namespace = check_backend(from_namespace("numpy"), rules=[Muon], laws=[law("purity")])
    assert dtype not in {d for r in namespace.results for d in r.dtypes}


def test_narrow_arithmetic_is_rejected_in_a_narrow_dtype():
    """float16 parameters do not excuse float16 products."""
    declared = replace(FAULTS["tf32"].capabilities, dtypes=("float16",))
    fault = replace(FAULTS["bf16-products"], capabilities=declared)
    result = run_law(law("oracle"), DeVA, Subject("narrow", fault), PROFILES["quick"])
    assert result.broken
