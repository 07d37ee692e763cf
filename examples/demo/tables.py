"""The tables that the program prints at the end."""

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
    show_verdict(result["verdict"], console)
    if "missing" in result["today"]:
        console.print(f"\ntorch.optim.Muon beside optax.contrib.muon: left out ({result['today']['missing']})")
        return
    console.print()
    console.print(today_table(result["today"]))
    console.print(causes_table(result["today"]))


def percent(x: float) -> str:
    return f"{100 * x:.1f} %"


def distance(x: float | None) -> str:
    return "–" if x is None else percent(x) if x >= 1e-3 else f"{x:.1e}"


def rules_table(result: dict[str, Any]) -> Table:
    title = f"{result['dtype']}, {result['steps']} steps of {result['batch']} images, seed {result['seed']}"
    table = Table(title=title, title_justify="left")
    table.add_column("rule")
    table.add_column("framework")
    for heading in ("loss", "test accuracy", "ms per step", "distance\n/ walked"):
        table.add_column(heading, justify="right")
    for rule in result["agreement"]:
        add_rule(table, rule, result)
    return table


def add_rule(table: Table, rule: str, result: dict[str, Any]) -> None:
    runs = [run for run in result["runs"] if run["rule"] == rule]
    for k, run in enumerate(runs):
        shared = (rule, distance(result["agreement"][rule]["largest"])) if k == 0 else ("", "")
        numbers = f"{run['train_loss']:.6f}", percent(run["test_accuracy"]), f"{run['ms_per_step']:.2f}"
        table.add_row(shared[0], FRAMEWORKS[run["framework"]], *numbers, shared[1])
    for name, why in result["missing"].items():
        table.add_row("", f"[dim]{FRAMEWORKS[name]}[/]", f"[dim]{why}[/]", "", "", "")
    table.add_section()


def show_verdict(verdict: dict[str, Any], console: Console) -> None:
    if verdict["worst"] is None:
        console.print("One framework only: nothing to compare.")
    elif not verdict["judged"]:
        console.print("float32: shown, not judged. In float64 the limit is " + f"{verdict['limit']:.0e}.")
    elif verdict["holds"]:
        console.print(f"[green]The frameworks agree:[/] {verdict['worst']:.1e} of the distance walked at most.")
    else:
        console.print(f"[bold red]The frameworks part:[/] {verdict['worst']:.1e}, the limit is {verdict['limit']:.0e}.")


def today_table(today: dict[str, Any]) -> Table:
    curve = today["trained"]["curve"]
    table = Table(
        title="What people have today, with the same hyperparameters on the same layers", title_justify="left"
    )
    table.add_column("optimizer")
    for heading in ("loss", "test accuracy", "ms per step", "distance / walked"):
        table.add_column(heading, justify="right")
    for k, run in enumerate(today["trained"]["runs"]):
        numbers = f"{run['train_loss']:.6f}", percent(run["accuracy"]), f"{run['ms_per_step']:.2f}"
        table.add_row(
            run["framework"],
            *numbers,
            f"{percent(max(curve))} at most" if k == 0 else f"{percent(curve[-1])} at the end",
        )
    return table


def causes_table(today: dict[str, Any]) -> Table:
    table = Table(title="Why they part: given the same gradients, distance / walked", title_justify="left")
    table.add_column("")
    for key, what in {"array": "random gradients", "layer": "gradients of the network"}.items():
        rows, columns = today[key]["shape"]
        table.add_column(f"{rows}×{columns}, {today[key]['gradients']} {what}", justify="right")
    for cause, text in CAUSES.items():
        table.add_row(text, *(distance(today[key][cause]) for key in ("array", "layer")))
    return table
