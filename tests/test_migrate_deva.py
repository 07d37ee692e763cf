"""DeVA moves in from its authors' classes and from SOAP.

Those classes are not installable, so their state is built by `authors_state`: a NumPy reimplementation of the state that
they keep, ours, from their description (docs/moving.md). Where a job goes after moving is measured against recordings
of the authors' own classes (tests/golden).
"""

from pathlib import Path

import numpy as np
import pytest

from deva_core import Backend, DeVA, DeVAVector, Muon, Optimizer
from deva_core.eager import OptimizerState, Slot
from deva_core.migrate import Peer, export_fields, import_fields
from deva_core.parameter import fields

GOLDEN = Path(__file__).parent / "golden"
RULE = dict(lr=1e-2, weight_decay=0.1, beta1=0.95, beta2=0.95, precondition_frequency=5)
RECORDED = {
    "authors": ("deva_sinf", "DeVASchattenNorm"),
    "authors-sign": ("deva_sinf_sign", "DeVASchattenNormSignStablization"),
    "authors-instant": ("deva_sinf_instant", "DeVASchattenNormIns"),
    "authors-factored": ("deva_sinf_factored", "DeVASchattenNormEfficient"),
}
MOVED_AT = 8


def norms(X):
    return np.linalg.norm(X, axis=1, keepdims=True), np.linalg.norm(X, axis=0, keepdims=True)


def second_moments(kind, V, g, M, β=0.95):
    """Moments after one step: the list of marginals, or one matrix in a list."""
    r, c = norms(g)
    if kind == "authors-factored":
        return [β * v + (1 - β) * new**2 for v, new in zip(V, (r, c), strict=True)]
    r, c = (r, c) if kind == "authors-instant" else norms(M)
    return [β * V[0] + (1 - β) * (g * g if kind == "soap" else r * c)]


def refreshed(C, Q, V, axis):
    """A basis one power step on, and the second moments in the order of its columns."""
    order = np.argsort(-np.diag(Q.T @ C @ Q), kind="stable")
    V = [np.take(v, order, axis) if v.shape[axis] > 1 else v for v in V]
    return np.linalg.qr(C @ Q[:, order])[0], V


def authors_state(kind, gradients, β=0.95, frequency=5):
    """What the class holds after these calls. Ours: a reimplementation of the state's format, for tests."""
    m, n = gradients[0].shape
    L, R, M, step, Q = np.zeros((m, m)), np.zeros((n, n)), np.zeros((m, n)), 0, None
    V = [np.zeros((m, 1)), np.zeros((1, n))] if kind == "authors-factored" else [np.zeros((m, n))]
    for G in gradients:
        if Q is not None:
            g, step = Q[0].T @ G @ Q[1], step + 1
            M = β * M + (1 - β) * g
            V, M = second_moments(kind, V, g, M), Q[0] @ M @ Q[1].T
        L, R = β * L + (1 - β) * G @ G.T, β * R + (1 - β) * G.T @ G
        if Q is None:
            Q = [np.linalg.eigh(C)[1][:, ::-1] for C in (L, R)]
        elif step % frequency == 0:
            for axis, C in enumerate((L, R)):
                Q[axis], V = refreshed(C, Q[axis], V, axis)
        M = Q[0].T @ M @ Q[1]
    moments = {"exp_avg_sq_marg": V} if kind == "authors-factored" else {"exp_avg_sq": V[0]}
    copies = {"precondition_frequency": frequency, "shampoo_beta": β}
    return {"step": step, "exp_avg": M, **moments, "GG": [L, R], "Q": Q, **copies}


def moved_in(source, rule, peer, W, layout=None):
    """Our optimizer with the state of a peer."""
    optimizer = Optimizer(rule, layout=layout)
    b, parameter = Backend.of(W), optimizer.assignment({"W": W})["W"]
    step, flat = import_fields(source, peer, parameter, parameter.rule, W, b)
    return optimizer, OptimizerState(step, {"W": Slot(step, parameter.from_fields(flat))})


