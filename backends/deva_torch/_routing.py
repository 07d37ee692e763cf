"""Param groups by module type: which rule each parameter of a model gets, and how it forms a matrix."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from deva_core.layout import Layout
from deva_core.lookup import Route, layout_lookup
from deva_core.messages import a, answered, brief, nearest
from deva_torch._parameters import torch_layout

MATRICES, EMBEDDINGS, HEADS, VECTORS = ROLES = "matrices", "embeddings", "heads", "vectors"
"""The groups. A tied parameter that is an embedding anywhere is an embedding; else, if a head anywhere, a head."""

Verdict = tuple[str, Any, str]
"""A parameter's role, its layout and the reason."""

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)
EMBEDDING_NAME = re.compile("embed|token|position|relative|(^|_)pos(_|$)", re.IGNORECASE)
"""Names of parameters without a telling module type: positions, class tokens and tables of them."""

HEAD = {"head", "lm_head", "classifier", "score", "qa_outputs", "unembed", "unembedding", "embed_out"}
TOP_HEAD = {"fc", "output", "logits", "decoder", "output_projection"}
"""Names of output heads: of any module, and of linear modules directly in the model."""

WRAPPERS = re.compile(r"^((module|_orig_mod|_fsdp_wrapped_module)\.)+")


@dataclass(frozen=True)
class Home:
    """A place of a parameter: its module, its name there, and its name in the model."""

    module: nn.Module
    attribute: str
    name: str

    @property
    def kind(self) -> str:
        """The module's type."""
        return type(self.module).__name__


@answered("deva_torch.param_groups")
def param_groups(
    model: nn.Module, *, layout: Any = None, heads: Iterable[str] | None = None, decay_vectors: bool = False
) -> list[dict[str, Any]]:
    """The param groups of a model, by module type, for any optimizer of this package.

    Returns up to four groups, named under `"name"`, in this order and without empty ones: `"matrices"` go to the matrix rule,
    each with its layout; `"embeddings"` and `"heads"` are matrices for the vector rule; `"vectors"` are biases, norms and all
    other parameters, without weight decay. You may set `"lr"`, `"weight_decay"` or `"rule"` in a group before you pass it on.
    A tied weight appears once. Frozen parameters are left out.

    Args:
        model: any module.
        layout: layouts for parameters whose module type does not decide, or to override it: a mapping by name, in which
            `*` stands for any characters, or a function of name and shape. `"vector"` hands a parameter to the vector rule.
        heads: names of the output heads' modules or parameters, `*` allowed. The default is what
            `model.get_output_embeddings()` returns, the model's last linear module if it has as many outputs as an
            embedding has entries, and the last one in a module named `head`, `lm_head`, `classifier`, …
            (docs/routing.md).
        decay_vectors: whether biases and norms decay too.

    Raises:
        ValueError: a parameter needs a layout, a name does not exist, or a lazy module has not been run.
        TypeError: `model` is not a module, or `heads` are not names.

    Example:
        >>> import torch
        >>> from deva_torch import Muon, param_groups
        >>> model = torch.nn.Sequential(torch.nn.Embedding(10, 4), torch.nn.Linear(4, 8), torch.nn.Linear(8, 10))
        >>> print(Muon(param_groups(model), lr=0.02).explain())
        parameter  shape  layout  rule   lr    ratio  lr×ratio  factor  step   decay  why
        1.weight   8×4    out in  Muon   0.02  -      0.02      1.41    0.01   0      Linear
        0.weight   10×4   -       AdamW  0.02  0.2    0.004     -       0.004  0.01   Embedding
        2.weight   10×8   -       AdamW  0.02  0.2    0.004     -       0.004  0.01   output head: the last Linear, vocabulary-sized
        1.bias     8      -       AdamW  0.02  0.2    0.004     -       0.004  0      not a matrix
        2.bias     10     -       AdamW  0.02  0.2    0.004     -       0.004  0      not a matrix
    """  # noqa: E501 - the table's own width
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"deva_torch.param_groups routes parameters by module type: give the model itself, "
            f"got {a(type(model).__name__) if not isinstance(model, type) else brief(model)}"
        )
    homes = homes_of(model)
    names = {p: found[0].name for p, found in homes.items()}
    said = layout_lookup(layout, [home.name for found in homes.values() for home in found])
    outputs = output_heads(model, heads)
    members: dict[str, list[tuple[str, nn.Parameter]]] = {role: [] for role in ROLES}
    layouts: dict[str, Route] = {}
    for p, found in homes.items():
        role, chosen, why = verdict(p, found, said, outputs)
        members[role].append((names[p], p))
        layouts[names[p]] = Route(chosen, why)
    return [group_of(role, params, layouts, decay_vectors) for role, params in members.items() if params]


