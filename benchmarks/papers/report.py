"""What the results say, in tables and verdicts: AdaGO, the GPT, the handover. (`trace_report`: DeVA's Figure 2.)"""

from typing import Any

import numpy as np

from benchmarks.papers.journal import Run
from benchmarks.papers.language import CLAIM, COMPARED, TARGETS, best_lr

Result = dict[str, Any]
Rows = list[list[str]]


def chosen(result: Result, **key: Any) -> list[Run]:
    """The runs of this key."""
    return [run for run in result["runs"] if all(run.get(name) == value for name, value in key.items())]


def methods(result: Result) -> list[str]:
    """In the order of the settings."""
    return list(result["settings"]["methods"])


def spread(values: list[float], form: str = ".3g") -> str:
    """Mean and range; of one value, the value.

    Example:
        >>> spread([1.0, 2.0, 3.0]), spread([2.0])
        ('2 (1–3)', '2')
    """
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{np.mean(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def mean_and_error(x: np.ndarray) -> tuple[float, float]:
    """The mean and its standard error."""
    return float(x.mean()), float(x.std(ddof=1) / len(x) ** 0.5)


def signed(pair: tuple[float, float]) -> str:
    """With its error."""
    return f"{pair[0]:+.2f} ± {pair[1]:.2f}"


def judged(pair: tuple[float, float]) -> str:
    """Lower by more than two standard errors, higher by as much, or neither."""
    return "yes" if pair[0] < -2 * pair[1] else "no" if pair[0] > 2 * pair[1] else "not certain"


def minutes(result: Result) -> str:
    """Of a processor, all runs together."""
    return f"{sum(run['seconds'] for run in result['runs']) / 60:.1f}"


# --- AdaGO ------------------------------------------------------------------------------------------------------------

WITHIN = 2.0
"""A learning rate is good whose loss is at most this many times the best's."""


def by_lr(result: Result, task: str, method: str, gamma: float = 10.0) -> dict[float, list[Run]]:
    """Runs over the grid."""
    found: dict[float, list[Run]] = {}
    for run in chosen(result, task=task, method=method, gamma=gamma):
        found.setdefault(run["lr"], []).append(run)
    return found


def level(runs: list[Run]) -> float:
    """Geometric mean over seeds of the last loss."""
    return float(np.exp(np.mean(np.log([run["curve"][-1][2] for run in runs]))))


def levels(result: Result, task: str, method: str) -> dict[float, float]:
    """By learning rate."""
    return {lr: level(runs) for lr, runs in by_lr(result, task, method).items()}


def best(result: Result, task: str, method: str) -> float:
    """The learning rate of the lowest loss."""
    found = levels(result, task, method)
    return min(found, key=lambda lr: found[lr])


def good(result: Result, task: str, method: str) -> list[float]:
    """Learning rates near the method's own best."""
    found = levels(result, task, method)
    return [lr for lr, loss in found.items() if loss <= WITHIN * min(found.values())]


ADAGO_HEAD = [
    "task",
    "method",
    "best lr",
    "loss there",
    "read rightly",
    "lr within 2 × of it",
    "a tenth of the lr",
    "ten times the lr",
]


def adago_rows(result: Result) -> Rows:
    """Each method at its best, and how many learning rates are about as good."""
    rows = []
    for task in ("regression", "digits"):
        for method in methods(result):
            lr = best(result, task, method)
            runs = by_lr(result, task, method)[lr]
            ends = [run["curve"][-1] for run in runs]
            right = spread([100 * end[3] for end in ends], ".1f") + " %" if task == "digits" else "–"
            near = ", ".join(f"{x:g}" for x in good(result, task, method))
            off = [f"{factor:.3g} ×" for factor in decade_off(result, task, method)]
            rows.append([task, method, f"{lr:g}", spread([end[2] for end in ends]), right, near, *off])
    return rows


def decade_off(result: Result, task: str, method: str) -> list[float]:
    """Losses a decade, or at most the grid's end, below and above the best learning rate, over the loss there."""
    found = levels(result, task, method)
    lrs = list(found)
    k = lrs.index(best(result, task, method))
    return [found[lrs[j]] / found[lrs[k]] for j in (max(k - 2, 0), min(k + 2, len(lrs) - 1))]


GAMMA_HEAD = ["task", "lr", "γ", "loss", "over that of γ = 10"]


def gamma_rows(result: Result) -> Rows:
    """AdaGO at its best learning rate, by γ."""
    rows = []
    for task in ("regression", "digits"):
        lr = best(result, task, "AdaGO")
        by_gamma: dict[float, list[Run]] = {}
        for run in chosen(result, task=task, method="AdaGO", lr=lr):
            by_gamma.setdefault(run["gamma"], []).append(run)
        for gamma, runs in sorted(by_gamma.items()):
            ends = [run["curve"][-1][2] for run in runs]
            rows.append([task, f"{lr:g}", f"{gamma:g}", spread(ends), f"{level(runs) / level(by_gamma[10.0]):.2f}"])
    return rows


def adago_verdicts(result: Result) -> Rows:
    """The claims of the abstract, and of summaries of the paper."""
    rows = []
    for task in ("regression", "digits"):
        for rival in ("Muon", "Adam"):
            pair = mean_and_error(last_logs(result, task, "AdaGO") - last_logs(result, task, rival))
            measured = f"log ratio of losses, each at its best lr, {signed(pair)}"
            rows.append(["AdaGO", f"it ends lower than {rival}, {task}", measured, judged(pair)])
        worst = {m: max(decade_off(result, task, m)) for m in methods(result)}
        measured = ", ".join(f"{m} {factor:.0f} ×" for m, factor in worst.items())
        claim = f"it minds a wrong lr least, {task}"
        words = f"loss a decade off the best lr: {measured}"
        rows.append(["AdaGO", claim, words, yes(worst["AdaGO"] == min(worst.values()))])
    factors = [float(row[-1]) for row in gamma_rows(result)]
    words = f"γ over four decades moves the loss by {min(factors):.2f} to {max(factors):.2f} ×"
    rows.append(["AdaGO", "it is not sensitive to γ", words, yes(max(factors) <= WITHIN)])
    return rows


def last_logs(result: Result, task: str, method: str) -> np.ndarray:
    """Logarithms of the losses at the best learning rate, by seed."""
    runs = by_lr(result, task, method)[best(result, task, method)]
    return np.log([run["curve"][-1][2] for run in sorted(runs, key=lambda run: run["seed"])])


def yes(agrees: bool) -> str:
    """A verdict."""
    return "yes" if agrees else "no"


# --- the GPT ----------------------------------------------------------------------------------------------------------


def searched(result: Result, method: str) -> list[Run]:
    """The runs of the search."""
    return chosen(result, method=method, seed=result["runs"][0]["seed"])


SEARCH_HEAD = ["method", "held-out loss after the search, by lr"]


def search_rows(result: Result) -> Rows:
    """Learning rates tried."""
    rows = []
    for method in methods(result):
        runs = sorted(searched(result, method), key=lambda run: run["lr"])
        rows.append([method, " · ".join(f"{run['lr']:g}: {run['curve'][-1][2]:.3f}" for run in runs)])
    return rows


def finals(result: Result, method: str) -> dict[int, Run]:
    """The runs at the best learning rate, by seed."""
    if not chosen(result, method=method):
        return {}  # an unfinished result
    return {run["seed"]: run for run in chosen(result, method=method, lr=best_lr(result["runs"], method))}


def reached(run: Run, target: float) -> tuple[float, float] | None:
    """The step and the processor seconds at which a loss is first reached, between evaluations linearly.

    Example:
        >>> reached({"curve": [[10, 1.0, 3.0], [20, 2.0, 2.0], [30, 3.0, 1.0]]}, 1.5)
        (25.0, 2.5)
    """
    curve = np.array(run["curve"])
    below = np.flatnonzero(curve[:, 2] <= target)
    if not len(below):
        return None
    k = below[0]
    if not k:
        return float(curve[0, 0]), float(curve[0, 1])
    (step0, time0, loss0), (step1, time1, loss1) = curve[k - 1], curve[k]
    share = (loss0 - target) / (loss0 - loss1)
    return float(step0 + share * (step1 - step0)), float(time0 + share * (time1 - time0))


def shares(result: Result, method: str, target: str) -> list[tuple[float, float]]:
    """Steps and time to the target's final loss over the target's own, seed by seed; infinite where it is not reached."""
    found, runs = [], finals(result, method)
    for seed, goal in finals(result, target).items():
        if seed in runs:
            loss = goal["curve"][-1][2]
            own, at = (reached(run, loss) or (np.inf, np.inf) for run in (goal, runs[seed]))
            found.append((at[0] / own[0], at[1] / own[1]))
    return found


def percent(values: list[float]) -> str:
    """Mean and range, and how often it was reached at all."""
    known = [100 * value for value in values if np.isfinite(value)]
    if not known:
        return "not reached"
    some = "" if len(known) == len(values) else f", {len(known)} of {len(values)} seeds"
    return f"{spread(known, '.0f')} %{some}"


def best_words(result: Result, method: str) -> str:
    """The best learning rate, and whether there was none beyond it."""
    tried = [run["lr"] for run in searched(result, method)]
    lr = best_lr(result["runs"], method)
    return f"{lr:g}" + (", the grid's end" if len(tried) > 1 and lr in (min(tried), max(tried)) else "")


LANGUAGE_HEAD = ["method", "lr", "seeds", "held-out loss", "ms a step"] + [
    f"{what} to {target}'s loss" for target in TARGETS for what in ("tokens", "time")
]


def language_rows(result: Result) -> Rows:
    """Each method at its best learning rate, over seeds."""
    rows = []
    for method in methods(result):
        runs = list(finals(result, method).values())
        if runs:
            ends = [run["curve"][-1] for run in runs]
            cells = [best_words(result, method), str(len(runs)), spread([end[2] for end in ends], ".3f")]
            cells.append(spread([1e3 * end[1] / end[0] for end in ends], ".0f"))
            for target in TARGETS:
                found = shares(result, method, target)
                cells += [percent([step for step, _ in found]), percent([time for _, time in found])]
            rows.append([method, *cells])
    return rows


def saved(result: Result) -> list[float]:
    """Per cent of the rival's tokens, seed by seed; minus infinity where its loss is not reached."""
    rival, own = COMPARED
    return [100 * (1 - step) for step, _ in shares(result, own, rival)]


def language_verdicts(result: Result) -> Rows:
    """DeVA's claim of tokens, at our scale."""
    rival, own = COMPARED
    claim, found = f"{own} needs {CLAIM} % fewer tokens than {rival}", saved(result)
    if len(found) < 2:
        return [[own, claim, "–", "not run"]]
    low, high = interval(counted(found))
    each = ", ".join("not reached" if x == -np.inf else f"{x:.1f}" for x in found)
    words = f"{np.mean(counted(found)):.1f} % fewer ({low:.1f} to {high:.1f}); seed by seed: {each}"
    return [[own, claim, words, claimed(found)]]


FORMS_HEAD = ["width, layers, steps", "parameters", "best lr of Muon, DeVA", "tokens saved", "seen", "minutes"]


def forms_rows(forms: list[Result]) -> Rows:
    """The claim at each size; minutes are of the two methods that it compares."""
    rows = []
    for result in forms:
        of, low_high = result["settings"], interval(counted(saved(result)))
        size = ", ".join(str(of[name]) for name in ("width", "layers", "steps"))
        lrs = "; ".join(best_words(result, method) for method in COMPARED)
        words = f"{np.mean(counted(saved(result))):.1f} % ({low_high[0]:.1f} to {low_high[1]:.1f})"
        seconds = sum(run["seconds"] for method in COMPARED for run in chosen(result, method=method))
        parameters = f"{of['parameters']:,}".replace(",", " ")
        rows.append([size, parameters, lrs, words, claimed(saved(result)), f"{seconds / 60:.1f}"])
    return rows


def counted(found: list[float]) -> list[float]:
    """A seed that does not reach the loss has saved nothing: zero flatters it."""
    return [0.0 if x == -np.inf else x for x in found]


def interval(values: list[float]) -> tuple[float, float]:
    """Student's, of the mean, 95 %.

    Example:
        >>> low, high = interval([1.0, 2.0, 3.0])
        >>> round(low, 2), round(high, 2)
        (-0.48, 4.48)
    """
    from scipy.stats import t

    mean, error = mean_and_error(np.array(values))
    reach = float(t.ppf(0.975, len(values) - 1)) * error
    return mean - reach, mean + reach


def claimed(found: list[float]) -> str:
    """Whether all of the interval is on one side of the claim. A seed that does not reach the loss bars a yes.

    Example:
        >>> claimed([12.0, 14.0, 13.0]), claimed([1.0, 2.0, 1.0]), claimed([1.0, 20.0, 10.0])
        ('yes', 'no', 'not certain')
        >>> claimed([30.0, 30.0, 30.0, 30.0, -np.inf])
        'not certain'
    """
    low, high = interval(counted(found))
    if high < CLAIM:
        return "no"
    return "yes" if low >= CLAIM and -np.inf not in found else "not certain"


# --- the handover -----------------------------------------------------------------------------------------------------

HANDOVER_HEAD = ["rule", "dtype", "largest difference of losses", "parameters apart, over the distance walked"]


def handover_rows(result: Result) -> Rows:
    """How far both runs part."""
    return [[r["rule"], r["dtype"], f"{r['loss_apart']:.1g}", f"{r['apart']:.1g}"] for r in result["runs"]]


def handover_verdicts(result: Result) -> Rows:
    """In float64, where half of the digits are far more than rounding takes."""
    rows = []
    for run in chosen(result, dtype="float64"):
        words = f"parameters apart by {run['apart']:.1g} of the distance walked, in float64"
        claim = f"a run that moves from torch to JAX is the same run, {run['rule']}"
        rows.append(["ours", claim, words, yes(run["apart"] < np.finfo(np.float64).eps ** 0.5)])
    return rows