def golden(name, i):
    data = np.load(GOLDEN / f"{name}.npz")
    steps = sum(key.startswith(f"g{i}.") for key in data)
    return [data[f"p{i}.{t}"] for t in range(steps + 1)], [data[f"g{i}.{t}"] for t in range(1, steps + 1)]


def walk(optimizer, state, W, gradients):
    params = {"W": W}
    for G in gradients:
        params, state = optimizer.step(params, {"W": G}, state)
    return params["W"], state


def near(W, expected, start):
    assert np.linalg.norm(W - expected) <= 1e-9 * np.linalg.norm(expected - start)


@pytest.mark.parametrize("i", [0, 1])
@pytest.mark.parametrize("kind", RECORDED)
@pytest.mark.parametrize("layout", [None, "in out"])
def test_a_running_job_of_the_authors_goes_on_and_lands_where_theirs_does(kind, i, layout):
    """Moved after eight of the 23 recorded calls, between two refreshes; as it is, and stored transposed."""
    name, cls = RECORDED[kind]
    W, G = golden(name, i)
    stored = (lambda X: X.T) if layout else (lambda X: X)
    peer = Peer(authors_state(kind, [stored(g) for g in G[:MOVED_AT]]), kind=cls)
    optimizer, state = moved_in("deva-authors", DeVA.dialect(kind, **RULE), peer, stored(W[MOVED_AT]), layout)
    end, _ = walk(optimizer, state, stored(W[MOVED_AT]), [stored(g) for g in G[MOVED_AT:]])
    near(stored(end), W[-1], W[MOVED_AT])


@pytest.mark.parametrize("calls", [1, 3])
def test_a_job_may_move_right_after_the_call_that_only_builds_the_basis(calls):
    W, G = golden("deva_sinf", 0)
    peer = Peer(authors_state("authors", G[:calls]))
    optimizer, state = moved_in("deva-authors", DeVA.dialect("authors", **RULE), peer, W[calls])
    near(walk(optimizer, state, W[calls], G[calls:])[0], W[-1], W[calls])


@pytest.mark.parametrize("kind", RECORDED)
@pytest.mark.parametrize("layout", [None, "in out"])
def test_what_moves_out_to_the_authors_is_what_their_class_would_hold(kind, layout):
    """Fields, units, order of the sides, and the step that counts from the second call."""
    W, G = golden(RECORDED[kind][0], 0)
    stored = [g.T for g in G[:MOVED_AT]] if layout else G[:MOVED_AT]
    optimizer = Optimizer(DeVA.dialect(kind, **RULE), layout=layout)
    end, state = walk(optimizer, optimizer.init({"W": W[0]}), W[0], stored)
    p, slot = optimizer.assignment({"W": W[0]})["W"], state.slots["W"]
    out = export_fields("deva-authors", p, p.rule, slot.step, fields(slot.state), {}, Backend.of(end))
    expected = authors_state(kind, stored)
    assert out.keys() == expected.keys()
    for name, value in expected.items():
        for x, y in zip(*(v if isinstance(v, list) else [v] for v in (out[name], value)), strict=True):
            # each column of a basis has a sign of its own, and with it each row and column of the momentum
            x, y = (np.abs(x), np.abs(y)) if name in ("Q", "exp_avg") else (x, y)
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9 * np.max(np.abs(y)), err_msg=name)


@pytest.mark.parametrize("factor", [2.0**-30, 2.0**30])
def test_the_default_rule_goes_on_from_the_authors_state_at_any_scale(factor):
    """Another basis and another eps from there on; second moments and covariances arrive in units of a scale."""
    W, G = golden("deva_sinf", 0)

    def continued(k):
        peer = Peer(authors_state("authors", [k * g for g in G[:MOVED_AT]]))
        optimizer, state = moved_in("deva-authors", DeVA(precondition_frequency=5), peer, W[MOVED_AT])
        assert state.slots["W"].step == MOVED_AT - 1
        S = state.slots["W"].state
        np.testing.assert_allclose(S.second_moment * S.scale**2, peer.fields["exp_avg_sq"], rtol=1e-12)
        return walk(optimizer, state, W[MOVED_AT], [k * g for g in G[MOVED_AT:]])[0]

    near(continued(factor), continued(1.0), W[MOVED_AT])