def group_of(role: str, params: list, layouts: dict[str, Route], decay_vectors: bool) -> dict[str, Any]:
    """One param group."""
    group = {"name": role, "params": params, "layout": {name: layouts[name] for name, _ in params}}
    return group | ({} if role != VECTORS or decay_vectors else {"weight_decay": 0.0})


def homes_of(model: nn.Module) -> dict[nn.Parameter, list[Home]]:
    """Every trained parameter with all its places; the first one names it."""
    homes: dict[nn.Parameter, list[Home]] = {}
    modules = dict(model.named_modules())
    for name, p in model.named_parameters(remove_duplicate=False):
        if isinstance(p, nn.parameter.UninitializedParameter):
            raise ValueError(f"parameter {name!r} has no shape yet: run the model once before")
        if p.requires_grad:
            path, _, attribute = name.rpartition(".")
            owner, parametrized, tensor = path.rpartition("parametrizations.")
            if parametrized:  # of `conv.parametrizations.weight.original1` the owner is `conv`
                path, attribute = owner.removesuffix("."), tensor
            homes.setdefault(p, []).append(Home(modules[path], attribute, name))
    return homes


def verdict(p: nn.Parameter, homes: list[Home], said: Callable, outputs: dict[nn.Module, str]) -> Verdict:
    """A parameter's role: the user's choice; otherwise embedding or head if any of its places says so."""
    shape = tuple(p.shape)
    given = next((g for g in (said(home.name, shape) for home in homes) if g is not None), None)
    if given is not None:
        chosen, why = (given.layout, given.why) if isinstance(given, Route) else (given, "layout given")
        return (MATRICES if chosen != "vector" else EMBEDDINGS if len(shape) > 1 else VECTORS), chosen, why
    verdicts = [by_type(home, shape, outputs) for home in homes]
    role, chosen, why = next((v for role in (EMBEDDINGS, HEADS) for v in verdicts if v[0] == role), verdicts[0])
    tied = f", tied to {', '.join(home.name for home in homes[1:])}" if len(homes) > 1 else ""
    return role, chosen, why + tied


def by_type(home: Home, shape: tuple[int, ...], outputs: dict[nn.Module, str]) -> Verdict:
    """A parameter's role by its module's type."""
    module, kind = home.module, home.kind
    if isinstance(module, NORMS):
        return VECTORS, "vector", f"{kind}: not a matrix"
    if sum(n > 1 for n in shape) < 2 or "bias" in home.attribute:
        return VECTORS, "vector", "not a matrix"
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return EMBEDDINGS, "vector", kind
    if module in outputs:
        return HEADS, "vector", f"output head: {outputs[module]}"
    if isinstance(module, nn.modules.conv._ConvNd):
        return convolution(module, kind)
    pattern = matrix_of(module, home.attribute)
    if pattern is not None:
        return MATRICES, pattern, kind
    if EMBEDDING_NAME.search(home.attribute):
        return EMBEDDINGS, "vector", "named like an embedding"
    return by_convention(home, shape)


