"""The tables that the program prints at the end."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FRAMEWORKS = {"numpy": "NumPy", "torch": "PyTorch", "jax": "JAX"}
CAUSES = {
    "same array": "the same array handed to both",
    "same layer": "the same layer, own layouts",
    "orientation": "· alone: which axis is the output",
    "bfloat16": "· alone: torch's bfloat16 cast",
    "nesterov": "· alone: optax's bias correction",
    "eps": "· alone: the eps beside the norm",
    "none left": "all four removed",
    "ours": "deva_torch and deva_jax",
}


def show(result: dict[str, Any], console: Console) -> None:
    console.print()
    console.print(rules_table(result))
    show_distances(result["agreement"], console)
    if "missing" in result["today"]:
        console.print(f"\ntorch.optim.Muon beside optax.contrib.muon: left out ({result['today']['missing']})")
        return
    console.print()
    console.print(today_table(result["today"]))
    curve = result["today"]["trained"]["curve"]
    console.print(
        f"Between the two: {percent(max(curve))} of the distance walked at most, {percent(curve[-1])} at the end."
    )
    console.print()
    console.print(causes_table(result["today"]))


def percent(x: float) -> str:
    return f"{100 * x:.1f} %"


def distance(x: float | None) -> str:
    return "–" if x is None else percent(x) if x >= 1e-3 else f"{x:.1e}"


def rules_table(result: dict[str, Any]) -> Table:
    title = f"{result['dtype']}, {result['steps']} steps of {result['batch']} images, seed {result['seed']}"
    table = Table(title=title, title_justify="left")
    for heading in ("rule", "framework"):
        table.add_column(heading, no_wrap=True)
    add_numbers(table)
    for rule in result["agreement"]:
        add_rule(table, rule, result)
    return table


def add_numbers(table: Table) -> None:
    for heading in ("loss", "test accuracy", "ms per step"):
        table.add_column(heading, justify="right", no_wrap=True)


def add_rule(table: Table, rule: str, result: dict[str, Any]) -> None:
    runs = [run for run in result["runs"] if run["rule"] == rule]
    for k, run in enumerate(runs):
        numbers = f"{run['train_loss']:.6f}", percent(run["test_accuracy"]), f"{run['ms_per_step']:.2f}"
        table.add_row("" if k else rule, FRAMEWORKS[run["framework"]], *numbers)
    for name, why in result["missing"].items():
        table.add_row("", f"[dim]{FRAMEWORKS[name]}[/]", f"[dim]{why}[/]", "", "")
    table.add_section()


def show_distances(agreement: dict[str, Any], console: Console) -> None:
    """What belongs to all frameworks together stands under the table, not in one framework's row."""
    largest = {rule: entry["largest"] for rule, entry in agreement.items() if entry["largest"] is not None}
    if largest:
        console.print("Largest distance between any two frameworks, relative to the distance walked:")
        console.print("  " + ", ".join(f"{rule} {distance(x)}" for rule, x in largest.items()))


def today_table(today: dict[str, Any]) -> Table:
    title = "What people have today, with the same hyperparameters on the same layers"
    table = Table(title=title, title_justify="left")
    table.add_column("optimizer", no_wrap=True)
    add_numbers(table)
    for run in today["trained"]["runs"]:
        numbers = f"{run['train_loss']:.6f}", percent(run["accuracy"]), f"{run['ms_per_step']:.2f}"
        table.add_row(run["framework"], *numbers)
    return table


def causes_table(today: dict[str, Any]) -> Table:
    title = "Why they part: distance / distance walked, both given the same gradients"
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for key, (what, of) in {"array": ("an array", "random"), "layer": ("a layer", "own")}.items():
        rows, columns = today[key]["shape"]
        heading = f"{what}, {rows}×{columns},\n{today[key]['gradients']} {of} gradients"
        table.add_column(heading, justify="right", no_wrap=True)
    for cause, text in CAUSES.items():
        table.add_row(text, *(distance(today[key][cause]) for key in ("array", "layer")))
    return table


def show_end(result: dict[str, Any], page: Path, console: Console) -> None:
    """What was seen, and where to look."""
    console.print("\n[bold]What was seen[/]")
    for line in (verdict_line(result["verdict"]), *predictions_line(result), *today_line(result["today"])):
        console.print(f"  {line}", highlight=False)
    console.print("[bold]Where to look[/]")
    console.print(f"  {page}: the report; open it in a browser", highlight=False, soft_wrap=True)
    console.print(f"  {page.with_suffix('.json')}: every number", highlight=False, soft_wrap=True)
    console.print(f"This took {result['seconds']:.0f} s.", highlight=False)


def verdict_line(verdict: dict[str, Any]) -> str:
    if verdict["worst"] is None:
        return "One framework only: nothing to compare."
    if not verdict["judged"]:
        return f"float32: shown, not judged. In float64 the limit is {verdict['limit']:.0e}."
    numbers = f"{verdict['worst']:.1e} of the distance walked at most, limit {verdict['limit']:.0e}"
    if verdict["holds"]:
        return f"[green]The frameworks agree:[/] {numbers}."
    return f"[bold red]The frameworks part:[/] {numbers}."


def predictions_line(result: dict[str, Any]) -> list[str]:
    if len({run["framework"] for run in result["runs"]}) < 2:
        return []
    same = min(entry["same_predictions"] for entry in result["agreement"].values())
    images = next(iter(result["agreement"].values()))["test_images"]
    return [f"They give the same answer on {same} of {images} test images, whichever the rule."]


def today_line(today: dict[str, Any]) -> list[str]:
    if "missing" in today:
        return []
    return [f"torch.optim.Muon and optax.contrib.muon part by up to {percent(max(today['trained']['curve']))} of it."]