def test_a_side_without_a_basis_moves_too():
    """Peers keep an empty list for a side longer than their max_precond_dim."""
    W, G = golden("deva_sinf", 0)
    peer = authors_state("authors", G[:1])
    peer = Peer({**peer, "GG": [peer["GG"][0], []], "Q": [peer["Q"][0], []]})
    with pytest.raises(ValueError, match=r"column_covariance of 'W' has shape \(0, 0\), expected \(8, 8\)"):
        moved_in("deva-authors", DeVA(), peer, W[0])
    assert moved_in("deva-authors", DeVA(), Peer(authors_state("authors", G[:1])), W[0])
    tall = np.zeros((8, 9))
    fields = {"step": 0, "exp_avg": tall, "exp_avg_sq": tall, "GG": [np.eye(8), []], "Q": [np.eye(8), []]}
    _, state = moved_in("deva-authors", DeVA(max_precondition_dim=8), Peer(fields), tall)
    assert state.slots["W"].state.column_basis.shape == (0, 0)


def test_soaps_row_and_column_sums_are_the_factored_rules_moments_exactly():
    """SOAP → "authors-factored" loses nothing: the state is that of a job that always ran there."""
    W, G = golden("deva_sinf_factored", 1)
    _, soap = moved_in("soap", DeVA.dialect("authors-factored", **RULE), Peer(authors_state("soap", G[:8])), W[8])
    optimizer, state = moved_in(
        "soap", DeVA.dialect("authors-factored", **RULE), Peer(authors_state("soap", G[:MOVED_AT])), W[MOVED_AT]
    )
    near(walk(optimizer, state, W[MOVED_AT], G[MOVED_AT:])[0], W[-1], W[MOVED_AT])
    assert soap.slots["W"].step == state.slots["W"].step


def test_soaps_state_is_what_this_reimplementation_says():
    """The update that SOAP makes of it meets SOAP's recording."""
    if not (GOLDEN / "soap.npz").exists():
        pytest.skip("SOAP's recording is not in this checkout")
    W, G = golden("soap", 0)
    for calls in (4, 8, 23):
        S = authors_state("soap", G[:calls])
        update = S["Q"][0] @ (S["exp_avg"] / (np.sqrt(S["exp_avg_sq"]) + 1e-8)) @ S["Q"][1].T
        if S["step"] % 5:  # between refreshes the basis is still the one that the step was made in
            t = S["step"]
            moved = W[calls - 1] - 1e-2 * np.sqrt(1 - 0.95**t) / (1 - 0.95**t) * update
            near(moved * (1 - 1e-3), W[calls], W[calls - 1])


@pytest.mark.parametrize("factored", [False, True])
def test_soap_knows_nothing_of_the_momentums_norms_so_adaptation_starts_at_one(factored):
    """Statistics of the momentum: V̂ = r cᵀ of the momentum that moved in."""
    W, G = golden("deva_sinf", 0)
    _, state = moved_in("soap", DeVA(factored=factored), Peer(authors_state("soap", G[:8])), W[8])
    S, (r, c) = state.slots["W"].state, norms(state.slots["W"].state.momentum)
    V = np.sqrt(S.row_second_moment * S.column_second_moment) if factored else S.second_moment
    np.testing.assert_allclose(V * S.scale**2 / (1 - 0.95**7), r * c, rtol=1e-12)


def test_soaps_moments_bound_the_average_of_the_gradients_norms():
    """Statistics of the gradient: Cauchy–Schwarz, and close, since norms vary little."""
    W, G = golden("deva_sinf", 0)
    rule = DeVA.dialect("authors-instant", **RULE)
    V = moved_in("soap", rule, Peer(authors_state("soap", G[:8])), W[8])[1].slots["W"].state.second_moment
    exact = authors_state("authors-instant", G[:8])["exp_avg_sq"]
    assert np.all(exact * (1 - 1e-12) <= V) and np.max(V / exact) < 1.5