def matrix_of(module: nn.Module, attribute: str) -> str | None:
    """The pattern of a matrix in a module whose type determines how it is stored."""
    if isinstance(module, nn.MultiheadAttention):
        return "(q k v) in" if attribute == "in_proj_weight" else "out in"
    if attribute.startswith(("weight_ih", "weight_hh")) and isinstance(module, nn.LSTM | nn.LSTMCell):
        return "(i f g o) in"
    if attribute.startswith(("weight_ih", "weight_hh")) and isinstance(module, nn.GRU | nn.GRUCell):
        return "(r z n) in"
    if type(module).__name__ == "Conv1D" and hasattr(module, "nf"):  # transformers' name for a transposed Linear
        return "in out"
    if isinstance(module, nn.Bilinear):
        return "out in in_second"
    return "out in" if isinstance(module, nn.Linear | nn.RNNBase | nn.RNNCellBase) else None


def convolution(module: Any, kind: str) -> Verdict:
    """A convolution: one flattened matrix per group. Depthwise kernels, with one channel per group, go to the vector rule."""
    kernel = " ".join({1: ("k",), 2: ("kh", "kw"), 3: ("kd", "kh", "kw")}[len(module.kernel_size)])
    groups, transposed = module.groups, module.transposed
    if groups > 1 and groups in (module.in_channels, module.out_channels):
        return VECTORS, "vector", f"{kind}: depthwise"
    if groups == 1:
        return MATRICES, f"in out {kernel}" if transposed else f"out in {kernel}", kind
    pattern = f"(batch in) out {kernel}" if transposed else f"(batch out) in {kernel}"
    return MATRICES, Layout(pattern, batch=groups), f"{kind}: {groups} groups"


def by_convention(home: Home, shape: tuple[int, ...]) -> Verdict:
    """The role of a parameter whose module type is unknown: a matrix if it has two axes."""
    pattern, why = torch_layout(home.name, shape)
    return MATRICES, pattern, f"{home.kind}, unknown: {why}"


def output_heads(model: nn.Module, heads: Iterable[str] | None) -> dict[nn.Module, str]:
    """The modules that are output heads, each with the reason."""
    modules = dict(model.named_modules())
    if heads is not None:
        return {modules[path]: "as given" for path in given_heads(modules, heads)}
    linear = {path: module for path, module in modules.items() if isinstance(module, nn.Linear)}
    sizes = {m.num_embeddings for m in modules.values() if isinstance(m, nn.Embedding | nn.EmbeddingBag)}
    found: dict[nn.Module, str] = {
        m: "the last Linear, vocabulary-sized" for m in [*linear.values()][-1:] if m.out_features in sizes
    }
    found |= {linear[path]: f"the last Linear in {parent!r}" for parent, path in last_in_heads(linear)}
    declared = getattr(model, "get_output_embeddings", lambda: None)()
    return found | ({} if declared is None else {declared: "get_output_embeddings()"})


def given_heads(modules: dict[str, nn.Module], heads: Iterable[str]) -> Iterator[str]:
    """The modules that these names of modules or parameters refer to."""
    heads = [heads] if isinstance(heads, str) else list(heads) if isinstance(heads, Iterable) else heads
    if not isinstance(heads, list) or not all(isinstance(head, str) for head in heads):
        raise TypeError(f"heads must be names of modules or parameters, such as ['lm_head'], got {brief(heads)}")
    for head in heads:
        path = head.removesuffix(".weight")
        matching = [known for known in modules if fnmatchcase(known, path)]
        if not matching:
            close = nearest(path, modules)
            hint = f"did you mean {close!r}?" if close else f"the last is {list(modules)[-1]!r}"
            raise ValueError(f"heads names a module {head!r} that does not exist; {hint}")
        yield from matching


def last_in_heads(linear: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The last linear module in each module with a head's name."""
    last: dict[str, str] = {}
    for path in linear:
        parts = WRAPPERS.sub("", path).split(".")
        known = HEAD | TOP_HEAD if len(parts) == 1 else HEAD
        named = next((k for k, part in enumerate(parts) if part in known), None)
        if named is not None:
            last[".".join(parts[: named + 1])] = path
    return iter(last.items())
