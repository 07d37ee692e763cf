"""optax jobs move in and out, and land where they would have landed: live optax.contrib.muon and optax.adamw, x64."""

import functools
import itertools

import numpy as np
import pytest

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

import jax.numpy as jnp  # noqa: E402

from deva_core import AdaGO, AdamW, Muon  # noqa: E402
from deva_jax import export_state as moved_out  # noqa: E402
from deva_jax import import_state, transform  # noqa: E402
from tests.gradients import stream  # noqa: E402
from tests.test_live_peers import LR, SHAPES, STEPS  # noqa: E402

HALF = 5
CASES = list(itertools.product([False, True], [0.0, 0.1]))


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def initial():
    r = np.random.default_rng(3)
    return {"kernels": {name: r.normal(size=shape) for name, shape in SHAPES.items()}, "bias": r.normal(size=4)}


def gradients():
    streams = {name: stream("full rank", shape, STEPS, seed=5) for name, shape in SHAPES.items()}
    return [
        {"kernels": {name: G[t] for name, G in streams.items()}, "bias": np.cos(np.arange(4.0) + t)}
        for t in range(STEPS)
    ]


def walk(optimizer, params, state, gradients):
    update = jax.jit(optimizer.update)
    for grads in gradients:
        updates, state = update(grads, state, params)
        params = optax.apply_updates(params, updates)
    return params, state


def peer_of(nesterov, decay):
    return optax.contrib.muon(
        LR, weight_decay=decay, nesterov=nesterov, adam_learning_rate=1e-3, adam_weight_decay=0.01
    )


def ours_of(nesterov, decay):
    """Its Adam half is AdamW's with optax's defaults; with Nesterov it is another algorithm, which no rule here is."""
    return transform(Muon.dialect("optax", lr=LR, weight_decay=decay, nesterov=nesterov), vector_rule=AdamW(lr=1e-3))


@functools.cache
def optax_trajectory(nesterov, decay):
    """The peer after five steps, with its state, and after twelve."""
    peer = peer_of(nesterov, decay)
    half, state = walk(peer, initial(), peer.init(initial()), gradients()[:HALF])
    return half, state, walk(peer, half, state, gradients()[HALF:])[0]


def near(params, expected, start, bias=True):
    """The bias too, unless the two run different algorithms on it."""
    flat = [jax.tree_util.tree_leaves_with_path(tree) for tree in (params, expected, start)]
    assert len(flat[1]) == len(SHAPES) + 1
    for (path, W), (_, V), (_, first) in zip(*flat, strict=True):
        if bias or "bias" not in str(path):
            assert np.linalg.norm(W - V) <= 1e-9 * np.linalg.norm(V - first), path


@pytest.mark.parametrize(("nesterov", "decay"), CASES)
def test_a_running_optax_muon_goes_on_here_and_lands_where_it_would_have(nesterov, decay):
    half, peer_state, end = optax_trajectory(nesterov, decay)
    ours = ours_of(nesterov, decay)
    state = import_state(ours, half, peer_state)
    assert (int(state.count), int(state.slots["bias"].step)) == (HALF, HALF)
    near(walk(ours, half, state, gradients()[HALF:])[0], end, half, bias=not nesterov)


@pytest.mark.parametrize(("nesterov", "decay"), CASES)
def test_a_running_job_goes_on_in_optax_muon_and_lands_where_it_would_have(nesterov, decay):
    """And a state that came in goes out as it was."""
    theirs, peer_state, end = optax_trajectory(nesterov, decay)
    ours, peer = ours_of(nesterov, decay), peer_of(nesterov, decay)
    half, state = walk(ours, initial(), ours.init(initial()), gradients()[:HALF])
    moved = moved_out(ours, half, state, peer.init(half))
    near(walk(peer, half, moved, gradients()[HALF:])[0], end, theirs, bias=not nesterov)
    again = moved_out(ours, theirs, import_state(ours, theirs, peer_state), peer.init(theirs))
    assert jax.tree.structure(again) == jax.tree.structure(peer_state)
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x, y, strict=True), again, peer_state)


def test_orientation_is_the_layouts():
    """A momentum moves as it is stored; ours, always (out, in), is its transpose."""
    params = {"kernel": jnp.zeros((2, 3))}
    peer, ours = optax.contrib.muon(LR), transform(Muon.dialect("optax"))
    _, peer_state = peer.update({"kernel": jnp.arange(6.0).reshape(2, 3)}, peer.init(params), params)
    momentum = import_state(ours, params, peer_state).slots["kernel"].state.momentum
    np.testing.assert_allclose(momentum, 0.05 * np.arange(6.0).reshape(2, 3).T)