def test_the_authors_vector_class_moves_in_and_out():
    """Its recording, moved after eight calls; its state has two averages and no count."""
    W, G = golden("deva_linf", 4)
    rule, m, v = DeVAVector.dialect("authors", lr=1e-2, weight_decay=0.1), 0.0, 0.0
    for g in G[:MOVED_AT]:
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * m * m
    peer = {"momentum_buffer": m, "second_momentum_buffer": v, "gamma": m}
    optimizer, state = moved_in("deva-authors", rule, Peer(peer), W[MOVED_AT])
    near(walk(optimizer, state, W[MOVED_AT], G[MOVED_AT:])[0], W[-1], W[MOVED_AT])
    p = optimizer.assignment({"W": m})["W"]
    out = export_fields("deva-authors", p, rule, 8, fields(state.slots["W"].state), {}, Backend.of(m))
    np.testing.assert_array_equal(out["second_momentum_buffer"], v)
    with pytest.raises(ValueError, match="does not count steps, and the bias correction of 'W' needs them"):
        moved_in("deva-authors", DeVAVector(), Peer(peer), m)
    _, state = moved_in("deva-authors", DeVAVector(), Peer(peer, step=8), m)
    S = state.slots["W"].state
    np.testing.assert_allclose(S.second_moment * S.scale**2, v, rtol=1e-14)


REFUSED = {
    "V of the gradient, for statistics of the momentum": (
        DeVA(),
        Peer(authors_state("authors-instant", [np.eye(3)] * 2), kind="DeVASchattenNormIns"),
        "are the gradient's in DeVASchattenNormIns, but here statistics='momentum'",
    ),
    "V, for a rule that keeps its marginals": (
        DeVA.dialect("authors-factored"),
        Peer(authors_state("authors", [np.eye(3)] * 2)),
        r"has the fields \['GG', 'Q', 'exp_avg', 'exp_avg_sq', 'step'\], but DeVA needs \[.*marg",
    ),
    "marginals of the gradient, for those of the momentum": (
        DeVA(factored=True),
        Peer(authors_state("authors-factored", [np.eye(3)] * 2)),
        "are the gradient's in the factored class, but here statistics='momentum'",
    ),
    "another shape": (
        DeVA(),
        Peer(authors_state("authors", [np.ones((4, 3))] * 2)),
        r"has shape \(4, 3\), expected \(3, 3\)",
    ),
    "a Muon of theirs": (
        DeVA(),
        Peer({"momentum_buffer": np.eye(3)}),
        "has the fields .'momentum_buffer'., but DeVA needs",
    ),
    "DeVA's state, for Muon": (
        Muon(),
        Peer(authors_state("authors", [np.eye(3)] * 2)),
        "Muon needs .'momentum_buffer'.",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused_with_the_difference(what):
    rule, peer, message = REFUSED[what]
    with pytest.raises(ValueError, match=message):
        moved_in("deva-authors", rule, peer, np.zeros((3, 3)))


def test_layouts_that_are_not_one_matrix_have_no_place_for_a_basis_for_each_axis():
    W, peer = np.zeros((6, 3)), Peer(authors_state("authors", [np.ones((6, 3))] * 2))
    with pytest.raises(ValueError, match=r"keeps one basis for each axis of 'W'.*'\(q k v\) in' it is not one matrix"):
        moved_in("deva-authors", DeVA(), peer, W, layout="(q k v) in")


def test_soap_is_not_moved_out_to():
    W, G = golden("deva_sinf", 0)
    optimizer, state = moved_in("soap", DeVA(), Peer(authors_state("soap", G[:3])), W[3])
    p, slot = optimizer.assignment({"W": W[3]})["W"], state.slots["W"]
    with pytest.raises(ValueError, match="cannot move from DeVA to 'soap': its second moment"):
        export_fields("soap", p, p.rule, slot.step, fields(slot.state), {}, Backend.of(W[3]))