def test_schedules_on_both_sides_go_on_at_the_step_that_was_reached():
    schedule = optax.linear_schedule(LR, 0.0, STEPS)
    peer = optax.chain(optax.clip_by_global_norm(1e9), optax.contrib.muon(schedule))
    ours = transform(Muon.dialect("optax", lr=schedule), vector_rule=AdamW(weight_decay=0.0))
    params, grads = initial()["kernels"], [G["kernels"] for G in gradients()]
    half, state = walk(peer, params, peer.init(params), grads[:HALF])
    end = walk(peer, half, state, grads[HALF:])[0]
    moved_in, moved_back = import_state(ours, half, state), peer.init(half)
    for W, V in zip(walk(ours, half, moved_in, grads[HALF:])[0].values(), end.values(), strict=True):
        np.testing.assert_allclose(W, V, atol=1e-10)
    moved_back = moved_out(ours, half, moved_in, moved_back)
    for W, V in zip(walk(peer, half, moved_back, grads[HALF:])[0].values(), end.values(), strict=True):
        np.testing.assert_array_equal(W, V)


@pytest.mark.parametrize("peer", [optax.adamw, optax.adam], ids=["adamw", "adam"])
def test_adamw_becomes_muon_for_matrices_and_stays_adamw_for_the_rest(peer):
    """With Muon's β the momentum is Muon's own."""
    peer = peer(1e-3, b1=0.95)
    half, peer_state = walk(peer, initial(), peer.init(initial()), gradients()[:HALF])
    ours = transform(Muon(), vector_rule=AdamW(beta1=0.95))
    state = import_state(ours, half, peer_state, "adamw", beta1=0.95)
    _, own = walk(ours, initial(), ours.init(initial()), gradients()[:HALF])
    for x, y in zip(jax.tree.leaves(state), jax.tree.leaves(own), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-16)


def test_adamw_takes_over_from_optax_and_back():
    peer, ours = optax.adamw(1e-3, weight_decay=0.1), transform(AdamW(lr=1e-3, weight_decay=0.1))
    half, peer_state = walk(peer, initial(), peer.init(initial()), gradients()[:HALF])
    end = walk(peer, half, peer_state, gradients()[HALF:])[0]
    state = import_state(ours, half, peer_state, "adamw")
    near(walk(ours, half, state, gradients()[HALF:])[0], end, half)
    back = moved_out(ours, half, state, peer.init(half), "adamw")
    near(walk(peer, half, back, gradients()[HALF:])[0], end, half)


PARAMS = {"kernel": np.ones((2, 3)), "bias": np.ones(3)}


def muon_state(params=PARAMS):
    peer = optax.contrib.muon(LR)
    return peer.update(params, peer.init(params), params)[1]


REFUSED = {
    "other leaves": (Muon(), muon_state, {}, {"kernels": {"x": np.ones((2, 3))}}, r"has state of \['bias', 'kernel'\]"),
    "another shape": (
        Muon(),
        muon_state,
        {},
        PARAMS | {"kernel": np.ones((3, 2))},
        r"mu of 'kernel' has shape \(2, 3\)",
    ),
    "another half": (
        AdamW(),
        muon_state,
        {},
        PARAMS,
        r"'kernel' has the fields \['count', 'mu'\], but AdamW needs",
    ),
    "no place for it": (
        AdaGO(),
        muon_state,
        {},
        PARAMS,
        "'kernel' is optimised by AdaGO, but 'optax' holds no such",
    ),
    "no moments": (Muon(), lambda: optax.sgd(0.1).init(PARAMS), {}, PARAMS, "holds no moments"),
    "twice": (Muon(), lambda: (muon_state(), muon_state()), {}, PARAMS, "mu of 'bias' twice"),
    "no such source": (Muon(), muon_state, {"source": "keras"}, PARAMS, "source must be one of 'optax', 'adamw', got"),
    "an average of unknown age": (
        Muon(),
        lambda: optax.adam(0.1).update(PARAMS, optax.adam(0.1).init(PARAMS))[1],
        {"source": "adamw"},
        PARAMS,
        "to convert its average, give its betas",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused_with_the_difference(what):
    rule, make, keywords, params, message = REFUSED[what]
    with pytest.raises(ValueError, match=message):
        import_state(transform(rule), params, make(), **keywords)


def test_what_optax_cannot_hold_is_refused():
    ours = transform(Muon())
    state = ours.init(PARAMS)
    with pytest.raises(ValueError, match="'kernel' cannot move from Muon to 'adamw': its second moment"):
        moved_out(ours, PARAMS, state, optax.adamw(0.1).init(PARAMS), "adamw")
    with pytest.raises(ValueError, match="the peer's state has mu of 'other', which is not a parameter here"):
        moved_out(ours, PARAMS, state, optax.contrib.muon(0.1).init({"other": np.ones((2, 3))}))
    with pytest.raises(ValueError, match="the peer keeps nu of 'kernel', but Muon does not"):
        moved_out(ours, PARAMS, state, optax.adamw(0.1).init({"kernel": PARAMS["kernel"]}))
    two = {"a": np.ones((2, 3)), "b": np.ones((2, 3))}
    _, state = ours.update({"a": two["a"], "b": None}, ours.init(two), two)
    with pytest.raises(ValueError, match=r"one count for all leaves, but here they made \[0, 1\] steps"):
        moved_out(ours, two, state, optax.contrib.muon(0.1).init(two))
